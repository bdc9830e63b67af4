"""Collect the auditors' cosignatures and serve the newest checkpoints with them.

An auditor is a witness (c2sp.org/tlog-cosignature): it cosigns a checkpoint after it saw that
the log only grew. Which auditors count at a size is said by the roster in force there.
"""

from __future__ import annotations

import sqlalchemy as sa

from coordinator import schema
from coordinator.errors import NotRosteredError, SignatureRefusedError
from coordinator.log_book import LogBook, View
from coordinator.prepared import Prepared
from coordinator.store import upsert
from crypto.errors import CryptoError
from crypto.note import cosignature_time, parse_signature_line, verify_signature
from plan.errors import phrase
from protos.ledger import Ledger

_TABLE = schema.cosignatures
# composed once: every look at the log runs them
_LINES = Prepared(
    sa.select(_TABLE.c.auditor, _TABLE.c.line).where(_TABLE.c.size == sa.bindparam("at", type_=sa.Integer))
)
_SIZES = Prepared(sa.select(_TABLE.c.size).distinct().order_by(_TABLE.c.size.desc()))


def take_cosignature(book: LogBook, auditor_id: str, size: int, line: str) -> None:
    """Verify and store one cosignature line; of two by one auditor the later time stays.

    Raises:
        NotRosteredError: no auditor of the roster at that size, or revoked.
        SignatureRefusedError: the log is not that long, or the signature does not hold.
    """
    with book.reading() as view:
        time_s = _verify(book, view.ledger, auditor_id, size, line)
        if (_stored_time(view, auditor_id, size) or 0) >= time_s:
            return
    with book.writing("store cosignature") as view:
        if (_stored_time(view, auditor_id, size) or 0) < time_s:
            key = {"size": size, "auditor": auditor_id}
            upsert(view.connection, _TABLE, key, {"time_s": time_s, "line": line})
            _forget_older(view)


def _verify(book: LogBook, ledger: Ledger, auditor_id: str, size: int, line: str) -> int:
    if not 1 <= size <= ledger.size:
        raise SignatureRefusedError(
            phrase(
                "cosignature: size %(size)s, the log has %(ledger_size)s", size=size, ledger_size=ledger.size
            )
        )
    auditor = ledger.roster_at(size).body.auditor(auditor_id)
    if auditor is None or auditor_id in ledger.revoked_auditors:
        raise NotRosteredError(
            phrase(
                "%(auditor_id)s: no auditor of the roster at size %(size)s", auditor_id=auditor_id, size=size
            )
        )
    try:
        signature = parse_signature_line(line)
        verify_signature(book.checkpoint_text(ledger, size), signature, auditor.cosigner)
        return cosignature_time(signature)
    except CryptoError as err:
        raise SignatureRefusedError(
            phrase(
                "cosignature of %(auditor_id)s at size %(size)s: %(reason)s",
                auditor_id=auditor_id,
                size=size,
                reason=err,
            )
        ) from err


def _stored_time(view: View, auditor_id: str, size: int) -> int | None:
    query = sa.select(_TABLE.c.time_s).where(_TABLE.c.size == size, _TABLE.c.auditor == auditor_id)
    stored: int | None = view.connection.execute(query).scalar()
    return stored


def _forget_older(view: View) -> None:
    """Keep nothing below the newest size that has a quorum."""
    size = cosigned_size(view)
    view.connection.execute(sa.delete(_TABLE).where(_TABLE.c.size < size))


def lines_at(view: View, size: int) -> tuple[str, ...]:
    """Read the cosignature lines of a size, in roster order."""
    rows = _LINES.run(view.connection, size)
    lines: dict[str, str] = dict(iter(rows.fetchone, None))
    roster = view.ledger.roster_at(size)
    revoked = view.ledger.revoked_auditors
    return tuple(
        lines[auditor.id]
        for auditor in roster.body.auditors
        if auditor.id in lines and auditor.id not in revoked
    )


def cosigned_size(view: View) -> int:
    """Find the newest size whose checkpoint has its roster's quorum of cosignatures; 0 before the first."""
    sizes: list[int] = [row[0] for row in iter(_SIZES.run(view.connection).fetchone, None)]
    for size in sizes:
        if len(lines_at(view, size)) >= view.ledger.roster_at(size).statement.quorum:
            return size
    return 0


def latest_checkpoint(book: LogBook, view: View) -> bytes:
    """Give the newest checkpoint, log-signed, with the cosignatures it has so far."""
    size = view.ledger.size
    return book.checkpoint(view.ledger, size, lines_at(view, size))


def cosigned_checkpoint(book: LogBook, view: View) -> bytes:
    """Give the newest checkpoint that has a quorum of cosignatures; empty before the first."""
    size = cosigned_size(view)
    return book.checkpoint(view.ledger, size, lines_at(view, size)) if size else b""
