"""Counties at their stages (`county_stages`)."""

from county_stages import (
    agreed as agreed,
)
from county_stages import (
    at_stage as at_stage,
)
from county_stages import (
    checked as checked,
)
from county_stages import (
    closed as closed,
)
from county_stages import (
    collecting as collecting,
)
from county_stages import (
    county_folder as county_folder,
)
from county_stages import (
    county_root as county_root,
)
from county_stages import (
    enrolled as enrolled,
)
from county_stages import (
    opened as opened,
)
from county_stages import (
    released as released,
)
from county_stages import (
    reported as reported,
)
from county_stages import (
    stages as stages,
)
