"""What several tests of the wall share: node directories, a running supervisor, waiting."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fakes_desk import fake_vault
from fakes_log_server import SERVER_NAME, LogServer, make_node

from node.config import NodeConfig, NodeFolder, write_config
from node.supervise import Supervisor

TESTS = Path(__file__).resolve().parent
IS_ROOT = os.geteuid() == 0
VAULT_UID, EGRESS_UID = (61901, 61902) if IS_ROOT else (0, 0)
KEY = bytes(range(32))


def make_config(**changes: Any) -> NodeConfig:
    values: dict[str, Any] = {
        "federation": "county",
        "node": "school-1",
        "key_source": "credential",
        "vault_uid": VAULT_UID,
        "egress_uid": EGRESS_UID,
        "poll_s": 0.1,
        "timeout_s": 5.0,
    }
    return NodeConfig(**(values | changes))


def make_folder(root: Path, coordinator: LogServer | None = None) -> NodeFolder:
    """A node's directory, with a certificate of the coordinator's CA."""
    folder = NodeFolder(root)
    for path in (folder.vault, folder.egress, folder.receipts):
        path.mkdir(parents=True, mode=0o700)
    if coordinator is not None:
        pair = make_node(coordinator.ca)
        (folder.egress / "tls.key").write_bytes(pair.key_pem)
        (folder.egress / "tls.crt").write_bytes(pair.certificate_pem)
        (folder.egress / "ca.crt").write_bytes(coordinator.ca.certificate_pem)
    return folder


@contextmanager
def supervised(
    folder: NodeFolder, port: int, *, key: bytes = KEY, record: Path | None = None, **changes: Any
) -> Iterator[Supervisor]:
    """Run a supervisor with the fake desk in a thread, and stop it afterwards."""
    config = make_config(**{"address": f"127.0.0.1:{port}", "server_name": SERVER_NAME, **changes})
    write_config(folder, config)
    supervisor = Supervisor(folder, config, key, record_frames=record, vault=fake_vault(TESTS, VAULT_UID))
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(supervisor.run()))
    thread.start()
    try:
        yield supervisor
    finally:
        supervisor.stop()
        thread.join(30)
    assert codes == [0]


def wait_until(condition: Callable[[], Any], timeout_s: float = 20.0) -> Any:
    """Wait for something and give it."""
    until_s = time.monotonic() + timeout_s
    while time.monotonic() < until_s:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


def running(folder: NodeFolder) -> dict[str, Any]:
    """What the supervisor says of its two sides; empty while it says nothing."""
    try:
        return dict(json.loads(folder.running.read_text()))
    except (OSError, ValueError):
        return {}


def pids(folder: NodeFolder) -> tuple[int, int] | None:
    """The pids of vault and egress when both run."""
    values = running(folder)
    found = (values.get("vault", {}).get("pid", 0), values.get("egress", {}).get("pid", 0))
    return found if all(found) else None
