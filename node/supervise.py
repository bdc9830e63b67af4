"""Starts and watches the two sides of the wall: `python -m node.supervise --dir DIR < key`.

Rules:

1. It gets the database key (32 bytes) on stdin, keeps it in memory only, and gives it to each vault.
2. It alone connects the two pipes. Every frame is checked for kind and length before it is passed on;
   from the vault only REPORT, in one size per round; to the vault only LOG and RECEIPT.
3. A side that dies, or that sends anything else, is started anew after a growing pause. A new vault
   sees the log from its beginning: START makes the egress begin there, and pages are held back until
   that first one.
4. Exit code 70 of either side ends everything with 70. A record file that does not open ends
   everything with 1.
5. One supervisor a folder (`node.run_lock`); a second one ends with 1 and touches nothing.
6. SIGTERM or SIGINT stops both. If the supervisor dies, the kernel kills both; on Windows they end because
   their pipe closes.
7. Names are resolved here, before each start of the egress, which has no DNS. With a proxy it is the
   proxy's name; the coordinator's goes to the proxy as text.

It loads neither numpy nor grpc nor click: an idle one takes about 12 MB.
What it prints is for whoever looks at its window or at a service's log: one line an event, never a value; in
the language of 'fedscreen node run', which names the catalogue, else English.
"""

from __future__ import annotations

import argparse
import contextlib
import gettext
import json
import os
import queue
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from node import renewal
from node.config import NodeConfig, NodeFolder, open_folder, read_config, replace_file
from node.confine import harden_parent
from node.errors import (
    EXIT_OK,
    EXIT_REFUSED,
    EXIT_STORE,
    FrameError,
    NodeError,
    SuperviseError,
    _,
)
from node.frames import (
    EGRESS_SENDS,
    KEY_BYTES,
    RUN_VAULT_SENDS,
    Frame,
    Kind,
    LinkState,
    ReportSizes,
    encode_frame,
    parse_link,
    read_frame,
    write_frame,
)
from node.launch import (
    Side,
    close_pipe,
    egress_command,
    start_side,
    stderr_line,
    stop_process,
    vault_command,
)
from node.run_lock import hold_folder
from node.side_words import CALLS, SIDES

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 60.0
CALM_S = 30.0
TICK_S = 0.5
STATUS_EVERY_S = 30.0
FIRST_RENEWAL_S = 60.0
RENEWAL_EVERY_S = 6 * 3600.0
STDIN = 0
SHORT_ROUND = 16

VaultCommand = Callable[[NodeFolder, NodeConfig, str], list[str]]
EgressCommand = Callable[[NodeFolder, NodeConfig, str], list[str]]


@dataclass(slots=True)
class Slot:
    """One side's place: who runs there, and when the next one is due.

    `write_lock` is held while a frame is written to it and while its stdin is closed.
    """

    name: str
    side: Side | None = None
    due_s: float = 0.0
    started_s: float = 0.0
    num_starts: int = 0
    num_failures: int = 0
    last_line: str = ""
    write_lock: threading.Lock = field(default_factory=threading.Lock)

    def deliver(self, frame: Frame) -> bool:
        """Write a frame to the side; False where nobody takes it (it will be sent again)."""
        with self.write_lock:
            if self.side is None:
                return False
            try:
                write_frame(self.side.stdin, frame.kind, frame.payload)
            except (OSError, ValueError):
                return False
            return True

    def pause_s(self, now_s: float) -> float:
        """Count a death and give the pause before the next start."""
        if now_s - self.started_s > CALM_S:
            self.num_failures = 0
        self.num_failures += 1
        return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self.num_failures - 1, 20))


