"""The draw of the schools that are replayed: its known answer, its odds, from a folder and from a bundle."""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from click.testing import CliRunner
from fakes_auditors import FakeCounty, run_all

from auditor.challenge import find_challenge, find_round, select
from auditor.cli import auditor
from auditor.desk import Desk
from auditor.errors import LinkError, RefusalError
from protos.bodies import ReportName
from protos.challenge import (
    ChallengeError,
    below,
    challenge_of,
    challenge_seed,
    draw_rows,
    num_draws,
    odds,
    odds_against_county,
    replays_needed,
)

VECTOR = json.loads((Path(__file__).parents[1] / "vectors" / "challenge.json").read_text())


def schools(number: int) -> list[ReportName]:
    return [ReportName(f"s{place:03d}", 0, bytes([place % 256]) * 32) for place in range(1, number + 1)]


def by_the_book(close: bytes, draws: list[bytes], names: list[str], number: int) -> list[str]:
    """The algorithm as the page tells it, written again with nothing of ours."""

    def e(*parts: bytes) -> bytes:
        return b"".join(struct.pack(">I", len(part)) + part for part in parts)

    seed = hashlib.sha256(e(b"challenge", close, *draws)).digest()
    rows, k = list(names), 0
    for i in range(number):
        left = len(rows) - i
        while True:
            word = int.from_bytes(hashlib.sha256(e(b"draw", seed, struct.pack(">Q", k))).digest()[:8], "big")
            k += 1
            if word < 2**64 // left * left:
                break
        j = i + word % left
        rows[i], rows[j] = rows[j], rows[i]
    return rows[:number]


def test_the_known_answer() -> None:
    close, draws = bytes.fromhex(VECTOR["close"]), [bytes.fromhex(text) for text in VECTOR["draws"]]
    seed = challenge_seed(close, draws)
    drawn = [row.node for row in draw_rows(seed, schools(VECTOR["population"]), VECTOR["number"])]
    assert (seed.hex(), drawn) == (VECTOR["seed"], VECTOR["schools"])
    names = [row.node for row in schools(VECTOR["population"])]
    assert by_the_book(close, draws, names, VECTOR["number"]) == drawn


def test_a_larger_draw_begins_with_a_smaller_one_and_draws_nobody_twice() -> None:
    rows = draw_rows(bytes(32), schools(40), 40)
    assert rows[:7] == draw_rows(bytes(32), schools(40), 7)
    assert sorted(rows) == schools(40)


@pytest.mark.parametrize("number", [0, -1, 41])
def test_a_draw_that_does_not_fit(number: int) -> None:
    with pytest.raises(ChallengeError):
        draw_rows(bytes(32), schools(40), number)


def test_words_that_would_favour_some_are_thrown_away() -> None:
    """2^64 is one more than a multiple of five: the last word of all would favour the first of five."""
    assert 2**64 % 5 == 1
    assert below(iter([2**64 - 1, 7]), 5) == 2
    assert below(iter([2**64 - 2]), 5) == 4


def test_each_school_is_drawn_as_often_as_any() -> None:
    """Chi-square over 2,000 fixed seeds, 9 degrees of freedom; 33.7 is passed by chance once in 10,000."""
    counts = [0] * 10
    for number in range(2000):
        seed = hashlib.sha256(number.to_bytes(4)).digest()
        for row in draw_rows(seed, schools(10), 3):
            counts[int(row.node[1:]) - 1] += 1
    assert sum((count - 600) ** 2 / 600 for count in counts) < 33.7


def test_the_odds_of_the_design() -> None:
    assert round(float(odds(300, 10, 60)), 3) == 0.897
    assert replays_needed(300, 10, Fraction(9, 10)) == 61
    assert odds(300, 10, 291) == 1
    assert replays_needed(5, 5, Fraction(1, 2)) == 1
    assert num_draws(4, 3) == 5
    assert odds_against_county(300, 10, 60, 5) == 1 - 5 * (1 - odds(300, 10, 60))
    assert odds_against_county(300, 10, 5, 5) == 0


@pytest.mark.parametrize("values", [(10, 0, "1/2"), (10, 11, "1/2"), (10, 1, "0"), (10, 1, "1")])
def test_odds_that_make_no_sense(values: tuple[int, int, str]) -> None:
    with pytest.raises(ChallengeError):
        replays_needed(values[0], values[1], Fraction(values[2]))


# ---------------------------------------------------------------- of a round


