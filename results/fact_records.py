"""One school's facts of a school year: built valid from outside values, or refused with every problem.

Every problem names the field. Values that are refused are never repeated: a cell in the wrong place may hold
a name. Nothing is taken half: `parse_facts` returns whole facts or raises.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from types import MappingProxyType
from typing import Final, TypeAlias

from plan.errors import Phrase, Problem, phrase
from plan.reading import ID_PATTERN, is_clean_text, nearest, shown_key
from results import fact_fields
from results.errors import FactsError
from results.fact_fields import FIELDS, MAX_TEXTS, RURAL, Field, is_about_difficulty, parse_day, plain

Value: TypeAlias = int | Fraction | str | date | tuple[str, ...]
"""A whole number, a number with one decimal, a code or text, a day, or several codes or texts."""

Plain: TypeAlias = int | str | list[str]
"""A value as JSON holds it."""

YEAR_PATTERN: Final = re.compile(r"(20[0-9]{2})-(20[0-9]{2})\Z", re.ASCII)
MAX_INPUT_CHARS: Final = 2_000

_WHOLE = re.compile(r"[0-9]{1,9}(?:\.0+)?\Z", re.ASCII)
_DECIMAL = re.compile(r"([0-9]{1,6})(?:\.([0-9])0*)?\Z", re.ASCII)
_SEVERAL = re.compile(r"[、,;|/\n]")
_LONG_NUMBER = re.compile(r"[0-9]{11}", re.ASCII)
_SCHOOL_CODE = re.compile(r"[0-9A-Z]{10}\Z", re.ASCII)
_COUNTY_CODE = re.compile(r"[0-9]{6}\Z", re.ASCII)

_NOT_REPEATED: Final = phrase("a value that is not repeated here")
_NOTHING: Final = phrase("nothing")
_DIFFICULTY_FOUND: Final = phrase("a column about pupils in difficulty or single pupils")
_DIFFICULTY_ADVICE: Final = phrase(
    "counts of pupils in difficulty are collected by plans C and D, with noise; delete the column"
)


class _Refused(Exception):  # never leaves this module
    """One value that a field does not take."""

    def __init__(self, allowed: Phrase) -> None:
        self.allowed = allowed


@dataclass(frozen=True, slots=True)
class InstitutionFacts:
    """A school's facts; build them with `parse_facts`.

    Attributes:
        node: id of the school's node in the roster.
        year: school year `YYYY-YYYY`.
        values: field name → value, only what was answered, in the order of `FIELDS`.
    """

    node: str
    year: str
    values: Mapping[str, Value]

    @property
    def school_name(self) -> str:
        """The school's name."""
        return self.text("school_name")

    @property
    def stages(self) -> tuple[str, ...]:
        """Codes of its stages, in the order of `plan.codes.STAGE`."""
        found = self.values.get("stages", ())
        return found if isinstance(found, tuple) else ()

    @property
    def is_rural(self) -> bool:
        """Whether it lies in a town or village (镇区, 乡村)."""
        return self.text("urban_rural") in RURAL

    def text(self, name: str) -> str:
        """Give a text or code; "" when it was not answered."""
        found = self.values.get(name, "")
        return found if isinstance(found, str) else ""

    def number(self, name: str) -> Fraction | None:
        """Give a number; None when it was not answered."""
        found = self.values.get(name)
        return Fraction(found) if isinstance(found, int | Fraction) else None

    def shown(self, name: str) -> str:
        """Give a value as a Chinese table shows it; "" when it was not answered."""
        return show_value(FIELDS[name], self.values.get(name))

    def plain(self) -> dict[str, Plain]:
        """Give the values for JSON; `parse_facts` is the inverse."""
        return {name: plain_value(value) for name, value in self.values.items()}


