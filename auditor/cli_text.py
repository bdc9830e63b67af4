"""What an auditor's commands print for people: rosters, plans, status, verdicts, line by line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from gettext import gettext as _

from auditor.approve import PlanReview
from auditor.desk import Event
from auditor.plan_changes import Earlier, late_year
from auditor.roster_warnings import node_changes
from auditor.sign_roster import Change as RosterChange
from auditor.sign_roster import RosterReview
from auditor.verify.outcome import Verdict
from plan.code_words import code_phrase
from plan.comparison import Change
from plan.document import CRITICAL
from plan.words import CHECKS, EVENTS, ROUND_STATES, STATEMENTS, word
from protos.card import fingerprint

WARN_DAYS = 21


def roster_lines(review: RosterReview) -> Iterator[str]:
    """Show what a roster adds, removes and changes, and what to ask about before signing."""
    values = {
        "serial": review.serial,
        "digest": review.digest.hex()[:16],
        "nodes": review.num_nodes,
        "operators": review.num_operators,
        "quorum": review.quorum[1],
    }
    yield _("roster %(serial)s (%(digest)s)") % values
    yield _("  %(nodes)s schools of %(operators)s operators, quorum %(quorum)s") % values
    yield from _change_lines(_("schools"), review.nodes, _names(review))
    yield from _school_lines(review)
    yield from _change_lines(_("auditors"), review.auditors, _operators(review))
    for auditor in () if review.old else review.body.auditors:  # later the warnings say it of each new one
        yield f"      {auditor.id}: {fingerprint(auditor.statement.text)}"
    if review.rolled:
        yield _("  new keys, as their old ones say: %(ids)s") % {"ids": ", ".join(review.rolled)}
    if review.own_keys:
        yield _("  the coordinator's own new keys: %(names)s") % {"names": ", ".join(review.own_keys)}
    for successor, gone in review.mergers:
        yield _("  %(id)s takes over %(ids)s") % {"id": successor, "ids": ", ".join(gone)}
    yield from _rule_lines(review)
    for warning in review.warnings:
        yield f"  ! {warning.words.text(_)}"


def _rule_lines(review: RosterReview) -> Iterator[str]:
    before, after = review.quorum
    if before and before != after:
        yield _("  quorum was %(before)s, becomes %(after)s") % {"before": before, "after": after}
    for text, rows in ((_("allowed from now"), review.tuples_added), (_("no longer"), review.tuples_removed)):
        if rows:
            shown = ", ".join(str(row) for row in rows)
            yield _("  (n,t,f,q) %(what)s: %(rows)s") % {"what": text, "rows": shown}


def _change_lines(what: str, change: RosterChange, names: Mapping[str, str]) -> Iterator[str]:
    for sign, ids in (("+", change.added), ("-", change.removed), ("~", change.changed)):
        if ids:
            shown = ", ".join(f"{key} {names[key]}" if names.get(key) else key for key in ids)
            values = {"sign": sign, "number": len(ids), "what": what, "ids": shown}
            yield _("  %(sign)s %(number)s %(what)s: %(ids)s") % values


def _names(review: RosterReview) -> Mapping[str, str]:
    """Names of the schools, of both rosters."""
    bodies = (review.old, review.body) if review.old else (review.body,)
    return {row.id: dict(row.attributes).get("name", "") for body in bodies for row in body.nodes}


def _operators(review: RosterReview) -> Mapping[str, str]:
    bodies = (review.old, review.body) if review.old else (review.body,)
    return {row.id: f"({row.operator})" for body in bodies for row in body.auditors}


def _school_lines(review: RosterReview) -> Iterator[str]:
    """Say of each school that stays what changes."""
    for name in review.nodes.changed if review.old else ():
        old, new = (body.node(name) for body in (review.old, review.body) if body)
        if old is not None and new is not None:
            changes = "; ".join(words.text(_) for words in node_changes(old, new))
            yield f"      {name}: {changes}"


def plan_lines(review: PlanReview, *, has_changes: bool = True) -> Iterator[str]:
    """Show what a plan asks for, of whom, what it costs, and what it changes of the last one of its id."""
    plan, document = review.round_log.terms, review.view.document
    values = {
        "serial": plan.serial,
        "title": document.title,
        "purpose": document.purpose,
        "recipients": ", ".join(document.recipients),
        "legal_basis": document.legal_basis,
        "consent": code_phrase(document.consent).text(_),
        "critical": code_phrase(CRITICAL[document.has_critical_items]).text(_),
        "class": code_phrase(document.release_class).text(_),
        "relation": code_phrase(document.neighbouring).text(_),
        "opens": plan.opens.date(),
        "closes": plan.closes.date(),
        "auditors": ", ".join(plan.auditors),
        "threshold": plan.threshold,
        "collude": plan.collude,
        "quorum": plan.quorum,
        "min_reports": plan.min_reports,
        "min_group": plan.min_group,
        "silent": plan.colluding_schools,
        "nodes": len(review.round_log.roster.nodes),
        "rho": f"{float(review.view.rho):.4g}",
        "year": document.school_year,
        "rho_year": f"{float(review.rho_year):.4g}",
        "cells": plan.cells,
    }
    for line in (
        _("plan %(serial)s: %(title)s"),
        _("  purpose: %(purpose)s"),
        _("  recipients: %(recipients)s; legal basis: %(legal_basis)s; release class: %(class)s"),
        _("  consent: %(consent)s; self-harm items: %(critical)s"),
        _("  window: %(opens)s to %(closes)s"),
        _("  auditors: %(auditors)s; %(threshold)s open, %(collude)s may collude, quorum %(quorum)s"),
        _("  at least %(min_reports)s schools, at least %(min_group)s in every group"),
        _("  the roster has %(nodes)s schools; %(silent)s are assumed to add no noise"),
        _("  costs rho %(rho)s; the school year %(year)s then stands at %(rho_year)s"),
        _("  the guarantee holds for: %(relation)s"),
    ):
        yield line % values
    if late := late_year(document):
        yield f"  ! {late.text(_)}"
    yield _("  %(cells)s cells:") % values
    for table in review.view.layout.tables:
        line = _("    %(id)s %(title)s: %(dims)s, %(cells)s cells")
        dims = " × ".join(table.dim_titles)
        yield line % {"id": table.id, "title": table.title, "dims": dims, "cells": table.cells}
    if has_changes:
        yield from _earlier_lines(review.earlier)


def _earlier_lines(earlier: Earlier | None) -> Iterator[str]:
    if earlier is None:
        yield _("  no plan of this id was approved before: read all of it")
        return
    values = {"serial": earlier.serial, "year": earlier.school_year}
    if not earlier.changes:
        yield _("  says the same as plan %(serial)s (%(year)s)") % values
        return
    yield _("  against plan %(serial)s (%(year)s), the last of this id:") % values
    yield from change_lines(earlier.changes)


def change_lines(changes: Iterable[Change]) -> Iterator[str]:
    """Show what a plan changes; a mark stands where it touches protection, or what is asked about whom."""
    for change in changes:
        yield f"  {'!' if change.is_privacy else ' '} {change.words.text(_)}"


def _key_line(code: str) -> str:
    return {
        "in-force": _("your keys stand in the roster in force"),
        "waiting": _("your newest keys wait for the roster that names them; the older ones still count"),
        "not-rostered": _("your keys stand in no roster yet"),
        "left": _("this auditor has left the roster"),
        "revoked": _("this auditor's keys are REVOKED: it signs nothing that counts; telephone the county"),
    }[code]


def status_lines(values: dict[str, object]) -> Iterator[str]:
    """Show keys, certificate, the log's size and every round."""
    rounds = values["rounds"]
    rows = rounds if isinstance(rounds, list) else []
    if "keys" in values:
        held = sum(row["has_key"] for row in rows)
        line = _("%(keys)s; round keys held now: %(held)s")
        yield line % {"keys": _key_line(str(values["keys"])), "held": held}
    days = values.get("certificate_days")
    if isinstance(days, int):
        line = (
            _("the certificate holds for %(days)s days only; 'auditor keys renew'")
            if days < WARN_DAYS
            else _("the certificate holds for %(days)s days")
        )
        yield line % {"days": days}
    yield _("log: %(log_size)s entries, %(cosigned_size)s under a cosigned checkpoint") % values
    for row in rows:
        signed = ", ".join(word(STATEMENTS, name, _) for name in row["signed"])
        shown = {**row, "short": row["round"][:16], "signed": signed or _("nothing")}
        shown["state"] = word(ROUND_STATES, row["state"], _)
        yield _("round %(serial)s (%(short)s): %(state)s; signed here: %(signed)s") % shown


def event_line(event: Event) -> str:
    """Tell one thing that a step did or could not do, or what a round waits for."""
    values = {
        "what": _("next") if event.kind == "next" else word(EVENTS, event.kind, _),
        "round": event.round_id.hex()[:16] if event.round_id else "",
        "detail": event.phrase.text(_),
    }
    return (
        _("%(what)s: round %(round)s: %(detail)s") if event.round_id else _("%(what)s: %(detail)s")
    ) % values


def verdict_lines(verdict: Verdict) -> Iterator[str]:
    """Show numbered checks and the summary."""
    for row in verdict.checks:
        values = {"name": word(CHECKS, row.name, _), "found": row.phrase.text(_)}
        yield f"{row.number:2} {row.outcome.value:7} " + _("%(name)s: %(found)s") % values
    yield {
        "PASS": _("every check passed"),
        "FAIL": _("at least one check FAILED"),
        "INCOMPLETE": _("incomplete: something was skipped or missing; this is no proof"),
    }[verdict.summary]
