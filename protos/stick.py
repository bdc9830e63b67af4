"""Files on a removable medium: their names, and opening one without being led anywhere else.

A stick comes from outside, and whatever lies on it may have been put there by somebody else. So what is
read is a regular file of bounded size, opened without following a link and without waiting for a pipe; names
are made of ids that were checked, never taken from the stick. Spec: docs/air-gapped.md "The files"; ADR 25.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from protos.errors import TripFileError
from protos.trip_file import MAX_TRIP_BYTES

_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


def to_auditor_path(stick: Path, auditor: str) -> Path:
    """Name the file for an auditor on a stick."""
    return stick / f"to-{auditor}.trip"


def from_auditor_path(stick: Path, auditor: str) -> Path:
    """Name the file of an auditor's answer on a stick."""
    return stick / f"from-{auditor}.trip"


def open_on_stick(path: Path) -> BinaryIO:
    """Open a file of a stick for reading.

    Raises:
        TripFileError: ``no-file``, ``not-a-file`` (a link, a folder, a pipe, a device) or ``too-large``.
        OSError: it cannot be read.
    """
    try:
        descriptor = os.open(path, _FLAGS)
    except FileNotFoundError as err:
        raise TripFileError("no-file", f"{path} is not there") from err
    except OSError as err:
        if err.errno in (errno.ELOOP, errno.EMLINK, errno.EISDIR, errno.ENXIO):
            raise TripFileError("not-a-file", f"{path} is a link, a folder or a pipe") from err
        raise
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_TRIP_BYTES:
        os.close(descriptor)
        code = "too-large" if stat.S_ISREG(found.st_mode) else "not-a-file"
        raise TripFileError(code, f"{path}: expected a file of at most {MAX_TRIP_BYTES} bytes")
    return os.fdopen(descriptor, "rb")
