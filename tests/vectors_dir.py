"""Where the published test vectors lie: FEDSCREEN_VECTORS, else ../shared/vectors beside the repository."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

OWN_VECTORS = Path(__file__).parent / "vectors"


def published(*parts: str) -> Path:
    """Return a published vector's path, or skip the calling test with the reason."""
    root = os.environ.get("FEDSCREEN_VECTORS")
    folder = Path(root) if root else Path(__file__).parents[2] / "shared" / "vectors"
    path = folder.joinpath(*parts)
    if not path.exists():
        pytest.skip(
            f"published vectors are absent: no {'/'.join(parts)}; set FEDSCREEN_VECTORS to their folder"
        )
    return path


def published_json(*parts: str) -> Any:
    """Load a published JSON vector, or skip."""
    return json.loads(published(*parts).read_text(encoding="utf-8"))


def own(name: str) -> Any:
    """Load one of the project's own vectors (made by tests/vectors/regenerate.py)."""
    return json.loads((OWN_VECTORS / name).read_text(encoding="utf-8"))
