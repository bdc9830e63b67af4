"""What a report is refused for."""

from coordinator.errors import CoordinatorError


class ReportError(CoordinatorError):
    """A report cannot be written in this form, or of this round."""

    code = "report"
