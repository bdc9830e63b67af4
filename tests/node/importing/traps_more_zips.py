"""More traps: parts and zips of workbooks, as programs write them and as hostile people do."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable

import book_parts as book
import table_files as make
from book_parts import SHEET, in_both, of_table
from trap_school import NAMES, Table, TrapSet, both, swap

TRAPS = TrapSet()
right, refused = TRAPS.right, TRAPS.refused


# ---------------------------------------------------------------- parts


def _without(*names: str) -> Callable[[Table], book.Parts]:
    return lambda rows: {name: data for name, data in of_table(rows).items() if name not in names}


right("a workbook without styles", changes_records=False)(in_both(_without("xl/styles.xml")))
right("a workbook without shared texts")(in_both(of_table))
right("a workbook without content types")(in_both(_without("[Content_Types].xml")))
refused("a workbook without its sheet", ("roster", 0, "", "xlsx-damaged"))(
    swap("roster", lambda rows: make.zipped(_without(SHEET)(rows)))
)
right("parts named from the root")(
    in_both(
        lambda rows: book.changed(
            of_table(rows),
            "xl/_rels/workbook.xml.rels",
            ('"worksheets/', '"/xl/worksheets/'),
            ('"styles', '"/xl/styles'),
        )
    )
)
right("parts in capitals")(
    in_both(
        lambda rows: {
            name.replace("workbook.xml", "Workbook.xml") if name == "xl/workbook.xml" else name: data
            for name, data in of_table(rows).items()
        }
    )
)
right("names of parts with backslashes")(
    in_both(lambda rows: {name.replace("/", "\\"): data for name, data in of_table(rows).items()})
)
right("macros beside the table")(
    in_both(lambda rows: {**of_table(rows), "xl/vbaProject.bin": b"\xd0\xcf\x11\xe0" + bytes(900)})
)
refused("parts with a path from the root", ("roster", 0, "", "not-xlsx"))(
    swap("roster", lambda rows: make.zipped({f"/{name}": data for name, data in of_table(rows).items()}))
)
right("a zip of a program that streams")(both(lambda rows: book.streamed(of_table(rows))))
right("a zip of 64 bits")(both(lambda rows: book.zip64(of_table(rows))))
right("rubbish behind the zip")(both(lambda rows: make.zipped(of_table(rows)) + bytes(3000)))
right("a zip with a remark")(both(lambda rows: _remarked(of_table(rows))))
for _name, _about in {"that says it is encrypted": {"flags": 1}, "with a wrong checksum": {"crc_off": 1},
                      "packed in a strange way": {"method": 93}}.items():  # fmt: skip
    refused(f"a zip {_name}", ("roster", 0, "", "password" if "flags" in _about else "xlsx-damaged"))(
        swap("roster", lambda rows, about=_about: book.raw_zip([*of_table(rows).items()], **about))
    )
refused("a zip with a part twice", ("roster", 0, "", "xlsx-damaged"))(
    swap(
        "roster",
        lambda rows: book.raw_zip([*of_table(rows).items(), (SHEET, book.sheet_xml(rows[:3]))]),
    )
)
refused("a zip of ten thousand parts", ("roster", 0, "", "xlsx-damaged"))(
    swap("roster", lambda rows: make.zipped({**of_table(rows), **{f"x/{n}": b"" for n in range(10_000)}}))
)
refused("a Word document of today", ("roster", 0, "", "not-xlsx"))(
    swap("roster", lambda _: make.zipped({"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<w/>"}))
)
refused("a table of Numbers", ("roster", 0, "", "not-xlsx"))(
    swap(
        "roster", lambda _: make.zipped({"Index/Document.iwa": bytes(90), "Metadata/Properties.plist": b"x"})
    )
)


def _remarked(parts: book.Parts) -> bytes:
    target = io.BytesIO(make.zipped(parts))
    with zipfile.ZipFile(target, "a") as archive:
        archive.comment = b"made by a school" * 100
    return target.getvalue()


# ---------------------------------------------------------------- hostile


def _first_text(ref: str, _value: make.Value) -> str:
    return f'<c r="{ref}" t="s"><v>0</v></c>'


refused("texts that grow by entities", ("roster", 0, "", "xlsx-damaged"))(
    swap(
        "roster",
        lambda rows: make.zipped(
            book.changed(
                book.shared(of_table(rows, _first_text), ["<t>&c;</t>"]),
                "xl/sharedStrings.xml",
                (
                    "<sst",
                    '<!DOCTYPE s [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;"><!ENTITY c "&b;&b;">]><sst',
                ),
            )
        ),
    )
)
refused("a text from another file", ("roster", 0, "", "xlsx-damaged"))(
    swap(
        "roster",
        lambda rows: make.zipped(
            book.changed(
                book.shared(of_table(rows, _first_text), ["<t>&c;</t>"]),
                "xl/sharedStrings.xml",
                ("<sst", '<!DOCTYPE s [<!ENTITY c SYSTEM "file:///etc/passwd">]><sst'),
            )
        ),
    )
)
refused("twelve million shared texts", ("roster", 0, "", "too-many-rows"))(
    swap(
        "roster",
        lambda rows: make.zipped(
            {
                **book.shared(of_table(rows), []),
                "xl/sharedStrings.xml": b"<sst>" + b"<si/>" * 12_000_000 + b"</sst>",
            }
        ),
    )
)
refused("eleven million rows without a number", ("roster", 0, "", "too-many-rows"))(
    swap(
        "roster",
        lambda rows: make.zipped(
            book.changed(of_table(rows), SHEET, ("</sheetData>", "<row/>" * 10_000_000 + "</sheetData>"))
        ),
    )
)
right("a format on each of 600,000 rows")(
    lambda school: school.more.update(
        roster=make.zipped(
            book.changed(
                of_table(school.roster),
                SHEET,
                (
                    "</sheetData>",
                    "".join(f'<row r="{n}" s="1"><c r="A{n}" s="1"/></row>' for n in range(10, 600_000))
                    + "</sheetData>",
                ),
            )
        )
    )
)
refused("a text that is longer than its cell may be", ("roster", 3, "B", "text-too-long"))(
    lambda school: school.more.update(
        roster=make.zipped(
            of_table([[("ﷺ" * 3_000_000 if c == NAMES[1] else c) for c in row] for row in school.roster])
        )
    )
)


def _named_again(rows: Table, times: int) -> bytes:
    """Name the only sheet's part many times more in the list of sheets."""
    names = "".join(f'<sheet name="S{n}" sheetId="{n + 2}" r:id="r1"/>' for n in range(times))
    return make.zipped(book.changed(of_table(rows), "xl/workbook.xml", ("</sheets>", names + "</sheets>")))


refused("a large sheet that is named four hundred times", ("roster", 0, "", "too-many-rows"))(
    swap("roster", lambda rows: _named_again([*rows, *([[1, *[None] * 190, 1]] * 7_000)], 400))
)
refused("a small sheet that is named a hundred thousand times", ("roster", 0, "", "xlsx-damaged"))(
    swap("roster", lambda rows: _named_again(rows, 100_000))
)
refused("a sheet that is no XML", ("roster", 0, "", "xlsx-damaged"))(
    swap("roster", lambda rows: make.zipped({**of_table(rows), SHEET: b"\x89PNG" + bytes(range(1, 256))}))
)
refused("a sheet cut in the middle", ("roster", 0, "", "xlsx-damaged"))(
    swap("roster", lambda rows: make.zipped({**of_table(rows), SHEET: book.sheet_xml(rows)[:1500]}))
)
