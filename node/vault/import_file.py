"""Import one wave: the roster, the platform's file, the profile and the codebook, as bytes.

The order, and the rule that nothing is imported half:

1. profile and codebook are read and must fit each other;
2. both tables are read, their columns found, every cell checked (`importing.rows`);
3. the rows are joined (`importing.join`) and checked against each other;
4. only if there is no error at all, records are coded and the consent rule is applied.

Every problem of a step is collected before the import stops, so that a teacher mends a file once.
Names are never read. Files are known by their part, not by their own name, of which only the ending
counts. Everything here lives in the vault's memory; storing the records is the caller's.
"""

from __future__ import annotations

import encodings.utf_8_sig  # codecs that reading TOML and hashing JSON would load on first use
import encodings.utf_16_be
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from node.vault.errors import CommandError, _, shown_as
from node.vault.importing.errors import (
    CODEBOOK,
    PROFILE,
    ROSTER,
    SCREENING,
    ImportingError,
    IssueList,
    RowIssue,
)
from node.vault.importing.join import JOIN_KEYS, Pupil, join_rows
from node.vault.importing.profile import EITHER, ROSTER_ONLY, SCREENING_ONLY, ImportProfile, parse_profile
from node.vault.importing.reader import Table, read_table
from node.vault.importing.records import Coding, check_pupil, encode_record
from node.vault.importing.rows import (
    FACTOR_PREFIX,
    Column,
    PupilRows,
    check_results,
    find_columns,
    make_parsers,
    read_rows,
)
from plan.codebook import Codebook, parse_codebook_toml
from plan.codes import SYSTEM, WAVE, school_year_of
from plan.errors import CodebookError, Phrase, phrase
from plan.record import CONSENT_POLICIES, Record, apply_consent

PARTS: Final = (ROSTER, SCREENING, PROFILE, CODEBOOK)
MIN_SECRET_BYTES: Final = 16

_NEEDED_CODECS = (encodings.utf_8_sig, encodings.utf_16_be)


@dataclass(frozen=True, slots=True)
class ImportContext:
    """What an import needs to know beside the files.

    Attributes:
        record_secret: key of the pupils' keyed names; held by this node's vault only.
        school_year: `YYYY-YYYY`; every test date must lie in it.
        wave: a code of `plan.codes.WAVE`.
        census_date: the day at which a pupil counts where enrolled; lies in the school year.
        school_system: `6-3` or `5-4`; the stage of a grade depends on it.
        consent_policy: the plan's, `require` or `record-only`.

    Raises:
        CommandError: one of these is out of its range.
    """

    record_secret: bytes = field(repr=False)
    school_year: str
    wave: str
    census_date: date
    school_system: str
    consent_policy: str = "require"

    def __post_init__(self) -> None:
        checks = (
            ("record_secret", len(self.record_secret) >= MIN_SECRET_BYTES),
            ("census_date", school_year_of(self.census_date) == self.school_year),
            ("wave", self.wave in WAVE),
            ("school_system", self.school_system in SYSTEM),
            ("consent_policy", self.consent_policy in CONSENT_POLICIES),
        )
        for name, is_right in checks:
            if not is_right:
                raise CommandError(_("%(name)s is out of its range."), details={"name": name})


