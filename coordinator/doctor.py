"""What `fedscreen coordinator doctor` looks at: one finding a thing that the county's service needs.

A finding is OK, WARN (it works, look at it soon), FAIL (something does not work) or SKIP (not looked at, and
why). Nothing here changes anything, calls another machine but for a name's address, or tells a secret.
"""

from __future__ import annotations

import shutil
import socket
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import sqlalchemy as sa

from coordinator import ca, schema
from coordinator.admin_http import is_loopback
from coordinator.desk import Desk
from coordinator.errors import CoordinatorError
from coordinator.home import SERVER_CERTIFICATE, Home
from coordinator.log_book import View
from coordinator.port_checks import ask_ready, check_port
from coordinator.publish_log import published_checkpoint
from coordinator.store import read_meta
from coordinator.witnesses import cosigned_size
from plan.errors import Phrase, phrase

OK, WARN, FAIL, SKIP = "OK", "WARN", "FAIL", "SKIP"
LOW_BYTES: Final = 2 << 30
NO_BYTES: Final = 200 << 20
CLOCK_TOLERANCE: Final = timedelta(minutes=5)
SILENT_AFTER: Final = timedelta(hours=24)
SERVER_DAYS: Final = 14
PARTY_DAYS: Final = 30
CA_DAYS: Final = 400
BACKUP_DAYS: Final = 8
BACKUP_MADE: Final = "backup_ms"
NAMED: Final = 12


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: stable, for programs.
        state: OK, WARN, FAIL or SKIP.
        found: what was found.
        advice: what to do; None where nothing is to be done.
    """

    name: str
    state: str
    found: Phrase
    advice: Phrase | None = field(default=None)


def examine(desk: Desk, now: datetime) -> Iterator[Finding]:
    """Look at everything, one after the other; a check that cannot be made is a finding itself."""
    home = desk.home
    checks: tuple[tuple[str, Callable[[], Iterable[Finding]]], ...] = (
        ("database", lambda: [check_database(desk)]),
        ("disk", lambda: [check_disk(home)]),
        ("permissions", lambda: [check_permissions(home)]),
        ("port", lambda: check_ports(home)),
        ("address", lambda: [check_address(home)]),
        ("certificate", lambda: [check_certificate(home, now)]),
        ("keys", lambda: check_keys(desk, now)),
        ("members", lambda: check_members(desk)),
        ("log", lambda: check_log(desk, now)),
    )
    for name, check in checks:
        try:
            yield from check()
        except (CoordinatorError, OSError, ValueError) as err:
            reason = err if isinstance(err, CoordinatorError) else type(err).__name__
            yield Finding(name, FAIL, phrase("cannot be looked at: %(reason)s", reason=reason))


def check_database(desk: Desk) -> Finding:
    """Read something from the database."""
    desk.probe()
    return Finding("database", OK, phrase("it answers"))


def check_disk(home: Home) -> Finding:
    """Compare the free space with what a round needs."""
    free = shutil.disk_usage(home.directory).free
    found = phrase("%(free)s MiB free", free=free >> 20)
    advice = phrase("Make room or move the folder to a larger disk; nothing is lost before that.")
    if free < NO_BYTES:
        return Finding("disk", FAIL, found, advice)
    return Finding("disk", WARN, found, advice) if free < LOW_BYTES else Finding("disk", OK, found)


def check_permissions(home: Home) -> Finding:
    """Look whether others on this machine may read the keys."""
    folder = home.directory / "keys"
    files = [folder, *(path for path in folder.iterdir() if path.suffix == ".key")]
    files += [path for path in (home.store_path,) if path.exists()]  # it holds second factors and boxes
    loose = [path.name for path in files if stat.S_IMODE(path.stat().st_mode) & 0o077]
    if loose:
        return Finding(
            "permissions",
            FAIL,
            phrase("others on this machine may read %(names)s", names=", ".join(sorted(loose))),
            phrase(
                "chmod 700 keys, chmod 600 keys/*.key coordinator.db; think about rolling these keys over."
            ),
        )
    return Finding("permissions", OK, phrase("the keys are the owner's alone"))


def check_ports(home: Home) -> Iterator[Finding]:
    """Look at the ports, and ask a running server how it stands."""
    config = home.config
    ports = {"port": config.listen, "enrolment-port": config.enrol_listen}
    for name, listen in ports.items():
        if listen:
            yield _port(name, listen, check_port(listen))
    if not config.admin_listen:
        yield Finding("server", SKIP, phrase("no admin_listen in coordinator.toml, so nobody to ask"))
        return
    word = ask_ready(config.admin_listen)
    if word == "ready":
        yield Finding("server", OK, phrase("running and ready"))
    else:
        advice = phrase("Start it ('coordinator serve'), or see its log.")
        yield Finding("server", WARN, phrase("not ready: %(word)s", word=word), advice)


def _port(name: str, listen: str, word: str) -> Finding:
    found = phrase("%(listen)s: %(word)s", listen=listen, word=word)
    if word == "in-use":
        return Finding(name, OK, phrase("%(listen)s: a server listens", listen=listen))
    if word == "free":
        return Finding(name, WARN, phrase("%(listen)s: no server listens", listen=listen), _START)
    return Finding(name, FAIL, found, phrase("Set another address or port in coordinator.toml."))


_START = phrase("Start it: 'coordinator serve'.")


def check_address(home: Home) -> Finding:
    """Look the name up that nodes are given."""
    host = home.config.public_address.rpartition(":")[0].strip("[]")
    if is_loopback(host):
        return Finding(
            "address",
            WARN,
            phrase("nodes are told %(host)s, which is this machine alone", host=host),
            phrase("Set 'address' in coordinator.toml to what schools can reach, before they enrol."),
        )
    try:
        found = {str(row[4][0]) for row in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except OSError:
        return Finding(
            "address",
            FAIL,
            phrase("%(host)s has no address", host=host),
            phrase("Have the name entered into DNS, or set 'address' to another one."),
        )
    return Finding("address", OK, phrase("%(host)s is %(found)s", host=host, found=", ".join(sorted(found))))


def check_certificate(home: Home, now: datetime) -> Finding:
    """Look at the server's own certificate, which a running server renews by itself."""
    path = home.directory / SERVER_CERTIFICATE
    if not path.exists():
        return Finding("certificate", SKIP, phrase("made when the server starts for the first time"))
    days = (ca.expires_at(path.read_bytes()) - now).days
    found = phrase("holds for %(days)s days", days=days)
    if days >= SERVER_DAYS:
        return Finding("certificate", OK, found)
    advice = phrase("Start the server again; it renews its certificate. See its log if it did not.")
    return Finding("certificate", FAIL if days < 0 else WARN, found, advice)


