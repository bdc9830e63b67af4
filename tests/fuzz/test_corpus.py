"""Kept inputs, run again: the corpus that fuzzing found and what once got through (`past/`)."""

from pathlib import Path

import pytest
from fuzz.targets import TARGETS, run_once

HERE = Path(__file__).parent
MAX_CORPUS_BYTES = 300 * 1024


def _files(kind: str, target: str) -> list[Path]:
    return sorted((HERE / kind / target).glob("*"))


@pytest.mark.parametrize("target", TARGETS.values(), ids=list(TARGETS))
@pytest.mark.parametrize("kind", ["corpus", "past"])
def test_kept_inputs_raise_only_the_rooms_errors(kind, target):
    for path in _files(kind, target.name):
        run_once(target, path.read_bytes())


@pytest.mark.parametrize("kind", ["corpus", "past"])
def test_kept_inputs_belong_to_a_target(kind):
    assert {path.name for path in (HERE / kind).iterdir() if path.is_dir()} <= set(TARGETS)


def test_the_corpus_is_small_and_covers_every_target_that_valid_inputs_do_not_exhaust():
    assert (
        sum(path.stat().st_size for path in (HERE / "corpus").rglob("*") if path.is_file()) < MAX_CORPUS_BYTES
    )
    assert len(list((HERE / "corpus").iterdir())) > len(TARGETS) // 2
