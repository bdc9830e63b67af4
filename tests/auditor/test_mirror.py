"""The copy of the log: grows only by what a signed checkpoint covers; a fork or a rollback is evidence."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes_auditors import FakeCounty, FakeLink, joined_county

from auditor.errors import MirrorError, SplitViewError
from auditor.mirror import Mirror, checkpoint_of
from protos.convert import LogPage


class PagedLink(FakeLink):
    """Serves whatever page the test says."""

    def __init__(self, county: FakeCounty, page: LogPage | None = None) -> None:
        super().__init__(county, "a1")
        self.page = page

    def get_log(self, start: int, max_entries: int) -> LogPage:
        """Serve the given page, or the truth."""
        return self.page or super().get_log(start, max_entries)


@pytest.fixture
def mirror(county: FakeCounty, tmp_path: Path) -> Mirror:
    return Mirror(tmp_path / "mirror", county.card)


def test_it_follows_the_log(county: FakeCounty, mirror: Mirror) -> None:
    assert mirror.sync(county.link("a1")) == 2
    county.publish_plan()
    assert mirror.sync(county.link("a1")) == 1
    assert mirror.sync(county.link("a1")) == 0
    assert mirror.ledger.root() == county.ledger.root()


def test_it_follows_page_by_page(county: FakeCounty, mirror: Mirror) -> None:
    county.publish_plan()
    link = county.link("a1")
    link.page_entries = 1
    assert mirror.sync(link) == 3


def test_an_empty_log_is_no_error_before_anything_was_seen(county: FakeCounty, mirror: Mirror) -> None:
    assert mirror.sync(PagedLink(county, LogPage(0, (), b"", b""))) == 0


def test_an_empty_log_later_is_a_rollback(county: FakeCounty, mirror: Mirror) -> None:
    mirror.sync(county.link("a1"))
    with pytest.raises(SplitViewError, match="empty log"):
        mirror.sync(PagedLink(county, LogPage(2, (), b"", b"")))


def test_a_restart_reads_the_stored_copy(county: FakeCounty, mirror: Mirror) -> None:
    mirror.sync(county.link("a1"))
    again = Mirror(mirror.directory, county.card)
    assert again.ledger.root() == county.ledger.root()
    assert list(again.entries) == county.entries
    assert again.latest == mirror.latest


def test_two_processes_share_one_copy(county: FakeCounty, mirror: Mirror) -> None:
    other = Mirror(mirror.directory, county.card)
    mirror.sync(county.link("a1"))
    county.publish_plan()
    other.sync(county.link("a1"))
    mirror.sync(county.link("a1"))
    county.publish_plan()
    mirror.sync(county.link("a1"))
    assert mirror.ledger.size == 4
    assert Mirror(mirror.directory, county.card).ledger.size == 4


def test_entries_beyond_the_checkpoint_are_not_taken(county: FakeCounty, mirror: Mirror) -> None:
    note = county.note(2)
    county.publish_plan()
    assert mirror.sync(PagedLink(county, LogPage(0, tuple(county.entries), note, b""))) == 2


def test_a_rollback_is_refused_and_kept_as_evidence(county: FakeCounty, mirror: Mirror) -> None:
    early = county.note(2)
    county.publish_plan()
    mirror.sync(county.link("a1"))
    with pytest.raises(SplitViewError, match="rollback"):
        mirror.sync(PagedLink(county, LogPage(3, (), early, b"")))
    assert [path.read_bytes() for path in (mirror.directory / "evidence").iterdir()] == [early]
    assert mirror.ledger.size == 3


def test_a_fork_is_refused_and_kept_as_evidence(county: FakeCounty, mirror: Mirror) -> None:
    other = joined_county()
    county.publish_plan()
    mirror.sync(county.link("a1"))
    other.publish_plan(serial=1, min_group=6)
    other.publish_plan()
    page = LogPage(3, tuple(other.entries[3:]), other.note(4), b"")
    with pytest.raises(SplitViewError, match="another history"):
        mirror.sync(PagedLink(county, page))
    assert mirror.ledger.root() == county.ledger.root()
    assert mirror.ledger.size == 3
    assert len(list((mirror.directory / "evidence").iterdir())) == 1
    mirror.sync(county.link("a1"))


def test_a_fork_of_the_same_size_is_refused(county: FakeCounty, mirror: Mirror) -> None:
    other = joined_county()
    county.publish_plan()
    mirror.sync(county.link("a1"))
    other.publish_plan(min_group=6)
    with pytest.raises(SplitViewError):
        mirror.sync(PagedLink(county, LogPage(3, (), other.note(3), b"")))


def test_a_fork_whose_new_entries_do_not_fit_is_called_a_fork(county: FakeCounty, mirror: Mirror) -> None:
    """The new entries follow a history that this auditor was not shown: not an error in them."""
    other = joined_county()
    county.publish_plan()
    mirror.sync(county.link("a1"))
    round_id = other.publish_plan(min_group=6)
    other.approve(round_id, ["a1"])
    with pytest.raises(SplitViewError, match="another history"):
        mirror.sync(PagedLink(county, LogPage(3, tuple(other.entries[3:]), other.note(4), b"")))
    assert mirror.ledger.size == 3
    assert len(list((mirror.directory / "evidence").iterdir())) == 1


def test_an_invalid_entry_under_a_signed_checkpoint_is_not_followed(
    county: FakeCounty, mirror: Mirror
) -> None:
    mirror.sync(county.link("a1"))
    round_id = county.publish_plan()
    entry, body = county.entries[-1]
    page = LogPage(2, ((entry, body + b" "),), county.note(3), b"")
    with pytest.raises(MirrorError, match="invalid entry"):
        mirror.sync(PagedLink(county, page))
    assert round_id not in mirror.ledger.rounds
    assert mirror.ledger.size == 2


@pytest.mark.parametrize("position", [0, 5, 40, -20, -1])
def test_a_checkpoint_with_a_flipped_byte_is_refused(
    county: FakeCounty, mirror: Mirror, position: int
) -> None:
    note = bytearray(county.note(2))
    note[position] ^= 1
    with pytest.raises(MirrorError):
        mirror.sync(PagedLink(county, LogPage(0, tuple(county.entries), bytes(note), b"")))
    assert mirror.ledger.size == 0


def test_fewer_entries_than_the_checkpoint_says_are_refused(county: FakeCounty, mirror: Mirror) -> None:
    with pytest.raises(MirrorError, match="sends only"):
        mirror.sync(PagedLink(county, LogPage(0, (), county.note(2), b"")))


def test_another_start_than_asked_for_is_refused(county: FakeCounty, mirror: Mirror) -> None:
    mirror.sync(county.link("a1"))
    county.publish_plan()
    with pytest.raises(MirrorError, match="asked for entry 2"):
        mirror.sync(PagedLink(county, LogPage(1, tuple(county.entries[1:]), county.note(3), b"")))


def test_a_cosigned_checkpoint_below_the_quorum_is_refused(county: FakeCounty, mirror: Mirror) -> None:
    page = LogPage(0, tuple(county.entries), county.note(2), county.note(2))
    with pytest.raises(MirrorError, match="too-few-cosignatures"):
        mirror.sync(PagedLink(county, page))


def test_a_torn_tail_is_cut_off(county: FakeCounty, mirror: Mirror) -> None:
    mirror.sync(county.link("a1"))
    with (mirror.directory / "entries").open("ab") as file:
        file.write(b"\x01" * 50_000)
    county.publish_plan()
    again = Mirror(mirror.directory, county.card)
    again.sync(county.link("a1"))
    assert Mirror(mirror.directory, county.card).ledger.size == 3
    written = sum(8 + len(entry) + len(body) for entry, body in county.entries)
    assert (mirror.directory / "entries").stat().st_size == written


@pytest.mark.parametrize("position", [0, 4, 60, 700, -1])
def test_a_flipped_byte_of_the_stored_copy_is_noticed(
    county: FakeCounty, mirror: Mirror, position: int
) -> None:
    mirror.sync(county.link("a1"))
    path = mirror.directory / "entries"
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(MirrorError, match="damaged"):
        Mirror(mirror.directory, county.card)


def test_a_missing_file_of_entries_is_noticed(county: FakeCounty, mirror: Mirror) -> None:
    mirror.sync(county.link("a1"))
    (mirror.directory / "entries").unlink()
    with pytest.raises(MirrorError, match="missing"):
        Mirror(mirror.directory, county.card)


class Crash(Exception):
    """The process dies here."""


@pytest.mark.parametrize("number", range(1, 9))
def test_a_crash_while_following_loses_nothing(county: FakeCounty, tmp_path: Path, number: int) -> None:
    steps: list[str] = []

    def durable(step: str) -> None:
        steps.append(step)
        if len(steps) == number:
            raise Crash(step)

    county.cosign_as(("a1", "a2", "a3"), 2)
    dying = Mirror(tmp_path / "mirror", county.card, durable=durable)
    with pytest.raises(Crash):
        dying.sync(county.link("a1"))
    again = Mirror(tmp_path / "mirror", county.card)
    again.sync(county.link("a1"))
    assert again.ledger.root() == county.ledger.root()
    assert again.cosigned_size == 2


def test_a_damaged_stored_checkpoint_is_named(mirror: Mirror) -> None:
    with pytest.raises(MirrorError, match="stored checkpoint is damaged"):
        checkpoint_of(b"x")
