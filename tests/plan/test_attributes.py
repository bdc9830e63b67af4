"""Roster attributes as columns: every school counts under its own values, and none is shown by itself."""

from dataclasses import replace
from typing import Any

import pytest
from plan_samples import ready_plan, ready_toml, record, untested

from plan.attributes import MAX_ATTRIBUTES, MAX_VALUES, Attributes, own_codes
from plan.document import PlanDocument, encode_body, from_published, parse_plan_toml, terms_of
from plan.errors import DocumentError, LayoutError
from plan.groups import attribute_sets, small_groups
from plan.identities import violated
from plan.layout import Layout, build_layout
from plan.table_spec import TableSpec
from plan.tabulation import tabulate

LISTED: Attributes = (
    ("county", (("532501", "个旧市"), ("532502", "开远市"), ("532503", "蒙自市"))),
    ("urban_rural", (("1", "城区"), ("3", "乡村"))),
)
LEVELS = {"id": "L", "title": "等级", "dims": ("county", "level"), "attributes": ("county",)}
OWN = {"county": "532502", "urban_rural": "3", "school_type": "小学"}


def spec(**values: Any) -> TableSpec:
    return TableSpec(**(LEVELS | values))


def plan_of(*tables: TableSpec, **values: Any) -> PlanDocument:
    return replace(ready_plan(), tables=tables or (spec(),), attributes=LISTED, **values)


def lay_out(*tables: TableSpec) -> Layout:
    return build_layout(plan_of(*tables))


def cells(layout: Layout, own: dict[str, str]) -> list[dict[str, str]]:
    counts = tabulate(layout, [record(1, level1="3"), untested(2)], own)
    return [
        table.keys(index)
        for table in layout.tables
        for index in range(table.cells)
        if counts[table.offset + index]
    ]


def test_a_school_counts_in_the_cells_of_its_own_values() -> None:
    layout = lay_out(spec(dims=("level", "county"), where=(("disposition", ("1",)),)))
    assert cells(layout, OWN) == [{"level": "3", "county": "532502"}]
    assert cells(layout, OWN | {"county": "532503"}) == [{"level": "3", "county": "532503"}]


def test_the_columns_have_the_plans_codes_labels_and_titles() -> None:
    table = lay_out(spec(dims=("urban_rural", "county"), attributes=("county", "urban_rural"))).tables[0]
    assert (table.shape, table.dim_titles) == ((2, 3), ("城乡", "县(市、区)"))
    assert table.labels_of(5) == {"urban_rural": "乡村", "county": "蒙自市"}
    assert table.keys(5) == {"urban_rural": "3", "county": "532503"}


def test_where_keeps_the_schools_listed() -> None:
    layout = lay_out(
        spec(id="A", where=(("county", ("532501", "532502")),)),
        spec(id="B", dims=("level",), where=(("county", ("532501", "532503")),)),
        spec(id="C", dims=("level",), where=(("urban_rural", ("3",)),), attributes=("urban_rural",)),
    )
    assert [table.cells for table in layout.tables] == [10, 5, 5]
    county = [{"county": "532502", "level": "3"}, {"county": "532502", "level": "9"}]
    levels = [{"level": "3"}, {"level": "9"}]
    assert cells(layout, OWN) == county + levels
    assert cells(layout, {"county": "532503", "urban_rural": "1"}) == levels


@pytest.mark.parametrize(
    "own", [{}, {"county": "532502"}, OWN | {"county": "530100"}, OWN | {"urban_rural": "2"}]
)
def test_a_school_whose_value_is_not_listed_is_refused(own: dict[str, str]) -> None:
    with pytest.raises(LayoutError, match=r"attributes\.(county|urban_rural)"):
        tabulate(lay_out(), [record()], own)


def test_only_the_plans_attributes_are_taken() -> None:
    assert own_codes(LISTED, OWN) == {"county": "532502", "urban_rural": "3"}
    assert own_codes((), OWN) == {}


def test_identities_hold_for_each_value() -> None:
    tested = (("disposition", ("1", "2")),)
    layout = lay_out(
        spec(id="A", where=tested),
        spec(id="B", dims=("grade", "county"), where=tested),
        spec(id="C", dims=("level",), where=tested, attributes=()),
    )
    counts = tabulate(layout, [record(n, level1=str(n % 4)) for n in range(7)], OWN)
    assert violated(layout, counts) == ()
    counts[layout.table("A").index({"county": "532502", "level": "0"})] += 1
    assert any("county 532502" in name for name in violated(layout, counts))


