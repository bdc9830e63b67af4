"""A school as the demo knows it: two tables, written as the files that a real school would import.

`write_school` makes `roster.xlsx` (学籍名册), `screening.xlsx` (the platform's export), `profile.toml` and
`codebook.toml` in the school's folder. The bytes depend on the tables alone: a fixed date of creation,
fixed times in the zip, no path and no clock.
"""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final, TypeAlias

import xlsxwriter

from fedscreen.demo.errors import DemoDataError
from plan.errors import phrase

CellValue: TypeAlias = str | int | dt.date | None
Rows: TypeAlias = Sequence[Sequence[CellValue]]

ROSTER_FILE: Final = "roster.xlsx"
SCREENING_FILE: Final = "screening.xlsx"
PROFILE_FILE: Final = "profile.toml"
CODEBOOK_FILE: Final = "codebook.toml"

SYSTEM: Final = "6-3"
CREATED: Final = dt.datetime(2020, 1, 1)
SIZE_QUANTILES: Final = (
    *((0.0, 8), (0.05, 26), (0.25, 104), (0.5, 282), (0.75, 670), (0.95, 1340), (1.0, 2063)),
)
"""Pupils in the screened grades of a node: share of nodes with at most so many."""

_EXAMPLES = (Path(__file__).parent / "examples", Path(__file__).parents[2] / "examples")
_CHECK_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


@dataclass(frozen=True, slots=True)
class School:
    """One school and its two tables.

    Attributes:
        id: the node's id, `s01` and so on.
        operator: the school's name; each school has its own operator.
        attributes: public attributes for the roster: county, school_type, deployment (`a` file held by
            the school, `b` vault at the platform, `c` hosted by the central school).
        system: the school system, `6-3`.
        profile: name of its import profile in `examples/profiles`.
        codebook: name of its codebook in `examples/codebooks`.
        roster, screening: header and rows of the two files.
    """

    id: str
    operator: str
    attributes: Mapping[str, str]
    system: str
    profile: str
    codebook: str
    roster: Rows = field(repr=False)
    screening: Rows = field(repr=False)

    @property
    def num_pupils(self) -> int:
        """Give the number of pupils on the roster."""
        return len(self.roster) - 1


def write_school(school: School, folder: Path) -> None:
    """Write the four files of a school into a folder, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ROSTER_FILE).write_bytes(encode_workbook("学籍名册", school.roster))
    (folder / SCREENING_FILE).write_bytes(encode_workbook("测评结果", school.screening))
    (folder / PROFILE_FILE).write_bytes(read_example(f"profiles/{school.profile}.toml"))
    (folder / CODEBOOK_FILE).write_bytes(read_example(f"codebooks/{school.codebook}.toml"))


def encode_workbook(sheet: str, rows: Rows) -> bytes:
    """Make an xlsx workbook with one sheet; the first row is the header.

    Text stays text (a student number never becomes a number), a day becomes a date cell, None stays empty.
    No temporary file is used: that would be slower, and the rows are few.
    """
    target = io.BytesIO()
    book = xlsxwriter.Workbook(target, {"in_memory": True, "default_date_format": "yyyy-mm-dd"})
    book.set_properties({"created": CREATED})
    table = book.add_worksheet(sheet)
    table.freeze_panes(1, 0)
    table.set_column(0, 0, 22)
    for row, cells in enumerate(rows):
        for column, cell in enumerate(cells):
            if isinstance(cell, str):
                table.write_string(row, column, cell)
            elif isinstance(cell, int):
                table.write_number(row, column, cell)
            elif cell is not None:
                table.write_datetime(row, column, cell)
    book.close()
    return target.getvalue()


def read_example(name: str) -> bytes:
    """Read a file of `examples/`, which stands beside the demo in a wheel and at the top of a checkout.

    Raises:
        DemoDataError: it is in neither place.
    """
    for folder in _EXAMPLES:
        if (folder / name).is_file():
            return (folder / name).read_bytes()
    raise DemoDataError(
        phrase(
            "examples/%(name)s is missing: install fedscreen again, or run the demo in a checkout", name=name
        )
    )


def school_sizes(schools: int, pupils: int | None) -> list[int]:
    """Give the numbers of pupils of each school, ascending.

    Sizes follow `SIZE_QUANTILES`; with `pupils` they are scaled to exactly that total, each at least 1.

    Raises:
        DemoDataError: no school, or fewer pupils than schools.
    """
    if schools < 1 or (pupils is not None and pupils < schools):
        raise DemoDataError(phrase("the demo needs at least one school, and one pupil in each"))
    shares = [_quantile(0.5 if schools == 1 else place / (schools - 1)) for place in range(schools)]
    if pupils is None:
        return [round(share) for share in shares]
    spare, total = pupils - schools, sum(shares)
    sizes = [1 + int(spare * share / total) for share in shares]
    rest = pupils - sum(sizes)  # fewer than one for each school
    return [size + (place >= schools - rest) for place, size in enumerate(sizes)]


def _quantile(share: float) -> float:
    for (low, few), (high, many) in pairwise(SIZE_QUANTILES):
        if share <= high:
            return few + (many - few) * (share - low) / (high - low)
    return SIZE_QUANTILES[-1][1]


def student_number(region: int, born: dt.date, sequence: int) -> str:
    """Make a student number (学籍号): G and an 18-character number with its check character.

    Args:
        region: six digits; the demo uses 99…, which no place has.
        born: the birthday in it.
        sequence: three digits; odd for boys, even for girls.
    """
    body = f"{region:06d}{born:%Y%m%d}{sequence:03d}"
    check = sum(weight * int(digit) for weight, digit in zip(_CHECK_WEIGHTS, body, strict=True)) % 11
    return f"G{body}{'10X98765432'[check]}"


def first_birthday(grade: str, school_year: str) -> dt.date:
    """Give the first birthday of a grade's cohort, 1 September: grade 1 are those who turned six."""
    years = 9 + int(grade[1]) if grade.startswith("V") else int(grade)
    return dt.date(int(school_year[:4]) - 6 - years, 9, 1)
