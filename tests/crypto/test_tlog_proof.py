"""Receipts: exact inverse, verified offline, every altered bit and every missing witness refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.canonical import encode_base64
from crypto.checkpoint import Checkpoint, cosign, encode_checkpoint
from crypto.errors import (
    CosignatureError,
    CryptoError,
    DecodeError,
    InclusionProofError,
    VerificationError,
)
from crypto.merkle import inclusion_proof, leaf_hash, tree_root
from crypto.note import KeyType, SigningKey, signature_line
from crypto.note import Signature as NoteSignature
from crypto.tlog_proof import TlogProof, encode_proof, parse_proof, verify_proof

LOG = SigningKey("fedscreen/county/log", KeyType.ED25519, bytes(32))
WITNESSES = [
    SigningKey(f"fedscreen/county/witness/{i}", KeyType.COSIGNATURE, bytes([i]) * 32) for i in range(1, 4)
]
KEYS = [witness.verifier for witness in WITNESSES]
ENTRIES = [b"entry %d" % i for i in range(11)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
INDEX = 6
HASH = encode_base64(bytes(32))


def checkpoint_note(
    size: int = 11, origin: str = LOG.name, signers: tuple[SigningKey, ...] = (LOG,), num: int = 3
) -> bytes:
    text = encode_checkpoint(Checkpoint(origin, size, tree_root(LEAVES[:size])))
    lines = [key.sign(text) for key in signers] + [cosign(text, witness, 7) for witness in WITNESSES[:num]]
    return (text + "\n" + "".join(line + "\n" for line in lines)).encode()


def proof(index: int = INDEX, extra: bytes | None = None, note: bytes | None = None) -> TlogProof:
    return TlogProof(index, inclusion_proof(LEAVES, index, 11), note or checkpoint_note(), extra)


def test_every_entry_has_a_proof_that_verifies() -> None:
    for index, entry in enumerate(ENTRIES):
        checkpoint = verify_proof(proof(index), entry, LOG.verifier, KEYS, 3)
        assert (checkpoint.size, checkpoint.root) == (11, tree_root(LEAVES))


def test_the_text_is_that_of_the_format() -> None:
    lines = encode_proof(proof(extra=b"xy")).decode().split("\n")
    assert lines[:3] == ["c2sp.org/tlog-proof@v1", "extra eHk=", "index 6"]
    assert lines[3:7] == [encode_base64(value) for value in inclusion_proof(LEAVES, 6, 11)]
    assert lines[7:10] == ["", LOG.name, "11"]


@given(
    st.integers(0, (1 << 63) - 1),
    st.lists(st.binary(min_size=32, max_size=32), max_size=63),
    st.none() | st.binary(),
)
def test_parse_is_the_inverse_of_encode(index: int, hashes: list[bytes], extra: bytes | None) -> None:
    value = TlogProof(index, tuple(hashes), checkpoint_note(), extra)
    assert parse_proof(encode_proof(value)) == value


def test_every_flipped_bit_is_refused() -> None:
    data = encode_proof(proof(note=checkpoint_note(num=1)))
    for position in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[position // 8] ^= 1 << position % 8
        with pytest.raises((DecodeError, VerificationError)):
            verify_proof(parse_proof(bytes(flipped)), ENTRIES[INDEX], LOG.verifier, KEYS, 1)


def test_another_entry_or_another_index_is_refused() -> None:
    with pytest.raises(InclusionProofError):
        verify_proof(proof(), ENTRIES[5], LOG.verifier, KEYS, 3)
    for index in (5, 7, 11, 1 << 40):
        moved = TlogProof(index, proof().hashes, checkpoint_note())
        with pytest.raises(InclusionProofError):
            verify_proof(moved, ENTRIES[INDEX], LOG.verifier, KEYS, 3)


@pytest.mark.parametrize(("num", "quorum"), [(0, 1), (1, 2), (2, 3), (3, 4)])
def test_too_few_witnesses_are_refused(num: int, quorum: int) -> None:
    short = proof(note=checkpoint_note(num=num))
    with pytest.raises(CosignatureError, match=f"{num} witnesses"):
        verify_proof(short, ENTRIES[INDEX], LOG.verifier, KEYS, quorum)
    verify_proof(short, ENTRIES[INDEX], LOG.verifier, KEYS, num)


def test_a_witness_under_two_names_counts_once() -> None:
    text = encode_checkpoint(Checkpoint(LOG.name, 11, tree_root(LEAVES)))
    twin = SigningKey("fedscreen/county/witness/twin", KeyType.COSIGNATURE, WITNESSES[0].seed)
    lines = (
        LOG.sign(text),
        cosign(text, WITNESSES[0], 7),
        cosign(text, twin, 7),
        cosign(text, WITNESSES[0], 8),
    )
    doubled = proof(note=(text + "\n" + "".join(line + "\n" for line in lines)).encode())
    with pytest.raises(CosignatureError, match="1 witnesses"):
        verify_proof(doubled, ENTRIES[INDEX], LOG.verifier, [*KEYS, twin.verifier], 2)


def test_unknown_witnesses_do_not_count() -> None:
    with pytest.raises(CosignatureError, match="1 witnesses"):
        verify_proof(proof(), ENTRIES[INDEX], LOG.verifier, KEYS[:1], 2)


def test_a_statement_key_is_no_witness() -> None:
    statement = SigningKey("fedscreen/county/auditor/1", KeyType.ED25519, bytes([9]) * 32)
    note = checkpoint_note(signers=(LOG, statement), num=1)
    with pytest.raises(CosignatureError, match="1 witnesses"):
        verify_proof(proof(note=note), ENTRIES[INDEX], LOG.verifier, [*KEYS, statement.verifier], 2)


def test_another_log_is_refused() -> None:
    other = SigningKey(LOG.name, KeyType.ED25519, bytes([8]) * 32)
    for note in (checkpoint_note(signers=(other,)), checkpoint_note(signers=())):
        with pytest.raises(VerificationError, match="no signature by"):
            verify_proof(proof(note=note), ENTRIES[INDEX], LOG.verifier, KEYS, 3)
    with pytest.raises(VerificationError, match="origin"):
        verify_proof(proof(note=checkpoint_note(origin="other/log")), ENTRIES[INDEX], LOG.verifier, KEYS, 3)


def test_a_wrong_cosignature_refuses_the_proof_even_with_enough_others() -> None:
    bad = NoteSignature(KEYS[2].name, KEYS[2].key_id, bytes(72))
    note = checkpoint_note(num=2) + (signature_line(bad) + "\n").encode()
    with pytest.raises(CosignatureError, match="witness/3"):
        verify_proof(proof(note=note), ENTRIES[INDEX], LOG.verifier, KEYS, 2)


HEAD = "c2sp.org/tlog-proof@v1"
NOTE = checkpoint_note().decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        NOTE,
        f"{HEAD}\n\n{NOTE}",
        f"{HEAD}\nindex 0\n",
        f"{HEAD}\nindex 0\n\n",
        f"{HEAD}\nindex 0\n{NOTE}",
        f"{HEAD}\nindex 0\n\nno note",
        f"{HEAD}\nindex 00\n\n{NOTE}",
        f"{HEAD}\nindex -1\n\n{NOTE}",
        f"{HEAD}\nindex 1 \n\n{NOTE}",
        f"{HEAD}\nindex {1 << 63}\n\n{NOTE}",
        f"{HEAD}\nindex  0\n\n{NOTE}",
        f"{HEAD}\nIndex 0\n\n{NOTE}",
        f"{HEAD}\n0\n\n{NOTE}",
        f"{HEAD}\neHk=\nindex 0\n\n{NOTE}",
        f"{HEAD} \nindex 0\n\n{NOTE}",
        f"{HEAD}\r\nindex 0\n\n{NOTE}",
        f"{HEAD}\nindex 0\nAAAA\n\n{NOTE}",
        f"{HEAD}\nindex 0\n{HASH[:-2]}B=\n\n{NOTE}",
        f"{HEAD}\nindex 0\n{HASH}\n{HASH} \n\n{NOTE}",
        f"{HEAD}\nindex 0\n" + f"{HASH}\n" * 64 + f"\n{NOTE}",
        f"{HEAD}\nindex 0\nextra eHk=\n\n{NOTE}",
        f"{HEAD}\nextra eHk\nindex 0\n\n{NOTE}",
        f"{HEAD}\nextra eHk=\nextra eHk=\nindex 0\n\n{NOTE}",
        f"c2sp.org/tlog-proof@v2\nindex 0\n\n{NOTE}",
        f"{HEAD}\nindex 0\né\n\n{NOTE}",
    ],
)
def test_a_malformed_proof_is_refused(text: str) -> None:
    with pytest.raises(DecodeError):
        parse_proof(text.encode())


@pytest.mark.parametrize("text", ["", HEAD, f"{HEAD}\nindex 0\n{NOTE[:20]}", f"{HEAD}\nindex 0\né\n\n{NOTE}"])
def test_what_is_not_three_parts_in_ascii_says_so(text: str) -> None:
    with pytest.raises(DecodeError, match="ASCII lines, an empty line and a checkpoint"):
        parse_proof(text.encode())


def test_a_proof_has_at_most_a_mebibyte() -> None:
    text, lines = checkpoint_note().split(b"\n\n")
    padding = b"x" * ((1 << 20) - len(encode_proof(proof())) - 1)
    data = encode_proof(proof(note=text + b"\n" + padding + b"\n\n" + lines))
    assert len(data) == 1 << 20
    assert encode_proof(parse_proof(data)) == data
    with pytest.raises(DecodeError, match="at most 1048576 bytes, found 1048577"):
        parse_proof(data + b"x")


@given(st.binary(max_size=80))
def test_hostile_proofs_raise_only_decode_errors(data: bytes) -> None:
    for candidate in (data, f"{HEAD}\nindex ".encode() + data, f"{HEAD}\nindex 0\n\n".encode() + data):
        try:
            value = parse_proof(candidate)
        except DecodeError:
            continue
        assert encode_proof(value) == candidate


@pytest.mark.parametrize(
    "hashes", [(b"",), (bytes(31),), (bytes(32),) * 64], ids=["empty", "short", "too many"]
)
def test_a_proof_is_built_valid(hashes: tuple[bytes, ...]) -> None:
    with pytest.raises(CryptoError):
        TlogProof(0, hashes, checkpoint_note())


@pytest.mark.parametrize("index", [-1, 1 << 63])
def test_a_proof_is_of_an_index_that_a_log_can_have(index: int) -> None:
    with pytest.raises(DecodeError, match="decimal number below"):
        TlogProof(index, (), checkpoint_note())


def test_a_proof_of_the_largest_tree_fits() -> None:
    largest = TlogProof((1 << 63) - 1, (bytes(32),) * 63, checkpoint_note())
    assert parse_proof(encode_proof(largest)) == largest
