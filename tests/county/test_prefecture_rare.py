"""The ready plan `prefecture-rare` with two counties, from the schools' records to the released tables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from county_sums import assert_released
from fakes_county import CountySimulator
from fakes_vault import plan_of, pupils

import plan
from plan.document import PlanDocument, parse_plan_toml
from plan.layout import build_layout
from plan.record import Record

READY = Path(plan.__file__).parent / "ready" / "prefecture-rare.toml"


def two_counties() -> PlanDocument:
    """The plan as it is shipped, but for the window, the day, the codebook and the number of counties."""
    shipped, here = parse_plan_toml(READY.read_bytes()), plan_of()
    ((name, values),) = shipped.attributes
    return replace(
        shipped,
        attributes=((name, values[:2]),),
        instruments=here.instruments,
        consent=here.consent,
        census_date=here.census_date,
        opens=here.opens,
        closes=here.closes,
    )


class Prefecture(CountySimulator):
    """Six schools of one county and five of another."""

    def init_fields(self, node_id: str) -> dict[str, object]:
        county = "532501" if node_id <= "s06" else "532502"
        return super().init_fields(node_id) | {"attributes": {"county": county, "pupils": "50"}}

    def import_all(self) -> None:
        for number, node_id in enumerate(self.node_ids):
            records = [rare(row, place) for place, row in enumerate(pupils(24, shift=number))]
            self.import_pupils(node_id, records)


def rare(row: Record, place: int) -> Record:
    groups = (frozenset({"g1"}), frozenset({"g1", "g4", "g5", "g6"}), frozenset[str]())[place % 3]
    return replace(row, groups=groups, ref_dest="12349"[place % 5], outcome="1569"[place % 4])


def test_a_prefectures_cohort_counts_by_county(county_folder: Path) -> None:
    county = Prefecture(county_folder / "prefecture", schools=11)
    round_id = county.start_round(two_counties())
    for node_id in county.node_ids:
        county.release(node_id, round_id)
    assert_released(county, round_id, county.node_ids)
    first, *others = county.released_tables(round_id)
    layout = build_layout(replace(two_counties(), min_reports=9))
    table = layout.table("P1")
    by_county = np.array(first.sums).reshape(2, -1)
    expected = [
        sum(
            len(row.groups & {"g1", "g4", "g5"})
            for node in nodes
            for row in county.records[node]
            if is_high(row)
        )
        for nodes in (county.node_ids[:6], county.node_ids[6:])
    ]
    noise = 8 * table.noise.standard_error(11) * by_county.shape[1] ** 0.5
    assert (abs(by_county.sum(axis=1) / table.noise.scale - expected) < noise).all()
    assert [row.table for row in others] == [row.id for row in layout.tables[1:]]
    county.close()


def is_high(row: Record) -> bool:
    return row.level1 in ("2", "3")
