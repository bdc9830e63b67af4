"""Institution facts and progress statements in the database: whole saves, versions, who entered them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from fakes_coordinator import County, Crash, small_config
from fakes_facts import YEAR, facts

from coordinator import facts as kept
from coordinator import schema
from coordinator.errors import FactsRefusedError, StoreError, UnknownRoundError
from results.facts import ProgressStatement, parse_progress


def statement(node: str, **changes: str) -> ProgressStatement:
    raw = {"wave": "A", "band": "ge95", "by": "王校长", "on": "2026-10-21", "started": "1", **changes}
    return parse_progress(node, raw)


def test_what_is_saved_is_read_by_school(collecting: County) -> None:
    book = collecting.desk.book
    saved = kept.save_facts(book, [facts("s02"), facts("s01")], "张三", "sheet")
    assert saved == kept.Saved(new=2, changed=0, same=0)
    with book.reading() as view:
        assert kept.read_facts(view, YEAR) == (facts("s01"), facts("s02"))
        assert kept.read_facts(view, "2025-2026") == ()
        assert kept.facts_years(view) == (YEAR,)


def test_both_databases_keep_versions(make_county: Callable[..., County], address: str) -> None:
    county = make_county(config=small_config(database=address))
    county.collecting()
    book, round_id = county.desk.book, county.round_id
    kept.save_facts(book, [facts("s01"), facts("s02")], "张三", "sheet")
    saved = kept.save_facts(book, [facts("s01", n_classes=21), facts("s02")], "李四", "form")
    assert saved == kept.Saved(0, 1, 1)
    kept.save_progress(book, round_id, [statement("s01")], "张三", "form")
    with book.reading() as view:
        assert kept.read_facts(view, YEAR) == (facts("s01", n_classes=21), facts("s02"))
        assert [row.by for row in kept.facts_history(view, "s01", YEAR)] == ["张三", "李四"]
        assert [row.node for row in kept.read_progress(view, round_id)] == ["s01"]


def test_saving_again_changes_nothing(collecting: County) -> None:
    book = collecting.desk.book
    kept.save_facts(book, [facts("s01")], "张三", "sheet")
    assert kept.save_facts(book, [facts("s01")], "李四", "form") == kept.Saved(0, 0, 1)
    with book.reading() as view:
        assert [row.by for row in kept.facts_history(view, "s01", YEAR)] == ["张三"]


def test_a_change_is_a_new_version_and_the_old_one_stays(collecting: County) -> None:
    book = collecting.desk.book
    kept.save_facts(book, [facts("s01")], "张三", "sheet")
    collecting.advance(days=1)
    assert kept.save_facts(book, [facts("s01", n_classes=21)], "李四", "form") == kept.Saved(0, 1, 0)
    with book.reading() as view:
        history = kept.facts_history(view, "s01", YEAR)
        assert [(row.version, row.by, row.source) for row in history] == [
            (1, "张三", "sheet"),
            (2, "李四", "form"),
        ]
        assert (history[1].changed - history[0].changed).days == 1
        assert kept.read_facts(view, YEAR) == (facts("s01", n_classes=21),)
        assert kept.facts_versions(view, YEAR)["s01"] == history[1]


def test_going_back_to_an_old_form_is_a_version_too(collecting: County) -> None:
    book = collecting.desk.book
    for num_classes in (20, 21, 20):
        kept.save_facts(book, [facts("s01", n_classes=num_classes)], "张三", "form")
    with book.reading() as view:
        assert len(kept.facts_history(view, "s01", YEAR)) == 3


def count(county: County) -> int:
    with county.desk.book.reading() as view:
        query = sa.select(sa.func.count()).select_from(schema.facts)
        return int(view.connection.execute(query).scalar_one())


@pytest.mark.parametrize(
    ("nodes", "by", "source"),
    [
        (["s01", "s99"], "张三", "sheet"),
        (["s01", "s01"], "张三", "sheet"),
        (["s01"], "", "sheet"),
        (["s01"], "张\n三", "sheet"),
        (["s01"], "张" * 81, "sheet"),
        (["s01"], "张三", "telephone"),
    ],
    ids=["stranger", "twice", "nobody", "two-lines", "too-long", "source"],
)
def test_a_save_with_anything_wrong_saves_nothing(
    collecting: County, nodes: list[str], by: str, source: str
) -> None:
    with pytest.raises(FactsRefusedError) as caught:
        kept.save_facts(collecting.desk.book, [facts(node) for node in nodes], by, source)
    assert caught.value.problems
    assert count(collecting) == 0


def test_a_crash_before_the_commit_leaves_nothing(collecting: County) -> None:
    def stop(step: str) -> None:
        if step == "before save facts":
            raise Crash

    collecting.durable = stop
    with pytest.raises(Crash):
        kept.save_facts(collecting.desk.book, [facts("s01"), facts("s02")], "张三", "sheet")
    collecting.durable = lambda _step: None
    collecting.reopen()
    assert count(collecting) == 0


def test_the_form_of_a_school_that_left_the_roster_is_kept_but_not_counted(collecting: County) -> None:
    book = collecting.desk.book
    kept.save_facts(book, [facts("s01")], "张三", "sheet")
    with book.writing("rename") as view:
        view.connection.execute(sa.update(schema.facts).values(node="gone"))
    with book.reading() as view:
        assert kept.read_facts(view, YEAR) == ()
        assert len(kept.facts_history(view, "gone", YEAR)) == 1


def test_a_damaged_row_is_told_and_not_guessed(collecting: County) -> None:
    book = collecting.desk.book
    kept.save_facts(book, [facts("s01")], "张三", "sheet")
    for data in (b"{}", b"[]", b"\xff", b'{"n_left_behind":3}'):
        with book.writing("spoil") as view:
            view.connection.execute(sa.update(schema.facts).values(data=data))
        with book.reading() as view, pytest.raises(StoreError):
            kept.read_facts(view, YEAR)


def test_progress_is_kept_by_round(collecting: County) -> None:
    book, round_id = collecting.desk.book, collecting.round_id
    kept.save_progress(book, round_id, [statement("s01"), statement("s02", band="lt80")], "张三", "sheet")
    kept.save_progress(book, round_id, [statement("s02", band="80-95")], "李四", "form")
    with book.reading() as view:
        assert [(row.node, row.band) for row in kept.read_progress(view, round_id)] == [
            ("s01", "ge95"),
            ("s02", "80-95"),
        ]
        assert kept.progress_versions(view, round_id)["s02"].by == "李四"
        assert kept.read_progress(view, bytes(32)) == ()


@pytest.mark.parametrize("wave", ["S", "X"])
def test_a_statement_of_another_wave_is_refused(collecting: County, wave: str) -> None:
    with pytest.raises(FactsRefusedError):
        kept.save_progress(
            collecting.desk.book, collecting.round_id, [statement("s01", wave=wave)], "张三", "form"
        )


def test_a_statement_of_no_round_is_refused(collecting: County) -> None:
    with pytest.raises(UnknownRoundError):
        kept.save_progress(collecting.desk.book, bytes(32), [statement("s01")], "张三", "form")


def test_the_log_and_the_rounds_do_not_change(collecting: County) -> None:
    before = collecting.ledger().size
    kept.save_facts(collecting.desk.book, [facts("s01")], "张三", "form")
    kept.save_progress(collecting.desk.book, collecting.round_id, [statement("s01")], "张三", "form")
    collecting.desk.tick()
    assert collecting.ledger().size == before


def test_before_the_first_roster_there_are_no_schools(make_county: Callable[..., County]) -> None:
    county = make_county()
    with county.desk.book.reading() as view, pytest.raises(Exception, match="empty"):
        kept.schools(view)
