"""Sealed boxes: exact sizes, opened by one key under one info, every altered byte refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vectors_dir import own

from crypto.derivation import box_plaintext
from crypto.errors import DecodeError, OpenError, ParameterError
from crypto.sealing import (
    BOX_OVERHEAD_BYTES,
    ROUND_PUBLIC_BYTES,
    ROUND_SECRET_BYTES,
    _recipient,
    box_bytes,
    load_round_key,
    open_box,
    round_public_key,
    seal,
    verify_public_key,
)

SECRET = bytes(range(96))
PUBLIC = round_public_key(SECRET)


def test_sizes_are_those_of_the_protocol() -> None:
    assert (ROUND_SECRET_BYTES, ROUND_PUBLIC_BYTES, len(PUBLIC)) == (96, 1216, 1216)
    for num_seeds in (0, 1, 3, 15):
        assert len(seal(PUBLIC, box_plaintext([bytes(32)] * num_seeds), b"info")) == box_bytes(num_seeds)
    assert box_bytes(3) == 1136 + 3 * 36


def test_the_known_box_opens() -> None:
    vector = {key: bytes.fromhex(value) for key, value in own("sealing.json").items() if key != "source"}
    assert round_public_key(vector["secret"]) == vector["public_key"]
    assert open_box(vector["secret"], vector["box"], vector["info"]) == vector["plaintext"]


@given(st.binary(max_size=100), st.binary(max_size=100))
@settings(max_examples=20, deadline=None)
def test_open_is_the_inverse_of_seal(plaintext: bytes, info: bytes) -> None:
    assert open_box(SECRET, seal(PUBLIC, plaintext, info), info) == plaintext


def test_a_key_expanded_once_opens_many_boxes_and_no_other_ones() -> None:
    key = load_round_key(SECRET)
    assert [open_box(key, seal(PUBLIC, data, b"i"), b"i") for data in (b"1", b"2")] == [b"1", b"2"]
    with pytest.raises(OpenError):
        open_box(key, seal(round_public_key(bytes(96)), b"1", b"i"), b"i")


def test_two_boxes_of_one_plaintext_differ_in_their_encapsulation() -> None:
    assert seal(PUBLIC, b"x", b"")[:1120] != seal(PUBLIC, b"x", b"")[:1120]


def test_every_altered_byte_is_refused() -> None:
    box = seal(PUBLIC, bytes(36), b"info")
    for position in [*range(0, 1088, 16), *range(1088, len(box))]:
        altered = bytearray(box)
        altered[position] ^= 1 << position % 8
        with pytest.raises(OpenError):
            open_box(SECRET, bytes(altered), b"info")


def test_the_unused_top_bit_of_the_x25519_share_is_bound() -> None:
    # X25519 ignores it, the combiner hashes the share as sent
    box = bytearray(seal(PUBLIC, b"x", b"info"))
    box[1119] ^= 0x80
    with pytest.raises(OpenError):
        open_box(SECRET, bytes(box), b"info")


@pytest.mark.parametrize("length", [0, 1, 1088, 1120, BOX_OVERHEAD_BYTES - 1, BOX_OVERHEAD_BYTES])
def test_a_box_that_is_cut_short_is_refused(length: int) -> None:
    reason = "does not open" if length == BOX_OVERHEAD_BYTES else f"at least 1136 bytes, found {length}"
    with pytest.raises(OpenError, match=reason):
        open_box(SECRET, seal(PUBLIC, b"x", b"info")[:length], b"info")


def test_a_longer_box_another_info_and_another_key_are_refused() -> None:
    box = seal(PUBLIC, b"x", b"info")
    for secret, ciphertext, info in (
        (SECRET, box + b"\x00", b"info"),
        (SECRET, box, b"inf"),
        (SECRET, box, b""),
        (bytes(96), box, b"info"),
        (SECRET[:64] + bytes(32), box, b"info"),
        (bytes(64) + SECRET[64:], box, b"info"),
    ):
        with pytest.raises(OpenError):
            open_box(secret, ciphertext, info)


def test_an_encapsulation_with_a_small_order_point_is_refused() -> None:
    box = seal(PUBLIC, b"x", b"info")
    with pytest.raises(OpenError):
        open_box(SECRET, box[:1088] + bytes(32) + box[1120:], b"info")


@given(st.binary(min_size=BOX_OVERHEAD_BYTES, max_size=BOX_OVERHEAD_BYTES + 40))
@settings(max_examples=20, deadline=None)
def test_hostile_boxes_raise_only_open_errors(data: bytes) -> None:
    with pytest.raises(OpenError):
        open_box(SECRET, data, b"info")


@pytest.mark.parametrize(
    "public_key",
    [
        b"",
        PUBLIC[:-1],
        PUBLIC + b"\x00",
        b"\xff" * 1216,
        PUBLIC[:1184] + bytes(32),
        PUBLIC[:1184] + b"\x01" + bytes(31),
    ],
    ids=["empty", "short", "long", "coefficients not reduced", "zero point", "point of order one"],
)
def test_a_public_key_that_cannot_be_sealed_to_is_refused(public_key: bytes) -> None:
    reason = "cannot be sealed to" if len(public_key) == 1216 else f"1216 bytes, found {len(public_key)}"
    with pytest.raises(DecodeError, match=reason):
        verify_public_key(public_key)
    with pytest.raises(DecodeError, match=reason):
        seal(public_key, b"x", b"info")


def test_a_valid_public_key_passes() -> None:
    verify_public_key(PUBLIC)


@pytest.mark.parametrize("length", [0, 32, 95, 97])
def test_a_secret_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ParameterError):
        round_public_key(bytes(length))
    with pytest.raises(ParameterError):
        open_box(bytes(length), bytes(BOX_OVERHEAD_BYTES), b"")
    with pytest.raises(ParameterError):
        load_round_key(bytes(length))


def test_the_keys_of_two_rounds_of_seven_auditors_are_parsed_once() -> None:
    keys = [round_public_key(bytes([number]) * 96) for number in range(14)]
    for key in keys:
        verify_public_key(key)
    parsed = _recipient.cache_info().misses
    for key in keys:
        seal(key, b"x", b"info")
    assert _recipient.cache_info().misses == parsed
