"""The own account: passphrase, second factor, sessions."""

from __future__ import annotations

import base64
import io
from typing import Any, Final

from coordinator import accounts, log_in
from coordinator.account_rules import Account, AccountError
from coordinator.dashboard.pages_enter import new_passphrase
from coordinator.dashboard.speech import refusal
from coordinator.dashboard.visit import Page, Redirect, Reply, Visit
from plan.errors import phrase

SECRET_BYTES: Final = 20
CODE_BYTES: Final = 10


def me(visit: Visit) -> Reply:
    """Show the own account."""
    return _page(visit)


def passphrase(visit: Visit) -> Reply:
    """Take a new passphrase, under the old one."""
    account = _account(visit)
    try:
        _prove(visit, account)
        stretched = new_passphrase(visit, account.name)
    except AccountError as err:
        return _page(visit, problem=refusal(err, visit.translate), status=409)
    with visit.acting("change-passphrase") as connection:
        accounts.set_passphrase(connection, account.name, stretched, visit.county.now_ms)
        accounts.end_sessions(connection, account.name, _digest(visit))
    return Redirect("/me", "passphrase")


def propose_second(visit: Visit) -> Reply:
    """Make the secret of a second factor and show it, until it is confirmed with a code."""
    account = _account(visit)
    if account.has_second:
        return Redirect("/me")
    secret = base64.b32encode(visit.entropy(SECRET_BYTES)).decode()
    with visit.acting("propose-second") as connection:
        accounts.propose_second(connection, account.name, secret)
    return _enrolment(visit, account, secret)


def confirm_second(visit: Visit) -> Reply:
    """Switch the second factor on once a code of the device fits; show the recovery codes, once."""
    account = _account(visit)
    step = accounts.matching_step(account.totp_pending, visit.text("code"), visit.county.now_ms / 1000)
    if account.has_second or not account.totp_pending:
        return Redirect("/me")
    if step is None:
        wrong = phrase("this code does not fit; check the clock of the device").text(visit.translate)
        return _enrolment(visit, account, account.totp_pending, wrong, 409)
    codes = [_code(visit) for _place in range(accounts.NUM_RECOVERY)]
    with visit.acting("confirm-second") as connection:
        accounts.confirm_second(connection, account.name, step, codes)
    return Page("recovery.html", {"codes": codes})


def drop_second(visit: Visit) -> Reply:
    """Switch the second factor off, under the passphrase."""
    account = _account(visit)
    try:
        _prove(visit, account)
    except AccountError as err:
        return _page(visit, problem=refusal(err, visit.translate), status=409)
    with visit.acting("drop-second") as connection:
        accounts.drop_second(connection, account.name)
    return Redirect("/me", "second-off")


def end_sessions(visit: Visit) -> Reply:
    """End the account's other sessions."""
    with visit.acting("end-sessions") as connection:
        accounts.end_sessions(connection, visit.name, _digest(visit))
    return Redirect("/me", "sessions")


def _account(visit: Visit) -> Account:
    if visit.account is None:
        raise AccountError(phrase("there is no such account"))
    return visit.account


def _digest(visit: Visit) -> bytes:
    return visit.session.digest if visit.session else b""


def _prove(visit: Visit, account: Account) -> None:
    """Ask for the passphrase again, under the brakes of the log-in.

    Raises:
        AccountError: it is wrong.
    """
    if not log_in.prove(visit.county.store, account, visit.texts.get("passphrase", ""), visit.county.now_ms):
        raise AccountError(phrase("the passphrase is not right, or there were too many wrong tries"))


def _code(visit: Visit) -> str:
    plain = base64.b32encode(visit.entropy(CODE_BYTES)).decode().lower()
    return "-".join(plain[at : at + 4] for at in range(0, len(plain), 4))


def _page(visit: Visit, *, problem: str = "", status: int = 200) -> Page:
    with visit.county.store.reading() as connection:
        sessions = log_in.sessions_of(connection, visit.name, visit.county.now_ms)
        left = accounts.num_recovery_codes(connection, visit.name)
    values: dict[str, Any] = {"sessions": sessions, "recovery_left": left, "own": _digest(visit)}
    return Page("me.html", {**values, "account": visit.account, "problem": problem}, status)


def _enrolment(visit: Visit, account: Account, secret: str, problem: str = "", status: int = 200) -> Page:
    address = accounts.second_address(secret, account.name, visit.county.config.federation)
    values = {"secret": secret, "qr": _qr(address), "problem": problem}
    return Page("second.html", values, status)


def _qr(address: str) -> str:
    """Draw a QR code as inline SVG, without a style attribute, which the policy would refuse."""
    import segno

    out = io.BytesIO()
    segno.make(address, error="m").save(
        out,
        kind="svg",
        xmldecl=False,
        svgns=True,
        scale=5,
        border=2,
        dark="#000",
        light="#fff",
        svgclass="qr",
    )
    return out.getvalue().decode()
