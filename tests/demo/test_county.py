"""The synthetic county: the same from a seed, of the right size and rates, and importable as it is."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from fedscreen.demo.county import make_county
from fedscreen.demo.errors import DemoDataError
from fedscreen.demo.school_files import (
    encode_workbook,
    first_birthday,
    read_example,
    school_sizes,
    student_number,
    write_school,
)
from fedscreen.demo.truth import import_school, truth_of
from node.vault.import_file import ImportContext
from plan.document import parse_plan_toml
from plan.identities import violated
from plan.layout import build_layout
from plan.publishing import resolve

NAMES = ("roster.xlsx", "screening.xlsx", "profile.toml", "codebook.toml")
READY = Path(__file__).parents[2] / "plan" / "ready" / "autumn-full.toml"


def context(secret: bytes = b"k" * 32) -> ImportContext:
    return ImportContext(secret, "2026-2027", "A", dt.date(2026, 9, 30), "6-3", "require")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Twelve schools of 6,000 pupils, written."""
    root = tmp_path_factory.mktemp("county")
    county = make_county(12, 6000, seed=1)
    for school in county:
        write_school(school, root / school.id)
    return root, county


@pytest.fixture(scope="module")
def records(written):
    root, county = written
    return [record for school in county for record in import_school(root / school.id, context()).records]


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*.*"))}


def test_same_seed_same_bytes(written, tmp_path):
    root, _ = written
    for school in make_county(12, 6000, seed=1):
        write_school(school, tmp_path / school.id)
    assert contents(tmp_path) == contents(root)
    assert len(contents(root)) == 12 * 4


def test_other_seed_other_pupils():
    first, second = (make_county(5, 60, seed)[0] for seed in (1, 2))
    assert first.roster != second.roster


def test_workbooks_have_no_clock():
    data = encode_workbook("x", [["a", dt.date(2026, 9, 1), 3, None]])
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert b"2020-01-01T00:00:00Z" in archive.read("docProps/core.xml")


@pytest.mark.parametrize(
    ("schools", "pupils"), [(1, 1), (1, 500), (5, 5), (5, 61), (12, 6000), (12, 13), (87, 39916), (300, 9999)]
)
def test_pupils_are_exactly_as_many_as_asked_for(schools, pupils):
    sizes = school_sizes(schools, pupils)
    assert sum(sizes) == pupils
    assert len(sizes) == schools
    assert min(sizes) >= 1
    assert sizes == sorted(sizes)


def test_usual_sizes_are_those_of_a_county():
    sizes = school_sizes(12, None)
    assert (sizes[0], sizes[-1]) == (8, 2063)
    assert 5500 < sum(sizes) < 6500
    assert 35_000 < sum(school_sizes(87, None)) < 45_000
    assert school_sizes(1, None) == [282]


@pytest.mark.parametrize(("schools", "pupils"), [(0, None), (-1, 5), (3, 2), (3, 0)])
def test_impossible_counties_are_refused(schools, pupils):
    with pytest.raises(DemoDataError):
        make_county(schools, pupils, seed=1)


@pytest.mark.parametrize("schools", [1, 2, 3, 4, 5, 12, 40])
def test_every_school_can_be_imported_however_small(schools, tmp_path):
    county = make_county(schools, schools * 2, seed=3)
    assert [school.id for school in county] == [f"s{place:02d}" for place in range(1, schools + 1)]
    assert len({school.operator for school in county}) == schools
    for school in county:
        write_school(school, tmp_path / school.id)
        result = import_school(tmp_path / school.id, context())
        assert result.issues == ()
        assert len(result.records) == school.num_pupils


def test_all_stages_and_their_sizes(written, records):
    _, county = written
    assert len(records) == sum(school.num_pupils for school in county) == 6000
    stages = Counter(record.stage for record in records)
    assert stages.keys() == {"primary", "junior", "senior", "vocational"}
    assert min(stages.values()) > 200
    kinds = Counter(school.attributes["school_type"] for school in county)
    assert kinds.keys() == {"point", "primary", "nine-year", "junior", "senior", "vocational"}


