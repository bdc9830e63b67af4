"""A desk of a few lines in a real, confined vault process; for tests of what is around the desk.

`python -c RUNNER --dir DIR --mode run|command …` is the vault's worker with this desk instead of the real
one; see `fake_vault`. What it should do wrong is written into the file `behaviour` of the vault's folder.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from node.vault import worker
from node.vault.errors import VaultError, WrongKeyError
from node.vault.store import VaultStore

ROUND = "ab" * 32
RUNNER = (
    "import sys; sys.path.insert(0, {tests!r}); import fakes_desk; "
    "from node.vault import worker; sys.exit(worker.main(load=fakes_desk.load))"
)


def report(round_id: str = ROUND, cells: int = 4, boxes: int = 8, fill: int = 7) -> bytes:
    """A payload laid out as a report."""
    rest = bytes([fill]) * (8 * cells + boxes)
    note = f"fedscreen/report/v1\nround {round_id}\ncells {cells}\nsize {len(rest)}\n\nsignature\n".encode()
    return struct.pack(">I", len(note)) + note + rest


class FakeDesk:
    """Counts what it gets; offers one report as soon as it has seen an entry of the log."""

    def __init__(self, store: VaultStore, folder: Path, level: str) -> None:
        self._store, self._folder, self._level = store, folder, level
        self._pages: list[list[int]] = []
        self._receipts = 0
        self._num_offers = 0
        path = folder / "behaviour"
        self._behaviour = path.read_text() if path.exists() else ""

    def _setting(self, name: str, default: int = 0) -> int:
        return int(self._store.setting(name) or default)

    def _add(self, name: str, number: int) -> None:
        with self._store.transaction(name):
            self._store.put_setting(name, str(self._setting(name) + number).encode())

    def on_log(self, start: int, entries: list[tuple[bytes, bytes]], latest: bytes, cosigned: bytes) -> None:
        if start > sum(count for _start, count in self._pages) and not self._pages:
            raise VaultError("a gap", code="log-gap")
        self._pages.append([start, len(entries)])
        self._add("entries", len(entries))
        if self._behaviour == "crash on log" and not self._folder.joinpath("crashed").exists():
            self._folder.joinpath("crashed").write_text("x")
            raise ValueError("13812345678 must not be shown")
        if self._behaviour == "bad start":
            os.write(1, b"13812345678")

    def on_receipt(self, data: bytes) -> None:
        self._add("receipts", 1)

    def outgoing(self) -> bytes | None:
        if self._setting("entries") == 0:
            return None
        self._num_offers += 1
        if self._behaviour == "two sizes" and self._num_offers > 1:
            return report(cells=5)
        if self._behaviour == "rides along":
            return report() + b"13812345678"
        return report()

    def close(self) -> None:
        self._store.close()

    def handle(
        self, command: dict[str, Any], files: dict[str, bytes]
    ) -> tuple[Mapping[str, Any], Mapping[str, bytes]]:
        actions: dict[str, Callable[[], tuple[Mapping[str, Any], Mapping[str, bytes]]]] = {
            "echo": lambda: ({"got": command, "level": self._level}, files),
            "counts": lambda: ({name: self._setting(name) for name in ("entries", "receipts")}, {}),
            "modules": lambda: ({"modules": sorted(sys.modules)}, {}),
            "import": lambda: ({"imported": __import__("antigravity").__name__}, {}),
            "refuse": self._refuse,
            "crash": self._crash,
            "print": self._print,
        }
        return actions[str(command["command"])]()

    def _refuse(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        raise VaultError("row %(row)d is wrong", "Mend it.", code="bad-row", details={"row": 3})

    def _crash(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        raise ValueError("13812345678 must not be shown")

    def _print(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        print("13812345678")
        return {"printed": 1}, {}


def load() -> worker.OpenDesk:
    """Open the fake desk on a real record file."""

    def open_desk(folder: Path, key: bytes, level: str, software: bytes) -> worker.VaultDesk:
        if key == bytes(32):
            raise WrongKeyError("wrong key", "Use the right one.")
        return FakeDesk(VaultStore(folder / "vault.db", key), folder, level)

    return open_desk


def fake_vault(tests: Path, uid: int) -> Callable[..., list[str]]:
    """Give a function like `node.launch.vault_command` that starts this desk."""

    def command(folder: Any, config: Any, mode: str) -> list[str]:
        runner = RUNNER.format(tests=str(tests))
        user = ["--uid", str(uid)] if uid else []
        return [sys.executable, "-c", runner, "--dir", str(folder.root), "--mode", mode, *user]

    return command
