"""Bundles in memory (path → bytes), and histories that can be changed and signed again.

A `History` is the list of a log's rows: text, body, who signs. A row may be changed, taken out, put in,
moved. `History.settle` then does what a coordinator that rewrites its log would do: every digest that a later
row names follows the change (statement, body, approvals, vector), body lines and `log-size` are set anew, and
every row is signed with the real keys. `History.bundle` makes the whole bundle of it: tiles, bodies,
checkpoint, cosignatures, receipts, results, vectors, sums, MANIFEST. So what is wrong afterwards is what was
meant to be wrong.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from bundle_zoo.county import ZooCounty

from auditor.errors import AuditorError
from auditor.result_files import result_files
from auditor.verify.round import receipt_path, released, sum_path, vector_path
from crypto.checkpoint import Checkpoint, cosign, encode_checkpoint
from crypto.derivation import approvals_digest
from crypto.errors import CryptoError
from crypto.merkle import leaf_hash
from crypto.merkle_tree import MerkleTree
from crypto.note import Note, SigningKey, encode_note, parse_note, parse_signature_line
from crypto.tiles import changed_tiles
from crypto.tlog_proof import TlogProof, encode_proof
from protos.bundle import NAME, encode_manifest, manifest_of
from protos.errors import LedgerError
from protos.ledger import Ledger, RoundLog
from protos.statements import Statement, encode_statement, parse_statement
from results.errors import ResultsError

Files = dict[str, bytes]
AT = datetime(2026, 12, 31, tzinfo=UTC)
_HEX = re.compile(r"[0-9a-f]{64}")
_BODY = re.compile(r"body-sha256 [0-9a-f]{64}\nbody-bytes [0-9]+\n")
_LOG_SIZE = re.compile(r"\nlog-size [0-9]+\n")


@dataclass
class Row:
    """One entry: its text, body and signers; `origin` is its digest before anything was changed.

    Attributes:
        is_raw: the row stands as it is: nothing in it follows other changes.
        lines: signature lines to be used instead of new ones.
        raw: the whole entry, where no parser would write it so.
    """

    text: str
    body: bytes
    signers: tuple[SigningKey, ...]
    origin: bytes
    is_raw: bool = False
    lines: tuple[str, ...] | None = None
    raw: bytes | None = None

    @property
    def digest(self) -> bytes:
        """SHA-256 of the text as it is now."""
        return hashlib.sha256(self.text.encode()).digest()

    @property
    def type(self) -> str:
        """The statement's type."""
        return self.text.split("\n", 1)[0].split("/")[1]

    @property
    def statement(self) -> Statement:
        """The statement as it is now."""
        return parse_statement(self.text)

    def entry(self) -> bytes:
        """Sign it."""
        if self.raw is not None:
            return self.raw
        lines = self.lines if self.lines is not None else tuple(key.sign(self.text) for key in self.signers)
        return encode_note(Note(self.text, tuple(parse_signature_line(line) for line in lines)))


