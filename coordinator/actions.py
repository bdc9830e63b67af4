"""The journal of the dashboard: who did what and when, never a value.

Rows are only ever added. Each carries the SHA-256 of the row before and itself, so that a row that was
changed or taken out shows; a digest of the newest row noted elsewhere shows a journal that was cut short.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy import Connection

from coordinator.schema import actions

DONE, ASKED, REFUSED = "done", "asked", "refused"
COMMAND_LINE: Final = "(command line)"
MAX_SUBJECT: Final = 100
_DST: Final = b"fedscreen/dashboard-action/v1\n"


@dataclass(frozen=True, slots=True)
class Action:
    """One row.

    Attributes:
        position: from 0 on.
        at_ms: when, in milliseconds since 1970, UTC.
        account, role: who; "" for somebody who had not logged in.
        action: a code, such as "log-in".
        subject: what it was about: a round, an account, a school; or "".
        outcome: "done", "asked" (written before it was tried) or "refused".
        digest: of the row before and this one.
    """

    position: int
    at_ms: int
    account: str
    role: str
    action: str
    subject: str
    outcome: str
    digest: bytes


def note(
    connection: Connection,
    at_ms: int,
    who: tuple[str, str],
    action: str,
    subject: str = "",
    outcome: str = DONE,
) -> None:
    """Add a row within a write transaction.

    Args:
        connection: of `Store.writing`.
        at_ms: the present time.
        who: account and role.
        action, subject, outcome: as in `Action`.
    """
    last = connection.execute(
        sa.select(actions.c.position, actions.c.digest).order_by(actions.c.position.desc()).limit(1)
    ).first()
    position, before = (last.position + 1, bytes(last.digest)) if last else (0, b"")
    account, role = who
    values = (position, at_ms, account, role, action, subject[:MAX_SUBJECT], outcome)
    names = ("position", "at_ms", "account", "role", "action", "subject", "outcome")
    row = dict(zip(names, values, strict=True))
    connection.execute(sa.insert(actions).values(**row, digest=_digest(before, values)))


def newest(connection: Connection, before: int | None, most: int) -> tuple[Action, ...]:
    """Read the newest rows, newest first.

    Args:
        connection: of `Store.reading`.
        before: only rows before this position; None for all.
        most: so many at most.
    """
    query = sa.select(actions).order_by(actions.c.position.desc()).limit(most)
    if before is not None:
        query = query.where(actions.c.position < before)
    return tuple(_action(row) for row in connection.execute(query))


def every(connection: Connection) -> Iterator[Action]:
    """Read all rows, oldest first."""
    for row in connection.execute(sa.select(actions).order_by(actions.c.position)):
        yield _action(row)


def first_wrong(connection: Connection) -> int | None:
    """Give the first position that does not follow from the rows before, or None if the journal is whole."""
    before = b""
    for place, row in enumerate(every(connection)):
        values = (row.position, row.at_ms, row.account, row.role, row.action, row.subject, row.outcome)
        if row.position != place or row.digest != _digest(before, values):
            return place
        before = row.digest
    return None


def _digest(before: bytes, values: tuple[object, ...]) -> bytes:
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(_DST + before + text.encode("utf-8", "surrogatepass")).digest()


def _action(row: sa.Row[tuple[object, ...]]) -> Action:
    return Action(
        *(int(row.position), int(row.at_ms), str(row.account), str(row.role)),
        *(str(row.action), str(row.subject), str(row.outcome)),
        digest=bytes(row.digest),
    )
