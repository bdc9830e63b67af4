"""The codebook (量表口径): what an instrument's scores and a platform's labels mean.

It is data that a county signs: ranges, explicit comparators, and label sets that map local level labels to
the canonical levels 0, 1, 2, 3 and 9. It holds no item text and scores nothing. Its canonical JSON has a
SHA-256, by which a plan pins it.

Rules:

1. Every label set follows the rules of `plan.labels`.
2. Without the name of a set, a label counts only if all sets that know it agree.
3. Factor ids and the names of label sets are different from each other.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from crypto.canonical import JsonInput, encode_json, parse_json
from crypto.errors import CryptoError
from plan.codes import LEVEL, UNKNOWN
from plan.errors import CodebookError, Problem, phrase, raise_if
from plan.labels import DIRECTIONS, MAX_LABELS, NUMBERS, LabelSet, normalise_label
from plan.reading import (
    FACTOR_PATTERN,
    ID_PATTERN,
    MAX_INPUT_BYTES,
    Section,
    describe,
    load_toml,
    nearest,
    shown_key,
)
from plan.scores import Comparator, ScoreRange, encode_score, parse_comparator

CODEBOOK_FORMAT: Final = "fedscreen/codebook/v1"
MAX_FACTORS: Final = 32
MAX_LABEL_SETS: Final = 8
MAX_TITLE_CHARS: Final = 80

_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Factor:
    """One factor (因子): its id and title, the range of its score, and when a score is high."""

    id: str
    title: str
    range: ScoreRange
    high: Comparator


@dataclass(frozen=True, slots=True)
class ValidityScale:
    """A validity scale: the range of its score, and when a test is invalid."""

    range: ScoreRange
    invalid: Comparator


@dataclass(frozen=True, slots=True)
class Codebook:
    """A codebook, valid by construction; `parse_codebook_toml` reads one.

    Attributes:
        id, version: of the instrument's coding, such as `mht` and `2026.1`.
        total: range of the total score; its tenths are the bands of a plan's tables.
        validity: None for an instrument without a validity scale.
        factors, label_sets: in the file's order.

    Raises:
        CodebookError: a repeated factor or label set.
    """

    id: str
    version: str
    title: str
    total: ScoreRange
    validity: ValidityScale | None
    factors: tuple[Factor, ...]
    label_sets: tuple[LabelSet, ...]

    def __post_init__(self) -> None:
        problems = _repeated("factors", [item.id for item in self.factors])
        problems += _repeated("levels", [item.name for item in self.label_sets])
        raise_if(CodebookError, problems)

    @property
    def digest(self) -> bytes:
        """SHA-256 of the canonical JSON, 32 bytes."""
        return hashlib.sha256(encode_codebook(self)).digest()

    @property
    def factor_titles(self) -> tuple[tuple[str, str], ...]:
        """Pairs of a factor's id and title, as a plan's instrument holds them."""
        return tuple((factor.id, factor.title) for factor in self.factors)

    def level_of(self, label: str, label_set: str = "") -> str:
        """Return the canonical level, "0" to "3" or "9", of a local label.

        Args:
            label: as it stands in the platform's file.
            label_set: name of the set to use; "" uses all, as long as they agree.

        Raises:
            CodebookError: an unknown set, an unmapped label, or one that two sets map differently. The
                label is not repeated: in a shifted file it may be anything.
        """
        sets = [item for item in self.label_sets if label_set in ("", item.name)]
        if not sets:
            names = ", ".join(item.name for item in self.label_sets)
            advice = nearest(label_set, names.split(", "))
            found = phrase("an unknown label set")
            raise CodebookError(Problem("label_set", found, phrase("one of %(names)s", names=names), advice))
        levels = {level for item in sets if (level := item.level_of(label)) is not None}
        if len(levels) == 1:
            return levels.pop()
        if levels:
            found = phrase("a label that this codebook's sets map to different levels")
            advice = phrase("name the label set in the import profile")
        else:
            found = phrase("a label that the codebook does not map")
            advice = phrase("add the label to the codebook, with its meaning; nothing is guessed")
        known = ", ".join(sorted({name for item in sets for name, _ in item.labels}))
        raise CodebookError(Problem("level", found, phrase("one of %(names)s", names=known), advice))

    def validity_of(self, score: Decimal | None) -> str:
        """Return the validity code: "1" passed, "2" failed, "9" without a scale or a score.

        Raises:
            CodebookError: the score lies outside of the scale's range.
        """
        if self.validity is None or score is None:
            return UNKNOWN
        _check_range("validity", self.validity.range, score)
        return "2" if self.validity.invalid.holds(score) else "1"

    def check_total(self, score: Decimal) -> None:
        """Raise CodebookError when a total score lies outside of the range."""
        _check_range("total", self.total, score)

    def factors_high(self, scores: Mapping[str, Decimal]) -> frozenset[str]:
        """Return the ids of the factors whose score is high.

        Args:
            scores: the score of every factor of the codebook, by id.

        Raises:
            CodebookError: a factor is missing or unknown, or its score lies outside of its range.
        """
        factors = {factor.id: factor for factor in self.factors}
        differing = sorted(factors.keys() ^ scores.keys())
        if differing:
            found = phrase("other factors: %(names)s", names=", ".join(differing)[:200])
            raise CodebookError(Problem("factors", found, phrase("exactly the codebook's factors")))
        for name, score in scores.items():
            _check_range(f"factors.{name}", factors[name].range, score)
        return frozenset(name for name, score in scores.items() if factors[name].high.holds(score))


def _check_range(key: str, allowed: ScoreRange, score: Decimal) -> None:
    if not allowed.contains(score):
        low, high = encode_score(allowed.low), encode_score(allowed.high)
        found = phrase("a score outside of the range")
        raise CodebookError(Problem(key, found, phrase("%(low)s to %(high)s", low=low, high=high)))


def _repeated(key: str, names: list[str]) -> list[Problem]:
    return [
        Problem(key, phrase("%(name)s more than once", name=name), phrase("different names"))
        for name in sorted({name for name in names if names.count(name) > 1})
    ]


_KEYS = ("format", "id", "version", "title", "total", "validity", "factors", "levels")


def parse_codebook_toml(data: bytes) -> Codebook:
    """Read a codebook from TOML (at most 256 KiB; a byte order mark is fine).

    Raises:
        CodebookError: all problems, each with its key, what was found and what is allowed.
    """
    return _read_codebook(load_toml(data, CodebookError))


def parse_codebook_json(data: bytes) -> Codebook:
    """Read canonical JSON; the exact inverse of `encode_codebook`.

    Raises:
        CodebookError: not canonical JSON, or not the encoding of a codebook.
    """
    if len(data) > MAX_INPUT_BYTES:
        raise CodebookError(Problem("", phrase("too many bytes"), phrase("a codebook")))
    try:
        value = parse_json(data)
    except CryptoError as err:
        raise CodebookError(Problem("", phrase("other bytes"), phrase("canonical JSON"))) from err
    if not isinstance(value, dict):
        raise CodebookError(Problem("", phrase("another value"), phrase("a JSON object")))
    codebook = _read_codebook(value)
    if encode_codebook(codebook) != data:
        raise CodebookError(Problem("", phrase("another spelling"), phrase("the one encoding of a codebook")))
    return codebook


def encode_codebook(codebook: Codebook) -> bytes:
    """Return the canonical JSON (RFC 8785) of a codebook."""
    validity: JsonInput = {}
    if codebook.validity is not None:
        validity = {
            "range": _range_json(codebook.validity.range),
            "invalid": codebook.validity.invalid.text,
        }
    factors: list[JsonInput] = [
        {"id": item.id, "title": item.title, "range": _range_json(item.range), "high": item.high.text}
        for item in codebook.factors
    ]
    levels: list[JsonInput] = [
        {
            "set": item.name,
            "direction": item.direction,
            "numbers": NUMBERS[item.has_numbers],
            "labels": dict(item.labels),
        }
        for item in codebook.label_sets
    ]
    return encode_json(
        {
            "format": CODEBOOK_FORMAT,
            "id": codebook.id,
            "version": codebook.version,
            "title": codebook.title,
            "total": _range_json(codebook.total),
            "validity": validity,
            "factors": factors,
            "levels": levels,
        }
    )


def _range_json(scores: ScoreRange) -> list[JsonInput]:
    return [encode_score(scores.low), encode_score(scores.high)]


def _read_codebook(values: Mapping[str, object]) -> Codebook:
    problems: list[Problem] = []
    top = Section(values, _KEYS, problems)
    top.choice("format", (CODEBOOK_FORMAT,))
    name = top.word("id", ID_PATTERN, phrase("a short name of a-z 0-9 . _ -"))
    version = top.word("version", _VERSION, phrase("a version such as 2026.1"))
    title = top.text("title", MAX_TITLE_CHARS)
    total = top.score_range("total")
    validity = _read_validity(top)
    factors = _read_factors(top)
    label_sets = _read_label_sets(top)
    raise_if(CodebookError, problems)
    return Codebook(name, version, title, total, validity, factors, label_sets)


def _read_validity(top: Section) -> ValidityScale | None:
    values = top.table("validity") if top.has("validity") else {}
    if not values:
        return None
    section = Section(values, ("range", "invalid"), top.problems, "validity.")
    return ValidityScale(section.score_range("range"), _read_comparator(section, "invalid"))


def _read_comparator(section: Section, key: str) -> Comparator:
    def read(value: object) -> Comparator | None:
        try:
            return parse_comparator(value) if isinstance(value, str) else None
        except ValueError:
            return None

    allowed = phrase('a comparator and a number as text, such as ">= 8"')
    return section.take(key, read, allowed, Comparator(">=", Decimal(0)))


def _read_factors(top: Section) -> tuple[Factor, ...]:
    factors = []
    for place, values in enumerate(top.tables("factors", MAX_FACTORS, least=0), start=1):
        section = Section(values, ("id", "title", "range", "high"), top.problems, f"factors.#{place}.")
        factors.append(
            Factor(
                section.word("id", FACTOR_PATTERN, phrase("a short name of a-z 0-9 _, a letter first")),
                section.text("title", MAX_TITLE_CHARS),
                section.score_range("range"),
                _read_comparator(section, "high"),
            )
        )
    return tuple(factors)


def _read_label_sets(top: Section) -> tuple[LabelSet, ...]:
    label_sets = []
    keys = ("set", "direction", "numbers", "labels")
    for place, values in enumerate(top.tables("levels", MAX_LABEL_SETS), start=1):
        section = Section(values, keys, top.problems, f"levels.#{place}.")
        name = section.word("set", ID_PATTERN, phrase("a short name of a-z 0-9 . _ -"))
        direction = section.choice("direction", DIRECTIONS)
        has_numbers = section.choice("numbers", NUMBERS, NUMBERS[0]) == NUMBERS[1]
        labels = _read_labels(section)
        if section.has_problems:
            continue
        try:
            label_sets.append(LabelSet(name, direction, has_numbers, labels))
        except CodebookError as err:
            section.add("labels", *err.problems)
    return tuple(label_sets)


def _read_labels(section: Section) -> tuple[tuple[str, str], ...]:
    values = section.table("labels")
    labels = []
    for label, level in values.items():
        code = str(level) if type(level) is int and 0 <= level <= 9 else level
        if not isinstance(code, str) or code not in LEVEL:
            found = describe(level)
            allowed = phrase("a level: 0, 1, 2, 3, or 9 for an invalid test")
            path = f"{section.path}labels.{shown_key(label)}"
            section.add("labels", Problem(path, found, allowed))
            continue
        labels.append((normalise_label(label), code))
    if not 1 <= len(values) <= MAX_LABELS:
        section.note("labels", phrase("1 to %(most)s labels with their levels", most=MAX_LABELS))
    return tuple(sorted(labels))
