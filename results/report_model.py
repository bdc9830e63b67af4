"""Everything that a report or a page shows of one release, as plain data.

Workbook, brief, json and dashboard are made from a `ReportModel` alone, so that all of them say the same and
a release class (`results.release_class`) has to be applied in one place only. Building one reads no file and
no clock: the same release, plan and words about it give the same model.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median_high

import numpy as np

from plan.codes import STAGE
from plan.costs import drawn_distance
from plan.dimensions import NUMBERS
from plan.document import PlanDocument
from plan.errors import Phrase
from privacy.display import Shown, show_count, show_mean
from privacy.intervals import sum_interval
from privacy.risk import DELTA, risk_of
from results.catalogue import LEVEL_COUNTS, MATRIX, STEP_COUNTS, STEP_RATES
from results.facts import FactValue
from results.files import ReleaseHead
from results.indicators import IndicatorValue, indicators, support
from results.release import Release, read_release
from results.report_notes import notes_of
from results.report_parts import (
    About,
    AuditNote,
    CellReport,
    Comparison,
    InstrumentNote,
    PrivacyNote,
    ReportHead,
    Suppressed,
    TableCost,
    TableReport,
)
from results.rows import Row, make_row, table_rows
from results.sums import number_of
from results.tables import NoisyTable

RATE_OF_ALERTS = "IND-08/2+"
"""The indicator behind `grade_lines`: 需要关注及以上 among valid tests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportModel:
    """One release, ready to be written or shown.

    Attributes:
        head: the first page.
        release_class: code of the class that the model is made for: `internal`, `on-request`, `public`.
        indicators: the catalogue's numbers, in its order; the total first, then the breakdowns.
        support: further numbers (`results.catalogue.SUPPORT`).
        tables: in the plan's order; released cells and consistent estimates.
        privacy: what the round costs.
        audit: what the log proves.
        facts: indicators of school conditions (FI-..); exact, typed by people, outside of the accounting.
        facts_missing: schools that have not filled in their conditions; None if none were asked.
        notes: what a reader must know about these numbers, each a phrase.
        comparison: with an earlier round (`results.comparing.with_earlier`), or None.
    """

    head: ReportHead
    release_class: str
    indicators: tuple[IndicatorValue, ...]
    support: tuple[IndicatorValue, ...]
    tables: tuple[TableReport, ...]
    privacy: PrivacyNote
    audit: AuditNote
    facts: tuple[FactValue, ...]
    facts_missing: int | None
    notes: tuple[Phrase, ...]
    comparison: Comparison | None = None

    def values(self, indicator: str) -> tuple[IndicatorValue, ...]:
        """Return all numbers of an indicator by its id, or of all its variants (`IND-07`), in order."""
        every = (*self.indicators, *self.support)
        return tuple(v for v in every if indicator in (v.indicator.id, v.indicator.entry))

    def value(self, indicator: str, **keys: str) -> IndicatorValue | None:
        """Return one number by its id and exactly these keys, or None if the release does not have it."""
        return next((v for v in self.values(indicator) if dict(v.keys) == keys), None)

    def table(self, table_id: str) -> TableReport | None:
        """Return a table by its id, or None."""
        return next((table for table in self.tables if table.id == table_id), None)

    @property
    def level_by_stage(self) -> tuple[IndicatorValue, ...]:
        """Tested pupils by `level`, for the county and per `stage`."""
        return self.values(LEVEL_COUNTS.id)

    @property
    def grade_lines(self) -> tuple[IndicatorValue, ...]:
        """The rate of 需要关注及以上 by `grade`, with intervals, in percent."""
        return tuple(v for v in self.values(RATE_OF_ALERTS) if "grade" in v.keys)

    @property
    def factor_bars(self) -> tuple[IndicatorValue, ...]:
        """IND-12 of the county, by `factor` (and `instrument`, where the plan has several)."""
        return tuple(v for v in self.values("IND-12") if v.keys.keys() <= {"factor", "instrument"})

    @property
    def transition(self) -> tuple[IndicatorValue, ...]:
        """Pupils by `level_before` (autumn) and `level` (spring), for the county; empty in other waves."""
        return tuple(v for v in self.values(MATRIX.id) if "stage" not in v.keys)

    @property
    def funnel(self) -> tuple[tuple[IndicatorValue, IndicatorValue | None], ...]:
        """Per `flag` the pupils of first level 2 and 3, and their share; flags are independent."""
        rates = {v.keys["flag"]: v for v in self.values(STEP_RATES.id)}
        return tuple((v, rates.get(v.keys["flag"])) for v in self.values(STEP_COUNTS.id))

    @property
    def suppressed(self) -> Suppressed:
        """How much people do not get to see."""
        numbers = (*self.indicators, *self.support)
        by_table = {table.id: table.suppressed for table in self.tables}
        return Suppressed(
            by_table,
            sum(by_table.values()),
            sum(len(table.cells) for table in self.tables),
            sum(value.shown.is_withheld for value in numbers),
            len(numbers),
        )