def test_no_draw_before_it_is_known_which_openings_count(
    county: FakeCounty, desks: dict[str, Desk], closed_round: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_arguments: object) -> int:
        raise LinkError("unavailable", "no answer", is_temporary=True)

    with pytest.raises(RefusalError, match="no-draw"):
        find_challenge(county.round(closed_round))
    with monkeypatch.context() as patch:
        patch.setattr(desks["a4"].context.link, "submit_opening", away)
        run_all(list(desks.values()), 3)
    with pytest.raises(RefusalError, match="no opening of a4"):
        find_challenge(county.round(closed_round))
    county.release_real(closed_round)
    challenge = find_challenge(county.round(closed_round))
    assert challenge.withheld == ("a4",)
    assert list(challenge.revealed) == ["a1", "a2", "a3"]
    run_all(list(desks.values()), 1)
    late = find_challenge(county.round(closed_round))
    assert (late.seed, late.withheld) == (challenge.seed, ())
    assert late.late == ("a4",)


def test_the_draw_needs_every_revealed_part(county: FakeCounty, opened_round: bytes) -> None:
    round_log = county.round(opened_round)
    found = challenge_of(round_log)
    draws = [round_log.openings[name].statement.draw for name in round_log.terms.auditors]
    assert found.seed == challenge_seed(found.close, draws)
    for place in range(len(draws)):
        assert found.seed != challenge_seed(found.close, [*draws[:place], b"", *draws[place + 1 :]])
    assert [row.node for row in found.schools] == sorted(county.nodes)


def test_select_says_how_many(county: FakeCounty, opened_round: bytes) -> None:
    round_log = county.round(opened_round)
    assert len(select(round_log, None, None, None).schools) == 6  # one cheater of six: 0.9 needs them all
    assert len(select(round_log, None, Fraction(1, 2), 1).schools) == 3
    assert select(round_log, 2, None, 3).found == odds(6, 3, 2)
    with pytest.raises(RefusalError, match="odds"):
        select(round_log, 7, None, None)


@pytest.mark.parametrize("prefix", ["", "0", "zzzz"])
def test_a_round_is_named_by_four_digits_that_are_its_own(
    county: FakeCounty, opened_round: bytes, prefix: str
) -> None:
    with pytest.raises(RefusalError, match="which-round") as caught:
        find_round(county.ledger, prefix)
    assert f"{opened_round.hex()[:8]} (1)" in str(caught.value)
    assert find_round(county.ledger, opened_round.hex()[:8]).round_id == opened_round


def test_inspectors_draw_the_same_from_a_bundle(
    county: FakeCounty, desks: dict[str, Desk], opened_round: bytes, tmp_path: Path
) -> None:
    from auditor.bundle_write import write_bundle

    county.release_real(opened_round)
    run_all(list(desks.values()), 2)
    write_bundle(desks["a1"].context, tmp_path / "bundle", is_public=True)
    policy = tmp_path / "policy.txt"
    policy.write_text(county.policy_text())
    command = ["challenge", "select", opened_round.hex()[:12], "--number", "3", "--json"]
    bundle = ["--bundle", str(tmp_path / "bundle")]
    found = CliRunner().invoke(auditor, [*command, *bundle, "--policy", str(policy)])
    values = json.loads(found.stdout)
    expected = select(county.round(opened_round), 3, None, None).schools
    assert [row["node"] for row in values["schools"]] == [row.node for row in expected]
    assert values["found"] == 0.5
    assert CliRunner().invoke(auditor, [*command, *bundle]).exit_code == 2
    blob = next((tmp_path / "bundle" / "log" / "blob").iterdir())
    blob.write_bytes(blob.read_bytes() + b" ")
    spoilt = CliRunner().invoke(auditor, [*command, *bundle, "--policy", str(policy)])
    assert (spoilt.exit_code, json.loads(spoilt.stdout)["error"]) == (1, "bundle")


def test_a_draw_of_another_order_of_schools_is_another(county: FakeCounty, opened_round: bytes) -> None:
    challenge = challenge_of(county.round(opened_round))
    turned = replace(challenge, schools=challenge.schools[::-1])
    assert turned.draw(3) != challenge.draw(3)


@pytest.mark.parametrize("text", ["nan", "inf", "-inf"])
def test_a_probability_that_is_no_number(text: str) -> None:
    found = CliRunner().invoke(auditor, ["challenge", "select", "abcd", "--probability", text])
    assert (found.exit_code, isinstance(found.exception, SystemExit)) == (2, True)
