"""A small county for the tests of results: the ready plan, made-up pupils, noised releases."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np

import plan
from plan.document import PlanDocument, parse_plan_toml
from plan.layout import Layout, build_layout
from plan.publishing import resolve
from plan.record import Record
from plan.table_spec import TableSpec
from plan.tabulation import scaled, tabulate
from privacy.discrete_gaussian import Sampler

SCHOOLS = 12
RELEASE = "ab" * 32


@dataclass(frozen=True)
class County:
    """A plan, its layout, all pupils and their exact counts."""

    plan: PlanDocument
    layout: Layout
    pupils: tuple[Record, ...]
    counts: np.ndarray

    def with_tables(self, *tables: TableSpec) -> "County":
        """Return the same pupils counted by other tables."""
        document = replace(self.plan, tables=tables)
        layout = build_layout(document)
        return County(document, layout, self.pupils, tabulate(layout, self.pupils))

    def released(self, noise: np.ndarray | None = None) -> list[dict[str, object]]:
        """Return the tables of a release body; without noise the sums are exact."""
        sums = scaled(self.layout, self.counts) + (0 if noise is None else noise)
        return [
            {"id": t.id, "scale": t.noise.scale, "s2": t.noise.s2, "sums": sums[t.offset : t.end].tolist()}
            for t in self.layout.tables
        ]

    def noise(self, rng: np.random.Generator, rounds: int) -> np.ndarray:
        """Return the noise of all schools, shape (rounds, cells), in scaled units."""
        parts = []
        for table in self.layout.tables:
            sampler, total = Sampler(table.noise.s2), np.zeros(rounds * table.cells, dtype=np.int64)
            for _ in range(SCHOOLS):
                total += sampler.sample(rng.bytes, total.size)
            parts.append(total.reshape(rounds, table.cells))
        return np.concatenate(parts, axis=1)

    def count(self, condition: Callable[[Record], bool]) -> int:
        """Count pupils directly, by no table."""
        return sum(condition(pupil) for pupil in self.pupils)


def _pupil(number: int, rng: np.random.Generator, grades: Iterable[str], systems: Iterable[str]) -> Record:
    disposition = str(rng.choice(8, p=[0.8, 0.05, 0.04, 0.03, 0.02, 0.03, 0.01, 0.02]) + 1)
    fields: dict[str, object] = {
        "disposition": disposition,
        "grade": str(rng.choice(list(grades))),
        "system": str(rng.choice(list(systems))),
        "sex": str(rng.choice(["1", "2", "9"], p=[0.49, 0.49, 0.02])),
        "boarding": str(rng.choice(["1", "2", "9"])),
        "left_behind": str(rng.choice(["0", "1", "2", "9"])),
        "family": str(rng.choice(["1", "2", "3", "4", "9"])),
        "guardian_consent": "1",
        "groups": frozenset(g for g in ("g1", "g4") if rng.random() < 0.15),
    }
    if disposition in "12":
        fields |= {"instrument": "mht", "codebook": "0" * 64, "administered_on": date(2026, 10, 12)}
    if disposition == "1":
        fields |= {
            "level1": str(rng.choice(4, p=[0.7, 0.15, 0.1, 0.05])),
            "total": Decimal(int(rng.integers(91))),
        }
        fields["factors_high"] = frozenset(f for f in ("learning", "social", "phobia") if rng.random() < 0.2)
    return Record(rec_key=hashlib.sha256(number.to_bytes(4, "big")).digest()[:16], **fields)  # type: ignore[arg-type]


def make_county(document: PlanDocument, size: int, seed: int) -> County:
    """Make pupils from a seed and tabulate them."""
    layout = build_layout(document)
    rng = np.random.default_rng(seed)
    pupils = tuple(_pupil(i, rng, document.grades, document.systems) for i in range(size))
    return County(document, layout, pupils, tabulate(layout, pupils))


def autumn_plan() -> PlanDocument:
    """Return the ready plan, resolved for `SCHOOLS` schools."""
    path = Path(plan.__file__).parent / "ready" / "autumn-full.toml"
    return resolve(parse_plan_toml(path.read_bytes()), SCHOOLS)
