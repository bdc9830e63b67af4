"""Every ready plan in one school's vault: files in, tables as the plan promises, a report out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes_federation import TinyFederation
from fakes_vault import SchoolHouse
from ledger_school import school_files
from plan_samples import codebook, ready_toml

from node.vault.records import find_set, read_records
from plan.document import PlanDocument, parse_plan_toml
from plan.identities import identities
from plan.layout import build_layout
from plan.publishing import pin_codebook, resolve
from plan.record import Record

YEAR = "2026-2027"
COUNTY = "532501"
SCHOOLS = 7
PUPILS = 400
SHAPES: dict[str, dict[str, int]] = {
    "autumn-full": {"A1": 96, "A2": 180, "A3": 60, "A4": 80, "A5": 100, "A6": 96, "A7": 40},
    "autumn-small": {"S1": 60, "S2": 32, "S3": 12, "S4": 15},
    "spring-monitor": {"B1": 32, "B2": 100, "B3": 60},
    "ledgers": {"C2": 24, "C2b": 1, "C3": 6, "C4": 3, "C5": 9},
    "follow-up": {"D0": 10, "D1": 14, "D2": 6, "D3": 7, "D4": 8},
    "prefecture-rare": {"P1": 104, "P2": 91, "P3": 104},
}


def plan_of(name: str) -> PlanDocument:
    plan = pin_codebook(parse_plan_toml(ready_toml(name)), codebook("mht"))
    return resolve(plan, SCHOOLS)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[SchoolHouse]:
    federation = TinyFederation(kind="production")
    for node in federation.nodes.values():
        node.attributes = (("county", COUNTY),)
    opened = SchoolHouse(tmp_path, federation, county=COUNTY)
    yield opened
    opened.store.close()


def start(house: SchoolHouse, plan: PlanDocument) -> bytes:
    """Log the plan, with the clock in its window."""
    house.now = plan.opens + timedelta(days=7)
    round_id = house.publish(plan)
    house.federation.approve(round_id)
    house.sync()
    return round_id


def import_wave(house: SchoolHouse, wave: str, day: str) -> None:
    answer = house.call("import", school_files(PUPILS, wave), wave=wave, school_year=YEAR, census_date=day)
    assert (answer["imported"], answer["issues"]) == (1, [])


def import_for(house: SchoolHouse, plan: PlanDocument, round_id: bytes) -> None:
    files = school_files(PUPILS, plan.wave)
    answer = house.call("import", files, round=round_id.hex())
    assert (answer["imported"], answer["issues"]) == (1, [])


def records(house: SchoolHouse, wave: str) -> tuple[Record, ...]:
    found = find_set(house.store, YEAR, wave)
    assert found is not None
    return read_records(house.store, found)


def counts_of(preview: dict[str, Any], table: str) -> Counter[tuple[str, ...]]:
    (found,) = [row for row in preview["tables"] if row["id"] == table]
    return Counter({tuple(cell["keys"].values()): cell["count"] for cell in found["cells"] if cell["count"]})


@pytest.mark.parametrize("name", SHAPES)
def test_a_ready_plan_is_imported_counted_and_released(house: SchoolHouse, name: str) -> None:
    plan = plan_of(name)
    round_id = start(house, plan)
    if plan.wave == "S":
        import_wave(house, "A", "2026-09-30")
    import_for(house, plan, round_id)
    preview = house.call("preview", round=round_id.hex())
    assert {table["id"]: len(table["cells"]) for table in preview["tables"]} == SHAPES[name]
    for table in preview["tables"]:  # something of every table is found in the files
        assert any(cell["count"] for cell in table["cells"]), table["id"]
    assert house.release(round_id)["is_new"] == 1
    house.submit()
    house.sync()
    assert house.call("recompute", round=round_id.hex(), attempt=0)["outcome"] == "PASS"


@pytest.mark.parametrize(
    ("name", "pairs"),
    [
        (
            "autumn-full",
            {"A2 = A1", "A3 = A1", "A4 = A2", "A5 = A3", "A7 = A1", "A6 <= A2", "A7 = A4"},
        ),
        ("autumn-small", {"S2 = S1", "S3 = S1", "S3 = S2", "S4 = S1", "S4 = S2"}),
        ("spring-monitor", {"B2 = B1", "B3 = B1", "B3 = B2"}),
        ("ledgers", set()),
        ("follow-up", {"D4 = D3", "D2 = D0", "D1 <= D0"}),
        ("prefecture-rare", {"P3 = P2", "P1 <= P2"}),
    ],
)
def test_the_identities_of_a_ready_plan(name: str, pairs: set[str]) -> None:
    layout = build_layout(plan_of(name))
    named = {identity.name.split(" [")[0] for identity in identities(layout)}
    assert pairs <= named


def import_and_preview(house: SchoolHouse, name: str) -> dict[str, Any]:
    plan = plan_of(name)
    round_id = start(house, plan)
    import_for(house, plan, round_id)
    return house.call("preview", round=round_id.hex())


def tally(
    rows: tuple[Record, ...], key: Callable[[Record], tuple[str, ...]], keep: Callable[[Record], bool]
) -> Counter[tuple[str, ...]]:
    return Counter(key(row) for row in rows if keep(row))


def test_the_autumns_level_stands_beside_the_springs(house: SchoolHouse) -> None:
    import_wave(house, "A", "2026-09-30")
    preview = import_and_preview(house, "spring-monitor")
    before = {row.rec_key: row.level1 for row in records(house, "A")}
    spring = records(house, "S")
    assert {row.rec_key for row in spring} == before.keys()
    expected = tally(
        spring, lambda row: (row.stage, before[row.rec_key], row.level1), lambda row: row.is_tested
    )
    assert counts_of(preview, "B2") == expected
    assert len({codes[1:] for codes in expected}) > 12
    assert all(row.level_before == "9" for row in spring if row.disposition in ("6", "8"))


def test_a_spring_without_an_autumn_has_nines(house: SchoolHouse) -> None:
    preview = import_and_preview(house, "spring-monitor")
    assert {codes[1] for codes in counts_of(preview, "B2")} == {"9"}


def test_the_ledgers_count_three_groups_and_who_has_more(house: SchoolHouse) -> None:
    preview = import_and_preview(house, "ledgers")
    rows = records(house, "A")
    many = sum(len(row.groups) >= 4 for row in rows)
    assert many > 5
    assert counts_of(preview, "C2b") == Counter({("4",): many})
    in_groups = sum(min(3, len(row.groups)) for row in rows)
    assert counts_of(preview, "C2").total() == in_groups
    pool = tally(rows, lambda row: (row.pool,), lambda row: row.pool != "9")
    assert counts_of(preview, "C4") == pool


def test_follow_up_counts_flags_apart(house: SchoolHouse) -> None:
    preview = import_and_preview(house, "follow-up")
    rows = [row for row in records(house, "A") if row.level1 in ("2", "3")]
    flags = Counter((row.level1, flag) for row in rows for flag in row.flags)
    assert counts_of(preview, "D1") == flags
    days = Counter(
        (row.level1, "15" if row.days_to_review in (None, 21) else "14" if row.days_to_review == 9 else "3")
        for row in rows
    )
    assert counts_of(preview, "D2") == days
    assert counts_of(preview, "D3").total() == counts_of(preview, "D4").total() == PUPILS


def test_rare_groups_stand_under_the_schools_own_county(house: SchoolHouse) -> None:
    preview = import_and_preview(house, "prefecture-rare")
    for table in ("P1", "P2", "P3"):
        assert {codes[0] for codes in counts_of(preview, table)} == {COUNTY}


def test_with_the_self_harm_items_switched_on_the_full_plan_has_one_table_more() -> None:
    text = ready_toml().decode()
    start_at = text.index('# [[tables]]\n# id = "A8"')
    block = text[start_at:].split("\n\n")[0]
    counted = text.replace('critical_items = "off"', 'critical_items = "counted"')
    plan = parse_plan_toml(counted.replace(block, block.replace("# ", "")).encode())
    layout = build_layout(resolve(plan, 60))
    assert layout.table("A8").shape == (4, 3, 3)


@pytest.mark.parametrize(
    ("name", "table", "cells"), [("autumn-full", "E1", 5), ("ledgers", "E2", 6), ("ledgers", "E3", 3)]
)
def test_the_optional_tables_fit_their_plans(name: str, table: str, cells: int) -> None:
    text = ready_toml(name).decode()
    block = text[text.index(f'# [[tables]]\n# id = "{table}"') :].split("\n\n")[0]
    plan = parse_plan_toml(text.replace(block, block.replace("# ", "")).encode())
    layout = build_layout(resolve(plan, 60))
    assert layout.table(table).cells == cells


def test_the_parts_of_c2_have_one_noise_and_cost_one_table_of_four() -> None:
    plan = resolve(parse_plan_toml(ready_toml("ledgers")), 60)
    layout = build_layout(plan)
    parts = [layout.table(name) for name in ("C2", "C2b")]
    assert len({(table.noise.scale, table.noise.s2) for table in parts}) == 1
    one = replace(plan.tables[0], touch=4, weight=sum(spec.weight for spec in plan.tables[:2]))
    whole = build_layout(replace(plan, tables=(one, *plan.tables[2:]))).table("C2")
    assert whole.noise.standard_error(1) == pytest.approx(parts[0].noise.standard_error(1), rel=1e-3)
