"""Consent as schools have it: a form and a day for each class, and the pupils who are an exception.

The file has one row for each class: grade, class, consent (同意), and the form's version and day; it may say
testing, follow-up and statistics apart. What a pupil's own row says (roster, platform or a ledger of
exceptions) goes before the class. A pupil counts as consented only if nothing is denied and consent is
either given as a whole or for both testing and statistics.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from node.vault.importing.errors import IssueList
from node.vault.importing.join import Pupil, class_key
from node.vault.importing.profile import CONSENTS, ImportProfile
from node.vault.importing.rows import PupilRow, PupilRows
from plan.codes import UNKNOWN

DENIED, GIVEN = "2", "1"


@dataclass(frozen=True, slots=True, repr=False)
class ClassConsents:
    """The consent of each class, by grade code and class within the grade."""

    rows: Mapping[tuple[str, str], PupilRow]
    grades: Mapping[str, str]

    def row_of(self, pupil: PupilRow) -> PupilRow | None:
        """Give the row of a pupil's class."""
        return self.rows.get(_class_of(pupil, self.grades))

    def forms(self) -> list[dict[str, str | int]]:
        """Give form versions and days with the number of classes, for the provenance; no class is named."""
        counts: dict[tuple[str, str], int] = {}
        for row in self.rows.values():
            key = (row.text("consent_form"), str(row.values.get("consent_date") or ""))
            counts[key] = counts.get(key, 0) + 1
        return [{"form": form, "date": day, "classes": n} for (form, day), n in sorted(counts.items())]


def _class_of(row: PupilRow, grades: Mapping[str, str]) -> tuple[str, str]:
    grade = row.text("grade")
    return grade, class_key(row.text("class_no"), grade, grades)


def read_class_consents(read: PupilRows, profile: ImportProfile, issues: IssueList) -> ClassConsents:
    """Index the rows of a consent file; a class twice, or without form or day, becomes an issue."""
    grades = profile.values.get("grade", {})
    rows: dict[tuple[str, str], PupilRow] = {}
    for row in read.rows:
        for name in ("class_no", "consent_form", "consent_date"):
            if name in row.values and row.values[name] is None:
                issues.add(row.issue("empty-cell", name))
        first = rows.setdefault(_class_of(row, grades), row)
        if first is not row:
            issues.add(row.issue("double-class", "class_no", (("first", str(first.row)),)))
    return ClassConsents(rows, grades)


def check_classes(consents: ClassConsents, pupils: list[Pupil], issues: IssueList) -> None:
    """Refuse a class without a pupil; warn of consent that is younger than a test."""
    seen: set[int] = set()
    late: set[int] = set()
    for pupil in pupils:
        row = consents.row_of(pupil.enrolled)
        if row is None:
            continue
        seen.add(row.row)
        day = row.values.get("consent_date")
        tested = pupil.result.values.get("administered_on") if pupil.result is not None else None
        if isinstance(day, date) and isinstance(tested, date) and day > tested:
            late.add(row.row)
    for row in consents.rows.values():
        if row.row not in seen:
            issues.add(row.issue("class-not-on-roster", "class_no"))
        elif row.row in late:
            issues.add(row.issue("consent-late", "consent_date", severity="warning"))


def consent_of(
    enrolled: PupilRow, known: Mapping[str, str], consents: ClassConsents | None
) -> tuple[str, bool]:
    """Give the code of `guardian_consent` that counts, and whether follow-up is denied.

    Args:
        enrolled: the pupil's row on the roster, which names the class.
        known: what the files say of the pupil, by field.
        consents: of the classes, if there is such a file.
    """
    of_class = consents.row_of(enrolled) if consents is not None else None
    found = {
        name: known.get(name, "") or (of_class.known(name) if of_class is not None else "")
        for name in CONSENTS
    }
    whole, testing, statistics = (
        found["guardian_consent"],
        found["consent_testing"],
        found["consent_statistics"],
    )
    is_follow_up_denied = found["consent_follow_up"] == DENIED
    if DENIED in (whole, testing, statistics):
        return DENIED, is_follow_up_denied
    if whole == GIVEN or testing == statistics == GIVEN:
        return GIVEN, is_follow_up_denied
    return UNKNOWN, is_follow_up_denied
