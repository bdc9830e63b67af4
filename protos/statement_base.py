"""What all statements share: limits, the kinds of their fields, bodies by reference, checks when built."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from protos import fields
from protos.errors import StatementError
from protos.fields import Field, number

MAX_TEXT_BYTES = 16 * 1024
MAX_ENTRY_BYTES = 24 * 1024  # a text and its signature lines
MAX_BODY_BYTES = 64 * 1024 * 1024
MAX_CELLS = 1_000_000
MAX_S2 = 2**24  # variance of a school's noise in a cell, in scaled units
MAX_STEPS = 12  # of a turnout ladder; a report has one vector more
MAX_AUDITORS = 7
MAX_ATTEMPT = 3
MAX_EXTENSIONS = 3  # of a round's deadline
ROUND_KEY_BYTES = 1216  # ML-KEM-768 (1184) + X25519 (32), draft-ietf-hpke-pq
INSTANCE_BYTES = 16

U64 = number(0, 2**64 - 1)
COUNT = number(0, 10_000_000)
SUBSET = number(1, 2**MAX_AUDITORS - 1)
PARTIES = number(0, MAX_AUDITORS)


@dataclass(frozen=True, slots=True)
class BodyRef:
    """Names a body: its SHA-256 (32 bytes) and its length in bytes."""

    sha256: bytes
    size: int


def body_ref(body: bytes) -> BodyRef:
    """Name a body."""
    return BodyRef(hashlib.sha256(body).digest(), len(body))


def one(attribute: str, kind: fields.Kind, key: str | None = None) -> Field:
    """Make a field that stands on one line; its key is the attribute with dashes unless given."""
    return Field(attribute, key or attribute.replace("_", "-"), (kind,))


def many(attribute: str, key: str, *kinds: fields.Kind) -> Field:
    """Make a field that stands on one line an item."""
    return Field(attribute, key, kinds, repeated=True)


class StatementBase:
    """Shared behaviour: the fields are checked when a value is built."""

    __slots__ = ()
    TYPE: ClassVar[str]
    FIELDS: ClassVar[tuple[Field, ...]]
    HAS_BODY: ClassVar[bool] = False

    @classmethod
    def of_checked(cls, values: Iterable[tuple[str, Any]]) -> Self:
        """Build a statement of all its fields' values, which are known to pass the fields' checks."""
        statement = cls.__new__(cls)
        for attribute, value in values:
            object.__setattr__(statement, attribute, value)
        return statement

    def __post_init__(self) -> None:
        for field in self.FIELDS:
            field.check(getattr(self, field.attribute))
        if self.HAS_BODY:
            ref: BodyRef = self.body  # type: ignore[attr-defined]
            if len(ref.sha256) != 32 or not 0 < ref.size <= MAX_BODY_BYTES:
                raise StatementError(f"{self.TYPE}: a body has 1 to {MAX_BODY_BYTES} bytes")
