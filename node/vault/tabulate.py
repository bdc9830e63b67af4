"""From stored records to a round's exact tables, which exist nowhere but here.

1. The current records of the plan's school year and wave, taken at its census date.
2. Counted by the plan's layout; caps and ranges are enforced on the records, not on the plan's word, and a
   roster attribute is the one in this node's own entry.
3. Every identity of the tables must hold, or nothing goes out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from node.vault.errors import RecordsError, _, shown_as
from node.vault.records import RecordSet, find_set, read_records
from node.vault.store import VaultStore
from plan.errors import PlanError
from plan.identities import violated
from plan.published import Published
from plan.record import Record
from plan.tabulation import scaled, tabulate


@dataclass(frozen=True, slots=True)
class ExactTables:
    """The exact counts of one round. Held only by the vault.

    Attributes:
        record_set: the records they were counted from.
        counts: int64, shape (cells,).
        x: counts times each table's scale; int64, shape (cells,).
    """

    record_set: RecordSet
    counts: NDArray[np.int64] = field(repr=False)
    x: NDArray[np.int64] = field(repr=False)


def count_round(
    store: VaultStore,
    published: Published,
    attributes: Mapping[str, str],
    known: ExactTables | None = None,
) -> ExactTables:
    """Count the current records by a round's plan.

    Args:
        store: the record file.
        published: the round's plan.
        attributes: of this node's entry in the plan's roster.
        known: what was counted just before by the same plan; given back if the current set is still that one.

    Raises:
        RecordsError: no records of that wave, another census date, a record that does not fit the plan, or
            an identity of the tables that does not hold.
    """
    document = published.document
    record_set = find_set(store, document.school_year, document.wave)
    if record_set is None:
        raise RecordsError(
            _("no records of school year %(year)s, wave %(wave)s have been imported"),
            _("Run 'fedscreen node import' with the roster and the platform's file first."),
            code="records-missing",
            details={"year": document.school_year, "wave": document.wave},
        )
    if record_set.census_date != document.census_date:
        raise RecordsError(
            _("the records were imported for the census date %(found)s, the plan counts at %(expected)s"),
            _("Import again with the roster of that day."),
            code="wrong-census-date",
            details={
                "found": record_set.census_date.isoformat(),
                "expected": document.census_date.isoformat(),
            },
        )
    if known is not None and known.record_set == record_set:
        return known
    counts = count_records(published, read_records(store, record_set), attributes)
    return ExactTables(record_set, counts, scaled(published.layout, counts))


def count_records(
    published: Published, records: tuple[Record, ...], attributes: Mapping[str, str]
) -> NDArray[np.int64]:
    """Count records by a plan and check every identity; int64, shape (cells,); arguments as `count_round`.

    Raises:
        RecordsError: a record does not fit the plan, or an identity does not hold.
    """
    try:
        counts = tabulate(published.layout, records, attributes)
        broken = violated(published.layout, counts)
    except PlanError as err:
        raise RecordsError(
            _("the records do not fit the plan (%(reason)s)"),
            _("Import the files again with the codebook that the plan names."),
            code="records-unfit",
            details={**shown_as("reason", err.phrase)},
        ) from None
    if broken:
        raise RecordsError(
            _("the tables contradict each other (%(identity)s)"),
            _("Import the files again; if it stays so, keep them and tell the county. Nothing was sent."),
            code="identity-violated",
            details={"identity": broken[0]},
        )
    return counts
