"""The database key kept by Windows: whose it is, what is refused, and that nothing of it stays in memory."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from fakes_windows import FakeWindows
from wall_support import make_config, make_folder

from node import dpapi, unwrap
from node.config import NodeFolder, write_config
from node.dpapi import Crypt32, find_data_protection
from node.errors import UnlockError
from node.unwrap import WindowsDataProtection

KEY = bytes(range(100, 132))
HEAD = len(dpapi.MAGIC) + 1 + dpapi.SALT_BYTES


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> FakeWindows:
    found = FakeWindows()
    monkeypatch.setattr(ctypes, "get_last_error", found.last_error, raising=False)
    return found


def source(windows: FakeWindows) -> WindowsDataProtection:
    return WindowsDataProtection(lambda: Crypt32(windows.load))


def never() -> str:
    raise AssertionError("nobody should be asked")


def entropy(size: int) -> bytes:
    return KEY[:size]


def new_node(path: Path, account: str = "") -> NodeFolder:
    folder = make_folder(path)
    write_config(folder, make_config(key_source="dpapi", service_account=account))
    return folder


def test_the_account_that_made_a_key_opens_it(windows: FakeWindows, tmp_path: Path) -> None:
    folder = new_node(tmp_path / "node")
    assert source(windows).create(folder, entropy, never) == KEY
    data = folder.key_file.read_bytes()
    assert data.startswith(b"fedscreen/database-key/dpapi-v1\nU" + KEY[:16])
    assert KEY not in data
    assert source(windows).unwrap(folder, never) == KEY
    assert windows.flags == [0x1, 0x1]  # no window is ever shown


def test_a_service_account_gets_a_key_of_the_machine(windows: FakeWindows, tmp_path: Path) -> None:
    folder = new_node(tmp_path / "node", account="fedscreen-node")
    source(windows).create(folder, entropy, never)
    assert folder.key_file.read_bytes()[len(dpapi.MAGIC) : HEAD] == b"M" + KEY[:16]
    assert windows.flags == [0x5]
    windows.user = "SYSTEM"
    assert source(windows).unwrap(folder, never) == KEY


def test_windows_copy_is_wiped_and_given_back(windows: FakeWindows) -> None:
    protection = Crypt32(windows.load)
    blob = dpapi.wrap(protection, KEY, bytes(16), for_machine=False)
    assert dpapi.open_wrapped(protection, blob) == KEY
    assert len(windows.freed) == 2
    assert all(set(freed) == {0} for freed in windows.freed)


@pytest.mark.parametrize(
    ("for_machine", "changes", "word"),
    [
        (False, {"user": "pupil"}, "another account or machine"),
        (False, {"machine": "pc-2"}, "another account or machine"),
        (True, {"machine": "pc-2"}, "another machine"),
    ],
    ids=["another user", "another machine", "machine scope, another machine"],
)
def test_others_do_not_open_it(
    windows: FakeWindows,
    monkeypatch: pytest.MonkeyPatch,
    for_machine: bool,
    changes: dict[str, str],
    word: str,
) -> None:
    blob = dpapi.wrap(Crypt32(windows.load), KEY, bytes(16), for_machine=for_machine)
    other = replace(windows, **changes)  # type: ignore[arg-type]
    monkeypatch.setattr(ctypes, "get_last_error", other.last_error)
    with pytest.raises(UnlockError, match=word) as caught:
        dpapi.open_wrapped(Crypt32(other.load), blob)
    assert caught.value.code == "dpapi"
    assert caught.value.advice


@pytest.mark.parametrize(
    "alter",
    [
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: data[:-5] + bytes([data[-5] ^ 1]) + data[-4:],
        lambda data: data[: HEAD - 1] + bytes([data[HEAD - 1] ^ 1]) + data[HEAD:],
        lambda data: data[: len(dpapi.MAGIC)] + b"M" + data[len(dpapi.MAGIC) + 1 :],
        lambda data: data[: len(dpapi.MAGIC)] + b"X" + data[len(dpapi.MAGIC) + 1 :],
        lambda data: data[:HEAD],
        lambda data: b"",
        lambda data: b"fedscreen/database-key/v1\n" + data[HEAD:],
    ],
    ids=["cut", "longer", "blob", "salt", "scope", "no scope", "no blob", "empty", "of a passphrase"],
)
def test_a_damaged_file_is_refused(windows: FakeWindows, alter: Callable[[bytes], bytes]) -> None:
    protection = Crypt32(windows.load)
    data = dpapi.wrap(protection, KEY, bytes(16), for_machine=False)
    with pytest.raises(UnlockError) as caught:
        dpapi.open_wrapped(protection, alter(data))
    assert caught.value.code == "key-file"
    assert "backup" in caught.value.advice


def test_a_key_of_another_length_is_refused(windows: FakeWindows) -> None:
    protection = Crypt32(windows.load)
    with pytest.raises(UnlockError, match="damaged"):
        dpapi.open_wrapped(protection, dpapi.wrap(protection, KEY[:-1], bytes(16), for_machine=False))


def test_windows_that_does_not_wrap_is_told(windows: FakeWindows, tmp_path: Path) -> None:
    windows.refuses.add("CryptProtectData")
    folder = new_node(tmp_path / "node")
    with pytest.raises(UnlockError, match="error 5") as caught:
        source(windows).create(folder, entropy, never)
    assert "--key passphrase" in caught.value.advice
    assert not folder.key_file.exists()


def test_a_key_that_is_there_is_never_replaced(windows: FakeWindows, tmp_path: Path) -> None:
    folder = new_node(tmp_path / "node")
    folder.key_file.write_bytes(b"mine")
    assert source(windows).has_key(folder)
    with pytest.raises(UnlockError, match="exists already"):
        source(windows).create(folder, entropy, never)
    assert folder.key_file.read_bytes() == b"mine"


def test_no_file_is_told(windows: FakeWindows, tmp_path: Path) -> None:
    with pytest.raises(UnlockError, match="cannot be read"):
        source(windows).unwrap(new_node(tmp_path / "node"), never)


@pytest.mark.skipif(sys.platform == "win32", reason="about other systems")
def test_elsewhere_it_is_neither_offered_nor_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert find_data_protection() is None
    assert not WindowsDataProtection().is_available()
    assert unwrap.choose_source() == "passphrase"
    with pytest.raises(UnlockError, match="this is not Windows"):
        unwrap.unwrap_key(new_node(tmp_path / "node"), "dpapi", never)
    with pytest.raises(UnlockError, match="kept by dpapi on this machine"):
        unwrap.choose_source("dpapi")


def test_what_was_asked_for_keeps_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert unwrap.choose_source("passphrase") == "passphrase"
    with pytest.raises(UnlockError):
        unwrap.choose_source("credential")
