"""Trips of auditors without a network: an auditor's answer in, the next file for it out.

| gRPC | in the file | what proves whose it is |
| --- | --- | --- |
| `SubmitCosignature`, `SignRoster` | a line each | its signature, by this auditor's key of the roster |
| `SubmitStatement` | entry and body | the entry's signature; the body by its digest |
| `SubmitOpening` | entry and sums | the entry's signature; every sum by its digest in it |
| `GetLog`, `ListProposals` | entries, drafts | nothing is needed: what is handed out is public to auditors |
| `GetBoxes` | this auditor's boxes | nothing is needed: each is sealed to the round key that it approved |
| `GetVectors`, `GetSums` | sealed | the auditor's signature under a fresh key, to which they are sealed |

Every record goes through the same function of the desk as the call in its place, under the id in the file's
head. That id is a claim: each of those functions asks for that auditor's signature or for nothing that it
would protect. What TLS gave beside identity is secrecy on the way; only vectors and sums need it, and they
are sealed, after the auditor's opening is logged, as ever (rules of ``coordinator.hand_out``).

One record that is refused never loses the others; what became of each stands in the next file (``TOLD``).
Taking an answer again changes nothing. ADR 25.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from coordinator.desk import Desk
from coordinator.errors import (
    BoxesDeletedError,
    CoordinatorError,
    NotCosignedError,
    NotRosteredError,
    RevokedError,
    StoreError,
    VectorsDeletedError,
    code_of,
)
from coordinator.witnesses import cosigned_checkpoint, cosigned_size, lines_at
from crypto.errors import CryptoError
from crypto.sealing import seal
from plan.errors import Phrase, PhraseError, encode_phrase, parse_phrase, phrase
from protos import trip_records as records
from protos.errors import ProtocolError, TripFileError
from protos.round_log import RoundLog, RoundState
from protos.trip_file import Parts, Record, TripFile
from protos.trip_records import TAKEN, Told, record_digest

PAGE_ENTRIES = 500
MAX_ANSWER_RECORDS = 10_000  # an auditor of ten rounds at once sends some dozens
_ENDED = (RoundState.RELEASED, RoundState.ABORTED)
_ORDER = (records.ROSTER_LINE, records.STATEMENT, records.OPENING, records.COSIGNATURE)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an auditor's answer.

    Attributes:
        told: one row for each record, in the order of taking.
        trip_key: the key that vectors and sums are to be sealed to; empty where none was asked for.
        key_digest: digest of the record that asked.
    """

    told: tuple[Told, ...] = ()
    trip_key: bytes = b""
    key_digest: bytes = b""

    @property
    def refused(self) -> tuple[Told, ...]:
        """What was not taken."""
        return tuple(row for row in self.told if not row.is_taken)


def verify_may_trip(desk: Desk, auditor_id: str) -> None:
    """Refuse whom a call would be refused: strangers and who was revoked.

    Raises:
        NotRosteredError, RevokedError: nothing is taken from or written for this auditor.
    """
    known = {str(row["id"]) for row in desk.describe_members() if row["role"] == "auditor"}
    if auditor_id not in known:
        names = ", ".join(sorted(known))
        raise NotRosteredError(
            phrase("%(id)s: no auditor of this federation; there are %(names)s", id=auditor_id, names=names)
        )
    with desk.reading() as view:
        if view.has_genesis and auditor_id in view.ledger.revoked_auditors:
            raise RevokedError(
                phrase("%(role)s %(id)s was revoked; ask the county", role=phrase("auditor"), id=auditor_id)
            )


# --- in -------------------------------------------------------------------------------------------


def take_answer(desk: Desk, auditor_id: str, file: TripFile) -> Answer:
    """Take every record of an auditor's answer that can be taken; again changes nothing.

    Raises:
        TripFileError: ``too-large``: more records than any auditor sends; nothing was taken. What became of
            each would stand in the next file, which its reader would refuse for its length.
        StoreError: the database does not answer; nothing more was taken, and the file can be taken again.
    """
    if sum(map(file.count, file.kinds())) > MAX_ANSWER_RECORDS:
        raise TripFileError("too-large", f"more than {MAX_ANSWER_RECORDS} records")
    rows = [_take(desk, auditor_id, kind, parts) for kind in _ORDER for parts in file.parts(kind)]
    answer = Answer(tuple(rows))
    for parts in file.parts(records.KEY):
        answer = _take_key(desk, auditor_id, parts, answer)
    return answer


def _take(desk: Desk, auditor_id: str, kind: int, parts: Parts) -> Told:
    name = record_digest(kind, parts)
    try:
        _hand_over(desk, auditor_id, kind, parts)
    except StoreError:
        raise
    except (CoordinatorError, ProtocolError, CryptoError) as err:
        return Told(kind, name, code_of(err), _message(err))
    return Told(kind, name, TAKEN, "")


def _message(err: Exception) -> str:
    """Write why something was refused so that the auditor's side can say it in its reader's language."""
    words = (
        err.phrase
        if isinstance(err, CoordinatorError)
        else phrase("not valid (%(details)s)", details=str(err))
    )
    text = encode_phrase(words)
    return text if len(text) <= records.MAX_MESSAGE_CHARS else str(words)


def reason_of(told: Told) -> Phrase:
    """Read why something was not taken, as `_message` wrote it."""
    try:
        return parse_phrase(told.message)
    except PhraseError:
        return phrase("%(text)s", text=told.message)


