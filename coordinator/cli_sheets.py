"""What the commands about filled spreadsheets share: their options, reading many files, showing findings."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from gettext import gettext as _
from pathlib import Path
from typing import TypeVar

import click

from coordinator.cli_context import EXIT_REFUSED, FILE, say
from coordinator.durable import ignore_step, write_file
from coordinator.errors import Explained, FactsRefusedError, FileError
from coordinator.facts import Saved
from coordinator.facts_sheet import Finding
from plan.errors import phrase

_Entry = TypeVar("_Entry")

BY = click.option("--by", "by", required=True, metavar="NAME", help=_("Who enters this, for the history."))
FILES = click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILE)
OUT_FILE = click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help=_("File to write.")
)
OUT_FOLDER = click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), required=True, help=_("Folder to write into.")
)


def read_files(
    files: Sequence[Path], as_json: bool, read: Callable[[bytes], Sequence[_Entry]]
) -> tuple[_Entry, ...]:
    """Read every file; if any has a finding, show all of them and end with exit code 1."""
    rows: list[_Entry] = []
    findings: list[tuple[Path, Explained]] = []
    for path in files:
        try:
            rows += read(path.read_bytes())
        except FactsRefusedError as err:
            findings += [(path, item) for item in err.problems]
        except (FileError, OSError) as err:
            raise FileError(phrase("%(path)s: %(reason)s", path=path, reason=err)) from err
    if findings:
        _show_findings(findings, as_json)
        raise SystemExit(EXIT_REFUSED)
    return tuple(rows)


def _show_findings(findings: Sequence[tuple[Path, Explained]], as_json: bool) -> None:
    if as_json:
        rows = [{"file": str(path), **_plain(item)} for path, item in findings]
        message = f"{len(rows)} findings; nothing was taken"
        click.echo(
            json.dumps(
                {"error": FactsRefusedError.code, "message": message, "findings": rows}, ensure_ascii=False
            )
        )
        return
    for path, item in findings:
        click.echo(f"{path.name}: {item.phrase.text(_)}", err=True)
    click.echo(_("%(count)s findings; nothing was taken") % {"count": len(findings)}, err=True)


def _plain(item: Explained) -> dict[str, object]:
    return item.as_dict() if isinstance(item, Finding) else {"message": str(item.phrase)}


def write_out(path: Path, data: bytes) -> Path:
    """Write a file whole, readable by its owner only; make its folder."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, data, ignore_step, mode=0o600)
    except OSError as err:
        reason = err.strerror or ""
        raise FileError(
            phrase(
                "%(path)s cannot be written (%(reason)s); choose another place with --out",
                path=path,
                reason=reason,
            )
        ) from err
    return path


def say_saved(as_json: bool, head: dict[str, object], saved: Saved, missing: Sequence[str]) -> None:
    """Tell what an import did, and who has not answered yet."""
    values = head | {"new": saved.new, "changed": saved.changed, "same": saved.same, "missing": list(missing)}
    line = _("new: %(new)s, changed: %(changed)s, as before: %(same)s schools") % values
    rest = [_("not yet: %(ids)s") % {"ids": ", ".join(missing)}] if missing else []
    say(as_json, values, line, *rest)
