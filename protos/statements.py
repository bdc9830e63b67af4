"""Every signed statement of the protocol: one text, one meaning.

A statement's text is UTF-8 in NFC, at most 16 KiB, no control character but LF. Its first line
is ``fedscreen/<type>/v1``; then come ``key value`` lines in the order of the type's fields;
the last line ends with LF. Parsing and re-serialising give the same bytes, or the text is
refused. Its digest is the SHA-256 of the text. Long things are bodies, named by
``body-sha256`` and ``body-bytes`` (``protos.bodies``).

Spec: docs/protocol.md "Statements". In the standards' words: node = DAP Client, coordinator =
Leader and Collector, auditor = Helper and log witness.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any, ClassVar

from protos import fields
from protos.errors import StatementError
from protos.fields import CODE, DIGEST, ID, RATIONAL, TABLE, TIME, Field, base64_bytes, number, one_of
from protos.statement_base import (
    COUNT,
    INSTANCE_BYTES,
    MAX_ATTEMPT,
    MAX_AUDITORS,
    MAX_BODY_BYTES,
    MAX_CELLS,
    MAX_ENTRY_BYTES,
    MAX_TEXT_BYTES,
    PARTIES,
    ROUND_KEY_BYTES,
    SUBSET,
    U64,
    BodyRef,
    StatementBase,
    body_ref,
    many,
    one,
)

__all__ = [
    "MAX_AUDITORS",
    "MAX_BODY_BYTES",
    "MAX_CELLS",
    "MAX_ENTRY_BYTES",
    "STATEMENT_TYPES",
    "Abandon",
    "Agreement",
    "Approval",
    "BodyRef",
    "Candidates",
    "Checked",
    "Close",
    "NoiseLine",
    "Opening",
    "Plan",
    "Release",
    "Replayed",
    "Report",
    "Revoke",
    "Roster",
    "Statement",
    "body_of",
    "body_ref",
    "digest",
    "encode_statement",
    "parse_statement",
]

VERSION = "v1"
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")  # Unicode category Cc without LF
_SHA = "body-sha256"

_FEDERATION = one("federation", ID)
_ROUND = one("round", DIGEST)
_AUDITOR = one("auditor", ID)


@dataclass(frozen=True, slots=True)
class Roster(StatementBase):
    """Who takes part: keys, nodes, allowed tuples (in the body). Signed by the coordinator, at
    least a quorum of the preceding roster's auditors, and every new auditor."""

    TYPE: ClassVar[str] = "roster"
    HAS_BODY: ClassVar[bool] = True
    FIELDS: ClassVar[tuple[Field, ...]] = (
        _FEDERATION,
        one("serial", U64),
        one("previous", DIGEST),
        one("kind", one_of("production", "demo")),
        one("quorum", number(1, MAX_AUDITORS)),
    )
    federation: str
    serial: int
    previous: bytes
    kind: str
    quorum: int
    body: BodyRef


@dataclass(frozen=True, slots=True)
class Revoke(StatementBase):
    """A node or an auditor is out from this log position on. Signed by the coordinator."""

    TYPE: ClassVar[str] = "revoke"
    FIELDS: ClassVar[tuple[Field, ...]] = (
        _FEDERATION,
        one("roster", DIGEST),
        one("subject", one_of("node", "auditor")),
        one("id", ID),
        one("reason", CODE),
    )
    federation: str
    roster: bytes
    subject: str
    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class NoiseLine:
    """A table's noise: counts are scaled by `scale`, each node adds variance `s2` (in scaled
    units), drawn with the thresholds whose SHA-256 is `thresholds`."""

    table: str
    scale: int
    s2: int
    thresholds: bytes


