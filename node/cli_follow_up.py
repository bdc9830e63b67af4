"""`fedscreen node follow-up`: the psychologist's list and form over the school year.

Everything here puts findings beside names, so every command asks for the psychologist's passphrase. What is
typed is stored in the vault at once; nothing is written to a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from gettext import gettext as _
from pathlib import Path
from typing import Any

import click

from node.cli_context import Context, command
from node.cli_roles import PSYCHOLOGIST, actor_options, ask_actor
from node.cli_words import local_time
from node.follow_up_words import FIELD_WORDS, OPEN_WORDS
from node.local_report.compose import NO_NAMES_READ
from node.local_report.words import class_name
from node.session import VaultSession
from node.vault.follow_up_form import FORM_FIELDS, LABELS, REVIEWED_ON
from plan.codes import GRADE, LEVEL
from plan.words import word

follow_up: click.Group = click.Group(
    "follow-up", help=_("What happens after the test, pupil by pupil; for the psychology teacher alone.")
)
PUPIL = click.argument("pupil", metavar="PUPIL")
SCHOOL_YEAR = click.option("--school-year", help=_("Such as 2026-2027; default: the newest."))
WAVE = click.option("--wave", help=_("A, S or X; default: the wave that was counted last."))


def ask_psychologist(vault: VaultSession, holder: str | None, passphrase_file: Path | None) -> dict[str, str]:
    """Ask for the psychologist; where the role has one holder, the name need not be given.

    Gives nothing where nobody holds the role: then the vault says what to do.
    """
    rows = vault.call({"command": "roles"})[0]["holders"]
    names = [row["name"] for row in rows if row["role"] == PSYCHOLOGIST]
    if not names:
        return {}
    if holder is None and len(names) > 1:
        raise click.UsageError(_("Several people hold this role: name one with --holder."))
    return ask_actor(vault, PSYCHOLOGIST, holder or names[0], passphrase_file)


def wave_fields(school_year: str | None, wave: str | None) -> dict[str, str]:
    """Give the fields that name a wave; nothing for the one that was counted last."""
    return {name: value for name, value in (("school_year", school_year), ("wave", wave)) if value}


@command(follow_up, "list", _("List who is followed up, with level and what is still to be done."))
@SCHOOL_YEAR
@WAVE
@click.option("--all", "is_all", is_flag=True, help=_("Every pupil of the wave."))
@actor_options()
def list_pupils(
    context: Context,
    school_year: str | None,
    wave: str | None,
    is_all: bool,
    holder: str | None,
    role_passphrase_file: Path | None,
) -> None:
    """Show the list; nothing of it is written anywhere."""
    with context.vault() as vault:
        actor = ask_psychologist(vault, holder, role_passphrase_file)
        asks = {"command": "follow_up_list", "actor": actor, "all": int(is_all)}
        answer, _blobs = vault.call(asks | wave_fields(school_year, wave))
    context.say(answer, _list_lines(answer))


@command(
    follow_up,
    "set",
    _("Type what happened: PUPIL by key, student number or name, then FIELD=VALUE pairs; asks without them."),
)
@PUPIL
@click.argument("pairs", metavar="FIELD=VALUE...", nargs=-1)
@SCHOOL_YEAR
@WAVE
@actor_options()
def set_values(
    context: Context,
    pupil: str,
    pairs: tuple[str, ...],
    school_year: str | None,
    wave: str | None,
    holder: str | None,
    role_passphrase_file: Path | None,
) -> None:
    """Store an entry and make the wave's records anew."""
    values = _read_values(pairs or _ask_pairs())
    with context.vault() as vault:
        actor = ask_psychologist(vault, holder, role_passphrase_file)
        asks = {"command": "follow_up_set", "actor": actor, "pupil": pupil, "values": values}
        answer, _blobs = vault.call(asks | wave_fields(school_year, wave))
    context.say(answer, _set_lines(answer))


def _ask_pairs() -> tuple[str, ...]:
    """Ask for what was left out on the command line, where a shell would remember it."""
    found: list[str] = []
    while line := str(click.prompt(_("FIELD=VALUE (nothing to finish)"), default="", show_default=False)):
        found.append(line)
    return tuple(found)


