"""`fedscreen node log|outbox|receipt`: what a node without a network carries on a stick.

The log comes in, reports go out, receipts come in; the county's side is `coordinator.cli_files`. Everything
is checked in the vault as it is when it comes over the network, and every command may be given again.
An expired certificate stops none of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from gettext import gettext as _
from pathlib import Path
from typing import Any

import click

from node import cli_text
from node.cli_context import FILE, NEW_FILE, ROUND, Context, command, find_round, write_file
from node.config import file_error
from node.errors import EXIT_REFUSED, ConfigError, NodeError, VaultRefusal
from node.errors import _ as N_  # translated where it is shown
from node.frames import LIMITS, Kind, ReportSizes
from node.receipt_page import SUFFIXES as PAGE_SUFFIXES
from node.receipt_page import receipt_page
from node.session import VaultSession

MAX_LOG_BYTES = 120 * 1024 * 1024
MAX_RECEIPT_BYTES = LIMITS[Kind.RECEIPT][1]
STALE_S = 24 * 3600
_FOLDER = click.Path(file_okay=False, path_type=Path)


class RoundGroup(click.Group):
    """A group whose first word may be left out: `node receipt ROUND` means `node receipt write ROUND`."""

    default_command = "write"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default command in where another word than a command's stands."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [self.default_command, *args]
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the default command's options before the commands: they are what most people look for."""
        default = self.commands[self.default_command]
        with click.Context(default, info_name=self.default_command, parent=ctx) as inner:
            options = (item for item in default.get_params(inner) if isinstance(item, click.Option))
            records = [row for item in options if (row := item.get_help_record(inner))]
        title = _("Options of '%(command)s ROUND', where ROUND is as in 'fedscreen node rounds'")
        with formatter.section(title % {"command": ctx.command_path}):
            formatter.write_dl(records)
        self.format_commands(ctx, formatter)


@click.group(name="log", help=_("The federation's log, as a file."))
def log() -> None:
    """Hold the commands about the log."""


@command(log, "import", _("Take a log file of the county, with every check of the network's way."))
@click.argument("file", type=FILE)
def import_log(context: Context, file: Path) -> None:
    """Bring this node's copy of the log up to date."""
    _check_size(file, MAX_LOG_BYTES)
    with context.vault() as vault:
        answer, _files = vault.call({"command": "log_import"}, {"log": file})
    context.say(answer, _log_lines(answer))


def _log_lines(answer: dict[str, Any]) -> Iterator[str]:
    if answer["new_entries"]:
        yield _("%(new_entries)s new entries; the log is trusted up to entry %(trusted_size)s") % answer
    else:
        yield _("nothing new; the log is trusted up to entry %(trusted_size)s") % answer
    if answer["age_s"] > STALE_S:
        hours = {"hours": answer["age_s"] // 3600}
        yield (
            _("  its checkpoint is %(hours)s hours old: for a release ask the county for a newer file")
            % hours
        )


@click.group(name="outbox", help=_("Reports that are to go out, as files."))
def outbox() -> None:
    """Hold the commands about the outbox."""


@command(outbox, "export", _("Write the reports that the county does not have yet, as they would be sent."))
@click.option("--out", type=_FOLDER, required=True, help=_("Folder to write into, such as a USB stick's."))
@click.option(
    "--again",
    is_flag=True,
    help=_("Also reports that the log has, for a county that had to restore a backup."),
)
def export_outbox(context: Context, out: Path, again: bool) -> None:
    """Write one file a report; nothing counts as sent before the cosigned log shows it."""
    with context.vault() as vault:
        answer, files = vault.call({"command": "outbox_export", "again": again})
    sizes = ReportSizes()
    for row in answer["reports"]:
        sizes.verify(files[row["name"]])  # as the supervisor does: nothing rides along
        path = out / row["name"]
        _write_into(path, files[row["name"]])
        row["file"] = str(path)
    context.say(answer, _outbox_lines(answer["reports"]))


def _outbox_lines(rows: list[dict[str, Any]]) -> Iterator[str]:
    for row in rows:
        yield _("report written to %(file)s, %(bytes)s bytes") % row
    if rows:
        yield _("carry it to the county: fedscreen coordinator report import FILE")
    else:
        yield _("nothing waits; every released report stands in the cosigned log")


def _write_into(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise file_error(err, str(path)) from err
    write_file(path, data)


@click.group(name="receipt", cls=RoundGroup, help=_("The proof that the report stands in the log."))
def receipt() -> None:
    """Hold the commands about receipts."""


_OUT_HELP = _("File to write: .html a page to read and print; default: the proof, in the receipts folder.")


@command(receipt, "write", _("Write the proof that the report stands in the log."))
@ROUND
@click.option("--out", type=NEW_FILE, help=_OUT_HELP)
def write_receipt(context: Context, round_id: str, out: Path | None) -> None:
    """Write a tlog-proof, or a page that shows it."""
    with context.vault() as vault:
        found = find_round(vault, round_id)
        answer, files = vault.call({"command": "receipt", "round": found["round"]})
        school, _files = vault.call({"command": "identity"})
    path = out or context.folder.receipts / f"{found['round'][:16]}-{answer['attempt']}.tlog-proof"
    data = files["receipt"]
    if path.suffix.lower() in PAGE_SUFFIXES:
        data = receipt_page(school, found, answer, data).encode()
    write_file(path, data)
    values = {**answer, "round": found["round"], "file": str(path)}
    context.say(values, cli_text.receipt_lines(values))


@command(receipt, "import", _("Take receipt FILEs of the county; each must prove a report of this school."))
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILE)
def import_receipts(context: Context, files: tuple[Path, ...]) -> None:
    """Keep every receipt that proves a report of this node; exit 1 if any does not."""
    with context.vault() as vault:
        rows = [_take(vault, path) for path in files]
    refused = [row for row in rows if "error" in row]
    values = {"receipts": [_without_error(row) for row in rows], "refused": len(refused)}
    context.say(values, _receipt_lines(rows))
    if refused:
        raise SystemExit(EXIT_REFUSED)


def _take(vault: VaultSession, path: Path) -> dict[str, Any]:
    try:
        _check_size(path, MAX_RECEIPT_BYTES)
        answer, _files = vault.call({"command": "receipt_import"}, {"receipt": path})
    except (VaultRefusal, ConfigError) as err:
        return {"file": str(path), "error": err}
    return {"file": str(path), **answer}


def _without_error(row: dict[str, Any]) -> dict[str, Any]:
    err = row.get("error")
    if not isinstance(err, NodeError):
        return row
    return {**row, "error": err.code, "message": str(err)}


def _receipt_lines(rows: list[dict[str, Any]]) -> Iterator[str]:
    for row in rows:
        name = {"file": Path(row["file"]).name}
        if "error" in row:
            yield f"{name['file']}:"
            yield from ("  " + line for line in cli_text.error_lines(row["error"]))
        else:
            values = {**name, "round": row["round"][: cli_text.SHORT], "attempt": row["attempt"]}
            yield _("%(file)s: kept for round %(round)s, attempt %(attempt)s") % values


def _check_size(path: Path, most: int) -> None:
    """Refuse a file that is larger than any good one, before it is streamed into the vault."""
    found = path.stat().st_size
    if found > most:
        raise ConfigError(
            N_("%(file)s has %(found)d bytes, at most %(high)d"),
            N_("Choose the file that the county wrote."),
            code="file",
            details={"file": str(path), "found": found, "high": most},
        )
