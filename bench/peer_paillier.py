"""Paillier with phe (and gmpy2): 2048-bit keys, as many cells as fit packed into one plaintext.

One secret key; the server adds ciphertexts, the key's holder decrypts the sum once. Every step is linear in
the number of ciphertexts, so only `MEASURED_CELLS` cells are measured and larger tables are scaled up.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import phe
from numpy.typing import NDArray
from phe import EncodedNumber, EncryptedNumber, PaillierPrivateKey, PaillierPublicKey

from bench.peer_rows import VALUE_BITS, Row, best_and_median, cpu_times, vectors

NAME, TRUST = "phe Paillier 2048", "the server with the holder of the key"
KEY_BITS = 2048
CIPHERTEXT_BYTES = KEY_BITS // 4
SLOT_BITS = VALUE_BITS + 9  # sums of up to 512 clients
SLOTS = (KEY_BITS - 2) // SLOT_BITS  # phe keeps a third of the range for negative numbers
MEASURED_CELLS = 1_000
DISTINCT = 3


@cache
def keys() -> tuple[PaillierPublicKey, PaillierPrivateKey]:
    """Make the key pair of this run."""
    public, private = phe.generate_paillier_keypair(n_length=KEY_BITS)
    return public, private


def ciphertexts(cells: int) -> int:
    """How many ciphertexts a vector takes."""
    return -(-cells // SLOTS)


def measure(n: int, d: int, repeats: int) -> Row:
    """Measure, or scale up from `MEASURED_CELLS` cells."""
    cells = min(d, MEASURED_CELLS)
    values = vectors(DISTINCT, cells)
    times, reports = _client(cells)
    opened: list[NDArray[np.int64]] = []
    server = min(cpu_times(lambda: opened.append(add_and_open(reports, n, cells)), min(3, repeats)))
    expected = sum(values[index % DISTINCT] for index in range(n))
    is_exact = bool((opened[-1] == expected).all())
    factor = ciphertexts(d) / ciphertexts(cells)
    client, median = (factor * value for value in best_and_median(times))
    scaled_from = "" if cells == d else f"d={cells}"
    size_bytes = CIPHERTEXT_BYTES * ciphertexts(d)
    return Row(NAME, TRUST, n, d, client, median, factor * server, size_bytes, 1, is_exact, scaled_from)


@cache
def _client(cells: int) -> tuple[list[float], list[list[bytes]]]:
    """A client's times, and every client's report; the same for every number of clients."""
    values = vectors(DISTINCT, cells)
    return cpu_times(lambda: encrypt(values[0]), 3), [encrypt(value) for value in values]


def encrypt(x: NDArray[np.int64]) -> list[bytes]:
    """Pack and encrypt one client's vector."""
    public, _ = keys()
    cells = x.tolist()
    packed = [
        sum(value << SLOT_BITS * slot for slot, value in enumerate(cells[start : start + SLOTS]))
        for start in range(0, len(cells), SLOTS)
    ]
    encrypted = [public.encrypt_encoded(EncodedNumber(public, number, 0), None) for number in packed]
    return [number.ciphertext().to_bytes(CIPHERTEXT_BYTES, "big") for number in encrypted]


def add_and_open(reports: list[list[bytes]], n: int, cells: int) -> NDArray[np.int64]:
    """Add n reports (the distinct ones in turn) and decrypt the sum."""
    public, private = keys()
    opened: list[int] = []
    for place in range(ciphertexts(cells)):
        total = _load(public, reports[0][place])
        for index in range(1, n):
            total += _load(public, reports[index % DISTINCT][place])
        packed = private.decrypt_encoded(total).encoding
        opened += [packed >> SLOT_BITS * slot & (1 << SLOT_BITS) - 1 for slot in range(SLOTS)]
    return np.array(opened[:cells], dtype=np.int64)


def _load(public: PaillierPublicKey, data: bytes) -> EncryptedNumber:
    return EncryptedNumber(public, int.from_bytes(data, "big"), 0)
