"""What the demo refuses, and what to do about it."""

from __future__ import annotations

from plan.errors import PhrasedError


class DemoError(PhrasedError):
    """The demo cannot go on; the message says what to do."""


class DemoDataError(DemoError):
    """The demo's pupils cannot be made, read or counted."""
