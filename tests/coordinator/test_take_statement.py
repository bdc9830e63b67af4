"""Auditors' statements and sums: once only, one's own, and what is handed out only at its time."""

import numpy as np
import pytest
from fakes_coordinator import FEDERATION, START, Auditor, County, sign

from coordinator import errors
from crypto.checkpoint import cosign
from crypto.field64 import MODULUS
from crypto.note import cosignature_time, parse_note, parse_signature_line
from protos.statements import Abandon, Agreement, Replayed


def submit(county: County, caller: str, statement: object, key: str = "", body: bytes = b"") -> int:
    signer = county.auditors[key or caller].key
    return county.desk.submit_statement(caller, sign(statement, signer), body)  # type: ignore[arg-type]


def test_a_statement_is_logged_once(county: County) -> None:
    county.found()
    round_log = county.round(county.publish())
    approval = county.auditors["a1"].approval(round_log)
    first = submit(county, "a1", approval)
    assert submit(county, "a1", approval) == first
    assert county.reopen().submit_statement("a1", sign(approval, county.auditors["a1"].key), b"") == first
    assert county.ledger().size == first + 1


def test_a_second_approval_is_refused(county: County) -> None:
    county.found()
    round_log = county.round(county.publish())
    submit(county, "a1", county.auditors["a1"].approval(round_log))
    with pytest.raises(errors.AlreadyStatedError, match="second-approval"):
        submit(county, "a1", county.auditors["a1"].approval(round_log, nonce=bytes(32)))


def test_another_auditors_statement_is_refused(county: County) -> None:
    county.found()
    round_log = county.round(county.publish())
    with pytest.raises(errors.IdentityMismatchError):
        submit(county, "a2", county.auditors["a1"].approval(round_log), "a1")


def test_a_wrong_key_is_refused(county: County) -> None:
    county.found()
    round_log = county.round(county.publish())
    with pytest.raises(errors.StatementRefusedError, match="wrong-signers") as caught:
        submit(county, "a1", county.auditors["a1"].approval(round_log), "a2")
    assert caught.value.reason == "wrong-signers"


@pytest.mark.parametrize("entry", [b"", b"no note", b"text\n\n\xe2\x80\x94 a b\n"])
def test_what_is_no_statement(collecting: County, entry: bytes) -> None:
    with pytest.raises(errors.StatementRefusedError):
        collecting.desk.submit_statement("a1", entry, b"")


def test_a_coordinators_statement_is_not_an_auditors(released: County) -> None:
    pairs = released.desk.get_log(0, 100).entries
    for entry, body in pairs:
        kind = entry.split(b"\n", 1)[0].split(b"/")[1]
        if kind in (b"roster", b"plan", b"report", b"candidates", b"close", b"release", b"opening"):
            with pytest.raises(errors.StatementRefusedError, match="not an auditor's"):
                released.desk.submit_statement("a1", entry, body)


def test_agreement_and_abandon_exclude_each_other(agreed: County) -> None:
    with pytest.raises(errors.AlreadyStatedError, match="second-vote"):
        submit(agreed, "a1", Abandon(FEDERATION, agreed.round_id, "a1", bytes(32), "policy"))


def test_agreeing_to_another_close_is_refused(collecting: County) -> None:
    statement = Agreement(FEDERATION, collecting.round_id, "a1", b"\1" * 32)
    with pytest.raises(errors.StatementRefusedError, match="wrong-close"):
        submit(collecting, "a1", statement)


def test_a_replay_is_logged(released: County) -> None:
    row = released.round(released.round_id).reports[("s01", 0)]
    statement = Replayed(FEDERATION, released.round_id, "a1", "s01", row.digest, "PASS", "L3")
    assert submit(released, "a1", statement) == released.ledger().size - 1


# -- openings ------------------------------------------------------------------------------------


def test_an_opening_comes_with_its_sums_once(agreed: County) -> None:
    agreed.answer(agreed.round_id, ["a1"])
    size = agreed.ledger().size
    agreed.answer(agreed.round_id, ["a1"])
    assert agreed.ledger().size == size


