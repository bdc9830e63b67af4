"""From a draft to a plan that may be published: fit it to the county, then check that nothing is open.

1. `use_codebook` or `pin_codebook`: the codebook that the schools import with.
2. `resolve`: `min_reports` and the tiers of a turnout ladder for the number of enrolled schools.
3. `check_publishable`: nothing is left to be decided.
"""

from dataclasses import replace

from plan import rules
from plan.codebook import Codebook
from plan.document import PlanDocument, terms_of
from plan.errors import DocumentError, Phrase, Problem, phrase, raise_if
from plan.instrument import instrument_of, pin
from privacy.ladder import choose_tiers


def resolve(plan: PlanDocument, num_nodes: int) -> PlanDocument:
    """Set `min_reports` and `ladder` for a number of schools.

    A `min_reports` of `auto` becomes max(5, ceil(0.8 * num_nodes)); a `ladder` of `auto` becomes the tiers of
    `privacy.ladder.choose_tiers`.

    Args:
        plan: the draft.
        num_nodes: independent operators enrolled.

    Raises:
        DocumentError: the plan needs more reports than there are schools, so that it could never open, or its
            ladder has a tier that is never reached.
    """
    auto = max(rules.MIN_REPORTS_FLOOR, -(-4 * num_nodes // 5))
    needed = auto if plan.min_reports is None else plan.min_reports
    if needed > num_nodes:
        found = phrase(
            "%(needed)s reports needed, %(nodes)s schools enrolled", needed=needed, nodes=num_nodes
        )
        allowed = phrase("at most the number of schools")
        raise DocumentError(Problem("trust.min_reports", found, allowed))
    resolved = replace(plan, min_reports=needed)
    return replace(resolved, tiers=_tiers(resolved, needed, num_nodes))


def _tiers(plan: PlanDocument, min_reports: int, num_nodes: int) -> tuple[int, ...]:
    colluding = plan.colluding_schools
    if plan.tiers is None:
        return choose_tiers(min_reports - colluding, colluding, num_nodes)
    if plan.tiers and plan.tiers[-1] > num_nodes - colluding:
        found = phrase("the highest tier %(tier)s", tier=plan.tiers[-1])
        allowed = phrase("at most %(most)s: schools enrolled - colluding_schools", most=num_nodes - colluding)
        raise DocumentError(Problem("trust.ladder", found, allowed))
    return plan.tiers


def pin_codebook(plan: PlanDocument, codebook: Codebook) -> PlanDocument:
    """Return the plan with the digest of one of its instruments' codebooks.

    Raises:
        DocumentError: the plan names no such instrument, or describes it differently.
    """
    if codebook.id not in [item.id for item in plan.instruments]:
        names = ", ".join(item.id for item in plan.instruments)
        found = phrase("the codebook '%(name)s'", name=codebook.id)
        raise DocumentError(Problem("instruments", found, phrase("one of %(names)s", names=names)))
    pinned = (pin(item, codebook) if item.id == codebook.id else item for item in plan.instruments)
    return replace(plan, instruments=tuple(pinned))


def use_codebook(plan: PlanDocument, codebook: Codebook) -> PlanDocument:
    """Exchange the only instrument of a plan for another codebook's, pinned.

    Tables over factors take the codebook's factors and are left out when it has none (they would have no
    cell); the other tables then share their part of rho.

    Raises:
        DocumentError: the plan has several instruments, or no table is left.
    """
    if len(plan.instruments) != 1:
        found = phrase("%(size)s instruments", size=len(plan.instruments))
        raise DocumentError(Problem("instruments", found, phrase("one, to be exchanged")))
    old, new = plan.instruments[0], instrument_of(codebook)
    tables = [
        replace(
            table,
            instrument=new.id if table.instrument == old.id else table.instrument,
            touch=min(table.touch, len(new.factors)) if table.multi == "factor" else table.touch,
        )
        for table in plan.tables
        if new.factors or table.multi != "factor"
    ]
    return replace(plan, instruments=(new,), tables=tuple(tables))


def check_publishable(plan: PlanDocument, *, is_demo: bool) -> None:
    """Raise DocumentError unless a plan may be published.

    Its `min_reports` must be a number and, except in a demo federation, each of its codebooks pinned.
    """
    terms_of(plan)
    advice = phrase("pin the codebook that the schools import with")
    unpinned = [] if is_demo else [item.id for item in plan.instruments if not item.digest]
    raise_if(
        DocumentError,
        [
            Problem(f"instruments.{name}.digest", phrase("nothing"), phrase("64 hex digits"), advice)
            for name in unpinned
        ],
    )


def cautions(plan: PlanDocument) -> tuple[Phrase, ...]:
    """Return what is allowed but should be known before a plan is published; empty when nothing is."""
    notes = [
        phrase(
            "instrument '%(name)s': no codebook is pinned yet; schools could import with different ones",
            name=item.id,
        )
        for item in plan.instruments
        if not item.digest
    ]
    if len(plan.instruments) > 1:
        notes += [
            phrase("table %(id)s pools the levels of several instruments: they are not alike", id=table.id)
            for table in plan.tables
            if not table.instrument and table.names & {"level", "alert", "level2", "level_before"}
        ]
    return tuple(notes)
