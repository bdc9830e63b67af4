"""`fedscreen auditor flow check`: what a router counted against what the log lets schools send."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from gettext import gettext as _
from pathlib import Path
from typing import Any

import click

from auditor.challenge import find_round
from auditor.cli_challenge import BUNDLE, POLICY, open_log
from auditor.cli_context import DIR, FILE, JSON, refusing, say
from auditor.flow_check import MOST_NAMED, check_flows, parse_flows, parse_network, report_values

EXIT_CODES = {"PASS": 0, "FAIL": 1, "INCOMPLETE": 2}


@click.group(name="flow", help=_("What a router or switch counted."))
def flow() -> None:
    """Hold the commands about flows."""


def _time(_context: click.Context, _parameter: click.Parameter, text: str | None) -> datetime | None:
    """Read a time with its offset."""
    try:
        found = None if text is None else datetime.fromisoformat(text)
    except ValueError as err:
        raise click.BadParameter(_("expected a time like 2026-10-12T08:00:00+08:00")) from err
    if found is not None and found.tzinfo is None:
        raise click.BadParameter(_("expected a time like 2026-10-12T08:00:00+08:00"))
    return found


@flow.command(
    name="check",
    help=_("Compare counted bytes of a ROUND with its log: 0 within, 1 too many or elsewhere, 2 incomplete."),
)
@click.argument("round_prefix", metavar="ROUND")
@click.option("--manifest", required=True, type=FILE, help=_("Whose addresses are whose, what is declared."))
@click.option("--flows", required=True, type=FILE, help=_("CSV: of nfdump, or time,src,dst,bytes."))
@click.option(
    "--from", "start", callback=_time, help=_("Count from this time on; default: the plan's start.")
)
@click.option("--to", "end", callback=_time, help=_("Count until this time; default: the plan's end."))
@BUNDLE
@POLICY
@DIR
@JSON
def check(
    directory: Path,
    round_prefix: str,
    manifest: Path,
    flows: Path,
    start: datetime | None,
    end: datetime | None,
    bundle: Path | None,
    policy_file: Path | None,
    as_json: bool,
) -> None:
    """Print a line a school, unknown destinations, and what would fit unseen."""
    with refusing(as_json):
        ledger = open_log(directory, bundle, policy_file)
        round_log = find_round(ledger, round_prefix)
        network = parse_network(manifest.read_bytes())
        window = start or round_log.terms.opens, end or round_log.closes
        found = check_flows(ledger, round_log, network, parse_flows(flows.read_bytes(), network.zone), window)
    values = report_values(found)
    say(as_json, values, *flow_lines(values))
    raise SystemExit(EXIT_CODES[values["outcome"]])


def flow_lines(values: Mapping[str, Any]) -> Iterator[str]:
    """Show a check of flows."""
    for row in values["schools"]:
        yield (
            _(
                "  %(result)-7s %(node)s: %(bytes)d bytes; %(attempts)d reports need %(least)d, "
                "at most %(most)d; unexplained %(unexplained_bits)d bits"
            )
            % row
        )
    for row in values["unknown"]:
        yield _("  FAIL    %(src)s sent %(bytes)d bytes to %(dst)s, which the manifest does not know") % row
    yield (
        _("%(flows)d flows; %(other)d of other machines, %(outside)d outside of the time asked for") % values
    )
    if values["unlisted"]:
        yield _(
            "%(number)d schools of this round are not in the manifest and were not looked at: %(nodes)s"
        ) % {
            "number": len(values["unlisted"]),
            "nodes": ", ".join(values["unlisted"][:MOST_NAMED])
            + (" …" if len(values["unlisted"]) > MOST_NAMED else ""),
        }
    yield f"{values['outcome']}"
