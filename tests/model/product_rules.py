"""What the product's own functions say about every situation of the model, as tables.

A real round of six schools and four auditors is brought to its candidates once; every table below comes from
a call of `protos.round_log`, `auditor.agree` or `coordinator.round` on a copy of it. The model's guards are
these tables, so a rule that changes in the product changes the model.

Auditors 0, 1, 2 are honest, 3 lies. School `s5` garbles boxes; the liar's check refuses nothing, `s5`, `s6`.
"""

from __future__ import annotations

import hashlib
from contextlib import nullcontext
from copy import copy
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from fakes_auditors import FakeCounty, joined_county

from auditor.agree import verify_close
from auditor.errors import RefusalError
from coordinator.errors import ReplicaMismatchError
from coordinator.round import choose_openers
from crypto.errors import ParameterError
from crypto.replication import validate_parameters
from protos.bodies import (
    CloseBody,
    Refusal,
    encode_checked_body,
    encode_close_body,
    parse_checked_body,
)
from protos.errors import LedgerError
from protos.round_log import (
    Logged,
    RoundLog,
    RoundState,
    candidates_for,
    check_close,
    check_opening,
    check_release,
    check_vote,
    closed_set,
)
from protos.statements import (
    Abandon,
    Agreement,
    Checked,
    Close,
    Opening,
    Statement,
    body_ref,
    digest,
    encode_statement,
)

N, T, F, Q = 4, 3, 1, 3
HONEST = range(N - F)
LIAR = N - 1
GARBLER, OTHER = "s5", "s6"
LIAR_REFUSES: tuple[str, ...] = ("", GARBLER, OTHER)
_REFUSED_AS = "box-unopenable"


@dataclass(frozen=True, slots=True)
class Rules:
    """The tables, for one quorum.

    Attributes:
        quorum: q.
        is_allowed: whether the product allows (4, 3, 1, q).
        sets: (honest auditors with garbled boxes, auditors named, the liar's refusal) → S, where the log
            takes such a close; bit masks of auditors, names of schools.
        agrees: the same key and an honest auditor → whether it agrees to that close; where it is not named,
            the same with its check in its slot and with one made late.
        opens: whether an opening may follow k agreements, by k.
        is_over: whether k abandons end the round in the log, by k.
        is_refundable: whether k abandons give schools their charge back, by k.
        releases: (honest openings, the liar's: "", "right" or "wrong") → whether the log takes a release of
            the right ones, and whether the coordinator by itself picks them.
    """

    quorum: int
    is_allowed: bool
    sets: dict[tuple[int, int, str], tuple[str, ...]]
    agrees: dict[tuple[int, int, str, int], bool]
    opens: tuple[bool, ...]
    is_over: tuple[bool, ...]
    is_refundable: tuple[bool, ...]
    releases: dict[tuple[int, str], tuple[bool, bool]]


@cache
def product_rules(quorum: int = Q) -> Rules:
    """Ask the product everything."""
    desk = _Desk(quorum)
    sets: dict[tuple[int, int, str], tuple[str, ...]] = {}
    agrees: dict[tuple[int, int, str, int], bool] = {}
    for garbled, named, refused in product(range(1 << len(HONEST)), range(1 << N), LIAR_REFUSES):
        round_log = desk.close(garbled, named, refused)
        if round_log is None:
            continue
        body = round_log.close_body()
        sets[garbled, named, refused] = tuple(name.node for name in body.set) if body else ()
        for auditor in HONEST:
            agrees[garbled, named, refused, auditor] = desk.agrees(round_log, auditor)
    counts = range(N + 1)
    return Rules(
        quorum=quorum,
        is_allowed=_is_allowed(quorum),
        sets=sets,
        agrees=agrees,
        opens=tuple(desk.opens(k) for k in counts),
        is_over=tuple(desk.abandoned(k).can_never_open for k in counts),
        is_refundable=tuple(desk.abandoned(k).is_refundable for k in counts),
        releases={
            (honest, liar): desk.releases(honest, liar)
            for honest, liar in product(range(1 << len(HONEST)), ("", "right", "wrong"))
        },
    )


def _is_allowed(quorum: int) -> bool:
    try:
        validate_parameters(N, T, F, quorum)
    except ParameterError:
        return False
    return True


def _agrees(context: Any, round_log: RoundLog, checked: Any) -> bool:
    try:
        verify_close(context, round_log, checked)
    except RefusalError:
        return False
    return True


@cache
def _county() -> tuple[FakeCounty, bytes]:
    county = joined_county()
    round_id = county.publish_plan()
    county.approve(round_id)
    for node in sorted(county.nodes):
        county.report(node, round_id)
    county.fix_candidates(round_id)
    return county, round_id


def _logged(statement: Statement, body: bytes = b"") -> Logged[Any]:
    text = encode_statement(statement)
    return Logged(statement, text, digest(text), 1_000, body)


