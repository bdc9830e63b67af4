"""A sealed file opens whole, with its passphrase, or not at all."""

from __future__ import annotations

from io import BytesIO

import pytest

from coordinator.errors import BackupError
from coordinator.sealed_file import FIRST_LINE, PIECE_BYTES, TAG_BYTES, is_sealed, open_file, seal_file

PASSPHRASE = b"correct horse battery staple"
CONTENT = bytes(range(256)) * (PIECE_BYTES // 256) * 2 + b"the end"


@pytest.fixture(autouse=True)
def cheap_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2id's limits for a person's passphrase take half a second each time."""
    monkeypatch.setattr("nacl.pwhash.argon2id.OPSLIMIT_MODERATE", 1)
    monkeypatch.setattr("nacl.pwhash.argon2id.MEMLIMIT_MODERATE", 8192)


def sealed(content: bytes, passphrase: bytes | None = PASSPHRASE, salt: int = 1) -> bytes:
    target = BytesIO()
    seal_file(BytesIO(content), target, passphrase, lambda size: bytes([salt]) * size)
    return target.getvalue()


def opened(data: bytes, passphrase: bytes | None = PASSPHRASE) -> bytes:
    target = BytesIO()
    open_file(BytesIO(data), target, passphrase)
    return target.getvalue()


@pytest.mark.parametrize("passphrase", [PASSPHRASE, None], ids=["sealed", "plain"])
@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, len(CONTENT)])
def test_what_is_sealed_opens(size: int, passphrase: bytes | None) -> None:
    data = sealed(CONTENT[:size], passphrase)
    assert opened(data, passphrase) == CONTENT[:size]
    assert is_sealed(BytesIO(data)) == (passphrase is not None)


def test_nothing_of_the_content_or_the_passphrase_is_in_it() -> None:
    data = sealed(CONTENT)
    assert bytes(range(256)) not in data
    assert PASSPHRASE not in data
    assert sealed(CONTENT, salt=2)[-1000:] != data[-1000:]


def swapped(data: bytes) -> bytes:
    """Exchange the first two pieces."""
    start = data.index(b"\n", len(FIRST_LINE)) + 1
    size = PIECE_BYTES + TAG_BYTES
    first, second = data[start : start + size], data[start + size : start + 2 * size]
    return data[:start] + second + first + data[start + 2 * size :]


SPOILT = {
    "cut off": lambda data: data[:-5],
    "cut off at a piece": lambda data: data[: -7 - TAG_BYTES],
    "flipped": lambda data: data[:-2] + bytes([data[-2] ^ 1]) + data[-1:],
    "lengthened": lambda data: data + b"x",
    "swapped": swapped,
    "other head": lambda data: data.replace(b'"kdf"', b'"kdg"', 1),
    "other costs": lambda data: data.replace(b'"mem": 8192', b'"mem": 8193', 1),
    "costs beyond all": lambda data: data.replace(b'"mem": 8192', b'"mem": 99999999999', 1),
    "other salt": lambda data: data.replace(b"0101", b"0102", 1),
    "other format": lambda data: data.replace(b"/v1", b"/v2", 1),
    "no head": lambda data: FIRST_LINE + b"[]\n" + data,
    "empty": lambda _data: b"",
}


@pytest.mark.parametrize("how", SPOILT)
def test_a_spoilt_file_does_not_open(how: str) -> None:
    data = SPOILT[how](sealed(CONTENT))
    with pytest.raises(BackupError):
        opened(data)


@pytest.mark.parametrize("how", ["cut off", "flipped", "lengthened", "other head", "empty"])
def test_a_spoilt_plain_file_does_not_open(how: str) -> None:
    data = SPOILT[how](sealed(CONTENT, None))
    with pytest.raises(BackupError):
        opened(data, None)


@pytest.mark.parametrize("passphrase", [b"another", None, b""])
def test_another_passphrase_does_not_open(passphrase: bytes | None) -> None:
    data = sealed(CONTENT)
    with pytest.raises(BackupError, match="passphrase"):
        opened(data, passphrase)


def test_a_sealed_file_cannot_be_passed_off_as_a_plain_one() -> None:
    data = sealed(CONTENT)
    end = data.index(b"\n", len(FIRST_LINE)) + 1
    with pytest.raises(BackupError):
        opened(FIRST_LINE + b'{"kdf": "none"}\n' + data[end:], None)