@dataclass(frozen=True, slots=True)
class Plan(StatementBase):
    """What is collected (the body), and under which terms (here). The round's id is the digest of
    this text. Signed by the coordinator."""

    TYPE: ClassVar[str] = "plan"
    HAS_BODY: ClassVar[bool] = True
    FIELDS: ClassVar[tuple[Field, ...]] = (
        _FEDERATION,
        one("serial", U64),
        one("roster", DIGEST),
        many("auditors", "auditor", ID),
        one("threshold", PARTIES),
        one("collude", PARTIES),
        one("quorum", PARTIES),
        one("min_reports", COUNT),
        one("colluding_schools", COUNT),
        one("min_group", COUNT),
        one("rho", RATIONAL),
        one("opens", TIME),
        one("closes", TIME),
        one("cells", number(1, MAX_CELLS)),
        many("noise", "noise", TABLE, number(1, 2**40), number(1, 2**24), DIGEST),
    )
    federation: str
    serial: int
    roster: bytes
    auditors: tuple[str, ...]
    threshold: int
    collude: int
    quorum: int
    min_reports: int
    colluding_schools: int
    min_group: int
    rho: Fraction
    opens: datetime
    closes: datetime
    cells: int
    noise: tuple[tuple[str, int, int, bytes], ...]
    body: BodyRef

    @property
    def noise_lines(self) -> tuple[NoiseLine, ...]:
        """The noise of each table, in plan order."""
        return tuple(NoiseLine(*row) for row in self.noise)


@dataclass(frozen=True, slots=True)
class Approval(StatementBase):
    """One auditor agrees to a round; once, ever. Carries its one-round HPKE key, a nonce and the
    commitment SHA-256(r_a) to its share of the later draw of replays."""

    TYPE: ClassVar[str] = "approval"
    FIELDS: ClassVar[tuple[Field, ...]] = (
        _FEDERATION,
        _ROUND,
        one("roster", DIGEST),
        _AUDITOR,
        one("instance", fields.hex_bytes(INSTANCE_BYTES)),
        one("round_key", base64_bytes(ROUND_KEY_BYTES)),
        one("nonce", DIGEST),
        one("draw", DIGEST),
    )
    federation: str
    round: bytes
    roster: bytes
    auditor: str
    instance: bytes
    round_key: bytes
    nonce: bytes
    draw: bytes


@dataclass(frozen=True, slots=True)
class Report(StatementBase):
    """The header of what one school sends for one attempt. Signed by the node's report key.

    `vector` is SHA-256(y); `seeds` are the commitments com_A in ascending order of A; `boxes` the
    SHA-256 of each sealed box in plan order; `size` the bytes of y and the boxes together;
    `previous` the digest of this node's previous report, or zeros.
    """

    TYPE: ClassVar[str] = "report"
    FIELDS: ClassVar[tuple[Field, ...]] = (
        _FEDERATION,
        _ROUND,
        one("roster", DIGEST),
        one("approvals", DIGEST),
        one("node", ID),
        one("attempt", number(0, MAX_ATTEMPT)),
        one("cells", number(1, MAX_CELLS)),
        one("vector", DIGEST),
        many("seeds", "seed", SUBSET, DIGEST),
        many("boxes", "box", ID, DIGEST),
        one("input", DIGEST),
        one("software", DIGEST),
        one("confinement", one_of("L0", "L1", "L2", "L3")),
        one("previous", DIGEST),
        one("size", number(1, 2**40)),
    )
    federation: str
    round: bytes
    roster: bytes
    approvals: bytes
    node: str
    attempt: int
    cells: int
    vector: bytes
    seeds: tuple[tuple[int, bytes], ...]
    boxes: tuple[tuple[str, bytes], ...]
    input: bytes
    software: bytes
    confinement: str
    previous: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Candidates(StatementBase):
    """The reports that count: for each node its highest attempt below `log_size`. Signed by the
    coordinator; anybody can recompute it from the log."""

    TYPE: ClassVar[str] = "candidates"
    HAS_BODY: ClassVar[bool] = True
    FIELDS: ClassVar[tuple[Field, ...]] = (_FEDERATION, _ROUND, one("log_size", U64))
    federation: str
    round: bytes
    log_size: int
    body: BodyRef


