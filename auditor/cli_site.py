"""`fedscreen auditor challenge`, `site`, `install`, `flow`: what an auditor does about a school's machine."""

from __future__ import annotations

import click

from auditor.cli_challenge import challenge

SITE_COMMANDS: tuple[click.Command, ...] = (challenge,)
