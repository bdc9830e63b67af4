"""Open the sum: add up the masked vectors, add the auditors' mask sums back, lift, check bounds.

1. Σ y over S, with a turnout ladder less the steps below the tier (``crypto.tier_sum``), streamed
   from the database one report at a time, each compared with the digest in its header.
2. One mask sum per subset of auditors, each compared with the digest in its opening. Which
   openings are used was decided by comparing all replicas (``round.choose_openers``).
3. Unmask and centre-lift: exact signed integers in scaled units.
4. Every cell v satisfies −z ≤ v ≤ scale·a·Σ bound_i + z with z = isqrt(196·s²·|S|) + 1, s² being what
   a school leaves in the sum; that is 14 standard deviations (false alarm < 2^-139). a is what one
   pupil adds to a cell at most: 1 in a table of counts, hi − lo in one of sums. Otherwise the round
   is corrupt.

``bound_i`` is a public upper bound of the pupils of school i: the roster attribute ``pupils`` where
a school has it, else ``school_bound`` of coordinator.toml (100,000: more than any school). It catches
garbage, which is uniform over 64 bits, not a school that lies within its size.
Spec: docs/protocol.md "Combining".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isqrt

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy import Connection

from coordinator import schema
from coordinator.errors import StoreError
from crypto.errors import CryptoError
from crypto.field64 import ELEMENT_BYTES, FieldVector, parse_vector
from crypto.sharing import unmask
from crypto.tier_sum import TierSum
from plan.errors import Phrase, phrase
from plan.layout import Layout
from protos.bodies import ReportName, RosterBody
from protos.round_log import RoundLog

PUPILS_ATTRIBUTE = "pupils"
_MAX_BOUND = 1_000_000
_TAIL_SQ = 196  # 14 standard deviations, squared
_VECTOR = sa.select(schema.vectors.c.data).where(schema.vectors.c.digest == sa.bindparam("digest"))


@dataclass(frozen=True, slots=True)
class Combined:
    """An opened sum over S: `values` int64 of shape (cells,), in scaled units, noise included.

    `outside` names the tables with a cell out of its bounds; then the values mean nothing.
    """

    values: NDArray[np.int64] = field(repr=False)
    outside: tuple[str, ...]


def combine(
    connection: Connection,
    round_log: RoundLog,
    layout: Layout,
    openers: tuple[str, ...],
    school_bound: int,
) -> Combined:
    """Combine a closed round with the openings of `openers`.

    Args:
        connection: of the database.
        round_log: closed, with the openings.
        layout: of its plan.
        openers: auditors whose sums are used; they cover every subset and agree.
        school_bound: pupils of a school without the attribute.

    Raises:
        StoreError: a stored vector or sum is not the one that its statement names.
    """
    close_body = round_log.close_body()
    names = close_body.set if close_body else ()
    tier = round_log.close.statement.tier if round_log.close else 0
    total = TierSum(layout.cells, tier)
    for vector in _vectors(connection, round_log, names, total.num_elements):
        total.add_report(vector)
    masks = _mask_sums(connection, round_log, openers, layout.cells)
    values = unmask(total.value(), masks)
    pupils = sum_of_bounds(round_log.roster, (name.node for name in names), school_bound)
    return Combined(values, tables_outside(layout, values, len(names), pupils, tier))


def _vectors(
    connection: Connection, round_log: RoundLog, names: Iterable[ReportName], num_elements: int
) -> Iterable[FieldVector]:
    """Read each report's vectors, of which the first `num_elements` are given."""
    for name in names:
        data = read_vector(connection, round_log, name)
        expected = round_log.reports.contents_of((name.node, name.attempt)).vector
        yield _checked(
            data,
            expected,
            num_elements,
            phrase("vector of %(node)s, attempt %(attempt)s", node=name.node, attempt=name.attempt),
        )


def read_vector(connection: Connection, round_log: RoundLog, name: ReportName) -> bytes:
    """Read the masked vector of one report.

    Raises:
        StoreError: the database has none.
    """
    digest = round_log.reports.contents_of((name.node, name.attempt)).vector
    data = connection.execute(_VECTOR, {"digest": digest}).scalar()
    if data is None:
        raise StoreError(
            phrase("database: the vector of %(node)s is missing; restore the backup", node=name.node)
        )
    return bytes(data)


def _mask_sums(
    connection: Connection, round_log: RoundLog, openers: tuple[str, ...], cells: int
) -> list[FieldVector]:
    table = schema.sums
    found = []
    for subset in round_log.subsets:
        holder = next(name for name in openers if subset in round_log.subsets_of(name))
        data = connection.execute(
            sa.select(table.c.data).where(
                table.c.round == round_log.round_id, table.c.auditor == holder, table.c.subset == subset
            )
        ).scalar()
        expected = dict(round_log.openings[holder].statement.sums)[subset]
        found.append(
            _checked(
                data or b"",
                expected,
                cells,
                phrase("sum %(subset)s of %(auditor)s", subset=subset, auditor=holder),
            )
        )
    return found


def _checked(data: bytes, sha256: bytes, cells: int, what: Phrase) -> FieldVector:
    try:
        vector = parse_vector(data[: ELEMENT_BYTES * cells], cells)
    except CryptoError as err:
        raise StoreError(
            phrase(
                "database: the %(what)s is damaged (%(reason)s); restore the backup", what=what, reason=err
            )
        ) from err
    if hashlib.sha256(data).digest() != sha256:
        raise StoreError(
            phrase("database: the %(what)s is not the one in the log; restore the backup", what=what)
        )
    return vector


def sum_of_bounds(roster: RosterBody, nodes: Iterable[str], school_bound: int) -> int:
    """Add up the public upper bounds of the pupils of some schools."""
    attributes = {node.id: dict(node.attributes) for node in roster.nodes}
    return sum(_bound(attributes[node], school_bound) for node in nodes)


def _bound(attributes: Mapping[str, str], school_bound: int) -> int:
    word = attributes.get(PUPILS_ATTRIBUTE, "")
    is_number = word.isascii() and word.isdigit() and len(word) <= len(str(_MAX_BOUND))
    return min(int(word), _MAX_BOUND) if is_number else school_bound


def tables_outside(
    layout: Layout, values: NDArray[np.int64], num_reports: int, pupils: int, tier: int = 0
) -> tuple[str, ...]:
    """Name the tables with a cell that the sum of `num_reports` honest reports cannot have at a tier."""
    outside = []
    for table in layout.tables:
        cells = values[table.offset : table.offset + table.cells]
        z = isqrt(_TAIL_SQ * table.noise.left_at(tier) * num_reports) + 1
        most = table.noise.scale * table.per_pupil * pupils
        if int(cells.min()) < -z or int(cells.max()) > most + z:
            outside.append(table.id)
    return tuple(outside)
