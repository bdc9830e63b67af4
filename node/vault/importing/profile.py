"""The import profile: how one platform names its columns and spells its answers.

A profile is a TOML file that travels with the codebook. It maps every header and every label that
it knows; what it does not know is refused, never guessed (systems disagree on whether a 2 means
"both parents away" or "not left behind", so a bare number counts only where the profile lists it).

    id = "platform"                    # and: version, title; all three are text
    join = "student_no"                # how the two files are joined; the only way in this version
    levels = "四级色标"                 # which label set of the codebook; "" for all that agree
    optional = ["absence"]             # columns that a file may lack; any other declared one must be there

    [roster]                           # and [screening]
    header_row = 1                     # 1-based
    sheet = ""                         # empty: the first sheet

    [columns]                          # field = headers, the preferred one first
    student_no = ["全国学籍号", "学籍号"]

    [factors]                          # factor id of the codebook = headers
    learning_anxiety = ["学习焦虑"]

    [values.boarding]                  # label = code of the field, see plan.codes
    "走读" = 1

Alert levels (`level`, and `level2` after a recheck) have no table here: which label means which level is the
codebook's to say. What a school's ledgers hold (recheck, files, pool, flags, days, destination, outcome, home
visits) may stand in either file; `days_to_review` and `duration_s` are whole numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

from crypto.canonical import JsonInput, encode_json
from node.vault.errors import shown_as
from node.vault.importing.errors import PROFILE, ImportingError, RowIssue
from plan.codes import FIELD_CODES, FLAG, GROUP
from plan.errors import DocumentError, Problem, phrase
from plan.labels import normalise_label
from plan.reading import FACTOR_PATTERN, ID_PATTERN, Section, load_toml

MAX_HEADER_ROW: Final = 50
MAX_HEADERS: Final = 32
MAX_LABELS: Final = 200
MAX_TEXT_CHARS: Final = 80
NO_GROUP: Final = "none"

ROSTER_ONLY: Final = frozenset({"grade"})
SCREENING_ONLY: Final = frozenset(
    {"administered_on", "level", "total", "validity", "validity_score", "critical", "sitting", "duration_s"}
)
RECHECK: Final = ("recheck", "recheck_by", "level2")
LEDGER: Final = (
    *("found_by", "file_built", "carer_assigned", "pool", *FLAG),
    *("ref_dest", "outcome", "home_visit", "handed_over"),
)
EITHER: Final = frozenset(
    {"sex", "boarding", "left_behind", "family", "migrant", "groups", "guardian_consent", "student_informed"}
    | {"absence", "days_to_review", *RECHECK, *LEDGER}
)
FIELDS: Final = frozenset({"student_no"}) | ROSTER_ONLY | SCREENING_ONLY | EITHER
REQUIRED: Final = frozenset({"student_no", "grade", "administered_on", "level", "total"})
JOINS: Final = ("student_no",)

ABSENCE_CODES: Final = ("3", "4", "5", "6", "7")
CODED: Final[Mapping[str, tuple[str, ...]]] = {
    **{field: tuple(FIELD_CODES[field]) for field in sorted((FIELDS & FIELD_CODES.keys()) - {"level2"})},
    "groups": (*GROUP, NO_GROUP),
    "absence": ABSENCE_CODES,
}
"""Fields whose cells are labels, with the codes that a label may mean."""

_TOP = (
    *("id", "version", "title", "join", "levels", "optional"),
    *("roster", "screening", "columns", "factors", "values"),
)


@dataclass(frozen=True, slots=True)
class TablePlace:
    """Where in a file the table stands: the sheet's name and the 1-based row of the header."""

    sheet: str
    header_row: int


@dataclass(frozen=True, slots=True)
class ImportProfile:
    """A validated profile; `parse_profile` reads one.

    Attributes:
        join: name of the way in which the two files are joined, one of `JOINS`.
        levels: name of the codebook's label set; empty for all.
        columns: field to headers as the profile spells them, the preferred one first.
        factors: factor id to headers.
        values: coded field to label (normalised by `match_key`) to code.
        optional: fields whose column a file may lack.
        digest: SHA-256 of the profile's content; spaces, comments and order of keys do not count.
    """

    id: str
    version: str
    title: str
    join: str
    levels: str
    roster: TablePlace
    screening: TablePlace
    columns: Mapping[str, tuple[str, ...]]
    factors: Mapping[str, tuple[str, ...]]
    values: Mapping[str, Mapping[str, str]]
    optional: frozenset[str]
    digest: bytes


def match_key(text: str) -> str:
    """Normalise a header or label for comparing: no white space, no invisible or full-width forms."""
    return normalise_label(text).casefold()


def parse_profile(data: bytes) -> ImportProfile:
    """Read and validate a profile (at most 256 KiB of UTF-8; a byte order mark is fine).

    Raises:
        ImportingError: every problem with its key and what is allowed there: an unknown or missing
            key, a header that stands for two fields, a code that the field does not have.
    """
    try:
        return _read_profile(load_toml(data, DocumentError))
    except DocumentError as err:
        raise ImportingError(*(_issue(problem) for problem in err.problems)) from err


