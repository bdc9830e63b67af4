"""`fedscreen auditor policy`: what this auditor signs, shown in plain words and changed line by line.

| command | |
| --- | --- |
| `policy show [FILE]` | the policy in force, or a file, in plain words |
| `policy check FILE` | whether a file is a policy of this federation, and what it would change |
| `policy set WORD VALUE` | one limit: `max-rho 1/5`, `min-group 8` |
| `policy add WORD VALUE…`, `policy remove WORD VALUE…` | one line: `forbid-field sex`, `tuple 4 3 1 3` |
| `policy use FILE` | a whole file, checked |

A change is shown before it is written, with a mark where it loosens; the file before is kept. Exit codes as
everywhere in this room.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from gettext import gettext as _
from pathlib import Path

import click

from auditor.cli_context import DIR, FILE, JSON, YES, refusing, say, show
from auditor.config import AuditorFolder
from auditor.enrol import load_policy
from auditor.policy import AuditorPolicy, parse_auditor_policy
from auditor.policy_edit import (
    PolicyChange,
    add_line,
    read_text,
    remove_line,
    review_change,
    set_line,
    store_policy,
)
from plan.code_words import code_phrase

WORD = click.argument("word", metavar="WORD")
VALUES = click.argument("values", metavar="VALUE...", nargs=-1, required=True)


@click.group(name="policy", help=_("What this auditor signs: show it, check a file, change it line by line."))
def policy() -> None:
    """Hold the commands about the policy."""


@policy.command(name="show", help=_("Show the policy in force, or that of FILE, in plain words."))
@click.argument("file", metavar="[FILE]", type=FILE, required=False)
@DIR
@JSON
def show_policy(directory: Path, file: Path | None, as_json: bool) -> None:
    """Show a policy."""
    with refusing(as_json):
        found = load_policy(file or AuditorFolder(directory).policy)
    say(as_json, policy_values(found), *policy_lines(found))


@policy.command(
    name="check", help=_("Check that FILE is a policy of this federation; show what it would change.")
)
@click.argument("file", metavar="FILE", type=FILE)
@DIR
@JSON
def check(directory: Path, file: Path, as_json: bool) -> None:
    """Read a file as a policy; compare it with the one in force where this folder has joined."""
    folder = AuditorFolder(directory)
    with refusing(as_json):
        found = load_policy(file)
        changes = review_change(folder, found) if folder.policy.exists() else ()
    values = {"policy": policy_values(found), **_change_values(changes)}
    say(
        as_json, values, *policy_lines(found), *change_lines(changes), _("a good policy; nothing was written")
    )


@policy.command(
    name="set", help=_("Set a limit: max-rho, max-rho-year, min-reports, min-group and the like.")
)
@WORD
@VALUES
@YES
@DIR
@JSON
def set_word(directory: Path, word: str, values: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Exchange one line."""
    folder = AuditorFolder(directory)
    with refusing(as_json):
        text = set_line(read_text(folder.policy), word, values)
        _put(folder, text, yes=yes, as_json=as_json)


