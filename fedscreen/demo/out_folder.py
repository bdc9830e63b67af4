"""The folder that a demo writes: made with a mark, replaced only where the mark is."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from fedscreen.demo.errors import DemoError
from plan.errors import phrase

MARK: Final = ".fedscreen-demo"


def make_out(out: Path) -> None:
    """Make the demo's folder with its mark in it; an earlier demo's is replaced.

    Raises:
        DemoError: something that no demo made is there.
    """
    if out.is_symlink() or (out.exists() and not _may_replace(out)):
        raise DemoError(phrase("%(out)s holds something else than a demo; choose another folder", out=out))
    if out.exists():
        shutil.rmtree(out)
    out.mkdir(parents=True)
    (out / MARK).write_text("Made by fedscreen demo, which may replace this folder.\n", "utf-8")


def _may_replace(out: Path) -> bool:
    return out.is_dir() and ((out / MARK).is_file() or not any(out.iterdir()))
