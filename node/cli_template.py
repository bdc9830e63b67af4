"""`fedscreen node template`: a workbook for a school that tests on paper, and the profile that imports it.

The roster is read inside the vault; what comes back, names among it, goes into the workbook and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from gettext import gettext as _
from pathlib import Path
from typing import Any

import click

from node import cli_text
from node.cli_context import FILE, NEW_FILE, Context, command, write_file
from node.cli_report import write_report
from node.errors import EXIT_REFUSED, ConfigError
from node.errors import _ as N_  # translated where it is shown
from node.template_columns import template_columns, template_profile

_HOLDER = click.Group("holder")  # `command` needs a group; `node.cli` takes the command from here


@command(_HOLDER, "template", _("Write a workbook to fill in by hand, prefilled from the roster."))
@click.option("--codebook", type=FILE, required=True, help=_("What the levels mean (TOML)."))
@click.option("--roster", type=FILE, help=_("The roster: xlsx, xls or csv; without it the rows are empty."))
@click.option("--sheet", help=_("The roster's sheet: number or name; * for all of them."))
@click.option("--levels", help=_("Which label set of the codebook, if its sets differ."))
@click.option("--out", type=NEW_FILE, required=True, help=_("Workbook to write (.xlsx). It holds names."))
@click.option("--profile-out", type=NEW_FILE, required=True, help=_("Import profile to write (TOML)."))
def template(
    context: Context,
    codebook: Path,
    roster: Path | None,
    sheet: str | None,
    levels: str | None,
    out: Path,
    profile_out: Path,
) -> None:
    """Let the vault read roster and codebook, then write the workbook and its profile."""
    from node.template_book import encode_template  # the spreadsheet writer; other commands start without

    for file in (out, profile_out):
        _verify_new(file)
    asks = {"command": "template", "levels": levels or "", "sheet": sheet or ""}
    files = {"codebook": codebook, **({"roster": roster} if roster is not None else {})}
    with context.vault() as vault:
        answer, _blobs = vault.call(asks, files)
    about: dict[str, Any] = {"refused": answer["refused"], "issues": answer["issues"]}
    if answer["refused"]:
        context.say(about, cli_text.issue_lines(answer["issues"]))
        raise SystemExit(EXIT_REFUSED)
    columns = template_columns(answer)
    write_report(out, encode_template(answer, columns), is_secret=True)
    write_file(profile_out, template_profile(answer, columns).encode("utf-8"))
    about |= {"file": str(out), "profile": str(profile_out), "pupils": len(answer["pupils"])}
    context.say(about, _lines({**about, "codebook": str(codebook)}, answer))


template_command: click.Command = _HOLDER.commands["template"]


def _verify_new(file: Path) -> None:
    """Refuse to write over a file: somebody may have filled the workbook in already."""
    if file.exists():
        raise ConfigError(
            N_("%(file)s exists already; what somebody filled in there is never written over"),
            N_("Give another name, or move the file away."),
            code="exists",
            details={"file": str(file)},
        )


def _lines(about: Mapping[str, Any], answer: Mapping[str, Any]) -> Iterator[str]:
    yield from cli_text.issue_lines(answer["issues"])
    if about["pupils"]:
        yield _("%(file)s: %(pupils)s pupils to fill in; profile %(profile)s") % about
        yield _("  it is the school's own roster with names: keep it as the roster is kept")
    else:
        yield _("%(file)s: empty rows to fill in; profile %(profile)s") % about
        yield _("  once names stand in it, it is the school's own roster: keep it as the roster is kept")
    paths = {name: _quoted(str(about[name])) for name in ("file", "profile", "codebook")}
    line = (
        "fedscreen node import --roster {file} --screening {file} --profile {profile} --codebook {codebook}"
    )
    yield _("then: %(command)s") % {"command": line.format(**paths)}


def _quoted(path: str) -> str:
    """Quote a path with a space, as every shell that people use understands it."""
    return f'"{path}"' if " " in path else path
