"""One school: a vault without a network and an egress without data."""

DISTRIBUTION = "fedscreen"
