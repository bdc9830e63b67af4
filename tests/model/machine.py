"""One honest auditor of the model: what it has written and sent, and what it may do next.

Two histories of the log are shown: X, the one that goes on, and Y, a fork with another close and perhaps
other candidates. An auditor may be shown either at any moment: its copy of the log and what it cosigned are
taken for lost, so that only its once-only slots are left to rely on. Y is not kept entry by entry: everything
that was ever sent for it counts, which gives the adversary more than any one history could hold.

A step ends at each durable write and at each send, and the process may die between any two of them:

    work out what to sign → [write to the slot] → [send]

What is lost, doubled or late on the way is covered by sending being separate from writing, by sending again
whatever a slot holds, and by the adversary using what was sent whenever it likes. The guards are the tables
of `model.product_rules`; that the real auditor takes the same steps is for `model.replay`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import NamedTuple

X, Y, ABANDON = 1, 2, 4
NOTHING, GIVEN_UP = 0, 4
_NAMES = {X: "X", Y: "Y"}


class Mutant(Enum):
    """A protocol that leaves out one of the reasons why it is safe or goes on."""

    WRITE_AFTER_SEND = "write-after-send"
    NO_CHECKED = "no-checked"
    LOW_QUORUM = "low-quorum"
    RESTORED_SIGNS = "restored-signs"
    NAMED_ONLY = "named-only"


class Pending(NamedTuple):
    """The half of a write-and-send that a running process has yet to do; a crash forgets it."""

    slot: str
    value: int


class Auditor(NamedTuple):
    """One honest auditor. `*_sent` are bit sets of X, Y, ABANDON: what the adversary holds of it.

    Attributes:
        garbled: whether the garbling school's box for it does not open.
        checked, vote, opening: its slots; GIVEN_UP in `opening`: keys destroyed unopened.
        named: whether the close of X names its check.
        pending: what its process is in the middle of.
        lost: its state is lost or was restored: the instance id differs, it abstains.
    """

    garbled: bool = False
    checked: int = NOTHING
    checked_sent: int = 0
    named: bool = False
    vote: int = NOTHING
    vote_sent: int = 0
    opening: int = NOTHING
    opening_sent: int = 0
    pending: Pending | None = None
    lost: bool = False


class Seen(NamedTuple):
    """What the histories can show an auditor now.

    Attributes:
        same_candidates: whether the fork has the candidates of X, so that one check serves both.
        closed: whether X has a close.
        agrees: whether the product agrees to that close with this auditor's check, made late if need be.
        usable: whether this auditor can open every box of X's set.
        open_x, open_y: whether agreements enough for an opening can be shown.
        open_alone: whether there are enough of X without the liar's.
        closed_y: whether checks enough for a close of Y were sent.
    """

    same_candidates: bool
    closed: bool
    agrees: bool
    usable: bool
    open_x: bool
    open_alone: bool
    open_y: bool
    closed_y: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what happens, in words, and the auditor afterwards.

    Attributes:
        helps: whether an honest auditor does it by itself when it is shown history X only.
        is_loss, is_expiry: whether its state is lost, or its keys' time is over.
    """

    words: str
    after: Auditor
    helps: bool
    is_loss: bool = False
    is_expiry: bool = False


@cache
def steps(auditor: Auditor, seen: Seen, mutant: Mutant | None) -> tuple[Step, ...]:
    """List everything that may happen to an auditor next."""
    if auditor.lost:
        return ()
    lost = ("loses its state or is restored from a copy: abstains from now on", _lose(auditor))
    if mutant is Mutant.RESTORED_SIGNS:
        lost = ("is restored from an old copy, without its slots, and signs on", _forget(auditor))
    found = [Step(*lost, helps=False, is_loss=True)]
    if auditor.pending is not None:
        after = _complete(auditor, mutant)
        verb = "writes to the slot" if mutant is Mutant.WRITE_AFTER_SEND else "sends"
        found.append(Step(f"{verb} {_say(*auditor.pending)}", after, True))
        crash = f"dies before it {verb} {_say(*auditor.pending)}, and is started again"
        found.append(Step(crash, auditor._replace(pending=None), False))
        return tuple(found)
    found += _resends(auditor)
    found += _checks(auditor, seen, mutant)
    found += _votes(auditor, seen, mutant)
    found += _openings(auditor, seen, mutant)
    return tuple(found)


def _checks(auditor: Auditor, seen: Seen, mutant: Mutant | None) -> list[Step]:
    if auditor.checked or auditor.opening == GIVEN_UP or mutant is Mutant.NO_CHECKED:
        return []
    found = []
    if not seen.closed:
        found.append(_sign(auditor, "checked", X, mutant, helps=True))
    if not seen.same_candidates:
        found.append(_sign(auditor, "checked", Y, mutant, helps=False))
    return found