def parse_facts(node: str, year: str, raw: Mapping[str, object]) -> InstitutionFacts:
    """Read one school's facts.

    Args:
        node: id of the school's node.
        year: school year `YYYY-YYYY`.
        raw: field name → text, whole number or list of texts; codes may be given by their zh label. Empty
            values mean: not answered.

    Raises:
        FactsError: with a problem for each field that is wrong, unknown or missing.
    """
    problems = [*_head_problems(node, year), *_unknown(raw)]
    values: dict[str, Value] = {}
    for name, row in FIELDS.items():
        given = raw.get(name)
        if _is_empty(given):
            if row.is_required:
                problems.append(Problem(name, _NOTHING, _allowed(row)))
            continue
        try:
            values[name] = _READERS[row.kind](row, given)
        except _Refused as err:
            problems.append(Problem(name, _NOT_REPEATED, err.allowed))
    problems += _together(values)
    if problems:
        raise FactsError(*problems)
    return InstitutionFacts(node, year, MappingProxyType(values))


def _head_problems(node: str, year: str) -> Iterator[Problem]:
    if not ID_PATTERN.match(node):
        yield Problem("node", _NOT_REPEATED, phrase("the id of a school in the roster"))
    if not is_year(year):
        yield Problem("year", _NOT_REPEATED, phrase("a school year such as 2026-2027"))


def is_year(text: str) -> bool:
    """Say whether a text is a school year `YYYY-YYYY`."""
    found = YEAR_PATTERN.match(text)
    return found is not None and int(found[2]) == int(found[1]) + 1


def _unknown(raw: Mapping[str, object]) -> Iterator[Problem]:
    for name in raw:
        if name in FIELDS:
            continue
        if is_about_difficulty(name):
            yield Problem(
                shown_key(name), _DIFFICULTY_FOUND, phrase("fields of the form"), _DIFFICULTY_ADVICE
            )
        else:
            advice = nearest(name, FIELDS)
            yield Problem(shown_key(name), phrase("an unknown field"), phrase("fields of the form"), advice)


def unknown_problem(header: str) -> Problem:
    """Give the problem of a header or key that no field has."""
    return next(_unknown({header: ""}))


def _is_empty(given: object) -> bool:
    return given is None or (isinstance(given, str) and not plain(given)) or given in ([], ())


def _one_line(given: object) -> str:
    if isinstance(given, bool) or not isinstance(given, int | str):
        raise _Refused(phrase("a text or a number"))
    if isinstance(given, int):
        return str(given) if abs(given) < 10**12 else "x"
    if len(given) > MAX_INPUT_CHARS:
        raise _Refused(phrase("at most %(most)s characters", most=MAX_INPUT_CHARS))
    return unicodedata.normalize("NFKC", given).strip()


def _range(row: Field) -> Phrase:
    values = {"low": row.low, "high": row.high}
    if row.kind == fact_fields.DECIMAL:
        return phrase("a number from %(low)s to %(high)s with at most one decimal", **values)
    if row.step > 1:
        return phrase("a multiple of %(step)s from %(low)s to %(high)s", step=row.step, **values)
    return phrase("a whole number from %(low)s to %(high)s", **values)


def _allowed(row: Field) -> Phrase:
    """Say what a field takes."""
    if row.kind in (fact_fields.COUNT, fact_fields.DECIMAL):
        return _range(row)
    if row.kind == fact_fields.CHOICE:
        return phrase("one of %(labels)s", labels=" / ".join(row.codes.values()))
    if row.kind == fact_fields.CHOICES:
        return phrase("some of %(labels)s, parted by 、", labels=" / ".join(row.codes.values()))
    if row.kind == fact_fields.DATE:
        return phrase("a day such as 2026-09-20")
    return phrase("a text of 1 to %(most)s characters, without long numbers", most=row.high)


def _count(row: Field, given: object) -> int:
    text = _one_line(given)
    number = int(text.partition(".")[0]) if _WHOLE.match(text) else -1
    if not row.low <= number <= row.high or number % row.step:
        raise _Refused(_range(row))
    return number


def _decimal(row: Field, given: object) -> Fraction:
    found = _DECIMAL.match(_one_line(given))
    number = Fraction(int(found[1] + (found[2] or "0")), 10) if found else Fraction(-1)
    if not row.low <= number <= row.high:
        raise _Refused(_range(row))
    return number


def _code(row: Field, text: str) -> str:
    key = plain(text)
    for code, label in row.codes.items():
        if key in (code, plain(label)):
            return code
    raise _Refused(_allowed(row))


