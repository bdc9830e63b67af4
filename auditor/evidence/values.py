"""A pack's facts as JSON values, written in their one canonical form (RFC 8785)."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any, Final

from crypto.canonical import JsonInput, encode_json

FORMAT: Final = "fedscreen/evidence/v1"


def plain(value: Any) -> JsonInput:
    """Turn facts into objects, lists, texts and whole numbers."""
    if is_dataclass(value) and not isinstance(value, type):
        return {row.name: plain(getattr(value, row.name)) for row in fields(value)}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, str | int) and not isinstance(value, bool):
        return value
    raise TypeError(f"evidence holds texts, whole numbers and lists, found {type(value).__name__}")


def encode_values(values: dict[str, Any]) -> bytes:
    """Write the machine-readable file of a pack; ends with a line feed."""
    return encode_json({"format": FORMAT, **{key: plain(item) for key, item in values.items()}}) + b"\n"
