"""`fedscreen auditor site`: prepare a visit to a school, take its result back, list the visits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from gettext import gettext as _
from pathlib import Path
from typing import Any

import click

from auditor.challenge import find_round, ledger_of_folder, select
from auditor.cli_context import DIR, EXIT_REFUSED, FILE, JSON, YES, open_desk, refusing, say, show
from auditor.config import AuditorFolder
from auditor.errors import RefusalError
from auditor.site_kit import make_challenge, write_kit
from auditor.site_record import VisitReview, record, review_result, visits
from plan.errors import phrase
from plan.words import REPLAY_CHECKS, TRIAL_CHECKS, TRIAL_NOTES, word
from plan.words import TRIALS as TRIAL_WORDS
from protos.site_visit import FAIL, MAX_BYTES, MAX_VISIT, PASS, SKIPPED, TRIALS, SiteChallenge, Trial


def N_(message: str) -> str:  # noqa: N802  (gettext's own name)
    """Mark a message; it is translated where it is shown."""
    return message


EXIT_INCOMPLETE = 2
EXIT_CODES: Mapping[str, int] = {PASS: 0, FAIL: EXIT_REFUSED, "INCOMPLETE": EXIT_INCOMPLETE}
NEW_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.group(name="site", help=_("Visits to schools: prepare, record, list."))
def site() -> None:
    """Hold the commands about visits."""


@site.command(name="prepare", help=_("Write the kit for a visit into the new folder OUT."))
@click.argument("out", type=NEW_FOLDER)
@click.option("--round", "round_prefix", required=True, help=_("The round."))
@click.option("--school", "nodes", multiple=True, help=_("A school to visit; default: all that are drawn."))
@click.option("--number", type=click.IntRange(0), help=_("Size of the draw, as in 'challenge select'."))
@click.option(
    "--material",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help=_("Folder of made-up files for the rehearsal."),
)
@click.option("--release", type=FILE, help=_("The release's file of digests, for 'install verify'."))
@click.option("--only", type=click.Choice(TRIALS), multiple=True, help=_("Ask for this trial only."))
@click.option("--visit", type=click.IntRange(1, MAX_VISIT), default=1, help=_("2 or more to repeat."))
@DIR
@JSON
def prepare(
    directory: Path,
    out: Path,
    round_prefix: str,
    nodes: tuple[str, ...],
    number: int | None,
    material: Path | None,
    release: Path | None,
    only: tuple[str, ...],
    visit: int,
    as_json: bool,
) -> None:
    """Sign the challenge and write the kit."""
    trials = only or tuple(name for name in TRIALS if name != "rehearse" or material is not None)
    with open_desk(directory, as_json) as desk:
        round_log = find_round(desk.context.ledger, round_prefix)
        size = len(select(round_log, None, None, None).schools) if number is None else number
        challenge = make_challenge(
            desk.context, round_log, nodes, number=size, visit=visit, trials=tuple(trials)
        )
        digest = write_kit(desk.context, directory, out, challenge, material=material, release=release)
    schools = [
        {"node": row.node, "place": row.place, "report": row.report.hex()} for row in challenge.schools
    ]
    values: dict[str, object] = {
        "kit": str(out),
        "challenge": digest.hex(),
        "round": challenge.round.hex(),
        "trials": list(challenge.trials),
        "schools": schools,
        "without": [*_not_asked(trials, only), *(["release"] if release is None else [])],
    }
    say(as_json, values, *_prepared_lines(challenge, out), *_left_out_lines(values["without"]))


_LEFT_OUT: Mapping[str, str] = {
    "rehearse": N_("without a rehearsal: nothing will show how this program counts; give --material for one"),
    "release": N_("without release.json: the program cannot be checked from this kit; give --release"),
}


def _not_asked(trials: Sequence[str], only: Sequence[str]) -> list[str]:
    """Give what nobody asked for and nobody left out on purpose either."""
    return [] if only else [name for name in TRIALS if name not in trials]


def _left_out_lines(names: object) -> Iterator[str]:
    for name in names if isinstance(names, list) else ():
        yield word(_LEFT_OUT, name, _)


def _prepared_lines(challenge: SiteChallenge, out: Path) -> Iterator[str]:
    for row in challenge.schools:
        drawn = _("drawn as number %(place)d") % {"place": row.place} if row.place else _("asked, not drawn")
        yield f"  {row.node}  {drawn}"
    yield _("kit: %(folder)s; at the school: %(command)s") % {
        "folder": out,
        "command": f"fedscreen node audit visit {out.name}",
    }


@site.command(
    name="record",
    help=_(
        "Check a visit's RESULT, show it, sign and log what the replay showed: 0 all passed, 1 something "
        "failed or was refused, 2 recorded, but something is missing or to be explained."
    ),
)
@click.argument("result", type=FILE)
@YES
@DIR
@JSON
def record_result(directory: Path, result: Path, yes: bool, as_json: bool) -> None:
    """Record a visit; the exit code is the visit's outcome."""
    with refusing(as_json):
        _verify_own(directory)
    with open_desk(directory, as_json) as desk:
        desk.sync()
        review = review_result(desk.context, directory, _read(result))
        show(as_json, review_lines(review))
        if review.statement is not None and not yes:
            click.confirm(_question(review), abort=True, err=True)
        kept = record(desk.context, directory, review)
    values: dict[str, object] = {
        "node": review.result.node,
        "round": review.result.round.hex(),
        "outcome": review.outcome,
        "replayed": review.statement.outcome if review.statement else "",
        "program": "same" if review.is_same_program else "another",
        "statement": kept.statement.hex() if kept.statement else "",
        "position": -1 if kept.position is None else kept.position,
        "file": str(kept.file),
    }
    say(as_json, values, _("recorded: %(file)s") % values, review.outcome, *next_steps(review))
    raise SystemExit(EXIT_CODES.get(review.outcome, EXIT_INCOMPLETE))


