"""Read the tables of one import: the roster, the platform's file, and what a school adds to them.

What is wrong with one file does not hide what is wrong with another: all are read before any is refused,
first as files, then for their columns, then cell by cell.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from node.vault.importing.cells import column_letters, is_blank
from node.vault.importing.consent import ClassConsents, read_class_consents
from node.vault.importing.errors import (
    CONSENT,
    LEDGER_PREFIX,
    RETEST,
    ROSTER,
    SCREENING,
    ImportingError,
    IssueList,
    RowIssue,
)
from node.vault.importing.guess_words import HEADERS
from node.vault.importing.headers import SEARCHED_ROWS, FoundTable, find_tables, header_key
from node.vault.importing.parsers import FACTOR_PREFIX, Parser, parse_student_no_if_any
from node.vault.importing.profile import (
    CONSENT_ONLY,
    CONSENTS,
    EITHER,
    IDENTITY,
    ROSTER_ONLY,
    SCREENING_ONLY,
    ImportProfile,
    Ledger,
    TablePlace,
)
from node.vault.importing.reader import Sheet, read_sheets
from node.vault.importing.rows import RETEST_CODE, PupilRows, check_results, read_rows
from plan.errors import DocumentError
from plan.reading import load_toml

_ROSTER_FIELDS: Final = IDENTITY | ROSTER_ONLY | EITHER
_CONSENT_FIELDS: Final = frozenset({"grade", "class_no", *CONSENTS}) | CONSENT_ONLY
_JOIN_FIELDS: Final = frozenset({"local_no", "name", "class_no", "birth_ym"})
_RESULTS: Final = frozenset({"administered_on", "level", "total"})
_NOT_READ: Final = (("name", "names-not-read"), ("class_no", "classes-not-read"))


@dataclass(frozen=True, slots=True, repr=False)
class Tables:
    """The rows of every file of one import; ledgers by their name."""

    roster: PupilRows
    screening: PupilRows
    retest: PupilRows | None
    consents: ClassConsents | None
    ledgers: Mapping[str, PupilRows]
    num_class_rows: int = 0

    def rows_by_part(self) -> dict[str, int]:
        """Give the number of rows of each part, for provenance."""
        counts = {ROSTER: len(self.roster.rows), SCREENING: len(self.screening.rows)}
        if self.retest is not None:
            counts[RETEST] = len(self.retest.rows)
        if self.consents is not None:
            counts[CONSENT] = self.num_class_rows
        return counts | {LEDGER_PREFIX + name: len(read.rows) for name, read in self.ledgers.items()}

    @property
    def num_left_out(self) -> int:
        """Give the number of rows that told of no pupil, such as totals."""
        reads = (self.roster, self.screening, self.retest, *self.ledgers.values())
        return sum(read.num_left_out for read in reads if read is not None)


@dataclass(frozen=True, slots=True)
class _Plan:
    """How one file is to be read: where, which fields it may have, and which it must have."""

    part: str
    place: TablePlace
    fields: frozenset[str]
    needed: frozenset[str]


def ledger_parts(files: Mapping[str, bytes], profile: ImportProfile) -> dict[str, Ledger]:
    """Find which ledger of the profile each file `ledger.NAME` is; without a name, the only one.

    Raises:
        ImportingError: a name that the profile does not have.
    """
    found: dict[str, Ledger] = {}
    for part in files:
        if not part.startswith(LEDGER_PREFIX):
            continue
        name = part.removeprefix(LEDGER_PREFIX)
        ledger = profile.ledgers.get(name)
        if not name and len(profile.ledgers) == 1:
            ledger = next(iter(profile.ledgers.values()))
        if ledger is None:
            names = ", ".join(sorted(profile.ledgers)) or "-"
            raise ImportingError(
                RowIssue(LEDGER_PREFIX.rstrip("."), 0, "", "which-ledger", values=(("expected", names),))
            )
        found[part] = ledger
    return found


def read_tables(
    files: Mapping[str, bytes],
    profile: ImportProfile,
    parsers: Mapping[str, Parser],
    sheets: Mapping[str, str],
    issues: IssueList,
) -> Tables:
    """Read every file of an import.

    Args:
        files: bytes by part.
        profile: how the files are laid out.
        parsers: by field.
        sheets: by part, the sheet that the person chose for this import.
        issues: takes what is wrong with single cells.

    Raises:
        ImportingError: a file is no table, or lacks columns.
    """
    headers = {**profile.columns, **{FACTOR_PREFIX + name: found for name, found in profile.factors.items()}}
    ledgers = ledger_parts(files, profile)
    plans = [_choose_sheet(plan, sheets) for plan in _plans(files, profile, headers, ledgers)]
    found = _find_all(files, plans, headers, parsers, profile, issues)
    reads: dict[str, PupilRows] = {}
    problems: list[RowIssue] = []
    for plan in plans:
        try:
            reads[plan.part] = read_rows(plan.part, found[plan.part], issues)
        except ImportingError as err:
            problems += err.issues
    if problems:
        raise ImportingError(*problems)
    check_results(reads[SCREENING], issues)
    if RETEST in reads:
        for row in reads[RETEST].rows:
            row.values["sitting"] = RETEST_CODE
        check_results(reads[RETEST], issues)
    for part, ledger in ledgers.items():
        _apply_ledger(reads[part], ledger, issues)
    _check_school_codes(reads[ROSTER], profile, issues)
    for name, code in _NOT_READ:
        _warn_of_unread(found[ROSTER][0], name, code, profile, issues)
    consents = read_class_consents(reads[CONSENT], profile, issues) if CONSENT in reads else None
    return Tables(
        reads[ROSTER],
        reads[SCREENING],
        reads.get(RETEST),
        consents,
        {ledger.name: reads[part] for part, ledger in ledgers.items()},
        len(reads[CONSENT].rows) if CONSENT in reads else 0,
    )


def _choose_sheet(plan: _Plan, sheets: Mapping[str, str]) -> _Plan:
    """Put the sheet that a person named in the place of the profile's."""
    if plan.part not in sheets:
        return plan
    return replace(plan, place=replace(plan.place, sheet=sheets[plan.part]))


