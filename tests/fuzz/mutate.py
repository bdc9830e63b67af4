"""Changes to inputs: of any bytes, and such as text, canonical JSON, TOML and log entries invite.

Everything is a function of a `random.Random` and the input, so a seed repeats a run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from crypto.canonical import encode_json
from crypto.errors import CryptoError

Mutation = Callable[[Random, bytes, Sequence[bytes]], bytes]

NUMBERS = [
    *(
        b"0",
        b"-1",
        b"-0",
        b"00",
        b"01",
        b"+1",
        b"1_0",
        b"1e9",
        b"1.5",
        b"0x7fffffffffffffffffff",
        b"nan",
        b"inf",
    ),
    *(b"%d" % (2**bits + step) for bits in (7, 8, 16, 31, 32, 53, 63, 64) for step in (-1, 0, 1)),
    *(b"9" * 40, b"9" * 5000, b"1e999999999", b"1/0", b"0/1", b"1E-99999", "١٢".encode(), "１".encode()),
]
NASTY = [
    *(b"\0", b"\r", b"\r\n", b"\n", b"\n\n", b"\t", b" ", b"  ", b"\x7f", b"\xc2\x85", b"\x1f"),
    *("e\u0301".encode(), "\ufeff".encode(), "\u2028".encode(), "\u200b".encode(), "\u202e".encode()),
    *(b"\xed\xa0\x80", b"\xff", b"\xc0\x80", b"\xf4\x90\x80\x80", "\U0001f600".encode(), "\u2014 ".encode()),
    *(
        b"=",
        b"+",
        b"/",
        b"..",
        b"%",
        b"%(a)s",
        b'"',
        b"\\",
        b"\\ud800",
        b"[",
        b"]",
        b"{",
        b"}",
        b",",
        b":",
        b"#",
    ),
]
TIMES = [
    b"0000-01-01",
    b"9999-12-31T23:59:60Z",
    b"2026-02-30",
    b"1979-05-27T07:32:00-23:59",
    b"9999-12-31T23:59:59-01:00",
]
_NUMBER = re.compile(rb"[0-9]+(?:\.[0-9]+)?")
_TIME = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9:]+(?:Z|[+-][0-9:]+)?)?")
_WORD = re.compile(rb"[A-Za-z0-9_./+-]+")


def _span(random: Random, data: bytes, most: int = 64) -> tuple[int, int]:
    start = random.randrange(len(data) + 1)
    return start, min(len(data), start + random.randrange(1, most))


def _flip(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    if not data:
        return b"\0"
    at = random.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << random.randrange(8))]) + data[at + 1 :]


def _overwrite(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    """Set a few bytes to an edge: lengths and counters live there."""
    start, _end = _span(random, data)
    edge = random.choice([b"\0", b"\xff", b"\x7f", b"\x80", b"\x01"]) * random.choice([1, 2, 4, 8])
    return data[:start] + edge + data[start + len(edge) :]


def _truncate(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _delete(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    start, end = _span(random, data)
    return data[:start] + data[end:]


def _duplicate(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    start, end = _span(random, data, 400)
    return data[:end] + data[start:end] * random.choice([1, 2, 20]) + data[end:]


def _splice(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    other = random.choice(others)
    return data[: random.randrange(len(data) + 1)] + other[random.randrange(len(other) + 1) :]


def _insert(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + random.choice(NASTY) + data[at:]


def _replace(random: Random, data: bytes, pattern: re.Pattern[bytes], words: Sequence[bytes]) -> bytes:
    found = list(pattern.finditer(data))
    if not found:
        return data + random.choice(words)
    match = random.choice(found)
    return data[: match.start()] + random.choice(words) + data[match.end() :]


def _renumber(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    return _replace(random, data, _NUMBER, NUMBERS)


def _retime(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    return _replace(random, data, _TIME, TIMES)


def _reword(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    return _replace(random, data, _WORD, _WORD.findall(random.choice(others)) or [b""])


def _lines(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Move, repeat, drop a line, or take one of another input."""
    lines = data.split(b"\n")
    at, to = random.randrange(len(lines)), random.randrange(len(lines))
    match random.randrange(4):
        case 0:
            lines[at], lines[to] = lines[to], lines[at]
        case 1:
            lines.insert(to, lines[at])
        case 2:
            del lines[at]
        case _:
            lines.insert(to, random.choice(random.choice(others).split(b"\n")))
    return b"\n".join(lines)


