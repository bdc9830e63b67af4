"""Small pieces that chapters are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from auditor.evidence.moments import COUNTY
from auditor.evidence.wording import LAWYER, Both, Voice
from paper.document import Cell, Column, Paragraph, Table

SHORT: Final = 16
WHOLE_ROWS: Final = 10
NONE: Final = Both("无。", "None.")


def body(voice: Voice, words: Both, **values: object) -> Paragraph:
    """Write a paragraph."""
    return Paragraph(voice.say(words, **values))


def note(voice: Voice, words: Both, **values: object) -> Paragraph:
    """Write a smaller paragraph."""
    return Paragraph(voice.say(words, **values), "note")


def legal(voice: Voice, words: Both, **values: object) -> Paragraph:
    """Write a paragraph about law, marked for a lawyer."""
    return Paragraph(voice.say(LAWYER) + voice.say(words, **values), "note")


def items(texts: Iterable[str]) -> tuple[Paragraph, ...]:
    """Write a list."""
    return tuple(Paragraph(text, "item") for text in texts)


def code(lines: Iterable[str]) -> tuple[Paragraph, ...]:
    """Write lines for a machine, each as it is."""
    return tuple(Paragraph(line, "code") for line in lines)


def table(
    voice: Voice,
    title: Both | str,
    columns: Sequence[tuple[Both, str]],
    rows: Iterable[tuple[Cell, ...]],
    shares: Sequence[int] = (),
) -> Table | Paragraph:
    """Write a table of texts and exact numbers; where it has no row, say so.

    Args:
        columns: heading and kind: `text`, or `number` for whole numbers.
        shares: of the page's width, a column each; none for shares that follow from the cells.
    """
    found = tuple(rows)
    name = title if isinstance(title, str) else voice.say(title)
    if not found:
        gap = voice.speech.choose("：", ": ")
        return Paragraph(f"{name}{gap}{voice.say(NONE)}" if name else voice.say(NONE))
    heads = tuple(
        Column(voice.say(words), "text" if kind == "text" else "number", share)
        for (words, kind), share in zip(columns, shares or [0] * len(columns), strict=True)
    )
    return Table(name, heads, found, is_whole=len(found) <= WHOLE_ROWS)


def short(digest: str) -> str:
    """Cut a digest for a table; the whole one stands in evidence.json."""
    return digest[:SHORT]


def day(voice: Voice, moment: str) -> str:
    """Write the day of a time at the county."""
    if not moment:
        return voice.speech.choose("—", "—")
    found = datetime.fromisoformat(moment).astimezone(COUNTY)
    return f"{found:%Y-%m-%d}"


def minute(moment: str) -> str:
    """Write a time to the minute at the county (UTC+8)."""
    return f"{datetime.fromisoformat(moment).astimezone(COUNTY):%Y-%m-%d %H:%M}"
