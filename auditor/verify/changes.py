"""Check what changed in rounds after their plans: deadlines, ends by the county, corrections of releases.

The ledger has let each entry in already (check "entries"); here the same is derived again from the list of
statements alone, and who reads the verdict is told which releases are withdrawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from auditor.verify.log import BundleLog
from auditor.verify.outcome import CheckFailed
from plan.errors import Phrase, phrase
from protos.fields import ZERO_DIGEST
from protos.ledger import RoundLog
from protos.round_changes import MAX_EXTENSION
from protos.statement_base import MAX_EXTENSIONS
from protos.statements import Cancel, Candidates, Close, Correction, Extended, Extension, Release, Statement

_CHANGES = (Extension, Extended, Cancel, Correction)


def check_changes(log: BundleLog) -> Phrase:
    """Check every change of every round, in the order of the log."""
    rounds = log.whole_ledger().rounds
    number = sum(isinstance(row, _CHANGES) for row in log.statements)
    for row in rounds.values():
        said = [item for item in log.statements if getattr(item, "round", None) == row.round_id]
        _check_deadlines(row, said)
        _check_end(row, said)
        _check_corrections(row, said)
    told = list(_told(rounds.values()))
    what = phrase("%(number)s changes", number=number)
    for item in told:
        what = phrase("%(what)s; %(item)s", what=what, item=item)
    return what


def _name(row: RoundLog) -> Phrase:
    return phrase("round %(serial)s", serial=row.terms.serial)


def _fail(row: RoundLog, what: Phrase) -> CheckFailed:
    return CheckFailed(phrase("%(row)s: %(what)s", row=_name(row), what=what))


def _check_deadlines(row: RoundLog, said: Sequence[Statement]) -> None:
    """Recompute the deadline: asked for before the candidates, rising, bounded, granted by q auditors."""
    closes, asked, grants = row.terms.closes, 0, set[str]()
    newest: Extension | None = None
    is_collecting = True
    for item in said:
        if isinstance(item, Candidates):
            is_collecting = False
        if isinstance(item, Extension | Extended) and not is_collecting:
            raise _fail(row, phrase("a deadline was moved after the candidates were fixed"))
        if isinstance(item, Extension):
            newest, asked, grants = item, asked + 1, set()
            is_allowed = closes < item.closes <= row.terms.closes + MAX_EXTENSION
            if not is_allowed or asked > MAX_EXTENSIONS:
                raise _fail(row, phrase("a deadline that the rules do not allow was asked for"))
        if isinstance(item, Extended):
            grants.add(item.auditor)
            if newest is not None and len(grants) >= row.terms.quorum:
                closes = newest.closes
    if closes != row.closes:
        raise _fail(row, phrase("the deadline is not what the auditors granted"))


def _check_end(row: RoundLog, said: Sequence[Statement]) -> None:
    places = [place for place, item in enumerate(said) if isinstance(item, Cancel)]
    if not places:
        return
    after = said[places[0] + 1 :]
    if len(places) > 1 or any(isinstance(item, Candidates | Close | Release) for item in after):
        raise _fail(row, phrase("it went on after the county had ended it"))


def _check_corrections(row: RoundLog, said: Sequence[Statement]) -> None:
    chain = row.changes.corrections
    if len(chain) != sum(isinstance(item, Correction) for item in said):
        raise _fail(row, phrase("a correction stands outside of the chain"))
    if chain and (row.release is None or chain[0].statement.previous != ZERO_DIGEST):
        raise _fail(row, phrase("the first correction does not begin the chain"))
    for before, after in pairwise(chain):
        if after.statement.previous != before.digest:
            raise _fail(row, phrase("a correction does not name the one before it"))
    if row.release and any(item.statement.release != row.release.digest for item in chain):
        raise _fail(row, phrase("a correction is of another release"))


def _told(rounds: Iterable[RoundLog]) -> Iterator[Phrase]:
    for row in rounds:
        if row.changes.corrections:
            yield phrase(
                "%(row)s: its release is %(standing)s", row=_name(row), standing=phrase(row.changes.standing)
            )
