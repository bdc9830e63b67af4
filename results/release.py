"""A release, ready to be read: its tables, their consistent estimates, and how the plan lets them be shown.

Spec: privacy.md, "Estimation".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from plan.codes import stage_of
from plan.document import PlanDocument
from plan.layout import Layout, build_layout
from privacy.display import DISPLAY_FLOOR
from privacy.intervals import MIN_DENOMINATOR
from results.errors import SelectionError
from results.estimator import Estimator, estimator_of
from results.tables import NoisyTable, build_tables

GradeStages = Mapping[str, frozenset[str]]
"""The stages that each eligible grade can be of: with 六三 and 五四 schools in one plan, two for grade 6."""


@dataclass(frozen=True)
class Release:
    """The noisy tables of one round, and what follows from them.

    Attributes:
        layout: of the plan, with the tables that are here.
        tables: in the plan's order.
        display_floor: smaller counts are withheld where people read.
        denominator_floor: no rate on a base that may be smaller.
        wave: of the plan, a key of `plan.codes.WAVE`; "" if it is not known.

    Raises:
        SelectionError: the tables are of different releases.
    """

    layout: Layout
    tables: tuple[NoisyTable, ...]
    display_floor: int = DISPLAY_FLOOR
    denominator_floor: int = MIN_DENOMINATOR
    wave: str = ""

    def __post_init__(self) -> None:
        if len({table.release for table in self.tables}) > 1:
            raise SelectionError("numbers of different releases may not be combined")

    @property
    def id(self) -> str:
        """Round id as hex; "" without tables."""
        return self.tables[0].release if self.tables else ""

    @cached_property
    def grade_stages(self) -> GradeStages:
        """The stages that each eligible grade can be of."""
        return stages_by_grade(self.layout)

    @cached_property
    def estimator(self) -> Estimator:
        """How the tables' cells are estimated."""
        return estimator_of(self.layout, tuple(table.cell_variance for table in self.tables))

    @cached_property
    def estimates(self) -> NDArray[np.float64]:
        """The consistent estimate of every cell, in counts, by position in the vector; computed once."""
        raw = np.zeros(self.layout.cells)
        for table in self.tables:
            raw[table.layout.offset : table.layout.end] = np.array(table.sums) / table.layout.noise.scale
        return self.estimator.estimate(raw)


def stages_by_grade(layout: Layout) -> GradeStages:
    """Return the stages that each eligible grade of a plan can be of."""
    scope = layout.scope
    return {grade: frozenset(stage_of(grade, system) for system in scope.systems) for grade in scope.grades}


def make_release(
    layout: Layout,
    tables: Sequence[NoisyTable],
    *,
    display_floor: int = DISPLAY_FLOOR,
    denominator_floor: int = MIN_DENOMINATOR,
    wave: str = "",
) -> Release:
    """Put tables built with `build_tables`, all or some, together with their layout."""
    present = replace(layout, tables=tuple(table.layout for table in tables))
    return Release(present, tuple(tables), display_floor, denominator_floor, wave)


def read_release(
    plan: PlanDocument, released: Sequence[Mapping[str, object]], *, release: str, reports_in: int
) -> Release:
    """Read the body of a release with the plan of its round.

    Args:
        plan: as published.
        released: the body's tables, each {"id", "scale", "s2", "sums"}.
        release: round id as hex.
        reports_in: |S|, from the release statement.

    Returns:
        The tables, with the plan's floors and wave.

    Raises:
        ReleaseError: the body does not fit the plan.
        PlanError: the plan has no layout.
    """
    layout = build_layout(plan)
    return make_release(
        layout,
        build_tables(layout, released, release=release, reports_in=reports_in),
        display_floor=plan.display_floor,
        denominator_floor=plan.denominator_floor,
        wave=plan.wave,
    )
