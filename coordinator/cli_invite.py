"""`fedscreen coordinator invite`: one file a school, from which `node setup` takes who the school is to be.

An invitation without a token is no secret and gives nothing: the school's request is looked at and approved
like any other. With ``--online`` it lets one school enrol once, until it expires: hand it over as a key.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from gettext import gettext as _
from pathlib import Path

import click

from coordinator.cli_context import DIR, EXIT_REFUSED, FILE, JSON, open_desk, say
from coordinator.desk import Desk
from coordinator.durable import ignore_step, write_file
from coordinator.errors import FileError, RosterError
from coordinator.school_list import ListedSchool, ListFinding, encode_list_template, read_school_list
from coordinator.tokens import DEFAULT_DAYS, MAX_DAYS
from plan.errors import Phrase, phrase
from protos.bodies import sorted_attributes
from protos.card import fingerprint
from protos.invitation import SYSTEMS, Invitation, Online, encode_invitation

ID_TITLE = "学校标识"
_OWN_COLUMNS = ("id", "operator", "system")
KEY_MODE, PLAIN_MODE = 0o600, 0o644


@click.command(name="invite", help=_("Write invitations for schools: one with --id, or all of a LIST."))
@click.option("--list", "list_file", type=FILE, help=_("Spreadsheet or csv of schools; see --template."))
@click.option(
    "--template",
    type=click.Path(dir_okay=False, path_type=Path),
    help=_("Only write an empty list to fill in, as xlsx."),
)
@click.option("--id", "node_id", help=_("The school's id (a-z 0-9 . _ -)."))
@click.option("--operator", help=_("The school's name, as it stands in the roster."))
@click.option(
    "--attribute", "pairs", multiple=True, metavar="NAME=VALUE", help=_("NAME=VALUE for the roster.")
)
@click.option("--system", type=click.Choice(SYSTEMS), default=SYSTEMS[0], show_default=True)
@click.option("--online", "is_online", is_flag=True, help=_("With a token: a school enrols by itself."))
@click.option(
    "--days",
    type=click.IntRange(1, MAX_DAYS),
    default=DEFAULT_DAYS,
    show_default=True,
    help=_("Days until a token expires."),
)
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
    template: Path | None,
    node_id: str | None,
    operator: str | None,
    pairs: tuple[str, ...],
    system: str,
    is_online: bool,
    days: int,
    out: Path,
    as_json: bool,
) -> None:
    """Write one invitation a school; without tokens again the same bytes."""
    if template is not None:
        _write_bytes(template, encode_list_template(), PLAIN_MODE)
        say(as_json, {"template": str(template)}, str(template))
        return
    if (list_file is None) == (node_id is None) or (node_id and not operator):
        raise click.UsageError(_("Give --list, or --id and --operator."))
    one = ListedSchool(0, node_id or "", operator or "", system, dict(_pair(text) for text in pairs))
    with open_desk(directory, as_json) as desk:
        schools, findings = read_school_list(_read(list_file)) if list_file else ([one], [])
        findings = [*findings, *_known_otherwise(desk, schools)]
        if findings:
            _show_findings(findings, as_json)
        made = [_invitation(desk, school) for school in schools]
        if is_online:
            made = [_with_token(desk, invitation, days) for invitation in made]
        paths = [_write(out, invitation) for invitation in made]
        card_text = desk.card_text()
    shown = fingerprint(card_text) if card_text else ""
    values: dict[str, object] = {"invitations": [str(path) for path in paths], "fingerprint": shown}
    say(as_json, values, *_lines(paths, shown, is_online=is_online))


def _pair(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not name or not found or name in _OWN_COLUMNS:
        raise click.BadParameter(_("expected NAME=VALUE"))
    return name, value


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as err:
        raise FileError(
            phrase("%(path)s cannot be read (%(reason)s)", path=path, reason=err.strerror or "")
        ) from err


def _known_otherwise(desk: Desk, schools: Sequence[ListedSchool]) -> Iterator[ListFinding]:
    """Find ids that belong to somebody else, or to a school that has left: an id is never given again."""
    known = {str(row["id"]): row for row in desk.describe_members() if row["role"] == "node"}
    for school in schools:
        row = known.get(school.id)
        if row is not None and row["operator"] != school.operator:
            yield ListFinding(school.row, ID_TITLE, phrase("%(id)s belongs to another school", id=school.id))
        elif row is not None and row["state"] in ("left", "leaving", "revoked"):
            yield ListFinding(school.row, ID_TITLE, phrase("%(id)s has left; give a new id", id=school.id))


def _show_findings(findings: Sequence[ListFinding], as_json: bool) -> None:
    """Say every finding and end with exit code 1; nothing was written."""
    rows = [{"row": item.row, "column": item.column, "problem": str(item.problem)} for item in findings]
    if as_json:
        say(
            True, {"error": "list", "message": "the list has findings; nothing was written", "findings": rows}
        )
    for item in () if as_json else findings:
        click.echo(_finding_line(item.row, item.column, item.problem), err=True)
    if not as_json:
        click.echo(_("%(number)s findings; nothing was written") % {"number": len(findings)}, err=True)
    raise SystemExit(EXIT_REFUSED)


def _finding_line(row: int, column: str, problem: Phrase) -> str:
    values = {"row": row, "column": column, "problem": problem.text(_)}
    if not row:
        return f"{column}: {problem.text(_)}"
    if not column:
        return _("row %(row)s: %(problem)s") % values
    return _("row %(row)s, %(column)s: %(problem)s") % values


def _lines(paths: list[Path], shown: str, *, is_online: bool) -> Iterator[str]:
    yield from map(str, paths)
    if shown:
        text = _("each school asks by telephone for the fingerprint of the federation card: %(fingerprint)s")
        yield text % {"fingerprint": shown}
    else:
        yield _("these invitations have no card yet: approve the auditors with --propose, then invite again")
    if is_online:
        yield _("each file is a key that works once: hand it to the school's own person, not by group chat")


def _invitation(desk: Desk, school: ListedSchool) -> Invitation:
    return Invitation(
        federation=desk.home.config.federation,
        id=school.id,
        operator=school.operator,
        attributes=sorted_attributes(school.attributes),
        system=school.system,
        card_text=desk.card_text(),
    )


def _with_token(desk: Desk, invitation: Invitation, days: int) -> Invitation:
    config = desk.home.config
    if not config.public_enrol_address or not invitation.card_text:
        raise RosterError(
            phrase(
                "online enrolment needs a first roster and 'enrol_listen' in coordinator.toml; without it "
                "schools enrol by files"
            )
        )
    online = Online(
        config.public_enrol_address,
        config.server_name,
        desk.home.ring.chain_pem(),
        desk.make_token(invitation, days),
    )
    return replace(invitation, online=online)


def _write(folder: Path, invitation: Invitation) -> Path:
    path = folder / f"{invitation.id}.invitation.json"
    _write_bytes(path, encode_invitation(invitation), KEY_MODE if invitation.online else PLAIN_MODE)
    return path


def _write_bytes(path: Path, data: bytes, mode: int) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, data, ignore_step, mode=mode)
    except OSError as err:
        raise FileError(
            phrase(
                "%(path)s cannot be written (%(reason)s); choose another place with --out",
                path=path,
                reason=err.strerror or "",
            )
        ) from err
