"""`fedscreen coordinator round …`: missing schools, deadlines, ends, reissues, corrections; whole years.

The commands of ``cli`` show and close a round; these change one. What they do: ``change_round``.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from gettext import gettext as _
from pathlib import Path

import click

from coordinator.change_round import NewTerms
from coordinator.cli_context import DIR, FILE, JSON, ROUND, find_round, open_desk, refusing, say
from coordinator.durable import ignore_step, write_file
from coordinator.errors import FileError
from coordinator.missing_schools import Overdue, encode_csv, encode_xlsx, parse_contacts, script_for, table_of
from coordinator.plan_files import read_plan
from coordinator.round_desk import year_of
from plan.code_words import choices_note
from plan.errors import phrase
from plan.words import CHANGE_REASONS, REASONS, ROUND_STATES, STANDINGS, word
from protos.fields import ZERO_DIGEST

MOMENT = click.DateTime(["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M%z"])
_OUT = click.Path(dir_okay=False, path_type=Path)
_ENDINGS = ("auditor-away", "wrong-terms", "technical-fault", "wrong-codebook", "no-longer-needed", "other")
_DELAYS = ("schools-missing", "holiday", "technical-fault", "auditor-away", "other")
_FLAWS = ("school-miscounted", "wrong-codebook", "wrong-records", "technical-fault", "replaced", "other")


def _reason(*words: str) -> click.Choice[str]:
    return click.Choice(words)


def _why(codes: tuple[str, ...]) -> str:
    return _("Why, as a code word in the log.") + choices_note(codes, _, CHANGE_REASONS)


@click.command(name="list", help=_("List every round, with where it stands."))
@DIR
@JSON
def list_rounds(directory: Path, as_json: bool) -> None:
    """Show one line a round, oldest first."""
    with open_desk(directory, as_json) as desk:
        rows = [desk.round_status(round_id) for round_id in desk.round_ids()]
    say(as_json, {"rounds": rows}, *(_list_line(row) for row in rows))


def _list_line(row: dict[str, object]) -> str:
    values = {
        "serial": row["serial"],
        "short": str(row["round"])[:16],
        "state": word(ROUND_STATES, str(row["state"]), _),
        "reason": word(REASONS, str(row["reason"]), _),
        "closes": str(row["closes"])[:10],
    }
    line = _("round %(serial)s (%(short)s): %(state)s, %(reason)s; deadline %(closes)s") % values
    standing = str(row["standing"])
    return line if standing in ("", "valid") else f"{line}; {word(STANDINGS, standing, _)}"


@click.command(
    name="missing", help=_("List the schools that have not reported, with what to say by telephone.")
)
@ROUND
@click.option("--contacts", type=FILE, help=_("csv with a node's id and its contact a line; stays here."))
@click.option("--out", type=_OUT, help=_("Write the list as .csv or .xlsx."))
@click.option("--letter", type=_OUT, help=_("Write the text of a letter to these schools."))
@DIR
@JSON
def missing(
    directory: Path,
    round_id: str | None,
    contacts: Path | None,
    out: Path | None,
    letter: Path | None,
    as_json: bool,
) -> None:
    """Show the list; write it and the letter where asked."""
    with open_desk(directory, as_json) as desk:
        found = find_round(desk, round_id)
        rows = desk.rounds.overdue(found, parse_contacts(contacts.read_bytes()) if contacts else {})
        if out is not None:
            _write(out, _encoded(out, rows))
        if letter is not None:
            _write(letter, desk.rounds.letter(found).encode())
    values: dict[str, object] = {
        "round": found.hex(),
        "missing": [
            {
                "node": row.node,
                "name": row.name,
                "operator": row.operator,
                "contact": row.contact,
                "days_left": row.days_left,
            }
            for row in rows
        ],
        "files": [str(path) for path in (out, letter) if path],
    }
    say(as_json, values, *_missing_lines(rows), *(str(path) for path in (out, letter) if path))


def _encoded(path: Path, rows: tuple[Overdue, ...]) -> bytes:
    table = table_of(rows)
    if path.suffix.lower() == ".xlsx":
        return encode_xlsx(table, _("missing reports"))
    if path.suffix.lower() == ".csv":
        return encode_csv(table)
    raise FileError(phrase("%(name)s: expected a name that ends with .csv or .xlsx", name=path.name))


def _missing_lines(rows: tuple[Overdue, ...]) -> Iterator[str]:
    for row in rows:
        yield _("%(node)s, %(name)s, %(contact)s: %(days)s days left") % {
            "node": row.node,
            "name": row.name,
            "contact": row.contact or _("no contact known (a file of them: --contacts)"),
            "days": row.days_left,
        }
    if rows:
        yield _("what to say: %(script)s") % {"script": script_for(rows[0].days_left)}
    else:
        yield _("no school is missing, or the round takes no reports any more")


def _write(path: Path, data: bytes) -> None:
    try:
        write_file(path, data, ignore_step)
    except OSError as err:
        raise FileError(
            phrase("%(path)s cannot be written (%(reason)s)", path=path, reason=err.strerror or "")
        ) from err


@click.command(
    name="extend", help=_("Ask the auditors for a later deadline; it holds once a quorum has granted it.")
)
@ROUND
@click.option(
    "--closes", type=MOMENT, required=True, help=_("The new deadline, such as 2026-12-20T18:00+08:00.")
)
@click.option("--reason", type=_reason(*_DELAYS), required=True, help=_why(_DELAYS))
@DIR
@JSON
def extend(directory: Path, round_id: str | None, closes: datetime, reason: str, as_json: bool) -> None:
    """Log the wish; again with the same words changes nothing."""
    with open_desk(directory, as_json) as desk:
        found = find_round(desk, round_id)
        waiting = desk.rounds.extend(found, _utc(closes), reason)
    values: dict[str, object] = {"round": found.hex(), "closes": _utc(closes).isoformat()}
    say(
        as_json,
        values | {"waiting_for": list(waiting)},
        _("asked for the deadline %(closes)s; it holds once a quorum of the auditors has granted it")
        % values,
        _("waiting for: %(ids)s") % {"ids": ", ".join(waiting) or "–"},
    )


def _utc(moment: datetime) -> datetime:
    from datetime import UTC

    return moment.astimezone(UTC).replace(microsecond=0)


@click.command(name="cancel", help=_("End a round without a release, for all to read."))
@ROUND
@click.option("--reason", type=_reason(*_ENDINGS), required=True, help=_why(_ENDINGS))
@click.option("--yes", is_flag=True, help=_("Do not ask."))
@DIR
@JSON
def cancel(directory: Path, round_id: str | None, reason: str, yes: bool, as_json: bool) -> None:
    """Log the end; there is no way back."""
    with open_desk(directory, as_json) as desk:
        found = find_round(desk, round_id)
        if not yes:
            click.confirm(
                _("End round %(short)s for ever?") % {"short": found.hex()[:16]}, abort=True, err=True
            )
        desk.rounds.cancel(found, reason)
        desk.tick()
        values = desk.round_status(found)
    say(as_json, values, _list_line(values), _advice_line(values))


def _advice_line(values: dict[str, object]) -> str:
    return _("next: %(advice)s") % {"advice": _(str(values["advice"]))}


@click.command(
    name="leave-out", help=_("Close over the checks of the other auditors, where one refuses too much.")
)
@ROUND
@click.option("--yes", is_flag=True, help=_("Do not ask."))
@DIR
@JSON
def leave_out(directory: Path, round_id: str | None, yes: bool, as_json: bool) -> None:
    """Let the next tick close the round without the checks that stand in its way."""
    with open_desk(directory, as_json) as desk:
        found = find_round(desk, round_id)
        names = desk.round_status(found)["waiting_for"]
        shown = ", ".join(str(name) for name in names) if isinstance(names, list) else ""
        if not yes:
            click.confirm(
                _("Close round %(short)s without the checks of %(names)s?")
                % {"short": found.hex()[:16], "names": shown},
                abort=True,
                err=True,
            )
        desk.rounds.leave_out(found)
        desk.tick()
        values = desk.round_status(found)
    say(as_json, values, _list_line(values))


@click.command(
    name="reissue", help=_("Publish the round's plan with other terms in its place, before any report.")
)
@ROUND
@click.option("--tuple", "tuple_", metavar="N,T,F,Q", help=_("Another tuple that the roster allows."))
@click.option(
    "--auditor", "auditors", multiple=True, help=_("An auditor of the new round; default: the first n.")
)
@click.option("--opens", type=MOMENT, help=_("Begin of the window."))
@click.option("--closes", type=MOMENT, help=_("End of the window."))
@DIR
@JSON
def reissue(
    directory: Path,
    round_id: str | None,
    tuple_: str | None,
    auditors: tuple[str, ...],
    opens: datetime | None,
    closes: datetime | None,
    as_json: bool,
) -> None:
    """Log the new plan and the old round's end together."""
    terms = NewTerms(
        _tuple(tuple_), auditors, _utc(opens) if opens else None, _utc(closes) if closes else None
    )
    with open_desk(directory, as_json) as desk:
        old = find_round(desk, round_id)
        new = desk.rounds.reissue(old, terms)
        status = desk.round_status(new)
    waiting = status["waiting_for"]
    names = [str(name) for name in waiting] if isinstance(waiting, list) else []
    say(
        as_json,
        {"ended": old.hex(), "round": new.hex(), "waiting_for": names},
        _("round %(old)s is replaced by round %(new)s") % {"old": old.hex()[:16], "new": new.hex()[:16]},
        _("waiting for: %(ids)s") % {"ids": ", ".join(names)},
    )


