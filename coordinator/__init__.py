"""The county: enrolment, rounds, the log, opening the sum."""

DISTRIBUTION = "fedscreen"
