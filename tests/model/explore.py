"""Every state that four auditors and a malicious coordinator can reach, and what can still follow from it.

The adversary is the coordinator, the fourth auditor and school `s5`. It decides whose boxes are garbled,
which checks the close of X names, who is shown which history when, which of what was sent counts where, and
when a process dies, loses its state or runs out of time. The liar's statements are there whenever they are
of use.

Checked in every state:

- two sets: no honest auditor has opened X while another (or itself) has opened Y;
- refund: if abandons enough for a refund can exist, no set can be opened by anybody;
- one vote: no honest auditor has sent two different votes or openings.

And from every state, by steps of honest auditors and a coordinator that from now on keeps to its program,
with the liar silent and nothing lost any more:

- end: if q honest auditors are present (`machine.is_present`), the round can still be released or abandoned;
- release: in fact it can still be released;
- abandon: if q honest auditors have their state and none has agreed, it can still be ended by abandons.

Honest auditors are interchangeable, so a state holds them sorted. Two histories are enough for the three
safety claims: each speaks of at most two sets, and what is signed for a third could as well not be signed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations, product
from typing import NamedTuple

from model.machine import (
    ABANDON,
    NOTHING,
    Auditor,
    Mutant,
    Seen,
    Step,
    X,
    Y,
    has_opened,
    is_present,
    steps,
)
from model.product_rules import GARBLER, HONEST, LIAR, LIAR_REFUSES, F, N, Q, Rules, T, product_rules

HISTORIES = {"X": X, "Y": Y}
TWO_SETS = "two sets are opened"
REFUND = "a set can be opened although a refund can be proven"
TWO_VOTES = "an honest auditor has sent two different answers"
NO_END = "q honest auditors are present, yet the round can neither be released nor abandoned"
NO_RELEASE = "q honest auditors are present, yet the round cannot be released"
NO_ABANDON = "no honest auditor has agreed, yet the round can never be ended by abandons"


class Bounds(NamedTuple):
    """What the adversary may do; less of it for a quick look.

    Attributes:
        forks: show history Y; `other_candidates`: also one with other candidates than X.
        losses: make auditors lose their state.
        garbling: the garbling school spoils boxes of honest auditors.
        expiry: an auditor's keys' time may be over.
    """

    forks: bool = True
    other_candidates: bool = True
    losses: bool = True
    garbling: bool = True
    expiry: bool = True


class State(NamedTuple):
    """A state of everything.

    Attributes:
        same_candidates: whether the fork Y has the candidates of X.
        closed: 0, or 1 + the place of X's set among the sets that a close can have.
        auditors: the honest auditors by number, sorted.
    """

    same_candidates: bool
    closed: int
    auditors: tuple[int, ...]


class Move(NamedTuple):
    """What led to a state: an auditor's step, or (`named`) a close that names these auditors' checks."""

    words: str
    before: int
    after: int
    named: tuple[int, ...] = ()


@dataclass
class Result:
    """What an exploration found.

    Attributes:
        num_states, num_transitions: how many were looked at.
        traces: what was violated → the steps that lead there, in words.
        counts: states by what can follow from them.
    """

    mutant: Mutant | None
    num_states: int = 0
    num_transitions: int = 0
    traces: dict[str, list[str]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def ok(self) -> bool:
        """Whether everything held."""
        return not self.traces


class Explorer:
    """One exploration, breadth first, so that every trace is a shortest one."""

    def __init__(self, mutant: Mutant | None = None, bounds: Bounds | None = None) -> None:
        self.mutant = mutant
        self.bounds = bounds or Bounds()
        self.rules: Rules = product_rules(Q - 1 if mutant is Mutant.LOW_QUORUM else Q)
        self.agrees = _verdicts(self.rules)
        self.sets = sorted(set(self.rules.sets.values()), key=lambda row: (-len(row), row))
        self.locals: list[Auditor] = []
        self._numbers: dict[Auditor, int] = {}
        self._steps: dict[tuple[int, Seen], list[tuple[Move, bool]]] = {}
        self._facts: list[tuple[bool, ...]] = []

    # -- states ------------------------------------------------------------------------------

    def number(self, auditor: Auditor) -> int:
        """Give an auditor's state its number."""
        found = self._numbers.get(auditor)
        if found is None:
            found = self._numbers[auditor] = len(self.locals)
            self.locals.append(auditor)
            self._facts.append(
                (
                    bool(auditor.checked_sent & X),
                    bool(auditor.checked_sent & Y),
                    bool(auditor.vote_sent & X),
                    bool(auditor.vote_sent & Y),
                    bool(auditor.vote_sent & ABANDON),
                    has_opened(auditor, X),
                    has_opened(auditor, Y),
                )
            )
        return found

    def initial(self) -> Iterator[State]:
        """The states before anything is signed: whose boxes are garbled, and which candidates a fork has."""
        kinds = (True, False) if self.bounds.forks and self.bounds.other_candidates else (True,)
        for num_garbled, same in product(range(len(HONEST) * self.bounds.garbling + 1), kinds):
            auditors = [self.number(Auditor(garbled=i < num_garbled)) for i in HONEST]
            yield State(same, 0, tuple(sorted(auditors)))

    def totals(self, state: State) -> list[int]:
        """Count over the honest auditors what `number` notes of each."""
        rows = [self._facts[i] for i in state.auditors]
        return [sum(column) for column in zip(*rows, strict=True)]

    # -- what may come next ------------------------------------------------------------------

    def moves(self, state: State) -> Iterator[tuple[Move, State, bool]]:
        """Give every next state, how it comes about, and whether honest parties do it by themselves."""
        yield from self._closes(state)
        checks_x, checks_y, votes_x, votes_y, *_ = self.totals(state)
        rules, forks = self.rules, self.bounds.forks
        checks_of_y = checks_x if state.same_candidates else checks_y
        for place, number in enumerate(state.auditors):
            auditor = self.locals[number]
            usable = self.is_usable(state, auditor)
            seen = Seen(
                same_candidates=state.same_candidates or not forks,
                closed=bool(state.closed),
                agrees=self.agrees.get((auditor.named, usable), False),
                usable=usable,
                open_x=rules.opens[votes_x + F],
                open_alone=rules.opens[votes_x],
                open_y=rules.opens[votes_y + F],
                closed_y=forks and (checks_of_y + F >= rules.quorum or self.mutant is Mutant.NO_CHECKED),
            )
            for move, helps in self._steps_of(number, seen):
                others = (*state.auditors[:place], *state.auditors[place + 1 :])
                yield move, state._replace(auditors=tuple(sorted((*others, move.after)))), helps

    def is_usable(self, state: State, auditor: Auditor) -> bool:
        """Whether an auditor can open every box of X's set, as far as it is fixed."""
        return not (auditor.garbled and state.closed and GARBLER in self.sets[state.closed - 1])

    def _steps_of(self, number: int, seen: Seen) -> list[tuple[Move, bool]]:
        found = self._steps.get((number, seen))
        if found is None:
            found = [
                (Move(step.words, number, self.number(step.after)), step.helps)
                for step in steps(self.locals[number], seen, self.mutant)
                if self._is_allowed(step)
            ]
            self._steps[number, seen] = found
        return found

    def _is_allowed(self, step: Step) -> bool:
        bounds = self.bounds
        return (bounds.losses or not step.is_loss) and (bounds.expiry or not step.is_expiry)

    def _closes(self, state: State) -> Iterator[tuple[Move, State, bool]]:
        """Every close of X that the log takes; the coordinator's program names all checks that it has."""
        if state.closed:
            return
        auditors = [self.locals[i] for i in state.auditors]
        if self.mutant is Mutant.NO_CHECKED:
            contents = self.sets[0]
            yield (*self._close(state, list(HONEST), contents, " over all candidates, unchecked"), True)
            return
        garbled = sum(1 << i for i, row in enumerate(auditors) if row.garbled)
        available = [i for i, row in enumerate(auditors) if row.checked_sent & X]
        for size in range(len(available) + 1):
            for chosen in combinations(available, size):
                mask = sum(1 << i for i in chosen)
                for liar, refused in ((0, ""), *((1 << LIAR, school) for school in LIAR_REFUSES)):
                    contents = self.rules.sets.get((garbled, mask | liar, refused), ())
                    if contents:
                        also = f" and the liar's (which refuses {refused or 'nothing'})" if liar else ""
                        helps = not liar and len(chosen) == len(available)
                        yield (*self._close(state, list(chosen), contents, also), helps)

    def _close(
        self, state: State, chosen: list[int], contents: tuple[str, ...], also: str
    ) -> tuple[Move, State]:
        after = list(state.auditors)
        for i in chosen:
            row = self.locals[after[i]]
            after[i] = after[i] if row.lost else self.number(row._replace(named=True))
        closed = 1 + self.sets.index(contents)
        words = f"the coordinator closes X{also}: S = {', '.join(contents)}"
        move = Move(words, -1, -1, tuple(state.auditors[i] for i in chosen))
        return move, State(state.same_candidates, closed, tuple(sorted(after)))

    # -- claims ------------------------------------------------------------------------------

    def violated(self, state: State) -> list[str]:
        """Name the safety claims that a state violates."""
        *_, abandons, opened_x, opened_y = self.totals(state)
        found = [TWO_SETS] if opened_x and opened_y else []
        if self.rules.is_refundable[abandons + F] and max(opened_x, opened_y) + F >= T:
            found.append(REFUND)
        for number in state.auditors:
            row = self.locals[number]
            if row.vote_sent.bit_count() > 1 or row.opening_sent.bit_count() > 1:
                found.append(TWO_VOTES)
                break
        return found

    def is_released(self, state: State) -> bool:
        """Whether the log takes a release of X from what honest auditors have sent, the liar silent."""
        mask = sum(1 << i for i, n in enumerate(state.auditors) if self.locals[n].opening_sent & X)
        return self.rules.releases[mask, ""][0]

    def is_ended(self, state: State) -> bool:
        """Whether honest auditors' abandons alone end the round in the log."""
        return self.rules.is_over[self.totals(state)[4]]

    def num_present(self, state: State) -> int:
        """Count the honest auditors that take part in X."""
        rows = [self.locals[i] for i in state.auditors]
        return sum(is_present(row, bool(state.closed), self.is_usable(state, row)) for row in rows)

    def num_up(self, state: State) -> int:
        """Count the honest auditors that have their state."""
        return sum(not self.locals[i].lost for i in state.auditors)

    def has_agreed(self, state: State) -> bool:
        """Whether an honest auditor has written or sent an agreement to any close."""
        rows = [self.locals[i] for i in state.auditors]
        return any(row.vote in (X, Y) or row.vote_sent & (X | Y) for row in rows)

    def absences(self, state: State) -> str:
        """Say why honest auditors are not present, for the statistics."""
        reasons = set()
        for number in state.auditors:
            row = self.locals[number]
            if row.lost:
                reasons.add("lost")
            elif row.vote == Y or (row.checked == Y and not state.closed):
                reasons.add("signed for the fork")
            elif not (row.named or self.is_usable(state, row)):
                reasons.add("left out, with a garbled box in the set")
            elif row.vote == ABANDON or row.opening not in (NOTHING, X):
                reasons.add("out of time")
        return ", ".join(sorted(reasons)) or "none"


