"""Write challenge.json: a draw of schools to be replayed, the fourth auditor's share withheld.

    python tests/vectors/regenerate_challenge.py [--check]

An independent writing of the algorithm of docs/on-site-audit.md stands in tests/auditor/test_challenge.py.
"""

import hashlib
import sys
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[level]) for level in (2, 1, 0)]

from vector_files import made_by, main  # noqa: E402

from protos.bodies import ReportName  # noqa: E402
from protos.challenge import challenge_seed, draw_rows  # noqa: E402

POPULATION, NUMBER = 300, 12


def value() -> dict[str, Any]:
    """Draw 12 of 300 schools."""
    close = hashlib.sha256(b"close").digest()
    draws = [*(hashlib.sha256(f"r_{place}".encode()).digest() for place in (1, 2, 3)), b""]
    schools = [
        ReportName(f"s{place:03d}", 0, bytes([place % 256]) * 32) for place in range(1, POPULATION + 1)
    ]
    seed = challenge_seed(close, draws)
    return {
        "source": made_by("regenerate_challenge.py"),
        "how": "close = SHA-256('close'), r_i = SHA-256('r_i'), i = 1, 2, 3, no fourth; s001 to s300",
        "close": close.hex(),
        "draws": [draw.hex() for draw in draws],
        "seed": seed.hex(),
        "population": POPULATION,
        "number": NUMBER,
        "schools": [row.node for row in draw_rows(seed, schools, NUMBER)],
    }


FILES = {"challenge.json": value}

if __name__ == "__main__":
    raise SystemExit(main(FILES, sys.argv[1:]))
