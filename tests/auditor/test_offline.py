"""Trips of one auditor: what it refuses, what it writes, and a crash at every durable write."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random

import numpy as np
import pytest
from click.testing import CliRunner, Result
from fakes_auditors import Entropy, FakeCounty, run_all, small_plan
from fakes_auditors import joined_county as make_county
from fakes_trips import MADE, StickAuditor, deliver, encode, mangle, put_file, trip_data, trip_records

from auditor import watch as watching
from auditor.cli import auditor as auditor_group
from auditor.config import AuditorConfig, AuditorFolder, write_config
from auditor.desk import Desk
from auditor.durable import ignore_durable
from auditor.signing import sign_entry, store_entry, stored_entry
from auditor.state import SecretKind, SlotKind, State
from plan.document import PlanDocument
from plan.errors import encode_phrase, phrase
from plan.table_spec import TableSpec
from protos import trip_records as records
from protos.card import encode_card
from protos.statements import Extension, Replayed
from protos.stick import from_auditor_path, to_auditor_path
from protos.trip_file import TO_AUDITOR, TO_COORDINATOR, TripFile, TripHead

EVERY = int(os.environ.get("FEDSCREEN_CRASH_EVERY", "15"))


class Commands:
    """Runs the commands of auditor a1 of a fake county; its stick is a folder."""

    def __init__(self, county: FakeCounty, root: Path) -> None:
        self.county, self.root, self.stick = county, root, root.with_name("stick")
        self.stick.mkdir()
        folder = AuditorFolder(root)
        write_config(folder, AuditorConfig(federation=county.federation, id="a1", operator="大学"))
        keys = county.keys("a1")
        folder.keys.mkdir()
        for file, key in (("statement.key", keys.statement), ("cosigner.key", keys.cosigner)):
            (folder.keys / file).write_bytes(key.seed.hex().encode() + b"\n")
        folder.card.write_text(encode_card(county.card))
        folder.policy.write_text(county.policy_text())

    def __call__(self, *arguments: str, answer: str = "") -> Result:
        command = ["offline", *arguments, "--dir", str(self.root)]
        return CliRunner().invoke(auditor_group, command, input=answer)

    def trip(self, *options: str, answer: str = "") -> Result:
        return self("trip", str(self.stick), *options, answer=answer)

    def json(self, *options: str, code: int = 0) -> dict[str, object]:
        found = self.trip(*options, "--yes", "--json")
        assert found.exit_code == code, found.output
        return dict(json.loads(found.output))

    def put(self, data: bytes) -> Path:
        path = to_auditor_path(self.stick, "a1")
        path.write_bytes(data)
        return path

    def answer(self) -> TripFile:
        return TripFile(io.BytesIO(from_auditor_path(self.stick, "a1").read_bytes()))


@pytest.fixture
def commands(county: FakeCounty, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    monkeypatch.setattr(watching, "utc_now", lambda: county.clock)
    return Commands(county, tmp_path / "a1")


def other_plan() -> PlanDocument:
    """A plan of the same wave that counts something else."""
    table = TableSpec(id="K1", title="K1", dims=("boarding", "level"), where=(("disposition", ("1", "2")),))
    return replace(small_plan(), id="other", tables=(table,))


# --- which files are taken ------------------------------------------------------------------------

WRONG: dict[str, tuple[Callable[[FakeCounty], bytes], str]] = {
    "another federation": (
        lambda county: trip_data(county, "a1", federation="elsewhere"),
        "wrong-federation",
    ),
    "another auditor": (lambda county: trip_data(county, "a1", name="a2"), "wrong-auditor"),
    "an answer": (lambda county: trip_data(county, "a1", whom=TO_COORDINATOR), "wrong-way"),
    "cut": (lambda county: trip_data(county, "a1")[:-40], "cut-off"),
    "zeros at the end": (lambda county: trip_data(county, "a1")[:-40] + bytes(40), "damaged"),
    "something else": (lambda _county: b"holiday.jpg", "not-a-trip-file"),
    "nothing": (lambda _county: b"", "not-a-trip-file"),
    "no log": (lambda county: encode([], _head(county)), "malformed"),
    "begins too late": (lambda county: trip_data(county, "a1", start=1), "log-gap"),
}


def _head(county: FakeCounty) -> TripHead:
    return TripHead(TO_AUDITOR, county.federation, "a1", MADE)


@pytest.mark.parametrize(("make", "code"), WRONG.values(), ids=WRONG)
def test_a_wrong_file_is_refused_and_nothing_is_written(
    county: FakeCounty, commands: Commands, make: Callable[[FakeCounty], bytes], code: str
) -> None:
    county.publish_plan()
    commands.put(make(county))
    assert commands.json(code=1)["error"] == code
    assert not from_auditor_path(commands.stick, "a1").exists()
    assert not list((commands.root / "state").glob("slots/*"))


@pytest.mark.parametrize("kind", ["missing", "link", "pipe"])
def test_what_is_no_file_is_not_opened(
    county: FakeCounty, commands: Commands, tmp_path: Path, kind: str
) -> None:
    path = to_auditor_path(commands.stick, "a1")
    if kind == "link":
        (tmp_path / "elsewhere").write_bytes(trip_data(county, "a1"))
        path.symlink_to(tmp_path / "elsewhere")
    elif kind == "pipe":
        os.mkfifo(path)
    assert commands.json(code=1)["error"] == ("no-file" if kind == "missing" else "not-a-file")


def test_an_answer_never_follows_a_link(county: FakeCounty, commands: Commands, tmp_path: Path) -> None:
    """Whatever a stick has in the answer's place is replaced, not written through."""
    precious = tmp_path / "precious"
    precious.write_text("keep")
    for name in ("from-a1.trip", "from-a1.trip.tmp"):
        (commands.stick / name).symlink_to(precious)
    put_file(county, commands.stick, "a1")
    commands.json()
    assert precious.read_text() == "keep"
    assert commands.answer().count(records.COSIGNATURE) == 1
    assert [path.name for path in commands.stick.iterdir() if path.is_symlink()] == []


