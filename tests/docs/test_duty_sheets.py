"""The duty sheets: every command of an auditor stands in one of them, in both languages the same."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from fedscreen.__main__ import build

DOCS = Path(__file__).resolve().parents[2] / "docs"
SHEETS = ("key-keeper", "inspector")
WORDS = re.compile(r"fedscreen ((?:[a-z][a-z-]* ?)+)")


def _text(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


def _inner(command: click.Command, word: str) -> click.Command | None:
    if not isinstance(command, click.Group):
        return None
    return command.get_command(click.Context(command), word)


def _commands(text: str) -> list[str]:
    """The commands that a text names, without their arguments."""
    found = []
    for words in WORDS.findall(text):
        command: click.Command = build()
        path: list[str] = []
        for word in words.split():
            inner = _inner(command, word)
            if inner is None:
                break
            command = inner
            path.append(word)
        found.append(" ".join(path))
    return found


def _blocks(text: str) -> list[str]:
    """The commands of all blocks, without what is said in one language only."""
    lines = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    return [re.sub(r'"[^"]*"', '""', line) for line in "".join(lines).split("\n")]


def test_every_command_of_an_auditor_stands_on_a_sheet() -> None:
    named = _commands("".join(_text(f"{name}.md") for name in SHEETS))
    words = {row.split()[1] for row in named if row.startswith("auditor ")}
    auditor = _inner(build(), "auditor")
    assert isinstance(auditor, click.Group)
    assert sorted(auditor.commands.keys() - words) == []


@pytest.mark.parametrize("name", SHEETS)
def test_both_languages_say_the_same_commands_in_the_same_order(name: str) -> None:
    english, chinese = _text(f"{name}.md"), _text(f"{name}.zh-CN.md")
    assert _blocks(english) == _blocks(chinese)
    assert len(_blocks(english)) > 5
    assert _commands(english) == _commands(chinese)
    for mark in ("\n## ", "\n| "):
        assert english.count(mark) == chinese.count(mark)


@pytest.mark.parametrize(("name", "sheet"), [("守密方", "key-keeper"), ("督查方", "inspector")])
def test_the_page_to_sign_names_no_command_that_the_sheet_has_not(name: str, sheet: str) -> None:
    page = _text(f"zh/岗位职责单-{name}.md")
    assert set(_commands(page)) <= set(_commands(_text(f"{sheet}.md")))
    assert f"../{sheet}.zh-CN.md" in page


@pytest.mark.parametrize("name", SHEETS)
def test_a_sheet_is_about_a_page(name: str) -> None:
    assert _text(f"{name}.md").count("\n") < 90
