"""The follow-up form: entries make the records, imports and undos meet them, consent holds."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import pytest
from fakes_roles import actor, add
from fakes_vault import SchoolHouse
from follow_up_school import (
    AUTUMN,
    DENIED,
    FIRST,
    FOURTH,
    NAMES,
    ON_LEAVE,
    SAME_NAME,
    SECOND,
    SPRING,
    TEACHER,
    THIRD,
    ask,
    bring_in,
    files,
    form,
    number,
    open_school,
    record,
)

from node.vault.enrol import load_identity
from node.vault.errors import CommandError, RecordsError, RoleError, VaultError
from node.vault.follow_up import list_entries
from node.vault.records import list_sets, read_records
from node.vault.register import open_cards
from node.vault.roles import PRINCIPAL, PSYCHOLOGIST, unlock
from node.vault.status import record_set_values

WAVE = ("2026-2027", "A")


@pytest.fixture
def school(house: SchoolHouse) -> SchoolHouse:
    return open_school(house)


def listed(house: SchoolHouse, **fields: Any) -> dict[str, dict[str, Any]]:
    rows = ask(house, "follow_up_list", **fields)["pupils"]
    return {row["student_no"]: row for row in rows}


def digest(house: SchoolHouse) -> bytes:
    return next(row.digest for row in list_sets(house.store) if row.wave == "A")


def num_sets(house: SchoolHouse) -> int:
    return int(house.store.query("SELECT COUNT(*) FROM record_set")[0][0])


# ---------------------------------------------------------------- an entry


def test_an_entry_is_in_the_records_and_in_their_provenance(school: SchoolHouse) -> None:
    before = digest(school)
    answer = form(school, FIRST, file_built="1", carer_assigned="已包案", groups="g3,g4", pool=1)
    assert answer["is_new"] == 1
    assert bytes.fromhex(answer["records"]) == digest(school) != before
    found = record(school, FIRST)
    assert (found.file_built, found.carer_assigned, found.pool, found.groups) == (
        "1",
        "1",
        "1",
        frozenset({"g3", "g4"}),
    )
    (current,) = list_sets(school.store)
    assert current.provenance["form"]["pupils"] == 1
    assert current.provenance["consent"] == "require"
    assert num_sets(school) == 1, "the set that the form replaced is gone"


def test_an_entry_does_not_move_the_time_of_the_import(school: SchoolHouse) -> None:
    (before,) = list_sets(school.store)
    for place in (1, 2):
        school.now += timedelta(hours=3)
        form(school, FIRST, pool=place)
    (after,) = list_sets(school.store)
    assert after.import_time == before.import_time == before.imported < after.imported
    values = record_set_values(after)
    assert (values["imported"], values["changed"]) == (before.imported, after.imported)


def test_names_and_classes_stay_with_the_new_records(school: SchoolHouse) -> None:
    form(school, FIRST, file_built="1")
    (current,) = list_sets(school.store)
    cards = open_cards(
        school.store, current.set_id, unlock(school.store, actor(PSYCHOLOGIST, TEACHER))
    ).values()
    assert sorted(card.name for card in cards) == sorted(NAMES)


def test_what_was_typed_last_stands_and_an_empty_text_takes_it_out(house: SchoolHouse) -> None:
    school = open_school(house, ledger={FIRST: {"转归": "门诊随访"}})
    form(school, FIRST, file_built="0", outcome="2", groups="g1")
    form(school, FIRST, file_built="1")
    assert (record(school, FIRST).file_built, record(school, FIRST).outcome) == ("1", "2")
    form(school, FIRST, outcome="", groups="none", days_to_review="", file_built="9")
    found = record(school, FIRST)
    assert (found.outcome, found.groups, found.file_built) == ("1", frozenset(), "9")


def test_a_pupil_whose_entries_are_all_taken_out_is_as_imported(school: SchoolHouse) -> None:
    before = digest(school)
    form(school, FIRST, file_built="1", groups=["g1"])
    form(school, FIRST, file_built="", groups="")
    assert digest(school) == before
    assert school.store.query("SELECT COUNT(*) FROM imported_record")[0][0] == 0


@pytest.mark.parametrize(
    ("level2", "recheck"), [("0", "1"), ("2", "1"), ("3", "2"), ("重点关注", "2"), ("9", "9")]
)
def test_the_recheck_follows_from_the_levels(school: SchoolHouse, level2: str, recheck: str) -> None:
    form(school, FIRST, level2=level2, recheck_by="2")
    assert (record(school, FIRST).level1, record(school, FIRST).recheck) == ("3", recheck)


def test_a_day_of_review_becomes_days_from_the_test(school: SchoolHouse) -> None:
    form(school, FIRST, reviewed_on="2026-09-23", reviewed="1")
    assert record(school, FIRST).days_to_review == 3
    form(school, FIRST, days_to_review="5")
    assert record(school, FIRST).days_to_review == 5


@pytest.mark.parametrize(
    ("place", "values", "code"),
    [
        (FIRST, {}, "bad-command"),
        (FIRST, {"level1": "0"}, "bad-command"),
        (FIRST, {"disposition": "1"}, "bad-command"),
        (FIRST, {"file_built": "7"}, "bad-command"),
        (FIRST, {"file_built": True}, "bad-command"),
        (FIRST, {"file_built": ["1"]}, "bad-command"),
        (FIRST, {"groups": ["g8"]}, "bad-command"),
        (FIRST, {"groups": 3}, "bad-command"),
        (FIRST, {"groups": "g1,,g2"}, "bad-command"),
        (FIRST, {"groups": [""]}, "bad-command"),
        (FIRST, {"reviewed_on": ""}, "bad-command"),
        (FIRST, {"days_to_review": "-1"}, "bad-command"),
        (FIRST, {"days_to_review": "99999"}, "bad-command"),
        (FIRST, {"reviewed_on": "2026-09-19"}, "bad-command"),
        (FIRST, {"reviewed_on": "yesterday"}, "bad-command"),
        (ON_LEAVE, {"reviewed_on": "2026-09-23"}, "bad-command"),
        (FIRST, {"level2": "1", "recheck": "3"}, "recheck-differs"),
        (ON_LEAVE, {"level2": "1"}, "recheck-untested"),
        (ON_LEAVE, {"recheck": "0"}, "recheck-untested"),
        (DENIED, {"file_built": "1"}, "no-consent"),
        (DENIED, {"level2": "1"}, "no-consent"),
        (DENIED, {"groups": "g1,g3"}, "no-consent"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_kept(
    school: SchoolHouse, place: int, values: dict[str, Any], code: str
) -> None:
    before = digest(school)
    with pytest.raises(VaultError) as caught:
        form(school, place, **values)
    assert caught.value.code == code
    assert digest(school) == before
    assert list_entries(school.store, WAVE) == []
    assert NAMES[place] not in str(caught.value)


def test_a_later_entry_may_not_contradict_an_earlier_one(school: SchoolHouse) -> None:
    form(school, FIRST, level2="1")
    with pytest.raises(RecordsError) as caught:
        form(school, FIRST, recheck="3")
    assert caught.value.code == "recheck-differs"
    form(school, FIRST, recheck="1")


def test_a_pupil_without_consent_gets_only_what_is_no_finding(school: SchoolHouse) -> None:
    form(school, DENIED, home_visit="1", groups="g1")
    found = record(school, DENIED)
    assert (found.disposition, found.home_visit, found.groups) == ("6", "1", frozenset({"g1"}))


def test_denied_follow_up_holds_for_the_form_too(house: SchoolHouse) -> None:
    open_school(house, no_follow_up=(SECOND,))
    with pytest.raises(RecordsError) as caught:
        form(house, SECOND, file_built="1")
    assert caught.value.code == "no-consent"
    form(house, FIRST, file_built="1")
    with pytest.raises(RecordsError):
        form(house, SECOND, file_built="1")  # the set that the form made knows it as well


def test_denied_follow_up_keeps_waiting_what_was_typed_before(school: SchoolHouse) -> None:
    form(school, SECOND, file_built="1")
    answer = bring_in(school, no_follow_up=(SECOND,))
    assert answer["form"]["not_applied"] == 1
    assert record(school, SECOND).file_built == "9"


def test_unrecorded_consent_counts_by_the_rule_of_the_import(house: SchoolHouse) -> None:
    """A pupil without a result keeps the disposition; the consent rule alone says what may be kept."""
    open_school(house, unrecorded=(ON_LEAVE,))
    with pytest.raises(RecordsError) as caught:
        form(house, ON_LEAVE, file_built="1")
    assert caught.value.code == "no-consent"
    bring_in(house, {**AUTUMN, "consent": "record-only"}, unrecorded=(ON_LEAVE,), levels=("正常",) * 7)
    form(house, ON_LEAVE, file_built="1")
    assert record(house, ON_LEAVE).file_built == "1"


# ---------------------------------------------------------------- a later import


def test_an_import_of_the_same_wave_keeps_what_was_typed(school: SchoolHouse) -> None:
    form(school, FIRST, file_built="1", outcome="2")
    form(school, SECOND, pool="2")
    levels = ("二级预警", "二级预警", "一级预警", "正常", "三级预警", "", "二级预警")
    ledger = {FIRST: {"一生一策": "已建档", "转归": "门诊随访"}}
    answer = bring_in(school, levels=levels, ledger=ledger)
    assert answer["form"] == {"kept": 2, "differ": 1, "not_applied": 0, "off_roster": 0}
    found = record(school, FIRST)
    assert (found.level1, found.file_built, found.outcome) == ("2", "1", "2")
    assert record(school, SECOND).pool == "2"


def test_a_dry_run_tells_the_same_and_stores_nothing(school: SchoolHouse) -> None:
    form(school, FIRST, outcome="2")
    before = digest(school)
    asks = {**AUTUMN, "dry_run": 1}
    answer = school.call("import", files(ledger={FIRST: {"转归": "门诊随访"}}), **asks)
    assert answer["form"] == {"kept": 0, "differ": 1, "not_applied": 0, "off_roster": 0}
    assert digest(school) == before


def test_the_same_files_again_change_nothing(school: SchoolHouse) -> None:
    form(school, FIRST, file_built="1")
    before = digest(school)
    assert bring_in(school)["is_new"] == 0
    assert digest(school) == before


def test_the_recheck_follows_a_corrected_first_level(school: SchoolHouse) -> None:
    form(school, FIRST, level2="2")
    assert record(school, FIRST).recheck == "1"
    bring_in(school, levels=("二级预警", *("正常",) * 6))
    assert record(school, FIRST).recheck == "2"


def test_entries_wait_while_consent_or_the_pupil_is_missing(school: SchoolHouse) -> None:
    form(school, FIRST, file_built="1", level2="1", home_visit="1")
    form(school, SECOND, pool="1")
    answer = bring_in(school, refused=(DENIED, FIRST), pupils=(0, 2, 3, 4, 5, 6))
    assert answer["form"] == {"kept": 1, "differ": 0, "not_applied": 2, "off_roster": 1}
    found = record(school, FIRST)
    assert (found.disposition, found.file_built, found.level2, found.home_visit) == ("6", "9", "9", "1")
    bring_in(school)
    assert (record(school, FIRST).level2, record(school, SECOND).pool) == ("1", "1")


def test_an_import_without_entries_says_nothing_of_the_form(school: SchoolHouse) -> None:
    assert "form" not in bring_in(school, levels=("正常",) * 7)


# ---------------------------------------------------------------- an undo


def test_an_undo_takes_the_import_back_and_keeps_the_form(school: SchoolHouse) -> None:
    form(school, FIRST, file_built="1")
    bring_in(school, levels=("二级预警", *("正常",) * 6))
    form(school, FIRST, pool="2")
    form(school, THIRD, home_visit="1")
    assert record(school, FIRST).level1 == "2"
    answer = school.call("undo_import", by="王老师")
    found = record(school, FIRST)
    assert (found.level1, found.file_built, found.pool) == ("3", "1", "2")
    assert record(school, THIRD).home_visit == "1"
    assert answer["records"] == digest(school).hex()
    assert num_sets(school) == 1
    with pytest.raises(RecordsError) as caught:
        school.call("undo_import", by="王老师")
    assert caught.value.code == "no-undo"


def test_an_undo_of_the_first_import_leaves_the_entries_for_the_next(school: SchoolHouse) -> None:
    form(school, FIRST, file_built="1")
    assert school.call("undo_import", by="x")["records"] == ""
    assert list_sets(school.store) == []
    assert school.store.query("SELECT COUNT(*) FROM imported_record")[0][0] == 0
    bring_in(school)
    assert record(school, FIRST).file_built == "1"


def test_an_undo_of_another_wave_leaves_this_one_alone(school: SchoolHouse) -> None:
    bring_in(school, SPRING, day="2027-03-10")
    bring_in(school, SPRING, day="2027-03-10", levels=("正常",) * 7)
    form(school, FIRST, file_built="1")
    school.call("undo_import", by="x")
    assert record(school, FIRST, "S").level1 == "3"
    assert record(school, FIRST).file_built == "1"


# ---------------------------------------------------------------- a withdrawal


def test_a_withdrawn_entry_leaves_what_the_import_says(house: SchoolHouse) -> None:
    school = open_school(house, ledger={FIRST: {"转归": "门诊随访"}})
    entry = form(school, FIRST, outcome="2", file_built="1")["entry"]
    form(school, FIRST, pool="1")
    answer = ask(school, "follow_up_withdraw", entry=entry)
    found = record(school, FIRST)
    assert (found.outcome, found.file_built, found.pool) == ("1", "9", "1")
    assert answer["entry"]["values"] == {}
    assert answer["entry"]["fields"] == ["file_built", "outcome"]
    stored = school.store.query("SELECT data FROM follow_up_entry WHERE entry_id = ?", (entry,))[0][0]
    assert "values" not in json.loads(stored)


def test_a_withdrawal_after_a_second_import_knows_that_import(school: SchoolHouse) -> None:
    entry = form(school, FIRST, file_built="1")["entry"]
    assert bring_in(school, ledger={FIRST: {"一生一策": "已建档"}})["is_new"] == 0
    ask(school, "follow_up_withdraw", entry=entry)
    assert record(school, FIRST).file_built == "1"


@pytest.mark.parametrize("entry", [99, 2])
def test_only_a_standing_entry_can_be_withdrawn(school: SchoolHouse, entry: int) -> None:
    form(school, FIRST, file_built="1")
    form(school, FIRST, file_built="0")
    ask(school, "follow_up_withdraw", entry=2)
    with pytest.raises(RecordsError) as caught:
        ask(school, "follow_up_withdraw", entry=entry)
    assert caught.value.code == "no-entry"
    assert record(school, FIRST).file_built == "1"


# ---------------------------------------------------------------- list, history, roles


def test_the_list_shows_who_is_followed_up_and_what_is_open(school: SchoolHouse) -> None:
    school.now = school.now.replace(year=2026, month=10, day=20)
    rows = listed(school)
    assert set(rows) == {number(FIRST), number(SECOND), number(SAME_NAME)}
    assert [row["level"] for row in rows.values()] == ["3", "2", "2"]
    first = rows[number(FIRST)]
    assert (first["name"], first["class"], first["days"]) == (NAMES[FIRST], "1", 30)
    assert first["open"] == ["reviewed", "recheck", "guardian_told", "file_built", "carer_assigned"]
    form(school, FIRST, reviewed="1", level2="3", guardian_told="1", file_built="1", carer_assigned="1")
    assert listed(school)[number(FIRST)]["open"] == ["closed"]
    form(school, FIRST, referral_advised="1")
    assert listed(school)[number(FIRST)]["open"] == ["referral_attended"]
    form(school, FIRST, ref_dest="6")
    form(school, FIRST, closed="1")
    assert listed(school)[number(FIRST)]["open"] == []
    form(school, FOURTH, home_visit="1")
    assert number(FOURTH) in listed(school)
    assert len(listed(school, all=1)) == 7


def test_a_lowered_level_needs_less(school: SchoolHouse) -> None:
    form(school, FIRST, level2="1", reviewed="1")
    assert listed(school)[number(FIRST)]["open"] == ["closed"]
    form(school, FIRST, outcome="7")
    assert listed(school)[number(FIRST)]["open"] == ["handed_over"]


def test_the_newest_wave_is_shown_with_how_it_was_before(school: SchoolHouse) -> None:
    form(school, FIRST, level2="2", file_built="1")
    bring_in(school, SPRING, day="2027-03-10", levels=("正常", *("三级预警",) * 6))
    rows = listed(school, all=1)
    assert rows[number(FIRST)]["level"] == "0"
    (before,) = rows[number(FIRST)]["earlier"]
    assert (before["wave"], before["level1"], before["level"]) == ("A", "3", "2")
    assert record(school, FIRST, "S").file_built == "9", "an entry belongs to one wave"
    assert record(school, FIRST, "S").level_before == "3"


def test_a_history_says_who_typed_what_when(school: SchoolHouse) -> None:
    form(school, FIRST, file_built="1")
    form(school, SECOND, file_built="1")
    school.now = school.now.replace(day=28)
    entry = form(school, FIRST, outcome="2")["entry"]
    ask(school, "follow_up_withdraw", entry=entry)
    answer = ask(school, "follow_up_history", pupil=NAMES[FIRST])
    first, second = answer["entries"]
    assert (first["by"], first["values"], first["withdrawn"]) == (TEACHER, {"file_built": "1"}, "")
    assert (second["fields"], second["values"], second["withdrawn_by"]) == (["outcome"], {}, TEACHER)


@pytest.mark.parametrize(
    ("typed", "code"),
    [(NAMES[FOURTH], "which-pupil"), ("无此人", "no-pupil"), ("G9", "no-pupil"), ("00", "no-pupil")],
)
def test_a_pupil_is_found_alone_or_not_at_all(school: SchoolHouse, typed: str, code: str) -> None:
    with pytest.raises(RecordsError) as caught:
        ask(school, "follow_up_history", pupil=typed)
    assert caught.value.code == code
    assert typed not in str(caught.value)


def test_a_pupil_is_found_by_key_number_and_name(school: SchoolHouse) -> None:
    row = listed(school)[number(FIRST)]
    typed = (row["key"], row["key"].upper(), row["rec_key"], number(FIRST).lower(), f" {NAMES[FIRST]} ")
    keys = {ask(school, "follow_up_history", pupil=text)["pupil"]["rec_key"] for text in typed}
    assert keys == {row["rec_key"]}
    with pytest.raises(CommandError):
        ask(school, "follow_up_history", rec_key="zz")
    with pytest.raises(RecordsError) as caught:
        ask(school, "follow_up_history", pupil=row["key"][:7])
    assert caught.value.code == "no-pupil", "a short key may be anybody's number"


def test_names_that_were_not_kept_are_simply_missing(house: SchoolHouse) -> None:
    bring_in(house)
    add(house, PSYCHOLOGIST, TEACHER)
    answer = ask(house, "follow_up_list")
    assert answer["names"] == 0
    assert {row["name"] for row in answer["pupils"]} == {""}
    assert [row["class"] for row in answer["pupils"]] == ["1", "1", "2"]


@pytest.mark.parametrize(
    ("command", "fields"),
    [
        ("follow_up_list", {}),
        ("follow_up_set", {"pupil": number(FIRST), "values": {"pool": "1"}}),
        ("follow_up_history", {"pupil": number(FIRST)}),
        ("follow_up_withdraw", {"entry": 1}),
    ],
)
def test_only_the_psychologist_may(school: SchoolHouse, command: str, fields: dict[str, Any]) -> None:
    form(school, FIRST, file_built="1")
    add(school, PRINCIPAL, "张校长")
    wrong = {"role": PSYCHOLOGIST, "name": TEACHER, "key": "00" * 32}
    for who, code in (
        ({}, "role-needed"),
        (actor(PRINCIPAL, "张校长"), "role-needed"),
        (wrong, "wrong-role-passphrase"),
        (actor(PSYCHOLOGIST, "另一人"), "wrong-role-passphrase"),
    ):
        with pytest.raises(RoleError) as caught:
            school.call(command, actor=who, **fields)
        assert caught.value.code == code


def test_without_the_role_there_is_advice(house: SchoolHouse) -> None:
    bring_in(house)
    with pytest.raises(RoleError) as caught:
        house.call("follow_up_list", actor={})
    assert caught.value.code == "no-role"
    assert "role add" in caught.value.advice


def test_without_records_there_is_advice(house: SchoolHouse) -> None:
    add(house, PSYCHOLOGIST, TEACHER)
    with pytest.raises(RecordsError) as caught:
        ask(house, "follow_up_list")
    assert caught.value.code == "no-records"


# ---------------------------------------------------------------- journal and crashes


def test_the_journal_keeps_fields_and_no_values(school: SchoolHouse) -> None:
    entry = form(school, FIRST, outcome="2", file_built="1")["entry"]
    ask(school, "follow_up_withdraw", entry=entry)
    journal = school.desk.journal(load_identity(school.store))
    kinds = {item.kind: item for item in journal.verify() if item.kind.startswith("follow-up")}
    assert set(kinds) == {"follow-up", "follow-up-withdrawn"}
    typed = kinds["follow-up"]
    assert (typed.subject, typed.target) == (TEACHER, "2026-2027/A")
    assert isinstance(typed.data, dict)
    assert typed.data["fields"] == ["file_built", "outcome"]
    assert "values" not in typed.data


def test_an_entry_is_there_with_its_records_or_not_at_all(school: SchoolHouse) -> None:
    before = digest(school)
    school.crash_at = len(school.steps)
    with pytest.raises(BaseException, match="follow-up"):
        form(school, FIRST, file_built="1")
    school.restart()
    assert (digest(school), list_entries(school.store, WAVE)) == (before, [])
    form(school, FIRST, file_built="1")
    assert record(school, FIRST).file_built == "1"


def test_a_replay_still_finds_the_records_of_a_report(school: SchoolHouse) -> None:
    (released,) = list_sets(school.store)
    with school.store.transaction("report"):
        school.store.execute(
            "INSERT INTO report (round, attempt, set_id, tag, digest, payload, journal_seq, released,"
            " released_by) VALUES (?, 0, ?, x'00', x'00', NULL, 0, '', '')",
            (bytes(32), released.set_id),
        )
    form(school, FIRST, file_built="1")
    assert [row.level1 for row in read_records(school.store, released)].count("3") == 1
    with pytest.raises(RecordsError) as caught:
        school.call("undo_import", by="x")
    assert caught.value.code == "undo-released"
    assert record(school, FIRST).administered_on == date(2026, 9, 20)
