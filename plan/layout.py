"""The vector layout: which cell of a report counts what, how much one pupil can move it, and its noise.

Tables follow each other in the plan's order; inside a table the last dimension runs fastest. The layout is a
pure function of the plan: node, coordinator and auditor each compute it and must come to the same.

Spec: privacy.md, "Sensitivity" and "Noise".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import prod

from plan.document import PlanDocument, terms_of
from plan.errors import LayoutError, Problem, phrase
from plan.instrument import Instrument
from plan.table_spec import Range, Scope, TableSpec, Where
from privacy.accountant import ClaimInput, TableNoise, claimed_rho, size_noise, table_rho
from privacy.errors import NoiseParameterError
from privacy.ladder import tier_of
from privacy.sensitivity import (
    Neighbouring,
    count_table_l1_sensitivity,
    count_table_sensitivity,
    numeric_sum_l1_sensitivity,
    numeric_sum_sensitivity,
)


@dataclass(frozen=True, slots=True)
class TableLayout:
    """Where one table lies in the vector.

    Attributes:
        id, title: as in the plan.
        dims: names of its dimensions, outermost first; `dim_titles` are their zh titles.
        codes: for each dimension its codes in cell order; `labels` their zh labels, in parallel.
        shape: number of codes of each dimension.
        offset: position of its first cell in the vector.
        cells: number of its cells, the product of `shape`.
        delta_sq, delta_1: squared L2 and L1 sensitivity in counts (or units of the sum), before scaling.
        touch: most of its cells that one pupil adds to.
        where: filters on the pupils, as in the plan.
        multi: its set-valued dimension, or "".
        instrument: the instrument that it counts, or None for all.
        noise: scale, variance per school (with a turnout ladder: of each component) and its share of rho.
        tiers: h, m_1 .. m_L of the turnout ladder; empty without one.
        colluding_schools: schools that are not counted on for the tiers.
        sum, range: the number of the record that its cells add up and its clamp; "" and None for counts.
    """

    id: str
    title: str
    dims: tuple[str, ...]
    dim_titles: tuple[str, ...]
    codes: tuple[tuple[str, ...], ...]
    labels: tuple[tuple[str, ...], ...]
    shape: tuple[int, ...]
    offset: int
    cells: int
    delta_sq: int
    delta_1: int
    touch: int
    where: Where
    multi: str
    instrument: Instrument | None
    noise: TableNoise
    tiers: tuple[int, ...] = ()
    colluding_schools: int = 0
    sum: str = ""
    range: Range | None = None

    @property
    def end(self) -> int:
        """Position behind its last cell in the vector."""
        return self.offset + self.cells

    @property
    def per_pupil(self) -> int:
        """Most that one pupil adds to one of its cells: 1 to a count, hi - lo to a sum."""
        return 1 if self.range is None else self.range[1] - self.range[0]

    @property
    def claim(self) -> ClaimInput:
        """What its cost depends on."""
        noise = self.noise
        return ClaimInput(
            self.delta_sq, self.delta_1, noise.scale, noise.s2, self.cells, noise.steps, self.tiers
        )

    def tier(self, operators: int) -> int:
        """Return the tier that the reports of so many independent operators give; 0 without a ladder."""
        return tier_of(self.tiers, operators - self.colluding_schools)

    def released_variance(self, reports_in: int, tier: int | None = None) -> Fraction:
        """Return the variance of the noise in one released cell, in counts squared, exactly.

        Args:
            reports_in: |S|, the schools whose noise is in the sum.
            tier: of the round's close; None for what `reports_in` schools of as many operators give.

        Raises:
            NoiseParameterError: the plan's ladder has no such tier.
        """
        at = self.tier(reports_in) if tier is None else tier
        return Fraction(reports_in * self.noise.left_at(at), self.noise.scale**2)

    def keys(self, index: int) -> dict[str, str]:
        """Return the codes of a cell by dimension; `index` counts from 0 within the table.

        Raises:
            LayoutError: the table has no such cell.
        """
        return {name: self.codes[place][at] for place, (name, at) in enumerate(self._places(index))}

    def labels_of(self, index: int) -> dict[str, str]:
        """Return the zh labels of a cell by dimension, as `keys`."""
        return {name: self.labels[place][at] for place, (name, at) in enumerate(self._places(index))}

    def index(self, keys: Mapping[str, str]) -> int:
        """Return the position within the table of the cell with these codes; inverse of `keys`.

        Raises:
            LayoutError: other dimensions than the table's, or a code that it does not have.
        """
        if keys.keys() != set(self.dims):
            found = phrase("%(names)s", names=", ".join(sorted(keys)) or "—")
            raise LayoutError(
                Problem(f"tables.{self.id}", found, phrase("%(names)s", names=", ".join(self.dims)))
            )
        position = 0
        for name, codes in zip(self.dims, self.codes, strict=True):
            if keys[name] not in codes:
                allowed = phrase("one of %(codes)s", codes=", ".join(codes))
                raise LayoutError(Problem(f"tables.{self.id}.{name}", phrase("another code"), allowed))
            position = position * len(codes) + codes.index(keys[name])
        return position

    def _places(self, index: int) -> list[tuple[str, int]]:
        if not 0 <= index < self.cells:
            found, allowed = phrase("%(index)s", index=index), phrase("0 to %(last)s", last=self.cells - 1)
            raise LayoutError(Problem(f"tables.{self.id}", found, allowed))
        places = []
        for name, size in zip(reversed(self.dims), reversed(self.shape), strict=True):
            index, at = divmod(index, size)
            places.append((name, at))
        return places[::-1]


@dataclass(frozen=True, slots=True)
class Layout:
    """The layout of a plan's vector.

    Attributes:
        cells: length of the vector.
        tables: in the order of the vector, without gaps.
        noise_schools: h = min_reports - colluding_schools.
        neighbouring: the relation that the sensitivities hold for.
        consent: the plan's consent policy, applied to every record before it is counted.
        scope: eligible grades, school systems and instruments.
        tiers: h, m_1 .. m_L of the turnout ladder, in honest schools; empty without one.
        colluding_schools: how many more operators than m_k must be in S for tier k.
    """

    cells: int
    tables: tuple[TableLayout, ...]
    noise_schools: int
    neighbouring: Neighbouring
    consent: str
    scope: Scope
    tiers: tuple[int, ...] = ()
    colluding_schools: int = 0

    @property
    def num_vectors(self) -> int:
        """Vectors of a report: y, and with a ladder one for each step w_1 .. w_L."""
        return max(len(self.tiers), 1)

    def tier(self, operators: int) -> int:
        """Return the tier of a round that so many independent operators are in; 0 without a ladder.

        It is the highest k with m_k <= operators - colluding_schools: an operator of several schools is
        counted once, as it is for `min_reports`.
        """
        return tier_of(self.tiers, operators - self.colluding_schools)

    def table(self, table_id: str) -> TableLayout:
        """Return a table by its id; LayoutError when there is none."""
        for table in self.tables:
            if table.id == table_id:
                return table
        known = phrase("one of %(names)s", names=", ".join(table.id for table in self.tables))
        raise LayoutError(Problem("tables", phrase("'%(name)s'", name=table_id[:40]), known))

    @property
    def claimed_rho(self) -> Fraction:
        """What the round costs a pupil, from the integers of the noise alone, rounded up."""
        return claimed_rho([table.claim for table in self.tables], self.noise_schools)

    def table_rho(self, table: TableLayout) -> Fraction:
        """What one table costs, as `claimed_rho`."""
        return table_rho(table.claim, self.noise_schools)


def keys(table: TableLayout, index: int) -> dict[str, str]:
    """Return the codes of a cell of a table by dimension; see `TableLayout.keys`."""
    return table.keys(index)


def build_layout(plan: PlanDocument) -> Layout:
    """Compute the layout of a plan.

    Raises:
        DocumentError: `min_reports` or `ladder` is still `auto`.
        LayoutError: a table's share of rho needs noise that the mechanism does not cover.
    """
    total_weight = sum((table.weight for table in plan.tables), Fraction(0))
    tables: list[TableLayout] = []
    offset = 0
    for spec in plan.tables:
        noise = _size(plan, spec, plan.rho * spec.weight / total_weight)
        table = _lay_out(plan, spec, offset, noise)
        tables.append(table)
        offset = table.end
    return Layout(
        offset,
        tuple(tables),
        plan.noise_schools,
        plan.neighbouring,
        plan.consent,
        plan.scope,
        _tiers(plan),
        plan.colluding_schools,
    )


def _tiers(plan: PlanDocument) -> tuple[int, ...]:
    """Return h, m_1 .. m_L, or nothing without a ladder."""
    tiers = terms_of(plan).tiers
    return (plan.noise_schools, *tiers) if tiers else ()


def _size(plan: PlanDocument, spec: TableSpec, rho: Fraction) -> TableNoise:
    try:
        return size_noise(_sensitivities(spec, plan.neighbouring)[0], rho, plan.noise_schools, _tiers(plan))
    except NoiseParameterError as err:
        found = phrase("a share of rho of %(rho)s", rho=str(rho))
        advice = phrase("change its weight, or the plan's rho or min_reports")
        allowed = phrase("a share that gives 3 <= s <= 4096 per school")
        if plan.tiers:
            advice = phrase(
                "change its weight, the plan's rho or min_reports, or take tiers out of the ladder"
            )
        raise LayoutError(Problem(f"tables.{spec.id}.weight", found, allowed, advice)) from err


def _sensitivities(spec: TableSpec, neighbouring: Neighbouring) -> tuple[int, int]:
    """Return the squared L2 and the L1 sensitivity of a table, before scaling."""
    if spec.range is None:
        cap = spec.touch
        return count_table_sensitivity(cap, neighbouring), count_table_l1_sensitivity(cap, neighbouring)
    return (
        numeric_sum_sensitivity(*spec.range, neighbouring),
        numeric_sum_l1_sensitivity(*spec.range, neighbouring),
    )


def _lay_out(plan: PlanDocument, spec: TableSpec, offset: int, noise: TableNoise) -> TableLayout:
    scope = plan.scope
    sets = [scope.codes_for(spec, name) for name in spec.dims]
    shape = tuple(len(codes) for codes in sets)
    delta_sq, delta_1 = _sensitivities(spec, plan.neighbouring)
    return TableLayout(
        id=spec.id,
        title=spec.title,
        dims=spec.dims,
        dim_titles=tuple(scope.dimension(name).title for name in spec.dims),
        codes=tuple(tuple(codes) for codes in sets),
        labels=tuple(tuple(codes.values()) for codes in sets),
        shape=shape,
        offset=offset,
        cells=prod(shape),
        delta_sq=delta_sq,
        delta_1=delta_1,
        touch=spec.touch,
        where=spec.where,
        multi=spec.multi,
        instrument=scope.instrument_for(spec) if spec.instrument or spec.is_scored else None,
        noise=noise,
        tiers=_tiers(plan),
        colluding_schools=plan.colluding_schools,
        sum=spec.sum,
        range=spec.range,
    )
