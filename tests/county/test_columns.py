"""A round with the county as a column and with sums of scores, from the schools' records to the release."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from county_sums import assert_released
from fakes_county import CountySimulator
from fakes_vault import plan_of, pupils

from coordinator.combine import sum_of_bounds, tables_outside
from coordinator.errors import GroupTooSmallError
from node.vault.errors import RoundRefusedError
from plan.attributes import Attributes
from plan.document import PlanDocument
from plan.layout import build_layout
from plan.record import Record
from plan.table_spec import TableSpec, Where

COUNTIES: Attributes = (("county", (("532501", "个旧市"), ("532502", "开远市"))),)
TESTED: Where = (("disposition", ("1", "2")),)


def document(*, where: Where = (), **changes: object) -> PlanDocument:
    """Levels by county, and the sum of the scores by county and sex."""
    kept = {"where": tuple(sorted((*TESTED, *where))), "attributes": ("county",)}
    tables = (
        TableSpec(id="K1", title="等级", dims=("county", "level"), **kept),  # type: ignore[arg-type]
        TableSpec(id="K2", title="总分", dims=("county", "sex"), sum="total", range=(10, 60), **kept),  # type: ignore[arg-type]
    )
    return plan_of(tables=tables, attributes=COUNTIES, **changes)


class TwoCounties(CountySimulator):
    """Six schools of one county and five of another; each pupil tested has a score."""

    def init_fields(self, node_id: str) -> dict[str, object]:
        county = "532501" if node_id <= "s06" else "532502"
        return super().init_fields(node_id) | {"attributes": {"county": county, "pupils": "50"}}

    def import_all(self) -> None:
        for number, node_id in enumerate(self.node_ids):
            records = pupils(20 + 3 * number, shift=number)
            self.import_pupils(node_id, [scored(row, place) for place, row in enumerate(records)])


def scored(row: Record, place: int) -> Record:
    return replace(row, total=Decimal(7 * place % 90)) if row.disposition == "1" else row


@pytest.fixture
def county(county_folder: Path) -> Iterator[TwoCounties]:
    made = TwoCounties(county_folder / "two", schools=11)
    yield made
    made.close()


def report(county: TwoCounties, round_id: bytes, *nodes: str) -> None:
    for node_id in nodes:
        county.release(node_id, round_id)
        county.serve_node(node_id)
    county.coordinator.request_close(round_id, without_missing=True)


def test_counts_and_sums_by_county_are_released_and_replayed(county: TwoCounties) -> None:
    round_id = county.start_round(document())
    for node_id in county.node_ids:
        county.release(node_id, round_id)
    assert_released(county, round_id, county.node_ids)
    (counts, sums) = county.released_tables(round_id)
    layout = build_layout(document())
    totals = np.array(sums.sums).reshape(2, 3).sum(axis=1) / layout.table("K2").noise.scale
    assert (totals > 3 * layout.table("K2").noise.standard_error(11)).all()  # far from nothing in both
    county.work()
    for node_id in ("s01", "s11"):
        answer, _ = county.nodes[node_id].handle(
            {"command": "recompute", "round": round_id.hex(), "attempt": 0}, {}
        )
        assert answer["outcome"] == "PASS"
    assert len(counts.sums) == 10
    county.coordinator.export_results(round_id, county.root / "out")
    rows = (county.root / "out" / "tables" / "K2.csv").read_text(encoding="utf-8").splitlines()
    assert rows[0].startswith("county,sex,")
    assert [row.split(",")[:2] for row in rows[1:]] == [
        [code, sex] for code in ("532501", "532502") for sex in ("1", "2", "9")
    ]


def test_a_county_with_too_few_reports_is_left_out_of_the_sum(county: TwoCounties) -> None:
    round_id = county.start_round(document())
    report(county, round_id, *county.node_ids[:-1])
    assert_released(county, round_id, county.node_ids[:6])
    body = county.round(round_id).close_body()
    assert body is not None
    assert {(row.report.node, row.code) for row in body.excluded} == {
        (node, "min-group") for node in county.node_ids[6:-1]
    }


def test_a_county_with_too_few_schools_is_not_asked_for(county: TwoCounties) -> None:
    with pytest.raises(GroupTooSmallError, match="county = 532502"):
        county.publish(document(min_group=6))
    round_id = county.start_round(document(min_group=6, where=(("county", ("532501",)),)))
    for node_id in county.node_ids:
        county.release(node_id, round_id)  # the others take part with empty cells
    assert_released(county, round_id, county.node_ids)


def test_a_school_of_a_county_that_the_plan_does_not_list_takes_no_part(county: TwoCounties) -> None:
    listed: Attributes = (("county", COUNTIES[0][1][:1]),)
    round_id = county.start_round(plan_of(tables=document().tables, attributes=listed))
    with pytest.raises(RoundRefusedError) as caught:
        county.release("s11", round_id)
    assert caught.value.code == "attribute-not-listed"
    assert "532501" in caught.value.details["reason"]
    report(county, round_id, *county.node_ids[:6])
    assert_released(county, round_id, county.node_ids[:6])


def test_the_bounds_of_a_sum_are_those_of_its_range(county: TwoCounties) -> None:
    layout = build_layout(document())
    roster = county.ledger().roster.body
    num_pupils = sum_of_bounds(roster, county.node_ids, 100_000)
    assert num_pupils == 11 * 50
    for table, most in ((layout.table("K1"), num_pupils), (layout.table("K2"), 50 * num_pupils)):
        values = np.zeros(layout.cells, np.int64)
        z = int((196 * table.noise.s2 * 11) ** 0.5) + 1
        values[table.offset] = table.noise.scale * most + z
        assert tables_outside(layout, values, 11, num_pupils) == ()
        values[table.offset] += 1
        assert tables_outside(layout, values, 11, num_pupils) == (table.id,)
