"""Charts: one SVG element each, that says its numbers in words and holds nothing that runs or is fetched."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable

import pytest
from report_samples import HOSTILE

from paper.charts import (
    Bar,
    ChartText,
    Series,
    Value,
    bars,
    county_grid,
    funnel,
    lines,
    matrix,
    stacked_bars,
)
from paper.charts.svg import axis

ONE, TWO = Value(12.5, 1.5, "12.5 ± 1.5"), Value(30.0, 4.0, "30.0 ± 4.0")
SMALL = "样本过小"
SVG = "{http://www.w3.org/2000/svg}"
NAMES = ("小学", "初中")
Chart = Callable[[ChartText, str], str]
CHARTS: dict[str, Chart] = {
    "stacked": lambda text, name: stacked_bars(
        text, ["一般", "重点"], [Bar(name, (ONE, None), TWO), Bar("b", (TWO, ONE))]
    ),
    "bars": lambda text, name: bars(text, [(name, ONE), ("b", TWO), ("c", None)]),
    "lines": lambda text, name: lines(text, [name, "b", "c"], [Series("all", (ONE, None, TWO))]),
    "matrix": lambda text, name: matrix(text, "r", "c", [name, "b"], NAMES, [[ONE, None], [TWO, ONE]]),
    "funnel": lambda text, name: funnel(text, [(name, TWO), ("b", ONE), ("c", None)]),
    "counties": lambda text, name: county_grid(text, [(name, TWO), ("b", ONE), ("c", None)]),
}


def words(name: str = "c-1", title: str = "标题") -> ChartText:
    return ChartText(name, title, "%", SMALL, "注")


def drawn(kind: str, name: str = "小学", title: str = "标题") -> ET.Element:
    return ET.fromstring(CHARTS[kind](words(title=title), name))


@pytest.mark.parametrize("kind", CHARTS)
def test_every_number_is_said_in_words_and_stands_in_the_drawing(kind: str) -> None:
    root = drawn(kind)
    told = "".join(root.find(f"{SVG}desc").itertext())  # type: ignore[union-attr]
    seen = " ".join("".join(item.itertext()) for item in root.iter(f"{SVG}text"))
    for number in ("12.5 ± 1.5", "30.0 ± 4.0"):
        assert number in told
    for number in ("12.5", "30.0"):
        assert number in seen or kind == "lines"
    assert SMALL in told
    assert SMALL in seen
    assert root.attrib["aria-labelledby"] == "c-1-t c-1-d"
    assert root.attrib["role"] == "img"


@pytest.mark.parametrize("kind", CHARTS)
def test_nothing_runs_and_nothing_is_fetched(kind: str) -> None:
    root = drawn(kind)
    tags = {item.tag.partition("}")[2] for item in root.iter()}
    assert tags <= {"svg", "title", "desc", "defs", "pattern", "rect", "path", "polyline", "polygon", "text"}
    for item in root.iter():
        for key, value in item.attrib.items():
            assert not key.startswith("on")
            assert key not in ("style", "class", "href", "{http://www.w3.org/1999/xlink}href")
            assert "url(" not in value or re.fullmatch(r"url\(#c-1-f[0-9]\)", value)


@pytest.mark.parametrize("kind", CHARTS)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_only_a_text(kind: str, name: str) -> None:
    root, plain = drawn(kind, name, name), drawn(kind)
    tags = lambda tree: [item.tag for item in tree.iter()]  # noqa: E731
    assert tags(root) == tags(plain)
    for char in "\u202e\u2066\x00\x1b":
        assert char not in ET.tostring(root, "unicode")


def test_what_is_withheld_has_no_length() -> None:
    both = stacked_bars(words(), ["a", "b"], [Bar("x", (ONE, TWO))])
    one = stacked_bars(words(), ["a", "b"], [Bar("x", (ONE, None))])
    count = lambda svg: len(list(ET.fromstring(svg).iter(f"{SVG}rect")))  # noqa: E731
    assert count(both) - count(one) == 2  # the part, and the ground of its number


def test_lines_break_where_a_number_is_withheld() -> None:
    def strokes(*values: Value | None) -> int:
        svg = lines(words(), [str(place) for place in range(len(values))], [Series("s", values)])
        return sum(
            item.attrib.get("stroke-width") == "1.8" for item in ET.fromstring(svg).iter(f"{SVG}polyline")
        )

    assert strokes(ONE, TWO, ONE) == 3  # two strokes and the legend's
    assert strokes(ONE, None, ONE) == 1


def test_series_differ_by_more_than_colour() -> None:
    svg = lines(words(), NAMES, [Series("a", (ONE, TWO)), Series("b", (TWO, ONE))])
    strokes = [item.attrib for item in ET.fromstring(svg).iter(f"{SVG}polyline")]
    assert {item.get("stroke-dasharray", "") for item in strokes if item["stroke-width"] == "1.8"} == {
        "",
        "6 3",
    }
    patterns = ET.fromstring(stacked_bars(words(), ["a", "b"], [Bar("x", (ONE, TWO))])).iter(f"{SVG}pattern")
    assert len({ET.tostring(item[-1]) for item in patterns}) == 2


@pytest.mark.parametrize(
    ("highest", "most", "end"),
    [(0.0, 100.0, 1.0), (20.5, 100.0, 25.0), (99.0, 100.0, 100.0), (7.0, 1e9, 8.0)],
)
def test_an_axis_ends_a_little_above_the_highest_number(highest: float, most: float, end: float) -> None:
    marks = axis(highest, most)
    assert marks[0] == 0
    assert marks[-1] == pytest.approx(end)
    assert len(marks) <= 6
