"""Take a visit's result back: check it, keep it signed, sign one `replayed` statement, and log that.

A result is taken if, in order:

1. its challenge is one that this auditor wrote and signed;
2. it is of this federation, and the school was asked for this very report;
3. that report stands in this auditor's copy of the log, under this digest;
4. a replay that says PASS has all twelve checks, by their names.

Beside them stands whether the program on the school's disk is the one that the report names
(`is_same_program`). Another one is no failure: a school may have updated, and a replay that passes in the
new program shows that the report's bytes are what that one makes. What made them then, only the header says;
so the visit is INCOMPLETE (exit code 2), and somebody has to say when and why. Both digests stand in the
record; `install reports` tells whether the header's is a release's. The statement is signed all the same,
because the replay has an outcome.

Once only: per round, school and visit there is one `replayed`, in a slot of the state, and its final bytes
are what is sent again. A log that has one of this auditor's which no slot knows means another copy of this
state: it abstains. No statement is signed for a replay that was SKIPPED or REFUSED. The record
`site/<round>.<node>.<visit>.json` is written for those too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from auditor.context import Context
from auditor.durable import create_exclusively, make_private_directory
from auditor.errors import AbstainError, RefusalError
from auditor.signing import SignedEntry, sign_entry, store_entry, stored_entry
from auditor.site_kit import CHALLENGES, FOLDER, statement_key
from auditor.state import SlotKind
from crypto.canonical import encode_parts
from crypto.note import SigningKey
from plan.errors import phrase
from protos.errors import ProtocolError
from protos.ledger import Ledger
from protos.report_table import Logged
from protos.site_visit import (
    FAIL,
    PASS,
    VISIT_FORMAT,
    SiteChallenge,
    SiteResult,
    Trial,
    parse_challenge,
    parse_result,
    parse_signed,
    result_values,
    sign_file,
    verify_signed,
)
from protos.statements import Replayed, Report

REPLAY_CHECKS: Final = (
    *("journal", "plan", "master", "approvals", "records", "tables"),
    *("vector", "seeds", "input", "bytes", "header", "log"),
)
UNSIGNED = ""


@dataclass(frozen=True, slots=True)
class VisitReview:
    """What a result says, checked against the log.

    Attributes:
        challenge: what was asked; `result` what came back.
        header: the logged report.
        is_same_program: whether the school's disk has the program that the report names.
        statement: what would be signed; None where the replay has no outcome.
    """

    challenge: SiteChallenge
    result: SiteResult
    header: Report
    is_same_program: bool
    statement: Replayed | None

    @property
    def replay(self) -> Trial | None:
        """The replay, None if none was run."""
        return self.result.trials.get("replay")

    @property
    def missing(self) -> tuple[str, ...]:
        """Trials that were asked for and of which the result says nothing."""
        return tuple(name for name in self.challenge.trials if name not in self.result.trials)

    @property
    def outcome(self) -> str:
        """FAIL if a trial failed; PASS if all that were asked passed in the same program; else INCOMPLETE."""
        outcomes = {trial.outcome for trial in self.result.trials.values()}
        if FAIL in outcomes:
            return FAIL
        is_whole = not self.missing and outcomes == {PASS}
        return PASS if is_whole and self.is_same_program else "INCOMPLETE"


@dataclass(frozen=True, slots=True)
class Recorded:
    """What `record` left: the record's file, the statement's digest and place in the log (None: none)."""

    file: Path
    statement: bytes | None
    position: int | None


def review_result(context: Context, root: Path, data: bytes) -> VisitReview:
    """Check a result.

    Raises:
        RefusalError: it is not one that this auditor may take; the code says why.
    """
    try:
        result = parse_result(data)
        challenge = _challenge(context, root, result.challenge)
    except ProtocolError as err:
        raise RefusalError("bad-result", phrase("not a result of a visit: %(reason)s", reason=err)) from err
    asked = challenge.school(result.node)
    if (
        asked is None
        or (challenge.federation, challenge.round) != (result.federation, result.round)
        or (asked.attempt, asked.report) != (result.attempt, result.report)
        or not set(result.trials) <= set(challenge.trials)
    ):
        raise RefusalError(
            "another-visit", phrase("the result is not of a school and report in its challenge")
        )
    header = _logged(context.ledger, result).statement
    replay = result.trials.get("replay")
    if replay is not None and replay.outcome == PASS:
        _verify_whole(replay)
    return VisitReview(
        challenge, result, header, result.software == header.software, _statement(context, result, replay)
    )


def _challenge(context: Context, root: Path, wanted: bytes) -> SiteChallenge:
    path = root / FOLDER / CHALLENGES / f"{wanted.hex()}.json"
    try:
        data = path.read_bytes()
    except FileNotFoundError as err:
        raise RefusalError(
            "unknown-challenge",
            phrase("this auditor has written no such challenge: take the folder that wrote the kit"),
        ) from err
    challenge, note = parse_challenge(data)
    if hashlib.sha256(data).digest() != wanted:
        raise RefusalError(
            "unknown-challenge", phrase("%(file)s is damaged; prepare the visit anew", file=path)
        )
    verify_signed(note, _key_named(context, note.signatures[0].key_id).verifier)
    return challenge


def _key_named(context: Context, key_id: bytes) -> SigningKey:
    """Give this auditor's statement key with an id: the one now, or one before it."""
    keys = [statement for statement, _cosigner in context.keys.pairs]
    return next((key for key in keys if key.verifier.key_id == key_id), context.keys.statement)


