"""Build this project's wheel from what is committed, so that anybody gets the same bytes.

    python tools/build_wheel.py --out dist

Beside it stand verify_standalone.py, the second verifier, and release.json, the digests of that and of
every file in the wheel, for `fedscreen auditor install verify` (`release_digests.py`); its SHA-256 is
printed, to be told by another way.

The tree is taken from git, not from the folder: nothing that lies about gets in. Times inside the wheel are
the commit's (SOURCE_DATE_EPOCH); names, order and modes are hatchling's. The bytes are the same for the same
commit, hatchling (pinned in requirements-dev.lock) and zlib.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from release_digests import copy_programs, write_release

ROOT = Path(__file__).resolve().parent.parent
RELEASE = "release.json"


def git(*words: str) -> bytes:
    """Ask git about this repository."""
    program = shutil.which("git") or "git"
    return subprocess.run([program, *words], cwd=ROOT, check=True, capture_output=True).stdout


def resolve(name: str) -> str:
    """Give the full id of a commit, so that a branch that moves meanwhile changes nothing."""
    return git("rev-parse", "--verify", f"{name}^{{commit}}").decode("ascii").strip()


def commit_time(commit: str) -> int:
    """Give a commit's time in seconds since 1970."""
    return int(git("log", "-1", "--format=%ct", commit))


def export(commit: str, folder: Path) -> None:
    """Write a commit's files into a folder."""
    with tarfile.open(fileobj=io.BytesIO(git("archive", "--format=tar", commit))) as archive:
        archive.extractall(folder, filter="data")


def build(commit: str, out: Path) -> Path:
    """Build the wheel of a commit into a folder; give its path."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        export(commit, Path(place))
        environ = {**os.environ, "SOURCE_DATE_EPOCH": str(commit_time(commit)), "PYTHONHASHSEED": "0"}
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out.resolve())]
        subprocess.run(command, cwd=place, env=environ, check=True, stdout=subprocess.DEVNULL)
    return max(out.glob("fedscreen-*.whl"), key=lambda path: path.stat().st_mtime_ns)


def main() -> int:
    """Build, and print name and SHA-256; with ``--twice`` build again elsewhere and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument("--commit", default="HEAD")
    parser.add_argument("--twice", action="store_true", help="build a second time and compare the bytes")
    options = parser.parse_args()
    commit = resolve(options.commit)
    wheel = build(commit, options.out)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    print(f"{digest}  {wheel.name}")
    copy_programs(options.out, lambda name: git("show", f"{commit}:{name}"))
    print(f"{write_release(wheel, (), options.out / RELEASE, commit)}  {RELEASE}")
    if not options.twice:
        return 0
    with tempfile.TemporaryDirectory() as place:
        again = build(commit, Path(place) / "another" / "place")
        is_same = again.read_bytes() == wheel.read_bytes()
    print("a second build gives the same bytes" if is_same else "a second build gives OTHER bytes")
    return 0 if is_same else 1


if __name__ == "__main__":
    sys.exit(main())
