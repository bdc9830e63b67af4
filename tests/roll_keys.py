"""Roll every key over in the middle of a round, with real processes: `python tests/roll_keys.py [FOLDER]`.

A coordinator, four auditors and five nodes run, each in processes of its own (`county_processes`). Two
schools have reported; then CA, log key, statement key, all auditors' and all schools' keys are rolled over, a
roster brings them into force, the other schools report, and the round is released and verified from the
auditors' bundle by the policy of the beginning. Then certificates are renewed over the network, the old keys
are retired, the server and the auditors start anew, and a second round runs under the new keys alone.

Prints one line a step with its seconds; exits 1 if anything is not as it should be.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from county_processes import CountyProcesses, county
from process_list import wait_for

from auditor.client import connect
from auditor.config import read_config as read_auditor
from auditor.enrol import load_card, roll_keys
from auditor.keys import load_tls
from auditor.mirror import Mirror
from auditor.renewal import renew_if_due
from auditor.watch import utc_now
from node.config import read_config
from node.enrolment import certificate_request
from node.online import renew_online

PURPOSES = ("log", "statement", "ca")


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print what was done and how long it took."""
    start = time.monotonic()
    yield
    print(f"{time.monotonic() - start:6.1f} s  {what}", flush=True)


def keys_in_force(running: CountyProcesses) -> set[str]:
    """Collect every public key of the roster in force."""
    body = running.ledger().roster.body
    keys = {body.log.text, body.coordinator.text, body.ca.hex(), *(row.report.text for row in body.nodes)}
    return keys | {key.text for row in body.auditors for key in (row.statement, row.cosigner)}


def roll_everything(running: CountyProcesses) -> None:
    """Make every next key and have the auditors sign the roster that brings them."""
    for purpose in PURPOSES:
        running.desk.roll_key(purpose)
    for auditor_id in running.federation.auditor_ids:
        folder = running.federation.auditor_folder(auditor_id)
        running.desk.approve_request(roll_keys(folder, Mirror(folder.mirror, load_card(folder)).ledger))
    for node in running.nodes.values():
        csr = certificate_request(node.folder, read_config(node.folder))
        require(node.vault is not None, "a command vault")
        _answer, files = node.vault.call({"command": "roll", "csr": csr})
        running.desk.approve_request(files["roll"])
    running.desk.propose_roster()
    running.federation.sign_rosters()


def renew_everything(running: CountyProcesses) -> None:
    """Renew every party's certificate over its connection, and let running processes read it."""
    for auditor_id in running.federation.auditor_ids:
        folder = running.federation.auditor_folder(auditor_id)
        with connect(read_auditor(folder), load_tls(folder)) as link:
            renew_if_due(folder, link, utc_now(), anyway=True)
    for node in running.nodes.values():
        renew_online(node.folder, read_config(node.folder))
    for name in (*(f"auditor-{row}" for row in running.federation.auditor_ids), *_node_names(running)):
        running.stop(name)
        running.start(name)


def _node_names(running: CountyProcesses) -> list[str]:
    return [f"node-{name}" for name in running.nodes]


def require(is_so: bool, what: str) -> None:
    """End with 1 unless something is as it should be."""
    if not is_so:
        raise SystemExit(f"not as it should be: {what}")


def run(root: Path) -> None:
    """Do all of it below a new folder."""
    with county(root) as running:
        names = list(running.nodes)
        with timed("a round opens, two of five schools report"):
            first = running.start_round()
            for name in names[:2]:
                running.release(name, first)
            running.wait_reported(first, *names[:2])
        before = keys_in_force(running)
        with timed(f"{len(before)} keys rolled over, the roster signed"):
            roll_everything(running)
            wait_for("everybody's new keys", lambda: not before & keys_in_force(running), 60)
        with timed("the other schools report, the round is released"):
            for name in names[2:]:
                running.release(name, first)
            require(running.wait_released(first)["state"] == "released", "the first round's state")
        with timed("verified by the policy of the beginning"):
            verdict = running.verify(root / "bundle-1")
            require(verdict.exit_code == 0, verdict.summary)
        with timed("certificates renewed over the network, old keys retired, server started anew"):
            renew_everything(running)
            for purpose in PURPOSES:
                require(running.desk.retire_key(purpose) == 1, f"{purpose} retired")
            running.stop("coordinator")
            running.start("coordinator")
        with timed("a second round under the new keys alone"):
            second = running.start_round(census_in_days=1)
            for name in names:
                running.release(name, second)
            require(running.wait_released(second)["state"] == "released", "the second round's state")
        with timed("verified by the policy of the beginning"):
            verdict = running.verify(root / "bundle-2")
            require(verdict.exit_code == 0, verdict.summary)
    print("every key was rolled over in the middle of a round; both rounds are complete")


def main(arguments: list[str]) -> int:
    """Run in the folder given, or in one that is removed afterwards."""
    if arguments:
        run(Path(arguments[0]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            run(Path(folder))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
