"""The commands: one county from init to results, JSON for programs, exit codes as documented."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from fakes_coordinator import PLAN_TOML, START, County, School

from coordinator.cli import coordinator
from coordinator.desk import Desk
from coordinator.serve import serve
from crypto.fingerprint import read_fingerprint
from protos.card import fingerprint, parse_card
from protos.enrolment import parse_grant


def run(*arguments: object) -> Result:
    return CliRunner().invoke(coordinator, [str(item) for item in arguments], catch_exceptions=False)


def answer(result: Result, code: int = 0) -> dict[str, object]:
    assert result.exit_code == code, result.output
    values = json.loads(result.stdout)
    assert isinstance(values, dict)
    return values


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    settings = [
        f"--set={line}" for line in ("open_grace_s = 0.0", 'address = "127.0.0.1:1"', "tick_s = 0.05")
    ]
    result = run("init", "--dir", tmp_path / "c", "--federation", "county-1", "--demo", *settings, "--json")
    assert answer(result)["federation"] == "county-1"
    return tmp_path / "c"


def requests(county: County, folder: Path) -> list[Path]:
    paths = []
    for party in county.parties():
        paths.append(folder.parent / f"{party.id}.request.json")
        paths[-1].write_bytes(party.request())
    return paths


def plan_file(folder: Path) -> Path:
    """The small plan with a window around the real clock, whose school year has begun."""
    now = datetime.now(UTC).replace(microsecond=0)
    census = (now - timedelta(days=1)).date()
    first = census.year if census.month >= 9 else census.year - 1
    text = PLAN_TOML.replace("2026-2027", f"{first}-{first + 1}").replace("2026-09-30", census.isoformat())
    text = re.sub("opens = .*", f"opens = {(now - timedelta(hours=1)).isoformat()}", text)
    text = re.sub("closes = .*", f"closes = {(now + timedelta(days=9)).isoformat()}", text)
    path = folder.parent / "plan.toml"
    path.write_text(text, "utf-8")
    return path


def adopt(folder: Path) -> County:
    """Put schools and auditors around a folder that the commands made; the clock is the real one."""
    return County(folder, clock=datetime.now(UTC))


def test_from_init_to_results(folder: Path, tmp_path: Path) -> None:
    county = adopt(folder)
    paths = requests(county, folder)
    first = answer(run("approve", *paths, "--dir", folder, "--out", tmp_path / "grants", "--json"))
    assert [row["has_card"] for row in first["grants"]] == [False] * 10  # type: ignore[attr-defined]
    proposed = answer(run("roster", "propose", "--dir", folder, "--json"))
    again = answer(run("approve", *paths, "--dir", folder, "--out", tmp_path / "grants", "--json"))
    assert all(row["has_card"] for row in again["grants"])  # type: ignore[attr-defined]
    grant = parse_grant((tmp_path / "grants" / "node-s01.grant.json").read_bytes())
    assert fingerprint(grant.card_text) == proposed["fingerprint"]
    card = answer(run("card", "--dir", folder, "--out", tmp_path / "card.txt", "--json"))
    assert parse_card((tmp_path / "card.txt").read_text("utf-8")).genesis.hex() == proposed["roster"]
    assert card["fingerprint"] == proposed["fingerprint"]
    told = run("card", "--dir", folder, "--out", tmp_path / "card.txt").output
    assert read_fingerprint(" ".join(told.splitlines()[-4:])) == card["fingerprint"]

    county.sign_rosters()
    published = answer(run("plan", "publish", plan_file(folder), "--dir", folder, "--json"))
    assert published["min_reports"] == 5
    round_id = bytes.fromhex(str(published["round"]))
    county.approve(round_id)
    county.report(round_id, list(county.schools)[:5])
    status = answer(run("round", "status", "--dir", folder, "--json"))
    assert (status["state"], status["not_reported"]) == ("collecting", ["s06"])
    refused = answer(run("round", "close", "--dir", folder, "--json"), 1)
    assert refused["error"] == "schools-missing"
    closed = answer(run("round", "close", round_id.hex()[:8], "--without-missing", "--dir", folder, "--json"))
    assert closed["state"] == "checking"
    county.check(round_id)
    county.desk.tick()
    county.agree(round_id)
    assert answer(run("results", "export", "--dir", folder, "--json"), 1)["error"] == "not-released"
    county.answer(round_id)
    county.desk.tick()
    county.cosign()
    county.desk.tick()
    assert answer(run("log", "fsck", "--dir", folder, "--json"))["size"] == county.ledger().size
    exported = answer(run("results", "export", "--dir", folder, "--out", tmp_path / "out", "--json"))
    assert all(Path(str(name)).is_file() for name in exported["files"])  # type: ignore[attr-defined]
    release = json.loads((tmp_path / "out" / "release.json").read_text("utf-8"))
    expected = county.truth(list(county.schools)[:5])
    released = [cell["released"] * table["scale"] for table in release["tables"] for cell in table["cells"]]
    assert released == expected
    header = (tmp_path / "out" / "tables" / "A1.csv").read_text("utf-8").splitlines()[0]
    assert header == "grade,disposition,released,se,low95,high95"
    county.desk.close()


def test_what_people_read(folder: Path) -> None:
    county = adopt(folder)
    for path in requests(county, folder):
        assert run("approve", path, "--dir", folder).exit_code == 0
    text = run("roster", "propose", "--dir", folder).stdout
    assert re.search(r"[0-9a-f]{4}(-[0-9a-f]{4}){7}", text)
    county.sign_rosters()
    published = run("plan", "publish", plan_file(folder), "--dir", folder)
    assert "a1, a2, a3, a4" in published.stdout
    assert "waiting for approvals" in run("round", "status", "--dir", folder).stdout
    county.desk.close()


def test_a_request_is_looked_at_before_it_is_approved(folder: Path, tmp_path: Path) -> None:
    county = adopt(folder)
    school, auditor = tmp_path / "s.json", tmp_path / "a.json"
    named = School("s01", "第一中学", (("deployment", "a"),))
    school.write_bytes(named.request())
    auditor.write_bytes(county.auditors["a1"].request())
    command = ["approve", "--show", school, auditor, "--outside", "--dir", folder]
    seen = answer(run(*command, "--json"))["requests"]
    assert seen == [
        {
            "role": "node", "id": "s01", "operator": "第一中学", "outside": None,
            "attributes": {"deployment": "a"}, "code": fingerprint(named.key.verifier.text),
        },
        {
            "role": "auditor", "id": "a1", "operator": "operator of a1", "outside": True,
            "attributes": {}, "code": fingerprint(county.auditors["a1"].key.verifier.text),
        },
    ]  # fmt: skip
    text = run(*command).stdout
    for part in ("s01, 第一中学", "at the school", "outside the county's own line", "nothing was changed"):
        assert part in text
    assert county.desk.describe_members() == []
    assert [path.name for path in tmp_path.glob("*.grant.json")] == []
    approved = run("approve", auditor, "--dir", folder)
    assert "a1, operator of a1" in approved.stdout
    assert "inside the county's own line" in approved.stdout
    county.desk.close()


@pytest.mark.parametrize("option", ["--propose", "--out=grants"])
def test_looking_goes_with_nothing_that_writes(folder: Path, tmp_path: Path, option: str) -> None:
    path = tmp_path / "s.json"
    path.write_bytes(School("s01", "school 1").request())
    assert run("approve", "--show", path, option, "--dir", folder).exit_code == 2


def test_looking_refuses_what_approving_would(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    path.write_bytes(School("s01", "school 1").request(federation="elsewhere"))
    assert (
        answer(run("approve", "--show", path, "--dir", folder, "--json"), 1)["error"] == "enrolment-refused"
    )
    path.write_bytes(School("s01", "school 1").request())
    assert run("approve", path, "--dir", folder).exit_code == 0
    path.write_bytes(School("s01", "another").request())
    assert answer(run("approve", "--show", path, "--dir", folder, "--json"), 1)["error"] == "already-enrolled"


def test_who_has_signed_the_roster(folder: Path, tmp_path: Path) -> None:
    county = adopt(folder)
    first = run("approve", *requests(county, folder), "--dir", folder, "--out", tmp_path / "g", "--propose")
    assert first.exit_code == 0
    county.sign_rosters(["a2"])
    text = run("roster", "status", "--dir", folder).stdout
    for part in ("no roster is in force", "1 of the 4 needed", "signed: a2", "still to sign: a1, a3, a4"):
        assert part in text
    refused = answer(run("plan", "publish", plan_file(folder), "--dir", folder, "--json"), 1)
    assert (refused["error"], sorted(refused)) == ("roster-waits", ["advice", "error", "message"])
    county.sign_rosters()
    text = run("roster", "status", "--dir", folder).stdout
    assert "auditors: 4, schools: 6" in text
    assert "no roster waits" in text
    county.desk.close()


@pytest.mark.parametrize(
    "arguments",
    [("roster", "propose"), ("card",), ("round", "status"), ("results", "export"), ("log", "fsck")],
)
def test_too_early_is_refused_with_exit_1(folder: Path, arguments: Sequence[str]) -> None:
    result = run(*arguments, "--dir", folder)
    assert result.exit_code == 1
    assert result.stderr
    assert "error" in answer(run(*arguments, "--dir", folder, "--json"), 1)


@pytest.mark.parametrize(
    "arguments",
    [
        ("approve",),
        ("approve", "missing.json"),
        ("plan", "publish", "no-such-plan"),
        ("plan", "publish", "../ready"),
        ("log", "fsck", "missing-folder"),
        ("no-such-command",),
    ],
)
def test_wrong_usage_is_exit_2(folder: Path, arguments: Sequence[str]) -> None:
    assert run(*arguments, *(() if len(arguments) == 1 else ("--dir", folder))).exit_code == 2


def test_a_missing_folder_says_what_to_do(tmp_path: Path) -> None:
    result = run("round", "status", "--dir", tmp_path / "nothing")
    assert result.exit_code == 1
    assert "init" in result.stderr


def test_init_twice_and_wrong_settings(folder: Path, tmp_path: Path) -> None:
    arguments = ("init", "--federation", "county-1", "--json")
    assert answer(run(*arguments, "--dir", folder), 1)["error"] == "config"
    assert answer(run(*arguments, "--dir", tmp_path / "d", "--set", "colour = 1"), 1)["error"] == "config"
    assert not (tmp_path / "d").exists()


def test_a_damaged_request_is_refused(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_bytes(School("s01", "school 1").request()[:-5])
    assert answer(run("approve", path, "--dir", folder, "--json"), 1)["error"] == "enrolment-refused"


def test_a_ready_plan_is_found_by_name(folder: Path) -> None:
    result = answer(run("plan", "publish", "autumn-full", "--dir", folder, "--json"), 1)
    assert result["error"] == "no-genesis"


def test_a_plan_with_an_error_names_its_key(folder: Path) -> None:
    path = plan_file(folder)
    path.write_text(path.read_text("utf-8").replace('rho = "1/5"', 'rho = "9"'), "utf-8")
    result = answer(run("plan", "publish", path, "--dir", folder, "--json"), 1)
    assert "rho" in str(result["message"])


def test_fsck_lists_every_finding(released: County) -> None:
    blob = next((released.directory / "log" / "blob").iterdir())
    blob.write_bytes(b"changed")
    (released.directory / "log" / "extra").write_bytes(b"")
    result = answer(run("log", "fsck", "--dir", released.directory, "--json"), 1)
    assert result["whole"] is False
    assert any(blob.name in str(item) for item in result["findings"])  # type: ignore[attr-defined]
    assert any("extra" in str(item) for item in result["findings"])  # type: ignore[attr-defined]


def test_fsck_takes_a_policy_and_another_folder(released: County, tmp_path: Path) -> None:
    card = parse_card(released.desk.card_text())
    policy = tmp_path / "policy.txt"
    policy.write_text(
        f"log {card.log.text}\nquorum none\ngenesis {card.genesis.hex()}\nmax-rho 1/2\n", "utf-8"
    )
    (tmp_path / "card.txt").write_text(released.desk.card_text(), "utf-8")
    copy = tmp_path / "copy"
    (released.directory / "log").rename(copy)
    arguments = ("--policy", policy, "--card", tmp_path / "card.txt", "--json")
    assert answer(run("log", "fsck", copy, *arguments))["whole"] is True
    policy.write_text("log nonsense\n", "utf-8")
    assert answer(run("log", "fsck", copy, *arguments), 1)["error"] == "refused"


@pytest.mark.parametrize("option", ["--policy", "--card"])
def test_fsck_refuses_a_file_that_is_not_text(released: County, tmp_path: Path, option: str) -> None:
    (tmp_path / "workbook.xlsx").write_bytes(b"PK\x03\x04\xff\xfe")
    arguments = (option, tmp_path / "workbook.xlsx", "--dir", released.directory, "--json")
    assert answer(run("log", "fsck", *arguments), 1)["error"] == "config"


def test_serve_ticks_until_told_to_stop(released: County) -> None:
    released.desk.close()
    desk = Desk(released.directory, now=lambda: START)
    stop, ready = threading.Event(), threading.Event()
    ports: list[int] = []

    def on_ready(port: int) -> None:
        ports.append(port)
        ready.set()

    thread = threading.Thread(target=serve, args=(desk, "127.0.0.1:0", stop, on_ready))
    thread.start()
    assert ready.wait(20)
    stop.set()
    thread.join(20)
    assert not thread.is_alive()
    assert ports[0] > 0
    desk.close()


@pytest.mark.process
def test_sigterm_ends_serve_cleanly(folder: Path) -> None:
    command = [sys.executable, "-m", "fedscreen", "coordinator", "serve", "--dir", str(folder)]
    process = subprocess.Popen(
        [*command, "--listen", "127.0.0.1:0", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert process.stdout is not None
    event = json.loads(process.stdout.readline())
    assert event["event"] == "ready"
    assert re.fullmatch(r"127\.0\.0\.1:[1-9][0-9]*", event["address"])
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert b"Traceback" not in errors
