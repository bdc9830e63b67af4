"""What a pack tells, as frozen values of text and whole numbers, ready to be written as canonical JSON.

Rationals are texts `a/b` with a decimal beside them; yes and no are 1 and 0; times are UTC,
`YYYY-MM-DDTHH:MM:SSZ`; a digest is hex; what does not exist is an empty text or an empty list.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cosignature:
    """Who cosigned a checkpoint, and when by its own clock."""

    auditor: str
    time: str


@dataclass(frozen=True, slots=True)
class Head:
    """The log at one moment.

    Attributes:
        origin: `kept` (a checkpoint of an earlier pack), `beginning` (the log began in this year),
            `unknown`, `newest`.
        note: the checkpoint as it was signed; empty if there is none.
    """

    origin: str
    size: int
    root: str
    note: str
    cosignatures: tuple[Cosignature, ...]
    quorum: int


@dataclass(frozen=True, slots=True)
class Roster:
    """One roster: `index` is its place in the log."""

    serial: int
    index: int
    digest: str
    num_schools: int
    num_operators: int
    auditors: tuple[str, ...]
    quorum: int
    tuples: tuple[str, ...]
    is_of_year: int


@dataclass(frozen=True, slots=True)
class Term:
    """An auditor with one pair of keys: from one roster's serial on, until another's (0: still in force)."""

    auditor: str
    operator: str
    is_outside: int
    statement_key: str
    cosigner_key: str
    from_roster: int
    until_roster: int
    follows: int
    revoked_at: int
    reason: str


@dataclass(frozen=True, slots=True)
class KeyChange:
    """New keys in a roster: of the coordinator, the log, the CA, an auditor, or of so many schools."""

    roster: int
    what: str
    who: str
    number: int


@dataclass(frozen=True, slots=True)
class Revocation:
    """A school or an auditor that was taken out: `subject` is `node` or `auditor`."""

    subject: str
    id: str
    reason: str
    index: int
    is_of_year: int


@dataclass(frozen=True, slots=True)
class School:
    """A school of the roster in force at the end; its name, if any, and where its records lie, are public."""

    id: str
    name: str
    operator: str
    deployment: str


@dataclass(frozen=True, slots=True)
class Custody:
    """How many schools keep their records in one form: `a`, `b`, `c`, another, or empty (not stated)."""

    form: str
    number: int


@dataclass(frozen=True, slots=True)
class Table:
    """What a table of a plan counts: dimensions and filters as codes and in Chinese, a summed number."""

    id: str
    title: str
    dims: tuple[str, ...]
    dim_titles: tuple[str, ...]
    where: tuple[str, ...]
    where_zh: tuple[str, ...]
    sum: str
    cells: int


@dataclass(frozen=True, slots=True)
class Duty:
    """What one auditor of a plan did in its round; `abandoned` is the reason."""

    auditor: str
    approved: int
    checked: int
    agreed: int
    abandoned: str
    opened: int
    is_away: int


@dataclass(frozen=True, slots=True)
class Excluded:
    """A school's report that was left out of the set, and the code that says why."""

    node: str
    attempt: int
    code: str


@dataclass(frozen=True, slots=True)
class Extension:
    """A later deadline that was asked for, and who granted it."""

    serial: int
    closes: str
    reason: str
    granted: tuple[str, ...]
    is_in_force: int


@dataclass(frozen=True, slots=True)
class Correction:
    """How a release is to be read since."""

    status: str
    tables: tuple[str, ...]
    successor: int
    reason: str
    index: int


