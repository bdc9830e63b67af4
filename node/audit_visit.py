"""`audit visit`: do what an auditor's kit asks of this school, and write one file of what came out.

The kit is a folder that `fedscreen auditor site prepare` wrote: `challenge.json`, signed, and for a rehearsal
`material/`. Order:

1. this node's vault checks the challenge against its own copy of the log (`node.vault.visit`);
2. `replay` in the same vault; then `rehearse` and `selftest` in nodes of their own, as far as they are asked;
3. one canonical file: outcomes and numbered checks; no count, key or pupil, and no opened table.

A trial that is refused or cannot be set up is written down as REFUSED with its code; it is not left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from node.audit_checks import AuditError
from node.audit_material import read_material
from node.config import file_error
from node.errors import NodeError, _
from node.session import VaultSession
from node.vault.worker import software_digest
from protos.site_visit import FAIL, MAX_BYTES, PASS, REFUSED, SiteResult, Trial, TrialCheck

CHALLENGE, MATERIAL = "challenge.json", "material"
Values = Mapping[str, Any]
Clock = Callable[[], datetime]


def read_kit(kit: Path) -> bytes:
    """Read a kit's challenge.

    Raises:
        AuditError: the folder has none.
        ConfigError: it cannot be read.
    """
    path = kit / CHALLENGE if kit.is_dir() else kit
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as err:
        raise file_error(err, str(path)) from err
    if len(data) > MAX_BYTES:
        raise AuditError(_("%(file)s is no challenge"), code="bad-challenge", details={"file": str(path)})
    return data


def choose_file(out: Path | None, node: str) -> Path:
    """Give the new file that a result goes to, `result-SCHOOL.json` if none was named.

    One stick goes to several schools, and a result that was written over cannot be made again: by then
    the auditor may have recorded it.

    Raises:
        AuditError: it exists already; nothing was run.
    """
    file = out or Path(f"result-{node}.json")
    if file.exists() or file.is_symlink():
        raise AuditError(
            _("%(file)s exists already, and may be the result of another visit; nothing was run"),
            _("Choose a new name with --out, or move that file away first."),
            code="exists",
            details={"file": str(file)},
        )
    return file


def visit(kit: Path, vault: VaultSession, floor: str, now: Clock, tell: Callable[[str], None]) -> SiteResult:
    """Do everything that a kit asks.

    Args:
        kit: the folder.
        vault: this node's open vault.
        floor: lowest level of confinement that rehearsal and self-test accept.
        now: the clock, UTC.
        tell: called with the name of each trial before it begins.

    Raises:
        VaultRefusal: the challenge is not one that this node has to answer; nothing was run.
        AuditError, ConfigError: the kit cannot be read.
    """
    data, started = read_kit(kit), _stamp(now())
    asked = vault.call({"command": "visit"}, {"challenge": data})[0]
    runs: dict[str, Callable[[], Values]] = {
        "replay": lambda: _replay(vault, asked),
        "rehearse": lambda: _rehearse(kit, floor, now),
        "selftest": lambda: _selftest(floor),
    }
    trials = {}
    for name in asked["trials"]:
        tell(name)
        trials[name] = _run(runs[name])
    return SiteResult(
        challenge=hashlib.sha256(data).digest(),
        federation=asked["federation"],
        node=asked["node"],
        round=bytes.fromhex(asked["round"]),
        attempt=asked["attempt"],
        report=bytes.fromhex(asked["report"]),
        software=software_digest(),
        started=started,
        ended=_stamp(now()),
        trials=trials,
    )


def outcome_of(result: SiteResult) -> str:
    """Sum up: FAIL if a trial failed, PASS if every one passed, else REFUSED."""
    outcomes = {trial.outcome for trial in result.trials.values()}
    if FAIL in outcomes:
        return FAIL
    return PASS if outcomes == {PASS} else REFUSED


def _replay(vault: VaultSession, asked: Values) -> Values:
    command = {"command": "recompute", "round": asked["round"], "attempt": asked["attempt"]}
    return vault.call(command)[0]


def _rehearse(kit: Path, floor: str, now: Clock) -> Values:
    from node.audit_rehearse import rehearse

    return rehearse(read_material(kit / MATERIAL, now()), floor)


def _selftest(floor: str) -> Values:
    from node.audit_selftest import run_selftest  # gRPC's server, which no other command needs

    return run_selftest(floor)


def _run(run: Callable[[], Values]) -> Trial:
    try:
        values = run()
    except NodeError as err:
        return Trial(REFUSED, "", _plain(err.code), ())
    checks = tuple(
        TrialCheck(int(row["number"]), str(row["name"]), str(row["result"]), _plain(row.get("note", "")))
        for row in values["checks"]
    )
    return Trial(str(values["outcome"]), str(values["confinement"]), "", checks)


def _plain(text: str) -> str:
    """Keep printable ASCII, at most 200 characters."""
    return "".join(char if " " <= char <= "~" else "?" for char in str(text))[:200]


def _stamp(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
