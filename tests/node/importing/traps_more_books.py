"""More traps: workbooks as the programs of this world write them, and as hostile people do."""

from __future__ import annotations

import datetime as dt
import html
import re
from collections.abc import Callable

import book_parts as book
import table_files as make
from book_parts import SHEET, in_both, of_table
from trap_school import Table, TrapSet, both, swap

TRAPS = TrapSet()
right, refused = TRAPS.right, TRAPS.refused
Write = Callable[[Table], bytes]


def _of(ref: str) -> tuple[str, int]:
    letters = ref.rstrip("0123456789")
    return letters, int(ref[len(letters) :])


# ---------------------------------------------------------------- texts


def _with_texts(make_item: Callable[[str], str]) -> Callable[[Table], book.Parts]:
    """Write every text as a shared one, each as the item says."""

    def write(rows: Table) -> book.Parts:
        items: list[str] = []

        def cell(ref: str, value: make.Value) -> str:
            if not isinstance(value, str):
                return book.plain_cell(ref, value)
            items.append(make_item(value))
            return f'<c r="{ref}" t="s"><v>{len(items) - 1}</v></c>'

        return book.shared(of_table(rows, cell), items)

    return write


def _runs(text: str) -> str:
    first, rest = html.escape(text[:1]), html.escape(text[1:])
    return (
        f'<r><rPr><b/><color rgb="FFFF0000"/><rFont val="宋体"/></rPr><t>{first}</t></r>'
        f'<r><t xml:space="preserve">{rest}</t></r>'
    )


right("texts of several runs, half of each red")(in_both(_with_texts(_runs)))
right("texts with their reading above them")(
    in_both(
        _with_texts(
            lambda text: (
                f'<t>{html.escape(text)}</t><rPh sb="0" eb="1"><t>ピンイン</t></rPh><phoneticPr fontId="1"/>'
            )
        )
    )
)
right("texts with escaped line ends")(in_both(_with_texts(lambda t: f"<t>{html.escape(t)}_x000D_\n</t>")))
right("texts in CDATA")(in_both(_with_texts(lambda text: f"<t><![CDATA[{text}]]></t>")))
right("texts of numbers as entities")(
    in_both(_with_texts(lambda text: "<t>" + "".join(f"&#x{ord(char):X};" for char in text) + "</t>"))
)


def _inline_runs(ref: str, value: make.Value) -> str:
    if not isinstance(value, str):
        return book.plain_cell(ref, value)
    return f'<c r="{ref}" t="inlineStr"><is>{_runs(value)}</is></c>'


right("inline texts of several runs")(in_both(lambda rows: of_table(rows, _inline_runs)))


def _numbers_as_texts(ref: str, value: make.Value) -> str:
    return book.plain_cell(ref, str(value) if isinstance(value, int) else value)


right("numbers kept as texts, with a green corner")(
    in_both(
        lambda rows: of_table(
            rows, _numbers_as_texts, after='<ignoredErrors><ignoredError sqref="A1"/></ignoredErrors>'
        )
    )
)
refused("shared text that is not there", ("roster", 0, "", "xlsx-damaged"))(
    swap(
        "roster",
        lambda rows: make.zipped(
            of_table([*rows, [None]], lambda ref, _: f'<c r="{ref}" t="s"><v>7</v></c>')
        ),
    )
)


# ---------------------------------------------------------------- formulas


def _formula(value_xml: Callable[[make.Value], str], columns: str = "I") -> Callable[[Table], book.Parts]:
    """Write one column of the pupils as formulas."""

    def cell(ref: str, value: make.Value) -> str:
        letters, row = _of(ref)
        if letters not in columns.split() or row == 1:
            return book.plain_cell(ref, value)
        kind = ' t="str"' if isinstance(value, str) else ""
        return f'<c r="{ref}"{kind}><f>SUM(J{row}:Q{row})</f>{value_xml(value)}</c>'

    return lambda rows: of_table(rows, cell)


