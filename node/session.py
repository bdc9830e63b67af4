"""A command's own vault: the same confinement, the same record file, one conversation.

    with open_vault(folder, config, key) as vault:
        answer, files = vault.call({"command": "rounds"})

The command unwraps the key and opens the user's files; the vault gets both over its stdin and has
neither network nor any other folder. What the vault refuses comes back as `VaultRefusal`.
Spec: docs/architecture.md "How commands reach the vault".
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from node.config import NodeConfig, NodeFolder
from node.confine import harden_parent
from node.errors import FrameError, SessionError, VaultRefusal, _
from node.frames import (
    CHUNK_BYTES,
    COMMAND_VAULT_SENDS,
    Kind,
    encode_data,
    encode_object,
    parse_response,
    read_frame,
    write_frame,
)
from node.launch import Side, close_pipe, start_side, stderr_line, stop_process, vault_command

Answer = tuple[dict[str, Any], dict[str, bytes]]
Content = bytes | Path

MAX_FILE_BYTES = 120 << 20  # a vault takes a little more, all files of a command together


class VaultSession:
    """An open conversation with one command-mode vault. Used by one thread."""

    def __init__(self, side: Side) -> None:
        self._side = side

    @property
    def level(self) -> str:
        """The confinement that the vault reached, "L0" to "L3"."""
        return self._side.confinement.level

    def call(self, command: Mapping[str, Any], files: Mapping[str, Content] | None = None) -> Answer:
        """Send a command with its files; give the vault's JSON answer and its named files.

        Args:
            command: JSON values; the key ``command`` names it.
            files: by role (for example "roster"): content, or the path of a file to stream.

        Raises:
            VaultRefusal: the vault refused; nothing was changed.
            SessionError: the vault ended before it answered, or a file cannot be read.
        """
        try:
            with suppress(BrokenPipeError):  # it may have said why, and that is read below
                self._send(command, files or {})
            frame = read_frame(self._side.stdout, COMMAND_VAULT_SENDS - {Kind.READY})
            if frame is None:
                raise self._ended()
            header, blobs = parse_response(frame.payload)
        except FrameError as err:
            raise SessionError(
                _("the vault's answer cannot be read (%(reason)s)"), details={"reason": str(err)}
            ) from err
        if header.get("ok") is not True:
            raise _refusal(header.get("error"))
        return dict(header["answer"]), blobs

    def _send(self, command: Mapping[str, Any], files: Mapping[str, Content]) -> None:
        write_frame(self._side.stdin, Kind.COMMAND, encode_object(command))
        for role, content in files.items():
            for chunk in _chunks(content):
                write_frame(self._side.stdin, Kind.DATA, encode_data(role, chunk))
        write_frame(self._side.stdin, Kind.END)

    def _ended(self) -> SessionError:
        exit_code = stop_process(self._side.process)
        line = stderr_line(self._side.process, is_ready=True)
        return SessionError(
            _("the vault ended with exit code %(exit)d before it answered; %(line)s"),
            _("Nothing is half done: run the command again."),
            details={"exit": exit_code, "line": line},
        )


@contextmanager
def open_vault(
    folder: NodeFolder,
    config: NodeConfig,
    key: bytes,
    *,
    command: Callable[[NodeFolder, NodeConfig, str], list[str]] = vault_command,
) -> Iterator[VaultSession]:
    """Start a confined vault for a command, and end it afterwards.

    Args:
        folder: the node's directory.
        config: its configuration.
        key: the database key (32 bytes, secret).
        command: gives the vault's command line.

    Raises:
        ConfinementError: the vault could not lock itself down.
        SuperviseError: it did not start.
    """
    harden_parent()
    side = start_side("vault", command(folder, config, "command"), COMMAND_VAULT_SENDS, key)
    try:
        yield VaultSession(side)
    finally:
        stop_process(side.process)
        close_pipe(side.process.stdout)
        close_pipe(side.process.stderr)


def _chunks(content: Content) -> Iterator[bytes]:
    """Give a file's content in pieces; an empty file is one empty piece."""
    if isinstance(content, bytes):
        yield from (content[at : at + CHUNK_BYTES] for at in range(0, max(1, len(content)), CHUNK_BYTES))
        return
    try:
        size = _ordinary_size(content)
        with content.open("rb") as stream:
            chunk = stream.read(CHUNK_BYTES)
            yield chunk
            num_read = len(chunk)
            while num_read <= size and (chunk := stream.read(CHUNK_BYTES)):
                num_read += len(chunk)
                yield chunk
    except OSError as err:
        raise SessionError(
            _("%(file)s cannot be read (%(reason)s)"),
            _("Check the file's name and close it in other programs."),
            code="file",
            details={"file": _shown(content), "reason": err.strerror or ""},
        ) from err
    if num_read != size:
        raise SessionError(
            _("%(file)s changed while it was read"),
            _("Close it in other programs and give the command again; nothing was changed."),
            code="file",
            details={"file": _shown(content)},
        )


def _ordinary_size(path: Path) -> int:
    """Give a file's size before it is opened; to open a pipe would wait for somebody to write into it."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise SessionError(
            _("%(file)s is not an ordinary file"),
            _("Give the file itself, not a folder, pipe or device."),
            code="file",
            details={"file": _shown(path)},
        )
    if found.st_size > MAX_FILE_BYTES:
        raise SessionError(
            _("%(file)s has more than %(high)s MiB"),
            _("Check that this is the right file."),
            code="file",
            details={"file": _shown(path), "high": MAX_FILE_BYTES >> 20},
        )
    return found.st_size


def _shown(path: Path) -> str:
    """Give a path that can be printed on any screen, in one line, whatever its name is made of."""
    return "".join(char if char.isprintable() else "?" for char in str(path))


def _refusal(error: object) -> VaultRefusal:
    if not isinstance(error, dict) or not isinstance(error.get("message"), str):
        return VaultRefusal(_("the vault refused and did not say why"))
    details = error.get("details")
    return VaultRefusal(
        error["message"],
        str(error.get("advice", "")),
        code=str(error.get("code", "vault")),
        details=details if isinstance(details, dict) else {},
    )
