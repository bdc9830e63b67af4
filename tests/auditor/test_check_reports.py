"""Checking the reports: a school that lies is refused with a code, a coordinator that lies makes it wait."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from fakes_auditors import FakeCounty, replace_method, run_all
from fakes_federation import fake_bytes

from auditor.check_reports import ENCAPSULATION_BYTES, BoxOpener
from auditor.desk import Desk
from crypto.replication import subsets
from protos.bodies import parse_checked_body
from protos.report_table import Contents


def _refusals(county: FakeCounty, round_id: bytes, auditor: str) -> dict[tuple[str, int], str]:
    logged = county.round(round_id).checked[auditor]
    return {(row.report.node, row.report.attempt): row.code for row in parse_checked_body(logged.body)}


def _check(county: FakeCounty, desks: dict[str, Desk], round_id: bytes) -> None:
    county.fix_candidates(round_id)
    run_all(list(desks.values()), 1)


def test_honest_reports_are_all_accepted(county: FakeCounty, desks: dict[str, Desk], round_id: bytes) -> None:
    county.collect(round_id)
    _check(county, desks, round_id)
    assert {name: _refusals(county, round_id, name) for name in desks} == {name: {} for name in desks}


def test_a_garbled_box_is_refused_by_the_auditor_that_cannot_open_it(
    county: FakeCounty, desks: dict[str, Desk], round_id: bytes
) -> None:
    county.collect(round_id, ["s1", "s2", "s3", "s4", "s5"])
    report = county.make_report("s6", round_id)
    box = bytearray(report.boxes["a2"])
    box[-1] ^= 1
    county.send(county.spoil_box(report, "a2", bytes(box)))
    _check(county, desks, round_id)
    assert _refusals(county, round_id, "a2") == {("s6", 0): "box-unopenable"}
    assert _refusals(county, round_id, "a1") == {}


def test_garbled_boxes_for_two_auditors_do_not_deadlock_the_round(
    county: FakeCounty, desks: dict[str, Desk], round_id: bytes
) -> None:
    county.collect(round_id, ["s1", "s2", "s3", "s4", "s5"])
    report = county.make_report("s6", round_id)
    for auditor in ("a1", "a2"):
        report = county.spoil_box(report, auditor, bytes(len(report.boxes[auditor])))
    county.send(report)
    _check(county, desks, round_id)
    county.close(round_id)
    run_all(list(desks.values()), 3)
    county.release_real(round_id)
    release = county.round(round_id).release
    assert release is not None
    assert release.statement.reports_in == 5


def test_another_schools_box_does_not_open_under_this_name(
    county: FakeCounty, desks: dict[str, Desk], round_id: bytes
) -> None:
    county.collect(round_id, ["s1", "s2", "s3", "s4", "s5"])
    victim = county.make_report("s6", round_id)
    county.send(victim)
    thief = county.make_report("s1", round_id)
    county.send(county.spoil_box(thief, "a3", victim.boxes["a3"]))
    _check(county, desks, round_id)
    assert _refusals(county, round_id, "a3") == {("s1", 1): "box-unopenable"}


def test_wrong_commitments_are_refused(county: FakeCounty, desks: dict[str, Desk], round_id: bytes) -> None:
    """The box opens (its info binds the false commitments) but holds other seeds."""
    county.collect(round_id, ["s1", "s2", "s3", "s4", "s5"])
    honest = county.make_report("s6", round_id)
    false = tuple((subset, fake_bytes(f"false {subset}")) for subset, _ in honest.statement.seeds)
    statement, boxes = county.make_boxes(replace(honest.statement, seeds=false), county.seeds_of["s6", 0])
    county.send(replace(honest, statement=statement, boxes=boxes))
    _check(county, desks, round_id)
    for name in desks:
        assert _refusals(county, round_id, name) == {("s6", 0): "seed-mismatch"}


def test_a_copied_seed_evicts_the_copy_and_not_the_original(
    county: FakeCounty, desks: dict[str, Desk], round_id: bytes
) -> None:
    county.collect(round_id)
    copied = county.make_report("s2", round_id, seeds=dict(county.seeds_of["s5", 0]))
    county.send(copied)
    _check(county, desks, round_id)
    for name in desks:
        assert _refusals(county, round_id, name) == {("s2", 1): "copied-seed"}


def test_the_order_of_the_log_decides_and_not_the_order_of_delivery(
    county: FakeCounty, desks: dict[str, Desk], round_id: bytes
) -> None:
    county.collect(round_id)
    county.send(county.make_report("s2", round_id, seeds=dict(county.seeds_of["s5", 0])))
    county.boxes[round_id] = dict(reversed(county.boxes[round_id].items()))
    _check(county, desks, round_id)
    assert _refusals(county, round_id, "a1") == {("s2", 1): "copied-seed"}


def test_one_seed_for_all_subsets_is_refused(
    county: FakeCounty, desks: dict[str, Desk], round_id: bytes
) -> None:
    county.collect(round_id, ["s1", "s2", "s3", "s4", "s5"])
    same = dict.fromkeys(subsets(4, 3), fake_bytes("one seed"))
    county.send(county.make_report("s6", round_id, seeds=same))
    _check(county, desks, round_id)
    assert _refusals(county, round_id, "a1") == {("s6", 0): "copied-seed"}


def test_a_copy_with_an_unopenable_box_does_not_evict_the_original(
    county: FakeCounty, desks: dict[str, Desk], round_id: bytes
) -> None:
    """A thief who sees a box on its way gets his copy logged first; it opens nowhere and evicts nobody."""
    victim = county.make_report("s6", round_id)
    thief = county.make_report("s1", round_id)
    county.send(county.spoil_box(thief, "a1", victim.boxes["a1"]))
    county.send(victim)
    county.collect(round_id, ["s2", "s3", "s4", "s5"])
    _check(county, desks, round_id)
    assert _refusals(county, round_id, "a1") == {("s1", 0): "box-unopenable"}


def test_a_newer_attempt_is_checked_in_place_of_the_superseded_one(
    county: FakeCounty, desks: dict[str, Desk], round_id: bytes
) -> None:
    report = county.make_report("s1", round_id)
    county.send(county.spoil_box(report, "a1", bytes(len(report.boxes["a1"]))))
    county.collect(round_id)
    _check(county, desks, round_id)
    assert _refusals(county, round_id, "a1") == {}


@pytest.mark.parametrize("lie", ["withheld", "other", "unknown"])
def test_a_lying_coordinator_makes_the_auditor_wait_and_refuses_no_school(
    county: FakeCounty, desks: dict[str, Desk], round_id: bytes, lie: str
) -> None:
    county.collect(round_id)
    county.fix_candidates(round_id)
    link = desks["a1"].context.link
    honest = link.get_boxes

    def get_boxes(wanted: bytes) -> Iterator[tuple[bytes, bytes]]:
        for number, (report, box) in enumerate(honest(wanted)):
            if number:
                yield report, box
            elif lie == "other":
                yield report, box[:-1] + bytes([box[-1] ^ 1])
            elif lie == "unknown":
                yield bytes(32), box

    replace_method(link, "get_boxes", get_boxes)
    events = desks["a1"].step()
    assert "CheckError" in events[-1].detail
    assert "a1" not in county.round(round_id).checked
    replace_method(link, "get_boxes", honest)
    desks["a1"].step()
    assert _refusals(county, round_id, "a1") == {}


def test_a_copied_encapsulation_is_refused_even_if_it_opens(
    county: FakeCounty, desks: dict[str, Desk], round_id: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sender that controls the KEM's randomness can repeat it; HPKE here cannot, so opening is faked."""
    first = county.make_report("s1", round_id)
    county.send(first)
    second = county.make_report("s2", round_id)
    copied = first.boxes["a1"][:ENCAPSULATION_BYTES] + second.boxes["a1"][ENCAPSULATION_BYTES:]
    county.send(county.spoil_box(second, "a1", copied))
    county.collect(round_id, ["s3", "s4", "s5", "s6"])
    county.fix_candidates(round_id)
    own = county.round(round_id).subsets_of("a1")

    def open_seeds(_opener: BoxOpener, report: Contents, _box: bytes) -> dict[int, bytes]:
        return {subset: county.seeds_of[report.node, report.attempt][subset] for subset in own}

    monkeypatch.setattr(BoxOpener, "open_seeds", open_seeds)
    desks["a1"].step()
    assert _refusals(county, round_id, "a1") == {("s2", 0): "copied-encapsulation"}
