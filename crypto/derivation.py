"""Every derived value of a report, line by line as in protocol.md, "Node: from table to report".

    K   master secret of the node          R   secret of (node, round, roster, approvals)
    T   secret of (R, attempt, table x)    apr digest of the approvals

Each step is E() of named, length-prefixed parts under HKDF-Expand, HMAC or plain SHA-256. All keys, secrets,
digests, tags and round ids are 32 bytes. K, R, T, the tag and the seeds live in the node's vault only.
All functions raise ParameterError on an argument of the wrong length, and ShapeMismatchError on a table that
is not a one-dimensional int64 array.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from crypto.canonical import encode_parts
from crypto.errors import DecodeError, ParameterError, ShapeMismatchError

if TYPE_CHECKING:  # whoever only reads the log gets by without numpy
    import numpy as np
    from numpy.typing import NDArray

SECRET_BYTES = 32
_DIGEST_LENGTH = SECRET_BYTES.to_bytes(4, "big")  # before a part of 32 bytes in E()
_SECRET_LENGTHS = frozenset((SECRET_BYTES,))
KDF_LABEL = "fedscreen/v1"  # the protocol version; protocol.md


def kdf(key: bytes, *parts: bytes | str | int) -> bytes:
    """HKDF-Expand-SHA256(key, E("fedscreen/v1", parts…), 32); RFC 5869 section 2.3, one block."""
    _check_length("a kdf key", key)
    return hmac.digest(key, encode_parts(KDF_LABEL, *parts) + b"\x01", "sha256")


def master_commitment(node_id: str, master: bytes) -> bytes:
    """SHA-256(E("master", node id, K)): stands in the roster."""
    _check_length("a master secret", master)
    return _sha256(encode_parts("master", node_id, master))


def approvals_digest(texts: Sequence[str]) -> bytes:
    """Apr = SHA-256(E(approval texts in plan order)): binds every auditor's round key and nonce."""
    return _sha256(encode_parts(*texts))


def round_secret(
    master: bytes, federation: str, node_id: str, round_id: bytes, roster_digest: bytes, apr: bytes
) -> bytes:
    """R = kdf(K, "round", federation, node id, round id, roster digest, apr)."""
    for name, value in (("a round id", round_id), ("a roster digest", roster_digest), ("apr", apr)):
        _check_length(name, value)
    return kdf(master, "round", federation, node_id, round_id, roster_digest, apr)


def measurement_tag(round_secret: bytes, x: NDArray[np.int64]) -> bytes:
    """Xm = HMAC-SHA256(kdf(R, "x"), x as int64 little-endian); x = scale · counts. Never published."""
    return hmac.digest(kdf(round_secret, "x"), _measurement_view(x), "sha256")


def report_secret(round_secret: bytes, attempt: int, tag: bytes) -> bytes:
    """T = kdf(R, "report", attempt, xm): another table never meets the same streams."""
    _check_length("a measurement tag", tag)
    return kdf(round_secret, "report", attempt, tag)


def noise_key(report_secret: bytes, table_index: int) -> bytes:
    """Key of the noise sampler of table j: kdf(T, "noise", j)."""
    return kdf(report_secret, "noise", table_index)


def tier_key(report_secret: bytes, step: int, table_index: int) -> bytes:
    """Key of the sampler of a turnout ladder's z_0 (step 0) or w_k of table j: kdf(T, "tier", k, j)."""
    return kdf(report_secret, "tier", step, table_index)


def seed(report_secret: bytes, subset: int) -> bytes:
    """seed_A = kdf(T, "seed", A), with A as its bit mask."""
    return kdf(report_secret, "seed", subset)


def seeds(report_secret: bytes, subsets: Iterable[int]) -> dict[int, bytes]:
    """The seeds of several subsets, in the order given."""
    return {subset: seed(report_secret, subset) for subset in subsets}


def seed_commitment(round_id: bytes, node_id: str, attempt: int, subset: int, seed: bytes) -> bytes:
    """com_A = SHA-256(E("seed", round id, node, attempt, A, seed_A)): stands in the report."""
    _check_length("a round id", round_id)
    _check_length("a seed", seed)
    return _sha256(encode_parts("seed", round_id, node_id, attempt, subset, seed))


def commitments_digest(commitments: Sequence[bytes]) -> bytes:
    """SHA-256(E(com_A for all A ascending)): what a box binds of them."""
    return _sha256(encode_parts(*commitments))


def box_info(
    round_id: bytes,
    node_id: str,
    attempt: int,
    auditor_id: str,
    public_key: bytes,
    y_digest: bytes,
    commitments_digest: bytes,
) -> bytes:
    """HPKE info of box a: E("box", round id, node, attempt, a, SHA-256(pk_a), SHA-256(y), SHA-256(all com)).

    Args:
        round_id: the plan's digest.
        node_id: the school that seals.
        attempt: 0 to 3.
        auditor_id: the auditor that opens.
        public_key: its round key as it stands in its approval; hashed here.
        y_digest: SHA-256 of the encoded report share.
        commitments_digest: of all seed commitments, not only of this auditor's.
    """
    for name, value in (("a round id", round_id), ("a y digest", y_digest)):
        _check_length(name, value)
    _check_length("a commitments digest", commitments_digest)
    key_digest = _key_digest(public_key)
    return encode_parts(
        "box", round_id, node_id, attempt, auditor_id, key_digest, y_digest, commitments_digest
    )


