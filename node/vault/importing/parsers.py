"""From one cell to a checked value, by the field that its column stands for.

A parser takes a cell and returns a value, or raises `CellError`, which holds no part of the cell.
Nothing is guessed: a label counts only where the profile lists it, a level only where the codebook does,
a bare number only where one of the two says what it means.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final, TypeAlias

from node.vault.importing.cells import Cell, clean_text, says_nothing, text_of
from node.vault.importing.errors import CellError
from node.vault.importing.profile import CODED, CONSENTS, NO_ABSENCE, NO_GROUP, ImportProfile, match_key
from plan.codebook import Codebook
from plan.codes import UNKNOWN, school_year_of
from plan.errors import CodebookError
from plan.record import MAX_DAYS, MAX_DURATION_S
from plan.scores import ScoreRange, encode_score, parse_score

Value: TypeAlias = str | int | Decimal | dt.date | frozenset[str] | None
Parser: TypeAlias = Callable[[Cell], Value]

FACTOR_PREFIX: Final = "factor."
EXACT_DIGITS: Final = 15  # a spreadsheet stores numbers with no more, the rest is lost
MAX_NAME_CHARS: Final = 100
MONTH_CHARS: Final = 6
OLDEST_PUPIL_YEARS: Final = 30

_STUDENT_NO = re.compile(r"[GLJ][0-9]{17}[0-9X]\Z", re.ASCII)
_LETTERLESS = re.compile(r"[0-9]{17}[0-9X]\Z", re.ASCII)
_EXPONENT = re.compile(r"[0-9](\.[0-9]+)?E\+?[0-9]+\Z", re.ASCII)
_ROUNDED = re.compile(r"[0-9]{13,15}0{3}\Z", re.ASCII)
_DATE = re.compile(
    r"([0-9]{4})[-/.年]([0-9]{1,2})[-/.月]([0-9]{1,2})日?"
    r"(?: ?\(?(?:星期|周)[一二三四五六日天]\)?)?"
    r"(?:[ T]?(?:上午|下午|中午|早上|晚上|[AaPp][Mm])? ?[0-9]{1,2}[:时][0-9:.分秒Zz+ APMapm-]*)?\Z",
    re.ASCII,
)
_COMPACT_DATE = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})\Z", re.ASCII)
_SERIAL = re.compile(r"[2-6][0-9]{4}(?:\.[0-9]+)?\Z", re.ASCII)
_MONTH = re.compile(r"((?:19|20)[0-9]{2})[-/.年]?([0-9]{1,2})月?\Z", re.ASCII)
_NUMBER = re.compile(r"([0-9]{1,9})(?:\.0+)?(?:天|日)?\Z", re.ASCII)
_DURATION = re.compile(
    r"(?:([0-9]{1,3})(?:小时|时|h))?(?:([0-9]{1,4})(?:分钟|分|min|m|'|′))?(?:([0-9]{1,9})(?:\.[0-9]+)?(?:秒|s|\"|″)?)?\Z",
    re.ASCII,
)
_CLOCK = re.compile(r"([0-9]{1,2}):([0-9]{2}):([0-9]{2})(?:\.[0-9]+)?\Z", re.ASCII)
_LONG_SCORE = re.compile(r"-?[0-9]{1,6}\.[0-9]{5,20}\Z", re.ASCII)
_DIGITS = re.compile(r"[0-9]+(\.[0-9]+)?\Z", re.ASCII)
_SPACED = re.compile(r" ?([年月]) ?| (日)")
_SEPARATORS = re.compile(r"[,、;/|+和]|\s及\s")
_EPOCH = dt.date(1899, 12, 30)
_DOTS = str.maketrans(dict.fromkeys("·•・‧∙⋅．.●ꞏ⸱", ""))
_QUOTES: Final = "'`\"’‘′“”"
_ZONE = re.compile(r"(?:(Z)|([+-])([0-9]{2}):?([0-9]{2}))\Z", re.IGNORECASE | re.ASCII)
_CHINA = dt.timezone(dt.timedelta(hours=8))
_JUNIOR_ORDER = {"初一": 1, "初二": 2, "初三": 3, "初四": 4}
_FIRST_JUNIOR = {"6-3": 7, "5-4": 6}


def make_parsers(
    profile: ImportProfile, codebook: Codebook, school_year: str, system: str = ""
) -> dict[str, Parser]:
    """Give the parser of every declared field and of every factor (`factor.<id>`)."""

    def level(cell: Cell) -> Value:
        return _parse_level(cell, codebook, profile.levels)

    def day(cell: Cell) -> Value:
        return parse_date(cell, school_year)

    parsers: dict[str, Parser] = {
        "student_no": parse_student_no,
        "local_no": Memory(_parse_local_no),
        "name": Memory(_parse_name),
        "class_no": Memory(_parse_class),
        "birth_ym": Memory(lambda cell: parse_month(cell, school_year)),
        "school_code": Memory(_parse_local_no),
        "consent_form": Memory(_parse_local_no),
        "consent_date": Memory(parse_any_date),
        "joined_on": Memory(parse_any_date),
        "left_on": Memory(parse_any_date),
        "administered_on": Memory(day),
        "reviewed_on": Memory(day),
        "level": Memory(level),
        "level2": Memory(level),
        "days_to_review": Memory(lambda cell: parse_number(cell, MAX_DAYS)),
        "duration_s": Memory(lambda cell: parse_duration(cell, profile.duration_unit)),
        "total": _score_parser(codebook.total),
        "groups": Memory(lambda cell: _parse_groups(cell, profile.values["groups"])),
    }
    if codebook.validity is not None:
        parsers["validity_score"] = _score_parser(codebook.validity.range)
    for name in CODED.keys() - {"groups"}:
        if name in profile.values:
            parsers[name] = _code_parser(name, profile.values[name])
    if "grade" in profile.values:
        parsers["grade"] = Memory(_grade_parser(parsers["grade"], system))
    for factor in codebook.factors:
        parsers[FACTOR_PREFIX + factor.id] = _score_parser(factor.range)
    return parsers


def parse_student_no(cell: Cell) -> str:
    """Read a student number (学籍号): G, L or J and 18 characters, in capitals.

    Raises:
        CellError: empty, stored as a number (whose last digits a spreadsheet loses), or another form.
    """
    if isinstance(cell, (int, float)) and not isinstance(cell, bool):
        is_damaged = abs(cell) >= 10**EXACT_DIGITS
        raise CellError("student-no-damaged" if is_damaged else "student-no-form")
    text = clean_text(text_of(cell)).replace(" ", "").upper()
    if not text or says_nothing(text):
        raise CellError("empty-cell")
    if text.startswith('="') and text.endswith('"'):  # how exports keep a csv column from becoming numbers
        text = text[2:-1]
    text = text.strip(_QUOTES)
    if _EXPONENT.match(text) or _ROUNDED.match(text):
        raise CellError("student-no-damaged")
    if not _STUDENT_NO.match(text):
        raise CellError("student-no-letter" if _LETTERLESS.match(text) else "student-no-form")
    return text


def parse_student_no_if_any(cell: Cell) -> str | None:
    """Read a student number; None for an empty cell, where a pupil may be found another way."""
    return None if says_nothing(cell) else parse_student_no(cell)


def parse_date(cell: Cell, school_year: str) -> dt.date | None:
    """Read a day of the school year; None for an empty cell.

    A bare number is a serial day, as a cell shows whose date format is lost: no other reading of it
    lies in the school year, since a workbook that counts from 1904 would be four years off.

    Raises:
        CellError: no date, or one of another school year.
    """
    day = parse_any_date(cell)
    if day is not None and school_year_of(day) != school_year:
        raise CellError("date-range", expected=school_year)
    return day


def parse_any_date(cell: Cell) -> dt.date | None:
    """Read a day; None for an empty cell.

    Raises:
        CellError: no date.
    """
    if isinstance(cell, dt.datetime):
        return cell.date()
    if isinstance(cell, dt.date):
        return cell
    if isinstance(cell, (bool, dt.time, dt.timedelta)):
        raise CellError("date-form")
    text = clean_text(text_of(cell))
    if says_nothing(text):
        return None
    text = _SPACED.sub(r"\1\2", text)
    if _ZONE.search(text):
        text = _in_china(text)
    match = _DATE.match(text) or _COMPACT_DATE.match(text)
    if match is None and _SERIAL.match(text):
        return _EPOCH + dt.timedelta(days=int(float(text)))
    if match is None:
        raise CellError("date-form")
    try:
        return dt.date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        raise CellError("date-form") from None  # its message would repeat the cell


def _in_china(text: str) -> str:
    """Give the day in China of a moment with its zone: a Chinese midnight is 16:00Z of the day before."""
    try:
        return dt.datetime.fromisoformat(text.replace(" ", "T", 1)).astimezone(_CHINA).date().isoformat()
    except (ValueError, OverflowError):
        raise CellError("date-form") from None  # its message would repeat the cell


def parse_month(cell: Cell, school_year: str) -> str | None:
    """Read a month of birth as YYYYMM, from a month or a day; None for an empty cell.

    Raises:
        CellError: neither, or nobody born then is a pupil.
    """
    if isinstance(cell, (int, float)) and not isinstance(cell, bool):
        cell = text_of(cell)
    if isinstance(cell, str):
        text = clean_text(cell).replace(" ", "")
        if says_nothing(text):
            return None
        match = _MONTH.match(text)
        if match is not None and 1 <= int(match[2]) <= 12:
            return _plausible_month(int(match[1]), int(match[2]), school_year)
    try:
        day = parse_any_date(cell)
    except CellError:
        raise CellError("birth-form") from None
    return None if day is None else _plausible_month(day.year, day.month, school_year)


def _plausible_month(year: int, month: int, school_year: str) -> str:
    if not 3 <= int(school_year[:4]) - year <= OLDEST_PUPIL_YEARS:
        raise CellError("birth-form")
    return f"{year:04d}{month:02d}"


def parse_number(cell: Cell, most: int) -> int | None:
    """Read a whole number from 0 to `most`, with or without its unit (天); None for an empty cell.

    Raises:
        CellError: another number, or none.
    """
    text = clean_text(text_of(cell)).replace(" ", "")
    if says_nothing(text):
        return None
    match = _NUMBER.match(text)
    if match is None:
        raise CellError("not-whole")
    if int(match[1]) > most:
        raise CellError("number-range", most=str(most))
    return int(match[1])


def parse_duration(cell: Cell, unit: str = "s") -> int | None:
    """Read a duration in seconds: 123秒, 2分3秒, 00:02:03, or a bare number of `unit`; None if empty.

    A clock without seconds (2:03) is refused: a spreadsheet reads it as hours, people mean minutes.

    Raises:
        CellError: another form, or longer than a day.
    """
    seconds = _clock_seconds(cell)
    if seconds is None:
        text = clean_text(text_of(cell)).replace(" ", "")
        if says_nothing(text):
            return None
        seconds = _text_seconds(text, unit)
    if not 0 <= seconds <= MAX_DURATION_S:
        raise CellError("number-range", most=str(MAX_DURATION_S))
    return seconds


def _clock_seconds(cell: Cell) -> int | None:
    if isinstance(cell, dt.timedelta):
        return int(cell.total_seconds())
    if isinstance(cell, dt.time):
        if cell.hour and not cell.second:
            raise CellError("duration-form")
        return cell.hour * 3600 + cell.minute * 60 + cell.second
    return None


def _text_seconds(text: str, unit: str) -> int:
    clock = _CLOCK.match(text)
    if clock:
        return int(clock[1]) * 3600 + int(clock[2]) * 60 + int(clock[3])
    match = _DURATION.match(text)
    if match is None or not any(match.groups()):
        raise CellError("duration-form")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    if _DIGITS.match(text):
        if 0 < float(text) < 1:  # what a clock looks like that lost its format: a part of a day
            raise CellError("duration-form")
        return int(float(text) * (60 if unit == "min" else 1))
    return hours * 3600 + minutes * 60 + seconds


class Memory:
    """A parser that remembers its values: a column has few different ones. Refusals are not kept."""

    def __init__(self, parse: Parser) -> None:
        self._parse = parse
        self._known: dict[tuple[type, Cell], Value] = {}

    def __call__(self, cell: Cell) -> Value:
        """Parse a cell, or give what an equal one of the same type gave."""
        key = (type(cell), cell)  # True, 1 and 1.0 are equal but not the same answer
        if key not in self._known:
            self._known[key] = self._parse(cell)
        return self._known[key]


def _parse_name(cell: Cell) -> str | None:
    """Read a name, only to find a pupil: without spaces and the middle dot, which files often lose."""
    return _short(match_key(clean_text(text_of(cell))).translate(_DOTS))


def _parse_local_no(cell: Cell) -> str | None:
    text = match_key(text_of(cell)).lstrip("'`’‘")
    return None if says_nothing(text) else _short(text)


def _parse_class(cell: Cell) -> str | None:
    text = match_key(text_of(cell))
    return None if says_nothing(text) else _short(text)


def _short(text: str) -> str | None:
    if len(text) > MAX_NAME_CHARS:
        raise CellError("text-too-long", allowed=str(MAX_NAME_CHARS))
    return text or None


def _code_parser(name: str, labels: Mapping[str, str]) -> Parser:
    has_unknown = UNKNOWN in CODED[name] and name != "grade"  # the "9" of a grade is the ninth

    def parse(cell: Cell) -> Value:
        key = match_key(text_of(cell))
        if key in labels:
            return None if labels[key] == NO_ABSENCE else labels[key]
        if key and not says_nothing(key):
            raise CellError("bare-number" if _DIGITS.match(key) else "unmapped-label")
        if name in CONSENTS and name != "guardian_consent":
            return None
        if has_unknown:
            return UNKNOWN
        if name in ("absence", "sitting"):
            return None
        raise CellError("empty-cell")

    return Memory(parse)


def _grade_parser(parse: Parser, system: str) -> Parser:
    """Refuse 初一 … 初四 where the profile maps them by the other school system than this node's."""

    def checked(cell: Cell) -> Value:
        code = parse(cell)
        order = next((n for text, n in _JUNIOR_ORDER.items() if match_key(text_of(cell)).startswith(text)), 0)
        if order and system in _FIRST_JUNIOR and code != str(_FIRST_JUNIOR[system] + order - 1):
            raise CellError("grade-system", expected=system)
        return code

    return checked


