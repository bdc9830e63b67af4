"""P5, P6: a seed makes school files and nothing else; a journal makes its report again, byte for byte."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from leak_search import files_below

from coordinator.desk import Desk as CoordinatorDesk
from node.vault.desk import Desk
from node.vault.enrol import load_identity
from node.vault.store import VaultStore
from protos.bodies import parse_roster_body
from protos.report_payload import note_of
from protos.statements import (
    Approval,
    Opening,
    Plan,
    Release,
    Report,
    Roster,
    Statement,
    digest,
    parse_statement,
)

pytestmark = pytest.mark.process
RUNS = ("first", "second")
NODES = ("s01", "s02", "s03", "s04", "s05")
NUM_CHECKS = 12


def entries(out: Path) -> list[tuple[Statement, bytes]]:
    """Every statement of a run's log, with its body."""
    desk = CoordinatorDesk(out / "county" / "coordinator")
    try:
        rows = desk.get_log(0, 4096).entries
    finally:
        desk.close()
    return [(parse_statement(row[0].decode().split("\n\n")[0] + "\n"), row[1]) for row in rows]


@pytest.fixture(scope="module")
def logs(runs: Path) -> list[list[tuple[Statement, bytes]]]:
    return [entries(runs / name) for name in RUNS]


def store_of(out: Path, node: str, folder: Path) -> VaultStore:
    """A copy of a node's record file, opened with its key in this process."""
    shutil.copy(out / "county" / "nodes" / node / "vault" / "vault.db", folder / "vault.db")
    key = (out / "county" / "credentials" / node / "fedscreen-database-key").read_bytes()
    return VaultStore(folder / "vault.db", key)


# ---------------------------------------------------------------- two runs with one seed


def test_school_files_are_identical(runs: Path) -> None:
    first, second = (dict(files_below(runs / name / "schools")) for name in RUNS)
    assert len(first) == 4 * len(NODES)
    assert first == second


def test_truth_is_identical_and_the_release_is_not(runs: Path) -> None:
    summaries = [json.loads((runs / name / "summary.json").read_text()) for name in RUNS]
    cells = [[cell for table in found["tables"] for cell in table["cells"]] for found in summaries]
    assert [cell["truth"] for cell in cells[0]] == [cell["truth"] for cell in cells[1]]
    assert [cell["se"] for cell in cells[0]] == [cell["se"] for cell in cells[1]]
    noise = [[cell["released"] - cell["truth"] for cell in found] for found in cells]
    assert sum(first == second for first, second in zip(*noise, strict=True)) < len(noise[0]) // 10


def test_no_key_file_is_in_both_runs(runs: Path) -> None:
    """TLS, log, statement, witness, CA and database keys, and every certificate and token of the parties."""
    pattern = re.compile(r"\.(key|crt|pem)$|^credentials/|/state/(instance|slots)")
    found = []
    for name in RUNS:
        below = dict(files_below(runs / name / "county"))
        found.append({path: data for path, data in below.items() if pattern.search(path)})
    first, second = ({re.sub("[0-9a-f]{64}", "ROUND", path) for path in chosen} for chosen in found)
    assert first == second
    assert len(first) > 40
    assert not set(found[0].values()) & set(found[1].values())


def test_secrets_of_the_vaults_are_all_different(runs: Path, tmp_path: Path) -> None:
    seen: list[bytes] = []
    for name, node in itertools.product(RUNS, NODES):
        folder = tmp_path / name / node
        folder.mkdir(parents=True)
        store = store_of(runs / name, node, folder)
        identity = load_identity(store)
        seen += [identity.master, identity.journal_key, identity.pupil_key, identity.report_key.seed]
        store.close()
    assert len(set(seen)) == len(seen) == 4 * len(RUNS) * len(NODES)


