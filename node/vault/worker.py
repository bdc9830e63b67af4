"""The vault's process: `python -m node.vault.worker --dir DIR --mode run|command --floor L3 [--uid N]`.

Order (each step before the next, or exit):

1. Import everything that may ever be needed, also what libraries load late.
2. Lock down and self-test (`node.confine`); exit 70 if anything is not as it should be.
3. From here on no module can be loaded: Python's finders are removed.
4. Send READY with the level reached.
5. Read KEY; open the record file; exit 71 if it does not open (1 where the disk is only full, or it is busy).
6. `run`: take LOG and RECEIPT frames, and after each offer the oldest report that the log does not
   hold yet. `command`: answer one COMMAND after the other, with the user's files as DATA frames.

The two modes load different desks: what only follows the log needs neither numpy nor the importer.
The process ends when its stdin closes. It has one thread and asks for nothing. An error of the desk
in `run` ends it too: the supervisor starts a new one, which sees the log from its beginning.

stderr carries at most one line, `vault: <error> at <module>:<line>`, never a value.
Spec: docs/architecture.md "How commands reach the vault"; docs/protocol.md "Frames".
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import importlib.util
import os
import secrets
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, cast

from node import confine
from node.errors import (
    EXIT_CONFINEMENT,
    EXIT_OK,
    EXIT_REFUSED,
    EXIT_STORE,
    FrameError,
    NodeError,
    _,
)
from node.frames import (
    MIB,
    RUN_VAULT_TAKES,
    Kind,
    encode_response,
    parse_data,
    parse_log,
    parse_object,
    read_frame,
    write_frame,
)
from node.vault.errors import VaultError

STDIN, STDOUT, STDERR = 0, 1, 2
MAX_FILES_BYTES = 128 * MIB
PASSING = ("store-full", "store-busy")  # the supervisor tries again: it passes without anybody's command

# What Python and the libraries load only when they first need it. A missing one is not an error:
# not every Python version has all of them.
LATE_MODULES = (
    *("_strptime", "bisect", "calendar", "gettext", "heapq", "io", "json", "locale", "math", "stringprep"),
    *("unicodedata", "zoneinfo", "encodings.ascii", "encodings.aliases", "encodings.idna"),
    *("encodings.latin_1", "encodings.utf_8", "encodings.utf_16", "encodings.utf_16_be"),
    *("nacl.bindings", "nacl.signing", "nacl.exceptions", "sqlcipher3.dbapi2"),
)
COMMAND_LATE_MODULES = (
    *("csv", "decimal", "fractions", "statistics", "tomllib", "zipfile"),
    *("encodings.cp437", "encodings.gb18030", "encodings.gb2312", "encodings.gbk", "encodings.utf_8_sig"),
    "encodings.utf_16_le",
    *("cryptography.hazmat.primitives.hpke", "cryptography.hazmat.primitives.asymmetric.mlkem"),
    *("cryptography.hazmat.primitives.ciphers.aead", "cryptography.hazmat.primitives.asymmetric.x25519"),
    *("numpy", "python_calamine"),
)
LATE_CODECS = ("ascii", "latin-1", "utf-16-be")
COMMAND_LATE_CODECS = ("gb18030", "gbk", "utf-16", "utf-8-sig")
_SOFTWARE_ROOMS = ("crypto", "node", "plan", "privacy", "protos")


class FollowingDesk(Protocol):
    """What the loop of `run` needs: `node.vault.run_desk.RunDesk`."""

    def on_log(
        self, start: int, entries: list[tuple[bytes, bytes]], latest: bytes, cosigned: bytes
    ) -> object:
        """Take a page of the log."""

    def on_receipt(self, data: bytes) -> object:
        """Take a receipt."""

    def outgoing(self) -> bytes | None:
        """Give the oldest report that the cosigned log does not hold yet."""

    def close(self) -> None:
        """Close the record file."""


class VaultDesk(FollowingDesk, Protocol):
    """What the loop of `command` needs: `node.vault.desk.Desk`."""

    def handle(
        self, command: dict[str, Any], files: dict[str, bytes]
    ) -> tuple[Mapping[str, Any], Mapping[str, bytes]]:
        """Answer a command."""


OpenFollowing = Callable[[Path, bytes, str, bytes], FollowingDesk]
OpenDesk = Callable[[Path, bytes, str, bytes], VaultDesk]
"""Both open the record file in a folder: (folder, key, level, software digest) → desk. Raise VaultError."""


def load_run_desk() -> OpenFollowing:
    """Import the desk of `run` and the record file's module; call before the lock-down."""
    from node.vault.run_desk import RunDesk
    from node.vault.store import VaultStore

    def open_desk(folder: Path, key: bytes, _level: str, _software: bytes) -> FollowingDesk:
        return RunDesk(VaultStore(folder / "vault.db", key), now=_now)

    return open_desk


