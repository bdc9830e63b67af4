"""From a release to tables, rates and indicators: pure, the same for coordinator and auditor."""

DISTRIBUTION = "fedscreen"
