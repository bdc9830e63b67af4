"""From the rows of all files to one `Pupil` for each row of the roster, and what they say together.

Passes (测次): in one file a pupil stands once for each pass. Of a first test (1) and a make-up test (2) the
one that gave a valid result counts; two valid results are refused, since nobody can tell which one is meant.
A retest (3), in the platform's file or in one of its own, never replaces a result: it gives the level after
the recheck. In each ledger a pupil stands once.

A value that two files give differently is refused, with these exceptions: sex, grade and class of the
roster count (`importing.join` warns), and the platform's attributes never overrule the roster's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Final

from node.vault.importing.errors import IssueList
from node.vault.importing.join import Finder, Pupil
from node.vault.importing.profile import CODED, EITHER, ImportProfile
from node.vault.importing.rows import RETEST_CODE, PupilRow, PupilRows, is_tested
from plan.codebook import Codebook
from plan.codes import UNKNOWN

FIRST, MAKE_UP = "1", "2"
COMPARED: Final = tuple(sorted((CODED.keys() & EITHER) - {"groups", "sex"} | {"level2"}))


def join_pupils(
    roster: PupilRows,
    screening: PupilRows,
    retest: PupilRows | None,
    ledgers: Mapping[str, PupilRows],
    profile: ImportProfile,
    codebook: Codebook,
    issues: IssueList,
) -> list[Pupil]:
    """Join all files; every row that finds no pupil, or a pupil twice, becomes an issue.

    Returns:
        Every pupil of the roster in the roster's order.
    """
    finder = Finder(roster, profile, issues)
    tests = _by_pass(finder, screening, issues)
    if retest is not None:
        for place, row in _once(finder, retest, issues).items():
            if RETEST_CODE in tests.setdefault(place, {}):
                issues.add(
                    row.issue("duplicate-pupil", _by(row), (("first", str(tests[place][RETEST_CODE].row)),))
                )
            tests[place][RETEST_CODE] = row
    entries = [_once(finder, read, issues) for read in ledgers.values()]
    pupils = []
    for place, enrolled in enumerate(finder.enrolled):
        passes = tests.get(place, {})
        found = tuple(ledger[place] for ledger in entries if place in ledger)
        result = _choose_result(passes, codebook, issues)
        pupils.append(Pupil(enrolled, result, passes.get(RETEST_CODE), found))
    return pupils


def _by_pass(finder: Finder, screening: PupilRows, issues: IssueList) -> dict[int, dict[str, PupilRow]]:
    tests: dict[int, dict[str, PupilRow]] = {}
    for place, row in finder.match(screening, issues):
        passes = tests.setdefault(place, {})
        first = passes.setdefault(row.text("sitting") or FIRST, row)
        if first is not row:
            issues.add(row.issue("duplicate-pupil", _by(row), (("first", str(first.row)),)))
    return tests


def _once(finder: Finder, read: PupilRows, issues: IssueList) -> dict[int, PupilRow]:
    found: dict[int, PupilRow] = {}
    for place, row in finder.match(read, issues):
        first = found.setdefault(place, row)
        if first is not row:
            issues.add(row.issue("duplicate-pupil", _by(row), (("first", str(first.row)),)))
    return found


def _by(row: PupilRow) -> str:
    return next((name for name in ("student_no", "local_no", "name") if row.text(name)), "student_no")


def _choose_result(passes: Mapping[str, PupilRow], codebook: Codebook, issues: IssueList) -> PupilRow | None:
    first, make_up = passes.get(FIRST), passes.get(MAKE_UP)
    if first is None or make_up is None:
        return first or make_up
    if is_valid(first, codebook) and is_valid(make_up, codebook):
        issues.add(make_up.issue("tested-twice", "sitting"))
    for row in (first, make_up):
        if is_valid(row, codebook):
            return row
    return make_up if is_tested(make_up.values) else first


def is_valid(row: PupilRow, codebook: Codebook) -> bool:
    """Say whether a platform row tells of a valid test."""
    is_failed = row.text("level") == UNKNOWN or validity_of(row, codebook) == "2"
    return is_tested(row.values) and not is_failed


def validity_of(row: PupilRow, codebook: Codebook) -> str:
    """Give the validity code of a test: the platform's word, or by the codebook from its score."""
    validity = row.text("validity") or UNKNOWN
    score = row.values.get("validity_score")
    if validity != "2" and isinstance(score, Decimal):
        return codebook.validity_of(score)
    return validity


