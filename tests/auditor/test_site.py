"""A visit: the kit, the result, the record; what is refused, what is signed, and what is said to do next."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fakes_auditors import FakeCounty, FakeLink

from auditor import watch as watching
from auditor.cli import auditor
from auditor.cli_visit import next_steps, review_lines
from auditor.config import AuditorConfig, AuditorFolder, write_config
from auditor.desk import Desk
from auditor.errors import AbstainError, LinkError, RefusalError, SlotTakenError
from auditor.keys import TlsFiles
from auditor.site_kit import make_challenge, write_kit
from auditor.site_record import REPLAY_CHECKS, record, review_result, visits
from crypto.canonical import encode_json
from protos.card import encode_card
from protos.site_visit import (
    CHALLENGE_FORMAT,
    VISIT_FORMAT,
    SiteFileError,
    SiteResult,
    Trial,
    TrialCheck,
    challenge_values,
    encode_result,
    parse_challenge,
    parse_result,
    parse_signed,
    sign_file,
    verify_signed,
)

NODE = "s2"


def replay(failing: tuple[int, ...] = ()) -> Trial:
    """A replay whose checks with these numbers fail."""
    checks = tuple(
        TrialCheck(number, name, "FAIL" if number in failing else "PASS", "")
        for number, name in enumerate(REPLAY_CHECKS, 1)
    )
    return Trial("FAIL" if failing else "PASS", "L3", "", checks)


def selftest(outcome: str = "PASS") -> Trial:
    return Trial(outcome, "L3", "", (TrialCheck(1, "wall", outcome, "L3"),))


@pytest.fixture
def desk(desks: dict[str, Desk], opened_round: bytes) -> Desk:
    desks["a1"].sync()
    assert opened_round in desks["a1"].context.ledger.rounds
    return desks["a1"]


@pytest.fixture
def kit(desk: Desk, opened_round: bytes, tmp_path: Path) -> bytes:
    """Give the digest of a challenge for one school, written by a1."""
    return prepare(desk, opened_round, tmp_path)


def prepare(desk: Desk, round_id: bytes, tmp_path: Path, visit: int = 1) -> bytes:
    round_log = desk.context.ledger.rounds[round_id]
    asked = make_challenge(
        desk.context, round_log, [NODE], number=6, visit=visit, trials=("replay", "selftest")
    )
    return write_kit(desk.context, tmp_path, tmp_path / f"kit{visit}", asked)


def result_of(desk: Desk, round_id: bytes, challenge: bytes, **trials: Trial) -> SiteResult:
    logged = desk.context.ledger.rounds[round_id].reports[(NODE, 0)]
    return SiteResult(
        challenge=challenge,
        federation=logged.statement.federation,
        node=NODE,
        round=round_id,
        attempt=0,
        report=logged.digest,
        software=logged.statement.software,
        started="2026-11-22T09:00:00Z",
        ended="2026-11-22T09:00:09Z",
        trials=trials or {"replay": replay(), "selftest": selftest()},
    )


def test_the_kit_is_signed_and_whole(county: FakeCounty, kit: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "kit1"
    assert {path.name for path in folder.iterdir()} == {"challenge.json", "install_check.py", "READ-ME.txt"}
    data = (folder / "challenge.json").read_bytes()
    asked, note = parse_challenge(data)
    assert [row.node for row in asked.schools] == [NODE]
    assert asked.schools[0].place > 0
    verify_signed(note, county.auditors["a1"].verifier)
    with pytest.raises(SiteFileError):
        verify_signed(note, county.auditors["a2"].verifier)
    with pytest.raises(SiteFileError):
        verify_signed(
            parse_challenge(data.replace(b'"visit":1', b'"visit":2'))[1], county.auditors["a1"].verifier
        )
    assert (tmp_path / "site" / "challenges" / f"{kit.hex()}.json").read_bytes() == data


def test_a_good_visit_is_logged_once_and_kept(
    county: FakeCounty, desk: Desk, opened_round: bytes, kit: bytes, tmp_path: Path
) -> None:
    data = encode_result(result_of(desk, opened_round, kit))
    review = review_result(desk.context, tmp_path, data)
    assert (review.outcome, review.is_same_program) == ("PASS", True)
    first = record(desk.context, tmp_path, review)
    desk.sync()
    again = record(desk.context, tmp_path, review_result(desk.context, tmp_path, data))
    assert first == again
    (logged,) = county.ledger.replays
    assert (logged.statement.node, logged.statement.outcome, logged.index) == (NODE, "PASS", first.position)
    link: Any = desk.context.link
    assert link.sent[-1] == link.sent[-2]
    values, note = parse_signed(VISIT_FORMAT, first.file.read_bytes())
    verify_signed(note, county.auditors["a1"].verifier)
    assert first.file.name == f"{opened_round.hex()[:16]}.{NODE}.1.json"
    assert values["statement"] == logged.digest.hex()
    (row,) = visits(tmp_path, desk.context.ledger)
    assert (row["outcome"], row["is_logged"], row["result"]["node"]) == ("PASS", 1, NODE)


def test_a_visit_has_one_outcome_and_a_second_visit_its_own(
    county: FakeCounty, desk: Desk, opened_round: bytes, kit: bytes, tmp_path: Path
) -> None:
    failed = result_of(desk, opened_round, kit, replay=replay((7,)), selftest=selftest())
    record(desk.context, tmp_path, review_result(desk.context, tmp_path, encode_result(failed)))
    better = encode_result(result_of(desk, opened_round, kit))
    with pytest.raises(RefusalError, match="other-record"):
        record(desk.context, tmp_path, review_result(desk.context, tmp_path, better))
    kept = tmp_path / "site" / f"{opened_round.hex()[:16]}.{NODE}.1.json"
    kept.rename(tmp_path / "lost")
    with pytest.raises(SlotTakenError):
        record(desk.context, tmp_path, review_result(desk.context, tmp_path, better))
    (tmp_path / "lost").rename(kept)
    desk.sync()
    second = prepare(desk, opened_round, tmp_path, visit=2)
    passed = encode_result(result_of(desk, opened_round, second))
    record(desk.context, tmp_path, review_result(desk.context, tmp_path, passed))
    assert [row.statement.outcome for row in county.ledger.replays] == ["FAIL", "PASS"]
    assert [row["outcome"] for row in visits(tmp_path)] == ["FAIL", "PASS"]


def test_another_copy_of_the_folder_abstains(
    county: FakeCounty, desk: Desk, opened_round: bytes, kit: bytes, tmp_path: Path
) -> None:
    data = encode_result(result_of(desk, opened_round, kit))
    record(desk.context, tmp_path, review_result(desk.context, tmp_path, data))
    copy = county.desk("a1", tmp_path / "copy")
    copy.sync()
    with pytest.raises(AbstainError):
        record(copy.context, tmp_path, review_result(copy.context, tmp_path, data))


def test_what_was_signed_while_nobody_answered_is_sent_later(
    county: FakeCounty,
    desk: Desk,
    opened_round: bytes,
    kit: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def away(*_arguments: object) -> int:
        raise LinkError("unavailable", "no answer", is_temporary=True)

    data = encode_result(result_of(desk, opened_round, kit))
    with monkeypatch.context() as patch:
        patch.setattr(desk.context.link, "submit_statement", away)
        with pytest.raises(LinkError):
            record(desk.context, tmp_path, review_result(desk.context, tmp_path, data))
    assert not county.ledger.replays
    assert [row["is_logged"] for row in visits(tmp_path, desk.context.ledger)] == [0]
    assert record(desk.context, tmp_path, review_result(desk.context, tmp_path, data)).position is not None


def test_without_an_outcome_nothing_is_signed_and_the_visit_is_kept(
    county: FakeCounty, desk: Desk, opened_round: bytes, kit: bytes, tmp_path: Path
) -> None:
    trial = Trial("REFUSED", "", "records-gone", ())
    data = encode_result(result_of(desk, opened_round, kit, replay=trial))
    kept = record(desk.context, tmp_path, review_result(desk.context, tmp_path, data))
    assert (kept.statement, kept.position, county.ledger.replays) == (None, None, [])
    assert [(row["outcome"], row["statement"]) for row in visits(tmp_path)] == [("INCOMPLETE", "")]
    better = encode_result(result_of(desk, opened_round, kit))
    with pytest.raises(RefusalError, match="other-record"):
        record(desk.context, tmp_path, review_result(desk.context, tmp_path, better))
    assert list((desk.state.directory / "slots").glob("*.replayed")) == []


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "another round": ({"round": bytes(32)}, "another-visit"),
    "another school": ({"node": "s3"}, "another-visit"),
    "another attempt": ({"attempt": 1}, "another-visit"),
    "another report": ({"report": bytes(32)}, "another-visit"),
    "another federation": ({"federation": "county-2"}, "another-visit"),
    "a challenge of nobody": ({"challenge": bytes(32)}, "unknown-challenge"),
    "a trial that was not asked": ({"trials": {"rehearse": selftest()}}, "another-visit"),
    "a replay of eleven checks": (
        {"trials": {"replay": replace(replay(), checks=replay().checks[:-1])}},
        "short-replay",
    ),
    "checks of another name": (
        {
            "trials": {
                "replay": replace(replay(), checks=tuple(replace(row, name="ok") for row in replay().checks))
            }
        },
        "short-replay",
    ),
    "no confinement": ({"trials": {"replay": replace(replay(), confinement="")}}, "short-replay"),
}


@pytest.mark.parametrize("left", ["replay", "selftest"])
def test_a_trial_that_the_result_leaves_out_is_not_passed(
    desk: Desk, opened_round: bytes, kit: bytes, tmp_path: Path, left: str
) -> None:
    trials = {"replay": replay(), "selftest": selftest()}
    data = encode_result(result_of(desk, opened_round, kit, **{left: trials[left]}))
    review = review_result(desk.context, tmp_path, data)
    (missing,) = set(trials) - {left}
    assert (review.missing, review.outcome) == ((missing,), "INCOMPLETE")
    assert (review.statement is None) == (missing == "replay")
    assert any("SKIPPED" in line and "missing" in line for line in review_lines(review))
    assert any("missing" in line for line in next_steps(review))


def test_results_that_are_not_taken(desk: Desk, opened_round: bytes, kit: bytes, tmp_path: Path) -> None:
    honest = result_of(desk, opened_round, kit)
    found = {}
    for name, (changes, _code) in WRONG.items():
        with pytest.raises(RefusalError) as caught:
            review_result(desk.context, tmp_path, encode_result(replace(honest, **changes)))
        found[name] = caught.value.code
    assert found == {name: code for name, (_changes, code) in WRONG.items()}


SOME = SiteResult(
    challenge=bytes(32),
    federation="county-1",
    node=NODE,
    round=bytes(32),
    attempt=0,
    report=bytes(32),
    software=bytes(32),
    started="2026-11-22T09:00:00Z",
    ended="2026-11-22T09:00:09Z",
    trials={"replay": replay(), "selftest": selftest()},
)


def test_every_flipped_bit_of_a_result_is_refused_or_changes_its_meaning() -> None:
    data = encode_result(SOME)
    for place in range(0, len(data), 3):
        spoilt = bytearray(data)
        spoilt[place] ^= 4
        try:
            assert parse_result(bytes(spoilt)) != SOME
        except SiteFileError:
            continue


@pytest.mark.parametrize(
    "spoil",
    [
        lambda values: values | {"more": 1},
        lambda values: values | {"trials": {}},
        lambda values: values | {"attempt": 4},
        lambda values: values | {"started": "now"},
        lambda values: values | {"trials": {"replay": {**values["trials"]["replay"], "outcome": "FAIL"}}},
        lambda values: values | {"trials": {"replay": {**values["trials"]["replay"], "checks": []}}},
        lambda values: values | {"trials": {"replay": 7}},
        lambda values: values | {"format": VISIT_FORMAT},
    ],
)
def test_results_that_are_none(spoil: Any) -> None:
    values = json.loads(encode_result(SOME))
    with pytest.raises(SiteFileError):
        parse_result(encode_json(spoil(values)))


def test_another_program_is_told_and_a_changed_challenge_refused(
    desk: Desk, opened_round: bytes, kit: bytes, tmp_path: Path, county: FakeCounty
) -> None:
    honest = result_of(desk, opened_round, kit)
    review = review_result(desk.context, tmp_path, encode_result(replace(honest, software=bytes(32))))
    assert (review.outcome, review.is_same_program) == ("INCOMPLETE", False)
    path = tmp_path / "site" / "challenges" / f"{kit.hex()}.json"
    asked, _note = parse_challenge(path.read_bytes())
    other = replace(asked, schools=(replace(asked.schools[0], report=bytes(32)),))
    for forged, signer, report, code in (
        (asked, "a2", honest.report, "bad-result"),  # of another hand, under its own digest
        (other, "a1", bytes(32), "no-such-report"),  # asked for what the log does not have
    ):
        data = sign_file(CHALLENGE_FORMAT, challenge_values(forged), county.auditors[signer])
        digest = hashlib.sha256(data).digest()
        path.with_name(f"{digest.hex()}.json").write_bytes(data)
        result = replace(honest, challenge=digest, report=report)
        with pytest.raises(RefusalError) as caught:
            review_result(desk.context, tmp_path, encode_result(result))
        assert caught.value.code == code
    path.write_bytes(data)
    with pytest.raises(RefusalError, match="damaged"):
        review_result(desk.context, tmp_path, encode_result(honest))
    with pytest.raises(RefusalError, match="no-such-school"):
        make_challenge(desk.context, desk.context.ledger.rounds[opened_round], ["s99"], number=2)


# ---------------------------------------------------------------- the commands


@pytest.fixture
def folder(county: FakeCounty, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the folder of an auditor whose commands reach the fake county."""
    root, link = tmp_path / "a1", county.link("a1")
    made = AuditorFolder(root)
    write_config(made, AuditorConfig(federation=county.federation, id="a1", operator="大学", address="x:1"))
    made.keys.mkdir(exist_ok=True)
    for name, key in (("statement", county.keys("a1").statement), ("cosigner", county.keys("a1").cosigner)):
        (made.keys / f"{name}.key").write_bytes(key.seed.hex().encode() + b"\n")
    made.card.write_text(encode_card(county.card))
    made.policy.write_text(county.policy_text())

    @contextmanager
    def connect(_config: AuditorConfig, _tls: TlsFiles) -> Iterator[FakeLink]:
        yield link

    monkeypatch.setattr(watching, "connect", connect)
    monkeypatch.setattr(watching, "load_tls", lambda _folder: TlsFiles(b"", b"", b""))
    monkeypatch.setattr(watching, "utc_now", lambda: county.clock)
    return root


