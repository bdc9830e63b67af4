"""`fedscreen coordinator invite`: one file a school, from which `node setup` takes who the school is to be.

An invitation is no secret and gives nothing: the school's request is looked at and approved like any other.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from gettext import gettext as _
from pathlib import Path

import click

from coordinator.cli_context import DIR, FILE, JSON, open_desk, say
from coordinator.durable import ignore_step, write_file
from coordinator.errors import FileError
from plan.errors import phrase
from protos.bodies import sorted_attributes
from protos.card import fingerprint
from protos.errors import BodyError, EnrolmentError
from protos.invitation import SYSTEMS, Invitation, encode_invitation

MAX_SCHOOLS = 20_000
_OWN_COLUMNS = ("id", "operator", "system")


@click.command(name="invite", help=_("Write invitations for schools: one with --id, or all of a csv LIST."))
@click.option(
    "--list", "list_file", type=FILE, help=_("UTF-8 csv: id, operator, system; others are attributes.")
)
@click.option("--id", "node_id", help=_("The school's id (a-z 0-9 . _ -)."))
@click.option("--operator", help=_("The school's name, as it stands in the roster."))
@click.option(
    "--attribute", "pairs", multiple=True, metavar="NAME=VALUE", help=_("NAME=VALUE for the roster.")
)
@click.option("--system", type=click.Choice(SYSTEMS), default=SYSTEMS[0], show_default=True)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("invitations"),
    show_default=True,
    help=_("Folder to write into."),
)
@DIR
@JSON
def invite(
    directory: Path,
    list_file: Path | None,
    node_id: str | None,
    operator: str | None,
    pairs: tuple[str, ...],
    system: str,
    out: Path,
    as_json: bool,
) -> None:
    """Write one invitation a school; again the same bytes."""
    if (list_file is None) == (node_id is None) or (node_id and not operator):
        raise click.UsageError(_("Give --list, or --id and --operator."))
    row = {"id": node_id or "", "operator": operator or "", "system": system}
    row |= dict(_pair(text) for text in pairs)
    with open_desk(directory, as_json) as desk:
        federation, card_text = desk.home.config.federation, desk.card_text()
        rows = list(_rows(list_file)) if list_file else [(0, row)]
        made = [_invitation(federation, card_text, line, values) for line, values in rows]
        _verify_different(made)
        paths = [_write(out, invitation) for invitation in made]
    shown = fingerprint(card_text) if card_text else ""
    values: dict[str, object] = {"invitations": [str(path) for path in paths], "fingerprint": shown}
    say(as_json, values, *_lines(paths, shown))


def _pair(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not name or not found or name in _OWN_COLUMNS:
        raise click.BadParameter(_("expected NAME=VALUE"))
    return name, value


def _lines(paths: list[Path], shown: str) -> Iterator[str]:
    yield from map(str, paths)
    if shown:
        text = _("each school asks by telephone for the fingerprint of the federation card: %(fingerprint)s")
        yield text % {"fingerprint": shown}
    else:
        yield _("these invitations have no card yet: approve the auditors with --propose, then invite again")


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Read the list: (line, values by column)."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            if not {"id", "operator"} <= set(reader.fieldnames or ()):
                raise FileError(phrase("%(path)s: expected the columns id and operator", path=path))
            for row in reader:
                if reader.line_num > MAX_SCHOOLS or None in row:
                    raise FileError(
                        phrase("%(path)s: line %(line)s has too much", path=path, line=reader.line_num)
                    )
                yield reader.line_num, {name: (value or "").strip() for name, value in row.items()}
    except (OSError, UnicodeDecodeError, csv.Error) as err:
        raise FileError(phrase("%(path)s: cannot be read as UTF-8 csv", path=path)) from err


def _invitation(federation: str, card_text: str, line: int, row: dict[str, str]) -> Invitation:
    attributes = {name: value for name, value in row.items() if name not in _OWN_COLUMNS and value}
    try:
        return Invitation(
            federation=federation,
            id=row["id"],
            operator=row["operator"],
            attributes=sorted_attributes(attributes),
            system=row.get("system") or SYSTEMS[0],
            card_text=card_text,
        )
    except (BodyError, EnrolmentError) as err:
        if not line:
            raise
        raise FileError(phrase("line %(line)s of the list: %(reason)s", line=line, reason=err)) from err


def _verify_different(made: list[Invitation]) -> None:
    twice = {item.id for place, item in enumerate(made) if item.id in {row.id for row in made[:place]}}
    if twice:
        raise FileError(phrase("the list names %(id)s twice", id=min(twice)))


def _write(folder: Path, invitation: Invitation) -> Path:
    path = folder / f"{invitation.id}.invitation.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_file(path, encode_invitation(invitation), ignore_step)
    except OSError as err:
        raise FileError(
            phrase(
                "%(path)s cannot be written (%(reason)s); choose another place with --out",
                path=path,
                reason=err.strerror or "",
            )
        ) from err
    return path
