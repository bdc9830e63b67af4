"""Counties that the tests of results share."""

from dataclasses import replace

import pytest
from fakes_release import County, autumn_plan, make_county


@pytest.fixture(scope="session")
def county() -> County:
    """A county whose schools all are 六三: 6,000 pupils, the tables of autumn-full."""
    return make_county(replace(autumn_plan(), systems=("6-3",)), 6000, 1)


@pytest.fixture(scope="session")
def mixed_county() -> County:
    """A county with 六三 and 五四 schools: grade 6 is of two stages."""
    return make_county(autumn_plan(), 3000, 2)


@pytest.fixture(scope="session")
def tiny_county() -> County:
    """A county of 40 pupils, where hardly anything can be said."""
    return make_county(replace(autumn_plan(), systems=("6-3",)), 40, 3)
