"""The witness: cosigns what extends the log it saw, never a smaller or another one."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from fakes_auditors import FakeCounty, joined_county, replace_method

from auditor.desk import Desk
from auditor.errors import SplitViewError, StateError
from auditor.witness import WitnessHead, cosign_newest, last_head
from crypto.note import (
    KeyType,
    SigningKey,
    cosignature_time,
    parse_note,
    parse_signature_line,
    verify_signature,
)


def test_it_cosigns_the_newest_checkpoint(county: FakeCounty, desks: dict[str, Desk]) -> None:
    desks["a1"].sync()
    assert desks["a1"].cosign() == 2
    line = county.cosignatures[2]["a1"]
    signature = parse_signature_line(line)
    verify_signature(parse_note(county.note(2)).text, signature, county.witnesses["a1"].verifier)
    assert cosignature_time(signature) == int(county.clock.timestamp())
    assert last_head(desks["a1"].state) == WitnessHead(2, county.ledger.root(2))


def test_it_does_not_cosign_twice(desks: dict[str, Desk]) -> None:
    desk = desks["a1"]
    desk.sync()
    desk.cosign()
    desk.sync()
    assert desk.cosign() is None


def test_there_is_nothing_to_cosign_before_the_first_checkpoint(desks: dict[str, Desk]) -> None:
    assert desks["a1"].cosign() is None


def test_the_head_is_stored_before_the_cosignature_leaves(county: FakeCounty, desks: dict[str, Desk]) -> None:
    desk, link = desks["a1"], desks["a1"].context.link
    heads: list[WitnessHead | None] = []
    replace_method(link, "submit_cosignature", lambda _size, _line: heads.append(last_head(desk.state)))
    desk.sync()
    desk.cosign()
    assert heads == [WitnessHead(2, county.ledger.root(2))]


def test_a_log_that_shrank_is_not_cosigned_even_with_a_fresh_mirror(
    county: FakeCounty, desks: dict[str, Desk], tmp_path: Path
) -> None:
    county.publish_plan()
    desks["a1"].sync()
    desks["a1"].cosign()
    shutil.rmtree(tmp_path / "a1" / "mirror")
    smaller = joined_county()
    desk = smaller.desk("a1", tmp_path / "a1")
    desk.sync()
    with pytest.raises(SplitViewError, match="rollback"):
        desk.cosign()
    assert not smaller.cosignatures


def test_a_forked_log_is_not_cosigned_even_with_a_fresh_mirror(
    county: FakeCounty, desks: dict[str, Desk], tmp_path: Path
) -> None:
    county.publish_plan()
    desks["a1"].sync()
    desks["a1"].cosign()
    shutil.rmtree(tmp_path / "a1" / "mirror")
    fork = joined_county()
    fork.publish_plan(min_group=6)
    fork.publish_plan()
    desk = fork.desk("a1", tmp_path / "a1")
    desk.sync()
    with pytest.raises(SplitViewError, match="fork"):
        desk.cosign()
    assert not fork.cosignatures


def test_an_honest_log_is_cosigned_with_a_fresh_mirror(
    county: FakeCounty, desks: dict[str, Desk], tmp_path: Path
) -> None:
    desks["a1"].sync()
    desks["a1"].cosign()
    county.publish_plan()
    shutil.rmtree(tmp_path / "a1" / "mirror")
    desk = county.desk("a1", tmp_path / "a1")
    desk.sync()
    assert desk.cosign() == 3


@pytest.mark.parametrize("content", [b"", b"2\n", b"2 00\n", b"02 " + b"0" * 64 + b"\n", b"\xff"])
def test_a_damaged_head_stops_the_witness(desks: dict[str, Desk], content: bytes) -> None:
    desk = desks["a1"]
    desk.sync()
    (desk.state.directory / "witness").write_bytes(content)
    with pytest.raises(StateError, match="damaged"):
        desk.cosign()


def test_the_same_size_is_cosigned_again_after_a_lost_answer(
    county: FakeCounty, desks: dict[str, Desk]
) -> None:
    desk = desks["a1"]
    desk.sync()
    context = desk.context
    first = cosign_newest(desk.mirror, desk.state, context.keys, county.clock)
    second = cosign_newest(desk.mirror, desk.state, context.keys, county.clock + timedelta(seconds=5))
    assert first is not None
    assert second is not None
    assert first.size == second.size


def test_an_auditor_that_is_not_in_the_roster_yet_does_not_cosign(tmp_path: Path) -> None:
    county = joined_county()
    stranger = SigningKey(f"fedscreen/{county.federation}/witness/a9", KeyType.COSIGNATURE, bytes(32))
    county.witnesses["a1"] = stranger
    desk = county.desk("a1", tmp_path)
    desk.sync()
    assert desk.cosign() is None
    assert not county.cosignatures


def test_on_an_idle_log_the_cosignature_is_renewed(county: FakeCounty, desks: dict[str, Desk]) -> None:
    """Schools trust no checkpoint older than 24 hours, and a log may rest for months."""
    desk = desks["a1"]
    desk.sync()
    desk.cosign()
    county.clock += timedelta(hours=11)
    desk.sync()
    assert desk.cosign() is None
    county.clock += timedelta(hours=2)
    desk.sync()
    assert desk.cosign() == 2
    line = county.cosignatures[2]["a1"]
    assert cosignature_time(parse_signature_line(line)) == int(county.clock.timestamp())
