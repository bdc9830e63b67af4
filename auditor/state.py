"""The auditor's durable memory: what it signed, once, and its one-round secrets.

Rules, in order:

1. Whoever touches the state holds its process lock (`State.locked`).
2. A signature of a once-only kind is written to its slot before anybody sees it: exclusive
   create, fsync of file and folder. The slot holds the final signed bytes, so that a re-send is
   identical, and a second, different signature finds the slot taken, for ever.
3. Agreement and abandon share one slot: one of the two per round.
4. The state has a random instance id, which also stands in every approval. A state whose id is
   missing gets a new one and therefore abstains from every round approved before
   (`auditor.approve.verify_own_approval`).
5. Round secrets are one file a round, overwritten and unlinked when they have served.

The folder must stay outside every backup: a restored copy could sign twice. A whole-machine
snapshot rolled back cannot be noticed and counts towards f (docs/protocol.md, "Durability").

Spec: docs/protocol.md sections "Keys", "The close".
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

from auditor.durable import (
    Durable,
    create_exclusively,
    ignore_durable,
    make_private_directory,
    replace_durably,
    sync_directory,
)
from auditor.errors import BusyError, SlotTakenError, StateError
from plan.errors import phrase

INSTANCE_BYTES = 16
_SLOT_MAGIC = b"fedscreen auditor slot 1\n"
_DIGEST_BYTES = 32
_LOCK_RETRY_S = 0.02


class SlotKind(Enum):
    """The signatures that exist at most once per round; a replay once per round, school and visit."""

    APPROVAL = "approval"
    CHECKED = "checked"
    DECISION = "decision"  # agreement or abandon: one of the two
    OPENING = "opening"
    REPLAYED = "replayed"  # its slot is named by `auditor.site_record`


class SecretKind(Enum):
    """One-round secrets."""

    ROUND_KEY = "round-key"  # HPKE secret, 96 bytes (crypto.sealing)
    DRAW = "draw"  # r_a, 32 bytes, committed in the approval


class State:
    """One auditor's state directory.

    Args:
        directory: created if absent, mode 0700.
        entropy: source of the instance id and of overwriting bytes.
        durable: called before and after every durable write with the step's name.

    Raises:
        StateError: the instance id's file has a wrong length.
    """

    def __init__(
        self,
        directory: Path,
        *,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
        durable: Durable = ignore_durable,
    ) -> None:
        self.directory = directory
        self._entropy = entropy
        self._durable = durable
        self._depth = 0
        make_private_directory(directory)
        with self.locked():
            self.instance = self._load_instance()

    # --- the process lock -------------------------------------------------

    @contextmanager
    def locked(self, timeout_s: float = 60.0) -> Iterator[None]:
        """Hold the process lock; nested calls of the same object share it.

        Raises:
            BusyError: another process held it for `timeout_s` seconds.
        """
        if self._depth:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
            return
        descriptor = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _acquire(descriptor, timeout_s, self.directory)
            self._depth = 1
            yield
        finally:
            self._depth = 0
            os.close(descriptor)  # releases the lock, also after a crash

    # --- once-only slots --------------------------------------------------

    def slot(self, kind: SlotKind, round_id: bytes) -> bytes | None:
        """Return the bytes signed before, or None when the slot is free.

        Raises:
            StateError: the slot is damaged or was written by another instance of this state.
        """
        path = self._slot_path(kind, round_id)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        head = len(_SLOT_MAGIC)
        instance = data[head : head + INSTANCE_BYTES]
        checksum = data[head + INSTANCE_BYTES : head + INSTANCE_BYTES + _DIGEST_BYTES]
        content = data[head + INSTANCE_BYTES + _DIGEST_BYTES :]
        if not data.startswith(_SLOT_MAGIC) or hashlib.sha256(content).digest() != checksum:
            raise StateError(
                phrase(
                    "%(path)s: the slot is damaged. Nothing more is signed for this round; keep the "
                    "file and tell the coordinator that this auditor abstains",
                    path=path,
                )
            )
        if instance != self.instance:
            raise StateError(
                phrase(
                    "%(path)s: written by another instance of this state (a restored copy?). This "
                    "auditor abstains from the round",
                    path=path,
                )
            )
        return content

    def fill_slot(self, kind: SlotKind, round_id: bytes, content: bytes) -> bytes:
        """Write final signed bytes into a slot and return what the slot holds from now on.

        Offering the bytes that are there already is a repeat and succeeds.

        Raises:
            SlotTakenError: the slot holds other bytes; these must not be used.
        """
        path = self._slot_path(kind, round_id)
        checksum = hashlib.sha256(content).digest()
        record = _SLOT_MAGIC + self.instance + checksum + content
        with self.locked():
            present = self.slot(kind, round_id)
            if present is None:
                make_private_directory(path.parent)
                create_exclusively(path, record, f"slot-{kind.value}", self._durable)
                return content
        if present != content:
            raise SlotTakenError(
                phrase(
                    "%(path)s: this auditor has already signed a %(kind)s for the round; only those "
                    "bytes are sent again",
                    path=path,
                    kind=kind.value,
                )
            )
        return present

    def signed_at(self, kind: SlotKind, round_id: bytes) -> datetime | None:
        """Say when a slot was written, by this machine's clock; None when it is free."""
        try:
            written_s = self._slot_path(kind, round_id).stat().st_mtime
        except FileNotFoundError:
            return None
        return datetime.fromtimestamp(written_s, UTC)

    def slots_of(self, kind: SlotKind) -> tuple[bytes, ...]:
        """List for what a kind of slot is filled, ascending: round ids, or what names the slot."""
        found = (self.directory / "slots").glob(f"{'[0-9a-f]' * 64}.{kind.value}")
        return tuple(sorted(bytes.fromhex(path.name.partition(".")[0]) for path in found))

    def _slot_path(self, kind: SlotKind, round_id: bytes) -> Path:
        return self.directory / "slots" / f"{round_id.hex()}.{kind.value}"

    # --- one-round secrets ------------------------------------------------

    def secret(self, kind: SecretKind, round_id: bytes) -> bytes | None:
        """Return a round's secret, None when it was never made or is destroyed.

        A crash in the middle of the overwriting leaves a file and a tombstone: that is destroyed.
        """
        if self._tombstone(kind, round_id).exists():
            return None
        try:
            return self._secret_path(kind, round_id).read_bytes()
        except FileNotFoundError:
            return None

    def keep_secret(self, kind: SecretKind, round_id: bytes, value: bytes) -> bytes:
        """Store a fresh secret unless the round has one; return the one that counts."""
        path = self._secret_path(kind, round_id)
        with self.locked():
            present = self.secret(kind, round_id)
            if present is not None:
                return present
            if self._tombstone(kind, round_id).exists():
                raise StateError(
                    phrase(
                        "%(kind)s: the round's secret is destroyed and is never made again", kind=kind.value
                    )
                )
            make_private_directory(path.parent)
            create_exclusively(path, value, f"secret-{kind.value}", self._durable)
        return value

    def destroy_secret(self, kind: SecretKind, round_id: bytes) -> bool:
        """Overwrite and remove a round's secret; returns whether there was one.

        A tombstone stays, so that the secret is never made anew. Overwriting reaches the file's
        own blocks; on copy-on-write or flash media older blocks may survive, which is why the
        folder belongs on an encrypted disk (docs/threat-model.md).
        """
        path = self._secret_path(kind, round_id)
        with self.locked():
            if not path.exists():
                return False
            self._durable(f"destroy-{kind.value} before")
            tombstone = self._tombstone(kind, round_id)
            if not tombstone.exists():
                create_exclusively(tombstone, b"destroyed\n", f"tombstone-{kind.value}", self._durable)
            with path.open("r+b") as file:
                size_bytes = os.fstat(file.fileno()).st_size
                for filler in (self._entropy(size_bytes), bytes(size_bytes)):
                    file.seek(0)
                    file.write(filler)
                    file.flush()
                    os.fsync(file.fileno())
            self._durable(f"destroy-{kind.value} overwritten")
            path.unlink()
            sync_directory(path.parent)
            self._durable(f"destroy-{kind.value} after")
        return True

    def _secret_path(self, kind: SecretKind, round_id: bytes) -> Path:
        return self.directory / "secrets" / f"{round_id.hex()}.{kind.value}"

    def _tombstone(self, kind: SecretKind, round_id: bytes) -> Path:
        return self.directory / "secrets" / f"{round_id.hex()}.{kind.value}.destroyed"

    # --- mask sums --------------------------------------------------------

    def keep_sum(self, round_id: bytes, subset: int, encoded: bytes) -> None:
        """Store one encoded mask sum; the same bytes again are a repeat.

        Raises:
            SlotTakenError: another sum is stored for the subset.
        """
        path = self._sum_path(round_id, subset)
        with self.locked():
            make_private_directory(path.parent)
            if not path.exists():
                create_exclusively(path, encoded, f"sum-{subset}", self._durable)
            elif path.read_bytes() != encoded:
                raise SlotTakenError(
                    phrase("%(path)s: another mask sum is stored for the subset; nothing is sent", path=path)
                )

    def stored_sum(self, round_id: bytes, subset: int) -> bytes | None:
        """Return a stored mask sum, or None."""
        try:
            return self._sum_path(round_id, subset).read_bytes()
        except FileNotFoundError:
            return None

    def _sum_path(self, round_id: bytes, subset: int) -> Path:
        return self.directory / "sums" / round_id.hex() / f"{subset}.sum"

    # --- small replaceable records -----------------------------------------

    def record(self, name: str) -> bytes | None:
        """Return a replaceable record (witness head), or None."""
        try:
            return (self.directory / name).read_bytes()
        except FileNotFoundError:
            return None

    def replace_record(self, name: str, content: bytes) -> None:
        """Replace a record durably and atomically."""
        with self.locked():
            replace_durably(self.directory / name, content, name, self._durable)

    def _load_instance(self) -> bytes:
        path = self.directory / "instance"
        try:
            instance = path.read_bytes()
        except FileNotFoundError:
            instance = self._entropy(INSTANCE_BYTES)
            create_exclusively(path, instance, "instance", self._durable)
        if len(instance) != INSTANCE_BYTES:
            raise StateError(
                phrase(
                    "%(path)s: %(instance_bytes)s bytes expected, %(num_instance)s found; remove the "
                    "file to start a new instance, which abstains from every round approved before",
                    path=path,
                    instance_bytes=INSTANCE_BYTES,
                    num_instance=len(instance),
                )
            )
        return instance


def _acquire(descriptor: int, timeout_s: float, directory: Path) -> None:
    deadline = time.monotonic() + timeout_s
    while not _try_lock(descriptor):
        if time.monotonic() >= deadline:
            raise BusyError(
                phrase(
                    "%(directory)s: another process of this auditor is busy with this state for more "
                    "than %(timeout_s)s s; wait for it or stop it",
                    directory=directory,
                    timeout_s=f"{timeout_s:g}",
                )
            )
        time.sleep(_LOCK_RETRY_S)


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
