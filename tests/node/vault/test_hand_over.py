"""Hand-over files in the vault: minimal fields, one named key, journal first, nothing to the coordinator."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes_roles import actor, add
from fakes_vault import SchoolHouse
from follow_up_school import (
    DENIED,
    FIRST,
    NAMES,
    ON_LEAVE,
    SECOND,
    TEACHER,
    ask,
    bring_in,
    form,
    number,
    open_school,
)

from node.frames import COMMAND_VAULT_SENDS, RUN_VAULT_SENDS, Kind
from node.hand_over_file import KINDS, open_file
from node.hand_over_key import KeyPair, key_pair
from node.hand_over_receipt import make_receipt
from node.vault.enrol import load_identity
from node.vault.errors import HandOverRefusedError, RegisterError, RoleError, VaultError
from node.vault.hand_over_fields import FIELDS, MORE
from node.vault.roles import PRINCIPAL, PSYCHOLOGIST

ROOT = Path(__file__).resolve().parents[3]
HOSPITAL = key_pair(bytes(range(1, 97)), "县人民医院", "王医生")
OTHER = key_pair(bytes(range(2, 98)), "另一医院", "张医生")


@pytest.fixture
def school(house: SchoolHouse) -> SchoolHouse:
    return open_school(house)


@pytest.fixture
def next_school(tmp_path: Path, house: SchoolHouse) -> Iterator[SchoolHouse]:
    """Another school of the federation, with a psychologist of its own."""
    (tmp_path / "next").mkdir()
    other = SchoolHouse(tmp_path / "next", house.federation, node="school-2", operator="第二中学")
    add(other, PSYCHOLOGIST, "周老师")
    yield other
    other.store.close()


def make(house: SchoolHouse, place: int = FIRST, to: KeyPair = HOSPITAL, **changes: Any) -> dict[str, Any]:
    """Make a file; the answer with the file under `data`."""
    asks = {
        "command": "hand_over_make",
        "actor": actor(PSYCHOLOGIST, TEACHER),
        "pupil": number(place),
        "kind": "referral",
        "fingerprint": to.public.fingerprint,
        "reason": "consent",
        "day": house.now.date().isoformat(),
        "words": "同意",
        "days": 14,
    }
    asks = {name: value for name, value in (asks | changes).items() if value is not None}
    answer, blobs = house.desk.handle(asks, {"recipient": to.public.text.encode()})
    return answer | {"data": blobs.get("file", b"")}


def as_next(house: SchoolHouse, command: str, files: dict[str, bytes], **fields: Any) -> tuple[Any, Any]:
    return house.desk.handle({"command": command, "actor": actor(PSYCHOLOGIST, "周老师"), **fields}, files)


def receipt_for(data: bytes, house: SchoolHouse, by: KeyPair = HOSPITAL) -> bytes:
    return make_receipt(open_file(data, HOSPITAL, house.now), by, "王医生", house.now)


def take(house: SchoolHouse, receipt: bytes) -> dict[str, Any]:
    return house.call("hand_over_receipt", {"receipt": receipt}, actor=actor(PSYCHOLOGIST, TEACHER))


def sent(house: SchoolHouse) -> list[dict[str, Any]]:
    return list(ask(house, "hand_over_list")["files"])


# ---------------------------------------------------------------- what is handed over


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_holds_the_fields_of_its_kind_and_no_more(school: SchoolHouse, kind: str) -> None:
    everything = {"level2": "2", "recheck_by": "1", "file_built": "1", "carer_assigned": "1", "pool": "2"}
    everything |= {"reviewed": "1", "guardian_told": "1", "supported": "1", "referral_advised": "1"}
    everything |= {"referral_attended": "0", "closed": "1", "ref_dest": "1", "outcome": "1"}
    everything |= {"days_to_review": "3", "groups": "g1,g3,g7", "home_visit": "1", "found_by": "4"}
    form(school, FIRST, **everything)
    opened = open_file(make(school, kind=kind)["data"], HOSPITAL, school.now)
    assert set(opened.body.fields) == set(FIELDS[kind]) - {"local_no"}
    text = json.dumps(dict(opened.body.fields), ensure_ascii=False)
    for never in ("g1", "g3", "g7", "七(1)班", "1班", "class", "34"):
        assert never not in text
    assert opened.body.fields["level2"] == "2 需要关注"
    if kind == "consultation":
        assert NAMES[FIRST] not in text
        assert number(FIRST) not in text
    else:
        assert opened.body.fields["name"] == NAMES[FIRST]


def test_scores_go_only_if_they_are_asked_for(school: SchoolHouse) -> None:
    fields = make(school, more=["total", "factors_high"])["fields"]
    assert (fields["total"], fields["factors_high"]) == ("34", "learning, social")
    with pytest.raises(VaultError) as caught:
        make(school, more=["family"])
    assert caught.value.code == "bad-command"
    assert not set(make(school)["fields"]) & set(MORE)


def test_sender_reason_and_time_are_in_the_file(school: SchoolHouse) -> None:
    answer = make(school, note="两周来睡眠差。", days=3)
    opened = open_file(answer["data"], HOSPITAL, school.now)
    assert (opened.body.by, opened.body.node, opened.body.sender.institution) == (
        TEACHER,
        "school-1",
        "第一中学",
    )
    assert (opened.body.reason.day, opened.body.note) == (school.now.date(), "两周来睡眠差。")
    assert opened.header.expires - opened.header.created == timedelta(days=3)
    key = ask(school, "hand_over_key")
    assert opened.body.sender.fingerprint == key["fingerprint"]


def test_a_dry_run_shows_what_would_go_and_makes_nothing(school: SchoolHouse) -> None:
    answer = make(school, dry_run=1)
    assert answer["fields"]["level1"] == "3 重点关注"
    assert (answer["data"], sent(school)) == (b"", [])


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"kind": "gossip"}, "bad-command"),
        ({"fingerprint": OTHER.public.fingerprint}, "hand-over-fingerprint"),
        ({"fingerprint": None}, "bad-command"),
        ({"reason": "curiosity"}, "hand-over-reason"),
        ({"day": None}, "hand-over-reason"),
        ({"day": "yesterday"}, "bad-command"),
        ({"day": "2027-09-01"}, "hand-over-consent"),
        ({"day": "2025-01-01"}, "hand-over-consent"),
        ({"reason": "crisis"}, "hand-over-reason"),
        ({"reason": "crisis", "day": None, "words": "急"}, "hand-over-reason"),
        ({"days": 0}, "bad-command"),
        ({"days": 91}, "bad-command"),
        ({"note": "x" * 2001}, "bad-command"),
        ({"note": "\x1b[2J"}, "hand-over-note"),
        ({"pupil": "无此人"}, "no-pupil"),
        ({"wave": "S"}, "no-records"),
        ({"more": "total"}, "bad-command"),
        ({"to_all": 1}, "bad-command"),
    ],
)
def test_what_is_not_whole_makes_no_file(school: SchoolHouse, changes: dict[str, Any], code: str) -> None:
    with pytest.raises(VaultError) as caught:
        make(school, **changes)
    assert caught.value.code == code
    assert NAMES[FIRST] not in str(caught.value)
    assert sent(school) == []


def test_a_crisis_needs_words_and_no_consent(school: SchoolHouse) -> None:
    answer = make(school, reason="crisis", day=None, words="当日有自伤行为,监护人联系不上")
    assert open_file(answer["data"], HOSPITAL, school.now).body.reason.kind == "crisis"


def test_of_a_pupil_without_a_finding_only_a_note_can_go(school: SchoolHouse) -> None:
    for place in (DENIED, ON_LEAVE):
        with pytest.raises(HandOverRefusedError) as caught:
            make(school, place)
        assert caught.value.code == "nothing-to-hand-over"
    answer = make(
        school, DENIED, note="班主任观察到情绪低落", reason="crisis", day=None, words="不能等待监护人"
    )
    assert set(answer["fields"]) == {"name", "birth", "grade", "sex"}


def test_without_names_only_a_consultation_can_go(house: SchoolHouse) -> None:
    bring_in(house)
    add(house, PSYCHOLOGIST, TEACHER)
    key = ask(house, "follow_up_list")["pupils"][0]["key"]
    for kind in ("transfer", "referral"):
        with pytest.raises(RegisterError):
            make(house, pupil=key, kind=kind)
    assert make(house, pupil=key, kind="consultation")["bytes"] > 0


# ---------------------------------------------------------------- journal, rows, nothing to the coordinator


def test_the_journal_is_durable_before_the_file_leaves(school: SchoolHouse) -> None:
    school.crash_at = len(school.steps)
    with pytest.raises(BaseException, match="hand-over"):
        make(school)
    school.restart()
    assert sent(school) == []
    answer = make(school)
    journal = school.desk.journal(load_identity(school.store))
    (noted,) = [item for item in journal.verify() if item.kind == "hand-over"]
    assert (noted.subject, noted.target) == (TEACHER, answer["id"])
    assert isinstance(noted.data, dict)
    assert noted.data["reason"] == {"kind": "consent", "day": school.now.date().isoformat()}
    assert noted.data["fields"] == sorted(answer["fields"])
    assert "重点关注" not in json.dumps(noted.data, ensure_ascii=False)


def test_a_file_is_never_in_what_goes_to_the_coordinator(school: SchoolHouse) -> None:
    round_id = school.start_round()
    school.release(round_id)
    before = school.desk.outgoing()
    data = make_any(school)
    out = school.desk.handle({"command": "outbox_export"}, {})
    assert school.desk.outgoing() == before
    pieces = [data[start : start + 64] for start in range(0, len(data) - 64, 4096)]
    payloads = [before or b"", *out[1].values(), json.dumps(out[0]).encode()]
    assert not [piece for piece in pieces for payload in payloads if piece in payload]
    assert {Kind.READY, Kind.REPORT} == RUN_VAULT_SENDS
    assert {Kind.READY, Kind.RESPONSE} == COMMAND_VAULT_SENDS


def make_any(school: SchoolHouse) -> bytes:
    """Make a consultation about somebody of the current set, by the record's key."""
    key = ask(school, "follow_up_list", all=1)["pupils"][0]["key"]
    return bytes(make(school, pupil=key, kind="consultation")["data"])


