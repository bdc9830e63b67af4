"""The honest parties of a simulated county: real auditors and real vaults, killed, restored and lied to."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from byzantine.county_log import CountyLog
from byzantine.memory_disk import MemoryDisk
from byzantine.memory_vault import MemoryVault
from byzantine.template import import_pupils

from auditor.config import AuditorConfig
from auditor.desk import Desk
from auditor.errors import AuditorError, LinkError, StateError
from auditor.state import INSTANCE_BYTES, SecretKind
from coordinator.errors import CoordinatorError
from crypto.checkpoint import Checkpoint, encode_checkpoint
from crypto.errors import CryptoError
from crypto.merkle import leaf_hash, tree_root
from crypto.note import encode_signed
from node.vault.desk import Desk as VaultDesk
from node.vault.errors import VaultError
from protos.convert import LogPage, Proposal
from protos.errors import ProtocolError

if TYPE_CHECKING:
    from byzantine.world import World

KEEP_KEYS_DAYS = 60


class Crash(BaseException):
    """A process dies here."""


class Auditor:
    """An honest auditor: a real `Desk` on a disk that may lose power.

    Attributes:
        log, limit: the history that it is shown, and how much of it.
        poison: entries that it is shown behind that, once.
        box_lie: how the boxes that it asks for are spoilt.
        is_flattered: whether it is told that its statements are logged where the log has refused them.
        is_witness_honest: whether what it cosigned last was never taken from it.
        has_lost: whether its state was lost, so that it abstains from earlier rounds.
        asked_before: rounds that it had answered when its state was lost.
    """

    def __init__(self, world: World, name: str, *, on_disk: bool) -> None:
        self.world, self.id = world, name
        self.disk = None if on_disk else MemoryDisk()
        self._folder = tempfile.TemporaryDirectory(prefix="byz-", dir=_ram()) if on_disk else None
        self.log: CountyLog = world.logs[0]
        self.limit: int | None = None
        self.poison: list[tuple[bytes, bytes]] = []
        self.box_lie = ""
        self.is_cosigned_hidden = self.is_flattered = False
        self.is_witness_honest = True
        self.has_lost = False
        self.asked_before: set[bytes] = set()
        self.desk: Desk | None = None
        self.num_deaths = 0
        self.backup: dict[str, bytes] = {}
        if self.disk is not None:
            self.disk.root.__truediv__(name).mkdir()
        self.start()

    def close(self) -> None:
        """Remove what is on the real disk."""
        if self._folder is not None:
            self._folder.cleanup()

    @property
    def root(self) -> Any:
        """The auditor's folder."""
        return self.disk.root / self.id if self.disk is not None else Path(self._folder.name) / self.id  # type: ignore[union-attr]

    def start(self) -> None:
        """Start the process on what the disk has; its operator moves a damaged copy of the log away."""
        world = self.world
        for _ in range(2):
            try:
                self.desk = Desk(
                    self.root,
                    config=AuditorConfig(
                        federation="county-1", id=self.id, operator=f"operator of {self.id}"
                    ),
                    keys=world.template.keys(self.id),
                    card=world.template.federation.card,
                    policy=world.policy,
                    link=Link(self),
                    now=lambda: world.now,
                    entropy=world.rng.randbytes,
                    durable=self._durable,
                )
                return
            except Crash:
                self.desk = None
                return
            except AuditorError:
                world.count("damaged copy")
                self.remove("mirror")

    def _durable(self, step: str) -> None:
        if step.endswith(" before"):
            self.world.step("write", f"{self.id} {step[:-7]}")
        self.world.oracle.look()
        if self.world.happens(self.world.crash_rate):
            self.world.step("fault", f"{self.id} dies at {step}")
            raise Crash

    def died(self) -> None:
        """Keep what a crash leaves, and start again."""
        self.num_deaths += 1
        self.desk = None
        if self.disk is not None and self.world.rng.random() < 0.6:
            self.disk.cut_power(self.world.rng)
        self.start()

    def guarded(self, task: Any) -> bool:
        """Let the auditor work; returns whether nothing went wrong."""
        if self.desk is None:
            self.start()
        try:
            if self.desk is not None:
                task(self.desk)
                return True
        except Crash:
            self.died()
        except (AuditorError, ProtocolError, CryptoError) as err:
            self.world.note(f"{self.id}: {type(err).__name__} {err}"[:150])
        return False

    def work(self) -> None:
        """Do what `watch` does, and see that the keys of finished rounds are gone."""
        self.world.step("tick", self.id)
        events: list[Any] = []
        killed = self.num_deaths
        is_good = self.guarded(lambda desk: events.extend(desk.step()))
        if self.desk is None or self.num_deaths != killed:
            return
        self._see_that_keys_expire()
        if not is_good:
            return
        failed = {event.round_id for event in events if event.kind in ("error", "refused")}
        for round_log in self.desk.context.ledger.rounds.values():
            mine = round_log.approvals.get(self.id)
            is_mine = mine is not None and mine.statement.instance == self.instance()
            keys_end = round_log.closes + self.desk.context.keep_keys
            why = (
                ("released" if round_log.release else "")
                or ("cancelled" if round_log.changes.cancel else "")
                or ("abandoned" if round_log.can_never_open else "")
                or ("expired" if self.world.now > keys_end else "")
            )
            if is_mine and why and round_log.round_id not in failed:
                self.world.oracle.no_secrets(self, round_log.round_id, why)

    def _see_that_keys_expire(self) -> None:
        """Keys go when their time is over, whatever the coordinator shows or withholds."""
        assert self.desk is not None
        for row in self.desk.context.ledger.rounds.values():
            mine = row.approvals.get(self.id)
            is_mine = mine is not None and mine.statement.instance == self.instance()
            if is_mine and self.world.now > row.closes + self.desk.context.keep_keys:
                self.world.oracle.no_secrets(self, row.round_id, "their time is over")

    def approve(self, round_id: bytes) -> None:
        """Let a person approve a round."""
        self.world.step("tick", f"{self.id} approves")
        self.guarded(lambda desk: desk.approve(round_id))

    # -- what lies on the disk ---------------------------------------------------------------------

    def instance(self) -> bytes:
        """The instance id of its state."""
        try:
            return bytes((self.root / "state" / "instance").read_bytes())
        except FileNotFoundError:
            return bytes(INSTANCE_BYTES)

    def secrets_of(self, round_id: bytes) -> tuple[bytes, ...]:
        """A round's keys, as they lie on the disk."""
        paths = [self.root / "state" / "secrets" / f"{round_id.hex()}.{kind.value}" for kind in SecretKind]
        return tuple(path.read_bytes() for path in paths if path.exists())

    def holds(self, round_id: bytes, values: Sequence[bytes]) -> bool:
        """Say whether a round's keys are still anywhere on the disk."""
        if self.secrets_of(round_id):
            return True
        return self.disk is not None and any(self.disk.holds(value) for value in values)

    def remove(self, folder: str) -> None:
        """Lose a folder: the state, or the copy of the log."""
        if self.disk is not None:
            self.disk.remove(f"/{self.id}/{folder}")
        else:
            _remove(Path(self.root) / folder)
        if folder == "mirror":
            self.world.oracle.forget(self.id)

    def restore(self, prefix: str) -> None:
        """Write a backup of some folders back."""
        if self.disk is not None:
            self.disk.restore({path: data for path, data in self.backup.items() if path.startswith(prefix)})


