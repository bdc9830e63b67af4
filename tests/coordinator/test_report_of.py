"""From the log to a report, and the command that writes it."""

from __future__ import annotations

import json
import os
import stat
import zipfile
from pathlib import Path

import pytest
import report_samples as samples
from click.testing import CliRunner, Result
from fakes_coordinator import County

from coordinator import facts
from coordinator.cli import coordinator
from coordinator.config import encode_config, load_config
from coordinator.errors import NotReleasedError, ReportError
from coordinator.report_of import conditions_of, report_of


@pytest.fixture(autouse=True)
def _bound() -> None:
    samples.bind()


def run(county: County, *arguments: object) -> Result:
    words = [str(item) for item in ("results", "report", *arguments, "--dir", county.directory, "--json")]
    return CliRunner().invoke(coordinator, words, catch_exceptions=False)


def answer(result: Result, code: int = 0) -> dict[str, object]:
    assert result.exit_code == code, result.output
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


def test_a_report_holds_what_the_log_proves(released: County) -> None:
    model = report_of(released.desk.book, released.round_id, unit="样例县")
    round_log = released.ledger().rounds[released.round_id]
    assert round_log.release is not None
    assert round_log.close is not None
    assert model.audit.plan == released.round_id.hex()
    assert model.audit.release == round_log.release.digest.hex()
    assert model.audit.close == round_log.close.digest.hex()
    assert [name for name, _ in model.audit.approvals] == ["a1", "a2", "a3", "a4"]
    assert dict(model.audit.openings).keys() == round_log.openings.keys()
    assert model.audit.log_size is not None
    assert model.audit.log_root == released.ledger().root(model.audit.log_size).hex()
    assert set(model.audit.witnesses) <= {"a1", "a2", "a3", "a4"}
    assert len(model.audit.witnesses) >= 3
    assert model.audit.origin
    assert model.head.schools_in == frozenset(released.schools)
    assert model.head.federation_title == "样例县"
    assert model.head.closes == round_log.closes
    with released.desk.reading() as view:
        assert model.head.released == view.logged_at(round_log.release.index)
    assert model.privacy.spent == round_log.terms.rho
    assert model.value("IND-05") is not None


def test_the_numbers_are_those_of_the_exported_files(released: County, tmp_path: Path) -> None:
    released.desk.export_results(released.round_id, tmp_path)
    archive = json.loads((tmp_path / "indicators.json").read_text("utf-8"))["indicators"]
    model = report_of(released.desk.book, released.round_id)
    found = [row.as_dict() for row in model.indicators if row.indicator.id != "IND-05"]
    assert [row for row in archive if row["id"] != "IND-05"] == json.loads(json.dumps(found))


def test_facts_are_in_it_and_by_school_for_the_class_internal_only(released: County) -> None:
    book = released.desk.book
    some = [row for row in samples.conditions() if row.node in released.schools][:2]
    facts.save_facts(book, some, "clerk", "command")
    model = report_of(book, released.round_id)
    assert model.facts
    assert model.facts_missing == len(released.schools) - 2
    assert len(conditions_of(book, model)) == 2
    assert not report_of(book, released.round_id, has_facts=False).facts


def test_what_cannot_be_is_refused(released: County, county: County) -> None:
    book, round_id = released.desk.book, released.round_id
    with pytest.raises(ReportError, match="was approved as"):
        report_of(book, round_id, release_class="public")
    with pytest.raises(ReportError, match="different rounds"):
        report_of(book, round_id, compared=round_id)
    with pytest.raises(NotReleasedError, match="not released yet"):
        report_of(county.desk.book, county.collecting())


def test_the_command_writes_a_file_for_its_owner_only(released: County, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "tables.xlsx"
    told = answer(run(released, released.round_id.hex()[:8], "--out", path, "--unit", "样例县"))
    assert told["files"] == [str(path)]
    assert (told["class"], told["language"]) == ("internal", "zh_CN")
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with zipfile.ZipFile(path) as archive:
        assert "样例县" in archive.read("xl/sharedStrings.xml").decode()
    before = path.read_bytes()
    answer(run(released, "--out", path, "--unit", "样例县"))
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("option", "name"), [((), "云岭县教育局"), (("--unit", "样例县"), "样例县")], ids=["configured", "option"]
)
def test_the_unit_of_the_configuration_is_the_name_unless_one_is_given(
    released: County, tmp_path: Path, option: tuple[str, ...], name: str
) -> None:
    path = released.directory / "coordinator.toml"
    path.write_bytes(
        encode_config(load_config(released.directory).model_copy(update={"unit": "云岭县教育局"}))
    )
    answer(run(released, "--format", "json", "--out", tmp_path / "x.json", *option))
    assert json.loads((tmp_path / "x.json").read_text("utf-8"))["place"] == name


def test_the_command_writes_every_format_into_a_folder(released: County, tmp_path: Path) -> None:
    told = answer(run(released, "--all", "--out", tmp_path / "all", "--lang", "en"))
    names = sorted(path.name for path in (tmp_path / "all").iterdir())
    stem = released.round_id.hex()[:16]
    assert names == sorted(
        [
            *(f"{stem}-tables-internal-en{end}" for end in (".csv.zip", ".json", ".xlsx")),
            *(f"{stem}-brief-internal-en{end}" for end in (".docx", ".html", ".pdf")),
        ]
    )
    assert told["not_written"] == []


def test_a_format_without_its_package_is_left_out_and_said(
    released: County, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "typst", None)
    told = answer(run(released, "--all", "--out", tmp_path / "all"))
    assert [row["format"] for row in told["not_written"]] == ["pdf"]  # type: ignore[attr-defined]
    refused = answer(run(released, "--format", "pdf", "--out", tmp_path / "a.pdf"), 1)
    assert refused["error"] == "report"
    assert not (tmp_path / "a.pdf").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (("--class", "public"), 1, "report"),
        (("--compare", "ffff"), 1, "unknown-round"),
        (("--format", "xls"), 2, ""),
        (("--lang", "fr"), 2, ""),
    ],
)
def test_refusals_of_the_command(
    released: County, tmp_path: Path, arguments: tuple[str, ...], code: int, error: str
) -> None:
    result = run(released, *arguments, "--out", tmp_path / "x")
    assert result.exit_code == code
    assert not error or answer(result, 1)["error"] == error
    assert not (tmp_path / "x").exists()
