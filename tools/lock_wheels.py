"""Fetch the wheels of a lock file for one machine and Python, and no others.

pip evaluates a lock's markers for the Python that runs pip, also when it downloads for another one; so the
markers are evaluated here, for the target, and pip gets plain pins. Every file must have a hash of the lock.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

GLIBC = ("2_28", "2_27", "2_26", "2_24", "2_17", "2_12", "2_5")  # of what the README asks for, and older


@dataclass(frozen=True, slots=True)
class Target:
    """A machine and a Python.

    Attributes:
        python: as "3.11".
        platforms: wheel platform tags that it takes, best first.
        system: "Linux" or "Windows".
        machine: as platform.machine() says there.
    """

    python: str
    platforms: tuple[str, ...]
    system: str
    machine: str

    @property
    def environment(self) -> dict[str, str]:
        """What a lock's markers may ask."""
        is_windows = self.system == "Windows"
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{self.python}.0",
            "os_name": "nt" if is_windows else "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": self.system,
            "platform_version": "",
            "python_full_version": f"{self.python}.0",
            "python_version": self.python,
            "sys_platform": "win32" if is_windows else "linux",
            "extra": "",
        }


def windows(python: str) -> Target:
    """Give 64-bit Windows with a Python such as "3.11"."""
    return Target(python, ("win_amd64",), "Windows", "AMD64")


def linux(python: str, machine: str) -> Target:
    """Give Linux with glibc 2.28 or newer on "x86_64" or "aarch64"."""
    tags = [f"manylinux_{version}_{machine}" for version in GLIBC]
    tags += [f"manylinux{year}_{machine}" for year in ("2014", "2010", "1")]
    return Target(python, tuple(tags), "Linux", machine)


def pins(lock: str, target: Target) -> Iterator[tuple[Requirement, tuple[str, ...]]]:
    """Give what a lock pins for a target: the requirement without its marker, and the allowed hashes.

    Raises:
        ValueError: a line is not `name==version` with at least one sha256.
    """
    for text in lock.replace("\\\n", " ").splitlines():
        words = text.split(" --hash=")
        if not words[0].strip() or words[0].lstrip().startswith("#"):
            continue
        found = Requirement(words[0].strip())
        hashes = tuple(word.strip() for word in words[1:])
        is_pinned = len(found.specifier) == 1 and str(found.specifier).startswith("==")
        if not is_pinned or not hashes or not all(word.startswith("sha256:") for word in hashes):
            raise ValueError(f"{words[0].strip()}: expected name==version with sha256 hashes")
        if found.marker is None or found.marker.evaluate(target.environment):
            found.marker = None
            yield found, hashes


def plain_lock(lock: str, target: Target) -> str:
    """Write a lock for one target: no markers, the same hashes."""
    lines = [
        f"{found} " + " ".join(f"--hash={word}" for word in hashes) for found, hashes in pins(lock, target)
    ]
    return "\n".join(lines) + "\n"


def fetch(lock: str, target: Target, folder: Path) -> list[Path]:
    """Download every wheel of a lock for a target into a folder; give their paths, sorted.

    Raises:
        subprocess.CalledProcessError: a wheel does not exist for the target, or its hash is another one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as beside:
        plain = Path(beside) / "plain.lock"
        plain.write_text(plain_lock(lock, target), "utf-8")
        command = [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"),
            *("--dest", str(folder), "--python-version", target.python, "--implementation", "cp"),
            *("--only-binary=:all:", "--require-hashes", "-r", str(plain)),
            *(word for tag in target.platforms for word in ("--platform", tag)),
        ]
        subprocess.run(command, check=True)
    return sorted(folder.glob("*.whl"))