@pytest.mark.parametrize("case", ["missing", "extra", "other", "short", "not canonical", "swapped"])
def test_sums_that_the_opening_does_not_name(agreed: County, case: str) -> None:
    sums = list(agreed.sums("a1", agreed.round_id).values())
    opening = agreed.auditors["a1"].opening(agreed.round(agreed.round_id), agreed.sums("a1", agreed.round_id))
    wrong = {
        "missing": sums[:-1],
        "extra": [*sums, sums[0]],
        "other": [np.zeros(31, np.uint64).tobytes(), *sums[1:]],
        "short": [sums[0][:-8], *sums[1:]],
        "not canonical": [np.full(31, MODULUS, np.uint64).tobytes(), *sums[1:]],
        "swapped": [sums[1], sums[0], *sums[2:]],
    }[case]
    size = agreed.ledger().size
    with pytest.raises(errors.OpeningRefusedError):
        agreed.desk.submit_opening("a1", sign(opening, agreed.auditors["a1"].key), wrong)
    assert agreed.ledger().size == size


def test_another_auditors_opening_is_refused(agreed: County) -> None:
    sums = agreed.sums("a1", agreed.round_id)
    opening = agreed.auditors["a1"].opening(agreed.round(agreed.round_id), sums)
    with pytest.raises(errors.IdentityMismatchError):
        agreed.desk.submit_opening("a2", sign(opening, agreed.auditors["a1"].key), list(sums.values()))
    assert agreed.round(agreed.round_id).openings == {}


def test_a_second_opening_is_refused(agreed: County) -> None:
    agreed.answer(agreed.round_id, ["a1"])
    with pytest.raises(errors.AlreadyStatedError, match="second-opening"):
        agreed.answer(agreed.round_id, ["a1"], liars=["a1"])


def test_opening_before_a_quorum_agrees(collecting: County) -> None:
    round_id = collecting.round_id
    collecting.report(round_id)
    collecting.desk.tick()
    collecting.check(round_id)
    collecting.desk.tick()
    collecting.agree(round_id, ["a1", "a2"])
    with pytest.raises(errors.NotYetAgreedError):
        collecting.answer(round_id, ["a1"])


def test_an_opening_is_not_a_plain_statement(agreed: County) -> None:
    opening = agreed.auditors["a1"].opening(agreed.round(agreed.round_id), agreed.sums("a1", agreed.round_id))
    with pytest.raises(errors.StatementRefusedError, match="not an auditor's"):
        submit(agreed, "a1", opening)
    approval = agreed.auditors["a1"].approval(agreed.round(agreed.round_id))
    with pytest.raises(errors.OpeningRefusedError, match="found a approval"):
        agreed.desk.submit_opening("a1", sign(approval, agreed.auditors["a1"].key), [])


# -- handing out ---------------------------------------------------------------------------------


def test_boxes_are_the_callers_own_in_log_order(agreed: County) -> None:
    reports = agreed.round(agreed.round_id).reports.values()
    expected = [row.digest for row in sorted(reports, key=lambda row: row.index)]
    for name in ("a1", "a4"):
        pairs = list(agreed.desk.get_boxes(name, agreed.round_id))
        assert [report for report, _ in pairs] == expected
    one, four = (dict(agreed.desk.get_boxes(name, agreed.round_id)) for name in ("a1", "a4"))
    assert not set(one.values()) & set(four.values())


def test_vectors_only_after_ones_own_opening(agreed: County) -> None:
    agreed.answer(agreed.round_id, ["a1", "a2", "a3"])
    with pytest.raises(errors.NotOpenedError):
        agreed.desk.get_vectors("a4", agreed.round_id)
    vectors = dict(agreed.desk.get_vectors("a1", agreed.round_id))
    assert len(vectors) == 6
    agreed.advance(days=1)
    agreed.desk.tick()
    with pytest.raises(errors.NotOpenedError):
        agreed.desk.get_vectors("a4", agreed.round_id)
    assert dict(agreed.desk.get_vectors("a1", agreed.round_id)) == vectors


def test_sums_only_after_the_release(agreed: County) -> None:
    agreed.answer(agreed.round_id, ["a1", "a2", "a3"])
    with pytest.raises(errors.NotReleasedError):
        agreed.desk.get_sums(agreed.round_id)
    agreed.advance(days=1)
    agreed.desk.tick()
    found = [(auditor, subset) for auditor, subset, _ in agreed.desk.get_sums(agreed.round_id)]
    assert len(found) == 9
    assert {auditor for auditor, _ in found} == {"a1", "a2", "a3"}


@pytest.mark.parametrize("call", ["get_boxes", "get_vectors"])
def test_strangers_get_nothing(agreed: County, call: str) -> None:
    with pytest.raises(errors.NotRosteredError):
        getattr(agreed.desk, call)("a9", agreed.round_id)
    with pytest.raises(errors.UnknownRoundError):
        getattr(agreed.desk, call)("a1", bytes(32))


