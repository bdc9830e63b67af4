"""Check that generated files are what their sources make: gRPC code, locks, message catalogues.

Run by `make check`; `--write-locks` rewrites the lock files instead. Not a test module: it needs the
development environment's tools, and the package registry for nothing (locks are resolved against
themselves).

The wire contract may only grow: `buf breaking` holds the .proto against the copy in `tests/protos/baseline/`.
`make protos` takes additions into that copy (`--write-baseline`) and refuses a break. A break that is meant
is a new major version: another package (`fedscreen.v2`) in another file, which is an addition; v1 goes when
no node speaks it any more, by deleting it there and in the baseline in one commit with a CHANGELOG line.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
LOCKS = {
    "requirements-node.lock": ["node", "web"],
    "requirements-auditor.lock": ["auditor", "web", "pdf", "docx"],
    "requirements-coordinator.lock": ["coordinator", "web", "pdf", "docx", "postgres"],
    "requirements-demo.lock": ["demo", "build"],
    "requirements-dev.lock": ["dev", "build"],
    "requirements-fuzz.lock": ["demo"],
    "requirements-bench-peers.lock": [],
}
SOURCES = {  # of a lock that is not made from pyproject.toml alone
    "requirements-fuzz.lock": ["pyproject.toml", "tests/fuzz/requirements.in"],
    "requirements-bench-peers.lock": ["bench/requirements-peers.in"],
}
PROTO = "protos/fedscreen_v1.proto"
BUF_FOUND = 100  # buf's exit code when a rule is broken
BASELINE = ROOT / "tests" / "protos" / "baseline"
GENERATED = ["_pb2.py", "_pb2.pyi", "_pb2_grpc.py", "_pb2_grpc.pyi"]


def compile_lock(name: str, target: Path) -> None:
    """Resolve a lock, preferring the versions that the committed lock has."""
    extras = [word for extra in LOCKS[name] for word in ("--extra", extra)]
    committed = ROOT / name
    if committed.exists() and committed != target:
        target.write_bytes(committed.read_bytes())
    sources = SOURCES.get(name, ["pyproject.toml"])
    command = [BIN / "uv", "pip", "compile", "-q", *sources, *extras, "--universal"]
    command += ["--generate-hashes", "--no-emit-index-url", "--no-header", "--no-annotate", "-o", target]
    subprocess.run(command, cwd=ROOT, check=True)


def stale_locks() -> list[str]:
    """Names of locks that no longer satisfy pyproject.toml."""
    stale = []
    with tempfile.TemporaryDirectory() as folder:
        for name in LOCKS:
            target = Path(folder) / name
            compile_lock(name, target)
            if target.read_text() != (ROOT / name).read_text():
                stale.append(f"{name}: run `make lock`")
    return stale


def stale_stubs() -> list[str]:
    """Names of gRPC files that differ from what the .proto makes."""
    with tempfile.TemporaryDirectory() as folder:
        plugins = [f"--plugin=protoc-gen-{name}={BIN}/protoc-gen-{name}" for name in ("mypy", "mypy_grpc")]
        outs = [f"--{kind}_out={folder}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")]
        command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", *outs, *plugins, PROTO]
        subprocess.run(command, cwd=ROOT, check=True, stderr=subprocess.DEVNULL)
        names = [f"protos/fedscreen_v1{ending}" for ending in GENERATED]
        return [
            f"{name}: run `make protos`"
            for name in names
            if (Path(folder) / name).read_bytes() != (ROOT / name).read_bytes()
        ]


def breaking_changes(root: Path = ROOT, baseline: Path = BASELINE) -> list[str]:
    """What in root/protos somebody who speaks the baseline would stumble over; empty where nothing does."""
    command = [BIN / "buf", "breaking", "--against", baseline]
    found = subprocess.run(command, cwd=root, check=False, capture_output=True, text=True)
    if found.returncode not in (0, BUF_FOUND):
        raise RuntimeError(f"buf breaking: {found.stderr}")
    return found.stdout.splitlines()


def stale_baseline() -> list[str]:
    """Breaking changes of the wire, or that its baseline lacks what was added."""
    broken = [f"breaks the wire, see the top of this script: {line}" for line in breaking_changes()]
    is_current = (BASELINE / Path(PROTO).name).read_bytes() == (ROOT / PROTO).read_bytes()
    return broken or ([] if is_current else [f"{PROTO} has grown: run `make protos` for its baseline"])


def write_baseline() -> int:
    """Take what was added to the wire into the baseline; exit 1 if something breaks it."""
    broken = breaking_changes()
    print("\n".join(broken), end="\n" if broken else "")
    if not broken:
        (BASELINE / Path(PROTO).name).write_bytes((ROOT / PROTO).read_bytes())
    return 1 if broken else 0


def stale_catalogues() -> list[str]:
    """Names of compiled catalogues that differ from their .po, and messages without a translation."""
    stale = []
    for po in (ROOT / "fedscreen" / "locale").glob("*/LC_MESSAGES/*.po"):
        mo = po.with_suffix(".mo")
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "out.mo"
            command = [BIN / "pybabel", "-q", "compile", "-i", po, "-o", target]
            subprocess.run(command, cwd=ROOT, check=True, stderr=subprocess.DEVNULL)
            if not mo.exists() or mo.read_bytes() != target.read_bytes():
                stale.append(f"{mo.relative_to(ROOT)}: run `make locale`")
    return stale


def main() -> int:
    """Print what is stale; exit 1 if anything is."""
    if "--write-locks" in sys.argv:
        for name in LOCKS:
            compile_lock(name, ROOT / name)
        return 0
    if "--write-baseline" in sys.argv:
        return write_baseline()
    stale = stale_baseline() + stale_stubs() + stale_locks() + stale_catalogues()
    for line in stale:
        print(line)
    print(f"generated files: {len(stale)} stale")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
