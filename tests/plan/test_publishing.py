"""From a draft to a plan that may be published."""

from dataclasses import replace

import pytest
from plan_samples import codebook, codebook_toml, ready_plan, ready_toml

from plan.codebook import parse_codebook_toml
from plan.document import parse_plan_toml
from plan.errors import DocumentError
from plan.layout import build_layout
from plan.publishing import cautions, check_publishable, pin_codebook, resolve, use_codebook


@pytest.mark.parametrize(
    ("nodes", "min_reports"),
    [(5, 5), (6, 5), (7, 6), (10, 8), (12, 10), (13, 11), (60, 48), (61, 49), (90, 72)],
)
def test_auto_is_four_fifths_of_the_schools_and_at_least_five(nodes: int, min_reports: int) -> None:
    assert resolve(parse_plan_toml(ready_toml()), nodes).min_reports == min_reports


@pytest.mark.parametrize("nodes", [0, 1, 4])
def test_a_county_with_too_few_schools_is_refused(nodes: int) -> None:
    with pytest.raises(DocumentError, match="min_reports"):
        resolve(parse_plan_toml(ready_toml()), nodes)


def test_a_number_that_was_set_stays_and_must_be_reachable() -> None:
    plan = replace(ready_plan(), min_reports=20)
    assert resolve(plan, 90) == plan
    assert resolve(plan, 20) == plan
    with pytest.raises(DocumentError, match="19 schools"):
        resolve(plan, 19)


def test_pinning_names_the_codebook_by_its_digest() -> None:
    book = codebook("mht")
    pinned = pin_codebook(ready_plan(), book)
    assert pinned.instruments[0].digest == book.digest.hex()
    assert pin_codebook(pinned, book) == pinned
    assert pinned.accepts("mht", book.digest.hex())


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        (b"total = [0, 90]", b"total = [0, 100]", "instruments.mht.total"),
        ("学习焦虑".encode(), "学业焦虑".encode(), "instruments.mht.factors"),
        (b'"learning"', b'"study"', "instruments.mht.factors"),
        (b'id = "mht"', b'id = "mht2"', "instruments"),
    ],
)
def test_another_codebook_than_the_plan_describes_is_refused(old: bytes, new: bytes, key: str) -> None:
    other = parse_codebook_toml(codebook_toml("mht").replace(old, new, 1))
    with pytest.raises(DocumentError) as caught:
        pin_codebook(ready_plan(), other)
    assert {problem.key for problem in caught.value.problems} == {key}


def test_a_pinned_plan_refuses_a_later_version() -> None:
    pinned = pin_codebook(ready_plan(), codebook("mht"))
    later = parse_codebook_toml(codebook_toml("mht").replace(b"2026.1", b"2026.2", 1))
    with pytest.raises(DocumentError, match="digest"):
        pin_codebook(pinned, later)


def test_a_codebook_without_factors_takes_the_factor_table_away() -> None:
    book = codebook("addhealth")
    plan = use_codebook(ready_plan(12), book)
    assert [table.id for table in plan.tables] == ["A1", "A2", "A3", "A4", "A5", "A7"]
    assert plan.accepts("addhealth", book.digest.hex())
    assert not plan.accepts("mht", codebook("mht").digest.hex())
    layout = build_layout(plan)
    assert layout.cells == 652 - 96
    assert sum(table.noise.rho for table in layout.tables) == plan.rho


def test_using_the_same_codebook_only_pins_it() -> None:
    assert use_codebook(ready_plan(), codebook("mht")) == pin_codebook(ready_plan(), codebook("mht"))


def test_fewer_factors_lower_the_cap() -> None:
    text = codebook_toml("mht")
    start, end = text.index(b"[[factors]]"), text.rindex(b"[[factors]]")
    one = parse_codebook_toml(text[:start] + text[end:])
    table = build_layout(use_codebook(ready_plan(), one)).table("A6")
    assert (table.touch, table.shape, table.delta_sq) == (1, (4, 3, 1), 2)


def test_a_plan_of_several_instruments_is_not_exchanged() -> None:
    plan = ready_plan()
    tables = tuple(replace(table, instrument="mht") if table.is_scored else table for table in plan.tables)
    other = replace(plan.instruments[0], id="phq9")
    both = replace(plan, instruments=(*plan.instruments, other), tables=tables)
    with pytest.raises(DocumentError, match="2 instruments"):
        use_codebook(both, codebook("mht"))
    pooled = [str(note) for note in cautions(both) if "pools" in str(note)]
    assert [note.split()[1] for note in pooled] == ["A2", "A3", "A4", "A5"]


def test_publishing_needs_a_number_and_pinned_codebooks() -> None:
    pinned = pin_codebook(ready_plan(), codebook("mht"))
    check_publishable(pinned, is_demo=False)
    check_publishable(ready_plan(), is_demo=True)
    with pytest.raises(DocumentError, match=r"instruments\.mht\.digest"):
        check_publishable(ready_plan(), is_demo=False)
    for is_demo in (True, False):
        with pytest.raises(DocumentError, match="auto"):
            check_publishable(replace(pinned, min_reports=None), is_demo=is_demo)


def test_cautions_say_what_is_not_pinned() -> None:
    assert next(str(note) for note in cautions(ready_plan())).startswith("instrument 'mht'")
    assert cautions(pin_codebook(ready_plan(), codebook("mht"))) == ()
