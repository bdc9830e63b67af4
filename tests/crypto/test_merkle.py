"""The Merkle tree against RFC 6962's definition, the published proof cases, and every altered proof."""

import hashlib
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vectors_dir import load_json, published_params

from crypto.canonical import decode_base64
from crypto.errors import ConsistencyError, InclusionProofError, ParameterError
from crypto.merkle import (
    EMPTY_ROOT,
    CompactRange,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    tree_root,
    verify_consistency,
    verify_inclusion,
)

LEAVES = [leaf_hash(bytes([i])) for i in range(40)]


def mth(entries: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, word for word."""
    if not entries:
        return hashlib.sha256(b"").digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    split = 1
    while split * 2 < len(entries):
        split *= 2
    return hashlib.sha256(b"\x01" + mth(entries[:split]) + mth(entries[split:])).digest()


def hashes(proof: list[str] | None) -> list[bytes]:
    return [decode_base64(value) for value in proof or []]


def published_cases(key: str) -> list[Any]:
    """Every case below `merkle/` that has this key, from files of one case and of lists of them."""
    cases = []
    for param in published_params("merkle", "*.json"):
        if param.marks:
            return [param]
        loaded = load_json(param.values[0])
        for number, case in enumerate(loaded if isinstance(loaded, list) else [loaded]):
            if key in case:
                cases.append(pytest.param(case, id=case.get("case", f"{param.id}/{number}")))
    return cases


@pytest.mark.parametrize("case", published_cases("leafHash"))
def test_published_inclusion_cases(case: dict[str, Any]) -> None:
    arguments = (
        decode_base64(case["leafHash"] or ""),
        case["leafIdx"],
        case["treeSize"],
        hashes(case["proof"]),
        decode_base64(case["root"] or ""),
    )
    if case["wantErr"]:
        with pytest.raises(InclusionProofError):
            verify_inclusion(*arguments)
    else:
        verify_inclusion(*arguments)


@pytest.mark.parametrize("case", published_cases("size1"))
def test_published_consistency_cases(case: dict[str, Any]) -> None:
    arguments = (
        case["size1"],
        case["size2"],
        hashes(case["proof"]),
        decode_base64(case["root1"] or ""),
        decode_base64(case["root2"] or ""),
    )
    if case["wantErr"]:
        with pytest.raises(ConsistencyError):
            verify_consistency(*arguments)
    else:
        verify_consistency(*arguments)


def test_roots_are_those_of_the_definition() -> None:
    for size in range(41):
        assert tree_root(LEAVES[:size]) == mth([bytes([i]) for i in range(size)])
    assert tree_root([]) == EMPTY_ROOT


def test_leaf_and_node_hashes_differ_for_the_same_bytes() -> None:
    assert leaf_hash(LEAVES[0] + LEAVES[1]) != node_hash(LEAVES[0], LEAVES[1])


def test_the_compact_range_has_the_same_roots() -> None:
    growing = CompactRange()
    for size, leaf in enumerate(LEAVES):
        assert (growing.size, growing.root()) == (size, tree_root(LEAVES[:size]))
        growing.append(leaf)


def test_a_copied_range_grows_alone() -> None:
    growing = CompactRange()
    growing.append(LEAVES[0])
    growing.append(LEAVES[1])
    trial = growing.copy()
    trial.append(LEAVES[2])
    assert (growing.size, growing.root()) == (2, tree_root(LEAVES[:2]))
    assert (trial.size, trial.root()) == (3, tree_root(LEAVES[:3]))


def test_every_inclusion_proof_verifies() -> None:
    for size in range(1, 41):
        root = tree_root(LEAVES[:size])
        for index in range(size):
            verify_inclusion(LEAVES[index], index, size, inclusion_proof(LEAVES, index, size), root)


def test_every_consistency_proof_verifies() -> None:
    roots = [tree_root(LEAVES[:size]) for size in range(41)]
    for new in range(1, 41):
        for old in range(1, new + 1):
            verify_consistency(old, new, consistency_proof(LEAVES, old, new), roots[old], roots[new])


def test_from_the_empty_tree_there_is_nothing_to_prove_and_nothing_verifies() -> None:
    assert consistency_proof(LEAVES, 0, 7) == ()
    with pytest.raises(ConsistencyError, match="size 0"):
        verify_consistency(0, 7, (), EMPTY_ROOT, tree_root(LEAVES[:7]))


@given(st.integers(1, 40), st.data())
def test_an_altered_inclusion_proof_is_refused(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    root, proof = tree_root(LEAVES[:size]), inclusion_proof(LEAVES, index, size)
    other = data.draw(st.integers(0, size).filter(lambda i: i != index))
    altered: list[tuple[bytes, int, Sequence[bytes]]] = [
        (LEAVES[index], other, proof),
        (leaf_hash(b"other"), index, proof),
        (LEAVES[index], index, (*proof, LEAVES[0])),
    ]
    if proof:
        altered.append((LEAVES[index], index, proof[:-1]))
        position = data.draw(st.integers(0, len(proof) * 256 - 1))
        altered.append((LEAVES[index], index, flip(proof, position)))
    for leaf, at, bad in altered:
        with pytest.raises(InclusionProofError):
            verify_inclusion(leaf, at, size, bad, root)
    with pytest.raises(InclusionProofError):
        verify_inclusion(LEAVES[index], index, size, proof, EMPTY_ROOT)


@given(st.integers(2, 40), st.data())
def test_an_altered_consistency_proof_is_refused(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, new - 1))
    old_root, new_root = tree_root(LEAVES[:old]), tree_root(LEAVES[:new])
    proof = consistency_proof(LEAVES, old, new)
    position = data.draw(st.integers(0, len(proof) * 256 - 1))
    for bad in (flip(proof, position), proof[:-1], (*proof, LEAVES[0]), ()):
        with pytest.raises(ConsistencyError):
            verify_consistency(old, new, bad, old_root, new_root)
    for roots in ((new_root, new_root), (old_root, old_root), (EMPTY_ROOT, new_root)):
        with pytest.raises(ConsistencyError):
            verify_consistency(old, new, proof, *roots)


def flip(proof: Sequence[bytes], position: int) -> tuple[bytes, ...]:
    which, bit = divmod(position, 256)
    altered = bytearray(proof[which])
    altered[bit // 8] ^= 1 << bit % 8
    return (*proof[:which], bytes(altered), *proof[which + 1 :])


def test_hashes_of_another_length_are_refused() -> None:
    root = tree_root(LEAVES[:2])
    with pytest.raises(InclusionProofError, match="32 bytes"):
        verify_inclusion(LEAVES[0], 0, 2, (LEAVES[1][:-1],), root)
    with pytest.raises(ConsistencyError, match="32 bytes"):
        verify_consistency(1, 2, (LEAVES[1] + b"x",), LEAVES[0], root)
    # no split of a 64-byte string may stand for a node of two hashes
    with pytest.raises(InclusionProofError, match="32 bytes"):
        verify_inclusion(LEAVES[0] + b"x", 0, 1, (), root)


@pytest.mark.parametrize(("index", "size"), [(-1, 2), (2, 2), (0, 0), (0, 41), (41, 41)])
def test_an_inclusion_proof_beyond_the_log_is_refused(index: int, size: int) -> None:
    with pytest.raises(ParameterError):
        inclusion_proof(LEAVES, index, size)


@pytest.mark.parametrize(("old", "new"), [(-1, 2), (3, 2), (2, 41)])
def test_a_consistency_proof_beyond_the_log_is_refused(old: int, new: int) -> None:
    with pytest.raises(ParameterError):
        consistency_proof(LEAVES, old, new)


@pytest.mark.parametrize(("old", "new"), [(-1, 2), (3, 2), (-2, -1)])
def test_sizes_out_of_order_do_not_verify(old: int, new: int) -> None:
    with pytest.raises(ConsistencyError):
        verify_consistency(old, new, (LEAVES[0],), LEAVES[0], LEAVES[0])


@pytest.mark.parametrize("index", [-1, -5, 4, 5])
def test_a_leaf_outside_of_the_tree_does_not_verify(index: int) -> None:
    # every bit of -1 is set like those of the last leaf's index, whose proof would do for it
    proof = inclusion_proof(LEAVES, 3, 4)
    with pytest.raises(InclusionProofError, match=f"leaf {index} is not in a tree of 4"):
        verify_inclusion(LEAVES[3], index, 4, proof, tree_root(LEAVES[:4]))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 8, 9])
def test_a_proof_with_a_hash_too_many_or_too_few_says_so(size: int) -> None:
    proof, root = inclusion_proof(LEAVES, size - 1, size), tree_root(LEAVES[:size])
    with pytest.raises(InclusionProofError, match="too long"):
        verify_inclusion(LEAVES[size - 1], size - 1, size, (*proof, root), root)
    old, new_root = consistency_proof(LEAVES, size, size + 1), tree_root(LEAVES[: size + 1])
    with pytest.raises(ConsistencyError, match="too long"):
        verify_consistency(size, size + 1, (*old, root), root, new_root)
    if proof:
        with pytest.raises(InclusionProofError, match="too short"):
            verify_inclusion(LEAVES[size - 1], size - 1, size, proof[:-1], root)
    with pytest.raises(
        ConsistencyError, match="too short" if len(old) > 1 or size & (size - 1) == 0 else "empty"
    ):
        verify_consistency(size, size + 1, old[:-1], root, new_root)


def test_a_tree_extends_itself_by_the_empty_proof_alone() -> None:
    root = tree_root(LEAVES[:5])
    verify_consistency(5, 5, (), root, root)
    for proof, other in (((LEAVES[0],), root), ((), LEAVES[0])):
        with pytest.raises(ConsistencyError, match="two trees of 5 leaves"):
            verify_consistency(5, 5, proof, root, other)