def _verify_own(directory: Path) -> None:
    """Refuse to record where no auditor is, before somebody makes himself one for it.

    Raises:
        RefusalError: the folder is no auditor's.
    """
    if not AuditorFolder(directory).config.exists():
        raise RefusalError(
            "no-auditor",
            phrase(
                "%(folder)s is no auditor's folder. The key keeper who prepared the kit records the result, "
                "on the keeper's machine: take it there. Do not run 'auditor init' for it",
                folder=directory,
            ),
        )


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def _question(review: VisitReview) -> str:
    statement = review.statement
    values = {
        "node": review.result.node,
        "outcome": statement.outcome if statement else "",
        "confinement": statement.confinement if statement else "",
    }
    return _("Sign and log: replay of %(node)s %(outcome)s, confinement seen %(confinement)s?") % values


def review_lines(review: VisitReview) -> Iterator[str]:
    """Show what a result says."""
    result = review.result
    yield _("%(node)s, round %(round)s, attempt %(attempt)d; visited %(started)s to %(ended)s") % {
        "node": result.node,
        "round": result.round.hex()[:16],
        "attempt": result.attempt,
        "started": result.started,
        "ended": result.ended,
    }
    for name, trial in _asked(review).items():
        yield from _trial_lines(name, trial)
    if review.is_same_program:
        yield _("  program: the one that the report names (%(digest)s)") % {
            "digest": result.software.hex()[:16]
        }
    else:
        yield _(
            "  program: ANOTHER than the report names (now %(found)s, the report has %(named)s): updated or "
            "changed since; both are recorded"
        ) % {
            "found": result.software.hex()[:16],
            "named": review.header.software.hex()[:16],
        }


def _asked(review: VisitReview) -> dict[str, Trial]:
    """Give every trial that was asked for; one that the result leaves out is SKIPPED."""
    found = review.result.trials
    return {name: found.get(name, Trial(SKIPPED, "", "missing", ())) for name in review.challenge.trials}


def _trial_lines(name: str, trial: Trial) -> Iterator[str]:
    words = REPLAY_CHECKS if name == "replay" else TRIAL_CHECKS
    values = {
        "outcome": trial.outcome,
        "name": word(TRIAL_WORDS, name, _),
        "passed": sum(row.result == PASS for row in trial.checks),
        "all": len(trial.checks),
        "confinement": trial.confinement or trial.code,
    }
    yield _("  %(outcome)-8s %(name)s: %(passed)d of %(all)d checks (%(confinement)s)") % values
    for row in trial.checks:
        if row.result != PASS:
            note = f"  ({word(TRIAL_NOTES, row.note, _)})" if row.note else ""
            yield f"      {row.number:2d} {_shown(row.result):7s} {word(words, row.name, _)}{note}"


