"""`fedscreen node import` and `fedscreen node profile`: a school's files into its vault.

The command opens the files that the person names and streams their bytes; what they are, and what is wrong
with them, is found out inside the vault. A report of the problems is written only where the person asks.
"""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from gettext import gettext as _
from pathlib import Path
from typing import Any

import click

from node import cli_text
from node.cli_context import FILE, NEW_FILE, Context, command, find_round, list_rounds, write_file
from node.errors import EXIT_REFUSED, ConfigError, VaultRefusal
from node.errors import _ as N_  # translated where it is shown
from node.import_report import encode_report, verify_ending
from node.local_report.words import FACTORS
from node.session import VaultSession
from node.vault.importing.guess_words import HEADERS

FINISHED = ("released", "aborted")
ROLES = ("roster", "screening", "profile", "codebook", "retest")
LEDGER_PREFIX = "ledger."
MAX_BY_CHARS = 200

_HOLDER = click.Group("holder")  # `command` needs a group; `node.cli` takes the commands from here


def _read_ledgers(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, Path]:
    """Read repeated NAME=FILE, or FILE where the profile has a single ledger."""
    found: dict[str, Path] = {}
    for value in values:
        name, sign, file = value.partition("=")
        path = Path(file if sign else value)
        part = LEDGER_PREFIX + (name if sign else "")
        if not path.is_file():
            raise click.BadParameter(_("%(file)s is not there") % {"file": path})
        if part in found or len(part.encode()) > 60:
            raise click.BadParameter(_("expected NAME=FILE, each name once"))
        found[part] = path
    return found


