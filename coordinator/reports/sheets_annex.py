"""The annexes: what each indicator is, how good and how private the numbers are, what the log proves."""

from __future__ import annotations

from coordinator.reports import words
from coordinator.reports.labels import DIMENSION_NAMES, definition_of, indicator_name, unit_name
from coordinator.reports.material import Material
from coordinator.reports.sheets_testing import sheet
from paper.document import ABSENT, Block, Cell, Column, Paragraph, Part, Table
from privacy.display import WITHHELD
from results.catalogue import CATALOGUE
from results.indicators import IndicatorValue
from results.release_class import CLASSES


def definitions(material: Material) -> Part:
    """Make 附表 指标口径: every indicator with its unit and what it counts over which base."""
    _, say = words._, material.say
    columns = (
        Column(say(_("Id")), "name"),
        Column(say(_("Indicator")), "name"),
        Column(say(_("Unit")), "name"),
        Column(say(_("Counted ÷ base")), "text"),
        Column(say(_("In this report")), "name"),
    )
    present = {value.indicator.id for value in material.model.indicators}
    rows: list[tuple[Cell, ...]] = []
    for entry in CATALOGUE:
        value = IndicatorValue(entry, {}, None, WITHHELD, ())
        is_here = say(_("yes")) if entry.id in present else say(_("no"))
        rows.append(
            (
                entry.id,
                indicator_name(material.speech, value),
                unit_name(material.speech, entry.unit),
                definition_of(material.speech, value),
                is_here,
            )
        )
    facts = {value.indicator.id: value for value in material.model.facts}
    for name, fact in facts.items():
        told = (indicator_name(material.speech, fact), unit_name(material.speech, fact.unit))
        rows.append((name, *told, definition_of(material.speech, fact), say(_("yes"))))
    rules = [Paragraph(text, "note") for text in reading_rules(material)]
    return sheet(material, words.DEFINITIONS, "", Table("", columns, tuple(rows)), *rules)


def reading_rules(material: Material) -> list[str]:
    """Say how the numbers are to be read."""
    _, say = words._, material.say
    head = material.model.head
    shown = CLASSES[material.model.release_class]
    floors = {
        "display": max(head.display_floor, shown.floor),
        "base": max(head.denominator_floor, shown.base_floor),
        "part": str(shown.relative),
        "word": say(words.WITHHELD),
    }
    return [
        say(
            _(
                "± is the half-width of the 95-percent interval of the noise: without noise the number lies "
                "within it 19 times of 20."
            )
        ),
        say(
            _(
                "“%(word)s”: a number below %(display)s, or one whose ± is more than %(part)s of the number; "
                "no rate is given on a base that may be below %(base)s. “—”: nobody can be there."
            )
        )
        % floors,
        say(
            _(
                "Whether a number is too small is judged before it is rounded to a multiple of 5; its ± is "
                "widened by what the rounding moved, so that the printed interval holds the exact one. "
                "“<10”: also too small to show, and the interval ends below 10."
            )
        ),
        say(
            _(
                "To be tested: tested, not tested and refused. On leave, exempt and elsewhere are deducted; "
                "one coverage has those on leave in its base."
            )
        ),
        say(_("Rates are computed from released counts after the noise; numbers need not add up exactly.")),
    ]


def quality(material: Material) -> Part:
    """Make 附表 数据质量与隐私说明."""
    return sheet(material, words.QUALITY, "", *quality_blocks(material))


def quality_blocks(material: Material) -> list[Block]:
    """Make what stands in the annex on quality and privacy."""
    notes = [Paragraph(note.text(material.say), "note") for note in material.model.notes]
    return [
        participation_table(material),
        privacy_table(material),
        cost_table(material),
        *([Paragraph(_withheld_words(material))] if material.model.tables else []),
        *notes,
    ]


def _withheld_words(material: Material) -> str:
    _, found = words._, material.model.suppressed
    told = {
        "cells": found.cells,
        "of_cells": found.of_cells,
        "numbers": found.numbers,
        "of_numbers": found.of_numbers,
        "word": material.say(words.WITHHELD),
    }
    text = _(
        "“%(word)s” stands for %(cells)s of %(of_cells)s cells of the tables and %(numbers)s of "
        "%(of_numbers)s numbers of the indicators."
    )
    return material.say(text) % told


def _pairs(material: Material, title: str, rows: list[tuple[str, Cell]], note: str = "") -> Table:
    _, say = words._, material.say
    columns = (Column(say(_("Item")), "name"), Column(say(_("Value")), "text"))
    return Table(title, columns, tuple(rows), note)


def participation_table(material: Material) -> Table:
    """Say how many schools are in the numbers, and what the plan demands of them."""
    _, say, head = words._, material.say, material.model.head
    rows: list[tuple[str, Cell]] = [
        (say(_("Schools on the roster")), head.schools),
        (say(_("Schools in the numbers")), head.reports_in),
        (say(_("Reports left out")), head.reports_out),
        (say(_("Schools without a report")), head.not_reported),
    ]
    if head.late is not None:
        rows.append((say(_("Late reports")), head.late))
    if head.operators_in is not None:
        rows.append((say(_("Independent operators")), head.operators_in))
    for form, number in sorted(head.deployments.items()):
        rows.append((say(_("Deployment form %(form)s")) % {"form": form}, number))
    rows += [
        (say(_("Fewest reports that may be opened")), head.min_reports),
        (say(_("Fewest schools of a group")), head.min_group),
        (say(_("Smallest number shown")), head.display_floor),
        (say(_("Smallest base of a rate")), head.denominator_floor),
    ]
    return _pairs(material, say(_("Who takes part")), rows)


