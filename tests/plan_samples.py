"""Values for the tests of plans: a ready plan, codebooks, records that are valid unless told otherwise."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from plan.codebook import Codebook, parse_codebook_toml
from plan.document import PlanDocument, parse_plan_toml
from plan.publishing import resolve
from plan.record import Record

ROOT = Path(__file__).resolve().parents[1]
CODEBOOK_DIGEST = "ab" * 32
TESTED: dict[str, Any] = {
    "disposition": "1",
    "instrument": "mht",
    "rule_version": "2026.1",
    "codebook": CODEBOOK_DIGEST,
    "administered_on": date(2026, 10, 15),
    "level1": "0",
    "total": Decimal(20),
}
INVALID_TEST = TESTED | {"disposition": "2", "level1": "9", "total": None}


def ready_toml(name: str = "autumn-full") -> bytes:
    """Return the bytes of a ready plan."""
    return (ROOT / "plan" / "ready" / f"{name}.toml").read_bytes()


def ready_plan(num_nodes: int = 60) -> PlanDocument:
    """Return autumn-full, resolved for a number of schools."""
    return resolve(parse_plan_toml(ready_toml()), num_nodes)


def codebook_toml(name: str) -> bytes:
    """Return the bytes of an example codebook."""
    return (ROOT / "examples" / "codebooks" / f"{name}.toml").read_bytes()


def codebook(name: str) -> Codebook:
    """Return an example codebook."""
    return parse_codebook_toml(codebook_toml(name))


def record(number: int = 0, **values: Any) -> Record:
    """Return the record of a pupil who was tested with a valid result, with consent; values may differ."""
    base = TESTED | {"grade": "7", "system": "6-3", "guardian_consent": "1"}
    return Record(rec_key=number.to_bytes(16, "big"), **(base | values))


def untested(number: int = 0, **values: Any) -> Record:
    """Return the record of a pupil who was not tested."""
    base: dict[str, Any] = {"grade": "7", "system": "6-3", "disposition": "3", "guardian_consent": "1"}
    return Record(rec_key=number.to_bytes(16, "big"), **(base | values))
