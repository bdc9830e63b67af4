"""`fedscreen auditor init`, `join`, `keys`: become an auditor, compare fingerprints, keep keys alive.

`init` and `keys show` show fingerprints as digits, as words for the telephone and as a QR code, and write the
page to print (`fingerprints.html`); `join` takes what the county told in any of the first two ways.
"""

from __future__ import annotations

from collections.abc import Iterator
from gettext import gettext as _
from pathlib import Path

import click
from pydantic import ValidationError

from auditor import watch as watching
from auditor.cli_context import DIR, FILE, JSON, fingerprint_lines, refusing, say
from auditor.client import connect
from auditor.config import AuditorConfig, AuditorFolder, first_problem, read_config
from auditor.enrol import create_auditor, load_card, make_request, roll_keys
from auditor.enrol import join as join_federation
from auditor.errors import ConfigError
from auditor.fingerprint_sheet import SHEET_NAME, Shown, fingerprints_of, sheet, write_sheet
from auditor.keys import load_tls
from auditor.mirror import Mirror
from auditor.renewal import renew_if_due
from plan.errors import phrase
from plan.words import PARTIES, word

REQUEST_NAME = "request.json"
ROLL_NAME = "roll.json"
OUT = click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help=_("File to write."))


@click.command(name="init", help=_("Make an auditor's folder, keys, and request to the coordinator."))
@DIR
@click.option("--federation", required=True, help=_("Short name of the federation (a-z 0-9 . _ -)."))
@click.option("--id", "auditor_id", required=True, help=_("This auditor's id (a-z 0-9 . _ -)."))
@click.option("--operator", required=True, help=_("The institution that runs this auditor."))
@click.option("--outside", is_flag=True, help=_("An auditor outside the county's own line."))
@click.option("--poll", "poll_s", type=float, help=_("Seconds between two steps of 'watch'."))
@JSON
def init(
    directory: Path,
    federation: str,
    auditor_id: str,
    operator: str,
    outside: bool,
    poll_s: float | None,
    as_json: bool,
) -> None:
    """Make keys and request; refuse a folder that has an auditor already."""
    folder = AuditorFolder(directory)
    with refusing(as_json):
        values: dict[str, object] = {} if poll_s is None else {"poll_s": poll_s}
        values |= {"federation": federation, "id": auditor_id, "operator": operator, "is_outside": outside}
        config = _config(values)
        create_auditor(folder, config)
        path = directory / REQUEST_NAME
        path.write_bytes(make_request(folder))
        write_sheet(folder, _)
        shown = fingerprints_of(folder)
    said = {"directory": str(directory), "id": auditor_id, "request": str(path)}
    say(as_json, {**said, **_fingerprint_values(shown)}, *_init_lines(folder, path, shown))


def _config(values: dict[str, object]) -> AuditorConfig:
    """Make a configuration out of options."""
    try:
        return AuditorConfig.model_validate(values)
    except ValidationError as err:
        raise ConfigError(phrase("options: %(reason)s", reason=first_problem(err))) from err


def _init_lines(folder: AuditorFolder, request: Path, shown: tuple[Shown, ...]) -> Iterator[str]:
    yield _("made: %(folder)s") % {"folder": folder.root}
    yield from fingerprint_lines(shown)
    yield _("to print: %(file)s") % {"file": folder.root / SHEET_NAME}
    yield _("next: give %(file)s to the coordinator, then 'join' with its grant") % {"file": request}
    yield _("the county reads the same words out of it; compare them by telephone before it approves")


def _fingerprint_values(shown: tuple[Shown, ...]) -> dict[str, object]:
    return {
        "fingerprints": [
            {
                "kind": row.kind,
                "name": row.name,
                "fingerprint": row.line,
                "words_zh": " ".join(row.words("zh")),
                "words_en": " ".join(row.words("en")),
            }
            for row in shown
        ]
    }


@click.command(name="join", help=_("Take the coordinator's grant; compare the card's fingerprint."))
@click.option("--grant", "grant_file", required=True, type=FILE, help=_("The grant file."))
@click.option(
    "--fingerprint", "told", help=_("The federation card's fingerprint as it was told: digits, or words.")
)
@DIR
@JSON
def join(directory: Path, grant_file: Path, told: str | None, as_json: bool) -> None:
    """Pin the card; write certificate, address and the default policy."""
    folder = AuditorFolder(directory)
    if told is None and as_json:
        raise click.UsageError(_("Missing option %(option)s.") % {"option": "--fingerprint"})
    if told is None:
        asked = _("The federation card's fingerprint, as the county tells it by telephone (words or digits)")
        told = str(click.prompt(asked, err=True))
    with refusing(as_json):
        card = join_federation(folder, grant_file.read_bytes(), told)
        write_sheet(folder, _)
    say(
        as_json,
        {"federation": card.federation, "card": str(folder.card), "policy": str(folder.policy)},
        _("joined %(federation)s (%(kind)s)")
        % {"federation": card.federation, "kind": word(PARTIES, card.kind, _)},
        _("your policy: %(file)s; tighten it before you approve anything") % {"file": folder.policy},
        _("  'auditor policy show' says it in plain words"),
    )


@click.group(name="keys", help=_("This auditor's keys."))
def keys() -> None:
    """Hold the commands about keys."""


@keys.command(
    name="show",
    help=_(
        "Show the fingerprints of this auditor, the card, and what a policy pins: digits, words, QR code."
    ),
)
@OUT
@DIR
@JSON
def show_keys(directory: Path, out: Path | None, as_json: bool) -> None:
    """Show what is compared with the county; write the page to print."""
    folder = AuditorFolder(directory)
    with refusing(as_json):
        shown, path = fingerprints_of(folder), out or folder.root / SHEET_NAME
        path.write_text(sheet(shown, _), "utf-8")
    printed = _("to print: %(file)s") % {"file": path}
    say(as_json, {**_fingerprint_values(shown), "sheet": str(path)}, *fingerprint_lines(shown), printed)


@keys.command(name="roll", help=_("Go over to the next pair of keys; write the file for the coordinator."))
@OUT
@DIR
@JSON
def roll(directory: Path, out: Path | None, as_json: bool) -> None:
    """Make the next keys unless a pair waits already; the old key says that they follow it."""
    folder = AuditorFolder(directory)
    path = out or directory / ROLL_NAME
    with refusing(as_json):
        mirror = Mirror(folder.mirror, load_card(folder))
        path.write_bytes(roll_keys(folder, mirror.ledger))
    say(
        as_json,
        {"file": str(path)},
        _("give %(file)s to the coordinator ('coordinator approve --propose'), then sign the roster")
        % {"file": path},
        _("open rounds go on under the old keys: keep the whole keys folder"),
    )


@keys.command(name="renew", help=_("Get a new TLS certificate over the connection that it secures."))
@DIR
@JSON
def renew(directory: Path, as_json: bool) -> None:
    """Renew now; `watch` does it by itself from two thirds of the certificate's life on."""
    folder = AuditorFolder(directory)
    with refusing(as_json), connect(read_config(folder), load_tls(folder)) as link:
        days = renew_if_due(folder, link, watching.utc_now(), anyway=True)
    values: dict[str, object] = {"certificate_days": days}
    say(as_json, values, _("renewed; holds for %(certificate_days)s days") % values)
