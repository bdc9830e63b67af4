"""Work until told to stop: witness, check, agree, answer; and open everything on one directory.

A coordinator that cannot be reached is waited for; a log that shrinks or forks ends the watch,
because nothing it says afterwards can be trusted.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Protocol

from auditor.client import GrpcLink, connect
from auditor.config import AuditorConfig, AuditorFolder, read_config
from auditor.desk import Desk, Event
from auditor.enrol import load_card, load_policy
from auditor.errors import BusyError, ConfigError, KeyFileError, LinkError
from auditor.keys import load_keys, load_tls
from auditor.link import CoordinatorLink
from auditor.renewal import renew_if_due
from plan.errors import phrase
from protos.errors import ProtocolError

LOGGER = logging.getLogger("fedscreen." + __name__)
MAX_PAUSE_S = 10.0
RENEWAL_EVERY_S = 12 * 3600.0


class Works(Protocol):
    """Whatever can be stepped; `auditor.desk.Desk` is one."""

    def step(self) -> list[Event]:
        """Do everything that can be done now."""


def utc_now() -> datetime:
    """Read this machine's clock, UTC."""
    return datetime.now(UTC)


def open_desk(folder: AuditorFolder, config: AuditorConfig, link: CoordinatorLink) -> Desk:
    """Open an auditor's directory on a link."""
    return Desk(
        folder.root,
        config=config,
        keys=load_keys(folder, config),
        card=load_card(folder),
        policy=load_policy(folder.policy),
        link=link,
        now=utc_now,
        entropy=secrets.token_bytes,
    )


@contextmanager
def connected_desk(folder: AuditorFolder) -> Iterator[Desk]:
    """Open an auditor's directory and the connection to its coordinator.

    Raises:
        ConfigError, KeyFileError, PolicyError: the directory is not complete.
    """
    config = read_config(folder)
    with connect(config, load_tls(folder)) as link:
        yield open_desk(folder, config, link)


def upkeep_of(folder: AuditorFolder, link: GrpcLink) -> Callable[[], Event | None]:
    """Make what `watch` does beside its steps: look at the certificate twice a day and renew it when due."""
    due_s = 0.0

    def upkeep() -> Event | None:
        nonlocal due_s
        if time.monotonic() < due_s:
            return None
        due_s = time.monotonic() + RENEWAL_EVERY_S
        days = renew_if_due(folder, link, utc_now())
        return (
            None
            if days is None
            else Event("renewed", None, phrase("certificate for %(days)s days", days=days), True)
        )

    return upkeep


def watch(
    desk: Works,
    poll_s: float,
    stop: threading.Event,
    on_event: Callable[[Event], None] | None = None,
    upkeep: Callable[[], Event | None] = lambda: None,
) -> None:
    """Step until `stop` is set.

    Args:
        desk: the auditor.
        poll_s: pause between two steps.
        stop: set by a signal handler.
        on_event: told of everything new.
        upkeep: done before each step; what fails there is tried again later.

    Raises:
        SplitViewError, MirrorError, StateError: nothing more may be signed.
        LinkError: the coordinator refuses for good (wrong certificate, revoked).
    """
    told: set[Event] = set()
    pause_s = poll_s
    while not stop.is_set():
        try:
            renewed = _kept_up(upkeep)
            events = [*renewed, *desk.step()]
            pause_s = poll_s
        except (LinkError, BusyError) as err:
            if isinstance(err, LinkError) and not err.is_temporary:
                raise
            LOGGER.info("%s", err)  # the event below tells it, once as long as it stays the same
            events = [Event("waiting", None, err.phrase, False)]
            pause_s = min(max(pause_s * 2, poll_s), MAX_PAUSE_S)
        for event in events:
            if on_event is not None and (event.is_progress or event not in told):
                on_event(event)
        told = {event for event in events if not event.is_progress}
        stop.wait(pause_s)


def _kept_up(upkeep: Callable[[], Event | None]) -> list[Event]:
    try:
        found = upkeep()
    except (LinkError, KeyFileError, ConfigError, ProtocolError) as err:
        LOGGER.warning("the certificate cannot be renewed now: %s", err)
        return []
    return [] if found is None else [found]
