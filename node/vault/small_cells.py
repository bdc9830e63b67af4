"""Merge the small cells of a table until no count of 1 to 9 pupils can be computed from what is printed.

A table has rows (classes, grades, codes of an attribute) and columns (in an order in which neighbours may be
put together). It is printed as blocks: neighbouring rows and neighbouring columns are merged until every
block holds nobody or at least `FLOOR` pupils, and only sums of printed blocks are printed beside them.

Why nothing can be computed by differences:

1. The columns are cut in the same places in every row of a table, so that no row tells what another hides.
2. A table that goes into detail (grades, then classes) may cut its columns only where the table above does,
   and its groups of rows lie within the rows above: each printed number is a sum of its finer blocks.
3. Tables about different attributes share only these common blocks.

Within a block, pupils can change places without changing a printed number; the tests do so. A block of
zero is printed as zero. Who knows the rule also knows that a merged block has a small part, not how small.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

FLOOR: Final = 10
Span = tuple[int, int]
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Merged:
    """How a table is merged: spans (first, behind the last) of rows and of columns, in order."""

    rows: tuple[Span, ...]
    columns: tuple[Span, ...]

    def counts(self, cells: Counts) -> Counts:
        """Sum the cells of each block; shape (rows, columns)."""
        by_row = np.add.reduceat(cells, [first for first, _end in self.rows], axis=0)
        return np.add.reduceat(by_row, [first for first, _end in self.columns], axis=1)

    @property
    def cuts(self) -> frozenset[int]:
        """Places behind which the columns are cut: 1 is between the first and the second."""
        return frozenset(end for _first, end in self.columns[:-1])


def is_printable(count: int) -> bool:
    """Say whether a count may be printed: nobody, or `FLOOR` pupils and more."""
    return count == 0 or count >= FLOOR


def unmerged(cells: Counts) -> Merged:
    """Give the table as it is, for the exact version."""
    num_rows, num_columns = cells.shape
    return Merged(
        tuple((row, row + 1) for row in range(num_rows)),
        tuple((column, column + 1) for column in range(num_columns)),
    )


def merge(
    cells: Counts,
    weights: dict[int, int],
    *,
    row_weight: int = 0,
    spans: Sequence[Span] = (),
    needs: frozenset[int] = frozenset(),
) -> Merged | None:
    """Choose the finest merging of a table by which every block may be printed.

    Args:
        cells: exact counts, shape (rows, columns), at least one of each.
        weights: how much each cut of the columns tells; the columns are cut nowhere else.
        row_weight: how much one more group of rows tells by itself.
        spans: rows that must stay apart from the others; default: all together.
        needs: cuts without which the table is not worth printing.

    Returns:
        None if not even the coarsest one may be printed.
    """
    limits = tuple(spans) or ((0, len(cells)),)
    blocks = _Blocks(cells, limits)
    best: tuple[int, Merged] | None = None
    for worth, cuts in _by_worth(weights, needs):
        if best is not None and (worth + row_weight) * len(cells) <= best[0]:
            break
        columns = _columns(cuts, cells.shape[1])
        rows = blocks.finest_rows(columns)
        if rows is not None and (best is None or (worth + row_weight) * len(rows) > best[0]):
            best = (worth + row_weight) * len(rows), Merged(rows, columns)
    return None if best is None else best[1]


def _by_worth(weights: dict[int, int], needs: frozenset[int]) -> list[tuple[int, tuple[int, ...]]]:
    """List every choice of cuts, the most telling first; of two alike, the one with fewer cuts later."""
    if not needs <= weights.keys():
        return []
    free = sorted(weights.keys() - needs)
    choices = [
        tuple(sorted((*needs, *chosen)))
        for size in range(len(free), -1, -1)
        for chosen in combinations(free, size)
    ]
    return sorted(((sum(weights[cut] for cut in cuts), cuts) for cuts in choices), key=lambda item: -item[0])


def _columns(cuts: Sequence[int], num_columns: int) -> tuple[Span, ...]:
    return tuple(pairwise((0, *cuts, num_columns)))


class _Blocks:
    """Which blocks of neighbouring rows and columns may be printed."""

    def __init__(self, cells: Counts, limits: Sequence[Span]) -> None:
        self._limits = limits
        num_rows, num_columns = cells.shape
        sums = np.zeros((num_rows + 1, num_columns + 1), dtype=np.int64)
        sums[1:, 1:] = cells.cumsum(axis=0).cumsum(axis=1)
        self._places = {span: place for place, span in enumerate(combinations(range(num_columns + 1), 2))}
        first, end = np.array(list(self._places)).T
        by_column = sums[:, end] - sums[:, first]
        counts = by_column[None, :, :] - by_column[:, None, :]  # [first row, row behind the last, columns]
        self._may = (counts == 0) | (counts >= FLOOR)

    def may_print(self, rows: Sequence[Span], columns: Sequence[Span]) -> bool:
        """Say whether every block may be printed."""
        places = [self._places[span] for span in columns]
        return all(bool(self._may[first, end, places].all()) for first, end in rows)

    def finest_rows(self, columns: Sequence[Span]) -> tuple[Span, ...] | None:
        """Give the most groups of rows for these columns, within the limits; None if there are none."""
        may = self._may[:, :, [self._places[span] for span in columns]].all(axis=2)
        groups: list[Span] = []
        for limit in self._limits:
            found = _most_groups(may, limit)
            if found is None:
                return None
            groups += found
        return tuple(groups)


def _most_groups(may: NDArray[np.bool_], limit: Span) -> list[Span] | None:
    """Divide rows into the most groups that may all be printed; of equal divisions, groups of like size."""
    low, high = limit
    best: dict[int, tuple[int, int, int]] = {low: (0, 0, low)}  # end → groups, -sum of squares, start
    for end in range(low + 1, high + 1):
        known = [
            (best[first][0] + 1, best[first][1] - (end - first) ** 2, first)
            for first in range(low, end)
            if first in best and may[first, end]
        ]
        if known:
            best[end] = max(known)
    return None if high not in best else list(_walk_back(best, low, high))[::-1]


def _walk_back(best: dict[int, tuple[int, int, int]], low: int, end: int) -> Iterator[Span]:
    while end > low:
        first = best[end][2]
        yield first, end
        end = first


def merge_square(
    cells: Counts, row_weights: dict[int, int], weights: dict[int, int], needs: frozenset[int]
) -> Merged | None:
    """Choose where to cut rows and columns alike, as `merge` does, for a table of codes against codes.

    Args:
        cells: shape (codes, codes).
        row_weights, weights: how much each cut of the rows, of the columns tells.
        needs: cuts that rows and columns must both have.

    Returns:
        None if no cutting with these cuts may be printed.
    """
    blocks = _Blocks(cells, ((0, len(cells)),))
    best: tuple[int, Merged] | None = None
    for row_worth, row_cuts in _by_worth(row_weights, needs):
        rows = _columns(row_cuts, len(cells))
        for worth, cuts in _by_worth(weights, needs):
            columns = _columns(cuts, cells.shape[1])
            if best is not None and row_worth * worth <= best[0]:
                break
            if blocks.may_print(rows, columns):
                best = row_worth * worth, Merged(rows, columns)
    return None if best is None else best[1]
