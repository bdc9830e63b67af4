"""Take a node or an auditor out from this log position on.

A revoked node's later reports are refused and its report is no candidate; a revoked auditor is
not waited for. What was logged before stands. Everybody reads it in the log, with its reason.
"""

from __future__ import annotations

from coordinator.errors import NotRosteredError, RosterError
from coordinator.home import Home
from coordinator.log_book import LogBook, sign_entry
from plan.errors import phrase
from protos.errors import ProtocolError
from protos.statements import Revoke, encode_statement


def revoke(book: LogBook, home: Home, subject: str, party_id: str, reason: str) -> int:
    """Log a revocation; return its position.

    Args:
        book: the log and database.
        home: holds the statement key.
        subject: ``node`` or ``auditor``.
        party_id: its id in the roster in force.
        reason: a code word (a-z 0-9 -), e.g. ``key-lost``.

    Raises:
        NotRosteredError: not in the roster in force.
        RosterError: the reason is no code word.
        StatementRefusedError: the log's rules refuse it.
    """
    with book.writing("append revoke") as view:
        ledger = view.ledger
        earlier = ledger.revoked_nodes if subject == "node" else ledger.revoked_auditors
        if party_id in earlier:
            return earlier[party_id]
        body = ledger.roster.body
        found = body.node(party_id) if subject == "node" else body.auditor(party_id)
        if found is None:
            raise NotRosteredError(
                phrase(
                    "%(subject)s %(party_id)s: not in the roster in force",
                    subject=phrase(subject),
                    party_id=party_id,
                )
            )
        try:
            statement = Revoke(home.config.federation, ledger.roster.digest, subject, party_id, reason)
        except ProtocolError as err:
            raise RosterError(
                phrase(
                    "%(subject)s %(party_id)s: %(reason)s",
                    subject=phrase(subject),
                    party_id=party_id,
                    reason=err,
                )
            ) from err
        return view.append(sign_entry(encode_statement(statement), home.signer(body.coordinator)), b"")
