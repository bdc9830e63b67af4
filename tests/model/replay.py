"""Random stretches of the model's life of one auditor, lived by the real one.

One real `auditor.desk.Desk` on real folders, its three colleagues, the schools and the coordinator scripted
with their real keys. Each turn shows it one of two histories as far as chance has it (candidates, a close
that names its check or does not, agreements, abandons, a close that breaks the rules), perhaps past its keys'
time, perhaps after losing its state, and perhaps killed at a durable write or at a send. When the history
changes it forgets its copy of the log and what it cosigned, as in the model: its slots are all that is left.

Compared are the writes to its slots and its sends, in order and with what they say: they must be exactly the
steps of `model.machine`, up to the crash.
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path

from fakes_auditors import Entropy, FakeCounty, FakeLink, joined_county, sign_entry, small_plan
from model.machine import (
    ABANDON,
    GIVEN_UP,
    NOTHING,
    Auditor,
    Pending,
    Seen,
    X,
    Y,
    sent,
    steps,
    written,
)

from auditor.errors import MirrorError
from auditor.signing import stored_entry
from auditor.state import SlotKind
from crypto.checkpoint import Checkpoint, encode_checkpoint
from crypto.merkle import leaf_hash, tree_root
from crypto.note import Note, encode_note, parse_note, parse_signature_line
from protos.bodies import CloseBody, Refusal, encode_close_body
from protos.convert import LogPage
from protos.ledger import Ledger
from protos.round_log import closed_set
from protos.statements import (
    Abandon,
    Agreement,
    Approval,
    Checked,
    Opening,
    body_ref,
    digest,
    encode_statement,
    parse_statement,
)

ME, COLLEAGUES = "a1", ("a2", "a3", "a4")
GARBLER, LAST = "s5", "s7"
SLOTS = {"slot-checked after": "checked", "slot-decision after": "vote", "slot-opening after": "opening"}
Event = tuple[str, str, int]  # "write" or "send", slot, value


class Killed(BaseException):
    """The process dies here."""


class Disagreement(AssertionError):
    """The real auditor has done something else than the model."""


@dataclass
class History:
    """One history of the log, and how far it has come.

    Attributes:
        which: X or Y.
        is_dead: whether abandons enough to end the round stand in it.
        votes: agreements of colleagues in it.
    """

    which: int
    county: FakeCounty
    round_id: bytes
    closed: bool = False
    named: bool = False
    is_dead: bool = False
    votes: list[str] = field(default_factory=list)

    @property
    def close_digest(self) -> bytes:
        """The digest of its close, zeros before."""
        close = self.county.round(self.round_id).close
        return close.digest if close else bytes(32)

    @property
    def num_agreements(self) -> int:
        """Agreements in it."""
        return len(self.county.round(self.round_id).agreements)


@dataclass(frozen=True)
class Beginning:
    """A round before its candidates, approved by the real auditor: made once and copied for every life.

    Attributes:
        directory: the auditor's folder.
        reports: entries with all reports and with all but the last school's.
    """

    directory: Path
    county: FakeCounty
    round_id: bytes
    garbled: bool
    shorter: int


def begin(directory: Path, *, garbled: bool) -> Beginning:
    """Let a round collect seven reports; one box for the auditor does not open if `garbled`."""
    county = joined_county(num_nodes=7)
    round_id = county.publish_plan()
    county.desk(ME, directory).approve(round_id)
    county.approve(round_id, COLLEAGUES)
    for node in sorted(county.nodes):
        shorter = county.ledger.size
        report = county.make_report(node, round_id)
        if garbled and node == GARBLER:
            report = county.spoil_box(report, ME, bytes(len(report.boxes[ME])))
        county.send(report)
    return Beginning(directory, county, round_id, garbled, shorter)


def fork(county: FakeCounty, size: int) -> FakeCounty:
    """Copy a county whose log ends at a size and then goes its own way."""
    other = copy(county)
    other.ledger, other.entries, other.cosignatures = Ledger(county.card), [], {}
    other.sums = {}
    for entry, body in county.entries[:size]:
        other.ledger.append(entry, body)
        other.entries.append((entry, body))
    round_id = next(iter(other.ledger.rounds))
    present = {row.digest for row in other.round(round_id).reports.values()}
    boxes = county.boxes[round_id]
    other.boxes = {round_id: {name: row for name, row in boxes.items() if name in present}}
    return other


class WatchedLink(FakeLink):
    """Notes every statement sent, and may kill the sender before or after it arrives."""

    def __init__(self, county: FakeCounty, note: Callable[[bytes, str], None]) -> None:
        super().__init__(county, ME)
        self._note = note

    def submit_statement(self, entry: bytes, body: bytes) -> int:
        """Deliver a statement."""
        self._note(entry, "before")
        position = None
        try:
            position = super().submit_statement(entry, body)
        finally:
            self._note(entry, "after")
        return position


class BogusLink(WatchedLink):
    """Serves a history that ends with a close that leaves a school out."""

    def get_log(self, start: int, max_entries: int) -> LogPage:
        """Serve the forged log."""
        county = self.county
        round_id = next(iter(county.ledger.rounds))
        round_log = county.round(round_id)
        contents = closed_set(round_log, COLLEAGUES)
        statement, _ = county.close_statement(round_id, COLLEAGUES)
        body = encode_close_body(CloseBody(contents.set[1:], contents.excluded))
        statement = replace(statement, reports=len(contents.set) - 1, body=body_ref(body))
        entries = [*county.entries, (sign_entry(encode_statement(statement), [county.coordinator]), body)]
        root = tree_root([leaf_hash(entry) for entry, _ in entries])
        text = encode_checkpoint(Checkpoint(county.log_key.name, len(entries), root))
        note = encode_note(Note(text, (parse_signature_line(county.log_key.sign(text)),)))
        return LogPage(start, tuple(entries[start:]), note, b"")


class Life:
    """One life of the real auditor, beside the model's."""

    def __init__(self, beginning: Beginning, directory: Path, seed: int) -> None:
        """Copy the beginning and draw whether the fork has the same candidates."""
        self.random = random.Random(seed)
        self.directory = directory
        shutil.copytree(beginning.directory, directory)
        self.same = self.random.random() < 0.5
        self.round_id = beginning.round_id
        size = beginning.county.ledger.size
        self.histories = [
            self._history(X, fork(beginning.county, size)),
            self._history(Y, fork(beginning.county, size if self.same else beginning.shorter)),
        ]
        self.history = self.random.choice(self.histories)
        self.model = Auditor(garbled=beginning.garbled)
        self.entropy = Entropy(f"life {seed}")
        self.shown = 0
        self.is_expired = self.has_died = False
        self.events: list[Event] = []
        self.sent: dict[tuple[str, int], bytes] = {}
        self.bodies: dict[int, bytes] = {}
        self.diary: list[str] = []
        self._fatal = 0  # die at this durable write or send, counted from now; 0: never
        self._fatal_event = 0  # the same among writes to slots and sends

    def _history(self, which: int, county: FakeCounty) -> History:
        county.fix_candidates(self.round_id)
        for name in COLLEAGUES:
            lie = name == "a4" and which == Y
            names = [row for row in county.round(self.round_id).candidate_names() if row.node == GARBLER]
            county.check(name, self.round_id, [Refusal(row, "box-unopenable") for row in names if lie])
        return History(which, county, self.round_id)

    # -- a turn --------------------------------------------------------------------------------

    def turn(self) -> None:
        """Let something happen to the histories, show one of them, and compare what the auditor does.

        Raises:
            Disagreement: the real auditor and the model differ.
        """
        if self.random.random() < 0.02:
            self._lose_state()
        if self.random.random() < 0.02:
            self.is_expired = True
            self.diary.append("its keys' time is over")
        if self.random.random() < 0.35:
            self.history = self.random.choice(self.histories)
        history = self.history
        self._go_on(history)
        is_bogus = not history.closed and self.random.random() < 0.1
        if history.which != self.shown or is_bogus:
            self._forget_the_log()
        self.shown = 0 if is_bogus else history.which
        chain = [] if is_bogus else self._expected(history)
        choice = self.random.random()
        self._fatal = self.random.randint(1, 40) if choice < 0.25 else 0
        self._fatal_event = self.random.randint(1, 6) if choice > 0.7 else 0
        self.has_died = died = self._run(history, is_bogus=is_bogus)
        self.diary.append(f"{'XY'[history.which - 1]}{' bogus' * is_bogus}{' killed' * died}: {self.events}")
        expected = [event for event, _ in chain]
        if self.events != expected[: len(self.events)] or (not died and self.events != expected):
            raise Disagreement(f"expected {expected} after\n" + "\n".join(self.diary))
        self._take(chain, history, died)

    def _take(self, chain: Sequence[tuple[Event, Auditor]], history: History, died: bool) -> None:
        if self.events:
            self.model = chain[len(self.events) - 1][1]
        self.model = self.model._replace(pending=None)
        gives_up = (self.is_expired or history.is_dead) and not died and self.shown
        if gives_up and self.model.vote in (X, Y) and not self.model.opening and not self.model.lost:
            self.model = self.model._replace(opening=GIVEN_UP)

    def _lose_state(self) -> None:
        """Lose the instance id, or everything."""
        if self.random.random() < 0.5:
            (self.directory / "state" / "instance").unlink(missing_ok=True)
        else:
            shutil.rmtree(self.directory / "state")
        self.model = Auditor(garbled=self.model.garbled, lost=True)
        self.diary.append("loses its state")

    def _forget_the_log(self) -> None:
        shutil.rmtree(self.directory / "mirror", ignore_errors=True)
        (self.directory / "state" / "witness").unlink(missing_ok=True)

    def _go_on(self, history: History) -> None:
        """Add to a history what the adversary could add now."""
        county, choice = history.county, self.random.random()
        if not history.closed:
            if choice < (0.7 if self._own_check(history) else 0.15):
                self._close(history)
        elif choice < 0.7 and not history.is_dead:
            for name in COLLEAGUES[len(history.votes) : self.random.randint(2, 3)]:
                county.agree(name, self.round_id)
                history.votes.append(name)
        elif choice < 0.73 and not history.votes and not history.is_dead:
            for name in ("a2", "a4"):
                abandon = Abandon(county.federation, self.round_id, name, bytes(32), "expired")
                county.add(abandon, b"", [county.auditors[name]])
            history.is_dead = True
        county.clock = small_plan().closes + timedelta(days=61) if self.is_expired else county.clock
        county.cosign_as(COLLEAGUES, county.ledger.size)

    def _own_check(self, history: History) -> bytes | None:
        return self.sent.get(("checked", X if self.same else history.which))

    def _close(self, history: History) -> None:
        """Close over this auditor's check and two others, where it was sent, or without it."""
        county = history.county
        value = X if self.same else history.which
        entry = self._own_check(history)
        names = list(COLLEAGUES)
        if entry is not None and self.random.random() < 0.7:
            if ME not in county.round(self.round_id).checked:
                body = self.bodies[value]
                county.ledger.append(entry, body)
                county.entries.append((entry, body))
            names = [ME, "a2", "a3"] if history.which == X else [ME, "a2", "a4"]
            history.named = True
        county.close(self.round_id, names)
        history.closed = True
        if history.which == X and history.named and not self.model.lost:
            self.model = self.model._replace(named=True)

    # -- what the model says -------------------------------------------------------------------

    def _expected(self, history: History) -> list[tuple[Event, Auditor]]:
        """Follow the model in the order of `auditor.desk`; every step must be one of `model.machine`."""
        chain: list[tuple[Event, Auditor]] = []
        now = self.model
        if now.lost:
            return chain
        seen = self._seen(history, now)

        def write(slot: str, value: int) -> None:
            nonlocal now
            now = self._allowed(now, seen, written(now, slot, value, Pending(slot, value)))
            chain.append((("write", slot, value), now))

        def send(slot: str) -> None:
            nonlocal now
            value, name = getattr(now, slot), f"{slot}_sent"
            if value in (X, Y, ABANDON) and not getattr(now, name) & value:
                now = self._allowed(now, seen, sent(now._replace(pending=None), slot, value))
                chain.append((("send", slot, value), now))

        which, own = history.which, X if self.same else history.which
        if self.is_expired or history.is_dead:
            if not now.vote:
                write("vote", ABANDON)
            send("vote")
            if now.opening in (X, Y) and now.vote == which:
                send("opening")
            return chain
        if not history.closed:
            if not now.checked and not self._has_key():
                return chain  # destroyed when it abandoned: nothing can be checked any more
            if not now.checked:
                write("checked", own)
            send("checked")
            if now.checked != own:
                return chain  # this log refuses a check of other candidates, and the round waits
        if history.closed and not now.vote:
            write("vote", which if self._can_answer(history) else ABANDON)
        send("vote")
        if now.vote != which:
            return chain
        if not now.opening and history.num_agreements >= 3:
            write("opening", which)
        if now.opening != GIVEN_UP:
            send("opening")
        return chain

    def _can_answer(self, history: History) -> bool:
        """Whether a close leaves out the report whose box for this auditor is garbled, if one is."""
        body = history.county.round(self.round_id).close_body()
        return body is not None and not (self.model.garbled and GARBLER in {name.node for name in body.set})

    def _has_key(self) -> bool:
        name = f"{self.round_id.hex()}.round-key"
        folder = self.directory / "state" / "secrets"
        return (folder / name).exists() and not (folder / f"{name}.destroyed").exists()

    def _seen(self, history: History, now: Auditor) -> Seen:
        enough = history.num_agreements >= 3
        is_x = history.which == X
        return Seen(
            same_candidates=self.same,
            closed=is_x and history.closed,
            agrees=self._can_answer(history),
            usable=self._can_answer(history),
            open_x=is_x and enough,
            open_alone=False,
            open_y=not is_x and enough,
            closed_y=not is_x and history.closed,
        )

    def _allowed(self, now: Auditor, seen: Seen, after: Auditor) -> Auditor:
        if after not in [step.after for step in steps(now, seen, None)]:
            raise Disagreement(f"the model has no step from {now} to {after}; " + "\n".join(self.diary))
        return after

    # -- what the auditor does -----------------------------------------------------------------

    def _run(self, history: History, *, is_bogus: bool) -> bool:
        """Start the auditor, let it work once; returns whether it was killed."""
        self.events = []
        kind = BogusLink if is_bogus else WatchedLink
        link = kind(history.county, partial(self._on_send, history))
        try:
            self.desk = history.county.desk(
                ME, self.directory, durable=self._on_write, link=link, entropy=self.entropy
            )
            self.desk.step()
        except Killed:
            return True
        except MirrorError:
            if not is_bogus:
                raise
        return False

    def _live(self, *, is_event: bool) -> None:
        self._fatal -= 1
        self._fatal_event -= is_event
        if self._fatal == 0 or (is_event and self._fatal_event == 0):
            raise Killed

    def _on_write(self, step: str) -> None:
        if step in SLOTS:
            self.events.append(("write", SLOTS[step], self._value_in_slot(SLOTS[step])))
        self._live(is_event=step.startswith("slot-"))

    def _value_in_slot(self, slot: str) -> int:
        kind = {"checked": SlotKind.CHECKED, "vote": SlotKind.DECISION, "opening": SlotKind.OPENING}[slot]
        stored = stored_entry(self.desk.state, kind, self.round_id)
        if stored is None:
            raise Disagreement(f"the slot of {slot} is empty after it was written")
        value = self._value(stored.entry)[1]
        if slot == "checked":
            self.bodies[value] = stored.body
        return value

    def _on_send(self, history: History, entry: bytes, when: str) -> None:
        if when == "before":
            self._live(is_event=True)
            return
        slot, value = self._value(entry)
        if slot == "approval":
            return
        known = self.sent.setdefault((slot, value), entry)
        if known != entry:
            raise Disagreement(f"{slot} was sent twice with different bytes")
        sent_before = getattr(self.model, f"{slot}_sent") & value
        if not sent_before and ("send", slot, value) not in self.events:
            self.events.append(("send", slot, value))
        self._live(is_event=True)

    def _value(self, entry: bytes) -> tuple[str, int]:
        """Say which slot a statement belongs to and for which history it speaks."""
        statement = parse_statement(parse_note(entry).text)
        if isinstance(statement, Approval):
            return "approval", NOTHING
        if isinstance(statement, Checked):
            candidates = {h.which: h.county.round(self.round_id).candidates for h in self.histories}
            wanted = statement.candidates
            return "checked", next(w for w, row in sorted(candidates.items()) if row and row.digest == wanted)
        if isinstance(statement, Abandon):
            return "vote", ABANDON
        if isinstance(statement, Agreement | Opening):
            closes = {h.close_digest: h.which for h in self.histories if h.closed}
            return "vote" if isinstance(statement, Agreement) else "opening", closes[statement.close]
        raise Disagreement(
            f"the auditor signed a {statement.TYPE} ({digest(encode_statement(statement)).hex()})"
        )


@dataclass(frozen=True)
class Replayed:
    """How much was lived, and what happened in it: events, and events followed by a crash."""

    num_lives: int
    num_turns: int
    events: Counter[Event]
    crashes: Counter[Event | None]


def replay(directory: Path, num_lives: int, turns: int = 8, seed: int = 0) -> Replayed:
    """Live some lives from two beginnings, one with a garbled box.

    Raises:
        Disagreement: the real auditor did something else than the model; the message tells the whole life.
    """
    beginnings = [begin(directory / f"beginning-{int(bad)}", garbled=bad) for bad in (False, True)]
    events: Counter[Event] = Counter()
    crashes: Counter[Event | None] = Counter()
    for number in range(num_lives):
        folder = directory / f"life-{number}"
        life = Life(beginnings[number % 2], folder, seed + number)
        for _ in range(turns):
            life.turn()
            events.update(life.events)
            if life.has_died:
                crashes.update([life.events[-1] if life.events else None])
        shutil.rmtree(folder)
    return Replayed(num_lives, num_lives * turns, events, crashes)
