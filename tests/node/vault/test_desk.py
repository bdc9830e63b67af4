"""The desk: commands, their fields, and a school's files all the way to a report."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes_vault import KEY, LATER, SOFTWARE, SchoolHouse, plan_of

from node.vault.desk import Desk
from node.vault.errors import CommandError, VaultError
from node.vault.store import VaultStore
from plan.codebook import parse_codebook_toml
from plan.document import PlanDocument
from plan.publishing import use_codebook

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples"
NUM_PUPILS = 12


def student_no(place: int) -> str:
    return f"G99000120140901{place:03d}X"


def csv_files(**replaced: bytes) -> dict[str, bytes]:
    """Files of twelve pupils in grades 7 and 8, one of them untested."""
    roster, screening = ["学籍号,姓名,年级,监护人同意"], ["学籍号,测评日期,总分,预警等级"]
    for place in range(NUM_PUPILS):
        roster.append(f"{student_no(place)},学生{place},{'七年级' if place % 2 else '八年级'},同意")
        if place:
            screening.append(f"{student_no(place)},2026-09-08,{place % 5},{place % 5}")
    files = {
        "roster": "\n".join(roster).encode(),
        "screening": "\n".join(screening).encode(),
        "profile": (EXAMPLES / "profiles/addhealth.toml").read_bytes(),
        "codebook": (EXAMPLES / "codebooks/addhealth.toml").read_bytes(),
    }
    return files | replaced


def addhealth_plan() -> PlanDocument:
    codebook = parse_codebook_toml((EXAMPLES / "codebooks/addhealth.toml").read_bytes())
    return use_codebook(plan_of(), codebook)


def start(house: SchoolHouse) -> bytes:
    round_id = house.publish(addhealth_plan())
    house.federation.approve(round_id)
    house.sync()
    return round_id


def imported(house: SchoolHouse, files: dict[str, bytes] | None = None, **fields: Any) -> dict[str, Any]:
    return house.call("import", files or csv_files(), **fields)


def test_files_become_a_report_that_replays(house: SchoolHouse) -> None:
    round_id = start(house)
    answer = imported(house, round=round_id.hex())
    assert (answer["imported"], answer["refused"]) == (1, 0)
    assert [issue["code"] for issue in answer["issues"]] == ["names-not-read"]
    assert answer["counts"]["records"] == NUM_PUPILS
    preview = house.call("preview", round=round_id.hex())
    dispositions = {tuple(cell["keys"].values()): cell["count"] for cell in preview["tables"][0]["cells"]}
    assert (dispositions["8", "3"], dispositions["8", "1"], dispositions["7", "1"]) == (1, 5, 6)
    house.release(round_id)
    house.submit()
    house.sync()
    assert house.call("recompute", round=round_id.hex(), attempt=0)["outcome"] == "PASS"


def test_an_import_may_name_its_wave_itself(house: SchoolHouse) -> None:
    answer = imported(house, wave="A", school_year="2026-2027", census_date="2026-09-05")
    assert answer["imported"] == 1
    summary = house.call("records_summary")["records"]
    assert [(row["wave"], row["num_records"]) for row in summary] == [("A", NUM_PUPILS)]
    assert {row["part"] for row in summary[0]["provenance"]["files"]} == set(csv_files())


def test_a_dry_run_stores_nothing(house: SchoolHouse) -> None:
    answer = imported(house, round=start(house).hex(), dry_run=1)
    assert (answer["imported"], answer["refused"], answer["dry_run"]) == (0, 0, 1)
    assert house.call("records_summary")["records"] == []


def test_the_same_files_again_change_nothing(house: SchoolHouse) -> None:
    round_id = start(house)
    first, second = imported(house, round=round_id.hex()), imported(house, round=round_id.hex())
    assert (first["is_new"], second["is_new"]) == (1, 0)
    assert first["records"] == second["records"]


def test_wrong_files_are_refused_whole_and_the_old_records_stay(house: SchoolHouse) -> None:
    round_id = start(house)
    imported(house, round=round_id.hex())
    before = house.call("records_summary")
    bad = csv_files(roster=csv_files()["roster"].replace(student_no(3).encode(), b"G123"))
    answer = imported(house, bad, round=round_id.hex())
    assert (answer["imported"], answer["refused"]) == (0, 1)
    assert {"student-no-form", "not-on-roster"} & {issue["code"] for issue in answer["issues"]}
    assert "G123" not in json.dumps(answer)
    assert student_no(3) not in json.dumps(answer)
    assert house.call("records_summary") == before


def test_no_number_and_no_name_is_stored_as_it_came(house: SchoolHouse) -> None:
    imported(house, round=start(house).hex())
    rows = house.store.query("SELECT rec_key, data FROM record")
    assert len(rows) == NUM_PUPILS
    for rec_key, data in rows:
        assert len(rec_key) == 16
        assert b"G990001" not in bytes(data)
        assert "学生".encode() not in bytes(data)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"wave": "A", "school_year": "2026-2027"},
        {"wave": "A", "school_year": "2026-2027", "census_date": "5.9.2026"},
        {"wave": "Q", "school_year": "2026-2027", "census_date": "2026-09-05"},
        {"wave": "A", "school_year": "2025-2026", "census_date": "2026-09-05"},
        {"wave": "A", "school_year": "2026-2027", "census_date": "2026-09-05", "consent": "none"},
        {"round": "zz"},
        {"round": "00" * 32},
        {"colour": "red"},
        {"dry_run": "yes"},
        {"sheets": []},
    ],
    ids=repr,
)
def test_an_import_of_nothing_clear_is_refused(house: SchoolHouse, fields: dict[str, Any]) -> None:
    start(house)
    with pytest.raises(VaultError):
        house.call("import", csv_files(), **fields)
    assert house.call("records_summary")["records"] == []


@pytest.mark.parametrize(
    "command",
    [
        {},
        {"command": None},
        {"command": "open"},
        {"command": ["status"]},
        {"command": "status", "verbose": 1},
        {"command": "preview"},
        {"command": "preview", "round": 5},
        {"command": "preview", "round": "AB" * 32},
        {"command": "release", "round": "00" * 32},
        {"command": "release", "round": "00" * 32, "by": 5},
        {"command": "recompute", "round": "00" * 32, "attempt": 4},
        {"command": "recompute", "round": "00" * 32, "attempt": True},
        {"command": "hold", "on": 2},
        {"command": "accept", "card_text": ""},
        {"command": "floors", "floors": []},
    ],
    ids=repr,
)
def test_malformed_commands_are_refused(house: SchoolHouse, command: dict[str, Any]) -> None:
    with pytest.raises(CommandError):
        house.desk.handle(command, {})


def test_every_answer_can_be_written_as_json(house: SchoolHouse) -> None:
    round_id = start(house)
    imported(house, round=round_id.hex())
    answers = [house.call("preview", round=round_id.hex()), house.release(round_id)]
    house.desk.on_receipt(house.submit())
    house.sync()
    answers += [
        house.call(name) for name in ("identity", "status", "rounds", "records_summary", "check_store")
    ]
    answers += [house.call("receipt", round=round_id.hex()), house.call("hold", on=0)]
    for answer in answers:
        assert json.loads(json.dumps(answer)) == answer


def test_the_status_follows_a_report_to_the_release(house: SchoolHouse) -> None:
    federation, round_id = house.federation, start(house)

    def state() -> tuple[str, str]:
        house.sync()
        found = house.call("status")["rounds"][0]
        return found["state"], found["report"]["state"]

    assert state() == ("collecting", "none")
    imported(house, round=round_id.hex())
    house.release(round_id)
    assert state() == ("collecting", "waiting")
    house.submit()
    for number in range(1, 6):
        federation.report(f"s{number}", round_id)
    assert state() == ("collecting", "cosigned")
    federation.fix_candidates(round_id)
    assert state() == ("checking", "cosigned")
    for auditor in ("a1", "a2", "a3"):
        federation.check(auditor, round_id)
    federation.close(round_id)
    assert state() == ("checking", "in-set")
    for auditor in ("a1", "a2", "a3"):
        federation.agree(auditor, round_id)
    assert state() == ("agreed", "in-set")
    for auditor in ("a1", "a2", "a3"):
        federation.open_(auditor, round_id)
    federation.release(round_id)
    assert state() == ("released", "released")


def test_a_plan_that_this_version_cannot_read_does_not_hide_the_others(house: SchoolHouse) -> None:
    good = start(house)
    house.federation.publish(b'{"format":"fedscreen/plan/v9"}', 10, min_group=5)
    house.sync()
    rounds = house.call("status")["rounds"]
    assert [row.get("error", "") for row in rounds] == ["plan-invalid", ""]
    assert rounds[1]["round"] == good.hex()


@pytest.mark.parametrize(("level", "software"), [("L4", SOFTWARE), ("", SOFTWARE), ("L3", b"short")])
def test_a_desk_needs_a_level_and_a_software_digest(tmp_path: Path, level: str, software: bytes) -> None:
    store = VaultStore(tmp_path / "vault.db", KEY)
    with pytest.raises(CommandError):
        Desk(store, entropy=bytes, now=lambda: LATER, level=level, software=software)
    store.close()


def test_the_journal_tells_what_was_done(house: SchoolHouse) -> None:
    round_id = start(house)
    imported(house, round=round_id.hex())
    house.release(round_id)
    house.now += timedelta(minutes=1)
    house.release(round_id)
    house.call("hold", on=1)
    records = list(house.desk.enrolled().journal.verify())
    assert [row.kind for row in records] == ["init", "accept", "import", "charge", "report", "hold"]
    assert [row.subject for row in records][3:5] == ["李校长", "李校长"]
    assert house.call("check_store") == {"damaged": [], "journal_records": 6}


PROGRAM = """
import json, sys
from pathlib import Path
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/tests"]
from fakes_vault import SchoolHouse
from node.vault.worker import load_late_modules
load_late_modules()

class NoMore:
    def find_spec(self, name, path=None, target=None):
        raise RuntimeError("late import of " + name)

def audit(event, args):
    if event == "open" and isinstance(args[0], str) and args[0].startswith(sys.argv[2]):
        return
    if event in ("open", "socket.connect", "socket.__new__", "os.listdir", "os.scandir", "subprocess.Popen"):
        raise RuntimeError("late " + event + " " + repr(args[:1]))

sys.meta_path.insert(0, NoMore())
sys.addaudithook(audit)
house = SchoolHouse(Path(sys.argv[2]))
round_id = house.start_round()
house.call("preview", round=round_id.hex())
house.release(round_id)
house.desk.on_receipt(house.submit())
house.sync()
house.call("receipt", round=round_id.hex())
house.call("status")
house.call("check_store")
try:
    house.release(bytes(32))
except Exception as err:
    str(err)
print(house.call("recompute", round=round_id.hex(), attempt=0)["outcome"])
"""


def test_nothing_is_loaded_or_opened_once_the_wall_stands(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(ROOT), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert (done.stdout, done.stderr) == ("PASS\n", "")