@pytest.mark.parametrize("name", ["place", "test"])
def test_an_attribute_may_be_called_like_what_a_pupil_is_told_by(name: str) -> None:
    """The identities speak of a pupil's place and test; a school's are something else."""
    tables = (
        TableSpec(id="A", title="表", dims=(name, "sex"), attributes=(name,)),
        TableSpec(id="B", title="表", dims=("grade", "disposition")),
    )
    layout = build_layout(
        replace(ready_plan(), tables=tables, attributes=((name, (("1", "城"), ("3", "乡"))),))
    )
    counts = tabulate(layout, [record(1, grade="4"), untested(2)], {name: "3"})
    assert violated(layout, counts) == ()
    counts[0] += 1
    assert violated(layout, counts) == ("B = A",)


# --- the file, and the published body ---

SECTION = '[attributes]\ncounty = [["532501", "个旧市"], ["532502", "开远市"]]\n\n[window]'


def toml(section: str = SECTION, dims: str = '["county", "disposition"]') -> bytes:
    text = ready_toml().decode().replace("[window]", section, 1)
    return text.replace('dims = ["grade", "disposition"]', f"dims = {dims}", 1).encode()


def test_a_plan_with_attributes_is_read_and_comes_back_from_its_body() -> None:
    plan = replace(parse_plan_toml(toml()), min_reports=48)
    assert plan.attributes == (("county", (("532501", "个旧市"), ("532502", "开远市"))),)
    assert plan.tables[0].attributes == ("county",)
    assert from_published(encode_body(plan), terms_of(plan)) == plan


def test_where_may_name_an_attribute_in_a_file() -> None:
    dims = '["level"]\nwhere = { county = ["532502"] }'
    plan = parse_plan_toml(toml(dims=dims))
    assert plan.tables[0].where == (("county", ("532502",)),)


@pytest.mark.parametrize(
    ("section", "dims", "key"),
    [
        ("[window]", '["county", "disposition"]', "tables.A1.dims"),
        ("[window]", '["level"]\nwhere = { county = ["532502"] }', "tables.A1.where.county"),
        (SECTION, '["county", "school_type"]', "tables.A1.dims"),
        (SECTION, '["level"]\nwhere = { county = ["532509"] }', "tables.A1.where.county"),
        (SECTION, '["level"]\nwhere = { county = [] }', "tables.A1.where.county"),
        (SECTION.replace('"532502"', '"532501"'), '["county"]', "attributes.county"),
        (SECTION.replace('"532502"', "532502"), '["county"]', "attributes.county"),
        (SECTION.replace('["532502", "开远市"]', '["532502"]'), '["county"]', "attributes.county"),
        (SECTION.replace('"开远市"', '""'), '["county"]', "attributes.county"),
        (SECTION.replace("county =", "sex ="), '["sex"]', "attributes.sex"),
        (SECTION.replace("county =", "County ="), '["sex"]', "attributes.County"),
        ("attributes = 3\n[window]", '["sex"]', "attributes"),
    ],
)
def test_a_file_with_wrong_attributes_is_refused(section: str, dims: str, key: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_plan_toml(toml(section, dims))
    assert key in {problem.key for problem in caught.value.problems}


@pytest.mark.parametrize(
    "attributes",
    [
        LISTED[::-1],
        (LISTED[0], LISTED[0]),
        (("county", ()),),
        (("level", LISTED[0][1]),),
        (("county", tuple((str(n), "县") for n in range(MAX_VALUES + 1))),),
        tuple((f"a{n}", LISTED[0][1]) for n in range(MAX_ATTRIBUTES + 1)),
        (("county", (("5\n", "县"),)),),
    ],
    ids=["order", "twice", "empty", "dimension", "many_values", "many", "line_feed"],
)
def test_attributes_built_in_code_are_checked_too(attributes: Attributes) -> None:
    with pytest.raises(DocumentError, match="attributes"):
        replace(ready_plan(), attributes=attributes)


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"attributes": ()}, "tables.L.dims"),
        ({"attributes": ("county", "urban_rural")}, "tables.L.attributes"),
        ({"attributes": ("county", "level")}, "tables.L.attributes"),
    ],
)
def test_a_table_says_which_attributes_it_uses(values: dict[str, Any], key: str) -> None:
    with pytest.raises(DocumentError) as caught:
        spec(**values)
    assert [problem.key for problem in caught.value.problems] == [key]


def test_a_table_uses_only_attributes_of_its_plan() -> None:
    with pytest.raises(DocumentError, match=r"tables\.L\.dims"):
        replace(ready_plan(), tables=(spec(),))