def _read_values(pairs: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign or name in found:
            raise click.UsageError(_("expected FIELD=VALUE, each field once"))
        found[name] = value
    return found


@command(follow_up, "history", _("Show who typed what about a pupil, and when."))
@PUPIL
@SCHOOL_YEAR
@WAVE
@actor_options()
def history(
    context: Context,
    pupil: str,
    school_year: str | None,
    wave: str | None,
    holder: str | None,
    role_passphrase_file: Path | None,
) -> None:
    """List the entries of a pupil."""
    with context.vault() as vault:
        actor = ask_psychologist(vault, holder, role_passphrase_file)
        asks = {"command": "follow_up_history", "actor": actor, "pupil": pupil}
        answer, _blobs = vault.call(asks | wave_fields(school_year, wave))
    context.say(answer, _history_lines(answer))


@command(follow_up, "withdraw", _("Take an entry back, by its number in the history; its values are erased."))
@click.argument("entry", type=click.IntRange(1))
@actor_options()
def withdraw(context: Context, entry: int, holder: str | None, role_passphrase_file: Path | None) -> None:
    """Withdraw an entry."""
    with context.vault() as vault:
        actor = ask_psychologist(vault, holder, role_passphrase_file)
        answer, _blobs = vault.call({"command": "follow_up_withdraw", "actor": actor, "entry": entry})
    context.say(answer, _withdrawn_lines(answer))


@command(follow_up, "fields", _("List the fields of the form and the values that each may have."))
def list_fields(context: Context) -> None:
    """List fields, codes and labels; needs neither node nor passphrase."""
    values = {name: dict(LABELS.get(name, {})) for name in (*FORM_FIELDS, REVIEWED_ON)}
    context.say({"fields": values}, _field_lines(values))


# ---------------------------------------------------------------- lines


def _list_lines(answer: dict[str, Any]) -> Iterator[str]:
    yield _("wave %(wave)s of %(school_year)s; confidential, for the psychology teacher alone") % answer
    if answer["pupils"] and not answer["names"]:
        yield _("  no names are kept for these records: import them again, now that the role is there")
    elif answer["pupils"] and not any(row["name"] for row in answer["pupils"]):
        yield "  " + _(NO_NAMES_READ)
    if not answer["pupils"]:
        yield _("nobody is followed up in this wave")
    for row in answer["pupils"]:
        yield from _pupil_lines(row)
        if row["earlier"]:
            yield _("    before: %(waves)s") % {"waves": "; ".join(map(_before, row["earlier"]))}
    yield _("a pupil at risk never waits for a list: tell the guardian and act at once")


def _pupil_lines(row: dict[str, Any]) -> Iterator[str]:
    words = {**row, "grade": GRADE[row["grade"]], "level": f"{row['level']} {LEVEL[row['level']]}"}
    words |= {"name": row["name"] or "—", "class": class_name(row["class"])}
    yield _("%(key)s  %(name)s  %(grade)s %(class)s  level %(level)s") % words
    steps = [word(OPEN_WORDS, name, _) for name in row["open"]]
    if steps and "days" in row:
        yield _("    to do, %(days)s days after the test: %(steps)s") % {
            "days": row["days"],
            "steps": "; ".join(steps),
        }
    elif steps:
        yield _("    to do: %(steps)s") % {"steps": "; ".join(steps)}


def _before(row: dict[str, Any]) -> str:
    level = f"{row['level']} {LEVEL[row['level']]}"
    return f"{row['school_year']} {row['wave']}: {level}"


def value_words(name: str, value: object) -> str:
    """Say a field's value with its label."""
    labels = LABELS.get(name, {})
    if isinstance(value, list):
        return ", ".join(f"{code} {labels.get(code, '')}".strip() for code in value) or _("none")
    text = str(value)
    return f"{text} {labels[text]}" if text in labels else text or _("none")


def _value_lines(values: dict[str, Any]) -> Iterator[str]:
    for name, value in values.items():
        yield f"    {word(FIELD_WORDS, name, _)}: {value_words(name, value)}"


def _set_lines(answer: dict[str, Any]) -> Iterator[str]:
    yield _("entry %(entry)s is stored for wave %(wave)s of %(school_year)s") % answer
    yield from _pupil_lines(answer["pupil"])
    yield from _value_lines(answer["pupil"]["values"])
    if not answer["is_new"]:
        yield _("  it says what the records said already")


def _history_lines(answer: dict[str, Any]) -> Iterator[str]:
    yield f"{answer['pupil']['key']}  {answer['pupil']['name']}".rstrip()
    if answer["follow_up_denied"]:
        yield _("  the guardian denied follow-up: entries about findings are not applied")
    if not answer["entries"]:
        yield _("  no entry in this wave")
    for entry in answer["entries"]:
        yield _("  entry %(entry)s, %(time)s, %(by)s") % {**entry, "time": local_time(entry["time"])}
        if entry["withdrawn"]:
            names = ", ".join(word(FIELD_WORDS, name, _) for name in entry["fields"])
            words = {**entry, "fields": names, "withdrawn": local_time(entry["withdrawn"])}
            yield _("    %(fields)s: withdrawn %(withdrawn)s by %(withdrawn_by)s") % words
        yield from _value_lines(entry["values"])


def _withdrawn_lines(answer: dict[str, Any]) -> Iterator[str]:
    yield _("entry %(entry)s was withdrawn; the records stand as without it") % answer["entry"]


def _field_lines(values: dict[str, dict[str, str]]) -> Iterator[str]:
    kinds = {
        "days_to_review": _("a number of days, or nothing"),
        REVIEWED_ON: _("a day such as 2026-09-30, instead of the number of days"),
    }
    for name, labels in values.items():
        shown = "; ".join(f"{code} {label}" for code, label in labels.items()) or kinds.get(name, "")
        yield f"{name}  {word(FIELD_WORDS, name, _)}: {shown}"
