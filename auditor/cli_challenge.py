"""`fedscreen auditor challenge`: which schools are replayed on site."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from gettext import gettext as _
from pathlib import Path
from typing import Any

import click

from auditor.challenge import (
    Selection,
    find_round,
    ledger_of_bundle,
    ledger_of_folder,
    select,
    selection_values,
)
from auditor.cli_context import DIR, FILE, JSON, refusing, say
from auditor.config import AuditorFolder
from auditor.enrol import load_policy
from protos.ledger import Ledger

BUNDLE = click.option(
    "--bundle",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help=_("Read the log of this bundle instead of an auditor's folder."),
)
POLICY = click.option("--policy", "policy_file", type=FILE, help=_("Whose keys count for the bundle."))


def open_log(directory: Path, bundle: Path | None, policy_file: Path | None) -> Ledger:
    """Read the log from a bundle with a policy, or from an auditor's folder; nobody is asked.

    Raises:
        click.UsageError: a bundle without a policy: keys that come with the evidence prove nothing.
    """
    if bundle is None:
        return ledger_of_folder(AuditorFolder(directory))
    if policy_file is None:
        raise click.UsageError(_("--bundle needs --policy: keys that come with a bundle prove nothing"))
    return ledger_of_bundle(bundle, load_policy(policy_file))


@click.group(name="challenge", help=_("The draw of the schools that are replayed."))
def challenge() -> None:
    """Hold the commands about the draw."""


@challenge.command(name="select", help=_("Draw the schools that are replayed; anybody can draw the same."))
@click.argument("round_prefix", metavar="ROUND")
@click.option("--number", type=click.IntRange(1), help=_("How many schools."))
@click.option("--probability", type=float, help=_("How surely one of the cheaters is found; default 0.9."))
@click.option("--cheaters", type=click.IntRange(1), help=_("How many schools cheat; default one in thirty."))
@BUNDLE
@POLICY
@DIR
@JSON
def select_schools(
    directory: Path,
    round_prefix: str,
    number: int | None,
    probability: float | None,
    cheaters: int | None,
    bundle: Path | None,
    policy_file: Path | None,
    as_json: bool,
) -> None:
    """Show the schools drawn, what they were drawn from, and the odds."""
    if number is not None and probability is not None:
        raise click.UsageError(_("give --number or --probability, not both"))
    try:
        wanted = None if probability is None else Fraction(str(probability))
    except ValueError as err:  # nan, inf
        raise click.BadParameter(_("a probability lies between 0 and 1"), param_hint="--probability") from err
    with refusing(as_json):
        ledger = open_log(directory, bundle, policy_file)
        selection = select(find_round(ledger, round_prefix), number, wanted, cheaters)
    say(as_json, selection_values(selection), *selection_lines(selection))


def selection_lines(selection: Selection) -> Iterator[str]:
    """Show a draw."""
    values: dict[str, Any] = selection_values(selection)
    yield _("round %(round)s: %(number)d of %(population)d schools are replayed") % {
        **values,
        "round": values["round"][:16],
    }
    for place, row in enumerate(values["schools"], 1):
        yield f"  {place:4d}  {row['node']}  {row['report'][:16]}"
    yield _("drawn from close %(close)s and what %(names)s revealed") % {
        "close": values["close"][:16],
        "names": ", ".join(values["revealed"]),
    }
    for names, text in (
        (values["withheld"], _("  no opening of %(names)s in the log: its part of the draw is empty")),
        (values["late"], _("  the opening of %(names)s came after the release and does not count")),
    ):
        if names:
            yield text % {"names": ", ".join(names)}
    percent = {**values, "found": 100 * selection.found, "at_least": 100 * selection.found_at_least}
    yield (
        _("if %(cheaters)d of %(population)d schools cheat, this finds at least one with %(found).1f %%")
        % percent
    )
    yield (
        _(
            "  had the county picked which openings count to suit them (%(draws)d draws), still with "
            "%(at_least).1f %%; more schools help"
        )
        % percent
    )
