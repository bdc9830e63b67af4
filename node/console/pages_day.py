"""The day on one page, and what stands behind it: the account, and how the node is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from fractions import Fraction
from typing import Any, Final

from node import cli_budget, enrolment
from node.cli_context import read_running
from node.console.pages_enter import holders
from node.console.sessions import IT, PRINCIPAL, PSYCHOLOGIST
from node.console.steps import Progress, order, progress_of
from node.console.visit import Page, Reply, Visit
from node.errors import _ as N_  # translated where it is shown

CERTIFICATE_SOON_DAYS = 60
LOG_OLD_S = 24 * 3600

Values = Mapping[str, Any]
Alert = tuple[str, str, str, dict[str, Any]]  # kind, message, advice, details


def day(visit: Visit) -> Reply:
    """Show the rounds with their four steps, what is due, and what needs somebody's eye."""
    status = visit.ask("status")
    people = holders(visit)
    rounds = progress(status, visit.session.checked)
    current = [row for row in rounds if row.is_open or row.next or _is_fresh(row)]
    newest = [] if current else rounds[:1]
    running, days = read_running(visit.console.folder), enrolment.certificate_days(visit.console.folder)
    values = {
        "status": status,
        "rounds": current or newest,
        "older": [row for row in rounds if row not in (current or newest)],
        "is_quiet": not current,
        "alerts": list(_alerts(status, running, days)),
        "missing_roles": _missing(people),
        "running": running,
        "certificate_days": days,
        "account": _current_account(status),
    }
    return Page("day.html", values)


def progress(status: Values, checked: Set[tuple[str, str]] = frozenset()) -> list[Progress]:
    """Say where every round stands, in the order of the day."""
    sets = status.get("records", [])
    rows = status["rounds"]
    is_held = bool(status.get("held"))
    return order([progress_of(row, sets, is_held=is_held, checked=checked) for row in rows])


def budget(visit: Visit) -> Reply:
    """Show the account of a school year as a meter."""
    year = visit.query.get("year", "")
    answer = visit.ask("budget", **({"year": year} if year else {}))
    spent, cap = Fraction(answer["spent"]), Fraction(answer["cap"])
    share = float(min(Fraction(1), spent / cap)) if cap else 1.0
    fits = [{**row, "too_much": _is_more(row["rho"], answer["rho_round"])} for row in _fits(answer)]
    return Page("budget.html", {"answer": answer, "share": share, "fits": fits, "lines": cli_budget})


def state(visit: Visit) -> Reply:
    """Show how the node is."""
    status = visit.ask("status")
    running, days = read_running(visit.console.folder), enrolment.certificate_days(visit.console.folder)
    values = {
        "status": status,
        "alerts": list(_alerts(status, running, days)),
        "running": running,
        "certificate_days": days,
        "address": visit.console.config.address,
    }
    return Page("status.html", values)


def check_store(visit: Visit) -> Reply:
    """Read the whole record file and journal."""
    answer = visit.ask("check_store")
    if answer["damaged"]:
        visit.say(
            "bad",
            N_("the record file is damaged: %(pages)s"),
            N_("Stop the node, keep the folder as it is, and restore the newest backup into another one."),
            pages=", ".join(str(page) for page in answer["damaged"]),
        )
    else:
        visit.say(
            "good",
            N_("record file and journal are sound (%(journal_records)s journal records)"),
            journal_records=answer["journal_records"],
        )
    return state(visit)


def _alerts(status: Values, running: Values, days: int | None) -> Iterator[Alert]:
    """Say what needs somebody's eye, each with what to do."""
    if not status.get("fingerprint"):
        yield "bad", N_("This node has not joined its county yet."), N_("Run 'fedscreen node setup'."), {}
        return
    log = status["log"]
    if log["split"]:
        advice = N_("Release nothing, keep the folder, and tell the auditors at once.")
        yield "bad", N_("The log has shown two different histories."), advice, {}
    if not running:
        advice = N_("Start it with 'fedscreen node run' (or its service); without a network, use files.")
        yield "warn", N_("The node is not running, so nothing is sent or received."), advice, {}
    if running and log["age_s"] > LOG_OLD_S:
        advice = N_("Run 'fedscreen node doctor'; without a network, bring in a newer log file.")
        yield (
            "warn",
            N_("The newest cosigned log is older than a day; reports cannot be released."),
            advice,
            {},
        )
    if days is not None and days < CERTIFICATE_SOON_DAYS:
        advice = N_("Run 'fedscreen node request', send the file to the county, and accept its answer.")
        yield "warn", N_("The certificate holds for %(days)s more days."), advice, {"days": days}
    if status.get("held"):
        advice = N_("It goes on when the principal approves, or when the hold is lifted here.")
        yield "warn", N_("Sending is held; nothing leaves."), advice, {}
    safety = status.get("safety") or {}
    if safety and not safety["recovery"]:
        advice = N_("Run 'fedscreen node recovery make' and put file and code into the safe.")
        yield "warn", N_("No recovery file was made: a lost computer would lose this node."), advice, {}
    yield from _trouble(running)


def _trouble(running: Values) -> Iterator[Alert]:
    """Say what the supervisor says is wrong."""
    for name in ("vault", "egress"):
        side = running.get(name, {})
        if running and not side.get("level"):
            advice = N_("It is started again by itself; if this stays, run 'fedscreen node doctor'.")
            yield "warn", _STOPPED[name], advice, {}
    failed = [link for link in running.get("link", {}).values() if link["status"] != 0]
    if failed:
        advice = N_("Reports wait and are sent by themselves. If it stays, run 'fedscreen node doctor'.")
        details = {"status": failed[0]["status"]}
        yield "warn", N_("The county does not answer or refuses (code %(status)s)."), advice, details


_STOPPED: Final[Mapping[str, str]] = {
    "vault": N_("The vault's side of the wall is not running."),
    "egress": N_("The network's side of the wall is not running."),
}


def _missing(people: list[Mapping[str, str]]) -> list[str]:
    held = {row["role"] for row in people}
    return [role for role in (PSYCHOLOGIST, PRINCIPAL) if role not in held]


def _is_fresh(row: Progress) -> bool:
    """Whether a round that is over still waits for its result."""
    return row.round["state"] not in ("released", "aborted")


def _current_account(status: Values) -> Values | None:
    accounts = status.get("account") or []
    return max(accounts, key=lambda row: row["school_year"]) if accounts else None


def _fits(answer: Values) -> list[dict[str, Any]]:
    return cli_budget.ready_fits(answer) if answer["is_current"] else []


def _is_more(rho: str, most: str) -> bool:
    return Fraction(rho) > Fraction(most)


STAFF = frozenset({IT, PSYCHOLOGIST, PRINCIPAL})
"""Everybody who has come in."""
