"""Commands that change rounds: what they ask, print and write, and how they exit."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from fakes_coordinator import PLAN_TOML, County
from python_calamine import CalamineWorkbook

from coordinator import cli_context
from coordinator.cli import coordinator
from coordinator.desk import Desk
from coordinator.missing_schools import Overdue, encode_csv, encode_xlsx, safe_cell, table_of

Run = Callable[..., Result]


@pytest.fixture
def run(collecting: County, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command on the collecting county's folder, by its clock."""
    monkeypatch.setattr(cli_context, "Desk", lambda folder: Desk(folder, now=lambda: collecting.clock))

    def invoke(*arguments: object, answer: str = "") -> Result:
        words = [*(str(item) for item in arguments), "--dir", str(collecting.directory)]
        return CliRunner().invoke(coordinator, words, input=answer, catch_exceptions=False)

    return invoke


def values(result: Result, code: int = 0) -> dict[str, object]:
    assert result.exit_code == code, result.output
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


def test_every_round_is_listed(run: Run, collecting: County) -> None:
    listed = values(run("round", "list", "--json"))["rounds"]
    assert isinstance(listed, list)
    assert [row["round"] for row in listed] == [collecting.round_id.hex()]
    assert "waiting for reports" in run("round", "list").output


def test_status_says_what_can_be_done_next(run: Run) -> None:
    found = values(run("round", "status", "--json"))
    assert "round missing" in str(found["advice"])
    assert "next: Telephone the schools" in run("round", "status").output
    refused = run("round", "correct", "--withdraw", "--reason", "other", "--yes")
    assert (refused.exit_code, "next: " in refused.stderr) == (1, True)
    error = values(run("round", "correct", "--withdraw", "--reason", "other", "--yes", "--json"), 1)
    assert (error["error"], bool(error["advice"])) == ("not-released", True)


def test_the_list_for_the_telephone(run: Run, collecting: County, tmp_path: Path) -> None:
    collecting.report(collecting.round_id, ["s01", "s02"])
    contacts = tmp_path / "contacts.csv"
    contacts.write_text("s03,王老师 138\ns04,=cmd|' /C calc'!A0\n", "utf-8-sig")
    lists = [tmp_path / "missing.csv", tmp_path / "missing.xlsx"]
    letter = tmp_path / "letter.txt"
    for path in lists:
        found = values(
            run("round", "missing", "--contacts", contacts, "--out", path, "--letter", letter, "--json")
        )
        assert [row["node"] for row in found["missing"]] == ["s03", "s04", "s05", "s06"]  # type: ignore[attr-defined]
    table = list(csv.reader(io.StringIO(lists[0].read_text("utf-8-sig"))))
    assert table[0][:2] == ["school id", "school name"]
    assert [row[0] for row in table[1:]] == ["s03", "s04", "s05", "s06"]
    assert table[2][2] == "'=cmd|' /C calc'!A0"
    sheet = CalamineWorkbook.from_path(str(lists[1])).get_sheet_by_index(0).to_python()
    assert [row[2] for row in sheet[1:]] == ["王老师 138", "=cmd|' /C calc'!A0", "", ""]
    assert all("result" in row[4] for row in sheet[1:])
    assert "小计划" in letter.read_text("utf-8")
    assert values(run("round", "missing", "--out", tmp_path / "list.txt", "--json"), 1)["error"] == "file"


def test_a_school_is_called_by_its_name_beside_its_id() -> None:
    row = Overdue("yl-11", "林场教学点", "云岭中心校", "", 3)
    assert table_of([row])[1][:4] == ("yl-11", "林场教学点", "", 3)


def test_a_list_without_contacts_says_how_to_give_them(run: Run, collecting: County) -> None:
    collecting.report(collecting.round_id, ["s01", "s02", "s04", "s05", "s06"])
    shown = run("round", "missing").output
    assert shown.startswith("s03, ")
    assert "--contacts" in shown


def test_no_text_becomes_a_formula() -> None:
    for start in "=+-@\t\r":
        assert safe_cell(f"{start}1") == f"'{start}1"
    assert (safe_cell("s01"), safe_cell(-3)) == ("s01", -3)
    assert encode_csv([("=1", -2)]) == b"\xef\xbb\xbf'=1,-2\r\n"
    assert b"<f>" not in encode_xlsx([("a",), ("=1+1",)], "x")


