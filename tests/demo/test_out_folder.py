"""The demo's folder: made with a mark, replaced where the mark is, and never anything else."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedscreen.demo.errors import DemoError
from fedscreen.demo.out_folder import MARK, make_out


def test_a_new_folder_has_the_mark(tmp_path: Path) -> None:
    make_out(tmp_path / "a" / "out")
    assert [path.name for path in (tmp_path / "a" / "out").iterdir()] == [MARK]


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    make_out(tmp_path)
    assert (tmp_path / MARK).is_file()


def test_an_earlier_demo_is_replaced(tmp_path: Path) -> None:
    make_out(tmp_path / "out")
    (tmp_path / "out" / "schools").mkdir()
    (tmp_path / "out" / "schools" / "old").write_text("old")
    make_out(tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == [MARK]


@pytest.mark.parametrize("name", ["notes.txt", "schools/notes.txt", "county/notes.txt"])
def test_a_folder_without_the_mark_is_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(DemoError, match="something else"):
        make_out(tmp_path)
    assert (tmp_path / name).read_text() == "mine"


def test_a_file_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(DemoError):
        make_out(tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    make_out(tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(DemoError):
        make_out(tmp_path / "link")
    assert (tmp_path / "real" / MARK).is_file()


def test_a_mark_that_is_a_folder_is_none(tmp_path: Path) -> None:
    (tmp_path / MARK).mkdir()
    with pytest.raises(DemoError):
        make_out(tmp_path)
