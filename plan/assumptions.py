"""What is assumed about pupils, before anything is collected: shares and rates, by the codes of the record.

The forecast of `fedscreen plan explain` and the demo's made-up county both read these numbers. None of them
is a finding about any county. Most are rounded from published surveys of schools; those marked "assumption"
have no published source: no county publishes its alert levels. A county that knows better should compare the
forecast with its own last round.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

Shares = Mapping[str, float]


def _shares(**values: float) -> Shares:
    return MappingProxyType(values)


def _coded(values: dict[str, float]) -> Shares:
    return MappingProxyType(values)


STAGE_SHARES: Final = _shares(primary=0.35, junior=0.35, senior=0.20, vocational=0.10)
"""Pupils of the screened grades (4 to 12 and V1 to V3) by stage (assumption)."""

LEVEL_RATES: Final[Mapping[str, tuple[float, float, float]]] = MappingProxyType(
    {
        "primary": (0.012, 0.030, 0.085),
        "junior": (0.026, 0.052, 0.120),
        "senior": (0.032, 0.060, 0.130),
        "vocational": (0.036, 0.066, 0.140),
    }
)
"""Alert levels 3, 2, 1 of valid tests before the factors below (assumption)."""

SEX_SHARES: Final = _coded({"1": 0.52, "2": 0.48})
SEX_FACTOR: Final = _coded({"1": 0.75, "2": 1.5})
LEFT_BEHIND_FACTOR: Final = 1.2
FAMILY_FACTOR: Final = 1.5
SCHOOL_SPREAD: Final = 0.25
"""Schools differ: standard deviation of the logarithm of a school's factor (assumption)."""

MOST_ALERTED: Final = 0.9

BOARDING_RATES: Final = _shares(primary=0.12, junior=0.45, senior=0.75, vocational=0.85)
LEFT_BEHIND: Final = _coded({"0": 0.85, "1": 0.07, "2": 0.06, "9": 0.02})
LEFT_BEHIND_OLDER: Final = _coded({"0": 0.20, "1": 0.03, "2": 0.03, "9": 0.74})
"""Of senior and vocational pupils: the status is defined for compulsory schooling, so mostly unknown."""

OLDER_STAGES: Final = ("senior", "vocational")
FAMILY: Final = _coded({"1": 0.84, "2": 0.09, "3": 0.03, "4": 0.01, "9": 0.03})
NON_INTACT_FAMILIES: Final = ("2", "3", "4")
MIGRANT_RATE: Final = 0.06

CONSENT: Final = _coded({"1": 0.987, "2": 0.007, "9": 0.006})
TESTED_UNASKED: Final = 0.4
"""Of those without consent, who took the test all the same."""

ABSENCE_RANGES: Final[Mapping[str, tuple[float, float]]] = MappingProxyType(
    {"4": (0.010, 0.018), "5": (0.005, 0.008), "3": (0.001, 0.004), "7": (0.001, 0.003), "6": (0.001, 0.003)}
)
"""Dispositions without a result; each school has its own share between the two (assumption)."""

INVALID_RANGE: Final = (0.010, 0.022)

FACTORS: Final = (
    ("学习焦虑", 15, 0.55),
    ("对人焦虑", 10, 0.22),
    ("孤独倾向", 10, 0.09),
    ("自责倾向", 10, 0.21),
    ("过敏倾向", 10, 0.23),
    ("身体症状", 15, 0.16),
    ("恐怖倾向", 10, 0.10),
    ("冲动倾向", 10, 0.10),
)
"""Title, highest score, share of pupils with a high score (8 and more)."""

OTHER_FACTOR: Final = 0.2  # share of high scores in a factor that is not listed
HIGH_BY_LEVEL: Final = (0.92, 1.25, 1.6, 2.0)
MOST_HIGH: Final = 0.97
LOWEST_HIGH: Final = 8
DURATION_S: Final = (420, 1500)

# From here on: follow-up and groups. All of it assumption.

