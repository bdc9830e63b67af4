"""What every `fedscreen coordinator` command shares: options, the open desk, answers and refusals."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from gettext import gettext as _
from pathlib import Path

import click

from coordinator.advice import REFUSALS, refusal_advice
from coordinator.desk import Desk
from coordinator.errors import CoordinatorError, UnknownRoundError
from crypto.errors import CryptoError
from crypto.fingerprint import fingerprint_words
from plan.errors import PlanError, phrase, told
from protos.errors import ProtocolError

EXIT_REFUSED = 1
DEFAULT_FOLDER = "fedscreen-county"
MIN_PREFIX = 4

DIR = click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=DEFAULT_FOLDER,
    show_default=True,
    envvar="FEDSCREEN_COORDINATOR_DIR",
    help=_("The coordinator's folder."),
)
JSON = click.option("--json", "as_json", is_flag=True, help=_("Print JSON, in English."))
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@contextmanager
def refusing(as_json: bool) -> Iterator[None]:
    """Turn a refusal into a message and exit code 1."""
    try:
        yield
    except (CoordinatorError, PlanError, ProtocolError, CryptoError) as err:
        code = err.code if isinstance(err, CoordinatorError) else "refused"
        if as_json:
            values = {"error": code, "message": str(err), "advice": refusal_advice(code)}
            click.echo(json.dumps(values))
        else:
            click.echo(_("refused: %(reason)s") % {"reason": told(err, _)}, err=True)
            if code in REFUSALS:
                click.echo(_("next: %(advice)s") % {"advice": _(refusal_advice(code))}, err=True)
        raise SystemExit(EXIT_REFUSED) from err


@contextmanager
def open_desk(directory: Path, as_json: bool) -> Iterator[Desk]:
    """Open the coordinator's folder for one command; refusals become messages."""
    with refusing(as_json):
        desk = Desk(directory)
        try:
            yield desk
        finally:
            desk.close()


def say(as_json: bool, values: dict[str, object], *lines: str) -> None:
    """Print a result: JSON, or lines for a person."""
    if as_json:
        click.echo(json.dumps(values, ensure_ascii=False))
        return
    for line in lines:
        click.echo(line)


def spoken(line: str) -> Iterator[str]:
    """Give a fingerprint's words in the reader's language, to be read out by telephone, four on a line."""
    words = fingerprint_words(line, "zh" if os.environ.get("LANGUAGE", "").startswith("zh") else "en")
    for start in range(0, len(words), 4):
        yield "    " + "  ".join(words[start : start + 4])


def find_round(desk: Desk, prefix: str | None) -> bytes:
    """Find a round by the first digits of its id; without any, the newest.

    Raises:
        UnknownRoundError: there is none, or several fit.
    """
    ids = desk.round_ids()
    if prefix is None and ids:
        return ids[-1]
    found = [item for item in ids if prefix and len(prefix) >= MIN_PREFIX and item.hex().startswith(prefix)]
    if not ids:
        raise UnknownRoundError(phrase("no round yet; publish a plan first"))
    if len(found) != 1:
        raise UnknownRoundError(
            phrase(
                "%(prefix)s: %(found)s rounds fit; give at least %(least)s digits of one",
                prefix=prefix,
                found=len(found),
                least=MIN_PREFIX,
            )
        )
    return found[0]


ROUND = click.argument("round_id", metavar="[ROUND]", required=False)
