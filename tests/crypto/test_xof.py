"""The XOFs against the published vectors, a word-by-word sampler, and themselves read in other pieces."""

import hashlib
import hmac
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st
from vectors_dir import load_json, own, published_params

from crypto.errors import ParameterError
from crypto.field64 import MODULUS
from crypto.xof import (
    ALGORITHM_ID,
    MIN_BOUND,
    VERSION,
    Xof,
    XofHmacSha256Aes128,
    XofTurboShake128,
    format_dst,
    sample_integers,
    sample_vec,
)

XOFS = (XofHmacSha256Aes128, XofTurboShake128)
SEED = bytes(range(32))
FIELD128_MODULUS = 2**66 * 4611686018427387897 + 1  # draft-irtf-cfrg-vdaf-20 section 6.1.3
REJECTION_SEED = bytes.fromhex("44341dc52d71a2ff2e4c305e9335da9b19afc68e10b8b543690dad9d3bbb46ba")


def sample_singly(xof: Xof, cells: int, bound: int) -> list[int]:
    """next_vec of the draft, word for word: one element at a time."""
    kept: list[int] = []
    while len(kept) < cells:
        word = int.from_bytes(xof.next(8), "little")
        if word < bound:
            kept.append(word)
    return kept


@pytest.mark.parametrize("path", published_params("xof", "*.json"))
def test_published_streams(path: Path) -> None:
    xof_type = next((xof_type for xof_type in XOFS if path.stem.startswith(xof_type.__name__)), None)
    if xof_type is None:
        pytest.skip(f"{path.name} is about an XOF that the product does not have")
    vector = load_json(path)
    arguments = [bytes.fromhex(vector[key]) for key in ("seed", "dst", "binder")]
    assert xof_type(*arguments).next(32).hex() == vector["derived_seed"]
    elements = sample_integers(xof_type(*arguments), vector["length"], FIELD128_MODULUS)
    encoded = b"".join(element.to_bytes(16, "little") for element in elements)
    assert encoded.hex() == vector["expanded_vec_field128"]


def test_the_published_rejection_vector() -> None:
    # draft-irtf-cfrg-vdaf: element 13882 comes after a word at or above the modulus
    elements = XofTurboShake128(REJECTION_SEED, b"", b"").next_vec(13883)
    words = np.frombuffer(XofTurboShake128(REJECTION_SEED, b"", b"").next(13884 * 8), dtype="<u8")
    assert int(elements[13882]) == 4857131209231097247
    assert np.flatnonzero(words >= np.uint64(MODULUS)).size == 1
    assert elements.tolist() == [word for word in words.tolist() if word < MODULUS]


@pytest.mark.parametrize("xof_type", XOFS)
@pytest.mark.parametrize("bound", [MODULUS, 1 << 63, MIN_BOUND], ids=["modulus", "half", "quarter"])
def test_sampling_together_is_sampling_singly(
    xof_type: type[XofHmacSha256Aes128 | XofTurboShake128], bound: int
) -> None:
    together, singly = xof_type(SEED, b"dst", b"binder"), xof_type(SEED, b"dst", b"binder")
    for cells in (1, 0, 7, 64, 3):
        assert together.next_vec(cells, bound).tolist() == sample_singly(singly, cells, bound)
        assert together.next(5) == singly.next(5)  # and both stand at the same byte afterwards


@pytest.mark.parametrize("xof_type", XOFS)
@pytest.mark.parametrize("modulus", [2, 3, 257, 65521, MODULUS, FIELD128_MODULUS, 2**128 + 51], ids=str)
def test_integers_are_sampled_below_any_modulus(
    xof_type: type[XofHmacSha256Aes128 | XofTurboShake128], modulus: int
) -> None:
    size, bits = (modulus.bit_length() + 7) // 8, (modulus - 1).bit_length()
    stream = xof_type(SEED, b"dst", b"binder").next(400 * size)
    words = [int.from_bytes(stream[at : at + size], "little") % 2**bits for at in range(0, len(stream), size)]
    expected = [word for word in words if word < modulus][:50]
    assert sample_integers(xof_type(SEED, b"dst", b"binder"), 50, modulus) == expected


def test_sampling_integers_below_the_modulus_of_field64_is_sampling_its_elements() -> None:
    elements = XofTurboShake128(REJECTION_SEED, b"", b"").next_vec(13883)
    assert sample_integers(XofTurboShake128(REJECTION_SEED, b"", b""), 13883, MODULUS) == elements.tolist()


@pytest.mark.parametrize(("count", "modulus"), [(-1, MODULUS), (1, 1), (1, 0), (1, -5)])
def test_integers_of_no_field_are_refused(count: int, modulus: int) -> None:
    with pytest.raises(ParameterError, match="modulus"):
        sample_integers(XofHmacSha256Aes128(SEED, b"", b""), count, modulus)


@pytest.mark.parametrize("xof_type", XOFS)
@given(pieces=st.lists(st.integers(0, 400), max_size=8))
@settings(max_examples=25)
def test_a_stream_read_in_pieces_is_the_same_stream(
    xof_type: type[XofHmacSha256Aes128 | XofTurboShake128], pieces: list[int]
) -> None:
    xof = xof_type(SEED, b"dst", b"binder")
    assert b"".join(map(xof.next, pieces)) == xof_type(SEED, b"dst", b"binder").next(sum(pieces))


def test_turboshake_pads_messages_of_every_length() -> None:
    # independent of the vectors: no two binders around the 168-byte rate share a stream
    streams = {XofTurboShake128(SEED, b"", bytes(length)).next(32) for length in range(120, 320)}
    assert len(streams) == 200


