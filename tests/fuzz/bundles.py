"""Bundles in memory, for `auditor verify`: one file exchanged, or one more entry that everybody signed."""

from __future__ import annotations

import contextlib
import functools
import hashlib
from dataclasses import dataclass

from fakes_auditors import small_plan
from fakes_federation import TinyFederation, sign_entry
from fuzz.entries import BODY_MARK, signers_of, with_body
from fuzz.roundtrip import text_of

from auditor.policy import AuditorPolicy, default_policy, parse_auditor_policy
from auditor.result_files import result_files
from auditor.verify.bundle_files import MAX_FILE_BYTES, BundleFiles
from auditor.verify.outcome import CheckFailed, CheckSkipped, Verdict
from auditor.verify.round import receipt_path, sum_path, vector_path
from auditor.verify.run import verify_files
from crypto.checkpoint import Checkpoint, cosign, encode_checkpoint
from crypto.errors import CryptoError
from crypto.merkle import inclusion_proof, leaf_hash, tree_root
from crypto.note import Note, encode_note, parse_signature_line
from crypto.tiles import changed_tiles
from crypto.tlog_proof import TlogProof, encode_proof
from plan.document import encode_body
from plan.errors import phrase
from plan.layout import build_layout
from plan.published import noise_rows
from protos.bodies import TableSums, encode_release_body
from protos.bundle import NAME, FileEntry, Manifest, encode_manifest, file_entry
from protos.statements import body_ref

Entry = tuple[bytes, bytes]


class MemoryFiles(BundleFiles):
    """A bundle's files without a folder."""

    def __init__(self, contents: dict[str, bytes]) -> None:
        self.contents = contents
        self.paths = frozenset(contents)
        self.strange = ()

    def read(self, path: str, most: int = MAX_FILE_BYTES) -> bytes:
        """Give one file."""
        if path not in self.contents:
            raise CheckSkipped(phrase("%(path)s is missing", path=path))
        if len(self.contents[path]) > most:
            raise CheckFailed("larger than asked for")
        return self.contents[path]

    def describe(self, path: str) -> FileEntry:
        """Describe one file."""
        return file_entry(self.contents[path])


@dataclass(frozen=True)
class Released:
    """A federation with a released round of zeros, and the auditor's bundle of it."""

    federation: TinyFederation
    policy: AuditorPolicy
    files: dict[str, bytes]


@functools.cache
def released() -> Released:
    """Run a round in which every vector, mask sum and released cell is zero, so that it adds up."""
    federation = TinyFederation()
    federation.join()
    plan, layout = small_plan(), build_layout(small_plan())
    terms = {"min_reports": plan.min_reports, "min_group": plan.min_group, "rho": plan.rho}
    round_id = federation.publish(
        encode_body(plan), layout.cells, noise_rows(layout), **terms, opens=plan.opens, closes=plan.closes
    )
    federation.approve(round_id)
    zeros = bytes(8 * layout.cells)
    digest = hashlib.sha256(zeros).digest()
    for node in federation.nodes:
        federation.report(node, round_id, vector=digest)
    federation.fix_candidates(round_id)
    openers = list(federation.auditors)[:3]
    for name in openers:
        federation.check(name, round_id)
    federation.close(round_id)
    for name in openers:
        federation.agree(name, round_id)
    row = federation.round(round_id)
    for name in openers:
        opening = federation.opening_statement(name, round_id, dict.fromkeys(row.subsets_of(name), digest))
        federation.add(opening, b"", [federation.auditors[name]])
    tables = [TableSums(t.id, t.noise.scale, t.noise.s2, (0,) * t.cells) for t in layout.tables]
    body = encode_release_body(tables)
    release, _ = federation.release_statement(round_id, openers, body=body_ref(body))
    federation.add(release, body, [federation.coordinator])
    files = log_files(federation, federation.entries)
    names = row.close_body().set if row.close_body() else ()
    files |= {vector_path(round_id, name): zeros for name in names}
    files |= {sum_path(round_id, name, subset): zeros for name in openers for subset in row.subsets_of(name)}
    files |= {f"results/{round_id.hex()}/{path}": data for path, data in result_files(row).items()}
    leaves = [leaf_hash(entry) for entry, _ in federation.entries]
    for name in names:
        index = row.reports[(name.node, name.attempt)].index
        hashes = inclusion_proof(leaves, index, len(leaves))
        proof = TlogProof(index, hashes, files["log/checkpoint"])
        files[receipt_path(round_id, name)] = encode_proof(proof)
    policy = parse_auditor_policy(default_policy(federation.card))
    return Released(federation, policy, listed(files))


def log_files(federation: TinyFederation, pairs: list[Entry]) -> dict[str, bytes]:
    """Make the folder of any log, with a checkpoint that everybody signs."""
    entries = [entry for entry, _ in pairs]
    leaves = [leaf_hash(entry) for entry in entries]
    files = {f"log/{path}": data for path, data in changed_tiles(leaves, entries, 0, len(entries))}
    files |= {f"log/blob/{hashlib.sha256(body).hexdigest()}": body for _, body in pairs if body}
    text = encode_checkpoint(Checkpoint(federation.log_key.name, len(entries), tree_root(leaves)))
    lines = [federation.log_key.sign(text)]
    lines += [cosign(text, key, 1_800_000_000) for key in federation.witnesses.values()]
    files["log/checkpoint"] = encode_note(Note(text, tuple(parse_signature_line(line) for line in lines)))
    return files


def listed(files: dict[str, bytes]) -> dict[str, bytes]:
    """Add the MANIFEST that lists these files."""
    entries = {path: file_entry(data) for path, data in files.items() if path != NAME}
    return {**files, NAME: encode_manifest(Manifest("auditor", entries))}


def verify_exchanged(data: bytes) -> Verdict:
    """Verify the bundle with one file exchanged: which (1 byte), its new content; the MANIFEST lists it."""
    made = released()
    paths = sorted(made.files)
    path = paths[(data[0] if data else 0) % len(paths)]
    files = {**made.files, path: data[1:]}
    return verify_files(MemoryFiles(files if path == NAME else listed(files)), made.policy)


def verify_forged(data: bytes) -> Verdict:
    """Verify a log of some first entries (1 byte says how many) and one that is forged: text, mark, body."""
    made = released()
    kept = made.federation.entries[: (data[0] if data else 0) % (len(made.federation.entries) + 1)]
    written, _, body = data[1:].partition(BODY_MARK)
    text = with_body(text_of(written) + "\n", body)
    entry = written
    with contextlib.suppress(CryptoError):
        entry = sign_entry(text, signers_of(made.federation, text))
    pairs = [*kept, (entry[:0xFFFF], body)]
    rest = {path: content for path, content in made.files.items() if not path.startswith("log/")}
    files = listed({**rest, **log_files(made.federation, pairs)})
    return verify_files(MemoryFiles(files), made.policy if len(data) % 2 else None)