_TOTALS = tuple(("screening", row, "I", "formula-not-computed") for row in range(2, 8))
right("formulas with their values")(
    swap("screening", lambda rows: make.zipped(_formula(lambda value: f"<v>{value}</v>", "I R")(rows)))
)
refused("formulas of a library that never computes", *_TOTALS)(
    swap("screening", lambda rows: make.zipped(_formula(lambda _value: "")(rows)))
)
refused("formulas with an empty value", *_TOTALS)(
    swap("screening", lambda rows: make.zipped(_formula(lambda _value: "<v></v>")(rows)))
)
refused("formulas with a value closed at once", *_TOTALS)(
    swap("screening", lambda rows: make.zipped(_formula(lambda _value: "<v/>")(rows)))
)
refused(
    "nothing but formulas without values",
    *(("screening", row, column, "formula-not-computed") for row in range(2, 8) for column in "IJKLMNOPQ"),
)(
    swap(
        "screening",
        lambda rows: make.zipped(
            book.book(
                book.sheet_xml(
                    rows,
                    lambda ref, value: (
                        f'<c r="{ref}"><f>VLOOKUP(A1,Sheet2!A:B,2,0)</f><v></v></c>'
                        if isinstance(value, int)
                        else book.plain_cell(ref, value)
                    ),
                ),
                workbook='<calcPr calcId="124519" fullCalcOnLoad="1"/>',
            )
        ),
    )
)
refused("formulas with a zero that stands for nothing", *_TOTALS)(
    swap(
        "screening",
        lambda rows: make.zipped(
            book.changed(
                _formula(lambda _value: "<v>0</v>")(rows),
                "xl/workbook.xml",
                ("</workbook>", '<calcPr calcId="124519" fullCalcOnLoad="1"/></workbook>'),
            )
        ),
    )
)
refused(
    "formulas in a column that only finds the pupil",
    *(("screening", r, "B", "formula-not-computed") for r in range(2, 8)),
)(
    swap(
        "screening",
        lambda rows: make.zipped(
            of_table(
                rows,
                lambda ref, value: (
                    f'<c r="{ref}"><f>D1</f></c>'
                    if _of(ref)[0] == "B" and _of(ref)[1] > 1
                    else book.plain_cell(ref, value)
                ),
            )
        ),
    )
)
right("formulas that nobody computed in a column that nobody reads")(
    swap(
        "screening",
        lambda rows: make.zipped(
            of_table(
                [[*row, "排名" if n == 0 else 1] for n, row in enumerate(rows)],
                lambda ref, value: (
                    f'<c r="{ref}"><f>RANK(I2,I:I)</f></c>'
                    if _of(ref)[0] == "S" and _of(ref)[1] > 1
                    else book.plain_cell(ref, value)
                ),
            )
        ),
    )
)


def _errors(error: str) -> Write:
    def cell(ref: str, value: make.Value) -> str:
        if ref == "I3":
            return f'<c r="I3" t="e"><f>1/0</f><v>{error}</v></c>'
        return book.plain_cell(ref, value)

    return lambda rows: make.zipped(of_table(rows, cell))


for _error in (
    "#REF!",
    "#DIV/0!",
    "#NAME?",
    "#VALUE!",
    "#NUM!",
    "#NULL!",
    "#GETTING_DATA",
    "#CALC!",
    "#名称?",
):
    refused(f"failed formula {_error}", ("screening", 3, "I", "formula-error"))(
        swap("screening", _errors(_error))
    )
refused("truth in the place of a score", ("screening", 3, "I", "not-a-number"))(
    lambda school: school.set("screening", 2, "总分", False)
)

# ---------------------------------------------------------------- days

_STYLES = (
    '<numFmts count="5"><numFmt numFmtId="176" '
    'formatCode="[$-804]yyyy&quot;年&quot;m&quot;月&quot;d&quot;日&quot;;@"/>'
    '<numFmt numFmtId="177" formatCode="G/通用格式"/><numFmt numFmtId="178" formatCode="0_ ;[Red]\\-0\\ "/>'
    '<numFmt numFmtId="179" formatCode="[DBNum1][$-804]yyyy年m月"/>'
    '<numFmt numFmtId="180" formatCode="0.00%"/></numFmts>'
    '<cellXfs count="5"><xf numFmtId="0"/><xf numFmtId="{day}" applyNumberFormat="1"/><xf numFmtId="177"/>'
    '<xf numFmtId="178"/><xf numFmtId="180"/></cellXfs>'
)


def _styled(day: int, number: int) -> Write:
    def cell(ref: str, value: make.Value) -> str:
        made = book.plain_cell(ref, value)
        return made.replace(f'r="{ref}"><v>', f'r="{ref}" s="{number}"><v>')

    return lambda rows: make.zipped(
        book.book(book.sheet_xml(rows, cell), styles=_STYLES.replace("{day}", str(day)))
    )


for _format in (22, 30, 31, 57, 58, 176, 179):
    right(f"days in the format {_format}")(both(_styled(_format, 0)))
right("numbers in the general format of China")(both(_styled(14, 2)))
right("numbers that are red below zero")(both(_styled(14, 3)))


def _book_1904(rows: Table) -> book.Parts:
    moved = [
        [cell - dt.timedelta(days=1462) if isinstance(cell, dt.date) else cell for cell in row]
        for row in rows
    ]
    return book.changed(
        of_table(moved), "xl/workbook.xml", ("<sheets>", '<workbookPr date1904="1"/><sheets>')
    )


