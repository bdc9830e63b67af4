"""Group commit: what waits together is committed together, and everybody gets an own answer."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from coordinator.group_commit import MAX_GROUP, GroupCommit, _Waiting


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


class Interrupted:
    """A gate whose waiter is interrupted at the moment when it is to lead."""

    def __init__(self) -> None:
        self.is_open = threading.Event()

    def acquire(self) -> None:
        assert self.is_open.wait(10)
        raise KeyboardInterrupt

    def release(self) -> None:
        self.is_open.set()


def test_a_leader_that_is_interrupted_hands_on(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Slow()
    commits: GroupCommit[int, int] = GroupCommit(slow)
    outcomes: dict[int, int | str] = {}

    def submit(item: int) -> None:
        try:
            outcomes[item] = commits.submit(item)
        except KeyboardInterrupt:
            outcomes[item] = "interrupted"

    def start(item: int) -> threading.Thread:
        thread = threading.Thread(target=submit, args=(item,), daemon=True)  # one that hangs must not hang us
        thread.start()
        while [item] not in slow.groups and item not in [row.item for row in list(commits._queue)]:
            pass
        return thread

    threads = [start(0)]
    with monkeypatch.context() as patch:
        patch.setattr("coordinator.group_commit._Waiting", partial(_Waiting, gate=Interrupted()))
        threads.append(start(10))
    threads.append(start(20))
    slow.may_go.set()
    for thread in threads:
        thread.join(10)
    assert outcomes == {0: 0, 10: "interrupted", 20: 40}
    assert slow.groups == [[0], [20]]


def test_an_answer_does_not_wait_for_the_next_commit() -> None:
    may_go = [threading.Event(), threading.Event()]
    groups: list[list[int]] = []

    def commit(items: Sequence[int]) -> list[int | Exception]:
        groups.append(list(items))
        assert may_go[len(groups) - 1].wait(10)
        return list(items)

    commits: GroupCommit[int, int] = GroupCommit(commit)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(commits.submit, 1)
        while not groups:
            pass
        second = pool.submit(commits.submit, 2)
        while not commits._queue:
            pass
        may_go[0].set()
        assert first.result(10) == 1
        assert not second.done()
        may_go[1].set()
        assert second.result(10) == 2
