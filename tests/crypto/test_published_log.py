"""Every published test log: signed checkpoints, tiles and bundles rebuilt, all proofs between sizes.

A log is a folder with `checkpoint.<size>` files and `tile/`. Its key is a vkey that some text beside the
vectors names: with it the signatures are verified, without it that one test is skipped.
"""

import re
from functools import cache
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import pytest
from vectors_dir import published_folder, published_params

from crypto.checkpoint import Checkpoint, encode_checkpoint, parse_checkpoint
from crypto.errors import DecodeError, VerificationError
from crypto.merkle import (
    EMPTY_ROOT,
    CompactRange,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    tree_root,
    verify_consistency,
    verify_inclusion,
)
from crypto.note import Note, VerifierKey, encode_note, parse_note, parse_vkey, verified_by
from crypto.tiles import (
    TILE_WIDTH,
    changed_tiles,
    parse_entries,
    parse_entries_path,
    parse_tile,
    parse_tile_path,
)
from crypto.tlog_proof import TlogProof, encode_proof, parse_proof, verify_proof

CHECKPOINTS = published_params("tlog", "checkpoint*")
BUNDLES = published_params("tlog", "tile/entries/**/*")
TILES = published_params("tlog", "tile/[0-9]*/**/*")
TESSERA_VKEY = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
VKEY = re.compile(r"[^\s+`]+\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44,}={0,2}")
NUM_ENTRIES = 64  # proofs are made for this many entries of a tree, evenly spread; for all of a small one


def one_for_each_log() -> list[Any]:
    logs = {param.values[0].parent: param for param in CHECKPOINTS}
    return [
        param if param.marks else pytest.param(folder, id=folder.relative_to(published_folder()).as_posix())
        for folder, param in logs.items()
    ]


LOGS = one_for_each_log()


def root_of_log(path: Path) -> Path:
    """The folder that a tile or bundle belongs to."""
    return next(parent.parent for parent in path.parents if parent.name == "tile")


@cache
def entries_of(log: Path) -> tuple[bytes, ...]:
    """All entries: of each bundle the widest that is there."""
    widest: dict[int, tuple[int, Path]] = {}
    for path in (log / "tile" / "entries").rglob("*"):
        if path.is_file():
            index, width = parse_entries_path(path.relative_to(log).as_posix())
            widest[index] = max(widest.get(index, (0, path)), (width, path))
    assert sorted(widest) == list(range(len(widest)))
    entries: list[bytes] = []
    for index in sorted(widest):
        width, path = widest[index]
        entries += parse_entries(path.read_bytes(), width)
    return tuple(entries)


@cache
def leaves_of(log: Path) -> tuple[bytes, ...]:
    return tuple(leaf_hash(entry) for entry in entries_of(log))


@cache
def checkpoints_of(log: Path) -> tuple[tuple[Checkpoint, bytes], ...]:
    """The log's checkpoints by size, each with its note."""
    notes = {path.read_bytes() for path in log.glob("checkpoint*") if path.is_file()}
    parsed = [(parse_checkpoint(parse_note(data).text), data) for data in notes]
    return tuple(sorted(parsed, key=lambda pair: pair[0].size))


def key_of(origin: str) -> VerifierKey:
    """Find the log's key among the vkeys that the vectors' texts name."""
    texts = [path.read_text(encoding="utf-8", errors="ignore") for path in published_folder().rglob("*.md")]
    candidates = [TESSERA_VKEY, *(match for text in texts for match in VKEY.findall(text))]
    for text in candidates:
        if text.startswith(f"{origin}+"):
            return parse_vkey(text)
    pytest.skip(f"no text beside the vectors names a key for {origin}")


@pytest.mark.parametrize("path", CHECKPOINTS)
def test_a_published_checkpoint_is_signed_and_written_again(path: Path) -> None:
    data = path.read_bytes()
    note = parse_note(data)
    checkpoint = parse_checkpoint(note.text)
    assert encode_note(note) == data
    assert encode_checkpoint(checkpoint) == note.text
    assert path.suffix in ("", f".{checkpoint.size}")
    key = key_of(checkpoint.origin)
    assert verified_by(note, (key,)) == (key,)
    bigger = encode_checkpoint(Checkpoint(checkpoint.origin, checkpoint.size + 1, checkpoint.root))
    with pytest.raises(VerificationError):
        verified_by(Note(bigger, note.signatures), (key,))