def build_report(
    head: ReleaseHead,
    plan: PlanDocument,
    released: Sequence[Mapping[str, object]],
    *,
    about: About | None = None,
    audit: AuditNote | None = None,
    facts: Sequence[FactValue] = (),
    facts_missing: int | None = None,
) -> ReportModel:
    """Build the model of a release, of class 内部; `release_class.narrow` makes one for another class.

    Args:
        head: what the log says, as for `results.files.result_files`.
        plan: as published.
        released: the release body's tables, each {"id", "scale", "s2", "sums"}.
        about: what else is known of the round.
        audit: what the log proves; by default what `head` and the plan tell.
        facts: indicators of school conditions.
        facts_missing: schools that have not filled them in.

    Raises:
        ResultsError, PlanError: plan and release do not fit together.
    """
    release = read_release(plan, released, release=head.round_id.hex(), reports_in=head.reports_in)
    return ReportModel(
        head=_head(head, plan, release, about or About()),
        release_class="internal",
        indicators=indicators(release),
        support=support(release),
        tables=tuple(_table(release, table) for table in release.tables),
        privacy=_privacy(head, release, about or About()),
        audit=audit or _audit(head, plan),
        facts=tuple(facts),
        facts_missing=facts_missing,
        notes=notes_of(plan, head.schools, head.reports_in, head.corrections),
    )


def _head(head: ReleaseHead, plan: PlanDocument, release: Release, about: About) -> ReportHead:
    of_grades = frozenset().union(*release.grade_stages.values())
    return ReportHead(
        federation=head.federation,
        federation_title=about.federation_title or head.federation,
        round_id=head.round_id.hex(),
        release=head.release.hex(),
        serial=head.serial,
        plan_id=plan.id,
        plan_title=plan.title,
        purpose=plan.purpose,
        recipients=plan.recipients,
        legal_basis=plan.legal_basis,
        plan_class=plan.release_class,
        status=head.status,
        corrections=head.corrections,
        school_year=plan.school_year,
        wave=plan.wave,
        census_date=plan.census_date,
        opens=plan.opens,
        closes=about.closes or plan.closes,
        released=about.released,
        consent=plan.consent,
        grades=plan.grades,
        systems=plan.systems,
        stages=tuple(stage for stage in STAGE if stage in of_grades),
        instruments=tuple(InstrumentNote(i.id, i.digest, i.factors) for i in plan.instruments),
        neighbouring=plan.neighbouring.value,
        min_reports=plan.min_reports or 0,
        min_group=plan.min_group,
        display_floor=plan.display_floor,
        denominator_floor=plan.denominator_floor,
        schools=head.schools,
        reports_in=head.reports_in,
        reports_out=head.reports_out,
        operators_in=about.operators_in,
        deployments=dict(about.deployments),
        schools_in=about.schools_in,
        late=about.late,
        cells=head.cells,
    )


def _audit(head: ReleaseHead, plan: PlanDocument) -> AuditNote:
    return AuditNote(
        plan=head.round_id.hex(),
        release=head.release.hex(),
        replicas=head.replicas,
        quorum=plan.quorum,
        threshold=plan.threshold,
        auditors=plan.num_auditors,
    )


def _table(release: Release, table: NoisyTable) -> TableReport:
    layout = table.layout
    zeros = frozenset(release.estimator.pupils.zeros(layout))
    number = NUMBERS[layout.sum] if layout.sum else ""
    return TableReport(
        id=layout.id,
        title=layout.title,
        dims=layout.dims,
        dim_titles=layout.dim_titles,
        codes=layout.codes,
        labels=layout.labels,
        multi=layout.multi,
        number=number,
        instrument=layout.instrument.id if layout.instrument else "",
        unit=number or "人",
        sigma=table.se,
        rho=release.layout.table_rho(layout),
        cells=tuple(
            _cell(release, table, index, row, index in zeros) for index, row in enumerate(table_rows(table))
        ),
    )


def _cell(release: Release, table: NoisyTable, index: int, row: Row, is_zero: bool) -> CellReport:
    if table.layout.sum:
        estimate, shown = _mean(release, table, row.keys)
    else:
        estimate, shown = _count(release, table, index, row.keys)
    return CellReport(
        row.keys,
        tuple(table.layout.labels_of(index).values()),
        row,
        estimate,
        shown,
        is_zero,
    )


def _count(
    release: Release, table: NoisyTable, index: int, keys: Mapping[str, str]
) -> tuple[Row | None, Shown]:
    at = table.layout.offset + index
    value, se = float(release.estimates[at]), math.sqrt(release.estimator.variances[at])
    shown = show_count(value, se, floor=release.display_floor)
    return make_row(keys, value, se, sum_interval(value, se)), shown


def _mean(release: Release, table: NoisyTable, keys: Mapping[str, str]) -> tuple[Row | None, Shown]:
    mean = number_of(release, table, {name: {code} for name, code in keys.items()}).mean
    row = None if mean is None else make_row(keys, mean.value, mean.se, mean.interval)
    return row, show_mean(mean)


def _privacy(head: ReleaseHead, release: Release, about: About) -> PrivacyNote:
    layout = release.layout
    rho = layout.claimed_rho
    distance = drawn_distance(layout, head.schools)
    risk = risk_of(rho, distance)
    return PrivacyNote(
        rho=rho,
        plan_rho=head.rho,
        epsilon=risk.epsilon,
        delta=DELTA,
        guess=risk.guess,
        neighbouring=layout.neighbouring.value,
        noise_schools=layout.noise_schools,
        tables=tuple(_cost(release, table) for table in release.tables),
        spent=about.spent,
        cap=about.cap,
    )


def _cost(release: Release, table: NoisyTable) -> TableCost:
    layout = table.layout
    errors = np.sqrt(release.estimator.variances[layout.offset : layout.end])
    return TableCost(
        layout.id,
        layout.title,
        table.se,
        float(median_high(errors.tolist())),
        release.layout.table_rho(layout),
        layout.cells,
        layout.touch,
    )
