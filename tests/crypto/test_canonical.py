"""Canonical encodings: exact bytes, exact inverses, everything else refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vectors_dir import own

from crypto.canonical import (
    MAX_JSON_DEPTH,
    MAX_JSON_INTEGER,
    JsonValue,
    decode_base64,
    encode_base64,
    encode_json,
    encode_parts,
    parse_json,
)
from crypto.errors import DecodeError, ParameterError

texts = st.text(st.characters(codec="utf-8"), max_size=20)
integers = st.integers(-MAX_JSON_INTEGER, MAX_JSON_INTEGER)
json_values = st.recursive(
    texts | integers,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def nested(levels: int) -> JsonValue:
    value: JsonValue = 1
    for _ in range(levels - 1):
        value = [value]
    return value


def test_parts_are_length_prefixed_and_integers_take_eight_bytes() -> None:
    assert encode_parts(b"ab", "é", 258) == (
        b"\x00\x00\x00\x02ab"
        + b"\x00\x00\x00\x02\xc3\xa9"
        + b"\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x01\x02"
    )
    assert encode_parts() == b""
    assert (
        encode_parts(0, (1 << 64) - 1) == b"\x00\x00\x00\x08" + bytes(8) + b"\x00\x00\x00\x08" + b"\xff" * 8
    )


@given(st.lists(st.binary(max_size=6), max_size=5), st.lists(st.binary(max_size=6), max_size=5))
def test_two_lists_of_parts_never_share_an_encoding(a: list[bytes], b: list[bytes]) -> None:
    assert (encode_parts(*a) == encode_parts(*b)) == (a == b)


@pytest.mark.parametrize("part", [-1, 1 << 64, True, None, 1.0, bytearray(b"x"), ["x"], "\ud800"], ids=repr)
def test_a_part_of_another_type_or_range_is_refused(part: object) -> None:
    with pytest.raises(ParameterError):
        encode_parts(part)  # type: ignore[arg-type]


@given(json_values)
def test_json_round_trips(value: JsonValue) -> None:
    data = encode_json(value)
    assert parse_json(data) == value
    assert encode_json(parse_json(data)) == data


@pytest.mark.parametrize("case", own("canonical.json")["json"], ids=lambda case: case["name"])
def test_json_known_answers(case: dict[str, str]) -> None:
    data = bytes.fromhex(case["bytes"])
    assert encode_json(parse_json(data)) == data


def test_json_keys_are_ordered_by_utf16_code_units() -> None:
    # RFC 8785 section 3.2.3: U+1F600 (surrogates D83D DE00) sorts before U+FB33, unlike by code point
    assert encode_json({"\ufb33": 1, "\U0001f600": 2, "\r": 3, "1": 4}) == (
        '{"\\r":3,"1":4,"\U0001f600":2,"\ufb33":1}'.encode()
    )


def test_json_escapes_only_what_rfc_8785_escapes() -> None:
    assert encode_json('\x00\b\t\n\f\r\x1f"\\/\x7f\u2028é') == (
        '"\\u0000\\b\\t\\n\\f\\r\\u001f\\"\\\\/\x7f\u2028é"'.encode()
    )


@pytest.mark.parametrize("case", own("canonical.json")["json_bad"], ids=lambda case: case["name"])
def test_json_that_is_not_canonical_is_refused(case: dict[str, str]) -> None:
    with pytest.raises(DecodeError):
        parse_json(bytes.fromhex(case["bytes"]))


def test_json_is_bounded_in_depth() -> None:
    assert parse_json(encode_json(nested(MAX_JSON_DEPTH))) == nested(MAX_JSON_DEPTH)
    with pytest.raises(ParameterError, match="16 levels"):
        encode_json(nested(MAX_JSON_DEPTH + 1))
    for levels in (MAX_JSON_DEPTH, 100_000):
        with pytest.raises(DecodeError, match="deep"):
            parse_json(b"[" * levels + b"1" + b"]" * levels)


def test_objects_count_as_levels_like_arrays() -> None:
    value: JsonValue = 1
    for _ in range(MAX_JSON_DEPTH - 1):
        value = {"a": value}
    assert parse_json(encode_json(value)) == value
    for deeper in ({"a": value}, [value]):
        with pytest.raises(ParameterError, match="16 levels"):
            encode_json(deeper)


@pytest.mark.parametrize(
    "value",
    [1.0, True, None, {"a": False}, [None], 1 << 53, -(1 << 53), {1: "a"}, b"x", "\udc00", {"\ud800": 1}],
    ids=repr,
)
def test_json_of_another_type_or_range_is_refused(value: object) -> None:
    with pytest.raises(ParameterError):
        encode_json(value)  # type: ignore[arg-type]


@given(st.binary(max_size=40))
def test_hostile_json_raises_only_decode_errors(data: bytes) -> None:
    try:
        value = parse_json(data)
    except DecodeError:
        return
    assert encode_json(value) == data


def test_json_errors_do_not_repeat_the_text() -> None:
    with pytest.raises(DecodeError) as caught:
        parse_json('{"name":"张三" }'.encode())
    assert "张三" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ('{"张三": '.encode(), "Expecting value at position 7"),
        (b"1.5", "JSON here holds no fractional or special number"),
        (b"[NaN]", "JSON here holds no fractional or special number"),
        (b"[" * 100_000, "nested too deep"),
        (b"\xff", "not UTF-8 or a number too long"),
        (b"1" * 5000, "not UTF-8 or a number too long"),
        (b'{"b":1,"a":1}', "keys out of their order"),
        (b'{"\\ud800":1}', "text has a lone surrogate at position 2"),
        (b'{"\\ud800":1,"\\ud801":2}', "text has a lone surrogate at position 2"),
        (b"[1 ]", "the bytes do not re-encode identically"),
    ],
    ids=range(10),
)
def test_json_that_is_refused_says_why(data: bytes, reason: str) -> None:
    with pytest.raises(DecodeError) as caught:
        parse_json(data)
    assert str(caught.value) == f"not canonical JSON: {reason}"


@given(st.binary(max_size=50))
def test_base64_round_trips(data: bytes) -> None:
    assert decode_base64(encode_base64(data)) == data


@pytest.mark.parametrize(
    "text", ["QQ", "QQ=", "QR==", "QQ==\n", " QQ==", "Q-==", "QQ==QQ==", "=", "é", "QUI=="], ids=repr
)
def test_base64_that_is_not_canonical_is_refused(text: str) -> None:
    with pytest.raises(DecodeError):
        decode_base64(text)


def test_base64_that_is_refused_says_why() -> None:
    for text in ("Q-==", "QQ==\n", "é"):
        with pytest.raises(DecodeError, match=r"^not standard base64$"):
            decode_base64(text)
    with pytest.raises(DecodeError, match="padding bits are not zero"):
        decode_base64("QR==")