def test_the_hmac_xof_is_what_its_definition_says() -> None:
    tag = hmac.new(SEED, b"\x03dst" + b"binder", hashlib.sha256).digest()
    stream = Cipher(algorithms.AES(tag[:16]), modes.CTR(tag[16:])).encryptor().update(bytes(100))
    assert XofHmacSha256Aes128(SEED, b"dst", b"binder").next(100) == stream


def test_next_into_continues_the_stream() -> None:
    xof = XofHmacSha256Aes128(SEED, b"", b"")
    out = memoryview(bytearray(24 + 16))
    head = xof.next(9)
    xof.next_into(memoryview(bytes(24)), out)
    assert head + out[:24] + xof.next(7) == XofHmacSha256Aes128(SEED, b"", b"").next(40)


@pytest.mark.parametrize("xof_type", XOFS)
def test_seed_dst_and_binder_all_count(xof_type: type[XofHmacSha256Aes128 | XofTurboShake128]) -> None:
    inputs = [
        (SEED, b"a", b"b"),
        (bytes(32), b"a", b"b"),
        (SEED, b"ab", b""),
        (SEED, b"", b"ab"),
        (SEED, b"a", b"c"),
    ]
    assert len({xof_type(*arguments).next(16) for arguments in inputs}) == len(inputs)


def test_dst_is_version_class_algorithm_usage_context() -> None:
    assert (VERSION, ALGORITHM_ID) == (18, 0xFFFF4653)
    assert format_dst(0x0102, b"ctx").hex() == "12" + "00" + "ffff4653" + "0102" + b"ctx".hex()
    assert format_dst(1, b"c", 0x01020304).hex() == "12" + "00" + "01020304" + "0001" + b"c".hex()
    assert format_dst(1, b"", 0)[2:6] == bytes(4)
    assert format_dst(0, b"")[-2:] + format_dst(0xFFFF, b"")[-2:] == b"\x00\x00\xff\xff"


@pytest.mark.parametrize("usage", [-1, 1 << 16])
def test_a_usage_out_of_range_is_refused(usage: int) -> None:
    with pytest.raises(ParameterError):
        format_dst(usage, b"")


@pytest.mark.parametrize("algorithm_id", [-1, 1 << 32])
def test_an_algorithm_id_out_of_range_is_refused(algorithm_id: int) -> None:
    assert format_dst(1, b"", (1 << 32) - 1)[2:6] == b"\xff" * 4
    with pytest.raises(ParameterError, match="algorithm"):
        format_dst(1, b"", algorithm_id)


def test_inputs_that_do_not_fit_their_length_byte_are_refused() -> None:
    XofHmacSha256Aes128(SEED, bytes(255), b"")
    XofTurboShake128(bytes(255), bytes(0xFFFF), b"")
    with pytest.raises(ParameterError):
        XofHmacSha256Aes128(SEED, bytes(256), b"")
    for arguments in ((bytes(256), b""), (SEED, bytes(1 << 16))):
        with pytest.raises(ParameterError):
            XofTurboShake128(*arguments, b"")


@pytest.mark.parametrize("bound", [0, 1, MIN_BOUND - 1, MODULUS + 1, 1 << 64])
def test_a_bound_out_of_range_is_refused(bound: int) -> None:
    with pytest.raises(ParameterError):
        sample_vec(XofHmacSha256Aes128(SEED, b"", b""), 1, bound)


def test_a_bound_is_at_least_2_to_the_62() -> None:
    assert sample_vec(XofHmacSha256Aes128(SEED, b"", b""), 3, 1 << 62).max() < 1 << 62
    with pytest.raises(ParameterError, match="2\\^62"):
        sample_vec(XofHmacSha256Aes128(SEED, b"", b""), 3, (1 << 62) - 1)


@pytest.mark.parametrize("xof_type", XOFS)
def test_a_word_equal_to_the_bound_is_dropped(xof_type: type[XofHmacSha256Aes128 | XofTurboShake128]) -> None:
    words = xof_type(SEED, b"dst", b"binder").next_vec(40).tolist()
    bound = next(word for word in words if word >= MIN_BOUND)
    kept = [word for word in words if word < bound][:3]
    assert xof_type(SEED, b"dst", b"binder").next_vec(3, bound).tolist() == kept
    assert sample_integers(xof_type(SEED, b"dst", b"binder"), 0, 257) == []


def test_the_mask_streams_known_answer() -> None:
    vector = own("masks.json")
    stream = vector["stream"]
    xof = XofHmacSha256Aes128(
        bytes.fromhex(stream["seed"]), bytes.fromhex(vector["dst"]), bytes.fromhex(stream["binder"])
    )
    assert xof.next_vec(5).tolist() == [int(element) for element in stream["elements"]]


@pytest.mark.parametrize("seed_bytes", [0, 1, 32, 63, 64, 65, 200])
def test_the_tag_is_the_librarys_hmac_for_keys_of_every_length(seed_bytes: int) -> None:
    seed, dst, binder = bytes(range(200))[:seed_bytes], b"tag", b"binder"
    tag = hmac.digest(seed, b"\x03tagbinder", "sha256")
    stream = Cipher(algorithms.AES128(tag[:16]), modes.CTR(tag[16:])).encryptor()
    assert XofHmacSha256Aes128(seed, dst, binder).next(40) == stream.update(bytes(40))


def test_many_streams_are_those_of_each_seed() -> None:
    seeds = [bytes([number]) * 32 for number in range(3)]
    many = XofHmacSha256Aes128.many(seeds, b"tag", b"binder")
    assert [s.next(24) for s in many] == [XofHmacSha256Aes128(x, b"tag", b"binder").next(24) for x in seeds]
    with pytest.raises(ParameterError):
        XofHmacSha256Aes128.many(seeds, bytes(256), b"")