def values_of(statement: Statement, body: bytes) -> Iterator[tuple[str, bytes]]:
    """Every key, commitment, nonce and digest of a vector in a statement."""
    if isinstance(statement, Report):
        yield from ((name, getattr(statement, name)) for name in ("vector", "input", "approvals"))
        yield from (("seed commitment", commitment) for _subset, commitment in statement.seeds)
        yield from (("box", box) for _auditor, box in statement.boxes)
    elif isinstance(statement, Approval):
        yield from ((name, getattr(statement, name)) for name in ("instance", "round_key", "nonce", "draw"))
    elif isinstance(statement, Opening):
        yield "revealed draw", statement.draw
        yield from (("mask sum", total) for _subset, total in statement.sums)
    elif isinstance(statement, Roster):
        roster = parse_roster_body(body, statement.federation)
        yield from (("report key", row.report.public_key) for row in roster.nodes)
        yield from (("master commitment", row.master) for row in roster.nodes)
        yield from (("statement key", row.statement.public_key) for row in roster.auditors)
        yield from (("cosigner key", row.cosigner.public_key) for row in roster.auditors)
        yield from (("log key", roster.log.public_key), ("coordinator key", roster.coordinator.public_key))
        yield "CA", roster.ca
    elif isinstance(statement, Plan):
        yield "roster", statement.roster
    elif isinstance(statement, Release):
        yield "released sums", body


def test_no_key_commitment_or_vector_is_in_both_logs(logs: list[list[tuple[Statement, bytes]]]) -> None:
    first, second = ([pair for row in log for pair in values_of(*row)] for log in logs)
    assert [name for name, _value in first if name in ("vector", "seed commitment")].count("vector") == len(
        NODES
    )
    names = {name for name, _value in first}
    assert names == {name for name, _value in second}
    assert len(names) == 20
    assert not {value for _name, value in first} & {value for _name, value in second}


def test_no_vector_or_box_is_in_both_runs(runs: Path) -> None:
    """The bytes themselves, from each node's store: no eight cells in a row are the same."""
    windows = []
    for name in RUNS:
        recorded = (payload for node in NODES for payload in payloads(runs / name, node))
        found = {
            data[at : at + 64]
            for data in recorded
            for at in range(4 + len(note_of(data)), len(data) - 64, 64)
        }
        windows.append(found)
    assert min(map(len, windows)) > 100 * len(NODES)
    assert not windows[0] & windows[1]


def payloads(out: Path, node: str) -> list[bytes]:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        store = store_of(out, node, Path(folder))
        try:
            return [bytes(row[0]) for row in store.query("SELECT payload FROM report")]
        finally:
            store.close()


# ---------------------------------------------------------------- the journal makes the report again


@pytest.mark.parametrize("node", NODES)
def test_journal_gives_vector_commitments_and_header_again(
    runs: Path, tmp_path: Path, logs: list[list[tuple[Statement, bytes]]], node: str
) -> None:
    (logged,) = [row for row, _body in logs[0] if isinstance(row, Report) and row.node == node]
    answer = recompute(store_of(runs / "first", node, tmp_path), logged)
    assert answer["outcome"] == "PASS"
    assert [row["result"] for row in answer["checks"]] == ["PASS"] * NUM_CHECKS
    names = [row["name"] for row in answer["checks"]]
    assert {"vector", "seeds", "input", "header", "log"} <= set(names)
    text = "\n".join(note_of(payloads(runs / "first", node)[0]).decode().split("\n\n")[:1]) + "\n"
    assert parse_statement(text) == logged
    assert answer["report"] == digest(text).hex()


def recompute(store: VaultStore, report: Report) -> dict[str, Any]:
    desk = Desk(
        store, entropy=os.urandom, now=lambda: datetime.now(UTC), level="L3", software=report.software
    )
    fields = {"command": "recompute", "round": report.round.hex(), "attempt": 0}
    try:
        return desk.handle(fields, {})[0]
    finally:
        store.close()


def test_other_records_do_not_give_the_report_again(
    runs: Path, tmp_path: Path, logs: list[list[tuple[Statement, bytes]]]
) -> None:
    """One level of one pupil changed in the store: the journal's counts and the rows no longer agree."""
    report = next(row for row, _body in logs[0] if isinstance(row, Report) and row.node == "s05")
    store = store_of(runs / "first", "s05", tmp_path)
    changed = store.one('SELECT set_id, rec_key, data FROM record WHERE data LIKE \'%"level1":"0"%\' LIMIT 1')
    assert changed is not None
    data = bytes(changed[2]).replace(b'"level1":"0"', b'"level1":"1"')
    with store.transaction("spoil"):
        store.execute("UPDATE record SET data = ? WHERE set_id = ? AND rec_key = ?", (data, *changed[:2]))
    answer = recompute(store, report)
    assert answer["outcome"] == "FAIL"
    assert {row["name"] for row in answer["checks"] if row["result"] == "FAIL"} >= {"records"}
