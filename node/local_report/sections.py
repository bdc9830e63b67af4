"""The sections of a report: which tables the vault's answer makes, and what their columns are called.

A share is computed here from two printed numbers, never from anything else; where one of them is not printed,
the share is not either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from gettext import gettext as _
from typing import Any

from node.local_report import words
from node.local_report.document import Cell, Section, Share, Table, cell_text

Values = Mapping[str, Any]


class Tables:
    """The answer's tables by id, with what the document asks of them."""

    def __init__(self, answer: Values) -> None:
        self.all: dict[str, Values] = {table["id"]: table for table in answer["tables"]}

    def starting(self, prefix: str) -> Iterator[tuple[str, Values]]:
        """Give the tables of a kind with the rest of their ids."""
        for name, table in self.all.items():
            if name.startswith(prefix):
                yield name.removeprefix(prefix), table

    def school(self) -> Values | None:
        """Give the school's line."""
        return self.all.get("school")


def counted(table: Values, row: int, first: str, last: str = "l3") -> int | None:
    """Sum a row from one code to another; None if the columns are not cut there."""
    total, begun = 0, False
    for codes, count in zip(table["columns"], table["counts"][row], strict=True):
        if first in codes and codes[0] != first:
            return None
        begun = begun or codes[0] == first
        if begun:
            total += count
        if begun and last in codes:
            return total if codes[-1] == last else None
    return total if begun else None


def share_of(part: int | None, base: int | None) -> Share | None:
    return Share(part / base) if part is not None and base else None


def coverage_cell(found: Values) -> Cell:
    if "of" in found:
        return share_of(*found["of"])
    if "band" in found:
        return "{}–{} %".format(*found["band"])
    return None


def sections(tables: Tables, answer: Values) -> Iterator[Section]:
    school = tables.school()
    if school is None:
        yield Section(_("Too few pupils"), (), _("With so few pupils no number can be printed."))
        return
    makers: list[tuple[str, Callable[[Tables], Iterator[Table]]]] = [
        (_("Who was tested"), _participation),
        (_("Levels"), _levels),
        (_("Classes"), _classes),
        (_("Key groups"), _groups),
        (_("Factors"), _factors),
        (_("Recheck and follow-up"), _follow_up),
    ]
    number = 0
    for title, make in makers:
        found = tuple(make(tables))
        if found:
            number += 1
            yield Section(_numbered(number, title), found)
    if "changes" in tables.all and "before" in answer:
        yield Section(
            _numbered(number + 1, _("Since the wave before")), (_changes(tables, answer["before"]),)
        )


def _numbered(number: int, title: str) -> str:
    return _("1. | 2. | 3. | 4. | 5. | 6. | 7. ").split("|")[number - 1].lstrip() + title


def _participation(tables: Tables) -> Iterator[Table]:
    school = tables.all["school"]
    total = sum(school["counts"][0])
    rows: list[tuple[Cell, ...]] = [
        (words.status_block(codes), count, share_of(count, total))
        for codes, count in zip(school["columns"], school["counts"][0], strict=True)
        if codes[0][0] == "d"
    ]
    valid = counted(school, 0, "l0")
    if valid is not None:
        rows.append((words.status_block(["l0", "l1", "l2", "l3"]), valid, share_of(valid, total)))
    else:  # the last block above has levels in it: what is left is the levels behind it
        rest = [codes for codes in school["columns"] if codes[0][0] == "l"]
        if rest:
            number = sum(school["counts"][0][-len(rest) :])
            rows.append(
                (
                    words.status_block([code for codes in rest for code in codes]),
                    number,
                    share_of(number, total),
                )
            )
    rows.append((_("Enrolled"), total, Share(1.0)))
    cover = school["coverage"][0]
    note = _("Coverage: %(expected)s; with those on leave in the base: %(leave)s.") % {
        "expected": cell_text(coverage_cell(cover["expected"])),
        "leave": cell_text(coverage_cell(cover["with_leave"])),
    }
    header = (_("All grades"), _("Pupils"), _("Share of enrolled"))
    yield Table(_("The school"), header, tuple(rows), note, has_total=True)
    if "grades" in tables.all and len(tables.all["grades"]["rows"]) > 1:
        yield _line_table(_("By grade"), _("Grade"), tables.all["grades"])


