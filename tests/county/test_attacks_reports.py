"""Lying schools, and a coordinator that exchanges what schools sent: refused in `checked` or at the door."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta

import pytest
from county_sums import assert_released, secret_of
from fakes_attacks import ForgedLog, LyingSchool, assert_refused, give_link
from fakes_county import CountySimulator, Link

from coordinator.errors import (
    CoordinatorError,
    NotRosteredError,
    ReportRefusedError,
    RoundClosedError,
    RoundExpiredError,
    StatementRefusedError,
)
from crypto import derivation
from crypto.field64 import MODULUS
from crypto.sealing import BOX_OVERHEAD_BYTES
from protos.bodies import parse_checked_body

Stage = tuple[CountySimulator, bytes]
ALL = ("a1", "a2", "a3", "a4")


def named(value: object) -> str:
    """The name of a parameter that is a function."""
    return getattr(value, "__name__", "")


def seeds_of(county: CountySimulator, round_id: bytes, node_id: str) -> dict[int, bytes]:
    """The seeds of a school's honest report, for another that it shares them with."""
    row = county.round(round_id)
    return derivation.seeds(secret_of(county, row, node_id), row.subsets)


def report_all_but(county: CountySimulator, round_id: bytes, liar: str = "s06") -> None:
    """Let every school but one report."""
    for node_id in county.node_ids:
        if node_id != liar:
            county.release(node_id, round_id)
            county.serve_node(node_id)


def excluded(county: CountySimulator, round_id: bytes) -> list[tuple[str, str]]:
    """Who was left out of S, and why."""
    body = county.round(round_id).close_body()
    assert body is not None
    return [(row.report.node, row.code) for row in body.excluded]


def refusals(county: CountySimulator, round_id: bytes) -> dict[str, list[str]]:
    """The codes in each auditor's `checked`."""
    rows = county.round(round_id).checked
    return {name: [row.code for row in parse_checked_body(logged.body)] for name, logged in rows.items()}


# --- reports that the auditors refuse ---------------------------------------------------------


def sealed_with(liar: LyingSchool, seeds: dict[int, bytes]) -> bytes:
    """A report whose boxes hold these seeds, properly sealed and committed to in the liar's name."""
    commitments = liar.commit(seeds)
    boxes = {name: liar.seal(name, seeds, seeds=commitments) for name in ALL}
    return liar.payload(boxes=boxes, seeds=commitments)


def copied_boxes(liar: LyingSchool, other: LyingSchool) -> bytes:
    return liar.payload(boxes=other.boxes, seeds=other.report.seeds)


def copied_boxes_and_vector(liar: LyingSchool, other: LyingSchool) -> bytes:
    return liar.payload(vector=other.vector, boxes=other.boxes, seeds=other.report.seeds)


def copied_seeds(liar: LyingSchool, other: LyingSchool) -> bytes:
    return sealed_with(liar, other.seeds)


def one_copied_seed(liar: LyingSchool, other: LyingSchool) -> bytes:
    subset = min(other.seeds)
    return sealed_with(liar, {**liar.seeds, subset: other.seeds[subset]})


def one_seed_for_all(liar: LyingSchool, other: LyingSchool) -> bytes:
    return sealed_with(liar, dict.fromkeys(liar.seeds, bytes(32)))


def other_vector(liar: LyingSchool, other: LyingSchool) -> bytes:
    return liar.payload(vector=bytes(len(liar.vector)))


def boxes_of_another_attempt(liar: LyingSchool, other: LyingSchool) -> bytes:
    return liar.payload(boxes={name: liar.seal(name, liar.seeds, attempt=1) for name in ALL})


def boxes_for_each_other(liar: LyingSchool, other: LyingSchool) -> bytes:
    return liar.payload(boxes=dict(zip(ALL, [*list(liar.boxes.values())[1:], liar.boxes["a1"]], strict=True)))


def seeds_not_committed(liar: LyingSchool, other: LyingSchool) -> bytes:
    fresh = {subset: bytes([subset]) * 32 for subset in liar.seeds}
    return liar.payload(boxes={name: liar.seal(name, fresh) for name in ALL})


def garbled_for_two(liar: LyingSchool, other: LyingSchool) -> bytes:
    """Without candidates → checked → close this would leave the round without a set that two sides accept."""
    return liar.payload(boxes={name: bytes(len(liar.boxes[name])) for name in ("a1", "a2")})