@policy.command(name="add", help=_("Add a line: tuple, forbid-field, forbid-table or forbid-relation."))
@WORD
@VALUES
@YES
@DIR
@JSON
def add(directory: Path, word: str, values: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Add one line."""
    folder = AuditorFolder(directory)
    with refusing(as_json):
        text = add_line(read_text(folder.policy), word, values)
        _put(folder, text, yes=yes, as_json=as_json)


@policy.command(name="remove", help=_("Remove a line: tuple, forbid-field, forbid-table or forbid-relation."))
@WORD
@VALUES
@YES
@DIR
@JSON
def remove(directory: Path, word: str, values: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Remove one line."""
    folder = AuditorFolder(directory)
    with refusing(as_json):
        text = remove_line(read_text(folder.policy), word, values)
        _put(folder, text, yes=yes, as_json=as_json)


@policy.command(name="use", help=_("Put the policy of FILE in force; the one before is kept."))
@click.argument("file", metavar="FILE", type=FILE)
@YES
@DIR
@JSON
def use(directory: Path, file: Path, yes: bool, as_json: bool) -> None:
    """Take a whole file."""
    with refusing(as_json):
        _put(AuditorFolder(directory), read_text(file), yes=yes, as_json=as_json)


def _put(folder: AuditorFolder, text: str, *, yes: bool, as_json: bool) -> None:
    """Show what changes, ask, write."""
    changes = review_change(folder, parse_auditor_policy(text))
    show(as_json, change_lines(changes))
    if not yes and changes:
        click.confirm(_("Change the policy?"), abort=True, err=True)
    _changes, kept = store_policy(folder, text)
    lines = (
        [_("nothing changes")]
        if kept is None
        else [_("changed; the policy before: %(file)s") % {"file": kept}]
    )
    if kept is not None:
        lines.append(_("a 'watch' or a page that runs takes it when it is started again"))
    say(as_json, {**_change_values(changes), "kept": str(kept) if kept else ""}, *lines)


def _change_values(changes: Sequence[PolicyChange]) -> dict[str, object]:
    return {
        "changes": [
            {"word": row.word, "is_looser": row.is_looser, "change": str(row.words)} for row in changes
        ],
        "is_looser": any(row.is_looser for row in changes),
    }


def change_lines(changes: Sequence[PolicyChange]) -> Iterator[str]:
    """Show what changes, with a mark where more is allowed than before."""
    for row in changes:
        yield f"  {'!' if row.is_looser else ' '} {row.words.text(_)}"
    if any(row.is_looser for row in changes):
        yield _("! allows more than before: write down who decided it and why, and let nobody hurry you")


def policy_values(found: AuditorPolicy) -> dict[str, object]:
    """Give a policy for a program."""
    return {
        "log": found.log.name,
        "witnesses": list(found.trust.witnesses),
        "genesis": found.genesis.hex(),
        "max_rho": str(found.max_rho),
        "max_rho_year": str(found.max_rho_year),
        "min_reports": found.min_reports,
        "min_group": found.min_group,
        "min_colluding_schools": found.min_colluding_schools,
        "tuples": [list(row) for row in found.tuples],
        "forbidden_fields": list(found.forbidden_fields),
        "forbidden_tables": list(found.forbidden_tables),
        "forbidden_relations": list(found.forbidden_relations),
    }


def policy_lines(found: AuditorPolicy) -> Iterator[str]:
    """Show a policy in plain words."""
    group = found.trust.groups.get(found.trust.quorum)
    values = {
        "log": found.log.name,
        "witnesses": ", ".join(found.trust.witnesses),
        "number": group.threshold if group else 1,
        "rho": str(found.max_rho),
        "rho_year": str(found.max_rho_year),
        "reports": found.min_reports,
        "group": found.min_group,
        "silent": found.min_colluding_schools,
    }
    yield _("believed: the log %(log)s where %(number)s of these have cosigned it: %(witnesses)s") % values
    yield _("a plan is approved only if all of this holds:")
    yield (
        _("  a round costs a pupil at most rho %(rho)s, all rounds of a school year rho %(rho_year)s")
        % values
    )
    yield (
        _("  at least %(reports)s schools must report, at least %(group)s stand behind every group") % values
    )
    yield _("  at least %(silent)s schools are assumed to add no noise of their own") % values
    for n, t, f, q in found.tuples:
        row = {"n": n, "t": t, "f": f, "q": q}
        yield _("  allowed: %(n)s auditors, %(t)s of them open, %(f)s may collude, quorum %(q)s") % row
    yield from _forbidden_lines(found)


def _forbidden_lines(found: AuditorPolicy) -> Iterator[str]:
    relations = ", ".join(code_phrase(name).text(_) for name in found.forbidden_relations)
    for text, shown in (
        (_("  never a table that uses: %(names)s"), ", ".join(found.forbidden_fields)),
        (_("  never the tables: %(names)s"), ", ".join(found.forbidden_tables)),
        (_("  never a guarantee claimed for: %(names)s"), relations),
    ):
        yield text % {"names": shown or _("(nothing forbidden)")}
