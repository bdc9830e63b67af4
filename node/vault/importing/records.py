"""From a joined pupil to the record that the vault keeps.

What a pupil is counted as (the disposition), in this order:

1. 7 (elsewhere) if the roster's dates say that the pupil was not enrolled on the census date;
2. a result: 1 if it is valid; 2 if its validity failed or its level is 9, and then no score stays;
3. else the reason that a file gives: 4 on leave, 5 exempt, 6 refused, 7 elsewhere;
4. else 3, not tested.

Then the consent rule of the plan (`plan.record.apply_consent`) takes away what may not be counted; a pupil
who refused (6) has no entry of a ledger in the first place. A result together with a reason for having none
is refused, and so is the result of a recheck without one: one of the two is wrong (`importing.pupils`).
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Final

from node.vault.importing.consent import ClassConsents, consent_of
from node.vault.importing.errors import IssueList
from node.vault.importing.join import Pupil
from node.vault.importing.parsers import FACTOR_PREFIX
from node.vault.importing.profile import LEDGER, RECHECK
from node.vault.importing.pupils import known_values, recheck_of, sources_of, validity_of
from node.vault.importing.rows import PupilRow, is_tested
from plan.codebook import Codebook
from plan.codes import UNKNOWN, WITHOUT_CONSENT
from plan.record import FOLLOW_UP_FIELDS, REC_KEY_BYTES, Record

NOT_TESTED: Final = "3"
ELSEWHERE: Final = "7"
ALERTED: Final = ("2", "3")
ATTRIBUTES: Final = ("sex", "boarding", "left_behind", "family", "migrant", "student_informed", *LEDGER)


def record_key(record_secret: bytes, student_no: str) -> bytes:
    """Give the keyed name of a pupil, 16 bytes: HMAC-SHA256 of the student number, cut short.

    Without the secret, which stays in the vault, a number cannot be tried against it.
    """
    return hmac.digest(record_secret, student_no.encode("ascii"), "sha256")[:REC_KEY_BYTES]


@dataclass(frozen=True, slots=True)
class Coding:
    """What all records of one import have in common.

    Attributes:
        codebook: what scores and labels mean.
        digest: the codebook's SHA-256 in hex, computed once.
        system: the school system, on which a pupil's stage depends.
        census_date: a pupil counts where enrolled on this day.
        record_secret: key of the pupils' keyed names; held by this node's vault only.
        consents: of classes, or None.
        has_retests: whether a retest was imported: then who should have had one and did not has `recheck` 0.
    """

    codebook: Codebook
    digest: str
    system: str
    census_date: date
    record_secret: bytes = field(repr=False)
    consents: ClassConsents | None = None
    has_retests: bool = False


def is_enrolled(row: PupilRow, census_date: date) -> bool:
    """Say whether the roster's dates, where it has them, say that a pupil was enrolled on the census date."""
    joined, left = row.values.get("joined_on"), row.values.get("left_on")
    if isinstance(joined, date) and joined > census_date:
        return False
    return not (isinstance(left, date) and left <= census_date)


def check_enrolment(pupils: list[Pupil], census_date: date, issues: IssueList) -> None:
    """Warn of every result that will not be counted here."""
    for pupil in pupils:
        result = pupil.result
        if result is not None and is_tested(result.values) and not is_enrolled(pupil.enrolled, census_date):
            name = "left_on" if isinstance(pupil.enrolled.values.get("left_on"), date) else "joined_on"
            issues.add(pupil.enrolled.issue("not-enrolled", name, severity="warning"))


def check_days(pupils: list[Pupil], today: date, issues: IssueList) -> None:
    """Warn of every test that, by this node's clock, is still to come."""
    for pupil in pupils:
        for row in (pupil.result, pupil.retest):
            day = row.values.get("administered_on") if row is not None else None
            if row is not None and isinstance(day, date) and day > today:
                issues.add(row.issue("day-to-come", "administered_on", severity="warning"))