def _choice(row: Field, given: object) -> str:
    return _code(row, _one_line(given))


def _several(given: object) -> list[str]:
    if isinstance(given, list | tuple):
        texts = [_one_line(item) for item in given]
    else:
        texts = [text.strip() for text in _SEVERAL.split(_one_line(given))]
    texts = [text for text in texts if text]
    if len(texts) > MAX_TEXTS:
        raise _Refused(phrase("at most %(most)s entries", most=MAX_TEXTS))
    return texts


def _choices(row: Field, given: object) -> tuple[str, ...]:
    found = {_code(row, text) for text in _several(given)}
    if not found:
        raise _Refused(_allowed(row))
    return tuple(code for code in row.codes if code in found)


def _clean(row: Field, text: str) -> str:
    pattern = {"school_code": _SCHOOL_CODE, "county_code": _COUNTY_CODE}.get(row.name)
    if pattern is not None:
        if not pattern.match(text):
            raise _Refused(phrase("a code of %(size)s digits", size=row.high))
        return text
    if not is_clean_text(text, row.high) or not text or _LONG_NUMBER.search(text):
        raise _Refused(_allowed(row))
    return text


def _text(row: Field, given: object) -> str:
    return _clean(row, _one_line(given))


def _texts(row: Field, given: object) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(_clean(row, text) for text in _several(given)))
    if not found:
        raise _Refused(_allowed(row))
    return found


def _date(row: Field, given: object) -> date:
    day = parse_day(_one_line(given))
    if day is None:
        raise _Refused(_allowed(row))
    return day


_READERS: Final[Mapping[str, Callable[[Field, object], Value]]] = {
    fact_fields.COUNT: _count,
    fact_fields.DECIMAL: _decimal,
    fact_fields.CHOICE: _choice,
    fact_fields.CHOICES: _choices,
    fact_fields.TEXT: _text,
    fact_fields.TEXTS: _texts,
    fact_fields.DATE: _date,
}

_AT_MOST: Final = (
    ("n_students_g4plus", ("n_students",)),
    ("n_boarders", ("n_students",)),
    ("class_officer_classes", ("n_classes",)),
    ("teacher_full", ("teachers_n",)),
    ("head_teacher_n", ("teachers_n",)),
    ("cert_B_headteachers", ("head_teacher_n",)),
    ("cert_C_teachers_n", ("teachers_n",)),
    ("teacher_cert", ("teacher_full", "teacher_part")),
)
"""A field, and those whose sum it cannot exceed."""


def _together(values: Mapping[str, Value]) -> Iterator[Problem]:
    """Yield what does not fit together; a number is compared only with numbers that were answered."""
    for part, wholes in _AT_MOST:
        found, limits = values.get(part), [values.get(name) for name in wholes]
        numbers = [limit for limit in limits if isinstance(limit, int)]
        if isinstance(found, int) and len(numbers) == len(limits) and found > sum(numbers):
            names = phrase(" + ".join(f"%({name})s" for name in wholes), **_labels(wholes))
            yield Problem(part, _NOT_REPEATED, phrase("at most %(limit)s of the same form", limit=names))
    if "vendor_nda_until" in values and values.get("vendor_nda") != "1":
        allowed = phrase("nothing where there is no confidentiality agreement")
        yield Problem("vendor_nda_until", phrase("a day"), allowed)


def _labels(names: tuple[str, ...]) -> dict[str, Phrase]:
    return {name: FIELDS[name].label for name in names}


def plain_value(value: Value) -> Plain:
    """Give a value as JSON holds it."""
    if isinstance(value, int):
        return value
    if isinstance(value, Fraction):
        tenths = int(value * 10)
        return f"{tenths // 10}.{tenths % 10}" if tenths % 10 else str(tenths // 10)
    if isinstance(value, date):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value


def show_value(row: Field, value: Value | None) -> str:
    """Give a value as a Chinese table or form shows it; "" for None."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        return "、".join(row.codes.get(code, code) for code in value)
    text = str(plain_value(value))
    return row.codes.get(text, text)
