"""A small part of the zoo in the suite; `tests/bundle_zoo/run.py` shows all of it to both verifiers."""

from __future__ import annotations

import json

import pytest
from bundle_zoo.honest import HONEST
from bundle_zoo.run import ROOT, Case, cases, judge, main, on_disk, ours, standalone, walk
from bundle_zoo.tampered import INCOMPLETE, TAMPERED

from auditor.verify.outcome import NAMES, NUMBERS

MIN_HONEST, MIN_TAMPERED = 50, 200
SAMPLE = {
    "honest: year auditor",
    "honest: withdrawn and replaced public",
    "honest: everything rolled public",
    "honest: ladder 7 auditor",
    "honest: no round public",
    "tampered: stale cosignatures",
    "tampered: forged whole, with its own keys",
    "tampered: split view: another branch than the head",
    "tampered: rolled back below the head",
    "tampered: close: a school left out",
    "tampered: S: an old attempt",
    "tampered: two closes",
    "tampered: two agreements to two closes",
    "tampered: wrong sum, one more",
    "tampered: an element that is p",
    "tampered: a contradicting opening left out of the release",
    "tampered: a round key used in two rounds",
    "tampered: release: reports out that never were",
    "tampered: policy: a forbidden filter",
    "tampered: another root, cosigned",
    "tampered: a larger tree, cosigned",
    "tampered: receipt: of a fork",
    "tampered: MANIFEST: a path outside",
    "tampered: MANIFEST: missing",
    "tampered: disk: MANIFEST is a link",
    "tampered: changes: a withdrawn release comes back",
    "tampered: roster: a sock puppet among the auditors",
    "tampered: spelling: a number with a leading zero",
    "tampered: six rounds in a year",
    "tampered: plan: cheaper than it is",
    "tampered: another vector, its header does not follow",
    "tampered: a mask sum that is no residue",
}
BY_NAME = {case.name: case for case in cases()}


def test_the_zoo_is_as_large_as_it_says() -> None:
    assert len(HONEST) >= MIN_HONEST
    found = [case for case in TAMPERED.values() if case.number != INCOMPLETE]
    assert len(found) >= MIN_TAMPERED
    assert not SAMPLE - BY_NAME.keys()


def test_the_numbers_of_the_checks_do_not_move() -> None:
    """Documents, the second verifier and evidence packs name checks by them."""
    assert NAMES[:8] == (
        "manifest",
        "policy",
        "checkpoint",
        "tree",
        "bodies",
        "genesis",
        "entries",
        "rosters",
    )
    assert [NUMBERS[name] for name in ("close", "votes", "arithmetic", "results")] == [15, 16, 21, 25]
    assert [NUMBERS[name] for name in ("canonical", "replays", "head")] == [26, 27, 28]


def test_every_check_finds_something() -> None:
    """Those that no tampering meets first repeat, for people, what `entries` has refused already."""
    first = {case.number for case in TAMPERED.values()}
    repeated = {"policy", "rosters", "reports", "candidates", "checked", "close", "votes", "changes", "noise"}
    assert {name for name in NAMES if NUMBERS[name] not in first} <= {*repeated, "canonical", "replays"}


@pytest.mark.parametrize("name", sorted(SAMPLE))
def test_a_part_of_the_zoo_is_judged_rightly(name: str) -> None:
    case = BY_NAME[name]
    with on_disk(case) as (bundle, policy, head):
        assert judge(case, ours(bundle, policy, head)) == ""


def test_both_verifiers_agree_on_two_of_them() -> None:
    second = standalone(ROOT / "tools" / "verify_standalone.py")
    report = walk([BY_NAME["honest: tuple 43 public"], BY_NAME["tampered: close: a school left out"]], second)
    assert report.wrong == []
    assert (report.num_honest, report.num_tampered) == (1, 1)


def test_a_wrong_number_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The runner itself: an honest bundle that should fail, and a tampering that another check finds."""
    honest, tampered = BY_NAME["honest: no round public"], BY_NAME["tampered: two closes"]
    wrong = [
        Case("a", honest.make, 4),
        Case("b", tampered.make, None),
        Case("c", tampered.make, 3),
        Case("d", tampered.make, INCOMPLETE),
    ]
    monkeypatch.setattr("bundle_zoo.run.cases", lambda: iter(wrong))
    assert main(["--json"]) == 1
    values = json.loads(capsys.readouterr().out)
    told = [str(row["problem"]).split(" ")[0] for row in values["wrong"]]
    assert told == ["not", "a", "found", "failed"]
