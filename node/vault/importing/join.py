"""Put each row of the other files to its pupil on the roster.

The roster says who is enrolled; the platform's file lists mostly those who were tested. A row finds its
pupil, with the profile's `join = "student_no"`, by the student number (学籍号) alone; with `auto` by the
first of these that the row has:

1. the student number;
2. the school's own number (校内学号), where both files have such a column;
3. name, and then sex, grade, class and month of birth: none of them may contradict, and grade with class,
   or the month of birth, must agree. A name alone never is enough.

Outcomes: matched; not on the roster; ambiguous (several pupils fit); contradicting (one of that name, but
another class). All but the first are errors with their row, and none is decided by likeness. A row that was
found by a number is compared too: another name or birth is an error, another sex, grade or class a warning,
since the roster's counts. Names, classes and births are used here and nowhere kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from node.vault.importing.errors import IssueList
from node.vault.importing.profile import ImportProfile
from node.vault.importing.rows import PupilRow, PupilRows

MAX_REMEMBERED: Final = 4096
PERSON: Final = ("sex", "grade", "class_no", "birth_ym")
FATAL: Final = frozenset({"name", "birth_ym"})

_DIGITS: Final = {char: str(n) for n, char in enumerate("〇一二三四五六七八九")} | {"零": "0"}
_ENTRY_YEAR = re.compile(r"(?:\A[小初高])?(?:20)?[0-9]{2}级")
_MASK: Final = "*"
_NUMBERED = re.compile(r"\(|[0-9]")
_TENS = re.compile(r"([1-9]?)十([1-9]?)\Z")
_STAGES: Final = ("小学", "初中", "高中", "中职", "职高")


@dataclass(frozen=True, slots=True, repr=False)
class Pupil:
    """One enrolled pupil: the roster's row, and what the other files say.

    Attributes:
        result: of the first test or, if that gave none, of the make-up test.
        retest: of the retest (复测).
        entries: the pupil's rows in ledgers.
    """

    enrolled: PupilRow
    result: PupilRow | None = None
    retest: PupilRow | None = None
    entries: tuple[PupilRow, ...] = ()


class Finder:
    """The pupils of a roster, to be found by the rows of other files."""

    def __init__(self, roster: PupilRows, profile: ImportProfile, issues: IssueList) -> None:
        self._grades = profile.values.get("grade", {})
        self._class_key = class_reader(self._grades)
        self._grade_in_class = lru_cache(MAX_REMEMBERED)(lambda text: grade_in_class(text, self._grades))
        self._is_auto = profile.join == "auto"
        # Who has lost the number on the roster would be missed in every other file: that is told once.
        self._is_whole = all("student_no" in row.values for row in roster.rows)
        self.enrolled: list[PupilRow] = []
        self._by_number: dict[str, int] = {}
        self._by_local: dict[str, list[int]] = {}
        self._by_name: dict[str, list[int]] = {}
        first_rows: dict[str, int] = {}
        for row in roster.rows:
            number = row.text("student_no")
            if number in self._by_number:
                issues.add(row.issue("duplicate-pupil", "student_no", (("first", str(first_rows[number])),)))
            elif number:
                self._add(row, number)
                first_rows[number] = row.row

    def _add(self, row: PupilRow, number: str) -> None:
        place = len(self.enrolled)
        self.enrolled.append(row)
        self._by_number[number] = place
        for index, name in ((self._by_local, "local_no"), (self._by_name, "name")):
            if row.text(name):
                index.setdefault(row.text(name), []).append(place)

    def match(self, read: PupilRows, issues: IssueList) -> Iterator[tuple[int, PupilRow]]:
        """Give the roster's place of each row that finds its pupil; the others become issues."""
        for row in read.rows:
            place = self._find(row, issues)
            if place is not None:
                yield place, row

    def _find(self, row: PupilRow, issues: IssueList) -> int | None:
        number, local = row.text("student_no"), row.text("local_no")
        if number:
            return self._found(row, "student_no", [self._by_number.get(number, -1)], issues)
        if not self._is_auto or ("student_no" in row.columns and "student_no" not in row.values):
            return None  # its number was refused, and that is an issue already
        if local and self._by_local:
            return self._found(row, "local_no", self._by_local.get(local, [-1]), issues)
        return self._find_person(row, issues)

    def _found(self, row: PupilRow, by: str, places: list[int], issues: IssueList) -> int | None:
        if len(places) > 1:
            issues.add(row.issue("ambiguous-pupil", by))
            return None
        if places[0] < 0:
            self._miss(row, by, issues)
            return None
        for name in self._differing(row, self.enrolled[places[0]], ("name", *PERSON)):
            if name in FATAL:
                issues.add(row.issue("contradicts-roster", name))
            else:
                issues.add(row.issue("differs-from-roster", name, severity="warning"))
        return places[0]

    def _find_person(self, row: PupilRow, issues: IssueList) -> int | None:
        if not row.values:
            return None  # a shifted row, told already
        if not row.text("name"):
            issues.add(row.issue("empty-cell", "name" if "name" in row.columns else "student_no"))
            return None
        if _MASK in row.text("name"):
            issues.add(row.issue("name-masked", "name"))
            return None
        places = self._by_name.get(row.text("name"), [])
        fitting = [place for place in places if not self._differing(row, self.enrolled[place], PERSON)]
        if len(fitting) == 1:
            if self._is_certain(row, self.enrolled[fitting[0]]):
                return fitting[0]
            issues.add(row.issue("identity-incomplete", "class_no"))
        elif fitting:
            issues.add(row.issue("ambiguous-pupil", "name"))
        elif len(places) == 1:
            issues.add(
                row.issue("contradicts-roster", self._differing(row, self.enrolled[places[0]], PERSON)[0])
            )
        elif places:
            issues.add(row.issue("contradicts-roster", "name"))
        else:
            self._miss(row, "name", issues)
        return None

    def _miss(self, row: PupilRow, by: str, issues: IssueList) -> None:
        if self._is_whole:
            issues.add(row.issue("not-on-roster", by))

    def _differing(self, row: PupilRow, enrolled: PupilRow, names: tuple[str, ...]) -> list[str]:
        """Give the fields that both rows know and that differ."""
        return [
            name
            for name in names
            if (here := self._value(row, name)) and (there := self._value(enrolled, name)) and here != there
        ]

    def _is_certain(self, row: PupilRow, enrolled: PupilRow) -> bool:
        def agrees(name: str) -> bool:
            return self._value(row, name) != "" and self._value(row, name) == self._value(enrolled, name)

        return agrees("birth_ym") or (agrees("grade") and agrees("class_no"))

    def _value(self, row: PupilRow, name: str) -> str:
        if name not in ("grade", "class_no"):
            return "" if name == "name" and _MASK in row.text(name) else row.known(name)
        grade, in_grade = row.text("grade"), row.text("class_no")
        if not in_grade:
            return grade if name == "grade" else ""
        grade = grade or self._grade_in_class(in_grade)
        return grade if name == "grade" else self._class_key(in_grade, grade)


