"""The words of an auditor's policy file that are ours, beside those of c2sp.org/tlog-policy.

Auditors read them (`auditor.policy`); whoever only asks whose log counts passes over them
(`crypto.policy.parse_policy`).
"""

from __future__ import annotations

from typing import Final

SINGLE: Final = ("genesis", "max-rho", "max-rho-year", "min-reports", "min-group")
"""Exactly one line of each stands in a policy."""
OPTIONAL: Final = ("min-colluding-schools",)
"""At most one line of each."""
MANY: Final = ("tuple", "forbid-field", "forbid-table", "forbid-relation")
"""Any number of lines of each; of `tuple` at least one."""
WORDS: Final = (*SINGLE, *OPTIONAL, *MANY)
