"""Text that others wrote, made harmless before it stands in a file that a spreadsheet program opens.

1. Control characters, marks that turn the direction or cannot be seen, and halves of characters go; white
   space of any kind becomes one blank; what is too long is cut with an ellipsis.
2. A cell that a spreadsheet program could take for a formula gets an apostrophe in front. Workbooks write
   every text as a text anyway; the apostrophe is for the day when somebody saves the sheet as csv.
"""

from __future__ import annotations

import unicodedata
from typing import Final

MAX_CELL_CHARS: Final = 2000
MAX_NAME_CHARS: Final = 60
FORMULA_STARTS: Final = "=+-@＝＋－＠"
_DROPPED: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


def clean(text: str, most: int = MAX_CELL_CHARS) -> str:
    """Apply rule 1 of the module."""
    spaced = (" " if char.isspace() else char for char in text)
    kept = "".join(char for char in spaced if unicodedata.category(char) not in _DROPPED)
    words = " ".join(kept.split())
    return words if len(words) <= most else words[: most - 1] + "…"


def cell_words(text: str, most: int = MAX_CELL_CHARS) -> str:
    """Apply both rules: the text of a cell."""
    words = clean(text, most)
    return f"'{words}" if words[:1] and words[0] in FORMULA_STARTS else words


def display_width(text: str) -> int:
    """Give how many narrow characters wide a text is shown; a Chinese one takes two."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)
