"""`audit rehearse`: a whole round on made-up data that the auditor brings, opened in full.

A real county opens only the sum of many schools, so nobody can see there whether one school's bytes are its
table and noise and nothing else. Here one can: the data is made up, the county stands in, and all of it
happens in a scratch folder, in a confined vault, under a K that this vault draws for itself and that is
thrown away. Opening a report under the real K would confirm any guessed table, so there is no way to name the
real node here: no option takes its folder, and a folder that is not made of a rehearsal's files is refused.

| check | what it says |
| --- | --- |
| 1 `wall` | the vault reached the level asked for |
| 2 `fresh` | before the rehearsal this vault had no identity; its K is not the one of any real node |
| 3 `import` | every made-up pupil was imported |
| 4 `counts` | the vault counts what the same files give outside of it |
| 5 `expected` | and what the auditor has counted himself (`expected.json`) |
| 6 `header` | the header says exactly this round, node, program and confinement, signed by the node |
| 7 `size` | the report is as long as the plan makes it, to the byte |
| 8 `opened` | every auditor's box opens, and all hold the seeds that the header commits to |
| 9 `noise` | opened minus expected lies within the bounds of the noise, in every cell |
| 10 `spread` | it scatters as much as it should: neither too little nor too much |
| 11 `again` | asked again, the node gives the same bytes |
| 12 `replay` | the replay of this report passes |

Spec: docs/on-site-audit.md, docs/privacy.md.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crypto.note import parse_note, parse_vkey, verified_by
from node.audit_checks import AuditError, CheckList, SkippedError
from node.audit_county import NODE, OpenedReport
from node.audit_material import Material
from node.audit_scratch import ScratchNode, make_scratch_node, scratch_folder
from node.errors import NodeError, VaultRefusal, _
from node.session import VaultSession
from node.vault.import_file import ImportContext, import_files
from node.vault.worker import software_digest
from plan.layout import Layout, build_layout
from plan.tabulation import scaled, tabulate
from privacy.discrete_gaussian import table_bound
from protos.report_payload import body_bytes, note_of
from protos.statements import Report, parse_statement

BY = "rehearsal"
FALSE_ALARM_BITS = 40
_EMPTY_ALARM = FALSE_ALARM_BITS * math.log(2)
Numbers = NDArray[np.int64]


@dataclass(slots=True)
class _Rehearsal:
    """What one rehearsal gathers; a missing piece skips the checks that need it."""

    node: ScratchNode
    material: Material
    layout: Layout
    level: str = ""
    identity: dict[str, Any] = field(default_factory=dict)
    was_empty: bool = False
    imported: int = -1
    previewed: Numbers | None = None
    counted: Numbers | None = None
    round_id: bytes = b""
    payload: bytes = b""
    again: bytes = b""
    opened: OpenedReport | None = None
    replayed: str = ""
    refused: str = ""


def rehearse(material: Material, floor: str = "L3") -> dict[str, Any]:
    """Run a rehearsal in a folder of its own.

    Args:
        material: what the auditor brought.
        floor: lowest level of confinement that is accepted, "L0" to "L3".

    Returns:
        JSON values: outcome, checks, the commitment to the rehearsal's K, and `tables` with expected and
        opened vectors.

    Raises:
        AuditError: the rehearsal cannot be set up.
    """
    layout = build_layout(material.plan)
    with scratch_folder() as root:
        node = make_scratch_node(
            root,
            material.plan,
            material.schools,
            floor,
            attributes=material.attributes,
            system=material.system,
            entropy=secrets.token_bytes,
        )
        run = _Rehearsal(node, material, layout)
        try:
            with node.vault() as vault:
                _play(run, vault)
        except NodeError as err:
            run.refused = err.code
        checks = _check(run, floor)
    return {
        "outcome": checks.outcome,
        "confinement": run.level,
        "master": str(run.identity.get("master", "")),
        "refused": run.refused,
        "checks": checks.values(),
        "tables": _tables(run),
    }


# ---------------------------------------------------------------- what is done


def _play(run: _Rehearsal, vault: VaultSession) -> None:
    """Enrol, import, preview, release, hand in, open, and replay."""
    node, plan = run.node, run.material.plan
    run.level, run.was_empty = vault.level, _has_no_identity(vault)
    run.identity = node.enrol(vault)
    run.round_id = node.county.publish(plan)
    node.read_log(vault)
    round_hex = run.round_id.hex()
    run.counted = _count(run)
    answer, _files = vault.call({"command": "import", "round": round_hex, "by": BY}, run.material.files)
    if answer["refused"]:
        raise AuditError(_("the made-up files are refused"), code="import-refused")
    run.imported = int(answer["counts"]["records"])
    preview, _files = vault.call({"command": "preview", "round": round_hex})
    counts = [int(cell["count"]) for table in preview["tables"] for cell in table["cells"]]
    run.previewed = np.array(counts, np.int64)
    run.payload, run.again = (_release(vault, round_hex) for _time in range(2))
    node.county.take_report(run.payload)
    run.opened = node.county.open_report(run.payload)
    node.read_log(vault)
    replay, _files = vault.call({"command": "recompute", "round": round_hex, "attempt": 0})
    run.replayed = str(replay["outcome"])


def _has_no_identity(vault: VaultSession) -> bool:
    try:
        vault.call({"command": "identity"})
    except VaultRefusal as err:
        return err.code == "not-initialised"
    return False


def _release(vault: VaultSession, round_hex: str) -> bytes:
    vault.call({"command": "release", "round": round_hex, "by": BY})
    (payload,) = vault.call({"command": "outbox_export"})[1].values()
    return payload


def _count(run: _Rehearsal) -> Numbers:
    """Count the made-up files in this process, outside of the vault."""
    plan = run.material.plan
    context = ImportContext(
        record_secret=bytes(32),
        school_year=plan.school_year,
        wave=plan.wave,
        census_date=plan.census_date,
        school_system=run.material.system,
        consent_policy=plan.consent,
    )
    result = import_files(dict(run.material.files), context)
    if result.is_refused:
        issue = result.issues[0]
        raise AuditError(
            _("the made-up files are refused: %(file)s row %(row)s column %(column)s"),
            _("Try them with 'fedscreen node import --dry-run' on a node of your own."),
            code="import-refused",
            details={"file": issue.file, "row": issue.row, "column": issue.column},
        )
    return tabulate(run.layout, result.records, run.material.attributes)


# ---------------------------------------------------------------- what is checked


def _check(run: _Rehearsal, floor: str) -> CheckList:
    checks = CheckList()
    for name, check in (
        ("wall", lambda: run.level >= floor and run.level),
        ("fresh", lambda: run.was_empty and str(run.identity.get("master", ""))[:16]),
        ("import", lambda: _check_import(run)),
        ("counts", lambda: bool(np.array_equal(_need(run.previewed), _need(run.counted)))),
        ("expected", lambda: _check_expected(run)),
        ("header", lambda: _check_header(run)),
        ("size", lambda: _check_size(run)),
        ("opened", lambda: _check_opened(run)),
        ("noise", lambda: _check_noise(run)),
        ("spread", lambda: _check_spread(run)),
        ("again", lambda: _need(run.payload) == _need(run.again)),
        ("replay", lambda: _need(run.replayed) == "PASS"),
    ):
        checks.run(name, check)
    return checks


def _need(value: Any) -> Any:
    if value is None or (isinstance(value, str | bytes) and not value):
        raise SkippedError("missing")
    return value


def _check_import(run: _Rehearsal) -> str | bool:
    if run.refused and run.imported < 0:
        raise AuditError(_("nothing was imported"), code=run.refused)
    return f"{run.imported}" if run.imported > 0 else False


def _check_expected(run: _Rehearsal) -> str | bool:
    expected = run.material.expected
    if expected is None:
        raise SkippedError("no-expected-json")
    counted = _need(run.previewed)
    own = {
        table.id: counted[table.offset : table.offset + table.cells].tolist() for table in run.layout.tables
    }
    return own == expected


def _check_header(run: _Rehearsal) -> bool:
    note = parse_note(note_of(_need(run.payload)))
    key = parse_vkey(str(run.identity["report_key"]))
    header = parse_statement(note.text)
    if not isinstance(header, Report):
        return False
    round_log = run.node.county.round(run.round_id)
    is_ours = (header.federation, header.node, header.attempt) == (round_log.terms.federation, NODE, 0)
    is_round = (header.round, header.roster, header.approvals) == (
        run.round_id,
        round_log.roster_digest,
        round_log.approvals_digest(),
    )
    is_program = (header.software, header.confinement) == (software_digest(), run.level)
    is_first = header.previous == bytes(32) and header.cells == run.layout.cells
    return verified_by(note, [key]) == (key,) and is_ours and is_round and is_program and is_first


def _check_size(run: _Rehearsal) -> str | bool:
    payload, round_log = _need(run.payload), run.node.county.round(run.round_id)
    rest = body_bytes(round_log.terms.num_elements, round_log.box_bytes, round_log.num_auditors)
    return f"{len(payload)}" if len(payload) == 4 + len(note_of(payload)) + rest else False


def _check_opened(run: _Rehearsal) -> bool:
    if run.payload and run.opened is None:
        raise AuditError(_("the report could not be opened"), code=run.refused or "box")
    header: Report = _need(run.opened).header
    return len(header.boxes) == run.material.plan.num_auditors


def _noise(run: _Rehearsal) -> Numbers:
    """Give the noise that each component added: opened minus expected, shape (num_vectors, cells)."""
    vectors = _need(run.opened).vectors.copy()
    vectors[0] -= scaled(run.layout, _need(run.counted)) + vectors[1:].sum(axis=0)
    return np.asarray(vectors)


def _check_noise(run: _Rehearsal) -> str | bool:
    """Each component of each table lies within its own bound; the largest share of a bound is told."""
    noise, share = _noise(run), 0.0
    for table in run.layout.tables:
        for step, s2 in enumerate(table.noise.components):
            largest = int(np.abs(noise[step, table.offset : table.offset + table.cells]).max())
            share = max(share, largest / table_bound(s2))
    return f"{share:.2f}" if share <= 1 else False


def _check_spread(run: _Rehearsal) -> str | bool:
    """The mean square of the noise is near its variance; the ratio farthest from 1 is told."""
    noise, ratios, is_right = _noise(run), [1.0], True
    for table in run.layout.tables:
        low, high = spread_bounds(table.cells)
        for step, s2 in enumerate(table.noise.components):
            cells = noise[step, table.offset : table.offset + table.cells].astype(np.float64)
            ratio = float(np.mean(cells**2) / float(s2))
            ratios.append(ratio)
            is_right = is_right and low <= ratio <= high
    return f"{max(ratios, key=lambda ratio: abs(ratio - 1)):.2f}" if is_right else False


def spread_bounds(cells: int) -> tuple[float, float]:
    """Give the range that the mean square of so many cells, over their variance, leaves once in 2^39 times.

    Chernoff's bound for a sum of squares: P ≤ exp(−n/2·(r − 1 − ln r)) on either side of 1.
    """

    def alarm(ratio: float) -> float:
        return cells / 2 * (ratio - 1 - math.log(ratio))

    return _bisect(alarm, 1e-300, 1.0), _bisect(alarm, 1e9, 1.0)


def _bisect(alarm: Callable[[float], float], outer: float, inner: float) -> float:
    """Find where the alarm's exponent is `FALSE_ALARM_BITS` between a ratio outside and one inside."""
    if alarm(outer) <= _EMPTY_ALARM:
        return outer
    for _step in range(200):
        middle = math.sqrt(outer * inner)
        outer, inner = (middle, inner) if alarm(middle) > _EMPTY_ALARM else (outer, middle)
    return outer


def _tables(run: _Rehearsal) -> list[dict[str, Any]]:
    """Show expected and opened vectors table by table; opened in the units of the counts."""
    if run.opened is None or run.counted is None:
        return []
    return [
        {
            "id": table.id,
            "scale": table.noise.scale,
            "bound": sum(table_bound(s2) for s2 in table.noise.components) / table.noise.scale,
            "expected": run.counted[table.offset : table.offset + table.cells].tolist(),
            "opened": [
                round(int(value) / table.noise.scale, 3)
                for value in run.opened.vectors[0, table.offset : table.offset + table.cells]
            ],
        }
        for table in run.layout.tables
    ]
