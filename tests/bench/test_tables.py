"""The document's tables come from figures, and only where there are some."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench import tables
from bench.peer_ours import Parts
from bench.peer_rows import Row


def peers_json() -> dict[str, Any]:
    rows = [
        Row("fedscreen (4, 3)", "", n, 1_000, 0.0004, 0.0005, 0.09, 14_449, 1, True).as_json()
        | {"parts": dict.fromkeys(Parts.__slots__, 0.003 * n)}
        for n in (10, 300)
    ]
    scaled = Row("phe", "", 300, 1_000, 1.5, 1.5, 123.4, 104_960, 1, True, "n=21").as_json() | {"parts": None}
    ratio = {"n": 300, "d": 1_000, "ratio": 0.61, "reference_peer": "X", "target": 0.5, "ok": False}
    summary = [ratio | {"name": f"{kind} / best secure peer"} for kind in ("server CPU", "client CPU")]
    return {"rows": [*rows, scaled], "summary": summary, "floor": {"open": 66.2}}


def test_tables_show_the_figures_and_mark_what_is_scaled_or_missed(tmp_path: Path) -> None:
    (tmp_path / "peers.json").write_text(json.dumps(peers_json()))
    found = dict(tables.tables(tmp_path))
    assert set(found) == {"peers", "server-ratios", "client-ratios", "parts", "floor"}
    assert "| fedscreen (4, 3) | 0.4 | 0.09 | 14 KB | 1 | exact |" in found["peers"]
    assert "| phe | 1,500\\* | 123\\* | 105 KB | 1 | exact |" in found["peers"]
    assert "| n = 300 | 0.61 ✗ (X) |" in found["server-ratios"]
    assert "| combine | 3000 |" in found["parts"]


def test_the_nation_table_adds_up_coordinator_and_auditors(tmp_path: Path) -> None:
    cost = {"reports": 2_000, "peak_mib": 50.0, "read_cpu_s": 1, "open_cpu_s": 2, "expand_cpu_s": 3}
    rows = [
        cost | {"role": role, "cpu_s": 30.0}
        for role in ("schools", "coordinator", "auditor a1", "auditor a2")
    ]
    (tmp_path / "nation.json").write_text(json.dumps(rows))
    assert "**1.5 min** | 150 MiB" in dict(tables.tables(tmp_path))["nation"]


def test_a_table_without_figures_stays_as_it_is(tmp_path: Path) -> None:
    assert list(tables.tables(tmp_path)) == []


def test_a_table_goes_between_its_marks_and_nowhere_else() -> None:
    text = "a\n<!-- begin x -->\nold\n<!-- end x -->\n<!-- begin y -->\n<!-- end y -->\n"
    assert tables.replace(text, "x", "new") == text.replace("old", "new")
    with pytest.raises(ValueError, match="no marks"):
        tables.replace(text, "z", "new")


def test_the_document_has_the_marks_of_every_table() -> None:
    text = tables.DOCUMENT.read_text("utf-8")
    for name in ("peers", "server-ratios", "client-ratios", "parts", "floor", "nation"):
        assert tables.replace(text, name, "T").count("\nT\n") == 1
