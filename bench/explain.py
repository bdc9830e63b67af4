"""What `fedscreen plan explain` predicts against simulated rounds of a made-up county.

Each simulated round is made of product code: pupils of the demo's generator, tabulated under the plan; every
school's noise from the product's sampler; the estimator over all tables; the display rule. Ten counties of
other seeds, 200 rounds each: the ± of a single sum is then known to 1.6 %. `deviation` is the largest
relative difference between a predicted and a simulated figure: ± of a typical cell, of a stage, of the
county, of the total, and the share of cells shown. With `--json` one line per case.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from importlib.resources import files
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

from fedscreen.demo.county import GRADE_NAMES, LABEL_STYLES, ROSTER_HEADER, SCREENING_HEADER, make_county
from fedscreen.demo.school_files import SYSTEM, School
from plan.assumptions import FACTORS, LOWEST_HIGH
from plan.codes import CONSENT, FAMILY, LEFT_BEHIND, SEX
from plan.document import PlanDocument, parse_plan_toml
from plan.forecast import forecast
from plan.layout import Layout, build_layout
from plan.prediction import Margins, TablePrediction, estimator, margins, predict
from plan.publishing import resolve
from plan.record import Record
from plan.tabulation import tabulate
from privacy.discrete_gaussian import Sampler
from privacy.display import show_count
from privacy.intervals import Z95
from privacy.least_squares import LeastSquares

Floats = NDArray[np.float64]

CASES = (("autumn-full", 90, 48_000, 100), ("autumn-full", 90, 48_000, 85), ("autumn-small", 25, 6_000, 100))
COUNTIES, ROUNDS = 10, 200
QUICK_COUNTIES, QUICK_ROUNDS = 2, 50
TOLERANCE = 0.05
SMALL_STAGE = ("autumn-small", "S1", 13.0)  # the half-width that a small county's stage must stay below
_KINDS = ("cell", "stage", "county", "total", "shown")
_DIGEST = "ab" * 32
_ABSENCES = {"请假": "4", "免测": "5", "未测": "3", "转出": "7", "拒测": "6"}


@dataclass
class Simulated:
    """Squared errors of a table's sums, and the share of cells shown, over all rounds of all counties."""

    squares: dict[str, list[Floats]] = field(default_factory=lambda: {kind: [] for kind in _KINDS[:4]})
    shown: list[float] = field(default_factory=list)

    def figure(self, kind: str) -> float | None:
        """The figure that `TablePrediction` has under the same name."""
        if kind == "shown":
            return statistics.fmean(self.shown)
        if not self.squares[kind]:
            return None
        errors = np.sqrt(np.mean(np.array(self.squares[kind]), axis=0))
        return Z95 * float(np.median(errors))


def measure(
    name: str, schools: int, pupils: int, turnout: int, counties: int, rounds: int
) -> dict[str, object]:
    """Simulate rounds of one plan and put them beside what is predicted."""
    draft = parse_plan_toml(files("plan").joinpath("ready", f"{name}.toml").read_bytes())
    plan = resolve(draft, schools)
    layout = build_layout(plan)
    reports = math.floor(schools * turnout / 100)
    found = {table.id: Simulated() for table in layout.tables}
    predicted: list[tuple[TablePrediction, ...]] = []
    model = estimator(layout, reports)
    for seed in range(counties):
        county = make_county(schools, pupils, seed)
        records = [record for school in county for record in _records(school)]
        by_stage = Counter(record.stage for record in records)
        predicted.append(predict(layout, reports, forecast(layout, by_stage), plan.display_floor))
        truth = tabulate(layout, records).astype(np.float64)
        _simulate(plan, layout, model, truth, _noise(layout, reports, seed, rounds), found)
    tables = {
        table.id: _compare([row[place] for row in predicted], found[table.id])
        for place, table in enumerate(layout.tables)
    }
    worst = max(figures["deviation"] for table in tables.values() for figures in table.values())
    return {
        "plan": name,
        "schools": schools,
        "pupils": pupils,
        "reports": reports,
        "rounds": counties * rounds,
        "deviation": worst,
        "ok": worst <= TOLERANCE and _is_small_enough(name, tables),
        "tables": tables,
    }


def _is_small_enough(name: str, tables: dict[str, dict[str, dict[str, float]]]) -> bool:
    plan, table, most = SMALL_STAGE
    return name != plan or max(tables[table]["stage"][key] for key in ("predicted", "simulated")) <= most


def _compare(predicted: Sequence[TablePrediction], found: Simulated) -> dict[str, dict[str, float]]:
    figures = {}
    for kind in _KINDS:
        simulated = found.figure(kind)
        values = [getattr(row, kind) for row in predicted]
        if simulated is None or values[0] is None:
            continue
        expected = statistics.fmean(values)
        figures[kind] = {
            "predicted": round(expected, 3),
            "simulated": round(simulated, 3),
            "deviation": round(abs(expected - simulated) / max(simulated, 1e-9), 4),
        }
    return figures


