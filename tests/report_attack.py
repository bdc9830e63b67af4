"""A reader of the hand-in report who solves for what is not printed.

The reader knows every printed number and which pupils it is about, nothing else: pupils are atoms of a full
cross of some attributes, printed counts are equations, bands are inequalities. For a cell the reader gets the
least and the most pupils that fit; one value means that the cell can be computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.optimize import linprog

Atom = tuple[str, ...]
Holds = Callable[[Atom], bool]


class Reader:
    """What the reader knows about atoms.

    Args:
        atoms: every combination of the attributes that there can be.
    """

    def __init__(self, atoms: Iterable[Atom]) -> None:
        self.atoms = list(atoms)
        self.equations: list[tuple[np.ndarray, float]] = []
        self.bounds: list[tuple[np.ndarray, float]] = []

    def read(self, count: int, holds: Holds) -> None:
        """Learn how many pupils something holds for."""
        self.equations.append((self.row(holds), float(count)))

    def read_band(self, low: int, high: int, tested: Holds, base: Holds) -> None:
        """Learn that tested ÷ base lies from `low` to `high` percent."""
        counted, of = self.row(tested), self.row(base)
        self.bounds += [(low / 100 * of - counted, 0.0), (counted - high / 100 * of, 0.0)]

    def row(self, holds: Holds) -> np.ndarray:
        """Mark the atoms that something holds for."""
        return np.array([1.0 if holds(atom) else 0.0 for atom in self.atoms])

    def computable(self, cells: Sequence[Holds]) -> list[bool]:
        """Say for each cell whether sums and differences of the printed counts give it.

        Where a printed count is zero, so is every atom in it; the others are only known by their sums.
        """
        rows = np.array([row for row, _count in self.equations])
        zeros = [row for row, count in self.equations if count == 0]
        is_free = ~np.any([np.zeros(len(self.atoms)), *zeros], axis=0)
        known, wanted = rows[:, is_free], np.array([self.row(holds) for holds in cells])[:, is_free]
        _left, sizes, basis = np.linalg.svd(known, full_matrices=False)
        basis = basis[sizes > 1e-9 * max(sizes.max(initial=0), 1)]
        rest = wanted - wanted @ basis.T @ basis
        return [bool(norm < 1e-6) for norm in np.linalg.norm(rest, axis=1)]

    def range_of(self, holds: Holds) -> tuple[float, float]:
        """Give the fewest and the most pupils that something may hold for."""
        found = []
        for sign in (1.0, -1.0):
            solved = linprog(
                sign * self.row(holds),
                A_eq=np.array([row for row, _count in self.equations]),
                b_eq=np.array([count for _row, count in self.equations]),
                A_ub=np.array([row for row, _bound in self.bounds]) if self.bounds else None,
                b_ub=np.array([bound for _row, bound in self.bounds]) if self.bounds else None,
                method="highs",
            )
            assert solved.status == 0, solved.message
            found.append(sign * solved.fun)
        return found[0], found[1]


def by_id(tables: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Find tables by their id."""
    return {table["id"]: table for table in tables}


def read_table(
    reader: Reader,
    table: Mapping[str, Any],
    in_row: Callable[[Atom, Sequence[Sequence[str]]], bool],
    column: int,
) -> None:
    """Let the reader read a table.

    Args:
        in_row: says whether an atom is in a row, by the row's members.
        column: which part of an atom the columns are about.
    """
    for row, counts in zip(table["rows"], table["counts"], strict=True):
        for codes, count in zip(table["columns"], counts, strict=True):
            reader.read(count, lambda atom, row=row, codes=codes: in_row(atom, row) and atom[column] in codes)
