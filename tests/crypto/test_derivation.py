"""Every derivation step against a second writing of protocol.md's block with nothing but hashlib and HKDF."""

import hashlib
import hmac
import re
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from vectors_dir import own

from crypto import derivation
from crypto.errors import DecodeError, ParameterError, ShapeMismatchError

VECTOR = own("derivation.json")
INPUTS: dict[str, Any] = VECTOR["inputs"]
ROUND_ID, ROSTER, ROWS, MASTER, Y = (
    bytes.fromhex(INPUTS[key]) for key in ("round_id", "roster_digest", "rows_digest", "master", "y_digest")
)
NODE, ATTEMPT = INPUTS["node"], INPUTS["attempt"]
X = np.array(INPUTS["x"], dtype=np.int64)
X_BYTES = struct.pack(f"<{len(X)}q", *INPUTS["x"])
SUBSETS = (3, 5, 6, 9, 10, 12)


def e(*parts: bytes | str | int) -> bytes:
    """E() of protocol.md, written a second time."""
    out = b""
    for part in parts:
        data = (
            struct.pack(">Q", part)
            if isinstance(part, int)
            else part.encode()
            if isinstance(part, str)
            else part
        )
        out += struct.pack(">I", len(data)) + data
    return out


def kdf(key: bytes, *parts: bytes | str | int) -> bytes:
    return HKDFExpand(SHA256(), 32, e("fedscreen/v1", *parts)).derive(key)


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


APR = sha256(e(*INPUTS["approvals"]))
SECRET_R = kdf(MASTER, "round", INPUTS["federation"], NODE, ROUND_ID, ROSTER, APR)
TAG = hmac.new(kdf(SECRET_R, "x"), X_BYTES, "sha256").digest()
SECRET_T = kdf(SECRET_R, "report", ATTEMPT, TAG)
SEEDS = {subset: kdf(SECRET_T, "seed", subset) for subset in SUBSETS}
COMMITMENTS = [sha256(e("seed", ROUND_ID, NODE, ATTEMPT, subset, SEEDS[subset])) for subset in SUBSETS]
PUBLIC_KEY = bytes.fromhex(VECTOR["round_public_key"])

STEPS: dict[str, tuple[Callable[[], bytes], bytes]] = {
    "kdf": (lambda: derivation.kdf(MASTER, "part", 7, b"\x00"), kdf(MASTER, "part", 7, b"\x00")),
    "master_commitment": (
        lambda: derivation.master_commitment(NODE, MASTER),
        sha256(e("master", NODE, MASTER)),
    ),
    "approvals_digest": (lambda: derivation.approvals_digest(INPUTS["approvals"]), APR),
    "round_secret": (
        lambda: derivation.round_secret(MASTER, INPUTS["federation"], NODE, ROUND_ID, ROSTER, APR),
        SECRET_R,
    ),
    "measurement_tag": (lambda: derivation.measurement_tag(SECRET_R, X), TAG),
    "report_secret": (lambda: derivation.report_secret(SECRET_R, ATTEMPT, TAG), SECRET_T),
    "commitments_digest": (lambda: derivation.commitments_digest(COMMITMENTS), sha256(e(*COMMITMENTS))),
    "box_info": (
        lambda: derivation.box_info(
            ROUND_ID, NODE, ATTEMPT, INPUTS["auditor"], PUBLIC_KEY, Y, sha256(e(*COMMITMENTS))
        ),
        e("box", ROUND_ID, NODE, ATTEMPT, INPUTS["auditor"], sha256(PUBLIC_KEY), Y, sha256(e(*COMMITMENTS))),
    ),
    "box_plaintext": (
        lambda: derivation.box_plaintext([SEEDS[3], SEEDS[5], SEEDS[9]]),
        e(SEEDS[3], SEEDS[5], SEEDS[9]),
    ),
    "input_commitment": (
        lambda: derivation.input_commitment(SECRET_R, ATTEMPT, ROWS, X),
        hmac.new(kdf(SECRET_R, "input"), e(ATTEMPT, ROWS, X_BYTES), "sha256").digest(),
    ),
    "draw_commitment": (lambda: derivation.draw_commitment(MASTER), sha256(MASTER)),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_step_is_what_the_protocol_says(step: str) -> None:
    made, expected = STEPS[step]
    assert made() == expected
    assert made().hex() == VECTOR[step]


def test_seeds_noise_keys_and_commitments_are_what_the_protocol_says() -> None:
    assert derivation.seeds(SECRET_T, SUBSETS) == SEEDS
    assert {str(a): derivation.seed(SECRET_T, a).hex() for a in SUBSETS} == VECTOR["seeds"]
    noise = [derivation.noise_key(SECRET_T, j) for j in range(3)]
    assert noise == [kdf(SECRET_T, "noise", j) for j in range(3)]
    assert [key.hex() for key in noise] == VECTOR["noise_keys"]
    made = [derivation.seed_commitment(ROUND_ID, NODE, ATTEMPT, a, SEEDS[a]) for a in SUBSETS]
    assert made == COMMITMENTS
    assert [commitment.hex() for commitment in made] == VECTOR["seed_commitments"]


def test_every_input_of_the_round_secret_counts() -> None:
    base = (MASTER, "county", "node", ROUND_ID, ROSTER, APR)
    zero = bytes(32)
    changed = [
        (zero, *base[1:]),
        (base[0], "other", *base[2:]),
        (*base[:2], "other", *base[3:]),
        (*base[:3], zero, *base[4:]),
        (*base[:4], zero, base[5]),
        (*base[:5], zero),
        (MASTER, "countyn", "ode", ROUND_ID, ROSTER, APR),
    ]
    assert len({derivation.round_secret(*arguments) for arguments in (base, *changed)}) == 8


def test_two_tables_never_share_seeds_or_noise() -> None:
    other = X.copy()
    other[-1] += 1
    secrets = {
        derivation.report_secret(SECRET_R, attempt, derivation.measurement_tag(SECRET_R, x))
        for attempt in range(4)
        for x in (X, other)
    }
    assert len(secrets) == 8
    keys = {derivation.noise_key(secret, j) for secret in secrets for j in range(8)}
    assert len(keys | {derivation.seed(secret, a) for secret in secrets for a in range(8)}) == 128


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=15))
def test_a_box_plaintext_round_trips(seeds: list[bytes]) -> None:
    data = derivation.box_plaintext(seeds)
    assert derivation.parse_box_plaintext(data, len(seeds)) == tuple(seeds)


