"""Looks for planted texts in recorded bytes, one by one: what the fast search is measured by."""

from __future__ import annotations

from node.audit_spellings import find_canaries, of_text

__all__ = ["find_canaries", "spellings"]


def spellings(text: str) -> dict[str, bytes]:
    """Give every way to write a text, named for itself: `utf-8`, `gb18030 hex`, `utf-8 base64 +1`, …"""
    return {name.removeprefix(f"{text} "): spelling for name, spelling in of_text(text).items()}
