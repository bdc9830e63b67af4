"""表5, 表6 and 表7: recheck and review, plans and the alert pool, referral and closing."""

from __future__ import annotations

from coordinator.reports import words
from coordinator.reports.material import Asked, Group, Material, drawn, figure_of, present
from coordinator.reports.sheets_groups import by_stage
from coordinator.reports.sheets_testing import sheet
from paper.document import ABSENT, Cell, Column, Drawing, Line, Part, Table
from results.showing import display_value


def recheck(material: Material) -> Part:
    """Make 表5 复测复核情况."""
    return sheet(material, words.RECHECK, words.UNIT_PERCENT, *present(*recheck_tables(material)))


def _level_rows(material: Material) -> list[Group]:
    total = material.say(words.TOTAL)
    return [Group(total), *(Group(material.label("level", code), {"level": code}) for code in "23")]


def recheck_tables(material: Material) -> list[Table | None]:
    """Make the tables of 表5."""
    _, say = words._, material.say
    outcomes = [Asked(material.label("recheck", code), "IND-17", {"recheck": code}) for code in "123"]
    by_level = [
        Asked(say(_("Rechecked (%)")), "IND-16"),
        *outcomes,
        Asked(say(_("Reviewed within 3 days (%)")), "IND-24"),
    ]
    stages = material.group("stage", say(words.TOTAL))
    by_stages = [
        Asked(say(_("Rechecked (%)")), "IND-16"),
        Asked(say(_("Priority attention after the recheck (%)")), "IND-18"),
    ]
    ways = [Group(material.label("found_by", code), {"found_by": code}) for code in "1234"]
    base = say(_("Base: pupils whose first level is needs attention or more."))
    return [
        material.grid(say(_("By first level")), say(_("First level")), _level_rows(material), by_level, base),
        material.grid(say(_("By stage")), say(_("Stage")), stages, by_stages, base),
        material.grid(
            say(_("How pupils were found (%)")), say(_("Found by")), ways, by_stage(material, "IND-13")
        ),
    ]


def files(material: Material) -> Part:
    """Make 表6 一生一策与预警库."""
    return sheet(material, words.FILES, words.UNIT_PUPILS_PERCENT, *present(*file_tables(material)))


def file_tables(material: Material) -> list[Table | None]:
    """Make the tables of 表6."""
    _, say = words._, material.say
    made = [
        Asked(say(_("Plan and file made (%)")), "IND-22"),
        Asked(say(_("Carer named (%)")), "IND-27"),
    ]
    pool = [Group(material.label("pool", code), {"pool": code}) for code in "123"]
    stages = material.group("stage", say(words.TOTAL))
    county = [Group(say(words.TOTAL))]
    moved = [Asked(say(_("Files handed over")), "IND-31")]
    return [
        material.grid(say(_("By first level")), say(_("First level")), _level_rows(material), made),
        material.grid(say(_("By stage")), say(_("Stage")), stages, made[:1]),
        material.grid(
            say(_("Alert pool: pupils")), say(_("Change in the pool")), pool, by_stage(material, "IND-23")
        ),
        material.grid(say(_("Files that move with the pupil")), say(_("County")), county, moved),
    ]


def referral(material: Material) -> Part:
    """Make 表7 转介与闭环."""
    blocks = present(*referral_tables(material), funnel_drawing(material, "funnel"))
    return sheet(material, words.REFERRAL, words.UNIT_PUPILS_PERCENT, *blocks)


def referral_tables(material: Material) -> list[Table | None]:
    """Make the tables of 表7."""
    _, say = words._, material.say
    rates = [
        Asked(say(_("Guardian told (%)")), "IND-28"),
        Asked(say(_("Level 3: referral advised (%)")), "IND-29/advised"),
        Asked(say(_("Level 3: referral attended (%)")), "IND-29/attended"),
        Asked(say(_("Cases closed (%)")), "IND-33"),
        Asked(say(_("Treated free")), "IND-30/free"),
        Asked(say(_("Leave of absence")), "IND-32/leave"),
        Asked(say(_("Back at school")), "IND-32/back"),
    ]
    stages = material.group("stage", say(words.TOTAL))
    places = [Group(material.label("ref_dest", code), {"ref_dest": code}) for code in "123456"]
    counties = material.group("county")
    outcomes = [
        *(Asked(row.title, "IND-30", row.keys) for row in places),
        *(asked for asked in rates if asked.indicator.startswith("IND-32")),
    ]
    return [
        step_table(material),
        material.grid(say(_("Referral by county (%, pupils)")), say(_("County")), counties, outcomes),
        material.grid(say(_("By stage")), say(_("Stage")), stages, rates),
        material.grid(
            say(_("Where pupils were referred to (%)")),
            say(_("Referred to")),
            places,
            by_stage(material, "IND-30"),
        ),
    ]


def step_table(material: Material) -> Table | None:
    """Make the table of the steps: how many pupils reached each."""
    _, say = words._, material.say
    steps = material.model.funnel
    if not steps:
        return None
    start = material.value("FS-07", {})
    rows: list[tuple[Cell, ...]] = []
    if start:
        rows.append((say(_("Needs attention or more")), figure_of(start), ABSENT))
    for counted, share in steps:
        name = material.label("flag", counted.keys["flag"])
        rows.append((name, figure_of(counted), figure_of(share) if share else ABSENT))
    columns = (
        Column(say(_("Step of the follow-up")), "name"),
        Column(say(_("Pupils"))),
        Column(say(_("Share (%)"))),
    )
    note = say(_("Each step is counted by itself: a case closed with help at school was not referred."))
    return Table(say(_("Steps of the follow-up")), columns, tuple(rows), note)


def funnel_drawing(material: Material, name: str) -> Drawing | None:
    """Draw the steps of the follow-up."""
    _, say = words._, material.say
    if not material.model.funnel:
        return None
    start = material.value("FS-07", {})
    found = [value for value, _share in material.model.funnel]
    names = [material.label("flag", value.keys["flag"]) for value in found]
    values = [drawn(display_value(value)) for value in found]
    if start:
        names, values = [say(_("Needs attention or more")), *names], [drawn(display_value(start)), *values]
    title = say(_("Steps of the follow-up"))
    line = Line(say(_("Pupils")), tuple(values))
    return Drawing("funnel", name, title, material.unit("人"), tuple(names), (line,))
