"""`node receipt --out x.html`: what stands on the page, and that the proof on it is the proof."""

from __future__ import annotations

import html
import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from canary_school import TODAY, CanarySchool, use_desks_here
from click.testing import CliRunner
from fakes_vault import pupils

from node.cli import node as group
from node.receipt_page import receipt_page


@pytest.fixture
def school(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CanarySchool:
    """A node that has released; its report is in the cosigned log."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    use_desks_here(monkeypatch)
    found = CanarySchool(tmp_path)
    found.house.open()
    rows = [replace(row, codebook=found.codebook) if row.disposition == "1" else row for row in pupils()]
    found.house.save(rows, census_date=TODAY.date())
    found.house.release(bytes.fromhex(found.round_id))
    found.house.desk.on_receipt(found.house.submit())
    found.house.sync()
    found.house.store.close()
    return found


@pytest.mark.parametrize("ending", ["html", "HTM"])
def test_a_page_shows_school_round_time_digest_and_the_whole_proof(school: CanarySchool, ending: str) -> None:
    page, proof = school.new(f"r.{ending}"), school.new("r.tlog-proof")
    for path in (page, proof):
        done = school.run("receipt", school.round_id[:8], "--out", path, "--dir", school.node)
        assert done.exit_code == 0, done.shown
    row = json.loads(school.run("rounds", "--dir", school.node, "--json").shown)["rounds"][0]
    text = html.unescape(page.read_text("utf-8"))
    assert proof.read_text("utf-8") in text
    assert proof.read_text("utf-8").startswith("c2sp.org/tlog-proof@v1\n")
    local = datetime.fromisoformat(row["report"]["released"]).astimezone()
    for shown in (
        "第一中学",
        row["title"],
        school.round_id,
        row["report"]["digest"],
        "李校长",
        f"{local:%Y-%m-%d %H:%M}",
    ):
        assert shown in text
    assert "The auditors have signed that this report stands" in text


@pytest.mark.parametrize("name", ["r.tlog-proof", "r.txt", "r"])
def test_any_other_file_is_the_proof_itself(school: CanarySchool, name: str) -> None:
    path = school.new(name)
    school.run("receipt", school.round_id[:8], "--out", path, "--dir", school.node)
    assert path.read_bytes().startswith(b"c2sp.org/tlog-proof@v1\nindex ")


def test_what_others_wrote_is_escaped_and_a_receipt_of_the_log_alone_says_so() -> None:
    school = {"operator": "<b>中学</b>", "node": "s", "federation": "f"}
    found = {"title": "<i>", "school_year": "2026-2027", "wave": "A", "round": "ab" * 32, "attempts": []}
    page = receipt_page(school, found, {"kind": "immediate", "attempt": 2}, b"<proof>")
    assert "<b>" not in page
    assert "<i>" not in page
    assert "&lt;proof&gt;" in page
    assert "write the receipt again when the auditors have cosigned" in page


def test_help_of_the_group_shows_the_options_of_writing() -> None:
    found = CliRunner().invoke(group, ["receipt", "--help"])
    assert "--out" in found.output
    assert "write" in found.output
    assert "import" in found.output
