"""Write ladder.json and ladder_bad_entries.json: a round with a turnout ladder, and what may not come in it.

    python tests/vectors/regenerate_ladder.py [--check]

Six schools report; the tiers are h = 4, 5 and 6, one school may collude, so the close is at tier 1: the first
of the two steps is taken out. Format as round.json; a report's `y` is y, w_1 and w_2 masked, one behind the
other, and its `noise_keys` are those of z_0, w_1 and w_2 for each table.
"""

import json
import sys
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[level]) for level in (2, 1, 0)]

from regenerate_bad_entries import Entries  # noqa: E402
from regenerate_round import PLAN, WholeRound, value_of  # noqa: E402
from vector_files import made_by, main  # noqa: E402

from protos.statements import body_ref  # noqa: E402

SCRIPT = "regenerate_ladder.py"


class LadderRound(WholeRound):
    """The round: every school's boxes open."""

    name = "ladder.json"
    plan = PLAN.replace("min_group = 5\n", "min_group = 5\nladder = [5, 6]\n")
    garbled = None
    order = (("s1", 0), ("s2", 0), ("s3", 0), ("s4", 0), ("s5", 0), ("s6", 0))


def ladder_value() -> dict[str, Any]:
    """The whole round."""
    return value_of(LadderRound(), SCRIPT)


def bad_entries() -> dict[str, Any]:
    """Entries that may not come next, with the ledger's code."""
    made = Entries(LadderRound().federation)
    at, coordinator = made.types.index, [made.federation.coordinator]
    plan, report, close, release = at("plan"), at("report"), at("close"), at("release")
    for name, text in {
        "tiers that do not rise": made.text(plan).replace("tier 5\n", "tier 6\n"),
        "a tier that is not above h": made.text(plan).replace("tier 5\n", "tier 4\n"),
        "a tier without steps": made.text(plan).replace("tier 6\n", "tier 6\ntier 7\n"),
        "steps without tiers": made.text(plan).replace("tier 5\ntier 6\n", ""),
        "a table without its second step": made.without_line(plan, "step A2 2 "),
        "steps in another order": made.swapped(plan, "step A1 1 ", "step A1 2 "),
    }.items():
        made.resigned_text("wrong-plan", name, plan, text, coordinator)
    key = [made.federation.nodes["s1"].key(made.federation.federation)]
    size = next(line for line in made.text(report).splitlines() if line.startswith("size ")).split(" ")[1]
    without_steps = str(int(size) - 2 * 8 * 14)
    made.signed("wrong-size", "report without the steps", report, key, size=without_steps)
    for tier in ("0", "2", "3"):
        made.signed("wrong-set", f"close at tier {tier}", close, coordinator, tier=tier)
    made.signed("second-close", "second close at another tier", close, coordinator, close + 1, tier="2")
    body = json.loads(made.bodies[release])
    for name, change in {"nothing": 1, "both steps": -1}.items():
        tables = [dict(table, s2=table["s2"] + change * _step(made, table["id"], 2 if change < 0 else 1))
                  for table in body["tables"]]  # fmt: skip
        data = json.dumps({"tables": tables}, separators=(",", ":"), sort_keys=True)
        ref = body_ref(data.encode())
        made.signed("wrong-tables", f"release that says that {name} was taken out", release, coordinator,
                    body_sha256=ref.sha256.hex(), body_bytes=str(ref.size))  # fmt: skip
        made.cases[-1]["body"] = data
    return {"source": made_by(SCRIPT), "cases": made.cases}


def _step(made: Entries, table: str, step: int) -> int:
    """The variance of one step of a table."""
    lines = made.text(made.types.index("plan")).splitlines()
    return next(int(line.split(" ")[3]) for line in lines if line.startswith(f"step {table} {step} "))


FILES = {"ladder.json": ladder_value, "ladder_bad_entries.json": bad_entries}

if __name__ == "__main__":
    sys.exit(main(FILES, sys.argv[1:]))
