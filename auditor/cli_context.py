"""What every module of `fedscreen auditor` shares: options, refusals, the open desk, how to say a result.

With ``--json`` a result, or an error as ``{"error": kind, "message": …}``, is one JSON object on
standard output, in English.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from gettext import gettext as _
from pathlib import Path

import click

from auditor import watch as watching
from auditor.config import AuditorFolder
from auditor.desk import Desk
from auditor.errors import AuditorError, LinkError, RefusalError
from auditor.fingerprint_sheet import Shown, shown_lines
from crypto.errors import CryptoError
from plan.errors import PlanError, told
from protos.errors import ProtocolError
from results.errors import ResultsError

EXIT_REFUSED = 1
DEFAULT_FOLDER = "fedscreen-auditor"

DIR = click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=DEFAULT_FOLDER,
    show_default=True,
    envvar="FEDSCREEN_AUDITOR_DIR",
    help=_("The auditor's folder."),
)
JSON = click.option("--json", "as_json", is_flag=True, help=_("Print JSON, in English."))
YES = click.option("--yes", is_flag=True, help=_("Do not ask."))
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@contextmanager
def refusing(as_json: bool) -> Iterator[None]:
    """Turn a refusal into a message and exit code 1."""
    try:
        yield
    except (AuditorError, ProtocolError, CryptoError, PlanError, ResultsError, OSError) as err:
        code = err.code if isinstance(err, RefusalError | LinkError) else type(err).__name__
        if as_json:
            click.echo(json.dumps({"error": code, "message": str(err)}))
        else:
            click.echo(_("refused: %(reason)s") % {"reason": told(err, _)}, err=True)
        raise SystemExit(EXIT_REFUSED) from err


@contextmanager
def open_desk(directory: Path, as_json: bool) -> Iterator[Desk]:
    """Open the auditor's folder and its connection; a refusal is told and ends with exit code 1."""
    with refusing(as_json), watching.connected_desk(AuditorFolder(directory)) as desk:
        yield desk


def show(as_json: bool, lines: Iterator[str]) -> None:
    """Print lines for a person, nothing with ``--json``."""
    if not as_json:
        for line in lines:
            click.echo(line)


def say(as_json: bool, values: dict[str, object], *lines: str) -> None:
    """Print a result: one JSON object for a program, or lines for a person."""
    if as_json:
        click.echo(json.dumps(values, ensure_ascii=False))
        return
    for line in lines:
        click.echo(line)


def fingerprint_lines(shown: Iterable[Shown], *, has_code: bool = True) -> Iterator[str]:
    """Show fingerprints for the telephone, in the words of the reader's language."""
    language = "zh" if os.environ.get("LANGUAGE", "").startswith("zh") else "en"
    for row in shown:
        yield from shown_lines(row, language, _, has_code=has_code)