class BoxFrame:
    """The infos and seed commitments of all boxes of one auditor in a round, what they share encoded once.

    Gives what `box_info` and `seed_commitment` give; an auditor goes through every report of a round twice.

    Args:
        round_id: the plan's digest.
        auditor_id: the auditor that opens.
        public_key: its round key as it stands in its approval.
    """

    __slots__ = ("_auditor", "_box", "_seed")

    def __init__(self, round_id: bytes, auditor_id: str, public_key: bytes) -> None:
        """Encode what does not change from report to report."""
        _check_length("a round id", round_id)
        self._box = encode_parts("box", round_id)
        self._auditor = encode_parts(auditor_id, _key_digest(public_key))
        self._seed = encode_parts("seed", round_id)

    def info(self, report: bytes, y_digest: bytes, commitments: Sequence[bytes]) -> bytes:
        """HPKE info of a report's box.

        Args:
            report: E(node id, attempt), see `encode_report`.
            y_digest: SHA-256 of the encoded report share.
            commitments: all of the report's, in subset order.
        """
        digests = _encode_digests((y_digest, _sha256(_encode_digests(commitments))))
        return b"".join((self._box, report, self._auditor, digests))

    def commitments(self, report: bytes, seeds: Mapping[int, bytes]) -> dict[int, bytes]:
        """com_A of a report's seeds, by subset."""
        shared = self._seed + report
        return {
            subset: _sha256(b"".join((shared, _encode_subset(subset), _encode_digests((seed,)))))
            for subset, seed in seeds.items()
        }


def encode_report(node_id: str, attempt: int) -> bytes:
    """E(node id, attempt): how the derivations name a report within its round."""
    return encode_parts(node_id, attempt)


def box_plaintext(seeds: Sequence[bytes]) -> bytes:
    """What a box holds: E(seed_A for the A that contain the auditor, ascending)."""
    for value in seeds:
        _check_length("a seed", value)
    return encode_parts(*seeds)


def parse_box_plaintext(data: bytes, count: int) -> tuple[bytes, ...]:
    """Parse an opened box; the exact inverse of `box_plaintext` for this number of seeds.

    Raises:
        DecodeError: another length or another encoding.
    """
    part_bytes = 4 + SECRET_BYTES
    parts = tuple(data[at + 4 : at + part_bytes] for at in range(0, len(data), part_bytes))
    if len(data) != count * part_bytes or _encode_digests(parts) != data:
        raise DecodeError(f"a box of {count} seeds holds {count * part_bytes} bytes of length-prefixed seeds")
    return parts


def input_commitment(round_secret: bytes, attempt: int, rows_digest: bytes, x: NDArray[np.int64]) -> bytes:
    """HMAC-SHA256(kdf(R, "input"), E(attempt, SHA-256(canonical rows), x)): what a replay compares."""
    _check_length("a rows digest", rows_digest)
    cells = _measurement_view(x)
    mac = hmac.new(kdf(round_secret, "input"), encode_parts(attempt, rows_digest), "sha256")
    mac.update(cells.nbytes.to_bytes(4, "big"))  # E() of the last part, without a copy of the table
    mac.update(cells)
    return mac.digest()


def draw_commitment(draw: bytes) -> bytes:
    """SHA-256(r_a): in the approval; r_a itself is revealed in the opening, for the draw of replays."""
    _check_length("a draw", draw)
    return _sha256(draw)


def encode_measurement(x: NDArray[np.int64]) -> bytes:
    """Encode a table as int64 little-endian, shape (cells,)."""
    return _measurement_view(x).tobytes()


def _measurement_view(x: NDArray[np.int64]) -> memoryview:
    """View a table's encoding without copying it: hashing is then all that a large table costs."""
    if x.dtype != "int64" or x.ndim != 1:
        raise ShapeMismatchError(f"expected int64 cells in one dimension, found {x.dtype} in {x.ndim}")
    return x.astype("<i8", order="C", copy=False).data.cast("B")


@lru_cache(maxsize=256)
def _encode_subset(subset: int) -> bytes:
    """E(A): a round has few subsets and many reports."""
    return encode_parts(subset)


@lru_cache(maxsize=64)
def _key_digest(public_key: bytes) -> bytes:
    """Hash a round key; every box of a round binds one of the same few."""
    return _sha256(public_key)


def _encode_digests(values: Sequence[bytes]) -> bytes:
    """E() of values of 32 bytes."""
    if not _SECRET_LENGTHS.issuperset(map(len, values)):
        for value in values:
            _check_length("a digest or seed", value)
    return _DIGEST_LENGTH.join((b"", *values))


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _check_length(what: str, value: bytes) -> None:
    if len(value) != SECRET_BYTES:
        raise ParameterError(f"{what} has {SECRET_BYTES} bytes, found {len(value)}")
