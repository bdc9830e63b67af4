"""What `doctor` looks at on the machine itself: Python, packages, kernel, user, wall, disk, permissions, key.

The wall is really tried: a vault is started and locks itself down, but it gets no key, so it opens nothing.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from node import unwrap
from node.config import NodeConfig, NodeFolder
from node.confine import LEVELS
from node.doctor import Finding, bad, doubtful, good, skipped
from node.errors import Detail, NodeError
from node.errors import _ as N_
from node.frames import COMMAND_VAULT_SENDS, EGRESS_SENDS
from node.landlock import supported_abi
from node.launch import close_pipe, egress_command, start_side, vault_command
from node.seccomp import is_supported
from node.windows_calls import find_windows

OLDEST_PYTHON, NEWEST_PYTHON = (3, 11), (3, 14)
MIB = 1024 * 1024
FULL_BYTES, LOW_BYTES = 100 * MIB, 1024 * MIB
NETWORK_FILE_SYSTEMS = frozenset(
    (
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "9p",
        "ceph",
        "afs",
        "davfs",
        "glusterfs",
        "vboxsf",
        "fuse.sshfs",
    )
)
NO_PERMISSIONS = frozenset(["vfat", "exfat", "msdos", "fuseblk", "ntfs3"])

_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?([^;]*)(?:;.*extra == ['\"]([a-z]+)['\"])?")
_BOUND = re.compile(r"(>=|<)([0-9.]+)")


def check_python(version: tuple[int, int], full: str) -> Finding:
    """Judge the version of Python."""
    if version < OLDEST_PYTHON:
        return bad(
            "python",
            N_("Python %(version)s, needed is 3.11 or newer"),
            N_("Install a newer Python and make the environment again (docs/node.md)."),
            version=full,
        )
    if version > NEWEST_PYTHON:
        return doubtful(
            "python",
            N_("Python %(version)s; this program was tested up to 3.14"),
            N_("If something does not work, use Python 3.14."),
            version=full,
        )
    return good("python", N_("%(version)s"), version=full)


def check_packages(requirements: Sequence[str] | None = None) -> Finding:
    """Compare the installed packages with what the program asks for.

    Args:
        requirements: as a distribution names them; default: those of the installed fedscreen.
    """
    if requirements is None:
        try:
            requirements = importlib.metadata.requires("fedscreen") or ()
        except importlib.metadata.PackageNotFoundError:
            return doubtful(
                "packages",
                N_("fedscreen itself is not installed as a package, so its requirements are not known"),
                N_("Install it as docs/node.md says."),
            )
    found, wrong = [], []
    for name, bounds in _needed(requirements):
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(name)
            continue
        found.append(f"{name} {version}")
        if not _fits(version, bounds):
            wrong.append(f"{name} {version} ({bounds.strip()})")
    if wrong:
        return bad(
            "packages",
            N_("missing, or of another version than needed: %(wrong)s"),
            N_("Install them again: pip install --require-hashes -r requirements-node.lock"),
            wrong=", ".join(wrong),
        )
    return good("packages", N_("%(found)s"), found=", ".join(found))


def _needed(requirements: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Give (name, bounds) of what a node needs: no extra, or the extra `node`."""
    for text in requirements:
        match = _REQUIREMENT.match(text)
        if match is not None and match[3] in (None, "node") and "extra" not in match[2]:
            yield match[1], match[2]


def _fits(version: str, bounds: str) -> bool:
    have = _numbers(version)
    return all(
        have >= _numbers(number) if sign == ">=" else have < _numbers(number)
        for sign, number in _BOUND.findall(bounds)
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.split("+")[0])[:4])