def test_an_afternoon_by_commands(
    county: FakeCounty, desk: Desk, opened_round: bytes, folder: Path, tmp_path: Path
) -> None:
    def run(*arguments: str, code: int = 0) -> Any:
        found = CliRunner().invoke(
            auditor, [*arguments, "--dir", str(folder), "--json"], catch_exceptions=False
        )
        assert found.exit_code == code, found.output
        return json.loads(found.stdout)

    prefix, kit = opened_round.hex()[:12], str(tmp_path / "kit")
    drawn = run("challenge", "select", prefix, "--number", "2")["schools"]
    made = run("site", "prepare", kit, "--round", prefix, "--number", "2")
    assert sorted(row["node"] for row in made["schools"]) == sorted(row["node"] for row in drawn)
    asked = run("site", "prepare", kit + "2", "--round", prefix, "--school", NODE, "--number", "0")
    assert asked["schools"][0]["place"] == 0
    result = tmp_path / "result.json"
    failed = result_of(desk, opened_round, bytes.fromhex(asked["challenge"]), replay=replay((7, 8)))
    result.write_bytes(encode_result(failed))
    said = run("site", "record", str(result), "--yes", code=1)
    assert (said["outcome"], said["replayed"]) == ("FAIL", "FAIL")
    assert county.ledger.replays[-1].statement.outcome == "FAIL"
    run("status")
    assert [row["is_logged"] for row in run("site", "list")["visits"]] == [1]
    software = desk.context.ledger.rounds[opened_round].reports[(NODE, 0)].statement.software.hex()
    release = tmp_path / "release.json"
    for digest, code in ((software, 0), ("ab" * 32, 1)):
        values = {"format": "fedscreen/release/v1", "version": "9", "commit": "", "software": digest}
        release.write_text(json.dumps({**values, "files": {"a": "0" * 64}, "libraries": {}}))
        named = run("install", "reports", prefix, "--release", str(release), code=code)["reports"]
        assert {row["version"] for row in named} == ({"9"} if code == 0 else {""})
    assert asked["without"] == ["rehearse", "release"]
    chosen = run("site", "prepare", kit + "3", "--round", prefix, "--school", NODE, "--only", "replay")
    assert chosen["without"] == ["release"]
    told = CliRunner().invoke(auditor, ["site", "record", str(result), "--yes", "--dir", str(folder)])
    assert "another program made it" in told.output
    assert "Telephone today" in told.output
    assert "Leave the computer switched on" in told.output


