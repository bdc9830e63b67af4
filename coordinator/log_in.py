"""Log-in to the dashboard: sessions, and the brakes on guessing. All state is in the database.

Rules:

1. A session ends `IDLE_MS` after its last request and `LONGEST_MS` after its begin; an account has at most
   `MAX_SESSIONS`, the oldest goes. Only the SHA-256 of its id is stored.
2. The n-th wrong try in a row at one account makes the next wait 2^(n-1) seconds; from `LOCK_AFTER` on,
   `LOCK_MS`. It does not matter whether the account exists. A success, or a day, ends it.
3. After `MAX_WRONG` wrong tries at all accounts together within `WINDOW_MS`, everybody waits until it is
   over: so guessing one passphrase at many accounts is slow, too.
4. A waiting account is not looked at: nothing tells whether the passphrase was right.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy import Connection

from coordinator import accounts
from coordinator.account_rules import Account, is_name
from coordinator.actions import REFUSED, note
from coordinator.schema import login_brakes, login_sessions
from coordinator.store import Store, upsert

IDLE_MS: Final = 15 * 60_000
LONGEST_MS: Final = 8 * 3_600_000
MAX_SESSIONS: Final = 3
SEEN_EVERY_MS: Final = 20_000
LOCK_AFTER: Final = 5
LOCK_MS: Final = 15 * 60_000
MAX_WRONG: Final = 60
WINDOW_MS: Final = 10 * 60_000
DAY_MS: Final = 24 * 3_600_000
EVERYBODY: Final = "everybody"


@dataclass(frozen=True, slots=True)
class Session:
    """A session that has not ended: its stored digest, and when it began and was used."""

    digest: bytes
    account: str
    created_ms: int
    seen_ms: int


@dataclass(frozen=True, slots=True)
class Wait:
    """A try that came too early: so many seconds are left."""

    seconds: int


def log_in(store: Store, name: str, passphrase: str, code: str, now_ms: int) -> Account | Wait | None:
    """Check who that is.

    Args:
        store: the database.
        name, passphrase, code: as typed; the code of a second factor may be empty where there is none.
        now_ms: the present time.

    Returns:
        The account, `Wait` if the brakes are on, or None if something of the three is wrong.
    """
    with store.writing("log-in try") as connection:
        wait = _wait(connection, name, now_ms)
        if wait is not None:
            return wait
        account = accounts.find(connection, name)
        _fail(connection, name, now_ms)  # counted before it is looked at: many tries at once count as many
    stored = account.passphrase if account and account.is_enabled and account.role else ""
    is_right = accounts.is_passphrase(stored, passphrase)
    with store.writing("log-in") as connection:
        found = accounts.find(connection, name)
        is_right = is_right and found is not None and found.is_enabled and found.passphrase == stored
        if is_right and found is not None and found.has_second:
            is_right = accounts.use_second(connection, found, code, now_ms / 1000)
        if not is_right or found is None:
            note(connection, now_ms, ("", ""), "log-in", name if is_name(name) else "", REFUSED)
            return None
        _release(connection, name)
        note(connection, now_ms, (found.name, found.role), "log-in")
    return found


def set_up(store: Store, name: str, code: str, stretched: str, now_ms: int) -> Account | Wait | None:
    """Use a set-up code up; as `log_in`, with the same brakes."""
    with store.writing("set up") as connection:
        wait = _wait(connection, name, now_ms)
        if wait is not None:
            return wait
        account = accounts.take_code(connection, name, code, stretched, now_ms)
        if account is None:
            _fail(connection, name, now_ms)
            note(connection, now_ms, ("", ""), "set-up", name if is_name(name) else "", REFUSED)
            return None
        _release(connection, name)
        note(connection, now_ms, (account.name, account.role), "set-up")
    return account


def prove(store: Store, account: Account, passphrase: str, now_ms: int) -> bool:
    """Check the passphrase of somebody who has logged in, with the same brakes; noted where it is wrong."""
    with store.writing("passphrase try") as connection:
        if _wait(connection, account.name, now_ms) is not None:
            return False
        _fail(connection, account.name, now_ms)
    is_right = accounts.is_passphrase(account.passphrase, passphrase)
    with store.writing("passphrase") as connection:
        if is_right:
            _release(connection, account.name)
        else:
            note(connection, now_ms, (account.name, account.role), "log-in", account.name, REFUSED)
    return is_right


def begin(store: Store, account: str, token: str, now_ms: int) -> Session:
    """Begin a session; the account's oldest ends where there are too many, and every ended one is dropped."""
    session = Session(digest_of(token), account, now_ms, now_ms)
    with store.writing("begin session") as connection:
        dead = sa.or_(
            login_sessions.c.seen_ms < now_ms - IDLE_MS, login_sessions.c.created_ms < now_ms - LONGEST_MS
        )
        connection.execute(sa.delete(login_sessions).where(dead))
        for old in sessions_of(connection, account, now_ms)[MAX_SESSIONS - 1 :]:
            end(connection, old.digest)
        connection.execute(
            sa.insert(login_sessions).values(
                digest=session.digest, account=account, created_ms=now_ms, seen_ms=now_ms
            )
        )
    return session


