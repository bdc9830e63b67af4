"""Put everything into one folder that a Linux machine without a network needs: a school's, an auditor's.

    python tools/wheelhouse.py --wheel dist/fedscreen-0.1.0-py3-none-any.whl --out dist/wheelhouse

For Linux on x86-64 and arm64 and Python 3.11 to 3.14; `--python` and `--machine` choose fewer. There:

    python3 -m venv /opt/fedscreen
    cd wheelhouse && sha256sum -c SHA256SUMS
    /opt/fedscreen/bin/pip install --no-index --find-links . --require-hashes -r requirements-node.lock
    /opt/fedscreen/bin/pip install --no-index --find-links . --no-deps fedscreen

An auditor or inspector takes requirements-auditor.lock instead, which has what evidence packs need.
release.json has the digest of every file that is then installed, for `fedscreen auditor install verify`.
SHA256SUMS names every file; its own digest is printed, to be compared by another way than the stick.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from lock_wheels import Target, fetch, linux, pins
from release_digests import LOCKS, copy_programs, lock_text, locked, write_release

ROOT = Path(__file__).resolve().parent.parent
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
MACHINES = ("x86_64", "aarch64")


def fill(lock: str, targets: Iterable[Target], folder: Path) -> list[str]:
    """Fetch the wheels of every target; give a line for each target for which one does not exist."""
    missing = []
    for target in targets:
        try:
            fetch(lock, target, folder)
        except subprocess.CalledProcessError:
            missing.append(f"Python {target.python} on {target.machine}: not every wheel exists")
    return missing


def write_sums(folder: Path) -> str:
    """Write SHA256SUMS over every file of a folder; give its own digest."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and path.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    text = "".join(lines).encode()
    (folder / "SHA256SUMS").write_bytes(text)
    return hashlib.sha256(text).hexdigest()


def _released(beside: Path, name: str) -> bytes:
    """Give a program as `build_wheel.py` put it beside the wheel, else the tree's."""
    return (beside if beside.is_file() else ROOT / name).read_bytes()


def main() -> int:
    """Fill a folder; exit code 1 if a wheel is missing for a target."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--wheel", type=Path, required=True, help="this project's own wheel")
    parser.add_argument("--out", type=Path, default=ROOT / "dist" / "wheelhouse")
    parser.add_argument("--python", action="append", choices=PYTHONS)
    parser.add_argument("--machine", action="append", choices=MACHINES)
    options = parser.parse_args()
    locks = [(ROOT / name).read_text("utf-8") for name in LOCKS]
    targets = [
        linux(python, name) for name in options.machine or MACHINES for python in options.python or PYTHONS
    ]
    options.out.mkdir(parents=True, exist_ok=True)
    missing = [line for lock in locks for line in fill(lock, targets, options.out)]
    for path in (options.wheel, *(ROOT / name for name in LOCKS)):
        shutil.copy(path, options.out)
    copy_programs(options.out, lambda name: _released(options.wheel.parent / Path(name).name, name))
    libraries = locked(options.out.glob("*.whl"), lock_text())
    release = write_release(options.wheel, libraries, options.out / "release.json")
    digest = write_sums(options.out)
    num_packages = len(
        {found.name for lock in locks for target in targets for found, _h in pins(lock, target)}
    )
    num_files = len(list(options.out.glob("*.whl")))
    print(f"{num_files} wheels of {num_packages} packages and fedscreen in {options.out}")
    print(f"SHA256SUMS: {digest}")
    print(f"release.json: {release}")
    for line in missing:
        print(line)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
