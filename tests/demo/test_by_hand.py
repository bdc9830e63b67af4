"""Files for a round that is played by hand."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from fedscreen.demo.by_hand import write_files
from fedscreen.demo.cli import demo
from fedscreen.demo.county import make_county
from fedscreen.demo.errors import DemoDataError
from fedscreen.demo.out_folder import MARK
from fedscreen.demo.truth import import_school
from node.vault.import_file import ImportContext
from plan.document import parse_plan_toml

NOW = datetime(2031, 10, 5, 12, 30, 30, 999, tzinfo=UTC)


def test_the_plan_is_dated_and_the_schools_files_fit_it(tmp_path: Path) -> None:
    schools = make_county(5, 60, 1, "2031-2032")
    plan = parse_plan_toml(write_files(tmp_path, schools, "autumn-full", "2031-2032", NOW).read_bytes())
    assert (plan.school_year, plan.census_date.isoformat()) == ("2031-2032", "2031-09-30")
    assert (plan.closes - plan.opens).days == 30
    assert plan.opens < NOW < plan.closes
    context = ImportContext(
        record_secret=bytes(32),
        school_year=plan.school_year,
        wave=plan.wave,
        census_date=plan.census_date,
        school_system="6-3",
        consent_policy=plan.consent,
    )
    found = [import_school(tmp_path / "schools" / school.id, context) for school in schools]
    assert sum(len(result.records) for result in found) == 60


def test_a_plan_without_its_dates_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ready = tmp_path / "ready"
    ready.mkdir()
    (ready / "odd.toml").write_text('school_year = "2026-2027"\n', "utf-8")
    monkeypatch.setattr("fedscreen.demo.by_hand.package_files", lambda _name: tmp_path)
    with pytest.raises(DemoDataError, match="census_date"):
        write_files(tmp_path, [], "odd", "2031-2032", NOW)


def test_the_command_writes_files_and_starts_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = CliRunner().invoke(demo, ["--only-files", "--schools", "5", "--pupils", "30", "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in out.iterdir()) == [MARK, "plan.toml", "schools"]
    assert len(list((out / "schools").iterdir())) == 5


def test_an_unsafe_number_of_auditors_is_refused_before_anything(tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = CliRunner().invoke(demo, ["--auditors", "2", "--threshold", "1", "--out", str(out)])
    assert result.exit_code == 1
    assert "1 of 2 auditors are no safe --threshold; choose one of 2" in result.output
    assert not out.exists()
