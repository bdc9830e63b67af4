"""One seed of the simulated county: who lies, what happens next, and how it must end.

A step is one delivery, one write, one tick or one fault; after each the oracle looks. First chaos, up to a
number of steps; then the faults stop, the coordinator keeps to its program, the liars are silent or behave,
and every round must come to an end.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from byzantine.adversary import COSTLY, Adversary
from byzantine.county_log import CountyLog
from byzantine.ending import settle
from byzantine.oracle import Oracle
from byzantine.parties import Auditor, School
from byzantine.template import START, Shape, policy_of, template_of

from auditor.errors import LinkError
from coordinator.errors import CoordinatorError, StatementRefusedError
from protos import entry as entries

TUPLES = ((4, 3, 1, 3), (4, 3, 1, 3), (3, 3, 2, 3), (5, 4, 2, 4), (4, 3, 0, 3))
LAST_EVENTS = 40
CHAOS = 300
"""Steps between the beginning of a seed and its calm end."""


class World:
    """A county in one process.

    Attributes:
        rng: every choice comes from it.
        now: one clock for everybody.
        logs: histories; the first is the one that everybody is shown at the beginning.
        liars: auditors that collude with the coordinator, at most f.
        liar_schools: schools that do.
        statements: everything that honest auditors have signed, to be replayed.
        late: messages that the network delivers once more, later.
        events: the last ones, for a report.
    """

    def __init__(self, seed: int, *, chaos: int = CHAOS, trace: Callable[[str], None] | None = None) -> None:
        self.seed, self.chaos, self.trace = seed, chaos, trace
        self.rng = rng = random.Random(seed)
        self.template = template_of(_shape(rng))
        self.policy: Any = policy_of(self.template.shape)
        self.now = self.latest = START
        self.steps = 0
        self.by_kind: Counter[str] = Counter()
        self.events: deque[str] = deque(maxlen=LAST_EVENTS)
        self.statements: list[tuple[bytes, bytes]] = []
        self.late: list[Callable[[], object]] = []
        self.is_calm = False
        self.coordinator_lies = rng.random() < 0.7
        self.crash_rate = rng.choice((0, 0.004, 0.01, 0.03))
        self.loss_rate = rng.choice((0, 0, 0.02, 0.1))
        f = self.template.shape.terms[2]
        self.liars = sorted(rng.sample(self.template.auditors, rng.choice((f, f, rng.randint(0, f)))))
        self.num_false_witnesses = len(self.liars)
        num_liars = rng.choice((0, 0, 1, 1, 2))
        self.liar_schools = sorted(rng.sample(self.template.nodes, num_liars))
        self.oracle = Oracle(self)
        self.logs = [CountyLog(self.template, lambda: self.now, "L0")]
        on_disk = rng.random() < 0.04
        names = [name for name in self.template.auditors if name not in self.liars]
        self.honest: list[Auditor] = []
        for name in names:
            self.honest.append(Auditor(self, name, on_disk=on_disk))
        self.schools = [School(self, name) for name in self.template.nodes if name not in self.liar_schools]
        self.adversary = Adversary(self)

    # -- steps -------------------------------------------------------------------------------------

    def step(self, kind: str, detail: str) -> None:
        """Count a step and look at everything."""
        self.steps += 1
        self.by_kind[kind] += 1
        self.note(f"{kind}: {detail}")
        if hasattr(self, "honest"):
            self.oracle.look()

    def note(self, detail: str) -> None:
        """Keep an event for a report."""
        self.events.append(f"{self.steps} {detail}")
        if self.trace is not None:
            self.trace(self.events[-1])

    def count(self, what: str) -> None:
        """Count something that is no step."""
        self.by_kind[what] += 1

    def happens(self, rate: float) -> bool:
        """Throw a coin, unless all is calm."""
        return not self.is_calm and rate > 0 and self.rng.random() < rate

    def deliver(self, what: str, again: Callable[[], object] | None = None) -> None:
        """Carry a message to the coordinator, or lose it; perhaps once more, later; others come between."""
        self.step("delivery", what)
        if again is not None and self.happens(0.05):
            self.late.append(again)
        if self.happens(self.loss_rate):
            self.step("fault", f"lost: {what}")
            raise LinkError("unavailable", "lost", is_temporary=True)
        if self.happens(0.05):
            self.adversary.between()

    def answer(self) -> None:
        """Carry an answer back, or lose it."""
        if self.happens(self.loss_rate):
            self.step("fault", "an answer is lost")
            raise LinkError("unavailable", "the answer was lost", is_temporary=True)

    def put(
        self, log: CountyLog, entry: bytes, body: bytes, auditor: str = "", sums: Sequence[bytes] = ()
    ) -> int | None:
        """Log a statement; the same one again is a repeat."""
        parsed = entries.parse_entry(entry)
        position = log.ledger.entries_digest.get(parsed.digest)
        if position is None:
            try:
                position = log.append(entry, body)
            except StatementRefusedError as err:
                self.note(f"{log.name} refuses {parsed.statement.TYPE}: {err.code}")
                return None
        round_id = getattr(parsed.statement, "round", b"")
        for subset, value in zip(
            log.round(round_id).subsets_of(auditor) if auditor else (), sums, strict=True
        ):
            log.sums.setdefault((round_id, auditor, subset), value)
        return position

    # -- a seed ------------------------------------------------------------------------------------

    def run(self) -> None:
        """Live the seed.

        Raises:
            Violation: an invariant does not hold.
        """
        try:
            self.adversary.publish(self.logs[0])
            strategy = self.adversary.strategy if self.coordinator_lies else ""
            wants_depth = strategy in ("two sets", "silence")
            self._prelude(3 if wants_depth else self.rng.choice((0, 1, 2, 2, 3, 3)))
            if strategy == "silence":
                self._strand()
            elif strategy == "two sets" and self.rng.random() < 0.5:
                self.adversary.ambush(self.logs[0], next(iter(self.logs[0].ledger.rounds.values())))
            elif self.coordinator_lies and self.rng.random() < 0.1:
                self.adversary.publish(self.logs[0], 1, rho=COSTLY)
            self.chaos += self.steps
            while self.steps < self.chaos:
                self._turn()
            self.is_calm = True
            settle(self)
        finally:
            for auditor in self.honest:
                auditor.close()

    def _prelude(self, depth: int) -> None:
        """Begin somewhere: with a plan, its approvals, most reports, or the candidates."""
        log = self.logs[0]
        row = next(iter(log.ledger.rounds.values()))
        for auditor in self.honest if depth else ():
            auditor.approve(row.round_id)
        for name in self.liars if depth else ():
            self.adversary.liar_approves(name, log, row, is_first=True)
        for auditor in self.honest if depth > 1 else ():
            auditor.work()
        for name in self.liars if depth > 1 else ():
            log.cosign_as(name, len(log.entries))
        for school in self.schools if depth > 1 else ():
            school.work()
            school.release(row.round_id)
            school.work()
        for name in self.liar_schools if depth > 1 and row.is_approved else ():
            has_aim = self.coordinator_lies and self.adversary.strategy in ("two sets", "silence")
            kind = self.rng.choice(("good", "garbled", "wrong seed", "copied"))
            if has_aim and self.rng.random() < 0.8:
                kind = "good"  # who wants two closes does not make S too small for one
            self.adversary.report(name, log, row, kind)
        if depth > 2:
            self.adversary.early()

    def _strand(self) -> None:
        """Silence the liars, perhaps after a close that names them; there is less chaos then."""
        log = self.logs[0]
        if self.rng.random() < 0.6:
            self.adversary.strand(log, next(iter(log.ledger.rounds.values())))
        self.adversary.is_silent = True
        self.chaos //= 3

    def _turn(self) -> None:
        choice = self.rng.random()
        if choice < 0.36:
            self._some_auditor()
        elif choice < 0.54 and self.schools:
            self._some_school()
        elif choice < 0.66:
            self.adversary.tick()
        elif choice < 0.77:
            self.adversary.liar_auditor()
        elif choice < 0.80:
            self.adversary.liar_school()
        elif choice < 0.83:
            self._time_goes_by()
        elif choice < 0.85:
            self._fault()
        elif choice < 0.87 and self.late:
            self.step("delivery", "a message arrives late")
            self._again(self.late.pop(self.rng.randrange(len(self.late))))
        elif self.coordinator_lies:
            self.adversary.move()
        else:
            self.adversary.tick()

    def _again(self, message: Callable[[], object]) -> None:
        try:
            message()
        except CoordinatorError as err:
            self.note(f"late: {type(err).__name__}")

    def _some_auditor(self) -> None:
        if not self.honest:
            return
        auditor = self.rng.choice(self.honest)
        waiting = [
            round_id
            for round_id, row in auditor.log.ledger.rounds.items()
            if auditor.id not in row.approvals and round_id not in auditor.asked_before
        ]
        if waiting and self.rng.random() < 0.7:
            auditor.approve(self.rng.choice(waiting))
        else:
            auditor.work()

    def _some_school(self) -> None:
        school = self.rng.choice(self.schools)
        rounds = [row for row in school.desk.enrolled().mirror.ledger.rounds.values() if row.is_approved]
        waiting = [row for row in rounds if (school.id, 0) not in row.reports and row.candidates is None]
        if waiting and self.rng.random() < 0.6:
            school.release(self.rng.choice(waiting).round_id)
        elif rounds and self.rng.random() < 0.12:
            school.correct(self.rng.randrange(50))
            school.release(self.rng.choice(rounds).round_id)
        school.work()

    def _time_goes_by(self) -> None:
        jump = self.rng.choice((30, 61, 61, 3600, 43_300, -3600, 86_400, 86_400))
        if self.rng.random() < 0.02:
            jump = 60 * 86_400
        self.step("tick", f"the clock jumps by {jump} s")
        self.now += timedelta(seconds=jump)
        self.latest = max(self.latest, self.now)

    def _fault(self) -> None:
        if not self.honest:
            return
        auditor = self.rng.choice(self.honest)
        kind = self.rng.random()
        if kind < 0.4:
            self.step("fault", f"{auditor.id} is killed")
            auditor.died()
        elif kind < 0.65:
            self.step("fault", f"{auditor.id} loses its copy of the log")
            auditor.desk = None
            auditor.remove("mirror")
            auditor.start()
        elif kind < 0.75:
            self.step("fault", f"a backup of {auditor.id} is made")
            auditor.backup = auditor.disk.copy(f"/{auditor.id}") if auditor.disk else {}
        elif kind < 0.9:
            self.forgets_what_it_cosigned(auditor)
        else:
            self._loses_its_state(auditor)

    def forgets_what_it_cosigned(self, auditor: Auditor) -> None:
        """An old copy of all but the slots and keys: it counts towards f as a witness, and only so."""
        self.step("fault", f"{auditor.id} gets an old copy of the log, and of what it cosigned")
        self.num_false_witnesses += auditor.is_witness_honest
        auditor.is_witness_honest = False
        self.oracle.cosigned.pop(auditor.id, None)
        auditor.desk = None
        auditor.remove("mirror")
        path = auditor.root / "state" / "witness"
        path.unlink(missing_ok=True)
        auditor.restore(f"/{auditor.id}/mirror")
        auditor.restore(f"/{auditor.id}/state/witness")
        auditor.start()

    def _loses_its_state(self, auditor: Auditor) -> None:
        """Its folder is gone, or restored from a backup as backups are: without keys and instance."""
        self.step("fault", f"{auditor.id} loses its state")
        self.num_false_witnesses += auditor.is_witness_honest
        auditor.is_witness_honest = False
        auditor.has_lost = True
        self.oracle.cosigned.pop(auditor.id, None)
        answered = {round_id for name, round_id, _ in self.oracle.answers if name == auditor.id}
        auditor.asked_before |= answered  # the person remembers, and approves none of them again
        auditor.desk = None
        auditor.remove("state")
        auditor.remove("mirror")
        if auditor.backup and self.rng.random() < 0.7:
            auditor.restore(f"/{auditor.id}/mirror")
            if self.rng.random() < 0.5:
                auditor.restore(f"/{auditor.id}/state/slots")
        auditor.start()


def _shape(rng: random.Random) -> Shape:
    terms = rng.choice(TUPLES)
    kind = rng.random()
    if kind < 0.25:
        return Shape(terms, 7, is_grouped=True)
    if kind < 0.5:
        return Shape(terms, 7, shared=rng.choice((1, 2)))
    return Shape(terms, rng.choice((5, 6, 6, 7, 8)))
