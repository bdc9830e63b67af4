"""`fedscreen auditor policy`: what this auditor signs, shown in plain words and changed line by line.

| command | |
| --- | --- |
| `policy show [FILE]` | a policy in plain words, with the fingerprint of what it pins |
| `policy check FILE` | whether it pins what was told (`--fingerprint`), a card (`--card`), this folder |
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

from auditor.cli_context import DIR, FILE, JSON, YES, fingerprint_lines, refusing, say, show
from auditor.config import AuditorFolder
from auditor.enrol import load_policy, read_card
from auditor.fingerprint_sheet import Shown
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
from auditor.trust import policy_name, trust_fingerprint, verify_same, verify_told
from plan.code_words import code_phrase
from protos.card import encode_card, fingerprint

WORD = click.argument("word", metavar="WORD")
CARD = click.option("--card", "card_file", type=FILE, help=_("Compare with this federation card, too."))
EXIT_NOT_COMPARED = 2
VALUES = click.argument("values", metavar="VALUE...", nargs=-1, required=True)


@click.group(name="policy", help=_("What this auditor signs: show it, check a file, change it line by line."))
def policy() -> None:
    """Hold the commands about the policy."""


@policy.command(name="show", help=_("Show the policy in force, or that of FILE, in plain words."))
@click.argument("file", metavar="[FILE]", type=FILE, required=False)
@CARD
@DIR
@JSON
def show_policy(directory: Path, file: Path | None, card_file: Path | None, as_json: bool) -> None:
    """Show a policy and the fingerprint of what it pins."""
    with refusing(as_json):
        found = load_policy(file or AuditorFolder(directory).policy)
        if card_file is not None:
            verify_same(found, read_card(card_file))
    lines = [*policy_lines(found), *pin_lines(found), *_card_lines(card_file)]
    say(as_json, {**policy_values(found), **_card_values(card_file)}, *lines)


@policy.command(
    name="check",
    help=_(
        "Check that FILE pins what was told or a card has, or this folder: 0 it does, 1 not, 2 nothing to "
        "compare with."
    ),
)
@click.argument("file", metavar="FILE", type=FILE)
@click.option("--fingerprint", "told", help=_("What a key keeper reads from 'keys show': words or digits."))
@CARD
@DIR
@JSON
def check(directory: Path, file: Path, told: str | None, card_file: Path | None, as_json: bool) -> None:
    """Read a file as a policy; compare it with all that is there to compare it with."""
    folder = AuditorFolder(directory)
    with refusing(as_json):
        found = load_policy(file)
        changes = review_change(folder, found) if folder.policy.exists() else ()
        if told is not None:
            verify_told(found, told)
        if card_file is not None:
            verify_same(found, read_card(card_file))
    is_compared = told is not None or card_file is not None or folder.policy.exists()
    values = {"policy": policy_values(found), "is_compared": is_compared, **_change_values(changes)}
    lines = [*policy_lines(found), *pin_lines(found), *_card_lines(card_file), *change_lines(changes)]
    say(as_json, {**values, **_card_values(card_file)}, *lines, _check_line(is_compared))
    raise SystemExit(0 if is_compared else EXIT_NOT_COMPARED)


def _check_line(is_compared: bool) -> str:
    if is_compared:
        return _("a good policy; nothing was written")
    return _(
        "well formed, but compared with nothing: it may be another county's. Give --fingerprint with the "
        "words that a key keeper reads to you, or --card"
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
        is_strange = any(row.is_strange for row in changes)
        asked = (
            _("Change the policy, although a name is not known?") if is_strange else _("Change the policy?")
        )
        click.confirm(asked, abort=True, err=True)
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
            {
                "word": row.word,
                "is_looser": row.is_looser,
                "is_strange": row.is_strange,
                "change": str(row.words),
            }
            for row in changes
        ],
        "is_looser": any(row.is_looser for row in changes),
    }


def change_lines(changes: Sequence[PolicyChange]) -> Iterator[str]:
    """Show what changes, with a mark where more is allowed than before."""
    for row in changes:
        yield f"  {'!' if row.is_looser or row.is_strange else ' '} {row.words.text(_)}"
    if any(row.is_looser for row in changes):
        yield _("! allows more than before: write down who decided it and why, and let nobody hurry you")


def policy_values(found: AuditorPolicy) -> dict[str, object]:
    """Give a policy for a program."""
    pinned = _pinned(found)
    return {
        "log": found.log.name,
        "witnesses": list(found.trust.witnesses),
        "genesis": found.genesis.hex(),
        "fingerprint": pinned.line,
        "words_zh": " ".join(pinned.words("zh")),
        "words_en": " ".join(pinned.words("en")),
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


def _pinned(found: AuditorPolicy) -> Shown:
    return Shown("policy", policy_name(found), trust_fingerprint(found))


def pin_lines(found: AuditorPolicy) -> Iterator[str]:
    """Show what a policy pins as it is read out by telephone."""
    yield _("first roster (genesis), SHA-256: %(genesis)s") % {"genesis": found.genesis.hex()}
    yield from fingerprint_lines((_pinned(found),), has_code=False)
    yield _("  two key keepers of different institutions read you these words from 'keys show'")


def _card_lines(card_file: Path | None) -> Iterator[str]:
    """Show the fingerprint of a card that the policy was held against."""
    if card_file is not None:
        card = read_card(card_file)
        row = Shown("card", f"{card.federation}/card", fingerprint(encode_card(card)))
        yield from fingerprint_lines((row,), has_code=False)
        yield _("  this policy pins what this card pins")


def _card_values(card_file: Path | None) -> dict[str, object]:
    return {} if card_file is None else {"card": fingerprint(encode_card(read_card(card_file)))}


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
