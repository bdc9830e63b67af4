"""`fedscreen auditor challenge`, `site`, `install`, `flow`: what an auditor does about a school's machine."""

from __future__ import annotations

import click

from auditor.cli_challenge import challenge
from auditor.cli_flow import flow
from auditor.cli_install import install
from auditor.cli_visit import site

SITE_COMMANDS: tuple[click.Command, ...] = (challenge, site, install, flow)
