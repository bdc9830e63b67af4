"""Links, sessions and slowed log-ins, with a clock moved by hand."""

from __future__ import annotations

import itertools

import pytest
from fakes_federation import fake_bytes

from node.console.sessions import (
    IDLE_S,
    LINK_S,
    LONGEST_PAUSE_S,
    LONGEST_S,
    MAX_SESSIONS,
    LoginBrake,
    Person,
    Sessions,
)


class Clock:
    def __init__(self) -> None:
        self.now_s = 50.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(clock: Clock) -> Sessions:
    count = itertools.count()
    return Sessions(lambda size: fake_bytes(f"token {next(count)}", size), clock)


def test_a_link_works_once(sessions: Sessions) -> None:
    link = sessions.make_link()
    found = sessions.enter(link)
    assert found is not None
    assert found[1].role == "it"
    assert sessions.enter(link) is None


def test_a_link_ends_after_its_time_and_with_the_next_one(sessions: Sessions, clock: Clock) -> None:
    first = sessions.make_link()
    second = sessions.make_link()
    assert sessions.enter(first) is None
    clock.now_s += LINK_S + 1
    assert sessions.enter(second) is None


@pytest.mark.parametrize("token", ["", "x", "0" * 64, "\ud800"])
def test_no_other_word_is_a_link(sessions: Sessions, token: str) -> None:
    assert sessions.enter(token) is None
    sessions.make_link()
    assert sessions.enter(token) is None


def test_a_session_ends_when_nobody_used_it(sessions: Sessions, clock: Clock) -> None:
    token, session = sessions.begin(is_it=True)
    clock.now_s += IDLE_S - 1
    assert sessions.find(token) is session
    clock.now_s += IDLE_S - 1
    assert sessions.find(token) is session
    clock.now_s += IDLE_S + 1
    assert sessions.find(token) is None


def test_a_session_ends_after_a_day_however_busy(sessions: Sessions, clock: Clock) -> None:
    token, _session = sessions.begin(is_it=True)
    begin_s = clock.now_s
    while clock.now_s + IDLE_S / 2 - begin_s < LONGEST_S:
        clock.now_s += IDLE_S / 2
        assert sessions.find(token) is not None
    clock.now_s = begin_s + LONGEST_S + 1
    assert sessions.find(token) is None


def test_who_logs_in_gets_another_id_and_another_form_token(sessions: Sessions) -> None:
    person = Person("principal", "李校长", {"key": "00"})
    token, before = sessions.begin(is_it=True)
    changed, session = sessions.change(token, person)
    assert changed != token
    assert session.form_token != before.form_token
    assert sessions.find(token) is None
    assert session.role == "principal"
    back, session = sessions.change(changed, None)
    assert session.role == "it"
    assert session.actor == {}
    assert sessions.find(back) is session


def test_a_person_without_a_link_does_not_become_it(sessions: Sessions) -> None:
    token, _session = sessions.begin()
    token, _session = sessions.change(token, Person("principal", "李校长", {}))
    assert sessions.change(token, None)[1].role == ""


def test_many_sessions_push_out_those_of_nobody_first(sessions: Sessions, clock: Clock) -> None:
    token, _session = sessions.begin(is_it=True)
    for _number in range(3 * MAX_SESSIONS):
        clock.now_s += 0.01
        sessions.begin()
    assert sessions.find(token) is not None


def test_an_ended_session_is_forgotten_with_what_it_holds(sessions: Sessions, clock: Clock) -> None:
    token, session = sessions.begin(is_it=True)
    session.staged = b"files"
    clock.now_s += IDLE_S + 1
    sessions.forget_ended()
    assert sessions._sessions == {}
    assert sessions.find(token) is None


def test_the_proof_of_a_person_is_not_printed() -> None:
    assert "secret" not in repr(Person("principal", "李校长", {"key": "secret"}))


def test_each_failure_makes_the_next_try_later(clock: Clock) -> None:
    brake = LoginBrake(clock)
    waits = []
    for _number in range(9):
        brake.fail()
        waits.append(brake.wait_s())
        clock.now_s += waits[-1]
        assert brake.wait_s() == 0
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_success_or_quiet_ends_the_slowness(clock: Clock) -> None:
    brake = LoginBrake(clock)
    for _number in range(5):
        brake.fail()
    brake.succeed()
    assert brake.wait_s() == 0
    brake.fail()
    brake.fail()
    clock.now_s += 2 + LONGEST_PAUSE_S + 1
    brake.fail()
    assert brake.wait_s() == 1