def _simulate(
    plan: PlanDocument,
    layout: Layout,
    model: LeastSquares,
    truth: Floats,
    noise: Floats,
    found: dict[str, Simulated],
) -> None:
    estimates = model.estimate(truth + noise)
    wrong = estimates - truth
    errors = np.sqrt(model.variances())
    for table in layout.tables:
        mine, here = found[table.id], slice(table.offset, table.end)
        possible = np.flatnonzero(errors[here] > 0) + table.offset
        mine.squares["cell"].extend(wrong[:, possible] ** 2)
        sums = margins(layout, table)
        for kind in Margins.__slots__:
            weights = getattr(sums, kind)
            if len(weights):
                mine.squares[kind].extend((wrong @ weights.T) ** 2)
        for row in estimates[:, possible].tolist():
            shown = [
                show_count(value, error, floor=plan.display_floor)
                for value, error in zip(row, errors[possible].tolist(), strict=True)
            ]
            mine.shown.append(sum(not item.is_withheld for item in shown) / len(shown))


def _noise(layout: Layout, reports: int, seed: int, rounds: int) -> Floats:
    """What the schools' noise adds up to in each round, in counts; of a ladder what is left of it."""
    cipher = Cipher(algorithms.AES(seed.to_bytes(32, "big")), modes.CTR(bytes(16))).encryptor()
    parts = []
    for table in layout.tables:
        first, *steps = table.noise.components
        size = rounds * table.cells
        total = np.zeros(size, dtype=np.int64)
        for s2 in (first, *steps[table.tier(reports) :]):
            sampler = Sampler(s2)
            for _ in range(reports):
                total += sampler.sample(lambda length: cipher.update(bytes(length)), size)
        parts.append(total.reshape(rounds, table.cells) / table.noise.scale)
    return np.concatenate(parts, axis=1)


def _records(school: School) -> Iterator[Record]:
    """The records that a school's vault would have, without the files between."""
    roster, screening = (
        [dict(zip(header, row, strict=True)) for row in rows[1:]]
        for header, rows in ((ROSTER_HEADER, school.roster), (SCREENING_HEADER, school.screening))
    )
    results = {row["学籍号"]: row for row in screening}
    for number, row in enumerate(roster):
        yield Record(
            rec_key=f"{school.id:>8}{number:08d}".encode(),
            grade=_code(GRADE_NAMES, row["年级"]),
            system=SYSTEM,
            sex=_code(SEX, row["性别"]),
            boarding="2" if row["就读方式"] == "住校" else "1",
            left_behind=_code(LEFT_BEHIND, row["是否留守儿童"]),
            family=_code(FAMILY, row["家庭结构"]),
            migrant="1" if row["是否进城务工人员随迁子女"] == "是" else "0",
            guardian_consent=_code(CONSENT, row["监护人同意"]),
            **_result(results.get(row["全国学籍号"]), row["未测原因"]),
        )


def _result(row: dict[str, object] | None, absence: object) -> dict[str, object]:
    if row is None:
        return {"disposition": _ABSENCES.get(str(absence), "3")}
    base = {"instrument": "mht", "codebook": _DIGEST, "administered_on": date(2026, 10, 8)}
    level = next(style.index(str(row["预警等级"])) for style in LABEL_STYLES if row["预警等级"] in style)
    if level == 4:
        return base | {"disposition": "2"}
    ids = (
        "learning",
        "social",
        "loneliness",
        "self_blame",
        "sensitivity",
        "somatic",
        "phobia",
        "impulsivity",
    )
    high = {
        code for code, (title, _, _) in zip(ids, FACTORS, strict=True) if int(str(row[title])) >= LOWEST_HIGH
    }
    total = Decimal(str(row["总分"]))
    return base | {"disposition": "1", "level1": str(level), "total": total, "factors_high": frozenset(high)}


def _code(labels: object, label: object) -> str:
    return {text: code for code, text in dict(labels).items()}[label]  # type: ignore[call-overload,no-any-return]


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures; exit 0 if all are within 5 % and the small county's stage is exact enough."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--json", action="store_true", help="one line per county, for programs")
    parser.add_argument("--quick", action="store_true", help="fewer counties and rounds; too few to judge by")
    options = parser.parse_args(argv)
    is_ok = True
    for case in CASES:
        counties, rounds = (QUICK_COUNTIES, QUICK_ROUNDS) if options.quick else (COUNTIES, ROUNDS)
        found = measure(*case, counties=counties, rounds=rounds)
        is_ok = is_ok and bool(found["ok"])
        print(json.dumps(found) if options.json else "\n".join(_lines(found)), flush=True)
    return 0 if is_ok else 1


def _lines(found: dict[str, object]) -> Iterator[str]:
    yield (
        f"{found['plan']}: {found['schools']} schools, {found['pupils']} pupils, {found['reports']} reports, "
        f"{found['rounds']} rounds; largest deviation {found['deviation']}"
    )
    tables = found["tables"]
    if isinstance(tables, dict):
        for name, figures in tables.items():
            row = (f"{kind} {pair['predicted']} / {pair['simulated']}" for kind, pair in figures.items())
            yield f"  {name:4} " + "  ".join(row)


if __name__ == "__main__":
    sys.exit(main())
