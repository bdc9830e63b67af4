"""The database key: three sources in order, no default passphrase, and a file that is never half read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from node import unwrap
from node.config import NodeFolder
from node.errors import UnlockError
from node.unwrap import create_key, open_wrapped, read_passphrase_file, unwrap_key, wrap

KEY = bytes(range(100, 132))
SALT, NONCE = bytes(16), bytes(24)
PASSPHRASE = "正确 horse battery staple"


KNOWN = "c1ce989f25db29dadef4650e5ca827ed4feb41156ab96cd9c42ecac23a2a1158c39ec247f0e82784fc7f173040902a5f"


def never() -> str:
    raise AssertionError("nobody should be asked")


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2id with the least memory, for what does not depend on its cost."""
    from nacl.pwhash import argon2id

    monkeypatch.setattr(argon2id, "MEMLIMIT_MODERATE", argon2id.MEMLIMIT_MIN)
    monkeypatch.setattr(argon2id, "OPSLIMIT_MODERATE", argon2id.OPSLIMIT_MIN)


def credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    (tmp_path / "fedscreen-database-key").write_bytes(data)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))


def test_order_of_the_sources() -> None:
    assert [source.name for source in unwrap.SOURCES] == ["credential", "dpapi", "passphrase"]


def test_known_answer_with_the_real_cost() -> None:
    # KNOWN was made with PyNaCl 1.6.2: argon2id MODERATE (256 MiB, 3 passes), XChaCha20-Poly1305.
    data = wrap(KEY, PASSPHRASE, SALT, NONCE)
    assert data[:42] == b"fedscreen/database-key/v1\n" + SALT
    assert len(data) == 114
    assert data[-48:].hex() == KNOWN
    assert open_wrapped(data, PASSPHRASE) == KEY


def test_credential_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    credential(tmp_path, monkeypatch, KEY)
    folder = NodeFolder(tmp_path / "node")
    assert unwrap.choose_source() == "credential"
    assert create_key(folder, "credential", os.urandom, never) == KEY
    assert unwrap_key(folder, "credential", never) == KEY
    assert not folder.key_file.exists()


@pytest.mark.parametrize(
    "data", [b"", KEY[:31], KEY + b"\n", KEY.hex().encode(), bytes(32), b"ab" * 16], ids=len
)
def test_bad_credential_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    credential(tmp_path, monkeypatch, data)
    with pytest.raises(UnlockError, match="systemd-creds encrypt"):
        unwrap_key(NodeFolder(tmp_path), "credential", never)


def test_missing_credential_does_not_fall_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cheap: None
) -> None:
    folder = NodeFolder(tmp_path)
    create_key(folder, "passphrase", os.urandom, lambda: PASSPHRASE)
    with pytest.raises(UnlockError, match="CREDENTIALS_DIRECTORY"):
        unwrap_key(folder, "credential", never)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with pytest.raises(UnlockError, match="cannot be read"):
        unwrap_key(folder, "credential", never)


def test_passphrase_round_trip(tmp_path: Path, cheap: None) -> None:
    folder = NodeFolder(tmp_path)
    assert unwrap.choose_source() == "passphrase"
    assert not unwrap.has_key(folder, "passphrase")
    key = create_key(folder, "passphrase", os.urandom, lambda: PASSPHRASE)
    assert unwrap.has_key(folder, "passphrase")
    assert len(key) == 32
    assert unwrap_key(folder, "passphrase", lambda: PASSPHRASE) == key
    assert key not in folder.key_file.read_bytes()
    assert folder.key_file.stat().st_mode & 0o777 == 0o600


def test_same_passphrase_gives_another_file_every_time(tmp_path: Path, cheap: None) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    first = create_key(NodeFolder(tmp_path / "a"), "passphrase", os.urandom, lambda: PASSPHRASE)
    second = create_key(NodeFolder(tmp_path / "b"), "passphrase", os.urandom, lambda: PASSPHRASE)
    assert first != second


def test_composed_and_decomposed_text_are_the_same_passphrase(cheap: None) -> None:
    assert open_wrapped(wrap(KEY, "école maternelle", SALT, NONCE), "e\u0301cole maternelle") == KEY


@pytest.mark.parametrize("passphrase", ["", " ", "short", "elevenchars", "x" * 1025])
def test_short_passphrase_is_refused(tmp_path: Path, passphrase: str) -> None:
    folder = NodeFolder(tmp_path)
    with pytest.raises(UnlockError, match="12 to 1024"):
        create_key(folder, "passphrase", os.urandom, lambda: passphrase)
    assert not folder.key_file.exists()


def test_existing_key_file_is_never_replaced(tmp_path: Path, cheap: None) -> None:
    folder = NodeFolder(tmp_path)
    key = create_key(folder, "passphrase", os.urandom, lambda: PASSPHRASE)
    before = folder.key_file.read_bytes()
    with pytest.raises(UnlockError, match="exists already"):
        unwrap.Passphrase().create(folder, os.urandom, never)
    assert create_key(folder, "passphrase", os.urandom, lambda: PASSPHRASE) == key
    assert folder.key_file.read_bytes() == before


@pytest.mark.parametrize("other", [PASSPHRASE + " ", PASSPHRASE.upper(), "another passphrase"])
def test_wrong_passphrase_is_refused(tmp_path: Path, cheap: None, other: str) -> None:
    folder = NodeFolder(tmp_path)
    create_key(folder, "passphrase", os.urandom, lambda: PASSPHRASE)
    before = folder.key_file.read_bytes()
    with pytest.raises(UnlockError, match="does not open") as caught:
        unwrap_key(folder, "passphrase", lambda: other)
    assert other.strip() not in str(caught.value)
    assert folder.key_file.read_bytes() == before


@pytest.mark.parametrize("position", range(0, 114, 3))
def test_any_changed_byte_is_refused(cheap: None, position: int) -> None:
    data = bytearray(wrap(KEY, PASSPHRASE, SALT, NONCE))
    data[position] ^= 1
    with pytest.raises(UnlockError):
        open_wrapped(bytes(data), PASSPHRASE)


@pytest.mark.parametrize("length", [0, 10, 113])
def test_cut_off_key_file_is_refused(cheap: None, length: int) -> None:
    with pytest.raises(UnlockError, match="not a key file"):
        open_wrapped(wrap(KEY, PASSPHRASE, SALT, NONCE)[:length], PASSPHRASE)


def test_missing_key_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnlockError, match=r"database\.key.*backup"):
        unwrap_key(NodeFolder(tmp_path), "passphrase", never)


def test_passphrase_file_is_read_up_to_the_first_line_end(tmp_path: Path) -> None:
    path = tmp_path / "passphrase"
    path.write_bytes(PASSPHRASE.encode() + b"\r\nmore\n")
    path.chmod(0o600)
    assert read_passphrase_file(path) == PASSPHRASE


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_passphrase_file_for_others_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "passphrase"
    path.write_text(PASSPHRASE)
    path.chmod(mode)
    with pytest.raises(UnlockError, match="chmod 600"):
        read_passphrase_file(path)


def test_passphrase_file_must_be_text(tmp_path: Path) -> None:
    path = tmp_path / "passphrase"
    path.write_bytes(b"\xff\xfe")
    path.chmod(0o600)
    for missing in (path, tmp_path / "none"):
        with pytest.raises(UnlockError, match="cannot be read"):
            read_passphrase_file(missing)