def test_an_updated_program_is_recorded_and_told_and_neither_passed_nor_failed(
    desk: Desk, opened_round: bytes, folder: Path, county: FakeCounty, tmp_path: Path
) -> None:
    """The replay's outcome is signed; the exit code says that something is left to be explained."""
    kit = prepare(desk, opened_round, folder)
    result = tmp_path / "result-s2.json"
    result.write_bytes(encode_result(replace(result_of(desk, opened_round, kit), software=bytes(32))))
    command = ["site", "record", str(result), "--yes"]
    found = CliRunner().invoke(auditor, [*command, "--dir", str(folder)])
    assert found.exit_code == 2, found.output
    assert "ANOTHER" in found.output
    assert "INCOMPLETE" in found.output
    assert f"'install reports {opened_round.hex()[:8]}'" in found.output
    assert county.ledger.replays[-1].statement.outcome == "PASS"
    (row,) = visits(folder)
    software = county.round(opened_round).reports[(NODE, 0)].statement.software
    assert (row["program"], row["reported_software"]) == ("another", software.hex())
    assert row["result"]["software"] == bytes(32).hex()
    refused = CliRunner().invoke(auditor, [*command, "--dir", str(tmp_path / "none"), "--json"])
    assert (refused.exit_code, json.loads(refused.stdout)["error"]) == (1, "no-auditor")


def test_skipped_checks_are_told_in_words(
    desk: Desk, opened_round: bytes, kit: bytes, tmp_path: Path
) -> None:
    checks = (TrialCheck(1, "wall", "PASS", "L3"), TrialCheck(2, "expected", "SKIP", "no-expected-json"))
    trials = {"replay": replay(), "selftest": Trial("PASS", "L3", "", checks)}
    review = review_result(
        desk.context, tmp_path, encode_result(result_of(desk, opened_round, kit, **trials))
    )
    (line,) = (line for line in review_lines(review) if "SKIPPED" in line)
    assert "no-expected-json" not in line
    assert "expected.json" in line


def test_the_kits_page_says_who_records_and_what_is_not_in_it(kit: bytes, tmp_path: Path) -> None:
    text = (tmp_path / "kit1" / "READ-ME.txt").read_text("utf-8-sig")
    assert "key keeper" in text
    assert "a1" in text
    assert "no release.json" in text
    assert "replay, selftest." in text
    assert "%(" not in text
    assert "--out" not in text
