"""Who is refused at once: revoked parties, and certificates denied by their serial.

Rules:
1. The log says who is revoked, the table ``denied_certificates`` which certificates are no longer good
   (predecessors of a renewed one, a stolen key). Both are read at every call, from the database: what
   another process wrote counts for the next call, on channels that are open already.
2. Reading costs one look-up by two keys, which also counts the revocations among the entries that came
   since the last call. Only where there are some, or the log has become shorter, are they read; what a
   party was once revoked for stays so.
3. Nothing here opens a door: who is neither revoked nor denied still needs the roster for what it asks.
"""

from __future__ import annotations

import threading
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection

from coordinator import schema
from coordinator.errors import CertificateDeniedError, RevokedError, StoreError
from coordinator.identity import Caller
from coordinator.prepared import Prepared
from coordinator.store import Store, insert_once
from crypto.errors import CryptoError
from plan.errors import phrase
from protos.entry import parse_entry
from protos.errors import ProtocolError
from protos.statements import Revoke

_ENTRIES = schema.entries
_DENIED = schema.denied_certificates
_PREFIX = b"fedscreen/revoke/v1\n"
_START = sa.func.substr(_ENTRIES.c.entry, sa.literal_column("1"), sa.literal_column(str(len(_PREFIX))))
_LOOK_UP = Prepared(
    sa.select(
        sa.select(sa.func.max(_ENTRIES.c.position)).scalar_subquery(),
        sa.select(_DENIED.c.serial).where(_DENIED.c.serial == sa.bindparam("serial")).scalar_subquery(),
        sa.select(sa.func.count())
        .select_from(_ENTRIES)
        .where(_ENTRIES.c.position > sa.bindparam("seen"))
        .where(sa.bindparam("prefix") == _START)
        .scalar_subquery(),
    )
)
_REVOCATIONS = (
    sa.select(_ENTRIES.c.entry)
    .where(_ENTRIES.c.position > sa.bindparam("seen"), _ENTRIES.c.position <= sa.bindparam("last"))
    .where(sa.literal(_PREFIX) == _START)
    .order_by(_ENTRIES.c.position)
)


class Refusals:
    """Reads who is refused; threads share it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._seen = -1  # the log is looked through up to this position
        self._revoked: set[tuple[str, str]] = set()

    def verify(self, caller: Caller) -> None:
        """Look whether a caller may still call.

        Raises:
            RevokedError: the log says that this party is out.
            CertificateDeniedError: this certificate was denied by its serial.
        """
        seen = self._seen
        with self._store.looking() as connection:
            last, denied, num_new = _LOOK_UP.run(connection, caller.serial, seen, _PREFIX).fetchone()
        if last is not None and (num_new or last < seen):
            with self._store.reading() as connection:
                self._look_through(connection, int(last))
        elif last is not None and last != seen:
            with self._lock:
                self._seen = max(self._seen, int(last))
        if (caller.role, caller.id) in self._revoked:
            raise RevokedError(
                phrase("%(role)s %(id)s was revoked; ask the county", role=phrase(caller.role), id=caller.id)
            )
        if denied is not None:
            raise CertificateDeniedError(
                phrase(
                    "%(role)s %(id)s: this certificate is no longer good; use the newest one",
                    role=phrase(caller.role),
                    id=caller.id,
                )
            )

    def _look_through(self, connection: Connection, last: int) -> None:
        """Take in what the log says behind the position seen so far."""
        seen = self._seen
        values = {"seen": seen if seen <= last else -1, "last": last}
        found = {_party(row.entry) for row in connection.execute(_REVOCATIONS, values)}
        with self._lock:  # another thread may have come further meanwhile
            self._revoked |= found
            self._seen = max(self._seen, last) if seen <= last else last


def _party(entry: bytes) -> tuple[str, str]:
    try:
        statement = parse_entry(bytes(entry)).statement
    except (ProtocolError, CryptoError) as err:
        raise StoreError(phrase("database: an entry is damaged; restore the backup")) from err
    if not isinstance(statement, Revoke):
        raise StoreError(phrase("database: an entry is damaged; restore the backup"))
    return statement.subject, statement.id


def deny_certificate(
    connection: Connection, serial: str, role: str, party: str, reason: str, now: datetime
) -> bool:
    """Refuse a certificate from now on, within a write transaction; return whether that is new.

    Args:
        connection: of ``LogBook.writing`` or ``Store.writing``.
        serial: as `coordinator.identity.serial_of` writes it.
        role: ``node`` or ``auditor``.
        party: its id; kept for people who read the table.
        reason: a code word, e.g. ``renewed``.
        now: the clock, UTC.
    """
    row = {
        "serial": serial,
        "role": role,
        "party": party,
        "reason": reason,
        "denied_ms": round(now.timestamp() * 1000),
    }
    return insert_once(connection, _DENIED, row)