def test_participation_is_as_the_surveys_say(records):
    share = {code: n / len(records) for code, n in Counter(r.disposition for r in records).items()}
    assert share.keys() == set("12345678")
    assert 0.94 <= share["1"] <= 0.97
    assert 0.01 <= share["2"] <= 0.03
    assert 0.01 <= share["4"] <= 0.02
    assert 0.004 <= share["5"] <= 0.011
    assert 0.005 <= share["6"] + share["8"] <= 0.02


def test_alerts_rise_with_stage_sex_and_family(records):
    valid = [record for record in records if record.disposition == "1"]

    def rate(is_meant) -> float:
        meant = [record for record in valid if is_meant(record)]
        return sum(record.level1 != "0" for record in meant) / len(meant)

    assert rate(lambda r: r.sex == "2") > 1.4 * rate(lambda r: r.sex == "1")
    assert rate(lambda r: r.family in "234") > 1.2 * rate(lambda r: r.family == "1")
    assert 0.08 < rate(lambda r: r.stage == "primary") < rate(lambda r: r.stage == "senior") < 0.45


def test_factors_are_high_for_nine_to_fifty_eight_per_cent(records):
    valid = [record for record in records if record.disposition == "1"]
    shares = Counter(factor for record in valid for factor in record.factors_high)
    assert len(shares) == 8
    assert all(0.075 < n / len(valid) < 0.6 for n in shares.values())
    assert 0.5 < shares["learning"] / len(valid) < 0.6


def test_boarding_rises_with_the_stage_and_left_behind_is_unknown_for_the_older(records):
    def share(name: str, code: str, stage: str) -> float:
        meant = [record for record in records if record.stage == stage]
        return sum(getattr(record, name) == code for record in meant) / len(meant)

    assert 0.08 < share("boarding", "2", "primary") < 0.16
    assert 0.70 < share("boarding", "2", "senior") < 0.80
    assert share("left_behind", "9", "senior") > 0.5 > share("left_behind", "9", "junior")


def test_student_numbers_are_different_and_have_their_check_character(written):
    _, county = written
    numbers = [str(row[0]) for school in county for row in school.roster[1:]]
    assert len(set(numbers)) == len(numbers)
    weights = [pow(2, 18 - place, 11) for place in range(1, 19)]  # ISO 7064 MOD 11-2
    for number in numbers[:500]:
        values = [10 if digit == "X" else int(digit) for digit in number[1:]]
        assert number[0] == "G"
        assert len(number) == 19
        assert number[1:3] == "99"  # no place has this code
        assert sum(weight * value for weight, value in zip(weights, values, strict=True)) % 11 == 1


def test_known_check_character():
    assert student_number(110105, dt.date(1949, 12, 31), 2) == "G11010519491231002X"


@pytest.mark.parametrize(("grade", "born"), [("1", 2020), ("9", 2012), ("12", 2009), ("V1", 2011)])
def test_first_birthday_of_a_grade(grade, born):
    assert first_birthday(grade, "2026-2027") == dt.date(born - 1, 9, 1)


def test_missing_example_is_told():
    with pytest.raises(DemoDataError, match="profiles/none"):
        read_example("profiles/none.toml")


def test_truth_is_the_sum_over_the_schools_and_keeps_the_identities(written, records):
    root, county = written
    layout = build_layout(resolve(parse_plan_toml(READY.read_bytes()), len(county)))
    folders = [root / school.id for school in county]
    truth = truth_of(folders, layout, [context(bytes([place]) * 32) for place in range(12)])
    assert truth.shape == (layout.cells,)
    assert violated(layout, truth) == ()
    first = layout.tables[0]
    assert first.id == "A1"
    assert truth[first.offset : first.offset + first.cells].sum() == len(records)
    assert (truth == truth_of(folders[::-1], layout, [context()] * 12)).all()


def test_truth_of_a_spoilt_school_is_refused(written, tmp_path):
    root, county = written
    for name in NAMES:
        (tmp_path / name).write_bytes((root / county[0].id / name).read_bytes())
    (tmp_path / "roster.xlsx").write_bytes(b"no")
    with pytest.raises(DemoDataError, match="roster row 0"):
        import_school(tmp_path, context())
