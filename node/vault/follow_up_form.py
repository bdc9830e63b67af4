"""What the form of the follow-up may say of a pupil, and what that makes of the record.

Rules:

1. The form writes follow-up, recheck and groups, never the result of the test itself (`level1`, scores).
2. What was typed later stands over what was typed before, and over what an import says.
3. A pupil who was not tested has no recheck. Without consent (dispositions 6 and 8, a consent rule that asks
   for one, or follow-up that was denied) no psychological field and no g3 is written; what was typed for such
   a pupil stays in the form and is not applied.
4. With a level after the recheck, its result follows from the two levels.

Pure: values in, records out. The entries themselves are in `node.vault.follow_up`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from types import MappingProxyType
from typing import Any, Final

from node.vault.errors import CommandError, RecordsError, _, shown_as
from plan.codes import FIELD_CODES, FLAG, GROUP, UNKNOWN, WITHOUT_CONSENT, Codes
from plan.errors import Phrase, phrase
from plan.record import FOLLOW_UP_FIELDS, MAX_DAYS, Record

RECHECK: Final = ("recheck", "recheck_by", "level2")
CODED: Final = (
    *RECHECK,
    "found_by",
    "file_built",
    "carer_assigned",
    "pool",
    *FLAG,
    "ref_dest",
    "outcome",
    "home_visit",
    "handed_over",
)
FORM_FIELDS: Final = (*CODED, "days_to_review", "groups")
REVIEWED_ON: Final = "reviewed_on"
"""A day that may be typed instead of `days_to_review`; it is counted from the day of the test."""
KNOWN_LEVELS: Final = ("0", "1", "2", "3")
ALERTED: Final = ("2", "3")
REQUIRE: Final = "require"
DIAGNOSED: Final = "g3"
"""The one group that is a psychological finding."""
PSYCHOLOGICAL: Final = frozenset((*FOLLOW_UP_FIELDS, *RECHECK))

FormValue = str | int | list[str]
FormValues = Mapping[str, FormValue]


@dataclass(frozen=True, slots=True)
class Applied:
    """What the form made of one record.

    Attributes:
        record: with the form's values.
        kept: fields that the record did not say, or said alike.
        differ: fields of which the record said something else; the form's value stands.
        left_out: fields that the rules of consent or of an untested pupil keep out.
        has_consent: whether findings may be kept for the pupil.
    """

    record: Record
    kept: tuple[str, ...]
    differ: tuple[str, ...]
    left_out: tuple[str, ...]
    has_consent: bool


def parse_values(values: Mapping[str, Any], tested_on: date | None = None) -> dict[str, FormValue]:
    """Read what was typed: codes or their Chinese labels; an empty text takes a field out of the form.

    Args:
        values: by field; `groups` is a list or a text with commas.
        tested_on: the day of the pupil's test, for `reviewed_on`.

    Raises:
        CommandError: no such field, or no value that it can have; the value is not repeated.
    """
    if not values:
        raise _refused("values", phrase("at least one field of the form"))
    found: dict[str, FormValue] = {}
    for name, value in values.items():
        if value == "" and name in FORM_FIELDS:
            found[name] = ""
        elif name == REVIEWED_ON:
            found["days_to_review"] = _days_until(value, tested_on)
        elif name in FORM_FIELDS:
            found[name] = _read(name, value)
        else:
            names = ", ".join((*FORM_FIELDS, REVIEWED_ON))
            raise _refused(str(name)[:40], phrase("one of %(names)s", names=names))
    return found


def together(*typed: FormValues) -> dict[str, FormValue]:
    """Put what was typed at several times together: the last stands, and an empty text takes a field out."""
    found: dict[str, FormValue] = {}
    for values in typed:
        found |= values
    return {name: value for name, value in found.items() if value != ""}


def _read(name: str, value: object) -> FormValue:
    if name == "groups":
        return _read_groups(value)
    if name == "days_to_review":
        return _read_days(value)
    code = _code_of(FIELD_CODES[name], value)
    if code is None:
        words = ", ".join(f"{key} {label}" for key, label in FIELD_CODES[name].items())
        raise _refused(name, phrase("one of %(names)s", names=words))
    return code


def _code_of(codes: Codes, value: object) -> str | None:
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else None
    if text in codes:
        return text
    return next((code for code, label in codes.items() if label == text), None)


def _read_groups(value: object) -> list[str]:
    words = value.replace("，", ",").replace("、", ",").split(",") if isinstance(value, str) else value
    if words in (["none"], ["无"]):
        return []
    found = [_code_of(GROUP, word) for word in words] if isinstance(words, list) else [None]
    if None in found:
        names = ", ".join(f"{code} {label}" for code, label in GROUP.items())
        raise _refused("groups", phrase("a list of %(codes)s", codes=names))
    return sorted({code for code in found if code is not None})


def _read_days(value: object) -> FormValue:
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else "?"
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and int(text) <= MAX_DAYS):
        raise _refused("days_to_review", phrase("days from 0 to %(most)s, or nothing", most=MAX_DAYS))
    return int(text)


def _days_until(value: object, tested_on: date | None) -> int:
    try:
        day = date.fromisoformat(str(value))
    except ValueError:
        raise _refused(REVIEWED_ON, phrase("a day such as 2026-09-30")) from None
    if tested_on is None or not 0 <= (day - tested_on).days <= MAX_DAYS:
        raise _refused(REVIEWED_ON, phrase("a day from the test on, for a pupil who was tested"))
    return (day - tested_on).days


def apply_form(record: Record, values: FormValues, policy: str, *, is_denied: bool) -> Applied:
    """Write the form's values into a record.

    Args:
        record: as an import coded it.
        values: of all entries about the pupil together.
        policy: the consent rule that the records were imported under.
        is_denied: whether follow-up was denied for the pupil.
    """
    is_without = record.disposition in WITHOUT_CONSENT or is_denied
    is_without = is_without or (policy == REQUIRE and record.guardian_consent != "1")
    changes: dict[str, Any] = {}
    left_out: list[str] = []
    for name, value in values.items():
        is_untested = name in RECHECK and not record.is_tested
        if is_untested or (is_without and name in PSYCHOLOGICAL):
            left_out.append(name)
        elif name == "groups":
            changes[name] = _groups(record, value, is_without=is_without)
            left_out += [DIAGNOSED] if is_without and DIAGNOSED in _typed_groups(values) else []
        elif name == "days_to_review":
            changes[name] = int(value) if isinstance(value, int | str) else None
        else:
            changes[name] = value
    changes |= _recheck_after(record, changes)
    differ = tuple(name for name in changes if name in values and _says_else(record, name, changes[name]))
    kept = tuple(name for name in changes if name in values and name not in differ)
    return Applied(replace(record, **changes), kept, differ, tuple(left_out), not is_without)


def _groups(record: Record, value: FormValue, *, is_without: bool) -> frozenset[str]:
    typed = frozenset(value) if isinstance(value, list) else frozenset[str]()
    return (typed - {DIAGNOSED}) | (record.groups & {DIAGNOSED}) if is_without else typed


def _typed_groups(values: FormValues) -> list[str]:
    groups = values.get("groups")
    return groups if isinstance(groups, list) else []


def _says_else(record: Record, name: str, value: object) -> bool:
    """Say whether an import knows something else; nothing known is nothing else."""
    known = getattr(record, name)
    return known not in (UNKNOWN, None, frozenset()) and known != value


def _recheck_after(record: Record, changes: Mapping[str, Any]) -> dict[str, str]:
    """Give the recheck's result where a level after it was typed."""
    recheck = recheck_between(record.level1, changes.get("level2", UNKNOWN))
    return {"recheck": recheck} if recheck else {}


