"""Replay: PASS on what was really sent, FAIL as soon as one bit of the evidence differs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes_vault import Crash, SchoolHouse, plan_of, pupils

from crypto.canonical import decode_base64, encode_base64, encode_json
from node.vault.errors import ReplayError
from node.vault.journal import Journal, JournalRecord
from plan.record import to_row
from plan.table_spec import TableSpec

NAMES = [
    *("journal", "plan", "master", "approvals", "records", "tables"),
    *("vector", "seeds", "input", "bytes", "header", "log"),
]


@pytest.fixture
def round_id(house: SchoolHouse) -> bytes:
    """A round with a delivered report."""
    found = house.start_round()
    house.release(found)
    house.submit()
    house.sync()
    return found


def replay(house: SchoolHouse, round_id: bytes, attempt: int = 0) -> tuple[str, dict[str, str]]:
    answer = house.call("recompute", round=round_id.hex(), attempt=attempt)
    assert [check["name"] for check in answer["checks"]] == NAMES
    assert [check["number"] for check in answer["checks"]] == list(range(1, 13))
    return answer["outcome"], {check["name"]: check["result"] for check in answer["checks"]}


def failed(results: dict[str, str]) -> list[str]:
    return [name for name, result in results.items() if result == "FAIL"]


def test_everything_passes(house: SchoolHouse, round_id: bytes) -> None:
    outcome, results = replay(house, round_id)
    assert outcome == "PASS"
    assert set(results.values()) == {"PASS"}


def test_it_passes_after_a_restart_and_after_a_later_import(house: SchoolHouse, round_id: bytes) -> None:
    house.save(pupils(40, shift=2))
    house.save(pupils(41, shift=1))
    house.restart()
    assert replay(house, round_id)[0] == "PASS"


def test_every_attempt_is_replayed_from_its_own_records(house: SchoolHouse, round_id: bytes) -> None:
    house.save(pupils(shift=1))
    house.release(round_id)
    house.submit()
    house.sync()
    assert [replay(house, round_id, attempt)[0] for attempt in (0, 1)] == ["PASS", "PASS"]


def test_before_it_is_logged_the_log_check_is_skipped_and_so_is_the_outcome(house: SchoolHouse) -> None:
    found = house.start_round()
    house.release(found)
    outcome, results = replay(house, found)
    assert (outcome, results.pop("log")) == ("SKIPPED", "SKIPPED")
    assert set(results.values()) == {"PASS"}


def test_the_answer_holds_nothing_but_names_digests_and_results(house: SchoolHouse, round_id: bytes) -> None:
    answer = house.call("recompute", round=round_id.hex(), attempt=0)
    assert sorted(answer) == [
        *("attempt", "checks", "confinement", "node", "outcome", "report", "round"),
    ]


@pytest.mark.parametrize("attempt", [1, 3])
def test_there_is_nothing_to_replay(house: SchoolHouse, round_id: bytes, attempt: int) -> None:
    with pytest.raises(ReplayError):
        house.call("recompute", round=round_id.hex(), attempt=attempt)


# -- altered evidence --------------------------------------------------------------------------


def alter(house: SchoolHouse, statement: str, values: tuple[Any, ...] = ()) -> None:
    with house.store.transaction("tamper"):
        house.store.execute(statement, values)


def test_one_pupils_level_changed_in_the_records(house: SchoolHouse, round_id: bytes) -> None:
    row = next(pupil for pupil in pupils() if pupil.disposition == "1")
    data = encode_json(to_row(replace(row, level1=str((int(row.level1) + 1) % 4))))
    alter(house, "UPDATE record SET data = ? WHERE rec_key = ?", (data, row.rec_key))
    outcome, results = replay(house, round_id)
    assert outcome == "FAIL"
    assert "records" in failed(results)
    assert results["vector"] == "SKIPPED"


def test_records_exchanged_together_with_their_digest(house: SchoolHouse, round_id: bytes) -> None:
    house.save(pupils(shift=1))
    alter(house, "UPDATE report SET set_id = (SELECT set_id FROM record_set WHERE is_current = 1)")
    outcome, results = replay(house, round_id)
    assert outcome == "FAIL"
    assert failed(results)[:3] == ["records", "tables", "vector"]


def _rewrite_journal(house: SchoolHouse, change: Callable[[dict[str, Any]], None]) -> None:
    """Write the whole journal anew with one report's record changed, as the node's owner could."""
    parts = house.desk.enrolled()
    records = list(parts.journal.verify())
    with house.store.transaction("tamper"):
        house.store.execute("DROP TRIGGER journal_no_delete")
        house.store.execute("DELETE FROM journal")
        journal = Journal(house.store, parts.identity.journal_key, parts.entropy)
        for record in records:
            data = record.data
            if record.kind == "report" and isinstance(data, dict):
                data = dict(data)
                change(data)
            journal.append(
                JournalRecord(record.time, record.subject, record.kind, record.target, record.result, data)
            )


def _flip_count(data: dict[str, Any]) -> None:
    counts = bytearray(decode_base64(data["counts"]))
    counts[0] ^= 1
    data["counts"] = encode_base64(bytes(counts))


def _flip_hex(name: str) -> Callable[[dict[str, Any]], None]:
    def change(data: dict[str, Any]) -> None:
        first = "1" if data[name][0] == "0" else "0"
        data[name] = first + data[name][1:]

    return change


def _drop_approval(data: dict[str, Any]) -> None:
    data["approvals"] = data["approvals"][1:]


def _other_plan(data: dict[str, Any]) -> None:
    data["plan"] = data["plan"].replace("min-reports 5", "min-reports 6")


def _other_body(data: dict[str, Any]) -> None:
    data["plan_body"] = encode_base64(decode_base64(data["plan_body"]) + b" ")


def _other_header(data: dict[str, Any]) -> None:
    data["header"] = data["header"].replace("confinement L3", "confinement L2")


def _other_attempt(data: dict[str, Any]) -> None:
    data["attempt"] = 1


@pytest.mark.parametrize(
    ("change", "first"),
    [
        (_flip_count, "tables"),
        (_flip_hex("rows"), "records"),
        (_flip_hex("master"), "master"),
        (_drop_approval, "approvals"),
        (_other_plan, "plan"),
        (_other_body, "plan"),
        (_other_header, "journal"),
        (_other_attempt, "journal"),
    ],
    ids=["count", "rows", "master", "approvals", "plan", "plan body", "header", "attempt"],
)
def test_a_journal_that_was_written_anew(
    house: SchoolHouse, round_id: bytes, change: Callable[[dict[str, Any]], None], first: str
) -> None:
    _rewrite_journal(house, change)
    outcome, results = replay(house, round_id)
    assert outcome == "FAIL"
    assert failed(results)[0] == first


def test_a_broken_journal_chain(house: SchoolHouse, round_id: bytes) -> None:
    with house.store.transaction("tamper"):
        house.store.execute("DROP TRIGGER journal_no_delete")
        house.store.execute("DELETE FROM journal WHERE seq = 1")
    assert failed(replay(house, round_id)[1])[0] == "journal"


@pytest.mark.parametrize("place", [5, 2000, -1], ids=["header", "vector or box", "last box"])
def test_one_flipped_bit_in_the_stored_bytes(house: SchoolHouse, round_id: bytes, place: int) -> None:
    row = house.store.one("SELECT payload FROM report")
    assert row is not None
    payload = bytearray(row[0])
    payload[place] ^= 1
    alter(house, "UPDATE report SET payload = ?", (bytes(payload),))
    outcome, results = replay(house, round_id)
    assert outcome == "FAIL"
    assert set(failed(results)) <= {"bytes", "header"}


def test_another_master_secret(house: SchoolHouse, round_id: bytes) -> None:
    alter(house, "UPDATE identity SET master = ?", (bytes(range(32)),))
    house.restart()
    outcome, results = replay(house, round_id)
    assert outcome == "FAIL"
    assert "master" in failed(results)


def test_a_report_that_the_log_has_otherwise(house: SchoolHouse) -> None:
    found = house.start_round()
    house.store.close()
    shutil.copy(house.folder / "vault.db", house.folder / "backup.db")
    house.open()
    house.release(found)
    house.submit()
    house.store.close()
    Path(house.folder / "vault.db").write_bytes((house.folder / "backup.db").read_bytes())
    house.open()
    house.save(pupils(shift=1))
    house.release(found)
    house.sync()
    outcome, results = replay(house, found)
    assert (outcome, failed(results)) == ("FAIL", ["log"])


def test_a_node_that_added_other_noise_fails_the_replay(
    house: SchoolHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an inspector is there for: a changed program whose bytes look right but are not the function."""
    found = house.start_round()
    with monkeypatch.context() as patch:
        patch.setattr("node.vault.derive.derivation.noise_key", lambda secret, _index: secret)
        house.release(found)
    house.submit()
    house.sync()
    outcome, results = replay(house, found)
    assert outcome == "FAIL"
    assert results["vector"] == "FAIL"


def test_a_release_that_crashed_and_was_finished_passes(house: SchoolHouse) -> None:
    found = house.start_round(plan_of())
    house.crash_at = len(house.steps) + 2
    with pytest.raises(Crash):
        house.release(found)
    house.restart()
    house.release(found)
    house.submit()
    house.sync()
    assert replay(house, found)[0] == "PASS"


def test_a_node_that_counted_under_another_countys_name_fails_the_replay(
    house: SchoolHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal's attributes must be the roster's: a changed program can be consistent with itself."""
    table = TableSpec(id="K", title="等级", dims=("county", "level"), attributes=("county",))
    listed = (("county", (("530101", "甲县"), ("530102", "乙县"))),)
    found = house.start_round(plan_of(tables=(table,), attributes=listed))
    elsewhere = {"county": "530102"}
    with monkeypatch.context() as patch:
        patch.setattr("node.vault.release.own_codes", lambda *_: elsewhere)
        patch.setattr("plan.tabulation.own_codes", lambda *_: elsewhere)
        house.release(found)
    house.submit()
    house.sync()
    outcome, results = replay(house, found)
    assert outcome == "FAIL"
    assert results["tables"] == "FAIL"
