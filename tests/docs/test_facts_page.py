"""The page about institution facts says what the code asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from results.fact_indicators import FACT_DIMENSIONS
from results.facts import ATTESTATIONS, BANDS, FI_CATALOGUE, FIELDS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "facts.md").read_text("utf-8")
ROWS = {
    cells[0]: cells for line in PAGE.splitlines() if (cells := [cell.strip() for cell in line.split("|")][1:])
}


def test_every_field_stands_in_the_page_with_its_values() -> None:
    named = [
        key for key in ROWS if key.startswith("`") and ROWS[key][1] in {row.zh for row in FIELDS.values()}
    ]
    assert len(named) == len(FIELDS)
    for name, row in FIELDS.items():
        cells = ROWS[f"`{name}` *" if row.is_required else f"`{name}`"]
        assert cells[1] == row.zh
        if row.kind in ("count", "decimal"):
            assert cells[2].startswith(f"{row.low} to {row.high}")
        for code, label in row.codes.items():
            assert f"`{code}` {label}" in cells[2]


@pytest.mark.parametrize("entry", FI_CATALOGUE, ids=lambda entry: entry.id)
def test_every_indicator_stands_in_the_page(entry: object) -> None:
    row = next(item for item in FI_CATALOGUE if item is entry)
    cells = ROWS[row.id]
    assert cells[1:4] == [row.name, row.unit, row.definition]
    assert cells[4] == (", ".join(row.by) or "–")
    for target in row.targets:
        assert f"{target.limit}" in cells[5]
        assert target.source in cells[5]
        assert all(FACT_DIMENSIONS[name][code] in cells[5] for name, code in target.keys.items())


def test_every_part_of_a_statement_stands_in_the_page() -> None:
    assert all(f"`{code}` {label}" in ROWS["`band` *"][2] for code, label in BANDS.items())
    assert all(ROWS[f"`{name}`"][1] == zh for name, (zh, _label) in ATTESTATIONS.items())