@dataclass(frozen=True, slots=True)
class Checked(StatementBase):
    """What one auditor found when it opened its boxes; the body lists what it refuses."""

    TYPE: ClassVar[str] = "checked"
    HAS_BODY: ClassVar[bool] = True
    FIELDS: ClassVar[tuple[Field, ...]] = (_FEDERATION, _ROUND, _AUDITOR, one("candidates", DIGEST))
    federation: str
    round: bytes
    auditor: str
    candidates: bytes
    body: BodyRef


@dataclass(frozen=True, slots=True)
class Close(StatementBase):
    """The set S: candidates minus everything refused in the `checked` statements named here."""

    TYPE: ClassVar[str] = "close"
    HAS_BODY: ClassVar[bool] = True
    FIELDS: ClassVar[tuple[Field, ...]] = (
        _FEDERATION,
        _ROUND,
        one("candidates", DIGEST),
        many("checked", "checked", ID, DIGEST),
        one("tier", COUNT),
        one("reports", COUNT),
    )
    federation: str
    round: bytes
    candidates: bytes
    checked: tuple[tuple[str, bytes], ...]
    tier: int
    reports: int
    body: BodyRef


@dataclass(frozen=True, slots=True)
class Agreement(StatementBase):
    """One auditor agrees to exactly this close. This or `Abandon`, once per round, ever."""

    TYPE: ClassVar[str] = "agreement"
    FIELDS: ClassVar[tuple[Field, ...]] = (_FEDERATION, _ROUND, _AUDITOR, one("close", DIGEST))
    federation: str
    round: bytes
    auditor: str
    close: bytes


@dataclass(frozen=True, slots=True)
class Abandon(StatementBase):
    """One auditor will never open this round. `close` is zeros where there was none."""

    TYPE: ClassVar[str] = "abandon"
    FIELDS: ClassVar[tuple[Field, ...]] = (
        _FEDERATION,
        _ROUND,
        _AUDITOR,
        one("close", DIGEST),
        one("reason", CODE),
    )
    federation: str
    round: bytes
    auditor: str
    close: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Opening(StatementBase):
    """One auditor's mask sums over S, by digest, and its revealed share r_a of the draw."""

    TYPE: ClassVar[str] = "opening"
    FIELDS: ClassVar[tuple[Field, ...]] = (
        _FEDERATION,
        _ROUND,
        _AUDITOR,
        one("close", DIGEST),
        one("draw", DIGEST),
        many("sums", "sum", SUBSET, DIGEST),
    )
    federation: str
    round: bytes
    auditor: str
    close: bytes
    draw: bytes
    sums: tuple[tuple[int, bytes], ...]


@dataclass(frozen=True, slots=True)
class Release(StatementBase):
    """The opened sum (the body), or `corrupt` and nothing. Signed by the coordinator."""

    TYPE: ClassVar[str] = "release"
    HAS_BODY: ClassVar[bool] = True
    FIELDS: ClassVar[tuple[Field, ...]] = (
        _FEDERATION,
        _ROUND,
        one("close", DIGEST),
        one("status", one_of("ok", "corrupt")),
        one("replicas", PARTIES),
        one("reports_in", COUNT),
        one("reports_out", COUNT),
        one("rho", RATIONAL),
        many("agreements", "agreement", ID, DIGEST),
        many("openings", "opening", ID, DIGEST),
    )
    federation: str
    round: bytes
    close: bytes
    status: str
    replicas: int
    reports_in: int
    reports_out: int
    rho: Fraction
    agreements: tuple[tuple[str, bytes], ...]
    openings: tuple[tuple[str, bytes], ...]
    body: BodyRef


@dataclass(frozen=True, slots=True)
class Replayed(StatementBase):
    """An auditor recomputed a school's report on site."""

    TYPE: ClassVar[str] = "replayed"
    FIELDS: ClassVar[tuple[Field, ...]] = (
        _FEDERATION,
        _ROUND,
        _AUDITOR,
        one("node", ID),
        one("report", DIGEST),
        one("outcome", one_of("PASS", "FAIL")),
        one("confinement", one_of("L0", "L1", "L2", "L3")),
    )
    federation: str
    round: bytes
    auditor: str
    node: str
    report: bytes
    outcome: str
    confinement: str


