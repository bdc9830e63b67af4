"""The collection plan as data: what a county writes in TOML, and what it publishes.

A plan is a draft until `plan.publishing` has set `min_reports` for the number of schools and pinned the
codebooks. Publishing splits it: `Terms` stand in the text of the plan statement, everything else is
the statement's body (`encode_body`, canonical JSON). `from_published` puts both together again; its inverse
is `(encode_body(plan), terms_of(plan))`. The round's id is the digest of the statement, not of this file.

Order of reading: size and syntax, then every key by itself, then the rules between keys whose values were
read. Every problem is reported, not only the first.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from fractions import Fraction
from typing import Any, Final

from crypto.canonical import encode_json, parse_json
from crypto.errors import CryptoError
from plan import rules
from plan.attributes import Attributes, attributes_json, attributes_problems, read_attributes
from plan.codes import GRADE, SYSTEM, WAVE
from plan.dimensions import DIMENSIONS
from plan.errors import DocumentError, Problem, phrase, raise_if
from plan.instrument import (
    INSTRUMENT_KEYS,
    Instrument,
    instrument_json,
    read_instrument,
)
from plan.reading import ID_PATTERN, MAX_INPUT_BYTES, Section, load_toml
from plan.record import CONSENT_POLICIES
from plan.table_spec import (
    MAX_TABLES,
    TABLE_KEYS,
    Scope,
    TableSpec,
    read_table,
    table_json,
    tables_problems,
)
from privacy.ladder import MAX_STEPS
from privacy.sensitivity import Neighbouring

PLAN_FORMAT: Final = "fedscreen/plan/v1"
RELEASE_CLASSES: Final = ("internal", "on-request", "public")
CRITICAL: Final = ("off", "counted")
MAX_RHO: Final = Fraction(1, 2)
"""The account's cap per school year: no single plan can cost more."""

MAX_INSTRUMENTS: Final = 8
AUTO: Final = "auto"

_BODY_KEYS = (
    "format",
    "id",
    "title",
    "purpose",
    "recipients",
    "legal_basis",
    "consent",
    "release_class",
    "wave",
    "school_year",
    "census_date",
    "neighbouring",
    "grades",
    "systems",
    "critical_items",
    "floors",
    "instruments",
    "tables",
    "attributes",
)
_WINDOW_KEYS = ("opens", "closes")
_TRUST_KEYS = (
    "auditors",
    "threshold",
    "collude",
    "quorum",
    "min_reports",
    "colluding_schools",
    "min_group",
    "ladder",
)
OFF: Final = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The part of a published plan that stands in the text of its statement.

    Attributes:
        num_auditors, threshold, collude, quorum: (n, t, f, q) of protocol.md.
        min_reports: fewest reports that may be opened.
        colluding_schools: schools assumed to add no noise.
        min_group: fewest schools behind each combination of roster attributes that a table uses.
        rho: what the round may cost, in zCDP.
        opens, closes: the window for reports; UTC, whole seconds.
        tiers: m_1 .. m_L of a turnout ladder, honest schools above h; empty without one.
    """

    num_auditors: int
    threshold: int
    collude: int
    quorum: int
    min_reports: int
    colluding_schools: int
    min_group: int
    rho: Fraction
    opens: datetime
    closes: datetime
    tiers: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanDocument:
    """A collection plan, valid by construction; `dataclasses.replace` checks again.

    Attributes:
        id, title, purpose, recipients, legal_basis: what the county says about it.
        consent: `require` (without recorded consent a pupil is only counted as such) or `record-only`.
        release_class: `internal` (内部), `on-request` (依申请) or `public` (主动公开).
        wave: a key of `plan.codes.WAVE`.
        school_year: `YYYY-YYYY` of the census date, whose account pays.
        census_date: a pupil counts where enrolled on this day.
        neighbouring: the relation of the guarantee.
        grades, systems: eligible grades and the school systems that occur, in the order of their sets.
        has_critical_items: whether tables may count the self-harm items; a person decides that.
        display_floor, denominator_floor: smallest value shown, and smallest base of a rate.
        instruments: allowed instruments.
        tables: in the order of the vector.
        attributes: roster attributes that tables may use as columns, with their values.
        min_reports: None in a draft that says `auto`.
        tiers: as in `Terms`; None in a draft whose `ladder` is `auto`.
        (the others): as in `Terms`.

    Raises:
        DocumentError: a rule between keys is broken (`plan.rules`, `plan.table_spec`).
    """

    id: str
    title: str
    purpose: str
    recipients: tuple[str, ...]
    legal_basis: str
    consent: str
    release_class: str
    wave: str
    school_year: str
    census_date: date
    neighbouring: Neighbouring
    grades: tuple[str, ...]
    systems: tuple[str, ...]
    has_critical_items: bool
    display_floor: int
    denominator_floor: int
    instruments: tuple[Instrument, ...]
    tables: tuple[TableSpec, ...]
    num_auditors: int
    threshold: int
    collude: int
    quorum: int
    min_reports: int | None
    tiers: tuple[int, ...] | None = ()
    colluding_schools: int
    min_group: int
    rho: Fraction
    opens: datetime
    closes: datetime
    attributes: Attributes = ()

    def __post_init__(self) -> None:
        raise_if(
            DocumentError,
            [
                *_terms_problems(self),
                *rules.trust_problems(self.num_auditors, self.threshold, self.collude, self.quorum),
                *rules.reports_problems(self.min_reports, self.colluding_schools),
                *rules.ladder_problems(self.tiers or (), self.min_reports, self.colluding_schools),
                *rules.window_problems(self.school_year, self.census_date, self.opens, self.closes),
                *_instruments_problems(self.instruments),
                *attributes_problems(self.attributes, DIMENSIONS),
                *tables_problems(self.tables, self.scope),
            ],
        )

    @property
    def scope(self) -> Scope:
        """What the tables' codes depend on."""
        return Scope(self.grades, self.systems, self.instruments, self.has_critical_items, self.attributes)

    @property
    def noise_schools(self) -> int:
        """h = min_reports - colluding_schools, the honest schools whose noise is counted on.

        Raises:
            DocumentError: `min_reports` is still `auto`.
        """
        return terms_of(self).min_reports - self.colluding_schools

    def accepts(self, codebook_id: str, digest: str) -> bool:
        """Say whether records that this codebook (digest in hex) coded may be counted."""
        return any(item.accepts(codebook_id, digest) for item in self.instruments)


