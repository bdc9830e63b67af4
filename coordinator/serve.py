"""Run a coordinator: the gRPC server and, beside it, the driver that ticks.

Commands of other processes work on the same database; the driver sees what they did at its next
tick. On SIGTERM or SIGINT no new call is taken, calls in flight get ``drain_s``, the driver
finishes its step, and the database is closed.
"""

from __future__ import annotations

import ctypes
import logging
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

from coordinator.desk import Desk, utc_now
from coordinator.errors import CoordinatorError
from coordinator.home import server_credentials
from coordinator.service import make_server

_LOGGER = logging.getLogger("fedscreen." + __name__)
_M_ARENA_MAX = -8  # glibc, malloc.h
_ARENAS = 2


def serve(desk: Desk, listen: str, stop: threading.Event, on_ready: Callable[[int], None]) -> None:
    """Serve until `stop` is set; `on_ready` is told the port.

    Raises:
        ConfigError: the address cannot be bound.
    """
    _share_arenas()
    hosts = (listen.rpartition(":")[0], desk.home.config.public_address.rpartition(":")[0])
    certificate, key = server_credentials(desk.home, hosts, utc_now())
    server, port = make_server(desk, certificate, key, listen, utc_now)
    driver = threading.Thread(target=_drive, args=(desk, stop), name="driver")
    server.start()
    driver.start()
    try:
        on_ready(port)
        stop.wait()
    finally:
        stop.set()
        server.stop(desk.home.config.drain_s).wait()
        driver.join()


def _share_arenas() -> None:
    """Let all threads share few of glibc's arenas: each keeps what reports of 80 KB have once left in it.

    Ten thousand reports then leave 11 MB behind instead of 28. Elsewhere than on glibc nothing is done.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_M_ARENA_MAX, _ARENAS)


def _drive(desk: Desk, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            desk.tick()
        except CoordinatorError as err:
            _LOGGER.error("tick: %s (%s)", err.code, err)
        except Exception:
            _LOGGER.exception("tick failed; the next one tries again")
        stop.wait(desk.home.config.tick_s)


def stop_on_signals(stop: threading.Event) -> None:
    """Set the event on SIGTERM and SIGINT."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
