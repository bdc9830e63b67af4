"""Roster attributes as columns: public facts of a school (county, type of school) beside a pupil's own codes.

A plan lists each attribute with the values that may occur and their zh labels; its tables then use the name
like a dimension's. No record holds an attribute: every school takes its own value from its entry in the
plan's roster, and one whose value is not listed takes no part (`own_codes`). A cell of a table shows the sum
over all schools with its values, hence `plan.groups`: none of them, or at least `min_group`.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Final, TypeAlias

from crypto.canonical import JsonInput
from plan.errors import LayoutError, Problem, phrase
from plan.reading import ID_PATTERN, Section, is_clean_text

Attributes: TypeAlias = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
"""Pairs of an attribute's name and its pairs of value and label; names ascending, values in cell order."""

MAX_ATTRIBUTES: Final = 4
MAX_VALUES: Final = 200
MAX_VALUE_CHARS: Final = 64
MAX_LABEL_CHARS: Final = 80

TITLES: Final[Mapping[str, str]] = {
    "county": "县(市、区)",
    "school_type": "学校类型",
    "urban_rural": "城乡",
    "size_class": "学校规模",
    "deployment": "部署方式",
}
"""Titles of the attributes that rosters usually have; any other stands under its own name."""


def attributes_problems(attributes: Attributes, reserved: Collection[str]) -> Iterator[Problem]:
    """Yield what is wrong with a plan's attributes; `reserved` are the names of a pupil's dimensions."""
    names = [name for name, _ in attributes]
    if names != sorted(set(names)) or len(names) > MAX_ATTRIBUTES:
        found = phrase("%(size)s names", size=len(names))
        yield Problem(
            "attributes", found, phrase("at most %(most)s different names, ascending", most=MAX_ATTRIBUTES)
        )
    for name, values in attributes:
        if not ID_PATTERN.match(name) or name in reserved:
            allowed = phrase("a short name of a-z 0-9 . _ - that no dimension has")
            yield Problem(f"attributes.{name[:40]}", phrase("another name"), allowed)
        if not _are_values(values):
            yield Problem(f"attributes.{name[:40]}", phrase("other values"), _VALUES_ALLOWED)


_VALUES_ALLOWED: Final = phrase(
    'a list of 1 to %(most)s pairs of different values and their labels, such as [["532501", "个旧市"]]',
    most=MAX_VALUES,
)


def _are_values(values: tuple[tuple[str, str], ...]) -> bool:
    codes = [code for code, _ in values]
    texts = [(code, MAX_VALUE_CHARS) for code in codes] + [(label, MAX_LABEL_CHARS) for _, label in values]
    is_clean = all(text != "" and is_clean_text(text, most) for text, most in texts)
    return 1 <= len(set(codes)) == len(codes) <= MAX_VALUES and is_clean


def read_attributes(top: Section) -> Attributes:
    """Read the table `[attributes]` of a plan; empty when there is none."""
    if not top.has("attributes"):
        return ()
    values = top.table("attributes")
    section = Section(values, tuple(values), top.problems, f"{top.path}attributes.")
    none: tuple[tuple[str, str], ...] = ()
    found = tuple((name, section.take(name, _read_values, _VALUES_ALLOWED, none)) for name in sorted(values))
    if section.has_problems:
        top.fail("attributes")
    return found


def _read_values(value: object) -> tuple[tuple[str, str], ...] | None:
    if not isinstance(value, list):
        return None
    pairs = [pair for pair in value if isinstance(pair, list) and len(pair) == 2]
    if len(pairs) < len(value) or not all(isinstance(text, str) for pair in pairs for text in pair):
        return None
    values = tuple((code, label) for code, label in pairs)
    return values if _are_values(values) else None


def attributes_json(attributes: Attributes) -> dict[str, JsonInput]:
    """Return the value that stands in a plan's body."""
    return {name: [[code, label] for code, label in values] for name, values in attributes}


def own_codes(attributes: Attributes, own: Mapping[str, str]) -> dict[str, str]:
    """Take a school's own values of a plan's attributes.

    Args:
        attributes: of the plan.
        own: the school's entry in the roster; other attributes are left alone.

    Raises:
        LayoutError: a value is missing or not listed, so that the school has no cells of its own.
    """
    for name, values in attributes:
        if own.get(name) not in dict(values):
            found = phrase("'%(value)s'", value=own[name][:40]) if name in own else phrase("nothing")
            listed = ", ".join(code for code, _ in values)
            allowed = phrase("one of the plan's values %(values)s", values=listed)
            raise LayoutError(Problem(f"attributes.{name}", found, allowed))
    return {name: own[name] for name, _ in attributes}
