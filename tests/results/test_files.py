"""The result files: archived cells as they are, estimates beside them, the same bytes every time."""

import csv
import hashlib
import io
import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from fakes_release import RELEASE, SCHOOLS

from plan.table_spec import TableSpec
from results.files import ReleaseHead, result_files

VALID = (("disposition", ("1",)),)


def head_of(county):
    return ReleaseHead(
        federation="county-1",
        round_id=bytes.fromhex(RELEASE),
        release=bytes(32),
        serial=1,
        status="ok",
        schools=SCHOOLS,
        reports_in=SCHOOLS,
        reports_out=0,
        replicas=1,
        rho=Fraction(1, 5),
        cells=county.layout.cells,
    )


@pytest.fixture(scope="module")
def noised(county):
    """The result files of one noised round of autumn-full."""
    noise = county.noise(np.random.default_rng(21), 1)[0]
    return result_files(head_of(county), county.plan, county.released(noise))


def rows(files, name):
    return list(csv.DictReader(io.StringIO(files[name].decode(), newline="")))


def test_every_table_has_its_cells_and_its_estimates(county, noised):
    names = {table.id for table in county.layout.tables}
    expected = {f"{folder}/{name}.csv" for folder in ("tables", "estimates") for name in names}
    assert noised.keys() == expected | {"release.json", "indicators.json", "indicators.csv"}
    for table in county.layout.tables:
        released, estimates = (rows(noised, f"{f}/{table.id}.csv") for f in ("tables", "estimates"))
        assert list(released[0]) == [*table.dims, "released", "se", "low95", "high95"]
        assert list(estimates[0]) == [*table.dims, "estimate", "se", "low95", "high95", "rounded", "shown"]
        assert [tuple(row[n] for n in table.dims) for row in released] == [
            tuple(row[n] for n in table.dims) for row in estimates
        ]


def test_the_csv_of_indicators_says_what_the_json_says(noised):
    found, told = rows(noised, "indicators.csv"), json.loads(noised["indicators.json"])["indicators"]
    assert len(found) == len(told) > 300
    for row, value in zip(found, told, strict=True):
        assert [row[name] for name in ("id", "name", "unit", "definition", "shown")] == [
            value[name] for name in ("id", "name", "unit", "definition", "shown")
        ]
        assert row["keys"] == ";".join(f"{name}={code}" for name, code in value["keys"].items())
        assert row["released"] == ("" if value["released"] is None else str(value["released"]))
        assert row["tables"].split() == value["tables"]
    assert {row["id"].split("/")[0] for row in found} >= {"IND-06", "IND-09", "IND-12", "IND-14"}


def test_released_cells_stay_as_they_are_and_estimates_are_narrower(county, noised):
    table = county.layout.table("A3")
    values = json.loads(noised["release.json"])
    released, estimates = values["tables"][2]["cells"], values["estimates"][2]["cells"]
    for raw, cell in zip(released, estimates, strict=True):
        assert raw["released"] * table.noise.scale == int(raw["released"] * table.noise.scale)
        assert raw["keys"] == cell["keys"]
        assert cell["se"] < raw["se"]
        assert cell["low95"] < cell["estimate"] < cell["high95"]
        assert cell["rounded"] >= 0
        assert cell["shown"] == "样本过小" or cell["shown"].startswith(f"{cell['rounded']} ± ")
    assert [[*row["keys"].values(), str(row["estimate"])] for row in estimates] == [
        list(row.values())[:4] for row in rows(noised, "estimates/A3.csv")
    ]


def test_estimates_of_all_tables_agree(noised):
    def total(name, **codes):
        found = (row for row in rows(noised, f"estimates/{name}.csv"))
        return sum(float(r["estimate"]) for r in found if all(r[n] in c for n, c in codes.items()))

    tested = [total("A1", disposition="12"), *(total(name) for name in ("A2", "A3", "A4", "A5"))]
    assert tested == pytest.approx([tested[0]] * 5, abs=1e-3)
    assert total("A7") == pytest.approx(total("A1", disposition="1"), abs=1e-3)


def test_a_table_of_sums_gives_pupils_total_and_mean(county):
    other = county.with_tables(
        TableSpec(id="A1", title="t", dims=("stage", "disposition")),
        TableSpec(id="T1", title="t", dims=("stage",), sum="total", range=(0, 90), where=VALID),
        TableSpec(id="T2", title="t", dims=("sex",), sum="total", range=(5, 90), where=VALID),
    )
    files = result_files(head_of(other), other.plan, other.released())
    scores = [int(p.total) for p in other.pupils if p.total is not None and p.stage == "junior"]
    row = rows(files, "estimates/T1.csv")[1]
    assert list(row)[:5] == ["stage", "pupils", "pupils_se", "pupils_low95", "pupils_high95"]
    assert list(row)[5:9] == ["total", "total_se", "total_low95", "total_high95"]
    assert list(row)[9:] == ["mean", "mean_se", "mean_low95", "mean_high95", "shown"]
    assert (row["stage"], float(row["pupils"]), float(row["total"])) == ("junior", len(scores), sum(scores))
    assert float(row["mean"]) == pytest.approx(sum(scores) / len(scores))
    assert row["shown"].startswith(f"{round(sum(scores) / len(scores), 1)} ± ")
    nobody_counted = rows(files, "estimates/T2.csv")[0]
    assert set(list(nobody_counted.values())[1:-1]) == {""}
    assert nobody_counted["shown"] == "样本过小"
    described = json.loads(files["release.json"])["tables"]
    estimates = json.loads(files["release.json"])["estimates"]
    assert list(estimates[1]["cells"][1]) == ["keys", *list(row)[1:]]
    assert estimates[2]["cells"][0]["mean"] is None
    assert (described[1]["sum"], described[1]["range"]) == ("total", [0, 90])
    assert "sum" not in described[0]


def test_the_files_are_the_same_bytes_every_time(county, noised):
    """The digest was made once: another machine, Python or numpy must come to the same files."""
    noise = county.noise(np.random.default_rng(21), 1)[0]
    again = result_files(head_of(county), county.plan, county.released(noise))
    assert again == noised
    tested = (("disposition", ("1", "2")),)
    other = county.with_tables(
        TableSpec(id="A", title="t", dims=("grade", "disposition")),
        TableSpec(id="B", title="t", dims=("stage", "sex", "level"), where=tested),
        TableSpec(id="C", title="t", dims=("family", "alert"), where=tested, weight=Fraction(2, 3)),
        TableSpec(id="D", title="t", dims=("stage",), sum="total", range=(1, 90), where=VALID),
    )
    cells = np.arange(other.layout.cells, dtype=np.int64)
    exact = replace(other, counts=cells * 7919 % 1009)
    files = result_files(head_of(exact), exact.plan, exact.released(cells * 104_729 % 4001 - 2000))
    digest = hashlib.sha256(b"".join(files[f"estimates/{name}.csv"] for name in "ABCD"))
    assert digest.hexdigest()[:16] == "29f902ebb6d4a091"
    assert hashlib.sha256(files["indicators.csv"]).hexdigest()[:16] == "fdfdd1b80a67f422"
