"""TenSEAL: homomorphic sums, one secret key; CKKS with NVIDIA FLARE's defaults, and exact BFV.

A client encrypts and serialises; the server (public context) loads, adds and serialises the sum; the holder
of the secret key loads and decrypts it, once. FLARE gives the secret key to every client.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import tenseal

from bench.peer_rows import Row, best_and_median, cpu_times, vectors

TRUST = "the server with any one holder of the shared key"
DISTINCT = 4  # different reports; the server loads them in turn, each time anew
BFV_MODULUS = 4398047051777  # a prime, 1 modulo 2·8192, above 300·2^32


@dataclass(frozen=True)
class Scheme:
    """A context with its secret key, the server's without, and how vectors are made and loaded."""

    name: str
    context: Any
    public: Any
    new: Callable[..., Any]
    load: Callable[..., Any]


def schemes() -> list[Scheme]:
    """Make the keys of both schemes."""
    ckks = tenseal.context(
        tenseal.SCHEME_TYPE.CKKS, poly_modulus_degree=8192, coeff_mod_bit_sizes=[60, 40, 40]
    )
    ckks.global_scale = 2**40
    bfv = tenseal.context(tenseal.SCHEME_TYPE.BFV, poly_modulus_degree=8192, plain_modulus=BFV_MODULUS)
    return [
        Scheme("TenSEAL CKKS", ckks, _without_secret(ckks), tenseal.ckks_vector, tenseal.ckks_vector_from),
        Scheme("TenSEAL BFV", bfv, _without_secret(bfv), tenseal.bfv_vector, tenseal.bfv_vector_from),
    ]


def measure(scheme: Scheme, n: int, d: int, repeats: int) -> Row:
    """Measure one size."""
    values = vectors(DISTINCT, d)
    lists = [value.tolist() for value in values]
    with _silence():
        times = cpu_times(lambda: scheme.new(scheme.context, lists[0]).serialize(), max(5, repeats))
        reports = [scheme.new(scheme.context, value).serialize() for value in lists]
        opened: list[list[float]] = []
        server = min(cpu_times(lambda: opened.append(_sum(scheme, reports, n)), repeats))
    expected = sum(values[index % DISTINCT] for index in range(n))
    client, median = best_and_median(times)
    is_exact = bool((np.rint(opened[-1]).astype(np.int64) == expected).all())
    return Row(scheme.name, TRUST, n, d, client, median, server, len(reports[0]), 1, is_exact)


def _sum(scheme: Scheme, reports: list[bytes], n: int) -> list[float]:
    total = scheme.load(scheme.public, reports[0])
    for index in range(1, n):
        total += scheme.load(scheme.public, reports[index % DISTINCT])
    opened: list[float] = scheme.load(scheme.context, total.serialize()).decrypt()
    return opened


def _without_secret(context: Any) -> Any:
    return tenseal.context_from(context.serialize(save_secret_key=False))


@contextmanager
def _silence() -> Iterator[None]:
    """Send the library's warnings on long vectors nowhere: writing them would be measured too."""
    null, kept = os.open(os.devnull, os.O_WRONLY), [os.dup(1), os.dup(2)]
    try:
        os.dup2(null, 1)
        os.dup2(null, 2)
        yield
    finally:
        for number, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, number)
            os.close(copy)
        os.close(null)
