"""A school answers a challenge only if its own log says that it has to, and writes down what was found."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fakes_vault import SchoolHouse

from node import audit_selftest
from node.audit_checks import AuditError
from node.audit_visit import choose_file, outcome_of, visit
from node.cli import node as node_group
from node.cli_audit import visit_lines
from node.config import NodeConfig, open_folder, write_config
from node.vault.errors import ReplayError
from protos.site_visit import (
    CHALLENGE_FORMAT,
    SiteChallenge,
    SiteSchool,
    challenge_values,
    encode_result,
    parse_result,
    result_values,
    sign_file,
)

Answer = tuple[dict[str, Any], dict[str, bytes]]


class Session:
    """A vault session on a desk in this process."""

    def __init__(self, house: SchoolHouse) -> None:
        self._house = house

    def call(self, command: dict[str, Any], files: dict[str, bytes] | None = None) -> Answer:
        return self._house.desk.handle(command, files or {})


@pytest.fixture
def asked(house: SchoolHouse) -> SiteChallenge:
    """A challenge for this school's delivered report."""
    round_id = house.start_round()
    house.release(round_id)
    house.submit()
    house.sync()
    logged = house.federation.ledger.rounds[round_id].reports[(house.node, 0)]
    school = SiteSchool(house.node, 0, logged.digest, 3)
    return SiteChallenge(
        federation=house.federation.federation,
        auditor="a1",
        round=round_id,
        close=bytes(32),
        number=5,
        visit=1,
        issued="2026-11-22T00:00:00Z",
        schools=(school,),
        trials=("replay", "selftest"),
    )


def signed(house: SchoolHouse, challenge: SiteChallenge, auditor: str = "a1") -> bytes:
    return sign_file(CHALLENGE_FORMAT, challenge_values(challenge), house.federation.auditors[auditor])


def test_a_school_answers_an_auditor_of_its_roster(house: SchoolHouse, asked: SiteChallenge) -> None:
    answer = house.call("visit", {"challenge": signed(house, asked)})
    assert (answer["auditor"], answer["draw"], answer["trials"]) == ("a1", "unknown", ["replay", "selftest"])


def test_challenges_that_are_not_answered(house: SchoolHouse, asked: SiteChallenge) -> None:
    def about(**changes: Any) -> bytes:
        return signed(house, replace(asked, schools=(replace(asked.schools[0], **changes),)))

    cases = [
        ("bad-challenge", signed(house, asked, "a2")),
        ("not-an-auditor", signed(house, replace(asked, auditor="a9"))),
        ("not-an-auditor", signed(house, replace(asked, federation="county-2"))),
        ("no-such-round", signed(house, replace(asked, round=bytes(32)))),
        ("not-asked", about(node="another")),
        ("another-report", about(report=bytes(32))),
        ("another-report", about(attempt=1)),
        *(
            ("bad-challenge", data)
            for data in (b"", b"{}", b"\xff", b'{"format":"fedscreen/site-challenge/v1"}')
        ),
    ]
    found = []
    assert house.call("visit", {"challenge": signed(house, asked, "a1")})["auditor"] == "a1"
    house.desk.enrolled().mirror.ledger.revoked_auditors["a3"] = 1
    cases.append(("not-an-auditor", signed(house, replace(asked, auditor="a3"), "a3")))
    for _code, data in cases:
        with pytest.raises(ReplayError) as caught:
            house.call("visit", {"challenge": data})
        found.append(caught.value.code)
    assert found == [code for code, _data in cases]


def test_a_draw_that_the_log_does_not_give_is_refused(
    house: SchoolHouse, asked: SiteChallenge, monkeypatch: pytest.MonkeyPatch
) -> None:
    from protos.bodies import ReportName
    from protos.challenge import Challenge

    names = tuple(ReportName(f"s{n}", 0, bytes(32)) for n in range(9))
    own = ReportName(house.node, 0, asked.schools[0].report)
    drawn = Challenge(bytes(32), bytes(32), {}, (), (), tuple(sorted((*names, own))), 5)
    place = [row.node for row in drawn.draw(10)].index(house.node) + 1
    monkeypatch.setattr("node.vault.visit.challenge_of", lambda _round: drawn)
    right = replace(asked, number=place, schools=(replace(asked.schools[0], place=place),))
    assert house.call("visit", {"challenge": signed(house, right)})["draw"] == "drawn"
    unasked = replace(asked, number=0, schools=(replace(asked.schools[0], place=0),))
    assert house.call("visit", {"challenge": signed(house, unasked)})["draw"] == "asked"
    for wrong in (
        replace(right, schools=(replace(right.schools[0], place=place + 1),)),
        replace(right, close=bytes([1]) * 32),
    ):
        with pytest.raises(ReplayError) as caught:
            house.call("visit", {"challenge": signed(house, wrong)})
        assert caught.value.code == "not-drawn"


