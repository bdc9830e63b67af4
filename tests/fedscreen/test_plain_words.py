"""What a clerk reads in Chinese: the codes of a plan, of the roster and of keys stand in words."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from coordinator import cli_keys, cli_members
from coordinator.key_ring import PURPOSES

ROOT = Path(__file__).resolve().parents[2]


def chinese(*arguments: object, given: str = "") -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG"))}
    clean.pop("FEDSCREEN_LANG", None)
    result = subprocess.run(
        [sys.executable, "-m", "fedscreen", *map(str, arguments)],
        cwd=ROOT,
        env=clean,
        input=given,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.process
def test_explain_names_stages_and_dimensions_in_chinese() -> None:
    shown = chinese("plan", "explain", "autumn-small", "--schools", 25, "--pupils", 6_000)
    assert "小学 2100, 初中 2100, 高中 1200, 中职 600" in shown
    assert "去掉“学段”（该表 dims 中的 stage）" in shown
    assert "权重 weight 由 3 改为 12（" in shown
    assert not re.search(r"primary|junior|senior|vocational", shown)


@pytest.mark.process
def test_new_asks_with_a_word_beside_each_code(tmp_path: Path) -> None:
    shown = chinese("plan", "new", tmp_path / "own.toml", given="\n" * 20)
    for words in (
        "autumn-full 秋季全员筛查",
        "（internal 内部, on-request 依申请公开, public 主动公开）",
        "（require 须有登记的同意, record-only 只登记同意情况）",
        "（off 关闭, auto 自动）",
        "（6-3 六三学制, 5-4 五四学制）",
    ):
        assert words in shown
    assert 'release_class = "internal"' in (tmp_path / "own.toml").read_text("utf-8")


def test_members_are_listed_with_titles_and_words_of_their_attributes() -> None:
    row: dict[str, object] = {
        "role": "node",
        "id": "s01",
        "operator": "School",
        "state": "rostered",
        "certificate_days": 9,
        "succeeded_by": "",
        "attributes": {"school_type": "nine-year", "urban_rural": "3", "own": "x"},
    }
    lines = list(cli_members._list_lines([row]))
    assert lines[1] == "  Type of school: nine-year school, Urban or rural: village, own: x"


def test_keys_are_listed_by_the_word_of_their_purpose() -> None:
    rows: list[dict[str, object]] = [
        {"purpose": purpose, "number": 1, "state": "in-force", "id": "ab"} for purpose in PURPOSES
    ]
    assert [line.split(" key")[0] for line in cli_keys._list_lines(rows)] == ["log", "statement", "CA"]
