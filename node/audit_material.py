"""What an auditor brings for a rehearsal: a folder or a zip of made-up files, all known by their names.

| name | |
| --- | --- |
| `plan.toml` | the plan; its window is replaced by one that is open today |
| `roster.xlsx` (or xls, csv) | the roster of made-up pupils |
| `screening.xlsx` (or xls, csv) | the platform's export |
| `profile.toml`, `codebook.toml` | as for an import |
| `retest.*`, `consent.*`, `ledger.NAME.*` | as for an import, if the plan needs them |
| `school.toml` | `system = "6-3"` and a table `attributes`, if they matter |
| `expected.json` | the auditor's own exact tables: `{"A1": [12, 0, …], …}` |

Nothing else may be in it; so a node's folder is refused as such. Everything is read before anything is made.
"""

from __future__ import annotations

import json
import os
import tomllib
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any

from node.audit_checks import AuditError
from node.errors import _
from node.vault.errors import shown_as
from plan.codebook import parse_codebook_toml
from plan.codes import SYSTEM
from plan.document import PlanDocument, parse_plan_toml
from plan.errors import PlanError
from plan.publishing import pin_codebook, resolve

PLAN, SCHOOL, EXPECTED = "plan.toml", "school.toml", "expected.json"
NEEDED = ("roster", "screening", "profile", "codebook")
OPTIONAL = ("retest", "consent")
LEDGER = "ledger."
TABLES = (".xlsx", ".xls", ".csv")
TEXTS = {"profile": ".toml", "codebook": ".toml"}
MAX_BYTES = 64 * 1024 * 1024
MAX_FILES = 32
LEAST_SCHOOLS = 6
WINDOW = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Material:
    """What a rehearsal is made from.

    Attributes:
        files: the import's parts by name.
        plan: ready to be published: codebook pinned, nothing open, its window around now.
        schools: operators that the roster of the rehearsal has.
        attributes, system: of the school.
        expected: the auditor's own tables by id; None if there are none.
    """

    files: Mapping[str, bytes] = field(repr=False)
    plan: PlanDocument
    schools: int
    attributes: Mapping[str, str]
    system: str
    expected: Mapping[str, list[int]] | None


def read_material(path: Path, now: datetime) -> Material:
    """Read a folder or zip.

    Raises:
        AuditError: a file is missing, unknown, too large or malformed; nothing has been made.
    """
    files = dict(_read(path))
    parts = {_part_of(name): data for name, data in files.items() if name not in (PLAN, SCHOOL, EXPECTED)}
    missing = [name for name in (*NEEDED, PLAN) if name not in parts and name not in files]
    if missing:
        raise _refuse(_("%(file)s is missing in the rehearsal's files"), file=missing[0])
    plan = _plan(files[PLAN], parts["codebook"], now)
    system, attributes = _school(files.get(SCHOOL, b""), plan)
    expected = _expected(files[EXPECTED]) if EXPECTED in files else None
    return Material(parts, plan, _schools_of(plan), attributes, system, expected)


# ---------------------------------------------------------------- files


def _read(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        yield from _read_zip(path) if path.is_file() else _read_folder(path)
    except (OSError, zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError) as err:
        raise _refuse(_("%(file)s is no folder and no zip that can be read"), file=path.name) from err


def _read_folder(path: Path) -> Iterator[tuple[str, bytes]]:
    entries = sorted(path.iterdir())
    _check_size(len(entries), sum(entry.stat().st_size for entry in entries if entry.is_file()))
    for entry in entries:
        if not entry.is_file() or entry.is_symlink():
            raise _unknown(entry.name)
        _part_of(entry.name)
        yield entry.name, entry.read_bytes()


def _read_zip(path: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        rows = archive.infolist()
        _check_size(len(rows), sum(row.file_size for row in rows))
        for row in rows:
            if row.is_dir() or PurePosixPath(row.filename).name != row.filename:
                raise _unknown(row.filename)
            _part_of(row.filename)
            with archive.open(row) as stream:
                data = stream.read(row.file_size + 1)
            yield row.filename, data


def _check_size(num_files: int, size_bytes: int) -> None:
    if num_files > MAX_FILES or size_bytes > MAX_BYTES:
        raise _refuse(
            _("the rehearsal's files are too many or too large: at most %(files)d and %(mib)d MiB"),
            files=MAX_FILES,
            mib=MAX_BYTES // (1024 * 1024),
        )


def _part_of(name: str) -> str:
    """Give the import's part that a file is; names that are no part are for plan, school, tables."""
    stem, suffix = os.path.splitext(name)
    is_table = stem in (*NEEDED[:2], *OPTIONAL) or (stem.startswith(LEDGER) and len(stem) > len(LEDGER))
    is_known = (is_table and suffix.lower() in TABLES) or TEXTS.get(stem) == suffix
    if not is_known and name not in (PLAN, SCHOOL, EXPECTED):
        raise _unknown(name)
    return stem


def _unknown(name: str) -> AuditError:
    return _refuse(_("%(file)s is no file of a rehearsal"), file=name[:60])


def _refuse(message: str, **details: Any) -> AuditError:
    advice = _("See docs/on-site-audit.md for what a rehearsal is made from; made-up pupils only.")
    return AuditError(message, advice, code="rehearsal-files", details=details)


# ---------------------------------------------------------------- plan, school, tables


def _plan(data: bytes, codebook: bytes, now: datetime) -> PlanDocument:
    """Read a plan, pin its codebook, fit it to the schools, and open its window now."""
    try:
        draft = pin_codebook(parse_plan_toml(data), parse_codebook_toml(codebook))
        start = now.replace(microsecond=0) - timedelta(minutes=1)
        end = max(start + WINDOW, start.replace(hour=23) + (draft.census_date - start.date()))
        plan = replace(draft, opens=start, closes=end)
        return resolve(plan, _schools_of(plan))
    except PlanError as err:
        raise _refuse(_("%(file)s: %(reason)s"), file=PLAN, **shown_as("reason", err.phrase)) from err


def _schools_of(plan: PlanDocument) -> int:
    """Give the fewest schools that the plan allows; its noise is sized by its own number, not by this."""
    tiers = max(plan.tiers or (0,)) + plan.colluding_schools
    return max(LEAST_SCHOOLS, plan.min_reports or 0, tiers)


def _school(data: bytes, plan: PlanDocument) -> tuple[str, dict[str, str]]:
    """Read the school's system and attributes; without a file the plan's first ones."""
    first = {name: values[0][0] for name, values in plan.attributes if values}
    try:
        values = tomllib.loads(data.decode("utf-8"))
        unknown = sorted(values.keys() - {"system", "attributes"})
        attributes = first | {
            str(key): str(value) for key, value in dict(values.get("attributes", {})).items()
        }
    except (ValueError, TypeError) as err:
        raise _refuse(_("%(file)s cannot be read"), file=SCHOOL) from err
    system = str(values.get("system", plan.systems[0]))
    if unknown or system not in SYSTEM:
        raise _refuse(_("%(file)s has only system (6-3 or 5-4) and attributes"), file=SCHOOL)
    return system, attributes


def _expected(data: bytes) -> dict[str, list[int]]:
    try:
        values = json.loads(data)
    except (ValueError, RecursionError) as err:
        raise _refuse(_("%(file)s cannot be read"), file=EXPECTED) from err
    is_right = isinstance(values, dict) and all(
        isinstance(counts, list) and all(type(count) is int for count in counts) for counts in values.values()
    )
    if not is_right:
        raise _refuse(_("%(file)s: expected lists of whole numbers by table"), file=EXPECTED)
    return dict(values)
