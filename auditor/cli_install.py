"""`fedscreen auditor install verify`: is the program on a machine the one that was released?"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from gettext import gettext as _
from pathlib import Path
from typing import Any

import click

from auditor.challenge import find_round
from auditor.cli_challenge import BUNDLE, POLICY, open_log
from auditor.cli_context import DIR, FILE, JSON, refusing, say
from auditor.errors import RefusalError
from auditor.install_check import EXIT_CODES, ReleaseError, own_site_packages, parse_release, verify
from plan.errors import phrase
from plan.words import word


def N_(message: str) -> str:  # noqa: N802  (gettext's own name)
    """Mark a message; it is translated where it is shown."""
    return message


CHECKS: Mapping[str, str] = {
    "release": N_("the file of digests is well formed"),
    "files": N_("every file is the release's"),
    "missing": N_("no file of the release is missing"),
    "added": N_("no file was added in its folders"),
    "libraries": N_("every other folder is a library of the release"),
    "startup": N_("nothing that Python reads or finds at its start"),
    "cached": N_("compiled files are what their sources give"),
    "links": N_("no link, no editable installation"),
    "environment": N_("no variable that makes Python load something else"),
}


@click.group(name="install", help=_("The program on a machine."))
def install() -> None:
    """Hold the commands about an installation."""


@install.command(
    name="verify",
    help=_("Compare every installed file with a release: 0 all the same, 1 something differs, 2 incomplete."),
)
@click.option("--release", required=True, type=FILE, help=_("The release's file of digests."))
@click.option(
    "--site-packages",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help=_("Read this folder (a mounted disk, a copy, 'lib' on Windows) instead of this very program's."),
)
@JSON
def verify_install(release: Path, site_packages: Path | None, as_json: bool) -> None:
    """Print numbered checks and what is wrong, by path."""
    with refusing(as_json):
        try:
            environ = os.environ if site_packages is None else None
            place = site_packages or own_site_packages()
            values = verify(place, release.read_bytes(), environ, release.resolve().parent)
        except ReleaseError as err:
            raise RefusalError("release", phrase("%(reason)s", reason=err)) from err
    say(as_json, values, *install_lines(values, is_outside=site_packages is not None))
    raise SystemExit(EXIT_CODES[values["outcome"]])


@install.command(
    name="reports",
    help=_("Which program each report of a ROUND names: 0 all of these releases, 1 one is of none of them."),
)
@click.argument("round_prefix", metavar="ROUND")
@click.option("--release", "releases", required=True, multiple=True, type=FILE, help=_("May be repeated."))
@BUNDLE
@POLICY
@DIR
@JSON
def reports(
    directory: Path,
    round_prefix: str,
    releases: tuple[Path, ...],
    bundle: Path | None,
    policy_file: Path | None,
    as_json: bool,
) -> None:
    """Compare the program's digest in every header with those of releases; the log suffices for it."""
    with refusing(as_json):
        try:
            known = {row.software: row.version for row in (parse_release(p.read_bytes()) for p in releases)}
        except ReleaseError as err:
            raise RefusalError("release", phrase("%(reason)s", reason=err)) from err
        round_log = find_round(open_log(directory, bundle, policy_file), round_prefix)
        rows = [
            {
                "node": logged.statement.node,
                "attempt": logged.statement.attempt,
                "software": logged.statement.software.hex(),
                "version": known.get(logged.statement.software.hex(), ""),
            }
            for logged in round_log.reports.values()
        ]
    unknown = [row for row in rows if not row["version"]]
    lines = [_("  UNKNOWN program: %(node)s, attempt %(attempt)d: %(software)s") % row for row in unknown]
    lines.append(
        _("%(number)d reports, %(unknown)d of a program that is none of these releases")
        % {"number": len(rows), "unknown": len(unknown)}
    )
    outcome = "FAIL" if unknown else "PASS" if rows else "INCOMPLETE"
    say(as_json, {"outcome": outcome, "reports": rows}, *lines)
    raise SystemExit(EXIT_CODES[outcome])


def _program_line(row: Mapping[str, str]) -> str:
    """Show a program that stands beside the release as a single file."""
    if row["result"] == "SKIPPED":
        return _("      -  %(name)s does not lie beside the release; its SHA-256 is %(sha256)s") % row
    if row["result"] == "PASS":
        return _("   PASS  %(name)s beside it is the release's") % row
    return _("   FAIL  %(name)s beside it is NOT the release's; that has SHA-256 %(sha256)s") % row


def install_lines(values: Mapping[str, Any], *, is_outside: bool) -> Iterator[str]:
    """Show an installation's checks; first the digest, without which the rest means nothing."""
    yield _(
        "digests of release %(version)s: SHA-256 %(digest)s; compare it with what was told by another way"
    ) % {
        "version": values["release"]["version"],
        "digest": values["release_sha256"],
    }
    for row in values["checks"]:
        note = f"  ({row['note']})" if row["note"] else ""
        name = word(CHECKS, row["name"], _)
        yield f"  {row['number']:2d}  {row['result']:7s} {name}: {row['looked_at']}{note}"
        for path in row["wrong"]:
            yield f"        {path}"
        if row["num_wrong"] > len(row["wrong"]):
            yield _("        … %(number)d in all") % {"number": row["num_wrong"]}
    for row in values["programs"]:
        yield _program_line(row)
    if values["has_installer"]:
        yield _("pip and setuptools belong to no release: 'pip uninstall -y setuptools pip', then ask again")
    if not is_outside:
        yield _(
            "this ran on the machine itself, which can lie; '--site-packages' reads its disk from outside"
        )
    yield f"{values['outcome']}: {values['site_packages']}"
