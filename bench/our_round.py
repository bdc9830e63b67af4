"""One round in one process, made of the product's own functions: what each party computes.

No files, no sockets, no log: `bench/peers.py` and `bench/nation.py` time these steps. The steps and their
order are those of `node/vault/release.py`, `coordinator/receive.py`, `coordinator/combine.py`,
`auditor/check_reports.py` and `auditor/answer_masks.py`. A node adds no noise here.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from crypto import derivation
from crypto.field64 import FieldVector, encode_vector, parse_vector
from crypto.mask_sum import MaskSum
from crypto.note import KeyType, Note, SigningKey, VerifierKey, encode_note, parse_note, parse_signature_line
from crypto.note import verify_signature as verify_note
from crypto.replication import subsets, subsets_with
from crypto.sealing import RoundKey, box_bytes, load_round_key, open_box, round_public_key, seal
from crypto.sharing import add_report_masks, mask_vector, unmask
from protos.report_payload import ReportPayload, encode_payload, note_of, parse_payload, verify_contents
from protos.statements import Report, encode_statement, parse_statement

FEDERATION = "bench-county"
_ZERO = bytes(32)


@dataclass(frozen=True, slots=True)
class Round:
    """What is fixed before the first report: parameters, ids, round keys, and a report key for all nodes.

    One report key serves every node, which makes no signature cheaper or dearer.
    """

    n: int
    t: int
    cells: int
    id: bytes
    roster: bytes
    approvals: bytes
    auditors: tuple[str, ...]
    public_keys: tuple[bytes, ...]
    secrets: tuple[bytes, ...] = field(repr=False)
    report_seed: bytes = field(repr=False)

    def held_by(self, auditor: int) -> tuple[int, ...]:
        """Subsets whose seeds an auditor holds."""
        return subsets_with(auditor, self.n, self.t)

    def box_bytes(self) -> int:
        """Size of a box of this round."""
        return box_bytes(len(self.held_by(0)))

    def key(self, auditor: int) -> RoundKey:
        """An auditor's round key, expanded."""
        return load_round_key(self.secrets[auditor])


def make_round(cells: int, n: int = 4, t: int = 3, entropy: bytes | None = None) -> Round:
    """Draw the keys of a round; the same 32 bytes of entropy give the same round in another process."""
    root = entropy or os.urandom(32)
    secrets = tuple(
        b"".join(derivation.kdf(root, "key", place, part) for part in range(3)) for place in range(n)
    )
    return Round(
        n=n,
        t=t,
        cells=cells,
        id=derivation.kdf(root, "round"),
        roster=derivation.kdf(root, "roster"),
        approvals=derivation.kdf(root, "approvals"),
        auditors=tuple(f"a{place + 1}" for place in range(n)),
        public_keys=tuple(round_public_key(secret) for secret in secrets),
        secrets=secrets,
        report_seed=derivation.kdf(root, "report key"),
    )


# -- node ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Node:
    """A school: its id, master secret and report key."""

    id: str
    master: bytes = field(repr=False)
    report_key: SigningKey = field(repr=False)


def make_node(round_: Round, index: int) -> Node:
    """Make the node of an index."""
    name = f"s{index:06}"
    master = derivation.kdf(round_.report_seed, "master", index)
    key = SigningKey(f"fedscreen/{FEDERATION}/node/{name}", KeyType.ED25519, round_.report_seed)
    return Node(name, master, key)


def make_report(round_: Round, node: Node, x: NDArray[np.int64]) -> bytes:
    """Derive, mask, commit, seal, sign: from a table to the bytes that travel."""
    round_secret = derivation.round_secret(
        node.master, FEDERATION, node.id, round_.id, round_.roster, round_.approvals
    )
    secret = derivation.report_secret(round_secret, 0, derivation.measurement_tag(round_secret, x))
    seeds = derivation.seeds(secret, subsets(round_.n, round_.t))
    vector = encode_vector(mask_vector(x, seeds, round_.id, round_.n, round_.t))
    commitments = tuple(
        (subset, derivation.seed_commitment(round_.id, node.id, 0, subset, seed))
        for subset, seed in seeds.items()
    )
    vector_digest = hashlib.sha256(vector).digest()
    boxes = _seal_boxes(round_, node, seeds, vector_digest, [value for _, value in commitments])
    header = Report(
        federation=FEDERATION,
        round=round_.id,
        roster=round_.roster,
        approvals=round_.approvals,
        node=node.id,
        attempt=0,
        cells=round_.cells,
        vector=vector_digest,
        seeds=commitments,
        boxes=tuple(
            (name, hashlib.sha256(box).digest()) for name, box in zip(round_.auditors, boxes, strict=True)
        ),
        input=derivation.input_commitment(round_secret, 0, _ZERO, x),
        software=_ZERO,
        confinement="L3",
        previous=_ZERO,
        size=len(vector) + sum(len(box) for box in boxes),
    )
    text = encode_statement(header)
    note = encode_note(Note(text, (parse_signature_line(node.report_key.sign(text)),)))
    return encode_payload(ReportPayload(note, vector, boxes))


