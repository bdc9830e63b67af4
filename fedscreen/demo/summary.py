"""The demo's summary.json and what it prints: released numbers beside the truth, and how far they are off.

Only a demo can do this: the truth comes from all schools' own files, which no party of a real county
ever holds together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plan.layout import Layout, keys
from results.tables import NoisyTable

Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How the released cells lie around the truth.

    Attributes:
        coverage_95: share of cells whose 95 % interval holds the truth.
        mean_z2: mean of ((released − truth)/se)², 1 in expectation.
        max_error_sigmas: largest |released − truth|/se.
    """

    coverage_95: float
    mean_z2: float
    max_error_sigmas: float


def compare(tables: Sequence[NoisyTable], layout: Layout, truth: NDArray[np.int64]) -> list[dict[str, Any]]:
    """Put released, se and truth of every cell side by side, in layout order."""
    return [
        {
            "id": noisy.id,
            "cells": [
                {
                    "keys": keys(noisy.layout, index),
                    "released": float(noisy.value(index)),
                    "se": noisy.se,
                    "truth": int(truth[place.offset + index]),
                }
                for index in range(place.cells)
            ],
        }
        for noisy, place in zip(tables, layout.tables, strict=True)
    ]


def accuracy(tables: Sequence[Mapping[str, Any]]) -> Accuracy:
    """Measure the released cells against the truth."""
    sigmas = np.array(
        [(cell["released"] - cell["truth"]) / cell["se"] for table in tables for cell in table["cells"]]
    )
    return Accuracy(
        coverage_95=float(np.mean(np.abs(sigmas) <= Z95)),
        mean_z2=float(np.mean(sigmas**2)),
        max_error_sigmas=float(np.max(np.abs(sigmas))),
    )
