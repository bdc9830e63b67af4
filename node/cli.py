"""`fedscreen node`: one school's commands.

Every command works on one folder (``--dir``) and, but for `run`, in a confined vault of its own, beside
the one that `run` keeps.

| exit code | meaning |
| --- | --- |
| 0 | done |
| 1 | refused, or a check failed; nothing was changed |
| 2 | wrong usage, such as a file that is not there |
| 70 | a process could not lock itself down; nothing was done |

With ``--json`` a result, or an error as ``{"error": code, "message": …, "advice": …, "details": …}``, is
one JSON object on standard output, in English.
"""

from __future__ import annotations

from gettext import gettext as _
from importlib import import_module
from typing import Final

import click

_COMMANDS: Final = {
    **dict.fromkeys(("init", "request", "accept", "setup"), ("node.cli_enrol", "commands")),
    **dict.fromkeys(("floors", "status", "budget", "doctor", "check"), ("node.cli_overview", "commands")),
    "run": ("node.cli_run", "commands"),
    "audit": ("node.cli_audit", "audit"),
    **dict.fromkeys(("rounds", "preview", "release", "decide", "hold"), ("node.cli_rounds", "commands")),
    "role": ("node.cli_roles", "role"),
    "import": ("node.cli_import", "import_command"),
    "profile": ("node.cli_import", "profile"),
    "report": ("node.cli_report", "report_command"),
    "template": ("node.cli_template", "template_command"),
    "console": ("node.cli_console", "console_command"),
    "log": ("node.cli_files", "log"),
    "outbox": ("node.cli_files", "outbox"),
    "receipt": ("node.cli_files", "receipt"),
    "follow-up": ("node.cli_follow_up", "follow_up"),
    "hand-over": ("node.cli_hand_over", "hand_over"),
    **dict.fromkeys(("backup", "restore"), ("node.cli_backup", "commands")),
    "recovery": ("node.cli_recovery", "group"),
    "keys": ("node.cli_keys", "group"),
    **dict.fromkeys(("retention", "prune"), ("node.cli_retention", "commands")),
}


class Commands(click.Group):
    """The node's commands; each module is loaded when one of its commands is named, or all are listed.

    A command on an old PC should not wait for the code of thirty others.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002, the signature is click's
        """List the commands by name."""
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Load one command; None if there is none of that name."""
        if cmd_name not in _COMMANDS:
            return None
        module, attribute = _COMMANDS[cmd_name]
        found: click.Command | tuple[click.Command, ...] = getattr(import_module(module), attribute)
        if isinstance(found, click.Command):
            return found
        return next(command for command in found if command.name == cmd_name)


@click.group(name="node", cls=Commands, help=_("One school: import, preview, release, run, prove."))
def node() -> None:
    """Hold the commands of this room."""
