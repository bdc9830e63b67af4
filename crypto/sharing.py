"""Masking: the node's report share, an auditor's mask sum, and what the coordinator makes of them.

y = x + noise - Σ_A M_A modulo p for the subsets A of `replication.subsets(n, t)`, where M_A is the XOF stream
of seed_A. Over a set S of reports, Σ y + Σ_A (Σ_S M_A) = Σ (x + noise). This is Prio3's sharding of the
measurement (draft-irtf-cfrg-vdaf-20 section 7.2.1, `crypto.prio3_shares`) with one helper share per subset,
replicated.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from crypto.errors import ParameterError
from crypto.field64 import FieldVector, centre_lift, from_signed, subtract
from crypto.mask_sum import MaskSum
from crypto.prio3_shares import SEED_BYTES, USAGE_MEAS_SHARE, share_binder, unshard
from crypto.replication import rank, subsets
from crypto.xof import format_dst

MASK_USAGE = USAGE_MEAS_SHARE


def mask_vector(
    measurement: NDArray[np.int64], seeds: Mapping[int, bytes], round_id: bytes, n: int, t: int
) -> FieldVector:
    """Subtract every mask from a noised table: the report share y, held by the coordinator.

    Args:
        measurement: x + noise, int64, shape (cells,), magnitudes at most p // 2.
        seeds: one 32-byte seed per subset of `subsets(n, t)`, exactly those.
        round_id: the plan's digest, 32 bytes.
        n: auditors of the plan.
        t: auditors that open.

    Returns:
        Canonical elements, shape (cells,): uniformly random to whoever lacks one of the seeds.

    Raises:
        ParameterError: other subsets than those of (n, t), or a seed of another length.
        ShapeMismatchError, FieldRangeError: the measurement is no such table.

    Privacy: publish-safe only if `measurement` holds the noise of the batch (privacy.discrete_gaussian).
    """
    if set(seeds) != set(subsets(n, t)):
        raise ParameterError(f"expected the seeds of the {len(subsets(n, t))} subsets of n={n}, t={t}")
    noised = from_signed(measurement)
    masks = MaskSum(len(noised))
    for subset in subsets(n, t):
        add_report_mask(masks, subset, seeds[subset], round_id, n, t)
    return subtract(noised, masks.value())


def add_report_mask(acc: MaskSum, subset: int, seed: bytes, round_id: bytes, n: int, t: int) -> None:
    """Add M_A of one report to a sum: what an auditor does for each report of S and each of its subsets.

    The stream is XofHmacSha256Aes128(seed_A, dst(usage 1, ctx = round id), byte(1 + rank of A)).

    Raises:
        ParameterError: no such subset, or a seed of another length.
    """
    if len(seed) != SEED_BYTES:
        raise ParameterError(f"a seed has {SEED_BYTES} bytes, found {len(seed)}")
    acc.add_mask(seed, format_dst(MASK_USAGE, round_id), share_binder(1 + rank(subset, n, t)))


def unmask(sum_y: FieldVector, mask_sums: Sequence[FieldVector]) -> NDArray[np.int64]:
    """Add the auditors' mask sums back to the sum of the report shares.

    Args:
        sum_y: Σ_S y, shape (cells,), canonical.
        mask_sums: Σ_S M_A, one per subset, same shape.

    Returns:
        Σ_S (x + noise), centre-lifted to int64, shape (cells,).

    Raises:
        ShapeMismatchError, FieldRangeError: a vector has another length or is not canonical.
    """
    return centre_lift(unshard((sum_y, *mask_sums)))
