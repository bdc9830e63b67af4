"""The front door: the command, its translations and the demo."""

DISTRIBUTION = "fedscreen"
