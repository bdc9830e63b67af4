"""Plan files as the commands take them: a path, or the name of a ready plan; what is wrong, in words."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from gettext import gettext as _
from importlib.resources import files
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from plan.document import PlanDocument, parse_plan_toml
from plan.errors import PlanError, Problem
from plan.layout import Layout, build_layout
from plan.publishing import resolve
from plan.reading import MAX_INPUT_BYTES

Decorated = TypeVar("Decorated", bound=Callable[..., Any] | click.Command)

EXIT_INVALID = 1
DELTA = 1e-6
DEFAULT_SCHOOLS = 60

FILE = click.argument("file", metavar="FILE")
JSON = click.option("--json", "as_json", is_flag=True, help=_("Print JSON, in English."))


@dataclass(frozen=True, slots=True)
class Loaded:
    """A valid plan: as it was written (`draft`), resolved for a number of schools, and its layout."""

    draft: PlanDocument
    plan: PlanDocument
    layout: Layout
    is_auto: bool
    schools: int


def ready_names() -> list[str]:
    """Return the names of the ready plans, in order."""
    folder = files("plan").joinpath("ready")
    return sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml"))


def read_plan_file(name: str) -> bytes:
    """Read a plan file, or a ready plan by its name; a file of that name comes first.

    Raises:
        click.UsageError: there is neither.
    """
    path = Path(name)
    try:
        if path.is_file():
            with path.open("rb") as file:
                return file.read(MAX_INPUT_BYTES + 1)  # one byte more: the parser then says "too large"
    except OSError as err:
        raise click.UsageError(
            _("cannot read %(file)s: %(reason)s") % {"file": name, "reason": err.strerror}
        ) from err
    if name in ready_names():
        return files("plan").joinpath("ready", f"{name}.toml").read_bytes()
    message = _("no file %(file)s, and no ready plan of that name (there are: %(names)s)")
    raise click.UsageError(message % {"file": name, "names": ", ".join(ready_names())})


def parse(file: str, as_json: bool) -> PlanDocument:
    """Read a draft or a finished plan; print what is wrong and leave with exit code 1 if it is not valid."""
    data = read_plan_file(file)
    try:
        return parse_plan_toml(data)
    except PlanError as err:
        refuse(file, err, as_json)


def load(file: str, schools: int | None, as_json: bool) -> Loaded:
    """Read a plan and lay it out for a number of schools (60 where a draft leaves it open); or as `parse`."""
    draft = parse(file, as_json)
    try:
        is_auto = draft.min_reports is None
        is_fitted = is_auto or schools is not None
        ready = resolve(draft, schools or DEFAULT_SCHOOLS) if is_fitted else draft
        layout = build_layout(ready)
    except PlanError as err:
        refuse(file, err, as_json)
    most = schools or (DEFAULT_SCHOOLS if is_auto else ready.min_reports or DEFAULT_SCHOOLS)
    return Loaded(draft, ready, layout, is_auto, most)


def refuse(file: str, error: PlanError, as_json: bool) -> NoReturn:
    """Print every problem and leave with exit code 1."""
    if as_json:
        print_json({"valid": False, "problems": [problem_json(problem) for problem in error.problems]})
    else:
        message = _("%(file)s is not a valid plan; problems: %(count)s")
        click.echo(message % {"file": file, "count": len(error.problems)}, err=True)
        for problem in error.problems:
            click.echo(f"  {problem.text(_)}", err=True)
        click.echo(_("Correct the file and check it again; nothing was changed."), err=True)
    raise click.exceptions.Exit(EXIT_INVALID)


def problem_json(problem: Problem) -> dict[str, str]:
    """Return a problem as programs read it."""
    return {
        "key": problem.key,
        "found": str(problem.found),
        "allowed": str(problem.allowed),
        "advice": str(problem.advice or ""),
    }


def print_json(value: dict[str, Any]) -> None:
    """Print a result for programs."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def schools_option(*, is_required: bool = False) -> Callable[[Decorated], Decorated]:
    """Make the option `--schools`."""
    words = (
        _("Number of enrolled schools.")
        if is_required
        else _('Number of enrolled schools; sizes min_reports = "auto" (60 when not given).')
    )
    return click.option("--schools", type=click.IntRange(1, 200_000), required=is_required, help=words)


def write_new(path: Path, text: str) -> None:
    """Write a file that is not there yet.

    Raises:
        click.ClickException: it is there, or its folder is not (exit code 1).
    """
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError as err:
        message = _("%(file)s is there already and stays as it is; choose another name")
        raise click.ClickException(message % {"file": path}) from err
    except OSError as err:
        message = _("cannot write %(file)s: %(reason)s")
        raise click.ClickException(message % {"file": path, "reason": err.strerror}) from err
