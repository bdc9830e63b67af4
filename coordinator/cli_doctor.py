"""`fedscreen coordinator doctor`: what works, what to look at soon, what does not, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from gettext import gettext as _
from pathlib import Path

import click

from coordinator.cli_context import DIR, EXIT_REFUSED, JSON, open_desk, say
from coordinator.desk import utc_now
from coordinator.doctor import FAIL, OK, SKIP, WARN, Finding, examine, outcome


@click.command(name="doctor", help=_("Look at everything that the service needs, and say what to do."))
@DIR
@JSON
def doctor(directory: Path, as_json: bool) -> None:
    """Print one finding a line, and what to do about it."""
    with open_desk(directory, as_json) as desk:
        findings = list(examine(desk, utc_now()))
    rows = [
        {
            "name": row.name,
            "state": row.state,
            "found": str(row.found),
            "advice": str(row.advice) if row.advice else "",
        }
        for row in findings
    ]
    say(as_json, {"outcome": outcome(findings), "findings": rows}, *_lines(findings))
    if outcome(findings) == FAIL:
        raise SystemExit(EXIT_REFUSED)


def _lines(findings: list[Finding]) -> Iterator[str]:
    states = {OK: _("ok"), WARN: _("look"), FAIL: _("FAILED"), SKIP: _("not checked")}
    labels = {
        "database": _("database"),
        "disk": _("disk"),
        "permissions": _("permissions"),
        "port": _("port"),
        "enrolment-port": _("enrolment port"),
        "server": _("server"),
        "address": _("address"),
        "certificate": _("certificate"),
        "ca": _("CA"),
        "keys": _("keys"),
        "roster": _("roster"),
        "members": _("members"),
        "certificates": _("certificates"),
        "log": _("log"),
        "auditors": _("auditors"),
        "clock": _("clock"),
        "backup": _("backup"),
    }
    for row in findings:
        words = {"state": states[row.state], "name": labels[row.name], "text": row.found.text(_)}
        yield _("[%(state)s] %(name)s: %(text)s") % words
        if row.advice is not None:
            yield "    " + row.advice.text(_)
    worst = outcome(findings)
    yield (
        _("something does not work: see what FAILED, and what to do about it")
        if worst == FAIL
        else _("nothing has failed")
    )