def _hand_over(desk: Desk, auditor_id: str, kind: int, parts: Parts) -> None:
    if kind == records.COSIGNATURE:
        desk.submit_cosignature(auditor_id, *records.parse_cosignature(parts))
    elif kind == records.ROSTER_LINE:
        desk.sign_roster(auditor_id, *records.parse_roster_line(parts))
    elif kind == records.STATEMENT:
        desk.submit_statement(auditor_id, *records.parse_entry_record(parts))
    else:
        desk.submit_opening(auditor_id, *records.parse_opening(parts))


def _take_key(desk: Desk, auditor_id: str, parts: Parts, answer: Answer) -> Answer:
    """Check who asks for vectors; a key that nobody signed gets none."""
    name = record_digest(records.KEY, parts)
    try:
        with desk.reading() as view:
            own = view.ledger.roster.body.auditor(auditor_id)
        if own is None:
            raise NotRosteredError(phrase("%(id)s: not in the roster in force", id=auditor_id))
        federation = desk.home.config.federation
        key = records.verify_trip_key(federation, auditor_id, parts, own.statement)
    except (CoordinatorError, ProtocolError) as err:
        return Answer((*answer.told, Told(records.KEY, name, code_of(err), _message(err))), *_key_of(answer))
    return Answer(answer.told, key, name)


def _key_of(answer: Answer) -> tuple[bytes, bytes]:
    return answer.trip_key, answer.key_digest


# --- out ------------------------------------------------------------------------------------------


def newest_size(desk: Desk) -> int:
    """Tell how long the log is, 0 before the first roster: several files cut there carry one checkpoint."""
    with desk.reading() as view:
        return view.ledger.size if view.has_genesis else 0


def outgoing(desk: Desk, auditor_id: str, answer: Answer, *, size: int, start: int = 0) -> Iterator[Record]:
    """Give the records of the next file for an auditor.

    Args:
        desk: the coordinator.
        auditor_id: for whom.
        answer: what came of its answer, to be told; and its trip key.
        size: entries of the log to show: `newest_size`, or what other auditors' files have shown, so that
            their cosignatures meet under one checkpoint.
        start: first entry to put in; the auditor has those before it.

    Raises:
        NotCosignedError: the log has not `size` entries, or more of them are cosigned, or `start` is beyond.
    """
    yield records.LOG, records.log_parts(_log_head(desk, size, start))
    for at in range(start, size, PAGE_ENTRIES):
        with desk.reading() as view:
            page = list(view.entries(at, min(at + PAGE_ENTRIES, size)))
        yield from ((records.ENTRY, pair) for pair in page)
    for proposal in desk.list_proposals(auditor_id):
        yield records.PROPOSAL, records.proposal_parts(proposal)
    rounds = _rounds_of(desk, auditor_id)
    for round_log in rounds:
        if _needs_boxes(round_log, auditor_id, size):
            yield from _boxes(desk, auditor_id, round_log.round_id)
    told = list(answer.told)
    if answer.trip_key:
        yield from _sealed(desk, auditor_id, answer, rounds, told)
    yield from ((records.TOLD, records.told_parts(row)) for row in told)


def _log_head(desk: Desk, size: int, start: int) -> records.LogHead:
    with desk.reading() as view:
        if not view.has_genesis:
            return records.LogHead(0, b"", b"")
        least = max(cosigned_size(view), start)
        if not max(1, least) <= size <= view.ledger.size:
            raise NotCosignedError(
                phrase(
                    "a file of %(size)s entries cannot be written: the log has %(found)s, and at least "
                    "%(least)s have to be shown",
                    size=size,
                    found=view.ledger.size,
                    least=least,
                )
            )
        latest = desk.book.checkpoint(view.ledger, size, lines_at(view, size))
        return records.LogHead(start, latest, cosigned_checkpoint(desk.book, view))


def _rounds_of(desk: Desk, auditor_id: str) -> Sequence[RoundLog]:
    with desk.reading() as view:
        rounds = view.ledger.rounds.values() if view.has_genesis else ()
        return [row for row in rounds if auditor_id in row.terms.auditors]


def _needs_boxes(round_log: RoundLog, auditor_id: str, size: int) -> bool:
    """Whether an auditor may have to open boxes: from the candidates until its own opening is logged."""
    if round_log.candidates is None or round_log.candidates.index >= size:
        return False
    return round_log.state not in _ENDED and auditor_id not in round_log.openings


def _boxes(desk: Desk, auditor_id: str, round_id: bytes) -> Iterator[Record]:
    with suppress(BoxesDeletedError):  # the round has ended meanwhile: nobody needs them
        for report, box in desk.get_boxes(auditor_id, round_id):
            yield records.BOX, (round_id, report, box)


def _sealed(
    desk: Desk, auditor_id: str, answer: Answer, rounds: Sequence[RoundLog], told: list[Told]
) -> Iterator[Record]:
    """Give vectors and sums of the released rounds that the auditor has opened, each sealed to its key."""
    code, message = TAKEN, ""
    for row in rounds:
        if row.release is None or auditor_id not in row.openings:
            continue
        try:
            yield from _vectors_of(desk, auditor_id, answer.trip_key, row.round_id)
        except VectorsDeletedError as err:
            code, message = err.code, _message(err)
    told.append(Told(records.KEY, answer.key_digest, code, message))


def _vectors_of(desk: Desk, auditor_id: str, key: bytes, round_id: bytes) -> Iterator[Record]:
    federation = desk.home.config.federation

    def sealed(kind: int, parts: Parts, data: bytes) -> Record:
        return kind, (*parts, seal(key, data, records.seal_info(federation, auditor_id, kind, parts)))

    for report, vector in desk.get_vectors(auditor_id, round_id):
        yield sealed(records.VECTOR, (round_id, report), vector)
    for auditor, subset, data in desk.get_sums(round_id):
        yield sealed(records.SUM, (round_id, auditor.encode(), bytes((subset,))), data)
