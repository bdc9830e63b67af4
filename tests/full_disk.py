"""Lets a school's disk run full at every kind of write: `python full_disk.py ROOT [STRIDE]`.

The process makes itself a mount namespace, puts a small file system below ROOT and works on it. For each
operation of an open vault it starts with no page free, then STRIDE, twice STRIDE … until it succeeds, each
time on a fresh copy. Then each command writes its file to the full disk. Prints one JSON object: `vault`:
for each operation how often it was refused, with which words, and everything that was wrong with the
record file afterwards; `commands`: for each command what it said, what it left, and whether it worked with
space again; `node`: whether a running node outlived it.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import pytest
from canary_school import use_desks_here
from click.testing import CliRunner
from fakes_vault import KEY
from kills.scenes import Stage

from node.cli import node as node_group
from node.vault.desk import Desk
from node.vault.errors import VaultError
from node.vault.store import VaultStore

PAGE = 4096
DISK_BYTES = 6 << 20
CLONE_NEWNS, MS_PRIVATE, MS_REC = 0x00020000, 1 << 18, 16384
MAX_STEPS = 400


def mount_small(place: Path) -> None:
    """Mount a small file system that only this process and its children see."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) or libc.mount(b"none", b"/", None, MS_PRIVATE | MS_REC, None):
        raise OSError(ctypes.get_errno(), "no mount namespace")
    options = f"mode=0755,size={DISK_BYTES}".encode()
    if libc.mount(b"tmpfs", os.fsencode(place), b"tmpfs", 0, options):
        raise OSError(ctypes.get_errno(), "no small file system")


class Disk:
    """The small file system."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.filler = place / "filler"

    def fill(self, free_bytes: int) -> None:
        """Leave this many bytes, in whole pages."""
        self.empty()
        found = os.statvfs(self.place)
        with self.filler.open("wb") as stream:
            size = found.f_bavail * found.f_frsize - free_bytes
            if size > 0:
                os.posix_fallocate(stream.fileno(), 0, size)

    def empty(self) -> None:
        """Give the space back."""
        self.filler.unlink(missing_ok=True)

    @contextmanager
    def school(self, source: Path) -> Iterator[Path]:
        """A school's folder on this disk."""
        folder = self.place / "school"
        shutil.copytree(source, folder)
        try:
            yield folder
        finally:
            self.empty()
            shutil.rmtree(folder)


def open_desk(folder: Path) -> Desk:
    store = VaultStore(folder / "vault" / "vault.db", KEY)
    return Desk(store, entropy=os.urandom, now=lambda: datetime.now(UTC), level="L3", software=bytes(32))


Work = Callable[[Desk], object]


def operations(stage: Stage) -> dict[str, tuple[str, Work]]:
    """What a vault writes: by name the stage that it starts from, and the work."""
    log_report(stage)
    files = {path.stem: path.read_bytes() for path in (stage.root / "files").iterdir()}
    round_id = stage.round_id.hex()
    page = stage.county.federation.page(0, None, datetime.now(UTC).replace(microsecond=0))
    entries = list(page.entries)

    def log_page(desk: Desk) -> None:
        desk.on_log(page.start, entries, page.latest, page.cosigned)

    def asks(command: str, given: dict[str, bytes] | None = None, /, **fields: Any) -> Work:
        return lambda desk: desk.handle({"command": command, **fields}, given or {})

    return {
        "open": ("released", lambda desk: None),
        "migrate": ("older", lambda desk: None),
        "import": ("enrolled", asks("import", files, round=round_id, by="x")),
        "undo import": ("imported", asks("undo_import", by="x")),
        "release": ("imported", asks("release", round=round_id, by="x")),
        "hold": ("released", asks("hold", on=1)),
        "log page": ("released", log_page),
        "receipt": ("released", lambda desk: receipt(stage, desk)),
        "backup": ("released", asks("backup_begin")),
    }


class Request:
    """What the coordinator's service reads of a request."""

    def __init__(self, payload: bytes) -> None:
        self.payload = payload


def log_report(stage: Stage) -> bytes:
    """Put the report of the stage `released` into the county's log; returns its immediate receipt."""
    desk = open_desk(stage_copy(stage, "released"))
    try:
        payload = desk.outgoing()
    finally:
        desk.close()
    if payload is None:
        raise LookupError("no report waits")
    return bytes(stage.county.SubmitReport(Request(payload), None).receipt)