# -- witnesses -----------------------------------------------------------------------------------


def test_a_quorum_of_cosignatures_makes_the_cosigned_checkpoint(collecting: County) -> None:
    assert collecting.desk.get_log(0, 1).cosigned == b""
    collecting.cosign(["a1", "a3"])
    assert collecting.desk.get_log(0, 1).cosigned == b""
    collecting.cosign(["a2"])
    cosigned = collecting.desk.get_log(0, 1).cosigned
    assert collecting.ledger().verify_checkpoint(cosigned).size == collecting.ledger().size
    assert [row.name.rsplit("/", 1)[1] for row in parse_note(cosigned).signatures] == [
        "log",
        "a1",
        "a2",
        "a3",
    ]


def test_the_cosigned_checkpoint_stays_while_the_log_grows(collecting: County) -> None:
    collecting.cosign()
    before = collecting.desk.get_log(0, 1)
    collecting.report(collecting.round_id, ["s01"])
    collecting.cosign(["a1", "a2"])
    after = collecting.desk.get_log(0, 1)
    assert after.cosigned == before.cosigned
    assert collecting.ledger().verify_checkpoint(after.latest, 2).size == collecting.ledger().size
    collecting.cosign(["a4"])
    assert collecting.reopen().get_log(0, 1).cosigned == collecting.desk.get_log(0, 1).latest


def test_a_later_cosignature_replaces_an_earlier_one_only(collecting: County) -> None:
    collecting.cosign()
    first = collecting.desk.get_log(0, 1).cosigned
    collecting.clock = START.replace(hour=7)
    collecting.cosign()
    assert collecting.desk.get_log(0, 1).cosigned == first
    collecting.clock = START.replace(hour=20)
    collecting.cosign(["a1"])
    note = parse_note(collecting.desk.get_log(0, 1).cosigned)
    times = {row.name[-2:]: cosignature_time(row) for row in note.signatures[1:]}
    assert times["a1"] - times["a2"] == 12 * 3600


@pytest.mark.parametrize(
    "case", ["other text", "other key", "statement key", "no line", "size 0", "size too large"]
)
def test_a_wrong_cosignature_is_refused(collecting: County, case: str) -> None:
    text = parse_note(collecting.desk.get_log(0, 1).latest).text
    size = collecting.ledger().size
    mine, other = collecting.auditors["a1"], collecting.auditors["a2"]
    line = cosign(text, mine.cosigner, 1)
    lines = {
        "other text": cosign(text.replace(f"\n{size}\n", f"\n{size - 1}\n"), mine.cosigner, 1),
        "other key": cosign(text, other.cosigner, 1),
        "statement key": mine.key.sign(text),
        "no line": "nothing",
    }
    sizes = {"size 0": 0, "size too large": size + 1}
    with pytest.raises(errors.SignatureRefusedError):
        collecting.desk.submit_cosignature("a1", sizes.get(case, size), lines.get(case, line))


def test_a_strangers_cosignature_is_refused(collecting: County) -> None:
    text = parse_note(collecting.desk.get_log(0, 1).latest).text
    line = cosign(text, Auditor("a9").cosigner, 1)
    with pytest.raises(errors.NotRosteredError):
        collecting.desk.submit_cosignature("a9", collecting.ledger().size, line)
    parse_signature_line(line)


# -- reading the log -----------------------------------------------------------------------------


def test_pages(released: County) -> None:
    size = released.ledger().size
    assert len(released.desk.get_log(0, 5).entries) == 5
    assert len(released.desk.get_log(size - 2, 50).entries) == 2
    for start in (size, size + 1, 2**63, 2**64 - 1):
        page = released.desk.get_log(start, 5)
        assert (page.start, page.entries) == (start, ())
    one = released.desk.get_log(3, 1).entries
    assert one == released.desk.get_log(0, 10).entries[3:4]


def test_an_empty_log(county: County) -> None:
    page = county.desk.get_log(0, 5)
    assert (page.entries, page.latest, page.cosigned) == ((), b"", b"")


def test_the_checkpoint_of_a_size_is_one(collecting: County) -> None:
    other = collecting.open()
    assert other.get_log(0, 1).latest == collecting.desk.get_log(0, 1).latest
    collecting.report(collecting.round_id, ["s01"])
    assert other.get_log(0, 1).latest == collecting.desk.get_log(0, 1).latest  # it caught up
    other.close()
