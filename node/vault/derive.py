"""From exact tables to the masked vector: the derivation block of docs/protocol.md in one place.

Release and replay both run this same code, so what a replay compares is what was really done. All of it
is a pure function of (K, federation, node, round, roster, approvals, attempt, rows): the only thing in a
report that is not is HPKE's encapsulation.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from crypto import derivation
from crypto.field64 import encode_vector
from crypto.replication import subsets
from crypto.sharing import mask_vector
from crypto.xof import XofHmacSha256Aes128, format_dst
from plan.layout import Layout
from privacy.discrete_gaussian import XOF_USAGE, Sampler
from protos.statements import Plan


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything public that a report is made from.

    Attributes:
        node: this node's id.
        round_id: digest of the plan's text.
        terms: the plan's statement.
        approvals: digest of the approval texts in plan order.
        layout: the plan's vector layout.
    """

    node: str
    round_id: bytes
    terms: Plan
    approvals: bytes
    layout: Layout

    def round_secret(self, master: bytes) -> bytes:
        """Derive R of this node and round."""
        return derivation.round_secret(
            master, self.terms.federation, self.node, self.round_id, self.terms.roster, self.approvals
        )


@dataclass(frozen=True, slots=True)
class Derived:
    """What one attempt comes to.

    Attributes:
        tag: xm, identifies the table x; never leaves.
        vector: y, 8 bytes little-endian a cell, and with a turnout ladder w_1 .. w_L behind it, masked alike;
            safe to send.
        seeds: subset → seed; only ever sealed.
        commitments: subset → com_A, ascending.
        input: the input commitment.
    """

    tag: bytes = field(repr=False)
    vector: bytes = field(repr=False)
    seeds: dict[int, bytes] = field(repr=False)
    commitments: tuple[tuple[int, bytes], ...]
    input: bytes

    @property
    def vector_digest(self) -> bytes:
        """SHA-256 of y, and of what follows it."""
        return hashlib.sha256(self.vector).digest()


def tag_of(recipe: Recipe, master: bytes, x: NDArray[np.int64]) -> bytes:
    """Compute xm, by which two tables are told apart without keeping either."""
    return derivation.measurement_tag(recipe.round_secret(master), x)


def derive(recipe: Recipe, master: bytes, x: NDArray[np.int64], attempt: int, rows_digest: bytes) -> Derived:
    """Draw the noise, mask, and commit.

    Args:
        recipe: the round as this node sees it.
        master: K, 32 bytes.
        x: scaled counts, int64, shape (cells,).
        attempt: 0 to 3.
        rows_digest: SHA-256 of the canonical rows that x was counted from.

    Privacy: the charge must stand in the store before this is called.
    """
    terms = recipe.terms
    round_secret = recipe.round_secret(master)
    tag = derivation.measurement_tag(round_secret, x)
    secret = derivation.report_secret(round_secret, attempt, tag)
    seeds = derivation.seeds(secret, subsets(len(terms.auditors), terms.threshold))
    noise = draw_noise(recipe.layout, secret)
    vectors = (x + noise.sum(axis=0), *noise[1:])
    n, t = len(terms.auditors), terms.threshold
    masked = (mask_vector(row, seeds, recipe.round_id, n, t, step=step) for step, row in enumerate(vectors))
    return Derived(
        tag=tag,
        vector=b"".join(encode_vector(row) for row in masked),
        seeds=seeds,
        commitments=tuple(
            (subset, derivation.seed_commitment(recipe.round_id, recipe.node, attempt, subset, seed))
            for subset, seed in seeds.items()
        ),
        input=derivation.input_commitment(round_secret, attempt, rows_digest, x),
    )


def draw_noise(layout: Layout, report_secret: bytes) -> NDArray[np.int64]:
    """Draw all noise of one report, in scaled units.

    Returns:
        int64, shape (layout.num_vectors, cells): z_0, w_1 .. w_L of a turnout ladder; else a single row.

    Privacy: whoever knows it and the report knows the tables; it never leaves the vault.
    """
    noise = np.zeros((layout.num_vectors, layout.cells), dtype=np.int64)
    for index, table in enumerate(layout.tables):
        for step, s2 in enumerate(table.noise.components):
            key = _noise_key(layout, report_secret, step, index)
            stream = XofHmacSha256Aes128(key, format_dst(XOF_USAGE, b""), b"")
            noise[step, table.offset : table.end] = Sampler(s2).sample(stream.next, table.cells)
    return noise


def _noise_key(layout: Layout, report_secret: bytes, step: int, index: int) -> bytes:
    if layout.tiers:
        return derivation.tier_key(report_secret, step, index)
    return derivation.noise_key(report_secret, index)
