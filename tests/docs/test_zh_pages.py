"""The county's Chinese pages: no source that was not read, a lawyer wherever law is touched."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "zh"
PAGES = sorted(FOLDER.glob("*.md"))
INDEX = (FOLDER / "README.md").read_text("utf-8")
TEMPLATES = (
    "个人信息保护影响评估模板.md",
    "委托处理合同要点.md",
    "十四周岁以下儿童个人信息处理规则.md",
    "监护人告知书.md",
    "密评与等保说明.md",
)
READ_ARTICLES = {"第二十八条", "第三十七条", "第十六条"}  # whose text has been read
UNREAD_ARTICLES = {"第三十一条", "第四条"}  # named, and marked 待核 beside them
READ_NUMBERS = {
    "红教体函〔2025〕50号",
    "花教办函〔2025〕76号",
    "教思政厅函〔2021〕10号",
    "教体艺〔2023〕1号",
    "教基一厅函〔2015〕36号",
    "教基一〔2012〕15号",
}
LAW = re.compile("《[^》]*(?:法|条例)》|律师|合同|同意书|处分")


def texts() -> list[tuple[str, str]]:
    return [(path.name, path.read_text("utf-8")) for path in PAGES]


def test_every_page_stands_in_the_index() -> None:
    assert [path.name for path in PAGES if path.name != "README.md" and f"({path.name})" not in INDEX] == []


def test_the_questions_of_the_first_day_are_many_and_answered() -> None:
    text = (FOLDER / "首日问答.md").read_text("utf-8")
    numbers = [int(found) for found in re.findall(r"^\*\*(\d+)\. .+[？”）]\*\*\n\S", text, re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 25
    answers = re.split(r"^\*\*\d+\. .+\*\*$", text, flags=re.MULTILINE)[1:]
    assert max(len(answer.split("\n## ")[0]) for answer in answers) < 400


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_where_law_is_touched_a_lawyer_checks(path: Path) -> None:
    text = path.read_text("utf-8")
    if LAW.search(text) and path.name != "README.md":
        assert "律师审核" in text


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_says_first_that_a_lawyer_checks(name: str) -> None:
    lines = [line for line in (FOLDER / name).read_text("utf-8").splitlines() if line]
    assert lines[1].startswith("> 【律师审核】")


def test_no_article_is_cited_that_was_not_read() -> None:
    for name, text in texts():
        for line in text.splitlines():
            found = set(re.findall("第[一二三四五六七八九十百]+条", line))
            assert found <= READ_ARTICLES | UNREAD_ARTICLES, (name, line)
            assert not found & UNREAD_ARTICLES or "待核" in line or "状态" in line, (name, line)


def test_no_document_is_cited_that_is_not_in_the_list() -> None:
    for name, text in texts():
        cited = set(re.findall(r"[\u4e00-\u9fff]+〔\d{4}〕\d+号", text))
        assert {item for item in cited if not any(item.endswith(known) for known in READ_NUMBERS)} == set(), (
            name
        )
    assert all(number in INDEX for number in READ_NUMBERS)


@pytest.mark.parametrize("word", ["问题学生", "异常学生", "病人", "差生"])
def test_words_that_label_pupils_are_not_used(word: str) -> None:
    assert [name for name, text in texts() if word in text] == []


def test_the_pages_for_the_first_day_say_that_this_is_no_crisis_channel() -> None:
    for name in ("README.md", "首日问答.md", "县级操作指南.md", "催报电话与延期通知.md"):
        assert "不用于紧急情况上报" in (FOLDER / name).read_text("utf-8")


def test_the_encryption_page_claims_no_certificate() -> None:
    text = (FOLDER / "密评与等保说明.md").read_text("utf-8")
    assert "尚未满足商用密码应用安全性评估（密评）要求" in text
