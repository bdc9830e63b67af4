"""More traps: text files, as platforms, databases and people write and spoil them."""

from __future__ import annotations

import csv
import io

import table_files as make
from trap_school import School, Table, TrapSet, both, number, swap

TRAPS = TrapSet()
right, refused = TRAPS.right, TRAPS.refused


def _lines(rows: Table, end: str = "\r\n") -> str:
    return make.text(rows, "utf-8", end=end).decode()


def _quoted(rows: Table, **how: object) -> bytes:
    target = io.StringIO(newline="")
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    csv.writer(target, quoting=csv.QUOTE_ALL, **how).writerows(cells)  # type: ignore[arg-type]
    return target.getvalue().encode()


# ---------------------------------------------------------------- encodings

right("GB18030 with a mark")(both(lambda rows: b"\x84\x31\x95\x33" + make.text(rows, "gb18030")))
right("UTF-16 without a mark, mostly Chinese")(both(lambda rows: make.text(rows, "utf-16-le", "\t")))
right("UTF-16 of the other order with a mark")(
    both(lambda rows: b"\xfe\xff" + make.text(rows, "utf-16-be", ";"))
)
right("a mark in front of each of two files put together", ("screening", 5, "", "header-again"))(
    swap(
        "screening",
        lambda rows: make.text(rows[:4], "utf-8-sig") + make.text([rows[0], *rows[4:]], "utf-8-sig"),
    )
)
right("two marks")(both(lambda rows: b"\xef\xbb\xbf" + make.text(rows, "utf-8-sig")))
refused("UTF-7", ("screening", 0, "", "header-not-found"))(
    swap("screening", lambda rows: make.text(rows, "utf-7"))
)
refused("UTF-32", ("screening", 0, "", "file-not-text"))(
    swap("screening", lambda rows: make.text(rows, "utf-32"))
)
refused("HZ", ("screening", 0, "", "header-not-found"))(swap("screening", lambda rows: make.text(rows, "hz")))
refused("Big5", ("screening", 0, "", "header-not-found"))(
    swap("screening", lambda _: make.text([["學籍號", "姓名", "總分"], [number(1), "趙甲", 34]], "big5"))
)
refused("half of it in UTF-8, half in GBK", ("screening", 4, "", "text-damaged"))(
    swap("screening", lambda rows: make.text(rows[:3]) + make.text(rows[3:], "gbk"))
)
refused("UTF-8 that was read as GBK and saved", ("screening", 1, "", "text-damaged"))(
    swap("screening", lambda rows: make.text(rows).decode("gbk", "replace").replace("\ufffd", "?").encode())
)
refused("UTF-8 that was read as Latin-1 and saved", ("screening", 1, "", "text-damaged"))(
    swap("screening", lambda rows: make.text(rows).decode("latin-1").encode())
)
refused("question marks for all Chinese", ("screening", 1, "", "text-damaged"))(
    swap("screening", lambda rows: make.text(rows).decode().encode("ascii", "replace"))
)
refused("zero bytes between cells", ("screening", 0, "", "file-not-text"))(
    swap("screening", lambda rows: make.text(rows).replace(b",", b"\0,", 3))
)
right("zero bytes behind the end")(both(lambda rows: make.text(rows, "gb18030") + bytes(512)))
refused("control characters in a number", ("screening", 3, "A", "student-no-form"))(
    swap(
        "screening", lambda rows: make.text(rows).replace(b"G99000120150901002X", b"G99000120150901\x08002X")
    )
)

# ---------------------------------------------------------------- separators, quotes, line ends

right("everything in quotes")(both(_quoted))
right("everything in quotes, apart by semicolons")(both(lambda rows: _quoted(rows, delimiter=";")))
right("blanks behind each separator and before quotes")(
    both(lambda rows: _quoted(rows).replace(b'","', b'", "'))
)
right("fields padded to one width")(
    both(
        lambda rows: make.text(
            [[f"{'' if cell is None else cell}".ljust(24) for cell in row] for row in rows], "gb18030"
        )
    )
)
right("line ends of three systems in one file")(
    both(
        lambda rows: "".join(
            line + ("\r\n", "\n", "\r")[n % 3] for n, line in enumerate(_lines(rows).splitlines())
        ).encode()
    )
)
right("line ends that were doubled")(both(lambda rows: make.text(rows, end="\r\r\n")))
right("an apostrophe in front of each cell")(
    both(lambda rows: make.text([[f"'{'' if cell is None else cell}" for cell in row] for row in rows]))
)
right("no line end behind the last row")(both(lambda rows: make.text(rows).rstrip()))
right("a separator behind each row")(both(lambda rows: make.text([[*row, None, None] for row in rows])))
right("sep= with a mark in UTF-16")(
    both(lambda rows: ("sep=\t\r\n" + _lines(rows).replace(",", "\t")).encode("utf-16"))
)
right("line ends and quotes within cells of columns that nobody reads")(
    both(
        lambda rows: make.text([[*row, "备注" if n == 0 else 'a "b"\n,c\r\nd'] for n, row in enumerate(rows)])
    )
)
right("line ends within headers")(
    swap("screening", lambda rows: make.text([[f"{str(c)[:2]}\n{str(c)[2:]}" for c in rows[0]], *rows[1:]]))
)
right("tabs with many commas in a remark above")(
    swap("screening", lambda rows: "说明:一,二,三,四\t\n".encode() + make.text(rows, separator="\t"))
)
refused("a quote that is never closed", ("screening", 3, "", "csv-damaged"))(
    swap("screening", lambda rows: make.text(rows).replace(b"G99000120150901002X", b'"G99000120150901002X'))
)
refused("separators of full width", ("screening", 0, "", "header-not-found"))(
    swap("screening", lambda rows: make.text(rows).decode().replace(",", "，").encode())
)
refused("columns apart by blanks only", ("screening", 0, "", "header-not-found"))(
    swap("screening", lambda rows: make.text(rows, separator=" "))
)
refused("one column", ("screening", 0, "", "wrong-file"))(
    lambda school: (
        school.drop("screening", *[str(c) for c in school.screening[0] if c not in ("学籍号",)]),
        school.more.update(screening=make.text(school.screening)),
    )
)
refused("300 columns", ("screening", 0, "", "too-many-columns"))(
    swap("screening", lambda rows: make.text([[*row, *(f"题{n}" for n in range(300))] for row in rows]))
)
refused("a row that is cut short", ("screening", 8, "D", "empty-cell"))(
    lambda school: (
        school.screening.append([number(8), "王测试辛", "女"]),
        school.more.update(screening=make.text(school.screening)),
    )
)
right("180 columns of answers beside")(
    swap(
        "screening",
        lambda rows: make.text(
            [[*row, *(f"{n}.题" if i == 0 else 1 for n in range(180))] for i, row in enumerate(rows)]
        ),
    )
)


