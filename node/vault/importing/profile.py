"""The import profile: how one platform names its columns and spells its answers.

A profile is a TOML file that travels with the codebook. It maps every header and every label that
it knows; what it does not know is refused, never guessed (systems disagree on whether a 2 means
"both parents away" or "not left behind", so a bare number counts only where the profile lists it).

    id = "platform"                    # and: version, title; all three are text
    join = "auto"                      # or "student_no": how a row finds its pupil, see `importing.join`
    levels = "四级色标"                 # which label set of the codebook; "" for all that agree
    optional = ["absence"]             # columns that a file may lack; any other declared one must be there
    duration_unit = "s"                # what a bare number is in `duration_s`: "s" or "min"
    school_codes = ["3453000001"]      # of this node; the roster's other codes are refused; [] for any

    [roster]                           # and [screening], [retest] (as [screening] if not given), [consent]
    header_row = 0                     # 1-based; 0: looked for among the first 20
    sheet = ""                         # name or number; empty: the one with the table; "*": all that have it
    encoding = "auto"                  # of a text file: utf-8, utf-16, gb18030

    [[ledgers]]                        # and the same three keys; given to the import as --ledger NAME=FILE
    name = "single-parent"
    groups = ["g2"]                    # groups of everybody who stands in it
    set = { family = 2 }               # codes of everybody who stands in it

    [columns]                          # field = headers, the preferred one first
    student_no = ["全国学籍号", "学籍号"]

    [factors]                          # factor id of the codebook = headers
    learning_anxiety = ["学习焦虑"]

    [values.boarding]                  # label = code of the field, see plan.codes
    "走读" = 1

Alert levels (`level`, and `level2` after a recheck) have no table here: which label means which level is the
codebook's to say. What a school's ledgers hold (recheck, files, pool, flags, days, destination, outcome, home
visits) may stand in any file; `days_to_review` is a whole number, or follows from the day `reviewed_on`.
`name`, `class_no`, `birth_ym` and `local_no` (校内学号) only find a pupil and are never stored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

from crypto.canonical import JsonInput, encode_json
from node.vault.errors import shown_as
from node.vault.importing.errors import PROFILE, ImportingError, RowIssue
from node.vault.importing.text_table import ENCODINGS
from plan.codes import CONSENT, FIELD_CODES, FLAG, GROUP
from plan.errors import DocumentError, Problem, phrase
from plan.labels import normalise_label
from plan.reading import FACTOR_PATTERN, ID_PATTERN, Section, load_toml

MAX_HEADER_ROW: Final = 50
MAX_HEADERS: Final = 32
MAX_LABELS: Final = 200
MAX_LEDGERS: Final = 16
MAX_SCHOOL_CODES: Final = 32
MAX_TEXT_CHARS: Final = 80
NO_GROUP: Final = "none"
NO_ABSENCE: Final = "none"

IDENTITY: Final = frozenset({"student_no", "local_no", "name", "class_no", "birth_ym"})
ROSTER_ONLY: Final = frozenset({"grade", "school_code", "joined_on", "left_on"})
SCREENING_ONLY: Final = frozenset(
    {"administered_on", "level", "total", "validity", "validity_score", "critical", "sitting", "duration_s"}
)
RECHECK: Final = ("recheck", "recheck_by", "level2")
LEDGER: Final = (
    *("found_by", "file_built", "carer_assigned", "pool", *FLAG),
    *("ref_dest", "outcome", "home_visit", "handed_over"),
)
PURPOSES: Final = ("consent_testing", "consent_follow_up", "consent_statistics")
CONSENTS: Final = ("guardian_consent", *PURPOSES)
CONSENT_ONLY: Final = frozenset({"consent_form", "consent_date"})
EITHER: Final = frozenset(
    {"sex", "boarding", "left_behind", "family", "migrant", "groups", "student_informed", *CONSENTS}
    | {"absence", "days_to_review", "reviewed_on", *RECHECK, *LEDGER}
)
FIELDS: Final = IDENTITY | ROSTER_ONLY | SCREENING_ONLY | EITHER | CONSENT_ONLY
REQUIRED: Final = frozenset({"student_no", "grade", "administered_on", "level", "total"})
JOINS: Final = ("student_no", "auto")

ABSENCE_CODES: Final = ("3", "4", "5", "6", "7", NO_ABSENCE)
CODED: Final[Mapping[str, tuple[str, ...]]] = {
    **{field: tuple(FIELD_CODES[field]) for field in sorted((FIELDS & FIELD_CODES.keys()) - {"level2"})},
    **dict.fromkeys(PURPOSES, tuple(CONSENT)),
    "groups": (*GROUP, NO_GROUP),
    "absence": ABSENCE_CODES,
}
"""Fields whose cells are labels, with the codes that a label may mean."""

SET_BY_LEDGER: Final = frozenset(CODED.keys() & EITHER) - {"groups", "absence"}

_TOP = (
    *("id", "version", "title", "join", "levels", "optional", "duration_unit", "school_codes"),
    *("roster", "screening", "retest", "consent", "ledgers", "columns", "factors", "values"),
)
_PLACE = ("sheet", "header_row", "encoding")


@dataclass(frozen=True, slots=True)
class TablePlace:
    """Where in a file the table stands: sheet, 1-based row of the header, encoding; see the module."""

    sheet: str = ""
    header_row: int = 0
    encoding: str = "auto"


@dataclass(frozen=True, slots=True)
class Ledger:
    """A ledger (台账) of the school: where its table stands, and what holds for everybody in it.

    Attributes:
        groups: codes of `plan.codes.GROUP`.
        sets: pairs of a coded field and its code, ascending.
    """

    name: str
    place: TablePlace
    groups: frozenset[str]
    sets: tuple[tuple[str, str], ...]


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
        duration_unit: "s" or "min", of a bare number in `duration_s`.
        school_codes: the roster's codes of this node; empty for any.
        ledgers: by name.
        digest: SHA-256 of the profile's content; spaces, comments and order of keys do not count.
    """

    id: str
    version: str
    title: str
    join: str
    levels: str
    roster: TablePlace
    screening: TablePlace
    retest: TablePlace
    consent: TablePlace
    ledgers: Mapping[str, Ledger]
    duration_unit: str
    school_codes: frozenset[str]
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
    screening = _place(top, "screening")
    optional = _optional(top, columns)
    ledgers = _ledgers(top)
    codes = top.take("school_codes", _read_codes, _CODES_ALLOWED, frozenset[str](), frozenset[str]())
    _check_join(top, join, columns)
    roster, consent = _place(top, "roster"), _place(top, "consent")
    retest = _place(top, "retest") if top.has("retest") else screening
    unit = top.choice("duration_unit", ("s", "min"), "s")
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
        retest=retest,
        consent=consent,
        ledgers=ledgers,
        duration_unit=unit,
        school_codes=codes,
        columns=columns,
        factors=factors,
        values=values,
        optional=optional,
        digest=digest,
    )


