"""What each release class shows: 内部 (the default), 依申请, 主动公开; `narrow` makes a model for one.

No public document has a distribution of alert levels: what is published are coverage, conditions, services.
So the open classes show less, of larger groups, and only what is more certain:

| | 内部 internal | 依申请 on-request | 主动公开 public |
| --- | --- | --- | --- |
| numbers | all | coverage, levels, follow-up | coverage |
| broken down by | everything | stage; level, step | stage |
| smallest count, also behind a rate | the plan's floor, 11 or more | 20 | 50 |
| smallest base of a rate | the plan's floor, 30 or more | 100 | 300 |
| half-width at most | 1/2 of the value | 1/3 | 1/5 |
| tables, released cells | yes | no | no |
| comparison with an earlier round | yes | of what is shown | of what is shown |
| school conditions | indicators, and by school | indicators of `min_group` schools | the same |
| which schools took part | yes | how many | how many |

Rules:

1. A model is never made for a class more open than the plan's, which schools and auditors approved, and of a
   withdrawn release only for 内部.
2. What a class withholds is not in its model at all: no row, no numerator, no base. A rate is shown only
   where its numerator and its base could be shown, too.
3. Groups of pupils, families, risk items, score bands and single grades are of no open class; nothing of any
   class is by school.

These are rules for reading noisy numbers. They protect nobody: the noise does. The difference of two shown
numbers may be as uncertain as one that is withheld.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from plan.document import RELEASE_CLASSES
from plan.errors import Phrase, phrase
from privacy.display import WITHHELD
from results.errors import ReleaseClassError
from results.facts import FactValue
from results.indicators import IndicatorValue
from results.report_model import ReportModel
from results.report_parts import WITHDRAWN, Comparison, ReportHead
from results.rows import Row

COVERAGE: Final = ("IND-01", "IND-02", "IND-02b", "IND-03", "IND-04", "IND-05", "IND-06", "IND-19")
FOLLOW_UP: Final = (
    *("IND-16", "IND-17", "IND-18", "IND-20", "IND-21", "IND-22", "IND-23", "IND-24"),
    *("IND-27", "IND-28", "IND-29", "IND-31", "IND-33"),
)
LEVELS: Final = ("IND-07", "IND-08", "FS-03", "FS-05", "FS-06", "FS-07")


@dataclass(frozen=True, slots=True)
class ReleaseClass:
    """One release class.

    Attributes:
        code: as in a plan, `plan.document.RELEASE_CLASSES`.
        label: zh.
        title: for every language.
        entries: indicators that it shows, by their ids without suffix; None for all.
        dims: codes by which numbers may be told apart; None for all.
        floor: smallest count.
        base_floor: smallest lower bound of a rate's base.
        relative: largest half-width as a part of the value.
    """

    code: str
    label: str
    title: Phrase
    entries: frozenset[str] | None
    dims: frozenset[str] | None
    floor: int
    base_floor: int
    relative: Fraction

    @property
    def openness(self) -> int:
        """Place among the classes: 0 for 内部."""
        return RELEASE_CLASSES.index(self.code)

    def allows(self, value: IndicatorValue) -> bool:
        """Say whether the class has this number at all, whatever its size."""
        is_listed = self.entries is None or value.indicator.entry in self.entries
        return is_listed and (self.dims is None or value.keys.keys() <= self.dims)

    def shows(self, value: IndicatorValue) -> bool:
        """Say whether a number that the class has is large and certain enough for it."""
        if value.row is None or value.shown.is_withheld:
            return False
        if value.counted is None or value.base is None:
            return self._is_certain(value.row) and value.row.released >= self.floor
        ends = (value.counted, value.base)
        return (
            self._is_certain(value.row)
            and value.base.low95 >= self.base_floor
            and all(self._is_certain(row) and row.released >= self.floor for row in ends)
        )

    def _is_certain(self, row: Row) -> bool:
        half_width = max(row.high95 - row.released, row.released - row.low95)
        return half_width <= self.relative * row.released


INTERNAL: Final = ReleaseClass("internal", "内部", phrase("internal"), None, None, 11, 30, Fraction(1, 2))
ON_REQUEST: Final = ReleaseClass(
    "on-request",
    "依申请",
    phrase("on request"),
    frozenset((*COVERAGE, *FOLLOW_UP, *LEVELS)),
    frozenset(("stage", "level", "recheck", "pool", "flag")),
    20,
    100,
    Fraction(1, 3),
)
PUBLIC: Final = ReleaseClass(
    "public",
    "主动公开",
    phrase("public"),
    frozenset(COVERAGE),
    frozenset(("stage",)),
    50,
    300,
    Fraction(1, 5),
)
CLASSES: Final[Mapping[str, ReleaseClass]] = {item.code: item for item in (INTERNAL, ON_REQUEST, PUBLIC)}
"""The classes by code, from the narrowest circle of readers to the widest."""

DEFAULT: Final = INTERNAL


def classes_of(plan_class: str) -> tuple[ReleaseClass, ...]:
    """Return the classes that reports of a plan may have, `internal` first."""
    most = CLASSES[plan_class].openness
    return tuple(item for item in CLASSES.values() if item.openness <= most)


def narrow(model: ReportModel, wanted: ReleaseClass = DEFAULT) -> ReportModel:
    """Make the model of a release class; an internal model is returned as it is for 内部.

    Args:
        model: of the class 内部, as `build_report` makes it, with its comparison if there is one.
        wanted: the class.

    Raises:
        ReleaseClassError: a class more open than the plan's, or a model that was narrowed before.
    """
    if wanted not in classes_of(model.head.plan_class):
        raise ReleaseClassError(
            phrase(
                "release class '%(wanted)s': the plan was approved as '%(approved)s'; make a plan of the "
                "class that you need and have it approved",
                wanted=wanted.title,
                approved=CLASSES[model.head.plan_class].title,
            )
        )
    if model.release_class == wanted.code:
        return model
    if model.head.status == WITHDRAWN:
        raise ReleaseClassError(phrase("this release was withdrawn: its numbers stay inside (internal)"))
    if model.release_class != INTERNAL.code:
        found = CLASSES[model.release_class].title
        raise ReleaseClassError(
            phrase("release class: expected an internal model, found '%(found)s'", found=found)
        )
    return replace(
        model,
        head=_head(model.head),
        release_class=wanted.code,
        indicators=_kept(model.indicators, wanted),
        support=_kept(model.support, wanted),
        tables=(),
        facts=tuple(value for value in model.facts if _is_of_enough(value, model.head.min_group)),
        comparison=model.comparison and _compared(model.comparison, wanted),
    )


def _head(head: ReportHead) -> ReportHead:
    """Leave out who took part, and deployment forms of a handful of schools."""
    forms = {form: number for form, number in head.deployments.items() if number >= head.min_group}
    return replace(head, schools_in=frozenset(), deployments=forms, late=None)


def _kept(values: Sequence[IndicatorValue], wanted: ReleaseClass) -> tuple[IndicatorValue, ...]:
    return tuple(_judged(value, wanted) for value in values if wanted.allows(value))


def _judged(value: IndicatorValue, wanted: ReleaseClass) -> IndicatorValue:
    """Return a number as it is, or withheld and without anything that tells it."""
    if wanted.shows(value):
        return value
    return replace(value, row=None, shown=WITHHELD, counted=None, base=None, covariance=0.0)


def _compared(comparison: Comparison, wanted: ReleaseClass) -> Comparison:
    changes = tuple(
        change
        for change in comparison.changes
        if change.difference is not None
        and all(wanted.allows(value) and wanted.shows(value) for value in (change.now, change.before))
    )
    return replace(comparison, before=_head(comparison.before), changes=changes)


def _is_of_enough(value: FactValue, min_group: int) -> bool:
    """Say whether an indicator of school conditions is of enough schools to be shown outside."""
    return value.answered >= min_group
