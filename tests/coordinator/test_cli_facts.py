"""The commands about facts and progress: what a clerk does with the spreadsheets, from end to end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fakes_coordinator import County
from fakes_facts import YEAR, facts

from coordinator.cli import coordinator
from results.facts import FIELDS

REQUIRED = [name for name, row in FIELDS.items() if row.is_required]


def run(county: County, *words: str, code: int = 0) -> dict[str, Any]:
    result = CliRunner().invoke(coordinator, [*words, "--dir", str(county.directory), "--json"])
    assert result.exit_code == code, result.output
    return dict(json.loads(result.stdout))


def form(path: Path, *schools: str, **changes: str) -> str:
    values = {name: facts().shown(name) for name in REQUIRED} | changes
    rows = [["学校编号", *(FIELDS[name].header for name in REQUIRED)]]
    rows += [
        [node, *({**values, "school_name": f"school {int(node[1:])}"}[name] for name in REQUIRED)]
        for node in schools
    ]
    path.write_bytes("\n".join([YEAR, *(",".join(row) for row in rows)]).encode("gb18030"))
    return str(path)


def test_the_way_of_a_school_year(collecting: County, tmp_path: Path) -> None:
    made = run(collecting, "facts", "template", "--year", YEAR, "--out", str(tmp_path / "out"))
    assert [Path(item).name for item in made["files"]] == [f"facts-{YEAR}.xlsx"]
    first = run(collecting, "facts", "import", form(tmp_path / "a.csv", "s01", "s02"), "--by", "张三")
    assert (first["new"], first["missing"]) == (2, ["s03", "s04", "s05", "s06"])
    again = run(collecting, "facts", "import", form(tmp_path / "a.csv", "s01", "s02"), "--by", "张三")
    assert (again["new"], again["changed"], again["same"]) == (0, 0, 2)
    run(collecting, "facts", "import", form(tmp_path / "b.csv", "s02", n_classes="21"), "--by", "李四")
    listed = run(collecting, "facts", "list", "--year", YEAR)
    assert (listed["answered"], listed["missing"]) == (2, 4)
    shown = run(collecting, "facts", "show", "s02", "--year", YEAR)
    assert [row["by"] for row in shown["history"]] == ["张三", "李四"]
    assert shown["values"]["n_classes"] == 21
    told = run(collecting, "facts", "indicators", "--year", YEAR)
    first_row = told["indicators"][0]
    assert (first_row["id"], first_row["shown"], first_row["schools_missing"]) == ("FI-01", "100%", 4)
    assert "outside of differential privacy" in told["declaration"]


@pytest.mark.parametrize("ending", ["xlsx", "csv"])
def test_an_export_can_be_imported_again(collecting: County, tmp_path: Path, ending: str) -> None:
    run(collecting, "facts", "import", form(tmp_path / "a.csv", "s01", "s02"), "--by", "张三")
    out = tmp_path / f"all.{ending}"
    run(collecting, "facts", "export", "--year", YEAR, "--out", str(out))
    assert out.stat().st_mode & 0o077 == 0
    again = run(collecting, "facts", "import", str(out), "--by", "李四")
    assert (again["new"], again["changed"], again["same"]) == (0, 0, 2)


def test_one_wrong_file_of_two_saves_nothing(collecting: County, tmp_path: Path) -> None:
    good, bad = form(tmp_path / "a.csv", "s01"), form(tmp_path / "b.csv", "s02", n_students="-1")
    told = run(collecting, "facts", "import", good, bad, "--by", "张三", code=1)
    assert told["error"] == "facts-refused"
    assert [(Path(row["file"]).name, row["row"], row["field"]) for row in told["findings"]] == [
        ("b.csv", 3, "n_students")
    ]
    assert run(collecting, "facts", "list", "--year", YEAR)["answered"] == 0


def test_one_school_in_two_files_saves_nothing(collecting: County, tmp_path: Path) -> None:
    files = [form(tmp_path / name, "s01") for name in ("a.csv", "b.csv")]
    assert run(collecting, "facts", "import", *files, "--by", "张三", code=1)["error"] == "facts-refused"


@pytest.mark.parametrize(
    "words",
    [
        ("facts", "list", "--year", "2026"),
        ("facts", "show", "s01", "--year", YEAR),
        ("facts", "export", "--year", YEAR, "--out", "x.pdf"),
        ("progress", "list", "ffffffff"),
    ],
)
def test_refusals_are_json_with_a_code(collecting: County, words: tuple[str, ...]) -> None:
    told = run(collecting, *words, code=1)
    assert told["error"]
    assert told["message"]


def test_progress_of_a_round(collecting: County, tmp_path: Path) -> None:
    sheet = tmp_path / "p.xlsx"
    run(collecting, "progress", "template", "--out", str(sheet))
    empty = run(collecting, "progress", "import", str(sheet), "--by", "张三")
    assert (empty["new"], len(empty["missing"])) == (0, 6)
    filled = tmp_path / "p.csv"
    filled.write_text(
        "学校编号,学校名称,测评覆盖率档次,测评已开始,校长姓名,填报日期\n"
        "s01,school 1,95%及以上,是,王,2026-10-21\ns02,school 2,不足80%,否,李,2026-10-21\n",
        "utf-8",
    )
    run(collecting, "progress", "import", str(filled), "--by", "张三")
    listed = run(collecting, "progress", "list")
    assert listed["by_band"] == {"lt80": 1, "80-95": 0, "ge95": 1}
    assert [row["node"] for row in listed["schools"]] == ["s02", "s01"]
    assert listed["missing"] == ["s03", "s04", "s05", "s06"]


def test_people_read_words_and_are_told_what_it_is_for(collecting: County, tmp_path: Path) -> None:
    bad = form(tmp_path / "a.csv", "s01", n_students="?")
    folder = ["--dir", str(collecting.directory)]
    result = CliRunner().invoke(coordinator, ["facts", "import", bad, "--by", "张三", *folder])
    assert result.exit_code == 1
    assert "F: 在校学生数(人)" in result.stderr
    result = CliRunner().invoke(coordinator, ["progress", "list", *folder])
    assert "s06" in result.stdout