def test_an_older_file_is_told_from_a_rollback(county: FakeCounty, commands: Commands) -> None:
    old = trip_data(county, "a1")
    county.publish_plan()
    put_file(county, commands.stick, "a1")
    assert commands.json()["new_entries"] == county.ledger.size
    commands.put(old)
    assert commands.json(code=1)["error"] == "old-file"
    assert not (commands.root / "mirror" / "evidence").exists()


def test_a_smaller_log_of_another_history_is_kept_as_evidence(county: FakeCounty, commands: Commands) -> None:
    fork = make_county()
    county.publish_plan()
    county.publish_plan(replace(small_plan(), id="other"))
    put_file(county, commands.stick, "a1")
    commands.json()
    fork.publish_plan(replace(small_plan(), id="third"))
    assert fork.ledger.size < county.ledger.size
    commands.put(trip_data(fork, "a1"))
    assert commands.json(code=1)["error"] == "SplitViewError"
    assert len(list((commands.root / "mirror" / "evidence").iterdir())) == 1


def test_a_file_before_the_first_roster_is_old_too(county: FakeCounty, commands: Commands) -> None:
    put_file(county, commands.stick, "a1")
    commands.json()
    empty = [(records.LOG, records.log_parts(records.LogHead(0, b"", b"")))]
    commands.put(encode(empty, _head(county)))
    assert commands.json(code=1)["error"] == "old-file"


# --- what a trip does -----------------------------------------------------------------------------


def test_a_trip_asks_and_declining_leaves_the_rest(county: FakeCounty, commands: Commands) -> None:
    county.publish_plan()
    county.publish_plan(other_plan())
    body = county.ledger.roster.body
    county.propose(replace(body, nodes=body.nodes[1:]))
    put_file(county, commands.stick, "a1")
    shown = commands.trip(answer="y\nn\ny\n")
    assert shown.exit_code == 0, shown.output
    assert "- 1 schools: s1" in shown.output
    assert shown.output.count("小计划") == 2
    assert "answer written" in shown.output
    assert "come back for" in shown.output
    answer = commands.answer()
    counts = [answer.count(kind) for kind in (records.ROSTER_LINE, records.STATEMENT, records.COSIGNATURE)]
    assert counts == [1, 1, 1]
    assert not county.cosignatures
    deliver(county.link("a1"), answer)
    assert sum("a1" in row.approvals for row in county.ledger.rounds.values()) == 1
    again = commands.trip(answer="n\nn\n")
    assert again.exit_code == 0, again.output
    assert list(commands.answer().parts(records.STATEMENT)) == list(answer.parts(records.STATEMENT))


@pytest.mark.parametrize(("options", "what"), [((), "approval"), (("--year",), "year")])
def test_a_refused_plan_is_told_and_the_others_go_out(
    county: FakeCounty, commands: Commands, options: tuple[str, ...], what: str
) -> None:
    policy = AuditorFolder(commands.root).policy
    policy.write_text(policy.read_text().replace("max-rho 1/4", "max-rho 1/6"))
    county.publish_plan()
    county.publish_plan(replace(other_plan(), rho=small_plan().rho / 2))
    put_file(county, commands.stick, "a1")
    assert "refused: plan 1 (" in commands.trip(*options, answer="n\n").output
    told = commands.json(*options, code=1)
    assert [row["error"] for row in told["refused"]] == ["max-rho"]  # type: ignore[attr-defined]
    assert [row["what"] for row in told["signed"]] == [what]  # type: ignore[attr-defined]
    assert commands.answer().count(records.STATEMENT) == 1
    assert commands.answer().count(records.COSIGNATURE) == 1


