"""Words and times for people in what a node's commands show; programs read the codes and UTC.

A value in an error's or a finding's `details` stays what it is, in English; `in_words` says it for a person.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

import click

from node.side_words import SIDES
from plan.words import word


def _(message: str) -> str:
    """Mark a word for the translation catalogue; the command line translates it."""
    return message


KEY_SOURCES: Final[Mapping[str, str]] = {
    "credential": _("a systemd credential"),
    "dpapi": _("Windows (DPAPI)"),
    "passphrase": _("a passphrase"),
}
"""What keeps the database key."""

FLOORS: Final[Mapping[str, str]] = {
    "threshold": _("auditors who must open a sum together, at least"),
    "collude": _("auditors who may work together unnoticed, at least"),
    "min_reports": _("schools in a sum, at least"),
    "colluding_schools": _("schools that may work together unnoticed, at least"),
    "rho_round": _("cost of one round (ρ), at most"),
    "rho_year": _("cost of a school year (ρ), at most"),
}
"""What a school asks of every plan."""

YES_NO: Final[Mapping[str, str]] = {"yes": _("yes"), "no": _("no")}
"""An answer to whether something is there."""

PLACES: Final[Mapping[str, str]] = {
    "FILE": _("FILE"),
    "FILE...": _("FILE..."),
    "GRANT": _("GRANT"),
    "ROUND": _("ROUND"),
    "ROLE": _("ROLE"),
    "PUPIL": _("PUPIL"),
    "FIELD=VALUE...": _("FIELD=VALUE..."),
    "DAY": _("DAY"),
    "WORDS": _("WORDS"),
}
"""What stands in a command's usage for something that a person fills in."""

CLICK_TYPES: Final = (_("file"), _("directory"), _("path"))
"""What click calls the types of our options; it looks them up in our catalogue itself."""

SYSTEM_REASONS: Final = (
    _("No such file or directory"),
    _("Permission denied"),
    _("Operation not permitted"),
    _("Is a directory"),
    _("Not a directory"),
    _("File exists"),
    _("File name too long"),
    _("Read-only file system"),
    _("Input/output error"),
    _("Device or resource busy"),
    _("Text file busy"),
    _("No such device or address"),
    _("Connection refused"),
    _("Connection timed out"),
    _("Network is unreachable"),
    _("No route to host"),
    _("Connection reset by peer"),
)
"""What the system says of a file or a connection; what is not here is shown as it is."""

_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z| UTC|[+-]\d\d:\d\d)")
_SIDE = re.compile(r"\b(?:vault|egress)\b")


def local_time(text: str) -> str:
    """Show a time with a zone in this computer's own, to the minute; what is no such time as it is."""
    if not _TIME.fullmatch(text):
        return text
    iso = text.replace(" UTC", "+00:00").replace("Z", "+00:00")
    moment = datetime.fromisoformat(iso)
    try:
        return f"{moment.astimezone():%Y-%m-%d %H:%M}"
    except (OverflowError, OSError, ValueError):  # a year that this system's clock cannot have
        return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def name_places(command: click.Command, translate: Callable[[str], str]) -> None:
    """Put a person's words in the places of a command's usage."""
    command.options_metavar = translate(_("[OPTIONS]"))
    for parameter in command.params:
        place = parameter.metavar or ""
        if place in PLACES:
            parameter.metavar = translate(PLACES[place])
        elif parameter.metavar is None and isinstance(parameter, click.Argument):
            place = parameter.name.upper().removesuffix("S" if parameter.nargs != 1 else " ")
            if place in PLACES:
                said = translate(PLACES[place]) + ("..." if parameter.nargs != 1 else "")
                parameter.metavar = said if parameter.required else f"[{said}]"


def in_words(details: Mapping[str, object], translate: Callable[[str], str]) -> dict[str, object]:
    """Give the values of `details` as a person reads them."""
    return {name: _value(name, value, translate) for name, value in details.items()}


def _value(name: str, value: object, translate: Callable[[str], str]) -> object:
    if not isinstance(value, str) or not value:
        return value  # gettext's answer to nothing is the catalogue's own header
    if name == "reason":
        return translate(value) if value in SYSTEM_REASONS else value
    if name == "since":
        return local_time(value)
    if name in ("side", "sides", "levels"):
        return _SIDE.sub(lambda found: translate(SIDES[found[0]]), value)
    known = {"source": KEY_SOURCES, "key_source": KEY_SOURCES, "seccomp": YES_NO}.get(name)
    return value if known is None else word(known, value, translate)
