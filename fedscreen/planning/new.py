"""`fedscreen plan new`: a county's own plan from a ready one, by questions or options.

Whatever is not given as an option is asked; `--defaults` takes the proposal instead, so with it (or with all
options) nothing is asked. The plan is checked before it is written; a file that is there is never touched.

Exit codes: 0 written, 1 the answers make no valid plan, or OUT is there already, 2 wrong usage.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from fedscreen.planning.draft import Answers, write_draft
from fedscreen.planning.plan_file import parse, read_plan_file, ready_names, refuse, schools_option, write_new
from plan.code_words import READY_PLANS, beside, choices_note, listed
from plan.codebook import Codebook, parse_codebook_toml
from plan.codes import GRADE, SYSTEM, school_year_of
from plan.document import CRITICAL, RELEASE_CLASSES, PlanDocument, parse_plan_toml
from plan.errors import PlanError
from plan.layout import build_layout
from plan.publishing import resolve
from plan.record import CONSENT_POLICIES

SMALL_COUNTY = 60
"""Below so many schools the plan for small counties is proposed."""

LADDERS = ("off", "auto")
_DAY = click.DateTime(formats=["%Y-%m-%d"])
T = TypeVar("T")

if TYPE_CHECKING:
    _CodesType = click.ParamType[tuple[str, ...]]
else:
    _CodesType = click.ParamType  # subscripted only for type checkers


class _Codes(_CodesType):
    """A list of codes of a set, joined by commas."""

    name = "codes"

    def __init__(self, known: tuple[str, ...]) -> None:
        self._known = known

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Return the codes in the set's order."""
        if isinstance(value, tuple):
            return value
        given = [part.strip() for part in str(value).split(",")]
        strange = [part for part in given if part not in self._known]
        if strange:
            message = _("'%(code)s' is not one of %(codes)s")
            self.fail(message % {"code": strange[0][:20], "codes": listed(self._known, _)}, param, ctx)
        return tuple(code for code in self._known if code in given)


@dataclass(frozen=True, slots=True)
class _Asker:
    """Takes an option where it was given, else asks or takes what is proposed."""

    is_asking: bool

    def __call__(
        self, given: T | None, question: str, proposed: T, kind: Any = None, shown: str | None = None
    ) -> T:
        """Return the answer to one question."""
        if given is not None:
            return given
        if not self.is_asking:
            return proposed
        return cast(
            T, click.prompt(question, default=shown or proposed, type=kind or str, show_choices=False)
        )


@click.command(
    name="new", help=_("Write a plan of your own, OUT.toml, from a ready one; asks what is not given.")
)
@click.argument("out", metavar="OUT.toml", type=click.Path(path_type=Path))
@schools_option()
@click.option(
    "--base",
    type=click.Choice(ready_names()),
    help=_("The ready plan to begin with.") + choices_note(READY_PLANS, _, READY_PLANS),
)
@click.option("--id", "plan_id", help=_("The plan's short name, which results and files carry."))
@click.option("--title", help=_("The plan's title."))
@click.option("--school-year", metavar="YYYY-YYYY", help=_("School year, whose account pays."))
@click.option(
    "--census-date", type=_DAY, metavar="DATE", help=_("A pupil counts where enrolled on this day.")
)
@click.option("--opens", type=_DAY, metavar="DATE", help=_("First day of the window for reports."))
@click.option("--closes", type=_DAY, metavar="DATE", help=_("Last day of the window for reports."))
@click.option(
    "--grades", type=_Codes(tuple(GRADE)), metavar="LIST", help=_("Screened grades, such as 4,5,6,7,8,9.")
)
@click.option(
    "--systems", type=_Codes(tuple(SYSTEM)), metavar="LIST", help=_("School systems: 6-3, 5-4 or both.")
)
@click.option(
    "--codebook", type=click.Path(path_type=Path), metavar="FILE", help=_("The instrument's codebook.")
)
@click.option(
    "--consent",
    type=click.Choice(CONSENT_POLICIES),
    help=_("Whether consent must be recorded.") + choices_note(CONSENT_POLICIES, _),
)
@click.option(
    "--critical-items",
    type=click.Choice(CRITICAL),
    help=_("Whether self-harm items are counted.") + choices_note(CRITICAL, _),
)
@click.option(
    "--ladder",
    type=click.Choice(LADDERS),
    help=_("Turnout ladder: less noise if more schools report.") + choices_note(LADDERS, _),
)
@click.option(
    "--recipient", "recipients", multiple=True, help=_("Who receives the results; may be repeated.")
)
@click.option("--legal-basis", help=_("The legal basis, in one line."))
@click.option(
    "--release-class",
    type=click.Choice(RELEASE_CLASSES),
    help=_("Who may see the results.") + choices_note(RELEASE_CLASSES, _),
)
@click.option("--defaults", "is_silent", is_flag=True, help=_("Ask nothing: take what is proposed."))
def new(out: Path, schools: int | None, is_silent: bool, **given: Any) -> None:
    """Write a new plan; exit 0, or 1 when the answers make no valid plan or OUT is there."""
    if out.exists():  # before the questions; `write_new` holds it against a race
        message = _("%(file)s is there already and stays as it is; choose another name")
        raise click.ClickException(message % {"file": out})
    ask = _Asker(not is_silent)
    number = ask(schools, _("Number of enrolled schools"), SMALL_COUNTY, click.IntRange(1, 200_000))
    proposed = "autumn-full" if number >= SMALL_COUNTY else "autumn-small"
    if not is_silent and given["base"] is None:
        for name in ready_names():
            click.echo(f"  {beside(name, _(READY_PLANS[name]), _)}")
    base = ask(given["base"], _("Ready plan to begin with"), proposed, click.Choice(ready_names()))
    plan = parse(base, as_json=False)
    answers = _ask_all(ask, base, plan, given)
    text = write_draft(read_plan_file(base).decode("utf-8"), plan, answers)
    _check(str(out), text, number)
    write_new(out, text)
    click.echo(_("written: %(file)s") % {"file": out})
    click.echo(
        _("next: fedscreen plan explain %(file)s --schools %(schools)s --pupils N")
        % {"file": out, "schools": number}
    )