class Recorder:
    """Keeps every frame that crossed the pipes, for an auditor's test: one file a direction."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def keep(self, name: str, frame: Frame) -> None:
        """Append a frame to ``from-<name>.frames``, as it was on the pipe."""
        if self._folder is not None:
            with (self._folder / f"from-{name}.frames").open("ab") as stream:
                stream.write(encode_frame(frame.kind, frame.payload))


class Supervisor:
    """Runs one node's vault and egress until told to stop.

    Args:
        folder: the node's directory.
        config: its configuration, with the coordinator's address.
        key: the database key (32 bytes, secret).
        record_frames: folder in which every frame is kept; None keeps none.
        vault: gives the vault's command line.
        egress: gives the egress's command line.
    """

    def __init__(
        self,
        folder: NodeFolder,
        config: NodeConfig,
        key: bytes,
        *,
        record_frames: Path | None = None,
        vault: VaultCommand = vault_command,
        egress: EgressCommand = egress_command,
    ) -> None:
        self._folder, self._config, self._key = folder, config, key
        self._commands = (vault, egress)
        self._recorder = Recorder(record_frames)
        self._vault, self._egress = Slot("vault"), Slot("egress")
        self._sizes = ReportSizes()
        self._events: queue.SimpleQueue[tuple[Slot, Side] | None] = queue.SimpleQueue()
        self._is_waiting_for_first_page = True
        self._link: dict[str, dict[str, str | int]] = {}
        self._out = sys.stdout
        self._rounds: dict[bytes, str] = {}
        self._delivered: set[bytes] = set()
        self._status_due_s = 0.0
        self._renewal_due_s = time.monotonic() + FIRST_RENEWAL_S

    def stop(self) -> None:
        """Ask `run` to end; safe in a signal handler and from another thread."""
        self._events.put(None)

    def run(self) -> int:
        """Keep both sides running; give the exit code (0 after `stop`, 1 or 70).

        Raises:
            ConfinementError: a side could not lock itself down.
            SuperviseError: a node runs in this folder already, a side did not even start once, or the
                record file does not open.
        """
        with hold_folder(self._folder):
            return self._keep_running()

    def _keep_running(self) -> int:
        try:
            while True:
                self._renew_certificate()
                self._start_what_is_due()
                self._write_status()
                try:
                    event = self._events.get(timeout=TICK_S)
                except queue.Empty:
                    continue
                if event is None:
                    return EXIT_OK
                self._bury(*event)
        finally:
            self._stop_both()
            self._say(_("stopped"))

    def _renew_certificate(self) -> None:
        """Renew the certificate when it is due, and let a new egress read it; what fails is tried later."""
        if time.monotonic() < self._renewal_due_s:
            return
        self._renewal_due_s = time.monotonic() + RENEWAL_EVERY_S
        try:
            if not renewal.renew_if_due(self._folder, self._config):
                return
        except NodeError as err:
            self._say(_("the certificate cannot be renewed now: %(reason)s"), reason=_translated(err))
            return
        self._say(_("the certificate is renewed"))
        self._end(self._egress)

    # -------------------------------------------------------- starting and burying

    def _start_what_is_due(self) -> None:
        now_s = time.monotonic()
        for slot in (self._vault, self._egress):
            if slot.side is None and slot.due_s <= now_s:
                self._start(slot)

    def _start(self, slot: Slot) -> None:
        try:
            side = self._start_vault() if slot is self._vault else self._start_egress()
        except SuperviseError as err:
            if slot.num_starts == 0 and err.code != "resolve":
                raise
            slot.last_line = str(err)
            slot.due_s = time.monotonic() + slot.pause_s(time.monotonic())
            pause = {"seconds": f"{slot.due_s - time.monotonic():.1f}", "side": slot.name}
            self._say(_("%(side)s: %(reason)s; next try in %(seconds)s s"), reason=_translated(err), **pause)
            return
        slot.num_starts += 1
        slot.started_s = time.monotonic()
        self._is_waiting_for_first_page = True  # before a new vault can be written to
        with slot.write_lock:
            slot.side = side
        threading.Thread(target=self._listen, args=(slot, side), name=slot.name, daemon=True).start()
        if self._vault.side is not None and self._egress.side is not None:
            self._egress.deliver(Frame(Kind.START, b""))
        self._status_due_s = 0.0
        self._say(_("%(side)s: running, confinement %(level)s"), side=slot.name, level=side.confinement.level)

    def _start_vault(self) -> Side:
        command = self._commands[0](self._folder, self._config, "run")
        return start_side("vault", command, RUN_VAULT_SENDS, self._key)

    def _start_egress(self) -> Side:
        command = self._commands[1](self._folder, self._config, resolve(self._config))
        return start_side("egress", command, EGRESS_SENDS)

    def _bury(self, slot: Slot, side: Side) -> None:
        """Take note of an ended side and say when the next one is due."""
        if slot.side is not side:
            return
        exit_code = self._end(slot)
        slot.due_s = time.monotonic() + slot.pause_s(time.monotonic())
        why = slot.last_line or gettext.gettext(_("no reason given"))
        self._say(
            _("%(side)s: ended with exit code %(exit)s; %(line)s"), side=slot.name, exit=exit_code, line=why
        )
        if slot is self._vault and exit_code == EXIT_STORE:
            raise SuperviseError(
                _("the vault cannot open its record file (%(line)s)"),
                _("Run 'fedscreen node status' to see why."),
                code="store",
                details={"line": slot.last_line},
            )

    def _end(self, slot: Slot) -> int:
        """End the process of a slot, if there is one; give its exit code."""
        side = slot.side
        if side is None:
            return EXIT_OK
        # A writer may hold the lock because the side does not read: then only a signal helps.
        is_free = slot.write_lock.acquire(timeout=1.0)
        if not is_free:
            side.process.kill()
            slot.write_lock.acquire()
        try:
            slot.side = None
            exit_code = stop_process(side.process)
            slot.last_line = stderr_line(side.process, is_ready=True)
            close_pipe(side.process.stderr)
        finally:
            slot.write_lock.release()
        return exit_code

    def _stop_both(self) -> None:
        for slot in (self._egress, self._vault):
            self._end(slot)
        with contextlib.suppress(OSError):
            self._folder.running.unlink(missing_ok=True)

    # -------------------------------------------------------- passing frames on

    def _listen(self, slot: Slot, side: Side) -> None:
        """Read one side's frames until it ends; runs in a thread of its own."""
        kinds = (RUN_VAULT_SENDS if slot is self._vault else EGRESS_SENDS) - {Kind.READY}
        try:
            while (frame := read_frame(side.stdout, kinds)) is not None:
                self._recorder.keep(slot.name, frame)
                if slot is self._vault:
                    self._rounds[_digest(frame.payload)] = self._sizes.verify(frame.payload).round_id
                    self._egress.deliver(frame)
                else:
                    self._from_egress(frame)
        except FrameError as err:
            self._say(_("%(side)s: %(reason)s"), side=slot.name, reason=_translated(err))
            side.process.kill()
        except (OSError, ValueError):
            side.process.kill()
        close_pipe(side.process.stdout)
        self._events.put((slot, side))

    def _from_egress(self, frame: Frame) -> None:
        if frame.kind is Kind.LINK:
            self._note_link(frame.payload)
            return
        if frame.kind is Kind.LOG and self._is_waiting_for_first_page:
            if frame.payload[:8] != bytes(8):
                return  # a page that was on its way when the vault was started anew
            self._is_waiting_for_first_page = False
        self._vault.deliver(frame)

    def _note_link(self, payload: bytes) -> None:
        state = parse_link(payload)
        before = self._link.get(state.call, {})
        self._link[state.call] = {
            "status": state.status,
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "report": state.digest.hex() if any(state.digest) else "",
        }
        if before.get("status") != state.status:
            self._status_due_s = 0.0
        self._tell(state, is_change=before.get("status") != state.status)

    def _tell(self, state: LinkState, *, is_change: bool) -> None:
        """Print what a person waits for: the connection, its loss, a report that has arrived."""
        round_id = self._rounds.get(state.digest, "")[:SHORT_ROUND]
        if state.status and is_change:
            text = _("the county does not answer or refuses (%(call)s): code %(status)s; it is tried again")
            self._say(text, call=gettext.gettext(CALLS[state.call]), status=state.status)
        elif state.call == "log" and is_change:
            self._say(_("connected with the county"))
        elif state.call == "report" and not state.status and state.digest not in self._delivered:
            self._delivered.add(state.digest)
            self._say(_("report delivered, round %(round)s"), round=round_id)

    # -------------------------------------------------------- what `status` shows

    def _write_status(self) -> None:
        now_s = time.monotonic()
        if now_s < self._status_due_s:
            return
        self._status_due_s = now_s + STATUS_EVERY_S
        values = {"supervisor": os.getpid(), "link": dict(self._link)}
        sides = {slot.name: _describe(slot) for slot in (self._vault, self._egress)}
        with contextlib.suppress(OSError):  # a full disk must not stop the node
            replace_file(self._folder.running, json.dumps({**values, **sides}).encode(), 0o644)

    def _say(self, template: str, **values: object) -> None:
        """Print a line in the language of this process; a side's name becomes its word."""
        if "side" in values:
            values["side"] = gettext.gettext(SIDES[str(values["side"])])
        line = gettext.gettext(template) % values
        with contextlib.suppress(OSError):  # the log's disk is full, or nobody reads it: the node goes on
            self._out.write(line + "\n")
            self._out.flush()


