"""Prio3's measurement shares over Field64 (draft-irtf-cfrg-vdaf-20 section 7.2): shard, expand, unshard.

An encoded measurement m becomes N additive shares. Share j, 1 <= j < N, is the stream of a seed:

    share_j = XOF(seed_j, dst(usage 1, ctx), byte(j)).next_vec(Field64, len(m))
    share_0 = m - share_1 - … - share_(N-1)   modulo p: the Leader's, the only one that is sent whole

What an aggregator sums is a fixed linear map of its shares (`truncate`; ours is the identity), so the sum of
all aggregate shares is the sum of the mapped measurements. `crypto.sharing` is this layer with one share
for each subset of auditors; XOF and dst are arguments so that the published vectors can be repeated.
"""

from collections.abc import Callable, Sequence

from crypto.errors import ParameterError
from crypto.field64 import FieldVector, add, check_vector, subtract
from crypto.xof import Xof

USAGE_MEAS_SHARE = 1  # draft-irtf-cfrg-vdaf-20 section 7.2
SEED_BYTES = 32
MAX_SHARES = 255  # section 7.1.1: an aggregator's id is one byte and the shares are fewer than 256

XofType = Callable[[bytes, bytes, bytes], Xof]


def share_binder(aggregator_id: int) -> bytes:
    """Return the binder of a helper's stream: its aggregator id as one byte.

    Raises:
        ParameterError: not 1 to 254; share 0 is no stream.
    """
    if not 1 <= aggregator_id < MAX_SHARES:
        raise ParameterError(f"a helper's id lies in 1..{MAX_SHARES - 1}, found {aggregator_id}")
    return bytes([aggregator_id])


def helper_share(xof: XofType, seed: bytes, dst: bytes, aggregator_id: int, cells: int) -> FieldVector:
    """Expand a helper's measurement share from its seed.

    Args:
        xof: `XofHmacSha256Aes128`, or `XofTurboShake128` as the draft has it.
        seed: 32 bytes, known to the client and this helper.
        dst: `xof.format_dst(USAGE_MEAS_SHARE, ctx, algorithm_id)`.
        aggregator_id: 1 to 254.
        cells: length of the encoded measurement.

    Raises:
        ParameterError: a seed of another length, or an id out of range.
    """
    if len(seed) != SEED_BYTES:
        raise ParameterError(f"a seed has {SEED_BYTES} bytes, found {len(seed)}")
    return xof(seed, dst, share_binder(aggregator_id)).next_vec(cells)


def leader_share(
    encoded: FieldVector, helper_seeds: Sequence[bytes], xof: XofType, dst: bytes
) -> FieldVector:
    """Subtract every helper's share from an encoded measurement; the seeds are those of helpers 1, 2, ….

    Raises:
        ParameterError: no helper or too many, or a seed of another length.
        ShapeMismatchError, FieldRangeError: the measurement is no vector of canonical elements.
    """
    if not 1 <= len(helper_seeds) < MAX_SHARES:
        raise ParameterError(f"expected 1 to {MAX_SHARES - 1} helper seeds, found {len(helper_seeds)}")
    share = encoded
    for aggregator_id, seed in enumerate(helper_seeds, 1):
        share = subtract(share, helper_share(xof, seed, dst, aggregator_id, len(encoded)))
    return share


def unshard(shares: Sequence[FieldVector]) -> FieldVector:
    """Add one share, or one aggregate share, of every aggregator.

    Raises:
        ParameterError: no share.
        ShapeMismatchError, FieldRangeError: shares of different lengths, or not canonical.
    """
    if not shares:
        raise ParameterError("unsharding needs at least one share")
    total, *rest = shares
    check_vector(total)
    for share in rest:
        total = add(total, share)
    return total
