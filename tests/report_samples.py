"""Reports that several tests read: a rich county's model in both languages, without a coordinator."""

from __future__ import annotations

import functools
import gettext
import json
from dataclasses import replace
from typing import Any

import fakes_report as fakes
from fakes_release import County

from fedscreen import language
from results.comparing import with_earlier
from results.facts import InstitutionFacts, fact_indicators, parse_facts
from results.files import result_files
from results.report_model import ReportModel

HOSTILE = (
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-1",
    "@SUM(1)",
    "\t=1",
    "\r\n=1+1",
    "＝1",
    '  =HYPERLINK("http://a.example","x")',
    "a\x00b\x1bc\u202edrow\u2066x\u200b",
    "x" * 5000,
    "<script>alert(1)</script>&\"'",
    '#set page(fill: red) #read("/etc/passwd")',
    'x;=1+1,"=2"',
    '&R&P&"Arial"',
    "\ud800x",
)
"""Names that somebody may give a school, a county or a plan."""

SEED = 7
SIZE, SMALL_SIZE = 1200, 300


def bind() -> None:
    """Say where the catalogue lies, as every command does first."""
    gettext.bindtextdomain(language.DOMAIN, str(language.LOCALE_DIR))


@functools.cache
def county(name: str, size: int = SIZE) -> County:
    """Make a county whose pupils have every field, counted by a ready plan with its optional tables."""
    return fakes.rich_county(fakes.ready_plan(name, with_optional=True), size, SEED)


@functools.cache
def conditions() -> tuple[InstitutionFacts, ...]:
    """Make what twelve schools typed; the first has a name that is a formula."""
    return tuple(
        parse_facts(
            f"s{place:02}",
            "2026-2027",
            {
                "school_name": f"第{place}中学" if place else HOSTILE[0],
                "stages": ["junior"],
                "urban_rural": "1",
                "is_boarding": "1",
                "n_students": 1200 + place,
                "n_classes": 24,
                "teacher_full": 2,
                "teacher_part": 1,
                "room_standard": "0" if place % 2 else "1",
            },
        )
        for place in range(12)
    )


@functools.cache
def model(name: str = "autumn-full", size: int = SIZE) -> ReportModel:
    """Build a county's model with facts, compared with the same county's round before."""
    facts = fact_indicators(conditions(), 14)
    found = fakes.model_of(county(name, size), 2, 2, facts=facts, facts_missing=2)
    return with_earlier(found, fakes.model_of(county(name, size), 1, 1))


def archived(name: str = "autumn-full") -> dict[str, Any]:
    """Give what release.json and indicators.json hold of the same round."""
    sample = county(name)
    files = result_files(fakes.head_of(sample, 2), sample.plan, sample.released(fakes.noise_of(sample, 2)))
    return {name: json.loads(files[name]) for name in ("release.json", "indicators.json")}


def named(text: str) -> ReportModel:
    """Give the model with a text wherever people write one."""
    found = model()
    factors = tuple((code, text) for code, _ in found.head.instruments[0].factors)
    head = replace(
        found.head,
        federation_title=text,
        plan_title=text,
        purpose=text,
        legal_basis=text,
        recipients=(text,),
        deployments={text: 1},
        instruments=(replace(found.head.instruments[0], factors=factors),),
    )
    return replace(found, head=head)
