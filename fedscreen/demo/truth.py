"""The true tables of a demo: every school's own files, read and counted as its node does, then added.

Only the demo can do this, because only the demo has every school's files. It uses the node's import and
the plan's tabulation, so a difference to a release is the noise and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fedscreen.demo.errors import DemoDataError
from fedscreen.demo.school_files import CODEBOOK_FILE, PROFILE_FILE, ROSTER_FILE, SCREENING_FILE
from node.vault.import_file import ImportContext, ImportResult, import_files
from plan.errors import phrase
from plan.layout import Layout
from plan.tabulation import tabulate


def truth_of(folders: Sequence[Path], layout: Layout, contexts: Sequence[ImportContext]) -> NDArray[np.int64]:
    """Count every school's files and add them up.

    Args:
        folders: one folder for each school, as `write_school` fills it.
        layout: of the plan.
        contexts: how each school imports, in the order of the folders. The record secret may be any:
            the counts do not depend on it.

    Returns:
        The exact cells, shape (layout.cells,).

    Raises:
        DemoDataError: a school's files are refused.
    """
    total = np.zeros(layout.cells, dtype=np.int64)
    for folder, context in zip(folders, contexts, strict=True):
        total += tabulate(layout, import_school(folder, context).records)
    return total


def import_school(folder: Path, context: ImportContext) -> ImportResult:
    """Import one school's folder in this process.

    Raises:
        DemoDataError: its files are refused; the message has the first issue.
    """
    names = {
        "roster": ROSTER_FILE,
        "screening": SCREENING_FILE,
        "profile": PROFILE_FILE,
        "codebook": CODEBOOK_FILE,
    }
    files = {part: (folder / name).read_bytes() for part, name in names.items()}
    result = import_files(files, context)
    if result.is_refused:
        issue = result.issues[0]
        raise DemoDataError(
            phrase(
                "%(name)s: %(file)s row %(row)s column %(column)s: %(message)s",
                name=folder.name,
                file=issue.file,
                row=issue.row,
                column=issue.column,
                message=issue.message,
            )
        )
    return result