def _logged(ledger: Ledger, result: SiteResult) -> Logged[Report]:
    round_log = ledger.rounds.get(result.round)
    logged = round_log.reports.get((result.node, result.attempt)) if round_log else None
    if logged is None or logged.digest != result.report:
        raise RefusalError(
            "no-such-report",
            phrase("no such report of %(node)s stands in the log; follow the log first", node=result.node),
        )
    return logged


def _verify_whole(replay: Trial) -> None:
    names = tuple(row.name for row in replay.checks)
    if names != REPLAY_CHECKS or not replay.confinement:
        raise RefusalError(
            "short-replay",
            phrase(
                "a replay that passes has %(number)s checks, this one has others: the school's program is "
                "another version, or was changed",
                number=len(REPLAY_CHECKS),
            ),
        )


def _statement(context: Context, result: SiteResult, replay: Trial | None) -> Replayed | None:
    if replay is None or replay.outcome not in (PASS, FAIL) or not replay.confinement:
        return None
    return Replayed(
        federation=result.federation,
        round=result.round,
        auditor=context.id,
        node=result.node,
        report=result.report,
        outcome=replay.outcome,
        confinement=replay.confinement,
    )


# ---------------------------------------------------------------- signing and keeping


def record(context: Context, root: Path, review: VisitReview) -> Recorded:
    """Sign the statement into its slot, keep the record, log the statement; again: the same bytes.

    Raises:
        RefusalError: there is a record of this visit with another result; nothing is signed.
        SlotTakenError: this visit was recorded with another outcome.
        AbstainError: another copy of this state has signed for this visit.
        LinkError: the coordinator cannot be reached; what was signed is kept, and sent the next time.
    """
    signed = None
    with context.state.locked():
        _verify_same(root, review)
        if review.statement is not None:
            signed = _sign_once(context, review)
        file = _keep(context, root, review, signed)
    if signed is None:
        return Recorded(file, None, None)
    return Recorded(file, signed.digest, context.link.submit_statement(signed.entry, b""))


def _slot_of(challenge: SiteChallenge, node: str, visit: int) -> bytes:
    """Name the slot of one visit: SHA-256(E("visit", round, node, visit))."""
    return hashlib.sha256(encode_parts("visit", challenge.round, node, visit)).digest()


