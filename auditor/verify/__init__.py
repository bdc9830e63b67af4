"""Replays a whole bundle offline and says PASS, FAIL or SKIPPED for each check."""
