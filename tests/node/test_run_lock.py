"""One running node a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from wall_support import TESTS, make_folder

from node.errors import EXIT_REFUSED, SuperviseError
from node.run_lock import hold_folder, require_free

HOLD = """
import os, sys
from pathlib import Path
from node.config import NodeFolder
from node.run_lock import hold_folder
with hold_folder(NodeFolder(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_one_is_refused_with_the_first_ones_pid(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "node")
    with hold_folder(folder):
        before = folder.run_lock.read_bytes()
        with pytest.raises(SuperviseError, match=f"process {os.getpid()}, since 20") as caught:
            require_free(folder)
        assert (caught.value.code, caught.value.EXIT) == ("already-running", EXIT_REFUSED)
        assert folder.run_lock.read_bytes() == before
    require_free(folder)


@pytest.mark.parametrize("data", [b"", b"\xff", b"[]", b"{}", b'{"supervisor": "x", "since": 1}'])
def test_a_file_that_says_nothing_is_no_reason_to_go_on(tmp_path: Path, data: bytes) -> None:
    folder = make_folder(tmp_path / "node")
    with hold_folder(folder):
        folder.run_lock.write_bytes(data)
        with pytest.raises(SuperviseError, match="a node runs in this folder already"):
            require_free(folder)


def test_another_folder_is_free(tmp_path: Path) -> None:
    with hold_folder(make_folder(tmp_path / "one")):
        require_free(make_folder(tmp_path / "two"))


def test_the_lock_dies_with_its_process(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "node")
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder.root)],
        env={"PYTHONPATH": str(TESTS.parent)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(SuperviseError, match=f"process {process.pid}, "):
            require_free(folder)
        process.kill()
        process.wait(20)
    assert folder.run_lock.exists()
    require_free(folder)
