"""Errors of the privacy room; callers catch `PrivacyError`.

No message carries a count, a share, a key or a noise value. Budgets, sensitivities and noise
parameters stand in the published plan and may be named.
"""


class PrivacyError(Exception):
    """Base of everything this room refuses."""


class SensitivityError(PrivacyError):
    """A cap, a range or a neighbouring relation that bounds nothing."""


class NoiseParameterError(PrivacyError):
    """A noise size that the mechanism or its proof does not cover."""


class BudgetExceededError(PrivacyError):
    """A charge that the account of the school year cannot carry; nothing was charged."""
