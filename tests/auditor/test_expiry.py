"""A round's keys end with their time, whatever the coordinator shows, withholds or forgets."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from fakes_auditors import FakeCounty, FakeLink, joined_county, replace_method

from auditor.desk import Desk
from auditor.errors import AuditorError, LinkError
from auditor.state import SecretKind, SlotKind
from protos.convert import LogPage

ME = "a1"


def silent(_link: FakeLink) -> Callable[[int, int], LogPage]:
    """A coordinator that does not answer."""

    def get_log(start: int, max_entries: int) -> LogPage:
        raise LinkError("unavailable", "no answer", is_temporary=True)

    return get_log


def shorter(link: FakeLink) -> Callable[[int, int], LogPage]:
    """A coordinator that takes entries back."""

    def get_log(start: int, max_entries: int) -> LogPage:
        county = link.county
        return LogPage(start, tuple(county.entries[start:2]), county.note(2), b"")

    return get_log


def started(tmp_path: Path) -> tuple[FakeCounty, Desk, FakeLink, bytes]:
    """An auditor that has approved a round."""
    county = joined_county()
    link = county.link(ME)
    desk = county.desk(ME, tmp_path, link=link)
    round_id = county.publish_plan()
    desk.approve(round_id)
    desk.step()
    return county, desk, link, round_id


def keys(desk: Desk, round_id: bytes) -> list[bytes]:
    """What is left of a round's secrets."""
    found = (desk.state.secret(kind, round_id) for kind in SecretKind)
    return [value for value in found if value is not None]


@pytest.mark.parametrize("lie", [silent, shorter])
def test_keys_end_while_the_coordinator_lies_or_is_away(
    tmp_path: Path, lie: Callable[[FakeLink], Callable[[int, int], LogPage]]
) -> None:
    county, desk, link, round_id = started(tmp_path)
    replace_method(link, "get_log", lie(link))
    county.clock = county.round(round_id).closes + desk.context.keep_keys
    with pytest.raises(AuditorError):
        desk.step()
    assert len(keys(desk, round_id)) == 2
    county.clock += timedelta(seconds=1)
    with pytest.raises(AuditorError):
        desk.step()
    assert keys(desk, round_id) == []


def test_it_still_abandons_when_the_coordinator_is_back(tmp_path: Path) -> None:
    county, desk, link, round_id = started(tmp_path)
    honest = link.get_log
    replace_method(link, "get_log", silent(link))
    county.clock = county.round(round_id).closes + desk.context.keep_keys + timedelta(seconds=1)
    with pytest.raises(LinkError):
        desk.step()
    replace_method(link, "get_log", honest)
    desk.step()
    assert ME in county.round(round_id).abandons


def test_keys_of_an_approval_that_never_gets_into_the_log_end_too(tmp_path: Path) -> None:
    county = joined_county()
    link = county.link(ME)
    desk = county.desk(ME, tmp_path, link=link)
    round_id = county.publish_plan()

    def lost(_entry: bytes, _body: bytes) -> int:
        raise LinkError("refused", "not logged", is_temporary=False)

    replace_method(link, "submit_statement", lost)
    with pytest.raises(LinkError):
        desk.approve(round_id)
    assert desk.state.slot(SlotKind.APPROVAL, round_id) is not None
    county.clock = county.round(round_id).closes + desk.context.keep_keys + timedelta(seconds=1)
    desk.step()
    assert keys(desk, round_id) == []
