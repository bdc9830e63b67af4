"""Words for the two sides of the wall and for what the egress asks; small, as the supervisor has them too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final


def _(message: str) -> str:
    """Mark a word for the translation catalogue; whoever shows it translates it."""
    return message


SIDES: Final[Mapping[str, str]] = {"vault": _("vault"), "egress": _("egress")}
"""The two sides of the wall."""

CALLS: Final[Mapping[str, str]] = {"log": _("fetching the log"), "report": _("sending a report")}
"""What the egress asks the county for."""