def _tuple(text: str | None) -> tuple[int, int, int, int] | None:
    words = text.split(",") if text else []
    if not words:
        return None
    if len(words) != 4 or not all(word.isascii() and word.isdigit() for word in words):
        raise click.UsageError(_("--tuple: expected four numbers such as 4,3,1,3"))
    n, t, f, q = (int(word) for word in words)
    return n, t, f, q


@click.command(
    name="correct", help=_("Say in the log that a release is to be read differently since, or not at all.")
)
@ROUND
@click.option(
    "--withdraw", is_flag=True, help=_("Withdraw the release: its numbers must not be used any more.")
)
@click.option("--table", "tables", multiple=True, help=_("A table that is concerned; default: all."))
@click.option("--successor", help=_("The later released round whose numbers take its place."))
@click.option("--reason", type=_reason(*_FLAWS), required=True, help=_why(_FLAWS))
@click.option("--yes", is_flag=True, help=_("Do not ask."))
@DIR
@JSON
def correct(
    directory: Path,
    round_id: str | None,
    withdraw: bool,
    tables: tuple[str, ...],
    successor: str | None,
    reason: str,
    yes: bool,
    as_json: bool,
) -> None:
    """Log a correction or a withdrawal; the release itself stays as it is."""
    with open_desk(directory, as_json) as desk:
        found = find_round(desk, round_id)
        if not yes:
            click.confirm(
                _("Say so for ever of round %(short)s?") % {"short": found.hex()[:16]}, abort=True, err=True
            )
        desk.rounds.correct(
            found,
            "withdrawn" if withdraw else "corrected",
            reason,
            tables=tables,
            successor=find_round(desk, successor) if successor else ZERO_DIGEST,
        )
        desk.tick()
        values = desk.round_status(found)
    say(as_json, values, _list_line(values), *_correction_lines(values))


