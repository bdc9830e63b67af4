"""The screening record v1: its fields and what makes a record valid.

One `Record` per pupil and wave, held only inside a school's vault. It has the statistical fields and the
keyed `rec_key` by which the vault finds it again; names, numbers, classes and birth dates are elsewhere.
Codes stand in `plan.codes`; missing is the code "9" (or None, or the empty set), never blank.

How the tested and the untested stand (a complete partition by `disposition`):

1. disposition 1 (tested, valid): instrument, codebook, date and a level 0..3 are present.
2. disposition 2 (tested, invalid): instrument, codebook and date are present, the level is 9, no score.
   A platform label that the codebook maps to 9 therefore makes disposition 2.
3. all others: no test field. 6 and 8 (refused, consent not recorded) hold no psychological field at all.

Spec: the screening record in docs; JY/T 1002 and GB/T 2261.1 for the codes of grade, sex and year.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from decimal import Decimal
from functools import lru_cache
from operator import attrgetter
from types import MappingProxyType
from typing import Final, TypeAlias

from plan.codes import (
    FIELD_CODES,
    FLAG,
    GROUP,
    TESTED,
    UNKNOWN,
    VALID,
    WITHOUT_CONSENT,
    Codes,
    code_problems,
    stage_of,
)
from plan.errors import Phrase, Problem, RecordError, phrase, raise_if
from plan.scores import encode_score, is_score, parse_score

RowValue: TypeAlias = str | int | list[str]

RECORD_FORMAT: Final = "fedscreen/record/v1"
REC_KEY_BYTES: Final = 16
CONSENT_POLICIES: Final = ("require", "record-only")
MAX_DAYS: Final = 3660
MAX_DURATION_S: Final = 86_400


TEST_FIELDS: Final = (
    "instrument",
    "rule_version",
    "codebook",
    "administered_on",
    "duration_s",
    "validity",
    "total",
    "factors_high",
    "critical",
    "level1",
    "recheck",
    "recheck_by",
    "level2",
)
"""Fields that only a tested pupil has."""

FOLLOW_UP_FIELDS: Final = (
    "level_before",
    "found_by",
    "file_built",
    "carer_assigned",
    "pool",
    *FLAG,
    "days_to_review",
    "ref_dest",
    "outcome",
    "handed_over",
)
"""Psychological fields beyond the test itself; absent without consent, together with group g3."""

_FACTOR = re.compile(r"[a-z][a-z0-9_]{0,31}\Z", re.ASCII)
_INSTRUMENT = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}\Z", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}\Z", re.ASCII)
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}\Z", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Record:
    """One pupil's encoded record of one wave (a "measurement"). Held only by the vault.

    Attributes not named like their field: `sitting` is 测次 (pass), `codebook` the SHA-256 (hex) of the
    codebook that coded the record, `factors_high` the ids of the factors that its comparators call high,
    `total` the score as it came, `system` the school system that the stage derives from, `level_before` the
    level of the latest earlier wave of the same school year, by the vault's own records (9 without one).

    Raises:
        RecordError: a code outside of its set, or fields that do not go together (module docstring).
    """

    rec_key: bytes
    grade: str
    system: str
    disposition: str
    sex: str = UNKNOWN
    boarding: str = UNKNOWN
    left_behind: str = UNKNOWN
    family: str = UNKNOWN
    migrant: str = UNKNOWN
    groups: frozenset[str] = frozenset()
    sitting: str = "1"
    guardian_consent: str = UNKNOWN
    student_informed: str = UNKNOWN
    instrument: str = ""
    rule_version: str = ""
    codebook: str = ""
    administered_on: date | None = None
    duration_s: int | None = None
    validity: str = UNKNOWN
    total: Decimal | None = None
    factors_high: frozenset[str] = frozenset()
    critical: str = UNKNOWN
    level1: str = UNKNOWN
    level_before: str = UNKNOWN
    found_by: str = UNKNOWN
    recheck: str = UNKNOWN
    recheck_by: str = UNKNOWN
    level2: str = UNKNOWN
    file_built: str = UNKNOWN
    carer_assigned: str = UNKNOWN
    pool: str = UNKNOWN
    reviewed: str = UNKNOWN
    guardian_told: str = UNKNOWN
    supported: str = UNKNOWN
    referral_advised: str = UNKNOWN
    referral_attended: str = UNKNOWN
    green_channel_free: str = UNKNOWN
    closed: str = UNKNOWN
    days_to_review: int | None = None
    ref_dest: str = UNKNOWN
    outcome: str = UNKNOWN
    home_visit: str = UNKNOWN
    handed_over: str = UNKNOWN

    def __post_init__(self) -> None:
        raise_if(RecordError, [*_problems_of_codes(self), *_shape_problems(self)])
        raise_if(RecordError, _disposition_problems(self))

    def __repr__(self) -> str:
        return "Record(not shown)"

    @property
    def is_tested(self) -> bool:
        """Whether the pupil took the test, valid or not (实测)."""
        return self.disposition in TESTED

    @property
    def stage(self) -> str:
        """The stage of the pupil's grade."""
        return stage_of(self.grade, self.system)

    @property
    def flags(self) -> frozenset[str]:
        """Names of the follow-up flags that are 1."""
        return frozenset(name for name in FLAG if getattr(self, name) == "1")


