"""The stories of honest counties, each told once: what the bundles of the zoo are made of."""

from __future__ import annotations

from functools import cache
from typing import Any

from bundle_zoo.county import ZooCounty, ZooNode

from protos.bodies import Refusal

TUPLES = {"33": (3, 3, 2, 3), "43": (4, 3, 1, 3), "54": (5, 4, 2, 4), "75": (7, 5, 2, 5)}


def county_of(name: str = "43", schools: int = 6, **options: object) -> ZooCounty:
    """A county with its schools on the roster."""
    row = TUPLES[name]
    county = ZooCounty(
        num_auditors=row[0],
        num_nodes=schools,
        tuple_=row,
        quorum=row[3],
        **options,  # type: ignore[arg-type]
    )
    county.enrol()
    return county


def whole_round(county: ZooCounty, **how: object) -> bytes:
    """One round from plan to release."""
    round_id = county.plan_round()
    county.collect(round_id)
    county.finish(round_id, **how)  # type: ignore[arg-type]
    return round_id


@cache
def one_round(name: str = "43", away: tuple[str, ...] = ()) -> ZooCounty:
    """One round; some auditors did not take part after their approval."""
    county = county_of(name)
    whole_round(county, away=away)
    return county


@cache
def year() -> ZooCounty:
    """Three rounds: one with second attempts and a refused school, one abandoned, one extended."""
    county = county_of(schools=7)
    first = county.plan_round()
    county.collect(first)
    for node in ("s2", "s2", "s2", "s5"):
        county.report(node, first)
    county.finish(first, refused={"s3": "bad-box"})
    second = county.plan_round()
    county.collect(second)
    for name in ("a1", "a2", "a3"):
        county.abandon(name, second)
    third = county.plan_round()
    county.extend(third)
    county.collect(third)
    county.finish(third, away=("a2",))
    return county


@cache
def two_years() -> ZooCounty:
    """Two school years with other rosters; the same pupils' accounts begin anew."""
    county = county_of(schools=6)
    whole_round(county)
    whole_round(county)
    county.add_node("s7")
    county.enrol()
    whole_round(county)
    county.add_node("s8")
    county.enrol()
    whole_round(county, away=("a4",))
    return county


@cache
def no_round() -> ZooCounty:
    """Two rosters and nothing else."""
    return county_of()


@cache
def planned() -> ZooCounty:
    """A plan with its approvals."""
    county = county_of()
    county.plan_round()
    return county


@cache
def collecting() -> ZooCounty:
    """Reports, and no candidates yet."""
    county = county_of()
    county.collect(county.plan_round(), ["s1", "s4"])
    return county


@cache
def closed() -> ZooCounty:
    """Closed; one auditor has agreed."""
    county = county_of()
    round_id = county.plan_round()
    county.collect(round_id)
    county.fix_candidates(round_id)
    for name in ("a1", "a3", "a4"):
        county.check(name, round_id)
    county.close(round_id)
    county.agree("a3", round_id)
    return county


@cache
def unsealed() -> ZooCounty:
    """Opened, not released."""
    county = county_of()
    round_id = county.plan_round()
    county.collect(round_id)
    county.finish(round_id, is_released=False)
    return county


@cache
def corrupt() -> ZooCounty:
    """Released as corrupt, without a number."""
    county = county_of()
    round_id = county.plan_round()
    county.collect(round_id)
    county.finish(round_id, is_released=False)
    county.release(round_id, status="corrupt")
    return county


@cache
def abandoned(stage: str) -> ZooCounty:
    """A released round, and one that enough auditors abandoned at a stage."""
    county = county_of()
    whole_round(county)
    round_id = county.plan_round()
    if stage != "planned":
        county.collect(round_id)
    if stage == "checked":
        county.fix_candidates(round_id)
        county.check("a1", round_id)
    if stage == "closed":
        county.fix_candidates(round_id)
        for name in ("a1", "a2", "a3"):
            county.check(name, round_id)
        county.close(round_id)
        county.agree("a4", round_id)
    for name in ("a1", "a2", "a3"):
        county.abandon(name, round_id)
    return county


