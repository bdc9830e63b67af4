"""What `doctor` reads in a vault's status: the clock against signed times, the log, what runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from node.doctor import Finding, bad, doubtful, good, skipped
from node.errors import _ as N_

Values = Mapping[str, Any]
TOLERANCE = timedelta(minutes=5)
STALE_S = 24 * 3600
RESTARTS = 3
BACKUP_DAYS = 35


def times_in(status: Values, now: datetime) -> Iterable[datetime]:
    """Give the times that a vault holds as evidence: the newest cosigned checkpoint's, and its own mark.

    The vault's clock never moves back, so where it is ahead of this computer's it shows the mark.
    """
    if not status.get("log"):
        return ()
    trusted, shown = status["log"]["trusted_time"], datetime.fromisoformat(status["clock"])
    found = [datetime.fromisoformat(trusted)] if trusted else []
    return (*found, shown) if shown > now + TOLERANCE else tuple(found)


def check_clock(now: datetime, evidence: Iterable[datetime]) -> Finding:
    """Compare this computer's clock with the newest time that somebody else has signed."""
    newest = max(evidence, default=None)
    shown = f"{now.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    if newest is None:
        return doubtful(
            "clock",
            N_("it is %(now)s here; there is nothing yet to compare that with"),
            N_("Compare it with a telephone's clock."),
            now=shown,
        )
    values = {"now": shown, "evidence": f"{newest.astimezone(UTC):%Y-%m-%d %H:%M} UTC"}
    if now < newest - TOLERANCE:
        return bad(
            "clock",
            N_("it is %(now)s here, but something was signed at %(evidence)s"),
            N_("Set this computer's date, time and time zone."),
            **values,
        )
    return good("clock", N_("it is %(now)s here, after the newest signed time, %(evidence)s"), **values)


def check_log(status: Values, now: datetime) -> Finding:
    """Tell how fresh this node's copy of the log is."""
    log = status.get("log")
    if not log:
        return skipped("log", N_("this node has not joined a federation yet"))
    if log["split"]:
        return bad(
            "log",
            N_("the log showed two different histories"),
            N_("Keep this node's folder and tell the auditors at once."),
        )
    if not log["trusted_time"]:
        return doubtful(
            "log",
            N_("no part of the log has come that the auditors have cosigned"),
            N_("Let the node run, or take a log file: 'fedscreen node log import'."),
        )
    age_s = int((now - datetime.fromisoformat(log["trusted_time"])).total_seconds())
    values = {"size": log["trusted_size"], "hours": max(0, age_s) // 3600}
    if age_s > STALE_S:
        return doubtful(
            "log",
            N_("%(size)d entries, cosigned %(hours)d hours ago; a release needs less than 24"),
            N_("Let the node run, or take a log file; if the log is fresh, this computer's clock is ahead."),
            **values,
        )
    return good("log", N_("%(size)d entries, cosigned %(hours)d hours ago"), **values)


def check_backup(status: Values, now: datetime) -> Finding:
    """Tell when this node was last backed up."""
    made = str(dict(status.get("safety") or {}).get("backup", ""))
    if not made:
        return doubtful(
            "backup",
            N_("there is no backup yet; records and journal exist on this computer alone"),
            N_("Make one: 'fedscreen node backup --out FILE', and keep it on another disk."),
        )
    days = (now - datetime.fromisoformat(made)).days
    if days > BACKUP_DAYS:
        return doubtful(
            "backup",
            N_("the last backup is %(days)d days old"),
            N_("Make one: 'fedscreen node backup --out FILE', and keep it on another disk."),
            days=days,
        )
    return good("backup", N_("made on %(made)s"), made=made[:10])


def check_recovery(status: Values) -> Finding:
    """Tell whether the principal can have a recovery file."""
    made = str(dict(status.get("safety") or {}).get("recovery", ""))
    if not made:
        return doubtful(
            "recovery",
            N_("there is no recovery file; with this computer the school would lose its place in the county"),
            N_("Make it with the principal: 'fedscreen node recovery make --out FILE --sheet SHEET'."),
        )
    return good("recovery", N_("made on %(made)s"), made=made[:10])


def check_running(running: Values) -> Finding:
    """Tell what a running node says of itself."""
    if not running:
        return doubtful(
            "running",
            N_("it is not running; reports are sent only while it runs"),
            N_("Start it: 'fedscreen node run', or its systemd unit."),
        )
    sides = {name: running.get(name) or {} for name in ("vault", "egress")}
    stopped = [name for name, side in sides.items() if not side.get("level")]
    if stopped:
        return bad(
            "running",
            N_("it runs, but the %(sides)s does not start"),
            N_("See 'fedscreen node status' for why."),
            sides=", ".join(stopped),
        )
    failing = [name for name, call in dict(running.get("link") or {}).items() if call.get("status") != 0]
    if failing:
        return doubtful(
            "running",
            N_("it runs, but the county does not answer or refuses (%(calls)s)"),
            N_("See the findings above, and 'fedscreen node status'."),
            calls=", ".join(failing),
        )
    starts = max(int(side.get("starts", 0)) for side in sides.values())
    levels = ", ".join(f"{name} {side['level']}" for name, side in sides.items())
    if starts > RESTARTS:
        return doubtful(
            "running",
            N_("it runs (%(levels)s), but was started anew %(starts)d times"),
            N_("See 'fedscreen node status' and the service's log."),
            levels=levels,
            starts=starts,
        )
    return good("running", N_("it runs: %(levels)s"), levels=levels)