def garbled_for_one(liar: LyingSchool, other: LyingSchool) -> bytes:
    box = bytearray(liar.boxes["a3"])
    box[BOX_OVERHEAD_BYTES] ^= 1
    return liar.payload(boxes={"a3": bytes(box)})


LIES: list[tuple[Callable[[LyingSchool, LyingSchool], bytes], str, tuple[str, ...]]] = [
    (copied_boxes, "box-unopenable", ALL),
    (copied_boxes_and_vector, "box-unopenable", ALL),
    (copied_seeds, "copied-seed", ALL),
    (one_copied_seed, "copied-seed", ("a1", "a2")),  # who holds the seed of the first subset
    (one_seed_for_all, "copied-seed", ALL),
    (other_vector, "box-unopenable", ALL),
    (boxes_of_another_attempt, "box-unopenable", ALL),
    (boxes_for_each_other, "box-unopenable", ALL),
    (seeds_not_committed, "seed-mismatch", ALL),
    (garbled_for_two, "box-unopenable", ("a1", "a2")),
    (garbled_for_one, "box-unopenable", ("a3",)),
]


@pytest.mark.parametrize(("lie", "code", "refusing"), LIES, ids=named)
def test_a_lying_report_is_left_out_and_the_others_are_opened(
    collecting: Stage,
    lie: Callable[[LyingSchool, LyingSchool], bytes],
    code: str,
    refusing: tuple[str, ...],
) -> None:
    """The first school's report, logged earlier, stays in; the liar's is excluded with its code."""
    county, round_id = collecting
    other, liar = LyingSchool(county, "s01", round_id), LyingSchool(county, "s06", round_id)
    county.absent.remove("s01")
    report_all_but(county, round_id)
    liar.send(lie(liar, other))
    assert_released(county, round_id, county.node_ids[:5])
    assert excluded(county, round_id) == [("s06", code)]
    found = refusals(county, round_id)
    assert {name for name, codes in found.items() if codes} == set(refusing)
    assert county.coordinator.round_status(round_id)["excluded"] == [["s06", code]]


class ReversedLink(Link):
    """A coordinator that hands the boxes out in another order than the log's."""

    def get_boxes(self, round_id: bytes) -> Iterable[tuple[bytes, bytes]]:
        return list(super().get_boxes(round_id))[::-1]


def test_the_copy_is_evicted_in_the_logs_order_not_in_that_of_delivery(collecting: Stage) -> None:
    county, round_id = collecting
    report_all_but(county, round_id)
    liar = LyingSchool(county, "s06", round_id)
    liar.send(sealed_with(liar, seeds_of(county, round_id, "s02")))
    for name in ALL:
        give_link(county, name, ReversedLink(county, name))
    assert_released(county, round_id, county.node_ids[:5])
    assert excluded(county, round_id) == [("s06", "copied-seed")]


class ExchangingLink(Link):
    """A coordinator that gives one auditor another box than the school's, or none."""

    box: bytes | None = None
    is_lying = True

    def get_boxes(self, round_id: bytes) -> Iterable[tuple[bytes, bytes]]:
        boxes = list(super().get_boxes(round_id))
        if not self.is_lying:
            return boxes
        return boxes[1:] if self.box is None else [(boxes[0][0], self.box), *boxes[1:]]


@pytest.mark.parametrize(
    ("box", "message"),
    [(None, "withholds 1 boxes, the first of s01"), (bytes(1244), "not the one that the school signed")],
    ids=["withheld", "exchanged"],
)
def test_a_box_that_the_coordinator_spoils_is_not_the_schools_fault(
    reported: Stage, box: bytes | None, message: str
) -> None:
    """The auditor waits; it refuses no school for what the coordinator did."""
    county, round_id = reported
    county.coordinator.tick()
    link = ExchangingLink(county, "a1")
    link.box = box
    give_link(county, "a1", link)
    events = county.auditors["a1"].step()
    errors = [event.detail for event in events if event.kind == "error"]
    assert errors
    assert message in errors[0]
    assert "a1" not in county.round(round_id).checked
    link.is_lying = False
    assert_released(county, round_id, county.node_ids)


# --- reports that the coordinator refuses at the door -----------------------------------------


def one_byte_more(liar: LyingSchool) -> bytes:
    return liar.payload() + b"\0"


def one_byte_less(liar: LyingSchool) -> bytes:
    return liar.payload()[:-1]


def one_cell_more(liar: LyingSchool) -> bytes:
    return liar.payload(vector=liar.vector + bytes(8), cells=liar.report.cells + 1)


def element_is_modulus(liar: LyingSchool) -> bytes:
    return liar.payload(vector=MODULUS.to_bytes(8, "little") + liar.vector[8:])


