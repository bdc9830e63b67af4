"""Changing single values of a plan's TOML file while its comments, order and spacing stay.

Only what a plan needs: keys of the top level, of a section such as `[trust]`, or of the one of several
`[[tables]]` with a given id; blocks of a list added, replaced or taken out. Text is edited line by line, so
whoever edits parses the result again and compares it with what was meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_HEADER = re.compile(r"\s*(\[\[?)\s*([A-Za-z0-9_-]+)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"\s*([A-Za-z0-9_-]+)\s*=\s*")
_ID = re.compile(r"\s*id\s*=\s*[\"']([^\"']*)[\"']")


@dataclass(frozen=True, slots=True)
class _Block:
    """Lines from a header (or the top of the file) to before the next one's; `name` is "" at the top."""

    name: str
    first: int
    end: int


class TomlText:
    """The lines of a file, to be changed in place."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")

    def __str__(self) -> str:
        return "\n".join(self._lines)

    def set(self, section: str, key: str, value: str, item: str = "") -> None:
        """Set a key to TOML text; added at the end of its block if it is not there.

        Args:
            section: "" for the top level.
            value: such as `"2026-2027"` or `["4", "5"]`; on one line.
            item: id of the block meant, if there are several of the name.
        """
        block = self._block(section, item)
        if block is None:
            self._lines += ["", f"[{section}]", f"{key} = {value}"]
            return
        for first, end in self._statements(block):
            found = _KEY.match(self._lines[first])
            if found and found[1] == key:
                self._lines[first:end] = [_replaced("\n".join(self._lines[first:end]), found.end(), value)]
                return
        at = self._last_line(block) + 1
        self._lines.insert(at, f"{key} = {value}")

    def replace_blocks(self, section: str, text: Sequence[str]) -> None:
        """Put lines in the place of all blocks of a list."""
        blocks = [block for block in self._blocks() if block.name == section]
        at = blocks[0].first if blocks else len(self._lines)
        for block in reversed(blocks):
            del self._lines[block.first : self._last_line(block) + 1]
        self._lines[at:at] = list(text)

    def remove(self, section: str, item: str) -> None:
        """Take the block with an id out, and the comment right above it."""
        block = self._block(section, item)
        if block is not None:
            first, end = block.first, self._last_line(block) + 1
            while first and self._lines[first - 1].lstrip().startswith("#"):
                first -= 1
            while (
                end < len(self._lines) and first and not (self._lines[first - 1] + self._lines[end]).strip()
            ):
                end += 1
            del self._lines[first:end]

    def append(self, text: Sequence[str]) -> None:
        """Add lines at the end, after an empty one."""
        while self._lines and not self._lines[-1].strip():
            self._lines.pop()
        self._lines += ["", *text, ""]

    def set_heading(self, text: Sequence[str]) -> None:
        """Replace the comment at the top of the file."""
        end = 0
        while end < len(self._lines) and self._lines[end].startswith("#"):
            end += 1
        self._lines[:end] = list(text)

    def _block(self, section: str, item: str) -> _Block | None:
        for block in self._blocks():
            if block.name == section and (not item or self._id_of(block) == item):
                return block
        return None

    def _id_of(self, block: _Block) -> str:
        ids = (_ID.match(self._lines[first]) for first, _ in self._statements(block))
        return next((found[1] for found in ids if found), "")

    def _blocks(self) -> Iterator[_Block]:
        name, start = "", 0
        depth = 0
        for place, line in enumerate(self._lines):
            header = _HEADER.match(line) if depth == 0 else None
            if header:
                yield _Block(name, start, place)
                name, start = header[2], place
            else:
                depth += _opened(line)
        yield _Block(name, start, len(self._lines))

    def _statements(self, block: _Block) -> Iterator[tuple[int, int]]:
        """Yield first line and end of each `key = value` of a block."""
        place = block.first
        while place < block.end:
            first = place
            depth = 0 if _HEADER.match(self._lines[place]) else _opened(self._lines[place])
            place += 1
            while depth > 0 and place < block.end:
                depth += _opened(self._lines[place])
                place += 1
            if _KEY.match(self._lines[first]):
                yield first, place

    def _last_line(self, block: _Block) -> int:
        """Return the last line of a block that says something; comments below it belong to the next."""
        statements = list(self._statements(block))
        return statements[-1][1] - 1 if statements else block.first


def _outside(text: str) -> Iterator[tuple[int, str]]:
    """Yield the characters of TOML text that are in no string, up to a comment, which comes as `#`."""
    quote, escaped = "", False
    for place, char in enumerate(text):
        if quote:
            if char == quote and not escaped:
                quote = ""
            escaped = quote == '"' and char == "\\" and not escaped
        elif char in "\"'":
            quote = char
        else:
            yield place, char
            if char == "#":
                return


def _opened(line: str) -> int:
    """Return how many more brackets a line opens than it closes."""
    chars = [char for _, char in _outside(line)]
    return sum(chars.count(char) for char in "[{") - sum(chars.count(char) for char in "]}")


def _replaced(text: str, start: int, value: str) -> str:
    """Return a statement with another value; a comment behind a value of one line stays in its column."""
    if "\n" in text:
        return text[:start] + value
    comment = next((place for place, char in _outside(text) if char == "#"), None)
    if comment is None:
        return text[:start] + value
    return (text[:start] + value).ljust(comment - 1) + " " + text[comment:]
