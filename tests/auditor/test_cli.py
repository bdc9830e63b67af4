"""The commands, on a coordinator in memory: what they print, what they ask, how they exit."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from fakes_auditors import FakeCounty, FakeLink, run_all, small_plan

from auditor import watch as watching
from auditor.cli import auditor
from auditor.config import AuditorConfig, AuditorFolder, write_config
from auditor.desk import Desk, Event
from auditor.errors import LinkError, SplitViewError
from auditor.keys import TlsFiles
from plan.document import PlanDocument
from plan.errors import phrase
from plan.table_spec import TableSpec
from protos.card import encode_card
from protos.statements import Extension


class Commands:
    """Runs commands of one auditor of a fake county."""

    def __init__(self, county: FakeCounty, root: Path, name: str) -> None:
        self.county, self.root, self.name = county, root, name
        self.link: FakeLink = county.link(name)
        folder = AuditorFolder(root)
        write_config(
            folder, AuditorConfig(federation=county.federation, id=name, operator="大学", address="x:1")
        )
        keys = county.keys(name)
        folder.keys.mkdir()
        for file, key in (("statement.key", keys.statement), ("cosigner.key", keys.cosigner)):
            (folder.keys / file).write_bytes(key.seed.hex().encode() + b"\n")
        folder.card.write_text(encode_card(county.card))
        folder.policy.write_text(county.policy_text())

    def __call__(self, *arguments: str, answer: str = "") -> Result:
        return CliRunner().invoke(auditor, [*arguments, "--dir", str(self.root)], input=answer)


@pytest.fixture
def commands(county: FakeCounty, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    made = Commands(county, tmp_path / "folder", "a1")

    @contextmanager
    def connect(_config: AuditorConfig, _tls: TlsFiles) -> Iterator[FakeLink]:
        yield made.link

    monkeypatch.setattr(watching, "connect", connect)
    monkeypatch.setattr(watching, "load_tls", lambda _folder: TlsFiles(b"", b"", b""))
    monkeypatch.setattr(watching, "utc_now", lambda: county.clock)
    return made


@pytest.fixture
def others(county: FakeCounty, tmp_path: Path) -> dict[str, Desk]:
    return {name: county.desk(name, tmp_path / name) for name in ("a2", "a3", "a4")}


def test_init_makes_a_request_once(tmp_path: Path) -> None:
    arguments = ["init", "--dir", str(tmp_path / "x"), "--federation", "f", "--id", "a", "--operator", "大学"]
    first = CliRunner().invoke(auditor, [*arguments, "--poll", "0.2", "--json"])
    assert first.exit_code == 0, first.output
    assert Path(json.loads(first.output)["request"]).is_file()
    second = CliRunner().invoke(auditor, [*arguments, "--json"])
    assert second.exit_code == 1
    assert json.loads(second.output)["error"] == "ConfigError"


@pytest.mark.parametrize("name", ["A", "a b", "", "-a"])
def test_init_refuses_a_bad_id(tmp_path: Path, name: str) -> None:
    arguments = ["init", "--dir", str(tmp_path / "x"), "--federation", "f", "--id", name, "--operator", "o"]
    assert CliRunner().invoke(auditor, arguments).exit_code == 1
    assert not (tmp_path / "x").exists()


def test_a_command_before_init_says_what_to_do(tmp_path: Path) -> None:
    result = CliRunner().invoke(auditor, ["status", "--dir", str(tmp_path)])
    assert result.exit_code == 1
    assert "auditor init" in result.output


def test_join_with_a_wrong_file_is_refused(commands: Commands, tmp_path: Path) -> None:
    grant = tmp_path / "grant.json"
    grant.write_text("{}")
    result = commands("join", "--grant", str(grant), "--fingerprint", "x", "--json")
    assert result.exit_code == 1
    assert json.loads(result.output)["error"] == "EnrolmentError"


def test_sign_roster_shows_and_asks(county: FakeCounty, commands: Commands) -> None:
    body = county.ledger.roster.body
    county.propose(replace(body, nodes=body.nodes[1:]))
    refused = commands("sign-roster", answer="n\n")
    assert refused.exit_code == 1
    assert "- 1 schools: s1" in refused.output
    assert _signatures(county) == 1
    signed = commands("sign-roster", answer="y\n")
    assert signed.exit_code == 0
    assert _signatures(county) == 2
    again = commands("sign-roster", "--yes", "--json")
    assert json.loads(again.output)["rosters"][0]["is_logged"] is False


def test_status_says_that_a_roster_waits_or_must_not_be_signed(
    county: FakeCounty, commands: Commands
) -> None:
    body = county.ledger.roster.body
    county.propose(replace(body, nodes=body.nodes[1:]))
    waiting = commands("status")
    assert "first sitting now" in waiting.output
    assert "$ fedscreen auditor sign-roster" in waiting.output
    commands("sign-roster", "--yes")
    assert [row["code"] for row in json.loads(commands("status", "--json").output)["due"]] == ["cosign"]
    county.proposals.clear()
    county.propose(body, serial=9)
    assert "must not be signed; tell the county by telephone" in commands("status").output


def test_status_between_init_and_join_says_the_next_step(tmp_path: Path) -> None:
    words = ["--dir", str(tmp_path / "new")]
    made = ["init", *words, "--federation", "county-1", "--id", "a1", "--operator", "大学"]
    assert CliRunner().invoke(auditor, made).exit_code == 0
    for command in (["status"], ["offline", "status"]):
        shown = CliRunner().invoke(auditor, [*command, *words])
        assert shown.exit_code == 0, shown.output
        assert "request.json to the coordinator" in shown.output
        assert "$ fedscreen auditor join --grant" in shown.output
    assert CliRunner().invoke(auditor, ["status", *words, "--check"]).exit_code == 1


def test_status_without_the_county_shows_what_is_known_here(
    county: FakeCounty, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    county.publish_plan()
    assert commands("status").exit_code == 0

    def away(*_ignored: object) -> None:
        raise LinkError("unavailable", "failed to connect to all addresses; ipv4:9", is_temporary=True)

    monkeypatch.setattr(FakeLink, "get_log", away)
    shown = commands("status")
    assert shown.exit_code == 0, shown.output
    assert "coordinator is not reached" in shown.output.split("\n")[0]
    assert "plan 1 (" in shown.output
    assert "ipv4" not in shown.output
    assert json.loads(commands("status", "--json").output)["link"] == "unavailable"
    assert commands("status", "--check").exit_code == 1


def _signatures(county: FakeCounty) -> int:
    return len(county.proposals[0].signatures)


def test_sign_roster_with_nothing_to_sign(commands: Commands) -> None:
    assert "no roster waits" in commands("sign-roster").output


def test_approve_shows_asks_and_approves_once(county: FakeCounty, commands: Commands) -> None:
    round_id = county.publish_plan()
    refused = commands("approve", answer="n\n")
    assert refused.exit_code == 1
    assert "小计划" in refused.output
    assert "costs rho 0.2" in refused.output
    assert not county.round(round_id).approvals
    assert commands("approve", answer="y\n").exit_code == 0
    assert list(county.round(round_id).approvals) == ["a1"]
    assert "no plan waits" in commands("approve").output
    again = commands("approve", round_id.hex()[:8], "--yes", "--json")
    assert json.loads(again.output)["approved"][0]["round"] == round_id.hex()


def test_a_plan_is_shown_in_plain_words_and_against_the_last_of_its_id(
    county: FakeCounty, commands: Commands
) -> None:
    county.publish_plan()
    first = commands("approve", answer="n\n")
    assert (
        "recipients: 县教育局; legal basis: 教思政厅函〔2021〕10号; release class: internal" in first.output
    )
    assert "the guarantee holds for: replace-one" in first.output
    assert "no plan of this id was approved before" in first.output
    commands("approve", "--yes")
    again = commands("approve", next(iter(county.ledger.rounds)).hex(), "--yes")
    assert "no plan of this id was approved before" in again.output
    now = replace(small_plan(), rho=small_plan().rho / 2, purpose="另一目的")
    changed = commands("approve", county.publish_plan(now).hex()[:8], answer="n\n").output
    assert "against plan 1 (2026-2027), the last of this id:" in changed
    assert "! cost ρ: 1/5 → 1/10" in changed
    assert "! purpose: 测试 → 另一目的" in changed
    same = commands("approve", county.publish_plan().hex()[:8], answer="n\n").output
    assert "says the same as plan 1 (2026-2027)" in same


def test_a_refused_plan_keeps_no_other_waiting(county: FakeCounty, commands: Commands) -> None:
    policy = AuditorFolder(commands.root).policy
    policy.write_text(policy.read_text() + "forbid-table A3\n")
    bad = county.publish_plan()
    good = county.publish_plan(other_plan("second", "boarding"))
    shown = commands("approve", answer="y\n")
    assert shown.exit_code == 1
    assert "refused: plan 1" in shown.output
    assert "A3, which the policy forbids" in shown.output
    assert "do not loosen the policy" in shown.output
    assert "a1" not in county.round(bad).approvals
    assert "a1" in county.round(good).approvals
    again = json.loads(commands("approve", "--yes", "--json").output)
    assert (again["approved"], again["error"]) == ([], "forbid-table")
    assert [row["round"] for row in again["refused"]] == [bad.hex()]


@pytest.mark.parametrize("prefix", ["ab", "zzzz", "0000"])
def test_approve_needs_one_round(county: FakeCounty, commands: Commands, prefix: str) -> None:
    county.publish_plan()
    result = commands("approve", prefix, "--yes", "--json")
    assert result.exit_code == 1
    assert json.loads(result.output)["error"] == "no-such-round"


def test_approve_refuses_by_policy_with_the_code(county: FakeCounty, commands: Commands) -> None:
    policy = AuditorFolder(commands.root).policy
    policy.write_text(policy.read_text().replace("max-rho 1/4", "max-rho 1/9"))
    county.publish_plan()
    result = commands("approve", "--yes", "--json")
    assert result.exit_code == 1
    assert json.loads(result.output)["error"] == "max-rho"


def test_a_policy_for_another_federation_is_refused(commands: Commands) -> None:
    policy = AuditorFolder(commands.root).policy
    line = next(row for row in policy.read_text().split("\n") if row.startswith("genesis"))
    policy.write_text(policy.read_text().replace(line, "genesis " + "0" * 64))
    result = commands("status", "--json")
    assert json.loads(result.output)["error"] == "policy-pins"


def test_a_whole_round_by_commands(
    county: FakeCounty, commands: Commands, others: dict[str, Desk], tmp_path: Path
) -> None:
    round_id = county.publish_plan()
    assert commands("status", "--check").exit_code == 1
    assert commands("approve", "--yes").exit_code == 0
    for desk in others.values():
        desk.approve(round_id)
    county.collect(round_id)
    assert "the log waits for your cosignature" in commands("status").output
    commands("watch", "--once")
    idle = commands("status", "--check")
    assert (idle.exit_code, "nothing to do now" in idle.output) == (0, True)
    county.fix_candidates(round_id)
    due = commands("status", "--check")
    assert (due.exit_code, "second sitting now" in due.output) == (1, True)
    assert "$ fedscreen auditor watch" in due.output
    watched = commands("watch", "--once").output
    assert "check: round" in watched
    assert "checked; waits for the others' checks" in watched
    run_all(list(others.values()), 1)
    county.close(round_id)
    for _ in range(3):
        events = [
            json.loads(line) for line in commands("watch", "--once", "--json").output.split("\n") if line
        ]
        run_all(list(others.values()), 1)
    assert events[-1]["event"] in ("opening", "cosigned")
    assert {event["event"] for event in events}.isdisjoint({"next"})
    again = json.loads(commands("resend", round_id.hex()[:8], "--json").output)
    assert again == {
        "sent": [{"round": round_id.hex(), "index": county.round(round_id).openings["a1"].index}]
    }
    county.release_real(round_id)
    run_all(list(others.values()), 2)
    status = json.loads(commands("status", "--json").output)
    assert status["rounds"][0]["signed"] == ["approval", "checked", "agreement", "opening"]
    assert status["rounds"][0]["has_key"] is False
    assert "released" in commands("status", "--offline").output
    assert "rounds that are over: 1" in commands("status").output
    assert "no answer of this auditor waits" in commands("resend").output
    out = tmp_path / "bundle"
    written = commands("bundle", str(out), "--json")
    assert json.loads(written.output)["kind"] == "auditor"
    assert commands("bundle", str(out)).exit_code == 1
    _assert_verifies(commands.root / "policy.txt", out)


def _assert_verifies(policy: Path, bundle: Path) -> None:
    good = CliRunner().invoke(auditor, ["verify", str(bundle), "--policy", str(policy)])
    assert good.exit_code == 0, good.output
    assert "every check passed" in good.output
    assert CliRunner().invoke(auditor, ["verify", str(bundle)]).exit_code == 2
    (bundle / "extra").write_text("x")
    bad = CliRunner().invoke(auditor, ["verify", str(bundle), "--policy", str(policy), "--json"])
    assert bad.exit_code == 1
    assert json.loads(bad.output)["verify"] == "FAIL"


def test_verify_needs_a_bundle_and_a_readable_policy(tmp_path: Path) -> None:
    assert CliRunner().invoke(auditor, ["verify", str(tmp_path / "none")]).exit_code == 2
    (tmp_path / "policy").write_text("nonsense")
    result = CliRunner().invoke(auditor, ["verify", str(tmp_path), "--policy", str(tmp_path / "policy")])
    assert result.exit_code == 1


# --- watch ------------------------------------------------------------------------------------


class Script:
    """A desk whose steps are written down."""

    def __init__(self, stop: threading.Event, *steps: list[Event] | Exception) -> None:
        self.stop, self.steps = stop, list(steps)

    def step(self) -> list[Event]:
        """Play the next step; stops after the last."""
        step = self.steps.pop(0)
        if not self.steps:
            self.stop.set()
        if isinstance(step, Exception):
            raise step
        return step


def _watch(*steps: list[Event] | Exception) -> list[Event]:
    stop, told = threading.Event(), list[Event]()
    watching.watch(Script(stop, *steps), 0.0, stop, told.append)  # type: ignore[arg-type]
    return told


def test_watch_tells_progress_always_and_waiting_once() -> None:
    waiting, progress = Event("waiting", None, phrase("x"), False), Event("cosigned", None, phrase("y"), True)
    assert _watch([waiting], [waiting], [progress], [progress], [waiting]) == [
        *(waiting, progress, progress, waiting)
    ]


def test_watch_waits_for_a_coordinator_that_is_away() -> None:
    away = LinkError("unavailable", "no answer", is_temporary=True)
    assert [event.kind for event in _watch(away, away, [Event("cosigned", None, phrase("y"), True)])] == [
        *("waiting", "cosigned")
    ]


@pytest.mark.parametrize(
    "error", [LinkError("permission-denied", "no", is_temporary=False), SplitViewError("rollback")]
)
def test_watch_ends_when_nothing_more_may_be_signed(error: Exception) -> None:
    with pytest.raises(type(error)):
        _watch(error, [])


def test_a_school_years_plans_are_approved_in_one_sitting(county: FakeCounty, commands: Commands) -> None:
    rounds = [county.publish_plan(), county.publish_plan(other_plan("second", "boarding"))]
    declined = commands("approve", "--year", answer="n\n")
    assert declined.exit_code == 1
    assert all("a1" not in county.round(round_id).approvals for round_id in rounds)
    shown = commands("approve", "--year", answer="y\n")
    assert shown.exit_code == 0, shown.output
    assert shown.output.count("[y/N]") == 1
    assert "2 plans cost rho 0.4 together" in shown.output
    assert "no plan of this id in an earlier school year" in shown.output
    assert all("a1" in county.round(round_id).approvals for round_id in rounds)
    assert json.loads(commands("approve", "--year", "--json").output) == {"approved": []}


def test_a_plan_is_shown_against_that_of_the_year_before(county: FakeCounty, commands: Commands) -> None:
    now = small_plan()
    earlier = replace(
        now,
        school_year="2025-2026",
        census_date=now.census_date.replace(year=2025),
        opens=now.opens.replace(year=2025),
        closes=now.closes.replace(year=2025),
        rho=now.rho / 2,
    )
    county.approve(county.publish_plan(earlier), ["a1", "a2", "a3", "a4"])
    round_id = county.publish_plan(now)
    shown = commands("approve", round_id.hex()[:8], "--year", answer="n\n")
    assert "against the last school year" in shown.output
    assert "! cost ρ: 1/10 → 1/5" in shown.output
    assert "approved before: 0; then: 0.2 of at most 1/2" in shown.output


def test_a_year_over_the_policys_bound_is_refused_whole(county: FakeCounty, commands: Commands) -> None:
    rounds = [county.publish_plan()]
    rounds += [county.publish_plan(other_plan(name, name)) for name in ("boarding", "family", "migrant")]
    refused = commands("approve", "--year", "--yes", "--json")
    assert (refused.exit_code, json.loads(refused.output)["error"]) == (1, "max-rho-year")
    assert all("a1" not in county.round(round_id).approvals for round_id in rounds)


def test_one_refused_plan_of_a_year_is_named_and_keeps_no_other_waiting(
    county: FakeCounty, commands: Commands
) -> None:
    good = county.publish_plan()
    bad = county.publish_plan(replace(other_plan("second", "boarding"), rho=2 * small_plan().rho))
    shown = commands("approve", "--year", answer="y\n")
    assert shown.exit_code == 1
    assert f"refused: plan 2 ({bad.hex()[:16]}): max-rho: the plan costs rho 2/5" in shown.output
    assert "plan 1: " in shown.output
    assert (set(county.round(good).approvals), set(county.round(bad).approvals)) == ({"a1"}, set())
    again = commands("approve", "--year", "--json")
    values = json.loads(again.output)
    assert (again.exit_code, values["approved"], values["error"]) == (1, [], "max-rho")
    assert [row["round"] for row in values["refused"]] == [bad.hex()]


def test_two_plans_of_a_year_that_count_the_same_are_both_left_out(
    county: FakeCounty, commands: Commands
) -> None:
    twins = [county.publish_plan(), county.publish_plan(replace(small_plan(), title="again"))]
    other = county.publish_plan(other_plan("second", "boarding"))
    values = json.loads(commands("approve", "--year", "--yes", "--json").output)
    assert [row["round"] for row in values["refused"]] == [row.hex() for row in twins]
    assert {row["error"] for row in values["refused"]} == {"second-plan"}
    assert [row["round"] for row in values["approved"]] == [other.hex()]


def test_a_later_deadline_is_shown_asked_for_and_granted(county: FakeCounty, commands: Commands) -> None:
    nothing = commands("extend")
    assert (nothing.exit_code, "no later deadline" in nothing.output) == (0, True)
    round_id = county.publish_plan()
    assert commands("approve", "--yes").exit_code == 0
    county.approve(round_id, ["a2", "a3", "a4"])
    terms = county.round(round_id).terms
    asked = Extension(county.federation, round_id, 1, terms.closes + timedelta(days=5), "holiday")
    county.add(asked, b"", [county.coordinator])
    assert commands("extend", answer="n\n").exit_code == 1
    granted = commands("extend", answer="y\n")
    assert granted.exit_code == 0, granted.output
    assert "holidays" in granted.output
    assert set(
        county.round(round_id).changes.extended[county.round(round_id).changes.extensions[0].digest]
    ) == {"a1"}
    assert json.loads(commands("extend", "--json").output) == {"granted": []}


def other_plan(name: str, dim: str) -> PlanDocument:
    """A plan of the same wave that counts something else."""
    table = TableSpec(id="K1", title=name, dims=(dim, "level"), where=(("disposition", ("1", "2")),))
    return replace(small_plan(), id=name, tables=(table,))