@cache
def partly_abandoned() -> ZooCounty:
    """One auditor abandons; the others go on and release."""
    county = county_of()
    round_id = county.plan_round()
    county.collect(round_id)
    county.abandon("a2", round_id)
    county.finish(round_id, away=("a2",))
    return county


@cache
def cancelled(stage: str) -> ZooCounty:
    """A round that the county ended, and one that was released."""
    county = county_of()
    round_id = county.plan_round()
    successor = bytes(32)
    if stage == "reissued":
        successor = county.plan_round()
    if stage in ("collecting", "closed"):
        county.collect(round_id)
    if stage == "closed":
        county.fix_candidates(round_id)
        for name in ("a1", "a2", "a4"):
            county.check(name, round_id)
        county.close(round_id)
    county.cancel(round_id, successor)
    if stage == "closed":
        county.abandon("a3", round_id)
    second = successor if stage == "reissued" else county.plan_round()
    county.collect(second)
    county.finish(second)
    return county


@cache
def drafts(approved_by: tuple[str, ...] = (), is_cancelled: bool = False, **terms: Any) -> ZooCounty:
    """A released round, and a dearer plan that not all of its auditors approved."""
    county = county_of()
    whole_round(county)
    round_id = county.plan_round("1/5", approved_by=approved_by, **terms)
    if is_cancelled:
        county.cancel(round_id)
    return county


@cache
def extended(granted: tuple[str, ...], times: int = 1) -> ZooCounty:
    """Later deadlines were asked for and granted by some."""
    county = county_of()
    round_id = county.plan_round()
    for _ in range(times):
        county.extend(round_id, granted_by=granted)
    county.collect(round_id)
    county.finish(round_id)
    return county


@cache
def corrected(*steps: str) -> ZooCounty:
    """Two released rounds; the first is corrected, withdrawn, replaced."""
    county = county_of()
    first = whole_round(county)
    second = whole_round(county)
    for step in steps:
        if step == "table":
            county.correct(first, tables=("A1",))
        elif step == "all":
            county.correct(first)
        elif step == "withdrawn":
            county.correct(first, "withdrawn")
        elif step == "replaced":
            county.correct(first, successor=second)
    return county


@cache
def rosters() -> ZooCounty:
    """Rosters that follow each other, one of them while a round is open."""
    county = county_of()
    round_id = county.plan_round()
    county.add_node("s7")
    county.enrol(["a1", "a2", "a4"])
    county.collect(round_id, ["s1", "s2", "s3", "s4", "s5", "s6"])
    county.finish(round_id)
    county.add_node("s8")
    county.enrol(["a2", "a3", "a4"])
    whole_round(county)
    return county


@cache
def rolled(who: str, is_open: bool = False) -> ZooCounty:
    """Keys that follow others, between two rounds or while one is open."""
    county = county_of()
    first = county.plan_round()
    if not is_open:
        county.collect(first)
        county.finish(first)
    for name in ("a1", "a2", "a3", "a4") if who == "auditors" else (("a3",) if who == "auditor" else ()):
        county.roll_auditor(name)
    if who == "coordinator":
        county.roll_coordinator()
    if who == "node":
        county.roll_node("s2")
    county.enrol()
    if is_open:
        county.collect(first)
        county.finish(first)
    whole_round(county)
    return county


@cache
def everything_rolled() -> ZooCounty:
    """Everybody's keys, one after another, a round after each."""
    county = county_of()
    whole_round(county)
    county.roll_coordinator()
    county.roll_node("s1")
    county.enrol()
    county.roll_auditor("a1")
    county.roll_auditor("a2")
    county.enrol()
    whole_round(county)
    county.roll_auditor("a1")
    county.roll_node("s1")
    county.enrol()
    whole_round(county)
    return county


@cache
def replaced() -> ZooCounty:
    """An auditor leaves, another comes."""
    county = county_of()
    whole_round(county)
    county.replace_auditor("a4", "a5")
    county.enrol()
    whole_round(county)
    return county


@cache
def revoked(subject: str) -> ZooCounty:
    """A school or an auditor is revoked."""
    county = county_of(schools=7)
    first = county.plan_round()
    county.collect(first)
    if subject == "node":
        county.revoke("node", "s2")
        county.finish(first)
    else:
        county.revoke("auditor", "a2")
        county.finish(first, away=("a2",))
    return county


