"""More traps: old workbooks (.xls, .et), as programs write them and as hostile people do."""

from __future__ import annotations

import datetime as dt
import struct
from collections.abc import Callable

import biff_records as biff
import table_files as make
from trap_school import School, Table, TrapSet, both, swap

TRAPS = TrapSet()
right, refused = TRAPS.right, TRAPS.refused


def _book(cell: biff.Cell = biff.label, **about: object) -> Callable[[Table], bytes]:
    return lambda rows: biff.workbook([biff.sheet(rows, cell)], **about)  # type: ignore[arg-type]


def _as_formulas(row: int, column: int, value: make.Value) -> bytes:
    is_plain = row == 0 or value is None or isinstance(value, dt.date)
    return biff.label(row, column, value) if is_plain else biff.formula(row, column, value)


def _small_numbers(row: int, column: int, value: make.Value) -> bytes:
    """Write numbers as hundredths in 30 bits."""
    if not isinstance(value, int) or isinstance(value, bool):
        return biff.label(row, column, value)
    return biff.record(0x027E, struct.pack("<HHHI", row, column, 0, (value * 100) << 2 | 3))


right("texts within cells, narrow and wide")(both(_book()))
right("formulas with their values, numbers and texts")(both(_book(_as_formulas)))
right("numbers as hundredths")(both(_book(_small_numbers)))
right("many numbers in one record")(
    swap(
        "screening",
        lambda rows: biff.workbook(
            [
                biff.sheet(
                    [
                        [None if 8 <= c < 17 and r else v for c, v in enumerate(row)]
                        for r, row in enumerate(rows)
                    ],
                    after=b"".join(
                        biff.record(
                            0x00BD,
                            struct.pack("<HH", r, 8)
                            + b"".join(struct.pack("<HI", 0, int(str(v)) << 2 | 2) for v in row[8:17])
                            + struct.pack("<H", 16),
                        )
                        for r, row in enumerate(rows)
                        if r
                    ),
                )
            ]
        ),
    )
)
for _number in (22, 31, 57):
    right(f"days in the format {_number}")(both(_book(formats=(0, _number))))
for _code in ('yyyy"年"m"月"d"日";@', "[DBNum1][$-804]yyyy年m月d日", "[$-F800]dddd\\,\\ mmmm\\ dd\\,\\ yyyy"):
    right(f"days in the format {_code}")(
        both(_book(formats=(0, 200), more=biff.record(0x041E, struct.pack("<H", 200) + biff.text(_code))))
    )
right("numbers in the general format of China, with red and with units")(
    both(
        _book(
            formats=(200, 14),
            more=biff.record(0x041E, struct.pack("<H", 200) + biff.text('G/通用格式"分";[Red]\\-0')),
        )
    )
)


def _of_1904(rows: Table) -> bytes:
    moved = [[c - dt.timedelta(days=1462) if isinstance(c, dt.date) else c for c in row] for row in rows]
    return _book(more=biff.record(0x0022, b"\x01\x00"))(moved)


