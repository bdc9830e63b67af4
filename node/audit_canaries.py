"""Planted pupils for the self-test: made anew for every run, so that no program can know them beforehand.

Each has a name of rare characters, a student number with a valid ID number in it, a mobile number and a
guardian's name in columns that the import does not use, a class and a number of the school's own, and a row
of eight scores that no other has. `canary_patterns` spells all of them, and the exact tables that they make.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from node.audit_identifiers import is_id_number
from node.audit_spellings import of_code, of_numbers, of_text
from plan.codebook import parse_codebook_toml
from plan.codes import school_year_of
from plan.document import PlanDocument, parse_plan_toml
from plan.publishing import pin_codebook, resolve

Entropy = Callable[[int], bytes]

NUM_PUPILS = 24
SCHOOLS = 6
SYSTEM = "6-3"
FACTORS = 8
HIGHEST_SCORE = 15
GRADES = ("7", "8")
LEVELS = ("正常", "一级", "二级", "三级")
REGION = "99"  # no place has a number that begins like this
_NAME_CHARS = "麴犇骉黌淼鑫燚垚𠮷霏㴓婳翀翯彧翾龘靐齉爨灪麤鱻飍馫厵纞虋讟饢籲鸞鬱麣龖爩"
_FAMILY_NAMES = ("欧阳", "慕容", "皇甫", "尉迟", "纳兰", "上官", "东方", "百里")
_CODE_CHARS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_STRETCH = 12

_PROFILE = """
id = "trial"
version = "1"
title = "self-test"
join = "student_no"
levels = "trial"
[columns]
student_no = ["学籍号"]
name = ["姓名"]
local_no = ["校内学号"]
class_no = ["班级"]
grade = ["年级"]
sex = ["性别"]
guardian_consent = ["监护人同意"]
administered_on = ["测评日期"]
total = ["总分"]
level = ["预警等级"]
[factors]
%(factors)s
[values.grade]
"七年级" = 7
"八年级" = 8
[values.sex]
"男" = 1
"女" = 2
[values.guardian_consent]
"同意" = 1
"""
_CODEBOOK = """
format = "fedscreen/codebook/v1"
id = "trial"
version = "1"
title = "self-test"
total = [0, 120]
%(factors)s
[[levels]]
set = "trial"
direction = "rising"
[levels.labels]
"正常" = 0
"一级" = 1
"二级" = 2
"三级" = 3
"""
_FACTOR = """
[[factors]]
id = "f%(place)d"
title = "f%(place)d"
range = [0, 15]
high = ">= 8"
"""
_PLAN = """
format = "fedscreen/plan/v1"
id = "trial"
title = "self-test"
purpose = "self-test"
recipients = ["nobody"]
legal_basis = "self-test"
consent = "record-only"
wave = "A"
school_year = "%(year)s"
census_date = %(day)s
grades = ["7", "8"]
systems = ["6-3"]
rho = "1/5"
[window]
opens = %(opens)s
closes = %(closes)s
[trust]
auditors = 4
threshold = 3
collude = 1
quorum = 3
min_reports = 5
colluding_schools = 1
min_group = 5
[[instruments]]
id = "trial"
total = [0, 120]
factors = [%(factors)s]
[[tables]]
id = "A1"
title = "A1"
dims = ["grade", "disposition"]
[[tables]]
id = "A2"
title = "A2"
dims = ["grade", "sex", "level"]
where = { disposition = [1, 2] }
[[tables]]
id = "A6"
title = "A6"
dims = ["grade", "factor"]
where = { disposition = [1] }
multi = "factor"
touch = 8
"""


@dataclass(frozen=True, slots=True)
class Canary:
    """One planted pupil."""

    name: str
    guardian: str
    student_no: str
    local_no: str
    phone: str
    class_no: str
    grade: str
    sex: str
    level: str
    scores: tuple[int, ...]

    @property
    def names(self) -> dict[str, str]:
        """Texts that may stand nowhere, by what they are."""
        return {"name": self.name, "guardian": self.guardian, "class": self.class_no}

    @property
    def numbers(self) -> dict[str, str]:
        """Numbers and codes that may stand nowhere: the ID number also without its letter."""
        return {
            "student number": self.student_no,
            "ID number": self.student_no[1:],
            "own number": self.local_no,
            "phone": self.phone,
        }


def make_canaries(entropy: Entropy, num: int = NUM_PUPILS) -> tuple[Canary, ...]:
    """Draw the planted pupils."""
    draw = _Draw(entropy)
    class_no = f"{draw.pick('甲乙丙丁')}{draw.text(_NAME_CHARS, 3)}({draw.number(100, 999)})班"
    return tuple(_canary(draw, place, class_no) for place in range(num))


def _canary(draw: _Draw, place: int, class_no: str) -> Canary:
    sex = 1 + draw.number(0, 1)
    born = datetime(2012, 9, 1, tzinfo=UTC) + timedelta(days=draw.number(0, 700))
    body = f"{REGION}{draw.number(0, 9999):04d}{born:%Y%m%d}{draw.number(0, 499) * 2 + sex % 2:03d}"
    check = next(char for char in "0123456789X" if is_id_number(body + char))
    return Canary(
        name=draw.pick(_FAMILY_NAMES) + draw.text(_NAME_CHARS, 2),
        guardian=draw.pick(_FAMILY_NAMES) + draw.text(_NAME_CHARS, 2),
        student_no=f"G{body}{check}",
        local_no=draw.text(_CODE_CHARS, 9),
        phone=f"1{draw.number(3, 9)}{draw.number(0, 999_999_999):09d}",
        class_no=class_no,
        grade=GRADES[place % 2],
        sex=str(sex),
        level=LEVELS[draw.number(0, 3)],
        scores=(place % 16, *(draw.number(0, HIGHEST_SCORE) for _ in range(FACTORS - 1))),
    )


class _Draw:
    """Numbers and texts from random bytes; a slight bias does not matter for a marker."""

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy

    def number(self, low: int, high: int) -> int:
        return low + int.from_bytes(self._entropy(8)) % (high - low + 1)

    def pick(self, choices: Sequence[str]) -> str:
        return choices[self.number(0, len(choices) - 1)]

    def text(self, chars: str, length: int) -> str:
        return "".join(self.pick(chars) for _ in range(length))


# ---------------------------------------------------------------- files and plan


def canary_files(canaries: Iterable[Canary], now: datetime) -> dict[str, bytes]:
    """Write what a school would import: roster (UTF-8) and platform file (GB18030), profile and codebook."""
    rows = list(canaries)
    words = {"7": "七年级", "8": "八年级", "1": "男", "2": "女"}
    roster: list[Sequence[object]] = [
        ("学籍号", "姓名", "校内学号", "性别", "年级", "班级", "监护人同意", "监护人姓名", "联系电话")
    ]
    names = [f"分量{place}" for place in range(1, FACTORS + 1)]
    results: list[Sequence[object]] = [("学籍号", "姓名", "班级", "测评日期", "总分", *names, "预警等级")]
    for row in rows:
        who = (row.student_no, row.name)
        roster.append(
            (
                *who,
                row.local_no,
                words[row.sex],
                words[row.grade],
                row.class_no,
                "同意",
                row.guardian,
                row.phone,
            )
        )
        total = sum(row.scores)
        results.append((*who, row.class_no, now.date().isoformat(), total, *row.scores, row.level))
    headers = "\n".join(f'f{place} = ["{name}"]' for place, name in enumerate(names, 1))
    return {
        "roster": _csv(roster).encode("utf-8-sig"),
        "screening": _csv(results).encode("gb18030"),
        "profile": (_PROFILE % {"factors": headers}).encode(),
        "codebook": codebook_toml(),
    }


def _csv(rows: Iterable[Sequence[object]]) -> str:
    target = io.StringIO()
    csv.writer(target).writerows(rows)
    return target.getvalue()


def codebook_toml() -> bytes:
    """Write the codebook of the planted pupils' test."""
    factors = "".join(_FACTOR % {"place": place} for place in range(1, FACTORS + 1))
    return (_CODEBOOK % {"factors": factors}).encode()


