"""What makes a million steps possible: pure functions remember what they gave.

Parsing an entry, verifying and making an Ed25519 signature, expanding a round key and laying out a plan are
functions of their arguments, called for the same bytes by every party of a simulated county. Nothing here
changes what they give.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import nacl.bindings
import nacl.exceptions

import crypto.note
import crypto.sealing
import protos.entry
import protos.roster_chain

MAX_KEPT = 20_000


@contextmanager
def replaced(original: Any, replacement: Any) -> Iterator[None]:
    """Put a function in another's place in every module that has it."""
    places = [
        (module, name)
        for module in list(sys.modules.values())
        if module is not None and not getattr(module, "__name__", "").startswith("byzantine.speed")
        for name, value in list(getattr(module, "__dict__", {}).items())
        if value is original
    ]
    for module, name in places:
        setattr(module, name, replacement)
    try:
        yield
    finally:
        for module, name in places:
            setattr(module, name, original)


def _remembered_open() -> Callable[[bytes, bytes], bytes]:
    known: dict[tuple[bytes, bytes], bool] = {}
    verify = nacl.bindings.crypto_sign_open

    def crypto_sign_open(signed: bytes, key: bytes) -> bytes:
        found = known.get((signed, key))
        if found is None:
            if len(known) > MAX_KEPT:
                known.clear()
            try:
                verify(signed, key)
                found = True
            except nacl.exceptions.BadSignatureError:
                found = False
            known[(signed, key)] = found
        if not found:
            raise nacl.exceptions.BadSignatureError("remembered")
        return signed[64:]

    return crypto_sign_open


@contextmanager
def remembering() -> Iterator[None]:
    """Remember results for as long as a run lasts."""
    keep: Callable[[Any], Any] = lru_cache(maxsize=MAX_KEPT)
    # In every module but where errors are made of them: a note that does not parse is not remembered.
    with (
        replaced(protos.entry.parse_entry, keep(protos.entry.parse_entry)),
        replaced(crypto.note.parse_note, keep(crypto.note.parse_note)),
        replaced(crypto.note.crypto_sign_open, _remembered_open()),
        replaced(crypto.note.crypto_sign, keep(nacl.bindings.crypto_sign)),
        replaced(crypto.sealing.load_round_key, lru_cache(maxsize=64)(crypto.sealing.load_round_key)),
        replaced(crypto.sealing.round_public_key, lru_cache(maxsize=64)(crypto.sealing.round_public_key)),
        replaced(protos.roster_chain.parse_roster_body, keep(protos.roster_chain.parse_roster_body))
        if hasattr(protos.roster_chain, "parse_roster_body")
        else replaced(object(), None),
    ):
        yield
