"""Roll the coordinator's own keys over, and erase the old ones once nothing needs them.

Order of a roll; every step may be given again and changes nothing the second time:

1. The next key is made beside the old one (`coordinator.key_ring`), unless one waits already.
2. A roster that names it is drafted; the auditors sign it like any other. From its position on the new key is
   the one that counts: for plans, for checkpoints, for certificates.
3. Rounds that were planned before go on under the key of their roster; checkpoints carry the old log key's
   signature too; the server keeps a certificate of the oldest CA, and takes clients of all of them.
4. `retire` erases the old key: once no round needs it, once its successor's checkpoints are cosigned, once
   every party has a certificate of the new CA.

Spec: docs/protocol.md "Key succession"; ADR 15.
"""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from coordinator import ca, members, schema
from coordinator.durable import DurableHook
from coordinator.errors import RosterError
from coordinator.home import Entropy, Home
from coordinator.key_ring import PURPOSES
from coordinator.log_book import LogBook, View
from coordinator.witnesses import cosigned_size
from crypto.note import KEY_BYTES
from plan.errors import Phrase, phrase
from protos.round_log import RoundLog, RoundState

_FINISHED = (RoundState.RELEASED, RoundState.ABORTED)


def is_in_force(view: View, home: Home, purpose: str) -> bool:
    """Tell whether the newest key of a purpose is the one that the roster in force names."""
    body = view.ledger.roster.body
    if purpose == "ca":
        return home.authority.fingerprint == body.ca
    if purpose == "log":
        return home.log_key.verifier == body.log
    return home.statement_key.verifier == body.coordinator


def make_next_key(book: LogBook, home: Home, purpose: str, entropy: Entropy, durable: DurableHook) -> bool:
    """Make the next key of a purpose unless one waits for its roster; tell whether one was made.

    Raises:
        RosterError: no such purpose.
        NoGenesisError: there is no roster yet, so nothing to roll over.
    """
    _check_purpose(purpose)
    with book.writing("roll") as view:  # one process at a time
        if not is_in_force(view, home, purpose):
            return False
        home.ring.make_next(purpose, entropy(KEY_BYTES), view.now, durable)
        return True


def retire(book: LogBook, home: Home, purpose: str, durable: DurableHook, *, anyway: bool = False) -> int:
    """Erase every key of a purpose but the newest; gives how many.

    Args:
        book: the log and database.
        home: holds the keys.
        purpose: ``log``, ``statement`` or ``ca``.
        durable: called before and after every file.
        anyway: of a CA: also while parties have certificates of it; they have to come by file then.

    Raises:
        RosterError: something still needs an old one; it says what.
    """
    _check_purpose(purpose)
    with book.writing("retire") as view:
        if not is_in_force(view, home, purpose):
            raise RosterError(phrase("the next %(purpose)s key is in no roster yet", purpose=purpose))
        for reason in _reasons_to_keep(view, home, purpose, anyway=anyway):
            raise RosterError(reason)
        return home.ring.erase(purpose, 1, durable)


def num_held(home: Home, purpose: str) -> int:
    """Count the keys of a purpose that are not retired."""
    return len(home.ring.authorities() if purpose == "ca" else home.ring.signing(purpose))


def parties_of_older_ca(view: View, home: Home) -> tuple[str, ...]:
    """List who is enrolled with a certificate of an older CA than the newest: role/id, ascending."""
    table, known = (
        schema.enrolments,
        {(row.role, row.id): row for row in members.read_members(view.connection)},
    )
    rows = view.connection.execute(sa.select(table).order_by(table.c.role, table.c.id)).all()
    gone = {*view.ledger.revoked_nodes, *view.ledger.revoked_auditors}
    newest = home.authority
    return tuple(
        f"{row.role}/{row.id}"
        for row in rows
        if not members.has_left(known, row.role, row.id)
        and row.id not in gone
        and not ca.is_issued_by(row.certificate_pem.encode(), newest)
    )


def _reasons_to_keep(view: View, home: Home, purpose: str, *, anyway: bool) -> Iterator[Phrase]:
    ledger = view.ledger
    if purpose == "statement":
        key = ledger.roster.body.coordinator
        for row in ledger.rounds.values():
            if row.roster.coordinator != key and not _is_finished(row):
                yield phrase(
                    "round %(serial)s is not finished and needs the old key", serial=row.terms.serial
                )
    elif purpose == "log":
        if cosigned_size(view) <= ledger.roster.index:
            yield phrase("no checkpoint of the new log key is cosigned yet; wait for the auditors")
    else:
        waiting = parties_of_older_ca(view, home)
        if waiting and not anyway:
            yield phrase(
                "%(number)s parties have a certificate of the old CA: %(ids)s; they renew by themselves, or "
                "by file",
                number=len(waiting),
                ids=", ".join(waiting[:12]),
            )


def _is_finished(round_log: RoundLog) -> bool:
    return round_log.state in _FINISHED


def _check_purpose(purpose: str) -> None:
    if purpose not in PURPOSES:
        raise RosterError(phrase("no such key; there are %(names)s", names=", ".join(PURPOSES)))
