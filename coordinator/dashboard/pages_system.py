"""The machine's side, for the system administrator; keys and revocations, for the security administrator."""

from __future__ import annotations

import platform
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Final

import sqlalchemy as sa
from cryptography import x509

from coordinator import DISTRIBUTION
from coordinator.dashboard.visit import Page, Reply, Visit
from coordinator.home import CA_CERTIFICATE, SERVER_CERTIFICATE
from coordinator.log_book import View
from coordinator.schema import REVISION, enrolments

SOON_DAYS: Final = 60
LOW_DISK: Final = 2 * 2**30


@dataclass(frozen=True, slots=True)
class Certificate:
    """One certificate: whose, until when, and how urgent that is ("", "soon", "over", "revoked")."""

    role: str
    id: str
    until: datetime | None
    state: str


def state(visit: Visit) -> Reply:
    """Show how the service is: software, disk, database, log. No round's results, no names."""
    county = visit.county
    usage = shutil.disk_usage(county.directory)
    with county.reading() as view:
        size = view.ledger.size if view.has_genesis else 0
        logged = view.logged_at(size - 1) if size else None
        num_running = _num_running(view)
    published = _published(visit)
    values = {
        "version": _version(),
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
        "schema": REVISION,
        "free": usage.free,
        "is_low": usage.free < LOW_DISK,
        "database": _database_bytes(visit),
        "size": size,
        "logged": logged,
        "published": published,
        "running": num_running,
        "backup": _backup(visit),
    }
    return Page("system.html", values)


def keys(visit: Visit) -> Reply:
    """Show certificates by how soon they end, and who is revoked."""
    with visit.county.reading() as view:
        rows = view.connection.execute(sa.select(enrolments).order_by(enrolments.c.role, enrolments.c.id))
        revoked = _revoked(view)
        names = {(role, party) for role, party, _position in revoked}
        found = [
            _certificate(row.role, row.id, row.certificate_pem, view.now, (row.role, row.id) in names)
            for row in rows
        ]
    for role, name in (("ca", CA_CERTIFICATE), ("server", SERVER_CERTIFICATE)):
        path = visit.county.directory / name
        if path.exists():
            found.append(
                _certificate(role, "", path.read_text("ascii", "replace"), visit.county.clock(), False)
            )
    order = {"over": 0, "soon": 1, "": 2, "revoked": 3}
    found.sort(key=lambda row: (order[row.state], row.until or datetime.max.replace(tzinfo=UTC), row.id))
    return Page("keys.html", {"certificates": found, "revoked": revoked, "soon_days": SOON_DAYS})


def _num_running(view: View) -> int:
    if not view.has_genesis:
        return 0
    return sum(row.state.value not in ("released", "aborted") for row in view.ledger.rounds.values())


def _version() -> str:
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "–"


def _published(visit: Visit) -> datetime | None:
    """Say when the published log folder was last written."""
    path = visit.county.directory / "log" / "checkpoint"
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError:
        return None


def _database_bytes(visit: Visit) -> int | None:
    try:
        return sum(
            path.stat().st_size for path in visit.county.directory.glob("coordinator.db*") if path.is_file()
        )
    except OSError:
        return None


def _backup(visit: Visit) -> datetime | None:
    """Say when the last backup was made, as `fedscreen coordinator backup` notes it."""
    path = visit.county.directory / "backup.json"
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError:
        return None


def _revoked(view: View) -> list[tuple[str, str, int]]:
    if not view.has_genesis:
        return []
    ledger = view.ledger
    nodes = [("node", party, position) for party, position in ledger.revoked_nodes.items()]
    return [*nodes, *(("auditor", party, position) for party, position in ledger.revoked_auditors.items())]


def _certificate(role: str, party: str, pem: str, now: datetime, is_revoked: bool) -> Certificate:
    try:
        until = x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc
    except ValueError:
        return Certificate(role, party, None, "over")
    days = (until - now).days
    found = "over" if days < 0 else "soon" if days < SOON_DAYS else ""
    return Certificate(role, party, until, "revoked" if is_revoked else found)
