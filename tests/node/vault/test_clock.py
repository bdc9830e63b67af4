"""A clock that never moves back, and that one wrong battery cannot move ahead for ever."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from fakes_vault import KEY, utc

from node.vault.clock import MAX_AHEAD, Clock
from node.vault.errors import VaultError
from node.vault.store import VaultStore


class Hand:
    def __init__(self) -> None:
        self.now = utc(2026, 9, 10)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def store(tmp_path: Path) -> VaultStore:
    return VaultStore(tmp_path / "vault.db", KEY)


def save(store: VaultStore, clock: Clock) -> None:
    with store.transaction("clock"):
        clock.save()


def test_it_follows_the_computers_clock(store: VaultStore, hand: Hand) -> None:
    clock = Clock(store, hand)
    assert clock.now() == utc(2026, 9, 10)
    hand.now = datetime(2026, 9, 10, 12, 30, 15, 999, tzinfo=timezone(timedelta(hours=8)))
    assert clock.now() == datetime(2026, 9, 10, 4, 30, 15, tzinfo=UTC)


def test_a_witnessed_time_is_the_least_that_is_told(store: VaultStore, hand: Hand) -> None:
    clock = Clock(store, hand)
    hand.now = utc(2000, 1, 1)
    clock.witness(utc(2026, 9, 11))
    assert clock.now() == utc(2026, 9, 11)


def test_the_mark_survives_a_restart(store: VaultStore, hand: Hand) -> None:
    clock = Clock(store, hand)
    clock.witness(utc(2026, 9, 10))
    hand.now = utc(2026, 9, 11)
    save(store, clock)
    hand.now = utc(2026, 3, 1)
    assert Clock(store, hand).now() == utc(2026, 9, 11)


def test_a_clock_far_ahead_is_not_believed_for_ever(store: VaultStore, hand: Hand) -> None:
    clock = Clock(store, hand)
    clock.witness(utc(2026, 9, 10))
    hand.now = utc(2099, 1, 1)
    assert clock.now() == utc(2099, 1, 1)
    save(store, clock)
    hand.now = utc(2026, 9, 10, 5)
    assert Clock(store, hand).now() == utc(2026, 9, 10) + MAX_AHEAD


def test_restarts_do_not_ratchet_the_mark_up(store: VaultStore, hand: Hand) -> None:
    hand.now = utc(2099, 1, 1)
    for _restart in range(5):
        clock = Clock(store, hand)
        clock.witness(utc(2026, 9, 10))
        save(store, clock)
    assert Clock(store, hand).mark == utc(2026, 9, 10) + MAX_AHEAD


def test_without_any_evidence_nothing_is_stored(store: VaultStore, hand: Hand) -> None:
    clock = Clock(store, hand)
    save(store, clock)
    hand.now = utc(2020, 1, 1)
    assert Clock(store, hand).now() == utc(2020, 1, 1)


def test_an_older_process_does_not_lower_the_stored_mark(store: VaultStore, hand: Hand) -> None:
    old, new = Clock(store, hand), Clock(store, hand)
    new.witness(utc(2026, 10, 1))
    save(store, new)
    old.witness(utc(2026, 9, 10))
    save(store, old)
    hand.now = utc(2026, 9, 1)
    assert Clock(store, hand).now() >= utc(2026, 10, 1)


def test_a_time_without_a_zone_is_refused(store: VaultStore, hand: Hand) -> None:
    clock = Clock(store, hand)
    hand.now = datetime(2026, 9, 10)
    with pytest.raises(VaultError):
        clock.now()