right("an old workbook of a Mac that counts from 1904")(both(_of_1904))
right("durations of an old workbook of a Mac")(
    lambda school: (
        school.column("screening", "用时", lambda _: 123 / 86400),
        school.more.update(
            screening=biff.workbook(
                [
                    biff.sheet(
                        [
                            [c - dt.timedelta(days=1462) if isinstance(c, dt.date) else c for c in row]
                            for row in school.screening
                        ],
                        lambda r, c, v: (
                            biff.label(r, c, v).replace(
                                struct.pack("<HHH", r, c, 0), struct.pack("<HHH", r, c, 1 + (c == 6))
                            )
                            if c == 6 and r
                            else biff.label(r, c, v)
                        ),
                    )
                ],
                more=biff.record(0x0022, b"\x01\x00"),
                formats=(0, 14, 21),
            )
        ),
    )
)
right("a very hidden sheet that is the only one")(both(_book(state=2)))
right("a name of four bytes for each character in an old workbook")(
    lambda school: (
        school.set("roster", 1, "姓名", "𠀀𬎆测"),
        school.set("screening", 1, "姓名", "𠀀𬎆测"),
        school.drop("screening", "学籍号"),
        both(_book())(school),
    )
)
right("records that nobody knows")(
    both(
        lambda rows: biff.workbook(
            [biff.sheet(rows, before=biff.record(0x0868, bytes(40)), after=biff.record(0x08A8, bytes(8000)))],
            more=biff.record(0x01C1, bytes(8))
            + biff.record(0x00EB, bytes(4000))
            + biff.record(0x003C, bytes(400)),
        )
    )
)
right("a chart within the sheet")(
    both(
        lambda rows: biff.workbook(
            [
                biff.sheet(
                    rows,
                    after=biff.record(0x0809, struct.pack("<HHHHII", 0x0600, 0x0020, 0, 0, 0, 0))
                    + biff.record(0x0203, struct.pack("<HHHd", 1, 0, 0, 7))
                    + biff.record(0x000A),
                )
            ]
        )
    )
)
for _name, _error in {"#N/A": 0x2A, "#DIV/0!": 7, "#REF!": 0x17}.items():
    refused(f"failed formula {_name}", ("screening", 3, "I", "formula-error"))(
        swap(
            "screening",
            _book(
                lambda r, c, v, e=_error: (
                    biff.record(0x0205, struct.pack("<HHHBB", r, c, 0, e, 1))
                    if (r, c) == (2, 8)
                    else biff.label(r, c, v)
                )
            ),
        )
    )
refused("formula with an empty text", ("screening", 3, "I", "empty-cell"))(
    swap(
        "screening",
        _book(lambda r, c, v: biff.formula(r, c, None) if (r, c) == (2, 8) else biff.label(r, c, v)),
    )
)
for _name, _value in {"nan": float("nan"), "endless": float("inf"), "huge": 1e300}.items():
    refused(f"a number that is {_name}", ("screening", 3, "I", "not-a-number"))(
        lambda school, v=_value: (
            school.set("screening", 2, "总分", v), school.more.update(screening=_book()(school.screening)),
        )
    )  # fmt: skip
refused("a day that is nan", ("screening", 3, "F", "date-form"))(
    swap(
        "screening",
        _book(
            lambda r, c, v: (
                biff.record(0x0203, struct.pack("<HHHd", r, c, 1, float("nan")))
                if (r, c) == (2, 5)
                else biff.label(r, c, v)
            )
        ),
    )
)

# ---------------------------------------------------------------- older, and others

_RAW = biff.record(0x0809, struct.pack("<HHHHHH", 0, 0x10, 0, 0, 0, 0)[:8])
for _name, _data in {
    "the first bytes of a web program's export": _RAW + biff.record(0x0204, bytes(12)) + biff.record(0x0A),
    "a bare stream of Excel 97": biff.record(0x0809, biff.BOF) + biff.record(0x0A),
    "Excel 2": biff.record(0x0009, bytes(4)),
    "Excel 4": biff.record(0x0409, bytes(6)),
    "Excel 5 in a container": make.compound(
        {"Book": biff.record(0x0809, struct.pack("<HHHH", 0x0500, 5, 0, 0)) + biff.record(0x0A)}
    ),
    "Excel 5 under the new name": make.compound(
        {"Workbook": biff.record(0x0809, struct.pack("<HHHH", 0x0500, 5, 0, 0)) + biff.record(0x0A)}
    ),
}.items():
    refused(f"too old: {_name}", ("roster", 0, "", "xls-too-old"))(swap("roster", lambda _, data=_data: data))
refused("a mail of Outlook", ("roster", 0, "", "not-a-table"))(
    swap("roster", lambda _: make.compound({"__properties_version1.0": bytes(900)}))
)

# ---------------------------------------------------------------- damaged and hostile


def _spoilt(change: Callable[[bytearray], object]) -> Callable[[Table], bytes]:
    def write(rows: Table) -> bytes:
        data = bytearray(_book()(rows))
        change(data)
        return bytes(data)

    return write


