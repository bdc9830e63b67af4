"""The signed statements: their fields in the order of their lines, and who signs them.

How they are written and read stands in `protos.statements`, which everybody imports them from.
Spec: docs/protocol.md "Statements".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import ClassVar

from protos import fields
from protos.fields import CODE, DIGEST, ID, RATIONAL, TABLE, TIME, Field, base64_bytes, number, one_of
from protos.statement_base import (
    COUNT,
    INSTANCE_BYTES,
    MAX_ATTEMPT,
    MAX_AUDITORS,
    MAX_CELLS,
    MAX_STEPS,
    PARTIES,
    ROUND_KEY_BYTES,
    SUBSET,
    U64,
    BodyRef,
    StatementBase,
    many,
    one,
)
from protos.statement_changes import Cancel, Correction, Extended, Extension

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
    this text. Signed by the coordinator.

    `tiers` are the honest schools m_1 .. m_L of a turnout ladder, and `steps` its noise: table, step from 1,
    variance in scaled units, digest of the thresholds. Without a ladder neither has a line.
    """

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
        many("tiers", "tier", COUNT),
        one("rho", RATIONAL),
        one("opens", TIME),
        one("closes", TIME),
        one("cells", number(1, MAX_CELLS)),
        many("noise", "noise", TABLE, number(1, 2**40), number(1, 2**24), DIGEST),
        many("steps", "step", TABLE, number(1, MAX_STEPS), number(1, 2**24), DIGEST),
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
    tiers: tuple[int, ...] = ()
    steps: tuple[tuple[str, int, int, bytes], ...] = ()

    @property
    def num_vectors(self) -> int:
        """Vectors in a report: y, and with a turnout ladder one for each step."""
        return 1 + len(self.tiers)

    @property
    def num_elements(self) -> int:
        """Field elements in a report, of all its vectors together."""
        return self.cells * self.num_vectors

    def noise_left(self, tier: int) -> tuple[tuple[str, int, int], ...]:
        """Table, scale and the variance that each school leaves in a cell opened at a tier, in plan order."""
        taken_out = range(1, tier + 1)
        steps = [(table, s2) for table, step, s2, _ in self.steps if step not in taken_out]
        return tuple(
            (row.table, row.scale, row.s2 + sum(s2 for table, s2 in steps if table == row.table))
            for row in self.noise_lines
        )

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
    | Extension
    | Extended
    | Cancel
    | Correction
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
    Extension,
    Extended,
    Cancel,
    Correction,
)