def encode_record(pupil: Pupil, coding: Coding) -> Record:
    """Code one pupil, before the consent rule.

    Raises:
        RecordError: the values do not go together; the checks before this leave no such pupil.
    """
    enrolled, result, rows = pupil.enrolled, pupil.result, sources_of(pupil)
    known = known_values(rows)
    fields: dict[str, Any] = {name: known[name] for name in ATTRIBUTES if name in known}
    fields["guardian_consent"], is_follow_up_denied = consent_of(enrolled, known, coding.consents)
    groups = frozenset[str]().union(*(_groups(row) for row in rows))
    if not is_enrolled(enrolled, coding.census_date):
        fields["disposition"] = ELSEWHERE
    elif result is not None and is_tested(result.values):
        fields |= _encode_result(result, coding)
        fields |= _encode_recheck(pupil, known, coding)
    else:
        fields["disposition"] = known.get("absence", NOT_TESTED)
    fields["days_to_review"] = _days_to_review(pupil)
    if is_follow_up_denied or fields["disposition"] in WITHOUT_CONSENT:
        fields = {name: value for name, value in fields.items() if name not in (*FOLLOW_UP_FIELDS, *RECHECK)}
        groups -= {"g3"}
    return Record(
        rec_key=record_key(coding.record_secret, enrolled.text("student_no")),
        grade=enrolled.text("grade"),
        system=coding.system,
        groups=groups,
        **fields,
    )


def is_follow_up_denied(pupil: Pupil, consents: ClassConsents | None) -> bool:
    """Say whether a pupil's follow-up was denied, by the pupil's own rows or for the class."""
    return consent_of(pupil.enrolled, known_values(sources_of(pupil)), consents)[1]


def _encode_result(row: PupilRow, coding: Coding) -> dict[str, Any]:
    """Give the test fields of a tested pupil; an invalid test keeps no score."""
    codebook = coding.codebook
    validity = validity_of(row, codebook)
    duration = row.values.get("duration_s")
    fields: dict[str, Any] = {
        "instrument": codebook.id,
        "rule_version": codebook.version,
        "codebook": coding.digest,
        "administered_on": row.values["administered_on"],
        "validity": validity,
        "sitting": row.text("sitting") or "1",
        "duration_s": duration if isinstance(duration, int) else None,
    }
    if validity == "2" or row.values["level"] == UNKNOWN:
        return fields | {"disposition": "2"}
    factors = {
        name.removeprefix(FACTOR_PREFIX): value
        for name, value in row.values.items()
        if name.startswith(FACTOR_PREFIX) and isinstance(value, Decimal)
    }
    return fields | {
        "disposition": "1",
        "level1": row.values["level"],
        "total": row.values["total"],
        "factors_high": codebook.factors_high(factors),
        "critical": row.text("critical") or UNKNOWN,
    }


def _encode_recheck(pupil: Pupil, known: Mapping[str, str], coding: Coding) -> dict[str, str]:
    """Give what a recheck found: from the levels before and after a retest, else in words of a file."""
    fields = {name: known.get(name, UNKNOWN) for name in RECHECK}
    recheck, level2 = recheck_of(pupil, coding.codebook)
    fields |= {name: code for name, code in (("recheck", recheck), ("level2", level2)) if code}
    is_alerted = pupil.result is not None and pupil.result.text("level") in ALERTED
    if fields["recheck"] == UNKNOWN and coding.has_retests and is_alerted:
        fields["recheck"] = "0"
    return fields


def _days_to_review(pupil: Pupil) -> int | None:
    """Give the days from the test to its review, as a file says or from the day of the review."""
    tested = pupil.result.values.get("administered_on") if pupil.result is not None else None
    for row in sources_of(pupil):
        days, day = row.values.get("days_to_review"), row.values.get("reviewed_on")
        if isinstance(days, int):
            return days
        if isinstance(day, date) and isinstance(tested, date):
            return (day - tested).days
    return None


def _groups(row: PupilRow) -> frozenset[str]:
    found = row.values.get("groups")
    return found if isinstance(found, frozenset) else frozenset()