@dataclass
class History:
    """A log that can be rewritten, and what lies beside it in a bundle.

    Attributes:
        vectors: report digest (origin) → y; sums: (round id, auditor, subset) → Σ masks.
        results: path below results/ of the honest bundle → bytes; receipts: path → report digest (origin).
        renamed: old hex → new hex of every digest that has changed.
        cosigners: who cosigns the checkpoint.
    """

    county: ZooCounty
    rows: list[Row]
    vectors: Files
    sums: Files
    results: Files
    receipts: dict[str, bytes]
    renamed: dict[str, str] = field(default_factory=dict)
    cosigners: tuple[SigningKey, ...] = ()
    log_key: SigningKey | None = None
    at: datetime = AT
    extensions: tuple[str, ...] = ()
    is_changed: bool = False

    def find(self, kind: str, nth: int = 0, **having: str) -> int:
        """Find the nth row of a type whose lines say this, e.g. `auditor="a1"`."""
        places = [
            place
            for place, row in enumerate(self.rows)
            if row.type == kind
            and all(f"\n{key.replace('_', '-')} {value}\n" in row.text for key, value in having.items())
        ]
        return places[nth]

    def last(self, kind: str) -> int:
        """Find the last row of a type."""
        return self.find(kind, -1)

    def set(self, place: int, contents: bytes | None = None, /, **fields: object) -> None:
        """Change fields of a statement, and its body."""
        row = self.rows[place]
        statement = replace(row.statement, **fields)  # type: ignore[arg-type]
        row.text = encode_statement(statement)
        row.body = row.body if contents is None else contents

    def edit(self, place: int, old: str, new: str) -> None:
        """Change words of a text."""
        row = self.rows[place]
        if old not in row.text:
            raise LookupError(f"{row.type}: no {old!r}")
        row.text = row.text.replace(old, new, 1)

    def set_vector(self, path: str, data: bytes) -> None:
        """Exchange a vector, or a mask sum wherever it stands; the statements that name it follow."""
        place = self.vectors if path in self.vectors else self.sums
        old = place[path]
        self.renamed[hashlib.sha256(old).hexdigest()] = hashlib.sha256(data).hexdigest()
        place.update({name: data for name, found in place.items() if found == old})

    def insert(self, place: int, statement: Statement, *signers: SigningKey, body: bytes = b"") -> Row:
        """Put a new row in."""
        text = encode_statement(statement)
        row = Row(text, body, signers, hashlib.sha256(text.encode()).digest())
        self.rows.insert(place, row)
        return row

    def copy_row(self, place: int, to: int) -> Row:
        """Put a row in a second time."""
        row = replace(self.rows[place])
        self.rows.insert(to, row)
        return row

    # --- following changes --------------------------------------------------------------------

    def settle(self) -> History:
        """Let every later digest, body line and log size follow what was changed."""
        approvals: dict[str, list[tuple[str, bytes, Row]]] = {}
        original = {row.origin: text for row, text in self._originals()}
        for place, row in enumerate(self.rows):
            if not row.is_raw:
                self._follow(place, row)
            if row.digest != row.origin:
                self.renamed[row.origin.hex()] = row.digest.hex()
            if row.type == "approval":
                statement_round = re.search(r"\nround ([0-9a-f]{64})\n", row.text)
                key = statement_round.group(1) if statement_round else ""
                auditor = re.search(r"\nauditor (\S+)\n", row.text)
                approvals.setdefault(key, []).append((auditor.group(1) if auditor else "", row.origin, row))
                self._rename_approvals(approvals[key], original)
        return self

    def _originals(self) -> list[tuple[Row, str]]:
        return [(row, self._texts[row.origin]) for row in self.rows if row.origin in self._texts]

    @property
    def _texts(self) -> dict[bytes, str]:
        return self.county_texts

    county_texts: dict[bytes, str] = field(default_factory=dict)

    def _rename_approvals(self, rows: list[tuple[str, bytes, Row]], original: dict[bytes, str]) -> None:
        """The reports name the digest of all approvals: it follows too."""
        found = {name: (original.get(origin, ""), row.text) for name, origin, row in rows}
        names = sorted(found)
        before = approvals_digest([found[name][0] for name in names])
        after = approvals_digest([found[name][1] for name in names])
        if before != after:
            self.renamed[before.hex()] = after.hex()

    def _follow(self, place: int, row: Row) -> None:
        row.text = _HEX.sub(lambda found: self.renamed.get(found.group(), found.group()), row.text)
        if row.type == "candidates":
            row.text = _LOG_SIZE.sub(f"\nlog-size {place}\n", row.text)
        if row.body:
            text = row.body.decode("utf-8", "surrogateescape")
            text = _HEX.sub(lambda found: self.renamed.get(found.group(), found.group()), text)
            row.body = text.encode("utf-8", "surrogateescape")
            ref = f"body-sha256 {hashlib.sha256(row.body).hexdigest()}\nbody-bytes {len(row.body)}\n"
            row.text = _BODY.sub(ref, row.text)

    def new_name(self, digest: bytes) -> bytes:
        """What a digest is called now."""
        return bytes.fromhex(self.renamed.get(digest.hex(), digest.hex()))

    def new_path(self, path: str) -> str:
        """Where a file lies now: paths name rounds."""
        return _HEX.sub(lambda found: self.renamed.get(found.group(), found.group()), path)

    # --- the bundle ---------------------------------------------------------------------------

    def bundle(self, kind: str = "auditor") -> Files:
        """Write the bundle."""
        entries = [row.entry() for row in self.rows]
        leaves = [leaf_hash(entry) for entry in entries]
        tree = MerkleTree()
        for leaf in leaves:
            tree.append(leaf)
        note = self.checkpoint(tree.root(len(leaves)), len(leaves))
        files = {f"log/{path}": data for path, data in changed_tiles(leaves, entries, 0, len(leaves))}
        files |= {
            f"log/blob/{hashlib.sha256(row.body).hexdigest()}": row.body for row in self.rows if row.body
        }
        files["log/checkpoint"] = note
        places = {row.origin: place for place, row in enumerate(self.rows)}
        for path, origin in self.receipts.items():
            if origin in places:
                index = places[origin]
                proof = TlogProof(index, tree.inclusion_proof(index, len(leaves)), note)
                files[self.new_path(path)] = encode_proof(proof)
        files |= self._new_results()
        if kind == "auditor":
            files |= {self.new_path(path): data for path, data in {**self.vectors, **self.sums}.items()}
        return seal(files, kind)

    def _new_results(self) -> Files:
        """Compute the results of the log as it is; where the rules refuse it, rename what there was."""
        if not self.is_changed:
            return self.results
        try:
            ledger = Ledger(self.county.card)
            for row in self.rows:
                ledger.append(row.entry(), row.body)
            return {
                f"results/{row.round_id.hex()}/{path}": data
                for row in released(ledger.rounds.values())
                for path, data in result_files(row).items()
            }
        except (LedgerError, AuditorError, ResultsError, CryptoError):
            return {self.new_path(path): self._renamed_text(data) for path, data in self.results.items()}

    def _renamed_text(self, data: bytes) -> bytes:
        text = data.decode("utf-8")
        return _HEX.sub(lambda found: self.renamed.get(found.group(), found.group()), text).encode("utf-8")

    def checkpoint(self, root: bytes, size: int) -> bytes:
        """Sign and cosign the tree."""
        log_key = self.log_key or self.county.log_key
        text = encode_checkpoint(Checkpoint(log_key.name, size, root, self.extensions))
        lines = [log_key.sign(text), *(cosign(text, key, int(self.at.timestamp())) for key in self.cosigners)]
        return encode_note(Note(text, tuple(parse_signature_line(line) for line in lines)))