def element_is_all_ones(liar: LyingSchool) -> bytes:
    return liar.payload(vector=liar.vector[:-8] + b"\xff" * 8)


def vector_not_named(liar: LyingSchool) -> bytes:
    data = bytearray(liar.payload())
    data[len(data) - len(liar.vector) - sum(len(box) for box in liar.boxes.values())] ^= 1
    return bytes(data)


def box_not_named(liar: LyingSchool) -> bytes:
    data = bytearray(liar.payload())
    data[-1] ^= 1
    return bytes(data)


def unknown_round(liar: LyingSchool) -> bytes:
    return liar.payload(round=bytes(32))


def plain_rubbish(liar: LyingSchool) -> bytes:
    return bytes(100)


@pytest.mark.parametrize(
    ("lie", "code"),
    [
        (one_byte_more, "report-length"),
        (one_byte_less, "report-length"),
        (one_cell_more, "report-length"),
        (element_is_modulus, "element-range"),
        (element_is_all_ones, "element-range"),
        (vector_not_named, "report-refused"),
        (box_not_named, "report-refused"),
        (unknown_round, "unknown-round"),
        (plain_rubbish, "report-refused"),
    ],
    ids=named,
)
def test_a_malformed_report_never_reaches_the_log(
    collecting: Stage, lie: Callable[[LyingSchool], bytes], code: str
) -> None:
    county, round_id = collecting
    liar = LyingSchool(county, "s06", round_id)
    with pytest.raises(CoordinatorError) as caught:
        liar.send(lie(liar))
    assert caught.value.code == code
    assert not county.round(round_id).reports


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"federation": "county-2"}, "wrong-federation"),
        ({"approvals": bytes(32)}, "wrong-round"),
        ({"roster": bytes(32)}, "wrong-round"),
        ({"previous": b"\1" * 32}, "wrong-previous"),
        ({"attempt": 2}, "wrong-attempt"),
        ({"seeds": ()}, "wrong-seeds"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_header_of_something_else_is_refused_by_the_log(
    collecting: Stage, changes: dict[str, object], reason: str
) -> None:
    county, round_id = collecting
    liar = LyingSchool(county, "s06", round_id)
    with pytest.raises(ReportRefusedError) as caught:
        liar.send(liar.payload(**changes))  # type: ignore[arg-type]
    assert isinstance(caught.value.__cause__, StatementRefusedError)
    assert caught.value.__cause__.reason == reason
    report_all_but(county, round_id)
    liar.send(liar.payload())
    assert list(county.round(round_id).attempts_of("s06"))


def test_who_is_on_no_roster_reports_nothing(collecting: Stage) -> None:
    county, round_id = collecting
    liar = LyingSchool(county, "s06", round_id)
    with pytest.raises(NotRosteredError) as caught:
        county.coordinator.submit_report("s99", liar.payload(node="s99"))
    assert caught.value.code == "not-rostered"


def test_a_revoked_school_reports_nothing_and_the_round_goes_on(collecting: Stage) -> None:
    county, round_id = collecting
    liar = LyingSchool(county, "s06", round_id)
    county.coordinator.revoke("node", "s06", "stolen-key")
    with pytest.raises(NotRosteredError) as caught:
        liar.send(liar.payload())
    assert caught.value.code == "not-rostered"
    report_all_but(county, round_id)
    assert_released(county, round_id, county.node_ids[:5])


def test_a_report_after_the_candidates_is_refused_by_everybody(collecting: Stage) -> None:
    county, round_id = collecting
    liar = LyingSchool(county, "s06", round_id)
    report_all_but(county, round_id)
    county.coordinator.request_close(round_id, without_missing=True)
    county.coordinator.tick()
    with pytest.raises(RoundClosedError) as caught:
        liar.send(liar.payload())
    assert caught.value.code == "round-closed"
    log = ForgedLog(county)
    log.add_note(liar.note())
    assert_refused(county, log, "too-late")
    assert_released(county, round_id, county.node_ids[:5])


def test_a_report_after_the_window_is_refused(collecting: Stage) -> None:
    county, round_id = collecting
    liar = LyingSchool(county, "s06", round_id)
    report_all_but(county, round_id)
    county.now = county.round(round_id).terms.closes + timedelta(seconds=1)
    with pytest.raises(RoundExpiredError) as caught:
        liar.send(liar.payload())
    assert caught.value.code == "round-expired"
    assert_released(county, round_id, county.node_ids[:5])
