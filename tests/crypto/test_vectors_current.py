"""The committed known-answer files are what their generators make of today's code."""

import json
import runpy
from collections.abc import Callable
from typing import Any

import pytest
from vectors_dir import OWN_VECTORS

SCRIPTS = sorted(path.name for path in OWN_VECTORS.glob("regenerate*.py"))
GENERATORS: dict[str, dict[str, Any]] = {name: runpy.run_path(str(OWN_VECTORS / name)) for name in SCRIPTS}
FILES = {name: script for script, made in GENERATORS.items() for name in made["FILES"]}


@pytest.mark.parametrize("name", sorted(FILES))
def test_the_generator_makes_the_committed_file(name: str) -> None:
    make: Callable[[], dict[str, Any]] = GENERATORS[FILES[name]]["FILES"][name]
    made = json.dumps(make(), ensure_ascii=False, indent=1) + "\n"
    assert (OWN_VECTORS / name).read_text(encoding="utf-8") == made


def test_every_file_says_who_made_it() -> None:
    others = {"discrete_gaussian.json"}  # made by another implementation, see make_discrete_gaussian.py
    committed = {path.name for path in OWN_VECTORS.glob("*.json")}
    assert committed == FILES.keys() | others
    for name in FILES:
        text = (OWN_VECTORS / name).read_text(encoding="utf-8")
        assert f"made by tests/vectors/{FILES[name]}" in text
