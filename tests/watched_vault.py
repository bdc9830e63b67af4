"""A school's vault that can die at every single write, not only around a commit; also as a real process.

    python -m watched_vault FOLDER ROUND POINT     release a round; kill -9 itself at POINT ("-": never)

The process says `ready`, waits for a line, releases, and prints the report's digest.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fakes_vault import KEY, Crash, SchoolHouse

from node.vault.desk import Desk
from node.vault.store import VaultStore

_TABLE = re.compile(r"(?:INSERT INTO|UPDATE|DELETE FROM) (\w+)")


class WatchedHouse(SchoolHouse):
    """A `SchoolHouse` that names every write: each row and each commit, before and after.

    Attributes:
        points: names of all points passed, e.g. "before row of charge", "after report" (a commit).
        stop_at: what happens at a point: given its name and position since `watch`.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.points: list[str] = []
        self.stop_at: Callable[[str, int], None] = lambda _name, _position: None
        super().__init__(*arguments, **options)

    def open(self, path: Path | None = None) -> Desk:
        """Open the store, its writes watched."""
        desk = super().open(path)
        execute = self.store.execute

        def watched(statement: str, values: Any = ()) -> None:
            table = _TABLE.search(statement)
            name = table[1] if table else statement
            self._point(f"before row of {name}")
            execute(statement, values)
            self._point(f"after row of {name}")

        self.store.execute = watched  # type: ignore[method-assign]
        return desk

    def _durable(self, step: str) -> None:
        super()._durable(step)
        self._point(step)

    def _point(self, name: str) -> None:
        self.points.append(name)
        self.stop_at(name, len(self.points) - 1)

    def watch(self, die_at: int | None = None) -> None:
        """Count points from here on; crash at one of them."""
        self.points = []

        def stop(name: str, position: int) -> None:
            if position == die_at:
                self.stop_at = lambda _name, _position: None
                raise Crash(name)

        self.stop_at = stop

    def back_up(self, name: str = "backup") -> Path:
        """Copy the record file aside, as a backup program would while the node stands still."""
        return back_up(self, name)

    def restore(self, backup: Path) -> None:
        """Put an older record file in the place of this one."""
        restore(self, backup)


def back_up(house: SchoolHouse, name: str = "backup") -> Path:
    """Copy the record file of a closed vault aside and open the vault again."""
    house.store.close()
    backup = house.folder / f"{name}.db"
    VaultStore(house.folder / "vault.db", KEY).close()
    shutil.copy(house.folder / "vault.db", backup)
    house.open()
    return backup


def restore(house: SchoolHouse, backup: Path) -> None:
    """Put a backup in the place of the record file."""
    house.store.close()
    for suffix in ("", "-wal", "-shm"):
        (house.folder / f"vault.db{suffix}").unlink(missing_ok=True)
    shutil.copy(backup, house.folder / "vault.db")
    house.open()


def main(folder: str, round_id: str, point: str) -> int:
    """Release a round in this process and be killed on the way."""
    house = WatchedHouse(Path(folder), is_enrolled=False)

    def stop(name: str, _position: int) -> None:
        if name == point:
            os.kill(os.getpid(), signal.SIGKILL)

    house.stop_at = stop
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        print(house.release(bytes.fromhex(round_id))["digest"], flush=True)
    except Exception as err:
        print(f"refused {getattr(err, 'code', type(err).__name__)}", flush=True)
    house.store.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
