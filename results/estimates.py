"""Counts of pupils as weighted sums of noisy cells, with exact variances and covariances.

Several tables of a round count the same pupils (every level table of plan A adds up to the same pupils per
stage). `best_estimate` finds all tables that count exactly the pupils asked for and weighs them by their
precision; the result is unbiased and its variance is exact, because the noise of different tables is
independent. This is the closed form of generalised least squares for one count; it is post-processing and
costs no privacy.

A table counts exactly the pupils asked for if
1. every dimension asked for is one of its dimensions (stages may be put together from grades), or its
   `where` keeps exactly the codes asked for;
2. its `where` on any other dimension keeps everybody asked for anyway (only tested pupils have a level);
3. it counts the pupils of every instrument (score bands and factors belong to one, and need a score);
4. a set-valued dimension is asked for with one code, since a pupil may have several.

Spec: privacy.md, "Estimation", points 2 and 3.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from plan.codes import stage_of
from plan.layout import Layout
from privacy.intervals import Interval, sum_interval
from results.errors import SelectionError
from results.tables import NoisyTable

Selection = Mapping[str, frozenset[str]]
"""Per dimension the codes of the pupils meant; dimensions that are not named are summed over."""

GradeStages = Mapping[str, frozenset[str]]
"""The stages that each eligible grade can be of: with 六三 and 五四 schools in one plan, two for grade 6."""

_IMPLIED = {
    "level": (frozenset("0123"), ("disposition", frozenset("1"))),
    "alert": (frozenset(("low", "high")), ("disposition", frozenset("1"))),
}
"""Which codes only pupils of certain other codes can have: a level other than 9 means a valid test."""


def stages_by_grade(layout: Layout) -> GradeStages:
    """Return the stages that each eligible grade of a plan can be of."""
    scope = layout.scope
    return {grade: frozenset(stage_of(grade, system) for system in scope.systems) for grade in scope.grades}


@dataclass(frozen=True, slots=True)
class Term:
    """A weight times the sum of some cells of one table; the cells are in ascending order."""

    table: NoisyTable
    cells: tuple[int, ...]
    weight: Fraction


@dataclass(frozen=True, slots=True)
class Estimate:
    """An unbiased noisy count.

    Attributes:
        terms: at least one; each of another table of the same release.

    Raises:
        SelectionError: no term, a table twice, or tables of different releases.
    """

    terms: tuple[Term, ...]

    def __post_init__(self) -> None:
        if not self.terms or len({term.table.release for term in self.terms}) != 1:
            raise SelectionError("an estimate needs tables of exactly one release")
        if len({term.table.id for term in self.terms}) != len(self.terms):
            raise SelectionError("an estimate uses each table once")

    @property
    def release(self) -> str:
        """Round id, as hex, of the release that all terms come from."""
        return self.terms[0].table.release

    @property
    def sources(self) -> tuple[str, ...]:
        """Ids of the tables that were used."""
        return tuple(term.table.id for term in self.terms)

    @property
    def value(self) -> Fraction:
        """The noisy count, exactly; may be negative."""
        return sum(
            (t.weight * sum((t.table.value(i) for i in t.cells), Fraction(0)) for t in self.terms),
            Fraction(0),
        )

    @property
    def variance(self) -> Fraction:
        """Variance of the noise, in counts squared, exactly."""
        return covariance(self, self)

    @property
    def se(self) -> float:
        """Standard error, in counts."""
        return math.sqrt(self.variance)

    @property
    def interval(self) -> Interval:
        """95 % interval; may reach below zero."""
        return sum_interval(self.value, self.se)


def covariance(one: Estimate, other: Estimate) -> Fraction:
    """Return the covariance of the noise of two estimates, in counts squared, exactly.

    Raises:
        SelectionError: they come from different releases, so the same schools are not in both.
    """
    if one.release != other.release:
        raise SelectionError("numbers of different releases may not be combined")
    total = Fraction(0)
    for a in one.terms:
        for b in other.terms:
            if a.table.id == b.table.id:
                shared = len(set(a.cells) & set(b.cells))
                total += a.weight * b.weight * shared * a.table.cell_variance
    return total


def margin(table: NoisyTable, selection: Selection) -> Estimate:
    """Sum the selected cells of one table.

    Raises:
        SelectionError: the table lacks a dimension or code, or pupils would be counted more than once because
            its set-valued dimension is not fixed to one code.
    """
    multi = table.layout.multi
    if multi and len(selection.get(multi, ())) != 1:
        raise SelectionError(
            f"table {table.id}: a pupil may be in several cells of {multi!r}; select exactly one code"
        )
    return Estimate((Term(table, table.select(selection), Fraction(1)),))


def best_estimate(
    tables: Sequence[NoisyTable], alternatives: Iterable[Selection], grade_stages: GradeStages
) -> Estimate | None:
    """Estimate a count from every table that counts exactly the pupils asked for.

    Args:
        tables: of one release.
        alternatives: selections that describe the same pupils in different words.
        grade_stages: the stages that each eligible grade can be of (`stages_by_grade`).

    Returns:
        The combination of least variance, or None if no table counts these pupils.

    Raises:
        SelectionError: the tables are of different releases.
    """
    choices = list(alternatives)
    terms = []
    for table in tables:
        fitting = [cells for choice in choices if (cells := _fitting_cells(table, choice, grade_stages))]
        if fitting:
            terms.append(Term(table, min(fitting, key=len), Fraction(1)))
    if not terms:
        return None
    precisions = [1 / (len(term.cells) * term.table.cell_variance) for term in terms]
    total = sum(precisions, Fraction(0))
    return Estimate(tuple(Term(t.table, t.cells, p / total) for t, p in zip(terms, precisions, strict=True)))


def _fitting_cells(table: NoisyTable, selection: Selection, grade_stages: GradeStages) -> tuple[int, ...]:
    """Return the cells of a table that hold exactly the pupils of a selection; none if it does not fit."""
    multi = table.layout.multi
    if table.layout.instrument is not None or (multi and len(selection.get(multi, ())) != 1):
        return ()
    where = {name: frozenset(codes) for name, codes in table.layout.where}
    worded = _in_words_of(table, where, selection, grade_stages)
    if not _keeps_everybody(where, worded):
        return ()
    wanted = {name: codes for name, codes in worded.items() if name in table.dims}
    if any(where.get(name) != codes for name, codes in worded.items() if name not in wanted):
        return ()
    if any(not codes <= set(table.codes_of(name)) for name, codes in wanted.items()):
        return ()
    return table.select(wanted)


def _in_words_of(
    table: NoisyTable, where: Mapping[str, frozenset[str]], selection: Selection, grade_stages: GradeStages
) -> Selection:
    """Say stages as grades, if the table knows only grades and these grades tell the stage."""
    if "stage" not in selection or "stage" in (*table.dims, *where) or "grade" in (*selection, *where):
        return selection
    if "grade" not in table.dims:
        return selection
    stages = [(grade, grade_stages.get(grade, frozenset(("?",)))) for grade in table.codes_of("grade")]
    grades = frozenset(grade for grade, possible in stages if possible <= selection["stage"])
    if not grades or any(grade not in grades and possible & selection["stage"] for grade, possible in stages):
        return selection
    return {"grade": grades, **{name: codes for name, codes in selection.items() if name != "stage"}}


def _keeps_everybody(where: Mapping[str, frozenset[str]], selection: Selection) -> bool:
    """Say whether the filters on dimensions that were not asked for keep every pupil asked for."""
    implied = {
        other: kept
        for name, (codes, (other, kept)) in _IMPLIED.items()
        if name in selection and selection[name] <= codes
    }
    return all(
        name in selection or (name in implied and implied[name] <= kept) for name, kept in where.items()
    )
