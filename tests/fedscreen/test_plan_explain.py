"""`fedscreen plan explain`, `optimise`, `diff` and `year` as a plan's author meets them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from plan_samples import ready_toml
from rich.cells import cell_len

from fedscreen.language import speak
from fedscreen.planning.cli import plan
from fedscreen.planning.plan_file import ready_names
from plan.document import parse_plan_toml

COUNTIES = {"prefecture-rare": (1200, 400_000), "autumn-small": (25, 6_000)}
BIG = (90, 48_000)


def run(*arguments: object, **environ: str) -> Result:
    return CliRunner(env=environ).invoke(plan, [str(item) for item in arguments])


def answer(*arguments: object) -> Any:
    return json.loads(run(*arguments, "--json").stdout)


def write(folder: Path, old: str, new: str, name: str = "autumn-full") -> str:
    path = folder / "plan.toml"
    text = ready_toml(name).decode()
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("name", ready_names())
def test_every_ready_plan_is_worth_its_noise_in_its_county(name: str) -> None:
    schools, pupils = COUNTIES.get(name, BIG)
    result = run("explain", name, "--schools", schools, "--pupils", pupils, "--json")
    assert (result.exit_code, json.loads(result.stdout)["refused"]) == (0, [])


def test_explain_gives_what_show_gives_and_more() -> None:
    found, shown = (
        answer("explain", "autumn-full", "--schools", 90, "--pupils", 48_000),
        answer("show", "autumn-full", "--schools", 90),
    )
    for key in ("costs", "collusion", "delta", "bytes_per_report", "min_reports"):
        assert found[key] == shown[key]
    table = found["tables"][1]
    assert (table["id"], table["cells"], table["refused"], table["advice"]) == ("A2", 180, False, [])
    assert table["cell"] < table["raw"]
    assert 0.5 < table["shown"] < table["filled"] + 0.01
    assert found["tables"][5]["total"] is None


def test_costs_under_both_relations_and_alone() -> None:
    found = answer("explain", "autumn-full", "--schools", 90, "--pupils", 48_000)
    claimed, other = found["costs"]
    assert (claimed["relation"], claimed["claimed"], other["claimed"]) == ("replace-one", True, False)
    assert claimed["rho"] == pytest.approx(2 * other["rho"], rel=1e-4)
    assert claimed["epsilon"] == pytest.approx(3.13, abs=0.01)
    # h = 72 - 1 schools: alone a school's noise is 71 times less
    assert found["collusion"]["rho"] == pytest.approx(71 * claimed["rho"], rel=1e-3)
    assert found["collusion"]["protects"] is False
    assert found["delta"] < found["delta_with_sampler"] < 1.1e-6


@pytest.mark.parametrize("command", ["check", "show", "explain"])
def test_people_are_told_what_holds_if_everybody_colludes(command: str) -> None:
    size = ("--schools", 90, *(("--pupils", 48_000) if command == "explain" else ()))
    text = run(command, "autumn-full", *size, COLUMNS="200").stdout
    for part in ("replace-one: 0.1999", "add-remove: 0.0999", "71 times the claim", "3 of 4 auditors"):
        assert part in text
    lines = [line for line in text.split("\n") if "what the plan claims" in line]
    assert ["replace-one" in line for line in lines] == [True]


def test_a_plan_too_fine_for_its_county_is_refused_with_advice() -> None:
    result = run("explain", "autumn-full", "--schools", 25, "--pupils", 6_000, COLUMNS="200")
    assert result.exit_code == 1
    for part in ("A2 is refused: 2", "drop sex from its `dims` (no sums by sex): 29% → 7", "`reason`"):
        assert part in result.stdout
    assert "A3 is refused" not in result.stdout


def test_a_reason_lets_a_table_pass(tmp_path: Path) -> None:
    size = ("--schools", 60, "--pupils", 12_000)
    before = answer("explain", "autumn-full", *size)
    assert before["refused"] == ["A1"]
    file = write(
        tmp_path, 'dims = ["grade", "disposition"]', 'dims = ["grade", "disposition"]\nreason = "需要"'
    )
    assert run("explain", file, *size).exit_code == 0


def test_turnout_lowers_noise_and_must_suffice() -> None:
    size = ("--schools", 100, "--pupils", 48_000)
    all_in, some = (answer("explain", "autumn-full", *size, "--turnout", share) for share in (100, 81))
    assert (all_in["reports"], some["reports"]) == (100, 81)
    assert some["tables"][0]["cell"] == pytest.approx(0.9 * all_in["tables"][0]["cell"])
    refused = run("explain", "autumn-full", *size, "--turnout", 79)
    assert (refused.exit_code, "79 reports" in refused.stderr) == (1, True)
    assert "at least 80" in refused.stderr


def test_pupils_by_stage_are_taken_as_given() -> None:
    text = "primary=16000, junior=16000,senior=9000,vocational=0"
    found = answer("explain", "autumn-full", "--schools", 90, "--pupils-by-stage", text)
    assert found["pupils"] == {"primary": 16000, "junior": 16000, "senior": 9000, "vocational": 0}
    words = run("explain", "autumn-full", "--schools", 90, "--pupils-by-stage", text, COLUMNS="200").stdout
    assert "no pupils in stage vocational" in words
    assert "no pupils in stage senior" not in words
    usual = answer("explain", "autumn-full", "--schools", 90, "--pupils", 41_000)
    assert found["tables"][0]["filled"] < usual["tables"][0]["filled"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--schools", 90),
        ("--pupils", 48_000),
        ("--schools", 90, "--pupils", 0),
        ("--schools", 90, "--pupils", 100, "--pupils-by-stage", "junior=100"),
        ("--schools", 90, "--pupils-by-stage", "nursery=5"),
        ("--schools", 90, "--pupils-by-stage", "junior=-5"),
        ("--schools", 90, "--pupils-by-stage", "junior=5,junior=6"),
        ("--schools", 90, "--pupils-by-stage", "junior"),
        ("--schools", 90, "--pupils", 100, "--turnout", 0),
        ("--schools", 90, "--pupils", 100, "--turnout", 101),
    ],
    ids=str,
)
def test_wrong_usage_of_explain_exits_2(arguments: tuple[object, ...]) -> None:
    assert run("explain", "autumn-full", *arguments).exit_code == 2


def test_chinese_columns_stand_under_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEDSCREEN_LANG", "zh_CN")
    environ = {"LANGUAGE": os.environ.get("LANGUAGE", "en")}
    try:
        speak(os.environ)
        for arguments in (
            ("explain", "autumn-full", "--schools", 25, "--pupils", 6_000),
            ("optimise", "autumn-small", "--schools", 25),
            ("year",),
            ("diff", "autumn-full", "autumn-small"),
        ):
            lines = run(*arguments, COLUMNS="80").stdout.split("\n")
            boxed = [line for line in lines if line[:1] in "│┃┏┡└" and line]
            assert len(boxed) > 4
            assert len({cell_len(line) for line in boxed}) == 1
    finally:
        os.environ.update(environ)


# -- optimise ------------------------------------------------------------------------------------


def test_optimise_is_never_worse_than_equal_weights() -> None:
    for name, schools in (("follow-up", 90), ("autumn-small", 25)):
        tables = answer("optimise", name, "--schools", schools)["tables"]
        mean = {
            key: sum(table[key]["cell"] for table in tables)
            for key in ("half_width_equal", "half_width_now", "half_width_proposed")
        }
        assert mean["half_width_proposed"] <= 1.002 * min(mean["half_width_equal"], mean["half_width_now"])


def test_optimise_max_evens_the_largest_out() -> None:
    mean, largest = (
        max(
            table["half_width_proposed"]["cell"]
            for table in answer("optimise", "autumn-full", "--schools", 90, "--objective", aim)["tables"]
        )
        for aim in ("mean", "max")
    )
    assert largest < 0.95 * mean


def test_kept_tables_keep_their_weight_and_short_fractions_are_short() -> None:
    tables = answer("optimise", "autumn-full", "--schools", 90, "--keep", "A6")["tables"]
    kept = {table["id"]: table for table in tables}["A6"]
    assert (kept["kept"], kept["weight"], kept["proposed"]) == (True, "7/25", "7/25")
    others = [table["proposed"] for table in tables if not table["kept"]]
    assert all(int((text + "/1").split("/")[1]) <= 20 for text in others)
    assert kept["half_width_proposed"]["cell"] == pytest.approx(kept["half_width_now"]["cell"], rel=0.02)


def test_tables_of_sums_are_held_and_explained(tmp_path: Path) -> None:
    table = '[[tables]]\nid = "N"\ntitle = "分数合计"\ndims = ["stage"]\nwhere = { disposition = [1] }\n'
    file = write(
        tmp_path, "[[tables]]", table + 'sum = "total"\nrange = [0, 90]\n\n[[tables]]', "autumn-small"
    )
    rows = {row["id"]: row for row in answer("optimise", file, "--schools", 25)["tables"]}
    assert (rows["N"]["kept"], rows["N"]["proposed"]) == (True, "1")
    assert [row["kept"] for name, row in rows.items() if name != "N"] == [False] * 4
    (found,) = (
        row
        for row in answer("explain", file, "--schools", 25, "--pupils", 6_000)["tables"]
        if row["id"] == "N"
    )
    assert found["cell"] > 500  # points, not pupils
    assert found["shown"] == pytest.approx(1)


def test_optimise_writes_a_copy_with_only_weights_changed(tmp_path: Path) -> None:
    out = tmp_path / "out.toml"
    proposed = answer("optimise", "autumn-full", "--schools", 90, "--write", out)["tables"]
    new, old = (parse_plan_toml(data) for data in (out.read_bytes(), ready_toml()))
    assert [str(table.weight) for table in new.tables] == [table["proposed"] for table in proposed]
    changes = answer("diff", "autumn-full", out)["changes"]
    assert {change["key"].rpartition(".")[2] for change in changes} == {"weight"}
    assert (new.rho, len(new.tables)) == (old.rho, len(old.tables))
    kept = [line for line in ready_toml().decode().split("\n") if not line.startswith("weight")]
    written = [line for line in out.read_text("utf-8").split("\n") if not line.startswith("weight")]
    assert written == kept


def test_optimise_never_overwrites(tmp_path: Path) -> None:
    out = tmp_path / "out.toml"
    out.write_text("mine", "utf-8")
    result = run("optimise", "autumn-full", "--schools", 90, "--write", out)
    assert (result.exit_code, out.read_text("utf-8")) == (1, "mine")
    assert "choose another name" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(("--keep", "A9"), 2), (tuple(x for i in range(1, 8) for x in ("--keep", f"A{i}")), 1)],
    ids=["unknown", "all"],
)
def test_optimise_needs_a_weight_to_change(arguments: tuple[str, ...], code: int) -> None:
    assert run("optimise", "autumn-full", "--schools", 90, *arguments).exit_code == code


# -- diff and year -------------------------------------------------------------------------------


def test_diff_exits_like_diff(tmp_path: Path) -> None:
    changed = write(tmp_path, 'rho = "1/5"', 'rho = "1/10"')
    assert run("diff", "autumn-full", "autumn-full").exit_code == 0
    assert run("diff", "autumn-full", changed).exit_code == 1
    (tmp_path / "broken.toml").write_text("x = 1", "utf-8")
    for as_json in ((), ("--json",)):
        assert run("diff", "autumn-full", str(tmp_path / "broken.toml"), *as_json).exit_code == 2
    assert run("diff", "autumn-full", "no-such-plan").exit_code == 2


def test_diff_shows_the_cost_before_and_after(tmp_path: Path) -> None:
    changed = write(tmp_path, 'rho = "1/5"', 'rho = "1/10"')
    found = answer("diff", "autumn-full", changed)
    assert found["changes"] == [{"key": "rho", "privacy": True, "text": "cost ρ: 1/5 → 1/10"}]
    assert found["cost"]["before"]["rho"] == pytest.approx(2 * found["cost"]["after"]["rho"], rel=1e-3)
    text = run("diff", "autumn-full", changed, COLUMNS="100").stdout
    for part in ("cost ρ: 1/5 → 1/10", "3.131", "0.03184", "0.01592"):
        assert part in text


def test_a_plan_that_only_spells_differently_is_the_same(tmp_path: Path) -> None:
    file = write(tmp_path, 'rho = "1/5"', 'rho = "0.2"   # the same')
    result = run("diff", "autumn-full", file)
    assert (result.exit_code, result.stdout.strip()) == (0, "the plans say the same")


def test_the_ready_year_fits_under_the_cap_with_a_reserve() -> None:
    result = run("year", "--json")
    (found,) = json.loads(result.stdout)["years"]
    assert result.exit_code == 0
    assert [entry["id"] for entry in found["entries"]] == [
        *("autumn-full", "ledgers", "spring-monitor", "ledgers-spring", "follow-up")
    ]
    assert (found["spent"], found["cap"], found["reserve"], found["problems"]) == ("9/20", "1/2", "1/20", [])


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("autumn-full", "autumn-small", "follow-up"), "reserve"),
        (("autumn-full", "--cap", "1/10"), "at most 1/10"),
        (("autumn-full", "autumn-full"), "more than once"),
    ],
    ids=["no_reserve", "lower_cap", "twice"],
)
def test_a_year_with_a_problem_exits_1(arguments: tuple[str, ...], word: str) -> None:
    result = run("year", *arguments, COLUMNS="200")
    assert (result.exit_code, word in result.stdout) == (1, True)


@pytest.mark.parametrize("cap", ["0", "-1", "many", "1/0"])
def test_a_wrong_cap_exits_2(cap: str) -> None:
    assert run("year", "--cap", cap).exit_code == 2
