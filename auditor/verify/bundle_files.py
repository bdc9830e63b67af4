"""The files of a bundle on disk, and its MANIFEST: nothing changed, nothing added, nothing missing.

Layout of a bundle (`auditor.bundle_write` writes it):

    MANIFEST                                     sha256, size and path of every other file
    log/checkpoint, log/tile/…, log/blob/<hex>   the transparency log as a static folder
    receipts/<round>/<node>.<attempt>.tlog-proof
    results/<round>/…                            release.json, indicators.json and .csv, tables/*.csv,
                                                 estimates/*.csv
    reports/<round>/<node>.<attempt>.y           masked vectors of S       (auditor's bundle only)
    sums/<round>/<auditor>.<subset>.sum          mask sums of the openings (auditor's bundle only)

`<round>` is the round's id in hex.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from auditor.errors import BundleError
from auditor.verify.outcome import CheckFailed, CheckSkipped
from plan.errors import Phrase, phrase
from protos.bundle import MAX_BYTES, NAME, FileEntry, Manifest, is_safe_path, parse_manifest

MAX_FILE_BYTES = 256 * 1024 * 1024
PUBLIC_PLACES = ("log/tile/", "log/blob/", "receipts/", "results/")
AUDITOR_PLACES = ("reports/", "sums/")
CHECKPOINT = "log/checkpoint"


class BundleFiles:
    """Reads a bundle's folder; never follows a link, never leaves the folder.

    Attributes:
        root: the folder.
        paths: every regular file below it, relative, with `/`.
        strange: whatever is neither a regular file nor a folder, or has a name that no bundle has (written
            so that it can be shown: a name may hold anything that a terminal obeys).
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.paths: frozenset[str]
        self.strange: tuple[str, ...]
        files, strange = set(), []
        for path in sorted(root.rglob("*")) if root.is_dir() else []:
            name = path.relative_to(root).as_posix()
            if path.is_symlink() or not (path.is_file() or path.is_dir()) or not is_safe_path(name):
                strange.append(name if is_safe_path(name) else ascii(name))
            elif path.is_file():
                files.add(name)
        self.paths = frozenset(files)
        self.strange = tuple(strange)

    def read(self, path: str, most: int = MAX_FILE_BYTES) -> bytes:
        """Read one file of at most so many bytes.

        Raises:
            CheckSkipped: it is not there.
            CheckFailed: it is larger.
        """
        if path not in self.paths:
            raise CheckSkipped(phrase("%(path)s is missing", path=path))
        file = self.root / path
        if file.stat().st_size > most:
            raise CheckFailed(
                phrase("%(path)s: more than %(max_file_bytes)s bytes", path=path, max_file_bytes=most)
            )
        return file.read_bytes()

    def describe(self, path: str) -> FileEntry:
        """Digest and size of one of `paths`, however large it is."""
        with (self.root / path).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").digest()
            return FileEntry(digest, file.tell())

    def under(self, folder: str) -> list[str]:
        """List the files below a folder, ascending."""
        return sorted(path for path in self.paths if path.startswith(folder + "/"))


def manifest_bytes(folder: Path) -> bytes:
    """Read a bundle's list of files, whose digest names every byte of it; through no link, and bounded.

    Raises:
        BundleError: it is not there, is no plain file, or is larger than any.
    """
    path = folder / NAME
    if path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_BYTES:
        raise BundleError(phrase("%(path)s: no list of files", path=path))
    return path.read_bytes()


def read_manifest(files: BundleFiles) -> Manifest:
    """Read the MANIFEST.

    Raises:
        CheckSkipped: there is none.
        ManifestError: it is not in its one canonical form.
    """
    data = files.read(NAME)
    if len(data) > MAX_BYTES:
        raise CheckFailed(phrase("%(name)s: more than %(max_bytes)s bytes", name=NAME, max_bytes=MAX_BYTES))
    return parse_manifest(data)


def check_manifest(files: BundleFiles) -> Phrase:
    """Compare every file with the MANIFEST."""
    if files.strange:
        raise CheckFailed(phrase("%(strange)s: not a plain file with a plain name", strange=files.strange[0]))
    manifest = read_manifest(files)
    unlisted = sorted(files.paths - set(manifest.files) - {NAME})
    if unlisted:
        raise CheckFailed(
            phrase(
                "%(num_unlisted)s files are not listed, the first: %(unlisted)s",
                num_unlisted=len(unlisted),
                unlisted=unlisted[0],
            )
        )
    for path, entry in sorted(manifest.files.items()):
        if path in files.paths and files.describe(path) != entry:
            raise CheckFailed(phrase("%(path)s: not the file that the MANIFEST lists", path=path))
    places = PUBLIC_PLACES + (AUDITOR_PLACES if manifest.kind == "auditor" else ())
    misplaced = [path for path in manifest.files if path != CHECKPOINT and not path.startswith(places)]
    if misplaced:
        raise CheckFailed(
            phrase(
                "%(misplaced)s: nothing of that kind belongs into a bundle of kind %(kind)s",
                misplaced=misplaced[0],
                kind=manifest.kind,
            )
        )
    missing = sorted(set(manifest.files) - files.paths)
    if missing:
        raise CheckSkipped(
            phrase(
                "%(num_missing)s listed files are missing, the first: %(missing)s",
                num_missing=len(missing),
                missing=missing[0],
            )
        )
    return phrase("%(num_files)s files, kind %(kind)s", num_files=len(manifest.files), kind=manifest.kind)