@dataclass(frozen=True, slots=True)
class Round:
    """One round of the year, from its plan to its end.

    Attributes:
        state: as `protos.round_log.RoundState`.
        ended: why it ended without numbers: `cancelled`, `reissued`, `abandoned`, `corrupt`, or empty.
        rho, rho_decimal, epsilon: what the plan may cost a pupil; epsilon at delta = 10^-6.
        away: auditors of the plan that did nothing from the candidates on, where there were some.
    """

    serial: int
    id: str
    index: int
    title: str
    purpose: str
    recipients: tuple[str, ...]
    legal_basis: str
    consent: str
    release_class: str
    wave: str
    school_year: str
    census_date: str
    neighbouring: str
    opens: str
    closes: str
    deadline: str
    rho: str
    rho_decimal: str
    epsilon: str
    auditors: tuple[str, ...]
    threshold: int
    collude: int
    quorum: int
    min_reports: int
    min_group: int
    colluding_schools: int
    cells: int
    tables: tuple[Table, ...]
    state: str
    ended: str
    reason: str
    successor: int
    num_schools: int
    num_reporting: int
    num_attempts: int
    num_set: int
    excluded: tuple[Excluded, ...]
    duties: tuple[Duty, ...]
    away: tuple[str, ...]
    withheld_draws: tuple[str, ...]
    release_index: int
    release_status: str
    release_standing: str
    replicas: int
    is_refunded: int
    extensions: tuple[Extension, ...]
    corrections: tuple[Correction, ...]
    has_draw: int


@dataclass(frozen=True, slots=True)
class Account:
    """What a school year has cost any one pupil at most, over all schools; no school is named."""

    school_year: str
    num_schools: int
    spent: str
    spent_decimal: str
    epsilon: str
    bet_percent: str
    cap: str
    cap_decimal: str
    cap_epsilon: str
    is_within: int


@dataclass(frozen=True, slots=True)
class Replay:
    """An auditor's statement in the log that it recomputed a report at a school."""

    round: int
    auditor: str
    node: str
    outcome: str
    confinement: str
    index: int
    is_of_year: int


@dataclass(frozen=True, slots=True)
class Visit:
    """The record of an on-site visit.

    Attributes:
        sha256: of the file.
        ended: when the school's node finished.
        trials: what was tried and how it came out, such as `replay PASS`.
        program: `same` or `another` than the release's.
        is_signed: whether the key of the auditor that it names has signed it.
        is_logged: whether its statement stands in the log.
    """

    file: str
    sha256: str
    auditor: str
    round: int
    node: str
    ended: str
    outcome: str
    trials: tuple[str, ...]
    program: str
    is_signed: int
    is_logged: int


@dataclass(frozen=True, slots=True)
class Check:
    """One numbered check of `verify`; `detail` in English, `detail_zh` in Chinese."""

    number: int
    name: str
    outcome: str
    detail: str
    detail_zh: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What `verify` said of the bundle. `bundle` is the SHA-256 of its MANIFEST."""

    summary: str
    bundle: str
    kind: str
    num_files: int
    has_policy: int
    policy: str
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class Entries:
    """How many statements of a type stand in the log below a position."""

    type: str
    number: int


@dataclass(frozen=True, slots=True)
class Stated:
    """Something that a person states and the log cannot show; empty if nobody has."""

    topic: str
    text: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A failure, an open point or something not met, by code; `place` and `detail` name where and what."""

    code: str
    place: str
    detail: str
    number: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """All of one year's pack, before it is divided into chapters.

    The year's entries are those from `start.size` to `year_until`: the log's end, or the first plan of a
    later year.
    """

    year: int
    made_on: str
    federation: str
    kind: str
    genesis: str
    source: str
    start: Head
    end: Head
    year_until: int
    entries: tuple[Entries, ...]
    entries_of_year: tuple[Entries, ...]
    rosters: tuple[Roster, ...]
    schools: tuple[School, ...]
    custody: tuple[Custody, ...]
    terms: tuple[Term, ...]
    key_changes: tuple[KeyChange, ...]
    revocations: tuple[Revocation, ...]
    rounds: tuple[Round, ...]
    other_rounds: tuple[int, ...]
    accounts: tuple[Account, ...]
    replays: tuple[Replay, ...]
    visits: tuple[Visit, ...]
    stated: tuple[Stated, ...]
    verification: Verification
