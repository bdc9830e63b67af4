"""`fedscreen plan`: write, check and compare collection plans, and see what they give and cost.

FILE is a path, or the name of a ready plan. Exit codes of every command: 0 done, 1 the plan is not valid or
something about it was refused (`diff`: 1 the plans differ), 2 wrong usage, such as a file that is not there.
"""

from __future__ import annotations

from gettext import gettext as _

import click

from fedscreen.planning.diff import diff
from fedscreen.planning.explain import explain
from fedscreen.planning.new import new
from fedscreen.planning.optimise import optimise
from fedscreen.planning.rehearse import rehearse_plan
from fedscreen.planning.show import check, show
from fedscreen.planning.year import year


@click.group(name="plan", help=_("Write, check, explain and compare collection plans."))
def plan() -> None:
    """Hold the commands of this group."""


for _command in (new, check, show, explain, rehearse_plan, optimise, diff, year):
    plan.add_command(_command)
