"""What the primitives under our round cost by themselves, by the functions that the product calls."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from crypto.note import KeyType, SigningKey, parse_signature_line, verify_signature
from crypto.sealing import load_round_key, open_box, round_public_key, seal

CALLS, REPEATS = 100, 15
SEEDS, INFO, TEXT = bytes(108), bytes(240), "a header has about two thousand characters\n" * 50
HASHED_BYTES = 1 << 20


def measure() -> dict[str, float]:
    """Best microseconds of a call (SHA-256: nanoseconds a byte)."""
    secret = os.urandom(96)
    public, key = round_public_key(secret), load_round_key(secret)
    box = seal(public, SEEDS, INFO)
    mine, theirs = X25519PrivateKey.generate(), X25519PrivateKey.generate().public_key()
    kem = MLKEM768PrivateKey.generate()
    _, ciphertext = kem.public_key().encapsulate()
    signer = SigningKey("bench", KeyType.ED25519, os.urandom(32))
    line, verifier = parse_signature_line(signer.sign(TEXT)), signer.verifier
    data = bytes(HASHED_BYTES)
    calls: dict[str, Callable[[], object]] = {
        "X25519 exchange": lambda: mine.exchange(theirs),
        "ML-KEM-768 decapsulation": lambda: kem.decapsulate(ciphertext),
        "seal a box": lambda: seal(public, SEEDS, INFO),
        "open a box": lambda: open_box(key, box, INFO),
        "sign a header": lambda: signer.sign(TEXT),
        "verify a header's signature": lambda: verify_signature(TEXT, line, verifier),
    }
    found = {name: _best(call, CALLS) * 1e6 for name, call in calls.items()}
    found["SHA-256, ns a byte"] = _best(lambda: hashlib.sha256(data).digest(), 1) / HASHED_BYTES * 1e9
    return {name: float(f"{value:.3g}") for name, value in found.items()}


def _best(call: Callable[[], object], calls: int) -> float:
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        for _ in range(calls):
            call()
        times.append((time.process_time() - start) / calls)
    return min(times)
