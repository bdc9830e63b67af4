"""`fedscreen node console`: the node's page on this computer, until Ctrl-C.

The key is unwrapped as for any command, one confined vault is opened and kept, and a link is printed that
works once: whoever could unlock the node enters by it as IT. Psychologist and principal log in on the page
itself.
"""

from __future__ import annotations

import os
import secrets
import sys
import threading
import time
from collections.abc import Iterator
from gettext import gettext as _
from typing import TYPE_CHECKING

import click

from node import unwrap
from node.cli_context import Context, command
from node.config import read_config
from node.errors import ConfigError
from node.errors import _ as N_  # translated where it is shown
from node.session import open_vault

if TYPE_CHECKING:
    from node.console.sessions import Sessions

DEFAULT_PORT = 8620
_OURS = ("node", "pages", "plan", "privacy", "crypto", "protos")

_HOLDER = click.Group("holder")  # `command` needs a group; `node.cli` takes the command from here


@command(_HOLDER, "console", _("Open the node's page on this computer: import, check, signature, sending."))
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    help=_("Port; 0 for any that is free."),
)
@click.option("--host", default="127.0.0.1", show_default=True, help=_("Nothing else is possible."))
def console(context: Context, port: int, host: str) -> None:
    """Serve the console; it keeps no records itself."""
    try:
        run_console(context, port, host)
    except ModuleNotFoundError as err:
        if (err.name or "").split(".")[0] in _OURS:
            raise
        raise ConfigError(
            N_("'fedscreen node console' needs the package %(module)s, which is not installed"),
            N_("Install it: pip install 'fedscreen[node,web]'"),
            code="no-web",
            details={"module": str(err.name)},
        ) from err


console_command: click.Command = _HOLDER.commands["console"]


def run_console(context: Context, port: int, host: str) -> None:
    """Open vault and port, say where the page is, and serve it until told to stop.

    Raises:
        NodeError: the node cannot be unlocked, or the port is not to be had.
    """
    from node.console.app import make_app
    from node.console.keeper import VaultKeeper
    from node.console.serve import bind, serve
    from node.console.sessions import LoginBrake, Sessions
    from node.console.visit import Console
    from pages.speech import default_language

    config = read_config(context.folder)
    listener = bind(host, port)
    key = unwrap.unwrap_key(context.folder, config.key_source, context.ask)
    keeper = VaultKeeper(lambda: open_vault(context.folder, config, key))
    try:
        identity = keeper.ask("identity")
        sessions = Sessions(secrets.token_bytes, time.monotonic)
        console = Console(context.folder, config, keeper, sessions, LoginBrake(time.monotonic))
        authority = "{}:{}".format(*listener.getsockname())
        language = default_language(os.environ)
        app = make_app(console, authority=authority, operator=identity["operator"], language=language)
        _say_where(context, authority, sessions)
        serve(app, listener, sessions)
    finally:
        listener.close()
        keeper.close()


def _say_where(context: Context, authority: str, sessions: Sessions) -> None:
    link = f"http://{authority}/enter/{sessions.make_link()}"
    context.say({"url": f"http://{authority}/", "link": link}, _lines(authority, link))
    sys.stdout.flush()
    if not context.as_json and _has_terminal():
        threading.Thread(target=_more_links, args=(authority, sessions), daemon=True).start()


def _lines(authority: str, link: str) -> Iterator[str]:
    yield _("the page of this node is open on this computer, until you press Ctrl-C here")
    yield _("  you (IT), once, within ten minutes:  %(link)s") % {"link": link}
    yield _("  psychologist and principal log in:   %(link)s") % {"link": f"http://{authority}/login"}
    if _has_terminal():
        yield _("press Enter for a new link")


def _has_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _more_links(authority: str, sessions: Sessions) -> None:
    """Print a new link each time the person at the terminal asks for one."""
    for _line in sys.stdin:
        click.echo(f"http://{authority}/enter/{sessions.make_link()}")
