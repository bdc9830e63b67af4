"""The parts of a report's model that are no indicator: head, tables, costs, proof, what is hidden.

All of it is plain data, made by `results.report_model.build_report` and by whoever reads the log.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from fractions import Fraction

from plan.errors import Phrase
from privacy.display import Shown
from results.indicators import IndicatorValue
from results.rows import Row

WITHDRAWN = "withdrawn"
"""Status of a release that was taken back; nothing is compared with it, nor added to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a report says of a round beside its plan and its numbers; the caller knows it from the log.

    Attributes:
        federation_title: the county's name in words; "" where only its id is known.
        schools_in: ids of the nodes whose reports are in the sum; public in the log.
        operators_in: how many independent operators they are.
        deployments: roster attribute `deployment` → schools in the sum.
        late: schools whose report came after the candidates were fixed, or never.
        closes: the deadline for reports after all extensions; None for the plan's.
        released: when the release was logged, by the coordinator's clock; None if not known.
        spent: ρ that the log shows for the school year so far, this round included; None if not asked.
        cap: ρ of a school year.
    """

    federation_title: str = ""
    schools_in: frozenset[str] = frozenset()
    operators_in: int | None = None
    deployments: Mapping[str, int] = field(default_factory=dict)
    late: int | None = None
    closes: datetime | None = None
    released: datetime | None = None
    spent: Fraction | None = None
    cap: Fraction = Fraction(1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditNote:
    """What the log proves of a release: digests in hex and who signed. Everything may be unknown.

    Attributes:
        origin, log_size, log_root: of the checkpoint that covers the release.
        plan, close, release: digests of the statements.
        approvals, agreements, openings: pairs of an auditor and the digest of its statement, in plan order.
        witnesses: who cosigned the checkpoint.
        replicas: fewest replicas of any subset's sum.
        quorum, threshold, auditors: q, t and n of the plan.
    """

    origin: str = ""
    log_size: int | None = None
    log_root: str = ""
    plan: str = ""
    close: str = ""
    release: str = ""
    approvals: tuple[tuple[str, str], ...] = ()
    agreements: tuple[tuple[str, str], ...] = ()
    openings: tuple[tuple[str, str], ...] = ()
    witnesses: tuple[str, ...] = ()
    replicas: int = 0
    quorum: int = 0
    threshold: int = 0
    auditors: int = 0


@dataclass(frozen=True, slots=True)
class InstrumentNote:
    """An instrument of the plan: codebook id, digest in hex ("" unpinned), pairs of factor id and title."""

    id: str
    digest: str
    factors: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportHead:
    """What stands on the first page of a report.

    Attributes:
        federation, federation_title: id and name of the county.
        round_id, release: digests in hex of the plan's and the release's statement.
        serial, plan_id, plan_title, purpose, recipients, legal_basis: of the plan.
        plan_class: release class that the plan names.
        status: `ok`, or `corrected` or `withdrawn` by what was logged since.
        corrections: what was said of the release since, oldest first.
        school_year, wave, census_date, opens: of the plan; times in UTC.
        closes: the deadline for reports, as extended; `released` as in `About`.
        consent: `require` or `record-only`.
        grades, systems, stages: eligible ones; stages are those that the grades can be of.
        instruments: of the plan.
        neighbouring: relation of the guarantee.
        min_reports, min_group, display_floor, denominator_floor: of the plan.
        schools: on the plan's roster; `reports_in` of them are in the sum, `reports_out` were left out of
            it, the others did not report (`not_reported`).
        operators_in, deployments, schools_in, late: as in `About`.
        cells: of the plan.
    """

    federation: str
    federation_title: str
    round_id: str
    release: str
    serial: int
    plan_id: str
    plan_title: str
    purpose: str
    recipients: tuple[str, ...]
    legal_basis: str
    plan_class: str
    status: str
    corrections: tuple[Mapping[str, object], ...]
    school_year: str
    wave: str
    census_date: date
    opens: datetime
    closes: datetime
    released: datetime | None
    consent: str
    grades: tuple[str, ...]
    systems: tuple[str, ...]
    stages: tuple[str, ...]
    instruments: tuple[InstrumentNote, ...]
    neighbouring: str
    min_reports: int
    min_group: int
    display_floor: int
    denominator_floor: int
    schools: int
    reports_in: int
    reports_out: int
    operators_in: int | None
    deployments: Mapping[str, int]
    schools_in: frozenset[str]
    late: int | None
    cells: int

    @property
    def not_reported(self) -> int:
        """Schools of the roster without any report that could have been in the sum."""
        return self.schools - self.reports_in - self.reports_out


@dataclass(frozen=True, slots=True)
class CellReport:
    """One cell of a table.

    Attributes:
        keys: code per dimension, in the table's order; `labels` the zh labels, in parallel.
        released: the noisy number as archived; None where a release class does not show it.
        estimate: the consistent estimate; of a table of sums the mean, None if it cannot be given.
        shown: what people may see.
        is_zero: whether no pupil can be in the cell ("—").
    """

    keys: Mapping[str, str]
    labels: tuple[str, ...]
    released: Row | None
    estimate: Row | None
    shown: Shown
    is_zero: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TableReport:
    """One table of the release.

    Attributes:
        id, title, dims, dim_titles: as in the plan.
        codes, labels: of each dimension, in cell order.
        multi: set-valued dimension, or "".
        number: zh title of the number that a table of sums adds up; "" for counts.
        instrument: id where the table counts one instrument's pupils, else "".
        unit: 人, or the number's title.
        sigma: standard error of one released cell, σ.
        rho: what the table costs a pupil.
        cells: in cell order.
    """

    id: str
    title: str
    dims: tuple[str, ...]
    dim_titles: tuple[str, ...]
    codes: tuple[tuple[str, ...], ...]
    labels: tuple[tuple[str, ...], ...]
    multi: str
    number: str
    instrument: str
    unit: str
    sigma: float
    rho: Fraction
    cells: tuple[CellReport, ...]

    def cell(self, **codes: str) -> CellReport | None:
        """Return the cell with exactly these codes, or None."""
        return next((cell for cell in self.cells if dict(cell.keys) == codes), None)

    @property
    def suppressed(self) -> int:
        """How many of its cells may not be shown, structural zeros left aside."""
        return sum(cell.shown.is_withheld and not cell.is_zero for cell in self.cells)


@dataclass(frozen=True, slots=True)
class TableCost:
    """Privacy of one table: σ of a released cell, standard error of a typical estimate, ρ, cells, touch."""

    id: str
    title: str
    sigma: float
    typical_se: float
    rho: Fraction
    cells: int
    touch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacyNote:
    """What the round costs a pupil.

    Attributes:
        rho: of the round, recomputed from the noise; `plan_rho` is the plan's upper bound.
        epsilon, delta: the same as (ε, δ).
        guess: how often a fair bet on one pupil's record is won at most.
        neighbouring: relation of the guarantee.
        noise_schools: honest schools whose noise is counted on, h.
        tables: per table.
        spent, cap: of the school year, as in `About`.
    """

    rho: Fraction
    plan_rho: Fraction
    epsilon: float
    delta: float
    guess: float
    neighbouring: str
    noise_schools: int
    tables: tuple[TableCost, ...]
    spent: Fraction | None
    cap: Fraction


@dataclass(frozen=True, slots=True)
class Suppressed:
    """How much is withheld from people: cells per table, cells in all, numbers of indicators."""

    tables: Mapping[str, int]
    cells: int
    of_cells: int
    numbers: int
    of_numbers: int


class Verdict(StrEnum):
    """What may be said of the difference to an earlier round."""

    HIGHER = "higher"
    LOWER = "lower"
    UNCLEAR = "unclear"
    WITHHELD = "withheld"


@dataclass(frozen=True, slots=True)
class Change:
    """One number of this round beside the same one of an earlier round.

    Attributes:
        now, before: the two numbers, of the same indicator and keys.
        difference: now less before, in percentage points or pupils; None if one of them is withheld.
        verdict: `higher` or `lower` only where the 95 % interval of the difference leaves out 0.
    """

    now: IndicatorValue
    before: IndicatorValue
    difference: Row | None
    verdict: Verdict

    @property
    def is_clear(self) -> bool:
        """Whether the difference is larger than the noise explains."""
        return self.verdict in (Verdict.HIGHER, Verdict.LOWER)


@dataclass(frozen=True, slots=True)
class Comparison:
    """This round beside an earlier one.

    Attributes:
        before: head of the earlier report.
        changes: in the order of this report's numbers; empty where nothing can be compared.
        obstacles: why some or all numbers are not compared.
        notes: what to keep in mind of those that are.
    """

    before: ReportHead
    changes: tuple[Change, ...]
    obstacles: tuple[Phrase, ...]
    notes: tuple[Phrase, ...]

    def change(self, indicator: str, **keys: str) -> Change | None:
        """Return the change of one number, by the indicator's id and exactly these keys, or None."""
        found = (c for c in self.changes if c.now.indicator.id == indicator and dict(c.now.keys) == keys)
        return next(found, None)