def _verdicts(rules: Rules) -> dict[tuple[bool, bool], bool]:
    """Read from the tables on what an agreement depends: being named, and being able to answer for S.

    Raises:
        RuntimeError: on more than that; the model must then know more.
    """
    found: dict[tuple[bool, bool], bool] = {}
    for (garbled, named, refused, auditor), agrees in rules.agrees.items():
        usable = not (garbled >> auditor & 1 and GARBLER in rules.sets[garbled, named, refused])
        key = (bool(named >> auditor & 1), usable)
        if found.setdefault(key, agrees) != agrees:
            raise RuntimeError(f"the product agrees or not for (named, usable) = {key}: refine the model")
    return found


def explore(mutant: Mutant | None = None, bounds: Bounds | None = None, stop_at: str | None = None) -> Result:
    """Explore everything within the bounds and check every claim.

    Args:
        mutant: leave this reason out.
        bounds: what the adversary may do.
        stop_at: stop at the first state that violates this safety claim.
    """
    explorer = Explorer(mutant, bounds)
    result = Result(mutant)
    numbers: dict[State, int] = {}
    order: list[State] = []
    parents: list[tuple[int, Move] | None] = []
    helped_by: list[list[int]] = []

    def visit(state: State, parent: tuple[int, Move] | None) -> int:
        number = numbers.get(state)
        if number is None:
            number = numbers[state] = len(order)
            order.append(state)
            parents.append(parent)
            helped_by.append([])
        return number

    for state in explorer.initial():
        visit(state, None)
    here = 0
    while here < len(order):
        for claim in explorer.violated(order[here]):
            if claim not in result.traces:
                result.traces[claim] = _trace(explorer, order, parents, here)
        if stop_at in result.traces:
            break
        for move, state, helps in explorer.moves(order[here]):
            result.num_transitions += 1
            there = visit(state, (here, move))
            if helps:
                helped_by[there].append(here)
        here += 1
    result.num_states = len(order)
    if stop_at not in result.traces:
        _check_progress(explorer, order, parents, helped_by, result)
    return result


