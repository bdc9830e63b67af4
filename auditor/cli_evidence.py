"""`fedscreen auditor report`: the yearly evidence pack, from an auditor's folder or offline from a bundle."""

from __future__ import annotations

import shutil
from dataclasses import replace
from gettext import gettext as _
from pathlib import Path
from typing import Any

import click

from auditor.cli_context import DIR, FILE, JSON, refusing, say
from auditor.config import AuditorFolder
from auditor.errors import EvidenceError
from auditor.evidence.documents import PROFILES
from auditor.evidence.gaps import failures_of, open_points_of
from auditor.evidence.gather import Source
from auditor.evidence.sources import BUNDLE_FOLDER, Inputs, read_bundle, read_folder
from auditor.evidence.writing import FORMATS, LANGUAGES, Request, make_pack, with_inputs, write_pack
from paper.errors import PaperError
from plan.errors import phrase

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command(name="report", help=_("Write the yearly evidence pack into the new folder OUT."))
@click.option("--profile", required=True, type=click.Choice(list(PROFILES)), help=_("What the pack is for."))
@click.option("--year", required=True, type=click.IntRange(2000, 9998), help=_("The calendar year."))
@click.option(
    "--lang", type=click.Choice(list(LANGUAGES)), default="both", show_default=True, help=_("Languages.")
)
@click.option(
    "--format", "formats", type=click.Choice(FORMATS), multiple=True, help=_("Forms; all if none is named.")
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help=_("The new folder."))
@click.option("--bundle", type=_FOLDER, help=_("Make it from this bundle instead of the auditor's folder."))
@click.option("--policy", type=FILE, help=_("Whose keys and bounds count; by default the folder's."))
@click.option("--since", type=FILE, help=_("checkpoint.txt of last year's pack."))
@click.option("--site", type=_FOLDER, help=_("Records of on-site visits; by default the folder's."))
@click.option("--statements", type=FILE, help=_("What people state: platform custody, retention (TOML)."))
@click.option(
    "--date",
    "made_on",
    type=click.DateTime(["%Y-%m-%d"]),
    help=_("Day on the pack; by default that of the newest cosignature."),
)
@DIR
@JSON
def report(
    profile: str,
    year: int,
    lang: str,
    formats: tuple[str, ...],
    out: Path,
    bundle: Path | None,
    policy: Path | None,
    since: Path | None,
    site: Path | None,
    statements: Path | None,
    made_on: Any,
    directory: Path,
    as_json: bool,
) -> None:
    """Check the log, write the pack; failed checks stand in it and do not stop it."""
    request = Request(
        profile,
        year,
        LANGUAGES[lang],
        tuple(name for name in FORMATS if not formats or name in formats),
        made_on.date().isoformat() if made_on else "",
    )
    with refusing(as_json):
        inputs = Inputs(policy, since, site, statements)
        values = _write(request, inputs, bundle, AuditorFolder(directory), out)
    say(
        as_json,
        values,
        _("%(folder)s: %(files)s files, verification %(verify)s") % values,
        _("%(failures)s failures, %(open_points)s open points; they stand in the pack") % values,
        _("keep %(folder)s/checkpoint.txt for next year's --since") % values,
    )


def _write(
    request: Request, inputs: Inputs, bundle: Path | None, folder: AuditorFolder, out: Path
) -> dict[str, object]:
    """Write into a folder beside `out` that takes its name once it is complete."""
    if out.exists():
        raise EvidenceError(phrase("%(folder)s: exists already; choose a new folder", folder=out))
    staging = out.with_name(f".{out.name}.partial")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        source, inputs = _read(inputs, bundle, folder, staging)
        facts, files = make_pack(source, request)
        files = with_inputs(files, inputs)
        write_pack(staging, files)
        staging.rename(out)
    except PaperError as err:
        raise EvidenceError(err.phrase) from err
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return {
        "folder": str(out),
        "profile": request.profile,
        "year": request.year,
        "made_on": facts.made_on,
        "files": len(files) + 1,
        "verify": facts.verification.summary,
        "rounds": len(facts.rounds),
        "failures": len(failures_of(facts)),
        "open_points": len(open_points_of(facts)),
    }


def _read(inputs: Inputs, bundle: Path | None, folder: AuditorFolder, staging: Path) -> tuple[Source, Inputs]:
    if bundle is not None:
        return read_bundle(bundle, inputs), inputs
    own = replace(inputs, policy=inputs.policy or folder.policy)
    return read_folder(folder, own, staging / BUNDLE_FOLDER), own