@pytest.mark.parametrize(
    ("data", "count"),
    [
        (b"", 1),
        (e(bytes(32)), 0),
        (e(bytes(32)), 2),
        (e(bytes(32)) + b"\x00", 1),
        (e(bytes(32))[:-1], 1),
        (e(bytes(31)) + b"\x00", 1),
        (e(bytes(33))[:-1], 1),
        (e(bytes(32), bytes(31)) + b"\x00", 2),
        (e(bytes(68)), 2),
        (bytes(36), 1),
        (bytes(32), 1),
        (e(bytes(32)), -1),
    ],
)
def test_a_malformed_box_plaintext_is_refused(data: bytes, count: int) -> None:
    with pytest.raises(DecodeError):
        derivation.parse_box_plaintext(data, count)


@given(st.binary(max_size=80), st.integers(0, 2))
def test_hostile_box_plaintexts_raise_only_decode_errors(data: bytes, count: int) -> None:
    try:
        seeds = derivation.parse_box_plaintext(data, count)
    except DecodeError:
        return
    assert derivation.box_plaintext(seeds) == data


BAD = bytes(31)
INTEGER = "an integer part lies outside 0..2^64-1"
REFUSED: list[tuple[Callable[[], object], str]] = [
    (lambda: derivation.kdf(BAD, "a"), "a kdf key"),
    (lambda: derivation.kdf(b"", "a"), "a kdf key"),
    (lambda: derivation.kdf(MASTER, -1), INTEGER),
    (lambda: derivation.master_commitment(NODE, BAD), "a master secret"),
    (lambda: derivation.round_secret(BAD, "f", NODE, ROUND_ID, ROSTER, APR), "a kdf key"),
    (lambda: derivation.round_secret(MASTER, "f", NODE, BAD, ROSTER, APR), "a round id"),
    (lambda: derivation.round_secret(MASTER, "f", NODE, ROUND_ID, BAD, APR), "a roster digest"),
    (lambda: derivation.round_secret(MASTER, "f", NODE, ROUND_ID, ROSTER, BAD), "apr"),
    (lambda: derivation.report_secret(MASTER, 0, BAD), "a measurement tag"),
    (lambda: derivation.report_secret(MASTER, -1, TAG), INTEGER),
    (lambda: derivation.seed_commitment(BAD, NODE, 0, 3, MASTER), "a round id"),
    (lambda: derivation.seed_commitment(ROUND_ID, NODE, 0, 3, BAD), "a seed"),
    (lambda: derivation.box_info(BAD, NODE, 0, "a", PUBLIC_KEY, Y, APR), "a round id"),
    (lambda: derivation.box_info(ROUND_ID, NODE, 0, "a", PUBLIC_KEY, BAD, APR), "a y digest"),
    (lambda: derivation.box_info(ROUND_ID, NODE, 0, "a", PUBLIC_KEY, Y, BAD), "a commitments digest"),
    (lambda: derivation.box_plaintext([MASTER, BAD]), "a seed"),
    (lambda: derivation.input_commitment(MASTER, 0, BAD, X), "a rows digest"),
    (lambda: derivation.draw_commitment(BAD), "a draw"),
]


