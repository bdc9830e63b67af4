"""`fedscreen node report`: the school's own report of a wave, as a workbook, a page or a PDF.

Without more it is the hand-in version: no names, no small cell. `--exact` and `--follow-up` ask for the
psychologist's passphrase and a reason; the vault writes both into its journal before it answers. The file is
readable for its owner only where it holds exact numbers or names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from gettext import gettext as _
from pathlib import Path
from typing import Any, Final

import click

from node.cli_context import NEW_FILE, Context, command
from node.cli_roles import PSYCHOLOGIST, actor_options, ask_actor
from node.config import file_error, replace_file
from node.errors import ConfigError
from node.errors import _ as N_  # translated where it is shown
from node.local_report.compose import NO_NAMES_READ, make_document
from node.local_report.document import Document
from node.local_report.html import encode_html
from node.local_report.pdf import check_ready, encode_pdf
from node.local_report.words import VERSIONS
from node.role_login import ROLES


def _encode_workbook(document: Document) -> bytes:
    """Load the spreadsheet writer only where a workbook is asked for: every other command starts without."""
    from node.local_report.workbook import encode_workbook

    return encode_workbook(document)


ENCODERS: Final[Mapping[str, Callable[[Document], bytes]]] = {
    ".xlsx": _encode_workbook,
    ".html": encode_html,
    ".htm": encode_html,
    ".pdf": encode_pdf,
}
SHARED_MODE, SECRET_MODE = 0o644, 0o600

_HOLDER = click.Group("holder")  # `command` needs a group; `node.cli` takes the command from here


@command(_HOLDER, "report", _("Write the school's own report; without names and small cells unless asked."))
@click.option("--out", type=NEW_FILE, required=True, help=_("File to write: .xlsx, .html or .pdf."))
@click.option("--wave", help=_("Which wave: A, S or X; default: the one that was counted last."))
@click.option("--school-year", help=_("Such as 2026-2027."))
@click.option("--exact", is_flag=True, help=_("Every number; needs the psychologist and a reason."))
@click.option(
    "--follow-up", is_flag=True, help=_("The list of pupils with something to do, by name; needs the same.")
)
@click.option("--reason", help=_("What it is for; stands in the journal and on every page."))
@click.option(
    "--role",
    type=click.Choice(ROLES),
    default=PSYCHOLOGIST,
    show_default=True,
    help=_("The holder's role; the hand-in version is for the principal too."),
)
@actor_options()
def report(
    context: Context,
    out: Path,
    wave: str | None,
    school_year: str | None,
    exact: bool,
    follow_up: bool,
    reason: str | None,
    role: str,
    holder: str | None,
    role_passphrase_file: Path | None,
) -> None:
    """Let the vault compute the report, then write it."""
    if exact and follow_up:
        raise click.UsageError(_("Give --exact or --follow-up, not both."))
    version = "exact" if exact else "follow-up" if follow_up else "hand-in"
    encode = _encoder(out)
    named = {"wave": wave, "school_year": school_year}
    asks: dict[str, Any] = {"command": "local_report", "version": version}
    asks |= {name: value for name, value in named.items() if value}
    if version != "hand-in" and not (holder and reason):
        raise click.UsageError(_("This version needs --holder NAME and --reason TEXT."))
    if version == "hand-in" and reason:
        raise click.UsageError(_("The hand-in version takes no --reason."))
    with context.vault() as vault:
        if holder:
            asks |= {"actor": ask_actor(vault, role, holder, role_passphrase_file)}
            asks |= {"reason": reason} if reason else {}
        answer, _blobs = vault.call(asks)
    write_report(out, encode(make_document(answer)), is_secret=version != "hand-in")
    about = {name: answer[name] for name in ("version", "school_year", "wave")}
    context.say({**about, "file": str(out)}, _lines(answer, out))


report_command: click.Command = _HOLDER.commands["report"]


def _encoder(out: Path) -> Callable[[Document], bytes]:
    encode = ENCODERS.get(out.suffix.lower())
    if encode is None:
        raise ConfigError(
            N_("%(file)s: the school's own report is an .xlsx, .html or .pdf file"),
            N_("Choose another file with --out."),
            code="file",
            details={"file": str(out)},
        )
    if encode is encode_pdf:
        check_ready()  # before the vault is asked and the journal says so
    return encode


def write_report(path: Path, data: bytes, *, is_secret: bool) -> None:
    """Write a report, whole or not at all; what is secret, for its owner only.

    Raises:
        ConfigError: it cannot be written there.
    """
    try:
        replace_file(path, data, SECRET_MODE if is_secret else SHARED_MODE)
    except OSError as err:
        raise file_error(err, str(path)) from err


def _lines(answer: Mapping[str, Any], out: Path) -> Iterator[str]:
    name = VERSIONS[answer["version"]]
    yield _("%(version)s written to %(file)s") % {"version": _(name), "file": out}
    if answer["version"] == "hand-in":
        yield _("  no names, and no number of 1 to 9 pupils; class of the document: internal")
    else:
        if answer.get("pupils") and not any(pupil["name"] for pupil in answer["pupils"]):
            yield "  " + _(NO_NAMES_READ)
        yield _("  the journal says who asked for it, when and why; keep it locked away")
