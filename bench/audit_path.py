"""One round as a black box: from a school's records to the numbers that are released.

`released` takes the records of one school and the tables of the others and does what node, auditors and
coordinator do, with their own functions: `tabulate` and `scaled` (node/vault/tabulate.py), `derive` with its
noise and masks (node/vault/release.py), one sum of masks a subset (auditor/answer_masks.py), the sum of the
vectors, `unmask` (coordinator/combine.py). Left out is what carries bytes and changes no number: boxes,
signatures, log, files. tests/county/test_audited_path.py compares it with a county that has all of it.

`Experiment` puts many neighbouring pairs into one round. Every pupil sits on a *seat*: a combination of codes
that nobody else has, so that the cells of different seats are different cells. One file has every pupil as
`before`, the other as `after`; seen from one seat the two files are neighbours, for what its cells show
depends on this pupil alone: the tables add up pupils, and noise is drawn cell by cell from one stream
(`tests/audit` checks both). So a round of n seats is n independent runs of the attack on one pupil.
"""

from __future__ import annotations

import hashlib
import itertools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import numpy as np
from numpy.typing import NDArray

from crypto.field64 import parse_vector
from crypto.replication import subsets
from crypto.sharing import unmask
from crypto.tier_sum import TierSum
from node.vault.derive import Derived, Recipe, derive
from plan.codes import FIELD_CODES
from plan.document import PlanDocument, encode_body, parse_plan_toml
from plan.layout import Layout, TableLayout, build_layout
from plan.published import noise_rows
from plan.record import Record
from plan.tabulation import scaled, tabulate
from protos.statements import Plan, body_ref

Vector = NDArray[np.int64]
Pair = tuple[Mapping[str, Any] | None, Mapping[str, Any]]

SCHOOLS = 4  # h: the honest ones; a school that colludes tells its table and its noise and adds nothing
AUDITORS, THRESHOLD = 4, 3
SEAT_DIMS = ("grade", "boarding", "left_behind", "family", "ref_dest")
GRADES = tuple(str(number) for number in range(1, 13))
PLAN = """
format = "fedscreen/plan/v1"
id = "audit"
title = "审计"
purpose = "审计"
recipients = ["县教育局"]
legal_basis = "审计"
consent = "record-only"
wave = "A"
school_year = "2026-2027"
census_date = 2026-09-05
grades = [{grades}]
systems = ["6-3"]
rho = "1/2"
neighbouring = "{relation}"
[window]
opens = 2026-09-01T00:00:00Z
closes = 2026-10-31T00:00:00Z
[trust]
auditors = 4
threshold = 3
collude = 1
quorum = 3
min_reports = {min_reports}
colluding_schools = 1
min_group = 5
{trust}
[[instruments]]
id = "mht"
digest = "{codebook}"
total = [0, 90]
factors = []
{tables}
"""
CODEBOOK = "c" * 64


def make_plan(tables: str, relation: str, trust: str = "") -> PlanDocument:
    """Make a plan of these tables (TOML) with rho 1/2, so that its mu is 1."""
    text = PLAN.format(
        grades=", ".join(f'"{grade}"' for grade in GRADES),
        relation=relation,
        min_reports=SCHOOLS + 1,
        trust=trust,
        codebook=CODEBOOK,
        tables=tables,
    )
    return parse_plan_toml(text.encode())


@dataclass(frozen=True, slots=True)
class Round:
    """What is public about one round, and how many schools report in it.

    Attributes:
        layout: the layout that nodes draw by; a mutant's may differ from the plan's.
        terms: the plan's statement.
        round_id: of this round; another one for every repetition.
    """

    layout: Layout
    terms: Plan
    round_id: bytes

    def recipe(self, node: str) -> Recipe:
        """Give the public ingredients of a node's report."""
        return Recipe(node, self.round_id, self.terms, bytes(32), self.layout)


def terms_of(document: PlanDocument, layout: Layout) -> Plan:
    """Write the plan's statement."""
    return Plan(
        federation="audit",
        serial=1,
        roster=bytes(32),
        auditors=tuple(f"a{number}" for number in range(1, AUDITORS + 1)),
        threshold=THRESHOLD,
        collude=1,
        quorum=3,
        min_reports=SCHOOLS + 1,
        colluding_schools=1,
        min_group=5,
        rho=document.rho,
        opens=datetime(2026, 9, 1, tzinfo=UTC),
        closes=datetime(2026, 10, 31, tzinfo=UTC),
        cells=layout.cells,
        noise=noise_rows(layout),
        body=body_ref(encode_body(document)),
    )