def _many_difats(data: bytearray) -> None:
    """Let a chain of allocation tables bite its tail: each turn lists the same tables once more."""
    block = len(data) // 512 - 1
    data += struct.pack("<128I", *([block - 1] * 127), block) * 2
    data += bytes(3 << 20)
    struct.pack_into("<II", data, 68, block, len(data) // 512 - 1)


def _put(place: int, value: int) -> Callable[[bytearray], None]:
    return lambda data: struct.pack_into("<I", data, place, value)


for _name, _change in {
    "allocation tables without end": _many_difats,
    "a directory beyond the file": _put(48, 0x7FFFFFF0),
    "sectors of a strange size": lambda data: data.__setitem__(30, 31),
    "a stream that is longer than the file": lambda data: data.__setitem__(
        slice(
            data.find("Workbook".encode("utf-16-le")) + 120, data.find("Workbook".encode("utf-16-le")) + 124
        ),
        b"\xff\xff\xff\x7f",
    ),
}.items():
    refused(f"an old workbook with {_name}", ("roster", 0, "", "xls-damaged"))(
        swap("roster", _spoilt(_change))
    )
refused("a directory that is the workbook", ("roster", 0, "", "not-a-table"))(
    swap("roster", _spoilt(_put(48, 0)))
)
refused("a sheet that begins in the middle of another", ("roster", 0, "", "xls-damaged"))(
    swap(
        "roster",
        lambda rows: biff.workbook([biff.sheet(rows)]).replace(
            b"\x09\x08\x10\x00\x00\x06\x10", b"\x0a\x08\x10\x00\x00\x06\x10"
        ),
    )
)
refused("a hundred sheets that are one and the same", ("roster", 0, "", "xls-damaged"))(
    swap("roster", lambda rows: biff.workbook([biff.sheet([*rows, *([["x"]] * 60_000)])], starts=[0] * 100))
)
refused("four thousand million shared texts", ("roster", 0, "", "xls-damaged"))(
    swap(
        "roster",
        _book(
            more=biff.record(0x00FC, struct.pack("<II", 1, 0xFFFFFFFF) + bytes(7998))
            + biff.record(0x003C, bytes(8190)) * 2400
        ),
    )
)
refused("a cell in row 65,536", ("roster", 0, "", "too-many-rows"))(
    swap("roster", lambda rows: biff.workbook([biff.sheet(rows, after=biff.label(65535, 0, "x"))]))
)
refused("a cell beyond the last column", ("roster", 0, "", "xls-damaged"))(
    swap("roster", lambda rows: biff.workbook([biff.sheet(rows, after=biff.label(1, 300, "x"))]))
)
refused("a shared text that is not there", ("roster", 0, "", "xls-damaged"))(
    swap(
        "roster",
        lambda rows: biff.workbook(
            [biff.sheet(rows, after=biff.record(0xFD, struct.pack("<HHHI", 9, 0, 0, 5)))]
        ),
    )
)
refused("merged ranges without end", ("roster", 0, "", "xls-damaged"))(
    swap(
        "roster",
        lambda rows: biff.workbook([biff.sheet(rows, after=biff.record(0xE5, struct.pack("<H", 65535)))]),
    )
)


@right("merged ranges over the whole sheet, a thousand times")
def _(school: School) -> None:
    ranges = struct.pack("<H", 1000) + struct.pack("<HHHH", 9, 65535, 0, 255) * 1000
    school.more["roster"] = biff.workbook([biff.sheet(school.roster, after=biff.record(0xE5, ranges))])


right("a format of eight thousand quotes behind a hundred thousand styles")(
    swap(
        "roster",
        lambda rows: biff.workbook(
            [biff.sheet(rows)],
            formats=[0, 14, *([200] * 100_000)],
            more=biff.record(0x041E, struct.pack("<H", 200) + biff.text('"' * 8000)),
        ),
    )
)
