"""Proposing a profile: what is recognised imports as it stands, the rest is asked, no pupil is repeated."""

from __future__ import annotations

import re

import pytest

from node.vault.importing.errors import ImportingError
from node.vault.importing.guess import guess_profile
from node.vault.importing.profile import parse_profile


def guess(files, **replaced: bytes):
    contents = {part: files.contents()[part] for part in ("roster", "screening")} | replaced
    return guess_profile({f"file{n}": data for n, data in enumerate(contents.values())}, "2026-2027")


def test_a_confirmed_proposal_gives_the_same_records_as_the_ready_profile(files):
    ready = files.run()
    found = guess(files)
    assert found.answer["open"] == 1  # which way the numbered levels count
    assert [item["part"] for item in found.answer["files"]] == ["roster", "screening"]
    files.profile = re.sub(r'levels = ""', 'levels = "third-is-severe"', found.toml.decode())
    assert files.run().records == ready.records


def test_an_unconfirmed_proposal_refuses_what_it_asks(files):
    files.set("roster", 1, "是否留守儿童", "2")
    files.set("roster", 2, "年级", "2022级")
    files.set("screening", 1, "预警等级", "三级预警")
    found = guess(files)
    text = found.toml.decode()
    assert '# "2" = ?' in text
    assert '# "2022级" = ?' in text
    assert "# 5," in text
    parse_profile(found.toml)
    files.profile = text
    assert {(i.file, i.row, i.code) for i in files.run().issues} == {
        ("roster", 2, "bare-number"),
        ("roster", 3, "unmapped-label"),
        ("screening", 2, "ambiguous-level"),
    }


def test_what_no_file_has_is_named(files):
    assert guess(files).answer["missing"] == []
    alone = guess_profile({"file1": files.contents()["screening"]}).answer
    assert alone["missing"] == ["grade", "guardian_consent"]
    roster = guess_profile({"file1": files.contents()["roster"]}).answer
    assert roster["missing"] == ["administered_on", "total", "level"]


def test_files_without_a_number_are_joined_by_person(files):
    files.screening[0][0] = "班级"
    for row in files.screening[1:]:
        row[0] = "1班"
    assert 'join = "auto"' in guess(files).toml.decode()


def test_a_proposal_names_no_pupil(files):
    files.rename("roster", "家庭结构", "班主任")
    for row in range(1, 9):
        files.set("roster", row, "班主任", "王老师")
    said = guess(files)
    text = said.toml.decode() + repr(said.answer) + repr(said)
    cells = {str(row[column]) for row in files.roster[1:] for column in (0, 1, 4, 7)}
    cells |= {str(row[column]) for row in files.screening[1:] for column in (0, 1)}
    assert not [cell for cell in cells if cell in text.replace("2026", "")]


def test_a_number_of_a_pupil_in_a_coded_column_is_not_repeated(files):
    files.set("roster", 1, "性别", "13800138000")
    assert "13800138000" not in guess(files).toml.decode()


def test_a_coded_column_full_of_names_is_not_repeated(files):
    for place, row in enumerate(files.roster[1:]):
        row[files.roster[0].index("性别")] = f"王{place}某"
    long = [files.roster[0], *[list(files.roster[1]) for _ in range(40)]]
    for place, row in enumerate(long[1:]):
        row[2] = f"王{place}某"
    text = guess(files, roster=files.encode(long)).toml.decode()
    assert "某" not in text
    parse_profile(text.encode())


@pytest.mark.parametrize("data", [b"a,b\n1,2\n", b"%PDF", b""], ids=["no header", "no table", "empty"])
def test_what_is_not_recognised_is_refused(files, data):
    with pytest.raises(ImportingError):
        guess(files, roster=data)
