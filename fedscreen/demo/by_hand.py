"""Files for a round played by hand with the commands: made-up schools, and a plan that fits them.

The walkthrough in `docs/walkthrough.md` begins with them.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from importlib.resources import files as package_files
from pathlib import Path

from fedscreen.demo.errors import DemoDataError
from fedscreen.demo.school_files import School, write_school
from plan.errors import phrase

PLAN_FILE = "plan.toml"
WINDOW = timedelta(days=30)


def write_files(out: Path, schools: list[School], plan: str, school_year: str, now: datetime) -> Path:
    """Write `schools/<id>/` and `plan.toml` below a folder; give the plan's path.

    Args:
        out: the folder.
        schools: what to write.
        plan: name of the ready plan to copy.
        school_year: such as 2026-2027; its census date is 30 September.
        now: the window opens a minute before and closes thirty days after.
    """
    for school in schools:
        write_school(school, out / "schools" / school.id)
    path = out / PLAN_FILE
    path.write_text(_dated(plan, school_year, now), "utf-8")
    return path


def _dated(plan: str, school_year: str, now: datetime) -> str:
    """Exchange the dates of a ready plan; everything else, comments too, stays."""
    text = package_files("plan").joinpath("ready", f"{plan}.toml").read_text("utf-8")
    start = now.astimezone(UTC).replace(microsecond=0)
    dates = {
        "school_year": f'"{school_year}"',
        "census_date": f"{school_year[:4]}-09-30",
        "opens": f"{start - timedelta(minutes=1):%Y-%m-%dT%H:%M:%SZ}",
        "closes": f"{start + WINDOW:%Y-%m-%dT%H:%M:%SZ}",
    }
    for key, value in dates.items():
        text, count = re.subn(rf"^{key} = [^\s#]+", f"{key} = {value}", text, flags=re.MULTILINE)
        if count != 1:
            raise DemoDataError(
                phrase("the ready plan %(name)s has no single line '%(key)s'", name=plan, key=key)
            )
    return text
