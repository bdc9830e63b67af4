"""Errors of the results room; callers catch `ResultsError`.

Messages name tables, dimensions and numbers of cells; never a value of a cell.
"""


class ResultsError(Exception):
    """Base of everything this room refuses."""


class ReleaseError(ResultsError):
    """A release that does not fit the plan's layout."""


class SelectionError(ResultsError):
    """A selection of cells that a table does not have, or numbers that may not be combined."""
