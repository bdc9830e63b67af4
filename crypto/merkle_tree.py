"""A growing Merkle tree that answers for every size it ever had (RFC 6962 section 2.1).

Kept are the roots of all perfect subtrees, packed: 64 bytes a leaf. The root at any size and the
inclusion proof of any leaf at any size then cost O(log size) hashes; `crypto.merkle` computes the
same from the leaves alone.
"""

from collections.abc import Iterable, Sequence
from typing import overload

from crypto.errors import ParameterError
from crypto.merkle import EMPTY_ROOT, HASH_BYTES, node_hash


class HashList(Sequence[bytes]):
    """A growing list of 32-byte hashes that takes 32 bytes a hash; a slice is a plain list."""

    __slots__ = ("_packed",)

    def __init__(self, hashes: Iterable[bytes] = ()) -> None:
        """Start with these hashes.

        Raises:
            ParameterError: one has not 32 bytes.
        """
        self._packed = bytearray()
        for value in hashes:
            self.append(value)

    def __len__(self) -> int:
        """Return the number of hashes."""
        return len(self._packed) // HASH_BYTES

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        """Return one hash, or a slice as a list; negative positions count from the end."""
        if isinstance(index, slice):
            return [self._at(place) for place in range(*index.indices(len(self)))]
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(f"hash {index} of {len(self)}")
        return self._at(place)

    def append(self, value: bytes) -> None:
        """Add a hash at the end.

        Raises:
            ParameterError: it has not 32 bytes.
        """
        if len(value) != HASH_BYTES:
            raise ParameterError(f"a hash has {HASH_BYTES} bytes, found {len(value)}")
        self._packed += value

    def _at(self, place: int) -> bytes:
        return bytes(self._packed[place * HASH_BYTES : (place + 1) * HASH_BYTES])


class MerkleTree:
    """The tree over the leaf hashes appended so far, and over every prefix of them."""

    __slots__ = ("_levels",)

    def __init__(self) -> None:
        """Start with the empty tree."""
        self._levels = [HashList()]

    @property
    def size(self) -> int:
        """The number of leaves."""
        return len(self._levels[0])

    @property
    def leaves(self) -> HashList:
        """The leaf hashes; only `append` may add to them."""
        return self._levels[0]

    def append(self, leaf: bytes) -> None:
        """Append a leaf hash and the root of each subtree that it completes.

        Raises:
            ParameterError: it has not 32 bytes.
        """
        self._levels[0].append(leaf)
        for level, roots in enumerate(self._levels):
            if len(roots) & 1:
                return
            if level + 1 == len(self._levels):
                self._levels.append(HashList())
            self._levels[level + 1].append(node_hash(roots[-2], roots[-1]))

    def root(self, size: int | None = None) -> bytes:
        """Return the root of the tree over the first `size` leaves (default: all).

        Raises:
            ParameterError: there are not so many leaves.
        """
        count = self.size if size is None else size
        if not 0 <= count <= self.size:
            raise ParameterError(f"no tree of {count} leaves; the log has {self.size}")
        return self._rest(count, count.bit_length()) if count else EMPTY_ROOT

    def inclusion_proof(self, index: int, size: int) -> tuple[bytes, ...]:
        """Prove that the leaf `index` is in the tree over the first `size` leaves; PATH of RFC 6962.

        Raises:
            ParameterError: not 0 <= index < size <= number of leaves.
        """
        if not 0 <= index < size <= self.size:
            raise ParameterError(f"no leaf {index} in a tree of {size}; the log has {self.size}")
        proof = []
        for level in range((size - 1).bit_length()):
            sibling, num_whole = (index >> level) ^ 1, size >> level
            if sibling < num_whole:
                proof.append(self._levels[level][sibling])
            elif sibling == num_whole and size & ((1 << level) - 1):
                proof.append(self._rest(size, level))
        return tuple(proof)

    def _rest(self, size: int, level: int) -> bytes:
        """Return the root over the last `size` mod 2^level of the first `size` leaves; not for none."""
        places = [bit for bit in range(level) if size >> bit & 1]
        computed = self._levels[places[0]][(size >> places[0]) - 1]
        for bit in places[1:]:
            computed = node_hash(self._levels[bit][(size >> bit) - 1], computed)
        return computed
