"""The growing tree: the same roots and proofs as from the leaves alone, for every size."""

import pytest

from crypto.errors import ParameterError
from crypto.merkle import EMPTY_ROOT, inclusion_proof, leaf_hash, tree_root, verify_inclusion
from crypto.merkle_tree import HashList, MerkleTree

LEAVES = [leaf_hash(bytes([number])) for number in range(70)]


def grown(size: int = len(LEAVES)) -> MerkleTree:
    tree = MerkleTree()
    for leaf in LEAVES[:size]:
        tree.append(leaf)
    return tree


def test_the_root_at_every_size_is_that_of_the_leaves() -> None:
    tree = grown()
    assert [tree.root(size) for size in range(len(LEAVES) + 1)] == [
        tree_root(LEAVES[:size]) for size in range(len(LEAVES) + 1)
    ]
    assert MerkleTree().root() == EMPTY_ROOT
    assert tree.root() == tree_root(LEAVES)


def test_every_inclusion_proof_is_that_of_the_leaves() -> None:
    tree = grown()
    for size in range(1, len(LEAVES) + 1):
        for index in range(size):
            proof = tree.inclusion_proof(index, size)
            assert proof == inclusion_proof(LEAVES, index, size)
            verify_inclusion(LEAVES[index], index, size, proof, tree.root(size))


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0), (0, 71), (70, 71)])
def test_no_proof_for_what_is_not_there(index: int, size: int) -> None:
    with pytest.raises(ParameterError, match="the log has 70"):
        grown().inclusion_proof(index, size)


@pytest.mark.parametrize("size", [-1, 71])
def test_no_root_of_a_size_that_never_was(size: int) -> None:
    with pytest.raises(ParameterError, match="the log has 70"):
        grown().root(size)


def test_leaves_are_given_back() -> None:
    tree = grown(5)
    assert tree.size == 5
    assert list(tree.leaves) == LEAVES[:5]


def test_a_hash_list_is_a_sequence() -> None:
    packed = HashList(LEAVES[:4])
    assert len(packed) == 4
    assert (packed[0], packed[3], packed[-1], packed[-4]) == (LEAVES[0], LEAVES[3], LEAVES[3], LEAVES[0])
    assert packed[1:3] == LEAVES[1:3]
    assert packed[::-2] == [LEAVES[3], LEAVES[1]]
    assert LEAVES[2] in packed


@pytest.mark.parametrize("index", [4, -5])
def test_a_position_outside_of_a_hash_list(index: int) -> None:
    with pytest.raises(IndexError, match="of 4"):
        HashList(LEAVES[:4])[index]


@pytest.mark.parametrize("size", [0, 31, 33])
def test_only_hashes_are_taken(size: int) -> None:
    with pytest.raises(ParameterError, match="32 bytes"):
        HashList([bytes(size)])
    with pytest.raises(ParameterError, match="32 bytes"):
        MerkleTree().append(bytes(size))