def receipt(stage: Stage, desk: Desk) -> None:
    """Take the receipt of this node's own report, as the coordinator gives it."""
    if not desk.on_receipt(log_report(stage)):
        raise LookupError("the receipt proves nothing")


def facts(folder: Path) -> dict[str, object]:
    """What must be whole: pages, journal, and how much there is of everything."""
    desk = open_desk(folder)
    try:
        checked, _files = desk.handle({"command": "check_store"}, {})
        tables = ("record", "record_set", "charge", "report", "receipt", "log_entry")
        counts = {name: desk.store.query(f"SELECT count(*) FROM {name}")[0][0] for name in tables}
        payloads = [bytes(row[0]).hex()[:64] for row in desk.store.query("SELECT payload FROM report")]
        return {
            "damaged": checked["damaged"],
            "journal": checked["journal_records"],
            **counts,
            "bytes": payloads,
        }
    finally:
        desk.close()


def sweep(disk: Disk, stage: Stage, name: str, start: str, work: Work, stride: int) -> dict[str, Any]:
    """Give an operation no page, then more and more until it succeeds."""
    found: dict[str, Any] = {"refused": 0, "words": [], "wrong": []}
    for step in range(0, MAX_STEPS, stride):
        with disk.school(stage.root / start) as folder:
            before = facts(stage_copy(stage, start))
            error = attempt(disk, folder, work, step * PAGE)
            after = facts(folder)
            if error is None:
                found["steps"] = step
                return found
            found["refused"] += 1
            words = f"{error.code}: {error}" if isinstance(error, VaultError) else repr(error)
            found["words"] = sorted({*found["words"], words})
            if after["damaged"]:
                found["wrong"].append(f"{step}: damaged {after['damaged']}")
            for key in before:
                if key not in ("damaged", "journal") and not may_be(name, key, before[key], after[key]):
                    found["wrong"].append(f"{step}: {key} {before[key]} -> {after[key]}")
            again = attempt(disk, folder, work, None)
            if again is not None:
                found["wrong"].append(f"{step}: with space again: {again}")
            elif facts(folder)["damaged"]:
                found["wrong"].append(f"{step}: damaged after it was done again")
    found["wrong"].append("never succeeded")
    return found


def may_be(name: str, key: str, before: object, after: object) -> bool:
    """A release writes its charge in a transaction of its own; everything else is all or nothing."""
    return before == after or (name == "release" and key == "charge" and after == 1)


_copies: dict[str, Path] = {}


def stage_copy(stage: Stage, start: str) -> Path:
    """A copy of a stage on the large disk, only read."""
    if start not in _copies:
        _copies[start] = stage.root / f"{start}-to-read"
        shutil.copytree(stage.root / start, _copies[start])
    return _copies[start]


def attempt(disk: Disk, folder: Path, work: Work, free_bytes: int | None) -> Exception | None:
    """Open the vault and work, with this much space; give what it raised."""
    disk.empty()
    if free_bytes is not None:
        disk.fill(free_bytes)
    try:
        desk = open_desk(folder)
        try:
            work(desk)
        finally:
            desk.close()
    except Exception as err:
        return err
    finally:
        disk.empty()
    return None


# ---------------------------------------------------------------- outside of the vault


def commands(stage: Stage, disk: Disk) -> dict[str, tuple[str, list[str], str]]:
    """Commands that write a file: by name the stage, the rest of the line, and the file."""
    out = disk.place / "out"
    options, round_id = stage.files, stage.round_id.hex()[:16]
    target = ["--dry-run", "--round", round_id]
    passphrase = stage.root / "passphrase"
    passphrase.write_text("vier ganz verschiedene Woerter\n")
    passphrase.chmod(0o600)
    recovery = ["--with-passphrase", "--code-file", str(passphrase), "--out", f"{out}/r.recovery"]
    return {
        "report": ("imported", ["--out", f"{out}/hand-in.html"], "hand-in.html"),
        "request": ("enrolled", ["--out", f"{out}/request.json"], "request.json"),
        "import": ("enrolled", [*options, *target, "--report", f"{out}/report.html"], "report.html"),
        "profile guess": ("enrolled", [options[1], "--out", f"{out}/profile.toml"], "profile.toml"),
        "backup": ("released", ["--out", f"{out}/node.backup"], "node.backup"),
        "recovery make": ("released", recovery, "r.recovery"),
        "receipt write": ("released", [round_id, "--out", f"{out}/a.tlog-proof"], "a.tlog-proof"),
        "outbox export": ("released", ["--out", f"{out}/stick"], "stick"),
    }