def _place(top: Section, key: str) -> TablePlace:
    return _read_place(Section(top.table(key) if top.has(key) else {}, _PLACE, top.problems, f"{key}."))


def _read_place(section: Section) -> TablePlace:
    return TablePlace(
        sheet=section.text("sheet", MAX_TEXT_CHARS, "", least=0),
        header_row=section.integer("header_row", 0, MAX_HEADER_ROW, 0),
        encoding=section.choice("encoding", ENCODINGS, ENCODINGS[0]),
    )


def _ledgers(top: Section) -> dict[str, Ledger]:
    """Read the ledgers; one that says nothing of its own may still have columns of follow-up."""
    ledgers: dict[str, Ledger] = {}
    tables = top.tables("ledgers", MAX_LEDGERS, least=0) if top.has("ledgers") else []
    for place, values in enumerate(tables, start=1):
        section = Section(values, ("name", "groups", "set", *_PLACE), top.problems, f"ledgers.#{place}.")
        name = section.word("name", ID_PATTERN, phrase("a short name of a-z 0-9 . _ -"))
        allowed = phrase("a list of %(codes)s", codes=", ".join(GROUP))
        groups = section.take("groups", _read_groups, allowed, frozenset[str](), frozenset[str]())
        sets = _read_sets(section) if section.has("set") else ()
        if name in ledgers:
            section.note("name", phrase("a name that no other ledger has"))
        ledgers[name] = Ledger(name, _read_place(section), groups, sets)
    return ledgers


def _read_groups(value: object) -> frozenset[str] | None:
    if not isinstance(value, list) or not all(isinstance(code, str) and code in GROUP for code in value):
        return None
    return frozenset(value)


def _read_sets(section: Section) -> tuple[tuple[str, str], ...]:
    sets = []
    for name, value in sorted(section.table("set").items()):
        code = str(value) if type(value) is int else value
        if name not in SET_BY_LEDGER or code not in CODED[name]:
            allowed = phrase("fields with one of their codes, such as family = 2")
            section.note("set", allowed)
            continue
        sets.append((name, str(code)))
    return tuple(sets)


_CODES_ALLOWED: Final = phrase("a list of at most %(most)s school codes as text", most=MAX_SCHOOL_CODES)


def _read_codes(value: object) -> frozenset[str] | None:
    if not isinstance(value, list) or len(value) > MAX_SCHOOL_CODES:
        return None
    codes = [match_key(code) for code in value if isinstance(code, str)]
    return frozenset(codes) if len(codes) == len(value) and all(codes) else None


def _check_join(top: Section, join: str, columns: Mapping[str, tuple[str, ...]]) -> None:
    """Note a profile that joins by persons but has too little to tell them apart."""
    if join != "auto" or "local_no" in columns:
        return
    if "name" not in columns or not {"class_no", "birth_ym"} & columns.keys():
        top.note("join", phrase("columns name and class_no or birth_ym, or local_no"))


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
