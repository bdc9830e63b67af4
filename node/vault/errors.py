"""What the vault refuses, and what to do about it.

A message and an advice are English %-templates over `details` (so that whoever shows them can
translate first and fill in afterwards); `str(error)` is the filled English text. Nothing in
`details` may be a share, seed, key, pupil id, name or a count of pupils.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from node.errors import PHRASE_SUFFIX, Detail, NodeError
from plan.errors import Phrase, encode_phrase


def _(message: str) -> str:
    """Mark a message for the translation catalogue; the vault itself always speaks English."""
    return message


def shown_as(name: str, words: Phrase) -> dict[str, str]:
    """Put a phrase into `details` under a name: in English, and as what a translation needs."""
    return {name: str(words), name + PHRASE_SUFFIX: encode_phrase(words)}


class VaultError(NodeError):
    """Base of everything that the vault refuses.

    Attributes:
        code: stable English word for programs, e.g. ``plan-expired``.
        message: template of one sentence: place, expected, found.
        advice: template of one sentence: what to do next.
        details: what the templates need; JSON values only.
    """

    CODE: ClassVar[str] = "vault"

    def __init__(
        self,
        message: str,
        advice: str = "",
        *,
        code: str = "",
        details: Mapping[str, Detail] | None = None,
    ) -> None:
        super().__init__(message, advice, code=code, details=dict(details or {}))


class CommandError(VaultError):
    """A command is unknown or one of its fields is missing or out of range."""

    CODE = "bad-command"


class StoreError(VaultError):
    """The record file cannot be used."""

    CODE = "store"


class WrongKeyError(StoreError):
    """No page of the record file opens with this key."""

    CODE = "wrong-key"


class DamagedStoreError(StoreError):
    """Some pages of the record file do not pass their integrity check."""

    CODE = "store-damaged"


class JournalError(VaultError):
    """The journal's chain is broken or one of its records does not decrypt."""

    CODE = "journal-broken"


class EnrolmentStateError(VaultError):
    """The node is not yet, or already, enrolled."""

    CODE = "enrolment"


class MirrorError(VaultError):
    """What was handed over as the log does not fit what this node has seen."""

    CODE = "log"


class RoundRefusedError(VaultError):
    """A check of the round failed; nothing leaves."""

    CODE = "round-refused"


class AccountError(VaultError):
    """The privacy account does not cover the round."""

    CODE = "account"


class RecordsError(VaultError):
    """The records are missing or do not fit the plan."""

    CODE = "records"


class AttemptError(VaultError):
    """No further attempt is possible for this round."""

    CODE = "attempt"


class ReceiptError(VaultError):
    """No receipt can be given, or one does not verify."""

    CODE = "receipt"


class BackupError(VaultError):
    """A backup or a recovery file cannot be made, or not be opened."""

    CODE = "backup"


class ReplayError(VaultError):
    """There is nothing to replay."""

    CODE = "replay"


class RoleError(VaultError):
    """A role is missing, or its holder's passphrase is another one."""

    CODE = "role"


class RegisterError(VaultError):
    """The names of a set of records are not there, or damaged."""

    CODE = "register"


class HandOverRefusedError(VaultError):
    """A hand-over file cannot be made, opened or acknowledged."""

    CODE = "hand-over"