def _correction_lines(values: dict[str, object]) -> Iterator[str]:
    corrections = values["corrections"]
    for row in corrections if isinstance(corrections, list) else []:
        shown = {
            "status": word(STANDINGS, row["status"], _),
            "reason": word(CHANGE_REASONS, row["reason"], _),
            "tables": ", ".join(row["tables"]) or _("all tables"),
            "successor": row["successor"][:16] or "–",
        }
        yield _("  %(status)s: %(reason)s; %(tables)s; in its place: %(successor)s") % shown


@click.command(
    name="publish-year",
    help=_("Publish the plans of a school year, all or none, after adding up what they cost."),
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--codebook", "codebooks", multiple=True, type=FILE, help=_("Pin an instrument's codebook."))
@click.option(
    "--auditor", "auditors", multiple=True, help=_("An auditor of the rounds; default: the first n.")
)
@DIR
@JSON
def publish_year(
    directory: Path,
    files: tuple[str, ...],
    codebooks: tuple[Path, ...],
    auditors: tuple[str, ...],
    as_json: bool,
) -> None:
    """Log every plan; each is a round of its own, to be approved in one sitting ('auditor approve "
    "--year')."""
    with refusing(as_json):
        drafts = [read_plan(file, codebooks) for file in files]
    with open_desk(directory, as_json) as desk:
        rounds = desk.rounds.publish_year(drafts, auditors)
    years = [
        {"school_year": row.school_year, "spent": str(row.spent), "reserve": str(row.reserve)}
        for row in year_of(drafts)
    ]
    lines = [
        _("%(id)s: round %(short)s") % {"id": draft.id, "short": round_id.hex()[:16]}
        for draft, round_id in zip(drafts, rounds, strict=True)
    ]
    lines += [_("school year %(school_year)s: these plans cost ρ %(spent)s") % row for row in years]
    say(as_json, {"rounds": [row.hex() for row in rounds], "years": years}, *lines)


ROUND_COMMANDS = (list_rounds, missing, extend, leave_out, cancel, reissue, correct)
PLAN_COMMANDS = (publish_year,)
