"""A logged round's plan as the plan room reads it: document and vector layout."""

from __future__ import annotations

from coordinator.errors import PlanRefusedError
from plan.errors import PlanError, phrase
from plan.published import Published, read_published
from privacy.errors import PrivacyError
from protos.round_log import RoundLog


def published_plan(round_log: RoundLog) -> Published:
    """Read the plan of a round.

    Raises:
        PlanRefusedError: the logged body is not a plan of this version.
    """
    try:
        return read_published(round_log.terms, round_log.plan.body)
    except (PlanError, PrivacyError) as err:
        raise PlanRefusedError(
            phrase("plan %(serial)s: %(reason)s", serial=round_log.terms.serial, reason=err)
        ) from err