def _terms_problems(plan: PlanDocument) -> list[Problem]:
    """Check the numbers of the terms by themselves; the reader has done so for a file."""
    least = rules.MIN_REPORTS_FLOOR if plan.min_reports is None else plan.min_reports
    moments = (plan.opens, plan.closes)
    checks = (
        ("trust.min_reports", rules.MIN_REPORTS_FLOOR <= least <= rules.MAX_REPORTS, _REPORTS_ALLOWED),
        ("trust.colluding_schools", plan.colluding_schools >= 1, phrase("1 or more")),
        ("trust.min_group", rules.MIN_GROUP_FLOOR <= plan.min_group <= rules.MAX_REPORTS, _GROUP_ALLOWED),
        ("rho", 0 < plan.rho <= MAX_RHO, phrase("above 0, at most %(most)s", most=str(MAX_RHO))),
        ("window", all(moment.tzinfo is UTC and not moment.microsecond for moment in moments), _UTC_ALLOWED),
    )
    return [Problem(key, phrase("another value"), allowed) for key, holds, allowed in checks if not holds]


_REPORTS_ALLOWED = phrase("%(low)s to %(high)s", low=rules.MIN_REPORTS_FLOOR, high=rules.MAX_REPORTS)
_GROUP_ALLOWED = phrase("%(low)s to %(high)s", low=rules.MIN_GROUP_FLOOR, high=rules.MAX_REPORTS)
_UTC_ALLOWED = phrase("UTC, whole seconds")


def _instruments_problems(instruments: tuple[Instrument, ...]) -> list[Problem]:
    names = [item.id for item in instruments]
    if 1 <= len(set(names)) == len(names) <= MAX_INSTRUMENTS:
        return []
    found = phrase("%(size)s instruments", size=len(names))
    return [Problem("instruments", found, phrase("1 to %(most)s with different ids", most=MAX_INSTRUMENTS))]


def parse_plan_toml(data: bytes) -> PlanDocument:
    """Read a plan from TOML (at most 256 KiB, UTF-8; a byte order mark is fine).

    Raises:
        DocumentError: every problem with its key path, what was found and what is allowed.
    """
    problems: list[Problem] = []
    top = Section(load_toml(data, DocumentError), (*_BODY_KEYS, "rho", "window", "trust"), problems)
    body = _read_body(top)
    terms = _read_terms(top)
    if problems:
        raise DocumentError(*problems, *_partial_problems(top, body, terms))
    return PlanDocument(**body, **terms)


