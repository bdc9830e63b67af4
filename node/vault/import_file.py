"""Import one wave: the roster, the platform's file, what a school adds, profile and codebook, as bytes.

The order, and the rule that nothing is imported half:

1. profile and codebook are read and must fit each other;
2. all tables are read, their headers found, every cell checked (`importing.tables`);
3. the rows are joined to the roster's pupils and checked against each other (`importing.pupils`);
4. only if there is no error at all, records are coded and the consent rule is applied.

Every problem of a step is collected before the import stops, so that a teacher mends a file once.
Names, classes and births find a pupil; a record has none of them, and a card beside it does
(`node.vault.register`). Files are known by their part, not by their own
name. Everything here lives in the vault's memory; storing the records is the caller's.
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
from node.vault.importing.cards import make_card
from node.vault.importing.consent import check_classes
from node.vault.importing.errors import (
    CODEBOOK,
    CONSENT,
    LEDGER_PREFIX,
    PROFILE,
    RETEST,
    ROSTER,
    SCREENING,
    ImportingError,
    IssueList,
    RowIssue,
)
from node.vault.importing.join import Pupil, class_reader
from node.vault.importing.parsers import make_parsers
from node.vault.importing.profile import ImportProfile, parse_profile
from node.vault.importing.pupils import check_pupil, join_pupils
from node.vault.importing.records import (
    Coding,
    check_days,
    check_enrolment,
    encode_record,
    is_follow_up_denied,
)
from node.vault.importing.rows import is_tested
from node.vault.importing.tables import Tables, read_tables
from node.vault.register import PupilCard
from plan.codebook import Codebook, parse_codebook_toml
from plan.codes import SYSTEM, WAVE, school_year_of
from plan.errors import CodebookError, Phrase, phrase
from plan.record import CONSENT_POLICIES, Record, apply_consent

PARTS: Final = (ROSTER, SCREENING, PROFILE, CODEBOOK)
MORE_PARTS: Final = (RETEST, CONSENT)
"""Parts that an import may have; besides these, `ledger.NAME` for each ledger of the profile."""

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
        sheets: by part, the sheet that the person named for this import.
        today: the day in China by this node's clock; None for unknown.

    Raises:
        CommandError: one of these is out of its range.
    """

    record_secret: bytes = field(repr=False)
    school_year: str
    wave: str
    census_date: date
    school_system: str
    consent_policy: str = "require"
    sheets: Mapping[str, str] = field(default_factory=dict)
    today: date | None = None

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
    """Where records come from: the files as they were, and the content of profile and codebook.

    Attributes:
        forms: versions and days of the classes' consent, with the number of classes.
    """

    files: tuple[FileDigest, ...]
    profile: bytes
    codebook: bytes
    forms: tuple[dict[str, str | int], ...] = ()

    def as_json(self) -> dict[str, object]:
        """Give the provenance as JSON values; digests in hex."""
        files = [
            {"part": f.part, "sha256": f.sha256.hex(), "bytes": f.size_bytes, "rows": f.num_rows}
            for f in self.files
        ]
        values: dict[str, object] = {
            "files": files,
            "profile": self.profile.hex(),
            "codebook": self.codebook.hex(),
        }
        return values | ({"consent_forms": list(self.forms)} if self.forms else {})


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import came to.

    Attributes:
        records: one for each pupil of the roster, in the roster's order; empty if anything was wrong.
        issues: errors (then nothing is imported) and warnings.
        counts: numbers of rows and pupils by how they were read, never by any finding; empty with errors.
        provenance: None if a file could not be read at all.
        codebook: the codebook that coded the records; None as above.
        cards: who each record is about, in the same order.
        no_follow_up: keys of the pupils for whom follow-up was denied.
    """

    records: tuple[Record, ...] = field(repr=False)
    issues: tuple[RowIssue, ...]
    counts: dict[str, int]
    provenance: Provenance | None
    codebook: Codebook | None
    cards: tuple[PupilCard, ...] = field(default=(), repr=False)
    no_follow_up: frozenset[bytes] = field(default=frozenset(), repr=False)

    @property
    def is_refused(self) -> bool:
        """Whether an error stopped the import."""
        return any(issue.severity == "error" for issue in self.issues)


def import_files(files: Mapping[str, bytes], context: ImportContext) -> ImportResult:
    """Read, check, join and code one wave of one school.

    Args:
        files: the bytes by part: all of `PARTS`, and any of `MORE_PARTS` and `ledger.NAME`.
        context: see `ImportContext`.

    Returns:
        Records, or the issues that say why there are none.

    Raises:
        CommandError: a part that no import has, or a sheet of a part that is not there.
    """
    unknown = {part for part in files if part not in (*PARTS, *MORE_PARTS)}
    unknown = {part for part in unknown if not part.startswith(LEDGER_PREFIX)} | (
        context.sheets.keys() - files
    )
    if unknown:
        raise CommandError(_("%(name)s is no file of this import"), details={"name": min(unknown)[:60]})
    issues = IssueList()
    try:
        profile, codebook = _read_rules(files, context)
        parsers = make_parsers(profile, codebook, context.school_year, context.school_system)
        tables = read_tables(files, profile, parsers, context.sheets, issues)
    except ImportingError as err:
        for issue in err.issues:
            issues.add(issue)
        return ImportResult((), issues.listed(), {}, None, None)
    forms = tuple(tables.consents.forms()) if tables.consents is not None else ()
    provenance = Provenance(_digests(files, tables), profile.digest, codebook.digest, forms)
    pupils = join_pupils(
        tables.roster, tables.screening, tables.retest, tables.ledgers, profile, codebook, issues
    )
    for pupil in pupils:
        check_pupil(pupil, codebook, issues)
    check_enrolment(pupils, context.census_date, issues)
    if context.today is not None and context.today >= context.census_date:  # else the clock may be wrong
        check_days(pupils, context.today, issues)
    if tables.consents is not None:
        check_classes(tables.consents, pupils, issues)
    if issues.has_errors:
        return ImportResult((), issues.listed(), {}, provenance, codebook)
    records = _encode(pupils, tables, codebook, context)
    if not any(is_tested(row.values) for row in tables.screening.rows):
        issues.add(RowIssue(SCREENING, 0, "", "no-results", severity="warning"))
    if context.consent_policy == "require" and not any(r.guardian_consent == "1" for r in records):
        issues.add(RowIssue(ROSTER, 0, "", "no-consent", severity="warning"))
    class_key = class_reader(profile.values.get("grade", {}))
    cards = tuple(
        make_card(record, pupil.enrolled, class_key) for record, pupil in zip(records, pupils, strict=True)
    )
    denied = frozenset(
        record.rec_key
        for record, pupil in zip(records, pupils, strict=True)
        if is_follow_up_denied(pupil, tables.consents)
    )
    counts = _counts(tables, pupils)
    return ImportResult(records, issues.listed(), counts, provenance, codebook, cards, denied)


def _encode(
    pupils: list[Pupil], tables: Tables, codebook: Codebook, context: ImportContext
) -> tuple[Record, ...]:
    coding = Coding(
        codebook=codebook,
        digest=codebook.digest.hex(),
        system=context.school_system,
        census_date=context.census_date,
        record_secret=context.record_secret,
        consents=tables.consents,
        has_retests=tables.retest is not None or any(pupil.retest is not None for pupil in pupils),
    )
    return tuple(apply_consent(encode_record(pupil, coding), context.consent_policy) for pupil in pupils)


def _read_rules(files: Mapping[str, bytes], context: ImportContext) -> tuple[ImportProfile, Codebook]:
    """Read profile and codebook and check that they fit each other and the consent rule."""
    missing = [RowIssue(part, 0, "", "file-missing") for part in PARTS if part not in files]
    if missing:
        raise ImportingError(*missing)
    try:
        profile = parse_profile(files[PROFILE])
    except ImportingError:
        if _is_profile(files[CODEBOOK]):
            raise ImportingError(RowIssue(PROFILE, 0, "", "rules-swapped")) from None
        raise
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
    says_consent = {"guardian_consent", "consent_statistics"} & profile.columns.keys()
    if context.consent_policy == "require" and not says_consent:
        problems.append(
            _rule_issue(PROFILE, "columns.guardian_consent", phrase("a header: consent is required"))
        )
    if problems:
        raise ImportingError(*problems)
    return profile, codebook


def _is_profile(data: bytes) -> bool:
    try:
        parse_profile(data)
    except ImportingError:
        return False
    return True


def _rule_issue(part: str, key: str, expected: Phrase) -> RowIssue:
    code = "profile-invalid" if part == PROFILE else "codebook-invalid"
    place = phrase("%(key)s", key=key) if key else phrase("the file")
    values = {**shown_as("place", place), **shown_as("expected", expected)}
    return RowIssue(part, 0, "", code, values=tuple(values.items()))


def _digests(files: Mapping[str, bytes], tables: Tables) -> tuple[FileDigest, ...]:
    rows = tables.rows_by_part()
    more = sorted(part for part in files if part in MORE_PARTS or part.startswith(LEDGER_PREFIX))
    return tuple(
        FileDigest(part, hashlib.sha256(files[part]).digest(), len(files[part]), rows.get(part, 0))
        for part in (*PARTS, *more)
    )


def _counts(tables: Tables, pupils: list[Pupil]) -> dict[str, int]:
    matched = sum(pupil.result is not None for pupil in pupils)
    counts = {
        "roster_rows": len(tables.roster.rows),
        "screening_rows": len(tables.screening.rows),
        "matched": matched,
        "without_row": len(pupils) - matched,
        "records": len(pupils),
    }
    extra = {
        "retest_rows": sum(pupil.retest is not None for pupil in pupils),
        "ledger_rows": sum(len(read.rows) for read in tables.ledgers.values()),
        "class_rows": tables.num_class_rows,
        "left_out": tables.num_left_out,
    }
    return counts | {name: number for name, number in extra.items() if number}
