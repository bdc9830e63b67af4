"""Running the real command `fedscreen` in processes of its own, for tests of the demo."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TIMEOUT_S = 240.0


def environ() -> dict[str, str]:
    """Ours, with this checkout first and English messages."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "FEDSCREEN_LANG": "en"}


def command(*arguments: object) -> list[str]:
    """The command line of `fedscreen`."""
    return [sys.executable, "-m", "fedscreen", *(str(argument) for argument in arguments)]


@dataclass(frozen=True)
class Finished:
    """A demo that has ended.

    Attributes:
        out: its folder.
        process: how it ended and what it printed.
    """

    out: Path
    process: subprocess.CompletedProcess[str]

    @property
    def summary(self) -> dict[str, Any]:
        """The file summary.json."""
        return dict(json.loads((self.out / "summary.json").read_text("utf-8")))

    @property
    def release(self) -> dict[str, Any]:
        """The file release.json."""
        return dict(json.loads((self.out / "release.json").read_text("utf-8")))

    def table(self, name: str) -> dict[str, Any]:
        """One table of the summary."""
        return next(table for table in self.summary["tables"] if table["id"] == name)


def run_command(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run `fedscreen` to its end."""
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=TIMEOUT_S,
        cwd=ROOT,
        env=environ(),
        check=False,
    )


def run_demo(out: Path, *arguments: object) -> Finished:
    """Run `fedscreen demo` into a folder."""
    return Finished(out, run_command("demo", "--out", out, *arguments))
