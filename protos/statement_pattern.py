"""Read a whole statement by one regular expression that matches canonical texts only.

Report headers come by the thousand. Where every word of a type has one spelling that an
expression can say (`Kind.words`), a text that matches the type's expression is canonical as it
stands, and need not be written again to be compared. A text that does not match, or a type with
other words, is for the slow way in `protos.statements`, which says what is wrong with it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from protos.fields import Field


def pattern_of(first_line: str, fields: tuple[Field, ...]) -> re.Pattern[str] | None:
    """Compile the expression of a type without body; None where a word of it has no `words`.

    A plain field is one group, its word; a repeated one is one group, its lines.
    """
    if any(not kind.words for field in fields for kind in field.kinds):
        return None
    if any(len(field.kinds) != 1 and not field.repeated for field in fields):
        return None
    return re.compile(re.escape(first_line) + "\n" + "".join(map(_lines_of, fields)))


def _lines_of(field: Field) -> str:
    if field.repeated:
        return f"((?:{field.key} " + " ".join(kind.words for kind in field.kinds) + "\n)*)"
    return f"{field.key} ({field.kinds[0].words})\n"


def read_groups(fields: Sequence[Field], groups: Sequence[str]) -> dict[str, Any]:
    """Turn what an expression matched into the values of the fields.

    Raises:
        ValueError: a word has the right form and no value.
    """
    return {
        field.attribute: _rows(field, group) if field.repeated else field.kinds[0].parse(group)
        for field, group in zip(fields, groups, strict=True)
    }


def _rows(field: Field, block: str) -> tuple[Any, ...]:
    rows = [line.split(" ") for line in block.split("\n")[:-1]]
    if len(field.kinds) == 1:
        return tuple([field.kinds[0].parse(row[1]) for row in rows])
    return tuple(
        [tuple([kind.parse(word) for kind, word in zip(field.kinds, row[1:], strict=True)]) for row in rows]
    )
