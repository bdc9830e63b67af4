"""`fedscreen plan new`: from questions or options to a plan that `plan check` accepts."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from plan_samples import ROOT, codebook, ready_toml

from fedscreen.planning import new as new_command
from fedscreen.planning.cli import plan
from fedscreen.planning.plan_file import ready_names
from plan.document import PlanDocument, parse_plan_toml

MHT = ROOT / "examples" / "codebooks" / "mht.toml"
ALL = (
    *("--schools", "30", "--base", "autumn-full", "--id", "autumn-2027", "--title", "二〇二七秋季"),
    *("--school-year", "2027-2028", "--census-date", "2027-09-20", "--opens", "2027-10-01"),
    *("--closes", "2027-12-01", "--grades", "4,5,6,7,8,9", "--systems", "6-3", "--codebook", str(MHT)),
    *("--consent", "record-only", "--critical-items", "counted", "--ladder", "auto"),
    *(
        "--recipient",
        "甲县教育局",
        "--recipient",
        "乙",
        "--legal-basis",
        "依据",
        "--release-class",
        "on-request",
    ),
)


def run(*arguments: str, given: str | None = None) -> Result:
    return CliRunner().invoke(plan, ["new", *arguments], input=given)


def written(path: Path) -> PlanDocument:
    return parse_plan_toml(path.read_bytes())


def test_with_every_option_nothing_is_asked(tmp_path: Path) -> None:
    out = tmp_path / "mine.toml"
    result = run(str(out), *ALL)
    assert result.exit_code == 0, result.output
    assert "explain" in result.stdout
    found = written(out)
    assert (found.id, found.title, found.school_year) == ("autumn-2027", "二〇二七秋季", "2027-2028")
    assert (found.census_date, found.opens.date(), found.closes.date()) == (
        date(2027, 9, 20),
        date(2027, 10, 1),
        date(2027, 12, 1),
    )
    assert (found.grades, found.systems) == (("4", "5", "6", "7", "8", "9"), ("6-3",))
    assert found.instruments[0].digest == codebook("mht").digest.hex()
    assert (found.consent, found.has_critical_items, found.tiers) == ("record-only", True, None)
    assert found.recipients == ("甲县教育局", "乙")
    assert (found.legal_basis, found.release_class) == ("依据", "on-request")
    assert found.tables[-1].dims == ("stage", "sex", "critical")
    checked = CliRunner().invoke(plan, ["check", str(out), "--schools", "30"])
    assert checked.exit_code == 0, checked.output


@pytest.mark.parametrize("name", ready_names())
def test_defaults_give_the_ready_plan_in_the_year_asked_for(tmp_path: Path, name: str) -> None:
    out = tmp_path / "mine.toml"
    result = run(str(out), "--schools", "100", "--base", name, "--school-year", "2026-2027", "--defaults")
    assert result.exit_code == 0, result.output
    assert written(out) == parse_plan_toml(ready_toml(name))
    comments = [line for line in ready_toml(name).decode().split("\n") if line.startswith("#")]
    assert [line for line in out.read_text("utf-8").split("\n") if line.startswith("#")] == comments


def test_another_year_moves_the_days(tmp_path: Path) -> None:
    out = tmp_path / "mine.toml"
    assert run(str(out), "--base", "ledgers", "--school-year", "2028-2029", "--defaults").exit_code == 0
    old, new = parse_plan_toml(ready_toml("ledgers")), written(out)
    assert new.census_date == old.census_date.replace(year=2028)
    assert new.opens == old.opens.replace(year=2029)


@pytest.mark.parametrize(("schools", "base"), [("59", "autumn-small"), ("60", "autumn-full")])
def test_the_county_s_size_chooses_the_ready_plan(tmp_path: Path, schools: str, base: str) -> None:
    out = tmp_path / "mine.toml"
    assert run(str(out), "--schools", schools, "--defaults").exit_code == 0
    assert written(out).tables == parse_plan_toml(ready_toml(base)).tables


def test_questions_are_asked_and_answered(tmp_path: Path) -> None:
    out = tmp_path / "mine.toml"
    answers = [
        *("25", "", "2027-2028", "", "2027-10-08", "", "my-plan", "小县方案", "4,5,6,7,8,9", "6-3"),
        *(str(MHT), "", "off", "auto", "", ""),
    ]
    result = run(str(out), given="\n".join([*answers, ""]))
    assert result.exit_code == 0, result.output
    found = written(out)
    assert (found.id, found.title, found.opens.date()) == ("my-plan", "小县方案", date(2027, 10, 8))
    assert found.census_date == date(2027, 9, 30)
    assert found.instruments[0].digest == codebook("mht").digest.hex()
    assert found.grades == ("4", "5", "6", "7", "8", "9")
    assert found.tiers is None


def test_a_wrong_answer_is_asked_again(tmp_path: Path) -> None:
    out = tmp_path / "mine.toml"
    at = ALL.index("--grades")
    rest = [*ALL[:at], *ALL[at + 2 :]]
    result = run(str(out), *rest, given="4,five\n7,8,9\n")
    assert result.exit_code == 0, result.output
    assert "'five'" in result.output
    assert written(out).grades == ("7", "8", "9")


def test_a_file_that_is_there_stays(tmp_path: Path) -> None:
    out = tmp_path / "mine.toml"
    out.write_text("mine", "utf-8")
    for arguments in (ALL, ()):  # before any question
        result = run(str(out), *arguments, given="")
        assert (result.exit_code, out.read_text("utf-8")) == (1, "mine")
        assert "choose another name" in result.stderr


def test_a_file_that_appears_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "mine.toml"
    monkeypatch.setattr(new_command, "_check", lambda *_: out.write_text("mine", "utf-8"))
    assert (run(str(out), *ALL).exit_code, out.read_text("utf-8")) == (1, "mine")


@pytest.mark.parametrize(
    ("replaced", "by", "word"),
    [
        ("2027-2028", "2027-2029", "school_year"),
        ("2027-12-01", "2027-09-25", "window.closes"),
        ("2027-12-01", "2028-12-01", "window.closes"),
        ("autumn-2027", "Autumn 2027", "id"),
        ("30", "4", "4 schools"),
        ("4,5,6,7,8,9", "4", ""),
    ],
    ids=["year", "closes_early", "window_too_long", "id", "too_few_schools", "fine"],
)
def test_answers_that_make_no_plan_write_nothing(tmp_path: Path, replaced: str, by: str, word: str) -> None:
    out = tmp_path / "mine.toml"
    result = run(str(out), *(by if item == replaced else item for item in ALL))
    assert (result.exit_code, out.exists()) == ((1, False) if word else (0, True))
    assert word in result.stderr


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--base", "summer"),
        ("--grades", "4,13"),
        ("--systems", "7-2"),
        ("--census-date", "30.9.2027"),
        ("--consent", "maybe"),
        ("--critical-items", "yes"),
        ("--codebook", "no-such-file.toml"),
    ],
)
def test_wrong_options_exit_2(tmp_path: Path, option: str, value: str) -> None:
    out = tmp_path / "mine.toml"
    assert run(str(out), *ALL, option, value).exit_code == 2
    assert not out.exists()


def test_a_broken_codebook_exits_1(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("x = 1", "utf-8")
    assert run(str(tmp_path / "mine.toml"), *ALL, "--codebook", str(broken)).exit_code == 1


def test_an_instrument_without_factors_leaves_their_table_out(tmp_path: Path) -> None:
    text = MHT.read_text("utf-8")
    plain = tmp_path / "plain.toml"
    start, end = text.index("[[factors]]"), text.index("[", text.rindex("[[factors]]") + 11)
    plain.write_text(text[:start] + text[text.index("\n[", end - 1) + 1 :], "utf-8")
    out = tmp_path / "mine.toml"
    result = run(str(out), *ALL, "--codebook", str(plain))
    assert result.exit_code == 0, result.output
    found = written(out)
    assert found.instruments[0].factors == ()
    assert [table.id for table in found.tables] == ["A1", "A2", "A3", "A4", "A5", "A7", "A8"]


def test_texts_are_escaped(tmp_path: Path) -> None:
    out = tmp_path / "mine.toml"
    title = 'a "b" \\ # c'
    assert run(str(out), *ALL, "--title", title).exit_code == 0
    assert written(out).title == title
    assert replace(written(out), title="x").title == "x"
