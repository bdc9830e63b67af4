"""`fedscreen coordinator results combine`: a prefecture adds up its counties' verified releases."""

from __future__ import annotations

from gettext import gettext as _
from pathlib import Path

import click

from coordinator.cli_context import FILE, JSON, refusing, say
from coordinator.combine_counties import County, combine_counties
from coordinator.durable import ignore_step, write_file

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command(
    name="combine", help=_("Add up counties' releases of one plan; each BUNDLE is checked by its own policy.")
)
@click.argument("bundles", metavar="BUNDLE...", nargs=-1, required=True, type=_FOLDER)
@click.option(
    "--policy",
    "policies",
    multiple=True,
    required=True,
    type=FILE,
    help=_("Whose keys count: one for each BUNDLE, in the same order."),
)
@click.option("--plan", "plan_id", required=True, help=_("Id of the plan, such as autumn-full."))
@click.option("--school-year", default="", help=_("Such as 2026-2027; default: the newest release."))
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help=_("Folder to write into."),
)
@JSON
def combine(
    bundles: tuple[Path, ...],
    policies: tuple[Path, ...],
    plan_id: str,
    school_year: str,
    out: Path,
    as_json: bool,
) -> None:
    """Write combined.json and a csv file a table; nothing at all unless every county passes."""
    if len(bundles) != len(policies):
        raise click.UsageError(
            _("%(bundles)s bundles and %(policies)s policies: give one policy for each, in the same order")
            % {"bundles": len(bundles), "policies": len(policies)}
        )
    with refusing(as_json):
        counties = [
            County(folder, policy.read_bytes()) for folder, policy in zip(bundles, policies, strict=True)
        ]
        files = combine_counties(counties, plan_id, school_year)
        for name, data in files.items():
            path = out / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_file(path, data, ignore_step)
    paths = [str(out / name) for name in files]
    say(
        as_json,
        {"counties": len(counties), "files": paths},
        _("%(counties)s counties added: %(out)s") % {"counties": len(counties), "out": out},
        *paths,
    )
