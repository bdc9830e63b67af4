"""Run a coordinator: the gRPC server, the driver that ticks, the housekeeper, and health over HTTP.

Commands of other processes work on the same database; the driver sees what they did at its next
tick. On SIGTERM or SIGINT, in this order:

1. Health says NOT_SERVING, and every new call is refused as ``draining`` (UNAVAILABLE: try again,
   or elsewhere), while the port stays open for at least ``drain_notice_s``.
2. Calls in flight finish; after ``drain_s`` those that are left are cut off.
3. The port is closed, the driver finishes its step, health over HTTP ends, the database is closed.
"""

from __future__ import annotations

import ctypes
import logging
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime
from importlib import metadata
from pathlib import Path
from types import FrameType

from coordinator import admin_http, ca
from coordinator.config import Config
from coordinator.desk import Desk, utc_now
from coordinator.enrol_service import serving_enrolment
from coordinator.errors import CoordinatorError
from coordinator.metrics import Measures, Surroundings, exposition
from coordinator.service import Service, make_service
from coordinator.structured_log import fields
from coordinator.tls import TlsFiles

_LOGGER = logging.getLogger("fedscreen." + __name__)
_M_ARENA_MAX = -8  # glibc, malloc.h
_ARENAS = 2
HOUSEKEEPING_S = 1.0
DRAIN_LOOK_S = 0.02
SWITCH_S = 0.02  # a thread that waits for Python's lock asks for it after this long; 5 ms is Python's default


def serve(
    desk: Desk,
    listen: str,
    stop: threading.Event,
    on_ready: Callable[[int], None],
    admin_listen: str | None = None,
) -> None:
    """Serve until `stop` is set.

    Args:
        desk: the coordinator.
        listen: host:port of gRPC.
        stop: set by `stop_on_signals`, or by a test.
        on_ready: told the port.
        admin_listen: host:port of health and metrics instead of the configured one; loopback only.

    Raises:
        ConfigError: an address cannot be bound.
    """
    _share_arenas()
    sys.setswitchinterval(SWITCH_S)  # a call is shorter: it ends before another thread interrupts it
    config = desk.home.config
    hosts = (listen.rpartition(":")[0], config.public_address.rpartition(":")[0])
    tls = TlsFiles(desk.home, hosts, utc_now)
    service = make_service(desk, tls.current, listen, utc_now)
    table = admin_http.answers(service.readiness.reason, _metrics(desk, service, tls, utc_now()))
    admin = config.admin_listen if admin_listen is None else admin_listen
    enrolment = serving_enrolment(desk, config.enrol_listen, tls.current)
    with admin_http.serving(admin, table) as admin_port, enrolment:
        threads = [
            threading.Thread(target=_drive, args=(desk, stop, service.measures), name="driver"),
            threading.Thread(target=_keep_house, args=(service, stop), name="housekeeper"),
        ]
        service.server.start()
        service.readiness.serve()
        for thread in threads:
            thread.start()
        _LOGGER.info("serving", extra=fields(port=service.port, admin_port=admin_port))
        try:
            on_ready(service.port)
            stop.wait()
        finally:
            stop.set()
            drain(service, config)
            for thread in threads:
                thread.join()
            _LOGGER.info("stopped")


def drain(service: Service, config: Config) -> None:
    """Refuse new calls, let those in flight finish, close the port."""
    service.readiness.drain()
    _LOGGER.info("draining")
    start_s = time.monotonic()
    notice_s, end_s = start_s + config.drain_notice_s, start_s + max(config.drain_s, config.drain_notice_s)
    while (now_s := time.monotonic()) < notice_s or (service.gate.running.num_running and now_s < end_s):
        time.sleep(DRAIN_LOOK_S)
    service.server.stop(max(0.0, end_s - time.monotonic())).wait()


def _metrics(desk: Desk, service: Service, tls: TlsFiles, started: datetime) -> Callable[[], bytes]:
    folder: Path = desk.home.directory
    around = Surroundings(
        version=metadata.version("fedscreen"),
        is_ready=service.readiness.is_ready,
        is_draining=service.readiness.is_draining,
        started=started,
        certificate_expires=lambda: ca.expires_at(tls.current().certificate),
        disk_free=lambda: shutil.disk_usage(folder).free,
    )
    return exposition(service.measures, around)


def _share_arenas() -> None:
    """Let all threads share few of glibc's arenas: each keeps what reports of 80 KB have once left in it.

    Ten thousand reports then leave 11 MB behind instead of 28. Elsewhere than on glibc nothing is done.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_M_ARENA_MAX, _ARENAS)


def _drive(desk: Desk, stop: threading.Event, measures: Measures) -> None:
    while not stop.is_set():
        is_good = False
        try:
            desk.tick()
            is_good = True
        except CoordinatorError as err:
            _LOGGER.error("tick failed", extra=fields(code=err.code), exc_info=err)
        except Exception:
            _LOGGER.exception("tick failed; the next one tries again")
        measures.tick(is_good=is_good)
        stop.wait(desk.home.config.tick_s)


def _keep_house(service: Service, stop: threading.Event) -> None:
    """End calls whose time is over."""
    while not stop.wait(HOUSEKEEPING_S):
        late = service.gate.running.cancel()
        if late:
            _LOGGER.warning("calls were too slow")


def stop_on_signals(stop: threading.Event) -> None:
    """Set the event on SIGTERM and SIGINT."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
