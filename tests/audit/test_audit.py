"""The audit of the whole path (bench/audit.py), short: each right case, and that each mutant is caught.

A right case has 108,864 runs a side after those that choose the threshold. With fresh keys its lower bound on
mu would lie above the claim less than once in 1,000 audits (that is what 99.9 % means; in fact it stands 4.6
standard deviations away) and below 95 % of the claim once in 30,000; the keys are fixed. `make audit` takes
four times as many.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from bench.audit import Trial, audit, main, mu_lower_bound, trials
from bench.audit_path import SCHOOLS, released, rounds

ROUNDS, MUTANT_ROUNDS = 24, 6
TRIALS = list(trials())
SOUND = [trial for trial in TRIALS if trial.is_sound and "tier 1" not in trial.name]
# once each: what other cases and relations would repeat is left to the long audit
MUTANTS = list({t.name.partition(": ")[2]: t for t in reversed(TRIALS) if not t.is_sound}.values())
KINDS = ("partition", "multi-valued", "numeric sum", "turnout ladder, tier 2", "replace-one", "add-remove")
EVERY = 5.2  # standard deviations of a normal number: once in 5 million


def by_name(trial: Trial) -> str:
    return trial.name.replace(", ", "-").replace(": ", "-").replace(" ", "-")


@pytest.mark.parametrize("trial", SOUND, ids=by_name)
def test_a_pupil_shows_what_is_claimed_and_not_more(trial: Trial) -> None:
    result = audit(trial, ROUNDS)
    assert result.claimed_mu == pytest.approx(1, abs=2e-3)
    assert 0.95 * result.claimed_mu <= result.mu_low <= result.claimed_mu
    assert result.ok


@pytest.mark.parametrize("trial", MUTANTS, ids=by_name)
def test_the_audit_catches_a_mutant(trial: Trial) -> None:
    result = audit(trial, MUTANT_ROUNDS)
    assert result.mu_low > result.claimed_mu
    assert result.ok


def test_every_kind_of_case_and_of_fault_is_there() -> None:
    sound = " ".join(trial.name for trial in SOUND)
    faults = {trial.name.partition(": ")[2] for trial in TRIALS if not trial.is_sound}
    assert all(word in sound for word in KINDS)
    assert faults == {
        "half of the schools add no noise",
        "15 percent less noise",
        "a pupil is counted twice",
        "every table gets the whole rho",
        "noise for one touched cell",
        "the cap is not enforced",
        "values are not measured from lo",
        "the range is counted once",
        "a tier is skipped",
        "the last step is not drawn",
    }


@pytest.mark.parametrize("trial", [t for t in SOUND if "ladder" not in t.name], ids=by_name)
def test_one_pupils_record_moves_the_cells_of_one_seat_and_as_far_as_in_the_experiment(trial: Trial) -> None:
    """So a round of neighbours on every seat is as many runs with one pair of neighbours each."""
    experiment = trial.experiment
    all_before, all_after = (experiment.count(records) for records in experiment.files)
    scale = np.concatenate([np.full(t.cells, t.noise.scale) for t in experiment.layout.tables])
    for seat in (0, 2519, 5039):
        before, after = (experiment.count(records) for records in experiment.neighbours(seat))
        own = experiment.seat_of == seat
        assert np.array_equal((after - before)[own], (all_after - all_before)[own])
        assert not np.any((after - before)[~own])
        change = (after - before) / scale
        for table in experiment.layout.tables:
            assert (change[table.offset : table.end] ** 2).sum() == table.delta_sq  # the worst pair there is


def _noise(trial: Trial, num_rounds: int) -> np.ndarray:
    """The noise of whole rounds, in standard deviations; shape (rounds, cells)."""
    experiment, layout = trial.experiment, trial.experiment.layout
    x = experiment.count(experiment.files[1])
    sigma = np.sqrt(SCHOOLS * np.concatenate([np.full(t.cells, t.noise.s2) for t in layout.tables]))
    played = rounds(experiment.document, layout, "noise", num_rounds)
    return np.array([released(round_, [x] * SCHOOLS) - SCHOOLS * x for round_ in played]) / sigma


def test_the_runs_of_a_round_and_of_several_rounds_are_independent() -> None:
    """Correlations of the released noise: of neighbouring cells, of a pupil's tables, of two rounds."""
    trial = SOUND[0]
    noise = _noise(trial, 8)
    assert abs(float((noise**2).mean()) - 1) < EVERY * np.sqrt(2 / noise.size)
    pairs = [(noise[:, :-lag], noise[:, lag:]) for lag in (1, 2, 3, 7, 8, 64, 10_080)]
    pairs += [(noise[:-lag], noise[lag:]) for lag in (1, 2, 3)]
    one, two = trial.experiment.layout.tables
    seats = trial.experiment.seat_of
    places = [np.argsort(seats[t.offset : t.end], kind="stable") + t.offset for t in (one, two)]
    pairs.append((noise[:, places[0]], noise[:, places[1]]))
    for a, b in pairs:
        assert abs(float((a * b).mean())) < EVERY / np.sqrt(a.size)


def test_the_command_prints_a_line_each_and_fails_where_a_claim_is_not_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["partition, replace-one: 15", "--rounds", "3", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert found["mu_low"] > found["claimed_mu"]
    assert (found["runs"], found["is_sound"], found["ok"]) == (3 * 5040 * 9 // 10, False, True)
    assert main(["numeric sum, add-remove", "--rounds", "1"]) == 1  # so few runs do not come near the claim
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines] == ["WRONG"] + ["caught"] * 4


def test_the_bound_is_below_the_truth_and_near_it() -> None:
    """A normal mechanism of known mu, without any product in it."""
    rng = np.random.default_rng(1)
    for mu in (0.5, 1.0, 2.0):
        low, runs = mu_lower_bound(rng.normal(0, 1, 400_000), rng.normal(mu, 1, 400_000))
        assert runs == 360_000
        assert mu - 0.04 < low < mu
