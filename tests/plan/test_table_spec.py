"""A table and an instrument that are built in code are valid by construction, too."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from plan_samples import codebook

from plan.errors import DocumentError
from plan.instrument import Instrument, instrument_of, pin
from plan.scores import ScoreRange
from plan.table_spec import TableSpec

RANGE = ScoreRange(Decimal(0), Decimal(90))

TABLES = [
    ("id", {"id": "A/1"}, "tables.id"),
    ("id_long", {"id": "A" * 33}, "tables.id"),
    ("id_line_feed", {"id": "A1\n"}, "tables.id"),
    ("no_dims", {"dims": ()}, "tables.T.dims"),
    ("dims_twice", {"dims": ("sex", "sex")}, "tables.T.dims"),
    ("dims_unknown", {"dims": ("sex", "name")}, "tables.T.dims"),
    ("where_unknown", {"where": (("name", ("1",)),)}, "tables.T.dims"),
    ("where_scored", {"where": (("band", ("1",)),)}, "tables.T.where.band"),
    ("where_other_set", {"where": (("group", ("g1",)),)}, "tables.T.where.group"),
    ("where_code", {"where": (("level", ("4",)),)}, "tables.T.where.level"),
    ("where_order", {"where": (("level", ("3", "2")),)}, "tables.T.where.level"),
    ("where_repeats", {"where": (("level", ("2", "2")),)}, "tables.T.where.level"),
    ("where_empty", {"where": (("level", ()),)}, "tables.T.where.level"),
    ("where_names", {"where": (("stage", ("junior",)), ("level", ("2",)))}, "tables.T.where"),
    ("where_twice", {"where": (("level", ("2",)), ("level", ("3",)))}, "tables.T.where"),
    ("two_sets", {"dims": ("group", "flag"), "multi": "group"}, "tables.T.dims"),
    ("multi_missing", {"dims": ("group",)}, "tables.T.multi"),
    ("multi_extra", {"multi": "sex"}, "tables.T.multi"),
    ("touch_single", {"touch": 2}, "tables.T.touch"),
    ("touch_zero", {"touch": 0}, "tables.T.touch"),
    ("touch_bool", {"touch": True}, "tables.T.touch"),
    ("touch_most", {"dims": ("group",), "multi": "group", "touch": 65}, "tables.T.touch"),
    ("weight_zero", {"weight": Fraction(0)}, "tables.T.weight"),
    ("weight_negative", {"weight": Fraction(-1)}, "tables.T.weight"),
    ("weight_most", {"weight": Fraction(1001)}, "tables.T.weight"),
]


@pytest.mark.parametrize(("values", "key"), [item[1:] for item in TABLES], ids=[item[0] for item in TABLES])
def test_a_table_that_breaks_a_rule_is_refused(values: dict[str, Any], key: str) -> None:
    base: dict[str, Any] = {"id": "T", "title": "表", "dims": ("sex", "level")}
    assert TableSpec(**base)
    with pytest.raises(DocumentError) as caught:
        TableSpec(**(base | values))
    assert key in {problem.key for problem in caught.value.problems}


@pytest.mark.parametrize(
    "values",
    [
        {"id": "MHT"},
        {"id": ""},
        {"digest": "ab"},
        {"digest": "AB" * 32},
        {"factors": (("a", "甲"), ("a", "乙"))},
        {"factors": tuple((f"f{number}", "因子") for number in range(33))},
    ],
    ids=["id", "no_id", "digest", "digest_upper", "factor_twice", "factors_many"],
)
def test_an_instrument_that_breaks_a_rule_is_refused(values: dict[str, Any]) -> None:
    right = Instrument("mht", "", RANGE, (("a", "甲"),))
    with pytest.raises(DocumentError, match="instruments"):
        replace(right, **values)


def test_an_instrument_of_a_codebook_is_pinned_to_it() -> None:
    book = codebook("mht")
    exact = instrument_of(book)
    assert exact.accepts("mht", book.digest.hex())
    assert not exact.accepts("mht", "00" * 32)
    assert not exact.accepts("mht", "")
    assert pin(exact, book) == exact


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"id": "other"}, "instruments.other.id"),
        ({"digest": "00" * 32}, "instruments.mht.digest"),
        ({"total": ScoreRange(Decimal(0), Decimal(91))}, "instruments.mht.total"),
        ({"factors": ()}, "instruments.mht.factors"),
    ],
)
def test_pinning_another_codebook_is_refused(values: dict[str, Any], key: str) -> None:
    book = codebook("mht")
    with pytest.raises(DocumentError) as caught:
        pin(replace(instrument_of(book), **values), book)
    assert [problem.key for problem in caught.value.problems] == [key]