def check_kernel(config: NodeConfig, abi: int | None = None, has_seccomp: bool | None = None) -> Finding:
    """Tell which parts of the wall this kernel has."""
    if sys.platform == "win32":
        return check_windows(config, platform.release())
    abi = supported_abi() if abi is None else abi
    has_seccomp = is_supported() if has_seccomp is None else has_seccomp
    details: dict[str, Detail] = {"system": platform.system(), "release": platform.release(), "abi": abi}
    details["seccomp"] = "yes" if has_seccomp else "no"
    text = N_("%(system)s %(release)s: Landlock ABI %(abi)d, seccomp: %(seccomp)s")
    if config.confinement_floor == "L3" and (abi < 1 or not has_seccomp):
        advice = N_("Level L3 needs Linux 6.7 or newer, with seccomp and Landlock switched on.")
        return bad("kernel", text, advice, **details)
    if abi < 4:
        advice = N_("Linux 6.7 or newer closes the network a second time (Landlock ABI 4).")
        return doubtful("kernel", text, advice, **details)
    return good("kernel", text, **details)


def check_windows(config: NodeConfig, release: str) -> Finding:
    """Tell what Windows can give at most, and what this node asks for."""
    details: dict[str, Detail] = {"release": release, "floor": config.confinement_floor}
    text = N_("Windows %(release)s reaches L1 at most; this node's floor is %(floor)s")
    if LEVELS.index(config.confinement_floor) > LEVELS.index("L1"):
        advice = N_("Set confinement_floor to L1 or L0 if this school's policy allows it, or use Linux.")
        return bad("kernel", text, advice, **details)
    return good("kernel", text, **details)


def check_user(config: NodeConfig, euid: int) -> Finding:
    """Tell whether whoever runs this is who set the node up: root, or an ordinary user."""
    is_root, was_root = euid == 0, config.vault_uid != 0
    if is_root == was_root:
        text = N_("root, as at 'node init'") if is_root else N_("user %(uid)d, an ordinary one")
        return good("user", text, uid=euid)
    if was_root:
        return bad(
            "user",
            N_("this node was set up by root, user %(uid)d cannot run it"),
            N_("Run it as root (sudo), or through its systemd unit."),
            uid=euid,
        )
    return bad(
        "user",
        N_("this node was set up by an ordinary user, root cannot run it"),
        N_("Run it as that user (sudo -u NAME), or through its systemd unit."),
        uid=euid,
    )


def check_confinement(folder: NodeFolder, config: NodeConfig, address: str) -> Finding:
    """Start both sides without key and network, and see which level they reach.

    Args:
        folder, config: the node.
        address: IP address of the county, for the egress's rule; empty tries the vault only.
    """
    commands = {"vault": (vault_command(folder, config, "command"), COMMAND_VAULT_SENDS)}
    if address:
        commands["egress"] = (egress_command(folder, config, address), EGRESS_SENDS)
    levels = {}
    for name, (command, kinds) in commands.items():
        try:
            side = start_side(name, command, kinds)
        except NodeError as err:
            advice = err.advice or N_("Correct what it names; nothing starts before the wall stands.")
            return bad("confinement", err.message, advice, **err.details)
        levels[name] = side.confinement.level
        side.stop()
        close_pipe(side.process.stdout)
        close_pipe(side.process.stderr)
    shown = ", ".join(f"{name} {level}" for name, level in levels.items())
    if min(levels.values(), key=LEVELS.index) == "L3":
        return good("confinement", N_("reached: %(levels)s"), levels=shown)
    on_windows = N_("What L0 and L1 prove on Windows, and how to reach L1: docs/windows.md.")
    return doubtful(
        "confinement",
        N_("reached: %(levels)s, and L3 is the highest; every report says so"),
        on_windows if os.name == "nt" else N_("Linux 6.7 or newer with seccomp and Landlock gives L3."),
        levels=shown,
    )


