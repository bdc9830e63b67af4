"""The coordinator that lies, the auditors and schools that help it, and the moves they have.

Every statement is signed with the liar's real key and offered to the log's own rules; what they refuse is now
and then shown to an auditor all the same. A strategy, drawn for each seed, makes a coordinator that wants one
thing (two sets, a small set, chosen candidates) want it often enough to get there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from byzantine.county_log import CountyLog
from byzantine.judge import Judge, hold
from fakes_federation import fake_bytes

from coordinator.errors import CoordinatorError, StatementRefusedError
from crypto.derivation import box_info, box_plaintext, commitments_digest, draw_commitment, seed_commitment
from crypto.field64 import encode_vector
from crypto.replication import subsets, subsets_with
from crypto.sealing import ROUND_SECRET_BYTES, round_public_key, seal
from crypto.sharing import mask_vector
from node.vault.enrol import load_identity
from plan.document import encode_body, terms_of
from plan.layout import build_layout
from plan.published import noise_rows, step_rows
from protos.bodies import (
    CloseBody,
    Refusal,
    ReportName,
    TableSums,
    encode_candidates_body,
    encode_checked_body,
    encode_close_body,
    encode_release_body,
    encode_roster_body,
)
from protos.report_payload import ReportPayload, encode_payload
from protos.round_log import RoundLog, closed_set, fewest_replicas, tier_of
from protos.statements import (
    Abandon,
    Agreement,
    Approval,
    Cancel,
    Candidates,
    Checked,
    Close,
    Opening,
    Plan,
    Release,
    Report,
    Roster,
    Statement,
    body_ref,
    digest,
    encode_statement,
)

if TYPE_CHECKING:
    from byzantine.world import World

MAX_LOGS = 3
ZERO = bytes(32)
STRATEGIES = ("any", "any", "two sets", "two sets", "two sets", "early", "forge", "replay")


class Adversary:
    """Everybody that lies, with one will.

    Attributes:
        strategy: what the coordinator goes for.
    """

    def __init__(self, world: World) -> None:
        self.world, self.rng = world, world.rng
        self.strategy = self.rng.choice(STRATEGIES)
        self.num_plans = 0
        self.is_publishing = False

    # -- helpers -----------------------------------------------------------------------------------

    def some_log(self) -> CountyLog:
        """Choose a history."""
        return self.rng.choice(self.world.logs)

    def some_round(self, log: CountyLog) -> RoundLog | None:
        """Choose a round, the newest first."""
        rounds = list(log.ledger.rounds.values())
        return self.rng.choice(rounds[-2:]) if rounds else None

    def offer(self, log: CountyLog, statement: Statement, body: bytes = b"", *keys: Any) -> bool:
        """Offer a statement to a history; what its rules refuse is perhaps shown to an auditor."""
        try:
            entry = log.sign(statement, *keys)
            log.append(entry, body)
        except StatementRefusedError:
            if self.world.honest and self.rng.random() < 0.2:
                victim = self.rng.choice(self.world.honest)
                if victim.log is log:
                    victim.poison = [(entry, body)]
            return False
        return True

    def between(self) -> None:
        """Do something while an honest party waits for an answer."""
        self.tick() if self.rng.random() < 0.5 else self.liar_auditor()

    # -- the program, and plans --------------------------------------------------------------------

    def publish(self, log: CountyLog, which: int | None = None, **terms: Any) -> None:
        """Publish a plan; changes of its terms make it one that nobody should approve."""
        if log.ledger.size and which is None:
            which, self.num_plans = self.num_plans, self.num_plans + 1
        document = self.world.template.document(which or 0)
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
        import json

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
            "two sets": (self.equivocate, self.equivocate, self.forget, self.forget, self.early),
            "early": (self.early, self.early, self.forge, self.forget),
            "forge": (self.forge, self.forge, self.forge, self.early),
            "replay": (self.replay, self.replay, self.fork, self.switch),
        }
        noise = 0.06 if self.strategy == "two sets" else 0.25
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
            return self.forget() if len(world.logs) > 1 else self.early()
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
        for auditor in world.honest:
            self.show(auditor, self.rng.choice((log, other)))
        for name in world.liars:
            self.cooperate(name, log, row)
            self.cooperate(name, other, twin)
        world.chaos += 150
        return f"{log.name} and {other.name} close over {len(checked)} and {len(names)} checks"

    def _check_otherwise(self, log: CountyLog, row: RoundLog, name: str) -> None:
        """Let a liar refuse another report than in the other history."""
        names = row.candidate_names()
        refused = [Refusal(self.rng.choice(names), "box-unopenable")] if names else []
        body = encode_checked_body(refused)
        candidates = row.candidates.digest if row.candidates else ZERO
        checked = Checked(row.terms.federation, row.round_id, name, candidates, body_ref(body))
        self.offer(log, checked, body, self.world.template.federation.auditors[name])

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

    def forget(self) -> str:
        """Show an auditor another history, after it has lost its copy of the first and what it cosigned."""
        others = [auditor for auditor in self.world.honest if auditor.log.entries]
        if not others or len(self.world.logs) < 2:
            return self.early() if self.strategy == "two sets" else self.fork()
        auditor = self.rng.choice(others)
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
            )
        )
        if "auditors" in changes and n == 3:
            changes = {"quorum": q - 1}
        if len(log.ledger.rounds) < 3 and t > 1:
            self.publish(log, self.rng.randrange(3), **changes)
        return f"a weaker plan {sorted(changes)}"

    def _forged_roster(self, log: CountyLog, row: RoundLog) -> str:
        federation, state = self.world.template.federation, log.ledger.roster
        n = self.world.template.shape.terms[0]
        body = replace(state.body, tuples=tuple(sorted({*state.body.tuples, (n, n, n - 1, n)})))
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

    # -- lying auditors ----------------------------------------------------------------------------

    def liar_auditor(self) -> None:
        """Let a liar say something in one history: what it should, mostly."""
        if not self.world.liars:
            return
        name, log = self.rng.choice(self.world.liars), self.some_log()
        row = self.some_round(log)
        if row is None:
            return
        lies = (self.liar_checks, self.liar_votes, self.liar_opens, self.liar_abandons, self.liar_approves)
        what = (
            self.cooperate(name, log, row)
            if self.rng.random() < 0.7
            else self.rng.choice(lies)(name, log, row)
        )
        self.world.step("tick", f"{name} in {log.name}: {what}")

    def cooperate(self, name: str, log: CountyLog, row: RoundLog) -> str:
        """Do what an honest auditor would do next, in any history."""
        log.cosign_as(name, len(log.entries))
        if name not in row.approvals:
            return self.liar_approves(name, log, row, is_first=True)
        if row.candidates is not None and row.close is None and name not in row.checked:
            return self.liar_checks(name, log, row)
        if row.close is not None and name not in row.agreements and name not in row.abandons:
            return self.liar_votes(name, log, row)
        if len(row.agreements) >= row.terms.quorum and name not in row.openings:
            return self.liar_opens(name, log, row, is_right=True)
        return "cosigns"

    def liar_approves(self, name: str, log: CountyLog, row: RoundLog, is_first: bool = False) -> str:
        """Approve; a second time with another nonce."""
        number = 0 if is_first else self.rng.randrange(3)
        label = f"{name} {row.round_id.hex()}"
        approval = Approval(
            row.terms.federation,
            row.round_id,
            row.roster_digest,
            name,
            fake_bytes(f"instance {name}", 16),
            round_public_key(fake_bytes(f"round key {label}", ROUND_SECRET_BYTES)),
            fake_bytes(f"nonce {label} {number}"),
            draw_commitment(fake_bytes(f"draw {label}")),
        )
        self.offer(log, approval, b"", self.world.template.federation.auditors[name])
        return f"approves ({number})"

    def liar_checks(self, name: str, log: CountyLog, row: RoundLog) -> str:
        """Check; refuse nothing, or what it likes."""
        names = row.candidate_names()
        refused = [item for item in names if self.rng.random() < 0.25] if self.rng.random() < 0.35 else []
        body = encode_checked_body([Refusal(item, "box-unopenable") for item in refused])
        candidates = row.candidates.digest if row.candidates else ZERO
        checked = Checked(row.terms.federation, row.round_id, name, candidates, body_ref(body))
        self.offer(log, checked, body, self.world.template.federation.auditors[name])
        return f"refuses {len(refused)}"

    def liar_votes(self, name: str, log: CountyLog, row: RoundLog) -> str:
        """Agree to the close of this history, whatever it is."""
        close = row.close.digest if row.close else ZERO
        vote = Agreement(row.terms.federation, row.round_id, name, close)
        self.offer(log, vote, b"", self.world.template.federation.auditors[name])
        return "agrees"

    def liar_abandons(self, name: str, log: CountyLog, row: RoundLog) -> str:
        """Abandon, in this history."""
        if self.rng.random() < 0.7:
            return "thinks of abandoning"
        vote = Abandon(
            row.terms.federation, row.round_id, name, row.close.digest if row.close else ZERO, "expired"
        )
        if self.offer(log, vote, b"", self.world.template.federation.auditors[name]):
            self.world.oracle.on_abandon_by_liar(name, row.round_id)
        return "abandons"

    def liar_opens(self, name: str, log: CountyLog, row: RoundLog, is_right: bool = False) -> str:
        """Answer: rightly, or with other sums."""
        if row.close is None or name not in row.approvals:
            return "cannot answer"
        judge = Judge()
        for entry, body in log.entries:
            judge.feed(entry, body)
        sums = self.world.oracle.sums(name, judge.rounds[row.round_id])
        if not is_right:
            sums = {subset: value[8:] + bytes(8) for subset, value in sums.items()}
        opening = Opening(
            federation=row.terms.federation,
            round=row.round_id,
            auditor=name,
            close=row.close.digest,
            draw=fake_bytes(f"draw {name} {row.round_id.hex()}"),
            sums=tuple((subset, hashlib.sha256(value).digest()) for subset, value in sums.items()),
        )
        if self.offer(log, opening, b"", self.world.template.federation.auditors[name]):
            for subset, value in sums.items():
                log.sums[(row.round_id, name, subset)] = value
        return "answers" if is_right else "answers wrongly"

    # -- lying schools -----------------------------------------------------------------------------

    def liar_school(self) -> None:
        """Let a lying school report: garbled boxes, copied seeds, another round's header."""
        if not self.world.liar_schools:
            return
        name, log = self.rng.choice(self.world.liar_schools), self.some_log()
        row = self.some_round(log)
        if row is None or not row.is_approved:
            return
        kind = self.rng.choice(("good", "good", "garbled", "wrong seed", "copied", "copied", "other round"))
        if row.reports.num_attempts(name) == 0 or self.rng.random() < 0.1:
            self.world.step("delivery", f"{name} reports to {log.name}: {kind}")
            self.report(name, log, row, kind)

    def report(self, name: str, log: CountyLog, row: RoundLog, kind: str) -> None:
        """Make and send a report of a kind."""
        terms, round_id = row.terms, row.round_id
        n, t = len(terms.auditors), terms.threshold
        attempt = row.reports.num_attempts(name)
        seeds = {subset: self.rng.randbytes(32) for subset in subsets(n, t)}
        if kind == "copied":
            self._copy_seeds(seeds, row)
        numbers = np.array([self.rng.randrange(-50, 500) for _ in range(terms.cells)], np.int64)
        vector = encode_vector(mask_vector(numbers, seeds, round_id, n, t))
        committed = tuple(
            (subset, seed_commitment(round_id, name, attempt, subset, seed)) for subset, seed in seeds.items()
        )
        victims = (
            set(self.rng.sample(terms.auditors, self.rng.randint(1, n)))
            if kind in ("garbled", "wrong seed")
            else set()
        )
        boxes, found = {}, {}
        for place, auditor in enumerate(terms.auditors):
            key = row.approvals[auditor].statement.round_key
            info = box_info(
                round_id, name, attempt, auditor, key, hashlib.sha256(vector).digest(),
                commitments_digest([value for _, value in committed]),
            )  # fmt: skip
            held = [seeds[subset] for subset in subsets_with(place, n, t)]
            if auditor in victims and kind == "wrong seed":
                held = [self.rng.randbytes(32), *held[1:]]
            boxes[auditor] = seal(key, box_plaintext(held), info)
            if auditor in victims:
                found[auditor] = None
                if kind == "garbled":
                    boxes[auditor] = bytes(len(boxes[auditor]))
        header = Report(
            federation=terms.federation,
            round=round_id,
            roster=row.roster_digest,
            approvals=row.approvals_digest() if kind != "other round" else self.rng.randbytes(32),
            node=name,
            attempt=attempt,
            cells=terms.cells,
            vector=hashlib.sha256(vector).digest(),
            seeds=committed,
            boxes=tuple((auditor, hashlib.sha256(box).digest()) for auditor, box in boxes.items()),
            input=bytes(32),
            software=bytes(32),
            confinement="L3",
            previous=log.ledger.last_report.get(name, ZERO),
            size=len(vector) + sum(map(len, boxes.values())),
        )
        key = load_identity(self.world.template.vaults[name]).report_key
        payload = encode_payload(ReportPayload(log.sign(header, key), vector, tuple(boxes.values())))
        self.world.oracle.learn(payload, header, digest(encode_statement(header)), seeds, found)
        try:
            if self.world.coordinator_lies and self.rng.random() < 0.3:  # past the checks of the door
                log.offer_report(header, key, vector, boxes)
            else:
                log.receiver.receive(name, payload)
        except CoordinatorError as err:
            self.world.note(f"{name}: {type(err).__name__}")

    def _copy_seeds(self, seeds: dict[int, bytes], row: RoundLog) -> None:
        """Take a seed that a lying auditor holds, or one of the own: of an honest school, if there is one."""
        known = list(row.reports)
        bits = [
            1 << row.terms.auditors.index(name) for name in self.world.liars if name in row.terms.auditors
        ]
        shared = [subset for subset in seeds if any(subset & bit for bit in bits)]
        if known and shared:
            digest_ = row.reports[self.rng.choice(known)].digest
            for subset in self.rng.sample(shared, self.rng.randint(1, len(shared))):
                seeds[subset] = self.world.oracle.reports[digest_].seeds[subset]