@cache
def merged() -> ZooCounty:
    """Two schools become one between two rounds."""
    county = county_of(schools=8)
    whole_round(county)
    county.add_node("s9", ("s2", "s3"))
    county.enrol()
    whole_round(county)
    return county


@cache
def attempts(node: str = "s3", number: int = 3) -> ZooCounty:
    """A school reports several times."""
    county = county_of()
    round_id = county.plan_round()
    county.collect(round_id)
    for _ in range(number):
        county.report(node, round_id)
    county.finish(round_id)
    return county


@cache
def refused(**codes: str) -> ZooCounty:
    """Schools that the auditors refuse."""
    county = county_of(schools=7)
    round_id = county.plan_round()
    county.collect(round_id)
    county.finish(round_id, refused=codes)
    return county


@cache
def refused_by_one() -> ZooCounty:
    """One auditor alone refuses a school; the close names it."""
    county = county_of(schools=7)
    round_id = county.plan_round()
    county.collect(round_id)
    county.fix_candidates(round_id)
    name = county.round(round_id).candidate_names()[4]
    for auditor in ("a1", "a2", "a3"):
        county.check(auditor, round_id, (Refusal(name, "no-box"),) if auditor == "a2" else ())
    county.close(round_id)
    for auditor in ("a1", "a2", "a3", "a4"):
        county.agree(auditor, round_id)
    for auditor in ("a1", "a2", "a3"):
        county.open_(auditor, round_id)
    county.release(round_id)
    return county


@cache
def ladder(reports: int) -> ZooCounty:
    """A turnout ladder with tiers 0, 1 and 2."""
    county = county_of(schools=7)
    round_id = county.plan_round(tiers=(5, 6))
    county.collect(round_id, sorted(county.nodes)[:reports])
    county.finish(round_id)
    return county


@cache
def groups(*, is_refused: bool) -> ZooCounty:
    """Two groups of six schools, of one of which four report: the auditors refuse them, or should have."""
    county = county_of(schools=0)
    for number in range(1, 13):
        node = ZooNode(f"s{number:02}", f"school {number}", (("grade", "7" if number < 7 else "8"),))
        county.nodes[node.id] = node
    county.enrol()
    round_id = county.plan_round()
    present = [name for name in sorted(county.nodes) if name not in ("s05", "s06")]
    county.collect(round_id, present)
    county.finish(round_id, refused=dict.fromkeys(present[:4], "min-group") if is_refused else None)
    return county


@cache
def replayed(*outcomes: str) -> ZooCounty:
    """Auditors replay reports on site."""
    county = county_of()
    round_id = whole_round(county)
    for number, outcome in enumerate(outcomes, start=1):
        county.replay(f"a{number}", round_id, f"s{number}", outcome)
    return county


@cache
def set_aside() -> ZooCounty:
    """Of seven auditors one lies about a sum; six carry the release."""
    county = county_of("75")
    round_id = county.plan_round()
    county.collect(round_id)
    county.fix_candidates(round_id)
    names = county.round(round_id).terms.auditors
    for name in names:
        county.check(name, round_id)
    county.close(round_id)
    for name in names:
        county.agree(name, round_id)
    for name in names[:-1]:
        county.open_(name, round_id)
    county.lying_opening(names[-1], round_id, county.round(round_id).subsets_of(names[-1])[0])
    county.release(round_id, names[:-1])
    return county


@cache
def late_opening() -> ZooCounty:
    """An auditor opens after the release."""
    county = county_of()
    round_id = county.plan_round()
    county.collect(round_id)
    county.finish(round_id, is_released=False, away=("a4",))
    county.agree("a4", round_id)
    county.release(round_id, ["a1", "a2", "a3"])
    county.open_("a4", round_id)
    return county


@cache
def large() -> ZooCounty:
    """Sixty schools and four rounds: more than one full tile of entries."""
    county = county_of(schools=60)
    for away in ((), ("a1",), (), ("a3",)):
        whole_round(county, away=away)
    return county


@cache
def production() -> ZooCounty:
    county = county_of(kind="production", federation="yunnan.county-9")
    whole_round(county)
    return county