def combine(round_: Round, reports: Sequence[Derived], tier: int = 0) -> Vector:
    """Add the vectors up, add the auditors' sums of masks back, lift: what the coordinator releases."""
    terms, cells = round_.terms, round_.layout.cells
    n, t = len(terms.auditors), terms.threshold
    total = TierSum(cells, tier)
    for report in reports:
        elements = parse_vector(report.vector, cells * round_.layout.num_vectors)
        total.add_report(elements[: total.num_elements])
    sums = []
    for subset in subsets(n, t):
        masks = TierSum(cells, tier)
        masks.add_masks(subset, [report.seeds[subset] for report in reports], round_.round_id, n, t)
        sums.append(masks.value())
    return unmask(total.value(), sums)


Faulty = Callable[[int], AbstractContextManager[object]]


def released(
    round_: Round, xs: Sequence[Vector], tier: int = 0, faulty: Faulty = lambda _school: nullcontext()
) -> Vector:
    """Play a round of schools with these tables.

    Args:
        round_: the round.
        xs: x of each school, scaled, without noise.
        tier: of the round's close.
        faulty: entered while a school derives its report; a mutant changes the product there.
    """
    reports = []
    for number, x in enumerate(xs):
        master = hashlib.sha256(round_.round_id + number.to_bytes(4, "big")).digest()
        with faulty(number):
            reports.append(derive(round_.recipe(f"s{number}"), master, x, 0, bytes(32)))
    return combine(round_, reports, tier)


# -- many neighbouring pairs in one round --------------------------------------------------------


@dataclass(frozen=True)
class Experiment:
    """Neighbouring pairs of one kind, one on every seat.

    Attributes:
        document: the plan that is claimed.
        pair: fields of a pupil before and after; None before for one who is not there (add-remove).
    """

    document: PlanDocument
    pair: Pair

    @cached_property
    def layout(self) -> Layout:
        """The plan's own layout: what everybody should draw by."""
        return build_layout(self.document)

    @cached_property
    def seats(self) -> tuple[dict[str, str], ...]:
        """Every combination of the codes that only place a pupil."""
        codes = [GRADES if name == "grade" else tuple(FIELD_CODES[name]) for name in SEAT_DIMS]
        return tuple(dict(zip(SEAT_DIMS, found, strict=True)) for found in itertools.product(*codes))

    @cached_property
    def files(self) -> tuple[Sequence[Record], Sequence[Record]]:
        """The two school files: every pupil as before, every pupil as after."""
        before, after = (
            [] if fields is None else [_pupil(n, {**seat, **fields}) for n, seat in enumerate(self.seats)]
            for fields in self.pair
        )
        return before, after

    def neighbours(self, seat: int) -> tuple[Sequence[Record], Sequence[Record]]:
        """Two files that differ in the one pupil on a seat; all others are as after."""
        before, after = self.files
        return [*after[:seat], *before[seat : seat + 1], *after[seat + 1 :]], after

    def count(self, records: Sequence[Record], layout: Layout | None = None) -> Vector:
        """Count a file and scale it, as the node does."""
        layout = layout or self.layout
        return scaled(layout, tabulate(layout, records))

    @cached_property
    def seat_of(self) -> NDArray[np.int64]:
        """The seat that each cell of the vector belongs to."""
        return np.concatenate([_seats_of_table(table) for table in self.layout.tables])


def _pupil(number: int, fields: Mapping[str, Any]) -> Record:
    values = {"system": "6-3", "disposition": "3", **fields}
    return Record(rec_key=number.to_bytes(16, "big"), **values)


def _seats_of_table(table: TableLayout) -> NDArray[np.int64]:
    places = dict(zip(table.dims, np.unravel_index(np.arange(table.cells), table.shape), strict=True))
    sizes = [len(table.codes[table.dims.index(name)]) for name in SEAT_DIMS]
    return np.ravel_multi_index([places[name] for name in SEAT_DIMS], sizes).astype(np.int64)


def rounds(document: PlanDocument, layout: Layout, label: str, number: int) -> Iterator[Round]:
    """Give rounds that differ in their id, and so in every key that a node derives."""
    terms = terms_of(document, layout)
    for index in range(number):
        yield Round(layout, terms, hashlib.sha256(f"{label} {index}".encode()).digest())
