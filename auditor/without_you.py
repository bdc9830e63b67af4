"""Say what came into force without this auditor: a roster, or a later deadline that others granted.

Nothing is to sign any more, and nothing is wrong: a quorum is enough. It is told so that a key keeper looks.
Reads this auditor's own copy of the log; asks nobody.
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.context import Context
from crypto.note import parse_note, verified_by
from plan.errors import Phrase, phrase


def without_you(context: Context) -> Iterator[Phrase]:
    """Yield a line for the roster in force, and for each round that still collects under a later deadline."""
    yield from _roster(context)
    for row in context.ledger.rounds.values():
        changes = row.changes
        if not changes.extensions or row.candidates is not None or row.is_dead:
            continue
        newest = changes.extensions[-1]
        granted = changes.extended.get(newest.digest, {})
        if (
            context.id in row.terms.auditors
            and context.id not in granted
            and changes.pending(row.terms) is None
        ):
            yield phrase(
                "plan %(serial)s: its deadline is %(closes)s UTC by the grant of %(names)s, without yours",
                serial=row.terms.serial,
                closes=f"{newest.statement.closes:%Y-%m-%d %H:%M}",
                names=", ".join(granted),
            )


def _roster(context: Context) -> Iterator[Phrase]:
    """The auditors of the roster before sign the next one; the first is pinned by the card."""
    states = context.ledger.roster_chain
    if len(states) < 2:
        return
    before, now = states[-2], states[-1]
    own = before.body.auditor(context.id)
    note = parse_note(context.mirror.entries[now.index][0])
    if own is None or verified_by(note, (own.statement,)):
        return
    old, new = ({node.id for node in state.body.nodes} for state in (before, now))
    yield phrase(
        "roster %(serial)s is in force without your signature: schools +%(added)s, -%(removed)s; look at it "
        "and ask the other auditors",
        serial=now.statement.serial,
        added=len(new - old),
        removed=len(old - new),
    )