def _plans(
    files: Mapping[str, bytes],
    profile: ImportProfile,
    headers: Mapping[str, object],
    ledgers: Mapping[str, Ledger],
) -> list[_Plan]:
    declared = headers.keys()
    is_auto = profile.join == "auto"
    person = IDENTITY | {"grade"} if is_auto else IDENTITY
    factors = frozenset(name for name in declared if name.startswith(FACTOR_PREFIX))
    tests = person | SCREENING_ONLY | EITHER | factors
    roster_needs = {"student_no", "grade"} | (
        (_JOIN_FIELDS & declared) - profile.optional if is_auto else set()
    )
    found_by = frozenset[str]() if is_auto else frozenset({"student_no"})
    results = (SCREENING_ONLY | factors) & declared - profile.optional
    plans = [
        _Plan(ROSTER, profile.roster, _ROSTER_FIELDS, frozenset(roster_needs)),
        _Plan(SCREENING, profile.screening, tests, found_by | results),
    ]
    if RETEST in files:
        plans.append(_Plan(RETEST, profile.retest, tests, found_by | {"administered_on", "level"}))
    if CONSENT in files:
        needed = (_CONSENT_FIELDS & declared) - profile.optional - set(CONSENTS)
        plans.append(_Plan(CONSENT, profile.consent, _CONSENT_FIELDS, needed))
    for part, ledger in ledgers.items():
        plans.append(_Plan(part, ledger.place, person | EITHER, found_by))
    return plans


def _find_all(
    files: Mapping[str, bytes],
    plans: list[_Plan],
    headers: Mapping[str, tuple[str, ...]],
    parsers: Mapping[str, Parser],
    profile: ImportProfile,
    issues: IssueList,
) -> dict[str, list[FoundTable]]:
    """Open every file, then find the tables in it; each step tells the problems of all files."""
    problems: list[RowIssue] = []
    opened: dict[str, list[Sheet]] = {}
    for plan in plans:
        try:
            opened[plan.part] = read_sheets(plan.part, files[plan.part], plan.place.encoding)
        except ImportingError as err:
            is_rules = _is_toml(files[plan.part])
            problems += (RowIssue(plan.part, 0, "", "rules-as-table"),) if is_rules else err.issues
    if not problems and _is_swapped(opened, headers):
        raise ImportingError(RowIssue(ROSTER, 0, "", "files-swapped"))
    found: dict[str, list[FoundTable]] = {}
    for plan in plans if not problems else []:
        wanted = {name: _with_unit(name, headers[name]) for name in headers if name in plan.fields}
        read_by = _parsers_for(plan.part, parsers, profile)
        try:
            found[plan.part] = find_tables(
                plan.part, opened[plan.part], plan.place, wanted, read_by, plan.needed, issues
            )
        except ImportingError as err:
            problems += err.issues
    if not problems:
        problems = list(_missing_columns(plans, found, headers, profile))
    if problems:
        raise ImportingError(*problems)
    return found


def _is_toml(data: bytes) -> bool:
    """Say whether a file that is no table is TOML, as profiles and codebooks are."""
    try:
        return bool(load_toml(data, DocumentError))
    except DocumentError:
        return False


def _is_swapped(opened: Mapping[str, list[Sheet]], headers: Mapping[str, tuple[str, ...]]) -> bool:
    """Say whether results stand in the roster alone, and grades in the platform's file."""
    has = {part: _fields_at_top(opened[part], headers) for part in (ROSTER, SCREENING)}
    return (
        len(_RESULTS & has[ROSTER]) > 1
        and not _RESULTS & has[SCREENING]
        and {"student_no", "grade"} <= has[SCREENING]
    )