def check_keys(desk: Desk, now: datetime) -> Iterator[Finding]:
    """Look at the CA's age, and at keys that were rolled over half-way."""
    days = (desk.home.authority.certificate.not_valid_after_utc - now).days
    found = phrase("holds for %(days)s days", days=days)
    advice = phrase("Roll it over in time: 'coordinator keys roll ca'.")
    yield (
        Finding("ca", OK, found)
        if days > CA_DAYS
        else Finding("ca", FAIL if days < 0 else WARN, found, advice)
    )
    rows = desk.describe_keys()
    waiting = sorted({str(row["purpose"]) for row in rows if row["state"] == "waiting"})
    older = sorted({str(row["purpose"]) for row in rows if row["state"] == "older"})
    if waiting and desk.card_text():
        yield Finding(
            "keys",
            WARN,
            phrase("rolled over, but in no roster yet: %(names)s", names=", ".join(waiting)),
            phrase("'coordinator roster propose', and have the auditors sign it."),
        )
    elif older:
        num_parties = next((row["parties"] for row in rows if row.get("parties")), 0)
        yield Finding(
            "keys",
            WARN,
            phrase(
                "older keys are still held: %(names)s; %(number)s parties have an old CA's certificate",
                names=", ".join(older),
                number=num_parties,
            ),
            phrase("When no open round needs them: 'coordinator keys retire'."),
        )
    else:
        yield Finding("keys", OK, phrase("one of each, in force"))


def check_members(desk: Desk) -> Iterator[Finding]:
    """Compare who is enrolled with the roster in force, and look at their certificates."""
    rows = desk.describe_members()
    waiting = [str(row["id"]) for row in rows if row["state"] in ("waiting", "leaving")]
    if waiting:
        yield Finding(
            "roster",
            WARN,
            phrase("%(number)s enrolled otherwise than the roster says: %(ids)s", **_some(waiting)),
            phrase("'coordinator roster propose', and have the auditors sign it."),
        )
    else:
        yield Finding("roster", OK, phrase("%(number)s enrolled, as the roster says", number=len(rows)))
    active = [row for row in rows if row["state"] not in ("left", "revoked")]
    expired = [str(row["id"]) for row in active if row["certificate_days"] < 0]
    soon = [str(row["id"]) for row in active if 0 <= row["certificate_days"] < PARTY_DAYS]
    advice = phrase(
        "They renew by themselves while they run; else 'node keys renew', or by file: 'node request'."
    )
    if expired:
        text = phrase("the certificates of %(number)s parties have expired: %(ids)s", **_some(expired))
        yield Finding("certificates", WARN, text, advice)
    elif soon:
        text = phrase("the certificates of %(number)s parties end within 30 days: %(ids)s", **_some(soon))
        yield Finding("certificates", WARN, text, advice)
    else:
        yield Finding("certificates", OK, phrase("all of them hold for 30 days or more"))


