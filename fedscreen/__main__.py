"""The command `fedscreen`: one group a room, each loaded only when it is asked for.

A school's machine has no SQLAlchemy and a county's no SQLCipher: a group whose dependencies are
missing says which extra to install, and the others work.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from gettext import gettext as _

import click

from fedscreen.language import speak

EXIT_USAGE = 2
_GROUPS = {
    "node": ("node.cli", "node"),
    "coordinator": ("coordinator.cli", "coordinator"),
    "auditor": ("auditor.cli", "auditor"),
    "plan": ("fedscreen.planning.cli", "plan"),
    "demo": ("fedscreen.demo.cli", "demo"),
}


def _summary(name: str) -> str:
    return {
        "node": _("One school: import, preview, release, run, prove."),
        "coordinator": _("The county: enrolment, plans, rounds, results."),
        "auditor": _("An auditor: approve, watch, verify."),
        "plan": _("Write, check, explain and compare collection plans."),
        "demo": _("A whole county on this machine, with real processes."),
    }[name]


class Rooms(click.Group):
    """The top-level group; sub-groups are imported when they are named."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the rooms."""
        return list(_GROUPS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a room's group."""
        if cmd_name not in _GROUPS:
            return None
        module_name, attribute = _GROUPS[cmd_name]
        try:
            command: click.Command = getattr(importlib.import_module(module_name), attribute)
        except ModuleNotFoundError as err:
            if (err.name or "").split(".")[0] in {"node", "coordinator", "auditor", "fedscreen"}:
                raise
            extra = {"plan": "demo"}.get(cmd_name, cmd_name)
            message = _("'%(name)s' needs %(module)s: pip install 'fedscreen[%(extra)s]'")
            raise click.ClickException(
                message % {"name": cmd_name, "module": err.name, "extra": extra}
            ) from err
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; what it misses is said with a full stop of the person's language."""
        try:
            return super().invoke(ctx)
        except click.MissingParameter as err:
            raise _missing(err) from err

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of rooms without importing them."""
        with formatter.section(_("Rooms")):
            formatter.write_dl([(name, _summary(name)) for name in _GROUPS])


def _missing(err: click.MissingParameter) -> click.UsageError:
    """Say what is missing in one of our own sentences: click's end with "." in every language."""
    texts = {"option": _("Missing option %(option)s."), "argument": _("Missing argument %(option)s.")}
    if err.param is None or err.ctx is None or err.param.param_type_name not in texts:
        return err
    text = texts[err.param.param_type_name] % {"option": err.param.get_error_hint(err.ctx)}
    more = err.param.type.get_missing_message(param=err.param, ctx=err.ctx) or ""
    return click.UsageError(f"{text} {more}".rstrip(), err.ctx)


def build() -> click.Group:
    """Make the command; after `speak`, so that help is in the person's language."""
    group = Rooms(
        name="fedscreen",
        help=_("Private statistics of school mental-health screening."),
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    version = click.version_option(None, "--version", package_name="fedscreen", prog_name="fedscreen")
    return version(group)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a Windows console or a C locale must not break Chinese output
            stream.reconfigure(encoding="utf-8", errors="replace")
    speak(os.environ)
    build().main(args=None if arguments is None else list(arguments), prog_name="fedscreen")


if __name__ == "__main__":
    main()