def _fields_at_top(sheets: list[Sheet], headers: Mapping[str, tuple[str, ...]]) -> set[str]:
    keys = {header_key(cell) for sheet in sheets for row in sheet.rows[:SEARCHED_ROWS] for cell in row}
    return {name for name, words in headers.items() if keys & set(map(header_key, words))}


def _with_unit(name: str, aliases: tuple[str, ...]) -> tuple[str, ...]:
    """Let the header of a score have its unit behind it; of a duration (分) would mean minutes."""
    is_score = name in ("total", "validity_score") or name.startswith(FACTOR_PREFIX)
    return (*aliases, *(f"{alias}(分)" for alias in aliases)) if is_score else aliases


def _parsers_for(part: str, parsers: Mapping[str, Parser], profile: ImportProfile) -> Mapping[str, Parser]:
    """A row that a name can find may lack a number; only the roster has one for everybody."""
    if part == ROSTER or profile.join != "auto":
        return parsers
    return {**parsers, "student_no": parse_student_no_if_any}


def _missing_columns(
    plans: list[_Plan],
    found: Mapping[str, list[FoundTable]],
    headers: Mapping[str, tuple[str, ...]],
    profile: ImportProfile,
) -> list[RowIssue]:
    """List the declared columns that a file lacks; roster and platform share those that both can have."""
    problems = []
    shared = (EITHER & headers.keys()) - profile.optional
    shared -= set().union(*({name for name, _code in ledger.sets} for ledger in profile.ledgers.values()))
    has = {part: set[str]().union(*(table.columns for table in tables)) for part, tables in found.items()}
    anywhere = set[str]().union(*has.values())
    for plan in plans:
        lacking = set(plan.needed - has[plan.part])
        results = {name for name in headers if name in SCREENING_ONLY or name.startswith(FACTOR_PREFIX)}
        if plan.part == SCREENING and not has[plan.part] & results:
            problems.append(RowIssue(plan.part, 0, "", "wrong-file", sheet=found[plan.part][0].sheet))
            lacking -= results  # one sentence instead of one for each column
        if plan.part == ROSTER:
            lacking |= shared - anywhere
        if profile.join == "auto" and plan.part not in (ROSTER, CONSENT):
            lacking |= set() if has[plan.part] & {"student_no", "local_no", "name"} else {"name"}
        order = [name for name in headers if name in lacking]
        problems += [_missing(plan.part, found[plan.part][0], headers[name]) for name in order]
    return problems


def _missing(part: str, table: FoundTable, aliases: tuple[str, ...]) -> RowIssue:
    expected = (("expected", ", ".join(aliases)),)
    return RowIssue(part, table.header_row, "", "missing-column", values=expected, sheet=table.sheet)


def _apply_ledger(read: PupilRows, ledger: Ledger, issues: IssueList) -> None:
    """Give everybody in a ledger what the profile says of it; a row that says otherwise is an issue."""
    for row in read.rows:
        for name, code in ledger.sets:
            if row.known(name) not in ("", code):
                issues.add(row.issue("sources-differ", name))
            row.values[name] = code
        found = row.values.get("groups")
        row.values["groups"] = ledger.groups | (found if isinstance(found, frozenset) else frozenset())


def _warn_of_unread(
    table: FoundTable, name: str, code: str, profile: ImportProfile, issues: IssueList
) -> None:
    """Warn of a roster that has names or classes in a column that the profile does not read.

    The header is told as the list of known words spells it, with the whole line that the profile lacks.
    """
    words = {header_key(word): word for word in HEADERS[name]}
    first, end = table.header_rows
    if name in table.columns:
        return
    for number, row in enumerate(table.rows[first:end], start=first + 1):
        for index, cell in enumerate(row):
            word = words.get(header_key(cell))
            if word is None or not _has_values(table, index):
                continue
            line = f"{name} = {json.dumps([*profile.columns.get(name, ()), word], ensure_ascii=False)}"
            place = (ROSTER, number, column_letters(index), code, word, (("line", line),))
            issues.add(RowIssue(*place, severity="warning", sheet=table.sheet))
            return


def _has_values(table: FoundTable, index: int) -> bool:
    """Say whether anything stands in a column below its header."""
    return any(index < len(row) and not is_blank(row[index]) for row in table.rows[table.header_rows[1] :])


def _check_school_codes(roster: PupilRows, profile: ImportProfile, issues: IssueList) -> None:
    if not profile.school_codes:
        return
    for row in roster.rows:
        if "school_code" in row.values and row.text("school_code") not in profile.school_codes:
            issues.add(row.issue("school-code", "school_code"))