def _describe(slot: Slot) -> dict[str, str | int]:
    side = slot.side
    return {
        "pid": side.process.pid if side else 0,
        "level": side.confinement.level if side else "",
        "starts": slot.num_starts,
        "last_error": slot.last_line,
    }


def resolve(config: NodeConfig) -> str:
    """Give the IPv4 or IPv6 address that the egress connects to, as text: the proxy's where there is one.

    Behind a proxy the coordinator's name is not looked up here at all: the proxy does that.

    Raises:
        SuperviseError: the name is not known now.
    """
    host, port = config.hop
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as err:
        is_proxy = bool(config.proxy)
        raise SuperviseError(
            _("the proxy's name %(host)s cannot be resolved")
            if is_proxy
            else _("the coordinator's name %(host)s cannot be resolved"),
            _("Check the network and the proxy in node.toml.")
            if is_proxy
            else _("Check the network and the address in node.toml."),
            code="resolve",
            details={"host": host},
        ) from err
    return str(found[0][4][0])


def require_enrolled(config: NodeConfig) -> None:
    """Refuse to start before the county's grant was accepted. Raises SuperviseError."""
    if not config.address or not config.server_name:
        raise SuperviseError(
            _("this node does not know its coordinator yet"),
            _("Run 'fedscreen node setup' with the file that the county sent."),
            code="not-accepted",
        )


