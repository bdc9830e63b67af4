"""Check a published log folder whole: every byte of it follows from its checkpoint, or is reported.

1. The checkpoint is signed as the policy asks (log key, quorum of witnesses).
2. The entry bundles are complete and make exactly the checkpoint's root.
3. Every hash tile, full and partial, is the one that follows from the entries.
4. Every body that a statement names is there with its size and digest.
5. There is no other file.
6. With the federation card: every entry is a valid next one (``protos.ledger``).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from coordinator.errors import FsckError
from coordinator.publish_log import BLOB, CHECKPOINT
from crypto.checkpoint import Checkpoint, parse_checkpoint
from crypto.errors import CryptoError, DecodeError
from crypto.merkle import leaf_hash, tree_root
from crypto.note import parse_note
from crypto.policy import LogPolicy, verify_checkpoint
from crypto.tiles import (
    TILE_WIDTH,
    changed_tiles,
    encode_entries,
    entries_path,
    parse_entries,
    parse_entries_path,
    parse_tile_path,
    tile_path,
)
from plan.errors import Phrase, phrase
from protos.card import FederationCard
from protos.errors import LedgerError, ProtocolError
from protos.followed import followed
from protos.ledger import Ledger
from protos.statements import body_of, parse_statement

MAX_FINDINGS = 100


@dataclass(slots=True)
class _Check:
    folder: Path
    problems: list[Phrase] = field(default_factory=list)
    expected: set[str] = field(default_factory=set)

    def note(self, place: str | Phrase, problem: Phrase | Exception) -> None:
        if len(self.problems) < MAX_FINDINGS:
            self.problems.append(phrase("%(place)s: %(problem)s", place=place, problem=problem))

    def read(self, path: str) -> bytes | None:
        self.expected.add(path)
        try:
            return (self.folder / path).read_bytes()
        except OSError:
            self.note(path, phrase("missing or unreadable"))
            return None


def fsck(folder: Path, policy: LogPolicy | None, card: FederationCard | None = None) -> Checkpoint:
    """Check a whole folder; return its checkpoint.

    Args:
        folder: the published log.
        policy: whose signatures the checkpoint must carry; None checks the tree only.
        card: also check each entry against the log's rules from this genesis on.

    Raises:
        FsckError: anything is missing, changed, too much or not valid; lists the findings.
    """
    check = _Check(folder)
    checkpoint = _checkpoint(check, policy if card is None else None)
    if checkpoint is not None:
        entries = _entries(check, checkpoint.size)
        if entries is not None:
            _tree(check, checkpoint, entries)
            bodies = [_body(check, position, entry) for position, entry in enumerate(entries)]
            if card is not None:
                _signatures(check, policy, _ledger(check, card, entries, bodies), checkpoint.size)
            _other_files(check, entries)
    if check.problems or checkpoint is None:
        raise FsckError(tuple(check.problems))
    return checkpoint


def _checkpoint(check: _Check, policy: LogPolicy | None) -> Checkpoint | None:
    data = check.read(CHECKPOINT)
    if data is None:
        return None
    try:
        if policy is not None:
            return verify_checkpoint(data, policy)
        return parse_checkpoint(parse_note(data).text)
    except CryptoError as err:
        check.note(CHECKPOINT, err)
        return None


def _entries(check: _Check, size: int) -> list[bytes] | None:
    entries: list[bytes] = []
    for first in range(0, size, TILE_WIDTH):
        width = min(TILE_WIDTH, size - first)
        path = entries_path(first // TILE_WIDTH, width)
        data = check.read(path)
        if data is None:
            return None
        try:
            entries += parse_entries(data, width)
        except DecodeError as err:
            check.note(path, err)
            return None
    return entries


def _tree(check: _Check, checkpoint: Checkpoint, entries: list[bytes]) -> None:
    leaves = [leaf_hash(entry) for entry in entries]
    if tree_root(leaves) != checkpoint.root:
        check.note(CHECKPOINT, phrase("its root is not that of the entries"))
    for path, expected in changed_tiles(leaves, entries, 0, len(entries)):
        data = check.read(path)
        if data is not None and data != expected:
            check.note(path, phrase("does not follow from the entries"))


def _body(check: _Check, position: int, entry: bytes) -> bytes:
    try:
        ref = body_of(parse_statement(parse_note(entry).text))
    except (CryptoError, ProtocolError) as err:
        check.note(
            phrase("entry %(index)s", index=position), phrase("not a statement (%(reason)s)", reason=err)
        )
        return b""
    if ref is None:
        return b""
    path = f"{BLOB}/{ref.sha256.hex()}"
    data = check.read(path)
    if data is None:
        return b""
    if len(data) != ref.size or hashlib.sha256(data).digest() != ref.sha256:
        check.note(path, phrase("not the body that its name says"))
    return data


def _ledger(check: _Check, card: FederationCard, entries: list[bytes], bodies: list[bytes]) -> Ledger | None:
    ledger = Ledger(card)
    try:
        for entry, body in zip(entries, bodies, strict=True):
            ledger.append(entry, body)
    except LedgerError as err:
        check.note(phrase("entry %(index)s", index=ledger.size), err)
        return None
    return ledger


def _signatures(check: _Check, policy: LogPolicy | None, ledger: Ledger | None, size: int) -> None:
    """Check who signed the checkpoint: the policy's keys, or those that have followed them in this log."""
    data = check.read(CHECKPOINT)
    if policy is None or data is None:
        return
    try:
        verify_checkpoint(data, followed(policy, ledger, size) if ledger is not None else policy)
    except CryptoError as err:
        check.note(CHECKPOINT, err)


def _other_files(check: _Check, entries: list[bytes]) -> None:
    leaves = [leaf_hash(entry) for entry in entries]
    for file in sorted(check.folder.rglob("*")):
        path = file.relative_to(check.folder).as_posix()
        if file.is_dir() or path in check.expected:
            continue
        expected = _older_partial(path, leaves, entries)
        if expected is None:
            check.note(path, phrase("does not belong here"))
        elif check.read(path) != expected:
            check.note(path, phrase("an older partial tile that does not follow from the entries"))


def _older_partial(path: str, leaves: list[bytes], entries: list[bytes]) -> bytes | None:
    """Recompute a partial tile of a smaller tree; None when the path is none."""
    try:
        if path.startswith("tile/entries/"):
            index, width = parse_entries_path(path)
            first = index * TILE_WIDTH
            is_known = width < TILE_WIDTH and first + width <= len(entries)
            return encode_entries(entries[first : first + width]) if is_known else None
        level, index, width = parse_tile_path(path)
    except DecodeError:
        return None
    span = TILE_WIDTH**level
    size = (index * TILE_WIDTH + width) * span
    if width == TILE_WIDTH or size > len(leaves):
        return None
    wanted = tile_path(level, index, width)
    return dict(changed_tiles(leaves[:size], entries[:size], 0, size)).get(wanted)