right("a workbook of a Mac that counts from 1904")(in_both(_book_1904))
refused(
    "days beyond the calendar",
    ("screening", 3, "F", "date-form"),
)(
    swap(
        "screening",
        lambda rows: make.zipped(
            book.changed(
                of_table(rows), SHEET, ('<c r="F3" s="1"><v>46285</v>', '<c r="F3" s="1"><v>99999999</v>')
            )
        ),
    )
)
refused(
    "a day before the calendar",
    ("screening", 3, "F", "date-form"),
)(
    swap(
        "screening",
        lambda rows: make.zipped(
            book.changed(of_table(rows), SHEET, ('<c r="F3" s="1"><v>46285</v>', '<c r="F3" s="1"><v>-5</v>'))
        ),
    )
)


def _iso_day(ref: str, value: make.Value) -> str:
    return (
        f'<c r="{ref}" s="1" t="d"><v>{value.isoformat()}T00:00:00</v></c>'
        if isinstance(value, dt.date)
        else book.plain_cell(ref, value)
    )


def _strict(rows: Table) -> book.Parts:
    parts = of_table(rows, _iso_day)
    transitional = "http://schemas.openxmlformats.org/officeDocument/2006"
    return {
        name: data.replace(book.MAIN.encode(), book.STRICT.encode()).replace(
            transitional.encode(), b"http://purl.oclc.org/ooxml/officeDocument"
        )
        for name, data in parts.items()
    }


right("a workbook of the strict kind")(in_both(_strict))

# ---------------------------------------------------------------- sheets

right("a table with filter, frozen header, hidden rows and columns, comments and checks")(
    in_both(
        lambda rows: of_table(
            rows,
            before='<sheetPr filterMode="1"/><dimension ref="A1:R9"/>'
            '<sheetViews><sheetView workbookViewId="0">'
            '<pane ySplit="1" topLeftCell="A2" state="frozen"/></sheetView></sheetViews>'
            '<cols><col min="2" max="4" width="0" hidden="1"/></cols>',
            after='<autoFilter ref="A1:R9"/><dataValidations count="1">'
            '<dataValidation type="list" sqref="C2:C9">'
            '<formula1>"男,女"</formula1></dataValidation></dataValidations><legacyDrawing r:id="r4"/>',
            row_attributes=' hidden="1" spans="1:18" ht="14.25" customHeight="1"',
        )
    )
)
for _ref in ("A1", "A1:XFD1048576", "", "Z900:AA901", "A1:A0"):
    right(f"a dimension that says {_ref or 'nothing'}")(
        in_both(
            lambda rows, ref=_ref: of_table(
                rows, before=f'<dimension ref="{ref}"/>' if ref else "<dimension/>"
            )
        )
    )
right("cells without a place")(
    in_both(
        lambda rows: {
            **of_table(rows),
            SHEET: re.sub(
                rb' r="[A-Z]*[0-9]+"',
                b"",
                book.sheet_xml(rows, lambda ref, value: book.plain_cell(ref, value) or "<c/>"),
            ),
        }
    )
)
refused("a very hidden sheet with the table", ("roster", 0, "", "header-not-found"))(
    swap(
        "roster",
        lambda rows: make.xlsx([["这里没有表"]], rows, hidden=[1]).replace(b"hidden", b"hidden"),
    )
)
right("the only sheet is very hidden")(
    in_both(lambda rows: book.book(book.sheet_xml(rows), state=' state="veryHidden"'))
)
right("grade and class merged over their pupils")(
    lambda school: (
        [row.__setitem__(4, None) for row in school.roster[2:5]],
        [row.__setitem__(4, None) for row in school.roster[6:]],
        school.more.update(roster=make.xls(school.roster, merged=[(1, 4, 4, 4), (5, 4, 8, 4)])),
    )
)
refused("a name merged over two rows", ("roster", 3, "A", "empty-cell"))(
    lambda school: (
        school.roster[2].__setitem__(0, None),
        school.more.update(roster=make.xlsx(school.roster, merged=[(1, 1, 2, 1)])),
    )
)
right("merged ranges beyond the table")(
    lambda school: school.more.update(
        roster=make.xlsx(school.roster, merged=[(0, 30, 1048575, 31), (9, 0, 1048575, 0)])
    )
)
right("a chart in front of the table")(
    in_both(
        lambda rows: {
            **book.changed(
                book.changed(
                    of_table(rows),
                    "xl/workbook.xml",
                    ("<sheets>", '<sheets><sheet name="图" sheetId="2" r:id="r5"/>'),
                ),
                "xl/_rels/workbook.xml.rels",
                (
                    "</Relationships>",
                    f'<Relationship Id="r5" Type="{book.RELATIONS}/chartsheet" '
                    'Target="chartsheets/sheet1.xml"/></Relationships>',
                ),
            ),
            "xl/chartsheets/sheet1.xml": b"<chartsheet/>",
        }
    )
)
