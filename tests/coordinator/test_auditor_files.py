"""Auditors' files at the county: the checks of the calls, item by item, and nothing for anybody else."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from click.testing import CliRunner
from fakes_coordinator import FEDERATION, County, sign
from fakes_federation import fake_bytes

from coordinator import auditor_files, cli_context, errors
from coordinator.auditor_files import Answer, newest_size, outgoing, take_answer
from coordinator.cli import coordinator as group
from coordinator.desk import Desk
from crypto.checkpoint import cosign
from crypto.errors import OpenError
from crypto.note import parse_note
from crypto.sealing import ROUND_SECRET_BYTES, open_box, round_public_key
from plan.errors import parse_phrase
from protos import trip_records as records
from protos.bodies import encode_checked_body
from protos.statements import Abandon, Checked, body_ref, digest
from protos.stick import from_auditor_path, to_auditor_path
from protos.trip_file import TO_AUDITOR, TO_COORDINATOR, Parts, Record, TripFile, TripHead, write_trip

SECRET = fake_bytes("trip key", ROUND_SECRET_BYTES)


def answer_data(content: Sequence[Record], county: County, name: str, **changes: str) -> bytes:
    stream = io.BytesIO()
    head = TripHead(
        "auditor" if changes.get("whom") == TO_AUDITOR else TO_COORDINATOR,
        changes.get("federation", FEDERATION),
        changes.get("auditor", name),
        county.clock,
    )
    write_trip(stream, head, content)
    return stream.getvalue()


def take(county: County, auditor: str, *content: Record) -> Answer:
    return take_answer(county.desk, auditor, TripFile(io.BytesIO(answer_data(content, county, auditor))))


def file_of(
    county: County, auditor: str, answer: Answer | None = None, *, size: int = 0, start: int = 0
) -> TripFile:
    """The next file for an auditor, as it would be written now."""
    stream, head = io.BytesIO(), TripHead(TO_AUDITOR, FEDERATION, auditor, county.clock)
    shown = size or newest_size(county.desk)
    write_trip(stream, head, outgoing(county.desk, auditor, answer or Answer(), size=shown, start=start))
    return TripFile(stream)


def approval(county: County, auditor: str, signer: str = "") -> Record:
    statement = county.auditors[auditor].approval(county.round(county.round_id))
    return records.STATEMENT, (sign(statement, county.auditors[signer or auditor].key), b"")


def cosignature(county: County, auditor: str) -> Record:
    text = parse_note(county.desk.get_log(0, 1).latest).text
    line = cosign(text, county.auditors[auditor].cosigner, int(county.clock.timestamp()))
    return records.COSIGNATURE, records.cosignature_parts(int(text.split("\n")[1]), line)


def opening(county: County, auditor: str, spoil: Callable[[bytes], bytes] = lambda data: data) -> Record:
    sums = county.sums(auditor, county.round_id)
    entry = sign(
        county.auditors[auditor].opening(county.round(county.round_id), sums), county.auditors[auditor].key
    )
    return records.OPENING, (entry, *map(spoil, sums.values()))


def trip_key(county: County, auditor: str, signer: str = "") -> Record:
    key = round_public_key(SECRET)
    return records.KEY, records.sign_trip_key(
        FEDERATION, auditor, key, county.auditors[signer or auditor].key
    )


def codes(answer: Answer) -> list[str]:
    return [row.code for row in answer.told]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a county with a plan that nobody has approved."""
    county = County(tmp_path_factory.mktemp("template") / "county")
    county.found()
    county.publish()
    county.desk.close()
    return county.directory


@pytest.fixture
def published(template: Path, tmp_path: Path) -> Iterator[County]:
    """A copy of that county."""
    shutil.copytree(template, tmp_path / "county")
    county = County(tmp_path / "county")
    yield county
    county.desk.close()


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    """A folder that stands for a stick."""
    path = tmp_path / "stick"
    path.mkdir()
    return path


# --- in -------------------------------------------------------------------------------------------


def test_the_first_roster_is_signed_by_files(county: County) -> None:
    county.enrol()
    county.desk.propose_roster()
    for name, auditor in county.auditors.items():
        file = file_of(county, name)
        (proposal,) = map(records.parse_proposal_record, file.parts(records.PROPOSAL))
        line = auditor.key.sign(proposal.text).encode()
        assert codes(take(county, name, (records.ROSTER_LINE, (digest(proposal.text), line)))) == ["taken"]
    assert county.ledger().size == 1
    assert take(county, "a1", (records.ROSTER_LINE, (digest(proposal.text), line))).told[0].is_taken


