"""Every parser, any bytes: only its room's errors, whole round trips, bounded time and memory."""

import tracemalloc
from collections.abc import Iterator
from functools import partial
from random import Random
from time import thread_time

import pytest
from fuzz.memory import peak_bytes
from fuzz.mutate import long_inputs, mutate
from fuzz.seeds import seeds
from fuzz.targets import MIB, TARGETS, Target, run_once
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

EACH = pytest.mark.parametrize("target", TARGETS.values(), ids=list(TARGETS))
FEW = settings(
    max_examples=10, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
SIZE = MIB // 16  # `make fuzz` does the same with a whole MiB
MAX_SECONDS = 5  # of this thread's own time while memory is counted; without that a tenth of it


def test_every_parser_has_valid_inputs_to_start_from():
    assert seeds().keys() == TARGETS.keys()


@EACH
def test_valid_inputs_are_taken_and_go_round(target: Target):
    assert run_once(target, seeds()[target.name][0])
    for data in seeds()[target.name]:
        run_once(target, data)


@EACH
def test_random_bytes_raise_only_the_rooms_errors(target: Target):
    @FEW
    @given(st.binary(max_size=300))
    def check(data: bytes) -> None:
        run_once(target, data)

    check()


@EACH
def test_changed_inputs_raise_only_the_rooms_errors(target: Target):
    valid = seeds()[target.name]

    @FEW
    @given(st.integers(0, 2**64 - 1))
    def check(seed: int) -> None:
        random = Random(seed)
        for _ in range(3):
            run_once(target, mutate(random, random.choice(valid), valid, target.grammar))

    check()


@pytest.fixture(scope="module")
def traced() -> Iterator[None]:
    """Count memory while these tests run."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


@EACH
def test_long_inputs_take_bounded_time_and_memory(target: Target, traced: None):
    for name, data in long_inputs(seeds()[target.name][0], SIZE).items():
        started = thread_time()
        assert peak_bytes(partial(run_once, target, data)) < target.memory_bytes * SIZE // MIB, name
        assert thread_time() - started < MAX_SECONDS, name
