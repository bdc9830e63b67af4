"""A principal's progress statement: how far a school's testing has come, in a band, and yes/no attestations.

A person types it at the coordinator while a round collects, so that the county can telephone those who are
late. It is no measurement: bands instead of numbers, nothing about results or about pupils in difficulty,
outside of differential privacy, never computed by a node and never published by school; what may be published
is how many schools stand in each band (`progress_summary`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Final

from plan.codes import WAVE, Codes
from plan.errors import Phrase, Problem, phrase
from plan.reading import ID_PATTERN, is_clean_text, shown_key
from results.errors import FactsError
from results.fact_fields import YES_NO, is_about_difficulty, parse_day, plain

BANDS: Final[Codes] = MappingProxyType({"lt80": "不足80%", "80-95": "80%至95%", "ge95": "95%及以上"})
"""Bands of the share of pupils to be tested who have been tested (测评覆盖率)."""

BAND_LABELS: Final[Mapping[str, Phrase]] = MappingProxyType(
    {"lt80": phrase("below 80 %%"), "80-95": phrase("80 %% to 95 %%"), "ge95": phrase("95 %% or more")}
)

ATTESTATIONS: Final[Mapping[str, tuple[str, Phrase]]] = MappingProxyType(
    {
        "started": ("测评已开始", phrase("Testing has begun")),
        "consent_recorded": ("知情同意已按班登记", phrase("Consent is recorded class by class")),
        "pupils_told": (
            "已向学生说明测评目的和自愿原则",
            phrase("Pupils were told the purpose and that it is voluntary"),
        ),
        "make_up_planned": ("补测已安排", phrase("A make-up sitting is planned")),
        "staff_instructed": ("相关人员已学习保密要求", phrase("Staff were instructed about confidentiality")),
        "emergency_plan": ("应急预案已落实到班主任", phrase("Head teachers know the emergency plan")),
    }
)
"""What a principal answers with yes or no: zh text, and the text for every language."""

MAX_NAME_CHARS: Final = 40
_NOT_REPEATED: Final = phrase("a value that is not repeated here")


@dataclass(frozen=True, slots=True)
class ProgressStatement:
    """One principal's statement of one day.

    Attributes:
        node: id of the school's node.
        wave: key of `plan.codes.WAVE`.
        band: key of `BANDS`.
        attestations: key of `ATTESTATIONS` → yes or no; only what was answered.
        by: the principal's name, as typed.
        on: the day it speaks of.
    """

    node: str
    wave: str
    band: str
    attestations: Mapping[str, bool]
    by: str
    on: date

    def plain(self) -> dict[str, str]:
        """Give the statement for JSON; `parse_progress` is the inverse."""
        answers = {name: "1" if value else "0" for name, value in self.attestations.items()}
        return {"wave": self.wave, "band": self.band, "by": self.by, "on": self.on.isoformat(), **answers}


def parse_progress(node: str, raw: Mapping[str, object]) -> ProgressStatement:
    """Read one statement.

    Args:
        node: id of the school's node.
        raw: `wave`, `band`, `by`, `on` and attestations → text; codes may be given by their zh label.

    Raises:
        FactsError: with a problem for each field that is wrong, unknown or missing.
    """
    texts = {name: str(value).strip() for name, value in raw.items() if value is not None}
    problems = [_unknown(name) for name in texts if name not in {*_HEAD, *ATTESTATIONS}]
    if not ID_PATTERN.match(node):
        problems.append(Problem("node", _NOT_REPEATED, phrase("the id of a school in the roster")))
    wave, band = _code(WAVE, texts.get("wave", "")), _code(BANDS, texts.get("band", ""))
    for name, found, codes in (("wave", wave, WAVE), ("band", band, BANDS)):
        if not found:
            problems.append(Problem(name, _NOT_REPEATED, _one_of(codes)))
    by, on = texts.get("by", ""), parse_day(texts.get("on", ""))
    if not by or not is_clean_text(by, MAX_NAME_CHARS):
        problems.append(Problem("by", _NOT_REPEATED, phrase("the principal's name")))
    if on is None:
        problems.append(Problem("on", _NOT_REPEATED, phrase("a day such as 2026-09-20")))
    answers = {name: _code(YES_NO, texts[name]) for name in ATTESTATIONS if texts.get(name)}
    problems += [Problem(name, _NOT_REPEATED, _one_of(YES_NO)) for name, code in answers.items() if not code]
    if problems or on is None:
        raise FactsError(*problems)
    given = MappingProxyType({name: code == "1" for name, code in answers.items()})
    return ProgressStatement(node, wave, band, given, by, on)


_HEAD: Final = ("wave", "band", "by", "on")


def _unknown(name: str) -> Problem:
    advice = None
    if is_about_difficulty(name):
        advice = phrase("a progress statement says nothing about results or single pupils; leave it out")
    return Problem(shown_key(name), phrase("an unknown field"), phrase("fields of the statement"), advice)


def _one_of(codes: Codes) -> Phrase:
    return phrase("one of %(labels)s", labels=" / ".join(codes.values()))


def _code(codes: Codes, text: str) -> str:
    key = plain(text)
    return next((code for code, label in codes.items() if key in (code, plain(label))), "")


@dataclass(frozen=True, slots=True)
class ProgressSummary:
    """How many schools stand in each band; names no school.

    Attributes:
        by_band: key of `BANDS` → schools.
        by_attestation: key of `ATTESTATIONS` → schools that answered yes.
        missing: schools without a statement.
    """

    by_band: Mapping[str, int]
    by_attestation: Mapping[str, int]
    missing: int


def progress_summary(statements: Sequence[ProgressStatement], num_schools: int) -> ProgressSummary:
    """Count schools by band and attestation.

    Raises:
        FactsError: a school has two statements, or there are more statements than schools.
    """
    if len({row.node for row in statements}) < len(statements) or len(statements) > num_schools:
        found = phrase("%(size)s statements", size=len(statements))
        raise FactsError(Problem("node", found, phrase("at most one for each school")))
    bands = {band: sum(row.band == band for row in statements) for band in BANDS}
    said = {name: sum(row.attestations.get(name, False) for row in statements) for name in ATTESTATIONS}
    return ProgressSummary(bands, said, num_schools - len(statements))
