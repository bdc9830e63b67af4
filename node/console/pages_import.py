"""Import: choose files, see what is wrong with them, and only then store them.

The files of a check are kept in this session's memory until they are stored, thrown away, or the session
ends, so that a person chooses them once and replaces only the one that was mended. Nothing is written to a
disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from node import cli_text
from node.console.pages_enter import by_of
from node.console.sessions import IT
from node.console.speech import speaking, wave_word
from node.console.steps import is_collecting
from node.console.visit import Download, Page, Redirect, Reply, Visit
from node.errors import NodeError
from node.errors import _ as N_  # translated where it is shown
from node.import_report import encode_report

NEEDED: Final = ("roster", "screening", "profile", "codebook")
OPTIONAL: Final = ("retest", "consent")
NUM_LEDGERS: Final = 4
LEDGER_PREFIX: Final = "ledger."
FORM_NAME: Final = "import"
WAVES: Final = ("A", "S", "X")
MEDIA_TYPES: Final[Mapping[str, str]] = {
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "csv": "text/csv; charset=utf-8",
    "html": "text/html; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class Staged:
    """Files that were checked and wait for a yes.

    Attributes:
        target: what they are for: the fields of the command that name round or wave.
        sheets: by part, the sheet that the person named.
        files: by part; content.
        answer: of the dry run; empty when the files were refused as a whole.
    """

    target: Mapping[str, str]
    sheets: Mapping[str, str]
    files: Mapping[str, bytes] = field(repr=False)
    answer: Mapping[str, Any]


def import_form(visit: Visit) -> Reply:
    """Ask for the files."""
    status = visit.ask("status")
    rounds = [row for row in status["rounds"] if is_collecting(row) and row["wave"]]
    chosen = visit.query.get("round", "")
    staged: Staged | None = visit.session.staged
    values = {
        "typed": visit.typed(FORM_NAME),
        "rounds": rounds,
        "chosen": chosen or (staged.target.get("round", "") if staged else ""),
        "staged": staged,
        "needed": NEEDED,
        "optional": OPTIONAL,
        "ledgers": range(1, NUM_LEDGERS + 1),
        "kept_ledgers": [name[len(LEDGER_PREFIX) :] for name in _ledgers(staged)],
        "waves": WAVES,
        "undoable": status.get("undoable", {}),
    }
    return Page("import.html", values)


def check_files(visit: Visit) -> Reply:
    """Read everything as an import would, and store nothing."""
    staged: Staged | None = visit.session.staged
    files = {**(staged.files if staged else {}), **_files_of(visit)}
    missing = [part for part in NEEDED if part not in files]
    target = _target(visit)
    visit.keep_typed(FORM_NAME)
    if missing or not target:
        visit.session.staged = Staged(target, {}, files, {}) if files else None
        if missing:
            visit.say("bad", N_("files are missing"), N_("Choose whatever is marked as needed."))
        else:
            advice = N_("Choose a round, or the wave with its school year and census date.")
            visit.say("bad", N_("it is not said what the files are for"), advice)
        return Redirect("/import")
    sheets = {part: visit.text(f"sheet.{part}") for part in files if visit.text(f"sheet.{part}")}
    asks = {"command": "import", "dry_run": 1, "by": by_of(visit), "sheets": sheets, **target}
    visit.session.staged = Staged(target, sheets, files, {})
    try:
        answer, _blobs = visit.console.keeper.call(asks, files)
    except NodeError as err:
        visit.say_refused(err)
        return Redirect("/import")
    visit.session.staged = Staged(target, sheets, files, answer)
    return Redirect("/import/result")


def result(visit: Visit) -> Reply:
    """Show what a check found."""
    staged: Staged | None = visit.session.staged
    if staged is None or not staged.answer:
        return Redirect("/import")
    answer = dict(staged.answer)
    answer["counts"] = _counts_for(visit.role, answer["counts"])
    groups = list(cli_text.alike(answer["issues"]))
    parts = sorted(staged.files)
    return Page("import_result.html", {"answer": answer, "groups": groups, "parts": parts})


def store(visit: Visit) -> Reply:
    """Store what was checked."""
    staged: Staged | None = visit.session.staged
    if staged is None or not staged.answer or staged.answer["refused"]:
        return Redirect("/import")
    asks = {"command": "import", "dry_run": 0, "by": by_of(visit), "sheets": dict(staged.sheets)}
    answer, _blobs = visit.console.keeper.call({**asks, **staged.target}, staged.files)
    visit.session.staged = Staged(staged.target, staged.sheets, staged.files, answer)
    if answer["refused"]:
        return Redirect("/import/result")
    visit.session.staged = None
    visit.typed(FORM_NAME)
    if answer.get("is_new"):
        number = answer["counts"]["records"]
        visit.say("good", N_("Imported: %(number)s pupils are stored."), number=number)
    else:
        visit.say("good", N_("The same records were stored before; nothing has changed."))
    return Redirect("/")


def discard(visit: Visit) -> Reply:
    """Forget the files of a check."""
    visit.session.staged = None
    visit.typed(FORM_NAME)
    return Redirect("/import")


def undo(visit: Visit) -> Reply:
    """Take the last import back."""
    if visit.text("sure") != "yes":
        visit.say("bad", N_("nothing was undone"), N_("Tick the box to take the last import back."))
        return Redirect("/import")
    try:
        answer = visit.ask("undo_import", by=by_of(visit))
    except NodeError as err:
        visit.say_refused(err)
        return Redirect("/import")
    with speaking(visit.language):
        wave = wave_word(answer["wave"])
    visit.say(
        "good",
        N_("The last import was taken back: %(wave)s of %(school_year)s."),
        wave=wave,
        school_year=answer["school_year"],
    )
    return Redirect("/")


def problem_list(visit: Visit) -> Reply:
    """Give the problems as a file to work through: rows and columns, no names."""
    staged: Staged | None = visit.session.staged
    ending = visit.path["ending"]
    if staged is None or not staged.answer or ending not in MEDIA_TYPES:
        return Redirect("/import")
    with speaking(visit.language):
        content = encode_report(staged.answer, Path(f"problems.{ending}"))
    return Download(f"problems.{ending}", content, MEDIA_TYPES[ending])


def guess(visit: Visit) -> Reply:
    """Let the vault propose a profile from headers and labels."""
    files = {f"file{place}": data for place, data in enumerate(_files_of(visit).values(), start=1)}
    if not files:
        visit.say("bad", N_("no file was chosen"), N_("Choose the roster and the platform's export."))
        return Redirect("/import")
    year = {"school_year": visit.text("school_year")} if visit.text("school_year") else {}
    _answer, blobs = visit.console.keeper.call({"command": "guess_profile", **year}, files)
    return Download("profile.toml", blobs["profile"], "application/toml; charset=utf-8")


def _files_of(visit: Visit) -> dict[str, bytes]:
    """Take the form's files by part; a ledger goes by the name that stands beside it."""
    files: dict[str, bytes] = {}
    for name, content in visit.files.items():
        if name.startswith(LEDGER_PREFIX):
            title = visit.text(f"name.{name}")
            files[f"{LEDGER_PREFIX}{title}"[:60]] = content
        else:
            files[name] = content
    return files


def _ledgers(staged: Staged | None) -> list[str]:
    return [name for name in sorted(staged.files) if name.startswith(LEDGER_PREFIX)] if staged else []


def _target(visit: Visit) -> dict[str, str]:
    """Take what the files are for: a round, or a wave with its dates."""
    if visit.text("round"):
        return {"round": visit.text("round")}
    values = {name: visit.text(name) for name in ("wave", "school_year", "census_date", "consent")}
    return {name: value for name, value in values.items() if value} if values["wave"] else {}


def _counts_for(role: str, counts: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out for IT what counts pupils by a finding."""
    hidden = ("ledger_rows", "retest_rows") if role == IT else ()
    return {name: value for name, value in counts.items() if name not in hidden}