def from_published(body: bytes, terms: Terms) -> PlanDocument:
    """Put a published plan together from its body and the terms in its statement's text.

    Raises:
        DocumentError: the body is not canonical, not the encoding of a plan, or does not go with the terms.
    """
    if len(body) > MAX_INPUT_BYTES:
        raise DocumentError(Problem("", phrase("too many bytes"), phrase("a plan's body")))
    try:
        value = parse_json(body)
    except CryptoError as err:
        raise DocumentError(Problem("", phrase("other bytes"), phrase("canonical JSON"))) from err
    if not isinstance(value, dict):
        raise DocumentError(Problem("", phrase("another value"), phrase("a JSON object")))
    problems: list[Problem] = []
    values = _read_body(Section(value, _BODY_KEYS, problems))
    raise_if(DocumentError, problems)
    plan = PlanDocument(**values, **{name: getattr(terms, name) for name in _TERMS_FIELDS})
    if encode_body(plan) != body:
        raise DocumentError(Problem("", phrase("another spelling"), phrase("the one encoding of a plan")))
    return plan


_TERMS_FIELDS = tuple(item.name for item in fields(Terms))


def terms_of(plan: PlanDocument) -> Terms:
    """Return the part of a plan that stands in its statement's text.

    Raises:
        DocumentError: `min_reports` or `ladder` is still `auto`.
    """
    advice = phrase("resolve the plan for the number of schools first")
    if plan.min_reports is None:
        raise DocumentError(Problem("trust.min_reports", phrase("'auto'"), _REPORTS_ALLOWED, advice))
    if plan.tiers is None:
        raise DocumentError(Problem("trust.ladder", phrase("'auto'"), _LADDER_ALLOWED, advice))
    return Terms(**{name: getattr(plan, name) for name in _TERMS_FIELDS})


def encode_body(plan: PlanDocument) -> bytes:
    """Return everything of a plan that is not in its `Terms`, as canonical JSON (RFC 8785)."""
    used = {"attributes": attributes_json(plan.attributes)} if plan.attributes else {}
    return encode_json(
        {
            **used,
            "format": PLAN_FORMAT,
            "id": plan.id,
            "title": plan.title,
            "purpose": plan.purpose,
            "recipients": list(plan.recipients),
            "legal_basis": plan.legal_basis,
            "consent": plan.consent,
            "release_class": plan.release_class,
            "wave": plan.wave,
            "school_year": plan.school_year,
            "census_date": plan.census_date.isoformat(),
            "neighbouring": plan.neighbouring.value,
            "grades": list(plan.grades),
            "systems": list(plan.systems),
            "critical_items": CRITICAL[plan.has_critical_items],
            "floors": {"display": plan.display_floor, "denominator": plan.denominator_floor},
            "instruments": [instrument_json(item) for item in plan.instruments],
            "tables": [table_json(table) for table in plan.tables],
        }
    )


def _read_body(top: Section) -> dict[str, Any]:
    """Read the keys of the body; the values are complete only if no problem was noted."""
    top.choice("format", (PLAN_FORMAT,))
    floors = top.subsection("floors", _FLOOR_KEYS, is_required=False)
    attributes = read_attributes(top)
    return {
        "id": top.word("id", ID_PATTERN, phrase("a short name of a-z 0-9 . _ -")),
        "title": top.text("title", 80),
        "purpose": top.text("purpose", 300),
        "recipients": top.lines("recipients", 8, 80),
        "legal_basis": top.text("legal_basis", 300),
        "consent": top.choice("consent", CONSENT_POLICIES, CONSENT_POLICIES[0]),
        "release_class": top.choice("release_class", RELEASE_CLASSES, RELEASE_CLASSES[0]),
        "wave": top.choice("wave", WAVE),
        "school_year": top.word("school_year", _YEAR_PATTERN, phrase("a school year such as 2026-2027")),
        "census_date": top.day("census_date"),
        "neighbouring": Neighbouring(top.choice("neighbouring", list(Neighbouring), "replace-one")),
        "grades": top.codes("grades", GRADE),
        "systems": top.codes("systems", SYSTEM),
        "has_critical_items": top.choice("critical_items", CRITICAL, CRITICAL[0]) == CRITICAL[1],
        "display_floor": floors.integer("display", 11, 10_000, default=11),
        "denominator_floor": floors.integer("denominator", 30, 100_000, default=30),
        "instruments": _read_instruments(top),
        "tables": _read_tables(top, attributes),
        "attributes": attributes,
    }


_FLOOR_KEYS = ("display", "denominator")
_YEAR_PATTERN = re.compile(r"20[0-9]{2}-20[0-9]{2}\Z", re.ASCII)


