"""Members beside their requests: attributes, closures, mergers, and what the next roster says of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes_county import CountySimulator

from coordinator.errors import NotRosteredError, RosterError
from protos.bodies import RosterNode


@pytest.fixture
def county(county_folder: Path) -> CountySimulator:
    return CountySimulator(county_folder, schools=7)


def agree(county: CountySimulator) -> dict[str, RosterNode]:
    digest = county.coordinator.propose_roster()
    for auditor in county.auditors.values():
        auditor.step()
        if auditor.sign_roster(digest):
            break
    county.work(max_passes=2)
    return {row.id: row for row in county.auditors["a1"].context.ledger.roster.body.nodes}


def test_a_merger_leaves_the_open_round_alone_and_counts_from_then_on(
    county: CountySimulator,
) -> None:
    round_id = county.start_round()
    county.coordinator.leave("node", "s06", "s01")
    county.coordinator.leave("node", "s07", "s01")
    county.coordinator.leave("node", "s07", "s01")  # again changes nothing
    nodes = agree(county)
    assert nodes["s01"].succeeds == ("s06", "s07")
    assert sorted(nodes) == ["s01", "s02", "s03", "s04", "s05"]
    county.release("s06", round_id)  # it was in the plan's roster
    county.work(max_passes=3)
    assert county.auditors["a1"].context.ledger.rounds[round_id].reports.num_attempts("s06") == 1
    states = {row["id"]: (row["state"], row["succeeded_by"]) for row in county.coordinator.describe_members()}
    assert states["s06"] == ("left", "s01")
    assert states["s01"] == ("rostered", "")


def test_attributes_that_the_county_states_stand_over_the_requests(county: CountySimulator) -> None:
    county.coordinator.set_attributes("s01", {"deployment": "c", "school_type": "point"})
    assert agree(county)["s01"].attributes == (
        ("county", "530101"),
        ("deployment", "c"),
        ("school_type", "point"),
    )
    county.coordinator.set_attributes("s01", {"school_type": "", "county": ""})
    assert agree(county)["s01"].attributes == (("deployment", "c"),)


def test_what_the_county_may_not_say(county: CountySimulator) -> None:
    desk = county.coordinator
    for role, party, successor in (
        ("node", "s01", "s01"),
        ("node", "s01", "s99"),
        ("auditor", "a1", "s01"),
        ("node", "s99", ""),
    ):
        with pytest.raises((RosterError, NotRosteredError)):
            desk.leave(role, party, successor)
    for value in ("d", "A", "school"):
        with pytest.raises(RosterError, match="deployment"):
            desk.set_attributes("s01", {"deployment": value})
    desk.leave("node", "s06", "s01")
    with pytest.raises(RosterError, match="succeeds it already"):
        desk.leave("node", "s06", "s02")
    with pytest.raises(RosterError, match="has left itself"):
        desk.leave("node", "s05", "s06")


def test_a_node_is_not_touched_because_another_one_joined(county: CountySimulator) -> None:
    """Its files, its card and its settings are the same before and after; it just reads the log."""
    vault = county.nodes["s01"]
    before = vault.handle({"command": "identity"}, {})[0]
    county.coordinator.leave("node", "s07")
    assert "s07" not in agree(county)
    assert vault.handle({"command": "identity"}, {})[0] == before
    round_id = county.start_round()
    county.release("s01", round_id)