def test_every_kind_is_taken_once_and_again(published: County) -> None:
    content = [approval(published, "a1"), cosignature(published, "a1")]
    assert codes(take(published, "a1", *content)) == ["taken", "taken"]
    size = published.ledger().size
    assert codes(take(published, "a1", *content)) == ["taken", "taken"]
    assert published.ledger().size == size
    assert list(published.round(published.round_id).approvals) == ["a1"]


def test_one_refused_item_loses_none_of_the_others(published: County) -> None:
    later = published.auditors["a2"].approval(published.round(published.round_id), nonce=fake_bytes("other"))
    content: list[Record] = [
        (records.STATEMENT, (b"not a note", b"")),
        (records.STATEMENT, (b"", b"")),
        approval(published, "a2"),
        (records.STATEMENT, (sign(later, published.auditors["a2"].key), b"")),
        approval(published, "a3"),
        approval(published, "a2", signer="a3"),
        (records.ROSTER_LINE, (bytes(32), b"no line")),
        (records.COSIGNATURE, (bytes(8), b"no line")),
        cosignature(published, "a2"),
    ]
    answer = take(published, "a2", *content)
    assert codes(answer) == [
        "unknown-proposal",
        "statement-refused",
        "malformed",
        "taken",
        "already-stated",
        "identity-mismatch",
        "taken",  # the text that stands there: whose signature comes with it decides nothing
        "malformed",
        "taken",
    ]
    found = file_of(published, "a2", answer)
    told = [records.parse_told(parts) for parts in found.parts(records.TOLD)]
    assert [row.code for row in told] == codes(answer)
    assert "not waiting; list the proposals again" in str(parse_phrase(told[0].message))


def test_the_name_in_the_head_proves_nothing(published: County) -> None:
    """Who changes the head of a found answer gets nothing in under another name."""
    content = [approval(published, "a1"), cosignature(published, "a1")]
    assert codes(take(published, "a2", *content)) == ["identity-mismatch", "signature-refused"]
    assert codes(take(published, "a2", approval(published, "a2", signer="a1"))) == ["statement-refused"]
    assert published.round(published.round_id).approvals == {}


def test_a_sum_exchanged_on_the_way_is_refused(agreed: County) -> None:
    for name in ("a1", "a2", "a3"):
        agreed.sums(name, agreed.round_id)
    wrong = take(agreed, "a1", opening(agreed, "a1", lambda data: bytes(len(data))))
    short = take(agreed, "a1", (records.OPENING, opening(agreed, "a1")[1][:-1]))
    odd = take(agreed, "a1", opening(agreed, "a1", lambda data: data[:-1]))
    assert codes(wrong) + codes(short) + codes(odd) == ["opening-refused", "opening-refused", "malformed"]
    assert agreed.round(agreed.round_id).openings == {}
    assert codes(take(agreed, "a1", opening(agreed, "a1"))) == ["taken"]
    assert list(agreed.round(agreed.round_id).openings) == ["a1"]


def test_no_second_vote_by_file(agreed: County) -> None:
    second = Abandon(FEDERATION, agreed.round_id, "a1", bytes(32), "policy")
    entry = sign(second, agreed.auditors["a1"].key)
    assert codes(take(agreed, "a1", (records.STATEMENT, (entry, b"")))) == ["already-stated"]


def test_a_body_exchanged_on_the_way_is_refused(collecting: County) -> None:
    collecting.report(collecting.round_id)
    collecting.desk.tick()
    candidates = collecting.round(collecting.round_id).candidates
    assert candidates is not None
    body = encode_checked_body([])
    statement = Checked(FEDERATION, collecting.round_id, "a1", candidates.digest, body_ref(body))
    entry = sign(statement, collecting.auditors["a1"].key)
    assert codes(take(collecting, "a1", (records.STATEMENT, (entry, body + b" ")))) == ["statement-refused"]
    assert codes(take(collecting, "a1", (records.STATEMENT, (entry, body)))) == ["taken"]


class Killed(BaseException):
    """The coordinator's process dies here."""


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_an_answer_that_was_half_taken_is_taken_again(published: County, number: int) -> None:
    content = [approval(published, "a1"), cosignature(published, "a1")]
    size, steps = published.ledger().size, count(1)

    def durable(step: str) -> None:
        if next(steps) == number:
            raise Killed(step)

    published.durable = durable
    with pytest.raises(Killed):
        take(published, "a1", *content)
    published.durable = lambda _step: None
    published.reopen()
    assert codes(take(published, "a1", *content)) == ["taken", "taken"]
    assert published.ledger().size == size + 1
    assert list(published.round(published.round_id).approvals) == ["a1"]


