"""A vault and an egress that leak on purpose, behind the real walls: what the search must find.

Both are the real workers with one thing changed; each process loads its own side only. Their command lines go
to `node.supervise.Supervisor`.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

from node.config import NodeConfig, NodeFolder
from node.launch import egress_command, vault_command

LEAK_FILE = "leak"
UNKNOWN_FIELD = bytes([15 << 3 | 2])  # a length-delimited field that no message of ours has

_RUN = "import sys; sys.path.insert(0, {tests!r}); import leaky_sides; sys.exit(leaky_sides.{name}())"


def run_vault() -> int:
    """Be a vault that writes the file `leak` of its folder over the masked vector of its report.

    Header and lengths stay as they are, so every check of frames lets it pass.
    """
    from node.vault import worker
    from node.vault.desk import Desk
    from node.vault.reports import all_reports, payload_of
    from node.vault.store import VaultStore
    from protos.report_payload import note_of

    def open_desk(folder: Path, key: bytes, level: str, software: bytes) -> worker.VaultDesk:
        store, leak = VaultStore(folder / "vault.db", key), (folder / LEAK_FILE).read_bytes()

        class LeakingDesk(Desk):
            def outgoing(self) -> bytes | None:
                payload = payload_of(store, all_reports(store)[-1])
                start = 4 + len(note_of(payload))
                return payload[:start] + leak + payload[start + len(leak) :]

        return LeakingDesk(
            store, entropy=secrets.token_bytes, now=worker._now, level=level, software=software
        )

    return worker.main(load=lambda: open_desk)


def run_egress() -> int:
    """Be an egress with a field of its own in every question for the log."""
    from node.egress import client, worker
    from protos import fedscreen_v1_pb2 as messages

    leak = bytes.fromhex(sys.argv.pop(1))

    def leaking(**fields: int) -> object:
        request = messages.GetLogRequest(**fields)
        request.MergeFromString(UNKNOWN_FIELD + _varint(len(leak)) + leak)
        return request

    vars(client)["pb"] = SimpleNamespace(
        GetLogRequest=leaking, SubmitReportRequest=messages.SubmitReportRequest
    )
    return worker.main()


def _varint(number: int) -> bytes:
    low = bytearray()
    while number > 127:
        low.append(number & 127 | 128)
        number >>= 7
    return bytes(low) + bytes([number])


def leaking_vault(leak: bytes) -> Callable[[NodeFolder, NodeConfig, str], list[str]]:
    """Give a command line like `node.launch.vault_command`, for a vault that leaks these bytes."""

    def command(folder: NodeFolder, config: NodeConfig, mode: str) -> list[str]:
        (folder.vault / LEAK_FILE).write_bytes(leak)
        return _replaced(vault_command(folder, config, mode), "run_vault")

    return command


def leaking_egress(leak: bytes) -> Callable[[NodeFolder, NodeConfig, str], list[str]]:
    """Give a command line like `node.launch.egress_command`, for an egress that leaks these bytes."""

    def command(folder: NodeFolder, config: NodeConfig, address: str) -> list[str]:
        honest = _replaced(egress_command(folder, config, address), "run_egress")
        return [*honest[:3], leak.hex(), *honest[3:]]

    return command


def run_supervisor() -> int:
    """Be a supervisor one of whose sides leaks: arguments side and leak (hex), then those of a supervisor."""
    from functools import partial

    from node import supervise

    side, leak = sys.argv.pop(1), bytes.fromhex(sys.argv.pop(1))
    leaking = {"vault": {"vault": leaking_vault(leak)}, "egress": {"egress": leaking_egress(leak)}}[side]
    vars(supervise)["Supervisor"] = partial(supervise.Supervisor, **leaking)  # type: ignore[arg-type]
    return supervise.main()


def leaking_supervisor(side: str, leak: bytes) -> list[str]:
    """Give the command line of a supervisor whose vault or egress leaks these bytes, for `audit selftest`."""
    runner = _RUN.format(tests=str(Path(__file__).resolve().parent), name="run_supervisor")
    return [sys.executable, "-c", runner, side, leak.hex()]


def _replaced(honest: list[str], name: str) -> list[str]:
    runner = _RUN.format(tests=str(Path(__file__).resolve().parent), name=name)
    return [honest[0], "-c", runner, *honest[3:]]