def test_a_year_in_one_sitting_and_a_later_deadline(county: FakeCounty, commands: Commands) -> None:
    round_id = county.publish_plan()
    put_file(county, commands.stick, "a1")
    shown = commands.trip("--year", answer="y\n")
    assert shown.output.count("[y/N]") == 1
    assert "1 plans cost rho 0.2 together" in shown.output
    deliver(county.link("a1"), commands.answer())
    county.approve(round_id, ["a2", "a3", "a4"])
    closes = county.round(round_id).terms.closes + timedelta(days=5)
    county.add(Extension(county.federation, round_id, 1, closes, "holiday"), b"", [county.coordinator])
    put_file(county, commands.stick, "a1")
    told = commands.json()
    assert [row["what"] for row in told["signed"]] == ["extended"]  # type: ignore[attr-defined]
    deliver(county.link("a1"), commands.answer())
    (pending,) = county.round(round_id).changes.extensions
    assert "a1" in county.round(round_id).changes.extended[pending.digest]


def test_what_the_county_did_not_take_is_told(county: FakeCounty, commands: Commands) -> None:
    content = list(trip_records(county, "a1"))
    hidden = encode_phrase(phrase("%(who)s stands there", who="another\x1b[2J"))
    for message in ("another[2J stands there", hidden):
        row = records.Told(records.STATEMENT, bytes(32), "already-stated", message)
        commands.put(encode([*content, (records.TOLD, records.told_parts(row))], _head(county)))
        assert "already-stated: another[2J stands there" in commands.trip("--yes").output
        assert commands.json()["told"] == [
            {"what": "statement", "code": "already-stated", "message": "another[2J stands there"}
        ]


def test_a_wrong_box_or_none_stops_only_that_round(county: FakeCounty, commands: Commands) -> None:
    round_id = county.publish_plan()
    put_file(county, commands.stick, "a1")
    commands.json()
    deliver(county.link("a1"), commands.answer())
    county.approve(round_id, ["a2", "a3", "a4"])
    county.collect(round_id)
    county.fix_candidates(round_id)
    content = list(trip_records(county, "a1"))
    without = [row for row in content if row[0] != records.BOX]
    spoilt = [
        (kind, (*parts[:2], parts[2][:-1] + b"x")) if kind == records.BOX else (kind, parts)
        for kind, parts in content
    ]
    for found in (without, spoilt):
        commands.put(encode(found, _head(county)))
        events = commands.json()["events"]
        assert [row["event"] for row in events] == ["cosigned", "error"]  # type: ignore[attr-defined]
        assert commands.answer().count(records.STATEMENT) == 0
    commands.put(encode(content, _head(county)))
    assert commands.json()["next"][0]["next"] == "close"  # type: ignore[index]


def test_a_mangled_file_gets_no_answer_to_a_close(
    county: FakeCounty, commands: Commands, tmp_path: Path
) -> None:
    """Whoever writes the digest anew still has to sign: a refusal, never a traceback or a vote."""
    round_id = county.publish_plan()
    put_file(county, commands.stick, "a1")
    commands.json()
    deliver(county.link("a1"), commands.answer())
    county.approve(round_id, ["a2", "a3", "a4"])
    county.collect(round_id)
    county.fix_candidates(round_id)
    body = county.ledger.roster.body
    county.propose(replace(body, nodes=body.nodes[1:]))
    content, rng = list(trip_records(county, "a1")), Random(7)
    shutil.copytree(commands.root, tmp_path / "kept")
    codes = []
    for _ in range(12):
        shutil.rmtree(commands.root)
        shutil.copytree(tmp_path / "kept", commands.root)
        commands.put(encode(mangle(rng, content), _head(county)))
        found = commands.trip("--yes", "--json")
        assert isinstance(found.exception, SystemExit | None), found.exception
        codes.append(json.loads(found.stdout).get("error", "taken"))
        assert not list((commands.root / "state" / "slots").glob("*.decision"))
    assert len(set(codes)) > 1


def test_status_without_a_stick(county: FakeCounty, commands: Commands) -> None:
    county.publish_plan()
    put_file(county, commands.stick, "a1")
    commands.trip(answer="n\n")
    found = commands("status", "--json")
    assert found.exit_code == 0, found.output
    values = json.loads(found.output)
    assert values["log_size"] == county.ledger.size
    assert [row["next"] for row in values["next"]] == ["approve"]
    assert "waits for your approval" in commands("status").output


def test_a_bundle_without_vectors_says_how_to_get_them(
    county: FakeCounty, commands: Commands, tmp_path: Path
) -> None:
    found = commands("bundle", str(commands.stick), str(tmp_path / "out"), "--json")
    assert json.loads(found.output)["error"] == "no-file"


