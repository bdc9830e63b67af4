"""Label sets: what a platform's words for alert levels mean.

1. A label means one level within its set. Labels are compared after `normalise_label`.
2. Numbered tiers (一级, 二级 …) need a declared direction and must follow it: 三级 is the most severe in one
   region and the mildest in the next.
3. A bare number is a label only where its set says so (`numbers = "declared"`).
"""

import re
import unicodedata
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from plan.codes import LEVEL, UNKNOWN
from plan.errors import CodebookError, Problem, phrase, raise_if
from plan.reading import is_clean_text, shown_key

DIRECTIONS: Final = ("rising", "falling", "none")
NUMBERS: Final = ("refused", "declared")
MAX_LABELS: Final = 64
MAX_LABEL_CHARS: Final = 32

_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?\Z", re.ASCII)
_TIER = re.compile(r"第?(一|二|三|四|五|[1-5]|I{1,3}|IV|V)级")
_TIER_NUMBERS = {
    **{tier: place for place, tier in enumerate("一二三四五", start=1)},
    **{tier: place for place, tier in enumerate("12345", start=1)},
    **{tier: place for place, tier in enumerate(("I", "II", "III", "IV", "V"), start=1)},
}


def normalise_label(text: str) -> str:
    """Return a label in the form it is compared in: NFKC, without white space and invisible characters."""
    kept = (char for char in unicodedata.normalize("NFKC", text) if unicodedata.category(char) != "Cf")
    return "".join(char for char in kept if not char.isspace())


@dataclass(frozen=True, slots=True)
class LabelSet:
    """What one platform's or region's level labels mean.

    Attributes:
        name: by which an import profile names the set.
        direction: `rising` (一级 is the mildest), `falling` (一级 is the most severe), `none` (no tiers).
        has_numbers: whether bare numbers are labels here.
        labels: pairs of a normalised label and a canonical level, ascending by label.

    Raises:
        CodebookError: rules 1 to 3 of the module.
    """

    name: str
    direction: str
    has_numbers: bool
    labels: tuple[tuple[str, str], ...]

    def __post_init__(self) -> None:
        raise_if(CodebookError, _label_problems(self))

    def level_of(self, label: str) -> str | None:
        """Return the canonical level of a label, or None when the set does not map it."""
        return dict(self.labels).get(normalise_label(label))


def _label_problems(labels: LabelSet) -> list[Problem]:
    key = f"levels.{labels.name}"
    problems = []
    for label, level in labels.labels:
        path = f"{key}.labels.{shown_key(label)}"
        if not label or label != normalise_label(label) or not is_clean_text(label, MAX_LABEL_CHARS):
            allowed = phrase("text of 1 to %(most)s visible characters", most=MAX_LABEL_CHARS)
            problems.append(Problem(path, phrase("no such label"), allowed))
        if level not in LEVEL:
            problems.append(Problem(path, phrase("no level"), phrase("0, 1, 2, 3 or 9")))
        if _NUMBER.match(label) and not labels.has_numbers:
            advice = phrase('write numbers = "declared" if the platform shows levels as bare numbers')
            problems.append(Problem(path, phrase("a bare number"), phrase("a label in words"), advice))
    names = [label for label, _ in labels.labels]
    if names != sorted(set(names)):
        problems.append(Problem(key, phrase("a label more than once"), phrase("different labels, ascending")))
    return problems or _direction_problems(labels)


def _direction_problems(labels: LabelSet) -> list[Problem]:
    """Check rule 2: tiers follow the declared direction, strictly but for several in level 3."""
    key = f"levels.{labels.name}.direction"
    tiers = sorted(
        (_TIER_NUMBERS[match[1]], int(level))
        for label, level in labels.labels
        if (match := _TIER.match(label)) and level != UNKNOWN
    )
    if labels.direction not in DIRECTIONS or (tiers and labels.direction == "none"):
        allowed = phrase("rising (一级 is the mildest) or falling (一级 is the most severe)")
        advice = phrase("numbered tiers mean nothing without it")
        return [Problem(key, phrase("'%(word)s'", word=labels.direction[:20]), allowed, advice)]
    sign = 1 if labels.direction == "rising" else -1
    for (tier, level), (next_tier, next_level) in pairwise(tiers):
        is_same = tier == next_tier
        fits = level == next_level if is_same else (next_level - level) * sign > 0 or level == next_level == 3
        if not fits:
            found = phrase("tiers %(one)s and %(other)s the other way round", one=tier, other=next_tier)
            return [
                Problem(
                    key, found, phrase("levels that follow the direction '%(word)s'", word=labels.direction)
                )
            ]
    return []