def _seal_boxes(
    round_: Round, node: Node, seeds: Mapping[int, bytes], vector_digest: bytes, commitments: Sequence[bytes]
) -> tuple[bytes, ...]:
    digest = derivation.commitments_digest(commitments)
    boxes = []
    for index, (auditor, public_key) in enumerate(zip(round_.auditors, round_.public_keys, strict=True)):
        held = [seeds[subset] for subset in round_.held_by(index)]
        info = derivation.box_info(round_.id, node.id, 0, auditor, public_key, vector_digest, digest)
        boxes.append(seal(public_key, derivation.box_plaintext(held), info))
    return tuple(boxes)


# -- coordinator ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Received:
    """A report that passed the checks: its header, and its boxes in plan order."""

    header: Report
    vector: bytes
    boxes: tuple[bytes, ...]


def receive(round_: Round, verifier_bytes: bytes, data: bytes) -> Received:
    """Check one report as on receipt: canonical header, signature, every digest, every element."""
    note = parse_note(note_of(data))
    header = _as_report(note.text)
    key = VerifierKey(f"fedscreen/{FEDERATION}/node/{header.node}", KeyType.ED25519, verifier_bytes)
    verify_note(note.text, note.signatures[0], key)
    payload = parse_payload(data, round_.cells, round_.box_bytes(), round_.n)
    verify_contents(payload, header)
    parse_vector(payload.vector, round_.cells)
    return Received(header, payload.vector, payload.boxes)


def parse_header(note: bytes) -> Report:
    """Read a report's header from its logged note, as whoever reads the log does."""
    return _as_report(parse_note(note).text)


def _as_report(text: str) -> Report:
    header = parse_statement(text)
    if not isinstance(header, Report):
        raise TypeError("expected a report")
    return header


def sum_vectors(cells: int, vectors: Iterable[bytes]) -> FieldVector:
    """Parse, check and add report shares: the coordinator's part of the sum."""
    total = MaskSum(cells)
    for data in vectors:
        total.add_vector(parse_vector(data, cells))
    return total.value()


# -- auditor --------------------------------------------------------------------------------------


class Auditor:
    """One auditor's answer: open the boxes, compare the commitments, expand and add."""

    def __init__(self, round_: Round, index: int) -> None:
        """Expand the round key and start with empty sums."""
        self.round = round_
        self.index = index
        self.key = round_.key(index)
        self.sums = {subset: MaskSum(round_.cells) for subset in round_.held_by(index)}

    def open(self, header: Report, box: bytes) -> dict[int, bytes]:
        """Open a report's box and compare its seeds with the header's commitments."""
        round_, auditor = self.round, self.round.auditors[self.index]
        if hashlib.sha256(box).digest() != dict(header.boxes)[auditor]:
            raise ValueError("not the box that the school signed")
        commitments = dict(header.seeds)
        digest = derivation.commitments_digest([value for _, value in header.seeds])
        info = derivation.box_info(
            round_.id, header.node, 0, auditor, round_.public_keys[self.index], header.vector, digest
        )
        plaintext = open_box(self.key, box, info)
        seeds = dict(zip(self.sums, derivation.parse_box_plaintext(plaintext, len(self.sums)), strict=True))
        for subset, seed in seeds.items():
            if derivation.seed_commitment(round_.id, header.node, 0, subset, seed) != commitments[subset]:
                raise ValueError("not the committed seed")
        return seeds

    def add(self, reports: Iterable[Mapping[int, bytes]]) -> None:
        """Expand the masks of some reports and add them."""
        rows = list(reports)
        for subset, total in self.sums.items():
            seeds = [row[subset] for row in rows]
            add_report_masks(total, subset, seeds, self.round.id, self.round.n, self.round.t)

    def answer(self) -> dict[int, bytes]:
        """Encode the mask sums."""
        return {subset: encode_vector(total.value()) for subset, total in self.sums.items()}


def combine(round_: Round, sum_y: FieldVector, answers: Sequence[Mapping[int, bytes]]) -> NDArray[np.int64]:
    """Compare the replicas of every subset's sum and unmask."""
    masks = []
    for subset in subsets(round_.n, round_.t):
        replicas = [answer[subset] for answer in answers if subset in answer]
        if len(set(replicas)) != 1:
            raise ValueError(f"{len(replicas)} replicas of subset {subset} that differ")
        masks.append(parse_vector(replicas[0], round_.cells))
    return unmask(sum_y, masks)