def _issue(problem: Problem) -> RowIssue:
    place = phrase("%(key)s", key=problem.key) if problem.key else phrase("the file")
    values = {**shown_as("place", place), **shown_as("expected", problem.allowed)}
    return RowIssue(PROFILE, 0, "", "profile-invalid", values=tuple(values.items()))


def _read_profile(document: dict[str, object]) -> ImportProfile:
    top = Section(document, _TOP, [])
    columns = _headers(top, "columns")
    factors = _headers(top, "factors") if top.has("factors") else {}
    _check_headers(top, columns, factors)
    values = _values(top, columns)
    id_, title = top.word("id", ID_PATTERN, phrase("an id")), top.text("title", MAX_TEXT_CHARS)
    version = top.text("version", MAX_TEXT_CHARS)
    join, levels = top.choice("join", JOINS, JOINS[0]), top.text("levels", MAX_TEXT_CHARS, "", least=0)
    roster, screening = _place(top, "roster"), _place(top, "screening")
    optional = _optional(top, columns)
    if top.problems:
        raise DocumentError(*top.problems)
    digest = hashlib.sha256(encode_json(cast(JsonInput, document))).digest()
    return ImportProfile(
        id=id_,
        version=version,
        title=title,
        join=join,
        levels=levels,
        roster=roster,
        screening=screening,
        columns=columns,
        factors=factors,
        values=values,
        optional=optional,
        digest=digest,
    )


def _place(top: Section, key: str) -> TablePlace:
    table = top.table(key) if top.has(key) else {}
    section = Section(table, ("sheet", "header_row"), top.problems, f"{key}.")
    return TablePlace(
        sheet=section.text("sheet", MAX_TEXT_CHARS, "", least=0),
        header_row=section.integer("header_row", 1, MAX_HEADER_ROW, 1),
    )


def _headers(top: Section, key: str) -> dict[str, tuple[str, ...]]:
    """Read a table of field = headers."""
    table = top.table(key)
    known = sorted(FIELDS) if key == "columns" else [name for name in table if FACTOR_PATTERN.match(name)]
    section = Section(table, known, top.problems, f"{key}.")
    allowed = phrase("a list of 1 to %(most)s headers", most=MAX_HEADERS)
    nothing: tuple[str, ...] = ()
    found = {name: section.take(name, _read_headers, allowed, nothing) for name in table if name in known}
    if key == "columns":
        for name in sorted(REQUIRED - table.keys()):
            section.note(name, phrase("a list of headers: this field is required"))
    return found


def _read_headers(value: object) -> tuple[str, ...] | None:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_HEADERS:
        return None
    return tuple(value) if all(_is_header(item) for item in value) else None


def _is_header(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_TEXT_CHARS and match_key(value) != ""


def _check_headers(
    top: Section, columns: Mapping[str, tuple[str, ...]], factors: Mapping[str, tuple[str, ...]]
) -> None:
    """Note a header that stands for two fields."""
    named = [(f"columns.{field}", columns[field]) for field in columns]
    named += [(f"factors.{factor}", factors[factor]) for factor in factors]
    owners: dict[str, str] = {}
    for place, headers in named:
        for header in headers:
            owner = owners.setdefault(match_key(header), place)
            if owner != place:
                found = phrase("a header of %(other)s", other=owner)
                top.problems.append(Problem(place, found, phrase("headers that no other field has")))


def _values(top: Section, columns: Mapping[str, tuple[str, ...]]) -> dict[str, dict[str, str]]:
    tables = top.table("values") if top.has("values") else {}
    known = sorted(columns.keys() & CODED.keys())
    section = Section(tables, known, top.problems, "values.")
    return {field: _labels(section, field) for field in known}


def _labels(section: Section, field: str) -> dict[str, str]:
    """Read one table of label = code; a column of labels without a table is a problem."""
    codes: dict[str, str] = {}
    table = section.table(field)
    for label, code in table.items():
        key, text = match_key(label), str(code) if type(code) is int else code
        if not key or text not in CODED[field] or codes.setdefault(key, str(text)) != text:
            allowed = phrase("each label once, with one of %(codes)s", codes=", ".join(CODED[field]))
            section.note(field, allowed)
    if len(table) > MAX_LABELS:
        section.note(field, phrase("at most %(most)s labels", most=MAX_LABELS))
    return codes


def _optional(top: Section, columns: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    declared = columns.keys() - REQUIRED

    def read(value: object) -> frozenset[str] | None:
        if not isinstance(value, list) or not all(isinstance(field, str) for field in value):
            return None
        return frozenset(value) if set(value) <= declared else None

    nothing: frozenset[str] = frozenset()
    allowed = phrase("a list of declared columns, without the required ones")
    return top.take("optional", read, allowed, nothing, nothing)