def _ask_all(ask: _Asker, base: str, plan: PlanDocument, given: dict[str, Any]) -> Answers:
    year = ask(given["school_year"], _("School year"), _current_year())
    moved = _mover(plan.school_year, year)
    return Answers(
        base=base,
        school_year=year,
        census_date=_ask_day(ask, given["census_date"], _("Census date"), moved(plan.census_date)),
        opens=_ask_day(ask, given["opens"], _("The window for reports opens on"), moved(plan.opens.date())),
        closes=_ask_day(
            ask, given["closes"], _("The window for reports closes on"), moved(plan.closes.date())
        ),
        id=ask(given["plan_id"], _("Short name of the plan (a-z 0-9 . _ -)"), plan.id),
        title=ask(given["title"], _("Title"), plan.title),
        grades=_ask_codes(ask, given["grades"], _("Screened grades that the county has"), plan.grades, GRADE),
        systems=_ask_codes(ask, given["systems"], _ask_systems(), plan.systems, SYSTEM),
        codebook=_ask_codebook(ask, given["codebook"], plan),
        consent=_ask_choice(ask, given["consent"], _("Consent"), plan.consent, CONSENT_POLICIES),
        critical_items=_ask_choice(
            ask, given["critical_items"], _("Self-harm items"), CRITICAL[plan.has_critical_items], CRITICAL
        ),
        ladder=_ask_choice(ask, given["ladder"], _("Turnout ladder"), LADDERS[0], LADDERS),
        recipients=given["recipients"] or plan.recipients,
        legal_basis=ask(given["legal_basis"], _("Legal basis"), plan.legal_basis),
        release_class=_ask_choice(
            ask, given["release_class"], _("Release class"), plan.release_class, RELEASE_CLASSES
        ),
    )


def _current_year() -> str:
    """Return the school year that is being planned: from May on the next one."""
    today = date.today()
    return school_year_of(date(today.year, 9, 1) if today.month >= 5 else today)


def _mover(old_year: str, new_year: str) -> Callable[[date], date]:
    """Return what moves a ready plan's days to another school year; as they are if it is none."""
    try:
        years = int(new_year[:4]) - int(old_year[:4])
    except ValueError:
        years = 0
    return lambda day: day.replace(year=day.year + years) if (day.month, day.day) != (2, 29) else day


def _ask_systems() -> str:
    return _("%(question)s (%(codes)s)") % {"question": _("School systems"), "codes": listed(SYSTEM, _)}


def _ask_day(ask: _Asker, given: Any, question: str, proposed: date) -> date:
    found: Any = ask(given, question, proposed, _DAY, shown=proposed.isoformat())
    return date(found.year, found.month, found.day)


def _ask_choice(ask: _Asker, given: str | None, question: str, proposed: str, codes: tuple[str, ...]) -> str:
    """Ask for one of a key's codes; the question shows each with its word."""
    asked = _("%(question)s (%(codes)s)") % {"question": question, "codes": listed(codes, _)}
    return ask(given, asked, proposed, click.Choice(codes))


def _ask_codes(
    ask: _Asker, given: tuple[str, ...] | None, question: str, proposed: tuple[str, ...], known: Any
) -> tuple[str, ...]:
    return ask(given, question, proposed, _Codes(tuple(known)), shown=",".join(proposed))


def _ask_codebook(ask: _Asker, given: Path | None, plan: PlanDocument) -> Codebook | None:
    """Return the codebook that is named, None to leave the instrument of the ready plan."""
    names = ", ".join(item.id for item in plan.instruments)
    question = _("Codebook file of the instrument (- leaves %(names)s)") % {"names": names}
    path = ask(given, question, Path("-"), click.Path(path_type=Path), shown="-")
    if str(path) == "-":
        return None
    try:
        return parse_codebook_toml(path.read_bytes())
    except OSError as err:
        message = _("cannot read %(file)s: %(reason)s")
        raise click.UsageError(message % {"file": path, "reason": err.strerror}) from err
    except PlanError as err:
        refuse(str(path), err, as_json=False)


def _check(name: str, text: str, schools: int) -> None:
    """Leave with exit code 1, before anything is written, unless the text is a plan for so many schools."""
    try:
        build_layout(resolve(parse_plan_toml(text.encode()), schools))
    except PlanError as err:
        refuse(name, err, as_json=False)
