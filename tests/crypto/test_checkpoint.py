"""Checkpoints: exact inverse, malformed ones refused, cosigned only as checkpoints."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vectors_dir import own

from crypto.checkpoint import (
    Checkpoint,
    cosign,
    cosignature_time,
    encode_checkpoint,
    parse_checkpoint,
    parse_decimal,
)
from crypto.errors import DecodeError, ParameterError, VerificationError
from crypto.note import KeyType, SigningKey, encode_note, parse_note, parse_vkey, verified_by

ROOT = "Wqx3HImawpLnS/Gv4ubjAvi1WIOy0b8Ze0amvqbavKk="
lines = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1)


@given(lines, st.integers(0, (1 << 63) - 1), st.binary(min_size=32, max_size=32), st.lists(lines, max_size=3))
def test_parse_is_the_inverse_of_encode(origin: str, size: int, root: bytes, extensions: list[str]) -> None:
    checkpoint = Checkpoint(origin, size, root, tuple(extensions))
    assert parse_checkpoint(encode_checkpoint(checkpoint)) == checkpoint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        f"a\n7\n{ROOT}",
        f"a\n7\n{ROOT}\n\n",
        f"a\n7\n{ROOT}\nextension",
        f"\n7\n{ROOT}\n",
        f"a\n07\n{ROOT}\n",
        f"a\n+7\n{ROOT}\n",
        f"a\n-7\n{ROOT}\n",
        f"a\n 7\n{ROOT}\n",
        f"a\n7.0\n{ROOT}\n",
        f"a\n٧\n{ROOT}\n",
        f"a\n\n{ROOT}\n",
        f"a\n{1 << 63}\n{ROOT}\n",
        f"a\n{'9' * 5000}\n{ROOT}\n",
        "a\n7\n\n",
        "a\n7\nAAAA\n",
        f"a\n7\n{ROOT[:-2]}l=\n",
        f"a\n7\n{ROOT}\n\nx\n",
        f"a\n7\n{ROOT}\nx\ty\n",
        f"a\r\n7\r\n{ROOT}\r\n",
        "a\n7\n",
    ],
)
def test_a_malformed_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(DecodeError):
        parse_checkpoint(text)


@pytest.mark.parametrize("text", ["", "-1", "00", "1_0", " 1", "1\n", "0x1", "¹", str(1 << 63)], ids=repr)
def test_a_malformed_decimal_is_refused(text: str) -> None:
    with pytest.raises(DecodeError):
        parse_decimal(text)


@pytest.mark.parametrize("value", [0, 1, 10, (1 << 63) - 1])
def test_a_decimal_of_the_range_parses(value: int) -> None:
    assert parse_decimal(str(value)) == value


@pytest.mark.parametrize("code", [0, 0x0F, 0x10, 0x1F, 0xD800, 0xDBFF, 0xDFFF], ids=hex)
def test_no_line_has_a_control_character_or_a_surrogate(code: int) -> None:
    character = chr(code)
    for origin, extensions in ((f"a{character}b", ()), ("a", ("b", f"{character}c"))):
        with pytest.raises(DecodeError, match="single lines"):
            Checkpoint(origin, 1, bytes(32), extensions)


@pytest.mark.parametrize("character", [" ", "\x7f", "\ud7ff", "\ue000", "\uf000", "\U0001f600"], ids=ascii)
def test_a_line_may_have_any_other_character(character: str) -> None:
    assert Checkpoint(f"a{character}b", (1 << 63) - 1, bytes(32), (character,)).size == (1 << 63) - 1


def test_only_checkpoints_are_cosigned() -> None:
    key = SigningKey("w", KeyType.COSIGNATURE, bytes(32))
    with pytest.raises(ParameterError, match="checkpoints only"):
        cosign("fedscreen/agreement/v1\nround 00\n", key, 1)
    with pytest.raises(ParameterError):
        cosign(f"a\n7\n{ROOT}\n", SigningKey("w", KeyType.ED25519, bytes(32)), 1)


def test_the_own_cosigned_checkpoint_verifies() -> None:
    vector = own("note.json")
    note = parse_note(vector["note"].encode())
    keys = (parse_vkey(vector["log_vkey"]), parse_vkey(vector["witness_vkey"]))
    assert verified_by(note, keys) == keys
    assert cosignature_time(note.signatures[1]) == vector["timestamp_s"]


def test_every_flipped_bit_of_the_cosignature_is_refused() -> None:
    vector = own("note.json")
    witness = parse_vkey(vector["witness_vkey"])
    data = vector["note"].encode()
    start = data.rindex(b" ") + 1
    for position in range(start * 8, len(data) * 8):
        flipped = bytearray(data)
        flipped[position // 8] ^= 1 << position % 8
        try:
            note = parse_note(bytes(flipped))
            assert verified_by(note, (witness,)) == ()
        except (DecodeError, VerificationError):
            continue
        assert encode_note(note) == bytes(flipped)


@pytest.mark.parametrize(
    ("origin", "size", "root"),
    [
        ("", 1, bytes(32)),
        ("a\nb", 1, bytes(32)),
        ("a", -1, bytes(32)),
        ("a", 1 << 63, bytes(32)),
        ("a", 1, bytes(31)),
    ],
    ids=["no origin", "two lines", "negative", "too large", "short root"],
)
def test_a_checkpoint_is_built_valid(origin: str, size: int, root: bytes) -> None:
    with pytest.raises(DecodeError):
        Checkpoint(origin, size, root)
