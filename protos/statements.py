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
from typing import Any

from protos.errors import StatementError
from protos.fields import DIGEST, number
from protos.statement_base import (
    MAX_ATTEMPT,
    MAX_AUDITORS,
    MAX_BODY_BYTES,
    MAX_CELLS,
    MAX_ENTRY_BYTES,
    MAX_TEXT_BYTES,
    BodyRef,
    body_ref,
    one,
)
from protos.statement_changes import Cancel, Correction, Extended, Extension
from protos.statement_pattern import pattern_of
from protos.statement_types import (
    STATEMENT_TYPES,
    Abandon,
    Agreement,
    Approval,
    Candidates,
    Checked,
    Close,
    NoiseLine,
    Opening,
    Plan,
    Release,
    Replayed,
    Report,
    Revoke,
    Roster,
    Statement,
)

__all__ = [
    "MAX_ATTEMPT",
    "MAX_AUDITORS",
    "MAX_BODY_BYTES",
    "MAX_CELLS",
    "MAX_ENTRY_BYTES",
    "STATEMENT_TYPES",
    "Abandon",
    "Agreement",
    "Approval",
    "BodyRef",
    "Cancel",
    "Candidates",
    "Checked",
    "Close",
    "Correction",
    "Extended",
    "Extension",
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
_BY_TYPE: dict[str, type[Statement]] = {cls.TYPE: cls for cls in STATEMENT_TYPES}
_PATTERNS = {
    first_line: (cls, pattern)
    for cls in STATEMENT_TYPES
    if not cls.HAS_BODY
    for first_line in (f"fedscreen/{cls.TYPE}/{VERSION}",)
    if (pattern := pattern_of(first_line, cls.FIELDS)) is not None
}


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
    found = _parse_canonical(text)
    if found is not None:
        return found
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


def _parse_canonical(text: str) -> Statement | None:
    """Read a text that is canonical by its form; None sends it the slow way.

    A word of a pattern is ASCII without control characters, so a text that matches has only its
    length left to check.
    """
    pattern = _PATTERNS.get(text.partition("\n")[0])
    if pattern is None or len(text) > MAX_TEXT_BYTES:
        return None
    cls, text_pattern = pattern
    values = text_pattern.read(text)
    return None if values is None else cls.of_checked(values)


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
