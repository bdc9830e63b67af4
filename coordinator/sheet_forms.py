"""The columns of the two sheets that a county sends out: school conditions, and progress statements.

A sheet has a title row that names the school year or the round, a row of sections, a row of headers, and a
row for each school of the roster. The first two columns say which school a row is of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from coordinator.facts import school_name
from plan.codes import STAGE, WAVE
from plan.errors import Problem, phrase
from plan.reading import shown_key
from protos.bodies import RosterNode
from results.fact_fields import URBAN_RURAL, YES_NO, is_about_difficulty, plain
from results.facts import ATTESTATIONS, BANDS, FIELDS, SECTIONS, field_of_header, unknown_problem

NODE: Final = "node"
NODE_HEADER: Final = "学校编号"
NAME: Final = "school_name"
NAME_HEADER: Final = "学校名称"
HEADER_ROW: Final = 3
"""Row of the headers in what we write, counted from 1."""

_NODE_HEADERS = frozenset({NODE_HEADER, "id", NODE, "学校id", "schoolid"})

TYPE_STAGES: Final[Mapping[str, tuple[str, ...]]] = {
    "point": ("primary",),
    "primary": ("primary",),
    "nine-year": ("primary", "junior"),
    "junior": ("junior",),
    "complete": ("junior", "senior"),
    "senior": ("senior",),
    "vocational": ("vocational",),
}
"""Roster attribute `school_type` → stages, to prefill; a person may change them."""


@dataclass(frozen=True, slots=True)
class SheetColumn:
    """One column.

    Attributes:
        name: key of the value.
        header: zh.
        section: zh title over several columns.
        labels: a drop-down's entries; empty for none.
        is_several: whether several of the labels may stand in a cell.
        numbers: lowest, highest and whether decimals are allowed, for a column of numbers.
        is_required: whether an empty cell is coloured.
        width: in characters.
    """

    name: str
    header: str
    section: str
    labels: tuple[str, ...] = ()
    is_several: bool = False
    numbers: tuple[int, int, bool] | None = None
    is_required: bool = False
    width: int = 12


@dataclass(frozen=True, slots=True)
class SheetForm:
    """One kind of sheet.

    Attributes:
        sheet: its name.
        title: zh, before the school year or round.
        columns: from the first on.
        find: the column's name that a header names, or None.
        refuse: the problem of a header that no column has.
        prefilled: columns that are filled from the roster; alone they are no answer.
    """

    sheet: str
    title: str
    columns: tuple[SheetColumn, ...]
    find: Callable[[str], str | None]
    refuse: Callable[[str], Problem]
    prefilled: frozenset[str]


def _head() -> tuple[SheetColumn, ...]:
    return (
        SheetColumn(NODE, NODE_HEADER, "学校", width=14),
        SheetColumn(NAME, NAME_HEADER, "学校", width=24),
    )


def _facts_columns() -> Iterator[SheetColumn]:
    yield from _head()
    for row in FIELDS.values():
        if row.name == NAME:
            continue
        numbers = (row.low, row.high, row.kind == "decimal") if row.kind in ("count", "decimal") else None
        yield SheetColumn(
            row.name,
            row.header,
            SECTIONS[row.section][0],
            tuple(row.codes.values()),
            row.kind == "choices",
            numbers,
            row.is_required,
            max(10, min(24, 2 * len(row.zh) // 2 + 4)),
        )


def _find_fact(header: str) -> str | None:
    if plain(header).rstrip("*").lower() in _NODE_HEADERS:
        return NODE
    found = field_of_header(header)
    return found.name if found else None


FACTS_FORM: Final = SheetForm(
    "学校条件",
    "学校条件填报表",
    tuple(_facts_columns()),
    _find_fact,
    unknown_problem,
    frozenset({NODE, NAME, "stages", "urban_rural", "county_code", "reporting_group"}),
)
"""Institution facts of one school year."""


def _progress_columns() -> Iterator[SheetColumn]:
    yield from _head()
    yield SheetColumn("band", "测评覆盖率档次*", "进展", tuple(BANDS.values()), is_required=True, width=16)
    for name, (zh, _label) in ATTESTATIONS.items():
        yield SheetColumn(name, zh, "请答是或否", tuple(YES_NO.values()), width=16)
    yield SheetColumn("by", "校长姓名*", "签报", is_required=True)
    yield SheetColumn("on", "填报日期*", "签报", is_required=True, width=14)


_PROGRESS_COLUMNS = tuple(_progress_columns())
_PROGRESS_HEADERS = {
    plain(text).rstrip("*").lower(): row.name for row in _PROGRESS_COLUMNS for text in (row.header, row.name)
}


def _find_progress(header: str) -> str | None:
    key = plain(header).rstrip("*").lower()
    return NODE if key in _NODE_HEADERS else _PROGRESS_HEADERS.get(key)


def _refuse_progress(header: str) -> Problem:
    advice = None
    if is_about_difficulty(header):
        advice = phrase("a progress statement says nothing about results or single pupils; delete the column")
    return Problem(shown_key(header), phrase("an unknown column"), phrase("columns of the form"), advice)


PROGRESS_FORM: Final = SheetForm(
    "进展情况",
    "测评进展情况报告表",
    _PROGRESS_COLUMNS,
    _find_progress,
    _refuse_progress,
    frozenset({NODE, NAME}),
)
"""Progress statements of one round."""


def prefilled_facts(node: RosterNode) -> dict[str, str]:
    """Give what the roster says of a school already, as it stands in the sheet."""
    own = dict(node.attributes)
    values = {NODE: node.id, NAME: school_name(node)}
    stages = TYPE_STAGES.get(own.get("school_type", ""), ())
    if stages:
        values["stages"] = "、".join(STAGE[stage] for stage in stages)
    place = own.get("urban_rural", "")
    if place in URBAN_RURAL or place in URBAN_RURAL.values():
        values["urban_rural"] = URBAN_RURAL.get(place, place)
    county = own.get("county", "")
    if len(county) == len("532501") and county.isascii() and county.isdigit():
        values["county_code"] = county
    if own.get("reporting_group"):
        values["reporting_group"] = own["reporting_group"]
    return values


def wave_label(wave: str) -> str:
    """Give a wave's zh label."""
    return WAVE.get(wave, wave)


def by_county(nodes: Sequence[RosterNode]) -> dict[str, list[RosterNode]]:
    """Part schools by the roster attribute `county`; the key is "" for schools that have none."""
    found: dict[str, list[RosterNode]] = {}
    for node in nodes:
        found.setdefault(dict(node.attributes).get("county", ""), []).append(node)
    return dict(sorted(found.items()))