def _read_instruments(top: Section) -> tuple[Instrument, ...]:
    found = []
    for place, values in enumerate(top.tables("instruments", MAX_INSTRUMENTS), start=1):
        path = _item_path("instruments", values, place)
        found.append(read_instrument(Section(values, INSTRUMENT_KEYS, top.problems, path)))
    return top.complete("instruments", found)


def _read_tables(top: Section, attributes: Attributes) -> tuple[TableSpec, ...]:
    found = []
    for place, values in enumerate(top.tables("tables", MAX_TABLES), start=1):
        path = _item_path("tables", values, place)
        found.append(read_table(Section(values, TABLE_KEYS, top.problems, path), attributes))
    return top.complete("tables", found)


def _item_path(key: str, values: Mapping[str, object], place: int) -> str:
    """Name an item of a list by its id where it has a plain one, else by its place from 1."""
    name = values.get("id")
    is_plain = isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", name, re.ASCII)
    return f"{key}.{name if is_plain else f'#{place}'}."


def _read_terms(top: Section) -> dict[str, Any]:
    """Read what will stand in the statement's text."""
    rho = top.rational("rho", Fraction(0), MAX_RHO)
    window = top.subsection("window", _WINDOW_KEYS)
    trust = top.subsection("trust", _TRUST_KEYS)
    values = {
        "rho": rho,
        "opens": window.moment("opens"),
        "closes": window.moment("closes"),
        "num_auditors": trust.integer("auditors", 1, 7),
        "threshold": trust.integer("threshold", 1, 7),
        "collude": trust.integer("collude", 0, 6),
        "quorum": trust.integer("quorum", 1, 7),
        "min_reports": _read_min_reports(trust),
        "colluding_schools": trust.integer("colluding_schools", 1, rules.MAX_REPORTS),
        "min_group": trust.integer("min_group", rules.MIN_GROUP_FLOOR, rules.MAX_REPORTS, default=5),
        "tiers": _read_ladder(trust),
    }
    for key, section in (("window", window), ("trust", trust)):
        if section.has_problems:
            top.fail(key)
    return values


def _read_min_reports(trust: Section) -> int | None:
    def read(value: object) -> int | None:
        if value == AUTO:
            return 0
        is_right = type(value) is int and rules.MIN_REPORTS_FLOOR <= value <= rules.MAX_REPORTS
        return value if is_right and isinstance(value, int) else None

    allowed = phrase(
        '"auto", or a whole number from %(low)s to %(high)s',
        low=rules.MIN_REPORTS_FLOOR,
        high=rules.MAX_REPORTS,
    )
    return trust.take("min_reports", read, allowed, 0) or None


def _read_ladder(trust: Section) -> tuple[int, ...] | None:
    def read(value: object) -> tuple[int, ...] | None:
        if value in (OFF, AUTO):
            return () if value == OFF else _AUTO_TIERS
        if not isinstance(value, list) or not 1 <= len(value) <= MAX_STEPS:
            return None
        numbers = tuple(item for item in value if type(item) is int and 1 <= item <= rules.MAX_REPORTS)
        return numbers if len(numbers) == len(value) else None

    nothing: tuple[int, ...] = ()
    tiers = trust.take("ladder", read, _LADDER_ALLOWED, nothing, nothing)
    return None if tiers == _AUTO_TIERS else tiers


_AUTO_TIERS = (0,)
_LADDER_ALLOWED = phrase(
    '"off", "auto", or a list of at most %(most)s rising numbers of honest schools', most=MAX_STEPS
)


def _partial_problems(top: Section, body: dict[str, Any], terms: dict[str, Any]) -> list[Problem]:
    """Check the rules between keys that could be read, in a file where others could not."""
    problems: list[Problem] = []
    if not top.failed("trust"):
        names = ("num_auditors", "threshold", "collude", "quorum")
        problems += rules.trust_problems(*(terms[name] for name in names))
        problems += rules.reports_problems(terms["min_reports"], terms["colluding_schools"])
        problems += rules.ladder_problems(
            terms["tiers"] or (), terms["min_reports"], terms["colluding_schools"]
        )
    if not top.failed("window", "school_year", "census_date"):
        problems += rules.window_problems(
            body["school_year"], body["census_date"], terms["opens"], terms["closes"]
        )
    if not top.failed("instruments", "tables", "grades", "systems", "critical_items", "attributes"):
        scope = ("grades", "systems", "instruments", "has_critical_items", "attributes")
        problems += tables_problems(body["tables"], Scope(*(body[name] for name in scope)))
    return problems
