"""Rows of the log left out, moved, repeated, signed by others, said twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bundle_zoo import stories
from bundle_zoo.forge import History, Row
from bundle_zoo.stories import county_of
from bundle_zoo.tampering import (
    ALL_TYPES,
    OTHER,
    answers,
    change_tables,
    close_id,
    delete,
    false_key,
    history,
    more,
    round_id,
    signer,
)
from fakes_federation import ZERO

from protos.bodies import (
    Refusal,
    encode_checked_body,
    parse_candidates_body,
)
from protos.statements import (
    Abandon,
    Agreement,
    body_ref,
)


def _repeat(kind: str, **having: str) -> Callable[[History], None]:
    return lambda found: found.copy_row(found.find(kind, **having), len(found.rows)) and None


def _move(kind: str, before: str, nth: int = 0) -> Callable[[History], None]:
    def change(found: History) -> None:
        row = found.rows.pop(found.find(kind, nth))
        found.rows.insert(found.find(before), row)

    return change


def _orders() -> None:
    for kind in (
        "roster",
        "plan",
        "approval",
        "report",
        "candidates",
        "checked",
        "close",
        "agreement",
        "opening",
    ):
        history(f"{kind} left out", "entries", delete(kind, 1 if kind == "roster" else 0))
    for kind in (
        *("roster", "plan", "approval", "report", "candidates", "checked", "close", "agreement", "opening"),
        "release",
    ):
        history(f"{kind} twice", "entries", _repeat(kind))
    moves = (
        ("approval", "plan"),
        ("report", "approval"),
        ("candidates", "report"),
        ("checked", "candidates"),
        ("close", "checked"),
        ("agreement", "close"),
        ("opening", "agreement"),
        ("release", "opening"),
    )
    for kind, before in moves:
        history(f"{kind} before the first {before}", "entries", _move(kind, before))
    history("an opening between the agreements", "entries", _early_opening)
    history("a report after the candidates", "entries", _late_report)
    history("genesis is not first", "genesis", lambda found: found.rows.insert(1, found.rows.pop(0)))


def _early_opening(found: History) -> None:
    row = found.rows.pop(found.find("opening"))
    found.rows.insert(found.find("agreement", 2), row)


def _late_report(found: History) -> None:
    row = found.rows.pop(found.find("report", -1))
    found.rows.insert(found.find("candidates") + 1, row)


def _sign_falsely(kind: str) -> Callable[[History], None]:
    def change(found: History) -> None:
        row = found.rows[found.find(kind, 1 if kind == "roster" else 0)]
        row.signers = tuple(false_key(key) for key in row.signers)

    return change


def _break_signature(kind: str) -> Callable[[History], None]:
    """Right key, wrong signature: of another text."""

    def change(found: History) -> None:
        row = found.rows[found.find(kind, 1 if kind == "roster" else 0)]
        row.lines = tuple(key.sign("something else\n") for key in row.signers)

    return change


def _signatures() -> None:
    for kind in ALL_TYPES:
        history(f"{kind} signed by a foreign key", "entries", _sign_falsely(kind))
        history(f"{kind} with a signature of another text", "entries", _break_signature(kind))
    history(
        "plan signed by an auditor",
        "entries",
        signer("plan", lambda found, row: (found.county.auditors["a1"],)),
    )
    history(
        "approval signed by another auditor",
        "entries",
        signer("approval", lambda found, row: (found.county.auditors["a2"],)),
    )
    history(
        "report signed by another school",
        "entries",
        signer("report", lambda found, row: (found.county.nodes["s2"].key("county-1"),)),
    )
    history(
        "agreement signed by the coordinator",
        "entries",
        signer("agreement", lambda found, row: (found.county.coordinator,)),
    )
    history("opening signed twice", "entries", signer("opening", lambda found, row: row.signers * 2))
    history(
        "close signed by the log key", "entries", signer("close", lambda found, row: (found.county.log_key,))
    )
    history("roster signed by two auditors", "entries", signer("roster", lambda found, row: row.signers[:3]))
    history("roster without the coordinator", "entries", signer("roster", lambda found, row: row.signers[1:]))
    history(
        "roster signed in another order",
        "entries",
        signer("roster", lambda found, row: (row.signers[0], *row.signers[:0:-1])),
    )
    history(
        "release signed by coordinator and auditor",
        "entries",
        signer("release", lambda found, row: (*row.signers, found.county.auditors["a1"])),
    )
    history(
        "report signed by a key that was followed", "entries", _old_report_key, lambda: stories.rolled("node")
    )
    history(
        "approval signed by a key that was followed",
        "checkpoint",
        _old_auditor_key,
        lambda: stories.rolled("auditor"),
    )
    history(
        "plan signed by a key that was followed",
        "checkpoint",
        _old_coordinator_key,
        lambda: stories.rolled("coordinator"),
    )


def _old_report_key(found: History) -> None:
    row = found.rows[found.find("report", -1, node="s2")]
    row.signers = (county_of().nodes["s2"].key("county-1"),)


def _old_auditor_key(found: History) -> None:
    found.rows[found.find("approval", -1, auditor="a3")].signers = (county_of().auditors["a3"],)


def _old_coordinator_key(found: History) -> None:
    found.rows[found.find("plan", -1)].signers = (county_of().coordinator,)


def _second_close(found: History) -> None:
    row = found.rows[found.find("close")]
    said = replace(row.statement, checked=row.statement.checked[:3])  # type: ignore[union-attr]
    found.insert(found.find("agreement"), said, *row.signers, body=row.body)


def _agree_and_abandon(found: History) -> None:
    said = Abandon("county-1", round_id(found), "a2", close_id(found), "expired")
    found.insert(found.find("opening"), said, *answers(found, "a2"))


def _second_agreement(found: History) -> None:
    """To a second close, which is logged beside the first."""
    _second_close(found)
    other = found.rows[found.find("close", 1)].digest
    said = Agreement("county-1", round_id(found), "a2", other)
    found.insert(found.find("opening"), said, *answers(found, "a2"))


def _second_opening(found: History) -> None:
    row = found.rows[found.find("opening")]
    sums = row.statement.sums  # type: ignore[union-attr]
    said = replace(row.statement, sums=((sums[0][0], OTHER), *sums[1:]))  # type: ignore[union-attr]
    found.insert(found.find("release"), said, *row.signers)


def _second_approval(found: History) -> None:
    row = found.rows[found.find("approval")]
    said = replace(row.statement, nonce=OTHER)  # type: ignore[union-attr]
    found.insert(found.find("report"), said, *row.signers)


def _second_release(found: History) -> None:
    row = found.rows[found.find("release")]
    body = change_tables(lambda rows: [more(rows[0]), *rows[1:]])(row.body)
    said = replace(row.statement, body=body_ref(body))  # type: ignore[union-attr]
    found.insert(len(found.rows), said, *row.signers, body=body)


def _second_checked(found: History) -> None:
    row = found.rows[found.find("checked")]
    names = parse_candidates_body(found.rows[found.find("candidates")].body)
    body = encode_checked_body([Refusal(names[0], "bad-box")])
    said = replace(row.statement, body=body_ref(body))  # type: ignore[union-attr]
    found.insert(found.find("close"), said, *row.signers, body=body)


def _second_report(found: History) -> None:
    """Other contents for the same attempt."""
    row = found.rows[found.find("report")]
    said = replace(row.statement, input=OTHER, previous=row.digest)  # type: ignore[union-attr]
    found.insert(found.find("candidates"), said, *row.signers)


def _fifth_attempt(found: History) -> None:
    row = found.rows[found.find("report", -1, node="s3")]
    found.edit(found.rows.index(row), "attempt 3", "attempt 4")


def _opening_after_abandon(found: History) -> None:
    said = Abandon("county-1", round_id(found), "a4", ZERO, "expired")
    place = found.find("agreement", 3)
    found.rows[place] = Row("", b"", (), b"")
    del found.rows[place]
    found.insert(place, said, *answers(found, "a4"))
    agreements = found.rows[found.last("release")].statement.agreements  # type: ignore[union-attr]
    found.set(found.last("release"), agreements=agreements[:3])


def _release_after_abandons(found: History) -> None:
    for name in ("a1", "a2"):
        place = found.find("agreement", 0, auditor=name)
        del found.rows[place]
        said = Abandon("county-1", round_id(found), name, ZERO, "expired")
        found.insert(place, said, *answers(found, name))


def _unknown_auditor_opens(found: History) -> None:
    row = found.rows[found.find("opening", 3)]
    key = found.county._key("auditor a9", "auditor", "a9")
    text = row.text.replace("auditor a4", "auditor a9")
    row.text, row.signers = text, (key,)


def _seconds() -> None:
    for name, change in {
        "two closes": _second_close,
        "two agreements to two closes": _second_agreement,
        "agreement and abandonment of one auditor": _agree_and_abandon,
        "two openings of one auditor": _second_opening,
        "two approvals of one auditor": _second_approval,
        "two releases": _second_release,
        "two checks of one auditor": _second_checked,
        "two reports for one attempt": _second_report,
        "an opening after an abandonment": _opening_after_abandon,
        "a release after two abandonments of four": _release_after_abandons,
        "an opening by a stranger": _unknown_auditor_opens,
    }.items():
        history(name, "entries", change)
    history("a fifth attempt", "bodies", _fifth_attempt, stories.attempts)


_orders()
_signatures()
_seconds()
