"""The coordinator that lies, the auditors and schools that help it, and the moves they have.

Every statement is signed with the liar's real key and offered to the log's own rules; what they refuse is now
and then shown to an auditor all the same. A strategy, drawn for each seed, makes a coordinator that wants one
thing (two sets, a small set, chosen candidates) want it often enough to get there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from byzantine.county_log import CountyLog
from byzantine.judge import Judge, hold
from byzantine.liars import ZERO
from byzantine.plots import Plots

from coordinator.errors import StatementRefusedError
from plan.document import encode_body, terms_of
from plan.layout import build_layout
from plan.published import noise_rows, step_rows
from protos.bodies import (
    CloseBody,
    ReportName,
    TableSums,
    encode_candidates_body,
    encode_close_body,
    encode_release_body,
    encode_roster_body,
)
from protos.round_log import RoundLog, closed_set, fewest_replicas, tier_of
from protos.statements import (
    Cancel,
    Candidates,
    Close,
    Plan,
    Release,
    Roster,
    body_ref,
)

if TYPE_CHECKING:
    from byzantine.world import World

MAX_LOGS = 3
COSTLY = Fraction(3, 10)
ATTEMPTS = 0.5
"""How often a move comes with what must be refused just there."""
STRATEGIES = ("any", "any", "two sets", "two sets", "two sets", "early", "forge", "replay", "silence")


class Adversary(Plots):
    """Everybody that lies, with one will.

    Attributes:
        strategy: what the coordinator goes for.
        victim: the auditor that it has shown another history than the others, and will show theirs.
    """

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.strategy = self.rng.choice(STRATEGIES)
        self.num_plans = 0
        self.victim = ""
        self.is_publishing = False

    # -- helpers -----------------------------------------------------------------------------------

    def between(self) -> None:
        """Do something while an honest party waits for an answer."""
        self.tick() if self.rng.random() < 0.5 else self.liar_auditor()

    # -- the program, and plans --------------------------------------------------------------------

    def publish(self, log: CountyLog, which: int | None = None, **terms: Any) -> None:
        """Publish a plan; changes of its terms make it one that nobody should approve."""
        if log.ledger.size and which is None:
            which, self.num_plans = self.num_plans, self.num_plans + 1
        is_costly = (
            terms.get("rho") == COSTLY
        )  # a plan that is right in itself, and dearer than a policy allows
        document = self.world.template.document(which or 0, **({"rho": COSTLY} if is_costly else {}))
        layout, stated = build_layout(document), terms_of(document)
        body = encode_body(document)
        plan = Plan(
            federation=self.world.template.federation.federation,
            serial=len(log.ledger.rounds) + 1,
            roster=log.ledger.roster.digest,
            auditors=tuple(self.world.template.auditors)[: stated.num_auditors],
            threshold=stated.threshold,
            collude=stated.collude,
            quorum=stated.quorum,
            min_reports=stated.min_reports,
            colluding_schools=stated.colluding_schools,
            min_group=stated.min_group,
            rho=stated.rho,
            opens=stated.opens,
            closes=stated.closes,
            cells=layout.cells,
            noise=noise_rows(layout),
            body=body_ref(body),
            steps=step_rows(layout),
        )
        self.world.step("tick", f"{log.name}: plan {which} {terms or ''}")
        self.offer(log, replace(plan, **terms), body)

    def tick(self) -> None:
        """Let the coordinator do what its program says, in one history."""
        log = self.some_log()
        rounds = list(log.ledger.rounds.values())
        if not rounds:
            return
        row = self.rng.choice(rounds[-2:])
        if len(rounds) < 3 and rounds[-1].is_approved and self.rng.random() < 0.08:
            self.publish(log)
            return
        if len(row.reports) >= 5 and self.rng.random() < 0.3:
            log.requested.add(row.round_id)
        if row.candidates is not None and self.rng.random() < 0.5:
            self.world.now += timedelta(seconds=61)
        had_release = row.release
        action = log.tick(row)
        self.world.step("tick", f"{log.name}: {type(action).__name__} {getattr(action, 'reason', '')}")
        if row.release is not None and had_release is None:
            self.check_release(log, row)

    def check_release(self, log: CountyLog, row: RoundLog) -> None:
        """Have the oracle look at a release that an honest program made."""
        assert row.release is not None
        if self.is_disturbed(row):
            return
        judge = Judge()
        for entry, body in log.entries:
            judge.feed(entry, body)
        sitting = judge.rounds[row.round_id]
        if row.release.statement.status != "ok":
            liars = {name for name, _, _ in sitting.chosen}.intersection(self.world.liar_schools)
            hold(bool(liars), "release", "a round is corrupt although no school in S has lied")
            return
        released = [value for table in json.loads(row.release.body)["tables"] for value in table["sums"]]
        self.world.oracle.on_release(sitting, released)

    def is_disturbed(self, row: RoundLog) -> bool:
        """Say whether so many liars have answered that replicas cannot tell."""
        honest = [name for name in row.openings if name not in self.world.liars]
        return len(honest) < row.terms.threshold

    # -- the lying coordinator ---------------------------------------------------------------------

    def move(self) -> None:
        """Make one lying move."""
        moves: dict[str, Sequence[Callable[[], str]]] = {
            "any": (
                self.fork,
                self.switch,
                self.shorten,
                self.early,
                self.forge,
                self.replay,
                self.boxes,
                self.hide,
            ),
            "two sets": (self.equivocate, self.equivocate, self.forget, self.push, self.push),
            "early": (self.early, self.early, self.forge, self.forget),
            "forge": (self.forge, self.forge, self.forge, self.early),
            "replay": (self.replay, self.replay, self.fork, self.switch),
            "silence": (self.boxes, self.hide, self.shorten),
        }
        noise = {"two sets": 0.06, "silence": 0.03}.get(self.strategy, 0.25)
        if self.rng.random() < ATTEMPTS:
            self.attempt()
        chosen = moves["any" if self.rng.random() < noise else self.strategy]
        made = self.forge() if self.rng.random() < noise else self.rng.choice(chosen)()
        self.world.step("fault", f"coordinator: {made}")

    def fork(self) -> str:
        """Begin another history, and show it to some auditors."""
        world, log = self.world, self.some_log()
        if len(world.logs) >= MAX_LOGS:
            return self.switch()
        row = self.some_round(log)
        marks = [len(log.entries)]
        if row is not None:
            for logged in (row.candidates, row.close):
                marks += [logged.index] * 3 if logged is not None else []
            marks += [row.plan.index + 1, self.rng.randint(2, len(log.entries))]
        size = max(2, self.rng.choice(marks))
        other = CountyLog(world.template, lambda: world.now, f"L{len(world.logs)}", log, size)
        world.logs.append(other)
        for party in (*world.honest, *world.schools):
            if self.rng.random() < 0.4:
                self.show(party, other)
        return f"{other.name} leaves {log.name} at {size}"

    def equivocate(self) -> str:
        """Close a round in two ways, in two histories, and show each to some auditors."""
        world = self.world
        ready = [
            (log, row)
            for log in world.logs
            for row in log.ledger.rounds.values()
            if row.close is None and len(row.checked) >= row.terms.quorum and not row.is_dead
        ]
        if not ready or len(world.logs) >= MAX_LOGS:
            return self.push() if len(world.logs) > 1 else self.early()
        log, row = self.rng.choice(ready)
        checked = [name for name in row.terms.auditors if name in row.checked]
        liars = [name for name in checked if name in world.liars]
        if len(checked) == row.terms.quorum and not liars:
            return "too few checks for two closes"
        cut = len(log.entries) if len(checked) > row.terms.quorum else row.checked[liars[0]].index
        other = CountyLog(world.template, lambda: world.now, f"L{len(world.logs)}", log, cut)
        world.logs.append(other)
        twin = other.ledger.rounds[row.round_id]
        if cut < len(log.entries):
            self._check_otherwise(other, twin, liars[0])
            for entry, body in log.entries[cut + 1 :]:
                world.put(other, entry, body)
        names = [name for name in row.terms.auditors if name in twin.checked]
        if cut == len(log.entries):
            names.remove(self.rng.choice(names))
        self.close(other, twin, names)
        self.close(log, row, checked)
        self.victim = self.rng.choice(world.honest).id
        is_alone = self.rng.random() < 0.6  # one against all others: these are a quorum with the liars
        for auditor in world.honest:
            where = (
                (log if auditor.id == self.victim else other) if is_alone else self.rng.choice((log, other))
            )
            self.show(auditor, where)
        if is_alone and row.close is not None and twin.close is not None and self.rng.random() < 0.7:
            self.trap(next(row for row in world.honest if row.id == self.victim), other)
        world.chaos += 150
        return f"{log.name} and {other.name} close over {len(checked)} and {len(names)} checks"

    def show(self, party: Any, log: CountyLog) -> None:
        """Show a party another history."""
        party.log = log
        if hasattr(party, "limit"):
            party.limit, party.poison = None, []
        else:
            party.served = 0

    def switch(self) -> str:
        """Show one party another history, perhaps after its copy of the first is lost."""
        party = self.rng.choice([*self.world.honest, *self.world.honest, *self.world.schools])
        log = self.some_log()
        self.show(party, log)
        return f"{party.id} is shown {log.name}"

    def push(self) -> str:
        """Have all liars vote and cosign in every history."""
        for log in self.world.logs:
            for row in list(log.ledger.rounds.values())[-2:]:
                for name in self.world.liars:
                    self.cooperate(name, log, row)
        return "the liars vote in every history"

    def forget(self) -> str:
        """Show an auditor another history, after it has lost its copy of the first and what it cosigned."""
        others = [auditor for auditor in self.world.honest if auditor.log.entries]
        if not others or len(self.world.logs) < 2:
            return self.early() if self.strategy == "two sets" else self.fork()
        auditor = self.rng.choice([row for row in others if row.id == self.victim] or others)
        self.victim = ""
        auditor.is_flattered = self.rng.random() < 0.7
        self.world.forgets_what_it_cosigned(auditor)
        log = self.rng.choice([log for log in self.world.logs if log is not auditor.log])
        self.show(auditor, log)
        return f"{auditor.id} forgets, and is shown {log.name}"

    def shorten(self) -> str:
        """Show an auditor only the beginning."""
        if not self.world.honest:
            return "nobody"
        auditor = self.rng.choice(self.world.honest)
        auditor.limit = self.rng.choice((None, None, self.rng.randint(1, len(auditor.log.entries))))
        return f"{auditor.id} is shown {auditor.limit} entries"

    def hide(self) -> str:
        """Hide the cosigned checkpoint from an auditor, or show it again."""
        if not self.world.honest:
            return "nobody"
        auditor = self.rng.choice(self.world.honest)
        auditor.is_cosigned_hidden = not auditor.is_cosigned_hidden
        return f"{auditor.id}: no cosigned checkpoint {auditor.is_cosigned_hidden}"

    def boxes(self) -> str:
        """Serve an auditor other boxes, the next time."""
        if not self.world.honest:
            return "nobody"
        auditor = self.rng.choice(self.world.honest)
        auditor.box_lie = self.rng.choice(("withhold", "reorder", "double", "swap", "garbage"))
        return f"{auditor.id}: boxes {auditor.box_lie}"

    def early(self) -> str:
        """Fix the candidates or the close as soon as the rules allow, over any q checks."""
        log = self.some_log()
        row = self.some_round(log)
        if row is None:
            return "no round"
        if row.candidates is None:
            if row.is_approved and (len(row.reports) >= 5 or self.rng.random() < 0.1):
                self.candidates(log, row)
            return f"{log.name}: candidates over {len(row.reports)} reports"
        checked = [name for name in row.terms.auditors if name in row.checked]
        if row.close is None and len(checked) >= row.terms.quorum:
            names = sorted(self.rng.sample(checked, self.rng.randint(row.terms.quorum, len(checked))))
            self.close(log, row, names)
            return f"{log.name}: close over {names}"
        return "nothing to hurry"

    def candidates(self, log: CountyLog, row: RoundLog, names: Iterable[ReportName] | None = None) -> None:
        """Fix candidates, the right ones or any."""
        size = log.ledger.size
        chosen = log.ledger.candidates_for(row.round_id, size) if names is None else tuple(names)
        body = encode_candidates_body(chosen)
        self.offer(log, Candidates(row.terms.federation, row.round_id, size, body_ref(body)), body)

    def close(
        self, log: CountyLog, row: RoundLog, names: Sequence[str], contents: CloseBody | None = None
    ) -> None:
        """Close over these checks, with the right set or any."""
        contents = contents or closed_set(row, names)
        body = encode_close_body(contents)
        candidates = row.candidates.digest if row.candidates else ZERO
        checked = tuple((name, row.checked[name].digest) for name in names)
        close = Close(
            row.terms.federation,
            row.round_id,
            candidates,
            checked,
            tier_of(row, contents.set),
            len(contents.set),
            body_ref(body),
        )
        self.offer(log, close, body)

    def forge(self) -> str:
        """State something that the rules should refuse."""
        log = self.some_log()
        row = self.some_round(log)
        if row is None:
            return "no round"
        chosen = self.rng.choice(
            (
                self._forged_candidates,
                self._forged_close,
                self._forged_close,
                self._forged_plan,
                self._forged_roster,
                self._forged_release,
                self._asked_again,
                self._cancel,
            )
        )
        return f"{log.name}: {chosen(log, row)}"

    def _forged_candidates(self, log: CountyLog, row: RoundLog) -> str:
        names = list(log.ledger.candidates_for(row.round_id, log.ledger.size))
        if row.is_approved and len(names) > 1:
            chosen = self.rng.randrange(len(names))
            older = [
                slot for slot in row.reports if slot == (names[chosen].node, 0) and names[chosen].attempt
            ]
            if older and self.rng.random() < 0.5:
                names[chosen] = ReportName(older[0][0], 0, row.reports[older[0]].digest)
            else:
                del names[chosen]
            self.candidates(log, row, names)
        return "candidates of its choice"

    def _forged_close(self, log: CountyLog, row: RoundLog) -> str:
        checked = [name for name in row.terms.auditors if name in row.checked]
        if row.candidates is None or not checked:
            return "no close yet"
        names = sorted(self.rng.sample(checked, self.rng.randint(1, len(checked))))
        right = closed_set(row, names)
        kept = list(right.set)
        kind = self.rng.randrange(3)
        if kind == 0 and kept:
            del kept[self.rng.randrange(len(kept))]
        elif kind == 1:
            kept = sorted({*kept, *(row.report for row in right.excluded)})
        self.close(log, row, names, CloseBody(tuple(kept), right.excluded if kind != 1 else ()))
        return f"a close of its choice over {names}"

    def _forged_plan(self, log: CountyLog, row: RoundLog) -> str:
        n, t, _, q = self.world.template.shape.terms
        changes: dict[str, Any] = self.rng.choice(
            (
                {"threshold": t - 1},
                {"quorum": q - 1},
                {"auditors": tuple(self.world.template.auditors)[:-1]},
                {"min_reports": 3},
                {"min_reports": 4},
                {"rho": Fraction(2, 5)},
                {"min_group": 1},
                {"rho": COSTLY},
            )
        )
        if "auditors" in changes and n == 3:
            changes = {"quorum": q - 1}
        if len(log.ledger.rounds) < 3 and t > 1:
            self.publish(log, self.rng.randrange(3), **changes)
        return f"a weaker plan {sorted(changes)}"

    def _forged_roster(self, log: CountyLog, row: RoundLog) -> str:
        federation, state = self.world.template.federation, log.ledger.roster
        n, t, _, q = self.world.template.shape.terms
        body = replace(state.body, tuples=tuple(sorted({*state.body.tuples, (n, t, 0, q), (n, n, 0, n)})))
        data = encode_roster_body(body)
        if data == encode_roster_body(state.body):
            return "no roster"
        roster = Roster(
            federation.federation,
            state.statement.serial + 1,
            state.digest,
            "production",
            federation.quorum,
            body_ref(data),
        )
        keys = [federation.auditors[name] for name in self.world.liars]
        self.offer(log, roster, data, federation.coordinator, *keys)
        return "a roster that only liars have signed"

    def _asked_again(self, log: CountyLog, row: RoundLog) -> str:
        if len(log.ledger.rounds) < 3:
            self.publish(log, 0, closes=row.terms.closes + timedelta(days=1))
        return "the same question once more"

    def _cancel(self, log: CountyLog, row: RoundLog) -> str:
        if self.rng.random() < 0.05:
            close = row.close.digest if row.close else ZERO
            self.offer(log, Cancel(row.terms.federation, row.round_id, close, ZERO, "other"))
        return "an end"

    def _forged_release(self, log: CountyLog, row: RoundLog) -> str:
        if row.close is None:
            return "no release yet"
        openers = [name for name in row.terms.auditors if name in row.openings]
        tables = [
            TableSums(
                line.table, line.scale, line.s2, tuple(self.rng.randrange(99) for _ in range(row.terms.cells))
            )
            for line in row.terms.noise_lines
        ]
        body = encode_release_body(tables)
        body_of_close = row.close_body()
        release = Release(
            federation=row.terms.federation,
            round=row.round_id,
            close=row.close.digest,
            status="ok",
            replicas=fewest_replicas(row, openers) if openers else 0,
            reports_in=row.close.statement.reports,
            reports_out=len(body_of_close.excluded) if body_of_close else 0,
            rho=row.terms.rho,
            agreements=tuple(
                (name, row.agreements[name].digest) for name in row.terms.auditors if name in row.agreements
            ),
            openings=tuple((name, row.openings[name].digest) for name in openers),
            body=body_ref(body),
        )
        self.offer(log, release, body)
        return "a release of its choice"

    def replay(self) -> str:
        """Put what was signed for one history into another, or once more into the same."""
        log, source = self.some_log(), self.some_log()
        pool = self.world.statements if self.rng.random() < 0.5 else source.entries[2:]
        if not pool:
            return "nothing"
        entry, body = self.rng.choice(pool)
        try:
            log.append(entry, body)
        except StatementRefusedError as err:
            return f"{log.name}: replay refused, {err.code}"
        return f"{log.name}: replayed"