@dataclass(frozen=True, slots=True)
class FileDigest:
    """What was imported, for the journal: the part, its bytes' SHA-256 and size, rows with a pupil."""

    part: str
    sha256: bytes
    size_bytes: int
    num_rows: int


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where records come from: the files as they were, and the content of profile and codebook."""

    files: tuple[FileDigest, ...]
    profile: bytes
    codebook: bytes

    def as_json(self) -> dict[str, object]:
        """Give the provenance as JSON values; digests in hex."""
        files = [
            {"part": f.part, "sha256": f.sha256.hex(), "bytes": f.size_bytes, "rows": f.num_rows}
            for f in self.files
        ]
        return {"files": files, "profile": self.profile.hex(), "codebook": self.codebook.hex()}


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import came to.

    Attributes:
        records: one for each pupil of the roster, in the roster's order; empty if anything was wrong.
        issues: errors (then nothing is imported) and warnings.
        counts: numbers of rows and pupils by how they were read, never by any finding; empty with errors.
        provenance: None if a file could not be read at all.
        codebook: the codebook that coded the records; None as above.
    """

    records: tuple[Record, ...] = field(repr=False)
    issues: tuple[RowIssue, ...]
    counts: dict[str, int]
    provenance: Provenance | None
    codebook: Codebook | None

    @property
    def is_refused(self) -> bool:
        """Whether an error stopped the import."""
        return any(issue.severity == "error" for issue in self.issues)


@dataclass(frozen=True, slots=True, repr=False)
class _Tables:
    roster: PupilRows
    screening: PupilRows


def import_files(
    files: Mapping[str, bytes], names: Mapping[str, str], context: ImportContext
) -> ImportResult:
    """Read, check, join and code one wave of one school.

    Args:
        files: the bytes of `roster`, `screening`, `profile` and `codebook`.
        names: the files' names; only the ending of roster and screening counts.
        context: see `ImportContext`.

    Returns:
        Records, or the issues that say why there are none.
    """
    issues = IssueList()
    try:
        profile, codebook = _read_rules(files, context)
        tables = _read_tables(files, names, profile, codebook, context, issues)
    except ImportingError as err:
        for issue in err.issues:
            issues.add(issue)
        return ImportResult((), issues.listed(), {}, None, None)
    provenance = Provenance(_digests(files, tables), profile.digest, codebook.digest)
    pupils = join_rows(tables.roster, tables.screening, JOIN_KEYS[profile.join], issues)
    for pupil in pupils:
        check_pupil(pupil, tables.roster, tables.screening, issues)
    if issues.has_errors:
        return ImportResult((), issues.listed(), {}, provenance, codebook)
    coding = Coding(codebook, codebook.digest.hex(), context.school_system, context.record_secret)
    policy = context.consent_policy
    records = tuple(apply_consent(encode_record(pupil, coding), policy) for pupil in pupils)
    if policy == "require" and not any(r.guardian_consent == "1" for r in records):
        issues.add(RowIssue(ROSTER, 0, "", "no-consent", severity="warning"))
    return ImportResult(records, issues.listed(), _counts(tables, pupils), provenance, codebook)


def _read_rules(files: Mapping[str, bytes], context: ImportContext) -> tuple[ImportProfile, Codebook]:
    """Read profile and codebook and check that they fit each other and the consent rule."""
    missing = [RowIssue(part, 0, "", "file-missing") for part in PARTS if part not in files]
    if missing:
        raise ImportingError(*missing)
    profile = parse_profile(files[PROFILE])
    try:
        codebook = parse_codebook_toml(files[CODEBOOK])
    except CodebookError as err:
        raise ImportingError(
            *(_rule_issue(CODEBOOK, problem.key, problem.allowed) for problem in err.problems)
        ) from None  # the error tells what it found, and the file may be another than a codebook
    problems = []
    factors = {factor.id for factor in codebook.factors}
    if profile.factors.keys() != factors:
        named = ", ".join(sorted(factors)) or phrase("none")
        expected = phrase("exactly the codebook's factors: %(names)s", names=named)
        problems.append(_rule_issue(PROFILE, "factors", expected))
    sets = [labels.name for labels in codebook.label_sets]
    if profile.levels and profile.levels not in sets:
        problems.append(_rule_issue(PROFILE, "levels", phrase("one of %(names)s", names=", ".join(sets))))
    if "validity_score" in profile.columns and codebook.validity is None:
        problems.append(
            _rule_issue(PROFILE, "columns.validity_score", phrase("a codebook with a validity scale"))
        )
    if context.consent_policy == "require" and "guardian_consent" not in profile.columns:
        problems.append(
            _rule_issue(PROFILE, "columns.guardian_consent", phrase("a header: consent is required"))
        )
    if problems:
        raise ImportingError(*problems)
    return profile, codebook