GROUPS: Final = _shares(g3=0.004, g4=0.04, g5=MIGRANT_RATE, g6=0.008, g7=0.004, g9=0.01)
"""Groups besides g1 (left behind) and g2 (divorced parents), which follow from the roster."""

FOLLOWED_UP: Final = ("2", "3")
"""Levels that are rechecked and have a file."""

BY_LEVEL: Final[Mapping[str, Mapping[str, Shares]]] = MappingProxyType(
    {
        "critical": {
            "0": _coded({"0": 0.995, "1": 0.005}),
            "1": _coded({"0": 0.97, "1": 0.03}),
            "2": _coded({"0": 0.88, "1": 0.12}),
            "3": _coded({"0": 0.65, "1": 0.35}),
        },
        "found_by": dict.fromkeys("123", _coded({"1": 0.85, "2": 0.08, "3": 0.03, "4": 0.04})),
        "recheck": dict.fromkeys(FOLLOWED_UP, _coded({"0": 0.10, "1": 0.495, "2": 0.36, "3": 0.045})),
        "level2": {
            "2": _coded({"1": 0.495, "2": 0.36, "3": 0.045, "9": 0.10}),
            "3": _coded({"2": 0.495, "3": 0.405, "9": 0.10}),
        },
        "file_built": dict.fromkeys(FOLLOWED_UP, _coded({"0": 0.12, "1": 0.83, "9": 0.05})),
        "carer_assigned": dict.fromkeys(FOLLOWED_UP, _coded({"0": 0.20, "1": 0.70, "9": 0.10})),
        "pool": {
            "1": _coded({"3": 0.10, "9": 0.90}),
            **dict.fromkeys(FOLLOWED_UP, _coded({"1": 0.45, "2": 0.45, "3": 0.05, "9": 0.05})),
        },
        "review": dict.fromkeys(FOLLOWED_UP, _coded({"3": 0.65, "14": 0.25, "15": 0.10})),
        "ref_dest": {
            "2": _coded({"1": 0.01, "2": 0.02, "3": 0.01, "4": 0.02, "5": 0.01, "6": 0.02, "9": 0.91}),
            "3": _coded({"1": 0.10, "2": 0.10, "3": 0.03, "4": 0.05, "5": 0.02, "6": 0.08, "9": 0.62}),
        },
        "outcome": {
            "2": _coded({"1": 0.03, "3": 0.01, "4": 0.01, "5": 0.45, "6": 0.35, "7": 0.02, "9": 0.13}),
            "3": _coded(
                {"1": 0.20, "2": 0.02, "3": 0.03, "4": 0.02, "5": 0.45, "6": 0.15, "7": 0.03, "9": 0.10}
            ),
        },
        "handed_over": {"3": _coded({"0": 0.40, "1": 0.05, "9": 0.55})},
    }
)
"""Field → first level → shares of its codes; a level that is not named has only the code 9 (review: 15)."""

_FLAGS: Final = (
    *("reviewed", "guardian_told", "supported", "referral_advised"),
    *("referral_attended", "green_channel_free", "closed"),
)
FLAGS: Final[Mapping[str, Shares]] = MappingProxyType(
    {
        "2": _coded(dict(zip(_FLAGS, (0.85, 0.60, 0.60, 0.10, 0.05, 0.01, 0.40), strict=True))),
        "3": _coded(dict(zip(_FLAGS, (0.92, 0.90, 0.80, 0.45, 0.25, 0.05, 0.25), strict=True))),
    }
)
"""First level → share of pupils with each follow-up flag."""

DAYS_TO_REVIEW: Final[Shares] = _coded({"1": 0.35, "3": 0.30, "7": 0.15, "14": 0.10, "21": 0.05})
"""Days until the review of levels 2 and 3; the rest is not reviewed."""

HOME_VISIT: Final = _coded({"0": 0.25, "1": 0.65, "9": 0.10})
SAME_LEVEL_BEFORE: Final = 0.5
"""Of those tested in autumn, who have the same level in spring; the others are drawn anew."""

NOT_TESTED_BEFORE: Final = 0.06
