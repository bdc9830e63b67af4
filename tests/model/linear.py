"""Exact linear algebra over the protocol's field for small matrices: ranks, null spaces, intersections."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from crypto.field64 import MODULUS

Vector = tuple[int, ...]


def reduced_rows(rows: Iterable[Sequence[int]]) -> list[Vector]:
    """Bring rows to reduced echelon form modulo p; zero rows are left out, so the length is the rank."""
    left = [[value % MODULUS for value in row] for row in rows]
    done: list[list[int]] = []
    for column in range(len(left[0]) if left else 0):
        place = next((i for i, row in enumerate(left) if row[column]), None)
        if place is None:
            continue
        pivot = left.pop(place)
        inverse = pow(pivot[column], -1, MODULUS)
        pivot = [value * inverse % MODULUS for value in pivot]
        left = [_without(row, pivot, column) for row in left]
        done = [*(_without(row, pivot, column) for row in done), pivot]
    return [tuple(row) for row in done]


def _without(row: list[int], pivot: list[int], column: int) -> list[int]:
    factor = row[column]
    if not factor:
        return row
    return [(value - factor * other) % MODULUS for value, other in zip(row, pivot, strict=True)]


def null_space(rows: Iterable[Sequence[int]], width: int) -> list[Vector]:
    """Find a basis of the vectors that every row is orthogonal to."""
    reduced = reduced_rows(rows)
    pivots = [next(i for i, value in enumerate(row) if value) for row in reduced]
    basis = []
    for free in (column for column in range(width) if column not in pivots):
        vector = [0] * width
        vector[free] = 1
        for row, pivot in zip(reduced, pivots, strict=True):
            vector[pivot] = -row[free] % MODULUS
        basis.append(tuple(vector))
    return basis


def is_in_span(vector: Sequence[int], rows: Sequence[Sequence[int]]) -> bool:
    """Whether a vector is a linear combination of the rows."""
    return len(reduced_rows(rows)) == len(reduced_rows([*rows, vector]))


def intersection(spans: Iterable[Sequence[Sequence[int]]], width: int) -> list[Vector]:
    """Find a basis, in reduced form, of the vectors that lie in every one of some spans."""
    constraints = [row for rows in spans for row in null_space(rows, width)]
    return reduced_rows(null_space(constraints, width))
