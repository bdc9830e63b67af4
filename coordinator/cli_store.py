"""`fedscreen coordinator store|backup|restore`: the database, its backup, and its agreement with the log.

`store check` and `store repair` work on a database that every other command refuses.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from gettext import gettext as _
from pathlib import Path

import click

from coordinator import retention
from coordinator.backup import make_backup
from coordinator.backup import restore as restore_backup
from coordinator.check_store import Checked, check_store, mend
from coordinator.cli_context import DIR, EXIT_REFUSED, FILE, JSON, open_desk, refusing, say
from coordinator.desk import utc_now
from coordinator.durable import ignore_step, unused
from coordinator.errors import BackupError, CoordinatorError
from coordinator.high_water import HighWater
from coordinator.home import Home, load_home
from coordinator.log_book import LogBook
from coordinator.revisions import upgrade as upgrade_tables
from coordinator.sealed_file import is_sealed
from coordinator.store import Store
from plan.errors import phrase, told

COPIES = click.option(
    "--log",
    "copies",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help=_("A copy of the log: a folder, a bundle, an auditor's own copy, or a file of 'outbox export'."),
)
PASSPHRASE = click.option("--passphrase-file", type=FILE, help=_("File with the passphrase, one line."))
_WHAT = {
    retention.BOXES: phrase("sealed boxes"),
    retention.UNUSED: phrase("vectors outside of the released sum"),
    retention.VECTORS: phrase("masked vectors"),
    retention.SUMS: phrase("mask sums"),
}


@click.group(name="store", help=_("The database: check, repair, upgrade, retention."))
def store() -> None:
    """Hold the commands about the database."""


@contextmanager
def _opened(directory: Path) -> Iterator[tuple[Home, Store, LogBook]]:
    """Open a folder's database as it is, without asking whether one may go on from it."""
    home = load_home(directory)
    opened = home.open_store(check=False)
    try:
        yield home, opened, LogBook(opened, lambda: home.ring.signing("log"), utc_now)
    finally:
        opened.close()


@store.command(
    name="check", help=_("Compare the database with the log: what was signed, published, kept by others.")
)
@COPIES
@DIR
@JSON
def check(directory: Path, copies: tuple[Path, ...], as_json: bool) -> None:
    """Exit 0 when nothing is missing, else 1 with every finding; nothing is changed."""
    with refusing(as_json), _opened(directory) as (home, opened, book):
        found = check_store(home, opened, book, copies)
    _tell(found, as_json)


def _tell(found: Checked, as_json: bool, **more: object) -> None:
    values: dict[str, object] = {
        "whole": not found.findings,
        "size": found.size,
        "signed": found.signed,
        "copies": found.copies,
        "findings": [
            {"code": row.code, "text": str(row.text), "ids": list(row.ids), "round": row.round_id.hex()}
            for row in found.findings
        ],
        **more,
    }
    lines = [_("wrong: %(finding)s") % {"finding": row.text.text(_)} for row in found.findings]
    if not found.findings:
        lines = [_("whole: %(size)s entries") % {"size": found.size}]
    elif {"behind-signed", "behind-copy"} & set(found.codes):
        lines.append(_("next: fedscreen coordinator store repair, with --log for a newer copy of the log"))
    say(as_json, values, *lines)
    if found.findings:
        raise SystemExit(EXIT_REFUSED)


@store.command(
    name="repair", help=_("Append what copies of the log have and the database lacks, then check.")
)
@COPIES
@DIR
@JSON
def repair(directory: Path, copies: tuple[Path, ...], as_json: bool) -> None:
    """Mend from the published folder and the copies named; every entry is checked, nothing is signed."""
    with refusing(as_json), unused(directory), _opened(directory) as (home, opened, book):
        appended = mend(home, opened, book, copies)
        found = check_store(home, opened, book, copies)
    if not as_json:
        say(as_json, {}, _("appended from the log: %(number)s entries") % {"number": appended})
    _tell(found, as_json, appended=appended)


@store.command(name="upgrade", help=_("Bring the database's tables to this program's revision."))
@DIR
@JSON
def upgrade(directory: Path, as_json: bool) -> None:
    """Upgrade; a SQLite file is copied first, a PostgreSQL database by its administrator."""
    with refusing(as_json), _opened(directory) as (_home, opened, _book):
        old, new = upgrade_tables(opened.backend, ignore_step)
    values: dict[str, object] = {"from": old, "to": new}
    text = _("tables: revision %(to)s already") if old == new else _("tables: revision %(from)s → %(to)s")
    say(as_json, values, text % values)


