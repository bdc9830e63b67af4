"""Errors of the results room; callers catch `ResultsError`.

Messages name tables, dimensions and numbers of cells; never a value of a cell.
"""

from plan.errors import Phrase, PhrasedError, Problem


class ResultsError(Exception):
    """Base of everything this room refuses."""


class ReleaseError(ResultsError):
    """A release that does not fit the plan's layout."""


class SelectionError(PhrasedError, ResultsError):
    """A selection of cells that a table does not have, or numbers that may not be combined."""


class FactsError(ResultsError):
    """A school's facts or a principal's statement are not valid. Holds every problem, each with its field.

    Attributes:
        problems: at least one; `key` is the field's name.
    """

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))

    @property
    def phrase(self) -> Phrase:
        """All problems, one a line."""
        named = [(f"p{place}", problem.phrase) for place, problem in enumerate(self.problems)]
        return Phrase("\n".join(f"%({name})s" for name, _ in named), tuple(named))


class ReleaseClassError(PhrasedError, ResultsError):
    """A report for more readers than the plan was approved for."""