def test_a_body_without_attributes_has_no_such_key() -> None:
    plan = ready_plan()
    with pytest.raises(DocumentError):
        from_published(encode_body(plan).replace(b'{"census', b'{"attributes":{},"census', 1), terms_of(plan))


# --- groups of schools ---

SCHOOLS = {f"s{n}": {"county": f"53250{1 + n // 4}", "urban_rural": "13"[n % 2]} for n in range(12)}


def small(*tables: TableSpec, nodes: str = "", least: int = 4) -> dict[Any, Any]:
    present = nodes.split() or list(SCHOOLS)
    return small_groups(lay_out(*tables), SCHOOLS, present, least)


def test_counties_with_enough_schools_pass() -> None:
    assert small(spec()) == {}
    assert attribute_sets(lay_out(spec()), SCHOOLS) == frozenset({("county",)})


def test_a_county_below_min_group_is_named_with_its_schools() -> None:
    present = " ".join(name for name in SCHOOLS if name != "s5")
    assert small(spec(), nodes=present) == {(("county", "532502"),): ("s4", "s6", "s7")}


def test_combinations_of_attributes_are_groups_of_their_own() -> None:
    both = spec(dims=("county", "urban_rural"), attributes=("county", "urban_rural"))
    assert len(small(both)) == 6
    assert small(both, least=2) == {}


def test_a_county_that_a_table_leaves_out_makes_no_group_there() -> None:
    present = " ".join(name for name in SCHOOLS if name != "s5")
    kept = (("county", ("532501", "532503")),)
    assert small(spec(where=kept), spec(id="M", dims=("level",), where=kept), nodes=present) == {}
    assert small(spec(where=kept), spec(id="M"), nodes=present) != {}


def test_a_filter_makes_one_group_of_each_value() -> None:
    one = spec(dims=("level",), where=(("county", ("532502",)),))
    assert small(one, nodes="s4 s5 s6") == {(("county", "532502"),): ("s4", "s5", "s6")}


TOWNS = (("urban_rural", ("1",)),)


def test_schools_that_only_the_difference_of_two_tables_shows_are_a_group() -> None:
    county_and_place = {"attributes": ("county", "urban_rural"), "where": TOWNS}
    present = " ".join(name for name, own in SCHOOLS.items() if own["urban_rural"] == "1") + " s5"
    assert SCHOOLS["s5"]["urban_rural"] == "3"
    hidden = (("county", SCHOOLS["s5"]["county"]), ("urban_rural", "3"))
    assert hidden not in small(spec(**county_and_place), nodes=present, least=2)
    assert small(spec(), spec(id="M", **county_and_place), nodes=present, least=2) == {hidden: ("s5",)}


def test_a_value_left_out_of_some_tables_only_is_a_group_of_what_remains() -> None:
    kept = spec(where=(("county", ("532501", "532503")),))
    everybody = spec(id="M", dims=("level",), attributes=())
    assert small(kept, everybody) == {}
    nodes = " ".join(name for name in SCHOOLS if name != "s5")
    assert small(kept, everybody, nodes=nodes) == {(("county", "532502"),): ("s4", "s6", "s7")}
    scores = replace(everybody, sum="total", range=(0, 90))
    assert small(kept, scores, nodes=nodes) == {}  # scores less pupils are nobody's number
    other = spec(id="N", dims=("level",), where=(("county", ("532502",)),))
    assert small(kept, everybody, other, nodes=nodes) == {(("county", "532502"),): ("s4", "s6", "s7")}


def test_a_school_with_an_unlisted_value_takes_no_part_in_a_group() -> None:
    schools = SCHOOLS | {"s99": {"county": "530100", "urban_rural": "1"}}
    layout = lay_out(spec(), spec(id="M", dims=("level",), attributes=()))
    assert small_groups(layout, schools, schools, 4) == {}


def test_what_one_table_counts_beyond_another_is_a_group_as_far_as_both_tell_schools_apart() -> None:
    """The counties of the one table add up to all schools, so the other one's town schools leave s5."""
    present = " ".join(name for name, own in SCHOOLS.items() if own["urban_rural"] == "1") + " s5"
    towns = spec(dims=("level",), where=TOWNS, attributes=("urban_rural",))
    assert small(towns, spec(id="N"), nodes=present, least=2) == {(("urban_rural", "3"),): ("s5",)}
    assert small(towns, nodes=present, least=2) == small(spec(), nodes=present, least=2) == {}