def canary_plan(now: datetime) -> PlanDocument:
    """Make a small plan whose window is open now."""
    start, day = now.replace(microsecond=0), now.date()
    values = {
        "year": school_year_of(day),
        "day": day.isoformat(),
        "opens": (start - timedelta(minutes=1)).isoformat(),
        "closes": (start + timedelta(days=2)).isoformat(),
        "factors": ", ".join(f'["f{place}", "f{place}"]' for place in range(1, FACTORS + 1)),
    }
    document = parse_plan_toml((_PLAN % values).encode())
    return resolve(pin_codebook(document, parse_codebook_toml(codebook_toml())), SCHOOLS)


# ---------------------------------------------------------------- what to look for


def canary_patterns(canaries: Iterable[Canary], tables: Sequence[dict[str, Any]]) -> dict[str, bytes]:
    """Spell everything planted, and the exact tables as a preview shows them.

    Args:
        canaries: the planted pupils.
        tables: `tables` of the preview's answer: id, scale and cells with their counts.
    """
    found: dict[str, bytes] = {}
    for place, canary in enumerate(canaries, 1):
        for kind, text in canary.names.items():
            found |= of_text(text, f"{kind} of pupil {place}")
        for kind, text in canary.numbers.items():
            found |= of_code(text, f"{kind} of pupil {place}")
        found |= of_numbers(f"scores of pupil {place}", canary.scores)
    for table in tables:
        found |= _table_patterns(table)
    return found


def _table_patterns(table: dict[str, Any]) -> dict[str, bytes]:
    """Spell the stretches of a table that have three different counts or more, plain and scaled."""
    found: dict[str, bytes] = {}
    counts = [int(cell["count"]) for cell in table["cells"]]
    for at in range(0, max(1, len(counts) - _STRETCH + 1), 4):
        stretch = counts[at : at + _STRETCH]
        if len(set(stretch)) > 2 and sum(map(bool, stretch)) > 3:
            for scale in {1, int(table["scale"])}:
                name = f"table {table['id']} from cell {at}, scale {scale}"
                found |= of_numbers(name, [scale * count for count in stretch], ("<Q", ">Q", "<I", ">I"))
    return found