# ---------------------------------------------------------------- much, and nothing

right("a million empty rows below")(both(lambda rows: make.text(rows) + b",,,,,,,,\r\n" * 300_000))
right("a million empty lines below")(both(lambda rows: make.text(rows) + b"\n" * 500_000))
refused("sixty thousand rows", ("screening", 0, "", "too-many-rows"))(
    swap("screening", lambda rows: make.text(rows) + make.text([["x", 1]]) * 60_000)
)
refused("thirty million line ends", ("screening", 0, "", "too-many-rows"))(
    swap("screening", lambda rows: make.text(rows) + b"\n" * 30_000_000)
)
refused("thirty million separators", ("screening", 0, "", "too-many-columns"))(
    swap("screening", lambda rows: make.text(rows) + b"," * 30_000_000)
)
refused("a cell of thirty million characters", ("screening", 8, "", "csv-damaged"))(
    swap("screening", lambda rows: make.text(rows) + b"x" * 30_000_000)
)
refused(
    "cells of characters that grow when they are normalised",
    ("screening", 2, "A", "text-too-long"),
    *(("screening", row, "C", "text-too-long") for row in (2, 3)),
)(
    lambda school: (
        school.set("screening", 1, "学籍号", "ﷺ" * 1300),
        school.set("screening", 1, "性别", "ﷺ" * 30_000),
        school.set("screening", 2, "性别", "男" + " " * 2000 + "女"),
        school.more.update(
            screening=make.text(
                [[*row, "备注" if n == 0 else "ﷺ" * 30_000] for n, row in enumerate(school.screening)]
            )
        ),
    )
)
refused("a file over the bound", ("screening", 0, "", "file-too-large"))(
    swap("screening", lambda rows: bytes(33 << 20))
)
refused("nothing but blanks", ("screening", 0, "", "header-not-found"))(
    swap("screening", lambda _: b" \r\n\t\r\n")
)
refused("nothing but a mark", ("screening", 0, "", "header-not-found"))(
    swap("screening", lambda _: b"\xef\xbb\xbf")
)

# ---------------------------------------------------------------- other things under that name

for _name, _page in {
    "with a remark first": b"<!--[if gte mso 9]><xml></xml><![endif]--><table><tr><td>1</td></tr></table>",
    "of a table only": b"\n<TABLE border=1><tr><td>G9</td></tr></TABLE>",
    "of rows only": b"<tr><td>1</td></tr>",
    "in UTF-16": "\ufeff<html><body/></html>".encode("utf-16-le"),
    "of the flat OpenDocument kind": b'<?xml version="1.0"?><office:document xmlns:office="x"/>',
}.items():
    refused(f"web page {_name}", ("screening", 0, "", "web-page"))(
        swap("screening", lambda _, page=_page: page)
    )
refused("web archive of a browser", ("screening", 0, "", "web-page"))(
    swap("screening", lambda _: b"From: <Saved by Blink>\r\nMIME-Version: 1.0\r\n")
)
refused("answer of a server that wants a login", ("screening", 0, "", "server-answer"))(
    swap("screening", lambda _: '{"code":401,"msg":"请先登录","data":null}'.encode())
)
refused("SYLK", ("screening", 0, "", "header-not-found"))(
    swap("screening", lambda _: b'ID;PWXL;N;E\r\nC;Y1;X1;K"G9"\r\nE\r\n')
)
refused("dBase", ("screening", 0, "", "file-not-text"))(
    swap("screening", lambda _: b"\x03\x7a\x09\x14" + bytes(28) + b"XM" + bytes(30) + b"\x0d")
)


@refused("csv with a formula that a spreadsheet would run", ("screening", 3, "I", "not-a-number"))
def _(school: School) -> None:
    school.set("screening", 2, "总分", "=1+33")
    school.more["screening"] = make.text(school.screening)