def sources_of(pupil: Pupil) -> tuple[PupilRow, ...]:
    """Give the rows that say something of a pupil, the one that counts first."""
    return tuple(row for row in (pupil.enrolled, pupil.result, *pupil.entries) if row is not None)


def known_values(rows: Iterable[PupilRow]) -> dict[str, str]:
    """Give the first code of each field that says something, over the rows of one pupil."""
    known: dict[str, str] = {}
    for row in rows:
        for name, value in row.values.items():
            if isinstance(value, str) and value and value != UNKNOWN and name not in known:
                known[name] = value
    return known


def check_pupil(pupil: Pupil, codebook: Codebook, issues: IssueList) -> None:
    """Check what the files say together about one pupil."""
    enrolled, result = pupil.enrolled, pupil.result
    tested = result is not None and is_tested(result.values)
    _check_recheck(pupil, tested, codebook, issues)
    _check_entries(pupil, issues)
    if result is not None:
        for name, code in (("absence", "reasons-differ"), ("guardian_consent", "consents-differ")):
            first, second = enrolled.known(name), result.known(name)
            if first and second and first != second:
                issues.add(enrolled.issue(code, name))
    if tested:
        for row in sources_of(pupil):
            if row.text("absence"):
                issues.add(row.issue("tested-and-excused", "absence"))
                break


def _check_entries(pupil: Pupil, issues: IssueList) -> None:
    """Refuse a ledger that says something else than the roster, the platform or another ledger."""
    known: dict[str, str] = {}
    if not pupil.entries:
        return
    for row in sources_of(pupil):
        is_entry = row is not pupil.enrolled and row is not pupil.result
        for name in COMPARED:
            value = row.known(name)
            if is_entry and value and known.get(name, value) != value:
                issues.add(row.issue("sources-differ", name))
            elif value:
                known.setdefault(name, value)


def _check_recheck(pupil: Pupil, tested: bool, codebook: Codebook, issues: IssueList) -> None:
    """Refuse the result of a recheck without a test, before it, or in words that contradict the levels."""
    rows = sources_of(pupil)
    if not tested:
        for row in rows:
            for name, means_nothing in (("recheck", ("", "0", UNKNOWN)), ("level2", ("", UNKNOWN))):
                if row.text(name) not in means_nothing:
                    issues.add(row.issue("recheck-untested", name))
        if pupil.retest is not None and is_tested(pupil.retest.values):
            issues.add(pupil.retest.issue("recheck-untested", "level"))
        return
    result = pupil.result
    if result is None:
        return
    later = [(pupil.retest, "administered_on")] if pupil.retest is not None else []
    for row, name in (*later, *((row, "reviewed_on") for row in rows)):
        first, second = result.values.get("administered_on"), row.values.get(name)
        if isinstance(first, date) and isinstance(second, date) and second < first:
            issues.add(row.issue("day-before-test", name))
    derived, level2 = recheck_of(pupil, codebook)
    for row in rows:
        if derived and row.known("recheck") not in ("", derived):
            issues.add(row.issue("sources-differ", "recheck"))
        if level2 and row.known("level2") not in ("", level2):
            issues.add(row.issue("sources-differ", "level2"))


def recheck_of(pupil: Pupil, codebook: Codebook) -> tuple[str, str]:
    """Give the code of `recheck` and the level after it, from the row of a retest; empty without one.

    What files say in words (复测结果, 复核等级) is another matter: a review may come to another level.
    """
    if pupil.result is None or pupil.retest is None or not is_valid(pupil.retest, codebook):
        return "", ""
    level1, level2 = pupil.result.text("level"), pupil.retest.text("level")
    if level1 in ("", UNKNOWN):
        return "", level2
    return "2" if level1 == level2 else ("1" if level2 < level1 else "3"), level2