def recheck_between(level1: str, level2: str) -> str:
    """Give the code of `recheck` from the levels before and after it; empty if one is not known."""
    if level1 not in KNOWN_LEVELS or level2 not in KNOWN_LEVELS:
        return ""
    return "2" if level1 == level2 else ("1" if level2 < level1 else "3")


def check_together(record: Record, values: FormValues, typed: FormValues, applied: Applied) -> None:
    """Refuse what was just typed if it cannot be applied, or if its parts contradict each other.

    Raises:
        RecordsError: consent or a test is missing, or the recheck contradicts its level.
    """
    out = sorted({*typed, *_typed_groups(typed)} & set(applied.left_out))
    if out and applied.has_consent:
        raise RecordsError(
            _("a pupil without a result has no recheck"),
            _("Leave out: %(names)s."),
            code="recheck-untested",
            details={"names": ", ".join(out)},
        )
    if out:
        raise RecordsError(
            _("without the guardian's consent nothing of the follow-up is kept for this pupil"),
            _("Record the consent in the roster and import again; a pupil at risk never waits for that."),
            code="no-consent",
            details={"names": ", ".join(out)},
        )
    expected = recheck_between(record.level1, str(values.get("level2", UNKNOWN)))
    if expected and "recheck" in typed and typed["recheck"] not in (expected, UNKNOWN):
        raise RecordsError(
            _("the recheck's result contradicts the levels before and after it"),
            _("Leave the result out: it follows from the level after the recheck."),
            code="recheck-differs",
        )


def level_now(record: Record) -> str:
    """Give the level that counts now: after the recheck where there was one, else the first."""
    return record.level2 if record.level2 in KNOWN_LEVELS else record.level1


def open_steps(record: Record) -> list[str]:
    """List what is still to be done for a pupil, as fields of the form; empty where nothing is.

    A pupil is followed up from level 2 on, or while in the pool; `closed` comes when all else is done.
    """
    is_followed = record.level1 in ALERTED or level_now(record) in ALERTED or record.pool in ("1", "2")
    if not is_followed or record.closed == "1":
        return []
    steps = [name for name in ("reviewed",) if getattr(record, name) != "1"]
    if record.level1 in ALERTED and record.recheck in ("0", UNKNOWN):
        steps.append("recheck")
    if level_now(record) in ALERTED or record.pool in ("1", "2"):
        steps += [name for name in ("guardian_told", "file_built", "carer_assigned") if _is_not(record, name)]
    if record.referral_advised == "1" and record.referral_attended != "1" and record.ref_dest != "6":
        steps.append("referral_attended")
    if record.outcome == "7" and record.handed_over != "1":
        steps.append("handed_over")
    return steps or ["closed"]


def _is_not(record: Record, name: str) -> bool:
    return bool(getattr(record, name) != "1")


def form_values(record: Record) -> dict[str, FormValue]:
    """Give what a record says in the fields of the form, without what is unknown."""
    found: dict[str, FormValue] = {
        name: getattr(record, name) for name in CODED if getattr(record, name) != UNKNOWN
    }
    if record.days_to_review is not None:
        found["days_to_review"] = record.days_to_review
    return found | ({"groups": sorted(record.groups)} if record.groups else {})


LABELS: Final[Mapping[str, Codes]] = MappingProxyType(
    {**{name: FIELD_CODES[name] for name in CODED}, "groups": GROUP}
)
"""The codes of each field of the form with their labels, for a form on a screen."""


def _refused(name: str, expected: Phrase) -> CommandError:
    return CommandError(
        _("%(field)s: expected %(expected)s"),
        _("Correct the value and run the command again."),
        details={"field": name, **shown_as("expected", expected)},
    )
