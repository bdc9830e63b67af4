"""What every benchmark gives: our cost, the limit measured in the same run, and whether the ratio is met."""

from __future__ import annotations

from typing import TypedDict


class Row(TypedDict):
    """One ratio.

    n: reports, masks or calls. d: cells. ours, reference: CPU seconds of one, bytes, or a correlation.
    """

    name: str
    n: int
    d: int
    ours: float
    reference: float
    ratio: float
    target: float
    ok: bool


def make_row(name: str, n: int, d: int, ours: float, reference: float, target: float) -> Row:
    """Build a row; `ok` if ours is at most `target` times the reference."""
    ratio = ours / reference
    return Row(
        name=name,
        n=n,
        d=d,
        ours=float(f"{ours:.4g}"),
        reference=float(f"{reference:.4g}"),
        ratio=round(ratio, 3),
        target=target,
        ok=ratio <= target,
    )