def _of_windows(module: object, name: str) -> list[int]:
    return [getattr(module, name)] if hasattr(module, name) else []


def _digest(payload: bytes) -> bytes:
    import hashlib  # brings OpenSSL, 4 MB that a node without a report does not need

    return hashlib.sha256(payload).digest()


def _translated(err: NodeError) -> str:
    parts = (gettext.gettext(part) for part in (err.message, err.advice) if part)
    return " ".join(part % err.details if err.details else part for part in parts)


def _read_key() -> bytes:
    key = b""
    while len(key) <= KEY_BYTES and (part := os.read(STDIN, KEY_BYTES + 1 - len(key))):
        key += part
    if len(key) != KEY_BYTES:
        raise SuperviseError(
            _("expected the database key on stdin"), _("Start it with 'fedscreen node run'.")
        )
    return key


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a node and give its exit code."""
    parser = argparse.ArgumentParser(prog="node.supervise", description="Started by fedscreen node run.")
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--record-frames", type=Path, default=None)
    parser.add_argument("--catalogue", nargs=2, metavar=("DOMAIN", "FOLDER"), default=None)
    options = parser.parse_args(arguments)
    if options.catalogue is not None:
        gettext.bindtextdomain(*options.catalogue)
        gettext.textdomain(options.catalogue[0])
    try:
        harden_parent()
        folder = open_folder(options.dir)
        config = read_config(folder)
        require_enrolled(config)
        supervisor = Supervisor(folder, config, _read_key(), record_frames=options.record_frames)
        # SIGBREAK, on Windows only: Ctrl-Break, and a window that is closed.
        for number in (signal.SIGTERM, signal.SIGINT, *_of_windows(signal, "SIGBREAK")):
            signal.signal(number, lambda _number, _frame: supervisor.stop())
        return supervisor.run()
    except NodeError as err:
        sys.stderr.write(f"{err}\n")
        return err.EXIT
    except OSError as err:
        sys.stderr.write(f"supervise: {err.strerror}\n")
        return EXIT_REFUSED


if __name__ == "__main__":
    sys.exit(main())