def _check_progress(
    explorer: Explorer,
    order: list[State],
    parents: list[tuple[int, Move] | None],
    helped_by: list[list[int]],
    result: Result,
) -> None:
    """Go back from the ends along honest steps, then look at every state."""
    can_release = _reach([i for i, row in enumerate(order) if explorer.is_released(row)], helped_by)
    can_end = _reach([i for i, row in enumerate(order) if explorer.is_ended(row)], helped_by)
    for i, state in enumerate(order):
        present = explorer.num_present(state) >= explorer.rules.quorum
        undecided = explorer.num_up(state) >= explorer.rules.quorum and not explorer.has_agreed(state)
        claims = [NO_RELEASE] if present and not can_release[i] else []
        claims += [NO_END] if present and not (can_release[i] or can_end[i]) else []
        claims += [NO_ABANDON] if undecided and not can_end[i] else []
        for claim in claims:
            if claim not in result.traces:
                result.traces[claim] = _trace(explorer, order, parents, i)
        if can_release[i] or can_end[i]:
            which = (
                "release" * can_release[i] + " or " * (can_release[i] and can_end[i]) + "abandon" * can_end[i]
            )
            result.counts[f"{which} in reach"] += 1
        else:
            result.counts[f"neither in reach; honest auditors absent: {explorer.absences(state)}"] += 1


