"""Write a bundle: everything that `verify` needs, offline, in one folder.

The log comes from this auditor's own copy, up to the newest checkpoint that a quorum cosigned;
receipts and results are computed from it; the masked vectors and the mask sums are fetched and
compared with what the log names. The coordinator gives out vectors only to an auditor whose
opening is logged, so without one the bundle is a public one.

Layout: `auditor.verify.bundle_files`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from auditor.context import Context
from auditor.errors import BundleError
from auditor.mirror import Mirror, checkpoint_of
from auditor.result_files import result_files
from auditor.verify.round import receipt_path, released, sum_path, vector_path
from crypto.tiles import changed_tiles
from crypto.tlog_proof import TlogProof, encode_proof
from plan.errors import phrase
from protos.bodies import ReportName
from protos.bundle import NAME, FileEntry, Manifest, encode_manifest, file_entry
from protos.ledger import RoundLog

File = tuple[str, bytes]
BUNDLED = "bundled"  # record of the state: log size under the last bundle that was not a public one


def write_bundle(context: Context, folder: Path, *, is_public: bool = False) -> Manifest:
    """Write a bundle into a new folder.

    Args:
        context: the auditor, its mirror up to date.
        folder: must not exist; appears only when it is complete.
        is_public: leave vectors and sums out.

    Returns:
        The manifest that was written. Its kind is `public` also when this auditor may not have
        the vectors of some released round.

    Raises:
        BundleError: the folder exists, nothing is cosigned yet, or the coordinator's vectors or
            sums are not the logged ones.
    """
    _check_ready(context.mirror, folder)
    rounds = _rounds_under_checkpoint(context.mirror)
    has_vectors = not is_public and all(context.id in row.openings for row in rounds)
    files = _files(context, rounds, has_vectors=has_vectors)
    manifest = _write(folder, files, "auditor" if has_vectors else "public")
    if not is_public:
        context.state.replace_record(BUNDLED, str(context.mirror.cosigned_size).encode())
    return manifest


def unbundled_rounds(context: Context) -> list[RoundLog]:
    """List the rounds released with a sum since this auditor last wrote a bundle of its own."""
    record = context.state.record(BUNDLED) or b""
    size = int(record) if record.isdigit() else 0
    rounds = released(context.ledger.rounds.values())
    return [row for row in rounds if row.release is not None and row.release.index >= size]


def write_public_bundle(mirror: Mirror, folder: Path) -> Manifest:
    """Write a public bundle of an auditor's own copy of the log; nobody is asked. As `write_bundle`."""
    _check_ready(mirror, folder)
    return _write(folder, _public_files(mirror, _rounds_under_checkpoint(mirror)), "public")


def _check_ready(mirror: Mirror, folder: Path) -> None:
    if folder.exists():
        raise BundleError(phrase("%(folder)s: exists already; choose a new folder", folder=folder))
    if not mirror.cosigned:
        raise BundleError(phrase("no checkpoint with a quorum of cosignatures yet; try again later"))


def _write(folder: Path, files: Iterator[File], kind: str) -> Manifest:
    staging = folder.with_name(f".{folder.name}.partial")
    if staging.exists():
        raise BundleError(phrase("%(staging)s: left by an interrupted run; remove it first", staging=staging))
    entries: dict[str, FileEntry] = {}
    for path, data in files:
        target = staging / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        entries[path] = file_entry(data)
    manifest = Manifest(kind, entries)
    (staging / NAME).write_bytes(encode_manifest(manifest))
    staging.rename(folder)
    return manifest


def _rounds_under_checkpoint(mirror: Mirror) -> list[RoundLog]:
    """Return the rounds whose release lies under the cosigned checkpoint."""
    rounds = released(mirror.ledger.rounds.values())
    return [row for row in rounds if row.release is not None and row.release.index < mirror.cosigned_size]


def _files(context: Context, rounds: list[RoundLog], *, has_vectors: bool) -> Iterator[File]:
    yield from _public_files(context.mirror, rounds)
    for row in rounds if has_vectors else ():
        yield from _vectors(context, row)
        yield from _sums(context, row)


def _public_files(mirror: Mirror, rounds: list[RoundLog]) -> Iterator[File]:
    yield from log_files(mirror)
    for row in rounds:
        yield from _receipts(mirror, row)
        for path, data in result_files(row).items():
            yield f"results/{row.round_id.hex()}/{path}", data


def log_files(mirror: Mirror) -> Iterator[File]:
    """Yield the static log folder at the newest cosigned checkpoint."""
    size = checkpoint_of(mirror.cosigned).size
    leaves, entries = mirror.ledger.leaves[:size], [entry for entry, _ in mirror.entries[:size]]
    for path, data in changed_tiles(leaves, entries, 0, size):
        yield f"log/{path}", data
    blobs = {hashlib.sha256(body).hexdigest(): body for _, body in mirror.entries[:size] if body}
    for name, body in blobs.items():
        yield f"log/blob/{name}", body
    yield "log/checkpoint", mirror.cosigned


def _receipts(mirror: Mirror, row: RoundLog) -> Iterator[File]:
    size = checkpoint_of(mirror.cosigned).size
    for name in _set_of(row):
        index = row.reports.position_of((name.node, name.attempt))
        hashes = mirror.ledger.tree.inclusion_proof(index, size)
        yield receipt_path(row.round_id, name), encode_proof(TlogProof(index, hashes, mirror.cosigned))


def _vectors(context: Context, row: RoundLog) -> Iterator[File]:
    expected = {name.digest: name for name in _set_of(row)}
    found: set[bytes] = set()
    for report_digest, vector in context.link.get_vectors(row.round_id):
        name = expected.get(report_digest)
        if name is None or report_digest in found:
            raise BundleError(
                phrase(
                    "the coordinator sent a vector of no report of S (%(report_digest)s)",
                    report_digest=report_digest.hex()[:16],
                )
            )
        if hashlib.sha256(vector).digest() != row.reports.contents_of((name.node, name.attempt)).vector:
            raise BundleError(
                phrase("the vector of %(node)s is not the one that the school signed", node=name.node)
            )
        found.add(report_digest)
        yield vector_path(row.round_id, name), vector
    missing = [name.node for report_digest, name in expected.items() if report_digest not in found]
    if missing:
        raise BundleError(
            phrase(
                "the coordinator withholds %(num_missing)s vectors, the first of %(missing)s",
                num_missing=len(missing),
                missing=missing[0],
            )
        )


def _sums(context: Context, row: RoundLog) -> Iterator[File]:
    """Yield the sums of the openings that the release names."""
    named = dict(row.release.statement.openings) if row.release else {}
    expected = {
        (auditor, subset): sum_digest
        for auditor in named
        for subset, sum_digest in row.openings[auditor].statement.sums
    }
    found: set[tuple[str, int]] = set()
    for auditor, subset, encoded in context.link.get_sums(row.round_id):
        key = (auditor, subset)
        if key not in expected or key in found:
            continue
        if hashlib.sha256(encoded).digest() != expected[key]:
            raise BundleError(
                phrase(
                    "the sum of %(auditor)s, subset %(subset)s, is not the one that its opening names",
                    auditor=auditor,
                    subset=subset,
                )
            )
        found.add(key)
        yield sum_path(row.round_id, auditor, subset), encoded
    if len(found) != len(expected):
        raise BundleError(
            phrase(
                "the coordinator sent %(num_found)s of %(num_expected)s mask sums",
                num_found=len(found),
                num_expected=len(expected),
            )
        )


def _set_of(row: RoundLog) -> tuple[ReportName, ...]:
    body = row.close_body()
    return body.set if body else ()