def _line_table(title: str, name: str, table: Values) -> Table:
    blocks = [at for at, codes in enumerate(table["columns"]) if codes[0][0] == "d"]
    header = (
        name,
        _("Enrolled"),
        *(words.status_block(table["columns"][at]) for at in blocks),
        _("Coverage"),
        _("Coverage with leave"),
    )
    rows = tuple(
        (
            _members(row),
            sum(counts),
            *(counts[at] for at in blocks),
            coverage_cell(cover["expected"]),
            coverage_cell(cover["with_leave"]),
        )
        for row, counts, cover in zip(table["rows"], table["counts"], table["coverage"], strict=True)
    )
    return Table(title, header, rows)


def _members(row: Sequence[Sequence[str]]) -> str:
    """Name a row of grades, or of classes of grades."""
    grades = list(dict.fromkeys(member[0] for member in row))
    if len(row[0]) == 1:
        return words.together([words.grade(code) for code in grades])
    names = [words.class_name(member[1]) for member in row]
    if len(grades) > 1:
        names = [f"{words.grade(member[0])} {words.class_name(member[1])}" for member in row]
    shown = words.together(names) if len(names) <= 3 else f"{names[0]} – {names[-1]} ({len(names)})"
    return shown if len(grades) > 1 else f"{words.grade(grades[0])} {shown}"


def _levels(tables: Tables) -> Iterator[Table]:
    school = tables.all["school"]
    valid = counted(school, 0, "l0")
    rows = tuple(
        (words.status_block(codes), count, share_of(count, valid))
        for codes, count in zip(school["columns"], school["counts"][0], strict=True)
        if codes[-1][0] == "l"
    )
    header = (_("Level"), _("Pupils"), _("Share of valid tests"))
    yield Table(_("The school"), header, rows)
    if "grades" in tables.all and len(tables.all["grades"]["rows"]) > 1:
        yield _level_table(_("By grade"), _("Grade"), tables.all["grades"])


def _level_table(title: str, name: str, table: Values) -> Table:
    blocks = [at for at, codes in enumerate(table["columns"]) if codes[-1][0] == "l"]
    rows = []
    for place, row in enumerate(table["rows"]):
        valid, alerted = counted(table, place, "l0"), counted(table, place, "l2")
        counts = table["counts"][place]
        share = share_of(alerted, valid)
        rows.append((_members(row), sum(counts), *(counts[at] for at in blocks), share))
    header = (
        name,
        _("Enrolled"),
        *(words.status_block(table["columns"][at]) for at in blocks),
        _("Needs attention or more: share of valid tests"),
    )
    if all(row[-1] is None for row in rows):
        header, rows = header[:-1], [row[:-1] for row in rows]
    return Table(title, header, tuple(rows))


def _classes(tables: Tables) -> Iterator[Table]:
    table = tables.all.get("classes")
    if table is None:
        return
    if len(table["columns"]) > 1:  # the exact version has every cell of every class
        yield _line_table(_("By class"), _("Class"), table)
        yield _level_table(_("Levels by class"), _("Class"), table)
        return
    header = (_("Class"), _("Enrolled"), _("Coverage"))
    rows = tuple(
        (_members(row), counts[0], coverage_cell(cover["expected"]))
        for row, counts, cover in zip(table["rows"], table["counts"], table["coverage"], strict=True)
    )
    yield Table(_("By class"), header, rows)
    if "class_levels" in tables.all:
        yield _level_table(_("Levels by groups of classes"), _("Classes"), tables.all["class_levels"])