@pytest.mark.parametrize("log", LOGS)
def test_every_root_is_that_of_the_entries(log: Path) -> None:
    leaves, growing = leaves_of(log), CompactRange()
    for checkpoint, _ in checkpoints_of(log):
        for leaf in leaves[growing.size : checkpoint.size]:
            growing.append(leaf)
        assert (growing.size, growing.root()) == (checkpoint.size, checkpoint.root)
        assert tree_root(leaves[: checkpoint.size]) == checkpoint.root
        assert checkpoint.size or checkpoint.root == EMPTY_ROOT


@pytest.mark.parametrize("path", BUNDLES)
def test_a_published_bundle_is_rebuilt(path: Path) -> None:
    log = root_of_log(path)
    name = path.relative_to(log).as_posix()
    index, width = parse_entries_path(name)
    entries, size = entries_of(log), index * TILE_WIDTH + width
    assert parse_entries(path.read_bytes(), width) == entries[index * TILE_WIDTH : size]
    assert dict(changed_tiles(leaves_of(log), entries, size - 1, size))[name] == path.read_bytes()
    for data in (path.read_bytes()[:-1], path.read_bytes() + b"\x00"):
        with pytest.raises(DecodeError):
            parse_entries(data, width)


@pytest.mark.parametrize("path", TILES)
def test_a_published_tile_is_rebuilt(path: Path) -> None:
    log = root_of_log(path)
    name = path.relative_to(log).as_posix()
    level, index, width = parse_tile_path(name)
    assert len(parse_tile(path.read_bytes(), width)) == width
    size = (index * TILE_WIDTH + width) << (8 * level)  # the smallest tree that has this tile
    assert dict(changed_tiles(leaves_of(log), entries_of(log), size - 1, size))[name] == path.read_bytes()


@pytest.mark.parametrize("log", LOGS)
def test_every_checkpoints_tiles_are_there_or_wider_ones(log: Path) -> None:
    for checkpoint, _ in checkpoints_of(log):
        for name, contents in changed_tiles(leaves_of(log), entries_of(log), 0, checkpoint.size):
            path = log / name
            if path.is_file():
                assert path.read_bytes() == contents
            else:
                assert name.endswith(tuple(f".p/{width}" for width in range(1, TILE_WIDTH)))
                full = log / name[: name.index(".p/")]
                wider = [full] if full.is_file() else list(full.with_name(full.name + ".p").iterdir())
                assert any(other.read_bytes().startswith(contents) for other in wider)


@pytest.mark.parametrize("log", LOGS)
def test_all_published_checkpoints_are_consistent_with_each_other(log: Path) -> None:
    leaves, checkpoints = leaves_of(log), [checkpoint for checkpoint, _ in checkpoints_of(log)]
    small = [checkpoint for checkpoint in checkpoints if checkpoint.size]
    assert small
    for old, new in combinations_with_replacement(small, 2):
        proof = consistency_proof(leaves, old.size, new.size)
        verify_consistency(old.size, new.size, proof, old.root, new.root)
        if old.root != new.root:
            with pytest.raises(VerificationError):
                verify_consistency(old.size, new.size, proof, new.root, old.root)


@pytest.mark.parametrize("log", LOGS)
def test_every_entry_is_included_in_every_published_tree(log: Path) -> None:
    leaves = leaves_of(log)
    for checkpoint, _ in checkpoints_of(log):
        step = max(1, checkpoint.size // NUM_ENTRIES)
        for index in range(0, checkpoint.size, step):
            proof = inclusion_proof(leaves, index, checkpoint.size)
            verify_inclusion(leaves[index], index, checkpoint.size, proof, checkpoint.root)
            other = (index + 1) % checkpoint.size
            if leaves[other] != leaves[index]:
                with pytest.raises(VerificationError):
                    verify_inclusion(leaves[other], index, checkpoint.size, proof, checkpoint.root)


@pytest.mark.parametrize("log", LOGS)
def test_receipts_from_published_checkpoints_verify(log: Path) -> None:
    """tlog-proofs over the published notes: no witness, the log's own signature."""
    *_, (checkpoint, note) = checkpoints_of(log)
    key, leaves, entries = key_of(checkpoint.origin), leaves_of(log), entries_of(log)
    for index in range(0, checkpoint.size, max(1, checkpoint.size // NUM_ENTRIES)):
        proof = TlogProof(index, inclusion_proof(leaves, index, checkpoint.size), note)
        assert parse_proof(encode_proof(proof)) == proof
        assert verify_proof(proof, entries[index], key, (), 0) == checkpoint
        with pytest.raises(VerificationError):
            verify_proof(proof, entries[index] + b"\x00", key, (), 0)