def _reach(goals: list[int], helped_by: list[list[int]]) -> list[bool]:
    """Mark every state from which a goal can be reached."""
    found = [False] * len(helped_by)
    for goal in goals:
        found[goal] = True
    stack = list(goals)
    while stack:
        for before in helped_by[stack.pop()]:
            if not found[before]:
                found[before] = True
                stack.append(before)
    return found


def _trace(
    explorer: Explorer, order: list[State], parents: list[tuple[int, Move] | None], end: int
) -> list[str]:
    """Tell how a state comes about, each honest auditor under one name throughout."""
    moves: list[Move] = []
    here = end
    while (parent := parents[here]) is not None:
        here, move = parent
        moves.append(move)
    start = order[here]
    who = list(start.auditors)
    lines = [_opening_line(explorer, start)]
    for move in reversed(moves):
        lines.append(_tell(explorer, who, move))
    return [*lines, _closing_line(explorer, who)]


def _opening_line(explorer: Explorer, start: State) -> str:
    victims = [f"a{i + 1}" for i, number in enumerate(start.auditors) if explorer.locals[number].garbled]
    boxes = f"school {GARBLER} garbles the boxes of {', '.join(victims)}" if victims else "no box is garbled"
    fork = f"; a fork Y has {'the same' if start.same_candidates else 'other'} candidates"
    return f"{boxes}; a{N} lies{fork * explorer.bounds.forks}"


def _closing_line(explorer: Explorer, who: list[int]) -> str:
    """Say where the honest auditors stand."""
    found = []
    for place, number in enumerate(who):
        row = explorer.locals[number]
        facts = ["has lost its state"] * row.lost + ["a garbled box"] * row.garbled
        facts += [f"agreed to {name}" for name, history in HISTORIES.items() if row.vote == history]
        facts += ["abandoned"] * (row.vote == ABANDON)
        facts += [f"opened {name}" for name, history in HISTORIES.items() if has_opened(row, history)]
        found.append(f"a{place + 1}: {', '.join(facts) or 'undecided'}")
    return "; ".join(found)


def _tell(explorer: Explorer, who: list[int], move: Move) -> str:
    """Put one move into words and bring `who` (auditor → its state) up to date."""
    if move.before >= 0:
        place = who.index(move.before)
        who[place] = move.after
        return f"a{place + 1} {move.words}"
    named = []
    for number in move.named:
        place = next(i for i, row in enumerate(who) if row == number and i not in named)
        named.append(place)
    for place in named:
        row = explorer.locals[who[place]]
        who[place] = who[place] if row.lost else explorer.number(row._replace(named=True))
    if explorer.mutant is Mutant.NO_CHECKED:
        return move.words
    checks = ", ".join(f"a{place + 1}" for place in sorted(named))
    return move.words.replace("closes X", f"closes X over the checks of {checks or 'no honest auditor'}", 1)
