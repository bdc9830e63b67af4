"""Where the published test vectors lie: FEDSCREEN_VECTORS, else ../shared/vectors beside the repository.

Tests take every file that is there and treat it by what it contains, so more of the same suites may be added.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

OWN_VECTORS = Path(__file__).parent / "vectors"


def published_folder() -> Path:
    """Return the folder that should hold the published vectors; it may be absent."""
    root = os.environ.get("FEDSCREEN_VECTORS")
    return Path(root) if root else Path(__file__).parents[2] / "shared" / "vectors"


def published_params(suites: str, pattern: str) -> list[Any]:
    """List every file of some suites (folders, separated by spaces) as test parameters, named by its path.

    Where there is none, the one parameter is a test that is skipped with the reason.
    """
    folder = published_folder()
    paths = [path for suite in suites.split() for path in sorted((folder / suite).rglob(pattern))]
    if not paths:
        reason = (
            f"published vectors are absent: no {pattern} in {suites}; set FEDSCREEN_VECTORS to their folder"
        )
        return [pytest.param(Path(), id="absent", marks=pytest.mark.skip(reason=reason))]
    return [pytest.param(path, id=path.relative_to(folder).as_posix()) for path in paths if path.is_file()]


def load_json(path: Path) -> Any:
    """Load a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def own(name: str) -> Any:
    """Load one of the project's own vectors (made by tests/vectors/regenerate.py)."""
    return load_json(OWN_VECTORS / name)
