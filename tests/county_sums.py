"""What a round of a simulated county must come to, recomputed from the schools' own secrets."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from fakes_county import CountySimulator
from numpy.typing import NDArray

from crypto.derivation import kdf, measurement_tag, noise_key, report_secret, round_secret
from crypto.xof import XofHmacSha256Aes128, format_dst
from node.vault.enrol import load_identity
from plan.layout import Layout
from plan.published import read_published
from plan.tabulation import tabulate
from privacy.discrete_gaussian import Sampler
from protos.ledger import RoundState
from protos.round_log import RoundLog

Numbers = NDArray[np.int64]


def layout_of(round_log: RoundLog) -> Layout:
    """Lay a logged plan out."""
    return read_published(round_log.terms, round_log.plan.body).layout


def scaled_counts(county: CountySimulator, round_log: RoundLog, node_id: str) -> Numbers:
    """Count a school's pupils: x, scaled, without noise."""
    layout = layout_of(round_log)
    entry = round_log.roster.node(node_id)
    counts = tabulate(layout, county.records[node_id], dict(entry.attributes) if entry else {})
    return np.concatenate(
        [counts[table.offset : table.offset + table.cells] * table.noise.scale for table in layout.tables]
    )


def secret_of(county: CountySimulator, round_log: RoundLog, node_id: str, attempt: int = 0) -> bytes:
    """Derive T, from which the noise and the seeds of one report follow."""
    identity = load_identity(county.stores[node_id])
    secret = round_secret(
        identity.master,
        round_log.terms.federation,
        node_id,
        round_log.round_id,
        round_log.roster_digest,
        round_log.approvals_digest(),
    )
    x = scaled_counts(county, round_log, node_id)
    return report_secret(secret, attempt, measurement_tag(secret, x))


def expected_sum(county: CountySimulator, round_id: bytes, nodes: Iterable[str], attempt: int = 0) -> Numbers:
    """Recompute scaled counts plus noise of some schools from their secrets, cell by cell.

    With a turnout ladder the noise is what those schools, all of them reporting, leave in the sum.
    """
    round_log, names = county.round(round_id), tuple(nodes)
    layout = layout_of(round_log)
    tier = layout.tier(len(names))
    total = np.zeros(layout.cells, np.int64)
    for node_id in names:
        total += scaled_counts(county, round_log, node_id)
        secret = secret_of(county, round_log, node_id, attempt)
        for number, table in enumerate(layout.tables):
            for step, s2 in enumerate(table.noise.components):
                if step == 0 or step > tier:
                    key = kdf(secret, "tier", step, number) if layout.tiers else noise_key(secret, number)
                    xof = XofHmacSha256Aes128(key, format_dst(32, b""), b"")
                    total[table.offset : table.end] += Sampler(s2).sample(xof.next, table.cells)
    return total


def opened_sum(county: CountySimulator, round_id: bytes) -> Numbers:
    """Read the released tables as one vector."""
    return np.concatenate([np.array(table.sums, np.int64) for table in county.released_tables(round_id)])


def finish(county: CountySimulator, round_id: bytes, max_passes: int = 60) -> None:
    """Let everybody work until the round is released."""
    assert county.work(county.is_state(round_id, RoundState.RELEASED), max_passes=max_passes)


def assert_released(county: CountySimulator, round_id: bytes, nodes: Iterable[str]) -> None:
    """Let everybody work until the round is released, and check that it opened exactly these schools."""
    finish(county, round_id, max_passes=400)
    assert np.array_equal(opened_sum(county, round_id), expected_sum(county, round_id, nodes))
