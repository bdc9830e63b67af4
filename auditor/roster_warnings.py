"""What a person should be warned of before signing a roster that the rules allow.

The log's rules refuse forged keys, second successors and returning keys (`protos.roster_chain`). They cannot
know whether a school exists, why an auditor leaves, or whose hand a new key is in: that is for people, by
telephone. Each warning has a stable code and says what to ask.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from crypto.fingerprint import fingerprint_words
from plan.errors import Phrase, phrase
from protos.bodies import RosterBody, RosterNode
from protos.card import fingerprint

FEWEST_OUTSIDE = 2  # auditors outside the county's own line: with fewer, the county may hold a quorum's keys
MANY_SHARE = 5  # a fifth of the schools at once is many
FEWEST_MANY = 5


@dataclass(frozen=True, slots=True)
class RosterWarning:
    """One thing to ask about before signing.

    Attributes:
        code: stable English word.
        words: what is so, and what to ask whom.
    """

    code: str
    words: Phrase


def roster_warnings(
    old: RosterBody | None, new: RosterBody, quorum: tuple[int, int], auditor_id: str
) -> tuple[RosterWarning, ...]:
    """List what to ask about before signing.

    Args:
        old: the roster in force; None at genesis.
        new: the proposed one.
        quorum: before and after; before is 0 at genesis.
        auditor_id: this auditor.
    """
    found = [*_auditors(old, new, auditor_id), *_sides(old, new), *_rules(old, new, quorum)]
    return tuple(found if old is None else [*found, *_schools(old, new), *_county(old, new)])


def _auditors(old: RosterBody | None, new: RosterBody, auditor_id: str) -> Iterator[RosterWarning]:
    before = {row.id for row in old.auditors} if old else set()
    left = sorted(before - {row.id for row in new.auditors})
    if auditor_id in left:
        words = phrase("it takes YOU out of the auditors; ask the county why before you sign")
        yield RosterWarning("own-removed", words)
    if left and old and len(new.auditors) < len(old.auditors):
        words = phrase(
            "fewer auditors than before, %(before)s → %(after)s; %(names)s leave: ask them by telephone",
            before=len(old.auditors),
            after=len(new.auditors),
            names=", ".join(left),
        )
        yield RosterWarning("fewer-auditors", words)
    elif left:
        words = phrase("%(names)s leave the auditors: ask them by telephone", names=", ".join(left))
        yield RosterWarning("auditors-leave", words)
    for row in new.auditors if old else ():
        if row.id not in before:
            line = fingerprint(row.statement.text)
            words = phrase(
                "%(id)s (%(operator)s) is a new auditor: have that institution read out its key's words, "
                "%(line)s, %(zh)s / %(en)s",
                id=row.id,
                operator=row.operator,
                line=line,
                zh=" ".join(fingerprint_words(line, "zh")),
                en=" ".join(fingerprint_words(line, "en")),
            )
            yield RosterWarning("new-auditor", words)


def _sides(old: RosterBody | None, new: RosterBody) -> Iterator[RosterWarning]:
    outside, before = _num_outside(new), _num_outside(old) if old else FEWEST_OUTSIDE
    if outside < min(before, FEWEST_OUTSIDE) or (old and outside < before):
        words = phrase(
            "%(number)s auditors are outside the county's own line, should be at least %(least)s",
            number=outside,
            least=FEWEST_OUTSIDE,
        )
        yield RosterWarning("few-outside", words)
    shared = [name for name, count in Counter(row.operator for row in new.auditors).items() if count > 1]
    if shared:
        words = phrase("%(names)s holds the keys of more than one auditor", names=", ".join(shared))
        yield RosterWarning("shared-operator", words)


def _num_outside(body: RosterBody) -> int:
    return sum(row.is_outside for row in body.auditors)


def _rules(old: RosterBody | None, new: RosterBody, quorum: tuple[int, int]) -> Iterator[RosterWarning]:
    before, after = quorum
    if after < before:
        words = phrase("the quorum falls, %(before)s → %(after)s", before=before, after=after)
        yield RosterWarning("lower-quorum", words)
    for row in new.tuples:
        if old is None or row in old.tuples:
            continue
        if any(number < min(known[place] for known in old.tuples) for place, number in enumerate(row)):
            words = phrase(
                "plans may now use (n,t,f,q) = %(row)s, lower than any so far: ask why", row=str(row)
            )
            yield RosterWarning("lower-tuple", words)


def _schools(old: RosterBody, new: RosterBody) -> Iterator[RosterWarning]:
    before = {row.id: row for row in old.nodes}
    after = {row.id: row for row in new.nodes}
    many = max(FEWEST_MANY, len(before) // MANY_SHARE)
    added, left = len(after.keys() - before.keys()), len(before.keys() - after.keys())
    if added >= many:
        words = phrase(
            "%(number)s schools are new at once: compare them with the official list of schools", number=added
        )
        yield RosterWarning("many-new-schools", words)
    if left >= many:
        words = phrase("%(number)s schools leave at once: ask some of them by telephone", number=left)
        yield RosterWarning("many-schools-leave", words)
    renewed = [name for name, row in after.items() if name in before and row.master != before[name].master]
    if renewed:
        words = phrase(
            "new secrets of schools (each school year once, and when a computer was replaced): %(names)s",
            names=", ".join(renewed),
        )
        yield RosterWarning("new-masters", words)


def _county(old: RosterBody, new: RosterBody) -> Iterator[RosterWarning]:
    if (old.log, old.coordinator, old.ca) != (new.log, new.coordinator, new.ca):
        words = phrase("the county changes its own keys: ask by telephone who decided it and why")
        yield RosterWarning("county-keys", words)


def node_changes(old: RosterNode, new: RosterNode) -> tuple[Phrase, ...]:
    """Say what changes of a school that stays: key, secret, attributes, who it takes over."""
    found: list[Phrase] = []
    if old.report != new.report:
        found.append(phrase("a new key, as its old one says"))
    if old.master != new.master:
        found.append(phrase("a new secret"))
    before, after = dict(old.attributes), dict(new.attributes)
    for name in dict.fromkeys((*before, *after)):
        was, now = before.get(name, "—"), after.get(name, "—")
        if was != now:
            found.append(phrase("%(name)s: %(before)s → %(after)s", name=name, before=was, after=now))
    if old.succeeds != new.succeeds:
        found.append(phrase("takes over %(names)s", names=", ".join(new.succeeds) or "—"))
    return tuple(found)