def test_what_runs_beside_the_network_does_not_know_hand_over_files() -> None:
    """Neither the egress nor the vault of `node run` can load the module in the course of its imports."""
    for module in ("node.vault.run_desk", "node.egress.worker", "node.supervise"):
        code = f"import sys, {module}; print([name for name in sys.modules if 'hand_over' in name])"
        found = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert found.stdout.strip() == "[]", module


@pytest.mark.parametrize(
    "command",
    [
        "hand_over_key",
        "hand_over_make",
        "hand_over_receive",
        "hand_over_receipt",
        "hand_over_list",
        "hand_over_show",
    ],
)
def test_only_the_psychologist_may(school: SchoolHouse, command: str) -> None:
    add(school, PRINCIPAL, "张校长")
    wrong = {"role": PSYCHOLOGIST, "name": TEACHER, "key": "00" * 32}
    for who, code in (
        ({}, "role-needed"),
        (actor(PRINCIPAL, "张校长"), "role-needed"),
        (wrong, "wrong-role-passphrase"),
    ):
        with pytest.raises(RoleError) as caught:
            school.call(command, actor=who)
        assert caught.value.code == code


def test_without_the_role_there_is_advice(house: SchoolHouse) -> None:
    with pytest.raises(RoleError) as caught:
        house.call("hand_over_key", actor={})
    assert caught.value.code == "no-role"


