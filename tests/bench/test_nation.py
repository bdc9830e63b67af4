"""The whole country in small: every process starts, the sum comes out, and the picture shows the figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench import growth_plot, nation


@pytest.mark.process
def test_a_small_country_is_added_up_and_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results, picture = tmp_path / "nation.json", tmp_path / "docs" / "nation.svg"
    words = ["nation.py", "--sizes", "3", "40", "--cells", "7", "--results", str(results)]
    monkeypatch.setattr("sys.argv", [*words, "--picture", str(picture)])
    assert nation.main() == 0
    rows: list[dict[str, Any]] = json.loads(results.read_text("utf-8"))
    roles = ["schools", "coordinator", "auditor a1", "auditor a2", "auditor a3"]
    assert [(row["reports"], row["role"]) for row in rows] == [(n, role) for n in (3, 40) for role in roles]
    assert all(row["cpu_s"] >= 0 and row["peak_mib"] > 1 for row in rows)
    assert picture.read_text("utf-8") == nation.picture(rows)


def test_a_picture_shows_every_value_at_its_height() -> None:
    lines = [growth_plot.Series("a <b>", "#000", [1.0, 100.0])]
    svg = growth_plot.draw("T", "n", [10, 1000], ("left", lines), ("right", lines))
    assert svg == growth_plot.draw("T", "n", [10, 1000], ("left", lines), ("right", lines))
    assert "a &lt;b&gt;" in svg
    left, right = ('<polyline points="64.0,320.0 344.0,64.0"', '<polyline points="490.0,317.4 770.0,64.0"')
    assert left in svg
    assert right in svg
