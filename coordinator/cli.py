"""`fedscreen coordinator`: the county's side.

Every command works on one folder (``--dir``) and may run while ``serve`` does; the server notices.

Exit codes: 0 done; 1 refused, or a check failed; 2 wrong usage, such as a file that is not there.
With ``--json`` a result, or an error as ``{"error": code, "message": …}``, is one JSON object on
standard output, in English.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from gettext import gettext as _
from pathlib import Path

import click

from coordinator import (
    cli_combine,
    cli_dashboard,
    cli_doctor,
    cli_facts,
    cli_files,
    cli_invite,
    cli_keys,
    cli_members,
    cli_offline,
    cli_progress,
    cli_reports,
    cli_rosters,
    cli_rounds,
    cli_store,
)
from coordinator.advice import ABANDON_REASONS
from coordinator.cli_context import DIR, FILE, JSON, ROUND, find_round, open_desk, refusing, say, spoken
from coordinator.config import Config, parse_config
from coordinator.desk import utc_now
from coordinator.errors import ConfigError, FsckError
from coordinator.fsck import fsck as check_folder
from coordinator.home import create_home
from coordinator.plan_files import read_plan
from coordinator.serve import serve as run_server
from coordinator.serve import stop_on_signals
from coordinator.structured_log import start_logging
from crypto.policy import LogPolicy, parse_policy
from plan.errors import phrase
from plan.publishing import cautions
from plan.words import PARTIES, REASONS, ROUND_STATES, word
from protos.card import fingerprint, parse_card
from protos.policy_words import WORDS

EXIT_REFUSED = 1


@click.group(name="coordinator", help=_("The county: enrolment, plans, rounds, results."))
def coordinator() -> None:
    """Hold the commands of this room."""


@coordinator.command(name="init", help=_("Make a coordinator's folder: keys, CA, configuration, database."))
@DIR
@click.option("--federation", required=True, help=_("Short name of the federation (a-z 0-9 . _ -)."))
@click.option("--demo", is_flag=True, help=_("Mark the federation as a demonstration, for ever."))
@click.option("--set", "settings", multiple=True, metavar="KEY=TOML", help=_("A line of coordinator.toml."))
@JSON
def init(directory: Path, federation: str, demo: bool, settings: tuple[str, ...], as_json: bool) -> None:
    """Make a folder; refuse one that is finished already."""
    with refusing(as_json):
        config = _config_of(federation, demo, settings)
        home = create_home(directory, config, utc_now(), secrets.token_bytes)
    say(
        as_json,
        {"directory": str(directory), "federation": federation, "ca": home.authority.fingerprint.hex()},
        _("made: %(folder)s") % {"folder": directory},
        _("next: approve the requests of all auditors, with --propose"),
    )


def _config_of(federation: str, demo: bool, settings: tuple[str, ...]) -> Config:
    lines = [f'federation = "{federation}"', f'kind = "{"demo" if demo else "production"}"', *settings]
    return parse_config("\n".join(lines).encode(), "--set")


@coordinator.command(
    name="card", help=_("Show the federation card and its fingerprint, to be told by voice.")
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help=_("Write the card to a file."))
@DIR
@JSON
def card(directory: Path, out: Path | None, as_json: bool) -> None:
    """Show or write the card."""
    with open_desk(directory, as_json) as desk:
        text = desk.card_text()
        if not text:
            raise ConfigError(phrase("no card yet; propose the first roster"))
    if out is not None:
        out.write_text(text, "utf-8")
    line = _("fingerprint: %(fingerprint)s") % {"fingerprint": fingerprint(text)}
    shown = (*(() if out else (text,)), line, *spoken(fingerprint(text)))
    say(as_json, {"card": text, "fingerprint": fingerprint(text)}, *shown)


@coordinator.command(name="revoke", help=_("Take a node or an auditor out, from now on, for all to read."))
@click.argument("subject", type=click.Choice(["node", "auditor"]))
@click.argument("party_id", metavar="ID")
@click.option("--reason", required=True, help=_("A code word, such as key-lost."))
@DIR
@JSON
def revoke(directory: Path, subject: str, party_id: str, reason: str, as_json: bool) -> None:
    """Log a revocation."""
    with open_desk(directory, as_json) as desk:
        index = desk.revoke(subject, party_id, reason)
    values: dict[str, object] = {"subject": subject, "id": party_id, "index": index}
    say(
        as_json,
        values,
        _("%(subject)s %(id)s is revoked (entry %(index)s)")
        % {**values, "subject": word(PARTIES, subject, _)},
    )


@coordinator.group(name="plan", help=_("Collection plans."))
def plan() -> None:
    """Hold the commands about plans."""


@plan.command(name="publish", help=_("Publish FILE (or a ready plan by its name) under the roster in force."))
@click.argument("file", metavar="FILE")
@click.option(
    "--auditor", "auditors", multiple=True, help=_("An auditor of the round; default: the first n.")
)
@click.option("--codebook", "codebooks", multiple=True, type=FILE, help=_("Pin an instrument's codebook."))
@click.option("--use-codebook", type=FILE, help=_("Exchange the plan's only instrument for this codebook."))
@click.option("--opens", type=click.DateTime(["%Y-%m-%dT%H:%M:%S%z"]), help=_("Begin of the window."))
@click.option("--closes", type=click.DateTime(["%Y-%m-%dT%H:%M:%S%z"]), help=_("End of the window."))
@DIR
@JSON
def publish(
    directory: Path,
    file: str,
    auditors: tuple[str, ...],
    codebooks: tuple[Path, ...],
    use_codebook: Path | None,
    opens: datetime | None,
    closes: datetime | None,
    as_json: bool,
) -> None:
    """Log a plan; its digest is the round's id."""
    with open_desk(directory, as_json) as desk:
        draft = read_plan(file, codebooks, use_codebook)
        draft = replace(draft, opens=_utc(opens, draft.opens), closes=_utc(closes, draft.closes))
        notes = cautions(draft)
        round_id = desk.publish_plan(draft, auditors)
        status = desk.round_status(round_id)
    say(
        as_json,
        {"round": round_id.hex(), "min_reports": status["min_reports"], "auditors": _auditors_of(status)},
        _("round %(round)s: waiting for the approvals of %(auditors)s")
        % {"round": round_id.hex()[:16], "auditors": ", ".join(_auditors_of(status))},
        *(_("note: %(text)s") % {"text": note.text(_)} for note in notes),
    )


