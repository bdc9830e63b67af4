"""How far one pupil can move a table.

Unit: one pupil at one school. Under `REPLACE_ONE` a pupil's record is exchanged for any other (enrolment is
public, so this is the honest relation); under `ADD_REMOVE` a record appears or disappears.
Every bound here is in *counts*, before the scaling of `privacy.accountant`, and holds only if the node
enforces cap and range on the records themselves.

Spec: privacy.md, "Sensitivity". Proof note: docs/proofs/sensitivity.md.
"""

from enum import StrEnum

from privacy.errors import SensitivityError

MAX_CAP = 1 << 16
"""Most cells that one pupil may touch in one table; far above every plan, low enough for exact squares."""

MAX_RANGE = 1 << 20
"""Widest numeric range (hi - lo) of a clamped value."""


class Neighbouring(StrEnum):
    """Which two data sets the guarantee makes indistinguishable."""

    REPLACE_ONE = "replace-one"
    ADD_REMOVE = "add-remove"


def sides(neighbouring: Neighbouring) -> int:
    """Return how many contributions differ between neighbours: the old one, and the new one.

    Every squared and absolute bound of this room is that number times what one contribution can be.

    Raises:
        SensitivityError: the relation is unknown.
    """
    if not isinstance(neighbouring, Neighbouring):
        raise SensitivityError(
            f"neighbouring relation: found {neighbouring!r}, allowed are "
            f"{', '.join(repr(str(n)) for n in Neighbouring)}"
        )
    return 2 if neighbouring is Neighbouring.REPLACE_ONE else 1


def _check_int(name: str, value: int, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:
        raise SensitivityError(f"{name}: expected an integer from {low} to {high}, found {value!r}")


def count_table_sensitivity(cap: int, neighbouring: Neighbouring) -> int:
    """Bound the squared L2 sensitivity of a count table.

    Args:
        cap: the most distinct cells that one pupil adds 0 or 1 to (1 for a partition).
        neighbouring: the relation that the plan names.

    Returns:
        The square of Delta_2, in counts: 2*cap under replace-one, cap under add-remove.

    Raises:
        SensitivityError: `cap` is not from 1 to `MAX_CAP`, or the relation is unknown.

    Example:
        >>> count_table_sensitivity(8, Neighbouring.REPLACE_ONE)
        16
    """
    _check_int("cap", cap, 1, MAX_CAP)
    return sides(neighbouring) * cap


def count_table_l1_sensitivity(cap: int, neighbouring: Neighbouring) -> int:
    """Bound Delta_1 of a count table, in counts; arguments and errors as `count_table_sensitivity`."""
    _check_int("cap", cap, 1, MAX_CAP)
    return sides(neighbouring) * cap


def numeric_sum_sensitivity(low: int, high: int, neighbouring: Neighbouring) -> int:
    """Bound the squared L2 sensitivity of a table of numeric sums over a partition.

    Each pupil adds clamp(v, low, high) - low to one cell, and 0 if v is missing; estimation adds
    low * N back.

    Args:
        low, high: the clamp, in the units of the summed value; low < high.
        neighbouring: the relation that the plan names.

    Returns:
        The square of Delta_2 in those units: 2*(high-low)**2 under replace-one (the old cell loses
        up to the range, the new one gains up to it), (high-low)**2 under add-remove.

    Raises:
        SensitivityError: the range is empty, reversed or wider than `MAX_RANGE`.
    """
    return sides(neighbouring) * _numeric_range(low, high) ** 2


def numeric_sum_l1_sensitivity(low: int, high: int, neighbouring: Neighbouring) -> int:
    """Bound Delta_1 of a table of numeric sums; arguments and errors as `numeric_sum_sensitivity`."""
    return sides(neighbouring) * _numeric_range(low, high)


def _numeric_range(low: int, high: int) -> int:
    _check_int("low", low, -MAX_RANGE, MAX_RANGE)
    _check_int("high", high, -MAX_RANGE, MAX_RANGE)
    _check_int("high - low", high - low, 1, MAX_RANGE)
    return high - low
