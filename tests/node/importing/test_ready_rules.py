"""Every ready profile with every codebook that it is for: a small school in that layout imports."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
import table_files as make

from node.vault.import_file import ImportContext, import_files
from node.vault.importing.profile import parse_profile
from plan.codebook import parse_codebook_toml
from plan.errors import CodebookError

EXAMPLES = Path(__file__).parents[3] / "examples"
CODEBOOKS = sorted(path.stem for path in (EXAMPLES / "codebooks").glob("*.toml") if path.stem != "addhealth")
PAIRS = [
    *(("platform", "mht"), ("platform-person", "mht"), ("platform-54", "mht"), ("mssmhs", "mssmhs")),
    *(("scl90", "scl90-1to5"), ("scl90", "scl90-0to4")),
    *(("single-score", name) for name in ("phq9", "gad7", "cesd", "cesdc", "k10")),
]


def read(name: str) -> bytes:
    return (EXAMPLES / f"{name}.toml").read_bytes()


def test_every_ready_profile_and_codebook_is_in_a_pair():
    profiles = {path.stem for path in (EXAMPLES / "profiles").glob("*.toml")} - {"addhealth"}
    assert {profile for profile, _codebook in PAIRS} == profiles
    assert {codebook for _profile, codebook in PAIRS} == set(CODEBOOKS)


@pytest.mark.parametrize(("profile_name", "codebook_name"), PAIRS)
def test_a_school_in_this_layout_imports_as_it_stands(profile_name, codebook_name):
    profile = parse_profile(read(f"profiles/{profile_name}"))
    codebook = parse_codebook_toml(read(f"codebooks/{codebook_name}"))
    system = "5-4" if profile_name.endswith("-54") else "6-3"
    person = ["张某", "男", "初一", "3班"]
    roster = [
        ["学籍号", "姓名", "性别", "年级", "班级", "就读方式", "是否留守儿童", "家庭结构", "监护人同意"]
    ]
    roster.append(
        ["G990001201509010012", *person, "走读", "单亲留守" if system == "6-3" else "否", "双亲", "同意"]
    )
    factors = [profile.factors[factor.id][0] for factor in codebook.factors]
    lowest, highest = codebook.total.low, codebook.total.high
    header = ["学籍号", "姓名", "性别", "年级", "班级", "测评日期", "效度", "总分", *factors, "预警等级"]
    scores = [str(factor.range.high) for factor in codebook.factors]
    number = "G990001201509010012" if profile.join == "student_no" else None
    results = [header, [number, *person, "2026-09-20", "有效", str(highest), *scores, "重点关注"]]
    files = {
        "roster": make.xlsx(roster),
        "screening": make.text(results, "gb18030"),
        "profile": read(f"profiles/{profile_name}"),
        "codebook": read(f"codebooks/{codebook_name}"),
    }
    context = ImportContext(b"k" * 32, "2026-2027", "A", dt.date(2026, 9, 30), system)
    result = import_files(files, context)
    assert result.issues == ()
    (record,) = result.records
    assert (record.level1, record.instrument, record.total) == ("3", codebook.id, highest)
    assert record.factors_high == {factor.id for factor in codebook.factors}
    assert record.grade == ("7" if system == "6-3" else "6")
    results[1][header.index("总分")] = str(lowest - 1)
    issues = import_files(files | {"screening": make.text(results)}, context).issues
    assert [(issue.code, issue.row) for issue in issues] == [("score-range", 2)]


@pytest.mark.parametrize("name", ["platform", "platform-54"])
@pytest.mark.parametrize("has_names", [True, False], ids=["with names", "without"])
def test_a_profile_that_joins_by_number_reads_names_and_classes_where_there_are_any(name, has_names):
    header = ["学籍号", "年级", "性别", "就读方式", "是否留守儿童", "家庭结构", "监护人同意"]
    row = ["G990001201509010012", "七年级", "男", "走读", "否", "双亲", "同意"]
    roster = [[*header, "姓名", "班级"], [*row, "张某", "3班"]] if has_names else [header, row]
    codebook = parse_codebook_toml(read("codebooks/mht"))
    profile = parse_profile(read(f"profiles/{name}"))
    factors = [profile.factors[factor.id][0] for factor in codebook.factors]
    results = [["学籍号", "测评日期", "效度", "总分", *factors, "预警等级"]]
    results.append([row[0], "2026-09-20", "有效", "30", *["1"] * len(factors), "一般关注"])
    files = {
        "roster": make.xlsx(roster),
        "screening": make.text(results),
        "profile": read(f"profiles/{name}"),
        "codebook": read("codebooks/mht"),
    }
    system = "5-4" if name.endswith("-54") else "6-3"
    result = import_files(files, ImportContext(b"k" * 32, "2026-2027", "A", dt.date(2026, 9, 30), system))
    assert result.issues == ()
    (card,) = result.cards
    assert (card.name, card.class_name) == (("张某", "3") if has_names else ("", ""))


@pytest.mark.parametrize("name", CODEBOOKS)
def test_each_codebook_knows_both_directions_and_guesses_none(name):
    codebook = parse_codebook_toml(read(f"codebooks/{name}"))
    assert codebook.level_of("三级预警", "third-is-severe") == "3"
    assert codebook.level_of("三级预警", "first-is-severe") == "1"
    assert codebook.level_of("重点关注") == "3"
    for label in ("三级", "3", "紫色", ""):
        with pytest.raises(CodebookError):
            codebook.level_of(label)


@pytest.mark.parametrize("name", CODEBOOKS)
def test_codebooks_hold_no_item_text(name):
    text = read(f"codebooks/{name}").decode()
    assert "题项" not in text
    assert all(len(line) < 160 for line in text.splitlines())
    assert "?" not in text
    assert "sdq" not in text.lower()