Statement = (
    Roster
    | Revoke
    | Plan
    | Approval
    | Report
    | Candidates
    | Checked
    | Close
    | Agreement
    | Abandon
    | Opening
    | Release
    | Replayed
)
STATEMENT_TYPES: tuple[type[Statement], ...] = (
    Roster,
    Revoke,
    Plan,
    Approval,
    Report,
    Candidates,
    Checked,
    Close,
    Agreement,
    Abandon,
    Opening,
    Release,
    Replayed,
)
_BY_TYPE: dict[str, type[Statement]] = {cls.TYPE: cls for cls in STATEMENT_TYPES}


def digest(text: str) -> bytes:
    """Compute a statement's digest: SHA-256 of its text in UTF-8."""
    return hashlib.sha256(text.encode("utf-8")).digest()


def encode_statement(statement: Statement) -> str:
    """Write a statement's text; the exact inverse of `parse_statement`."""
    lines = [f"fedscreen/{statement.TYPE}/{VERSION}"]
    for field in statement.FIELDS:
        lines += field.encode(getattr(statement, field.attribute))
    body = body_of(statement)
    if body is not None:
        lines += [f"{_SHA} {body.sha256.hex()}", f"body-bytes {body.size}"]
    text = "\n".join(lines) + "\n"
    if len(text.encode()) > MAX_TEXT_BYTES:
        raise StatementError(
            f"{statement.TYPE}: text of {len(text)} characters, at most {MAX_TEXT_BYTES} bytes"
        )
    return text


def body_of(statement: Statement) -> BodyRef | None:
    """Return the reference to the statement's body, None where the type has none."""
    return getattr(statement, "body", None)


def parse_statement(text: str) -> Statement:
    """Read a statement's text.

    Raises:
        StatementError: the text is not exactly what `encode_statement` writes.
    """
    lines = _lines(text)
    cls = _type_of(lines[0])
    values: dict[str, Any] = {}
    position = 1
    for field in cls.FIELDS:
        values[field.attribute], position = field.parse(lines, position)
    if cls.HAS_BODY:
        values["body"], position = _parse_body(lines, position)
    if position != len(lines):
        raise StatementError(f"{cls.TYPE}: line {position + 1} is not expected here")
    statement = cls(**values)
    if encode_statement(statement) != text:
        raise StatementError(f"{cls.TYPE}: not in canonical form")
    return statement


def _lines(text: str) -> list[str]:
    if not text.endswith("\n"):
        raise StatementError("a statement ends with a line feed")
    try:
        size_bytes = len(text.encode("utf-8"))
    except UnicodeEncodeError as err:
        raise StatementError("a statement is Unicode text") from err
    if size_bytes > MAX_TEXT_BYTES:
        raise StatementError(f"text of {size_bytes} bytes, at most {MAX_TEXT_BYTES}")
    if _CONTROL.search(text):
        raise StatementError("a statement has no control character but the line feed")
    if not text.isascii() and not unicodedata.is_normalized("NFC", text):
        raise StatementError("a statement is in Unicode normal form C")
    return text[:-1].split("\n")


def _type_of(first_line: str) -> type[Statement]:
    prefix, _, rest = first_line.partition("/")
    name, _, version = rest.partition("/")
    if prefix != "fedscreen" or version != VERSION or name not in _BY_TYPE:
        raise StatementError(f"unknown statement type {first_line[:60]!r}; this version reads v1")
    return _BY_TYPE[name]


_BODY_FIELDS = (one("sha256", DIGEST, _SHA), one("size", number(1, MAX_BODY_BYTES), "body-bytes"))


def _parse_body(lines: list[str], position: int) -> tuple[BodyRef, int]:
    sha256, position = _BODY_FIELDS[0].parse(lines, position)
    size, position = _BODY_FIELDS[1].parse(lines, position)
    _BODY_FIELDS[0].check(sha256)
    _BODY_FIELDS[1].check(size)
    return BodyRef(sha256, size), position
