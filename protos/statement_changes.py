"""Four of the signed statements: what may change in a round after its plan.

Who signs them and when they may come next: `protos.round_changes`. Everybody imports them from
`protos.statements`. Spec: docs/protocol.md "Statements".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from protos.fields import CODE, DIGEST, ID, TABLE, TIME, Field, number, one_of
from protos.statement_base import MAX_EXTENSIONS, StatementBase, many, one

_FEDERATION = one("federation", ID)
_ROUND = one("round", DIGEST)
_AUDITOR = one("auditor", ID)


@dataclass(frozen=True, slots=True)
class Extension(StatementBase):
    """The coordinator asks for a later deadline. It moves nothing before q auditors have said `Extended`."""

    TYPE: ClassVar[str] = "extension"
    FIELDS: ClassVar[tuple[Field, ...]] = (
        _FEDERATION,
        _ROUND,
        one("serial", number(1, MAX_EXTENSIONS)),
        one("closes", TIME),
        one("reason", CODE),
    )
    federation: str
    round: bytes
    serial: int
    closes: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Extended(StatementBase):
    """One auditor takes reports, and keeps its round key, until the deadline of this extension."""

    TYPE: ClassVar[str] = "extended"
    FIELDS: ClassVar[tuple[Field, ...]] = (_FEDERATION, _ROUND, _AUDITOR, one("extension", DIGEST))
    federation: str
    round: bytes
    auditor: str
    extension: bytes


@dataclass(frozen=True, slots=True)
class Cancel(StatementBase):
    """The county ends a round without a release. `close` is zeros where there was none; `successor` is the
    round that takes its place, or zeros. Signed by the coordinator."""

    TYPE: ClassVar[str] = "cancel"
    FIELDS: ClassVar[tuple[Field, ...]] = (
        _FEDERATION,
        _ROUND,
        one("close", DIGEST),
        one("successor", DIGEST),
        one("reason", CODE),
    )
    federation: str
    round: bytes
    close: bytes
    successor: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Correction(StatementBase):
    """A release is not to be read as it stands: `corrected` (the tables named, or all), or `withdrawn`.

    `previous` is the digest of this release's last correction, or zeros; `successor` a later released round
    whose numbers are to be used, or zeros. The release itself stays as it is. Signed by the coordinator.
    """

    TYPE: ClassVar[str] = "correction"
    FIELDS: ClassVar[tuple[Field, ...]] = (
        _FEDERATION,
        _ROUND,
        one("release", DIGEST),
        one("previous", DIGEST),
        one("status", one_of("corrected", "withdrawn")),
        many("tables", "table", TABLE),
        one("successor", DIGEST),
        one("reason", CODE),
    )
    federation: str
    round: bytes
    release: bytes
    previous: bytes
    status: str
    tables: tuple[str, ...]
    successor: bytes
    reason: str