FIELD_NAMES: Final = tuple(item.name for item in fields(Record))
_DEFAULTS: Final[Mapping[str, object]] = MappingProxyType(
    {item.name: item.default for item in fields(Record)}
)
_VALUES_OF: Final = attrgetter(*FIELD_NAMES)
_ROW_JSON: Final = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, sort_keys=True, separators=(",", ":")
)
_NAMES: Final = frozenset(FIELD_NAMES)
_REQUIRED: Final = frozenset({"rec_key", "grade", "system", "disposition"})
_SPELLED: Final = ("rec_key", "groups", "factors_high", "total", "administered_on")
"""Fields whose value in a row is spelled otherwise than in a record."""

_HIDDEN: Final = phrase("a value that is not repeated here")


_CODES_OF: Final[Callable[[Record], tuple[object, ...]]] = attrgetter(*FIELD_CODES)


def _problems_of_codes(record: Record) -> Sequence[Problem]:
    codes = _CODES_OF(record)
    try:
        return _known_problems(codes)
    except TypeError:  # a list, say: nothing that could be looked up
        return code_problems(dict(zip(FIELD_CODES, codes, strict=True)))


@lru_cache(maxsize=4096)
def _known_problems(codes: tuple[object, ...]) -> tuple[Problem, ...]:
    """Check all codes of a record; in one school many pupils have the same ones."""
    return tuple(code_problems(dict(zip(FIELD_CODES, codes, strict=True))))


def _problem(name: str, allowed: Phrase, found: Phrase = _HIDDEN) -> Problem:
    return Problem(name, found, allowed)


_SHAPES: Final[Mapping[str, Phrase]] = MappingProxyType(
    {
        "rec_key": phrase("%(size)s bytes", size=REC_KEY_BYTES),
        "groups": phrase("a set of %(codes)s", codes=", ".join(GROUP)),
        "instrument": phrase("a codebook's id, or empty"),
        "rule_version": phrase("a codebook's version, or empty"),
        "codebook": phrase("a SHA-256 in lower-case hex, or empty"),
        "administered_on": phrase("a day, or nothing"),
        "duration_s": phrase("seconds of a day, or nothing"),
        "total": phrase("a score with at most four decimal places, or nothing"),
        "factors_high": phrase("a set of factor ids"),
        "days_to_review": phrase("days from 0 to %(most)s, or nothing", most=MAX_DAYS),
    }
)


