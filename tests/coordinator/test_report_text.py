"""Texts of people are harmless in a spreadsheet, also after it was saved as csv."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_samples import HOSTILE

from coordinator.reports.csvs import encode_csv
from paper.text import MAX_CELL_CHARS, cell_words, clean

TRIGGERS = "=+-@\t\r\n＝＋－＠"


@pytest.mark.parametrize("text", HOSTILE)
def test_no_cell_begins_like_a_formula(text: str) -> None:
    assert not cell_words(text).startswith(tuple(TRIGGERS))


@given(st.text(max_size=300))
def test_any_text_is_printable_and_no_formula(text: str) -> None:
    words = cell_words(text)
    assert words[:1] not in tuple(TRIGGERS)
    assert all(unicodedata.category(char)[0] != "C" for char in words)
    assert len(words) <= MAX_CELL_CHARS + 1
    assert clean(clean(text)) == clean(text)


def test_plain_words_stay_as_they_are() -> None:
    assert cell_words("第一中学(东校区) 3 班 50%") == "第一中学(东校区) 3 班 50%"


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_no_separator_makes_a_formula_of_a_csv_cell(separator: str) -> None:
    line = encode_csv([("a;=1+1,\t=2", 3)]).decode("utf-8-sig").splitlines()[0]
    assert line.startswith('"a;')  # quoted: one cell, whatever separates
    cells = [cell.strip('"') for cell in line.split(separator)] if separator not in ",;" else []
    assert not any(cell.startswith(tuple(TRIGGERS)) for cell in cells)