def _auditors_of(status: dict[str, object]) -> list[str]:
    auditors = status["auditors"]
    return list(auditors) if isinstance(auditors, dict) else []


def _utc(moment: datetime | None, default: datetime) -> datetime:
    return default if moment is None else moment.astimezone(default.tzinfo)


@coordinator.command(name="serve", help=_("Take reports and drive every round, until Ctrl-C or SIGTERM."))
@click.option("--listen", help=_("host:port instead of the one in coordinator.toml."))
@click.option("--admin", help=_("host:port of health and metrics instead of the one in coordinator.toml."))
@DIR
@JSON
def serve(directory: Path, listen: str | None, admin: str | None, as_json: bool) -> None:
    """Serve; print one line when ready."""
    stop = threading.Event()
    stop_on_signals(stop)
    with open_desk(directory, as_json) as desk:
        start_logging(desk.home.config.log_format)
        address = listen or desk.home.config.listen
        host = address.rpartition(":")[0]

        def ready(port: int) -> None:
            values: dict[str, object] = {"event": "ready", "address": f"{host}:{port}"}
            say(as_json, values, _("serving on %(address)s") % values)

        run_server(desk, address, stop, ready, admin)


@coordinator.group(name="round", help=_("Rounds: who is missing, early close."))
def round_() -> None:
    """Hold the commands about rounds."""


@round_.command(name="status", help=_("Show a round (default: the newest): state, and who is missing."))
@ROUND
@DIR
@JSON
def status(directory: Path, round_id: str | None, as_json: bool) -> None:
    """Show what a round waits for."""
    with open_desk(directory, as_json) as desk:
        values = desk.round_status(find_round(desk, round_id))
    say(as_json, values, *_status_lines(values))


def _status_lines(values: dict[str, object]) -> Iterator[str]:
    state, reason = str(values["state"]), str(values["reason"])
    head = _("round %(serial)s (%(short)s): %(state)s, %(reason)s")
    if state == reason:
        head = _("round %(serial)s (%(short)s): %(state)s")
    yield head % {
        "serial": values["serial"],
        "short": str(values["round"])[:16],
        "state": word(ROUND_STATES, state, _),
        "reason": word(REASONS, reason, _),
    }
    for key, text in (
        ("reported", _("reported: %(ids)s")),
        ("not_reported", _("not reported: %(ids)s")),
        ("waiting_for", _("waiting for: %(ids)s")),
        ("liars", _("returned other sums than the others: %(ids)s")),
    ):
        ids = values[key]
        if isinstance(ids, list) and ids:
            yield text % {"ids": ", ".join(ids)}
    abandoned = values["abandoned"]
    for name, why in abandoned.items() if isinstance(abandoned, dict) else ():
        yield _("abandoned by %(name)s: %(why)s") % {"name": name, "why": word(ABANDON_REASONS, why, _)}
    if values["until"]:
        yield _("until %(day)s") % {"day": values["until"]}
    if values["advice"]:
        yield _("next: %(advice)s") % {"advice": _(str(values["advice"]))}


@round_.command(name="close", help=_("Close a round before its deadline, once every school has reported."))
@ROUND
@click.option("--without-missing", is_flag=True, help=_("Leave out the schools that have not reported."))
@DIR
@JSON
def close(directory: Path, round_id: str | None, without_missing: bool, as_json: bool) -> None:
    """Ask for the candidates; the server's next tick fixes them."""
    with open_desk(directory, as_json) as desk:
        found = find_round(desk, round_id)
        desk.request_close(found, without_missing=without_missing)
        desk.tick()
        values = desk.round_status(found)
    say(as_json, values, *_status_lines(values))