def _shown(result: str) -> str:
    """Say SKIPPED where an older program said SKIP."""
    return SKIPPED if result == "SKIP" else result


# ---------------------------------------------------------------- what comes next

_SECURE = (
    N_("1. Leave the computer switched on and as it is: no update, no new installation. Unplug its network."),
    N_("2. The school stops sending: 'fedscreen node hold'. Its folder is not opened by anything else."),
    N_("3. Two people make a read-only copy of the disk and write down time, serial number and SHA-256."),
    N_("4. Telephone today: the other auditors, the county's person for data protection, the school's head."),
    N_("5. Check the program from outside: 'fedscreen auditor install verify --site-packages' on the copy."),
    N_("6. Repeat with 'site prepare --visit 2'; the county decides whether the release is withdrawn."),
)
_MEANING: tuple[tuple[frozenset[int], str], ...] = (
    (
        frozenset({1, 2, 4, 5, 6}),
        N_("What is kept at the school was changed after the report: secure records and journal first."),
    ),
    (frozenset({3}), N_("The vault has another K than the roster: another vault, or a restored one.")),
    (
        frozenset({7, 8, 9}),
        N_("The report is not what this program makes of these records: another program made it."),
    ),
    (
        frozenset({10, 11}),
        N_("What was sent is not what is kept, or was written over: compare with the log."),
    ),
    (frozenset({12}), N_("The log holds another header of this school: secure the school's receipt.")),
)


def next_steps(review: VisitReview) -> Iterator[str]:
    """Say what to do about a visit that found something; nothing where all passed."""
    failed = {name: trial for name, trial in review.result.trials.items() if trial.outcome == FAIL}
    if not failed and review.outcome == PASS:
        return
    if not failed:
        yield from _incomplete_lines(review)
        return
    replay = failed.get("replay")
    if replay is not None:
        for numbers, meaning in _MEANING:
            if numbers & set(replay.failed):
                yield _(meaning)
    if "selftest" in failed:
        yield _("Something planted came out, or the wall does not stand: no real round on this computer.")
    if "rehearse" in failed:
        yield _("The program does not count, mask or add noise as the plan says: secure the program.")
    for line in _SECURE:
        yield _(line)


def _incomplete_lines(review: VisitReview) -> Iterator[str]:
    for name, trial in _asked(review).items():
        if trial.code == "records-gone":
            yield _("The records were deleted after their time of keeping: visit sooner after a release.")
        elif trial.outcome != PASS:
            yield _("%(name)s could not be finished (%(code)s): mend that, then 'site prepare --visit 2'") % {
                "name": word(TRIAL_WORDS, name, _),
                "code": trial.code or trial.outcome,
            }
    if not review.is_same_program:
        yield _(
            "The school's program is another than at the time of the report: ask when and why it was updated "
            "and write down the answer. 'install verify' says whether today's is a release, 'install reports "
            "%(round)s' with --release, once for each release, whether that of the report is."
        ) % {"round": review.result.round.hex()[:8]}


@site.command(name="list", help=_("List the visits recorded in this folder."))
@DIR
@JSON
def list_visits(directory: Path, as_json: bool) -> None:
    """List the records; nobody is asked."""
    with refusing(as_json):
        rows = list(visits(directory, ledger_of_folder(AuditorFolder(directory))))
    lines = [_visit_line(row) for row in rows] or [_("no visit is recorded")]
    say(as_json, {"visits": rows}, *lines)


def _visit_line(row: Mapping[str, Any]) -> str:
    replay = row["result"]["trials"].get("replay", {})
    values = {
        "round": row["result"]["round"][:16],
        "node": row["result"]["node"],
        "visit": row["visit"],
        "outcome": row["outcome"],
        "replay": replay.get("outcome", "-"),
        "logged": _("logged") if row["is_logged"] else _("not in the log"),
    }
    return _("  %(round)s  %(node)s  visit %(visit)d  %(outcome)s  replay %(replay)s, %(logged)s") % values
