"""The verifier derives deadlines, ends and corrections from the statements alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from fakes_federation import CLOSES, ZERO, TinyFederation

from auditor.verify.changes import check_changes
from auditor.verify.outcome import CheckFailed
from crypto.note import parse_note
from protos.round_log import RoundLog
from protos.statements import Candidates, Correction, Extended, Extension, Statement, parse_statement

LATER = CLOSES + timedelta(days=7)


def told() -> tuple[TinyFederation, bytes, SimpleNamespace]:
    """A round with a later deadline that was released, corrected and withdrawn; as the verifier reads it."""
    made = TinyFederation()
    made.join()
    round_id = made.publish()
    made.approve(round_id)
    wish = made.add(Extension("county-1", round_id, 1, LATER, "holiday"), b"", [made.coordinator])
    for name in ("a1", "a2", "a3"):
        made.add(Extended("county-1", round_id, name, wish), b"", [made.auditors[name]])
    for node in made.nodes:
        made.report(node, round_id)
    made.fix_candidates(round_id)
    names = sorted(made.auditors)
    for name in names:
        made.check(name, round_id)
    made.close(round_id)
    for name in names:
        made.agree(name, round_id)
    for name in names:
        made.open_(name, round_id)
    made.release(round_id)
    last = ZERO
    for status in ("corrected", "withdrawn"):
        release = made.round(round_id).release
        digest = release.digest if release else ZERO
        last = made.add(
            Correction("county-1", round_id, digest, last, status, (), ZERO, "other"), b"", [made.coordinator]
        )
    statements: list[Statement] = [parse_statement(parse_note(entry).text) for entry, _ in made.entries]
    log = SimpleNamespace(statements=statements, whole_ledger=lambda: made.ledger)
    return made, round_id, log


def test_what_fits_passes_and_names_the_withdrawn_release() -> None:
    _, _, log = told()
    assert str(check_changes(log)) == "6 changes; round 1: its release is withdrawn"


def place_of(log: SimpleNamespace, kind: type[Statement]) -> int:
    return next(place for place, row in enumerate(log.statements) if isinstance(row, kind))


def without_a_grant(log: SimpleNamespace, _row: RoundLog) -> None:
    del log.statements[place_of(log, Extended)]


def after_the_candidates(log: SimpleNamespace, _row: RoundLog) -> None:
    place = place_of(log, Candidates)
    log.statements.insert(place + 1, log.statements.pop(place_of(log, Extension)))


def too_late(log: SimpleNamespace, _row: RoundLog) -> None:
    place = place_of(log, Extension)
    log.statements[place] = replace(log.statements[place], closes=CLOSES + timedelta(days=61))


def a_correction_more(log: SimpleNamespace, _row: RoundLog) -> None:
    log.statements.append(log.statements[-1])


def a_broken_chain(_log: SimpleNamespace, row: RoundLog) -> None:
    last: Any = row.changes.corrections[-1]
    row.changes.corrections[-1] = replace(last, statement=replace(last.statement, previous=ZERO))


def a_chain_without_its_head(log: SimpleNamespace, row: RoundLog) -> None:
    del row.changes.corrections[0]
    del log.statements[place_of(log, Correction)]


def of_another_release(_log: SimpleNamespace, row: RoundLog) -> None:
    last: Any = row.changes.corrections[-1]
    row.changes.corrections[-1] = replace(last, statement=replace(last.statement, release=ZERO))


@pytest.mark.parametrize(
    "change",
    [
        without_a_grant,
        after_the_candidates,
        too_late,
        a_correction_more,
        a_broken_chain,
        a_chain_without_its_head,
        of_another_release,
    ],
)
def test_what_does_not_fit_fails(change: Callable[[SimpleNamespace, RoundLog], None]) -> None:
    made, round_id, log = told()
    change(log, made.round(round_id))
    with pytest.raises(CheckFailed):
        check_changes(log)
