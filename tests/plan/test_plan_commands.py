"""`fedscreen plan check` and `fedscreen plan show`."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from plan_samples import codebook, ready_plan, ready_toml

from crypto.replication import subsets_with
from crypto.sealing import box_bytes
from fedscreen.planning.cli import plan
from fedscreen.planning.cost import report_bytes
from fedscreen.planning.plan_file import ready_names


def run(*arguments: str) -> Result:
    return CliRunner().invoke(plan, list(arguments))


def write(folder: Path, old: str = "", new: str = "") -> str:
    path = folder / "plan.toml"
    text = ready_toml().decode()
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return str(path)


def test_every_ready_plan_is_valid_and_shown() -> None:
    assert "autumn-full" in ready_names()
    for name in ready_names():
        assert run("check", name).exit_code == 0
        assert run("show", name).exit_code == 0


def test_check_says_what_is_valid() -> None:
    result = run("check", "autumn-full", "--json")
    answer = json.loads(result.stdout)
    assert (result.exit_code, answer["valid"], answer["tables"], answer["cells"]) == (0, True, 7, 652)
    assert len(answer["cautions"]) == 1


def test_check_of_a_pinned_plan_has_no_note(tmp_path: Path) -> None:
    file = write(tmp_path, 'digest = ""', f'digest = "{codebook("mht").digest.hex()}"')
    assert json.loads(run("check", file, "--json").stdout)["cautions"] == []


def test_check_names_every_problem(tmp_path: Path) -> None:
    text = ready_toml().decode().replace('wave = "A"', 'wave = "Q"').replace("touch = 8", "touch = 99")
    path = tmp_path / "plan.toml"
    path.write_text(text, encoding="utf-8")
    result = run("check", str(path))
    assert result.exit_code == 1
    assert result.stdout == ""
    for part in ("wave", "'Q'", "A, S, X", "tables.A6.touch", "99", "problems: 2", "check it again"):
        assert part in result.stderr
    answer = json.loads(run("check", str(path), "--json").stdout)
    assert answer["valid"] is False
    assert [problem["key"] for problem in answer["problems"]] == ["wave", "tables.A6.touch"]
    assert set(answer["problems"][0]) == {"key", "found", "allowed", "advice"}


@pytest.mark.parametrize("command", ["check", "show"])
@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[trust]", "[trust"),
        ('"1/5"', '"9/10"'),
        ("quorum = 3", "quorum = 1"),
        ('rho = "1/5"', 'rho = "1/100000000"'),
    ],
    ids=["not_toml", "rho", "quorum", "noise"],
)
def test_an_invalid_plan_exits_1(tmp_path: Path, command: str, as_json: bool, old: str, new: str) -> None:
    arguments = [command, write(tmp_path, old, new)] + (["--json"] if as_json else [])
    assert run(*arguments).exit_code == 1


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["check"],
        ["check", "no-such-plan"],
        ["show", "no/such/file.toml"],
        ["show", "../ready/autumn-full"],
        ["show", "."],
        ["check", "autumn-full", "--schools", "0"],
        ["check", "autumn-full", "--schools", "many"],
        ["check", "autumn-full", "--unknown"],
        ["publish", "autumn-full"],
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_2(arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


def test_a_missing_file_names_the_ready_plans() -> None:
    assert "autumn-full" in run("check", "spring").stderr


def test_too_large_a_file_is_invalid(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_bytes(ready_toml() + b"\n" * 300_000)
    result = run("check", str(path))
    assert (result.exit_code, "262144" in result.stderr) == (1, True)


def test_a_file_of_a_ready_plans_name_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "autumn-full").write_text("x = 1", encoding="utf-8")
    assert run("check", "autumn-full").exit_code == 1


def test_show_has_tables_titles_noise_and_cost() -> None:
    result = run("show", "autumn-full")
    for part in ("A1", "测评情况", "因子偏高", "年级12", "4.000", "29.95", "5.60", "0.03184", "652"):
        assert part in result.stdout
    for part in ("1/5", "3.131", "48 (auto)", "replace-one", "4, 3, 1, 3"):
        assert part in result.stdout


def test_show_json_has_the_same_for_programs() -> None:
    answer = json.loads(run("show", "autumn-full", "--json").stdout)
    assert answer["cells"] == sum(table["cells"] for table in answer["tables"]) == 652
    assert answer["min_reports"] == 48
    assert answer["min_reports_is_auto"] is True
    assert answer["rho_claimed"] == pytest.approx(0.2, abs=1e-4)
    assert answer["rho_claimed"] == pytest.approx(sum(table["rho"] for table in answer["tables"]))
    assert answer["epsilon"] == pytest.approx(3.13, abs=0.01)
    table = answer["tables"][5]
    assert (table["id"], table["title"], table["delta_sq"], table["touch"]) == ("A6", "因子偏高", 16, 8)
    assert table["sigma"] == pytest.approx(29.95, abs=0.01)


def test_schools_size_the_draft() -> None:
    answer = json.loads(run("show", "autumn-full", "--schools", "12", "--json").stdout)
    assert (answer["min_reports"], answer["noise_schools"]) == (10, 9)
    refused = run("check", "autumn-full", "--schools", "4")
    assert (refused.exit_code, "4 schools" in refused.stderr) == (1, True)


def test_a_set_number_of_reports_needs_no_schools(tmp_path: Path) -> None:
    file = write(tmp_path, 'min_reports = "auto"', "min_reports = 300")
    answer = json.loads(run("show", file, "--json").stdout)
    assert (answer["min_reports"], answer["min_reports_is_auto"]) == (300, False)
    assert run("check", file, "--schools", "60").exit_code == 1


def test_the_size_of_a_report_is_mostly_cells_and_boxes() -> None:
    sample = ready_plan()
    boxes = 4 * box_bytes(len(subsets_with(0, 4, 3)))
    assert 8 * 652 + boxes < report_bytes(sample, 652) < 8 * 652 + 4 * 1300 + 3000
