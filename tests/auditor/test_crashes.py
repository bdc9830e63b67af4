"""A crash at every durable write of one auditor's round: the same result, one answer, the same bytes."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes_auditors import Entropy, FakeCounty, FakeLink, joined_county, run_all, small_plan

from auditor.desk import Desk
from auditor.durable import Durable, ignore_durable
from auditor.signing import stored_entry
from auditor.state import SecretKind, SlotKind

EVERY = int(os.environ.get("FEDSCREEN_CRASH_EVERY", "7"))


class Crash(Exception):
    """The process dies here."""


class Recorder:
    """Counts durable steps and dies at one of them."""

    def __init__(self, number: int = 0) -> None:
        self.number = number
        self.steps: list[str] = []

    def __call__(self, step: str) -> None:
        self.steps.append(step)
        if len(self.steps) == self.number:
            raise Crash(step)


class Unstable:
    """An auditor whose process dies once, at the n-th durable write, and is started again."""

    def __init__(self, county: FakeCounty, directory: Path, link: FakeLink, durable: Durable) -> None:
        self.county, self.directory, self.link = county, directory, link
        self.entropy = Entropy("unstable")
        self.crashes = 0
        self.durable = durable
        self.desk = self._start()

    def _start(self) -> Desk:
        try:
            return self.county.desk(
                "a1", self.directory, link=self.link, durable=self.durable, entropy=self.entropy
            )
        except Crash:
            self._note_crash()
            return self._start()

    def _note_crash(self) -> None:
        self.crashes += 1
        self.durable = ignore_durable

    def approve(self, round_id: bytes) -> None:
        try:
            self.desk.approve(round_id)
        except Crash:
            self._note_crash()
            self.desk = self._start()
            self.desk.approve(round_id)

    def step(self) -> None:
        try:
            self.desk.step()
        except Crash:
            self._note_crash()
            self.desk = self._start()
            self.desk.step()


def _whole_round(tmp_path: Path, durable: Durable, num_auditors: int) -> tuple[FakeCounty, Unstable, bytes]:
    """Run a round in which a1 may crash; with four auditors a4 is away, so that nothing works without a1."""
    tuple_ = {1: (1, 1, 0, 1), 4: (4, 3, 1, 3)}[num_auditors]
    county = joined_county(num_auditors=num_auditors, quorum=tuple_[3], tuple_=tuple_, num_nodes=5)
    unstable = Unstable(county, tmp_path / "a1", county.link("a1"), durable)
    others = [county.desk(name, tmp_path / name) for name in sorted(county.auditors)[1:]]
    n, t, f, q = tuple_
    plan = replace(small_plan(), num_auditors=n, threshold=t, collude=f, quorum=q)
    round_id = county.publish_plan(plan)
    unstable.approve(round_id)
    for desk in others:
        desk.approve(round_id)
    present = others[:2]
    county.collect(round_id)
    county.fix_candidates(round_id)
    unstable.step()
    run_all(present, 1)
    county.close(round_id)
    for _ in range(3):
        unstable.step()
        run_all(present, 1)
    return county, unstable, round_id


def test_every_signature_and_secret_passes_the_hook(tmp_path: Path) -> None:
    recorder = Recorder()
    _whole_round(tmp_path, recorder, 4)
    names = {step.rsplit(" ", 1)[0] for step in recorder.steps}
    assert names >= {
        "instance",
        "secret-round-key",
        "secret-draw",
        "slot-approval",
        "slot-checked",
        "slot-decision",
        "slot-opening",
        "destroy-round-key",
        "destroy-draw",
        "witness",
        "mirror-entries",
        "mirror-latest",
    }
    assert sum(name.startswith("sum-") for name in names) == 3


def test_a_crash_at_a_durable_write(tmp_path: Path) -> None:
    """At every third; `make kills` takes them all."""
    recorder = Recorder()
    _whole_round(tmp_path / "count", recorder, 1)
    total = len(recorder.steps)
    assert total > 60
    for number in range(1, total + 1, EVERY):
        _crash_at(tmp_path / str(number), number, 1)


@pytest.mark.parametrize("what", ["slot-decision", "slot-opening", "destroy-round-key"])
def test_a_crash_around_the_decisive_writes_among_four(tmp_path: Path, what: str) -> None:
    recorder = Recorder()
    _whole_round(tmp_path / "count", recorder, 4)
    numbers = [number for number, step in enumerate(recorder.steps, start=1) if step.startswith(what)]
    assert len(numbers) == 3
    for number in numbers:
        _crash_at(tmp_path / str(number), number, 4)


def _crash_at(tmp_path: Path, number: int, num_auditors: int) -> None:
    county, unstable, round_id = _whole_round(tmp_path, Recorder(number), num_auditors)
    row = county.round(round_id)
    assert unstable.crashes == 1, number
    assert sorted(row.openings) == sorted(county.auditors)[:3], number
    assert not row.abandons, number
    opened = county.combine(round_id, sorted(row.openings))
    assert np.array_equal(opened, county.expected_sums(round_id)), number
    _assert_sent_once(unstable, round_id, number)


def _assert_sent_once(unstable: Unstable, round_id: bytes, number: int) -> None:
    """Whatever was sent, however often, was the content of the slots."""
    state = unstable.desk.state
    slots = [stored_entry(state, kind, round_id) for kind in SlotKind]
    stored = {entry.entry for entry in slots if entry is not None}
    assert len(stored) == 4, number
    assert set(unstable.link.sent) == stored, number
    assert state.secret(SecretKind.ROUND_KEY, round_id) is None, number
    assert state.secret(SecretKind.DRAW, round_id) is None, number
