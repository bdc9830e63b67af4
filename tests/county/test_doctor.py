"""The county's doctor: each finding once good and once not, with something to do; and what it exits with."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner
from fakes_county import CountySimulator

from coordinator import doctor
from coordinator.cli import coordinator as group
from coordinator.doctor import Finding, examine


class Usage(NamedTuple):
    free: int


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> CountySimulator:
    county = CountySimulator(tmp_path_factory.mktemp("doctor"), schools=1)
    county.work(max_passes=3)
    return county


def look(county: CountySimulator, days: float = 0) -> dict[str, Finding]:
    before = county.now
    county.now += timedelta(days=days)
    try:
        return {row.name: row for row in examine(county.coordinator, county.now)}
    finally:
        county.now = before


def test_everything_is_looked_at(county: CountySimulator) -> None:
    found = look(county)
    always_good = {
        "auditors",
        "ca",
        "certificates",
        "clock",
        "database",
        "keys",
        "log",
        "permissions",
        "roster",
    }
    assert set(found) == always_good | {"address", "backup", "certificate", "disk", "port", "server"}
    assert {name for name, row in found.items() if row.state == "OK"} >= always_good
    assert all(row.advice is not None for row in found.values() if row.state in ("WARN", "FAIL"))


def test_time_shows_who_is_silent_and_what_runs_out(county: CountySimulator) -> None:
    assert look(county, 2)["auditors"].state == "FAIL"
    assert look(county, -1)["clock"].state == "FAIL"
    assert look(county, 85)["certificates"].state == "WARN"
    assert "expired" in str(look(county, 95)["certificates"].found)
    assert look(county, 19 * 365)["ca"].state == "WARN"
    assert look(county, 21 * 365)["ca"].state == "FAIL"


def test_a_key_that_others_may_read(county: CountySimulator) -> None:
    path = county.coordinator.home.directory / "keys" / "log.key"
    path.chmod(0o644)
    assert look(county)["permissions"].state == "FAIL"
    path.chmod(0o600)


def test_a_full_disk(county: CountySimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    for free, state in ((1 << 20, "FAIL"), (1 << 30, "WARN"), (1 << 40, "OK")):
        monkeypatch.setattr(
            doctor.shutil, "disk_usage", lambda _path, free=free: type("u", (), {"free": free})
        )
        assert look(county)["disk"].state == state


def test_the_command_is_json_and_exits_with_one_on_a_failure(county: CountySimulator, tmp_path: Path) -> None:
    home = county.coordinator.home.directory
    result = CliRunner().invoke(group, ["doctor", "--dir", str(home), "--json"])
    values = json.loads(result.stdout)
    assert result.exit_code == (1 if values["outcome"] == "FAIL" else 0)
    assert {"name", "state", "found", "advice"} == set(values["findings"][0])
    nothing = CliRunner().invoke(group, ["doctor", "--dir", str(tmp_path), "--json"])
    assert nothing.exit_code == 1
    assert json.loads(nothing.stdout)["error"]


def test_a_roll_that_stopped_half_way_and_a_member_who_waits(county: CountySimulator) -> None:
    county.coordinator.roll_key("log")
    county.coordinator.leave("node", "s01")
    found = look(county)
    assert (found["keys"].state, found["roster"].state) == ("WARN", "WARN")
    assert "log" in str(found["keys"].found)


def run(county: CountySimulator, *arguments: str, code: int = 0, words: bool = False) -> Any:
    command = [*arguments, "--dir", str(county.coordinator.home.directory), *([] if words else ["--json"])]
    result = CliRunner().invoke(group, command, catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output if words else json.loads(result.stdout)


def test_the_commands_about_keys_and_members(county: CountySimulator, tmp_path: Path) -> None:
    rolled = run(county, "keys", "roll", "statement")
    assert (rolled["purpose"], rolled["is_new"]) == ("statement", True)
    assert run(county, "keys", "roll", "statement") == {**rolled, "is_new": False}
    listed = run(county, "keys", "list")["keys"]
    states = [(row["number"], row["state"]) for row in listed if row["purpose"] == "statement"]
    assert states == [(1, "in-force"), (2, "waiting")]
    assert "statement" in run(county, "keys", "list", words=True)
    assert run(county, "keys", "retire", "statement", code=1)["error"] == "roster"
    assert run(county, "member", "set", "s01", "deployment=b")["attributes"] == {"deployment": "b"}
    assert run(county, "member", "set", "s01", "deployment=x", code=1)["error"] == "roster"
    assert run(county, "member", "leave", "s09", code=1)["error"] == "not-rostered"
    members = {row["id"]: row for row in run(county, "member", "list")["members"]}
    assert members["s01"]["attributes"]["deployment"] == "b"
    assert members["a1"]["state"] == "rostered"
    assert "s01" in run(county, "member", "list", words=True)
    bad = tmp_path / "schools.csv"
    bad.write_text("学校标识,学校名称\ns01,另一所学校\nS 2,第二中学\n", "utf-8")
    found = run(county, "invite", "--list", str(bad), "--out", str(tmp_path / "out"), code=1)
    assert [(row["row"], row["column"]) for row in found["findings"]] == [(3, "学校标识"), (2, "学校标识")]
    assert not (tmp_path / "out").exists()
    one = ["invite", "--id", "s50", "--operator", "第五十小学", "--out", str(tmp_path / "out")]
    assert run(county, *one, "--online", code=1)["error"] == "roster"  # no port for it
    assert run(county, *one)["invitations"]