def _rule_issue(part: str, key: str, expected: Phrase) -> RowIssue:
    code = "profile-invalid" if part == PROFILE else "codebook-invalid"
    place = phrase("%(key)s", key=key) if key else phrase("the file")
    values = {**shown_as("place", place), **shown_as("expected", expected)}
    return RowIssue(part, 0, "", code, values=tuple(values.items()))


def _read_tables(
    files: Mapping[str, bytes],
    names: Mapping[str, str],
    profile: ImportProfile,
    codebook: Codebook,
    context: ImportContext,
    issues: IssueList,
) -> _Tables:
    """Read both tables; what is wrong with the one does not hide what is wrong with the other."""
    tables: dict[str, Table] = {}
    problems: list[RowIssue] = []
    for part, place in ((ROSTER, profile.roster), (SCREENING, profile.screening)):
        try:
            tables[part] = read_table(part, files[part], names.get(part, ""), place.sheet)
        except ImportingError as err:
            problems += err.issues
    if problems:
        raise ImportingError(*problems)
    parsers = make_parsers(profile, codebook, context.school_year)
    headers = {**profile.columns, **{FACTOR_PREFIX + name: found for name, found in profile.factors.items()}}
    in_roster = {name: headers[name] for name in headers if name in {"student_no"} | ROSTER_ONLY | EITHER}
    in_screening = {name: headers[name] for name in headers if name not in ROSTER_ONLY}
    roster = find_columns(ROSTER, tables[ROSTER], profile.roster, in_roster, parsers)
    screening = find_columns(SCREENING, tables[SCREENING], profile.screening, in_screening, parsers)
    _check_present(profile, headers, roster, screening)
    read = _Tables(
        read_rows(ROSTER, tables[ROSTER], profile.roster, roster, issues),
        read_rows(SCREENING, tables[SCREENING], profile.screening, screening, issues),
    )
    check_results(read.screening, issues)
    return read


def _check_present(
    profile: ImportProfile,
    headers: Mapping[str, tuple[str, ...]],
    roster: Mapping[str, Column],
    screening: Mapping[str, Column],
) -> None:
    """Refuse files that lack a declared column; either file may have those that both can."""
    problems = []
    for name, aliases in headers.items():
        if name in profile.optional:
            continue
        in_roster, in_screening = name in roster, name in screening
        is_for_screening = name in SCREENING_ONLY or name.startswith(FACTOR_PREFIX)
        if name in EITHER:
            in_roster = in_screening = in_roster or in_screening
        expected = (("expected", ", ".join(aliases)),)
        if not in_roster and not is_for_screening:
            row = profile.roster.header_row
            problems.append(RowIssue(ROSTER, row, "", "missing-column", values=expected))
        if not in_screening and name not in ROSTER_ONLY | EITHER:
            row = profile.screening.header_row
            problems.append(RowIssue(SCREENING, row, "", "missing-column", values=expected))
    if problems:
        raise ImportingError(*problems)


def _digests(files: Mapping[str, bytes], tables: _Tables) -> tuple[FileDigest, ...]:
    rows = {ROSTER: len(tables.roster.rows), SCREENING: len(tables.screening.rows)}
    return tuple(
        FileDigest(part, hashlib.sha256(files[part]).digest(), len(files[part]), rows.get(part, 0))
        for part in PARTS
    )


def _counts(tables: _Tables, pupils: list[Pupil]) -> dict[str, int]:
    matched = sum(pupil.result is not None for pupil in pupils)
    return {
        "roster_rows": len(tables.roster.rows),
        "screening_rows": len(tables.screening.rows),
        "matched": matched,
        "without_row": len(pupils) - matched,
        "records": len(pupils),
    }
