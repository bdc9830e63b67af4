"""A release, ready to be read: its tables, and what the plan says about showing them.

Spec: privacy.md, "Estimation".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from plan.document import PlanDocument
from plan.layout import Layout, build_layout
from privacy.display import DISPLAY_FLOOR
from privacy.intervals import MIN_DENOMINATOR
from results.estimates import GradeStages, stages_by_grade
from results.tables import NoisyTable, build_tables


@dataclass(frozen=True, slots=True)
class Release:
    """The noisy tables of one round.

    Attributes:
        tables: in the plan's order.
        grade_stages: the stages that each eligible grade can be of.
        display_floor: smaller counts are withheld where people read.
        denominator_floor: no rate on a base that may be smaller.
    """

    tables: tuple[NoisyTable, ...]
    grade_stages: GradeStages
    display_floor: int = DISPLAY_FLOOR
    denominator_floor: int = MIN_DENOMINATOR


def make_release(
    layout: Layout,
    tables: Sequence[NoisyTable],
    *,
    display_floor: int = DISPLAY_FLOOR,
    denominator_floor: int = MIN_DENOMINATOR,
) -> Release:
    """Put tables built with `build_tables` together with what their layout says about grades."""
    return Release(tuple(tables), stages_by_grade(layout), display_floor, denominator_floor)


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
        The tables, with the plan's floors.

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
    )