def check_log(desk: Desk, now: datetime) -> Iterator[Finding]:
    """Look at the published log, the auditors' cosignatures, this machine's clock, and the last backup."""
    published = published_checkpoint(desk.home.log_folder)
    with desk.reading() as view:
        if not view.has_genesis:
            advice = phrase("Approve the auditors with --propose and have them sign the first roster.")
            yield Finding("log", WARN, phrase("empty: there is no roster yet"), advice)
            return
        size, cosigned = view.ledger.size, cosigned_size(view)
        seen = published.size if published else 0
        yield _log_state(size, cosigned, seen)
        times = _cosigned_at(view)
        yield _auditors_state(view, times, now)
        newest = max((*times.values(), view.logged_at(size - 1)))
        yield _clock_state(newest, now)
        yield _backup_state(read_meta(view.connection, BACKUP_MADE), now)


def _log_state(size: int, cosigned: int, seen: int) -> Finding:
    found = phrase(
        "%(size)s entries, %(cosigned)s cosigned, %(seen)s published", size=size, cosigned=cosigned, seen=seen
    )
    if seen < cosigned:
        return Finding("log", WARN, found, phrase("The server publishes at its next tick; is it running?"))
    if cosigned < size:
        advice = phrase("The auditors' 'auditor watch' has to run; a quorum cosigns within a minute.")
        return Finding("log", WARN, found, advice)
    return Finding("log", OK, found)


def _cosigned_at(view: View) -> dict[str, datetime]:
    table = schema.cosignatures
    rows = view.connection.execute(
        sa.select(table.c.auditor, sa.func.max(table.c.time_s)).group_by(table.c.auditor)
    )
    return {row[0]: datetime.fromtimestamp(row[1], UTC) for row in rows}


def _auditors_state(view: View, times: dict[str, datetime], now: datetime) -> Finding:
    ledger = view.ledger
    ids = [row.id for row in ledger.roster.body.auditors if row.id not in ledger.revoked_auditors]
    silent = [name for name in ids if name not in times or now - times[name] > SILENT_AFTER]
    if not silent:
        return Finding("auditors", OK, phrase("all %(number)s have cosigned within a day", number=len(ids)))
    found = phrase("no sign of life within a day: %(ids)s", ids=", ".join(silent))
    advice = phrase("Call them: does 'auditor watch' run, and has their certificate expired?")
    too_few = len(ids) - len(silent) < ledger.roster.statement.quorum
    return Finding("auditors", FAIL if too_few else WARN, found, advice)


def _clock_state(newest: datetime, now: datetime) -> Finding:
    if newest - now > CLOCK_TOLERANCE:
        return Finding(
            "clock",
            FAIL,
            phrase("%(minutes)s minutes behind what was signed last", minutes=(newest - now).seconds // 60),
            phrase("Set this machine's clock, and let it follow a time server."),
        )
    return Finding("clock", OK, phrase("not behind anything that was signed"))


def _backup_state(made_ms: str | None, now: datetime) -> Finding:
    advice = phrase("'coordinator backup', to another disk, every week; keys/ and the database together.")
    if made_ms is None:
        return Finding("backup", WARN, phrase("none was made yet"), advice)
    days = (now - datetime.fromtimestamp(int(made_ms) / 1000, UTC)).days
    found = phrase("the last one is %(days)s days old", days=days)
    return Finding("backup", WARN, found, advice) if days > BACKUP_DAYS else Finding("backup", OK, found)


def _some(ids: list[str]) -> dict[str, object]:
    shown = ", ".join(ids[:NAMED])
    return {"number": len(ids), "ids": f"{shown}, …" if len(ids) > NAMED else shown}


def outcome(findings: Iterable[Finding]) -> str:
    """Give the worst state: FAIL, else WARN, else OK."""
    states = {row.state for row in findings}
    return next((state for state in (FAIL, WARN) if state in states), OK)
