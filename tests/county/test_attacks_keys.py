"""What later theft of an auditor's keys gives, and whether masks can be predicted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from county_sums import assert_released, secret_of
from fakes_attacks import LyingSchool
from fakes_county import CountySimulator

from auditor.check_reports import round_key
from auditor.errors import StateError
from auditor.state import SecretKind
from coordinator.errors import BoxesDeletedError, NotOpenedError, NotReleasedError, NotRosteredError
from crypto.derivation import box_info, commitments_digest, seeds
from crypto.errors import OpenError
from crypto.mask_sum import MaskSum
from crypto.sealing import ROUND_SECRET_BYTES, open_box
from crypto.sharing import add_report_mask

Stage = tuple[CountySimulator, bytes]

# --- later theft of an auditor's keys ---------------------------------------------------------


def files_of(folder: Path) -> Iterator[bytes]:
    """Every byte that lies in a folder."""
    for path in folder.rglob("*"):
        if path.is_file():
            yield path.read_bytes()


def info_of(liar: LyingSchool, auditor_id: str) -> bytes:
    """The context that a school's box is sealed under."""
    report, row = liar.report, liar.round_log
    commitments = commitments_digest([commitment for _, commitment in report.seeds])
    key = row.approvals[auditor_id].statement.round_key
    return box_info(row.round_id, liar.id, 0, auditor_id, key, report.vector, commitments)


def test_a_robbed_auditor_opens_no_box_of_a_past_round(collecting: Stage) -> None:
    """A coordinator that kept the boxes gets all that lies in an auditor's folder after the opening."""
    county, round_id = collecting
    school = LyingSchool(county, "s06", round_id)
    county.absent.clear()
    info, box = info_of(school, "a1"), school.boxes["a1"]
    state = county.auditors["a1"].state
    secret = state.secret(SecretKind.ROUND_KEY, round_id)
    assert secret is not None
    assert open_box(secret, box, info)  # as long as the round is not opened
    assert any(secret in data for data in files_of(county.root / "a1"))
    for node_id in county.node_ids:
        county.release(node_id, round_id)
    assert_released(county, round_id, county.node_ids)

    assert state.secret(SecretKind.ROUND_KEY, round_id) is None
    assert state.secret(SecretKind.DRAW, round_id) is None
    row = county.round(round_id)
    own_seeds = seeds(secret_of(county, row, "s06"), row.subsets)
    for data in files_of(county.root / "a1"):
        assert secret not in data
        assert secret[:32] not in data
        assert secret[-32:] not in data
        assert not any(seed in data for seed in own_seeds.values())
    keys = county.auditors["a1"].context.keys
    for guess in (keys.statement.seed * 3, keys.cosigner.seed * 3, bytes(ROUND_SECRET_BYTES)):
        with pytest.raises(OpenError):
            open_box(guess, box, info)
    with pytest.raises(StateError):
        round_key(county.auditors["a1"].context, county.round(round_id))
    with pytest.raises(StateError, match="never made again"):
        state.keep_secret(SecretKind.ROUND_KEY, round_id, secret)
    with pytest.raises(BoxesDeletedError) as caught:
        list(county.coordinator.get_boxes("a1", round_id))
    assert caught.value.code == "boxes-deleted"


def test_vectors_boxes_and_sums_go_to_whom_and_when_they_may(agreed: Stage) -> None:
    """With the vectors, t states stolen later would open single schools: first the keys must be gone."""
    county, round_id = agreed
    desk = county.coordinator
    with pytest.raises(NotOpenedError) as vectors:
        list(desk.get_vectors("a1", round_id))
    assert vectors.value.code == "not-opened"
    with pytest.raises(NotReleasedError) as sums:
        list(desk.get_sums(round_id))
    assert sums.value.code == "not-released"
    for call in (desk.get_boxes, desk.get_vectors):
        with pytest.raises(NotRosteredError) as caught:
            list(call("s01", round_id))
        assert caught.value.code == "not-rostered"
    assert_released(county, round_id, county.node_ids)
    assert len(list(desk.get_vectors("a1", round_id))) == 6


# --- predictable masks ------------------------------------------------------------------------


def mask_of(seed: bytes, round_id: bytes, subset: int) -> list[int]:
    """One report's mask for a subset."""
    total = MaskSum(46)
    add_report_mask(total, subset, seed, round_id, 4, 3)
    return [int(value) for value in total.value()]


def test_every_byte_of_a_seed_counts(collecting: Stage) -> None:
    """Masks from 32 bits of a seed could be searched; here any changed byte changes every cell."""
    county, round_id = collecting
    row = county.round(round_id)
    subsets = row.subsets
    real = seeds(secret_of(county, row, "s01"), subsets)
    subset = subsets[0]
    assert {len(seed) for seed in real.values()} == {32}
    mask = mask_of(real[subset], round_id, subset)
    for position in range(32):
        changed = bytearray(real[subset])
        changed[position] ^= 1
        other = mask_of(bytes(changed), round_id, subset)
        assert sum(a == b for a, b in zip(mask, other, strict=True)) == 0, f"byte {position}"
    assert mask_of(real[subset], bytes(32), subset) != mask
    assert mask_of(real[subset], round_id, subsets[1]) != mask


def test_no_two_schools_and_no_two_subsets_share_a_seed(collecting: Stage) -> None:
    county, round_id = collecting
    row = county.round(round_id)
    found = [
        seed
        for node_id in county.node_ids
        for seed in seeds(secret_of(county, row, node_id), row.subsets).values()
    ]
    assert len(set(found)) == len(found) == 36
    assert len({seed[:4] for seed in found}) == len({seed[-4:] for seed in found}) == 36
