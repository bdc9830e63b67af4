"""The pictures are what their scripts draw."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_privacy", PICTURES / "make_privacy.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_picture_of_the_principals_is_current(script: ModuleType, language: str) -> None:
    """After a change of `autumn-full` or of the wording: python docs/pictures/make_privacy.py."""
    assert (PICTURES / f"privacy-{language}.svg").read_text("utf-8") == script.svg(language)


@pytest.mark.parametrize("path", sorted(PICTURES.glob("*.svg")), ids=lambda path: path.name)
def test_a_picture_loads_nothing_from_elsewhere(path: Path) -> None:
    text = path.read_text("utf-8")
    ElementTree.fromstring(text)
    assert re.findall(r"(?:href|src|url)\s*[=(]\s*[\"']?(?!#)\w", text) == []
    assert set(re.findall(r"https?://[^\"' ]+", text)) == {"http://www.w3.org/2000/svg"}


@pytest.mark.parametrize(("page", "language"), [("zh-CN.md", "zh"), ("md", "en")])
def test_the_page_says_the_numbers_of_its_picture(script: ModuleType, page: str, language: str) -> None:
    """Text and picture tell the same story, so a change of one shows in the other."""
    text = (PICTURES.parent / f"privacy-for-principals.{page}").read_text("utf-8")
    values = script.figures()
    assert f"pictures/privacy-{language}.svg" in text
    for name in ("true", "more", "published", "margin", "round", "year", "others"):
        assert re.search(rf"(?<![\d.]){values[name]}(?![\d.]*\d)", text), name
