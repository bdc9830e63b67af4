"""Looks for planted texts in recorded bytes, one by one: what the fast search is measured by."""

from __future__ import annotations

from node.audit_spellings import find_canaries, of_text

__all__ = ["find_canaries", "spellings"]

spellings = of_text
