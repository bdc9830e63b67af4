"""`fedscreen node audit`: replay, rehearse, selftest, and all of them as a kit asks: an auditor at a school.

`replay` is about this node and its real reports. `rehearse` and `selftest` make a node of their own in a new
folder: they take no `--dir` and no passphrase, and can so be pointed at nobody's records.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from gettext import gettext as _
from pathlib import Path
from typing import Any

import click

from node import cli_text
from node.cli_context import NEW_FILE, ROUND, Context, command, fail, find_round, write_file
from node.config import read_config
from node.confine import LEVELS
from node.errors import EXIT_REFUSED, NodeError
from plan.words import REPLAY_CHECKS, TRIAL_CHECKS, TRIAL_NOTES, TRIALS, word

PASS = "PASS"  # noqa: S105  (an outcome)
FLOOR = click.option(
    "--confinement-floor",
    "floor",
    type=click.Choice(LEVELS),
    default="L3",
    show_default=True,
    help=_("Lowest level of confinement that is accepted."),
)
JSON = click.option("--json", "as_json", is_flag=True, help=_("Print JSON, in English."))


@click.group(name="audit", help=_("What an auditor does on this machine."))
def audit() -> None:
    """Hold the audit commands."""


@command(audit, "replay", _("Recompute a report inside the vault and say PASS or FAIL, nothing else."))
@ROUND
@click.option("--attempt", type=click.IntRange(0, 3), help=_("Which attempt; default: the newest."))
def replay(context: Context, round_id: str, attempt: int | None) -> None:
    """Recompute a report."""
    with context.vault() as vault:
        row = find_round(vault, round_id)
        chosen = attempt if attempt is not None else row["report"].get("attempt", 0)
        answer, _files = vault.call({"command": "recompute", "round": row["round"], "attempt": chosen})
    context.say(answer, cli_text.replay_lines(answer))
    if answer["outcome"] != PASS:
        raise SystemExit(EXIT_REFUSED)


@audit.command(
    name="selftest", help=_("Plant made-up pupils in a node of its own and look for them in all that leaves.")
)
@FLOOR
@JSON
def selftest(floor: str, as_json: bool) -> None:
    """Plant, report, search."""
    from node.audit_selftest import run_selftest  # gRPC's server, which no other command needs

    _conclude(lambda: run_selftest(floor), selftest_lines, as_json=as_json)


@audit.command(
    name="rehearse",
    help=_(
        "Play a whole round with the auditor's made-up FILE (folder or zip), opened in full, under its own K."
    ),
)
@click.argument("file", type=click.Path(exists=True, path_type=Path))
@click.option("--out", type=NEW_FILE, help=_("Write expected and opened vectors as JSON."))
@FLOOR
@JSON
def rehearse(file: Path, out: Path | None, floor: str, as_json: bool) -> None:
    """Read the material, play the round, show what was opened."""
    from node.audit_material import read_material
    from node.audit_rehearse import rehearse as play
    from node.audit_scratch import now

    def run() -> dict[str, Any]:
        values = play(read_material(file, now()), floor)
        if out is not None:
            write_file(out, json.dumps(values["tables"]).encode())
        return values

    _conclude(run, rehearse_lines, as_json=as_json)


@command(audit, "visit", _("Do what the auditor's KIT asks, and write one file of what came out."))
@click.argument("kit", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--out", type=NEW_FILE, help=_("The result, a new file to be taken back; default: result-SCHOOL.json.")
)
@FLOOR
def visit(context: Context, kit: Path, out: Path | None, floor: str) -> None:
    """Check the challenge, run the trials, write the result; 1 unless every trial passed."""
    from node.audit_scratch import now
    from node.audit_visit import choose_file, outcome_of
    from node.audit_visit import visit as run_visit
    from protos.site_visit import encode_result, result_values

    def tell(name: str) -> None:
        click.echo(word(TRIALS, name, _) + " …", err=True)

    file = choose_file(out, read_config(context.folder).node)
    with context.vault() as vault:
        result = run_visit(kit, vault, floor, now, tell)
    write_file(file, encode_result(result))
    values = {**result_values(result), "outcome": outcome_of(result), "file": str(file)}
    context.say(values, visit_lines(values))
    if values["outcome"] != PASS:
        raise SystemExit(EXIT_REFUSED)


def visit_lines(values: Mapping[str, Any]) -> Iterator[str]:
    """Show a visit: each trial, the checks that did not pass, and what to do with the file."""
    for name, trial in values["trials"].items():
        shown = {
            **trial,
            "name": word(TRIALS, name, _),
            "confinement": trial["confinement"] or trial["code"],
            "passed": sum(check["result"] == PASS for check in trial["checks"]),
            "all": len(trial["checks"]),
        }
        yield _("%(outcome)-8s %(name)s: %(passed)d of %(all)d checks (%(confinement)s)") % shown
        words = REPLAY_CHECKS if name == "replay" else TRIAL_CHECKS
        for check in trial["checks"]:
            if check["result"] != PASS:
                yield _check_line(check, words)
    for name in TRIALS:
        if name not in values["trials"]:
            yield _("%(outcome)-8s %(name)s: not asked for by this kit, and nothing is shown about it") % {
                "outcome": "-",
                "name": word(TRIALS, name, _),
            }
    yield _("%(outcome)s: give %(file)s to the auditor") % values


def _conclude(
    run: Callable[[], Mapping[str, Any]],
    lines: Callable[[Mapping[str, Any]], Iterator[str]],
    *,
    as_json: bool,
) -> None:
    """Run a trial, print it, and end with 1 unless it passed."""
    try:
        values = run()
    except NodeError as err:
        fail(err, as_json=as_json)
        return
    if as_json:
        click.echo(json.dumps(values, ensure_ascii=False))
    else:
        for line in lines(values):
            click.echo(line)
    if values["outcome"] != PASS:
        raise SystemExit(EXIT_REFUSED)


def check_lines(values: Mapping[str, Any]) -> Iterator[str]:
    """Show numbered checks; a note behind some."""
    for check in values["checks"]:
        yield _check_line(check, TRIAL_CHECKS)


def _check_line(check: Mapping[str, Any], words: Mapping[str, str]) -> str:
    note = f"  ({word(TRIAL_NOTES, check['note'], _)})" if check["note"] else ""
    return f"  {check['number']:2d}  {check['result']:7s} {word(words, check['name'], _)}{note}"


def selftest_lines(values: Mapping[str, Any]) -> Iterator[str]:
    """Show a self-test."""
    yield from check_lines(values)
    yield _("%(outcome)s: self-test on this machine, confinement %(confinement)s") % values


def rehearse_lines(values: Mapping[str, Any]) -> Iterator[str]:
    """Show a rehearsal: the checks, and for each table how far the opened one is from the expected one."""
    yield from check_lines(values)
    for table in values["tables"]:
        away = max((abs(a - b) for a, b in zip(table["opened"], table["expected"], strict=True)), default=0.0)
        shown = {"id": table["id"], "cells": len(table["expected"]), "total": sum(table["expected"])}
        shown |= {"opened": sum(table["opened"]), "away": away, "bound": table["bound"]}
        yield (
            _(
                "  table %(id)s: %(cells)d cells; expected %(total)d in all, opened %(opened).1f; "
                "farthest cell %(away).1f, bound %(bound).1f"
            )
            % shown
        )
    yield (
        _("%(outcome)s: rehearsal, confinement %(confinement)s, commitment to its own K %(master)s") % values
    )