@store.command(
    name="prune", help=_("Delete what the protocol keeps no longer; the server does it by itself too.")
)
@click.option("--dry-run", is_flag=True, help=_("Only say what would be deleted."))
@DIR
@JSON
def prune(directory: Path, dry_run: bool, as_json: bool) -> None:
    """Delete boxes and vectors whose time is over."""
    with open_desk(directory, as_json) as desk:
        deleted = retention.prune(desk.book, desk.home.config, is_rehearsal=dry_run)
    rows = [{"round": row.round_id.hex(), "what": row.what, "rows": row.num_rows} for row in deleted]
    lines = [
        _("round %(round)s: %(what)s, %(rows)s rows")
        % {"round": row.round_id.hex()[:16], "what": _WHAT[row.what].text(_), "rows": row.num_rows}
        for row in deleted
    ]
    say(as_json, {"is_rehearsal": dry_run, "deleted": rows}, *(lines or [_("nothing to delete")]))


@click.command(
    name="backup", help=_("Write one file with keys, configuration and database, as of this moment.")
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help=_("New file."))
@PASSPHRASE
@click.option("--plain", is_flag=True, help=_("Not under a passphrase: whoever has the file has all keys."))
@DIR
@JSON
def backup(directory: Path, out: Path, passphrase_file: Path | None, plain: bool, as_json: bool) -> None:
    """Write a backup while the server runs."""
    if plain and passphrase_file is not None:
        raise click.UsageError(_("--plain and --passphrase-file exclude each other"))
    with refusing(as_json):
        passphrase = None if plain else _passphrase(passphrase_file, is_new=True)
        home = load_home(directory)
        opened = home.open_store()
        try:
            made = make_backup(home, opened, out, passphrase, now=utc_now(), entropy=secrets.token_bytes)
        finally:
            opened.close()
    values: dict[str, object] = {"file": str(out), "size": made.size, "sealed": not plain}
    say(
        as_json,
        values,
        _("written: %(file)s, %(size)s entries of the log") % values,
        _("it holds every key of this coordinator: keep it as you keep them")
        if plain
        else _("without its passphrase nobody can open it: keep that elsewhere"),
    )


def _passphrase(path: Path | None, *, is_new: bool) -> bytes:
    if path is None:
        text = click.prompt(_("passphrase"), hide_input=True, confirmation_prompt=is_new, err=True)
    else:
        text = path.read_text("utf-8").rstrip("\r\n")
    if not text:
        raise BackupError(phrase("the passphrase is empty; choose one, or say --plain"))
    return str(text).encode()


@click.command(name="restore", help=_("Put a backup into a new folder, or back into its own."))
@click.argument("file", type=FILE)
@PASSPHRASE
@COPIES
@click.option("--alone", is_flag=True, help=_("There is no copy of the log anywhere: go on from the backup."))
@click.option(
    "--database", help=_("For a new folder: PostgreSQL's address, or an empty text for a SQLite file.")
)
@DIR
@JSON
def restore(
    directory: Path,
    file: Path,
    passphrase_file: Path | None,
    copies: tuple[Path, ...],
    alone: bool,
    database: str | None,
    as_json: bool,
) -> None:
    """Restore, mend from copies of the log, and say what is missing."""
    with refusing(as_json):
        _verify_has_copy(directory, copies, alone=alone)
        restore_backup(file, directory, _opening(file, passphrase_file), now=utc_now(), database=database)
        with unused(directory), _opened(directory) as (home, opened, book):
            appended, refusal = _mend(home, opened, book, copies)
            found = check_store(home, opened, book, copies)
            if not {"behind-signed", "behind-copy", "other-log"} & set(found.codes):
                _note_signed(home, book)
    if not as_json:
        lines = [_("restored: %(folder)s") % {"folder": directory}]
        lines += [_("appended from the log: %(number)s entries") % {"number": appended}]
        say(as_json, {}, *lines, *([told(refusal, _)] if refusal else []))
    _tell(found, as_json, appended=appended)


def _verify_has_copy(directory: Path, copies: Sequence[Path], *, alone: bool) -> None:
    """Refuse to guess how far the log had gone.

    Raises:
        BackupError: nothing here shows it, and it was not said that there is nothing.
    """
    is_known = HighWater(directory / "log.head").read().size or (directory / "log" / "checkpoint").exists()
    if not (is_known or copies or alone):
        raise BackupError(
            phrase(
                "nothing in this folder shows how far the log had gone when the backup was made: name a copy "
                "with --log (the published folder, an auditor's own copy or bundle), or say --alone if there "
                "is none"
            )
        )


def _opening(file: Path, passphrase_file: Path | None) -> bytes | None:
    with file.open("rb") as source:
        return _passphrase(passphrase_file, is_new=False) if is_sealed(source) else None


def _mend(home: Home, opened: Store, book: LogBook, copies: Sequence[Path]) -> tuple[int, Exception | None]:
    try:
        return mend(home, opened, book, copies), None
    except CoordinatorError as err:  # the check that follows says the same by its findings
        return 0, err


def _note_signed(home: Home, book: LogBook) -> None:
    """Take what the database has now for signed: its newest entries may have been, before the backup."""
    with book.reading() as view:
        if view.has_genesis:
            HighWater(home.head_path).raise_to(view.ledger.size, view.ledger.root())