# --- out ------------------------------------------------------------------------------------------


def boxes_in(file: TripFile) -> list[Parts]:
    return list(file.parts(records.BOX))


def test_boxes_go_out_from_the_candidates_to_the_opening_and_only_ones_own(collecting: County) -> None:
    round_id = collecting.round_id
    collecting.report(round_id)
    assert boxes_in(file_of(collecting, "a1")) == []
    collecting.desk.tick()
    for name in ("a1", "a2"):
        own = [(round_id, *row) for row in collecting.desk.get_boxes(name, round_id)]
        assert boxes_in(file_of(collecting, name)) == own
        assert len(own) == 6
    before = collecting.round(round_id).candidates
    assert before is not None
    assert boxes_in(file_of(collecting, "a1", size=before.index)) == []
    collecting.check(round_id)
    collecting.desk.tick()
    collecting.agree(round_id)
    assert len(boxes_in(file_of(collecting, "a1"))) == 6
    collecting.answer(round_id, ["a1"])
    assert boxes_in(file_of(collecting, "a1")) == []
    assert len(boxes_in(file_of(collecting, "a2"))) == 6


def test_vectors_go_out_sealed_to_who_asked_and_has_opened(released: County) -> None:
    round_id = released.round_id
    assert file_of(released, "a1").count(records.VECTOR) == 0
    answer = take(released, "a1", trip_key(released, "a1"))
    file = file_of(released, "a1", answer)
    expected = dict(released.desk.get_vectors("a1", round_id))
    found = {}
    for parts in file.parts(records.VECTOR):
        of_round, report, sealed = records.parse_vector_record(parts)
        info = records.seal_info(FEDERATION, "a1", records.VECTOR, parts[:-1])
        found[report] = open_box(SECRET, sealed, info)
        assert of_round == round_id
        assert expected[report] not in sealed
        with pytest.raises(OpenError):
            open_box(fake_bytes("another", ROUND_SECRET_BYTES), sealed, info)
        with pytest.raises(OpenError):
            open_box(SECRET, sealed, records.seal_info(FEDERATION, "a2", records.VECTOR, parts[:-1]))
    assert found == expected
    assert len(expected) == 6
    assert file.count(records.SUM) == len(list(released.desk.get_sums(round_id)))
    assert [records.parse_told(parts).code for parts in file.parts(records.TOLD)] == ["taken"]


@pytest.mark.parametrize("signer", ["a2", "a1"])
def test_a_key_that_its_auditor_did_not_sign_gets_nothing(released: County, signer: str) -> None:
    kind, parts = trip_key(released, "a1", signer)
    exchanged = (round_public_key(fake_bytes("thief", ROUND_SECRET_BYTES)), parts[1])
    answer = take(released, "a1", (kind, exchanged if signer == "a1" else parts))
    assert codes(answer) == ["malformed"]
    assert answer.trip_key == b""
    assert file_of(released, "a1", answer).count(records.VECTOR) == 0


def test_no_vectors_before_the_release_nor_without_an_own_opening(agreed: County) -> None:
    agreed.answer(agreed.round_id, ["a1", "a2", "a3"])
    for name in ("a1", "a4"):
        answer = take(agreed, name, trip_key(agreed, name))
        assert file_of(agreed, name, answer).count(records.VECTOR) == 0
    agreed.advance(seconds=120)
    agreed.desk.tick()
    counts = []
    for name in ("a1", "a4"):
        answer = take(agreed, name, trip_key(agreed, name))
        counts.append(file_of(agreed, name, answer).count(records.VECTOR))
    assert counts == [6, 0]


def test_a_file_shows_as_much_of_the_log_as_it_is_told_to(released: County) -> None:
    size = newest_size(released.desk)
    assert file_of(released, "a1").count(records.ENTRY) == size
    later = file_of(released, "a1", start=size - 2)
    assert later.count(records.ENTRY) == 2
    (head,) = map(records.parse_log, later.parts(records.LOG))
    assert head.start == size - 2
    for shown, start in ((size + 1, 0), (size - 1, 0), (size, size + 1)):
        with pytest.raises(errors.NotCosignedError):
            file_of(released, "a1", size=shown, start=start)


# --- the command ----------------------------------------------------------------------------------


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, dict[str, object]]]:
    def call(county: County, *arguments: object) -> tuple[int, dict[str, object]]:
        monkeypatch.setattr(cli_context, "Desk", partial(Desk, now=lambda: county.clock))
        command = ["offline", "trip", *arguments, "--dir", county.directory, "--json"]
        found = CliRunner().invoke(group, list(map(str, command)), catch_exceptions=False)
        return found.exit_code, json.loads(found.stdout)

    return call


