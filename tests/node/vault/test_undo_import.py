"""Taking the last import back: what was there before is current again, and what was released stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fakes_vault import SchoolHouse, plan_of

from node.vault import follow_up, import_records
from node.vault.errors import RecordsError
from node.vault.follow_up import FormedRecords
from node.vault.store import VaultStore
from plan.codebook import parse_codebook_toml
from plan.publishing import use_codebook

WAVE = {"wave": "A", "school_year": "2026-2027", "census_date": "2026-09-30"}


def csv_files(pupils: int) -> dict[str, bytes]:
    examples = Path(__file__).parents[3] / "examples"
    roster, screening = ["学籍号,年级,监护人同意"], ["学籍号,测评日期,总分,预警等级"]
    for place in range(pupils):
        number = f"G99000120140901{place:03d}X"
        roster.append(f"{number},七年级,同意")
        screening.append(f"{number},2026-09-08,{place % 5},{place % 5}")
    return {
        "roster": "\n".join(roster).encode(),
        "screening": "\n".join(screening).encode(),
        "profile": (examples / "profiles/addhealth.toml").read_bytes(),
        "codebook": (examples / "codebooks/addhealth.toml").read_bytes(),
    }


def pupils_now(house: SchoolHouse) -> list[int]:
    return [row["num_records"] for row in house.call("records_summary")["records"]]


def do_import(house: SchoolHouse, pupils: int, **fields: Any) -> dict[str, Any]:
    return house.call("import", csv_files(pupils), **{**WAVE, **fields})


def test_the_set_before_is_current_again_and_the_new_one_gone(house: SchoolHouse) -> None:
    first = do_import(house, 12)
    do_import(house, 9, by="王老师")
    assert pupils_now(house) == [9]
    answer = house.call("undo_import", by="王老师")
    assert (answer["undone"], answer["pupils"], answer["records"]) == (1, 12, first["records"])
    assert pupils_now(house) == [12]
    assert house.store.query("SELECT COUNT(*) FROM record")[0][0] == 12


def test_an_import_says_how_many_are_tested_and_what_was_there_before(house: SchoolHouse) -> None:
    first = do_import(house, 12)
    assert (first["tested"], "before" in first, first["issues"]) == (12, False, [])
    files = csv_files(12)
    files["screening"] = b"\n".join(files["screening"].splitlines()[:6])  # five results
    for is_dry_run in (1, 0):
        answer = house.call("import", files, **WAVE, dry_run=is_dry_run)
        assert (answer["tested"], answer["before"]) == (5, {"pupils": 12, "tested": 12})
        assert [(issue["code"], issue["severity"]) for issue in answer["issues"]] == [
            ("results-gone", "warning")
        ]
    assert answer["replaced"] == 12
    again = do_import(house, 11)
    assert (again["tested"], again["before"], again["issues"]) == (11, {"pupils": 12, "tested": 5}, [])


def test_records_before_that_are_damaged_do_not_stand_in_the_way(house: SchoolHouse) -> None:
    do_import(house, 12)
    with house.store.transaction("spoil"):
        house.store.execute("UPDATE record SET data = ?", (b"{}",))
    answer = do_import(house, 9)
    assert (answer["imported"], answer["tested"], "before" in answer) == (1, 9, False)


def test_the_first_import_leaves_nothing_behind(house: SchoolHouse) -> None:
    do_import(house, 12)
    assert house.call("undo_import", by="x")["records"] == ""
    assert pupils_now(house) == []
    assert house.store.query("SELECT COUNT(*) FROM record")[0][0] == 0


def test_only_the_last_import_and_only_once(house: SchoolHouse) -> None:
    with pytest.raises(RecordsError) as caught:
        house.call("undo_import", by="x")
    assert caught.value.code == "no-undo"
    do_import(house, 12)
    do_import(house, 9)
    house.call("undo_import", by="x")
    with pytest.raises(RecordsError):
        house.call("undo_import", by="x")
    assert pupils_now(house) == [12]


def test_a_dry_run_a_refusal_and_the_same_files_again_change_nothing_to_undo(house: SchoolHouse) -> None:
    do_import(house, 12)
    do_import(house, 9)
    do_import(house, 7, dry_run=1)
    assert house.call("import", csv_files(5) | {"roster": b"no"}, **WAVE)["refused"] == 1
    do_import(house, 9)
    assert house.call("undo_import", by="x")["pupils"] == 12


def test_a_wave_keeps_its_records_when_another_is_undone(house: SchoolHouse) -> None:
    do_import(house, 12)
    do_import(house, 9, wave="S")
    house.call("undo_import", by="x")
    assert pupils_now(house) == [12]


def test_what_was_released_cannot_be_undone(house: SchoolHouse) -> None:
    codebook = parse_codebook_toml(csv_files(1)["codebook"])
    round_id = house.publish(use_codebook(plan_of(), codebook))
    house.federation.approve(round_id)
    house.sync()
    house.call("import", csv_files(12), round=round_id.hex())
    house.call("release", round=round_id.hex(), by="校长")
    with pytest.raises(RecordsError) as caught:
        house.call("undo_import", by="x")
    assert caught.value.code == "undo-released"
    assert pupils_now(house) == [12]


def test_provenance_says_who_imported(house: SchoolHouse) -> None:
    do_import(house, 12, by="王老师")
    assert b"\xe7\x8e\x8b" in bytes(house.store.query("SELECT provenance FROM record_set")[0][0])


def test_the_form_is_read_under_the_imports_own_lock(
    house: SchoolHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what somebody types on the console meanwhile would be missing in the new records."""
    is_locked = []

    def form_records(store: VaultStore, *arguments: Any) -> FormedRecords:
        store.execute("UPDATE setting SET value = value WHERE name = ''")  # refused outside a transaction
        is_locked.append(True)
        return follow_up.form_records(store, *arguments)

    monkeypatch.setattr(import_records, "form_records", form_records)
    do_import(house, 12)
    assert is_locked == [True]
