"""The fields of a command, taken one by one with a check each, and the record that it leaves in the journal.

Every handler of a command has the form of `Handler`: the open vault, the fields, the files by name; it gives
JSON values and named blobs. The tables `COMMANDS` of the command modules come together in `node.vault.desk`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from node.vault.errors import CommandError, _, shown_as
from node.vault.journal import JournalRecord
from plan.errors import phrase
from privacy.errors import PrivacyError
from privacy.year_account import first_year

if TYPE_CHECKING:
    from node.vault.open_vault import OpenVault

DIGEST_BYTES = 32

Answer = tuple[dict[str, Any], dict[str, bytes]]
Files = Mapping[str, bytes]
Handler = Callable[["OpenVault", "Fields", Files], Answer]


class Fields:
    """A command's fields, taken one by one with a check each."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = dict(values)

    def allow(self, *names: str) -> None:
        unknown = sorted(set(self.values) - set(names))
        if unknown:
            raise bad_field(unknown[0][:40], _("no such field"))

    def has(self, name: str) -> bool:
        return self.values.get(name) not in (None, "")

    def text(self, name: str, most: int) -> str:
        value = self.values.get(name)
        if not isinstance(value, str) or not 0 < len(value) <= most:
            raise bad_field(name, _("a text"))
        return value

    def number(self, name: str, low: int, high: int) -> int:
        value = self.values.get(name)
        if type(value) is not int or not low <= value <= high:
            raise bad_field(name, f"{low} … {high}")
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        value = self.values.get(name, default)
        if value not in (0, 1):
            raise bad_field(name, "0 / 1")
        return bool(value)

    def mapping(self, name: str) -> dict[str, Any]:
        value = self.values.get(name, {})
        if not isinstance(value, dict):
            raise bad_field(name, _("an object"))
        return value

    def school_year(self, name: str) -> str:
        try:
            year = self.text(name, 64)
            first_year(year)
        except PrivacyError:
            raise CommandError(
                _("%(field)s: expected %(expected)s"),
                _("Correct the value and run the command again."),
                details={"field": name, **shown_as("expected", phrase("a school year such as 2026-2027"))},
            ) from None
        return year

    def digest(self, name: str) -> bytes:
        value = self.values.get(name)
        try:
            digest = bytes.fromhex(value) if isinstance(value, str) else b""
        except ValueError:
            digest = b""
        if len(digest) != DIGEST_BYTES or digest.hex() != value:
            raise bad_field(name, _("64 lower-case hex digits"))
        return digest


def bad_field(name: str, expected: str) -> CommandError:
    return CommandError(
        _("%(field)s: expected %(expected)s"),
        _("Correct the value and run the command again."),
        details={"field": name, "expected": expected},
    )


def command_record(now: datetime, kind: str, target: str, data: Mapping[str, str | int]) -> JournalRecord:
    return JournalRecord(now, "vault", kind, target, "ok", dict(data))