def run(house: SchoolHouse, challenge: SiteChallenge, tmp_path: Path) -> Any:
    kit = tmp_path / "kit"
    kit.mkdir()
    (kit / "challenge.json").write_bytes(signed(house, challenge))
    session: Any = Session(house)
    return visit(kit, session, "L0", lambda: datetime(2026, 11, 22, tzinfo=UTC), lambda _name: None)


def test_the_result_is_what_the_trials_said(
    house: SchoolHouse, asked: SiteChallenge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {
        "outcome": "PASS",
        "confinement": "L3",
        "checks": [{"number": 1, "name": "wall", "result": "PASS", "note": "2⁻³⁹"}],
    }
    monkeypatch.setattr(audit_selftest, "run_selftest", lambda _floor: values)
    result = run(house, asked, tmp_path)
    assert parse_result(encode_result(result)) == result
    assert outcome_of(result) == "PASS"
    assert result.challenge == hashlib.sha256(signed(house, asked)).digest()
    assert [row.name for row in result.trials["replay"].checks][-1] == "log"
    assert result.trials["selftest"].checks[0].note == "2???"


def test_a_tampered_school_fails_its_visit(house: SchoolHouse, asked: SiteChallenge, tmp_path: Path) -> None:
    with house.store.transaction("tamper"):
        house.store.execute("DELETE FROM record", ())
    result = run(house, replace(asked, trials=("replay",)), tmp_path)
    assert (outcome_of(result), result.trials["replay"].failed) == ("FAIL", (5, 6))


def test_a_trial_that_cannot_be_made_is_written_down(
    house: SchoolHouse, asked: SiteChallenge, tmp_path: Path
) -> None:
    result = run(house, replace(asked, trials=("rehearse",)), tmp_path)
    assert result.trials["rehearse"].outcome == "REFUSED"
    assert outcome_of(result) == "REFUSED"
    assert parse_result(encode_result(result)) == result


def test_a_result_is_named_after_its_school_and_written_over_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert choose_file(None, "s03") == Path("result-s03.json")
    for name in ("result-s03.json", "mine.json"):
        (tmp_path / name).write_bytes(b"first")
    (tmp_path / "link.json").symlink_to("nowhere")
    for out in (None, Path("mine.json"), Path("link.json")):
        with pytest.raises(AuditError) as caught:
            choose_file(out, "s03")
        assert caught.value.code == "exists"


def test_what_a_kit_did_not_ask_for_is_told(house: SchoolHouse, asked: SiteChallenge, tmp_path: Path) -> None:
    result = run(house, replace(asked, trials=("replay",)), tmp_path)
    values = {**result_values(result), "outcome": outcome_of(result), "file": "result-s03.json"}
    lines = list(visit_lines(values))
    assert "12 of 12" in lines[0]
    assert [line for line in lines if "not asked" in line] == lines[1:3]
    assert lines[3].startswith("PASS")


def test_the_command_refuses_a_file_that_is_there_before_anybody_types_a_passphrase(tmp_path: Path) -> None:
    folder = open_folder(tmp_path / "node")
    folder.root.mkdir()
    write_config(folder, NodeConfig("demo", "s03", "passphrase"))
    (tmp_path / "kit").mkdir()
    (tmp_path / "result.json").write_bytes(b"first")
    found = CliRunner().invoke(
        node_group,
        [
            *("audit", "visit", str(tmp_path / "kit"), "--dir", str(folder.root), "--json"),
            *("--out", str(tmp_path / "result.json")),
        ],
    )
    assert (found.exit_code, json.loads(found.stdout)["error"]) == (1, "exists")
    assert (tmp_path / "result.json").read_bytes() == b"first"


def test_a_result_holds_no_pupil_and_no_count(
    house: SchoolHouse, asked: SiteChallenge, tmp_path: Path
) -> None:
    """What goes back on the stick and what is shown: names and outcomes of checks alone."""
    result = run(house, replace(asked, trials=("replay",)), tmp_path)
    lines = list(visit_lines({**result_values(result), "outcome": "PASS", "file": "x"}))
    shown = encode_result(result) + repr(lines).encode()
    keys = [bytes(row[0]) for row in house.store.query("SELECT rec_key FROM record")]
    assert keys
    assert not [key for key in keys if key in shown or key.hex().encode() in shown]
    assert {row.note for row in result.trials["replay"].checks} <= {""}
