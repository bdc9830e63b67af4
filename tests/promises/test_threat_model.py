"""Every numbered promise of docs/threat-model.md has one test file of its own, and the other way round."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs" / "threat-model.md").read_text("utf-8")
ROWS = re.findall(
    r"^\| P(\d+) \|.*?\[`(test_p\d\d_\w+\.py)`\]\(\.\./tests/promises/(test_p\d\d_\w+\.py)\)", PAGE, re.M
)


def test_every_promise_links_its_file() -> None:
    numbers = [int(number) for number in re.findall(r"^\| P(\d+) \|", PAGE, re.M)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert [int(number) for number, _, _ in ROWS] == numbers
    assert all(shown == linked for _, shown, linked in ROWS)


def test_every_file_speaks_of_its_promise() -> None:
    assert sorted(name for _, _, name in ROWS) == sorted(path.name for path in HERE.glob("test_p[0-9]*.py"))
    for number, _, name in ROWS:
        assert name.startswith(f"test_p{int(number):02}_")
        assert f'"""P{number}: ' in (HERE / name).read_text("utf-8")[:40]
