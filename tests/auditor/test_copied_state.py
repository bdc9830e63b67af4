"""A state that was copied or restored never signs a second time: it abstains, or sends the same bytes.

One round is gone through; at every stage a1's folder is copied as `cp -r` does. Later the copies are started,
at every stage that follows, on links that only record what they would send.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fakes_auditors import FakeCounty, FakeLink, joined_county, run_all
from fakes_trips import StickAuditor, trip_data

from auditor.desk import Desk
from auditor.errors import AbstainError, AuditorError, LinkError
from auditor.signing import stored_entry
from auditor.state import SecretKind, SlotKind

STAGES = ("new", "approved", "candidates", "checked", "closed", "agreed", "opened", "released")
PAIRS = [(early, late) for place, early in enumerate(STAGES) for late in STAGES[place:]]
KINDS = (SlotKind.APPROVAL, SlotKind.CHECKED, SlotKind.DECISION, SlotKind.OPENING)
SIGNS = {"approved", "checked", "agreed", "opened"}  # stages that a1's own signature brings about


class Recording(FakeLink):
    """A link that shows the county and keeps what it is given to itself."""

    def submit_cosignature(self, size: int, line: str) -> None:
        """Record nothing: a cosignature may be renewed."""

    def submit_statement(self, entry: bytes, body: bytes) -> int:
        """Record a statement."""
        self.sent.append(entry)
        return 0

    def submit_opening(self, entry: bytes, sums: Sequence[bytes]) -> int:
        """Record an opening."""
        self.sent.append(entry)
        return 0


@dataclass
class Started:
    """What a copy did when it was started."""

    sent: list[bytes]
    errors: list[str]
    slots: dict[SlotKind, bytes]
    slots_before: dict[SlotKind, bytes]
    has_key: bool


@dataclass
class Copies:
    """A round gone through by four auditors, and copies of a1's folder."""

    root: Path
    county: FakeCounty
    round_id: bytes = b""
    started: dict[tuple[str, str], Started] = field(default_factory=dict)
    signed: set[bytes] = field(default_factory=set)

    def reach(self, stage: str) -> None:
        """Keep a1's folder as it is now, then start every copy kept so far on the county as it is now."""
        shutil.copytree(self.root / "a1", self.root / "kept" / stage)
        for early in STAGES[: STAGES.index(stage) + 1]:
            self.started[early, stage] = self.start(early, stage)

    def start(self, early: str, late: str) -> Started:
        """Start a copy of a kept folder."""
        folder = self.root / f"{early} at {late}"
        shutil.copytree(self.root / "kept" / early, folder)
        link = Recording(self.county, "a1")
        desk = self.county.desk("a1", folder, link=link)
        before = slots_of(desk, self.round_id)
        found = [event for event in desk.step() if event.kind == "error"]
        has_key = desk.state.secret(SecretKind.ROUND_KEY, self.round_id) is not None
        errors = [event.detail for event in found]
        return Started(link.sent, errors, slots_of(desk, self.round_id), before, has_key)


def slots_of(desk: Desk, round_id: bytes) -> dict[SlotKind, bytes]:
    found = {kind: desk.state.slot(kind, round_id) for kind in KINDS}
    return {kind: data for kind, data in found.items() if data is not None}


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Copies:
    county = joined_county()
    made = Copies(tmp_path_factory.mktemp("copies"), county)
    link = county.link("a1")
    desk = county.desk("a1", made.root / "a1", link=link)
    others = [county.desk(name, made.root / name) for name in ("a2", "a3", "a4")]
    made.round_id = county.publish_plan()
    desk.sync()
    made.reach("new")
    for item in (desk, *others):
        item.approve(made.round_id)
    made.reach("approved")
    county.collect(made.round_id)
    county.fix_candidates(made.round_id)
    made.reach("candidates")
    run_all([desk, *others], 1)
    made.reach("checked")
    county.close(made.round_id)
    made.reach("closed")
    run_all([desk], 1)
    made.reach("agreed")
    run_all([*others, desk, *others, desk], 2)
    made.reach("opened")
    county.release_real(made.round_id)
    made.reach("released")
    made.signed = set(link.sent)
    assert len(made.signed) == 4
    return made