def test_a_later_deadline_is_asked_for(run: Run, collecting: County) -> None:
    later = collecting.round(collecting.round_id).closes + timedelta(days=4)
    moment = later.strftime("%Y-%m-%dT%H:%M:%S+0000")
    words = ["round", "extend", "--closes", moment, "--reason", "holiday"]
    found = values(run(*words, "--json"))
    assert found["waiting_for"] == ["a1", "a2", "a3", "a4"]
    assert "waiting for: a1, a2, a3, a4" in run(*words).output
    assert len(collecting.round(collecting.round_id).changes.extensions) == 1
    early = values(
        run("round", "extend", "--closes", "2026-01-01T00:00:00+0000", "--reason", "other", "--json"), 1
    )
    assert early["error"] == "extension-refused"
    assert run("round", "extend", "--closes", moment, "--reason", "because").exit_code == 2


def test_an_end_is_asked_about(run: Run, collecting: County) -> None:
    assert run("round", "cancel", "--reason", "wrong-terms", answer="n\n").exit_code == 1
    assert collecting.round(collecting.round_id).changes.cancel is None
    shown = run("round", "cancel", "--reason", "wrong-terms", answer="y\n")
    assert shown.exit_code == 0
    assert "ended by the county" in shown.output
    assert values(run("round", "status", "--json"))["ended"] == {"reason": "wrong-terms", "successor": ""}


def test_a_reissue_names_both_rounds(run: Run, collecting: County) -> None:
    old = collecting.round_id
    closes = (collecting.round(old).closes + timedelta(days=9)).strftime("%Y-%m-%dT%H:%M:%S+0000")
    found = values(run("round", "reissue", "--closes", closes, "--json"))
    assert (found["ended"], found["round"]) == (old.hex(), collecting.round_id.hex())
    assert found["waiting_for"] == ["a1", "a2", "a3", "a4"]
    assert values(run("round", "reissue", "--tuple", "5,4,2,4", "--json"), 1)["error"] == "plan-refused"
    assert run("round", "reissue", "--tuple", "4 3 1 3").exit_code == 2
    collecting.approve(collecting.round_id)
    collecting.report(collecting.round_id, ["s01"])
    assert values(run("round", "reissue", "--closes", closes, "--json"), 1)["error"] == "has-reports"


def test_a_years_plans_by_one_command(run: Run, collecting: County, tmp_path: Path) -> None:
    collecting.desk.rounds.cancel(collecting.round_id, "wrong-terms")
    paths = []
    for name in ("one", "two"):
        paths.append(tmp_path / f"{name}.toml")
        text = PLAN_TOML.replace('id = "small"', f'id = "{name}"').replace('rho = "1/5"', 'rho = "1/20"')
        paths[-1].write_text(text, "utf-8")
    found = values(run("plan", "publish-year", *paths, "--json"))
    assert found["years"] == [{"school_year": "2026-2027", "spent": "1/10", "reserve": "2/5"}]
    assert len(collecting.desk.round_ids()) == 3
    paths.append(tmp_path / "three.toml")
    paths[-1].write_text(PLAN_TOML.replace('id = "small"', 'id = "three"').replace("1/5", "1/2"), "utf-8")
    assert values(run("plan", "publish-year", *paths, "--json"), 1)["error"] == "year-refused"
    assert len(collecting.desk.round_ids()) == 3
    assert run("plan", "publish-year", tmp_path / "none.toml").exit_code == 2


def test_a_withdrawn_release_by_commands(
    released: County, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(cli_context, "Desk", lambda folder: Desk(folder, now=lambda: released.clock))

    def run(*arguments: object) -> Result:
        words = [*(str(item) for item in arguments), "--dir", str(released.directory)]
        return CliRunner().invoke(coordinator, words, catch_exceptions=False)

    words = ["round", "correct", "--withdraw", "--reason", "school-miscounted", "--yes"]
    shown = run(*words)
    assert (shown.exit_code, "withdrawn: a school had miscounted" in shown.output) == (0, True)
    assert values(run("results", "export", "--out", tmp_path / "a", "--json"), 1)["error"] == "withdrawn"
    assert run("results", "export", "--out", tmp_path / "b", "--withdrawn").exit_code == 0
    assert "; withdrawn" in run("round", "list").output
    unknown = values(run("round", "correct", "--table", "Z9", "--reason", "other", "--yes", "--json"), 1)
    assert unknown["error"] == "statement-refused"