def _read_sheets(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    pairs = [value.partition("=") for value in values]
    if any(not name or not sheet for name, _sign, sheet in pairs):
        raise click.BadParameter(_("expected FILE=SHEET, such as roster=2"))
    return {name: sheet for name, _sign, sheet in pairs}


@command(_HOLDER, "import", _("Import roster, results and ledgers; all of it or nothing."))
@click.option("--roster", type=FILE, help=_("The roster: xlsx, xls or csv."))
@click.option("--screening", type=FILE, help=_("The platform's export: xlsx, xls or csv."))
@click.option("--profile", type=FILE, help=_("What the columns are called (TOML)."))
@click.option("--codebook", type=FILE, help=_("What the levels mean (TOML)."))
@click.option("--retest", type=FILE, help=_("The platform's export of the retest."))
@click.option(
    "--ledger",
    "ledgers",
    multiple=True,
    callback=_read_ledgers,
    help=_("NAME=FILE: a ledger of the profile."),
)
@click.option("--consent-file", type=FILE, help=_("Consent by class: form and date."))
@click.option(
    "--sheet", "sheets", multiple=True, callback=_read_sheets, help=_("FILE=SHEET, such as roster=2.")
)
@click.option("--round", "round_id", help=_("The round whose wave this is; default: the one that is open."))
@click.option("--wave", help=_("Instead of a round: the wave."))
@click.option("--school-year", help=_("With --wave: such as 2026-2027."))
@click.option("--census-date", help=_("With --wave: such as 2026-09-30."))
@click.option(
    "--consent", type=click.Choice(["require", "record-only"]), help=_("With --wave: the consent rule.")
)
@click.option("--by", help=_("Who imports, for the journal; default: the user of this computer."))
@click.option("--dry-run", is_flag=True, help=_("Check everything and store nothing."))
@click.option(
    "--report", type=NEW_FILE, help=_("Write the problems, by row, as .html, .csv or .xlsx. No names in it.")
)
@click.option("--undo", is_flag=True, help=_("Take the last import back."))
def import_files(context: Context, undo: bool, **options: Any) -> None:
    """Stream the files into the vault and show what is wrong, by file, row and column."""
    by = (options["by"] or getpass.getuser())[:MAX_BY_CHARS]
    if undo:
        _undo(context, by, options)
        return
    if options["report"] is not None:
        verify_ending(options["report"])
    files = _files_of(options)
    sheets = {_part_of(name, files): sheet for name, sheet in options["sheets"].items()}
    asks = {"command": "import", "dry_run": int(options["dry_run"]), "by": by, "sheets": sheets}
    named = ("wave", "school_year", "census_date", "consent")
    target = {name: options[name] for name in named if options[name]}
    if target and options["round_id"]:
        raise click.UsageError(_("Give --round, or --wave with --school-year and --census-date."))
    with context.vault() as vault:
        if not target:
            target = {"round": _open_round(vault, options["round_id"])}
        answer, _blobs = vault.call({**asks, **target}, files)
    names = {part: path.name for part, path in files.items()}
    if options["report"] is not None:
        _write_report(context, options["report"], answer, names)
    context.say(answer, cli_text.import_lines(answer, names))
    if answer["refused"]:
        raise SystemExit(EXIT_REFUSED)


def _write_report(context: Context, path: Path, answer: dict[str, Any], names: dict[str, str]) -> None:
    """Write the report; where that fails, a person is told first what became of the import."""
    try:
        write_file(path, encode_report(answer, path))
    except ConfigError:
        if not context.as_json:
            context.say(answer, cli_text.import_lines(answer, names))
        raise


import_command: click.Command = _HOLDER.commands["import"]


def _files_of(options: dict[str, Any]) -> dict[str, Path]:
    missing = [
        f"--{role}" for role in ("roster", "screening", "profile", "codebook") if options[role] is None
    ]
    if missing:
        raise click.UsageError(_("An import needs %(options)s.") % {"options": ", ".join(missing)})
    files: dict[str, Path] = {role: options[role] for role in ROLES if options[role] is not None}
    if options["consent_file"] is not None:
        files["consent"] = options["consent_file"]
    files.update(options["ledgers"])
    return files


def _part_of(name: str, files: dict[str, Path]) -> str:
    """Find the part that --sheet means: roster, screening, retest, consent or a ledger's name."""
    part = name if name in files else LEDGER_PREFIX + name
    if part not in files:
        raise click.UsageError(_("--sheet %(name)s: no such file is given") % {"name": name})
    return part


def _undo(context: Context, by: str, options: dict[str, Any]) -> None:
    if any(options[role] for role in (*ROLES, "ledgers", "consent_file", "wave", "round_id", "dry_run")):
        raise click.UsageError(_("--undo stands alone: it takes the last import back."))
    with context.vault() as vault:
        answer, _blobs = vault.call({"command": "undo_import", "by": by})
    context.say(answer, _undo_lines(answer))


def _undo_lines(answer: dict[str, Any]) -> Iterator[str]:
    yield _("the last import was taken back: wave %(wave)s of %(school_year)s") % answer
    if answer["records"]:
        yield _("  the %(pupils)s records before it are current again") % answer
    else:
        yield _("  this wave has no records now")


def _open_round(vault: VaultSession, prefix: str | None) -> str:
    """Find the round that an import is for: the named one, or the only wave of the rounds still open."""
    if prefix is not None:
        return str(find_round(vault, prefix)["round"])
    rounds = [row for row in list_rounds(vault) if row["wave"]]
    rows = [row for row in rounds if row["state"] not in FINISHED]
    if rounds and not rows:
        raise _over(rounds[0])
    waves = {(row["school_year"], row["wave"], row["census_date"]) for row in rows}
    if len(waves) != 1:
        raise VaultRefusal(
            N_("%(found)d waves are open, so it is not clear which one these files belong to"),
            N_("Name a round with --round, or give --wave, --school-year and --census-date."),
            code="which-wave",
            details={"found": len(waves)},
        )
    return str(rows[0]["round"])


def _over(newest: dict[str, Any]) -> VaultRefusal:
    """Refuse to choose a round that is over: these files may already be of the next wave."""
    details = {name: newest[name] for name in ("school_year", "wave")}
    return VaultRefusal(
        N_("no round is open; the newest is %(round)s, of wave %(wave)s in %(school_year)s"),
        N_(
            "If these files are of that wave, give --round %(round)s; else --wave, --school-year and "
            "--census-date."
        ),
        code="which-wave",
        details={**details, "round": newest["round"][: cli_text.SHORT]},
    )


@click.group(name="profile", help=_("Import profiles: what a platform calls its columns."))
def profile() -> None:
    """Hold the commands about profiles."""


@command(profile, "guess", _("Propose a profile from the headers and labels of files; a person confirms it."))
@click.argument("files", type=FILE, nargs=-1, required=True)
@click.option("--school-year", help=_("Such as 2026-2027, for grades that are named by the year of entry."))
@click.option("--out", type=NEW_FILE, help=_("File to write; default: on the screen."))
def guess(context: Context, files: tuple[Path, ...], school_year: str | None, out: Path | None) -> None:
    """Let the vault look at the files and write a proposal."""
    asks = {"command": "guess_profile", "school_year": school_year or ""}
    named = {f"file{place}": path for place, path in enumerate(files, start=1)}
    with context.vault() as vault:
        answer, blobs = vault.call(asks, named)
    if out is not None:
        write_file(out, blobs["profile"])
        context.say({**answer, "file": str(out)}, _guess_lines(answer, out))
    elif context.as_json:
        context.say({**answer, "profile": blobs["profile"].decode("utf-8")}, iter(()))
    else:
        click.echo(blobs["profile"].decode("utf-8"), nl=False)


def _guess_lines(answer: dict[str, Any], out: Path) -> Iterator[str]:
    for item in answer["files"]:
        values = {
            **item,
            "part": cli_text.part_name(item["part"]),
            "fields": ", ".join(map(_field, item["recognised"])),
        }
        yield _("%(part)s: %(rows)s rows; recognised: %(fields)s") % values
        if item["unknown_columns"]:
            yield _("  not recognised: columns %(columns)s") % {"columns": ", ".join(item["unknown_columns"])}
    yield from _missing_lines(answer)
    yield _("%(file)s is a proposal: check every line before you use it") % {"file": out}
    if answer["open"]:
        yield _("  open questions in it: %(open)s") % answer


def _missing_lines(answer: dict[str, Any]) -> Iterator[str]:
    """Say which columns an import needs that no file has, and which file they stand in."""
    if answer["missing"]:
        yield _("not found, but an import needs it: %(fields)s") % {
            "fields": ", ".join(map(_field, answer["missing"]))
        }
    parts = {item["part"] for item in answer["files"]}
    if "roster" not in parts:
        yield _("  none of these files is a roster: give it too, grade and consent stand there")
    if "screening" not in parts:
        yield _("  none of these files has results: give the platform's export too")


def _field(name: str) -> str:
    """Give a field's code with the word by which schools know it."""
    header = HEADERS.get(name)
    word = header[0] if header else _(FACTORS[name]) if name in FACTORS else ""
    return name if word in ("", name) else f"{name} {word}"
