"""From the vault's answer to a document, in the language that gettext speaks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from gettext import gettext as _
from typing import Any, Final

from node.errors import _ as N_  # translated where it is shown
from node.local_report import words
from node.local_report.document import Cell, Document, Section, Table, cell_text
from node.local_report.sections import Tables, counted, coverage_cell, sections, share_of

BEIJING: Final = timedelta(hours=8)
NO_NAMES_READ: Final = N_(
    'No names: the import profile does not read their column. Write name = ["姓名"] under [columns] of the '
    "profile, with the roster's own header, and import again."
)
TIME_FORMAT: Final = "%Y-%m-%dT%H:%M:%SZ"

Values = Mapping[str, Any]


def make_document(answer: Values) -> Document:
    """Make the document of a report from the vault's answer, in the language that gettext speaks."""
    version = answer["version"]
    made = datetime.strptime(answer["mark"]["when"], TIME_FORMAT) + BEIJING
    is_list = version == "follow-up"
    title = _("Follow-up list") if is_list else _("School report on the mental-health screening")
    wave = _(words.WAVES.get(answer["wave"], answer["wave"]))
    about = {"year": answer["school_year"], "wave": wave, "version": _(words.VERSIONS[version])}
    return Document(
        title=title,
        subtitle=_("School year %(year)s, %(wave)s · %(version)s") % about,
        mark=_("Internal") if version == "hand-in" else _("Internal · confidential"),
        watermark=_watermark(answer, made),
        facts=_facts(answer, made),
        figures=() if is_list else _figures(Tables(answer)),
        sections=(_list_section(answer),) if is_list else tuple(sections(Tables(answer), answer)),
        notes=_notes(version, answer),
        footers=tuple(
            _(text)
            for text in {"exact": words.EXACT_FOOTERS, "follow-up": words.LIST_FOOTERS}.get(
                version, words.FOOTERS
            )
        ),
        sign=() if is_list else (_("School (seal)"), _("Filled in by"), _("Checked by"), _("Date")),
        is_secret=version != "hand-in",
        date=made,
        warning=_(words.FOOTERS[2]) if is_list else "",
        language=_("en"),
    )


def _watermark(answer: Values, made: datetime) -> str:
    day = made.strftime("%Y-%m-%d %H:%M")
    if answer["version"] == "hand-in":
        return f"{answer['operator']} · {_(words.VERSIONS[answer['version']])} · {day}"
    mark = answer["mark"]
    return _("%(who)s · %(when)s · for: %(why)s") % {**mark, "when": day}


def _facts(answer: Values, made: datetime) -> tuple[tuple[str, str], ...]:
    instruments = ", ".join(
        f"{name.upper()} {version}".rstrip() for name, version in answer.get("instruments", ())
    )
    facts = [
        (_("School"), answer["operator"]),
        (_("Counted on"), answer["census_date"]),
        (_("Instrument"), instruments or "—"),
        (_("Made at"), made.strftime("%Y-%m-%d %H:%M")),
    ]
    if answer["version"] == "follow-up":
        facts[2] = (_("Pupils on the list"), str(len(answer["pupils"])))
    return tuple(facts)


def _notes(version: str, answer: Values) -> tuple[str, ...]:
    base = _(
        "Expected: tested, not tested and no consent. Exempt, elsewhere, consent not recorded and, where "
        "said, on leave are not in the base."
    )
    if version == "exact":
        return (base,)
    if version == "follow-up":
        return (_("A pupil stays on the list until all steps are done or the case is closed."),)
    small = {"floor": answer["floor"], "small": _(words.TOO_SMALL)}
    merged = _(
        "Every number is 0 or at least %(floor)s; smaller ones are merged with their neighbours, so that "
        "they do not follow from differences either. “%(small)s”: not printed for this reason. Coverage "
        "is given as a range where it would tell a small number."
    )
    return merged % small, base


def _figures(tables: Tables) -> tuple[tuple[str, str], ...]:
    school = tables.school()
    if school is None:
        return ()
    valid, alerted = counted(school, 0, "l0"), counted(school, 0, "l2")
    share = share_of(alerted, valid)
    values: list[tuple[str, Cell]] = [
        (_("Enrolled"), sum(school["counts"][0])),
        (_("Tested"), counted(school, 0, "d2")),
        (_("Coverage"), coverage_cell(school["coverage"][0]["expected"])),
        (_("Valid tests"), valid),
        (_("Needs attention or more"), alerted),
        (_("Share of valid tests"), share),
    ]
    return tuple((name, cell_text(value)) for name, value in values)


def _list_section(answer: Values) -> Section:
    header = (
        *(_("No."), _("Class"), _("Name"), _("Number"), _("First level"), _("Level now")),
        *(_("Risk item"), _("To do"), _("Done")),
    )
    rows = tuple(
        (
            place,
            f"{words.grade(pupil['grade'])} {words.class_name(pupil['class'])}",
            pupil["name"] or "—",
            pupil["no"] or "—",
            _level_word(pupil["level1"]),
            _level_word(pupil["level"]),
            _("marked") if pupil["critical"] == "1" else "",
            words.together([_(words.STEPS[step]) for step in pupil["open"]]),
            "□",
        )
        for place, pupil in enumerate(answer["pupils"], start=1)
    )
    title = _("Pupils with something to do, the most urgent first")
    note = "" if rows else _("Nobody has anything open.")
    if rows and not any(pupil["name"] for pupil in answer["pupils"]):
        note = _(NO_NAMES_READ)
    return Section(title, (Table("", header, rows, note, num_heads=3),) if rows else (), note)


def _level_word(level: str) -> str:
    return _(words.STATUS[f"l{level}"]) if level in "0123" else "—"
