"""The auditor's own full copy of the log, append-only, and the ledger read from it.

Order of a `sync`, and its rules:

1. Fetch entries up to the newest log-signed checkpoint; nothing beyond it is taken.
2. Append each to the ledger (`protos.ledger` says what may come next) and compare the tree's root
   with the checkpoint's. The comparison covers every earlier entry too: a full copy needs no
   consistency proof.
3. Only then write the entries, fsync, write the checkpoint, fsync.

A log that shrinks or forks is never accepted: its signed checkpoint is kept as evidence beside
the copy. A torn tail of the file (a crash in step 3) lies beyond the stored checkpoint and is cut
off when the copy is loaded.
"""

from __future__ import annotations

import hashlib
import os
import struct
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, overload

from auditor.durable import Durable, ignore_durable, make_private_directory, replace_durably
from auditor.errors import MirrorError, SplitViewError
from auditor.link import CoordinatorLink
from crypto.checkpoint import Checkpoint, parse_checkpoint
from crypto.errors import CryptoError
from crypto.merkle import leaf_hash, tree_root
from crypto.note import parse_note, verified_by
from plan.errors import phrase
from protos.card import FederationCard
from protos.errors import LedgerError
from protos.ledger import Ledger
from protos.statements import MAX_BODY_BYTES, MAX_ENTRY_BYTES

PAGE_ENTRIES = 500
_LENGTH = struct.Struct(">I")
Entry = tuple[bytes, bytes]