def load_desk() -> OpenDesk:
    """Import the desk of `command` and the record file's module; call before the lock-down."""
    from node.vault.desk import Desk
    from node.vault.store import VaultStore

    def open_desk(folder: Path, key: bytes, level: str, software: bytes) -> VaultDesk:
        store = VaultStore(folder / "vault.db", key)
        return Desk(store, entropy=secrets.token_bytes, now=_now, level=level, software=software)

    return open_desk


def _now() -> datetime:
    return datetime.now(UTC)


def load_late_modules(mode: str = "command") -> None:
    """Import what would otherwise be loaded after the lock-down, when it cannot be any more."""
    is_command = mode == "command"
    for name in LATE_MODULES + (COMMAND_LATE_MODULES if is_command else ()):
        if importlib.util.find_spec(name.split(".")[0]) is not None:
            try:
                importlib.import_module(name)
            except ModuleNotFoundError:
                continue
    for name in LATE_CODECS + (COMMAND_LATE_CODECS if is_command else ()):
        "".encode(name)  # fills the codec cache, which is looked at before any import


def software_digest() -> bytes:
    """Name the software that stands in every report: SHA-256 over the rooms a vault runs.

    For each file, ascending by path: its path, a zero byte, SHA-256 of its content.
    """
    root = Path(__file__).resolve().parents[2]
    names = sorted(
        path.relative_to(root).as_posix()
        for room in _SOFTWARE_ROOMS
        for path in (root / room).rglob("*.py")
        if path.is_file()
    )
    total = hashlib.sha256()
    for name in names:
        total.update(name.encode("utf-8") + b"\0" + hashlib.sha256((root / name).read_bytes()).digest())
    return total.digest()


def serve_run(desk: FollowingDesk) -> None:
    """Take pages of the log and receipts until stdin closes; offer what waits after each.

    Raises:
        VaultError, FrameError: the process should end and start anew.
    """
    while (frame := read_frame(STDIN, RUN_VAULT_TAKES - {Kind.KEY})) is not None:
        if frame.kind is Kind.LOG:
            page = parse_log(frame.payload)
            desk.on_log(page.start, list(page.entries), page.latest, page.cosigned)
        else:
            desk.on_receipt(frame.payload)
        payload = desk.outgoing()
        if payload is not None:
            write_frame(STDOUT, Kind.REPORT, payload)


def serve_commands(desk: VaultDesk) -> None:
    """Answer commands until stdin closes.

    Raises:
        FrameError: what came is no command.
    """
    while (frame := read_frame(STDIN, {Kind.COMMAND})) is not None:
        command = parse_object(frame.payload)
        files = _read_files()
        try:
            answer, blobs = desk.handle(command, files)
            response = encode_response({"ok": True, "answer": dict(answer)}, blobs)
        except VaultError as err:
            response = refusal(err)
        write_frame(STDOUT, Kind.RESPONSE, response)


def refusal(err: VaultError) -> bytes:
    """Write the RESPONSE payload for something that the vault refuses."""
    error = {"code": err.code, "message": err.message, "advice": err.advice, "details": err.details}
    return encode_response({"ok": False, "error": error}, {})