class School:
    """An honest school: a real vault whose record file lies in memory."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.id = world, name
        self.log: CountyLog = world.logs[0]
        self.store = MemoryVault(world.template.vaults[name])
        self.store.hook(self._durable)
        self.served = 0
        self.releasing = b""
        self.open()

    def open(self) -> None:
        """Start the process."""
        world = self.world
        self.desk = VaultDesk(
            self.store, entropy=world.rng.randbytes, now=lambda: world.now, level="L3", software=bytes(32)
        )

    def _durable(self, step: str) -> None:
        when, _, name = step.partition(" ")
        if when == "before":
            self.world.step("write", f"{self.id} {name}")
        elif name == "charge":
            self.world.oracle.charged[self.id].add(self.releasing)
        if self.world.happens(self.world.crash_rate):
            self.world.step("fault", f"{self.id} dies {step}")
            raise Crash

    def guarded(self, task: Any) -> None:
        """Let the school work."""
        try:
            task()
        except Crash:
            self.open()
        except (VaultError, LinkError, CoordinatorError, ProtocolError) as err:
            self.world.note(f"{self.id}: {type(err).__name__} {getattr(err, 'code', '')}")

    def work(self) -> None:
        """Fetch the log, send what waits."""
        self.world.step("tick", self.id)
        self.guarded(self._serve)
        self.world.oracle.account(self)

    def _serve(self) -> None:
        self.world.deliver(f"{self.id} get_log")
        if self.served > len(self.log.entries):
            self.served = 0
        limit = len(self.log.entries)
        try:
            page = self.log.entries[self.served :]
            self.desk.on_log(self.served, page, self.log.note(limit), self.log.cosigned_note(limit))
            self.served = limit
        except VaultError:
            self.served = 0
            raise
        payload = self.desk.outgoing()
        if payload is not None:
            self.world.oracle.on_payload(self, payload)
            log = self.log
            self.world.deliver(f"{self.id} submits", lambda: log.receiver.receive(self.id, payload))
            receipt = log.receiver.receive(self.id, payload)
            self.world.answer()
            self.desk.on_receipt(receipt)

    def release(self, round_id: bytes) -> None:
        """Let the principal release a round."""
        self.world.step("tick", f"{self.id} releases")
        self.releasing = round_id
        self.guarded(
            lambda: self.desk.handle({"command": "release", "round": round_id.hex(), "by": "校长"}, {})
        )
        self.world.oracle.account(self)

    def correct(self, shift: int) -> None:
        """Import other records: the next release is a new attempt."""
        self.world.step("fault", f"{self.id} corrects its records")
        self.store.hook(lambda _step: None)
        import_pupils(self.store, shift, 5)
        self.store.hook(self._durable)


class Link:
    """An auditor's calls to the coordinator, over a network that loses, doubles and delays."""

    def __init__(self, auditor: Auditor) -> None:
        self._auditor = auditor
        self._world = auditor.world

    def _call(self, what: str, again: Any = None) -> None:
        if self._world.happens(self._world.crash_rate):
            self._world.step("fault", f"{self._auditor.id} dies before {what}")
            raise Crash
        self._world.deliver(f"{self._auditor.id} {what}", again)

    def _answered(self) -> None:
        if self._world.happens(self._world.crash_rate):
            self._world.step("fault", f"{self._auditor.id} dies after a send")
            raise Crash
        self._world.answer()

    def get_log(self, start: int, max_entries: int) -> LogPage:
        """Serve as much of the history as this auditor shall see."""
        self._call("get_log")
        mine, log = self._auditor, self._auditor.log
        limit = len(log.entries) if mine.limit is None else min(mine.limit, len(log.entries))
        cosigned = b"" if mine.is_cosigned_hidden else log.cosigned_note(limit)
        if mine.poison:
            shown = [*log.entries[:limit], *mine.poison]
            mine.poison = []
            root = tree_root([leaf_hash(entry) for entry, _ in shown])
            text = encode_checkpoint(Checkpoint(log.log_key.name, len(shown), root))
            return LogPage(
                start, tuple(shown[start:]), encode_signed(text, [log.log_key.sign(text)]), cosigned
            )
        return LogPage(start, tuple(log.entries[start:limit]), log.note(limit), cosigned)

    def list_proposals(self) -> tuple[Proposal, ...]:
        """No roster waits."""
        return ()

    def sign_roster(self, digest: bytes, line: str) -> bool:
        """No roster waits."""
        raise LinkError("not-found", "no such proposal", is_temporary=False)

    def submit_cosignature(self, size: int, line: str) -> None:
        """Take a cosignature."""
        mine, log = self._auditor, self._auditor.log
        self._world.oracle.on_cosigned(mine, size)
        self._call(f"cosigns {size}")
        desk = mine.desk
        if (
            desk is not None
            and size <= len(log.entries)
            and desk.mirror.ledger.root(size) == log.ledger.root(size)
        ):
            log.cosignatures.setdefault(size, {})[mine.id] = line

    def submit_statement(self, entry: bytes, body: bytes) -> int:
        """Take a statement."""
        mine, log = self._auditor, self._auditor.log
        self._world.oracle.on_sent(mine, entry, body)
        self._world.oracle.refunds_are_safe()
        self._world.statements.append((entry, body))
        self._call("submits a statement", lambda: self._world.put(log, entry, body))
        position = self._world.put(log, entry, body)
        self._answered()
        if position is None and mine.is_flattered and self._world.coordinator_lies:
            return len(log.entries)
        if position is None:
            raise LinkError("refused", "the log refuses this statement", is_temporary=False)
        return position

    def submit_opening(self, entry: bytes, sums: Sequence[bytes]) -> int:
        """Take an opening with its sums."""
        mine, log = self._auditor, self._auditor.log
        self._world.oracle.on_sent(mine, entry, b"", sums)
        self._world.oracle.refunds_are_safe()
        self._world.statements.append((entry, b""))
        self._call("submits an opening")
        position = self._world.put(log, entry, b"", mine.id, sums)
        self._answered()
        if position is None:
            raise LinkError("refused", "the log refuses this opening", is_temporary=False)
        return position

    def get_boxes(self, round_id: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Serve this auditor's boxes, or something else."""
        self._call("get_boxes")
        mine, log = self._auditor, self._auditor.log
        reports = log.ledger.rounds[round_id].reports if round_id in log.ledger.rounds else {}
        boxes = log.boxes.get(round_id, {})
        rows = [(reports[slot].digest, boxes[reports[slot].digest]) for slot in reports]
        lie, mine.box_lie = mine.box_lie, ""
        if lie == "withhold":
            rows = rows[1:]
        elif lie == "reorder":
            rows = rows[::-1]
        elif lie == "double":
            rows += rows
        served = [(digest, by[mine.id]) for digest, by in rows]
        if lie == "swap" and len(served) > 1:
            served = [(digest, served[place - 1][1]) for place, (digest, _) in enumerate(served)]
        elif lie == "garbage" and served:
            served[0] = (served[0][0], bytes(len(served[0][1])))
        yield from served

    def get_vectors(self, round_id: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Nobody asks here."""
        yield from ()

    def get_sums(self, round_id: bytes) -> Iterator[tuple[str, int, bytes]]:
        """Nobody asks here."""
        yield from ()


def _ram() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _remove(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        with suppress(OSError):
            path.unlink() if path.is_file() else path.rmdir()


__all__ = ["Auditor", "Crash", "School", "StateError"]
