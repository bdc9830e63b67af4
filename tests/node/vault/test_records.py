"""Records in the store: whole snapshots, kept exactly as long as a report was made from them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from fakes_vault import CENSUS, KEY, SchoolHouse, pupils, utc

from node.vault.errors import RecordsError, StoreError
from node.vault.records import SavedRecords, find_set, list_sets, read_records, read_set, save_records
from node.vault.store import VaultStore
from plan.record import Record


@pytest.fixture
def store(tmp_path: Path) -> VaultStore:
    return VaultStore(tmp_path / "vault.db", KEY)


def save(store: VaultStore, records: list[Record], wave: str = "A", day: date = CENSUS) -> SavedRecords:
    with store.transaction("import"):
        return save_records(
            store,
            records,
            school_year="2026-2027",
            wave=wave,
            census_date=day,
            provenance={"files": ["x"]},
            now=utc(2026, 9, 10),
        )


def current(store: VaultStore) -> tuple[Record, ...]:
    found = find_set(store, "2026-2027", "A")
    assert found is not None
    return read_records(store, found)


def test_records_come_back_in_the_order_of_their_keys(store: VaultStore) -> None:
    save(store, pupils())
    assert list(current(store)) == sorted(pupils(), key=lambda row: row.rec_key)


def test_the_order_of_the_file_does_not_matter(store: VaultStore) -> None:
    first = save(store, pupils())
    second = save(store, pupils()[::-1])
    assert (first.is_new, second.is_new) == (True, False)
    assert first.record_set == second.record_set


def test_a_new_import_replaces_and_counts(store: VaultStore) -> None:
    save(store, pupils(30))
    saved = save(store, pupils(20, shift=1))
    assert (saved.num_replaced, saved.record_set.num_records) == (20, 20)
    assert len(current(store)) == 20
    assert len(store.query("SELECT 1 FROM record_set")) == 2  # the one before stays for an undo
    save(store, pupils(25, shift=2))
    assert [row[0] for row in store.query("SELECT num_records FROM record_set")] == [20, 25]
    assert len(store.query("SELECT 1 FROM record")) == 45


def test_the_same_rows_at_another_census_date_are_another_set(store: VaultStore) -> None:
    first = save(store, pupils())
    second = save(store, pupils(), day=date(2026, 9, 30))
    assert second.is_new
    assert first.record_set.digest == second.record_set.digest


def test_waves_do_not_replace_each_other(store: VaultStore) -> None:
    save(store, pupils(10))
    save(store, pupils(5), wave="S")
    assert [(row.wave, row.num_records) for row in list_sets(store)] == [("A", 10), ("S", 5)]


def test_records_that_a_report_was_made_from_stay(house: SchoolHouse) -> None:
    round_id = house.start_round()
    house.release(round_id)
    row = house.store.one("SELECT set_id FROM report")
    assert row is not None
    house.save(pupils(shift=1))
    house.save(pupils(shift=2))
    house.save(pupils(shift=3))  # beside the report's set and this one, the one before it, for an undo
    assert len(house.store.query("SELECT 1 FROM record_set")) == 3
    assert sorted(pupils(), key=lambda row: row.rec_key) == list(
        read_records(house.store, read_set(house.store, row[0]))
    )


@pytest.mark.parametrize("records", [[], [pupils()[0], pupils()[0]]], ids=["none", "one twice"])
def test_impossible_sets_are_refused_and_change_nothing(store: VaultStore, records: list[Record]) -> None:
    save(store, pupils())
    with pytest.raises(RecordsError):
        save(store, records)
    assert len(current(store)) == 30


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM record WHERE rec_key = (SELECT MIN(rec_key) FROM record)",
        "UPDATE record SET data = x'7b7d' WHERE rec_key = (SELECT MIN(rec_key) FROM record)",
        "UPDATE record_set SET digest = zeroblob(32)",
    ],
    ids=["missing", "changed", "digest"],
)
def test_damaged_records_are_not_counted(store: VaultStore, statement: str) -> None:
    save(store, pupils())
    with store.transaction("tamper"):
        store.execute(statement)
    with pytest.raises(RecordsError) as caught:
        current(store)
    assert caught.value.code == "records-damaged"


def test_a_set_that_is_gone_is_said_to_be(store: VaultStore) -> None:
    with pytest.raises(RecordsError) as caught:
        read_set(store, 7)
    assert caught.value.code == "records-gone"


def test_saving_needs_a_transaction(store: VaultStore) -> None:
    with pytest.raises(StoreError):
        save_records(
            store,
            [replace(row) for row in pupils(1)],
            school_year="2026-2027",
            wave="A",
            census_date=CENSUS,
            provenance={},
            now=utc(2026, 9, 10),
        )