def _nest(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    start, end = _span(random, data)
    left, right = random.choice(
        [(b"[", b"]"), (b"{", b"}"), (b'{"a":', b"}"), (b"[\n", b"\n]"), (b"(", b")")]
    )
    depth = random.choice([1, 3, 17, 400])
    return data[:start] + left * depth + data[start:end] + right * depth + data[end:]


def _tree(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Change a value somewhere in canonical JSON and write it canonically again."""
    head, mark, rest = data.partition(b"\n\0")
    try:
        value = json.loads(head)
        changed = _changed(random, value, json.loads(random.choice(others).partition(b"\n\0")[0]))
        return encode_json(changed) + mark + rest
    except (ValueError, RecursionError, CryptoError):
        return _insert(random, data, others)


def _body(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Change the canonical JSON behind the mark of a log entry."""
    head, mark, body = data.partition(b"\n\0")
    bodies = [other.partition(b"\n\0")[2] or b"0" for other in others]
    return head + mark + _tree(random, body, bodies) if body else _insert(random, data, others)


def _changed(random: Random, value: Any, other: Any) -> Any:
    if isinstance(value, dict) and value and random.random() < 0.9:
        key = random.choice(list(value))
        if random.random() < 0.1:
            return {name: item for name, item in value.items() if name != key}
        return {**value, key: _changed(random, value[key], other)}
    if isinstance(value, list) and value and random.random() < 0.9:
        at = random.randrange(len(value))
        item = _changed(random, value[at], other)
        return random.choice(
            [[*value[:at], item, *value[at + 1 :]], [*value[:at], item, *value[at:]], value[:at]]
        )
    return _another(random, value, other)


def _another(random: Random, value: Any, other: Any) -> Any:
    if isinstance(value, int) and random.random() < 0.6:
        return random.choice([0, -1, 1, value + 1, -value, 2**40, 2**53 - 1, -(2**53) + 1, value * 2])
    if isinstance(value, str) and random.random() < 0.6:
        mutation = random.choice([_flip, _insert, _truncate, _renumber, _duplicate])
        return mutation(random, value.encode(), [b""]).decode("utf-8", "replace")
    return random.choice([0, "", [], {}, [value], {"a": value}, other, str(value)[:100], 7])


_BYTES: list[Mutation] = [_flip, _overwrite, _truncate, _delete, _duplicate, _splice, _insert]
_TEXT: list[Mutation] = [*_BYTES, _renumber, _renumber, _retime, _reword, _lines, _lines]
MUTATIONS: dict[str, list[Mutation]] = {
    "bytes": _BYTES,
    "text": _TEXT,
    "toml": [*_TEXT, _nest],
    "entry": [*_TEXT, *[_body] * 6],
    "json": [*_TEXT, _nest, *[_tree] * 12],
}


def mutate(random: Random, data: bytes, others: Sequence[bytes], grammar: str) -> bytes:
    """Change an input one to four times; `others` are inputs of the same target to take parts of."""
    for _ in range(random.choice([1, 1, 2, 4])):
        data = random.choice(MUTATIONS[grammar])(random, data, others)
    return data


def long_inputs(valid: bytes, size: int) -> dict[str, bytes]:
    """Make inputs of a size that a careless parser needs too much time or memory for."""
    parts = {
        "one byte": b"\0",
        "digits": b"9",
        "brackets": b"[",
        "objects": b'{"":',
        "empty lines": b"\n",
        "spaces": b" ",
        "dotted": b"a.",
        "plus": b"+",
        "dashes": "\u2014 ".encode(),
        "words": b"a b\n",
        "commas": b"1,",
        "tags": b"<row <c a ",
    }
    found = {name: part * (size // len(part)) for name, part in parts.items()}
    found["valid and filler"] = valid + b"0" * max(0, size - len(valid))
    found["valid again and again"] = valid * (size // max(1, len(valid)))
    found["last line again"] = _repeated_line(valid, size)
    found["lists"] = b"[" + b",".join([b'{"":[]}'] * (size // 8)) + b"]"
    return found


def _repeated_line(valid: bytes, size: int) -> bytes:
    body = valid.rstrip(b"\n")
    head, _, last = body.rpartition(b"\n")
    return head + (b"\n" + last) * (size // (len(last) + 1)) + b"\n"