def privacy_table(material: Material) -> Table:
    """Say what the round costs a pupil."""
    _, say, cost = words._, material.say, material.model.privacy
    relation = {
        "replace-one": _("one pupil's record exchanged for another"),
        "add-remove": _("one pupil's record added or taken out"),
    }
    rows: list[tuple[str, Cell]] = [
        (say(_("Guarantee")), say(_("differential privacy (zCDP) for one pupil's record"))),
        (say(_("Relation")), say(relation.get(cost.neighbouring, cost.neighbouring))),
        (say(_("ρ of this round")), f"{float(cost.rho):.4f}"),
        (say(_("ρ that the plan allows")), f"{float(cost.plan_rho):.4f}"),
        (say(_("The same as (ε, δ)")), f"ε = {cost.epsilon:.2f}, δ = {cost.delta:.0e}"),
        (say(_("A fair bet on one pupil is won at most")), f"{100 * cost.guess:.1f}%"),
        (say(_("Schools whose noise is counted on")), cost.noise_schools),
        (say(_("ρ of the school year: the most")), f"{float(cost.cap):.2f}"),
    ]
    if cost.spent is not None:
        rows.append((say(_("ρ of the school year: used, this round included")), f"{float(cost.spent):.4f}"))
    return _pairs(material, say(_("Privacy")), rows)


def cost_table(material: Material) -> Table:
    """Give noise and cost of each table."""
    _, say = words._, material.say
    columns = (
        Column(say(_("Table")), "name"),
        Column(say(_("Title")), "name"),
        Column(say(_("Cells")), "number"),
        Column(say(_("Cells a pupil can touch")), "number"),
        Column(say(_("σ of a released cell")), "number"),
        Column(say(_("Standard error of an estimate")), "number"),
        Column("ρ", "number"),
        Column(say(_("Cells too small")), "number"),
    )
    hidden = material.model.suppressed.tables
    rows = tuple(
        (
            row.id,
            table_title(material, row.id, row.title),
            row.cells,
            row.touch,
            round(row.sigma, 2),
            round(row.typical_se, 2),
            round(float(row.rho), 5),
            hidden.get(row.id, ABSENT),
        )
        for row in material.model.privacy.tables
    )
    return Table(say(_("Noise of the tables")), columns, rows)


def table_title(material: Material, table_id: str, title: str) -> str:
    """Name a table: the plan's title, or its dimensions in English."""
    table = material.model.table(table_id)
    if material.speech.is_chinese or table is None:
        return title
    return " × ".join(DIMENSION_NAMES.get(dim, dim) for dim in table.dims)


def audit(material: Material) -> Part:
    """Make 附表 审计凭证."""
    return sheet(material, words.AUDIT, "", *audit_blocks(material))


def audit_blocks(material: Material) -> list[Block]:
    """Make what stands in the annex on audit."""
    _, say, proof = words._, material.say, material.model.audit
    head = material.model.head
    rows: list[tuple[str, Cell]] = [
        (say(_("Federation")), head.federation),
        (say(_("Digest of the plan (round)")), proof.plan),
        (say(_("Digest of the close")), proof.close or "—"),
        (say(_("Digest of the release")), proof.release),
        (say(_("Origin of the log")), proof.origin or "—"),
        (say(_("Size of the log")), "—" if proof.log_size is None else proof.log_size),
        (say(_("Root of the log")), proof.log_root or "—"),
        (say(_("Witnesses of the checkpoint")), ", ".join(proof.witnesses) or "—"),
        (
            say(_("Auditors")),
            say(_("%(auditors)s named, %(threshold)s open a sum, %(quorum)s agree to a close"))
            % {"auditors": proof.auditors, "threshold": proof.threshold, "quorum": proof.quorum},
        ),
        (say(_("Fewest independent copies of a sum")), proof.replicas),
    ]
    signed = [
        *((say(_("Approval")), name, digest) for name, digest in proof.approvals),
        *((say(_("Agreement")), name, digest) for name, digest in proof.agreements),
        *((say(_("Opening")), name, digest) for name, digest in proof.openings),
    ]
    blocks: list[Block] = [_pairs(material, say(_("What the log proves")), rows)]
    if signed:
        columns = (
            Column(say(_("Statement")), "name"),
            Column(say(_("Auditor")), "name"),
            Column(say(_("Digest")), "text"),
        )
        blocks.append(Table(say(_("Statements of the auditors")), columns, tuple(signed)))
    blocks.append(
        Paragraph(
            say(
                _(
                    "Anybody who holds a copy of the log can check all of this without the county's help: "
                    "fedscreen auditor verify."
                )
            ),
            "note",
        )
    )
    return blocks
