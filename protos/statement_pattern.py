"""Read a whole statement by one regular expression that matches canonical texts only.

Report headers come by the thousand. Where every word of a type has one spelling that an
expression can say (`Kind.words`), a text that matches the type's expression is canonical as it
stands, need not be written again to be compared, and gives values that need no further check but
their range. A text that does not match, or a type with other words, is for the slow way in
`protos.statements`, which says what is wrong with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from protos.fields import Field, Kind

_Read = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class TextPattern:
    """The expression of a type, one group a field, and what turns each group into the field's value."""

    expression: re.Pattern[str]
    readers: tuple[tuple[str, _Read], ...]

    def read(self, text: str) -> list[tuple[str, Any]] | None:
        """Read a text into (attribute, value) pairs, each value as a statement of the type may hold it.

        None where the text does not match, or a number is out of range.
        """
        match = self.expression.fullmatch(text)
        if match is None:
            return None
        try:
            return [
                (attribute, read(group))
                for (attribute, read), group in zip(self.readers, match.groups(), strict=True)
            ]
        except ValueError:
            return None


def pattern_of(first_line: str, fields: tuple[Field, ...]) -> TextPattern | None:
    """Compile the expression of a type without body; None where a word of it has no `words`.

    A plain field is one group, its word; a repeated one is one group, its lines.
    """
    if any(not kind.words for field in fields for kind in field.kinds):
        return None
    if any(len(field.kinds) != 1 and not field.repeated for field in fields):
        return None
    expression = re.compile(re.escape(first_line) + "\n" + "".join(map(_lines_of, fields)))
    return TextPattern(expression, tuple((field.attribute, _reader_of(field)) for field in fields))


def _lines_of(field: Field) -> str:
    if field.repeated:
        return f"((?:{field.key} " + " ".join(kind.words for kind in field.kinds) + "\n)*)"
    return f"{field.key} ({field.kinds[0].words})\n"


def _reader_of(field: Field) -> _Read:
    return _rows_reader(field.kinds) if field.repeated else field.kinds[0].read


def _rows_reader(kinds: tuple[Kind, ...]) -> _Read:
    """Read a block of lines column by column; every line has the key and a word of each kind."""
    num_words = 1 + len(kinds)

    def read(block: str) -> tuple[Any, ...]:
        words = block.split()
        columns = [map(kind.read, words[place::num_words]) for place, kind in enumerate(kinds, 1)]
        return tuple(columns[0]) if len(columns) == 1 else tuple(zip(*columns, strict=True))

    return read