class _Desk:
    """Copies of one real round, with statements put in by hand."""

    def __init__(self, quorum: int) -> None:
        self.county, self.round_id = _county()
        plan = self.county.round(self.round_id).plan
        self.plan = replace(plan, statement=replace(plan.statement, quorum=quorum))
        self.is_mutant = quorum != plan.statement.quorum
        self.names = plan.statement.auditors

    def fresh(self) -> RoundLog:
        """The round at its candidates, with nothing after them."""
        round_log = copy(self.county.round(self.round_id))
        round_log.plan = self.plan
        round_log.checked, round_log.agreements = {}, {}
        round_log.abandons, round_log.openings = {}, {}
        return round_log

    def close(self, garbled: int, named: int, refused: str) -> RoundLog | None:
        """The round after all have checked and the coordinator has closed it; None where the log refuses."""
        round_log = self.fresh()
        for auditor in (*HONEST, LIAR):
            school = refused if auditor == LIAR else GARBLER if garbled >> auditor & 1 else ""
            self._check(round_log, auditor, school)
        chosen = [name for i, name in enumerate(self.names) if named >> i & 1]
        contents = closed_set(round_log, chosen)
        close = self._close_statement(round_log, chosen, contents)
        body = encode_close_body(contents)
        try:
            check_close(round_log, close, body)
        except LedgerError:
            return None
        round_log.close = _logged(close, body)
        return round_log

    def _check(self, round_log: RoundLog, auditor: int, school: str) -> None:
        refusals = [Refusal(name, _REFUSED_AS) for name in round_log.candidate_names() if name.node == school]
        body = encode_checked_body(refusals)
        candidates = round_log.candidates
        statement = Checked(
            federation=self.plan.statement.federation,
            round=self.round_id,
            auditor=self.names[auditor],
            candidates=candidates.digest if candidates else bytes(32),
            body=body_ref(body),
        )
        round_log.checked[self.names[auditor]] = _logged(statement, body)

    def _close_statement(self, round_log: RoundLog, chosen: list[str], contents: CloseBody) -> Close:
        candidates = round_log.candidates
        return Close(
            federation=self.plan.statement.federation,
            round=self.round_id,
            candidates=candidates.digest if candidates else bytes(32),
            checked=tuple((name, round_log.checked[name].digest) for name in chosen),
            tier=0,
            reports=len(contents.set),
            body=body_ref(encode_close_body(contents)),
        )

    def agrees(self, round_log: RoundLog, auditor: int) -> bool:
        """Whether an auditor agrees to the close, given what it refuses.

        Raises:
            RuntimeError: it depends on whether its check was made before the close or late.

        The product refuses a whole plan with another quorum than its document's; groups do not depend on
        it, so for a mutant that one look into the document is taken as passed.
        """
        name = self.names[auditor]
        revoked: dict[str, int] = {}
        ledger = SimpleNamespace(candidates_for=lambda _id, size: candidates_for(round_log, size, revoked))
        context: Any = SimpleNamespace(id=name, ledger=ledger)
        own: Any = round_log.checked[name]
        late = patch("auditor.agree.find_refusals", return_value=parse_checked_body(own.body))
        groups = patch("auditor.agree.small_groups", return_value=()) if self.is_mutant else nullcontext()
        with late, groups:
            answers = {_agrees(context, round_log, own)}
            if round_log.close and name not in dict(round_log.close.statement.checked):
                answers.add(_agrees(context, round_log, None))
        if len(answers) != 1:
            raise RuntimeError(f"{name} decides otherwise after a late check")
        return answers.pop()

    def _closed(self) -> RoundLog:
        round_log = self.close(0, (1 << N) - 1, "")
        if round_log is None or round_log.close is None:
            raise RuntimeError("a close over all checks is refused")
        return round_log

    def agreed(self, count: int) -> RoundLog:
        """A closed round with k agreements."""
        round_log = self._closed()
        close = round_log.close
        for name in self.names[:count]:
            vote = Agreement(
                self.plan.statement.federation, self.round_id, name, close.digest if close else b""
            )
            check_vote(round_log, vote)
            round_log.agreements[name] = _logged(vote)
        return round_log

    def abandoned(self, count: int) -> RoundLog:
        """A round with k abandons."""
        round_log = self.fresh()
        for name in self.names[:count]:
            vote = Abandon(self.plan.statement.federation, self.round_id, name, bytes(32), "expired")
            check_vote(round_log, vote)
            round_log.abandons[name] = _logged(vote)
        return round_log

    def opens(self, count: int) -> bool:
        """Whether an opening may follow k agreements."""
        round_log = self.agreed(count)
        try:
            check_opening(round_log, self._opening(round_log, self.names[0], ""))
        except LedgerError as err:
            if err.code != "not-agreed":
                raise
            return False
        return True

    def _opening(self, round_log: RoundLog, name: str, lie: str) -> Opening:
        sums = {
            subset: hashlib.sha256(f"{subset}{lie}".encode()).digest()
            for subset in round_log.subsets_of(name)
        }
        opening = self.county.opening_statement(name, self.round_id, sums)
        return replace(opening, close=round_log.close.digest if round_log.close else bytes(32))

    def releases(self, honest: int, liar: str) -> tuple[bool, bool]:
        """Whether the log takes a release of the right openings, and whether the coordinator picks them."""
        round_log = self.agreed(N)
        openers = [self.names[i] for i in HONEST if honest >> i & 1]
        for name in openers:
            round_log.openings[name] = _logged(self._opening(round_log, name, ""))
        if liar:
            lie = " of the liar" if liar == "wrong" else ""
            name = self.names[LIAR]
            round_log.openings[name] = _logged(self._opening(round_log, name, lie))
            openers += [name] if liar == "right" else []
        return self._takes_release(round_log, openers), self._decides(round_log, openers)

    def _takes_release(self, round_log: RoundLog, openers: list[str]) -> bool:
        if round_log.state is not RoundState.UNSEALED or len(openers) < T:
            return False
        scratch = copy(self.county)
        scratch.ledger = SimpleNamespace(rounds={self.round_id: round_log})  # type: ignore[assignment]
        statement, body = scratch.release_statement(self.round_id, openers)
        try:
            check_release(round_log, statement, body)
        except LedgerError as err:
            return err.code == "wrong-tables"  # checked last: the fake's zeros do not fit this plan's tables
        return True

    def _decides(self, round_log: RoundLog, openers: list[str]) -> bool:
        if len(round_log.openings) < T:
            return False
        try:
            return set(choose_openers(round_log)) <= set(openers)
        except ReplicaMismatchError:
            return False
