"""Hand-over files as bytes: one length, one reader, everything else refused; keys and receipts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crypto.canonical import encode_json, encode_parts, parse_json
from crypto.note import KeyType, SigningKey
from crypto.sealing import seal
from node import hand_over_file, hand_over_secret
from node.hand_over_file import (
    MAGIC,
    PLAIN_BYTES,
    Body,
    Header,
    Reason,
    make_file,
    open_file,
    parse_header,
)
from node.hand_over_key import HandOverError, HandOverKey, check_fingerprint, key_pair, parse_key
from node.hand_over_receipt import make_receipt, parse_receipt, verify_receipt

NOW = datetime(2026, 10, 9, 8, 30, tzinfo=UTC)
SCHOOL = key_pair(bytes(range(96)), "第一中学", "李老师")
HOSPITAL = key_pair(bytes(range(1, 97)), "县人民医院", "王医生")
OTHER = key_pair(bytes(range(2, 98)), "另一医院", "张医生")
NOTE = "两周来睡眠差。\n建议尽快面谈。"


def header(**changes: Any) -> Header:
    values: dict[str, Any] = {
        "hand_over_id": "0a" * 16,
        "recipient": HOSPITAL.public.key_id,
        "created": NOW,
        "expires": NOW + timedelta(days=14),
    }
    return Header(**(values | changes))


def body(**changes: Any) -> Body:
    values: dict[str, Any] = {
        "kind": "referral",
        "sender": SCHOOL.public,
        "node": "school-1",
        "by": "李老师",
        "to": HOSPITAL.public.who,
        "reason": Reason("consent", date(2026, 10, 8), "同意转介县人民医院"),
        "fields": {"name": "赵若兰", "level1": "3 重点关注"},
        "note": NOTE,
        "token": "1b" * 32,
    }
    return Body(**(values | changes))


FILE = make_file(header(), body(), SCHOOL, HOSPITAL.public)


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(HandOverError) as caught:
        act()
    text = f"{caught.value} {caught.value.details}"
    assert not [word for word in ("赵若兰", NOTE, "1b1b", "王医生") if word in text]
    return caught.value.code


# ---------------------------------------------------------------- a whole file


def test_what_is_opened_is_what_was_made() -> None:
    opened = open_file(FILE, HOSPITAL, NOW + timedelta(days=14))
    assert (opened.header, opened.body) == (header(), body())


@pytest.mark.parametrize("kind", hand_over_file.KINDS)
@pytest.mark.parametrize(
    "reason", [Reason("consent", date(2026, 10, 8)), Reason("crisis", None, "当日有自伤行为,不能等待")]
)
def test_every_kind_and_reason_survives(kind: str, reason: Reason) -> None:
    made = body(kind=kind, reason=reason, note="", fields={})
    assert open_file(make_file(header(), made, SCHOOL, HOSPITAL.public), HOSPITAL, NOW).body == made


def test_all_files_have_one_length_and_show_nothing_of_the_pupil() -> None:
    long = body(note="长" * 2000, kind="transfer", fields={f"f{n}": "字" * 60 for n in range(30)})
    sizes = {
        len(FILE),
        len(make_file(header(), long, SCHOOL, HOSPITAL.public)),
        len(make_file(header(), body(note=""), SCHOOL, HOSPITAL.public)),
    }
    assert len(sizes) == 1
    for word in ("赵若兰", "referral", "school-1", "第一中学", "王医生", "level1"):
        assert word.encode() not in FILE


def test_two_files_of_the_same_share_no_box() -> None:
    again = make_file(header(), body(), SCHOOL, HOSPITAL.public)
    assert parse_header(again)[0] == parse_header(FILE)[0]
    assert parse_header(again)[1][:64] != parse_header(FILE)[1][:64]


def test_more_than_fits_is_refused() -> None:
    much = body(fields={f"f{n}": "字" * 200 for n in range(40)}, note="长" * 2000)
    assert code_of(lambda: make_file(header(), much, SCHOOL, HOSPITAL.public)) == "hand-over-size"


# ---------------------------------------------------------------- refusals


def sealed(
    content: bytes, line: str | None = None, *, padding: bytes | None = None, fill: bytes = b"\0"
) -> bytes:
    """Seal another content to the hospital, as somebody with its public key could."""
    head = hand_over_file._encode_header(header())
    line = SCHOOL.signing.sign(hand_over_file._signed_text(head, content)) if line is None else line
    room = PLAIN_BYTES - len(encode_parts(content, line, b""))
    plain = encode_parts(content, line, fill * room if padding is None else padding)
    plain = plain.ljust(PLAIN_BYTES, b"\0")[:PLAIN_BYTES]
    return MAGIC + encode_parts(head, seal(HOSPITAL.public.box, plain, encode_parts(MAGIC[:-1], head)))


def changed(**values: Any) -> bytes:
    content = dict(parse_json(hand_over_file._encode_body(body())))  # type: ignore[arg-type]
    return encode_json({name: value for name, value in (content | values).items() if value is not None})


def with_header(**values: Any) -> bytes:
    head = dict(parse_json(hand_over_file._encode_header(header())))  # type: ignore[arg-type]
    text = encode_json({name: value for name, value in (head | values).items() if value is not None})
    return MAGIC + encode_parts(text, parse_header(FILE)[1])


FORGED = key_pair(bytes(96), "第一中学", "李老师")
REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "not-a-hand-over"),
    "another file": (lambda: b"PK\x03\x04" + bytes(900), "not-a-hand-over"),
    "another version": (lambda: FILE.replace(b"/v1", b"/v2"), "not-a-hand-over"),
    "cut off": (lambda: FILE[:-1], "hand-over-damaged"),
    "cut off in the header": (lambda: FILE[:60], "hand-over-damaged"),
    "one byte more": (lambda: FILE + b"\0", "hand-over-damaged"),
    "line feeds changed": (lambda: FILE.replace(b"\n", b"\r\n", 1), "not-a-hand-over"),
    "a box of another length": (
        lambda: MAGIC + encode_parts(hand_over_file._encode_header(header()), bytes(99)),
        "hand-over-damaged",
    ),
    "a bit of the box": (lambda: FILE[:-9] + bytes([FILE[-9] ^ 1]) + FILE[-8:], "hand-over-altered"),
    "a longer time": (lambda: with_header(expires="2026-12-09T08:30:00Z"), "hand-over-altered"),
    "another id": (lambda: with_header(id="0b" * 16), "hand-over-altered"),
    "no id": (lambda: with_header(id=None), "hand-over-damaged"),
    "a header with more": (lambda: with_header(school="x"), "hand-over-damaged"),
    "a header of another format": (lambda: with_header(format="x"), "hand-over-damaged"),
    "a header with a number": (lambda: with_header(id=3), "hand-over-damaged"),
    "no such day": (lambda: with_header(created="2026-02-31T08:30:00Z"), "hand-over-damaged"),
    "a day spelt otherwise": (lambda: with_header(created="2026-10-9T08:30:00Z"), "hand-over-damaged"),
    "open for years": (lambda: with_header(expires="2030-10-09T08:30:00Z"), "hand-over-days"),
    "open before it was made": (lambda: with_header(expires="2026-10-08T08:30:00Z"), "hand-over-days"),
    "to somebody else": (lambda: with_header(recipient=OTHER.public.key_id), "other-recipient"),
    "not signed by its sender": (
        lambda: sealed(
            changed(),
            FORGED.signing.sign(
                hand_over_file._signed_text(hand_over_file._encode_header(header()), changed())
            ),
        ),
        "hand-over-altered",
    ),
    "another text signed": (lambda: sealed(changed(), SCHOOL.signing.sign("x\n")), "hand-over-altered"),
    "a signature that is none": (lambda: sealed(changed(), "— x y"), "hand-over-altered"),
    "another length inside": (lambda: sealed(changed(), padding=b"\1" * 9), "hand-over-altered"),
    "something after the content": (lambda: sealed(changed(), fill=b"\1"), "hand-over-altered"),
    "a day without hyphens": (
        lambda: sealed(changed(reason={"kind": "consent", "words": "", "day": "20261008"})),
        "hand-over-damaged",
    ),
    "no content": (lambda: sealed(b"", ""), "hand-over-damaged"),
    "content that is no object": (lambda: sealed(b"[]"), "hand-over-damaged"),
    "spaces in the content": (lambda: sealed(changed() + b" "), "hand-over-damaged"),
    "a kind that does not exist": (lambda: sealed(changed(kind="gossip")), "hand-over-damaged"),
    "no reason": (lambda: sealed(changed(reason={})), "hand-over-reason"),
    "a crisis without words": (
        lambda: sealed(changed(reason={"kind": "crisis", "words": ""})),
        "hand-over-reason",
    ),
    "a consent without a day": (
        lambda: sealed(changed(reason={"kind": "consent", "words": ""})),
        "hand-over-reason",
    ),
    "a consent of no day": (
        lambda: sealed(changed(reason={"kind": "consent", "words": "", "day": "x"})),
        "hand-over-damaged",
    ),
    "a reason with more": (
        lambda: sealed(changed(reason={"kind": "consent", "words": "", "day": "2026-10-08", "x": 1})),
        "hand-over-damaged",
    ),
    "fields that are numbers": (lambda: sealed(changed(fields={"level1": 3})), "hand-over-damaged"),
    "fields of another spelling": (lambda: sealed(changed(fields={"Level": "3"})), "hand-over-damaged"),
    "an escape sequence in a field": (lambda: sealed(changed(fields={"a": "\x1b[2J"})), "hand-over-damaged"),
    "an escape sequence in the note": (lambda: sealed(changed(note="\x1b[2J")), "hand-over-note"),
    "a field too many": (lambda: sealed(changed(extra="x")), "hand-over-damaged"),
    "a field too few": (lambda: sealed(changed(note=None)), "hand-over-damaged"),
    "no sender": (lambda: sealed(changed(sender="x")), "not-a-hand-over-key"),
    "one name of the recipient": (lambda: sealed(changed(to=["x"])), "hand-over-damaged"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_whole_file_for_this_key_is_refused(name: str) -> None:
    make, code = REFUSED[name]
    assert code_of(lambda: open_file(make(), HOSPITAL, NOW)) == code


@pytest.mark.parametrize(
    ("now", "code"),
    [
        (NOW + timedelta(days=14, seconds=1), "hand-over-expired"),
        (NOW + timedelta(days=900), "hand-over-expired"),
        (NOW - timedelta(days=2), "hand-over-clock"),
    ],
)
def test_a_file_is_opened_in_its_time_only(now: datetime, code: str) -> None:
    assert code_of(lambda: open_file(FILE, HOSPITAL, now)) == code


def test_another_key_cannot_open_it_even_if_the_header_names_it() -> None:
    stolen = with_header(recipient=OTHER.public.key_id)
    assert code_of(lambda: open_file(stolen, OTHER, NOW)) == "hand-over-altered"
    assert code_of(lambda: open_file(FILE, OTHER, NOW)) == "other-recipient"


def test_header_and_sender_must_be_those_of_the_keys() -> None:
    assert code_of(lambda: make_file(header(), body(), SCHOOL, OTHER.public)) == "hand-over-damaged"
    assert code_of(lambda: make_file(header(), body(), OTHER, HOSPITAL.public)) == "hand-over-damaged"


@given(st.integers(0, len(FILE) - 1), st.integers(1, 255))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_changed_byte_is_refused(at: int, change: int) -> None:
    altered = FILE[:at] + bytes([FILE[at] ^ change]) + FILE[at + 1 :]
    with pytest.raises(HandOverError):
        open_file(altered, HOSPITAL, NOW)


@given(st.binary(max_size=300), st.integers(0, 400), st.booleans())
@settings(max_examples=300, deadline=None)
def test_hostile_bytes_end_in_one_kind_of_error(data: bytes, cut: int, is_spliced: bool) -> None:
    hostile = FILE[:cut] + data + FILE[cut + len(data) :] if is_spliced else MAGIC + data
    for act in (
        lambda: open_file(hostile, HOSPITAL, NOW),
        lambda: hand_over_file._parse_plain(b"", hostile),
        lambda: hand_over_file._parse_plain(b"", encode_parts(data, b"x", b"")),
        lambda: parse_key(data),
        lambda: parse_key(SCHOOL.public.text.encode()[:cut] + data),
        lambda: parse_receipt(data),
    ):
        with contextlib.suppress(HandOverError):
            act()


# ---------------------------------------------------------------- keys


def test_a_key_file_is_read_as_it_was_written() -> None:
    assert parse_key(SCHOOL.public.text.encode()) == SCHOOL.public
    assert SCHOOL.public.fingerprint.count("-") == 7
    renamed = replace(SCHOOL.public, person="张老师")
    assert renamed.fingerprint != SCHOOL.public.fingerprint
    assert renamed.key_id == SCHOOL.public.key_id != OTHER.public.key_id


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: "",
        lambda text: text[:-1],
        lambda text: text + "\n",
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text,
        lambda text: text.replace("v1", "v2"),
        lambda text: text.replace("fedscreen/hand-over+", "fedscreen/other+"),
        lambda text: text[:-40] + "\n",
        lambda text: text.replace("第一中学", " "),
        lambda text: text + "x" * 5000,
    ],
)
def test_a_spoilt_key_file_is_refused(spoil: Callable[[str], str]) -> None:
    with pytest.raises(HandOverError):
        parse_key(spoil(SCHOOL.public.text).encode())


def test_a_key_of_another_use_is_refused() -> None:
    signing = SigningKey("fedscreen/county/node/s1", KeyType.ED25519, bytes(32))
    text = replace(SCHOOL.public, verifier=signing.verifier).text
    assert code_of(lambda: parse_key(text.encode())) == "not-a-hand-over-key"


@pytest.mark.parametrize("names", [("", "x"), ("x", ""), ("x" * 101, "x"), ("x\ny", "x"), (" x", "x")])
def test_a_key_has_two_proper_names(names: tuple[str, str]) -> None:
    assert code_of(lambda: key_pair(bytes(96), *names)) == "hand-over-key-name"


def test_a_fingerprint_is_compared_whole() -> None:
    told = HOSPITAL.public.fingerprint
    check_fingerprint(HOSPITAL.public, told)
    check_fingerprint(HOSPITAL.public, " " + told.upper().replace("-", " "))
    for wrong in ("", told[:-1], told + "0", OTHER.public.fingerprint, told.replace(told[0], "x")):
        assert code_of(lambda wrong=wrong: check_fingerprint(HOSPITAL.public, wrong)) == (  # type: ignore[misc]
            "hand-over-fingerprint"
        )


def test_a_private_key_opens_with_its_passphrase_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        hand_over_secret, "stretch", lambda text, salt: (text.encode() + salt).ljust(32, b"x")[:32]
    )
    file = hand_over_secret.wrap_secret(bytes(range(96)), "right", bytes(16), bytes(24))
    assert hand_over_secret.open_secret(file, "right") == bytes(range(96))
    assert code_of(lambda: hand_over_secret.open_secret(file, "wrong")) == "wrong-passphrase"
    assert code_of(lambda: hand_over_secret.open_secret(file[:-1], "right")) == "hand-over-secret"
    bad = file[:-1] + bytes([file[-1] ^ 1])
    assert code_of(lambda: hand_over_secret.open_secret(bad, "right")) == "wrong-passphrase"
    assert bytes(range(40, 60)) not in file


def test_a_key_is_not_shown() -> None:
    assert "box" not in repr(HandOverKey("a", "b", SCHOOL.public.box, SCHOOL.public.verifier))
    assert "secret" not in repr(SCHOOL)


# ---------------------------------------------------------------- receipts

OPENED = open_file(FILE, HOSPITAL, NOW)
RECEIPT = make_receipt(OPENED, HOSPITAL, "王医生", NOW)


def test_a_receipt_proves_who_opened_which_file() -> None:
    found = verify_receipt(RECEIPT, HOSPITAL.public.verifier, OPENED.digest.hex(), body().token)
    assert (found.hand_over_id, found.by, found.opened) == ("0a" * 16, "王医生", "2026-10-09T08:30:00Z")


@pytest.mark.parametrize(
    ("data", "digest", "token", "code"),
    [
        (b"", "", "", "not-a-hand-over-receipt"),
        (RECEIPT[:-2], "", "", "not-a-hand-over-receipt"),
        (RECEIPT.replace(b"receipt/v1", b"receipt/v2"), "", "", "not-a-hand-over-receipt"),
        (RECEIPT.replace("王医生".encode(), "李医生".encode()), "", "", "hand-over-receipt-wrong"),
        (RECEIPT.replace(b"08:30", b"08:31"), "", "", "hand-over-receipt-wrong"),
        (RECEIPT, "00" * 32, "", "hand-over-receipt-wrong"),
        (RECEIPT, "", "00" * 32, "hand-over-receipt-wrong"),
        (make_receipt(OPENED, OTHER, "王医生", NOW), "", "", "hand-over-receipt-wrong"),
    ],
    ids=["empty", "cut", "version", "name", "time", "other file", "other token", "other key"],
)
def test_another_receipt_is_refused(data: bytes, digest: str, token: str, code: str) -> None:
    asked = (HOSPITAL.public.verifier, digest or OPENED.digest.hex(), token or body().token)
    assert code_of(lambda: verify_receipt(data, *asked)) == code


@pytest.mark.parametrize("name", ["", "x" * 101, "a\nb"])
def test_a_receipt_has_a_proper_name(name: str) -> None:
    assert code_of(lambda: make_receipt(OPENED, HOSPITAL, name, NOW)) == "hand-over-key-name"