def _sign_once(context: Context, review: VisitReview) -> SignedEntry:
    statement, challenge = review.statement, review.challenge
    if statement is None:
        raise RefusalError("no-outcome", phrase("the replay has no outcome; nothing is signed"))
    slot = _slot_of(challenge, statement.node, challenge.visit)
    signed = sign_entry(statement, statement_key(context))
    stored = stored_entry(context.state, SlotKind.REPLAYED, slot)
    if stored is not None and stored.text == signed.text:
        return stored  # also where the key has been rolled over since
    if stored is None:
        _verify_only_copy(context, challenge, statement)
    return store_entry(context.state, SlotKind.REPLAYED, slot, signed)


def _verify_only_copy(context: Context, challenge: SiteChallenge, statement: Replayed) -> None:
    """Refuse where the log has a replay by this auditor that no slot of this state holds.

    Raises:
        AbstainError: there is one.
    """
    known = set()
    for visit in range(1, challenge.visit + 1):
        slot = _slot_of(challenge, statement.node, visit)
        stored = stored_entry(context.state, SlotKind.REPLAYED, slot)
        if stored is not None:
            known.add(stored.digest)
    for row in context.ledger.replays:
        found = row.statement
        same = (found.round, found.node, found.auditor) == (statement.round, statement.node, context.id)
        if same and row.digest not in known:
            raise AbstainError(
                phrase(
                    "the log has a replay of %(node)s by this auditor that this folder does not know: "
                    "another copy has signed it. Nothing is signed here; record the visit there",
                    node=statement.node,
                )
            )


def _path(root: Path, review: VisitReview) -> Path:
    name = f"{review.challenge.round.hex()[:16]}.{review.result.node}.{review.challenge.visit}.json"
    return root / FOLDER / name


def _verify_same(root: Path, review: VisitReview) -> None:
    path = _path(root, review)
    if path.exists() and read_visit(path)["result"] != result_values(review.result):
        raise RefusalError(
            "other-record",
            phrase("%(file)s: this visit was recorded with another result; count the visit up", file=path),
        )


def _keep(context: Context, root: Path, review: VisitReview, signed: SignedEntry | None) -> Path:
    """Write the signed record of a visit once; a record that is there stays as it is."""
    challenge, result = review.challenge, review.result
    folder = root / FOLDER
    make_private_directory(folder)
    path = _path(root, review)
    values: dict[str, Any] = {
        "auditor": context.id,
        "visit": challenge.visit,
        "place": next(row.place for row in challenge.schools if row.node == result.node),
        "number": challenge.number,
        "outcome": review.outcome,
        "program": "same" if review.is_same_program else "another",
        "reported_software": review.header.software.hex(),
        "reported_confinement": review.header.confinement,
        "statement": signed.digest.hex() if signed else UNSIGNED,
        "result": result_values(result),
    }
    if path.exists():
        return path
    create_exclusively(path, sign_file(VISIT_FORMAT, values, statement_key(context)), "site-visit")
    return path


def read_visit(path: Path) -> dict[str, Any]:
    """Read the record of a visit; its signature is not verified, see `parse_signed`.

    Raises:
        SiteFileError: it is none.
    """
    return parse_signed(VISIT_FORMAT, path.read_bytes())[0]


def visits(root: Path, ledger: Ledger | None = None) -> Iterator[dict[str, Any]]:
    """Give every record of an auditor's folder, ascending by round, school, visit.

    Args:
        root: the auditor's folder.
        ledger: to say of each whether its statement is logged; `is_logged` is 0 or 1.
    """
    for path in sorted((root / FOLDER).glob("*.json")):
        values = read_visit(path)
        statement = bytes.fromhex(str(values["statement"]))
        is_logged = ledger is not None and bool(statement) and statement in ledger.entries_digest
        yield {**values, "is_logged": int(is_logged), "file": path.name}
