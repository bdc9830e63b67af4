"""The record of what was signed only rises, survives a torn write, and is shared by all processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from coordinator.errors import LogRolledBackError
from coordinator.high_water import SLOT_BYTES, Head, HighWater


def root(size: int) -> bytes:
    return bytes([size % 256]) * 32


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.head"


def test_nothing_was_signed_at_first(path: Path) -> None:
    assert HighWater(path).read() == Head(0, b"")
    assert not path.exists()


def test_it_rises_and_never_falls(path: Path) -> None:
    head = HighWater(path)
    for size in (3, 7, 5, 7):
        head.raise_to(size, root(size))
    assert head.known == HighWater(path).read() == Head(7, root(7))


def test_a_second_tree_of_a_size_is_refused(path: Path) -> None:
    HighWater(path).raise_to(7, root(7))
    for head in (HighWater(path), HighWater(path)):
        head.read()
        with pytest.raises(LogRolledBackError, match="another tree of 7"):
            head.raise_to(7, root(8))
    fresh = HighWater(path)  # it has not read the file yet
    with pytest.raises(LogRolledBackError, match="another tree of 7"):
        fresh.raise_to(7, root(8))
    assert HighWater(path).read() == Head(7, root(7))


@pytest.mark.parametrize("cut", [0, 1, 30, 60])
@pytest.mark.parametrize("slot", [0, 1])
def test_a_torn_write_leaves_the_record_before_it(path: Path, slot: int, cut: int) -> None:
    head = HighWater(path)
    for size in (1, 2, 3 + slot):
        head.raise_to(size, root(size))
    data = bytearray(path.read_bytes())
    slots = [data[:SLOT_BYTES].split(b"\n")[0], data[SLOT_BYTES:].split(b"\n")[0]]
    newest = max((0, 1), key=lambda place: int(slots[place].split(b" ")[1]))
    start = newest * SLOT_BYTES
    data[start + cut : start + len(slots[newest])] = b"\0" * (len(slots[newest]) - cut)
    path.write_bytes(data)
    assert HighWater(path).read() == Head(2, root(2))


RAISE_MANY = """
import sys
from pathlib import Path
from coordinator.high_water import HighWater
head = HighWater(Path(sys.argv[1]))
for size in range(int(sys.argv[2]), 201, 2):
    head.raise_to(size, bytes([size % 256]) * 32)
"""


def test_processes_share_it(path: Path) -> None:
    words = [sys.executable, "-c", RAISE_MANY, str(path)]
    processes = [subprocess.Popen([*words, first], cwd=Path(__file__).parents[2]) for first in "12"]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert HighWater(path).read() == Head(200, root(200))