def grade_in_class(text: str, labels: Mapping[str, str]) -> str:
    """Give the code of the grade that a class begins with (四年级1班, 四(1)班); empty if none does."""
    key = _ENTRY_YEAR.sub("", text)
    for label in sorted(labels, key=len, reverse=True):
        rest = key.removeprefix(label)
        if rest != key and rest not in ("", "班"):
            return labels[label]
    short = next(
        (label for label in labels if label.endswith("年级") and key.startswith(label[:1] + "(")), ""
    )
    return labels.get(short, "")


def class_reader(labels: Mapping[str, str]) -> Callable[[str, str], str]:
    """Give `class_key` for the labels of one profile; each spelling of a class is worked out once."""

    @lru_cache(maxsize=MAX_REMEMBERED)
    def read(text: str, grade: str) -> str:
        return class_key(text, grade, labels)

    return read


def class_key(text: str, grade: str, labels: Mapping[str, str]) -> str:
    """Give a class within its grade as people mean it: 四(1)班, 四年级1班, 401 and 一班 are all 1.

    Args:
        text: the class as the file spells it, normalised.
        grade: the pupil's grade code.
        labels: the profile's labels of grades, by which a class may begin.
    """
    key = _ENTRY_YEAR.sub("", text)
    for stage in _STAGES:
        key = key.removeprefix(stage)
    key = _without_grade(key, [label for label, code in labels.items() if code == grade])
    key = key.strip("()[]级.-").removesuffix("班").strip("()[].-")
    tens = _TENS.match("".join(_DIGITS.get(char, char) for char in key))
    key = f"{tens[1] or 1}{tens[2] or 0}" if tens else "".join(_DIGITS.get(char, char) for char in key)
    number = grade if grade.isdigit() else ""
    if key.isascii() and key.isdigit() and len(key.lstrip("0")) >= len(number) + 2:
        key = key.lstrip("0")  # 0701 is 701
    if key.isascii() and key.isdigit() and len(key) >= len(number) + 2 and number and key.startswith(number):
        key = key[len(number) :]
    return key.lstrip("0") if key.isascii() and key.isdigit() else key


def _without_grade(key: str, labels: list[str]) -> str:
    """Take the grade away from the front of a class: a whole label, or 四 before a bracket or a digit."""
    shorts = [label.removesuffix("年级") for label in labels if label.endswith("年级")]
    for label in sorted(labels, key=len, reverse=True):
        rest = key.removeprefix(label)
        if rest != key and rest not in ("", "班"):
            return rest
    for short in shorts:
        rest = key.removeprefix(short).removeprefix("年")
        if short and rest != key and _NUMBERED.match(rest):
            return rest
    return key