def find(store: Store, token: str, now_ms: int, *, is_use: bool = True) -> tuple[Session, Account] | None:
    """Find a session and its account, and note that somebody used it.

    Args:
        store: the database.
        token: the session's id.
        now_ms: the present time.
        is_use: False for what a page does by itself, which keeps nobody's session open.
    """
    digest = digest_of(token)
    with store.reading() as connection:
        row = connection.execute(sa.select(login_sessions).where(login_sessions.c.digest == digest)).first()
        account = accounts.find(connection, row.account) if row else None
    if row is None or account is None or not account.is_enabled or not account.role:
        return None
    session = Session(digest, row.account, int(row.created_ms), int(row.seen_ms))
    if now_ms - session.seen_ms > IDLE_MS or now_ms - session.created_ms > LONGEST_MS:
        return None
    if is_use and now_ms - session.seen_ms > SEEN_EVERY_MS:
        with store.writing("use session") as connection:
            where = login_sessions.c.digest == digest
            connection.execute(sa.update(login_sessions).where(where).values(seen_ms=now_ms))
    return session, account


def sessions_of(connection: Connection, account: str, now_ms: int) -> tuple[Session, ...]:
    """List an account's sessions that have not ended, the newest first."""
    table = login_sessions
    rows = connection.execute(
        sa.select(table)
        .where(table.c.account == account)
        .where(table.c.seen_ms >= now_ms - IDLE_MS, table.c.created_ms >= now_ms - LONGEST_MS)
        .order_by(table.c.created_ms.desc())
    )
    return tuple(
        Session(bytes(row.digest), row.account, int(row.created_ms), int(row.seen_ms)) for row in rows
    )


def end(connection: Connection, digest: bytes) -> None:
    """End a session."""
    connection.execute(sa.delete(login_sessions).where(login_sessions.c.digest == digest))


def unlock(connection: Connection, name: str) -> None:
    """Let an account try again at once."""
    _release(connection, name)


def is_locked(connection: Connection, name: str, now_ms: int) -> bool:
    """Say whether an account waits after too many wrong tries."""
    row = connection.execute(sa.select(login_brakes).where(login_brakes.c.subject == _subject(name))).first()
    return row is not None and row.failures >= LOCK_AFTER and row.free_ms > now_ms


def digest_of(token: str) -> bytes:
    """Give what is stored of a session's id."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _subject(name: str) -> str:
    return "account " + hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()


def _wait(connection: Connection, name: str, now_ms: int) -> Wait | None:
    subjects = (_subject(name), EVERYBODY)
    rows = connection.execute(sa.select(login_brakes).where(login_brakes.c.subject.in_(subjects)))
    free_ms = max((int(row.free_ms) for row in rows), default=0)
    return Wait(-((now_ms - free_ms) // 1000)) if free_ms > now_ms else None


def _fail(connection: Connection, name: str, now_ms: int) -> None:
    """Count a wrong try at the account and at everybody's."""
    connection.execute(sa.delete(login_brakes).where(login_brakes.c.changed_ms < now_ms - DAY_MS))
    failures = _failures(connection, _subject(name)) + 1
    pause_ms = LOCK_MS if failures >= LOCK_AFTER else 1000 * 2 ** (failures - 1)
    _brake(connection, _subject(name), failures, now_ms + pause_ms, now_ms)
    row = connection.execute(sa.select(login_brakes).where(login_brakes.c.subject == EVERYBODY)).first()
    since_ms = int(row.changed_ms) if row else now_ms
    is_over = now_ms - since_ms > WINDOW_MS
    number = 1 if row is None or is_over else int(row.failures) + 1
    begun_ms = now_ms if row is None or is_over else since_ms
    free_ms = begun_ms + WINDOW_MS if number >= MAX_WRONG else 0
    _brake(connection, EVERYBODY, number, free_ms, begun_ms)


def _failures(connection: Connection, subject: str) -> int:
    query = sa.select(login_brakes.c.failures).where(login_brakes.c.subject == subject)
    return int(connection.execute(query).scalar() or 0)


def _brake(connection: Connection, subject: str, failures: int, free_ms: int, changed_ms: int) -> None:
    values = {"failures": failures, "free_ms": free_ms, "changed_ms": changed_ms}
    upsert(connection, login_brakes, {"subject": subject}, values)


def _release(connection: Connection, name: str) -> None:
    """Forget the account's wrong tries, and take this try out of everybody's count."""
    connection.execute(sa.delete(login_brakes).where(login_brakes.c.subject == _subject(name)))
    where = (login_brakes.c.subject == EVERYBODY, login_brakes.c.failures > 0)
    connection.execute(
        sa.update(login_brakes).where(*where).values(failures=login_brakes.c.failures - 1, free_ms=0)
    )