# ---------------------------------------------------------------- receipts


def test_a_receipt_is_kept_and_listed(school: SchoolHouse) -> None:
    data = make(school)["data"]
    (row,) = sent(school)
    assert "opened" not in row
    school.now += timedelta(days=2)
    assert take(school, receipt_for(data, school))["by"] == "王医生"
    (row,) = sent(school)
    assert (row["opened"][:10], row["opened_by"], row["person"]) == (
        school.now.date().isoformat(),
        "王医生",
        "王医生",
    )
    assert (row["pupil"]["name"], row["reason"]["kind"], row["direction"]) == (
        NAMES[FIRST],
        "consent",
        "sent",
    )


def test_a_second_receipt_is_refused(school: SchoolHouse) -> None:
    data = make(school)["data"]
    receipt = receipt_for(data, school)
    take(school, receipt)
    school.now += timedelta(days=1)
    for again in (receipt, receipt_for(data, school)):
        with pytest.raises(HandOverRefusedError) as caught:
            take(school, again)
        assert caught.value.code == "hand-over-receipt-kept"
    assert sent(school)[0]["opened"][:10] == (school.now - timedelta(days=1)).date().isoformat()


def test_a_receipt_must_be_the_recipients_for_this_file(school: SchoolHouse) -> None:
    first, second = make(school)["data"], make(school, SECOND)["data"]
    good = receipt_for(first, school)
    swapped = receipt_for(second, school).replace(
        sent_id(second, school).encode(), sent_id(first, school).encode()
    )
    for receipt, code in (
        (b"", "not-a-hand-over-receipt"),
        (good[:-3], "not-a-hand-over-receipt"),
        (good.replace("王医生".encode(), "李医生".encode()), "hand-over-receipt-wrong"),
        (receipt_for(first, school, OTHER), "hand-over-receipt-wrong"),
        (swapped, "hand-over-receipt-wrong"),
        (good.replace(sent_id(first, school).encode(), b"0" * 32), "hand-over-unknown"),
    ):
        with pytest.raises(HandOverRefusedError) as caught:
            take(school, receipt)
        assert caught.value.code == code
    assert not [row for row in sent(school) if "opened" in row]


def sent_id(data: bytes, house: SchoolHouse) -> str:
    return open_file(data, HOSPITAL, house.now).header.hand_over_id


def test_an_expired_file_is_listed_as_such(school: SchoolHouse) -> None:
    make(school, days=1)
    assert sent(school)[0]["is_expired"] == 0
    school.now += timedelta(days=2)
    assert sent(school)[0]["is_expired"] == 1


# ---------------------------------------------------------------- from school to school


