"""Retention: the county's numbers, nothing before its audit is filed, nothing that is needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes_vault import LATER, Crash, SchoolHouse, plan_of, pupils, utc

from node.vault.errors import CommandError, JournalError, RecordsError, ReplayError, VaultError
from node.vault.last_import import LastImport, read_last_import, remember
from node.vault.records import read_records, read_set
from node.vault.retention import CLASSES, parse_policy
from node.vault.store import VaultStore

LONG_AFTER = utc(2028, 2, 10)
FILED = "2028-01-31"
POLICY = """format = "fedscreen/retention/v1"
issuer = "××县教育局"
[days]
records = 400
sealed_files = 200
payloads = 180
journal = 500
master = 500
"""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[SchoolHouse]:
    opened = SchoolHouse(tmp_path)
    yield opened
    opened.store.close()


@pytest.fixture
def old(house: SchoolHouse) -> tuple[SchoolHouse, bytes]:
    """A school with a report of long ago, policy and filed audit."""
    round_id = house.start_round()
    house.release(round_id)
    house.desk.on_receipt(house.submit())
    house.sync()
    house.now = LONG_AFTER
    house.call("retention_policy", {"policy": POLICY.encode()}, by="王主任")
    house.call("retention_filed", until=FILED, by="李校长")
    return house, round_id


def due(house: SchoolHouse) -> dict[str, int]:
    found = house.call("prune", dry_run=1)["due"]
    return {name: num for name, num in found.items() if num}


def prune(house: SchoolHouse) -> dict[str, Any]:
    return dict(house.call("prune", by="王主任"))


def counts(house: SchoolHouse) -> tuple[int, int, int, int]:
    store = house.store
    return (
        len(store.query("SELECT 1 FROM record")),
        len(store.query("SELECT 1 FROM report WHERE payload IS NOT NULL")),
        len(store.query("SELECT 1 FROM report")),
        len(store.query("SELECT 1 FROM charge")),
    )


# -- the policy --------------------------------------------------------------------------------


def test_the_policy_is_read_with_its_digest() -> None:
    policy = parse_policy(POLICY.encode())
    assert policy.days == {
        "records": 400,
        "sealed_files": 200,
        "payloads": 180,
        "journal": 500,
        "master": 500,
    }
    assert set(policy.days) == set(CLASSES)
    assert (policy.issuer, len(policy.sha256)) == ("××县教育局", 64)
    assert parse_policy(b"\xef\xbb\xbf" + POLICY.encode()).days == policy.days


@pytest.mark.parametrize(
    ("old_text", "new_text"),
    [
        ("records = 400", "records = 179"),
        ("records = 400", "records = 36501"),
        ("records = 400", "records = -1"),
        ("records = 400", "records = 400.0"),
        ("records = 400", "records = true"),
        ("records = 400", 'records = "400"'),
        ("records = 400\n", ""),
        ("records = 400", "records = 400\nmails = 200"),
        ("journal = 500", "journal = 501"),
        ("retention/v1", "retention/v2"),
        ("[days]", "[day]"),
        ("issuer =", "owner ="),
        ("××县教育局", "x" * 201),
        ("××县教育局", "a\\nb"),
        ("[days]", "[days"),
        ("records = 400", "records = " + "1" * 5000),
    ],
    ids=range(16),
)
def test_a_policy_that_is_wrong_is_refused_whole(house: SchoolHouse, old_text: str, new_text: str) -> None:
    text = POLICY.replace(old_text, new_text)
    assert text != POLICY
    with pytest.raises(CommandError) as caught:
        house.call("retention_policy", {"policy": text.encode()}, by="王主任")
    assert caught.value.code == "retention-policy"
    assert str(caught.value)
    assert house.call("retention")["policy"] == {}


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"[" * 5000, b"a" * 20_000, b"x = 1\n" * 4000])
def test_hostile_bytes_are_no_policy(data: bytes) -> None:
    with pytest.raises(CommandError):
        parse_policy(data)


def test_policy_and_audit_stand_in_the_journal_with_who(old: tuple[SchoolHouse, bytes]) -> None:
    house, _round_id = old
    records = list(house.desk.enrolled().journal.verify())[-2:]
    assert [(row.kind, row.subject) for row in records] == [
        ("retention-policy", "王主任"),
        ("audit-filed", "李校长"),
    ]
    assert records[0].target == parse_policy(POLICY.encode()).sha256
    assert records[1].target == FILED


@pytest.mark.parametrize(
    "until", ["2028-02-10", "2030-01-01", "2027-12-31"], ids=["today", "future", "earlier"]
)
def test_a_filed_audit_lies_in_the_past_and_never_goes_back(
    old: tuple[SchoolHouse, bytes], until: str
) -> None:
    house, _round_id = old
    with pytest.raises(CommandError) as caught:
        house.call("retention_filed", until=until, by="李校长")
    assert caught.value.code == "retention-filed"
    assert house.call("retention")["filed"]["until"] == FILED


@pytest.mark.parametrize("until", ["", "x", "2028-13-01", "20280131!!"])
def test_a_day_that_is_none_is_refused(house: SchoolHouse, until: str) -> None:
    with pytest.raises(CommandError):
        house.call("retention_filed", until=until, by="李校长")


@pytest.mark.parametrize("by", ["", " ", "a\nb", "x" * 101])
def test_nobody_prunes_without_a_name(old: tuple[SchoolHouse, bytes], by: str) -> None:
    house, _round_id = old
    with pytest.raises(VaultError):
        house.call("prune", by=by)
    assert counts(house)[0] == 30


# -- what is due ---------------------------------------------------------------------------------


def test_nothing_is_due_without_policy_or_without_a_filed_audit(house: SchoolHouse) -> None:
    house.save(pupils())
    house.now = LONG_AFTER
    assert due(house) == {}
    house.call("retention_policy", {"policy": POLICY.encode()}, by="王主任")
    assert due(house) == {}
    assert house.call("retention")["classes"][0]["until"] == ""
    house.call("retention_filed", until=FILED, by="李校长")
    assert due(house) == {"records": 1, "journal": due(house)["journal"]}


@pytest.mark.parametrize(
    ("now", "filed", "expected"),
    [
        (utc(2027, 3, 8), "2027-03-07", []),
        (utc(2027, 3, 9), "2027-03-08", ["payloads"]),
        (utc(2027, 10, 14), "2027-10-13", ["payloads"]),
        (utc(2027, 10, 15), "2027-10-14", ["payloads", "records"]),
        (utc(2028, 1, 22), "2028-01-21", ["payloads", "records"]),
        (utc(2028, 1, 23), "2028-01-22", ["payloads", "records", "journal"]),
        (LONG_AFTER, "2026-09-09", []),
        (LONG_AFTER, "2026-09-10", ["payloads", "records", "journal"]),
    ],
    ids=str,
)
def test_each_class_is_due_after_its_days_and_not_before(
    house: SchoolHouse, now: Any, filed: str, expected: list[str]
) -> None:
    """All is of 2026-09-10; 180, 400 and 500 days later it is due, if an audit covers that day."""
    round_id = house.start_round()
    house.release(round_id)
    house.desk.on_receipt(house.submit())
    house.sync()
    house.now = now
    house.call("retention_policy", {"policy": POLICY.encode()}, by="王主任")
    house.call("retention_filed", until=filed, by="李校长")
    assert sorted(due(house)) == sorted(expected)
    shown = {row["name"]: row["due"] for row in house.call("retention")["classes"]}
    assert {name for name, num in shown.items() if num} == set(expected)


def test_the_running_school_year_is_kept_for_its_later_waves(house: SchoolHouse) -> None:
    policy = POLICY.replace("records = 400", "records = 180")
    house.save(pupils())
    house.now = utc(2027, 4, 1)
    house.call("retention_policy", {"policy": policy.encode()}, by="王主任")
    house.call("retention_filed", until="2027-03-31", by="李校长")
    assert "records" not in due(house)
    house.now = utc(2027, 9, 2)
    assert "records" in due(house)


def test_a_report_that_has_not_arrived_keeps_all_that_it_needs(house: SchoolHouse) -> None:
    round_id = house.start_round()
    house.release(round_id)
    house.now = LONG_AFTER
    house.call("retention_policy", {"policy": POLICY.encode()}, by="王主任")
    house.call("retention_filed", until=FILED, by="李校长")
    assert set(due(house)) <= {"journal"}
    prune(house)
    assert counts(house) == (30, 1, 1, 1)
    assert house.desk.outgoing() is not None
    seq = house.store.query("SELECT journal_seq FROM report")[0][0]
    assert house.desk.enrolled().journal.read(seq).kind == "report"


def test_records_of_a_round_that_is_still_open_are_kept(old: tuple[SchoolHouse, bytes]) -> None:
    house, _round_id = old
    window = {"opens": LONG_AFTER - timedelta(days=9), "closes": LONG_AFTER + timedelta(days=30)}
    house.federation.approve(house.publish(replace(plan_of(), id="long", **window)))
    house.sync()
    assert "records" not in due(house)
    house.now = LONG_AFTER + timedelta(days=31)
    assert "records" in due(house)


def test_a_hand_over_goes_when_it_is_old_and_has_expired(old: tuple[SchoolHouse, bytes]) -> None:
    house, _round_id = old
    rows = [
        ("expired", "2027-05-01T00:00:00Z", "2027-08-01T00:00:00Z"),
        ("valid", "2027-05-01T00:00:00Z", "2029-01-01T00:00:00Z"),
        ("young", "2028-01-30T00:00:00Z", "2028-02-01T00:00:00Z"),
    ]
    with house.store.transaction("fill"):
        house.store.execute_many(
            "INSERT INTO hand_over (hand_over_id, kind, created, expires, data)"
            " VALUES (?, 'transfer', ?, ?, x'00')",
            rows,
        )
    assert due(house)["sealed_files"] == 1
    prune(house)
    assert {row[0] for row in house.store.query("SELECT hand_over_id FROM hand_over")} == {"valid", "young"}


def test_entries_of_the_follow_up_go_with_the_records(old: tuple[SchoolHouse, bytes]) -> None:
    house, _round_id = old
    rows = [("2026-2027", "2026-11-01T00:00:00Z"), ("2027-2028", "2027-12-01T00:00:00Z")]
    with house.store.transaction("fill"):
        house.store.execute_many(
            "INSERT INTO follow_up_entry (school_year, wave, rec_key, data, time, by)"
            " VALUES (?, 'A', x'00', x'00', ?, '王老师')",
            rows,
        )
    assert due(house)["follow_up"] == 1
    prune(house)
    assert house.store.query("SELECT school_year FROM follow_up_entry") == [("2027-2028",)]


# -- deletion --------------------------------------------------------------------------------------


def test_what_is_due_goes_and_what_proves_the_account_stays(old: tuple[SchoolHouse, bytes]) -> None:
    house, round_id = old
    before = house.call("status")["account"]
    assert prune(house)["deleted"] == 1
    assert counts(house) == (0, 0, 1, 1)
    assert house.call("status")["account"] == before
    assert house.call("records_summary")["records"] == []
    report = house.call("rounds")["rounds"][0]["report"]
    assert (report["state"], report["attempt"]) == ("cosigned", 0)
    assert house.call("receipt", round=round_id.hex())["attempt"] == 0
    assert house.desk.outgoing() is None


def test_again_changes_nothing(old: tuple[SchoolHouse, bytes]) -> None:
    house, _round_id = old
    prune(house)
    seqs = house.store.query("SELECT COUNT(*), MIN(seq), MAX(seq) FROM journal")
    assert due(house) == {}
    assert prune(house)["due"] == dict.fromkeys(prune(house)["due"], 0)
    assert house.store.query("SELECT COUNT(*), MIN(seq), MAX(seq) FROM journal") == seqs


def test_a_dry_run_changes_nothing(old: tuple[SchoolHouse, bytes]) -> None:
    house, _round_id = old
    before = house.store.query("SELECT COUNT(*) FROM journal")
    assert due(house)["records"] == 1
    assert counts(house) == (30, 1, 1, 1)
    assert house.store.query("SELECT COUNT(*) FROM journal") == before


def test_a_replay_afterwards_says_gone_and_not_fail(old: tuple[SchoolHouse, bytes]) -> None:
    house, round_id = old
    assert house.call("recompute", round=round_id.hex(), attempt=0)["outcome"] == "PASS"
    prune(house)
    with pytest.raises(ReplayError) as caught:
        house.call("recompute", round=round_id.hex(), attempt=0)
    assert caught.value.code == "records-gone"


@pytest.mark.parametrize("kept", ["payloads", "records", "journal"])
def test_whichever_part_goes_first_a_replay_is_gone(house: SchoolHouse, kept: str) -> None:
    """One class alone is due: each is enough to end replays, and none makes a FAIL."""
    days = {"records": 9000, "sealed_files": 9000, "payloads": 9000, "journal": 9000, "master": 9000}
    days |= {kept: 180, **({"master": 180} if kept == "journal" else {})}
    text = 'format = "fedscreen/retention/v1"\n[days]\n' + "".join(f"{k} = {v}\n" for k, v in days.items())
    round_id = house.start_round()
    house.release(round_id)
    house.desk.on_receipt(house.submit())
    house.sync()
    house.now = LONG_AFTER
    house.call("retention_policy", {"policy": text.encode()}, by="王主任")
    house.call("retention_filed", until=FILED, by="李校长")
    assert list(due(house)) == [kept]
    prune(house)
    with pytest.raises(ReplayError) as caught:
        house.call("recompute", round=round_id.hex(), attempt=0)
    assert caught.value.code == "records-gone"
    assert house.call("check_store")["damaged"] == []


def test_rows_that_vanish_without_retention_are_a_fail(old: tuple[SchoolHouse, bytes]) -> None:
    house, round_id = old
    with house.store.transaction("tamper"):
        house.store.execute("DELETE FROM record")
    assert house.call("recompute", round=round_id.hex(), attempt=0)["outcome"] == "FAIL"


def test_pruned_records_are_gone_by_name(old: tuple[SchoolHouse, bytes]) -> None:
    house, _round_id = old
    found = read_set(house.store, 1)
    with house.store.transaction("remember"):
        remember(house.store, LastImport(1, 0))
    prune(house)
    with pytest.raises(RecordsError) as caught:
        read_records(house.store, found)
    assert caught.value.code == "records-gone"
    assert read_last_import(house.store) == LastImport()


def test_a_new_import_after_pruning_works_and_keeps_the_tombstone(old: tuple[SchoolHouse, bytes]) -> None:
    house, _round_id = old
    prune(house)
    house.save(pupils(5))
    house.save(pupils(6))
    assert house.store.query("SELECT set_id FROM pruned_set") == [(1,)]
    assert house.call("records_summary")["records"][0]["num_records"] == 6


def test_nothing_of_the_deleted_rows_is_left_in_the_files(
    old: tuple[SchoolHouse, bytes], tmp_path: Path
) -> None:
    house, _round_id = old
    copies = [tmp_path / name for name in ("vault.db.format-1", "snapshot-0011223344556677.db")]
    for copy in copies:
        copy.write_bytes(b"the store before")
    house.call("prune", dry_run=1)
    assert all(copy.exists() for copy in copies)
    prune(house)
    assert not any(copy.exists() for copy in copies)
    wal = tmp_path / "vault.db-wal"
    assert not wal.exists() or wal.stat().st_size == 0


@pytest.mark.parametrize("point", ["before prune", "after prune"])
def test_a_crash_leaves_all_or_nothing_and_the_next_run_finishes(
    old: tuple[SchoolHouse, bytes], point: str
) -> None:
    house, _round_id = old

    def die() -> None:
        raise Crash(point)

    house.at_step[point] = die
    with pytest.raises(Crash):
        prune(house)
    house.restart()
    assert counts(house) == ((30, 1, 1, 1) if point == "before prune" else (0, 0, 1, 1))
    prune(house)
    assert counts(house) == (0, 0, 1, 1)
    assert house.call("check_store")["damaged"] == []


# -- the cut of the journal --------------------------------------------------------------------


def journal(house: SchoolHouse) -> list[str]:
    return [record.kind for record in house.desk.enrolled().journal.verify()]


def test_the_journal_begins_at_the_cut_which_it_attests(old: tuple[SchoolHouse, bytes]) -> None:
    house, _round_id = old
    before = journal(house)
    assert before[:4] == ["init", "accept", "charge", "report"]
    num = due(house)["journal"]
    prune(house)
    assert journal(house) == [*before[num:], "prune", "journal-cut"]
    assert house.desk.enrolled().journal.first == num
    with pytest.raises(JournalError) as caught:
        house.desk.enrolled().journal.read(0)
    assert caught.value.code == "records-gone"


def test_a_second_cut_moves_forward_and_attests_itself(old: tuple[SchoolHouse, bytes]) -> None:
    house, _round_id = old
    prune(house)
    first = house.desk.enrolled().journal.first
    house.now += timedelta(days=600)
    house.call("hold", on=1)
    house.call("retention_filed", until=(house.now.date() - timedelta(days=1)).isoformat(), by="李校长")
    prune(house)
    parts = house.desk.enrolled()
    assert parts.journal.first > first
    assert journal(house)[-1] == "journal-cut"
    assert house.call("check_store")["journal_records"] == len(journal(house))


def tamper(house: SchoolHouse, *statements: str) -> None:
    with house.store.transaction("tamper"):
        for statement in statements:
            house.store.execute(statement)


@pytest.mark.parametrize(
    "statements",
    [
        ["DROP TRIGGER journal_cut_forward", "UPDATE journal_cut SET previous = zeroblob(32)"],
        ["UPDATE journal_cut SET first = first + 1"],
        [
            "UPDATE journal_cut SET first = first + 1",
            "DELETE FROM journal WHERE seq = (SELECT MIN(seq) FROM journal)",
        ],
        [
            "UPDATE journal_cut SET first = first + 1,"
            " previous = (SELECT digest FROM journal WHERE seq = journal_cut.first)",
            "DELETE FROM journal WHERE seq < (SELECT first FROM journal_cut)",
        ],
        ["DROP TRIGGER journal_cut_no_delete", "DELETE FROM journal_cut"],
    ],
    ids=["digest", "moved", "moved-and-deleted", "another-cut", "cut-forgotten"],
)
def test_a_cut_that_the_chain_does_not_attest_breaks_it(
    old: tuple[SchoolHouse, bytes], statements: list[str]
) -> None:
    house, _round_id = old
    prune(house)
    tamper(house, *statements)
    with pytest.raises(JournalError) as caught:
        journal(house)
    assert caught.value.code == "journal-broken"


def test_a_cut_that_was_never_made_does_not_shorten_the_journal(house: SchoolHouse) -> None:
    """Whoever can write to the file may set a cut and delete rows: the chain then lacks its attestation."""
    row = house.store.query("SELECT previous FROM journal WHERE seq = 1")[0][0]
    with house.store.transaction("tamper"):
        house.store.execute("INSERT INTO journal_cut (id, first, previous) VALUES (1, 1, ?)", (row,))
        house.store.execute("DELETE FROM journal WHERE seq = 0")
    with pytest.raises(JournalError):
        journal(house)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM journal WHERE seq >= (SELECT first FROM journal_cut)",
        "UPDATE journal SET sealed = x''",
        "UPDATE journal_cut SET first = first - 1",
        "DELETE FROM journal_cut",
    ],
)
def test_the_triggers_keep_what_was_not_cut(old: tuple[SchoolHouse, bytes], statement: str) -> None:
    house, _round_id = old
    prune(house)
    with pytest.raises(VaultError):
        tamper(house, statement)
    assert "journal-cut" in journal(house)


def test_a_broken_journal_is_not_pruned(old: tuple[SchoolHouse, bytes]) -> None:
    house, _round_id = old
    tamper(house, "DROP TRIGGER journal_no_update", "UPDATE journal SET previous = x'00' WHERE seq = 1")
    with pytest.raises(JournalError):
        prune(house)
    assert counts(house)[0] == 30


def test_a_pruned_store_opens_again_and_backs_up(old: tuple[SchoolHouse, bytes], tmp_path: Path) -> None:
    house, _round_id = old
    prune(house)
    house.restart()
    assert "journal-cut" in journal(house)
    house.store.copy_into(tmp_path / "copy.db")
    copy = VaultStore(tmp_path / "copy.db", bytes(range(32)))
    assert copy.query("SELECT COUNT(*) FROM record") == [(0,)]
    copy.close()


def test_days_are_those_of_the_vaults_clock(house: SchoolHouse) -> None:
    house.now = LATER
    assert house.call("retention")["today"] == date(2026, 9, 10).isoformat()
