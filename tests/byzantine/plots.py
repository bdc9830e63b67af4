"""Moves that go for one rule each: what they offer the log must refuse, or they keep a round from its end.

The moves of `adversary` are drawn at random, and a rule that only matters late in a round (a second close, a
vote after a vote) is seldom reached by them. `attempt` looks where a round stands and offers what just there
must be refused; where the rules hold it changes nothing, so it may be made often.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from byzantine.county_log import CountyLog
from byzantine.liars import Liars

from protos.round_log import RoundLog
from protos.statements import Abandon, Agreement

if TYPE_CHECKING:
    from byzantine.parties import Auditor


class Plots(Liars):
    """Directed moves of the coordinator and its helpers."""

    close: Callable[..., None]
    equivocate: Callable[[], str]
    push: Callable[[], str]
    show: Callable[[Any, CountyLog], None]
    _forged_release: Callable[[CountyLog, RoundLog], str]
    _forged_roster: Callable[[CountyLog, RoundLog], str]

    def attempt(self) -> None:
        """Offer, in one history, what must be refused where its newest rounds stand."""
        log = self.some_log()
        for row in list(log.ledger.rounds.values())[-2:]:
            if row.is_dead or not row.is_approved:
                continue
            plots = (self._late_report, self._second_close, self._second_vote)
            more = (self._early_opening, self._disagreeing_release, self._unsigned_roster)
            for plot in (*plots, *more):
                made = plot(log, row)
                if made:
                    self.world.note(f"attempt in {log.name}: {made}")

    def _late_report(self, log: CountyLog, row: RoundLog) -> str:
        """Log a report after the candidates: one that a lying school makes when it likes."""
        if row.candidates is None or not self.world.liar_schools or self.rng.random() < 0.6:
            return ""
        name = self.rng.choice(self.world.liar_schools)
        if row.reports.num_attempts(name) > 3:
            return ""
        self.report(name, log, row, "late")
        return f"{name} reports late"

    def _second_close(self, log: CountyLog, row: RoundLog) -> str:
        """Close again, over other checks."""
        checked = [name for name in row.terms.auditors if name in row.checked]
        if row.close is None or len(checked) <= row.terms.quorum:
            return ""
        first = [name for name, _ in row.close.statement.checked]
        others = [names for names in _all_but_one(checked) if names != first]
        names = self.rng.choice([*others, checked] if first != checked else others)
        self.close(log, row, names)
        return f"a second close over {names}"

    def _second_vote(self, log: CountyLog, row: RoundLog) -> str:
        """Have a liar that has agreed abandon, or the other way round."""
        voted = [name for name in self.world.liars if name in row.agreements or name in row.abandons]
        if not voted or row.close is None:
            return ""
        name, close = self.rng.choice(voted), row.close.digest
        vote: Any = Agreement(row.terms.federation, row.round_id, name, close)
        if name in row.agreements:
            vote = Abandon(row.terms.federation, row.round_id, name, close, "expired")
        is_taken = self.offer(log, vote, b"", self.world.template.federation.auditors[name])
        if is_taken and isinstance(vote, Abandon):
            self.world.oracle.on_abandon_by_liar(name, row.round_id)
        return f"{name} votes again"

    def _early_opening(self, log: CountyLog, row: RoundLog) -> str:
        """Have a liar answer before a quorum has agreed."""
        names = [name for name in self.world.liars if name not in row.openings and name not in row.abandons]
        if row.close is None or not names or len(row.agreements) >= row.terms.quorum:
            return ""
        name = self.rng.choice(names)
        self.liar_opens(name, log, row, is_right=True)
        return f"{name} opens before the agreements"

    def _disagreeing_release(self, log: CountyLog, row: RoundLog) -> str:
        """Release over openings of which one is false."""
        if row.release is not None or len(row.openings) < row.terms.threshold:
            return ""
        seen: dict[int, set[bytes]] = {}
        for opening in row.openings.values():
            for subset, value in opening.statement.sums:
                seen.setdefault(subset, set()).add(value)
        if all(len(values) == 1 for values in seen.values()):
            return ""
        return self._forged_release(log, row)

    def _unsigned_roster(self, log: CountyLog, row: RoundLog) -> str:
        return self._forged_roster(log, row) if self.rng.random() < 0.03 else ""

    def ambush(self, log: CountyLog, row: RoundLog) -> None:
        """Have everybody check, so that there are two closes to choose from, and close in two histories."""
        for name in self.world.liars if row.candidates is not None else ():
            self.liar_checks(name, log, row, refuses=False)
        for auditor in self.world.honest:
            auditor.work()
        self.equivocate()

    def trap(self, victim: Auditor, other: CountyLog) -> None:
        """Have one auditor agree in its history, the rest in the other; then show the first the rest's.

        Whatever it sends there is said to be logged, so that it goes on to its opening.
        """
        victim.work()
        for _ in range(3):
            for auditor in self.world.honest:
                if auditor is not victim:
                    auditor.work()
            self.push()
        self.world.forgets_what_it_cosigned(victim)
        victim.is_flattered = True
        self.show(victim, other)
        for _ in range(2):
            victim.work()

    # -- a round that shall hang -------------------------------------------------------------------

    def strand(self, log: CountyLog, row: RoundLog) -> None:
        """Close over the checks of the liars and of as few honest auditors as can be, before others check.

        The liars say nothing from now on: whoever was not named has to agree, or the round hangs.
        """
        liars = [name for name in self.world.liars if name in row.terms.auditors]
        if row.candidates is None or not liars:
            return
        for name in liars:
            self.liar_checks(name, log, row, refuses=False)
        for auditor in self.rng.sample(self.world.honest, len(self.world.honest)):
            if len(row.checked) < row.terms.quorum:
                auditor.work()
        checked = [name for name in row.terms.auditors if name in row.checked]
        if row.close is None and len(checked) >= row.terms.quorum:
            self.close(log, row, checked)
            self.world.note(f"closed over {checked}")


def _all_but_one(names: Sequence[str]) -> list[list[str]]:
    return [[*names[:place], *names[place + 1 :]] for place in range(len(names))]