def seal(files: Files, kind: str = "auditor") -> Files:
    """Write the MANIFEST anew."""
    contents = {path: data for path, data in files.items() if path != NAME}
    return {**contents, NAME: encode_manifest(manifest_of(kind, contents))}


def history_of(county: ZooCounty, size: int | None = None, cosigners: Sequence[str] | None = None) -> History:
    """Make the history of an honest county, or of its log up to a size."""
    pairs = county.entries[:size]
    ledger = Ledger(county.card)
    rows = []
    for entry, body in pairs:
        ledger.append(entry, body)
        note = parse_note(entry)
        signers = tuple(county.registry[line.name, line.key_id] for line in note.signatures)
        rows.append(Row(note.text, body, signers, hashlib.sha256(note.text.encode()).digest()))
    roster = ledger.roster
    counting = [row for row in roster.body.auditors if row.id not in ledger.revoked_auditors]
    keys = {row.id: county.signer(row.cosigner) for row in counting}
    chosen = list(keys)[: roster.statement.quorum] if cosigners is None else list(cosigners)
    history = History(county, rows, {}, {}, {}, {}, cosigners=tuple(keys[name] for name in chosen))
    history.log_key = county.signer(roster.body.log)
    history.county_texts = {row.origin: row.text for row in rows}
    for row in released(ledger.rounds.values()):
        _beside(history, county, row)
    return history


def _beside(history: History, county: ZooCounty, row: RoundLog) -> None:
    body = row.close_body()
    for name in body.set if body else ():
        history.receipts[receipt_path(row.round_id, name)] = name.digest
        history.vectors[vector_path(row.round_id, name)] = county.vectors[name.digest]
    for auditor, _ in row.release.statement.openings if row.release else ():
        for subset in row.subsets_of(auditor):
            data = county.sums[(row.round_id, auditor, subset)]
            history.sums[sum_path(row.round_id, auditor, subset)] = data
    for path, data in result_files(row).items():
        history.results[f"results/{row.round_id.hex()}/{path}"] = data


Change = Callable[[History], None]
