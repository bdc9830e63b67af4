"""Read a plan file, or a ready plan by its name, and pin the codebooks that schools import with."""

from __future__ import annotations

from collections.abc import Sequence
from gettext import gettext as _
from importlib.resources import files
from pathlib import Path

import click

from plan.codebook import parse_codebook_toml
from plan.document import PlanDocument, parse_plan_toml
from plan.publishing import pin_codebook, use_codebook


def read_plan(file: str, codebooks: Sequence[Path] = (), exchanged: Path | None = None) -> PlanDocument:
    """Read a plan.

    Args:
        file: a path, or a ready plan's name.
        codebooks: to be pinned; each to the plan's instrument of its name, if it has one of several plans'.
        exchanged: a codebook to put in the place of the plan's only instrument.

    Raises:
        click.UsageError: there is neither a file nor a ready plan.
        PlanError: one of the files is not valid.
    """
    path = Path(file)
    ready = files("plan").joinpath("ready", f"{file}.toml")
    if path.is_file():
        document = parse_plan_toml(path.read_bytes())
    elif path.name == file and ready.is_file():
        document = parse_plan_toml(ready.read_bytes())
    else:
        raise click.UsageError(_("no file and no ready plan %(file)s") % {"file": file})
    for codebook in codebooks:
        document = pin_codebook(document, parse_codebook_toml(codebook.read_bytes()))
    if exchanged is not None:
        document = use_codebook(document, parse_codebook_toml(exchanged.read_bytes()))
    return document
