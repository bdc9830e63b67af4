"""What a cell of a table can hold, and its text without what people cannot see."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from typing import Final, TypeAlias

from node.vault.importing.errors import CellError

Cell: TypeAlias = str | int | float | bool | dt.date | dt.datetime | dt.time | dt.timedelta

NOT_COMPUTED: Final = "#CALC?"
"""What a reader gives for a formula that has no value yet: the program that wrote it computes nothing."""

_ERROR = re.compile(r"#(?:N/A|GETTING_DATA|[\w/]{2,16}[!?])\Z")

MAX_TEXT_CHARS: Final = 500
"""No cell that is read is longer; some characters become 18 when normalised, and that takes its time."""

_INVISIBLE = dict.fromkeys(
    (
        *(0x00AD, 0x061C, 0x180E, 0x3164, 0xFEFF, 0xFFA0),
        *(*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070)),  # marks of direction too
        *(*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)),  # which shape of a character is meant
    )
)
_LONG_NOTHING: Final = 64  # a dash with blanks around it is shorter
_NOTHING = re.compile(r"(?:[-‐-―—_]+|/|\\|NULL|null|None|N/A|n/a|#)\Z")


def clean_text(text: str) -> str:
    """Normalise what people cannot see: full-width forms, zero-width characters, odd spaces.

    Inner runs of white space become one space; the ends are trimmed. A longer text than any cell that is
    read stays as it is.
    """
    if len(text) > MAX_TEXT_CHARS and len(text := text.strip()) > MAX_TEXT_CHARS:
        return text
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text.translate(_INVISIBLE))
    return " ".join(text.split())


def column_letters(index: int) -> str:
    """Name a 0-based column as a spreadsheet program does: 0 is A, 26 is AA."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def is_blank(cell: Cell) -> bool:
    """Say whether nothing visible stands in a cell."""
    if not isinstance(cell, str):
        return False
    if cell and ("!" <= cell[0] <= "~" or "\u4e00" <= cell[0] <= "\u9fff"):
        return False  # nearly every cell begins with a character that is seen
    return not cell or not cell.translate(_INVISIBLE).strip()


def says_nothing(cell: Cell) -> bool:
    """Say whether a cell is blank or holds what people and databases write for nothing: -, /, NULL."""
    if not isinstance(cell, str):
        return False
    return is_blank(cell) or (len(cell) < _LONG_NOTHING and _NOTHING.match(clean_text(cell)) is not None)


def text_of(cell: Cell) -> str:
    """Give a text or number cell as text; a whole number has no decimal point.

    Raises:
        CellError: a date, a truth value, the text of a failed formula, or a very long text.
    """
    if isinstance(cell, str):
        if len(cell) > MAX_TEXT_CHARS and len(cell.strip()) > MAX_TEXT_CHARS:
            raise CellError("text-too-long", allowed=str(MAX_TEXT_CHARS))
        if cell == NOT_COMPUTED:
            raise CellError("formula-not-computed")
        if cell.startswith("#") and _ERROR.match(cell):
            raise CellError("formula-error")
        return cell
    if isinstance(cell, bool) or not isinstance(cell, (int, float)):
        raise CellError("not-text")
    return str(int(cell)) if cell == cell // 1 else repr(cell)
