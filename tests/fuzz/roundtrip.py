"""Bytes to text and back without loss, and what else a round trip needs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from node.frames import Frame, encode_frame


def text_of(data: bytes) -> str:
    """Decode any bytes: surrogates stand as lone surrogates, as JSON escapes can make them."""
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("utf-8", "surrogateescape")


def bytes_of(text: str) -> bytes:
    """Encode a text that a parser took: such a text is Unicode."""
    return text.encode("utf-8")


def encode_frames(found: Iterable[Frame]) -> bytes:
    """Write frames one after the other."""
    return b"".join(encode_frame(frame.kind, frame.payload) for frame in found)


def is_equal(first: Any, second: Any) -> bool:
    """Compare values; two that are equal are also written equally by `repr`."""
    return bool(first == second)
