"""Masking: the node's report share, an auditor's mask sum, and what the coordinator makes of them.

y = x + noise - Σ_A M_A modulo p for the subsets A of `replication.subsets(n, t)`, where M_A is the XOF stream
of seed_A. Over a set S of reports, Σ y + Σ_A (Σ_S M_A) = Σ (x + noise). This is Prio3's sharding of the
measurement (draft-irtf-cfrg-vdaf-20 section 7.2.1, `crypto.prio3_shares`) with one helper share per subset,
replicated.

With a turnout ladder a report has more vectors: the noise w_k of step k, masked alone from the same seeds by
the streams of usage 16 + k (`step_usage`); step 0 is y itself. `crypto.tier_sum` puts them together.

An auditor adds one stream of each of many reports: `MaskSum` is made for that. A node adds few streams to one
table, once: `mask_vector` goes through it in pieces that stay in a core's first cache.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from crypto.errors import ParameterError, ShapeMismatchError
from crypto.field64 import (
    ELEMENT_BYTES,
    MODULUS,
    FieldVector,
    centre_lift,
    from_signed,
    reduce_once,
    subtract,
)
from crypto.mask_sum import MaskSum
from crypto.prio3_shares import SEED_BYTES, USAGE_MEAS_SHARE, share_binder, unshard
from crypto.replication import rank, subsets
from crypto.xof import XofHmacSha256Aes128, format_dst, sample_vec

MASK_USAGE = USAGE_MEAS_SHARE
LADDER_USAGE = 16  # of step k of a turnout ladder: 16 + k
MAX_STEPS = 12  # protos.statement_base, privacy.ladder; and below the noise stream's usage 32
_PIECE_CELLS = 1 << 12  # 32 KiB of words; the working memory needs no fresh pages from the system
_CTR_SLACK_BYTES = 16  # update_into asks for block size - 1 spare bytes
_EPSILON = np.uint64(2**32 - 1)  # 2^64 modulo p


def mask_vector(
    measurement: NDArray[np.int64],
    seeds: Mapping[int, bytes],
    round_id: bytes,
    n: int,
    t: int,
    *,
    step: int = 0,
    bound: int = MODULUS,
) -> FieldVector:
    """Subtract every mask from a noised table: the report share y, held by the coordinator.

    Args:
        measurement: x + noise, int64, shape (cells,), magnitudes at most p // 2.
        seeds: one 32-byte seed per subset of `subsets(n, t)`, exactly those.
        round_id: the plan's digest, 32 bytes.
        n: auditors of the plan.
        t: auditors that open.
        step: 0 for y; k for w_k of a turnout ladder, `measurement` being that noise alone.
        bound: the modulus; tests lower it to force the rejection path.

    Returns:
        Canonical elements, shape (cells,): uniformly random to whoever lacks one of the seeds.

    Raises:
        ParameterError: other subsets than those of (n, t), a seed of another length, or no such step.
        ShapeMismatchError, FieldRangeError: the measurement is no such table.

    Privacy: publish-safe only if `measurement` holds the noise of the batch (privacy.discrete_gaussian).
    """
    if set(seeds) != set(subsets(n, t)):
        raise ParameterError(f"expected the seeds of the {len(subsets(n, t))} subsets of n={n}, t={t}")
    if measurement.ndim != 1 or not len(measurement):
        raise ShapeMismatchError("a table has one dimension and at least one cell")
    streams = [
        XofHmacSha256Aes128(*_stream_inputs(subset, seeds[subset], round_id, n, t, step))
        for subset in subsets(n, t)
    ]
    y = np.empty(len(measurement), np.uint64)
    for start, masks in _sum_streams(streams, len(y), bound):
        stop = start + len(masks)
        y[start:stop] = subtract(from_signed(measurement[start:stop]), masks)
    return y


def step_usage(step: int) -> int:
    """Return the usage number of the streams that mask w_k of a turnout ladder; 1 for step 0, which is y.

    Raises:
        ParameterError: no step from 0 to `MAX_STEPS`.
    """
    if not 0 <= step <= MAX_STEPS:
        raise ParameterError(f"a step of a ladder lies in 0..{MAX_STEPS}, found {step}")
    return LADDER_USAGE + step if step else MASK_USAGE


def add_report_mask(acc: MaskSum, subset: int, seed: bytes, round_id: bytes, n: int, t: int) -> None:
    """Add M_A of one report to a sum; see `add_report_masks`."""
    add_report_masks(acc, subset, (seed,), round_id, n, t)


def add_report_masks(
    acc: MaskSum, subset: int, seeds: Sequence[bytes], round_id: bytes, n: int, t: int, *, step: int = 0
) -> None:
    """Add M_A of some reports to a sum: what an auditor does for the reports of S and each of its subsets.

    The stream is XofHmacSha256Aes128(seed_A, dst(usage, ctx = round id), byte(1 + rank of A)), usage 1, or
    16 + k for step k of a turnout ladder.

    Raises:
        ParameterError: no such subset or step, or a seed of another length; the sum is unchanged.
    """
    for seed in seeds:
        if len(seed) != SEED_BYTES:
            raise ParameterError(f"a seed has {SEED_BYTES} bytes, found {len(seed)}")
    acc.add_masks(seeds, format_dst(step_usage(step), round_id), share_binder(1 + rank(subset, n, t)))


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


def _stream_inputs(
    subset: int, seed: bytes, round_id: bytes, n: int, t: int, step: int
) -> tuple[bytes, bytes, bytes]:
    """Seed, dst and binder of the stream of M_A, or of its step."""
    if len(seed) != SEED_BYTES:
        raise ParameterError(f"a seed has {SEED_BYTES} bytes, found {len(seed)}")
    return seed, format_dst(step_usage(step), round_id), share_binder(1 + rank(subset, n, t))


def _sum_streams(
    streams: Sequence[XofHmacSha256Aes128], cells: int, bound: int
) -> Iterator[tuple[int, FieldVector]]:
    """Yield where each piece starts and the sum of the streams there, canonical.

    The sum wraps at 2^64; where it is then below what was added, a wrap is counted (there are at most 35
    streams), and each counts 2^64 ≡ 2^32 - 1 modulo p at the end.
    """
    width = min(cells, _PIECE_CELLS)
    zeros = memoryview(bytes(width * ELEMENT_BYTES))
    memory = memoryview(bytearray(width * ELEMENT_BYTES + _CTR_SLACK_BYTES))
    for start in range(0, cells, width):
        size = min(width, cells - start)
        total, wraps = np.zeros(size, np.uint64), np.zeros(size, np.uint8)
        for stream in streams:
            words = _next_words(stream, zeros[: size * ELEMENT_BYTES], memory, bound)
            np.add(total, words, out=total)
            np.add(wraps, (total < words).view(np.uint8), out=wraps)
        extra = wraps * _EPSILON
        total += extra
        total += (total < extra) * _EPSILON
        yield start, reduce_once(total)


def _next_words(
    stream: XofHmacSha256Aes128, zeros: memoryview, memory: memoryview, bound: int
) -> FieldVector:
    """Read as many elements as `zeros` has; words at or above the bound are dropped as in `sample_vec`."""
    stream.next_into(zeros, memory[: len(zeros) + _CTR_SLACK_BYTES])
    words = np.frombuffer(memory, dtype="<u8", count=len(zeros) // ELEMENT_BYTES)
    if words[words.argmax()] < bound:
        return words
    kept = words[words < np.uint64(bound)]
    return np.concatenate((kept, sample_vec(stream, len(words) - len(kept), bound)))
