"""Looks for planted texts in recorded bytes, in every encoding that a leak would plausibly use."""

from __future__ import annotations

import base64
from collections.abc import Iterable

ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "gb18030")
LEAST_BYTES = 6


def spellings(text: str) -> dict[str, bytes]:
    """Every way to write a text: plain, hex and base64 at each of its three alignments."""
    found: dict[str, bytes] = {}
    for encoding in ENCODINGS:
        raw = text.encode(encoding)
        found[encoding] = raw
        found[f"{encoding} hex"] = raw.hex().encode()
        found[f"{encoding} HEX"] = raw.hex().upper().encode()
        for shift in range(3):
            # The first and last group depend on what stands beside the text.
            whole = base64.b64encode(b"\0" * shift + raw + b"\0" * (-(shift + len(raw)) % 3))
            end = len(whole) - (4 if (shift + len(raw)) % 3 else 0)
            inner = whole[4 if shift else 0 : end]
            found[f"{encoding} base64 +{shift}"] = inner
            found[f"{encoding} base64url +{shift}"] = inner.replace(b"+", b"-").replace(b"/", b"_")
    return {name: spelling for name, spelling in found.items() if len(spelling) >= LEAST_BYTES}


def find_canaries(data: bytes, canaries: Iterable[str]) -> list[str]:
    """Name the spellings of planted texts that stand in `data`."""
    return [
        f"{canary}: {name}"
        for canary in canaries
        for name, spelling in spellings(canary).items()
        if spelling in data
    ]
