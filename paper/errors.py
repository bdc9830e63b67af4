"""Errors of the paper room; callers catch `PaperError`."""

from __future__ import annotations

from plan.errors import PhrasedError


class PaperError(PhrasedError):
    """A document cannot be written in this form or language, or a package that the form needs is missing."""
