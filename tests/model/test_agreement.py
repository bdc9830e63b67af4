"""The model of checking, agreement, abandon and opening: it holds, it misses what is left out, and the real
auditor does what it says. `python tests/model/check.py` runs all of it in full."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from model.check import ROOT, check_equivocation, check_mutant
from model.explore import NO_END, NO_RELEASE, REFUND, TWO_SETS, TWO_VOTES, Bounds, explore
from model.machine import ABANDON, GIVEN_UP, Auditor, Mutant, Seen, X, Y, steps
from model.product_rules import product_rules
from model.replay import Disagreement, replay

from auditor.signing import SignedEntry
from protos.round_log import RoundLog, closed_set

SEEN = Seen(
    same_candidates=False,
    closed=False,
    agrees=False,
    usable=True,
    open_x=False,
    open_alone=False,
    open_y=False,
    closed_y=False,
)


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave out the disk, and the log lines of refusals that are meant."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


# --- the tables -------------------------------------------------------------------------------


def test_the_tables_are_the_products_rules() -> None:
    rules = product_rules()
    assert rules.is_allowed
    assert rules.opens == (False, False, False, True, True)
    assert rules.is_over == (False, False, True, True, True)
    assert rules.is_refundable == (False, False, False, True, True)
    assert all(named.bit_count() >= 3 for _, named, _ in rules.sets)


def test_a_set_is_what_the_named_checks_leave() -> None:
    sets = product_rules().sets
    everybody = ("s1", "s2", "s3", "s4", "s5", "s6")
    assert sets[0, 0b0111, ""] == everybody
    assert sets[0b001, 0b1110, ""] == everybody  # whom the garbled box belongs to is not named
    assert sets[0b001, 0b0111, ""] == ("s1", "s2", "s3", "s4", "s6")
    assert (0b001, 0b1011, "s6") not in sets  # four schools are too few


def test_the_product_refuses_a_quorum_that_is_one_too_low() -> None:
    assert not product_rules(2).is_allowed


def test_a_lying_opening_is_never_chosen_and_is_settled_by_people() -> None:
    releases = product_rules().releases
    assert releases[0b111, ""] == (True, True)
    assert releases[0b111, "wrong"] == (True, False)
    assert releases[0b011, "wrong"] == (False, False)
    assert releases[0b011, "right"] == (True, True)


def test_an_honest_auditor_agrees_exactly_to_a_set_that_it_can_answer_for() -> None:
    rules = product_rules()
    found = set()
    for (garbled, named, refused, auditor), agrees in rules.agrees.items():
        usable = not (garbled >> auditor & 1 and "s5" in rules.sets[garbled, named, refused])
        found.add((bool(named >> auditor & 1), usable, agrees))
    assert found == {(True, True, True), (False, True, True), (False, False, False)}


# --- one auditor ------------------------------------------------------------------------------


def words(auditor: Auditor, **seen: bool) -> list[str]:
    """What may happen to an auditor next, apart from losing its state."""
    return [step.words for step in steps(auditor, SEEN._replace(**seen), None) if not step.is_loss]


def test_a_statement_is_written_before_it_is_sent_and_a_crash_between_loses_nothing() -> None:
    (step,) = [row for row in steps(Auditor(), SEEN, None) if "check of the candidates of X" in row.words]
    assert (step.after.checked, step.after.checked_sent) == (X, 0)
    sends, dies = words(step.after)
    assert sends.startswith("sends its check")
    assert dies.startswith("dies before it sends")
    assert "sends its check of the candidates of X from its slot" in words(step.after._replace(pending=None))


def test_a_taken_slot_leaves_one_answer() -> None:
    voted = Auditor(checked=X, checked_sent=X, named=True, vote=X, vote_sent=X)
    assert words(voted, closed=True, agrees=True, closed_y=True) == [
        "is out of time: destroys its keys unopened"
    ]
    assert words(voted._replace(opening=X, opening_sent=X), open_x=True, open_y=True) == []
    assert words(voted._replace(vote=ABANDON, vote_sent=ABANDON), closed=True, open_x=True) == []
    assert words(voted._replace(opening=GIVEN_UP), closed=True, open_x=True) == []


def test_an_auditor_that_the_close_does_not_name_agrees_if_it_can_answer() -> None:
    for checked in (0, X, Y):
        auditor = Auditor(checked=checked, checked_sent=checked)
        (step,) = [row for row in steps(auditor, SEEN._replace(closed=True, agrees=True), None) if row.helps][
            :1
        ]
        assert step.words == "writes to the slot its agreement to close X"
    (step,) = [row for row in steps(Auditor(), SEEN._replace(closed=True), None) if row.helps][:1]
    assert step.words == "cannot agree to close X: writes to the slot its abandon"


def test_an_opening_needs_a_quorum_and_the_agreement_to_the_same_close() -> None:
    voted = Auditor(checked=X, checked_sent=X, named=True, vote=X, vote_sent=X)
    assert not any("opening" in row for row in words(voted, closed=True, open_y=True))
    assert any("opening of set X" in row for row in words(voted, closed=True, open_x=True))


def test_an_auditor_that_lost_its_state_does_nothing() -> None:
    assert steps(Auditor(lost=True), SEEN._replace(closed=True, open_x=True), None) == ()


# --- all of it --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bounds",
    [Bounds(forks=False), Bounds(other_candidates=False, losses=False, garbling=False)],
    ids=["one history", "a fork"],
)
def test_everything_holds(bounds: Bounds) -> None:
    result = explore(bounds=bounds)
    assert result.traces == {}
    assert result.num_states > 10_000
    assert result.counts["release in reach"] > 100
    assert result.counts["abandon in reach"] > 1000
    stuck = [what for what in result.counts if what.startswith("neither")]
    assert stuck
    assert all(not what.endswith("absent: none") for what in stuck)


@pytest.mark.parametrize(
    ("mutant", "claim", "ending"),
    [
        (Mutant.WRITE_AFTER_SEND, TWO_SETS, "opened X"),
        (Mutant.LOW_QUORUM, TWO_SETS, "opened X"),
        (Mutant.NO_CHECKED, NO_END, "a garbled box"),
        (Mutant.NAMED_ONLY, NO_END, "undecided"),
    ],
    ids=lambda value: value.value if isinstance(value, Mutant) else "",
)
def test_what_is_left_out_is_missed(mutant: Mutant, claim: str, ending: str) -> None:
    result = check_mutant(mutant)
    assert not result.ok
    assert ending in result.traces[claim][-1]


def test_the_counterexample_of_a_late_write_has_the_crash_in_it() -> None:
    trace = check_mutant(Mutant.WRITE_AFTER_SEND).traces[TWO_SETS]
    assert sum("dies before it writes to the slot its agreement" in row for row in trace) == 1


def test_one_lying_auditor_is_in_both_quorums_when_q_is_lowered() -> None:
    trace = check_mutant(Mutant.LOW_QUORUM).traces[TWO_SETS]
    assert trace[-1] == "a1: undecided; a2: agreed to X, opened X; a3: agreed to Y, opened Y"


def test_a_restored_auditor_that_signs_answers_twice() -> None:
    bounds = Bounds(other_candidates=False, garbling=False, expiry=False)
    trace = explore(Mutant.RESTORED_SIGNS, bounds, TWO_VOTES).traces[TWO_VOTES]
    assert any("is restored from an old copy" in row for row in trace)


def test_without_checks_one_school_stops_the_round_for_ever() -> None:
    result = check_mutant(Mutant.NO_CHECKED)
    assert {NO_END, NO_RELEASE} <= set(result.traces)
    assert not {TWO_SETS, TWO_VOTES, REFUND} & set(result.traces)
    assert result.traces[NO_END][0].startswith("school s5 garbles")


def test_if_only_named_auditors_agreed_a_silent_liar_would_stop_the_round() -> None:
    result = check_mutant(Mutant.NAMED_ONLY)
    assert set(result.traces) == {NO_END, NO_RELEASE}
    assert result.traces[NO_END][-1] == "a1: agreed to X; a2: agreed to X; a3: undecided"


def test_quick_figures_of_the_answers() -> None:
    found = check_equivocation(5)
    assert found["wrong"] == []
    assert found["parameters"] == 35


# --- a product that is wrong ------------------------------------------------------------------


@pytest.fixture
def fresh_tables() -> Iterator[None]:
    """Ask the product anew, and forget what it answered."""
    product_rules.cache_clear()
    yield
    product_rules.cache_clear()


@pytest.mark.usefixtures("fresh_tables")
def test_a_closed_set_that_keeps_refused_reports_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("protos.round_log", "auditor.agree", "model.product_rules"):
        monkeypatch.setattr(f"{module}.closed_set", lambda round_log, _: closed_set(round_log, ()))
    assert NO_END in explore(bounds=Bounds(forks=False, losses=False)).traces


@pytest.mark.usefixtures("fresh_tables")
def test_a_refund_before_it_is_proven_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RoundLog, "is_refundable", property(lambda row: len(row.abandons) >= 2))
    assert REFUND in explore(bounds=Bounds(other_candidates=False, losses=False), stop_at=REFUND).traces


# --- the real auditor -------------------------------------------------------------------------


def test_the_real_auditor_does_what_the_model_says(tmp_path: Path) -> None:
    done = replay(tmp_path, 14)
    assert done.num_turns == 112
    kinds = {(verb, slot) for verb, slot, _ in done.events}
    assert kinds == {(verb, slot) for verb in ("write", "send") for slot in ("checked", "vote", "opening")}
    assert {value for _, slot, value in done.events if slot == "vote"} == {X, Y, ABANDON}
    assert any(event is not None and event[0] == "write" for event in done.crashes)


@pytest.mark.parametrize("spoil", ["write-after-send", "signs-anything"])
def test_another_auditor_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: str) -> None:
    if spoil == "signs-anything":
        monkeypatch.setattr("auditor.agree.verify_close", lambda *_: None)
    else:
        monkeypatch.setattr("auditor.agree.store_entry", _store_nothing)
    with pytest.raises(Disagreement):
        replay(tmp_path, 40)


def _store_nothing(_state: object, _kind: object, _round: bytes, signed: SignedEntry) -> SignedEntry:
    return signed


# --- the command ------------------------------------------------------------------------------


def test_the_command_prints_a_counterexample_and_fails() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests/model/check.py"), "--mutant", "low-quorum", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    figures = json.loads(done.stdout)
    assert figures["ok"] is False
    assert TWO_SETS in figures["model"]["counterexamples"]