@pytest.mark.parametrize(("call", "what"), REFUSED, ids=range(len(REFUSED)))
def test_an_argument_of_another_length_is_refused_by_its_name(call: Callable[[], object], what: str) -> None:
    with pytest.raises(ParameterError, match=f"^{re.escape(what)}( has 32 bytes, found (31|0))?$"):
        call()


@pytest.mark.parametrize("dtype", [np.int32, np.uint64, np.float64])
def test_a_table_of_another_type_is_refused(dtype: type) -> None:
    wrong: NDArray[Any] = np.zeros(2, dtype=dtype)
    with pytest.raises(ShapeMismatchError):
        derivation.measurement_tag(MASTER, wrong)
    with pytest.raises(ShapeMismatchError):
        derivation.input_commitment(MASTER, 0, ROWS, np.zeros((1, 1), dtype=np.int64))


def test_a_table_that_lies_scattered_in_memory_is_encoded_by_its_values() -> None:
    for view in (X[::2], X[::-1], X[:0], X[1:2]):
        packed = struct.pack(f"<{len(view)}q", *view.tolist())
        assert derivation.encode_measurement(view) == packed
        key = derivation.kdf(bytes(32), "input")
        expected = hmac.digest(key, e(ATTEMPT, ROWS, packed), "sha256")
        assert derivation.input_commitment(bytes(32), ATTEMPT, ROWS, view) == expected


def test_the_round_keys_of_some_auditors_are_hashed_once() -> None:
    keys = [bytes([number]) * 1216 for number in range(14)]
    first = [derivation.box_info(ROUND_ID, NODE, 0, "a", key, Y, APR) for key in keys]
    hashed = derivation._key_digest.cache_info().misses
    assert [derivation.box_info(ROUND_ID, NODE, 0, "a", key, Y, APR) for key in keys] == first
    assert derivation._key_digest.cache_info().misses == hashed


def test_a_frame_gives_what_the_functions_give() -> None:
    frame = derivation.BoxFrame(ROUND_ID, "a1", b"public key")
    commitments = [bytes([number]) * 32 for number in range(6)]
    seeds = {subset: bytes([subset]) * 32 for subset in (3, 5, 9)}
    for node, attempt in (("s1", 0), ("s-22.b", 3)):
        named = derivation.encode_report(node, attempt)
        digest = derivation.commitments_digest(commitments)
        expected = derivation.box_info(ROUND_ID, node, attempt, "a1", b"public key", bytes(32), digest)
        assert frame.info(named, bytes(32), commitments) == expected
        assert frame.commitments(named, seeds) == {
            subset: derivation.seed_commitment(ROUND_ID, node, attempt, subset, seed)
            for subset, seed in seeds.items()
        }


@pytest.mark.parametrize("wrong", [b"", bytes(31), bytes(33)])
def test_a_frame_refuses_digests_of_another_length(wrong: bytes) -> None:
    frame = derivation.BoxFrame(bytes(32), "a1", b"key")
    named = derivation.encode_report("s1", 0)
    calls: list[tuple[Callable[[], object], str]] = [
        (lambda: frame.info(named, wrong, [bytes(32)]), "a digest or seed"),
        (lambda: frame.info(named, bytes(32), [bytes(32), wrong]), "a digest or seed"),
        (lambda: frame.commitments(named, {3: wrong}), "a digest or seed"),
        (lambda: derivation.BoxFrame(wrong, "a1", b"key"), "a round id"),
    ]
    for call, what in calls:
        with pytest.raises(ParameterError, match=f"^{what} has 32 bytes, found {len(wrong)}$"):
            call()
