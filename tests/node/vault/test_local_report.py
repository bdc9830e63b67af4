"""The command `local_report`: what each version holds, who gets it, and what the journal says of it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import date
from typing import Any

import fakes_roles
import pytest
from fakes_vault import Crash, SchoolHouse, fake_bytes, pupils

from node.vault.enrol import load_identity
from node.vault.errors import CommandError, RecordsError, RegisterError, RoleError, VaultError
from node.vault.journal import JournalRecord
from node.vault.records import find_set
from node.vault.register import PupilCard, save_cards
from plan.record import Record

WANG = "王老师"
REASON = "期末研判会"
SPRING = date(2027, 3, 5)


def with_cards(
    house: SchoolHouse, records: list[Record], wave: str = "A", day: date = date(2026, 9, 5)
) -> None:
    house.save(records, wave=wave, census_date=day)
    record_set = find_set(house.store, "2026-2027", wave)
    assert record_set is not None
    cards = [
        PupilCard(r.rec_key, str(1 + place % 3), name=f"姓名{place}", student_no=f"G{place:018d}")
        for place, r in enumerate(records)
    ]
    with house.store.transaction("cards"):
        save_cards(house.store, lambda size: fake_bytes("card", size), record_set.set_id, cards)


@pytest.fixture
def school(house: SchoolHouse) -> SchoolHouse:
    """A school of 200 pupils with a psychologist and a principal."""
    fakes_roles.add(house, "psychologist", WANG)
    fakes_roles.add(house, "principal", "校长")
    with_cards(house, pupils(200))
    return house


def journal(house: SchoolHouse) -> list[JournalRecord]:
    records = house.desk.journal(load_identity(house.store)).verify()
    return [record for record in records if record.kind == "local-report"]


def ask(house: SchoolHouse, version: str, **fields: Any) -> dict[str, Any]:
    given = {"actor": fakes_roles.actor("psychologist", WANG), "reason": REASON, **fields}
    return house.call("local_report", version=version, **given)


def hand_in(house: SchoolHouse, **fields: Any) -> dict[str, Any]:
    return house.call("local_report", actor=fakes_roles.actor("psychologist", WANG), **fields)


def table(answer: dict[str, Any], name: str) -> dict[str, Any]:
    return next(item for item in answer["tables"] if item["id"] == name)


def test_the_hand_in_version_is_the_default_and_holds_no_name_and_no_small_number(
    school: SchoolHouse,
) -> None:
    answer = hand_in(school)
    assert answer["version"] == "hand-in"
    text = json.dumps(answer, ensure_ascii=False)
    assert not [word for word in ("姓名", "G0", pupils(1)[0].rec_key.hex()) if word in text]
    counts = [n for item in answer["tables"] for row in item["counts"] for n in row]
    assert sum(counts) > 0
    assert not [n for n in counts if 0 < n < 10]
    assert answer["mark"] == {"who": WANG, "when": "2026-09-10T09:00:00Z", "why": ""}


def test_the_exact_version_counts_every_cell(school: SchoolHouse) -> None:
    records = pupils(200)
    answer = ask(school, "exact")
    line = table(answer, "school")
    found = {codes[0]: n for codes, n in zip(line["columns"], line["counts"][0], strict=True) if n}
    wanted = Counter(f"l{r.level1}" if r.disposition == "1" else f"d{r.disposition}" for r in records)
    assert found == wanted
    classes = table(answer, "classes")
    sizes = {tuple(row[0]): sum(n) for row, n in zip(classes["rows"], classes["counts"], strict=True)}
    assert sizes == Counter((r.grade, str(1 + place % 3)) for place, r in enumerate(records))
    assert line["coverage"] == [{"expected": {"of": [160, 200]}, "with_leave": {"of": [160, 200]}}]
    assert "姓名" not in json.dumps(answer, ensure_ascii=False)


@pytest.mark.parametrize("version", ["hand-in", "exact", "follow-up"])
def test_the_journal_says_who_had_which_version_made_of_what_and_why(
    school: SchoolHouse, version: str
) -> None:
    if version == "hand-in":
        hand_in(school)
    else:
        ask(school, version)
    (record,) = journal(school)
    record_set = find_set(school.store, "2026-2027", "A")
    assert record_set is not None
    reason, subject = "" if version == "hand-in" else REASON, WANG
    assert record.data == {"version": version, "reason": reason, "records": record_set.digest.hex()}
    assert (record.subject, record.target) == (subject, "2026-2027/A")


def test_the_hand_in_version_is_for_psychologist_and_principal_where_there_are_roles(
    school: SchoolHouse,
) -> None:
    with pytest.raises(VaultError) as refused:
        school.call("local_report")
    assert refused.value.code == "role-needed"
    answer = school.call("local_report", actor=fakes_roles.actor("principal", "校长"))
    assert (answer["version"], answer["mark"]["who"]) == ("hand-in", "校长")
    assert len(journal(school)) == 1


@pytest.mark.parametrize("version", ["exact", "follow-up"])
@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"actor": {}}, "role-needed"),
        ({"actor": {**fakes_roles.actor("psychologist", WANG), "key": "00" * 32}}, "wrong-role-passphrase"),
        ({"actor": fakes_roles.actor("principal", "校长")}, "role-needed"),
        ({"reason": ""}, "reason-needed"),
        ({"reason": "  "}, "reason-needed"),
        ({"reason": "一\n二"}, "reason-needed"),
        ({"reason": "长" * 201}, "bad-command"),
    ],
    ids=["nobody", "wrong passphrase", "principal", "none", "blank", "lines", "too long"],
)
def test_exact_numbers_and_names_need_the_psychologist_and_a_reason(
    school: SchoolHouse, version: str, fields: dict[str, Any], code: str
) -> None:
    with pytest.raises(VaultError) as refused:
        ask(school, version, **fields)
    assert refused.value.code == code
    assert journal(school) == []


def test_without_the_role_the_advice_is_to_make_it(house: SchoolHouse) -> None:
    house.save(pupils(50))
    assert house.call("local_report")["tables"]
    with pytest.raises(RoleError) as refused:
        ask(house, "exact")
    assert refused.value.code == "no-role"
    assert "role add" in refused.value.advice


def test_what_cannot_be_written_into_the_journal_is_not_shown(school: SchoolHouse) -> None:
    school.steps.clear()
    school.crash_at = 0
    with pytest.raises(Crash):
        ask(school, "follow-up")
    school.restart()
    assert journal(school) == []


def test_the_list_names_who_needs_what_the_most_urgent_first_and_nothing_else(house: SchoolHouse) -> None:
    fakes_roles.add(house, "psychologist", WANG)
    base = pupils(40)
    alerted = [r for r in base if r.disposition == "1" and r.level1 in "23"]
    urgent = next(r for r in base if r.disposition == "1" and r.level1 == "0")
    closed = replace(alerted[0], closed="1")
    done = {alerted[0].rec_key: closed, urgent.rec_key: replace(urgent, critical="1")}
    with_cards(house, [done.get(r.rec_key, r) for r in base])
    rows = ask(house, "follow-up")["pupils"]
    assert len(rows) == len(alerted)  # one of them is closed, and the marked one comes first
    assert (rows[0]["critical"], rows[0]["level"], rows[0]["open"]) == ("1", "0", ["reviewed"])
    assert [row["level"] for row in rows[1:]] == sorted((row["level"] for row in rows[1:]), reverse=True)
    assert set(rows[0]) == {"name", "no", "grade", "class", "level1", "level", "critical", "recheck", "open"}
    places = {f"姓名{place}": r for place, r in enumerate(base)}
    assert all(places[row["name"]].grade == row["grade"] for row in rows)
    assert all(row["class"] == str(1 + base.index(places[row["name"]]) % 3) for row in rows)


def test_names_that_were_never_kept_are_told_apart_from_a_wrong_key(house: SchoolHouse) -> None:
    house.save(pupils(40))
    fakes_roles.add(house, "psychologist", WANG)
    with pytest.raises(RegisterError) as refused:
        ask(house, "follow-up")
    assert refused.value.code == "no-names"
    assert journal(house) == []


def test_the_wave_counted_last_is_meant_and_compared_with_the_one_before(school: SchoolHouse) -> None:
    later = [replace(r, level_before="9") for r in pupils(200, shift=1)]
    school.save(later, wave="S", census_date=SPRING)
    answer = ask(school, "exact")
    assert (answer["wave"], answer["before"]) == ("S", {"school_year": "2026-2027", "wave": "A"})
    cells = table(answer, "changes")["counts"]
    before = [r.level1 for r in pupils(200)]
    wanted = Counter((b, r.level1) for b, r in zip(before, later, strict=True) if r.disposition == "1")
    assert {(str(i), str(j)): cells[i + 1][j + 1] for i in range(4) for j in range(4)} == {
        (str(i), str(j)): wanted[str(i), str(j)] for i in range(4) for j in range(4)
    }
    first = hand_in(school, wave="A", school_year="2026-2027")
    assert first["wave"] == "A"
    assert "before" not in first


def test_with_fewer_than_ten_pupils_nothing_is_printed(house: SchoolHouse) -> None:
    house.save(pupils(9))
    assert house.call("local_report")["tables"] == []


@pytest.mark.parametrize(
    "fields",
    [
        {"version": "all"},
        {"name": "1"},
        {"reason": "x"},
        {"school_year": "2026"},
    ],
    ids=str,
)
def test_other_fields_are_refused(school: SchoolHouse, fields: dict[str, Any]) -> None:
    with pytest.raises(CommandError):
        hand_in(school, **fields)


def test_a_wave_without_records_is_refused(school: SchoolHouse) -> None:
    with pytest.raises(RecordsError) as refused:
        hand_in(school, wave="X")
    assert refused.value.code == "records-missing"


def test_exact_and_hand_in_agree_wherever_the_hand_in_prints(school: SchoolHouse) -> None:
    exact, printed = ask(school, "exact"), hand_in(school)
    for item in printed["tables"]:
        if item["id"].startswith(("alerted:", "class_levels")):
            continue
        fine = table(exact, item["id"])
        rows = [tuple(map(tuple, row)) for row in fine["rows"]]
        for row, counts in zip(item["rows"], item["counts"], strict=True):
            members = {tuple(member) for member in row}
            for codes, count in zip(item["columns"], counts, strict=True):
                cells = [
                    n
                    for at, fine_row in enumerate(rows)
                    if set(fine_row) <= members
                    for column, n in zip(fine["columns"], fine["counts"][at], strict=True)
                    if set(column) <= set(codes)
                ]
                assert sum(cells) == count
