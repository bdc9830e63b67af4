"""Every published Prio3 report, byte for byte: by the product's shares, and by an oracle with the proofs.

The product has the measurement-share layer over Field64 and no proofs. Files over another field, and all that
proofs decide, are repeated by `prio3_oracle` on the product's XOFs and domain separation tags.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prio3_oracle import FIELDS, MEAS_SHARE, Prio3, VerificationFailedError, instance_of
from vectors_dir import load_json, published_params

from crypto.errors import CryptoError, ParameterError, ShapeMismatchError
from crypto.field64 import FieldVector, add, encode_vector, parse_vector, subtract
from crypto.mask_sum import MaskSum
from crypto.prio3_shares import (
    MAX_SHARES,
    USAGE_MEAS_SHARE,
    helper_share,
    leader_share,
    share_binder,
    unshard,
)
from crypto.replication import subsets
from crypto.sharing import mask_vector
from crypto.xof import XofHmacSha256Aes128, XofTurboShake128, format_dst

SUITES = "vdaf-20 prio3-hmac"
# what each published fault is, and whether the measurement shares alone show it
FAULTS = {
    "bad_meas_share": True,  # the leader's measurement share was altered
    "bad_helper_seed": True,  # the helper's seed was altered, so its measurement share is another
    "bad_wire_seed": False,  # only the leader's proof share was altered: the proof does not hold
    "bad_gadget_poly": False,  # the same, in its last element
    "bad_leader_jr_blind": False,  # measurement and proof are whole; the joint randomness is another
    "bad_helper_jr_blind": False,
    "bad_public_share": False,
    "bad_verifier_message": False,  # the message handed to the aggregators is not the one they computed
}


def load(path: Path) -> tuple[dict[str, Any], Prio3]:
    vector = load_json(path)
    prio3 = instance_of(path.stem, vector) if isinstance(vector, dict) else None
    if prio3 is None:
        pytest.skip(f"{path.name} is no Prio3 instance that is known here")
    return vector, prio3


def is_over_field64(path: Path) -> bool:
    vector = load_json(path)
    prio3 = instance_of(path.stem, vector) if isinstance(vector, dict) else None
    return prio3 is not None and prio3.circuit.field == FIELDS["Field64"]


def chosen(params: list[Any], is_chosen: Callable[[Path], bool]) -> list[Any]:
    """Keep the files that a test is about, or the one parameter that says that there are none."""
    kept = [param for param in params if param.marks or is_chosen(param.values[0])]
    none = pytest.mark.skip(reason="no published file of the kind that this test is about")
    return kept or [pytest.param(Path(), id="none", marks=none)]


REPORTS = published_params(SUITES, "*.json")
OVER_FIELD64 = chosen(REPORTS, is_over_field64)
WITH_RESULT = chosen(OVER_FIELD64, lambda path: load_json(path)["agg_result"] is not None)
BY_THE_MASK_LAYERS_XOF = chosen(WITH_RESULT, lambda path: "Hmac" in path.stem)
BAD_REPORTS = chosen(OVER_FIELD64, lambda path: "_bad_" in path.stem)


def field64(values: list[int]) -> FieldVector:
    return np.array(values, dtype=np.uint64)


def measurement_shares(prio3: Prio3, report: dict[str, Any]) -> list[FieldVector]:
    """Every aggregator's measurement share of a report, by the product's functions."""
    leader, *helpers = map(bytes.fromhex, report["input_shares"])
    cells, dst = prio3.circuit.meas_len, format_dst(USAGE_MEAS_SHARE, prio3.ctx, prio3.algorithm_id)
    shares = [parse_vector(leader[: cells * 8], cells)]
    for j, seed in enumerate(helpers, 1):
        shares.append(helper_share(prio3.xof, seed[:32], dst, j, cells))
    return shares


@pytest.mark.parametrize("path", WITH_RESULT)
def test_a_published_report_is_sharded_to_its_bytes(path: Path) -> None:
    vector, prio3 = load(path)
    dst = format_dst(USAGE_MEAS_SHARE, prio3.ctx, prio3.algorithm_id)
    for report in vector["reports"]:
        encoded = field64(prio3.circuit.encode(report["measurement"]))
        seeds, _, _ = prio3.split_rand(bytes.fromhex(report["rand"]))
        leader = encode_vector(leader_share(encoded, seeds, prio3.xof, dst))
        inputs = [bytes.fromhex(share) for share in report["input_shares"]]
        assert inputs[0][: len(leader)] == leader
        assert [share[:32] for share in inputs[1:]] == seeds
        assert len(inputs) == vector["shares"] == len(seeds) + 1
        assert unshard(measurement_shares(prio3, report)).tolist() == encoded.tolist()


@pytest.mark.parametrize("path", WITH_RESULT)
def test_published_reports_are_summed_and_unsharded_to_their_result(path: Path) -> None:
    vector, prio3 = load(path)
    circuit, totals = prio3.circuit, [field64([])] * prio3.shares
    for index, report in enumerate(vector["reports"]):
        for j, share in enumerate(measurement_shares(prio3, report)):
            out = field64(circuit.truncate(share.tolist()))
            assert encode_vector(out).hex() == report["out_shares"][j]
            totals[j] = add(totals[j], out) if index else out
    assert [encode_vector(total).hex() for total in totals] == vector["agg_shares"]
    result = unshard(totals).tolist()
    assert (result[0] if circuit.is_scalar else result) == vector["agg_result"]


@pytest.mark.parametrize("path", BY_THE_MASK_LAYERS_XOF)
def test_the_mask_layer_makes_the_published_leader_share(path: Path) -> None:
    vector, prio3 = load(path)
    assert prio3.xof is XofHmacSha256Aes128
    cells, dst = prio3.circuit.meas_len, format_dst(USAGE_MEAS_SHARE, prio3.ctx, prio3.algorithm_id)
    for report in vector["reports"]:
        leader, *helpers = map(bytes.fromhex, report["input_shares"])
        masks = MaskSum(cells)
        for j, seed in enumerate(helpers, 1):
            masks.add_mask(seed[:32], dst, share_binder(j))
        encoded = field64(prio3.circuit.encode(report["measurement"]))
        assert encode_vector(subtract(encoded, masks.value())) == leader[: cells * 8]


@pytest.mark.parametrize("path", REPORTS)
def test_every_published_operation_has_its_outcome(path: Path) -> None:
    """Shard, verify, aggregate and unshard as the file says, with proofs, by the oracle."""
    vector, prio3 = load(path)
    run = PublishedRun(vector, prio3)
    for operation in vector.get("operations") or all_operations(vector):
        arguments = {key: operation[key] for key in ("report_index", "aggregator_id") if key in operation}
        step = getattr(run, operation["operation"])
        if operation["success"]:
            step(**arguments)
        else:
            with pytest.raises(VerificationFailedError):
                step(**arguments)


class PublishedRun:
    """The operations of a vector file; each compares what it computes with the file."""

    def __init__(self, vector: dict[str, Any], prio3: Prio3) -> None:
        self.vector, self.prio3 = vector, prio3
        self.states: dict[tuple[int, int], tuple[list[int], bytes]] = {}
        self.verify_key = bytes.fromhex(vector["verify_key"])

    def shard(self, report_index: int) -> None:
        report = self.vector["reports"][report_index]
        nonce, rand = bytes.fromhex(report["nonce"]), bytes.fromhex(report["rand"])
        public, inputs = self.prio3.shard(report["measurement"], nonce, rand)
        assert public.hex() == report["public_share"]
        assert [share.hex() for share in inputs] == report["input_shares"]

    def verify_init(self, report_index: int, aggregator_id: int) -> None:
        report = self.vector["reports"][report_index]
        nonce, public, share = map(
            bytes.fromhex, (report["nonce"], report["public_share"], report["input_shares"][aggregator_id])
        )
        out, seed, verifier = self.prio3.verify_init(self.verify_key, aggregator_id, nonce, public, share)
        assert verifier.hex() == report["verifier_shares"][0][aggregator_id]
        self.states[report_index, aggregator_id] = out, seed

    def verifier_shares_to_message(self, report_index: int) -> None:
        report = self.vector["reports"][report_index]
        message = self.prio3.verifier_message(
            [bytes.fromhex(share) for share in report["verifier_shares"][0]]
        )
        assert message.hex() == report["verifier_messages"][0]

    def verify_next(self, report_index: int, aggregator_id: int) -> None:
        report = self.vector["reports"][report_index]
        out, seed = self.states[report_index, aggregator_id]
        self.prio3.verify_next(seed, bytes.fromhex(report["verifier_messages"][0]))
        assert self.prio3.circuit.field.encode(out).hex() == report["out_shares"][aggregator_id]

    def aggregate(self, aggregator_id: int) -> None:
        field = self.prio3.circuit.field
        shares = [report["out_shares"][aggregator_id] for report in self.vector["reports"]]
        total = field.add(*(field.parse(bytes.fromhex(share)) for share in shares))
        assert field.encode(total).hex() == self.vector["agg_shares"][aggregator_id]

    def unshard(self) -> None:
        field = self.prio3.circuit.field
        result = field.add(*(field.parse(bytes.fromhex(share)) for share in self.vector["agg_shares"]))
        assert (result[0] if self.prio3.circuit.is_scalar else result) == self.vector["agg_result"]


def all_operations(vector: dict[str, Any]) -> list[dict[str, Any]]:
    """Every step of a file of good reports that does not list its operations."""
    steps: list[dict[str, Any]] = []
    parties = range(vector["shares"])
    for index in range(len(vector["reports"])):
        steps.append({"operation": "shard", "report_index": index})
        steps += [{"operation": "verify_init", "report_index": index, "aggregator_id": j} for j in parties]
        steps.append({"operation": "verifier_shares_to_message", "report_index": index})
        steps += [{"operation": "verify_next", "report_index": index, "aggregator_id": j} for j in parties]
    steps += [{"operation": "aggregate", "aggregator_id": j} for j in parties]
    return [step | {"success": True} for step in [*steps, {"operation": "unshard"}]]


@pytest.mark.parametrize("path", BAD_REPORTS)
def test_the_share_layer_sees_altered_measurements_and_only_those(path: Path) -> None:
    """An altered share or seed unshards to what no client encodes; an altered proof does not."""
    vector, prio3 = load(path)
    fault = path.stem[path.stem.index("bad_") :]
    if fault not in FAULTS:
        pytest.skip(f"{fault} is a fault that is not described here; its operations are run above")
    for report in vector["reports"]:
        unsharded = unshard(measurement_shares(prio3, report)).tolist()
        is_encoding = all(prio3.circuit.degree > element for element in unsharded)  # digits of a range check
        assert is_encoding is not FAULTS[fault]


@pytest.mark.parametrize("shares", [2, 3, 7, 36, 255])
@pytest.mark.parametrize("xof", [XofHmacSha256Aes128, XofTurboShake128])
def test_unshard_undoes_shard_for_any_number_of_shares(
    xof: type[XofHmacSha256Aes128 | XofTurboShake128], shares: int
) -> None:
    encoded = field64([0, 1, 2**32, 2**64 - 2**32])
    dst, seeds = format_dst(USAGE_MEAS_SHARE, b"ctx"), [bytes([j]) * 32 for j in range(shares - 1)]
    helpers = [helper_share(xof, seed, dst, j, 4) for j, seed in enumerate(seeds, 1)]
    leader = leader_share(encoded, seeds, xof, dst)
    assert unshard([leader, *helpers]).tolist() == encoded.tolist()
    assert unshard([leader, *helpers[:-1]]).tolist() != encoded.tolist()


@pytest.mark.parametrize(("n", "t"), [(1, 1), (3, 3), (4, 3), (7, 5)])
def test_masking_a_table_is_prio3s_leader_share_with_a_helper_for_each_subset(n: int, t: int) -> None:
    round_id = bytes(range(32))
    table = np.array([5, -5, 0, 2**40], dtype=np.int64)
    seeds = {subset: bytes([subset]) * 32 for subset in subsets(n, t)}
    dst = format_dst(MEAS_SHARE, round_id)
    expected = leader_share(
        field64([value % (2**64 - 2**32 + 1) for value in table.tolist()]),
        list(seeds.values()),
        XofHmacSha256Aes128,
        dst,
    )
    assert mask_vector(table, seeds, round_id, n, t).tolist() == expected.tolist()


@pytest.mark.parametrize("aggregator_id", [-1, 0, MAX_SHARES, 256])
def test_only_helpers_have_a_binder(aggregator_id: int) -> None:
    assert share_binder(1) + share_binder(MAX_SHARES - 1) == b"\x01\xfe"
    with pytest.raises(ParameterError, match="helper"):
        share_binder(aggregator_id)
    with pytest.raises(ParameterError):
        helper_share(XofHmacSha256Aes128, bytes(32), b"", aggregator_id, 1)


@pytest.mark.parametrize("number", [0, MAX_SHARES, 300])
def test_another_number_of_helpers_is_refused(number: int) -> None:
    with pytest.raises(ParameterError, match=f"helper seeds, found {number}"):
        leader_share(field64([1]), [bytes(32)] * number, XofHmacSha256Aes128, b"")


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_seed_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ParameterError, match=f"32 bytes, found {length}"):
        leader_share(field64([1]), [bytes(32), bytes(length)], XofHmacSha256Aes128, b"")


def test_shares_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ParameterError, match="at least one"):
        unshard([])
    with pytest.raises(ShapeMismatchError):
        unshard([field64([1]), field64([1, 2])])
    for shares in ([field64([2**64 - 1])], [field64([0]), field64([2**64 - 1])]):
        with pytest.raises(CryptoError):
            unshard(shares)
