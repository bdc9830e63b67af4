"""What a preview prints: words instead of codes, zeros folded, who may see counts, and what comes next."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes_roles import actor, add
from fakes_vault import SchoolHouse, pupils

from node.preview_text import preview_lines
from node.vault.roles import PRINCIPAL

NAME = "张校长"


@pytest.fixture(autouse=True)
def chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels of the plan are Chinese; sentences stay English without a catalogue."""
    monkeypatch.setenv("LANGUAGE", "zh_CN")
    monkeypatch.setattr("node.preview_text._", str)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[SchoolHouse]:
    found = SchoolHouse(tmp_path)
    yield found
    found.store.close()


@pytest.fixture
def round_id(house: SchoolHouse) -> str:
    return house.start_round().hex()


def lines_of(house: SchoolHouse, round_id: str, **more: Any) -> list[str]:
    return list(preview_lines(house.call("preview", round=round_id, **more), with_cells=True))


def test_cells_are_told_in_words_by_row_and_zeros_are_counted(house: SchoolHouse, round_id: str) -> None:
    answer = house.call("preview", round=round_id)
    lines = list(preview_lines(answer, with_cells=True))
    text = "\n".join(lines)
    assert "disposition" not in text
    assert "    年级 · 测评情况" in lines
    table = answer["tables"][0]
    counts = {(cell["keys"]["grade"], cell["keys"]["disposition"]): cell["count"] for cell in table["cells"]}
    labels = table["labels"]
    row = next(line for line in lines if line.startswith(f"      {labels['grade']['7']}: "))
    assert f"{labels['disposition']['1']} {counts['7', '1']}" in row
    assert f"{labels['disposition']['3']} {counts['7', '3']}" in row
    assert not [line for line in lines if line.endswith(" 0")]
    zeros = sum(not count for count in counts.values())
    assert f"      {zeros} cells are 0; they leave with noise like all others" in lines


def test_every_count_of_a_table_is_in_its_lines(house: SchoolHouse, round_id: str) -> None:
    answer = house.call("preview", round=round_id)
    for table in answer["tables"]:
        lines = list(preview_lines({**answer, "tables": [table]}, with_cells=True))
        rows = [line.partition(": ")[2] for line in lines if line.startswith("      ") and ": " in line]
        shown = sorted(int(part.rpartition(" ")[2]) for row in rows for part in row.split(", "))
        assert shown == sorted(cell["count"] for cell in table["cells"] if cell["count"])


def test_a_table_of_one_dimension_is_one_line(house: SchoolHouse, round_id: str) -> None:
    answer = house.call("preview", round=round_id)
    cells = [{"keys": {"grade": "7"}, "count": 4}, {"keys": {"grade": "8"}, "count": 0}]
    table = {**answer["tables"][0], "dims": ["grade"], "cells": cells}
    lines = list(preview_lines({**answer, "tables": [table]}, with_cells=True))
    assert f"      {table['labels']['grade']['7']} 4" in lines


def test_without_a_holder_only_the_tables_are_listed_and_that_is_said_first(
    house: SchoolHouse, round_id: str
) -> None:
    add(house, PRINCIPAL, NAME)
    lines = lines_of(house, round_id)
    assert "--holder" in lines[0]
    assert not [line for line in lines if line.startswith("    ") or "stay here" in line]
    assert len([line for line in lines if "sum –" in line]) == 2
    assert "stay here" in "\n".join(lines_of(house, round_id, actor=actor(PRINCIPAL, NAME)))


def test_before_a_release_the_next_command_is_told(house: SchoolHouse, round_id: str) -> None:
    assert lines_of(house, round_id)[-1] == f"release with: fedscreen node release {round_id[:16]} --by NAME"


def test_after_a_release_only_other_records_are_to_be_released(house: SchoolHouse, round_id: str) -> None:
    house.release(bytes.fromhex(round_id))
    assert lines_of(house, round_id)[-1].startswith("released already: attempt 0 by 李校长, ")
    house.save(pupils(shift=1))
    changed = lines_of(house, round_id)
    assert changed[-2].startswith("the records have changed since")
    assert changed[-1].startswith("release with: ")


def test_nothing_is_to_be_released_into_a_closed_round(house: SchoolHouse, round_id: str) -> None:
    answer = {**house.call("preview", round=round_id), "is_over": 1}
    lines = list(preview_lines(answer, with_cells=False))
    assert lines[-1] == "the county has closed the collection of this round"
    assert not [line for line in lines if line.startswith("release with")]
