"""Archives with constant times, so that the same contents are the same bytes."""

from __future__ import annotations

import io
import zipfile
from typing import Final

ZIP_TIME: Final = (1980, 1, 1, 0, 0, 0)


def constant_archive(data: bytes) -> bytes:
    """Write an archive again with constant times."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(target, "w") as archive:
        for name in source.namelist():
            entry = zipfile.ZipInfo(name, ZIP_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            entry.create_system = 3
            archive.writestr(entry, source.read(name))
    return target.getvalue()
