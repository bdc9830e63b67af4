"""A published plan as this node reads it; what it understands stands in `plan.published`.

The plan's statement gives the terms and its body the rest; nothing about privacy is taken over from
either: the layout sizes the noise again and the cost is recomputed from the integers that define it.
"""

from __future__ import annotations

from node.vault.errors import RoundRefusedError, _, shown_as
from plan.errors import PlanError, phrase_of
from plan.published import Published, read_published
from privacy.errors import PrivacyError
from protos.ledger import RoundLog
from protos.statements import Plan


class PublishedRounds:
    """Reads plans once each; a plan's digest is its round's id, so it never changes."""

    def __init__(self) -> None:
        self._known: dict[bytes, Published] = {}

    def read(self, round_log: RoundLog) -> Published:
        """Read the plan of a round.

        Raises:
            RoundRefusedError: this version of the program does not understand the plan.
        """
        if round_log.round_id not in self._known:
            self._known[round_log.round_id] = read_plan(round_log.terms, round_log.plan.body)
        return self._known[round_log.round_id]


def read_plan(terms: Plan, body: bytes) -> Published:
    """Parse a published plan, lay it out and compute its cost.

    Raises:
        RoundRefusedError: the plan is not one that this version understands.
    """
    try:
        return read_published(terms, body)
    except (PlanError, PrivacyError) as err:
        raise RoundRefusedError(
            _("the plan cannot be read (%(reason)s)"),
            _("Install the newest version of fedscreen, or tell the county."),
            code="plan-invalid",
            details={**shown_as("reason", phrase_of(err))},
        ) from None
