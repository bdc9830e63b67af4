"""What each number of the catalogue is, counted pupil by pupil from its id and keys, by no table.

Written apart from `results.catalogue`: a condition says who is counted, another who is in the base.
"""

from collections.abc import Callable, Mapping

from fakes_release import County

from plan.record import Record
from results.indicators import IndicatorValue

Condition = Callable[[Record], bool]

PARTS = {"factor", "band", "found_by", "recheck", "pool", "ref_dest", "level_before", "flag", "disposition"}
"""Keys that only what is counted has."""


def _tested(p: Record) -> bool:
    return p.disposition in ("1", "2")


def _valid(p: Record) -> bool:
    return p.disposition == "1"


def _expected(p: Record) -> bool:
    return p.disposition in ("1", "2", "3", "6")


def _alerted(p: Record) -> bool:
    return p.level1 in ("2", "3")


def _everybody(p: Record) -> bool:
    return True


def _both(p: Record) -> bool:
    return p.level_before != "9" and p.level1 != "9"


def _rechecked(p: Record) -> bool:
    return _alerted(p) and p.recheck in ("1", "2", "3")


def _severe_after(p: Record) -> bool:
    was_raised = p.level1 == "2" and p.recheck == "3"
    return was_raised or (p.level1 == "3" and p.recheck in ("2", "3"))


def _referred(p: Record) -> bool:
    return p.ref_dest != "9"


def _in_ledger(p: Record) -> bool:
    return bool(p.groups & {"g1", "g2", "g3"})


TRUTHS: Mapping[str, tuple[Condition, Condition | None]] = {
    "IND-01": (_expected, None),
    "IND-02": (_tested, _expected),
    "IND-02/leave": (_tested, lambda p: _expected(p) or p.disposition == "4"),
    "IND-02b": (_tested, lambda p: p.disposition in ("1", "2", "3")),
    "IND-03": (_tested, None),
    "IND-04": (_valid, _tested),
    "IND-06": (lambda p: p.disposition == "6", _everybody),
    "IND-07/1": (lambda p: p.level1 == "1", None),
    "IND-07/2": (lambda p: p.level1 == "2", None),
    "IND-07/3": (lambda p: p.level1 == "3", None),
    "IND-08/1+": (lambda p: p.level1 in ("1", "2", "3"), _valid),
    "IND-08/2+": (_alerted, _valid),
    "IND-08/3": (lambda p: p.level1 == "3", _valid),
    "IND-09": (_alerted, _valid),
    "IND-10": (_alerted, _valid),
    "IND-11": (_alerted, _valid),
    "IND-12": (_valid, _valid),
    "IND-13": (lambda p: p.found_by != "9", lambda p: p.found_by != "9"),
    "IND-14": (_valid, None),
    "IND-15": (lambda p: _valid(p) and p.critical == "1", lambda p: _valid(p) and p.critical != "9"),
    "IND-16": (_rechecked, _alerted),
    "IND-17": (_rechecked, _rechecked),
    "IND-18": (_severe_after, _rechecked),
    "IND-19": (_tested, _expected),
    "IND-20/up": (lambda p: _both(p) and p.level1 > p.level_before, _both),
    "IND-20/same": (lambda p: _both(p) and p.level1 == p.level_before, _both),
    "IND-20/down": (lambda p: _both(p) and p.level1 < p.level_before, _both),
    "IND-21": (
        lambda p: p.level_before == "0" and _alerted(p),
        lambda p: p.level_before == "0" and p.level1 != "9",
    ),
    "IND-22": (lambda p: _alerted(p) and p.file_built == "1", _alerted),
    "IND-23": (lambda p: p.pool != "9", None),
    "IND-24": (lambda p: _alerted(p) and p.days_to_review is not None and p.days_to_review <= 3, _alerted),
    "IND-25": (_in_ledger, None),
    "IND-26": (_alerted, _everybody),
    "IND-26/count": (_alerted, None),
    "IND-27": (lambda p: _alerted(p) and p.carer_assigned == "1", _alerted),
    "IND-28": (lambda p: _alerted(p) and p.guardian_told == "1", _alerted),
    "IND-29/advised": (lambda p: p.level1 == "3" and p.referral_advised == "1", lambda p: p.level1 == "3"),
    "IND-29/attended": (lambda p: p.level1 == "3" and p.referral_attended == "1", lambda p: p.level1 == "3"),
    "IND-30": (_referred, _referred),
    "IND-30/free": (lambda p: _alerted(p) and p.green_channel_free == "1", None),
    "IND-31": (lambda p: p.handed_over == "1", None),
    "IND-32/leave": (lambda p: p.outcome == "3", None),
    "IND-32/back": (lambda p: p.outcome == "4", None),
    "IND-33": (lambda p: _alerted(p) and p.closed == "1", _alerted),
    "IND-34": (lambda p: _in_ledger(p) and p.home_visit == "1", _in_ledger),
    "FS-01": (lambda p: p.disposition == "8", None),
    "FS-02": (lambda p: len(p.groups) >= 4, None),
    "FS-03": (_tested, None),
    "FS-04": (_both, None),
    "FS-05": (_alerted, None),
    "FS-06": (_alerted, _alerted),
    "FS-07": (_alerted, None),
    "FS-08": (_everybody, None),
}
"""Per id whom it counts, and its base."""


def has_code(pupil: Record, name: str, codes: str) -> bool:
    """Say whether a pupil has one of the codes (joined by +) of a key."""
    wanted = codes.split("+")
    match name:
        case "level":
            return pupil.level1 in wanted
        case "group":  # the first three count: `touch` of the plans' tables
            return bool(set(sorted(pupil.groups)[:3]) & set(wanted))
        case "factor":
            return bool(pupil.factors_high & set(wanted))
        case "band":
            return pupil.total is not None and str(min(int(pupil.total // 9), 9)) in wanted
        case "flag":
            return any(getattr(pupil, flag) == "1" for flag in wanted)
    return getattr(pupil, name) in wanted


def truth(county: County, value: IndicatorValue) -> float:
    """Count the pupils of a number of the catalogue, or divide two such counts, in percent."""
    counted, base = TRUTHS[value.indicator.id]

    def number(condition: Condition, keys: Mapping[str, str]) -> int:
        found = [pupil for pupil in county.pupils if condition(pupil)]
        for name, codes in keys.items():
            found = [pupil for pupil in found if has_code(pupil, name, codes)]
        return len(found)

    above = number(counted, value.keys)
    if base is None:
        return above
    of_base = {name: code for name, code in value.keys.items() if name not in PARTS}
    return 100 * above / number(base, of_base)
