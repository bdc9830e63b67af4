"""Signed notes: exact inverses, every flipped bit refused, unknown keys ignored."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.canonical import decode_base64
from crypto.errors import CosignatureError, CryptoError, DecodeError, ParameterError, VerificationError
from crypto.note import (
    MAX_SIGNATURES,
    KeyType,
    Note,
    Signature,
    SigningKey,
    VerifierKey,
    cosignature_time,
    encode_note,
    encode_signed,
    parse_note,
    parse_signature_line,
    parse_vkey,
    signature_line,
    verified_by,
    verify_signature,
)

TESSERA_VKEY = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
TEXT = "fedscreen/example/v1\n\nkey value é\n"
ALICE = SigningKey("county/a", KeyType.ED25519, bytes(range(32)))
BOB = SigningKey("county/b", KeyType.ED25519, bytes(range(1, 33)))
WITNESS = SigningKey("county/w", KeyType.COSIGNATURE, bytes(range(2, 34)))
CHECKPOINT = "county/log\n7\nWqx3HImawpLnS/Gv4ubjAvi1WIOy0b8Ze0amvqbavKk=\n"


def signed(text: str, *keys: SigningKey) -> Note:
    return Note(text, tuple(parse_signature_line(key.sign(text)) for key in keys))


def test_a_note_is_text_empty_line_and_signature_lines() -> None:
    data = encode_note(signed(TEXT, ALICE, BOB))
    assert data == f"{TEXT}\n{ALICE.sign(TEXT)}\n{BOB.sign(TEXT)}\n".encode()
    assert parse_note(data).text == TEXT


def test_signers_come_in_the_order_of_their_lines() -> None:
    keys = (ALICE.verifier, BOB.verifier)
    assert verified_by(signed(TEXT, BOB, ALICE), keys) == (BOB.verifier, ALICE.verifier)
    assert verified_by(signed(TEXT, ALICE, ALICE), keys) == (ALICE.verifier,)
    assert verified_by(signed(TEXT, ALICE), (BOB.verifier,)) == ()


def test_unknown_keys_are_ignored_even_with_a_known_name_or_id() -> None:
    other = SigningKey("county/a", KeyType.ED25519, bytes(32))
    same_id = Signature("county/x", ALICE.verifier.key_id, b"x")
    note = Note(TEXT, (*signed(TEXT, ALICE, other).signatures, same_id))
    assert verified_by(note, (ALICE.verifier,)) == (ALICE.verifier,)


def test_one_bad_signature_by_a_known_key_refuses_the_whole_note() -> None:
    note = signed(TEXT, ALICE, BOB)
    bad = Signature("county/b", BOB.verifier.key_id, bytes(64))
    with pytest.raises(VerificationError, match="county/b"):
        verified_by(Note(TEXT, (note.signatures[0], bad)), (ALICE.verifier, BOB.verifier))


def test_every_flipped_bit_of_a_note_is_refused() -> None:
    data = encode_note(signed("a\n", ALICE))
    for position in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[position // 8] ^= 1 << position % 8
        try:
            assert verified_by(parse_note(bytes(flipped)), (ALICE.verifier,)) == ()
        except (DecodeError, VerificationError):
            continue


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text\n",
        b"text\n\n",
        b"text\n\n\n",
        "text\n\n— a AAAAAAA=".encode(),
        "text\n\n— a AAAAAAA=\n\n".encode(),
        "text\n— a AAAAAAA=\n".encode(),
        b"text\n\n- a AAAAAAA=\n",
        b"text\n\na AAAAAAA=\n",
        "text\n\n—  a AAAAAAA=\n".encode(),
        "text\n\n— a  AAAAAAA=\n".encode(),
        "text\n\n— a AAAAAAA= \n".encode(),
        "text\n\n— a AAAAAAB=\n".encode(),
        "text\n\n— a AAAAAA==\n".encode(),
        "text\n\n— a+b AAAAAAA=\n".encode(),
        "text\n\n— a\u00a0b AAAAAAA=\n".encode(),
        "text\n\n— AAAAAAA=\n".encode(),
        "te\txt\n\n— a AAAAAAA=\n".encode(),
        "te\r\nxt\n\n— a AAAAAAA=\n".encode(),
        "te\0xt\n\n— a AAAAAAA=\n".encode(),
        b"te\xffxt\n\n\xe2\x80\x94 a AAAAAAA=\n",
        b"te\xed\xa0\x80xt\n\n\xe2\x80\x94 a AAAAAAA=\n",
        ("text\n\n" + "— a AAAAAAA=\n" * (MAX_SIGNATURES + 1)).encode(),
    ],
)
def test_a_malformed_note_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        parse_note(data)


def test_as_many_signatures_as_allowed_are_read() -> None:
    data = ("text\n\n" + "— a AAAAAAA=\n" * MAX_SIGNATURES).encode()
    assert len(parse_note(data).signatures) == MAX_SIGNATURES


def test_a_note_that_is_too_long_is_refused_unread() -> None:
    data = encode_note(signed(TEXT, ALICE))
    assert parse_note(data, max_bytes=len(data)).text == TEXT
    with pytest.raises(DecodeError, match="at most"):
        parse_note(data, max_bytes=len(data) - 1)


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_hostile_notes_raise_only_decode_errors(a: bytes, b: bytes) -> None:
    for data in (a, a + b"\n\n\xe2\x80\x94 " + b + b"\n"):
        try:
            note = parse_note(data)
        except DecodeError:
            continue
        assert encode_note(note) == data


names = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp"), exclude_characters="+"), min_size=1
)
signatures = st.builds(
    Signature, names, st.binary(min_size=4, max_size=4), st.binary(min_size=1, max_size=99)
)
note_texts = st.text(st.characters(exclude_categories=("Cs", "Cc"), include_characters="\n")).map(
    lambda s: s + "\n"
)


@given(note_texts, st.lists(signatures, min_size=1, max_size=20))
def test_parse_is_the_inverse_of_encode(text: str, lines: list[Signature]) -> None:
    note = Note(text, tuple(lines))
    assert parse_note(encode_note(note)) == note
    for line in lines:
        assert parse_signature_line(signature_line(line)) == line


@given(names, st.sampled_from(KeyType), st.binary(min_size=32, max_size=32))
@settings(max_examples=30)
def test_a_vkey_round_trips(name: str, key_type: KeyType, seed: bytes) -> None:
    key = SigningKey(name, key_type, seed).verifier
    assert parse_vkey(key.text) == key


def test_a_published_vkey_parses() -> None:
    key = parse_vkey(TESSERA_VKEY)
    assert (key.name, key.key_type, key.key_id.hex()) == (
        "example.com/log/testdata",
        KeyType.ED25519,
        "33d7b496",
    )
    assert key.text == TESSERA_VKEY


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a+b",
        TESSERA_VKEY.replace("33d7b496", "33d7b497"),
        TESSERA_VKEY.replace("33d7b496", "33D7B496"),
        TESSERA_VKEY.replace("example.com", "example.org"),
        TESSERA_VKEY[:-1],
        TESSERA_VKEY[:-1] + "y",
        TESSERA_VKEY.replace("+AeH", "+BuH"),
        TESSERA_VKEY + "AAAA",
        "+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx",
        "a b+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx",
        "a+33d7b496+",
    ],
)
def test_a_malformed_vkey_is_refused(text: str) -> None:
    with pytest.raises(DecodeError):
        parse_vkey(text)


def test_a_cosignature_signs_its_time_and_the_whole_checkpoint() -> None:
    line = parse_signature_line(WITNESS.cosign(CHECKPOINT, 1_700_000_000))
    verify_signature(CHECKPOINT, line, WITNESS.verifier)
    assert cosignature_time(line) == 1_700_000_000
    later = Signature(line.name, line.key_id, (1_700_000_001).to_bytes(8, "big") + line.blob[8:])
    for text, altered in ((CHECKPOINT, later), (CHECKPOINT + "x\n", line)):
        with pytest.raises(CosignatureError):
            verify_signature(text, altered, WITNESS.verifier)


@pytest.mark.parametrize("timestamp_s", [0, (1 << 63) - 1])
def test_a_cosignature_may_carry_any_time_of_the_format(timestamp_s: int) -> None:
    line = parse_signature_line(WITNESS.cosign(CHECKPOINT, timestamp_s))
    verify_signature(CHECKPOINT, line, WITNESS.verifier)
    assert cosignature_time(line) == timestamp_s


def test_a_cosignature_is_ed25519_over_the_c2sp_message() -> None:
    line = parse_signature_line(WITNESS.cosign(CHECKPOINT, 12))
    as_note_key = SigningKey(WITNESS.name, KeyType.ED25519, WITNESS.seed)
    plain = Signature(line.name, as_note_key.verifier.key_id, line.blob[8:])
    verify_signature("cosignature/v1\ntime 12\n" + CHECKPOINT, plain, as_note_key.verifier)


@pytest.mark.parametrize(
    "blob", [b"x", bytes(64), bytes(71), bytes(72), b"\x80" + bytes(71), bytes(73)], ids=len
)
def test_a_malformed_cosignature_is_refused(blob: bytes) -> None:
    line = Signature(WITNESS.name, WITNESS.verifier.key_id, blob)
    with pytest.raises(CosignatureError):
        verify_signature(CHECKPOINT, line, WITNESS.verifier)


def test_a_signature_of_another_length_is_refused() -> None:
    good = signed(TEXT, ALICE).signatures[0]
    for blob in (good.blob[:-1], good.blob + b"\x00", good.blob[:1]):
        with pytest.raises(VerificationError):
            verify_signature(TEXT, Signature(good.name, good.key_id, blob), ALICE.verifier)


def test_a_signature_is_only_valid_under_its_own_name() -> None:
    good = signed(TEXT, ALICE).signatures[0]
    renamed = VerifierKey("county/z", KeyType.ED25519, ALICE.verifier.public_key)
    with pytest.raises(VerificationError, match="another key"):
        verify_signature(TEXT, good, renamed)


def test_small_order_public_keys_never_verify() -> None:
    # with a small-order key the all-zero signature would hold for every text
    weak = VerifierKey("county/weak", KeyType.ED25519, b"\x01" + bytes(31))
    blob = b"\x01" + bytes(63)
    with pytest.raises(VerificationError):
        verify_signature(TEXT, Signature(weak.name, weak.key_id, blob), weak)


def test_key_types_do_not_sign_each_others_texts() -> None:
    with pytest.raises(ParameterError, match="cosigner"):
        WITNESS.sign(CHECKPOINT)
    with pytest.raises(ParameterError, match="type 4"):
        ALICE.cosign(CHECKPOINT, 1)


@pytest.mark.parametrize("text", ["", "no line feed", "a\tb\n", "a\r\n", "\ud800\n"], ids=repr)
def test_a_text_that_no_note_can_hold_is_not_signed(text: str) -> None:
    with pytest.raises(ParameterError):
        ALICE.sign(text)


@pytest.mark.parametrize("timestamp_s", [-1, 1 << 63], ids=str)
def test_a_cosignature_time_out_of_range_is_refused(timestamp_s: int) -> None:
    with pytest.raises(ParameterError):
        WITNESS.cosign(CHECKPOINT, timestamp_s)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\n", "a\u3000", "\ud800"], ids=repr)
def test_a_key_name_has_no_white_space_and_no_plus(name: str) -> None:
    with pytest.raises(DecodeError):
        VerifierKey(name, KeyType.ED25519, bytes(32))


def test_keys_and_signatures_of_another_length_are_refused() -> None:
    for make in (
        lambda: VerifierKey("a", KeyType.ED25519, bytes(31)),
        lambda: VerifierKey("a", 6, bytes(32)),  # type: ignore[arg-type]
        lambda: SigningKey("a", KeyType.ED25519, bytes(33)),
        lambda: Signature("a", b"abc", b"x"),
        lambda: Signature("a", b"abcd", b""),
        lambda: Note("a\n", ()),
    ):
        with pytest.raises(CryptoError):
            make()


def test_a_note_of_fresh_lines_is_the_one_that_is_encoded_from_its_parts() -> None:
    note = signed(TEXT, ALICE, BOB)
    lines = [ALICE.sign(TEXT), BOB.sign(TEXT)]
    assert encode_signed(TEXT, lines) == encode_note(note)
    assert parse_note(encode_signed(TEXT, lines)) == note


def test_two_keys_with_one_name_and_id_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VerifierKey, "key_id", property(lambda _: b"same"))
    other = VerifierKey("county/a", KeyType.ED25519, bytes(32))
    with pytest.raises(VerificationError, match="share the name"):
        verified_by(Note(TEXT, (Signature("x", b"abcd", b"x"),)), (ALICE.verifier, other))


def test_of_a_signing_key_only_name_and_type_are_printed() -> None:
    assert repr(ALICE) == "SigningKey(name='county/a', key_type=<KeyType.ED25519: 1>)"
    assert "key_id" not in repr(ALICE.verifier)


def test_key_types_are_those_of_the_format() -> None:
    assert {key_type.name: key_type.value for key_type in KeyType} == {"ED25519": 1, "COSIGNATURE": 4}
    assert decode_base64(WITNESS.verifier.text.split("+", 2)[2])[0] == 4


def test_a_note_has_1_to_100_signatures() -> None:
    line = signed(TEXT, ALICE).signatures[0]
    assert len(parse_note(encode_note(Note(TEXT, (line,) * 100))).signatures) == 100
    with pytest.raises(DecodeError, match="1 to 100 signatures, found 101"):
        Note(TEXT, (line,) * 101)
    with pytest.raises(DecodeError, match="at most 100 signatures, found 101"):
        parse_note(f"{TEXT}\n{(signature_line(line) + chr(10)) * 101}".encode())


def test_a_note_has_at_most_a_mebibyte_unless_said_otherwise() -> None:
    line = signature_line(signed(TEXT, ALICE).signatures[0])
    data = ("x" * ((1 << 20) - len(f"\n\n{line}\n".encode())) + f"\n\n{line}\n").encode()
    assert len(encode_note(parse_note(data))) == 1 << 20
    with pytest.raises(DecodeError, match="at most 1048576 bytes here, found 1048577"):
        parse_note(b"x" + data)


@pytest.mark.parametrize("code", [code for code in range(32) if code != 10])
def test_no_control_character_but_the_line_feed_stands_in_a_text_or_name(code: int) -> None:
    with pytest.raises(ParameterError, match="no control character"):
        ALICE.sign(f"a{chr(code)}b\n")
    with pytest.raises(DecodeError, match="control character"):
        VerifierKey(f"a{chr(code)}b", KeyType.ED25519, bytes(32))


@pytest.mark.parametrize("character", [" ", "!", "~", "\x7f", "é", "\U0001f600"], ids=ascii)
def test_any_other_character_may_stand_in_a_text(character: str) -> None:
    text = f"a{character}b\n"
    assert verified_by(parse_note(encode_note(signed(text, ALICE))), (ALICE.verifier,)) == (ALICE.verifier,)


@pytest.mark.parametrize("text", ["", "no line feed", "a\tb\n", "\ud800\n"], ids=ascii)
def test_a_text_that_no_note_can_hold_is_not_cosigned(text: str) -> None:
    with pytest.raises(ParameterError):
        WITNESS.cosign(text, 1)


@pytest.mark.parametrize("key", [ALICE, WITNESS], ids=["note key", "witness"])
def test_a_text_that_no_note_can_hold_does_not_verify(key: SigningKey) -> None:
    line = Signature(key.name, key.verifier.key_id, bytes(64 if key is ALICE else 72))
    with pytest.raises(VerificationError, match="does not hold"):
        verify_signature("\ud800\n", line, key.verifier)


def test_bytes_do_not_move_between_signature_and_text() -> None:
    good = signed(TEXT, ALICE).signatures[0]
    shorter = Signature(good.name, good.key_id, good.blob[:-1])
    longer = Signature(good.name, good.key_id, good.blob + TEXT[:1].encode())
    for text, line in ((chr(good.blob[-1]) + TEXT, shorter), (TEXT[1:], longer)):
        with pytest.raises(VerificationError, match="bytes, expected 64"):
            verify_signature(text, line, ALICE.verifier)


@pytest.mark.parametrize("line", ["", "\u2014 ", "\u2014 a", "- a AAAAAAA=", "a AAAAAAA="])
def test_what_is_no_signature_line_is_refused(line: str) -> None:
    with pytest.raises(DecodeError, match="a signature line has the form"):
        parse_signature_line(line)


def test_signature_lines_without_a_text_are_no_note() -> None:
    with pytest.raises(DecodeError, match="a text, an empty line"):
        parse_note("\u2014 a AAAAAAA=\n".encode())


def test_a_time_after_the_formats_last_is_no_cosignature() -> None:
    for blob in (b"\x80" + bytes(71), b"\xff" * 72):
        with pytest.raises(CosignatureError, match="time lies outside"):
            cosignature_time(Signature(WITNESS.name, WITNESS.verifier.key_id, blob))
