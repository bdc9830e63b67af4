"""Write the digests of every file that an installed release has, for `fedscreen auditor install verify`.

    python tools/release_digests.py --wheel dist/fedscreen-0.1.0-py3-none-any.whl --wheels dist/wheelhouse \\
        --out dist/release.json

`build_wheel.py` writes it for the project's own wheel, `wheelhouse.py` with the libraries' wheels beside.
Only wheels with a hash of requirements-node.lock or requirements-auditor.lock are taken. The programs of
`PROGRAMS`, which stand beside it as single files, are in it under `programs`. The file is not signed: its
SHA-256 is printed, and whoever hands out releases tells it by another way than the file, as with SHA256SUMS.
The same wheels give the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("requirements-node.lock", "requirements-auditor.lock")
PROGRAMS = ("tools/verify_standalone.py",)
FORMAT = "fedscreen/release/v1"
SOFTWARE_ROOMS = ("crypto", "node", "plan", "privacy", "protos")
BY_PIP = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")


def files_of(wheel: Path) -> dict[str, str]:
    """Give path → SHA-256 of a wheel's files as they lie when installed; scripts and headers are left out."""
    found = {}
    with zipfile.ZipFile(wheel) as archive:
        for row in archive.infolist():
            parts = row.filename.split("/")
            if row.is_dir():
                continue
            if parts[0].endswith(".data"):
                if parts[1] not in ("purelib", "platlib"):
                    continue
                parts = parts[2:]
            if parts[0].endswith(".dist-info") and parts[-1] in BY_PIP:
                continue  # pip writes it anew
            found["/".join(parts)] = hashlib.sha256(archive.read(row)).hexdigest()
    return dict(sorted(found.items()))


def name_of(wheel: Path) -> str:
    """Give a wheel's project name, as in the lock."""
    return re.sub(r"[-_.]+", "-", wheel.name.split("-")[0]).lower()


def software_of(files: Mapping[str, str]) -> str:
    """Give the digest that a vault of this release puts into its reports (`node.vault.worker`)."""
    total = hashlib.sha256()
    for path, digest in sorted(files.items()):
        if path.endswith(".py") and path.split("/")[0] in SOFTWARE_ROOMS:
            total.update(path.encode() + b"\0" + bytes.fromhex(digest))
    return total.hexdigest()


def locked(wheels: Iterable[Path], lock: str) -> list[Path]:
    """Keep the wheels whose hash stands in a lock."""
    hashes = set(re.findall(r"--hash=sha256:([0-9a-f]{64})", lock))
    return [path for path in sorted(wheels) if hashlib.sha256(path.read_bytes()).hexdigest() in hashes]


def lock_text() -> str:
    """Give the locks of all that a school's or an auditor's machine installs."""
    return "".join((ROOT / name).read_text("utf-8") for name in LOCKS)


def copy_programs(
    folder: Path, read: Callable[[str], bytes] = lambda name: (ROOT / name).read_bytes()
) -> None:
    """Put the programs that are single files beside the release's digests.

    Args:
        folder: where release.json will stand.
        read: gives a file of the tree that is released, by its path in it.
    """
    for name in PROGRAMS:
        (folder / Path(name).name).write_bytes(read(name))


def release_values(
    own: Path, libraries: Iterable[Path], commit: str = "", programs: Iterable[Path] = ()
) -> dict[str, Any]:
    """Describe a release.

    Args:
        own: the project's wheel.
        libraries: the wheels that may be installed beside it.
        commit: what it was built from.
        programs: single files that stand beside it.
    """
    files = files_of(own)
    found: dict[str, dict[str, dict[str, str]]] = {}
    for wheel in libraries:
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        found.setdefault(name_of(wheel), {})[digest] = files_of(wheel)
    return {
        "format": FORMAT,
        "version": own.name.split("-")[1],
        "commit": commit,
        "wheel": hashlib.sha256(own.read_bytes()).hexdigest(),
        "software": software_of(files),
        "files": files,
        "libraries": dict(sorted(found.items())),
        "programs": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in programs},
    }


def write_release(own: Path, libraries: Iterable[Path], out: Path, commit: str = "") -> str:
    """Write the file of digests, over the programs that stand beside it too; give its SHA-256."""
    programs = [path for name in PROGRAMS if (path := out.parent / Path(name).name).is_file()]
    data = (
        json.dumps(release_values(own, libraries, commit, programs), sort_keys=True, indent=0).encode()
        + b"\n"
    )
    out.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def main() -> int:
    """Write the digests and print their SHA-256."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--wheel", type=Path, required=True)
    parser.add_argument("--wheels", type=Path, help="folder with the libraries' wheels")
    parser.add_argument("--out", type=Path, default=ROOT / "dist" / "release.json")
    options = parser.parse_args()
    found = sorted(options.wheels.glob("*.whl")) if options.wheels else []
    libraries = locked(found, lock_text())
    copy_programs(options.out.parent)
    digest = write_release(options.wheel, libraries, options.out)
    print(f"{digest}  {options.out.name}: {len(libraries)} wheels of libraries")
    return 0


if __name__ == "__main__":
    sys.exit(main())
