"""Exact noise, sensitivity, zCDP accounting and intervals: pure arithmetic."""

DISTRIBUTION = "fedscreen"