class StoredEntries(Sequence[Entry]):
    """The (entry, body) pairs of a mirror's file: eight bytes a pair in memory, the rest is read again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._starts = array("Q")
        self._end = 0

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> Entry: ...
    @overload
    def __getitem__(self, index: slice) -> list[Entry]: ...
    def __getitem__(self, index: int | slice) -> Entry | list[Entry]:
        """Read one pair, or a slice as a list."""
        with self._path.open("rb") as file:
            if isinstance(index, slice):
                return [self._read(file, start) for start in self._starts[index]]
            return self._read(file, self._starts[index])

    def add(self, entry: bytes, body: bytes) -> None:
        """Note where the next pair stands in the file."""
        self._starts.append(self._end)
        self._end += 2 * _LENGTH.size + len(entry) + len(body)

    @staticmethod
    def _read(file: BinaryIO, start: int) -> Entry:
        file.seek(start)
        entry = file.read(*_LENGTH.unpack(file.read(_LENGTH.size)))
        return entry, file.read(*_LENGTH.unpack(file.read(_LENGTH.size)))


class Mirror:
    """The log as this auditor has seen it.

    Attributes:
        ledger: everything read so far, checked.
        entries: (entry, body) of every position, read from the file when asked for.
        latest: newest log-signed checkpoint seen, as a note; empty before the first.
        cosigned: newest one with the roster's quorum of cosignatures; empty before the first.

    Raises:
        MirrorError: the stored copy is damaged.
    """

    def __init__(self, directory: Path, card: FederationCard, *, durable: Durable = ignore_durable) -> None:
        self.directory = directory
        self._card = card
        self._durable = durable
        make_private_directory(directory)
        self._reset()
        self.reload()

    def _reset(self) -> None:
        self.entries = StoredEntries(self.directory / "entries")
        self.ledger = Ledger(self._card, lambda position: self.entries[position][0])
        self.latest = b""
        self.cosigned = b""
        self._end = 0  # bytes of the file that are read

    @property
    def cosigned_size(self) -> int:
        """Entries under the newest checkpoint that a quorum has cosigned."""
        return checkpoint_of(self.cosigned).size if self.cosigned else 0

    def reload(self) -> None:
        """Read what the stored copy has beyond this object's (another process may have written it)."""
        latest = self._read("latest")
        if latest == self.latest and self._read("cosigned") == self.cosigned:
            return
        size = checkpoint_of(latest).size if latest else 0
        try:
            for entry, body in self._read_records(size - self.ledger.size):
                self.ledger.append(entry, body)
                self.entries.add(entry, body)
            if latest:
                self.ledger.verify_checkpoint(latest, 0)
        except LedgerError as err:
            raise self._damaged(str(err)) from err
        self.latest = latest
        self.cosigned = self._read("cosigned")

    def sync(self, link: CoordinatorLink) -> int:
        """Fetch what is new; returns the number of new entries.

        Raises:
            SplitViewError: the log shrank, or its root differs from this copy's.
            MirrorError: the log served is invalid or incomplete.
        """
        self.reload()
        before = self.ledger.size
        new, latest, cosigned = self._fetch(link)
        if latest != self.latest:
            self._take(new, latest)
        self._take_cosigned(cosigned)
        return self.ledger.size - before

    def _fetch(self, link: CoordinatorLink) -> tuple[list[Entry], bytes, bytes]:
        new: list[Entry] = []
        while True:
            start = self.ledger.size + len(new)
            page = link.get_log(start, PAGE_ENTRIES)
            if not page.latest:
                if self.latest:
                    raise SplitViewError(
                        phrase("the coordinator serves an empty log; this auditor has seen a longer one")
                    )
                return [], b"", b""
            size = self._claimed_size(page.latest)
            entries = list(page.entries)
            if page.start != start and entries:
                raise MirrorError(
                    phrase(
                        "asked for entry %(start)s, the coordinator sent %(page_start)s",
                        start=start,
                        page_start=page.start,
                    )
                )
            new += entries
            if start + len(entries) >= size:
                return new[: max(0, size - self.ledger.size)], page.latest, page.cosigned
            if not entries:
                raise MirrorError(
                    phrase(
                        "the checkpoint says %(size)s entries, the coordinator sends only %(start)s; ask "
                        "it to run its fsck",
                        size=size,
                        start=start,
                    )
                )

    def _claimed_size(self, latest: bytes) -> int:
        """Read the size of a checkpoint after checking who signed it, and that it is no rollback.

        A log key of a roster that this copy has not read yet is checked once the copy has it (`_take`).
        """
        known = self.ledger.chain.log_keys()
        try:
            note = parse_note(latest)
            checkpoint = parse_checkpoint(note.text)
            signers = verified_by(note, known)
        except CryptoError as err:
            raise MirrorError(phrase("the coordinator's checkpoint is damaged or wrongly signed")) from err
        may_be_newer = self.ledger.size > 0 and checkpoint.size > self.ledger.size
        if checkpoint.origin != self._card.log.name or not (set(signers) & set(known) or may_be_newer):
            raise MirrorError(phrase("the coordinator's checkpoint is not signed by this federation's log"))
        if self.latest and checkpoint.size < checkpoint_of(self.latest).size:
            self._keep_evidence(latest)
            raise SplitViewError(
                phrase(
                    "rollback: the log serves size %(size)s, this auditor has seen %(latest_size)s. "
                    "The signed checkpoint is kept as evidence in %(directory)s",
                    size=checkpoint.size,
                    latest_size=checkpoint_of(self.latest).size,
                    directory=self.directory / "evidence",
                )
            )
        return checkpoint.size

    def _take(self, new: list[Entry], latest: bytes) -> None:
        try:
            for entry, body in new:
                self.ledger.append(entry, body)
            self.ledger.verify_checkpoint(latest, 0)
        except LedgerError as err:
            if not self._is_log_signed(latest):
                self._reset()
                self.reload()
                raise MirrorError(
                    phrase("the coordinator's checkpoint is not signed by this federation's log")
                ) from err
            self._keep_evidence(latest)
            self._reset()
            self.reload()  # forget the entries that were not written
            if err.code == "split-view" or not self._is_covered(new, latest):
                raise SplitViewError(
                    phrase(
                        "the log shows this auditor another history than it showed before, or entries "
                        "that its checkpoint does not cover. Evidence: %(directory)s",
                        directory=self.directory / "evidence",
                    )
                ) from err
            raise MirrorError(
                phrase(
                    "the log holds an invalid entry and is not followed any further (%(reason)s)", reason=err
                )
            ) from err
        self._write(new)
        replace_durably(self.directory / "latest", latest, "mirror-latest", self._durable)
        for entry, body in new:
            self.entries.add(entry, body)
        self.latest = latest

    def _is_log_signed(self, latest: bytes) -> bool:
        """Whether a log key of any roster, also of those just fetched, has signed a checkpoint."""
        known = self.ledger.chain.log_keys()
        try:
            return bool(set(verified_by(parse_note(latest), known)) & set(known))
        except CryptoError:
            return False

    def _is_covered(self, new: list[Entry], latest: bytes) -> bool:
        """Whether a checkpoint is over this copy and these entries, valid or not.

        If it is not, an entry that the rules refuse only shows that it follows another history.
        """
        leaves = [*self.ledger.leaves, *(leaf_hash(entry) for entry, _ in new)]
        return tree_root(leaves) == checkpoint_of(latest).root

    def _take_cosigned(self, cosigned: bytes) -> None:
        if not cosigned or cosigned == self.cosigned:
            return
        try:
            checkpoint = self.ledger.verify_checkpoint(cosigned)
        except LedgerError as err:
            raise MirrorError(
                phrase("the coordinator's cosigned checkpoint is not one: %(reason)s", reason=err)
            ) from err
        if checkpoint.size >= self.cosigned_size:
            replace_durably(self.directory / "cosigned", cosigned, "mirror-cosigned", self._durable)
            self.cosigned = cosigned

    # --- the file -----------------------------------------------------------

    def _write(self, new: list[Entry]) -> None:
        if not new:
            return
        data = b"".join(_LENGTH.pack(len(part)) + part for pair in new for part in pair)
        self._durable("mirror-entries before")
        descriptor = os.open(self.directory / "entries", os.O_RDWR | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            file.truncate(self._end)  # a torn tail of an earlier crash
            file.seek(self._end)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        self._end += len(data)
        self._durable("mirror-entries after")

    def _read_records(self, number: int) -> Iterator[Entry]:
        if number < 0:
            raise self._damaged("the stored checkpoint is older than this process's copy")
        if number == 0:
            return
        try:
            with (self.directory / "entries").open("rb") as file:
                file.seek(self._end)
                for _ in range(number):
                    entry, body = self._part(file, MAX_ENTRY_BYTES), self._part(file, MAX_BODY_BYTES)
                    self._end += 2 * _LENGTH.size + len(entry) + len(body)
                    yield entry, body
        except FileNotFoundError as err:
            raise self._damaged("the file of entries is missing") from err

    def _part(self, file: BinaryIO, limit: int) -> bytes:
        length = file.read(_LENGTH.size)
        size_bytes = _LENGTH.unpack(length)[0] if len(length) == _LENGTH.size else limit + 1
        data = file.read(size_bytes) if size_bytes <= limit else b""
        if len(data) != size_bytes:
            raise self._damaged("a record is cut off")
        return data

    def _read(self, name: str) -> bytes:
        try:
            return (self.directory / name).read_bytes()
        except FileNotFoundError:
            return b""

    def _keep_evidence(self, note: bytes) -> None:
        folder = self.directory / "evidence"
        make_private_directory(folder)
        name = f"checkpoint-{hashlib.sha256(note).hexdigest()[:16]}.note"
        replace_durably(folder / name, note, "evidence", self._durable)

    def _damaged(self, detail: str) -> MirrorError:
        return MirrorError(
            phrase(
                "%(directory)s: the copy of the log is damaged (%(detail)s). Move the folder "
                "away; the copy is fetched again and compared with what this auditor has cosigned",
                directory=self.directory,
                detail=detail,
            )
        )


def checkpoint_of(note_bytes: bytes) -> Checkpoint:
    """Read a stored checkpoint's text.

    Raises:
        MirrorError: it is damaged.
    """
    try:
        return parse_checkpoint(parse_note(note_bytes).text)
    except CryptoError as err:
        raise MirrorError(
            phrase("a stored checkpoint is damaged; move the mirror folder away to fetch it again")
        ) from err
