"""The MANIFEST of a bundle: name, size and SHA-256 of every file in it, one canonical text."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from protos.errors import ManifestError
from protos.fields import DECIMAL_PATTERN, HEX_PATTERN

FIRST_LINE = "fedscreen/manifest/v1"
NAME = "MANIFEST"
KINDS = ("public", "auditor")
MAX_BYTES = 64 * 1024 * 1024
_PATH = re.compile(r"(?!/)(?:[A-Za-z0-9._-]+/)*[A-Za-z0-9._-]+\Z")


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a bundle: its SHA-256 (32 bytes) and its size in bytes."""

    sha256: bytes
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle holds. `kind` says whether the masked vectors are in it (`auditor`) or not."""

    kind: str
    files: dict[str, FileEntry]


def file_entry(data: bytes) -> FileEntry:
    """Describe one file."""
    return FileEntry(hashlib.sha256(data).digest(), len(data))


def is_safe_path(path: str) -> bool:
    """Return whether a path is relative, plain, and stays inside the bundle."""
    return bool(_PATH.match(path)) and not {".", ".."} & set(path.split("/"))


def encode_manifest(manifest: Manifest) -> bytes:
    """Write a MANIFEST, files in ascending order of path."""
    lines = [FIRST_LINE, f"kind {manifest.kind}"]
    lines += [
        f"{entry.sha256.hex()} {entry.size_bytes} {path}" for path, entry in sorted(manifest.files.items())
    ]
    return ("\n".join(lines) + "\n").encode("ascii")


def parse_manifest(data: bytes) -> Manifest:
    """Read a MANIFEST.

    Raises:
        ManifestError: not exactly what `encode_manifest` writes, or a path that leaves the bundle.
    """
    if len(data) > MAX_BYTES:
        raise ManifestError(f"MANIFEST of {len(data)} bytes, at most {MAX_BYTES}")
    try:
        lines = data.decode("ascii").split("\n")
    except UnicodeDecodeError as err:
        raise ManifestError("MANIFEST is not ASCII") from err
    if len(lines) < 3 or lines[0] != FIRST_LINE or lines[1] not in [f"kind {kind}" for kind in KINDS]:
        raise ManifestError(f"MANIFEST does not start with {FIRST_LINE} and its kind")
    manifest = Manifest(lines[1].removeprefix("kind "), _read_files(lines[2:-1]))
    if encode_manifest(manifest) != data:
        raise ManifestError("MANIFEST is not in canonical form")
    return manifest


def _read_files(lines: list[str]) -> dict[str, FileEntry]:
    files: dict[str, FileEntry] = {}
    for number, line in enumerate(lines, start=3):
        words = line.split(" ")
        if len(words) != 3 or len(words[0]) != 64 or not HEX_PATTERN.match(words[0]):
            raise ManifestError(f"MANIFEST line {number}: expected sha256, size and path")
        if not DECIMAL_PATTERN.match(words[1]) or not is_safe_path(words[2]):
            raise ManifestError(f"MANIFEST line {number}: expected sha256, size and a plain relative path")
        files[words[2]] = FileEntry(bytes.fromhex(words[0]), int(words[1]))
    return files


def manifest_of(kind: str, files: Mapping[str, bytes]) -> Manifest:
    """Make the manifest of a bundle given as path → content."""
    return Manifest(kind, {path: file_entry(data) for path, data in files.items()})