def _read_files() -> dict[str, bytes]:
    parts: dict[str, list[bytes]] = {}
    total = 0
    while True:
        frame = read_frame(STDIN, {Kind.DATA, Kind.END})
        if frame is None:
            raise FrameError(_("the pipe closed in the middle of a command"))
        if frame.kind is Kind.END:
            return {name: b"".join(chunks) for name, chunks in parts.items()}
        name, chunk = parse_data(frame.payload)
        total += len(chunk)
        if total > MAX_FILES_BYTES:
            raise FrameError(
                _("a command's files have more than %(high)d bytes"), details={"high": MAX_FILES_BYTES}
            )
        parts.setdefault(name, []).append(chunk)


def close_imports() -> None:
    """Make every later import fail in the same way: nothing outside can be read any more anyway."""
    sys.meta_path.clear()
    sys.path.clear()


def place_of(err: BaseException) -> str:
    """Name an error and where it arose, without any value: `Type[code] at module:line`."""
    code = getattr(err, "code", "")
    kind = type(err).__name__ + (f"[{code}]" if isinstance(code, str) and code else "")
    frames = list(traceback.walk_tb(err.__traceback__))
    if not frames:
        return kind
    frame, line = frames[-1]
    return f"{kind} at {frame.f_globals.get('__name__', '?')}:{line}"


def _say(text: str) -> None:
    try:
        os.write(STDERR, f"vault: {text}\n".encode("ascii", "replace"))
    except OSError:
        return  # nobody listens: the exit code says the rest


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="node.vault.worker", description="The vault; started by fedscreen node."
    )
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--mode", choices=("run", "command"), required=True)
    parser.add_argument("--floor", choices=confine.LEVELS, default="L3")
    parser.add_argument("--uid", type=int, default=None)
    parser.add_argument("--account", default="")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None, *, load: Callable[[], OpenDesk] | None = None) -> int:
    """Run a vault and give its exit code (0, 1, 70 or 71).

    Args:
        arguments: of the command line.
        load: imports another desk than the real one, for tests of what is around it.
    """
    options = _arguments(arguments)
    sys.stdout = None  # stdout carries frames; a stray print must not
    open_desk = (load or (load_run_desk if options.mode == "run" else load_desk))()
    load_late_modules(options.mode)
    software = software_digest()
    try:
        found, folder = confine.confine_vault(
            options.dir.resolve() / "vault", options.uid, options.floor, options.account
        )
    except Exception as err:  # whatever went wrong on the way: the wall does not stand
        _say(str(err) if isinstance(err, NodeError) else place_of(err))
        return EXIT_CONFINEMENT
    close_imports()
    try:
        write_frame(STDOUT, Kind.READY, confine.encode_ready(found))
        return _serve(options.mode, open_desk, folder, found.level, software)
    except BrokenPipeError:
        return EXIT_OK
    except Exception as err:  # one line and an exit code instead of a traceback, which could show values
        _say(place_of(err))
        return EXIT_REFUSED


def _serve(mode: str, open_desk: OpenDesk | OpenFollowing, folder: Path, level: str, software: bytes) -> int:
    key = read_frame(STDIN, {Kind.KEY})
    if key is None:
        return EXIT_OK  # the parent changed its mind
    try:
        desk = open_desk(folder, key.payload, level, software)
    except VaultError as err:
        if mode == "command":
            write_frame(STDOUT, Kind.RESPONSE, refusal(err))
        _say(place_of(err))
        return EXIT_REFUSED if err.code in PASSING else EXIT_STORE
    try:
        if mode == "run":
            serve_run(desk)
        else:
            serve_commands(cast(VaultDesk, desk))  # `main` chose the desk by the same mode
    finally:
        desk.close()
    return EXIT_OK


if __name__ == "__main__":
    os._exit(main())  # all is written and closed; taking the interpreter apart would only take time
