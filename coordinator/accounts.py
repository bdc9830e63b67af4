"""The accounts of the dashboard in the database. Rules: `coordinator.account_rules`.

Every function that changes something works within the caller's write transaction, so that the change and its
row in the journal (`coordinator.actions`) are one commit. Passphrases are stretched outside of it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Final

import nacl.exceptions
import sqlalchemy as sa
from nacl.pwhash import argon2id
from sqlalchemy import Connection

from coordinator.account_rules import (
    CODE_DAYS,
    SECURITY,
    SYSTEM,
    Account,
    AccountError,
    check_apart,
    check_name,
    check_person,
    check_role,
)
from coordinator.schema import accounts, login_sessions, recovery_codes
from plan.errors import phrase

OPS, MEMORY_BYTES = 3, 64 * 2**20
"""Cost of Argon2id: about 0.15 s; RFC 9106's second recommendation."""
DAY_MS: Final = 24 * 3600 * 1000
STEP_S: Final = 30
NUM_RECOVERY: Final = 10
_TURN = threading.BoundedSemaphore(2)  # so many are stretched at once, each in 64 MiB


def stretch(passphrase: str) -> str:
    """Stretch a passphrase into the text that is stored (Argon2id, RFC 9106)."""
    with _TURN:
        return argon2id.str(_bytes(passphrase), opslimit=OPS, memlimit=MEMORY_BYTES).decode()


def is_passphrase(stored: str, passphrase: str) -> bool:
    """Compare a passphrase with what is stored; takes as long where nothing is stored."""
    with _TURN:
        try:
            return argon2id.verify((stored or _nobody()).encode(), _bytes(passphrase)) and bool(stored)
        except (nacl.exceptions.InvalidkeyError, nacl.exceptions.CryptoError):
            return False


def _bytes(passphrase: str) -> bytes:
    return unicodedata.normalize("NFC", passphrase).encode("utf-8", "surrogatepass")


def _nobody() -> str:
    """A stored passphrase of nobody, of the same cost."""
    salt = base64.b64encode(bytes(16)).decode().rstrip("=")
    tag = base64.b64encode(bytes(32)).decode().rstrip("=")
    return f"$argon2id$v=19$m={MEMORY_BYTES // 1024},t={OPS},p=1${salt}${tag}"


def find(connection: Connection, name: str) -> Account | None:
    """Find an account."""
    row = connection.execute(sa.select(accounts).where(accounts.c.name == name)).first()
    return _account(row) if row else None


def get(connection: Connection, name: str) -> Account:
    """Find an account.

    Raises:
        AccountError: there is none.
    """
    found = find(connection, name)
    if found is None:
        raise AccountError(phrase("there is no such account"))
    return found


def every(connection: Connection) -> tuple[Account, ...]:
    """List all accounts by name."""
    rows = connection.execute(sa.select(accounts).order_by(accounts.c.name))
    return tuple(_account(row) for row in rows)


def add(connection: Connection, name: str, person: str, now_ms: int) -> Account:
    """Make an account without role and passphrase.

    Raises:
        AccountError: the name is taken or none.
    """
    if find(connection, check_name(name)) is not None:
        raise AccountError(phrase("an account of this name exists already"))
    empty: dict[str, object] = {
        "role": "",
        "node": "",
        "passphrase": "",
        "code_digest": b"",
        "totp_secret": "",
        "totp_pending": "",
    }
    connection.execute(
        sa.insert(accounts).values(
            **empty,
            name=name,
            person=check_person(person),
            is_enabled=1,
            code_until_ms=0,
            totp_step=0,
            created_ms=now_ms,
            changed_ms=0,
        )
    )
    return get(connection, name)


def give_role(connection: Connection, name: str, role: str, node: str, nodes: Mapping[str, str]) -> None:
    """Give an account another role; whoever uses it is logged out.

    Args:
        connection: of a write transaction.
        name: the account.
        role, node: as in `Account`.
        nodes: the roster's schools.

    Raises:
        AccountError: the role does not fit (`check_role`, `check_apart`), or nobody else has the old one.
    """
    account = get(connection, name)
    check_role(role, node, nodes)
    if account.is_enabled:
        check_apart(role, name, account.person, _holders(connection))
    if role != account.role:
        _check_not_last(connection, account)
    _set(connection, name, role=role, node=node)
    end_sessions(connection, name)


def set_enabled(connection: Connection, name: str, is_enabled: bool) -> None:
    """Let an account log in, or no longer.

    Raises:
        AccountError: it is unknown, the last of its kind, or its person holds another administrator's role.
    """
    account = get(connection, name)
    if is_enabled:
        check_apart(account.role, name, account.person, _holders(connection))
    else:
        _check_not_last(connection, account)
        end_sessions(connection, name)
    _set(connection, name, is_enabled=int(is_enabled))


def _holders(connection: Connection) -> dict[str, tuple[str, str]]:
    return {row.name: (row.person, row.role) for row in every(connection) if row.is_enabled}


def _check_not_last(connection: Connection, account: Account) -> None:
    """Keep one system and one security administrator who can log in."""
    if account.role not in (SYSTEM, SECURITY) or not account.is_enabled or not account.passphrase:
        return
    others = [
        row
        for row in every(connection)
        if row.role == account.role and row.is_enabled and row.passphrase and row.name != account.name
    ]
    if not others:
        raise AccountError(phrase("this is the last account of its role; let there be another one first"))


