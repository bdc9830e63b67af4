"""What every script that makes vectors shares: a file's contents, which files are outdated, the command line.

A script has a table FILES: file name → function that makes its value. `python SCRIPT` writes the files that
changed, `python SCRIPT --check` only names them and exits 1 if there are any.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
Files = Mapping[str, Callable[[], dict[str, Any]]]


def made_by(script: str) -> str:
    """Say who made a file and how."""
    return f"made by tests/vectors/{script} with the rooms of this repository; test values, no secrets"


def load(name: str) -> dict[str, Any]:
    """Load a file as it stands; empty where it is absent."""
    path = FOLDER / name
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return loaded


def contents(files: Files, name: str) -> str:
    """Return what a file should hold."""
    return json.dumps(files[name](), ensure_ascii=False, indent=1) + "\n"


def main(files: Files, arguments: list[str]) -> int:
    """Write the files that changed, or with --check say which would."""
    changed = {}
    for name in files:
        path, text = FOLDER / name, contents(files, name)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            changed[name] = text
    for name, text in changed.items():
        print(name)
        if "--check" not in arguments:
            (FOLDER / name).write_text(text, encoding="utf-8")
    return int(bool(changed) and "--check" in arguments)
