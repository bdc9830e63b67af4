"""Random damage to good files of every kind: a result or issues, never another error, never half a result."""

from __future__ import annotations

import contextlib
import datetime as dt
import random
import struct

import pytest
import table_files as make

from node.vault.import_file import ImportContext, import_files
from node.vault.importing.compound import CompoundError, open_compound
from node.vault.importing.errors import ImportingError
from node.vault.importing.reader import read_sheets
from node.vault.importing.xls import XlsError, is_date_format, read_xls

KINDS = {
    "xlsx": make.xlsx,
    "xls": make.xls,
    "gb18030": lambda rows: make.text(rows, "gb18030"),
    "utf-16": lambda rows: make.text(rows, "utf-16", "\t"),
    "utf-8": make.text,
}


def spoilt(data: bytes, draw: random.Random) -> bytes:
    """Change one to four bytes, perhaps cut the end off, perhaps repeat a piece."""
    changed = bytearray(data)
    for _ in range(draw.randrange(1, 5)):
        changed[draw.randrange(len(changed))] = draw.choice((0, 0xFF, draw.randrange(256)))
    if draw.random() < 0.2:
        changed = changed[: draw.randrange(1, len(changed))]
    if draw.random() < 0.2:
        at = draw.randrange(len(changed))
        changed[at:at] = changed[at : at + draw.randrange(1, 64)]
    return bytes(changed)


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_read_or_refused(kind, files):
    draw = random.Random(f"read {kind}")
    data = KINDS[kind](files.screening)
    for _ in range(150):
        with contextlib.suppress(ImportingError):
            read_sheets("screening", spoilt(data, draw))


@pytest.mark.parametrize("kind", KINDS)
def test_an_import_of_a_damaged_file_is_whole_or_nothing(kind, files):
    draw = random.Random(f"import {kind}")
    contents = files.contents()
    contents |= {"roster": KINDS[kind](files.roster), "screening": KINDS[kind](files.screening)}
    context = ImportContext(bytes(32), "2026-2027", "A", dt.date(2026, 9, 30), "6-3")
    outcomes = set()
    for _ in range(25):
        part = draw.choice(("roster", "screening"))
        result = import_files(contents | {part: spoilt(contents[part], draw)}, context)
        outcomes.add(result.is_refused)
        assert result.is_refused is not bool(result.records)
        assert all(issue.message and issue.advice for issue in result.issues)
    assert outcomes == {True, False} or kind != "gb18030"


# ---------------------------------------------------------------- what only .xls can have


def record(kind: int, form: str, *values: object) -> bytes:
    body = struct.pack(form, *values)
    return struct.pack("<HH", kind, len(body)) + body


def workbook(shared: bytes, sheet: bytes) -> bytes:
    first = record(0x0809, "<HHHHII", 0x0600, 0x0005, 0, 0, 0, 0) + shared
    at = len(first) + 4 + 9 + 4
    first += record(0x0085, "<IBBBB1s", at, 0, 0, 1, 0, b"S") + record(0x000A, "")
    body = record(0x0809, "<HHHHII", 0x0600, 0x0010, 0, 0, 0, 0) + sheet + record(0x000A, "")
    return make.compound({"Workbook": first + body})


def test_numbers_of_every_kind_and_formulas_with_their_stored_values():
    shared = record(0x00FC, "<IIHB4s", 1, 1, 2, 1, "名册".encode("utf-16-le"))
    sheet = (
        record(0x00FD, "<HHHI", 0, 0, 0, 0)
        + record(0x027E, "<HHHI", 0, 1, 0, (34 << 2) | 2)
        + record(0x027E, "<HHHI", 0, 2, 0, (1234 << 2) | 3)
        + record(0x027E, "<HHHI", 0, 3, 0, struct.unpack("<Q", struct.pack("<d", 1.5))[0] >> 32)
        + record(0x00BD, "<HHHIHIH", 1, 0, 0, (7 << 2) | 2, 0, ((1 << 30) - 8) << 2 | 2, 1)
        + record(0x0006, "<HHHdHIH", 2, 0, 0, 2.5, 0, 0, 0)
        + record(0x0006, "<HHH8sHIH", 2, 1, 0, b"\0\0\0\0\0\0\xff\xff", 0, 0, 0)
        + record(0x0207, "<HB4s", 4, 0, b"text")
        + record(0x0006, "<HHH8sHIH", 2, 2, 0, b"\2\0\x07\0\0\0\xff\xff", 0, 0, 0)
        + record(0x0006, "<HHH8sHIH", 2, 3, 0, b"\1\0\x01\0\0\0\xff\xff", 0, 0, 0)
        + record(0x0204, "<HHHHB2s", 2, 4, 0, 2, 0, b"ab")
    )
    (found,) = read_xls(workbook(shared, sheet))
    assert [found.cells[0, column] for column in range(4)] == ["名册", 34.0, 12.34, 1.5]
    assert [found.cells[1, column] for column in range(2)] == [7.0, -8.0]
    assert [found.cells[2, column] for column in range(5)] == [2.5, "text", "#N/A", True, "ab"]


def test_shared_texts_go_on_in_the_next_record_also_within_a_text():
    rows = [[f"{n}" + "名" * (n % 97)] for n in range(600)]
    (sheet,) = read_sheets("roster", make.xls(rows))
    assert [row[0] for row in sheet.rows] == [row[0] for row in rows]


@pytest.mark.parametrize(
    ("form", "is_date"),
    [
        ("yyyy/m/d", True),
        ('[$-804]yyyy"年"m"月"d"日"', True),
        ("h:mm:ss", True),
        ("General", False),
        ("0.00", False),
        ('0"秒"', False),
        ("[Red]0.0", False),
        ("#,##0\\d", False),
        ("@", False),
    ],
)
def test_formats_that_show_a_day_or_a_time(form, is_date):
    assert is_date_format(form) is is_date


def test_a_chain_that_bites_its_tail_ends_in_a_refusal():
    data = bytearray(make.xls([["a"]]))
    directory = struct.unpack_from("<I", data, 48)[0]
    struct.pack_into("<I", data, len(data) - make.SECTOR + 4 * directory, directory)
    with pytest.raises(XlsError):
        read_xls(bytes(data))


@pytest.mark.parametrize("cut", [8, 100, 511, 512, 600])
def test_a_compound_file_that_ends_early_is_refused(cut):
    with pytest.raises((CompoundError, XlsError)):
        open_compound(make.xls([["a"]])[:cut]).read("Workbook")
