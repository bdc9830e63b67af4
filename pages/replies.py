"""What a page may answer. Knows no web framework."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Page:
    """A page to be made from a template."""

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True, slots=True)
class Redirect:
    """Go on at another page, which says `said` at its top (a key of the pages' own sentences)."""

    to: str
    said: str = ""


@dataclass(frozen=True, slots=True)
class Download:
    """A file for the person to keep."""

    name: str
    content: bytes = field(repr=False)
    media_type: str = "application/octet-stream"
