"""Every value type of the room is frozen and has no other attributes than its fields."""

import dataclasses
import importlib
import pkgutil
from typing import Any

import pytest

import privacy

MODULES = [
    importlib.import_module(f"privacy.{found.name}") for found in pkgutil.iter_modules(privacy.__path__)
]
VALUES: list[Any] = [
    value
    for module in MODULES
    for value in vars(module).values()
    if isinstance(value, type)
    and dataclasses.is_dataclass(value)
    and getattr(value, "__module__", "") == module.__name__
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: value.__name__)
def test_a_value_is_frozen(value: Any) -> None:
    assert value.__dataclass_params__.frozen
    assert "__slots__" in vars(value)


def test_the_values_are_found() -> None:
    assert {"TableNoise", "ClaimInput", "Charge", "Interval", "Shown"} <= {v.__name__ for v in VALUES}


def test_the_room_says_which_distribution_it_belongs_to() -> None:
    assert privacy.DISTRIBUTION == "fedscreen"