@coordinator.group(name="results", help=_("Results of released rounds."))
def results() -> None:
    """Hold the commands about results."""


@results.command(name="export", help=_("Write a released round's tables as json and csv."))
@ROUND
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help=_("Folder to write into."))
@click.option("--withdrawn", is_flag=True, help=_("Also of a withdrawn release; the files then say so."))
@DIR
@JSON
def export(directory: Path, round_id: str | None, out: Path | None, withdrawn: bool, as_json: bool) -> None:
    """Write release.json, indicators.json, tables/*.csv and estimates/*.csv."""
    with open_desk(directory, as_json) as desk:
        found = find_round(desk, round_id)
        folder = out or directory / "results" / found.hex()[:16]
        paths = [str(path) for path in desk.export_results(found, folder, with_withdrawn=withdrawn)]
    say(as_json, {"round": found.hex(), "files": paths}, *paths)


@coordinator.group(name="log", help=_("The published log."))
def log() -> None:
    """Hold the commands about the log."""


@log.command(name="export", help=_("Write the published log into the folder OUT: a copy to carry."))
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@DIR
@JSON
def export_log(directory: Path, out: Path, as_json: bool) -> None:
    """Write a whole copy of the log."""
    with open_desk(directory, as_json) as desk:
        size = desk.export_log(out)
    say(
        as_json,
        {"folder": str(out), "size": size},
        _("%(size)s entries: %(out)s") % {"size": size, "out": out},
    )


@log.command(name="fsck", help=_("Check a published log folder (default: this coordinator's) whole."))
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--policy", type=FILE, help=_("Trust policy; default: the keys on this federation's card."))
@click.option("--card", "card_file", type=FILE, help=_("Federation card; default: this federation's own."))
@DIR
@JSON
def fsck(
    directory: Path, folder: Path | None, policy: Path | None, card_file: Path | None, as_json: bool
) -> None:
    """Exit 0 when everything follows from the checkpoint, else 1 with every finding."""
    with refusing(as_json):
        text = _read_text(card_file) if card_file else _own_card(directory, as_json)
        rules = parse_policy(_read_text(policy), WORDS) if policy else _policy_of(text)
        try:
            checkpoint = check_folder(folder or directory / "log", rules, parse_card(text))
        except FsckError as err:
            lines = [_("wrong: %(finding)s") % {"finding": row.text(_)} for row in err.problems]
            say(as_json, {"whole": False, "findings": list(err.findings)}, *lines)
            raise SystemExit(EXIT_REFUSED) from err
    say(
        as_json,
        {"whole": True, "size": checkpoint.size, "root": checkpoint.root.hex()},
        _("whole: %(size)s entries") % {"size": checkpoint.size},
    )


def _read_text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as err:
        raise ConfigError(phrase("%(path)s: not UTF-8 text", path=path)) from err


def _own_card(directory: Path, as_json: bool) -> str:
    with open_desk(directory, as_json) as desk:
        text = desk.card_text()
    if not text:
        raise ConfigError(phrase("no card yet; propose the first roster"))
    return text


def _policy_of(card_text: str) -> LogPolicy:
    """Make the policy that a card pins: its log key, its auditors as witnesses, its quorum."""
    pinned = parse_card(card_text)
    names = [f"w-{row.id}" for row in pinned.auditors]
    lines = [f"log {pinned.log.text}"]
    lines += [f"witness {name} {row.cosigner.text}" for name, row in zip(names, pinned.auditors, strict=True)]
    lines += [f"group all-auditors {pinned.quorum} {' '.join(names)}", "quorum all-auditors"]
    return parse_policy("\n".join(lines) + "\n")


for _group in (cli_files.outbox, cli_files.report, cli_files.receipt):
    coordinator.add_command(_group)
coordinator.add_command(cli_invite.invite)
for _enrolling in (cli_rosters.approve, cli_rosters.roster):
    coordinator.add_command(_enrolling)
for _group in (cli_facts.facts, cli_progress.progress):
    coordinator.add_command(_group)
for _page in (cli_dashboard.dashboard, cli_dashboard.account):
    coordinator.add_command(_page)
for _target, _commands in ((round_, cli_rounds.ROUND_COMMANDS), (plan, cli_rounds.PLAN_COMMANDS)):
    for _command in _commands:
        _target.add_command(_command)
results.add_command(cli_combine.combine)
results.add_command(cli_reports.report)
for _group in (cli_keys.keys, cli_members.member):
    coordinator.add_command(_group)
for _single in (cli_store.store, cli_store.backup, cli_store.restore):
    coordinator.add_command(_single)
coordinator.add_command(cli_doctor.doctor)
coordinator.add_command(cli_offline.offline)
