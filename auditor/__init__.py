"""One auditor: approvals, witness, agreement, opening, verification."""

DISTRIBUTION = "fedscreen"
