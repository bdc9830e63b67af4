"""What a report is made from, and the tables that every part of it asks for.

A table of indicators (`grid`) has a row per group of pupils and a column per number. Columns and rows that
the round's tables cannot give are left out, so that a plan without grades makes no row of dashes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

from coordinator.reports import labels, words
from paper.charts.values import Value
from paper.document import ABSENT, Cell, Column, Drawing, Figure, Table
from paper.speech import Speech
from plan.dimensions import DIMENSIONS
from results.facts import INTERNAL, InstitutionFacts
from results.indicators import IndicatorValue
from results.pupils import JOIN
from results.report_model import ReportModel
from results.showing import Display, display_value

Keys: TypeAlias = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Asked:
    """A column of a grid: its heading, an indicator's id, and further keys of the number."""

    title: str
    indicator: str
    keys: Keys = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Group:
    """A row of a grid: its name, and the keys of its numbers."""

    title: str
    keys: Keys = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Material:
    """A release's model with everything that a report is made from.

    Attributes:
        model: of one release, narrowed to a release class, with its comparison if there is one.
        speech: the report's language.
        conditions: what schools typed about themselves; only for the class 内部.
    """

    model: ReportModel
    speech: Speech
    conditions: tuple[InstitutionFacts, ...] = ()

    @property
    def say(self) -> Callable[[str], str]:
        """Translate a message into the report's language."""
        return self.speech.say

    def absent(self, message: str) -> str:
        """Say why nothing is here: the plan does not count it, as the message says, or the class hides it."""
        hidden = words.NOT_SHOWN if self.model.release_class != INTERNAL else message
        return self.say(hidden)

    def label(self, dimension: str, code: str) -> str:
        """Name a code as the plan or the report's language does."""
        own = {}
        if dimension == "factor":
            own = {code: name for item in self.model.head.instruments for code, name in item.factors}
        return labels.code_label(self.speech, dimension, code, own)

    def unit(self, unit: str) -> str:
        """Name a unit."""
        return labels.unit_name(self.speech, unit)

    def group(self, dimension: str, title: str = "") -> list[Group]:
        """Give the county's row and one row per code of a dimension that some number has."""
        whole = [Group(title)] if title else []
        return [
            *whole,
            *(Group(self.label(dimension, code), {dimension: code}) for code in self.codes(dimension)),
        ]

    def codes(self, dimension: str) -> list[str]:
        """List the codes of a dimension that numbers are broken down by, in order."""
        found = {
            value.keys[dimension]
            for value in (*self.model.indicators, *self.model.support)
            if dimension in value.keys
        }
        known = DIMENSIONS.get(dimension)
        order = [*known.codes] if known else []
        if dimension == "factor":
            order = [code for item in self.model.head.instruments for code, _ in item.factors]
        places = {code: place for place, code in enumerate(order)}
        return sorted(found, key=lambda code: (places.get(code.split(JOIN)[0], len(order)), code))

    @cached_property
    def _numbers(self) -> dict[tuple[str, frozenset[tuple[str, str]]], IndicatorValue]:
        every = (*self.model.indicators, *self.model.support)
        return {(value.indicator.id, frozenset(value.keys.items())): value for value in every}

    def value(self, indicator: str, keys: Keys) -> IndicatorValue | None:
        """Give one number by its id and exactly these keys, or None."""
        return self._numbers.get((indicator, frozenset(keys.items())))

    def figure(self, indicator: str, keys: Keys) -> Figure | None:
        """Give one number as a cell, or None if the release does not have it."""
        value = self.value(indicator, keys)
        return ABSENT if value is None else figure_of(value)

    def shown(self, indicator: str, **keys: str) -> Display | None:
        """Give one number as it is printed, or None if the release does not have it."""
        value = self.value(indicator, keys)
        return None if value is None else display_value(value)

    def grid(
        self, title: str, head: str, rows: Iterable[Group], columns: Sequence[Asked], note: str = ""
    ) -> Table | None:
        """Make a table of indicators, without columns and rows that nothing is known of.

        Returns:
            The table, or None if nothing is left.
        """
        found = [
            (row, [self.figure(asked.indicator, {**row.keys, **asked.keys}) for asked in columns])
            for row in rows
        ]
        kept = [place for place in range(len(columns)) if any(cells[place] for _, cells in found)]
        lines: list[tuple[Cell, ...]] = [
            (row.title, *(cells[place] for place in kept)) for row, cells in found if any(cells)
        ]
        if not lines:
            return None
        heads = (Column(head, "name"), *(Column(columns[place].title) for place in kept))
        return Table(title, heads, tuple(lines), note)


def figure_of(value: IndicatorValue) -> Figure:
    """Give an indicator's number as a cell."""
    return Figure(display_value(value))


def drawn(shown: Display | None) -> Value | None:
    """Give a number to a chart; None if it is withheld or unknown."""
    if shown is None or shown.value is None or shown.margin is None:
        return None
    words = f"{shown.value:.{shown.decimals}f} ± {shown.margin:.{shown.decimals}f}"
    return Value(shown.value, shown.margin, words)


def present(*blocks: Table | Drawing | None) -> Iterator[Table | Drawing]:
    """Yield the blocks that there are."""
    yield from (block for block in blocks if block is not None)
