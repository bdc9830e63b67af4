"""Choose which auditors' checks a close names: all of them, or as many as leave a set that may be opened.

1. All checks in the log, if the set that they leave has ``min_reports`` operators and no group of schools
   below ``min_group``. That is what nearly every round comes to.
2. Otherwise the most checks, at least q, under which the set is large enough; among equally many those that
   leave the most operators, then the first in plan order. One auditor that refuses too much, by a fault or
   on purpose, then does not end a round that q others can close. A person lets that happen, who has
   telephoned: where the refusals are right and another auditor stays silent, the round would hang.
3. If there are none, the round cannot be closed, unless an auditor that is away may still check and give one.

S stays a function of the log and of the checks named; auditors recompute it. One that is left out and would
refuse a report of S abandons, which nobody needs: q others are named. Why: docs/adr/0020-which-checks.md.
I/O-free.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import combinations

from protos.bodies import ReportName
from protos.round_log import RoundLog, closed_set, distinct_operators

HasSmallGroup = Callable[[tuple[ReportName, ...]], bool]


def choose_checks(round_log: RoundLog, has_small_group: HasSmallGroup) -> tuple[str, ...]:
    """Choose the auditors whose checks the close names, in plan order; empty where no choice gives a set.

    Args:
        round_log: with at least q checks.
        has_small_group: whether a set would show a group of schools below ``min_group``.
    """
    names = tuple(name for name in round_log.terms.auditors if name in round_log.checked)
    for size in range(len(names), round_log.terms.quorum - 1, -1):
        best = _best(round_log, combinations(names, size), has_small_group)
        if best:
            return best
    return ()


def may_still_close(round_log: RoundLog, num_missing: int, has_small_group: HasSmallGroup) -> bool:
    """Tell whether more checks, of auditors that refuse nothing, would give a set that may be opened.

    Args:
        round_log: the round.
        num_missing: auditors that may still check.
        has_small_group: whether a set would show a group of schools below ``min_group``.
    """
    names = [name for name in round_log.terms.auditors if name in round_log.checked]
    needed = max(0, round_log.terms.quorum - num_missing)
    sets = (closed_set(round_log, chosen).set for chosen in combinations(names, needed))
    least = round_log.terms.min_reports
    return any(distinct_operators(round_log, row) >= least and not has_small_group(row) for row in sets)


def _best(
    round_log: RoundLog, choices: Iterable[tuple[str, ...]], has_small_group: HasSmallGroup
) -> tuple[str, ...]:
    best: tuple[str, ...] = ()
    most = round_log.terms.min_reports - 1
    for chosen in choices:
        names = closed_set(round_log, chosen).set
        operators = distinct_operators(round_log, names)
        if operators > most and not has_small_group(names):
            best, most = chosen, operators
    return best