def check_disk(folder: NodeFolder, free_bytes: int | None = None) -> Finding:
    """Look at free space, and write a file."""
    try:
        free = shutil.disk_usage(folder.root).free if free_bytes is None else free_bytes
        beside = folder.root / f".doctor.{os.getpid()}"
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, b"fedscreen node doctor\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
            beside.unlink()
    except OSError as err:
        return bad(
            "disk",
            N_("nothing can be written in %(folder)s (%(reason)s)"),
            N_("Check the disk, and that the folder belongs to whoever runs the node."),
            folder=str(folder.root),
            reason=err.strerror or "",
        )
    text = N_("%(free)d MB are free, files can be written")
    if free < LOW_BYTES:
        advice = N_("Free some space: a full disk stops the node; nothing is lost by it.")
        make = bad if free < FULL_BYTES else doubtful
        return make("disk", text, advice, free=free // MIB)
    return good("disk", text, free=free // MIB)


def check_file_system(folder: NodeFolder, mounts: str | None = None) -> Finding:
    """Tell what kind of file system the folder lies on; a network drive cannot keep the record file."""
    windows = find_windows()
    if windows is not None:
        return check_drive(is_remote=windows.is_network_drive(folder.root))
    if mounts is None:
        try:
            mounts = Path("/proc/self/mountinfo").read_text("utf-8", "replace")
        except OSError:
            return skipped("file-system", N_("this system does not tell what kind of file system it is"))
    kind = file_system_of(folder.root, mounts)
    if kind in NETWORK_FILE_SYSTEMS:
        return check_drive(is_remote=True, kind=kind)
    if kind in NO_PERMISSIONS:
        return bad(
            "file-system",
            N_("the folder lies on a file system without permissions (%(kind)s), such as a USB stick's"),
            N_("Move it to this computer's own disk."),
            kind=kind,
        )
    return good("file-system", N_("%(kind)s"), kind=kind or "?")


def check_drive(*, is_remote: bool, kind: str = "Windows") -> Finding:
    """Judge whether the folder lies on another machine's disk."""
    if not is_remote:
        return good("file-system", N_("%(kind)s"), kind=kind)
    return bad(
        "file-system",
        N_("the folder lies on a network drive (%(kind)s)"),
        N_("Move it to a local disk: the record file is not safe on a network drive."),
        kind=kind,
    )


def file_system_of(path: Path, mounts: str) -> str:
    """Find the type of the file system that a path lies on, in the text of /proc/self/mountinfo."""
    best, kind = -1, ""
    for line in mounts.splitlines():
        left, _dash, right = line.partition(" - ")
        words = left.split()
        place = words[4].replace("\\040", " ") if len(words) > 4 else ""
        if place and right and path.is_relative_to(place) and len(place) >= best:
            best, kind = len(place), right.split()[0]
    return kind


def check_permissions(folder: NodeFolder) -> Finding:
    """Compare who may read and write what in the node's folder."""
    if os.name != "posix":
        return skipped("permissions", N_("this system has other permissions than these"))
    private, public = stat.S_IRWXG | stat.S_IRWXO, stat.S_IWGRP | stat.S_IWOTH
    rules = (
        *((path, private) for path in (folder.vault, folder.egress, folder.egress / "tls.key")),
        *((path, private) for path in (folder.key_file, folder.vault / "vault.db")),
        *((path, public) for path in (folder.root, folder.config, folder.receipts)),
    )
    for path, forbidden in rules:
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            continue
        except OSError as err:
            return bad(
                "permissions",
                N_("%(file)s cannot be looked at (%(reason)s)"),
                N_("Run this as the user that the node belongs to."),
                file=str(path),
                reason=err.strerror or "",
            )
        if mode & forbidden:
            return bad(
                "permissions",
                N_("others may use %(file)s (mode %(mode)s)"),
                N_("Run: chmod go-rwx %(file)s"),
                file=str(path),
                mode=f"{stat.S_IMODE(mode):o}",
            )
    return good("permissions", N_("only the node's own users may read its keys and records"))


def check_key(folder: NodeFolder, config: NodeConfig) -> Finding:
    """Tell what wraps the database key, and whether it is there."""
    if unwrap.has_key(folder, config.key_source):
        return good("key", N_("kept by: %(source)s"), source=config.key_source)
    if config.key_source == "credential":
        return bad(
            "key",
            N_("the database key is a systemd credential, and this command was not given it"),
            N_("Run it through systemd (systemd-run -p LoadCredentialEncrypted=…, docs/node.md)."),
        )
    return bad(
        "key",
        N_("%(file)s is not there; without it the records cannot be opened"),
        N_("Restore it from a backup."),
        file=str(folder.key_file),
    )


def python_version() -> tuple[tuple[int, int], str]:
    """Give this Python's version as numbers and as text."""
    return (sys.version_info.major, sys.version_info.minor), platform.python_version()
