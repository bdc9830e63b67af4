"""The disk is full at every kind of write: said plainly, nothing lost, and done when there is room again.

`tests/full_disk.py` does it in a mount namespace of its own; without a second argument it tries every single
page, here it goes in larger steps.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).resolve().parents[1]
STRIDE = "18"
VAULT = ("open", "migrate", "import", "undo import", "release", "hold", "log page", "receipt", "backup")
COMMANDS = (
    *("request", "import", "profile guess", "report", "backup"),
    *("recovery make", "receipt write", "outbox export"),
)

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0, reason="only root makes a small file system"
    ),
]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = tmp_path_factory.mktemp("disk")
    for folder in (root, *root.parents[:2]):
        folder.chmod(0o755)  # the vault's own user passes through
    done = subprocess.run(
        [sys.executable, str(TESTS / "full_disk.py"), str(root), STRIDE],
        env={**os.environ, "PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    if "no mount namespace" in done.stderr or "no small file system" in done.stderr:
        pytest.skip("mounting is not allowed here")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("name", VAULT)
def test_write_of_the_vault_is_refused_whole_and_done_later(found: dict[str, Any], name: str) -> None:
    row = found["vault"][name]
    assert row["refused"] >= 1
    assert row["wrong"] == []
    for words in row["words"]:
        assert words.startswith("store-full: ")
        assert "Free some space" in words


@pytest.mark.parametrize("name", [*COMMANDS, "init"])
def test_command_says_what_is_full_and_leaves_nothing(found: dict[str, Any], name: str) -> None:
    row = found["commands"][name]
    for said in [row["full"]] if name != "init" else row["full"].values():
        assert said["exit"] == 1
        assert said["error"] in ("disk-full", "store-full")
        assert "full" in said["message"]
        assert "/small/" in said["message"] or "this node's folder" in said["message"]
        assert "Free some space" in said["advice"]
    assert row["left"] == []
    assert (row["again"]["exit"], row["there"]) == (0, True), row["again"]


def test_running_node_outlives_a_full_disk_and_reports_when_there_is_room(found: dict[str, Any]) -> None:
    """Neither running.json, nor its own log, nor a vault that cannot write ends the supervisor."""
    node = found["node"]
    assert (node["alive while full"], node["alive then"], node["exit"]) == (True, True, 0)
    assert node["reported"] == 1
    assert (node["facts"]["damaged"], node["facts"]["charge"], node["facts"]["report"]) == ([], 1, 1)


def test_everything_that_was_tried_is_looked_at(found: dict[str, Any]) -> None:
    assert set(found["vault"]) == set(VAULT)
    assert set(found["commands"]) == {*COMMANDS, "init"}
