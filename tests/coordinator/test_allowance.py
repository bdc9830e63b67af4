"""Token buckets by identity, with a clock moved by hand."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from coordinator.allowance import HOUR_S, MIB, SWEEP_S, Allowances
from coordinator.errors import QuotaUsedError, TooManyCallsError
from coordinator.identity import Caller
from coordinator.limits import Limits

LIMITS = Limits(node_calls_per_minute=6, node_burst=3, node_calls_at_once=2, node_mib_per_hour=1)


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def caller(name: str = "s01", role: str = "node", serial: str = "1") -> Caller:
    return Caller(role, name, datetime(2027, 1, 1, tzinfo=UTC), serial)


def once(allowances: Allowances, who: Caller) -> None:
    allowances.begin(who)
    allowances.end(who)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def allowances(clock: Clock) -> Allowances:
    return Allowances(LIMITS, clock)


def test_a_burst_then_the_rate(allowances: Allowances, clock: Clock) -> None:
    for _ in range(3):
        once(allowances, caller())
    with pytest.raises(TooManyCallsError, match="10 s"):
        once(allowances, caller())
    clock.now_s += 9.9
    with pytest.raises(TooManyCallsError):
        once(allowances, caller())
    clock.now_s += 0.2
    once(allowances, caller())
    with pytest.raises(TooManyCallsError):
        once(allowances, caller())


def test_a_pause_gives_no_more_than_the_burst(allowances: Allowances, clock: Clock) -> None:
    once(allowances, caller())
    clock.now_s += 1e6
    for _ in range(3):
        once(allowances, caller())
    with pytest.raises(TooManyCallsError):
        once(allowances, caller())


def test_identities_have_their_own_and_certificates_have_not(allowances: Allowances) -> None:
    for _ in range(3):
        once(allowances, caller())
    once(allowances, caller("s02"))
    once(allowances, caller("s01", "auditor"))
    with pytest.raises(TooManyCallsError):
        once(allowances, caller(serial="2"))


def test_calls_at_once_are_given_back(allowances: Allowances, clock: Clock) -> None:
    allowances.begin(caller())
    allowances.begin(caller())
    clock.now_s += 1e4
    with pytest.raises(TooManyCallsError, match="at once"):
        allowances.begin(caller())
    allowances.end(caller())
    allowances.begin(caller())


def test_bytes_of_an_hour(allowances: Allowances, clock: Clock) -> None:
    allowances.charge(caller(), MIB)
    with pytest.raises(QuotaUsedError):
        allowances.charge(caller(), 1000)
    clock.now_s += HOUR_S / 2
    allowances.charge(caller(), MIB // 2 - 1)
    with pytest.raises(QuotaUsedError):
        allowances.charge(caller(), 1000)


def test_who_was_away_for_long_is_forgotten_and_who_is_not_stays(
    allowances: Allowances, clock: Clock
) -> None:
    for number in range(50):
        once(allowances, caller(f"s{number}"))
    allowances.begin(caller("busy"))
    clock.now_s += HOUR_S + SWEEP_S
    once(allowances, caller("new"))
    assert set(allowances._used) == {("node", "busy"), ("node", "new")}
