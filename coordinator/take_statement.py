"""Take what auditors sign: approvals, checks, agreements or abandons, openings, replays.

1. The statement's auditor is the one of the caller's certificate.
2. A statement that stands in the log already gets its position again; another one in the same
   once-only slot is refused as such.
3. Everything else is for the ledger to say. An opening's mask sums are stored in the same
   transaction as its log entry, each compared with the digest in the opening.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import sqlalchemy as sa

from coordinator import schema
from coordinator.errors import (
    AlreadyStatedError,
    IdentityMismatchError,
    NotYetAgreedError,
    OpeningRefusedError,
    StatementRefusedError,
)
from coordinator.log_book import LogBook, View
from coordinator.store import insert_once
from crypto.errors import CryptoError
from crypto.field64 import parse_vector
from crypto.note import parse_note
from plan.errors import phrase
from protos.errors import ProtocolError
from protos.statements import (
    Abandon,
    Agreement,
    Approval,
    Checked,
    Extended,
    Opening,
    Replayed,
    Statement,
    digest,
    parse_statement,
)

_ONCE_ONLY = {"second-approval", "second-extended", "second-checked", "second-vote", "second-opening"}
_BY_AUDITOR = (Approval, Extended, Checked, Agreement, Abandon, Replayed)


def submit_statement(book: LogBook, auditor_id: str, entry: bytes, body: bytes) -> int:
    """Log a statement signed by an auditor; return its position.

    Args:
        book: the log and database.
        auditor_id: from the caller's certificate.
        entry: the signed note.
        body: the statement's body, empty where its type has none.

    Raises:
        StatementRefusedError: not a statement of an auditor, or the log's rules refuse it.
        IdentityMismatchError: it is another auditor's.
        AlreadyStatedError: this auditor's slot holds another statement.
    """
    text, statement = _read(entry)
    if not isinstance(statement, _BY_AUDITOR):
        raise StatementRefusedError(
            phrase("a %(type)s is not an auditor's statement", type=statement.TYPE), "wrong-type"
        )
    _check_identity(auditor_id, statement.auditor)
    return _append_once(book, f"append {statement.TYPE}", text, entry, body)


def submit_opening(book: LogBook, auditor_id: str, entry: bytes, sums: Sequence[bytes]) -> int:
    """Log an opening together with the mask sums that it commits to; return its position.

    Raises:
        OpeningRefusedError: not an opening, or a sum is not the one that it names.
        NotYetAgreedError: fewer than q agreements stand in the log.
        (others): as in `submit_statement`.
    """
    text, opening = _read(entry)
    if not isinstance(opening, Opening):
        raise OpeningRefusedError(phrase("expected an opening, found a %(type)s", type=opening.TYPE))
    _check_identity(auditor_id, opening.auditor)
    with book.reading() as view:
        terms = view.round(opening.round).terms
    _check_sums(opening, sums, terms.cells)
    rows = [
        {"round": opening.round, "auditor": auditor_id, "subset": subset, "data": data}
        for (subset, _), data in zip(opening.sums, sums, strict=True)
    ]
    return _append_once(book, "append opening", text, entry, b"", rows)


def _read(entry: bytes) -> tuple[str, Statement]:
    try:
        text = parse_note(entry).text
        return text, parse_statement(text)
    except (CryptoError, ProtocolError) as err:
        raise StatementRefusedError(
            phrase("not a signed statement: %(reason)s", reason=err), "bad-entry"
        ) from err


def _check_identity(auditor_id: str, named: str) -> None:
    if named != auditor_id:
        raise IdentityMismatchError(
            phrase(
                "certificate of auditor %(auditor_id)s, statement of auditor %(named)s",
                auditor_id=auditor_id,
                named=named,
            )
        )


def _check_sums(opening: Opening, sums: Sequence[bytes], cells: int) -> None:
    if len(sums) != len(opening.sums):
        raise OpeningRefusedError(
            phrase(
                "%(num_sums)s sums, the opening names %(num_sums2)s",
                num_sums=len(sums),
                num_sums2=len(opening.sums),
            )
        )
    for (subset, expected), data in zip(opening.sums, sums, strict=True):
        try:
            parse_vector(data, cells)
        except CryptoError as err:
            raise OpeningRefusedError(
                phrase("sum of subset %(subset)s: %(reason)s", subset=subset, reason=err)
            ) from err
        if hashlib.sha256(data).digest() != expected:
            raise OpeningRefusedError(
                phrase("sum of subset %(subset)s: not the one that the opening names", subset=subset)
            )


def _append_once(
    book: LogBook, step: str, text: str, entry: bytes, body: bytes, sums: Sequence[dict[str, object]] = ()
) -> int:
    with book.writing(step) as view:
        position = view.ledger.entries_digest.get(digest(text))
        if position is not None:
            for row in sums:  # after a repair from the log the database may lack them
                insert_once(view.connection, schema.sums, row)
            return position
        position = _append(view, entry, body)
        if sums:
            view.connection.execute(sa.insert(schema.sums), list(sums))
    return position


def _append(view: View, entry: bytes, body: bytes) -> int:
    try:
        return view.append(entry, body)
    except StatementRefusedError as err:
        if err.reason in _ONCE_ONLY:
            raise AlreadyStatedError(err) from err
        if err.reason == "not-agreed":
            raise NotYetAgreedError(err) from err
        raise
