"""`node import` and `node profile guess` as commands: files and ledgers in, a report, an undo."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner
from click.testing import Result as Ran

from node import cli_import, cli_text
from node.cli import node as group
from node.errors import VaultRefusal
from node.vault.importing.profile import parse_profile

pytestmark = pytest.mark.process
TARGET = ("--wave", "A", "--school-year", "2026-2027", "--census-date", "2026-09-30")


@pytest.fixture(scope="module")
def traps() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "import_traps", Path(__file__).parent / "importing" / "traps.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["import_traps"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A node whose database key is a systemd credential."""
    root = tmp_path_factory.mktemp("import")
    (root / "fedscreen-database-key").write_bytes(bytes(range(50, 82)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CREDENTIALS_DIRECTORY", str(root))
        made = run(root / "node", "init", "--federation", "f", "--id", "s", "--operator", "一中")
        assert made.exit_code == 0, made.output
        yield root / "node"


def run(folder: Path, *arguments: str, sub: str = "") -> Ran:
    names = [*([sub] if sub else []), arguments[0]]
    found = CliRunner().invoke(group, [*names, "--dir", str(folder), *arguments[1:]])
    if found.exception and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found


def write(school: Any, place: Path) -> dict[str, str]:
    place.mkdir(exist_ok=True)
    paths = {}
    for part, data in school.files().items():
        path = place / f"{part}{'.toml' if part in ('profile', 'codebook') else '.dat'}"
        path.write_bytes(data)
        paths[part] = str(path)
    return paths


def options(paths: dict[str, str]) -> list[str]:
    named = []
    for part, path in paths.items():
        if part.startswith("ledger."):
            named += ["--ledger", f"{part.removeprefix('ledger.')}={path}"]
        else:
            named += ["--consent-file" if part == "consent" else f"--{part}", path]
    return named


def test_ledgers_consent_and_sheets_reach_the_vault_and_an_undo_takes_all_back(
    folder: Path, traps: ModuleType, tmp_path: Path
) -> None:
    school = traps.School()
    for name in ("ledger of single parents", "consent by class", "two sheets, one named by number"):
        traps.TRAPS[name].spoil(school)
    del school.more["roster"]
    school.more["roster"] = traps.make.xlsx(school.roster[:2], [["说明"]], school.roster)
    files = [*options(write(school, tmp_path / "a")), "--sheet", "roster=3", *TARGET]
    dry = json.loads(run(folder, "import", *files, "--dry-run", "--json").output)
    assert (dry["imported"], dry["refused"], dry["issues"]) == (0, 0, [])
    done = json.loads(run(folder, "import", *files, "--by", "王老师", "--json").output)
    assert (done["imported"], done["counts"]["ledger_rows"], done["counts"]["class_rows"]) == (1, 1, 4)
    undone = json.loads(run(folder, "import", "--undo", "--by", "王老师", "--json").output)
    assert (undone["undone"], undone["records"]) == (1, "")
    again = run(folder, "import", "--undo", "--json")
    assert (again.exit_code, json.loads(again.output)["error"]) == (1, "no-undo")


@pytest.mark.parametrize("ending", ["html", "csv"])
def test_a_report_is_written_only_where_it_is_asked_for_and_names_no_pupil(
    folder: Path, traps: ModuleType, tmp_path: Path, ending: str
) -> None:
    school = traps.School()
    school.set("roster", 2, "年级", "学前班")
    files = options(write(school, tmp_path / "a"))
    before = set(tmp_path.rglob("*"))
    assert run(folder, "import", *files, *TARGET).exit_code == 1
    assert set(tmp_path.rglob("*")) == before
    report = tmp_path / f"report.{ending}"
    assert run(folder, "import", *files, *TARGET, "--report", str(report)).exit_code == 1
    data = report.read_bytes()
    if ending == "csv":
        rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))
        assert [row[3:6] for row in rows[1:]] == [["3", "D", "年级"]]
    assert not [name for name in (*traps.NAMES, "学前班") if name.encode() in data]


def test_a_proposal_is_a_profile(folder: Path, traps: ModuleType, tmp_path: Path) -> None:
    paths = write(traps.School(), tmp_path / "a")
    out = tmp_path / "p.toml"
    found = run(
        folder, "guess", paths["roster"], paths["screening"], "--out", str(out), "--json", sub="profile"
    )
    assert [item["part"] for item in json.loads(found.output)["files"]] == ["roster", "screening"]
    assert parse_profile(out.read_bytes()).columns["student_no"] == ("全国学籍号", "学籍号")
    said = run(folder, "guess", paths["screening"], "--out", str(out), sub="profile").output
    assert "not found, but an import needs it: guardian_consent 监护人同意" in said
    assert "none of these files is a roster" in said
    assert "level 预警等级" in said
    assert "learning" in said
    shown = run(folder, "guess", paths["roster"], sub="profile").output
    assert 'grade = ["年级"]' in shown


@pytest.mark.parametrize(
    "arguments",
    [
        ("--undo", "--wave", "A"),
        ("--roster", __file__),
        ("--ledger", "a=nowhere"),
        ("--ledger", "nowhere"),
        ("--sheet", "2"),
        (
            *(
                word
                for part in ("roster", "screening", "profile", "codebook")
                for word in (f"--{part}", __file__)
            ),
            "--sheet",
            "retest=2",
        ),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_told_before_anything_is_opened(folder: Path, arguments: tuple[str, ...]) -> None:
    assert run(folder, "import", *arguments).exit_code == 2
    assert not os.path.exists("nowhere")


class _Rounds:
    """A vault that knows some rounds."""

    def __init__(self, *states: str) -> None:
        self.rows = [
            {"round": f"{place}" * 64, "state": state, "wave": "A", "school_year": "2026-2027"}
            | {"census_date": "2026-09-30"}
            for place, state in enumerate(states)
        ]

    def call(self, _asks: dict[str, Any]) -> tuple[dict[str, Any], dict[str, bytes]]:
        return {"rounds": self.rows}, {}


def test_a_round_that_is_over_is_named_and_not_chosen() -> None:
    assert cli_import._open_round(_Rounds("released", "collecting"), None) == "1" * 64  # type: ignore[arg-type]
    with pytest.raises(VaultRefusal) as caught:
        cli_import._open_round(_Rounds("released", "aborted"), None)  # type: ignore[arg-type]
    shown = "\n".join(cli_text.error_lines(caught.value))
    assert f"the newest is {'0' * 16}, of wave A in 2026-2027" in shown
    assert f"give --round {'0' * 16};" in shown
    with pytest.raises(VaultRefusal, match="waves are open"):
        cli_import._open_round(_Rounds(), None)  # type: ignore[arg-type]


def test_a_report_that_cannot_be_written_leaves_no_doubt_about_the_import(
    folder: Path, traps: ModuleType, tmp_path: Path
) -> None:
    files = options(write(traps.School(), tmp_path / "a"))
    before = json.loads(run(folder, "check", "--json").output)["journal_records"]
    other = run(folder, "import", *files, *TARGET, "--report", str(tmp_path / "report.doc"), "--json")
    assert (other.exit_code, json.loads(other.output)["error"]) == (1, "file")
    assert json.loads(run(folder, "check", "--json").output)["journal_records"] == before
    nowhere = run(folder, "import", *files, *TARGET, "--report", str(tmp_path / "not there" / "report.html"))
    assert nowhere.exit_code == 1
    assert "records stored" in nowhere.stdout
    assert "cannot be written" in nowhere.stderr
