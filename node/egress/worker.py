"""The egress's process: `python -m node.egress.worker --dir DIR --address IP --port N --server-name NAME …`.

Order (each step before the next, or exit):

1. Import everything; read the TLS key and the certificates.
2. Lock down and self-test (`node.confine`): no file, no name service, one TCP port; exit 70 if
   anything is not as it should be.
3. From here on no module can be loaded: Python's finders are removed.
4. Send READY; wait for START.
5. Two threads: one looks at the log every `poll_s` seconds, from its beginning after each START, and
   passes every page on, also an empty one, which gives the vault the occasion to offer its report;
   one hands in the report of the newest REPORT frame. The main thread reads frames.

The process ends when its stdin closes, and with exit code 75 when the coordinator has not answered
for `UNREACHABLE_S`: the supervisor then looks its name up again.
This side never has a record; it moves bytes that are safe already, and checks their size.
Spec: docs/architecture.md "How commands reach the vault"; docs/protocol.md "Frames".
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from node import confine
from node.egress.client import CallError, Coordinator, read_credentials
from node.egress.outbox import Outbox
from node.egress.send import pause_s, send_all
from node.errors import (
    EXIT_CONFINEMENT,
    EXIT_OK,
    EXIT_REFUSED,
    EXIT_UNREACHABLE,
    LinkError,
    NodeError,
)
from node.frames import (
    EGRESS_TAKES,
    Kind,
    LinkState,
    LogPage,
    ReportSizes,
    encode_link,
    encode_log,
    read_frame,
    write_frame,
)

STDIN, STDOUT, STDERR = 0, 1, 2
UNREACHABLE_S = 300.0
LONGEST_PAUSE_S = 30.0
# What Python and gRPC load only when they first need it.
LATE_MODULES = (
    *("encodings.ascii", "encodings.idna", "encodings.latin_1", "encodings.utf_8", "traceback", "queue"),
    *("grpc._channel", "grpc._common", "grpc._compression", "grpc._interceptor", "grpc._observability"),
    *("grpc._plugin_wrapping", "grpc._utilities"),
)


class Egress:
    """Moves pages of the log in and reports out.

    Args:
        coordinator: the calls.
        poll_s: pause between two looks at the log, in seconds.
    """

    def __init__(self, coordinator: Coordinator, poll_s: float) -> None:
        self._coordinator = coordinator
        self._poll_s = poll_s
        self._outbox = Outbox()
        self._sizes = ReportSizes()
        self._write_lock = threading.Lock()
        self._woken = threading.Event()
        self._position = 0
        self._generation = 0
        self._lock = threading.Lock()

    def run(self) -> int:
        """Read frames until stdin closes; give the exit code.

        Raises:
            FrameError: what came may not come this way.
        """
        is_started = False
        while (frame := read_frame(STDIN, EGRESS_TAKES)) is not None:
            if frame.kind is Kind.REPORT:
                self._sizes.verify(frame.payload)
                self._outbox.offer(frame.payload, time.monotonic())
                continue
            with self._lock:
                self._position = 0
                self._generation += 1
            self._woken.set()
            if not is_started:
                is_started = True
                threading.Thread(target=self._guard, args=(self._poll,), daemon=True).start()
                threading.Thread(target=self._guard, args=(self._send,), daemon=True).start()
        return EXIT_OK

    def _poll(self) -> None:
        num_failures, reached_s = 0, time.monotonic()
        while True:
            with self._lock:
                position, generation = self._position, self._generation
            self._woken.clear()
            try:
                page = self._coordinator.get_log(position)
            except CallError as err:
                num_failures += 1
                self._emit(Kind.LINK, encode_link(LinkState("log", err.number, bytes(32))))
                if time.monotonic() - reached_s > UNREACHABLE_S:
                    os._exit(EXIT_UNREACHABLE)
                self._woken.wait(pause_s(num_failures, self._poll_s, max(self._poll_s, LONGEST_PAUSE_S)))
                continue
            if num_failures or position == 0:
                self._emit(Kind.LINK, encode_link(LinkState("log", 0, bytes(32))))
            num_failures, reached_s = 0, time.monotonic()
            if self._pass_on(page, generation) and not page.entries:
                self._woken.wait(self._poll_s)

    def _pass_on(self, page: LogPage, generation: int) -> bool:
        """Send a page to the vault, unless a START came while it was fetched."""
        with self._lock:
            if generation != self._generation:
                return False
            self._position = page.start + len(page.entries)
        self._emit(Kind.LOG, encode_log(page))
        return True

    def _send(self) -> None:
        send_all(self._coordinator, self._outbox, self._emit, time.sleep)

    def _emit(self, kind: Kind, payload: bytes) -> None:
        with self._write_lock:
            write_frame(STDOUT, kind, payload)

    def _guard(self, work: Callable[[], None]) -> None:
        """Run a thread's work; end the process when it fails, so that the supervisor starts a new one."""
        try:
            work()
        except BaseException as err:  # nothing may be left half alive
            _say(type(err).__name__)
            os._exit(EXIT_REFUSED)


def load_late_modules() -> None:
    """Import what would otherwise be loaded after the lock-down, when it cannot be any more."""
    for name in LATE_MODULES:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            continue  # another version of gRPC


def _say(text: str) -> None:
    try:
        os.write(STDERR, f"egress: {text}\n".encode("ascii", "replace"))
    except OSError:
        return  # nobody listens: the exit code says the rest


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="node.egress.worker", description="The egress; started by fedscreen node."
    )
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--floor", choices=confine.LEVELS, default="L3")
    parser.add_argument("--uid", type=int, default=None)
    parser.add_argument("--account", default="")
    parser.add_argument("--address", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--server-name", required=True)
    parser.add_argument("--tunnel-to", default="")
    parser.add_argument("--poll-s", type=float, default=5.0)
    parser.add_argument("--timeout-s", type=float, default=20.0)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run an egress and give its exit code (0, 1, 70 or 75)."""
    options = _arguments(arguments)
    sys.stdout = None  # stdout carries frames; a stray print must not
    folder = options.dir.resolve() / "egress"
    load_late_modules()
    try:
        credentials = read_credentials(folder)
        found = confine.confine_egress(
            folder,
            options.uid,
            options.floor,
            options.port,
            is_ipv6=":" in options.address,
            account=options.account,
            address=options.address,
        )
    except LinkError as err:
        _say(str(err))
        return EXIT_REFUSED
    except Exception as err:  # whatever went wrong on the way: the wall does not stand
        _say(str(err) if isinstance(err, NodeError | OSError) else type(err).__name__)
        return EXIT_CONFINEMENT
    sys.meta_path.clear()
    sys.path.clear()
    try:
        write_frame(STDOUT, Kind.READY, confine.encode_ready(found))
        coordinator = Coordinator(
            options.address,
            options.port,
            options.server_name,
            credentials,
            options.timeout_s,
            options.tunnel_to,
        )
        code = Egress(coordinator, options.poll_s).run()
    except BrokenPipeError:
        code = EXIT_OK
    except NodeError as err:
        _say(f"{type(err).__name__}[{err.code}]")
        code = EXIT_REFUSED
    except Exception as err:  # one line and an exit code instead of a traceback
        _say(type(err).__name__)
        code = EXIT_REFUSED
    os._exit(code)  # gRPC's threads need not be waited for


if __name__ == "__main__":
    sys.exit(main())
