"""Made-up pupils with every field that a ready plan counts, and report models of their released rounds."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
from fakes_release import SCHOOLS, County

import plan
from plan.codes import FLAG, GROUP
from plan.document import PlanDocument, parse_plan_toml
from plan.layout import build_layout
from plan.publishing import resolve
from plan.record import Record
from plan.tabulation import tabulate
from results.files import ReleaseHead
from results.report_model import ReportModel, build_report
from results.report_parts import About

NO_ATTRIBUTES: Mapping[str, str] = {}
READY = Path(plan.__file__).parent / "ready"


def ready_plan(name: str, *, with_optional: bool = False) -> PlanDocument:
    """Return a ready plan for `SCHOOLS` schools, all 六三, with its optional tables if wanted."""
    text = (READY / f"{name}.toml").read_text("utf-8")
    if with_optional:
        head, mark, rest = text.partition("# [[tables]]")
        lines = (mark + rest).splitlines()
        text = head + "\n".join(
            line.removeprefix("# ") if line.startswith(("# [[", "# id", "# ti", "# di", "# wh")) else line
            for line in lines
        )
        text = text.replace('critical_items = "off"', 'critical_items = "counted"')
    return replace(resolve(parse_plan_toml(text.encode()), SCHOOLS), systems=("6-3",))


def _one(rng: np.random.Generator, codes: Sequence[str], p: Sequence[float] | None = None) -> str:
    return str(rng.choice(list(codes), p=p))


def _follow_up(rng: np.random.Generator, level: str) -> dict[str, object]:
    alerted = level in ("2", "3")
    found: dict[str, object] = {
        "level_before": _one(rng, "01239", [0.6, 0.15, 0.12, 0.08, 0.05]),
        "found_by": _one(rng, "12349", [0.3, 0.2, 0.2, 0.2, 0.1]),
        "pool": _one(rng, "1239", [0.1, 0.1, 0.1, 0.7]),
        "ref_dest": _one(rng, "1234569", [0.05] * 6 + [0.7]),
        "outcome": _one(rng, "12345679", [0.05] * 7 + [0.65]),
        "handed_over": _one(rng, "019", [0.4, 0.2, 0.4]),
        "file_built": _one(rng, "019"),
        "carer_assigned": _one(rng, "019"),
        **{flag: _one(rng, "01") for flag in FLAG},
    }
    if level != "9":
        found["days_to_review"] = None if rng.random() < 0.3 else int(rng.integers(0, 30))
    if alerted:
        found["recheck"] = _one(rng, "01239")
    return found


def rich_pupil(
    number: int, rng: np.random.Generator, grades: Iterable[str], instruments: Sequence[str]
) -> Record:
    """Make a pupil whose every field is drawn at random, within the rules of a record."""
    disposition = _one(rng, "12345678", [0.8, 0.05, 0.04, 0.03, 0.02, 0.03, 0.01, 0.02])
    groups = [g for g in GROUP if rng.random() < 0.2]
    fields: dict[str, object] = {
        "disposition": disposition,
        "grade": _one(rng, list(grades)),
        "system": "6-3",
        "sex": _one(rng, "129", [0.49, 0.49, 0.02]),
        "boarding": _one(rng, "129"),
        "left_behind": _one(rng, "0129"),
        "family": _one(rng, "12349"),
        "guardian_consent": "1",
        "home_visit": _one(rng, "019"),
    }
    level = "9"
    if disposition in "12":
        fields |= {"instrument": _one(rng, instruments), "codebook": "0" * 64}
        fields |= {"administered_on": date(2026, 10, 12)}
    if disposition == "1":
        level = _one(rng, "0123", [0.6, 0.15, 0.15, 0.1])
        fields |= {"level1": level, "total": Decimal(int(rng.integers(91))), "critical": _one(rng, "019")}
        fields["factors_high"] = frozenset(f for f in ("learning", "social", "phobia") if rng.random() < 0.2)
    if disposition not in "68":
        fields |= _follow_up(rng, level)
    else:
        groups = [g for g in groups if g != "g3"]
    key = hashlib.sha256(number.to_bytes(4, "big")).digest()[:16]
    return Record(rec_key=key, groups=frozenset(groups), **fields)  # type: ignore[arg-type]


def rich_county(
    document: PlanDocument, size: int, seed: int, attributes: Mapping[str, str] = NO_ATTRIBUTES
) -> County:
    """Make pupils from a seed and count them with a plan; all of their schools have the given attributes."""
    rng = np.random.default_rng(seed)
    names = [item.id for item in document.instruments]
    pupils = tuple(rich_pupil(number, rng, document.grades, names) for number in range(size))
    layout = build_layout(document)
    return County(document, layout, pupils, tabulate(layout, pupils, attributes))


def head_of(county: County, number: int = 1, schools: int = SCHOOLS) -> ReleaseHead:
    """Return what the log would say of a county's round; rounds of different numbers differ."""
    return ReleaseHead(
        federation="county-1",
        round_id=bytes([number]) * 32,
        release=bytes([255 - number]) * 32,
        serial=number,
        status="ok",
        schools=schools,
        reports_in=SCHOOLS,
        reports_out=0,
        replicas=3,
        rho=county.plan.rho,
        cells=county.layout.cells,
    )


def noise_of(county: County, seed: int) -> np.ndarray:
    """Draw one round's noise."""
    return county.noise(np.random.default_rng(seed), 1)[0]


def model_of(county: County, number: int = 1, seed: int | None = 1, **more: object) -> ReportModel:
    """Build the report model of one round of a county; without a seed its numbers are exact.

    Args:
        number: of the round.
        more: further arguments of `build_report`.
    """
    about = About(
        federation_title="样例县",
        schools_in=frozenset(f"s{place:02}" for place in range(SCHOOLS)),
        operators_in=SCHOOLS,
        deployments={"a": 7, "b": 5},
        late=0,
        spent=Fraction(1, 4),
    )
    noise = None if seed is None else noise_of(county, seed)
    options = {"about": about, **more}
    return build_report(head_of(county, number), county.plan, county.released(noise), **options)  # type: ignore[arg-type]