def _shape_problems(record: Record) -> list[Problem]:
    """Check the fields that have no code set, each by itself."""
    if _is_shape_right(record):
        return []
    checks = (
        ("rec_key", _is_rec_key(record.rec_key)),
        ("groups", _is_set(record.groups, GROUP)),
        ("instrument", _is_text(record.instrument, _INSTRUMENT)),
        ("rule_version", _is_text(record.rule_version, _VERSION)),
        ("codebook", _is_text(record.codebook, _DIGEST)),
        ("administered_on", _is_day(record.administered_on)),
        ("duration_s", _is_number(record.duration_s, MAX_DURATION_S)),
        ("total", _is_total(record.total)),
        ("factors_high", _is_factor_set(record.factors_high)),
        ("days_to_review", _is_number(record.days_to_review, MAX_DAYS)),
    )
    return [_problem(name, _SHAPES[name]) for name, is_right in checks if not is_right]


def _is_shape_right(record: Record) -> bool:
    """Say whether `_shape_problems` would find none: so it is with every record of a store."""
    shared = (record.groups, record.instrument, record.rule_version, record.codebook, record.factors_high)
    try:
        is_right = _are_shared_right(*shared)
    except TypeError:  # a list, say: nothing that could be looked up
        return False
    return (
        is_right
        and _is_rec_key(record.rec_key)
        and _is_day(record.administered_on)
        and _is_number(record.duration_s, MAX_DURATION_S)
        and _is_total(record.total)
        and _is_number(record.days_to_review, MAX_DAYS)
    )


@lru_cache(maxsize=4096)
def _are_shared_right(
    groups: object, instrument: object, version: object, codebook: object, factors_high: object
) -> bool:
    """Check the fields in which many pupils of one school agree."""
    texts = ((instrument, _INSTRUMENT), (version, _VERSION), (codebook, _DIGEST))
    are_texts = all(_is_text(text, pattern) for text, pattern in texts)
    return are_texts and _is_set(groups, GROUP) and _is_factor_set(factors_high)


def _is_rec_key(value: object) -> bool:
    return isinstance(value, bytes) and len(value) == REC_KEY_BYTES


def _is_set(value: object, codes: Codes) -> bool:
    return isinstance(value, frozenset) and value <= codes.keys()


def _is_factor_set(value: object) -> bool:
    return isinstance(value, frozenset) and all(isinstance(i, str) and _FACTOR.match(i) for i in value)


def _is_text(value: object, pattern: re.Pattern[str]) -> bool:
    return value == "" or (isinstance(value, str) and pattern.match(value) is not None)


def _is_day(value: object) -> bool:
    return value is None or type(value) is date  # a datetime is a date too, but has another text


def _is_number(value: object, most: int) -> bool:
    return value is None or (type(value) is int and 0 <= value <= most)


def _is_total(value: object) -> bool:
    return value is None or (isinstance(value, Decimal) and is_score(value))


def _disposition_problems(record: Record) -> list[Problem]:
    """Check that the fields fit the disposition; the rules of the module docstring."""
    if not record.is_tested:
        is_denied = record.disposition in WITHOUT_CONSENT
        absent = (*TEST_FIELDS, *(FOLLOW_UP_FIELDS if is_denied else ()))
        problems = [
            _problem(name, phrase("nothing: the disposition says there is no such finding"))
            for name in absent
            if getattr(record, name) != _DEFAULTS[name]
        ]
        if is_denied and "g3" in record.groups:
            problems.append(_problem("groups", phrase("no g3 without consent")))
        return problems
    problems = [
        _problem(name, phrase("a value: it is required for a tested pupil"), phrase("nothing"))
        for name in ("instrument", "codebook", "administered_on")
        if getattr(record, name) == _DEFAULTS[name]
    ]
    if (record.level1 == UNKNOWN) is (record.disposition == VALID):
        problems.append(_problem("level1", phrase("0 to 3 for a valid test, 9 for an invalid one")))
    if record.disposition != VALID and (record.total is not None or record.factors_high):
        problems.append(_problem("total", phrase("no score and no high factor for an invalid test")))
    return problems


