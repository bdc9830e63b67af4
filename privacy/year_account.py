"""The rules of a school's privacy account: what is spent, what a round may add, when it is too much.

Pure rules; the vault keeps the charges and the log shows the reports. In this order:
1. the year of a round is that of its census date and may not lie ahead of the vault's clock (`verify_year`);
2. spent is the union, by round id, of local charges and of charges seen in the log (predecessor schools
   included), so a restored backup cannot reset it; if both know a round, the larger cost counts;
3. a round that is already charged costs nothing more: the charge is idempotent;
4. the charge is written before any noise is drawn (`node.vault` does that after `verify_affordable`);
5. nothing is refunded, except rounds that a quorum of auditors has abandoned in the log.

Spec: privacy.md, "The claim" and "The account". Proof note: docs/proofs/account.md.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from privacy.errors import BudgetExceededError, PrivacyError

DEFAULT_CAP = Fraction(1, 2)
"""Most rho per pupil and school year; a school can lower it, nobody can raise it."""

FIRST_MONTH = 9
"""A school year runs from 1 September to 31 August."""

_SCHOOL_YEAR = re.compile(r"(\d{4})-(\d{4})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Charge:
    """What one round cost one school's pupils.

    Attributes:
        round_id: the digest of the plan statement, 32 bytes.
        school_year: `YYYY-YYYY`, of the census date.
        rho: the claimed zCDP cost (`accountant.claimed_rho`), positive.
    """

    round_id: bytes
    school_year: str
    rho: Fraction

    def __post_init__(self) -> None:
        if not isinstance(self.round_id, bytes) or len(self.round_id) != 32:
            raise PrivacyError("round id of a charge: expected 32 bytes")
        first_year(self.school_year)
        if not isinstance(self.rho, Fraction) or self.rho <= 0:
            raise PrivacyError(f"rho of a charge: expected a positive Fraction, found {self.rho!r}")


def first_year(school_year: str) -> int:
    """Return the calendar year in which a school year begins.

    Raises:
        PrivacyError: not `YYYY-YYYY` with two consecutive years.
    """
    match = _SCHOOL_YEAR.fullmatch(school_year)
    if match is None or int(match[2]) != int(match[1]) + 1:
        raise PrivacyError(f"school year: expected consecutive years like '2025-2026', found {school_year!r}")
    return int(match[1])


def school_year_of(day: date) -> str:
    """Return the school year that a day belongs to.

    Example:
        >>> school_year_of(date(2026, 3, 1))
        '2025-2026'
    """
    first = day.year if day.month >= FIRST_MONTH else day.year - 1
    return f"{first:04d}-{first + 1:04d}"


def verify_year(school_year: str, census_date: date, today: date) -> None:
    """Check that a round is charged to the year of its census, and that this year has begun.

    Args:
        school_year: as the plan states it.
        census_date: as the plan states it.
        today: from the vault's clock, which never moves back.

    Raises:
        PrivacyError: the plan's year is another one, or lies ahead of the clock.
    """
    first_year(school_year)
    expected = school_year_of(census_date)
    if school_year != expected:
        raise PrivacyError(
            f"school year: the census date {census_date.isoformat()} lies in {expected}, "
            f"the plan charges {school_year}"
        )
    if first_year(school_year) > first_year(school_year_of(today)):
        raise PrivacyError(
            f"school year: the plan charges {school_year}, but this node's clock says {today.isoformat()}; "
            "check the clock, or wait until that year has begun"
        )


def lowered_cap(current: Fraction, proposed: Fraction) -> Fraction:
    """Return a new cap, which can only be lower.

    Raises:
        PrivacyError: `proposed` is negative or above `current`.
    """
    if not 0 <= proposed <= current:
        raise PrivacyError(
            f"cap of the school year: expected 0 to {current}, found {proposed}; a cap is only lowered"
        )
    return proposed


def _costs(charges: Iterable[Charge], school_year: str, refunded: Collection[bytes]) -> dict[bytes, Fraction]:
    costs: dict[bytes, Fraction] = {}
    for charge in charges:
        if charge.school_year == school_year and charge.round_id not in refunded:
            costs[charge.round_id] = max(charge.rho, costs.get(charge.round_id, Fraction(0)))
    return costs


@dataclass(frozen=True, slots=True)
class Item:
    """One round in the account of a school year.

    Attributes:
        round_id: the digest of the plan statement.
        rho: the larger of the costs that the two sources tell.
        is_local: charged in the vault.
        is_logged: this node or a predecessor has a report of it in the log.
        is_refunded: given back, so that it does not count.
    """

    round_id: bytes
    rho: Fraction
    is_local: bool
    is_logged: bool
    is_refunded: bool


def items(
    local: Iterable[Charge], logged: Iterable[Charge], school_year: str, refunded: Collection[bytes] = ()
) -> tuple[Item, ...]:
    """List the rounds of a school year by id, those given back too; arguments as in `spent`.

    The costs of the items that are not refunded add up to `spent`.
    """
    here, there = _costs(local, school_year, ()), _costs(logged, school_year, ())
    return tuple(
        Item(
            round_id,
            max(here.get(round_id, Fraction(0)), there.get(round_id, Fraction(0))),
            is_local=round_id in here,
            is_logged=round_id in there,
            is_refunded=round_id in refunded,
        )
        for round_id in sorted({*here, *there})
    )


def rounds_that_fit(left: Fraction, rho: Fraction) -> int:
    """Say how many more rounds of one cost the rest of an account carries.

    Raises:
        PrivacyError: a round that costs nothing is none.
    """
    if rho <= 0:
        raise PrivacyError(f"rho of a round: expected a positive Fraction, found {rho!r}")
    return max(0, left // rho)


def spent(
    local: Iterable[Charge], logged: Iterable[Charge], school_year: str, refunded: Collection[bytes] = ()
) -> Fraction:
    """Compute what a school year has cost so far.

    Args:
        local: charges in the vault.
        logged: charges of this node's reports in the log, predecessors' included.
        school_year: the year asked for; charges of other years do not count.
        refunded: round ids for which a quorum of auditors has logged `abandon`.

    Returns:
        The sum over the union by round id.
    """
    return sum(_costs((*local, *logged), school_year, refunded).values(), Fraction(0))


def verify_affordable(
    charge: Charge,
    local: Iterable[Charge],
    logged: Iterable[Charge],
    cap: Fraction = DEFAULT_CAP,
    refunded: Collection[bytes] = (),
) -> Fraction:
    """Check that a round fits the account of its school year.

    Args:
        charge: the round to be charged, its rho as recomputed by this node.
        local, logged, refunded: as in `spent`.
        cap: most rho for the year.

    Returns:
        What is spent once the charge is written; unchanged if the round was charged before.

    Raises:
        BudgetExceededError: the year would cost more than the cap. Nothing is changed.
    """
    costs = _costs((*local, *logged), charge.school_year, refunded)
    before = sum(costs.values(), Fraction(0))
    costs[charge.round_id] = max(charge.rho, costs.get(charge.round_id, Fraction(0)))
    after = sum(costs.values(), Fraction(0))
    if after > cap:
        raise BudgetExceededError(
            f"school year {charge.school_year}: this round costs rho {float(charge.rho):.6g}, "
            f"{float(before):.6g} of {float(cap):.6g} is spent; run a plan with a smaller rho, "
            "or wait for the next school year"
        )
    return after
