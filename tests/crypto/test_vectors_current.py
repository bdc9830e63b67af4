"""The committed known-answer files are what the generator makes of today's code."""

import runpy
from collections.abc import Callable
from typing import Any, cast

import pytest
from vectors_dir import OWN_VECTORS

GENERATOR: dict[str, Any] = runpy.run_path(str(OWN_VECTORS / "regenerate.py"))


@pytest.mark.parametrize("name", sorted(GENERATOR["FILES"]))
def test_the_generator_makes_the_committed_file(name: str) -> None:
    contents = cast(Callable[[str], str], GENERATOR["contents"])
    assert (OWN_VECTORS / name).read_text(encoding="utf-8") == contents(name)
