"""Renewal as the supervisor does it: a look at one small file, and only when it is due another process.

`node.online` loads cryptography, the card and the chain; a supervisor that idles for months should not hold
them. So the certificate's age is taken from the time its file was written, and the rest is done by the
command ``fedscreen node keys renew`` in a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

from node.config import NodeConfig, NodeFolder
from node.errors import LinkError, _
from node.launch import child_environment

LOOK_AFTER_S = 40 * 86_400.0
TIMEOUT_S = 180.0


def renew_if_due(folder: NodeFolder, config: NodeConfig) -> bool:
    """Renew the certificate if its file is so old that it may be due; tell whether there is a new one.

    Raises:
        LinkError: the county does not answer, or refuses; the old certificate stays.
    """
    path = folder.egress / "tls.crt"
    try:
        written_s = path.stat().st_mtime
    except OSError:
        return False
    if not config.address or time.time() - written_s < LOOK_AFTER_S:
        return False
    command = [sys.executable, "-m", "node.renewal", "--dir", str(folder.root)]
    try:
        done = subprocess.run(
            command, check=False, timeout=TIMEOUT_S, env=child_environment(), cwd=os.path.abspath(os.sep),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as err:
        raise _not_renewed() from err
    if done.returncode:
        raise _not_renewed()
    try:
        return path.stat().st_mtime != written_s
    except OSError:
        return False


def _not_renewed() -> LinkError:
    return LinkError(
        _("the county's server does not answer"),
        _("Check the network and give the command again, or go the way by files: 'fedscreen node request'."),
        code="no-answer",
    )


def main(arguments: list[str]) -> int:
    """Renew in this process, if it is due: `python -m node.renewal --dir DIR`."""
    from pathlib import Path

    from node.config import open_folder, read_config
    from node.errors import NodeError
    from node.online import is_renewal_due, renew_online

    try:
        folder = open_folder(Path(arguments[arguments.index("--dir") + 1]))
        if is_renewal_due(folder):
            renew_online(folder, read_config(folder))
    except NodeError:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
