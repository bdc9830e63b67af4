"""Stopping at every durable write: no report lost or doubled, one log, one release.

The hook stops the process once before and once after each write; the desk is opened anew and the
same step is done again, as its caller would.
"""

from collections import Counter
from collections.abc import Callable

import pytest
from fakes_coordinator import County, Crash, small_config

from coordinator.cli import _policy_of
from coordinator.fsck import fsck
from protos.bodies import parse_release_body
from protos.card import parse_card
from protos.statements import Report


class EveryKind:
    """Crashes the first time that each kind of step is reached; `make store-kills` crashes at every one."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    def __call__(self, step: str) -> None:
        if step not in self.steps:
            self.steps.append(step)
            raise Crash


class EveryWrite:
    """Crashes at each step that is not the one it crashed at last."""

    def __init__(self) -> None:
        self.last = ""
        self.steps: list[str] = []

    def __call__(self, step: str) -> None:
        if step != self.last:
            self.last = step
            self.steps.append(step)
            raise Crash


def insist(county: County, step: Callable[[], object]) -> object:
    """Do a step until it comes back, opening the desk anew after each crash."""
    for _ in range(200):
        try:
            return step()
        except Crash:
            county.reopen()
    raise AssertionError("no progress")


def whole_round(county: County) -> bytes:
    """Every step of a round, each insisted on."""

    def tick() -> object:
        return county.desk.tick()

    def propose() -> object:
        return county.desk.propose_roster()

    insist(county, county.enrol)
    insist(county, propose)
    insist(county, county.sign_rosters)
    round_id = insist(county, county.publish)
    assert isinstance(round_id, bytes)
    insist(county, lambda: county.approve(round_id))
    insist(county, lambda: county.report(round_id))
    insist(county, tick)
    insist(county, lambda: county.check(round_id))
    insist(county, tick)
    insist(county, lambda: county.agree(round_id))
    insist(county, lambda: county.answer(round_id))
    insist(county, tick)
    insist(county, county.cosign)
    insist(county, tick)
    return round_id


def test_a_crash_at_every_write_changes_nothing(make_county: Callable[..., County], address: str) -> None:
    county = make_county(config=small_config(database=address))
    hook = EveryKind() if address else EveryWrite()
    county.durable = hook
    round_id = whole_round(county)
    county.durable = lambda _step: None
    ledger = county.ledger()
    assert Counter(
        entry.split(b"\n")[0].split(b"/")[1] for entry, _ in county.desk.get_log(0, 1000).entries
    ) == {
        b"roster": 1,
        b"plan": 1,
        b"approval": 4,
        b"report": 6,
        b"candidates": 1,
        b"checked": 4,
        b"close": 1,
        b"agreement": 4,
        b"opening": 4,
        b"release": 1,
    }
    round_log = ledger.rounds[round_id]
    assert round_log.release is not None
    sums = [value for table in parse_release_body(round_log.release.body) for value in table.sums]
    assert sums == county.truth()
    text = county.desk.card_text()
    assert fsck(county.directory / "log", _policy_of(text), parse_card(text)).size == ledger.size
    writes = {step.split(" ", 1)[1] for step in hook.steps}
    assert writes >= {
        "enrol", "propose roster", "store roster signature", "append plan", "append approval",
        "append report", "FixCandidates", "append checked", "CloseSet", "append agreement",
        "append opening", "append release", "store cosignature", "checkpoint",
    }  # fmt: skip
    assert all(f"{when} {write}" in hook.steps for write in writes for when in ("before", "after"))


def test_receipts_survive_a_crash_after_the_commit(collecting: County) -> None:
    collecting.durable = EveryWrite()
    receipts = [insist(collecting, lambda: collecting.report(collecting.round_id, ["s01"])) for _ in range(2)]
    assert receipts[0] == receipts[1]
    collecting.durable = lambda _step: None
    statements = [row.statement for row in collecting.round(collecting.round_id).reports.values()]
    assert [isinstance(row, Report) and row.node for row in statements] == ["s01"]


def test_an_error_after_an_append_leaves_no_trace_in_memory(collecting: County) -> None:
    """The ledger has taken the entry when the commit fails; it must not keep it."""
    size = collecting.ledger().size

    def fail(step: str) -> None:
        if step == "before append report":
            raise OSError("disk full")

    collecting.durable = fail
    for _ in range(2):
        with pytest.raises(OSError, match="disk full"):
            collecting.report(collecting.round_id, ["s01"])
    assert collecting.ledger().size == size
    collecting.durable = lambda _step: None
    collecting.report(collecting.round_id, ["s02", "s01"])
    assert collecting.ledger().size == size + 2
