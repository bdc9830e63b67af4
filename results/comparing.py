"""A report beside an earlier one: what rose, what fell, and what cannot be said.

1. Only numbers of the same indicator and the same codes are compared, and only of two different rounds.
2. Eligible grades, school systems and consent policy must agree, else nothing is compared. Where instruments
   or codebooks differ nothing that rests on levels or scores is; coverage still is.
3. Counts are compared only if the same schools are in both rounds; rates may be.
4. A number that is withheld in one of the rounds has no difference and no verdict.
5. `higher` and `lower` are said only where the 95 % interval of the difference leaves out 0. The noise of two
   rounds is independent, so the variances add. 累计测评人次 (IND-05) is never compared: the later sum holds
   the earlier one, noise and all.

The interval is that of the noise; that children differ from year to year is not in it. All of it is
post-processing. Spec: privacy.md, "Estimation", point 3.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

from plan.errors import Phrase, phrase
from privacy.intervals import sum_interval
from results.catalogue import CUMULATIVE
from results.errors import SelectionError
from results.indicators import IndicatorValue
from results.report_model import ReportModel
from results.report_parts import WITHDRAWN, Change, Comparison, InstrumentNote, ReportHead, Verdict
from results.rows import Row, make_row

_WAVES: Mapping[str, Phrase] = {"A": phrase("autumn"), "S": phrase("spring"), "X": phrase("special survey")}


def with_earlier(model: ReportModel, earlier: ReportModel) -> ReportModel:
    """Return a report with its comparison with an earlier one; see `compare_reports`."""
    return replace(model, comparison=compare_reports(model, earlier))


def compare_reports(now: ReportModel, before: ReportModel) -> Comparison:
    """Compare two reports of one federation.

    Raises:
        SelectionError: the same round, another federation's, or a later one as the earlier.
    """
    _check_rounds(now.head, before.head)
    everything = [*_population_obstacles(now.head, before.head)]
    findings = [*_instrument_obstacles(now.head, before.head)]
    counts = [*_school_obstacles(now.head, before.head)]
    found = {_key(value): value for value in (*before.indicators, *before.support)}
    changes = []
    for value in (*now.indicators, *now.support):
        is_barred = (
            everything
            or value.indicator is CUMULATIVE
            or (findings and value.indicator.is_finding)
            or (counts and value.indicator.base is None)
        )
        other = found.get(_key(value))
        if other is not None and not is_barred:
            changes.append(change_of(value, other))
    return Comparison(
        before.head,
        tuple(changes),
        (*everything, *findings, *counts),
        tuple(_notes(now, before, changes)),
    )


def change_of(now: IndicatorValue, before: IndicatorValue) -> Change:
    """Subtract two numbers of the same indicator and keys, of different rounds."""
    if now.shown.is_withheld or before.shown.is_withheld or now.row is None or before.row is None:
        return Change(now, before, None, Verdict.WITHHELD)
    row = _difference(now.row, before.row, 100.0 if now.indicator.base else math.inf)
    verdict = Verdict.HIGHER if row.low95 > 0 else Verdict.LOWER if row.high95 < 0 else Verdict.UNCLEAR
    return Change(now, before, row, verdict)


def _difference(now: Row, before: Row, most: float) -> Row:
    value, se = now.released - before.released, math.hypot(now.se, before.se)
    return make_row(now.keys, value, se, sum_interval(value, se).within(-most, most))


def _key(value: IndicatorValue) -> tuple[object, ...]:
    return (value.indicator.id, *sorted(value.keys.items()))


def _check_rounds(now: ReportHead, before: ReportHead) -> None:
    if now.round_id == before.round_id:
        raise SelectionError(phrase("a comparison: expected two different rounds, found one twice"))
    if now.federation != before.federation:
        raise SelectionError(
            phrase("a comparison: expected two rounds of one federation; counties are not ranked")
        )
    if before.census_date > now.census_date:
        raise SelectionError(phrase("a comparison: expected an earlier round, found a later one"))


def _population_obstacles(now: ReportHead, before: ReportHead) -> Iterator[Phrase]:
    """Say why no number of the two rounds is of comparable pupils."""
    if WITHDRAWN in (now.status, before.status):
        yield phrase("one of the releases was withdrawn: nothing is compared")
    for name, mine, theirs in (
        (phrase("eligible grades"), now.grades, before.grades),
        (phrase("school systems"), now.systems, before.systems),
        (phrase("consent policy"), (now.consent,), (before.consent,)),
    ):
        if mine != theirs:
            yield phrase(
                "%(what)s differ (%(earlier)s, now %(later)s): nothing is compared",
                what=name,
                earlier=", ".join(theirs),
                later=", ".join(mine),
            )


def _instrument_obstacles(now: ReportHead, before: ReportHead) -> Iterator[Phrase]:
    if _names(now.instruments) != _names(before.instruments):
        yield phrase(
            "other instruments were used (%(earlier)s, now %(later)s): levels and scores are not compared",
            earlier=", ".join(_names(before.instruments)),
            later=", ".join(_names(now.instruments)),
        )
    elif [item.digest for item in now.instruments] != [item.digest for item in before.instruments]:
        yield phrase("the codebook has changed since: levels and scores are not compared")


def _names(instruments: tuple[InstrumentNote, ...]) -> list[str]:
    return [item.id for item in instruments]


def _school_obstacles(now: ReportHead, before: ReportHead) -> Iterator[Phrase]:
    if not now.schools_in or not before.schools_in:
        yield phrase("which schools were in both rounds is not known here: only rates are compared")
    elif now.schools_in != before.schools_in:
        yield phrase(
            "the schools are not the same (%(gone)s only in the earlier round, %(new)s only in this one): "
            "only rates are compared",
            gone=len(before.schools_in - now.schools_in),
            new=len(now.schools_in - before.schools_in),
        )


def _notes(now: ReportModel, before: ReportModel, changes: list[Change]) -> Iterator[Phrase]:
    """Say what to keep in mind of the numbers that are compared."""
    if not changes:
        return
    yield phrase(
        "a difference is clear only where its 95%% interval leaves out 0; the others may be noise alone"
    )
    told = sum(change.verdict is not Verdict.WITHHELD for change in changes)
    yield phrase(
        "%(told)s numbers are compared; of unchanged ones one in twenty looks clear by chance", told=told
    )
    yield phrase(
        "the intervals are those of the noise; that children differ from year to year is not in them"
    )
    if now.head.corrections or before.head.corrections:
        yield phrase("one of the releases was corrected; see what was logged of it")
    if now.head.wave != before.head.wave:
        yield phrase(
            "the waves differ (%(earlier)s, now %(later)s): seasons and examinations matter",
            earlier=_WAVES[before.head.wave],
            later=_WAVES[now.head.wave],
        )
    if any(not item.digest for item in now.head.instruments):
        yield phrase("the plan pins no codebook: whether levels mean the same is not proven")
    if any(change.now.sources != change.before.sources for change in changes):
        yield phrase("some numbers come from other tables than before; they count the same pupils")
