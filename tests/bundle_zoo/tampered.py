"""All tampered bundles, by name; see `bundle_zoo.tampering` for what an entry says."""

from bundle_zoo import (
    tampered_bodies,
    tampered_changes,
    tampered_fields,
    tampered_files,
    tampered_heads,
    tampered_numbers,
    tampered_order,
    tampered_rosters,
    tampered_spelling,
)
from bundle_zoo.tampering import INCOMPLETE, TAMPERED, Tampered

PARTS = (
    tampered_files,
    tampered_heads,
    tampered_order,
    tampered_fields,
    tampered_bodies,
    tampered_numbers,
    tampered_spelling,
    tampered_rosters,
    tampered_changes,
)
"""Each has put its own into `TAMPERED`."""

__all__ = ["INCOMPLETE", "PARTS", "TAMPERED", "Tampered"]