def transfer(school: SchoolHouse, next_school: SchoolHouse) -> bytes:
    """Hand the first pupil over to the next school's psychologist."""
    _answer, blobs = as_next(next_school, "hand_over_key", {})
    asks = {
        "command": "hand_over_make",
        "actor": actor(PSYCHOLOGIST, TEACHER),
        "pupil": NAMES[FIRST],
        "kind": "transfer",
        "fingerprint": _answer["fingerprint"],
        "reason": "consent",
        "days": 30,
        "day": school.now.date().isoformat(),
    }
    return school.desk.handle(asks, {"recipient": blobs["key"]})[1]["file"]


def test_a_transfer_goes_from_psychologist_to_psychologist(
    school: SchoolHouse, next_school: SchoolHouse
) -> None:
    data = transfer(school, next_school)
    answer, blobs = as_next(next_school, "hand_over_receive", {"file": data})
    assert answer["fields"]["student_no"] == number(FIRST)
    assert answer["from"]["institution"] == "第一中学"
    assert answer["from"]["fingerprint"] == ask(school, "hand_over_key")["fingerprint"]
    assert take(school, blobs["receipt"])["by"] == "周老师"
    (row,) = as_next(next_school, "hand_over_list", {})[0]["files"]
    assert (row["direction"], row["institution"], row["opened_by"]) == ("received", "第一中学", "周老师")
    next_school.now += timedelta(days=200)
    shown, _blobs = as_next(next_school, "hand_over_show", {}, id=row["id"][:8])
    assert shown == answer


def test_a_receipt_of_a_received_file_is_for_its_sender(
    school: SchoolHouse, next_school: SchoolHouse
) -> None:
    _answer, blobs = as_next(next_school, "hand_over_receive", {"file": transfer(school, next_school)})
    with pytest.raises(HandOverRefusedError) as caught:
        as_next(next_school, "hand_over_receipt", {"receipt": blobs["receipt"]})
    assert caught.value.code == "hand-over-unknown"


def test_a_received_file_stays_sealed_in_the_store(school: SchoolHouse, next_school: SchoolHouse) -> None:
    as_next(next_school, "hand_over_receive", {"file": transfer(school, next_school)})
    stored = bytes(next_school.store.query("SELECT data FROM hand_over")[0][0])
    for word in (NAMES[FIRST], number(FIRST), "重点关注"):
        assert word.encode() not in stored


def test_a_file_is_received_once_in_time_by_its_recipient(
    school: SchoolHouse, next_school: SchoolHouse
) -> None:
    data = transfer(school, next_school)
    next_school.now += timedelta(days=31)
    cases: list[tuple[bytes, str]] = [(data, "hand-over-expired")]
    for file, code in cases:
        with pytest.raises(HandOverRefusedError) as caught:
            as_next(next_school, "hand_over_receive", {"file": file})
        assert caught.value.code == code
    next_school.now -= timedelta(days=31)
    for file, code in (
        (b"", "not-a-hand-over"),
        (data[:-1], "hand-over-damaged"),
        (data[:-1] + bytes([data[-1] ^ 1]), "hand-over-altered"),
        (make(school)["data"], "other-recipient"),
    ):
        with pytest.raises(HandOverRefusedError) as caught:
            as_next(next_school, "hand_over_receive", {"file": file})
        assert caught.value.code == code
    assert as_next(next_school, "hand_over_list", {})[0]["files"] == []
    with pytest.raises(HandOverRefusedError) as caught:
        as_next(next_school, "hand_over_receive", {"file": data}, sender=OTHER.public.fingerprint)
    assert caught.value.code == "hand-over-fingerprint"
    told = ask(school, "hand_over_key")["fingerprint"]
    as_next(next_school, "hand_over_receive", {"file": data}, sender=told)
    with pytest.raises(HandOverRefusedError) as caught:
        as_next(next_school, "hand_over_receive", {"file": data})
    assert caught.value.code == "hand-over-received"


def test_what_was_sent_is_not_shown_and_an_id_names_one_file(school: SchoolHouse) -> None:
    answer = make(school)
    for asked, code in ((answer["id"], "hand-over-sent"), ("ffff", "which-hand-over"), ("", "bad-command")):
        with pytest.raises(VaultError) as caught:
            ask(school, "hand_over_show", id=asked)
        assert caught.value.code == code


def test_another_holder_of_the_role_opens_what_the_first_received(
    school: SchoolHouse, next_school: SchoolHouse
) -> None:
    answer, _blobs = as_next(next_school, "hand_over_receive", {"file": transfer(school, next_school)})
    add(next_school, PSYCHOLOGIST, "吴老师", actor=actor(PSYCHOLOGIST, "周老师"))
    shown = next_school.call("hand_over_show", actor=actor(PSYCHOLOGIST, "吴老师"), id=answer["id"])
    assert shown["fields"] == answer["fields"]