def _votes(auditor: Auditor, seen: Seen, mutant: Mutant | None) -> list[Step]:
    if auditor.vote:
        return []
    found = []
    if seen.closed:
        agrees = mutant is Mutant.NO_CHECKED or (
            seen.agrees and (auditor.named or mutant is not Mutant.NAMED_ONLY)
        )
        why = "" if agrees else "cannot agree to close X: "
        found.append(_sign(auditor, "vote", X if agrees else ABANDON, mutant, helps=True, why=why))
    if seen.closed_y:
        found.append(_sign(auditor, "vote", Y, mutant, helps=False, why="is shown the fork with close Y: "))
    expired = _sign(auditor, "vote", ABANDON, mutant, helps=True)
    found.append(Step(f"is out of time: {expired.words}", expired.after, True, is_expiry=True))
    return found


def _openings(auditor: Auditor, seen: Seen, mutant: Mutant | None) -> list[Step]:
    if auditor.opening or auditor.vote not in (X, Y):
        return []
    given_up = auditor._replace(opening=GIVEN_UP)
    found = [Step("is out of time: destroys its keys unopened", given_up, False, is_expiry=True)]
    if not auditor.vote_sent & auditor.vote:
        return found
    if auditor.vote == X and seen.open_x and seen.usable:
        why = "" if seen.open_alone else "is shown the liar's agreement too: "
        found.append(_sign(auditor, "opening", X, mutant, helps=seen.open_alone, why=why))
    if auditor.vote == Y and seen.open_y and not (mutant is Mutant.NO_CHECKED and auditor.garbled):
        why = "is shown the fork, where the liar agrees too: "
        found.append(_sign(auditor, "opening", Y, mutant, helps=False, why=why))
    return found


def _sign(
    auditor: Auditor, slot: str, value: int, mutant: Mutant | None, *, helps: bool, why: str = ""
) -> Step:
    """Work out a statement and do the first half of writing and sending it."""
    pending = Pending(slot, value)
    if mutant is Mutant.WRITE_AFTER_SEND:
        after = sent(auditor, slot, value)._replace(pending=pending)
        return Step(f"{why}sends {_say(slot, value)}", after, helps)
    return Step(f"{why}writes to the slot {_say(slot, value)}", written(auditor, slot, value, pending), helps)


def _complete(auditor: Auditor, mutant: Mutant | None) -> Auditor:
    if auditor.pending is None:
        return auditor
    slot, value = auditor.pending
    idle = auditor._replace(pending=None)
    return written(idle, slot, value) if mutant is Mutant.WRITE_AFTER_SEND else sent(idle, slot, value)


def _resends(auditor: Auditor) -> list[Step]:
    """What a slot holds and a crash kept from being sent."""
    found = []
    for slot in ("checked", "vote", "opening"):
        value = getattr(auditor, slot)
        is_statement = value in (X, Y) or (slot == "vote" and value == ABANDON)
        if is_statement and not getattr(auditor, f"{slot}_sent") & value:
            found.append(Step(f"sends {_say(slot, value)} from its slot", sent(auditor, slot, value), True))
    return found


def written(auditor: Auditor, slot: str, value: int, pending: Pending | None = None) -> Auditor:
    """The auditor with a value in one of its slots."""
    values = {"checked": auditor.checked, "vote": auditor.vote, "opening": auditor.opening, slot: value}
    checked, vote, opening = values.values()
    return auditor._replace(checked=checked, vote=vote, opening=opening, pending=pending)


def sent(auditor: Auditor, slot: str, value: int) -> Auditor:
    """The auditor after it has sent what one of its slots holds."""
    if slot == "checked":
        return auditor._replace(checked_sent=auditor.checked_sent | value)
    if slot == "vote":
        return auditor._replace(vote_sent=auditor.vote_sent | value)
    return auditor._replace(opening_sent=auditor.opening_sent | value)


def _forget(auditor: Auditor) -> Auditor:
    return auditor._replace(checked=NOTHING, vote=NOTHING, opening=NOTHING, pending=None)


def _lose(auditor: Auditor) -> Auditor:
    return _forget(auditor)._replace(lost=True, named=False)


def _say(slot: str, value: int) -> str:
    if value == ABANDON:
        return "its abandon"
    if slot == "checked":
        return f"its check of the candidates of {_NAMES[value]}"
    if slot == "vote":
        return f"its agreement to close {_NAMES[value]}"
    return f"its opening of set {_NAMES[value]}"


def has_opened(auditor: Auditor, history: int) -> bool:
    """Whether an auditor has written or sent an opening of a history's set."""
    return auditor.opening == history or bool(auditor.opening_sent & history)


def is_present(auditor: Auditor, closed: bool, usable: bool) -> bool:
    """Whether an auditor takes part in X: state kept, keys in time, slots for X.

    Args:
        auditor: the auditor.
        closed: whether X has a close; its check must then be named, or its boxes of the set all open.
        usable: whether they do.
    """
    follows = auditor.vote in (NOTHING, X) and auditor.opening in (NOTHING, X)
    able = (auditor.named or usable) if closed else auditor.checked != Y
    return not auditor.lost and follows and able
