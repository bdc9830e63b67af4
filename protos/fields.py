"""The text forms of a statement's values: one kind, one canonical spelling.

A kind checks a value, writes it as the words behind a key, and reads it back. Reading accepts
a superset at most; ``statements.parse_statement`` re-encodes and refuses whatever differs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from crypto.canonical import decode_base64, encode_base64
from crypto.errors import CryptoError
from protos.errors import StatementError

ID_PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}\Z")
TABLE_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}\Z")
CODE_PATTERN = re.compile(r"[a-z0-9][a-z0-9-]{0,62}\Z")
HEX_PATTERN = re.compile(r"(?:[0-9a-f]{2})*\Z")
DECIMAL_PATTERN = re.compile(r"(?:0|[1-9][0-9]{0,19})\Z")
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
TIME_PATTERN = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\Z")
MAX_RATIONAL_DIGITS = 18
ZERO_DIGEST = bytes(32)


@dataclass(frozen=True, slots=True)
class Kind:
    """One way of writing a value as a single word.

    Attributes:
        name: what an error message calls it.
        check: returns whether a Python value may be written.
        encode: value to word.
        parse: word to value; raises ValueError when it is no such word.
        words: a regular expression, without groups, for exactly the words that `encode` writes of
            values of any size; empty where there is none.
        read: a word that matches `words` to its value, which passes `check`; raises ValueError when
            it would not.
    """

    name: str
    check: Callable[[Any], bool]
    encode: Callable[[Any], str]
    parse: Callable[[str], Any]
    words: str = ""
    read: Callable[[str], Any] = str


def _pattern(name: str, pattern: re.Pattern[str]) -> Kind:
    def check(value: object) -> bool:
        return isinstance(value, str) and pattern.match(value) is not None

    return Kind(name, check, str, str, pattern.pattern.removesuffix(r"\Z"))


def hex_bytes(size: int) -> Kind:
    """Make the kind of exactly `size` bytes in lower-case hex."""

    def parse(word: str) -> bytes:
        value = bytes.fromhex(word)
        if value.hex() != word:  # white space or upper case
            raise ValueError("not lower-case hex")
        return value

    def check(value: object) -> bool:
        return isinstance(value, bytes) and len(value) == size

    words = f"[0-9a-f]{{{2 * size}}}"
    return Kind(f"{size} bytes in hex", check, bytes.hex, parse, words, bytes.fromhex)


def base64_bytes(size: int) -> Kind:
    """Make the kind of exactly `size` bytes in standard padded base64."""

    def parse(word: str) -> bytes:
        try:
            return decode_base64(word)
        except CryptoError as err:
            raise ValueError("not canonical base64") from err

    def check(value: object) -> bool:
        return isinstance(value, bytes) and len(value) == size

    return Kind(f"{size} bytes in base64", check, encode_base64, parse)


def number(low: int, high: int) -> Kind:
    """Make the kind of an integer in [low, high], 0 <= low, without leading zeros."""

    def parse(word: str) -> int:
        if not DECIMAL_PATTERN.match(word):
            raise ValueError("not a decimal number")
        return int(word)

    def check(value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high

    def read(word: str) -> int:
        value = int(word)
        if not low <= value <= high:
            raise ValueError("out of range")
        return value

    words = DECIMAL_PATTERN.pattern.removesuffix(r"\Z")
    return Kind(f"a number from {low} to {high}", check, str, parse, words, read)


def one_of(*words: str) -> Kind:
    """Make the kind of one word out of a fixed list; unknown words are refused."""
    return Kind(" or ".join(words), lambda value: value in words, str, str, f"(?:{'|'.join(words)})")


def _parse_fraction(word: str) -> Fraction:
    above, slash, below = word.partition("/")
    if not (slash and DECIMAL_PATTERN.match(above) and DECIMAL_PATTERN.match(below)) or below == "0":
        raise ValueError("not a rational a/b")
    if len(above) > MAX_RATIONAL_DIGITS or len(below) > MAX_RATIONAL_DIGITS:
        raise ValueError("rational too long")
    return Fraction(int(above), int(below))


def _check_fraction(value: object) -> bool:
    limit = 10**MAX_RATIONAL_DIGITS
    return isinstance(value, Fraction) and 0 <= value.numerator < limit and value.denominator < limit


def _parse_time(word: str) -> datetime:
    if not TIME_PATTERN.match(word):
        raise ValueError("not a time")
    return datetime.strptime(word, TIME_FORMAT).replace(tzinfo=UTC)


def _check_time(value: object) -> bool:
    return (
        isinstance(value, datetime)
        and value.tzinfo is UTC
        and value.microsecond == 0
        and 1000 <= value.year <= 9999
    )


ID = _pattern("an id (a-z 0-9 . _ -)", ID_PATTERN)
TABLE = _pattern("a table id", TABLE_PATTERN)
CODE = _pattern("a code word (a-z 0-9 -)", CODE_PATTERN)
DIGEST = hex_bytes(32)
RATIONAL = Kind(
    "a rational a/b in lowest terms",
    _check_fraction,
    lambda value: f"{value.numerator}/{value.denominator}",
    _parse_fraction,
)
TIME = Kind("a UTC time", _check_time, lambda value: value.strftime(TIME_FORMAT), _parse_time)


@dataclass(frozen=True, slots=True)
class Field:
    """A key of a statement: its attribute, its line's key, and the kinds of the words behind it.

    Attributes:
        attribute: name on the dataclass.
        key: first word of the line.
        kinds: one kind for a plain value; several for a row of a repeated field.
        repeated: the attribute is a tuple, one line an item; with several kinds each item is a tuple.
    """

    attribute: str
    key: str
    kinds: tuple[Kind, ...]
    repeated: bool = False

    def check(self, value: Any) -> None:
        """Raise StatementError unless the value can be written."""
        if not self.repeated and len(self.kinds) == 1:
            self._check_word(self.kinds[0], value)
            return
        for row in self._rows(value):
            for kind, word in zip(self.kinds, row, strict=True):
                self._check_word(kind, word)

    def encode(self, value: Any) -> list[str]:
        """Write the value's lines, without line ends."""
        if not self.repeated and len(self.kinds) == 1:
            return [f"{self.key} {self.kinds[0].encode(value)}"]
        lines = []
        for row in self._rows(value):
            words = [kind.encode(word) for kind, word in zip(self.kinds, row, strict=True)]
            lines.append(" ".join([self.key, *words]))
        return lines

    def parse(self, lines: Sequence[str], start: int) -> tuple[Any, int]:
        """Read this field's lines from position `start` on; returns the value and the next position."""
        if not self.repeated:
            found = lines[start].split(" ", 1)[0] if start < len(lines) else ""
            if found != self.key:
                what = repr(found[:40]) if start < len(lines) else "the end"
                raise StatementError(f"expected a line '{self.key} …', found {what}")
            row = self._parse_line(lines[start])
            return (row[0] if len(self.kinds) == 1 else row), start + 1
        rows = []
        position = start
        while position < len(lines) and lines[position].split(" ", 1)[0] == self.key:
            rows.append(self._parse_line(lines[position]))
            position += 1
        return tuple(row[0] if len(self.kinds) == 1 else row for row in rows), position

    def _check_word(self, kind: Kind, word: Any) -> None:
        if not kind.check(word):
            raise StatementError(f"{self.key}: expected {kind.name}, found {type(word).__name__}")

    def _rows(self, value: Any) -> list[tuple[Any, ...]]:
        items = value if self.repeated else (value,)
        if not isinstance(items, tuple):
            raise StatementError(f"{self.key}: expected a tuple")
        rows = [(item,) for item in items] if len(self.kinds) == 1 else list(items)
        if any(not isinstance(row, tuple) or len(row) != len(self.kinds) for row in rows):
            raise StatementError(f"{self.key}: expected {len(self.kinds)} words a line")
        return rows

    def _parse_line(self, line: str) -> tuple[Any, ...]:
        words = line.split(" ")[1:]
        if len(words) != len(self.kinds):
            raise StatementError(f"{self.key}: expected {len(self.kinds)} words, found {len(words)}")
        try:
            return tuple([kind.parse(word) for kind, word in zip(self.kinds, words, strict=True)])
        except ValueError as err:
            expected = ", ".join(kind.name for kind in self.kinds)
            raise StatementError(f"{self.key}: expected {expected}") from err
