"""`fedscreen auditor verify BUNDLE` and `fedscreen auditor verify diff OLD NEW`.

Whatever does not begin with the word `diff` is about a bundle, so a bundle in a folder that is itself called
`diff` is given as `./diff`. Exit codes of both:

| code | meaning |
| --- | --- |
| 0 | every check passed; for `diff`: the log that was kept, extended |
| 1 | a check failed |
| 2 | wrong usage; something was skipped or missing; for a bundle also: no policy was given |
"""

from __future__ import annotations

from collections.abc import Iterator
from gettext import gettext as _
from pathlib import Path

import click

from auditor.cli_context import FILE, JSON, refusing, say
from auditor.cli_text import verdict_lines
from auditor.enrol import load_policy
from auditor.policy import AuditorPolicy
from auditor.verify.diff import Difference, Shown, compare
from auditor.verify.news import conclusion, news_lines, note_text
from auditor.verify.outcome import Verdict
from auditor.verify.run import verify_bundle
from plan.words import CHECKS, word
from protos.statements import (
    Candidates,
    Correction,
    Extension,
    Plan,
    Release,
    Replayed,
    Report,
    Revoke,
    Roster,
    Statement,
)

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_ANY = click.Path(exists=True, path_type=Path)


class BundleContext(click.Context):
    """Of a command whose name nobody types: messages give the way to it without its name."""

    @property
    def command_path(self) -> str:
        """The group's own path."""
        return self.parent.command_path if self.parent else super().command_path


class BundleCommand(click.Command):
    """The command for a bundle."""

    context_class = BundleContext


class VerifyGroup(click.Group):
    """`verify BUNDLE`, as if the name of the command for a bundle stood before it; `verify diff OLD NEW`."""

    default_command = "check-bundle"  # nobody types it

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default command in where something else than a command's name stands."""
        if args and args[0] != "diff" and args[0] not in ctx.help_option_names:
            args = [self.default_command, *args]
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the default command's options before the commands: they are what most people look for."""
        default = self.commands[self.default_command]
        with click.Context(default, info_name=self.default_command, parent=ctx) as inner:
            options = (item for item in default.get_params(inner) if isinstance(item, click.Option))
            records = [row for item in options if (row := item.get_help_record(inner))]
        with formatter.section(_("Options of '%(command)s BUNDLE'") % {"command": ctx.command_path}):
            formatter.write_dl(records)
        self.format_commands(ctx, formatter)


@click.group(
    name="verify",
    cls=VerifyGroup,
    subcommand_metavar="BUNDLE | diff OLD NEW",
    help=_("Check a BUNDLE offline: 0 all checks passed, 1 one failed, 2 incomplete or no policy."),
)
def verify() -> None:
    """Hold the two ways to verify."""


@verify.command(
    name=VerifyGroup.default_command, cls=BundleCommand, hidden=True, help=_("Check the folder BUNDLE.")
)
@click.argument("folder", metavar="BUNDLE", type=_FOLDER)
@click.option("--policy", "policy_file", type=FILE, help=_("Whose keys and bounds count."))
@click.option("--head", "head_file", type=FILE, help=_("A checkpoint kept from earlier, to be extended."))
@JSON
def check_bundle(folder: Path, policy_file: Path | None, head_file: Path | None, as_json: bool) -> None:
    """Print numbered checks."""
    with refusing(as_json):
        policy: AuditorPolicy | None = load_policy(policy_file) if policy_file else None
        verdict = verify_bundle(folder, policy, head_file.read_bytes() if head_file else None)
    say(as_json, verdict_values(verdict), *verdict_lines(verdict))
    raise SystemExit(verdict.exit_code)


def verdict_values(verdict: Verdict) -> dict[str, object]:
    """Write a verdict as a program reads it."""
    return {"verify": verdict.summary, "exit_code": verdict.exit_code, "checks": verdict.as_values()}


@verify.command(
    name="diff",
    help=_(
        "Hold NEW, a bundle or a log, against OLD, which you kept: a bundle, a log, a checkpoint, "
        "an auditor's folder. 0 the same log extended, 1 another history or older, 2 incomplete."
    ),
)
@click.argument("old", metavar="OLD", type=_ANY)
@click.argument("new", metavar="NEW", type=_ANY)
@JSON
def diff(old: Path, new: Path, as_json: bool) -> None:
    """Print four checks, then what is new, or the evidence."""
    with refusing(as_json):
        found = compare(old, new)
    say(as_json, _difference_values(found), *_difference_lines(found))
    raise SystemExit(found.verdict.exit_code)


def _difference_values(found: Difference) -> dict[str, object]:
    values: dict[str, object] = {"diff": found.verdict.summary, "exit_code": found.verdict.exit_code}
    values |= {"old": _head_values(found.old), "new": _head_values(found.new)}
    values["checks"] = found.verdict.as_values()
    values["news"] = [
        {"entry": position, "statement": said.TYPE, "round": _round_hex(said), "detail": _detail(said)}
        for position, said in found.news
    ]
    if found.verdict.exit_code == 1:
        values["evidence"] = {
            "first_different_entry": found.parted_at,
            "old_checkpoint": _note_text(found.old),
            "new_checkpoint": _note_text(found.new),
        }
    return values


def _head_values(shown: Shown | None) -> dict[str, object] | None:
    if shown is None:
        return None
    head = shown.checkpoint
    return {"origin": head.origin, "size": head.size, "root": head.root.hex()}


def _note_text(shown: Shown | None) -> str | None:
    return None if shown is None else shown.note.decode("utf-8", "replace")


def _round_hex(said: Statement) -> str:
    found = getattr(said, "round", b"")
    return found.hex() if isinstance(found, bytes) else ""


def _detail(said: Statement) -> str:
    """Say in English what else a program may want to know of a statement."""
    match said:
        case Roster() | Plan():
            return f"serial {said.serial}"
        case Revoke():
            return f"{said.subject} {said.id}"
        case Release():
            return f"{said.status}, {said.reports_in} reports in, {said.reports_out} out"
        case Correction():
            return said.status
        case Replayed():
            return f"{said.node} {said.outcome}"
        case Report():
            return f"{said.node} attempt {said.attempt}"
        case Candidates():
            return f"log size {said.log_size}"
        case Extension():
            return f"closes {said.closes:%Y-%m-%dT%H:%M:%SZ}"
    return str(getattr(said, "auditor", ""))


def _difference_lines(found: Difference) -> Iterator[str]:
    for row in found.verdict.checks:
        values = {"name": word(CHECKS, row.name, _), "found": row.phrase.text(_)}
        yield f"{row.number:2} {row.outcome.value:7} " + _("%(name)s: %(found)s") % values
    if found.verdict.exit_code == 1:
        yield from _evidence_lines(found)
    elif found.verdict.exit_code == 0:
        news = [line.text(_) for line in news_lines(found)]
        yield from (f"  {line}" for line in news)
        if not news:
            yield _("nothing is new")
    yield conclusion(found).text(_)


def _evidence_lines(found: Difference) -> Iterator[str]:
    if found.parted_at is not None:
        yield _("the first entry that differs: %(entry)s") % {"entry": found.parted_at}
    for title, shown in ((_("kept:"), found.old), (_("shown now:"), found.new)):
        if shown is not None:
            yield title
            yield note_text(shown)