Run = Callable[..., tuple[int, dict[str, object]]]


def test_one_command_serves_several_and_shows_all_the_same(published: County, stick: Path, run: Run) -> None:
    data = answer_data([approval(published, "a1"), approval(published, "a2")], published, "a1")
    from_auditor_path(stick, "a1").write_bytes(data)
    from_auditor_path(stick, "a2").write_bytes(data[:-3])
    code, told = run(published, stick, "--auditor", "a1", "--auditor", "a2", "--auditor", "a3")
    rows = {row["auditor"]: row for row in told["auditors"]}  # type: ignore[attr-defined]
    assert (code, told["refused"]) == (1, 2)
    assert (rows["a1"]["taken"], rows["a1"]["not_taken"][0]["error"]) == (1, "identity-mismatch")
    assert (rows["a2"]["error"], rows["a2"]["taken"]) == ("cut-off", 0)
    heads: list[records.LogHead] = []
    for name in ("a1", "a2", "a3"):
        with to_auditor_path(stick, name).open("rb") as stream:
            file = TripFile(stream)
            assert (file.head.auditor, file.head.whom) == (name, TO_AUDITOR)
            heads += map(records.parse_log, file.parts(records.LOG))
    assert len({head.latest for head in heads}) == 1
    assert [path.name for path in stick.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"federation": "elsewhere"}, "wrong-federation"),
        ({"auditor": "a2"}, "wrong-auditor"),
        ({"whom": TO_AUDITOR}, "wrong-way"),
    ],
)
def test_somebody_elses_answer_is_not_taken(
    published: County, stick: Path, run: Run, changes: dict[str, str], code: str
) -> None:
    data = answer_data([approval(published, "a1")], published, "a1", **changes)
    from_auditor_path(stick, "a1").write_bytes(data)
    exit_code, told = run(published, stick, "--auditor", "a1")
    assert (exit_code, told["auditors"][0]["error"]) == (1, code)  # type: ignore[index]
    assert published.round(published.round_id).approvals == {}
    assert to_auditor_path(stick, "a1").exists()


def test_more_than_any_auditor_sends_is_refused_whole(
    published: County, stick: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditor_files, "MAX_ANSWER_RECORDS", 2)
    own, junk = approval(published, "a1"), (records.STATEMENT, (b"x", b""))
    rows = []
    for content in ([own, junk, junk], [own, junk]):
        from_auditor_path(stick, "a1").write_bytes(answer_data(content, published, "a1"))
        _code, told = run(published, stick, "--auditor", "a1")
        rows += told["auditors"]  # type: ignore[misc]
    assert [(row.get("error"), row["taken"]) for row in rows] == [("too-large", 0), (None, 1)]


def test_strangers_and_revoked_auditors_get_no_file(published: County, stick: Path, run: Run) -> None:
    assert run(published, stick, "--auditor", "a9")[1]["error"] == "not-rostered"
    assert run(published, stick, "--auditor", "s01")[1]["error"] == "not-rostered"
    published.desk.revoke("auditor", "a1", "key-lost")
    assert run(published, stick, "--auditor", "a1")[1]["error"] == "revoked"
    assert list(stick.iterdir()) == []


def test_a_stick_leads_nowhere_else(published: County, stick: Path, run: Run) -> None:
    precious = stick.with_name("precious")
    precious.write_text("keep")
    for name in ("to-a1.trip", ".to-a1.trip.new", "from-a1.trip"):
        (stick / name).symlink_to(precious)
    code, told = run(published, stick, "--auditor", "a1")
    assert (code, told["auditors"][0]["error"]) == (1, "not-a-file")  # type: ignore[index]
    assert precious.read_text() == "keep"
    assert not (stick / "to-a1.trip").is_symlink()


def test_a_full_stick_leaves_the_file_before(
    published: County, stick: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(published, stick, "--auditor", "a1")
    before = to_auditor_path(stick, "a1").read_bytes()

    def full(*_arguments: object, **_options: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("coordinator.cli_offline.write_trip", full)
    code, told = run(published, stick, "--auditor", "a1")
    assert (code, told["error"]) == (1, "file")
    assert to_auditor_path(stick, "a1").read_bytes() == before
    assert len(list(stick.iterdir())) == 1


def test_every_kind_of_an_answer_has_a_name() -> None:
    assert set(auditor_files._ORDER) | {records.KEY} == set(records.KIND_NAMES)