@pytest.mark.parametrize(("early", "late"), PAIRS)
def test_a_copy_sends_nothing_that_its_original_did_not_sign(copies: Copies, early: str, late: str) -> None:
    found = copies.started[early, late]
    between = set(STAGES[STAGES.index(early) + 1 : STAGES.index(late) + 1])
    is_behind = bool(between & SIGNS)
    assert set(found.sent) <= copies.signed
    if is_behind:
        assert found.sent == []
        assert found.slots == found.slots_before
        assert len(found.errors) == 1
        assert "abstains" in found.errors[0]


def test_a_copy_that_is_not_behind_goes_on_with_the_same_bytes(copies: Copies) -> None:
    """Whichever of the two signs: as long as both see the same, they sign the same."""
    for early in ("candidates", "closed"):
        found = copies.started[early, early]
        assert len(set(found.sent)) == 1
        assert set(found.sent) <= copies.signed


@pytest.mark.parametrize("early", ["approved", "checked", "agreed"])
def test_a_copy_forgets_its_key_when_the_round_needs_it_no_more(copies: Copies, early: str) -> None:
    assert copies.started[early, "agreed"].has_key
    assert not copies.started[early, "opened"].has_key
    assert not copies.started[early, "released"].has_key


@pytest.mark.parametrize("early", STAGES[1:6])
def test_a_state_that_lost_its_instance_signs_nothing_more(copies: Copies, early: str) -> None:
    folder = copies.root / f"lost {early}"
    shutil.copytree(copies.root / "kept" / early, folder)
    (folder / "state" / "instance").unlink()
    link = Recording(copies.county, "a1")
    events = copies.county.desk("a1", folder, link=link).step()
    assert link.sent == []
    assert ["another instance" in event.detail for event in events if event.kind == "error"] == [True]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.value)
@pytest.mark.parametrize("spoil", ["flipped", "cut", "empty"])
def test_a_damaged_slot_ends_this_auditors_part(copies: Copies, kind: SlotKind, spoil: str) -> None:
    folder = copies.root / f"damaged {kind.value} {spoil}"
    shutil.copytree(copies.root / "kept" / "opened", folder)
    path = folder / "state" / "slots" / f"{copies.round_id.hex()}.{kind.value}"
    data = path.read_bytes()
    path.write_bytes({"flipped": data[:-1] + bytes([data[-1] ^ 1]), "cut": data[:-9], "empty": b""}[spoil])
    link = Recording(copies.county, "a1")
    events = copies.county.desk("a1", folder, link=link).step()
    assert link.sent == []
    assert len([event for event in events if event.kind == "error"]) == 1


def test_a_restored_state_is_not_approved_anew(copies: Copies) -> None:
    folder = copies.root / "approve again"
    shutil.copytree(copies.root / "kept" / "new", folder)
    desk = copies.county.desk("a1", folder, link=Recording(copies.county, "a1"))
    with pytest.raises((AbstainError, AuditorError)) as caught:
        desk.approve(copies.round_id)
    assert "restored" in str(caught.value) or "expired" in str(caught.value)
    assert slots_of(desk, copies.round_id) == {}


# --- two copies that go by stick, each with a file that does not show the other's signature ----------


def test_of_two_copies_that_approve_one_counts_and_the_other_abstains(tmp_path: Path) -> None:
    """Here two signatures come to be: neither copy can see the other's. The log takes one."""
    county = joined_county()
    first = StickAuditor(county, "a1", tmp_path / "first")
    county.desk("a1", first.directory)
    shutil.copytree(first.directory, tmp_path / "second")
    second = StickAuditor(county, "a1", tmp_path / "second")
    round_id = county.publish_plan()
    old = trip_data(county, "a1")
    first.trip(approve=round_id, data=old)
    with pytest.raises(LinkError):
        second.trip(approve=round_id, data=old)
    assert list(county.round(round_id).approvals) == ["a1"]
    for name in ("a2", "a3", "a4"):
        county.desk(name, tmp_path / name).approve(round_id)
    county.collect(round_id)
    county.fix_candidates(round_id)
    first.trip()
    assert "a1" in county.round(round_id).checked
    before = list(second.link.sent)
    events = second.trip()
    assert ["abstains" in event.detail for event in events if event.kind == "error"] == [True]
    assert second.link.sent == before
    stored = stored_entry(county.desk("a1", first.directory).state, SlotKind.APPROVAL, round_id)
    assert stored is not None
    assert stored.digest == county.round(round_id).approvals["a1"].digest
