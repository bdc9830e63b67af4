"""A round with a turnout ladder at one school: checked, sent as the protocol says, replayed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fakes_vault import SchoolHouse, plan_of, pupils

from crypto.derivation import measurement_tag, report_secret, round_secret, seeds, tier_key
from crypto.field64 import add, centre_lift, parse_vector
from crypto.note import parse_note
from crypto.replication import subsets
from crypto.xof import XofHmacSha256Aes128, format_dst
from node.vault.derive import draw_noise
from node.vault.enrol import load_identity
from node.vault.errors import RoundRefusedError
from plan.layout import build_layout
from plan.published import step_rows
from plan.tabulation import scaled, tabulate
from privacy.discrete_gaussian import Sampler
from protos.statements import Report, parse_statement

LADDERED = plan_of(tiers=(5, 6))
LAYOUT = build_layout(LADDERED)


def secret_of(house: SchoolHouse, round_id: bytes) -> bytes:
    """T of the first attempt."""
    row = house.federation.round(round_id)
    master = load_identity(house.store).master
    secret = round_secret(master, "county-1", "school-1", round_id, row.roster_digest, row.approvals_digest())
    return report_secret(secret, 0, measurement_tag(secret, measured()))


def measured() -> np.ndarray[Any, np.dtype[np.int64]]:
    """x of the house's pupils."""
    return scaled(LAYOUT, tabulate(LAYOUT, pupils()))


def test_a_report_has_a_vector_for_every_step_and_each_opens_to_its_own_noise(house: SchoolHouse) -> None:
    round_id = house.start_round(LADDERED)
    house.release(round_id)
    payload = house.payload(round_id)
    assert len(payload.vector) == 8 * LAYOUT.cells * 3
    secret = secret_of(house, round_id)
    rows = parse_vector(payload.vector, 3 * LAYOUT.cells).reshape(3, LAYOUT.cells)
    opened = []
    for row, usage in zip(rows, (1, 17, 18), strict=True):
        total = row.copy()
        for rank, seed in enumerate(seeds(secret, subsets(4, 3)).values()):
            stream = XofHmacSha256Aes128(seed, format_dst(usage, round_id), bytes([1 + rank]))
            total = add(total, stream.next_vec(LAYOUT.cells))
        opened.append(centre_lift(total))
    drawn = np.zeros((3, LAYOUT.cells), np.int64)
    for j, table in enumerate(LAYOUT.tables):
        for k, s2 in enumerate(table.noise.components):
            stream = XofHmacSha256Aes128(tier_key(secret, k, j), format_dst(32, b""), b"")
            drawn[k, table.offset : table.end] = Sampler(s2).sample(stream.next, table.cells)
    assert np.array_equal(opened[0], measured() + drawn.sum(axis=0))
    assert np.array_equal(opened[1:], drawn[1:])
    assert np.array_equal(draw_noise(LAYOUT, secret), drawn)


def test_the_streams_of_the_steps_have_nothing_in_common(house: SchoolHouse) -> None:
    round_id = house.start_round(LADDERED)
    noise = draw_noise(LAYOUT, secret_of(house, round_id))
    assert len({row.tobytes() for row in noise}) == 3
    plain = draw_noise(build_layout(plan_of()), secret_of(house, round_id))
    assert plain.shape == (1, LAYOUT.cells)
    assert not np.array_equal(plain[0], noise[0])


def test_the_header_names_all_vectors_by_one_digest_and_the_plans_cells(house: SchoolHouse) -> None:
    round_id = house.start_round(LADDERED)
    house.release(round_id)
    payload = house.payload(round_id)
    header = parse_statement(parse_note(payload.note).text)
    assert isinstance(header, Report)
    assert header.cells == LAYOUT.cells
    assert header.size == 3 * 8 * LAYOUT.cells + sum(map(len, payload.boxes))
    house.submit()
    house.sync()
    answer = house.call("recompute", round=round_id.hex(), attempt=0)
    assert answer["outcome"] == "PASS"


def test_a_replay_notices_a_step_drawn_otherwise(house: SchoolHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    round_id = house.start_round(LADDERED)
    house.release(round_id)
    house.submit()
    house.sync()

    def other(layout: Any, secret: bytes) -> Any:
        noise = draw_noise(layout, secret)
        noise[2, 0] += 1
        return noise

    monkeypatch.setattr("node.vault.derive.draw_noise", other)
    answer = house.call("recompute", round=round_id.hex(), attempt=0)
    failed = [check["name"] for check in answer["checks"] if check["result"] == "FAIL"]
    assert answer["outcome"] == "FAIL"
    assert "vector" in failed


@pytest.mark.parametrize(("part", "value"), [(2, 1), (3, bytes(32))], ids=["s2", "thresholds"])
def test_a_step_line_that_does_not_follow_refuses_the_round(
    house: SchoolHouse, part: int, value: object
) -> None:
    rows = list(step_rows(LAYOUT))
    changed: list[Any] = list(rows[1])
    changed[part] = value if part == 3 else changed[part] - 1
    rows[1] = tuple(changed)
    round_id = house.start_round(LADDERED, steps=tuple(rows))
    with pytest.raises(RoundRefusedError) as caught:
        house.release(round_id)
    assert (caught.value.code, caught.value.details["table"]) == ("wrong-noise", rows[1][0])


def test_the_preview_shows_the_noise_of_all_components(house: SchoolHouse) -> None:
    round_id = house.start_round(LADDERED)
    answer = house.call("preview", round=round_id.hex())
    for table, shown in zip(LAYOUT.tables, answer["tables"], strict=True):
        assert shown["s2"] == table.noise.s2
        assert shown["sigma_school"] == table.noise.standard_error(1)
        assert shown["bound_school"] > 14 * shown["sigma_school"]
