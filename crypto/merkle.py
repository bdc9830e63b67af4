"""Merkle trees of RFC 6962 (section 2.1) and their proofs (verified as RFC 9162 sections 2.1.3.2, 2.1.4.2).

Everywhere a *leaf* is a 32-byte leaf hash; `leaf_hash` makes it from a log entry's bytes.
"""

import hashlib
from collections.abc import Sequence

from crypto.errors import ConsistencyError, InclusionProofError, ParameterError

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """Hash a log entry into a leaf: SHA-256(0x00 ‖ entry)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtree roots into their parent: SHA-256(0x01 ‖ left ‖ right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def tree_root(leaves: Sequence[bytes]) -> bytes:
    """Return the root of the tree over these leaves."""
    level = leaves
    while len(level) > 1:
        level = _parents(level)
    return level[0] if level else EMPTY_ROOT


def _parents(level: Sequence[bytes]) -> list[bytes]:
    """Pair a level's nodes; a last one without a partner moves up unchanged."""
    pairs = [node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
    return pairs + list(level[len(pairs) * 2 :])


def inclusion_proof(leaves: Sequence[bytes], index: int, size: int) -> tuple[bytes, ...]:
    """Prove that `leaves[index]` is in the tree over the first `size` leaves; PATH of RFC 6962.

    Raises:
        ParameterError: not 0 <= index < size <= len(leaves).
    """
    if not 0 <= index < size <= len(leaves):
        raise ParameterError(f"no leaf {index} in a tree of {size}; the log has {len(leaves)}")
    proof = []
    level: Sequence[bytes] = leaves[:size]
    while len(level) > 1:
        sibling = index ^ 1
        if sibling < len(level):
            proof.append(level[sibling])
        level, index = _parents(level), index >> 1
    return tuple(proof)


def consistency_proof(leaves: Sequence[bytes], old: int, new: int) -> tuple[bytes, ...]:
    """Prove that the tree over `old` leaves is a prefix of the one over `new`; PROOF of RFC 6962.

    Empty for `old` = 0 (nothing to prove; the witness protocol sends it so) and for `old` = `new`.

    Raises:
        ParameterError: not 0 <= old <= new <= len(leaves).
    """
    if not 0 <= old <= new <= len(leaves):
        raise ParameterError(f"no trees of {old} and {new} leaves in order; the log has {len(leaves)}")
    return () if old == 0 else _subproof(old, leaves[:new], is_whole=True)


def _subproof(old: int, leaves: Sequence[bytes], *, is_whole: bool) -> tuple[bytes, ...]:
    """SUBPROOF(m, D[n], b) of RFC 6962 section 2.1.2; the verifier knows the root where `is_whole`."""
    if old == len(leaves):
        return () if is_whole else (tree_root(leaves),)
    split = _split(len(leaves))
    if old <= split:
        return (*_subproof(old, leaves[:split], is_whole=is_whole), tree_root(leaves[split:]))
    return (*_subproof(old - split, leaves[split:], is_whole=False), tree_root(leaves[:split]))


def _split(size: int) -> int:
    """The largest power of two below a size of at least 2."""
    return 1 << ((size - 1).bit_length() - 1)


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Verify that a leaf stands at an index of the tree with this size and root; RFC 9162 section 2.1.3.2.

    Raises:
        InclusionProofError: the proof does not lead there, or a value is out of range.
    """
    if not 0 <= index < size:
        raise InclusionProofError(f"leaf {index} is not in a tree of {size}")
    _check_hashes((leaf, root, *proof), InclusionProofError)
    node, last, computed = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise InclusionProofError(f"the proof for leaf {index} of {size} is too long")
        if node & 1 or node == last:
            computed = node_hash(sibling, computed)
            while node and not node & 1:  # a node without a partner moved up unchanged
                node, last = node >> 1, last >> 1
        else:
            computed = node_hash(computed, sibling)
        node, last = node >> 1, last >> 1
    if last != 0:
        raise InclusionProofError(f"the proof for leaf {index} of {size} is too short")
    if computed != root:
        raise InclusionProofError(f"the proof for leaf {index} leads to another root of size {size}")


def verify_consistency(old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    """Verify that the tree (old, old_root) is a prefix of (new, new_root); RFC 9162 section 2.1.4.2.

    Raises:
        ConsistencyError: the proof does not connect them, `old` is 0 (every tree extends the empty one:
            a caller decides that itself), or a value is out of range.
    """
    if not 1 <= old <= new:
        raise ConsistencyError(f"no consistency proof goes from size {old} to {new}")
    if old == new:
        if proof or old_root != new_root:
            raise ConsistencyError(f"two trees of {old} leaves differ, or their proof is not empty")
        return
    _check_hashes((old_root, new_root, *proof), ConsistencyError)
    is_power_of_two = old & (old - 1) == 0
    path = (old_root, *proof) if is_power_of_two else tuple(proof)
    if not path:
        raise ConsistencyError(f"the proof from {old} to {new} is empty")
    computed_old, computed_new = _replay_consistency(old, new, path)
    if computed_old != old_root:
        raise ConsistencyError(f"the proof from {old} to {new} leads to another old root")
    if computed_new != new_root:
        raise ConsistencyError(f"the proof from {old} to {new} leads to another new root")


def _replay_consistency(old: int, new: int, path: Sequence[bytes]) -> tuple[bytes, bytes]:
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    computed_old = computed_new = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ConsistencyError(f"the proof from {old} to {new} is too long")
        if node & 1 or node == last:
            computed_old = node_hash(sibling, computed_old)
            computed_new = node_hash(sibling, computed_new)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            computed_new = node_hash(computed_new, sibling)
        node, last = node >> 1, last >> 1
    if last != 0:
        raise ConsistencyError(f"the proof from {old} to {new} is too short")
    return computed_old, computed_new


def _check_hashes(hashes: Sequence[bytes], error: type[InclusionProofError | ConsistencyError]) -> None:
    for value in hashes:
        if len(value) != HASH_BYTES:
            raise error(f"a hash has {HASH_BYTES} bytes, found {len(value)}")


class CompactRange:
    """A growing tree that keeps only the roots of its perfect subtrees, left to right: O(log size) memory."""

    __slots__ = ("_roots", "_size")

    def __init__(self) -> None:
        """Start with the empty tree."""
        self._size = 0
        self._roots: list[bytes] = []

    @property
    def size(self) -> int:
        """The number of leaves appended so far."""
        return self._size

    def append(self, leaf: bytes) -> None:
        """Append a leaf hash: merge as many subtrees as the size has trailing one bits."""
        node, size = leaf, self._size
        while size & 1:
            node, size = node_hash(self._roots.pop(), node), size >> 1
        self._roots.append(node)
        self._size += 1

    def root(self) -> bytes:
        """Return the root of the tree so far."""
        if not self._roots:
            return EMPTY_ROOT
        *rest, computed = self._roots
        for left in reversed(rest):
            computed = node_hash(left, computed)
        return computed

    def copy(self) -> "CompactRange":
        """Return an independent copy, for example to try an append."""
        other = CompactRange()
        other._size, other._roots = self._size, list(self._roots)
        return other
