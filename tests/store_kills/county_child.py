"""A whole round in one process that dies by SIGKILL at every durable step that it has not died at yet.

    county_child.py FOLDER [ADDRESS] [--undisturbed]

Called again and again it goes on where the last one died: FOLDER.stage says which party's step is next, as
the parties would know, and FOLDER.died where the last kill was. Prints ``done`` at the end.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import fakes_coordinator  # noqa: E402
from fakes_coordinator import County, small_config  # noqa: E402


class DieAtEveryStep:
    """Kills this process at each step that is not the one at which the process before it died."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last = path.read_text() if path.exists() else ""

    def __call__(self, step: str) -> None:
        if step != self._last:
            self._path.write_text(step)
            os.kill(os.getpid(), signal.SIGKILL)


def keep_requests(path: Path) -> None:
    """Let every process send the same signing requests, as a party that has made its own would."""
    make = fakes_coordinator.csr

    def csr(name: str) -> str:
        known: dict[str, str] = pickle.loads(path.read_bytes()) if path.exists() else {}
        if name not in known:
            known[name] = make(name)
            path.write_bytes(pickle.dumps(known))
        return known[name]

    fakes_coordinator.csr = csr  # type: ignore[assignment]


def steps_of(county: County) -> list[Callable[[], object]]:
    """Every step of a round; each may be repeated until the next one has begun."""

    def round_id() -> bytes:
        return county.round_id

    return [
        county.enrol,
        county.desk.propose_roster,
        county.sign_rosters,
        county.publish,
        lambda: county.approve(round_id()),
        lambda: county.report(round_id()),
        county.desk.tick,
        lambda: county.check(round_id()),
        county.desk.tick,
        lambda: county.agree(round_id()),
        lambda: county.answer(round_id()),
        county.desk.tick,
        county.cosign,
        county.desk.tick,
    ]


def main(folder: str, address: str = "", *words: str) -> int:
    """Go on with the round until it is over, or until this process is killed."""
    directory = Path(folder)
    stage = directory.with_name(f"{directory.name}.stage")
    keep_requests(directory.with_name(f"{directory.name}.requests"))
    county = County(directory, config=small_config(database=address))
    if "--undisturbed" not in words:
        county.durable = DieAtEveryStep(directory.with_name(f"{directory.name}.died"))
    steps = steps_of(county)
    for place in range(int(stage.read_text()) if stage.exists() else 0, len(steps)):
        steps[place]()
        stage.write_text(str(place + 1))
    county.desk.close()
    print("done")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
