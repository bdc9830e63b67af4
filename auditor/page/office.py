"""Put together what all pages of one auditor share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from auditor.config import AuditorFolder, read_config
from auditor.page.app import REFUSALS
from auditor.page.keeper import Keeper, OpenDesk
from auditor.page.visit import Office
from auditor.page.work import Workshop
from pages.sessions import Sessions
from plan.errors import Phrase, phrase, phrase_of


def open_office(
    folder: AuditorFolder | None,
    open_desk: OpenDesk,
    now: Callable[[], datetime],
    now_s: Callable[[], float],
    entropy: Callable[[int], bytes],
) -> Office:
    """Make the office of one process.

    Args:
        folder: the auditor's directory; None for an inspector without keys.
        open_desk: opens desk and connection.
        now: the clock, UTC.
        now_s: a clock that never goes back, in seconds.
        entropy: gives that many random bytes.

    Raises:
        ConfigError: the directory has no readable configuration.
    """
    owner = read_config(folder).operator if folder else ""
    keeper = Keeper(folder, open_desk, now, now_s) if folder else None
    watcher, workshop = Workshop(now, REFUSALS, _said), Workshop(now, REFUSALS, _said)
    return Office(keeper, owner, Sessions(entropy, now_s), watcher, workshop, now)


def _said(err: Exception) -> Phrase:
    found = getattr(err, "phrase", None)
    return found if isinstance(found, Phrase) else phrase("not valid (%(details)s)", details=phrase_of(err))
