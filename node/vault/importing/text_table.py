"""From the bytes of a text file to rows: which encoding, which separator, then the csv rules.

Order for the encoding, and why it is no guess: a byte order mark is believed; zero bytes in every second
place are UTF-16; bytes that are UTF-8 throughout are UTF-8, since no Chinese text in another encoding is so
by chance; only then GB18030, which plain "CSV" of Excel and WPS is in. A file that begins as UTF-8 and
breaks later is damaged, not GB18030. A profile may declare the encoding instead.

The separator is the one of comma, tab, semicolon and bar that the first lines have most of; a first line
`sep=;`, as Excel writes it, decides.
"""

from __future__ import annotations

import csv
import encodings.gb18030  # codecs that Python would fetch on first use
import encodings.utf_8_sig
import encodings.utf_16_be
import encodings.utf_16_le
import io
import re
from typing import Final

from node.vault.importing.cells import Cell
from node.vault.importing.errors import refuse_file

ENCODINGS: Final = ("auto", "utf-8", "utf-16", "gb18030")
MAX_ROWS: Final = 50_000
MAX_COLUMNS: Final = 200

_NEEDED_CODECS = (encodings.gb18030, encodings.utf_8_sig, encodings.utf_16_be, encodings.utf_16_le)
_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_SEPARATORS: Final = ",\t;|"
_SAMPLE_LINES: Final = 20
_SAMPLE_CHARS: Final = 20_000
_SURE_CHARS: Final = 6  # so many characters of two and more bytes are not UTF-8 by chance
_SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)
_EXCEL_TEXT = re.compile(r'="([^"]*)"\Z')
# What 姓 and 学 become when UTF-8 is read as GBK or as Latin-1, beside what lost characters leave behind.
_LOST = ("\ufffd", "锟斤拷", "濮撳悕", "瀛︾睄", "å§", "å\xad¦")
_QUESTIONS = re.compile(r"(?:\A|[,;\t|])\"?\?{2,}\"?(?=[,;\t|\r\n])")
_LEAST_QUESTIONS: Final = 3
_MAX_LINES: Final = 2_000_000  # a sheet has no more; most of them are empty
_MAX_SEPARATORS: Final = 10_000  # of a line; most of them have nothing behind them


def read_text_table(file: str, data: bytes, encoding: str = "auto") -> list[list[Cell]]:
    """Read a file of separated values.

    Raises:
        ImportingError: no text, text that was damaged on its way, quotes that do not match, or too large.
    """
    text = decode_text(file, data, encoding)
    _refuse_lost(file, text)
    found = _SEPARATOR_LINE.match(text)
    separator = found[1] if found else _find_separator(text)
    _bound_lines(file, text, separator)
    source = io.StringIO(text[found.end() :] if found else text, newline="")
    rows: list[list[Cell]] = []
    num_empty = 0  # rows that may be the tail: they count only when a filled one follows
    try:
        for row in csv.reader(source, delimiter=separator, strict=True, skipinitialspace=separator != "\t"):
            while row and not row[-1]:
                row.pop()
            if not row:
                num_empty += 1
                continue
            if len(rows) + num_empty >= MAX_ROWS:
                raise refuse_file(file, "too-many-rows", allowed=str(MAX_ROWS))
            if len(row) > MAX_COLUMNS:
                raise refuse_file(file, "too-many-columns", allowed=str(MAX_COLUMNS))
            rows += [[] for _ in range(num_empty)]
            rows.append([_unwrap(cell) for cell in row])
            num_empty = 0
    except csv.Error as err:
        raise refuse_file(file, "csv-damaged", row=len(rows) + num_empty + 1) from err
    return rows


def _bound_lines(file: str, text: str, separator: str) -> None:
    """Refuse what would take much time and memory to be taken apart into nothing."""
    if text.count("\n") > _MAX_LINES or text.count("\r") > _MAX_LINES:
        raise refuse_file(file, "too-many-rows", allowed=str(MAX_ROWS))
    if any(line.count(separator) > _MAX_SEPARATORS for line in io.StringIO(text)):
        raise refuse_file(file, "too-many-columns", allowed=str(MAX_COLUMNS))


def _unwrap(cell: str) -> str:
    """Take the text out of `="…"` or `'…`, by which exports keep a spreadsheet from making it a number."""
    if cell.startswith("'"):
        return cell[1:]
    if not cell.startswith("="):
        return cell
    found = _EXCEL_TEXT.match(cell)
    return found[1] if found else cell


def decode_text(file: str, data: bytes, encoding: str = "auto") -> str:
    """Decode a text file; the order is the module's.

    Raises:
        ImportingError: not text, or not in the encoding that the profile declares.
    """
    mark, name = next(((mark, name) for mark, name in _MARKS if data.startswith(mark)), (b"", ""))
    if encoding != "auto":
        name = _declared(file, encoding, name)
    elif not name:
        name = _detect(file, data.rstrip(b"\0"))
    try:
        text = data[len(mark) :].decode(name)
    except UnicodeDecodeError as err:
        is_guess = encoding == "auto" and not mark and name != "utf-8"
        code = "file-not-text" if is_guess else "text-damaged"
        raise refuse_file(file, code) from err
    text = text.rstrip("\x1a\0")  # DOS ended files so, and some exports pad them
    if "\0" in text:
        raise refuse_file(file, "file-not-text")
    return text


def _declared(file: str, encoding: str, marked: str) -> str:
    if marked and not marked.startswith(encoding):
        raise refuse_file(file, "encoding-differs")
    return marked or ("utf-16-le" if encoding == "utf-16" else encoding)


def _detect(file: str, data: bytes) -> str:
    sample = data[: _SAMPLE_CHARS // 2 * 2]
    if sample[1::2].count(0) * 5 > len(sample[1::2]):
        return "utf-16-le"
    if sample[0::2].count(0) * 5 > len(sample[0::2]):
        return "utf-16-be"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as err:
        right = data[: err.start].decode("utf-8")
        if sum(not char.isascii() for char in right) >= _SURE_CHARS:
            raise refuse_file(file, "text-damaged", row=right.count("\n") + 1) from err
        return "gb18030"
    return "utf-8"


def _refuse_lost(file: str, text: str) -> None:
    """Refuse characters that an earlier wrong conversion has replaced; they cannot be brought back."""
    places = [text.find(lost) for lost in _LOST if lost in text]
    if places:
        raise refuse_file(file, "text-damaged", row=text.count("\n", 0, min(places)) + 1)
    questions = _QUESTIONS.findall(text[:_SAMPLE_CHARS]) if text.isascii() else []
    if len(questions) >= _LEAST_QUESTIONS:  # a program that has no Chinese wrote ?? for each 姓名
        raise refuse_file(file, "text-damaged", row=1)


def _find_separator(text: str) -> str:
    lines = [line for line in text[:_SAMPLE_CHARS].splitlines() if line.strip()][:_SAMPLE_LINES]
    counts = [sum(line.count(separator) for line in lines) for separator in _SEPARATORS]
    return _SEPARATORS[counts.index(max(counts))]