def issue_code(connection: Connection, name: str, code: str, now_ms: int) -> int:
    """Store a set-up code of an account; the passphrase and second factor that it has stop working.

    Returns:
        Until when the code works, in milliseconds.

    Raises:
        AccountError: the account is unknown or has no role.
    """
    account = get(connection, name)
    if not account.role:
        raise AccountError(phrase("give the account a role first"))
    until_ms = now_ms + CODE_DAYS * DAY_MS
    _set(connection, name, code_digest=_digest(code), code_until_ms=until_ms, passphrase="")
    drop_second(connection, name)
    end_sessions(connection, name)
    return until_ms


def take_code(connection: Connection, name: str, code: str, stretched: str, now_ms: int) -> Account | None:
    """Use a set-up code up: the account gets its passphrase; None where the code does not work."""
    query = sa.select(accounts).where(accounts.c.name == name, accounts.c.is_enabled == 1)
    row = connection.execute(query).first()
    stored = bytes(row.code_digest) if row else b""
    if not hmac.compare_digest(stored, _digest(code)) or row is None or row.code_until_ms < now_ms:
        return None
    set_passphrase(connection, name, stretched, now_ms)
    return get(connection, name)


def set_passphrase(connection: Connection, name: str, stretched: str, now_ms: int) -> None:
    """Store a new passphrase; a set-up code stops working."""
    _set(connection, name, passphrase=stretched, changed_ms=now_ms, code_digest=b"", code_until_ms=0)


def propose_second(connection: Connection, name: str, secret: str) -> None:
    """Store the secret of a second factor that is not confirmed yet."""
    _set(connection, name, totp_pending=secret)


def confirm_second(connection: Connection, name: str, step: int, codes: Sequence[str]) -> None:
    """Ask for the second factor from now on, and store new recovery codes.

    Args:
        connection: of a write transaction.
        name: the account.
        step: the time step of the code that confirmed it, which cannot be used again.
        codes: recovery codes, as shown once.
    """
    account = get(connection, name)
    drop_second(connection, name)
    _set(connection, name, totp_secret=account.totp_pending, totp_step=step)
    rows = [{"account": name, "digest": _digest(code)} for code in codes]
    connection.execute(sa.insert(recovery_codes), rows)


def drop_second(connection: Connection, name: str) -> None:
    """No longer ask for a second factor."""
    _set(connection, name, totp_secret="", totp_pending="", totp_step=0)
    connection.execute(sa.delete(recovery_codes).where(recovery_codes.c.account == name))


def use_second(connection: Connection, account: Account, code: str, now_s: float) -> bool:
    """Use a code of the second factor up: of the device, or a recovery code; False where it is neither."""
    step = matching_step(account.totp_secret, code, now_s)
    if step is not None:
        if step <= account.totp_step:
            return False  # seen by somebody who looked over the shoulder
        _set(connection, account.name, totp_step=step)
        return True
    where = (recovery_codes.c.account == account.name, recovery_codes.c.digest == _digest(code))
    if connection.execute(sa.select(recovery_codes.c.account).where(*where)).first() is None:
        return False
    connection.execute(sa.delete(recovery_codes).where(*where))
    return True


def num_recovery_codes(connection: Connection, name: str) -> int:
    """Say how many recovery codes are left."""
    query = sa.select(sa.func.count()).where(recovery_codes.c.account == name)
    return int(connection.execute(query).scalar_one())


def matching_step(secret: str, code: str, now_s: float) -> int | None:
    """Find the time step (RFC 6238, 30 s) whose code this is: now, one before or one after."""
    import pyotp

    typed, now = code.replace(" ", ""), int(now_s // STEP_S)
    if not secret or not (typed.isascii() and typed.isdigit() and len(typed) == 6):
        return None
    totp = pyotp.TOTP(secret)
    found = [step for step in (now - 1, now, now + 1) if hmac.compare_digest(totp.generate_otp(step), typed)]
    return found[-1] if found else None


def second_address(secret: str, name: str, federation: str) -> str:
    """Give the otpauth:// address that a device scans."""
    import pyotp

    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=f"fedscreen {federation}")


def end_sessions(connection: Connection, name: str, except_for: bytes = b"") -> None:
    """Log an account out everywhere, but for one session's digest."""
    table = login_sessions
    connection.execute(sa.delete(table).where(table.c.account == name, table.c.digest != except_for))


def _set(connection: Connection, name: str, **values: object) -> None:
    connection.execute(sa.update(accounts).where(accounts.c.name == name).values(**values))


def _digest(code: str) -> bytes:
    plain = "".join(code.split()).replace("-", "").lower()
    return hashlib.sha256(b"fedscreen/dashboard-code/v1\n" + plain.encode("utf-8", "surrogatepass")).digest()


def _account(row: sa.Row[tuple[object, ...]]) -> Account:
    return Account(
        name=row.name,
        person=row.person,
        role=row.role,
        node=row.node,
        is_enabled=bool(row.is_enabled),
        passphrase=row.passphrase,
        totp_secret=row.totp_secret,
        totp_pending=row.totp_pending,
        totp_step=int(row.totp_step),
        code_until_ms=int(row.code_until_ms),
        created_ms=int(row.created_ms),
        changed_ms=int(row.changed_ms),
    )
