"""A county of real processes on this machine."""