def _groups(tables: Tables) -> Iterator[Table]:
    rows: list[tuple[Cell, ...]] = []
    for axis, table in tables.starting("attribute:"):
        for place, row in enumerate(table["rows"]):
            if sum(table["counts"][place]):
                label = words.axis_block(axis, [member[0] for member in row])
                rows.append((_(words.TITLES[axis]), label, *_group_cells(table, place)))
    for group, table in tables.starting("group:"):
        is_apart = len(table["rows"]) == 2
        cells = _group_cells(table, 1) if is_apart else (None,) * 4
        rows.append((_("Key groups"), _(words.GROUPS[group]), *cells))
    if rows:
        header = (
            *("", _("Group"), _("Enrolled"), _("Valid tests"), _("Needs attention or more")),
            _("Share of valid tests"),
        )
        yield Table(_("Levels by group"), header, tuple(rows), num_heads=2)


def _group_cells(table: Values, row: int) -> tuple[Cell, ...]:
    valid, alerted = counted(table, row, "l0"), counted(table, row, "l2")
    return sum(table["counts"][row]), valid, alerted, share_of(alerted, valid)


def _factors(tables: Tables) -> Iterator[Table]:
    rows: list[tuple[Cell, ...]] = []
    for factor, table in tables.starting("factor:"):
        is_apart = len(table["rows"]) == 2
        high = sum(table["counts"][1]) if is_apart else None
        valid = [counted(table, row, "l0") for row in range(len(table["rows"]))]
        base = sum(number for number in valid if number is not None) if None not in valid else None
        rows.append((words.factor(factor), high, share_of(high, base)))
    if rows:
        rows.sort(key=lambda row: (row[1] is None, -row[1] if isinstance(row[1], int) else 0))
        header = (_("Factor"), _("Pupils with a high score"), _("Share of valid tests"))
        yield Table(_("Factors that are high"), header, tuple(rows))


def _follow_up(tables: Tables) -> Iterator[Table]:
    measures: list[tuple[Cell, ...]] = []
    spread: list[Table] = []
    for axis, table in tables.starting("alerted:"):
        is_measure = axis not in words.AXES
        if is_measure:
            measures.append(_measure(axis, table))
        else:
            spread.append(_spread(axis, table))
    if measures:
        header = (_("Step"), _("Done"), _("Needs attention or more"), _("Share"))
        yield Table(_("Steps taken for pupils who need attention"), header, tuple(measures))
    yield from spread
    if "pool" in tables.all:
        yield _spread("pool", tables.all["pool"])


def _measure(axis: str, table: Values) -> tuple[Cell, ...]:
    total = sum(map(sum, table["counts"]))
    if len(table["columns"]) == 1:
        return _(words.TITLES[axis]), None, total, None
    done = sum(counts[1] for counts in table["counts"])
    return _(words.TITLES[axis]), done, total, share_of(done, total)


def _spread(axis: str, table: Values) -> Table:
    """Show how many have each code, by first level where that is printed."""
    labels = [words.axis_block(axis, codes) for codes in table["columns"]]
    rows: list[tuple[Cell, ...]] = []
    for row, counts in zip(table["rows"], table["counts"], strict=True):
        codes = [code for member in row for code in member if code]
        name = words.status_block(codes) if codes else _("All pupils")
        rows.append((name, *counts, sum(counts)))
    if len(rows) > 1:
        sums = [sum(counts) for counts in zip(*table["counts"], strict=True)]
        rows.append((_("together"), *sums, sum(sums)))
    header = (_("First level") if table["rows"][0][0][0] else "", *labels, _("together"))
    return Table(_(words.TITLES[axis]), header, tuple(rows), has_total=len(rows) > 1)


def _changes(tables: Tables, before: Values) -> Table:
    table = tables.all["changes"]
    labels = [words.change_block(codes) for codes in table["columns"]]
    rows: list[tuple[Cell, ...]] = [
        (words.change_block([code for member in row for code in member]), *counts, sum(counts))
        for row, counts in zip(table["rows"], table["counts"], strict=True)
    ]
    sums = [sum(column) for column in zip(*table["counts"], strict=True)]
    rows.append((_("together"), *sums, sum(sums)))
    about = {"year": before["school_year"], "wave": _(words.WAVES.get(before["wave"], before["wave"]))}
    title = _("Rows: level in school year %(year)s, %(wave)s; columns: level now") % about
    note = _("Pupils with a valid test in at least one of the two waves.")
    return Table(title, (_("Level before"), *labels, _("together")), tuple(rows), note, has_total=True)
