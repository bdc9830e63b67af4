"""`fedscreen auditor page`: the auditor's duties in a browser of this computer, until Ctrl-C.

A link is printed (with ``--open`` also given to the browser) that works once and for ten minutes; Enter
prints a new one. Without an auditor's folder only the pages that verify are there, for an inspector who holds
no keys.
"""

from __future__ import annotations

import os
import secrets
import sys
import threading
import time
import webbrowser
from collections.abc import Iterator
from contextlib import suppress
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from auditor.cli_context import DIR, JSON, refusing, say
from auditor.config import AuditorFolder, read_config
from auditor.errors import ConfigError
from auditor.watch import utc_now
from plan.errors import phrase

if TYPE_CHECKING:
    from auditor.page.visit import Office

DEFAULT_PORT = 8640
LOOPBACK = "127.0.0.1"
FORGET_EVERY_S = 30.0
_OURS = ("auditor", "pages", "paper", "results", "plan", "privacy", "crypto", "protos")


@click.command(
    name="page", help=_("Open this auditor's page on this computer: today, plans, rounds, policy, verify.")
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    help=_("Port; 0 for any that is free."),
)
@click.option("--host", default=LOOPBACK, show_default=True, help=_("Nothing else is possible."))
@click.option("--open", "is_opened", is_flag=True, help=_("Give the link to the browser."))
@DIR
@JSON
@click.pass_context
def page(
    context: click.Context, directory: Path, port: int, host: str, is_opened: bool, as_json: bool
) -> None:
    """Serve the page; print one line when ready."""
    is_named = context.get_parameter_source("directory") is not ParameterSource.DEFAULT
    with refusing(as_json):
        folder = folder_of(directory, is_named=is_named)
        try:
            _run(folder, host, port, is_opened, as_json)
        except ModuleNotFoundError as err:
            if (err.name or "").split(".")[0] in _OURS:
                raise
            raise ConfigError(
                phrase(
                    "the page needs the package %(module)s; install it: "
                    "pip install 'fedscreen[coordinator,web]'",
                    module=str(err.name),
                )
            ) from err


def folder_of(directory: Path, *, is_named: bool) -> AuditorFolder | None:
    """Give the auditor's folder; None where none was named and none is there: then nothing can be signed.

    Raises:
        ConfigError: a folder was named that has no auditor in it.
    """
    folder = AuditorFolder(directory)
    if not is_named and not folder.config.exists():
        return None
    read_config(folder)
    return folder


def _run(folder: AuditorFolder | None, host: str, port: int, is_opened: bool, as_json: bool) -> None:
    from auditor.page.app import make_app
    from auditor.page.office import open_office
    from auditor.page.stick_only import desk_of
    from pages.guard import Address
    from pages.serve import listen, make_server, run
    from pages.speech import default_language

    if host != LOOPBACK:
        raise ConfigError(
            phrase("%(host)s: the page is reached from this computer only: 127.0.0.1", host=host[:100])
        )
    try:
        listener = listen(LOOPBACK, port)
    except OSError as err:
        reason = err.strerror or type(err).__name__
        raise ConfigError(
            phrase(
                "port %(port)s of this computer is taken (%(reason)s); name another with --port",
                port=port,
                reason=reason,
            )
        ) from err
    authority = "{}:{}".format(*listener.getsockname())
    office = open_office(folder, desk_of, utc_now, time.monotonic, secrets.token_bytes)
    ended = threading.Event()
    try:
        app = make_app(office, Address("http", authority), default_language(os.environ))
        _say_where(office, authority, folder, is_opened, as_json)
        threading.Thread(target=_forget, args=(office, ended), name="sessions", daemon=True).start()
        run(make_server(app), listener)
    finally:
        ended.set()
        listener.close()
        office.watcher.end()
        office.workshop.end()
        if office.keeper is not None:
            office.keeper.close()


def _say_where(
    office: Office, authority: str, folder: AuditorFolder | None, is_opened: bool, as_json: bool
) -> None:
    link = f"http://{authority}/enter/{office.sessions.make_link()}"
    values: dict[str, object] = {"event": "ready", "url": f"http://{authority}/", "link": link}
    values["directory"] = str(folder.root) if folder else ""
    say(as_json, values, *_lines(link, folder))
    sys.stdout.flush()
    if is_opened:
        with suppress(webbrowser.Error, OSError):
            webbrowser.open(link)
    if not as_json and _has_terminal():
        threading.Thread(target=_more_links, args=(office, authority), daemon=True).start()


def _lines(link: str, folder: AuditorFolder | None) -> Iterator[str]:
    if folder is None:
        yield _("no auditor's folder here: the page verifies, and signs nothing")
    yield _("the page is open on this computer, until you press Ctrl-C here")
    yield _("  once, within ten minutes:  %(link)s") % {"link": link}
    if _has_terminal():
        yield _("press Enter for a new link")


def _has_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _more_links(office: Office, authority: str) -> None:
    """Print a new link each time the person at the terminal asks for one."""
    for _line in sys.stdin:
        click.echo(f"http://{authority}/enter/{office.sessions.make_link()}")


def _forget(office: Office, ended: threading.Event) -> None:
    while not ended.wait(FORGET_EVERY_S):
        office.sessions.forget_ended()