def apply_consent(record: Record, policy: str) -> Record:
    """Return the record as a plan's consent policy lets it be counted.

    Under `require` a pupil without the guardian's recorded consent loses every psychological field; a tested
    one is counted in disposition 8 (not recorded) or, where consent was denied, in 6. Under `record-only`
    nothing changes. Idempotent.

    Raises:
        RecordError: an unknown policy.
    """
    if policy not in CONSENT_POLICIES:
        allowed = phrase("one of %(names)s", names=", ".join(CONSENT_POLICIES))
        raise RecordError(Problem("consent", phrase("another word"), allowed))
    if policy == "record-only" or record.guardian_consent == "1":
        return record
    disposition = record.disposition
    if record.guardian_consent == "2" and disposition in (*TESTED, "3"):
        disposition = "6"
    elif record.is_tested:
        disposition = "8"
    blank = {name: _DEFAULTS[name] for name in (*TEST_FIELDS, *FOLLOW_UP_FIELDS)}
    return replace(record, disposition=disposition, groups=record.groups - {"g3"}, **blank)  # type: ignore[arg-type]


def to_row(record: Record) -> dict[str, RowValue]:
    """Return the canonical row of a record, for storing and hashing: text, integers, sorted lists.

    Fields that hold their default are left out, so that a field added later changes no old row.
    """
    values = zip(FIELD_NAMES, _VALUES_OF(record), _DEFAULTS.values(), strict=True)
    return {name: _row_value(value) for name, value, default in values if value != default}


def encode_row(record: Record) -> bytes:
    """Return the canonical JSON of `to_row`: the bytes of `crypto.canonical.encode_json`, sooner.

    A row has a fixed set of ASCII keys and values of three types, so nothing is left to be checked.
    """
    return _ROW_JSON.encode(to_row(record)).encode()


def _row_value(value: object) -> RowValue:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, Decimal):
        return encode_score(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, int):
        return value
    return str(value)


def from_row(row: Mapping[str, object]) -> Record:
    """Read a row; the exact inverse of `to_row`.

    Raises:
        RecordError: an unknown or missing key, another spelling than `to_row` writes, or no valid record.
    """
    record = from_own_row(row)
    if to_row(record) != dict(row):
        raise RecordError(_problem("", phrase("the one canonical row of a record")))
    return record


def from_own_row(row: Mapping[str, object]) -> Record:
    """Read a row that is known to come from `to_row`, by a digest over it; else `from_row` is right.

    Raises:
        RecordError: an unknown or missing key, or no valid record.
    """
    raise_if(RecordError, _key_problems(row))
    try:
        values = {name: _field_value(name, row[name]) for name in _SPELLED if name in row}
        return Record(**{**row, **values})  # type: ignore[arg-type]
    except (ValueError, TypeError) as err:
        raise RecordError(_problem("", phrase("the values that to_row writes"))) from err


def _key_problems(row: Mapping[str, object]) -> list[Problem]:
    if row.keys() <= _NAMES and row.keys() >= _REQUIRED:
        return []
    problems = [_problem(name[:40], phrase("a field of the record")) for name in row if name not in _NAMES]
    missing = sorted(_REQUIRED - row.keys())
    return problems + [_problem(name, phrase("a value"), phrase("nothing")) for name in missing]


def _field_value(name: str, value: object) -> object:
    if name in ("groups", "factors_high"):
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise TypeError("not a list")
        return frozenset(value)
    if not isinstance(value, str):
        return value
    return _READERS[name](value) if name in _READERS else value


_READERS: Final[Mapping[str, Callable[[str], object]]] = MappingProxyType(
    {
        "rec_key": bytes.fromhex,
        "total": lru_cache(maxsize=4096)(parse_score),
        "administered_on": lru_cache(maxsize=1024)(date.fromisoformat),
    }
)