def invoke(stage: Stage, name: str, folder: Path, rest: list[str]) -> dict[str, Any]:
    """Run a command in this process; give what it said as JSON."""
    os.environ |= {"CREDENTIALS_DIRECTORY": str(stage.root), "LANGUAGE": "en"}
    found = CliRunner().invoke(node_group, [*name.split(), "--dir", str(folder), *rest, "--json"])
    try:
        values = json.loads(found.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        values = {"error": "no JSON", "message": found.output[-300:] + repr(found.exception)}
    return {"exit": found.exit_code, **{key: values.get(key, "") for key in ("error", "message", "advice")}}


def write_to_full_disk(stage: Stage, disk: Disk, name: str) -> dict[str, Any]:
    """A command whose file has no room; then again with room."""
    start, rest, file = commands(stage, disk)[name]
    out = disk.place / "out"
    out.mkdir()
    folder = stage.root / f"{start}-for-{name}"
    shutil.copytree(stage.root / start, folder)
    try:
        if name == "receipt write":
            take_receipt(stage, folder)
        disk.fill(0)
        full = invoke(stage, name, folder, rest)
        left = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
        disk.empty()
        again = invoke(stage, name, folder, rest)
        return {"full": full, "left": left, "again": again, "there": (out / file).exists()}
    finally:
        disk.empty()
        shutil.rmtree(out)
        shutil.rmtree(folder)


def take_receipt(stage: Stage, folder: Path) -> None:
    desk = open_desk(folder)
    desk.on_receipt(log_report(stage))
    desk.close()


def make_on_full_disk(stage: Stage, disk: Disk) -> dict[str, Any]:
    """A new node on a full disk: node.toml, users' folders, record file."""
    folder = disk.place / "new"
    rest = ["--federation", "county", "--id", "s1", "--operator", "x"]
    found = {}
    for pages in (0, 1, 3, 6, 9):
        disk.fill(pages * PAGE)
        found[str(pages)] = invoke(stage, "init", folder, rest)
        disk.empty()
    again = invoke(stage, "init", folder, rest)
    shutil.rmtree(folder)
    return {"full": found, "again": again, "there": True, "left": []}


def run_on_full_disk(stage: Stage, disk: Disk) -> dict[str, Any]:
    """A node whose disk fills up while it runs: it goes on, and reports when there is room again."""
    stage.county.federation.entries.pop()  # the report that `log_report` put there
    stage.county.reports.clear()
    with disk.school(stage.root / "released") as folder, (disk.place / "log").open("wb") as log:
        disk.fill(2 * PAGE)
        process = subprocess.Popen(
            stage.supervise(folder), stdin=subprocess.PIPE, stdout=log, stderr=log, env=stage.environment()
        )
        try:
            assert process.stdin is not None
            process.stdin.write(KEY)
            process.stdin.close()
            time.sleep(1.5)
            is_alive, log_size = process.poll() is None, os.stat(disk.place / "log").st_size
            disk.empty()
            until_s = time.monotonic() + 20
            while not stage.county.reports and time.monotonic() < until_s:
                time.sleep(0.05)
            is_alive_then = process.poll() is None
        finally:
            process.terminate()
            code = process.wait(20)
        return {
            "alive while full": is_alive,
            "alive then": is_alive_then,
            "log": log_size,
            "reported": len(set(stage.county.reports)),
            "exit": code,
            "facts": facts(folder),
        }


def main() -> int:
    root, stride = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    (root / "stages").mkdir()
    stage = Stage(root / "stages")
    small = root / "small"
    small.mkdir()
    mount_small(small)
    disk = Disk(small)
    use_desks_here(pytest.MonkeyPatch())  # what is written outside is written by the command's own process
    found: dict[str, Any] = {"vault": {}, "commands": {}}
    for name, (start, work) in operations(stage).items():
        found["vault"][name] = sweep(disk, stage, name, start, work, stride)
    for name in commands(stage, disk):
        found["commands"][name] = write_to_full_disk(stage, disk, name)
    found["commands"]["init"] = make_on_full_disk(stage, disk)
    found["node"] = run_on_full_disk(stage, disk)
    stage.close()
    print(json.dumps(found, ensure_ascii=False, indent=1), flush=True)
    return 0


if __name__ == "__main__":
    os._exit(main())
