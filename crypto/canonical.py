"""Canonical encodings: one value, one sequence of bytes.

- `encode_parts` is E() of protocol.md: what is hashed, keyed or sealed is built with it, so that no two lists
  of parts share an encoding.
- `encode_json`/`parse_json` are RFC 8785 (JCS) without floats, booleans and null: the bodies of the log.
- `encode_base64`/`decode_base64` are RFC 4648 section 4 with canonical padding bits.
"""

import base64
import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Never, TypeAlias

from crypto.errors import DecodeError, ParameterError

JsonValue: TypeAlias = "dict[str, JsonValue] | list[JsonValue] | str | int"
JsonInput: TypeAlias = "Mapping[str, JsonInput] | Sequence[JsonInput] | str | int"

MAX_JSON_DEPTH = 16
MAX_JSON_INTEGER = (1 << 53) - 1  # RFC 8785 section 3.2.2.3: larger ones are not exact in IEEE 754
MAX_PART_INTEGER = (1 << 64) - 1


def encode_parts(*parts: bytes | str | int) -> bytes:
    """Encode a list of parts: u32be length, then the bytes, for each; protocol.md, E().

    Strings are UTF-8, integers (0 to 2^64 - 1) are eight bytes big-endian.

    Raises:
        ParameterError: an integer out of range, a string with a lone surrogate, another type.
    """
    pieces: list[bytes] = []
    for part in parts:
        data = part if isinstance(part, bytes) else _encode_part(part)
        pieces += (len(data).to_bytes(4, "big"), data)
    return b"".join(pieces)


def _encode_part(part: bytes | str | int) -> bytes:
    if isinstance(part, str):
        return _encode_utf8(part)
    if isinstance(part, bool) or not isinstance(part, int):
        raise ParameterError(f"a part is bytes, text or an integer, not {type(part).__name__}")
    if not 0 <= part <= MAX_PART_INTEGER:
        raise ParameterError("an integer part lies outside 0..2^64-1")
    return part.to_bytes(8, "big")


def _encode_utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as err:
        raise ParameterError(f"text has a lone surrogate at position {err.start}") from err


def encode_json(value: JsonInput) -> bytes:
    """Encode objects, arrays, strings and integers (magnitude below 2^53) as RFC 8785 JSON, UTF-8.

    Raises:
        ParameterError: a float, boolean or null, a large integer, a lone surrogate, or more than
            `MAX_JSON_DEPTH` levels.
    """
    return _dump(_canonical_json(value, depth=1))


def _dump(plain: JsonValue) -> bytes:
    return _encode_utf8(json.dumps(plain, ensure_ascii=False, separators=(",", ":"), allow_nan=False))


def _canonical_json(value: JsonInput, depth: int) -> JsonValue:
    """Copy a value with its keys in RFC 8785 order (UTF-16 code units), checking each type."""
    if depth > MAX_JSON_DEPTH:
        raise ParameterError(f"JSON is nested deeper than {MAX_JSON_DEPTH} levels")
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise ParameterError(f"a JSON key is text, not {type(key).__name__}")
            _encode_utf8(key)
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return {key: _canonical_json(value[key], depth + 1) for key in keys}
    if isinstance(value, list | tuple):
        return [_canonical_json(item, depth + 1) for item in value]
    return _check_integer(value)


def parse_json(data: bytes) -> JsonValue:
    """Parse canonical JSON; the exact inverse of `encode_json`.

    Raises:
        DecodeError: not JSON, a type that is not allowed, or bytes that do not re-encode identically
            (white space, key order, duplicate keys, escapes, `-0`, a byte order mark).
    """
    try:
        value: JsonValue = json.loads(data.decode("utf-8"), parse_float=_refuse, parse_constant=_refuse)
        _check_parsed(value, depth=1)
        is_canonical = _dump(value) == data
    except (ValueError, RecursionError, ParameterError) as err:
        raise DecodeError(f"not canonical JSON: {_reason(err)}") from err
    if not is_canonical:
        raise DecodeError("not canonical JSON: the bytes do not re-encode identically")
    return value


def _check_parsed(value: JsonValue, depth: int) -> None:
    """Check types, depth and key order of what `json.loads` gave; no copy, it may take 30 times the bytes."""
    if depth > MAX_JSON_DEPTH:
        raise ParameterError(f"JSON is nested deeper than {MAX_JSON_DEPTH} levels")
    if isinstance(value, dict):
        keys = [key.encode("utf-16-be", "surrogatepass") for key in value]
        if any(first >= second for first, second in itertools.pairwise(keys)):
            raise ParameterError("keys out of their order")
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            _check_parsed(item, depth + 1)
    elif not isinstance(value, str):
        _check_integer(value)


def _check_integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ParameterError(f"JSON here holds no {type(value).__name__}")
    if abs(value) > MAX_JSON_INTEGER:
        raise ParameterError("a JSON integer has a magnitude of 2^53 or more")
    return value


def _refuse(_: str) -> Never:
    raise ParameterError("JSON here holds no fractional or special number")


def _reason(err: Exception) -> str:
    """Say what is wrong without repeating the text itself, which may be a person's data."""
    if isinstance(err, json.JSONDecodeError):
        return f"{err.msg} at position {err.pos}"
    if isinstance(err, ParameterError):
        return str(err)
    return "nested too deep" if isinstance(err, RecursionError) else "not UTF-8 or a number too long"


def encode_base64(data: bytes) -> str:
    """Encode bytes as standard base64 with padding."""
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: str) -> bytes:
    """Decode standard base64.

    Raises:
        DecodeError: a character outside of the alphabet, missing padding, or padding bits that are
            not zero (`base64.b64decode` alone accepts those).
    """
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as err:
        raise DecodeError("not standard base64") from err
    if encode_base64(data) != text:
        raise DecodeError("base64 is not canonical: its padding bits are not zero")
    return data
