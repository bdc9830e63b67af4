"""Group commit: what waits together is committed together, and everybody gets an own answer."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from coordinator.group_commit import MAX_GROUP, GroupCommit


class Slow:
    """A commit that waits until it is let go, and keeps what it was given."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.may_go = threading.Event()

    def __call__(self, items: Sequence[int]) -> list[int | Exception]:
        self.groups.append(list(items))
        assert self.may_go.wait(10)
        return [ValueError(str(item)) if item % 10 == 3 else item * 2 for item in items]


def test_what_comes_during_a_commit_is_one_group() -> None:
    slow = Slow()
    commits: GroupCommit[int, int] = GroupCommit(slow)
    with ThreadPoolExecutor(80) as pool:
        first = pool.submit(commits.submit, 0)
        while not slow.groups:
            pass
        others = [pool.submit(commits.submit, item) for item in range(10, 80, 10)]
        while len(commits._queue) < 7:
            pass
        slow.may_go.set()
        assert first.result(10) == 0
        assert [other.result(10) for other in others] == list(range(20, 160, 20))
    assert slow.groups[0] == [0]
    assert sorted(slow.groups[1]) == list(range(10, 80, 10))
    assert len(slow.groups) == 2


def test_a_refusal_is_for_its_own_item() -> None:
    slow = Slow()
    slow.may_go.set()
    commits: GroupCommit[int, int] = GroupCommit(slow)
    with pytest.raises(ValueError, match="13"):
        commits.submit(13)
    assert commits.submit(14) == 28


def test_a_failed_commit_fails_everybody_and_the_next_goes_on() -> None:
    outcomes: list[BaseException | None] = [KeyboardInterrupt("stop"), None]

    def commit(items: Sequence[int]) -> list[int | Exception]:
        failure = outcomes.pop(0)
        if failure is not None:
            raise failure
        return list(items)

    commits: GroupCommit[int, int] = GroupCommit(commit)
    with pytest.raises(KeyboardInterrupt):
        commits.submit(1)
    assert commits.submit(2) == 2


def test_a_group_is_bounded_and_in_order_of_arrival() -> None:
    slow = Slow()
    commits: GroupCommit[int, int] = GroupCommit(slow)
    with ThreadPoolExecutor(MAX_GROUP + 10) as pool:
        results = [pool.submit(commits.submit, 0)]
        while not slow.groups:
            pass
        for number in range(MAX_GROUP + 5):
            results.append(pool.submit(commits.submit, 10 * number))
            while len(commits._queue) <= number:
                pass
        slow.may_go.set()
        assert [row.result(10) for row in results] == [0, *(20 * number for number in range(MAX_GROUP + 5))]
    assert slow.groups[1:] == [
        [10 * number for number in range(MAX_GROUP)],
        [10 * number for number in range(MAX_GROUP, MAX_GROUP + 5)],
    ]