def test_what_was_signed_about_a_visit_goes_out_until_the_log_has_it(
    county: FakeCounty, commands: Commands
) -> None:
    put_file(county, commands.stick, "a1")
    statement = Replayed(county.federation, bytes(32), "a1", "s1", bytes(32), "PASS", "L3")
    state = State(commands.root / "state")
    store_entry(state, SlotKind.REPLAYED, bytes(32), sign_entry(statement, county.auditors["a1"]))
    for _ in range(2):
        commands.json()
        ((entry, body),) = commands.answer().parts(records.STATEMENT)
        stored = stored_entry(state, SlotKind.REPLAYED, bytes(32))
        assert stored is not None
        assert (stored.entry, body) == (entry, b"")


def test_an_answer_that_the_county_has_lost_goes_out_again(
    county: FakeCounty, commands: Commands, tmp_path: Path
) -> None:
    round_id = county.publish_plan()
    others = [county.desk(name, tmp_path / name) for name in ("a2", "a3", "a4")]

    def trip(*options: str) -> list[int]:
        put_file(county, commands.stick, "a1")
        commands.json(*options)
        deliver(county.link("a1"), commands.answer())
        run_all(others, 1)
        return [commands.answer().count(kind) for kind in (records.STATEMENT, records.OPENING)]

    assert trip() == [1, 0]
    for desk in others:
        desk.approve(round_id)
    county.collect(round_id)
    county.fix_candidates(round_id)
    assert trip() == [1, 0]
    county.close(round_id)
    assert trip() == [1, 0]
    run_all(others, 1)
    assert trip() == [0, 1]
    assert trip() == [0, 0]
    lost = {key: data for key, data in county.sums.items() if key[1] == "a1"}
    for key in lost:
        del county.sums[key]
    assert trip("--resend") == [0, 1]
    assert {key: county.sums[key] for key in lost} == lost


# --- crashes --------------------------------------------------------------------------------------


class Crash(Exception):
    """The process dies here."""


class Recorder:
    """Counts durable steps and dies at one of them."""

    def __init__(self, number: int = 0) -> None:
        self.number = number
        self.steps: list[str] = []

    def __call__(self, step: str) -> None:
        self.steps.append(step)
        if len(self.steps) == self.number:
            raise Crash(step)


def _until_done(auditor: StickAuditor, approve: bytes | None = None) -> None:
    """Make a trip; if the machine dies in it, switch it on and make the same trip again."""
    try:
        auditor.trip(approve)
    except Crash:
        auditor.durable = ignore_durable
        auditor.trip(approve)


def _whole_round(root: Path, recorder: Recorder) -> tuple[FakeCounty, StickAuditor, bytes]:
    county = make_county(num_auditors=1, quorum=1, tuple_=(1, 1, 0, 1), num_nodes=5)
    auditor = StickAuditor(county, "a1", root / "a1", recorder)
    auditor.entropy = Entropy("unstable")
    plan = replace(small_plan(), num_auditors=1, threshold=1, collude=0, quorum=1)
    round_id = county.publish_plan(plan)
    _until_done(auditor, round_id)
    county.collect(round_id)
    county.fix_candidates(round_id)
    _until_done(auditor)
    county.close(round_id)
    for _ in range(3):
        _until_done(auditor)
    return county, auditor, round_id


def test_a_crash_at_a_durable_write_of_a_trip(tmp_path: Path) -> None:
    """At every fifteenth here; with FEDSCREEN_CRASH_EVERY=1 at all of them."""
    recorder = Recorder()
    _whole_round(tmp_path / "count", recorder)
    names = {step.rsplit(" ", 1)[0] for step in recorder.steps}
    assert names >= {"instance", "slot-approval", "slot-checked", "slot-decision", "slot-opening", "answer"}
    for number in range(1, len(recorder.steps) + 1, EVERY):
        county, auditor, round_id = _whole_round(tmp_path / str(number), Recorder(number))
        assert auditor.durable is ignore_durable, number
        row = county.round(round_id)
        assert list(row.openings) == ["a1"], number
        assert not row.abandons, number
        assert np.array_equal(county.combine(round_id, ["a1"]), county.expected_sums(round_id)), number
        _assert_sent_once(county.desk("a1", auditor.directory), auditor, round_id)


def _assert_sent_once(desk: Desk, auditor: StickAuditor, round_id: bytes) -> None:
    kinds = (SlotKind.APPROVAL, SlotKind.CHECKED, SlotKind.DECISION, SlotKind.OPENING)
    stored = [stored_entry(desk.state, kind, round_id) for kind in kinds]
    assert {entry.entry for entry in stored if entry is not None} == set(auditor.link.sent)
    assert len(set(auditor.link.sent)) == 4
    assert desk.state.secret(SecretKind.ROUND_KEY, round_id) is None
