"""One school of the matrix, in one interpreter: report once (`make`), or replay that report (`replay`).

    school.py make FOLDER                 a throw-away node in FOLDER reports; key and round stay beside it
    school.py replay FOLDER [NAME=VALUE…] [-O|-OO]    a confined vault replays it, with this environment

Both print one JSON object. Environment and flags go to the *vault*, which is otherwise started without any of
the caller's: `env` stands in front of its command line.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from node import launch
from node.audit_canaries import SCHOOLS, SYSTEM, canary_files, canary_plan, make_canaries
from node.audit_scratch import make_scratch_node, now
from node.config import NodeConfig, NodeFolder, read_config
from node.session import open_vault

KEY, ROUND, NODE = "key", "round", "node"


def vault_under(environ: list[str], flags: list[str]) -> Any:
    """Give the command line of a vault that gets this environment and these flags of Python."""

    def command(folder: NodeFolder, config: NodeConfig, mode: str) -> list[str]:
        plain = launch.vault_command(folder, config, mode)
        return ["/usr/bin/env", *environ, plain[0], *flags, *plain[1:]]

    return command


@contextmanager
def vault_of(root: Path, environ: list[str], flags: list[str]) -> Any:
    """Open the vault of a school that was made."""
    folder = NodeFolder(root / NODE)
    config, key = read_config(folder), (root / KEY).read_bytes()
    with open_vault(folder, config, key, command=vault_under(environ, flags)) as vault:
        yield vault


def make(root: Path, environ: list[str], flags: list[str]) -> dict[str, Any]:
    """Report, and let the report stand in the log that the node has."""
    root.mkdir(parents=True, exist_ok=True)
    document, canaries = canary_plan(now()), make_canaries(os.urandom)
    node = make_scratch_node(root, document, SCHOOLS, "L3", attributes={}, system=SYSTEM)
    with mock.patch("node.audit_scratch.open_vault", _opener(environ, flags)), node.vault() as vault:
        node.enrol(vault)
        round_id = node.county.publish(document).hex()
        node.read_log(vault)
        answer, _files = vault.call({"command": "import", "round": round_id}, canary_files(canaries, now()))
        vault.call({"command": "release", "round": round_id, "by": "matrix"})
        (payload,) = vault.call({"command": "outbox_export"})[1].values()
        node.county.take_report(payload)
        node.read_log(vault)
    (root / KEY).write_bytes(node.key)
    (root / ROUND).write_text(round_id)
    return {"records": answer["counts"]["records"], "bytes": len(payload)}


def _opener(environ: list[str], flags: list[str]) -> Any:
    return lambda folder, config, key: open_vault(folder, config, key, command=vault_under(environ, flags))


def replay(root: Path, environ: list[str], flags: list[str]) -> dict[str, Any]:
    """Replay the report in a vault of its own."""
    with vault_of(root, environ, flags) as vault:
        asks = {"command": "recompute", "round": (root / ROUND).read_text(), "attempt": 0}
        answer: dict[str, Any] = vault.call(asks)[0]
    return answer


def main(arguments: list[str]) -> int:
    """Do one of the two."""
    action, root, *rest = arguments
    environ = [word for word in rest if not word.startswith("-")]
    flags = [word for word in rest if word.startswith("-")]
    done = {"make": make, "replay": replay}[action](Path(root), environ, flags)
    print(json.dumps({"python": sys.version.split()[0], "optimised": sys.flags.optimize, **done}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
