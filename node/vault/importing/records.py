"""From a joined pupil to the record that the vault keeps.

What a pupil is counted as (the disposition), in this order:

1. a result: 1 if it is valid; 2 if its validity failed or its level is 9, and then no score stays;
2. else the reason that the roster or the platform gives: 4 on leave, 5 exempt, 6 refused, 7 elsewhere;
3. else 3, not tested.

Then the consent rule of the plan (`plan.record.apply_consent`) takes away what may not be counted; a pupil
who refused (6) has no entry of a ledger in the first place. A result together with a reason for having none
is refused, and so is the result of a recheck without one: one of the two is wrong.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from node.vault.importing.errors import IssueList
from node.vault.importing.join import Pupil
from node.vault.importing.profile import LEDGER, RECHECK
from node.vault.importing.rows import FACTOR_PREFIX, PupilRow, PupilRows, cell_issue, is_tested
from plan.codebook import Codebook
from plan.codes import UNKNOWN, WITHOUT_CONSENT
from plan.record import FOLLOW_UP_FIELDS, REC_KEY_BYTES, Record

NOT_TESTED: Final = "3"
ATTRIBUTES: Final = (
    *("sex", "boarding", "left_behind", "family", "migrant"),
    *("student_informed", "guardian_consent", *LEDGER),
)


def record_key(record_secret: bytes, student_no: str) -> bytes:
    """Give the keyed name of a pupil, 16 bytes: HMAC-SHA256 of the student number, cut short.

    Without the secret, which stays in the vault, a number cannot be tried against it.
    """
    return hmac.digest(record_secret, student_no.encode("ascii"), "sha256")[:REC_KEY_BYTES]


def check_pupil(pupil: Pupil, roster: PupilRows, screening: PupilRows, issues: IssueList) -> None:
    """Check what the two files say together about one pupil."""
    enrolled, result = pupil.enrolled, pupil.result
    _check_recheck(pupil, roster, screening, issues)
    if result is None:
        return
    for name, code in (("absence", "reasons-differ"), ("guardian_consent", "consents-differ")):
        first, second = enrolled.text(name), result.text(name)
        if first and second and UNKNOWN not in (first, second) and first != second:
            issues.add(cell_issue(enrolled.file, enrolled.row, roster.columns.get(name), code))
    if is_tested(result.values) and (enrolled.text("absence") or result.text("absence")):
        where = enrolled if enrolled.text("absence") else result
        columns = (roster if where is enrolled else screening).columns
        issues.add(cell_issue(where.file, where.row, columns.get("absence"), "tested-and-excused"))


def _check_recheck(pupil: Pupil, roster: PupilRows, screening: PupilRows, issues: IssueList) -> None:
    """Refuse the result of a recheck of a pupil without a test."""
    result = pupil.result
    if result is not None and is_tested(result.values):
        return
    for row, read in ((pupil.enrolled, roster), (result, screening)):
        if row is None:
            continue
        for name, means_nothing in (("recheck", ("", "0", UNKNOWN)), ("level2", ("", UNKNOWN))):
            if row.text(name) not in means_nothing:
                issues.add(cell_issue(row.file, row.row, read.columns.get(name), "recheck-untested"))


@dataclass(frozen=True, slots=True)
class Coding:
    """What all records of one import have in common.

    Attributes:
        codebook: what scores and labels mean.
        digest: the codebook's SHA-256 in hex, computed once.
        system: the school system, on which a pupil's stage depends.
        record_secret: key of the pupils' keyed names; held by this node's vault only.
    """

    codebook: Codebook
    digest: str
    system: str
    record_secret: bytes = field(repr=False)


def encode_record(pupil: Pupil, coding: Coding) -> Record:
    """Code one pupil, before the consent rule.

    Raises:
        RecordError: the values do not go together; the checks before this leave no such pupil.
    """
    enrolled, result = pupil.enrolled, pupil.result
    fields: dict[str, Any] = {name: _either(enrolled, result, name) for name in ATTRIBUTES}
    if result is not None and is_tested(result.values):
        fields |= _encode_result(result, coding)
        fields |= {name: _either(enrolled, result, name) for name in RECHECK}
    else:
        fields["disposition"] = _either(enrolled, result, "absence", NOT_TESTED)
    groups = _groups(enrolled) or _groups(result)
    fields["days_to_review"] = _number(enrolled, result, "days_to_review")
    if fields["disposition"] in WITHOUT_CONSENT:
        fields = {name: value for name, value in fields.items() if name not in FOLLOW_UP_FIELDS}
        groups -= {"g3"}
    return Record(
        rec_key=record_key(coding.record_secret, enrolled.text("student_no")),
        grade=enrolled.text("grade"),
        system=coding.system,
        groups=groups,
        **fields,
    )


def _number(first: PupilRow, second: PupilRow | None, name: str) -> int | None:
    """Give the roster's number where it has one, else the platform's."""
    for row in (first, second):
        value = row.values.get(name) if row is not None else None
        if isinstance(value, int):
            return value
    return None


def _encode_result(row: PupilRow, coding: Coding) -> dict[str, Any]:
    """Give the test fields of a tested pupil; an invalid test keeps no score."""
    codebook = coding.codebook
    validity = row.text("validity") or UNKNOWN
    score = row.values.get("validity_score")
    if validity != "2" and isinstance(score, Decimal):
        validity = codebook.validity_of(score)
    fields: dict[str, Any] = {
        "instrument": codebook.id,
        "rule_version": codebook.version,
        "codebook": coding.digest,
        "administered_on": row.values["administered_on"],
        "validity": validity,
        "sitting": row.text("sitting") or "1",
        "duration_s": _number(row, None, "duration_s"),
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


def _either(first: PupilRow, second: PupilRow | None, name: str, default: str = UNKNOWN) -> str:
    """Give the roster's value where it knows one, else the platform's."""
    for row in (first, second):
        value = row.text(name) if row is not None else ""
        if value and value != UNKNOWN:
            return value
    return default


def _groups(row: PupilRow | None) -> frozenset[str]:
    found = row.values.get("groups") if row is not None else None
    return found if isinstance(found, frozenset) else frozenset()