def _parse_groups(cell: Cell, labels: Mapping[str, str]) -> frozenset[str]:
    """Read a cell that names several groups, apart by comma, semicolon, 、, / or |."""
    text = text_of(cell)
    if says_nothing(text):
        return frozenset()
    whole = match_key(text)
    if whole in labels:
        return frozenset({labels[whole]} - {NO_GROUP})
    codes = set()
    for part in _SEPARATORS.split(clean_text(text)):
        key = match_key(part)
        if key and key not in labels:
            raise CellError("bare-number" if _DIGITS.match(key) else "unmapped-label")
        if key:
            codes.add(labels[key])
    return frozenset(codes - {NO_GROUP})


def _parse_level(cell: Cell, codebook: Codebook, label_set: str) -> str | None:
    label = match_key(text_of(cell))
    if says_nothing(label):
        return None
    try:
        return codebook.level_of(label, label_set)
    except CodebookError:
        if any(known.level_of(label) is not None for known in codebook.label_sets):
            raise CellError("ambiguous-level") from None
        raise CellError("bare-number" if _DIGITS.match(label) else "unmapped-level") from None


def _rounded(text: str) -> str:
    """Round a mean that a platform wrote with all its digits to the four that a score has."""
    return str(round(Decimal(text), 4)) if _LONG_SCORE.match(text) else text


def _score_parser(allowed: ScoreRange) -> Parser:
    low, high = encode_score(allowed.low), encode_score(allowed.high)

    def parse(cell: Cell) -> Value:
        if isinstance(cell, float):
            cell = round(cell, 4)  # a formula's 12.299999999999999 is 12.3
        try:
            text = clean_text(text_of(cell)).removesuffix("分")
            score = None if says_nothing(text) else parse_score(_rounded(text))
        except CellError as err:
            raise CellError("not-a-number" if err.code == "not-text" else err.code) from None
        except (ValueError, OverflowError):
            raise CellError("not-a-number") from None
        if score is not None and not allowed.contains(score):
            raise CellError("score-range", low=low, high=high)
        return score

    return Memory(parse)
