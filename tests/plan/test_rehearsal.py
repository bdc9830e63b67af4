"""A codebook rehearsed on made-up pupils: what must come out good, and what must be noticed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner

import plan
from fedscreen.planning.cli import plan as command
from plan import rehearsal
from plan.codebook import Codebook, parse_codebook_toml
from plan.document import PlanDocument, parse_plan_toml
from plan.errors import CodebookError
from plan.layout import Layout
from plan.publishing import pin_codebook, resolve, use_codebook
from plan.record import Record
from plan.rehearsal import rehearse
from plan.scores import parse_comparator
from plan.tabulation import Counts, tabulate

BOOKS = Path(__file__).parents[2] / "examples" / "codebooks"
READY = Path(plan.__file__).parent / "ready"


def book(name: str = "mht") -> Codebook:
    return parse_codebook_toml((BOOKS / f"{name}.toml").read_bytes())


def ready(name: str, codebook: Codebook) -> PlanDocument:
    return pin_codebook(resolve(parse_plan_toml((READY / f"{name}.toml").read_bytes()), 60), codebook)


@pytest.mark.parametrize(
    "name", ["autumn-full", "autumn-small", "ledgers", "spring-monitor", "follow-up", "prefecture-rare"]
)
def test_every_ready_plan_is_good_with_its_codebook_and_reaches_every_table(name: str) -> None:
    found = rehearse(ready(name, book()), book(), 600)
    assert (found.failed, found.broken, found.is_good) == ((), (), True)
    assert all(row.reached for row in found.tables)
    assert found.digest == book().digest.hex()
    assert found == rehearse(ready(name, book()), book(), 600)


@pytest.mark.parametrize("name", sorted(path.stem for path in BOOKS.glob("*.toml")))
def test_every_codebook_that_is_shipped_can_be_rehearsed(name: str) -> None:
    codebook = book(name)
    draft = resolve(parse_plan_toml((READY / "autumn-full.toml").read_bytes()), 60)
    found = rehearse(use_codebook(draft, codebook), codebook, 100)
    assert found.failed == ()
    assert found.is_good


def test_a_factor_that_can_never_be_high_is_noticed() -> None:
    codebook = book()
    first = replace(codebook.factors[0], high=parse_comparator(">= 1000"))
    changed = replace(codebook, factors=(first, *codebook.factors[1:]))
    found = rehearse(ready("autumn-full", changed), changed, 200)
    assert not found.is_good
    assert [str(case.what) for case in found.failed] == [f"factor {first.id}: it can be high and not high"]


def test_a_label_set_without_a_level_is_told() -> None:
    codebook = book()
    first = codebook.label_sets[0]
    kept = tuple(pair for pair in first.labels if pair[1] != "3")
    changed = replace(codebook, label_sets=(replace(first, labels=kept), *codebook.label_sets[1:]))
    assert (first.name, ("3",)) in rehearse(ready("autumn-full", changed), changed, 200).unreached


def test_a_pupil_lost_in_counting_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(layout: Layout, records: Iterable[Record], attributes: Mapping[str, str]) -> Counts:
        return tabulate(layout, list(records)[2:], attributes)

    monkeypatch.setattr(rehearsal, "tabulate", careless)
    found = rehearse(ready("autumn-full", book()), book(), 200)
    assert not found.is_good
    assert any("as many pupils at each level" in str(case.what) for case in found.failed)


def test_scores_beyond_their_range_must_be_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def lenient(_self: Codebook, _score: Decimal) -> None:
        return None

    monkeypatch.setattr(Codebook, "check_total", lenient)
    found = rehearse(ready("autumn-full", book()), book(), 200)
    assert len(found.failed) == 2


def test_another_codebook_than_the_plans_is_refused() -> None:
    with pytest.raises(CodebookError):
        rehearse(ready("autumn-full", book()), book("phq9"))


def test_the_command_says_what_every_label_means_and_how_it_ends(tmp_path: Path) -> None:
    path = str(BOOKS / "mht.toml")
    found = CliRunner().invoke(command, ["rehearse", "autumn-full", "--codebook", path, "--pupils", "400"])
    assert (found.exit_code, "红色" in found.output, "good" in found.output) == (0, True, True)
    values = json.loads(
        CliRunner()
        .invoke(command, ["rehearse", "ledgers", "--codebook", path, "--pupils", "400", "--json"])
        .output
    )
    assert values["good"] is True
    bad = tmp_path / "bad.toml"
    bad.write_text((BOOKS / "mht.toml").read_text("utf-8").replace('id = "mht"', 'id = "other"'), "utf-8")
    assert CliRunner().invoke(command, ["rehearse", "autumn-full", "--codebook", str(bad)]).exit_code == 1
    assert CliRunner().invoke(command, ["rehearse", "autumn-full"]).exit_code == 2
