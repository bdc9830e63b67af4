"""The receipt that a school keeps (c2sp.org/tlog-proof): an entry's index, inclusion proof and checkpoint.

    c2sp.org/tlog-proof@v1
    [extra <base64>]
    index <decimal>
    <base64 hash>        (from the leaf's sibling up)

    <checkpoint with its signature lines>

It verifies offline against the log's key and a quorum of witness keys.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from crypto.canonical import decode_base64, encode_base64
from crypto.checkpoint import Checkpoint, parse_checkpoint, parse_decimal
from crypto.errors import CosignatureError, DecodeError, VerificationError
from crypto.merkle import HASH_BYTES, leaf_hash, verify_inclusion
from crypto.note import KeyType, VerifierKey, parse_note, verified_by

HEADER = "c2sp.org/tlog-proof@v1"
MAX_HASHES = 63
MAX_PROOF_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class TlogProof:
    """A parsed proof; nothing in it is verified. `extra` is never authenticated."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint_note: bytes
    extra: bytes | None = None

    def __post_init__(self) -> None:
        """Check ranges, the hashes' length, and that a note stands in the checkpoint's place."""
        parse_decimal(str(self.index))
        if len(self.hashes) > MAX_HASHES:
            raise DecodeError(f"a proof has at most {MAX_HASHES} hashes, found {len(self.hashes)}")
        if any(len(value) != HASH_BYTES for value in self.hashes):
            raise DecodeError(f"a proof's hash has {HASH_BYTES} bytes")
        parse_note(self.checkpoint_note)


def encode_proof(proof: TlogProof) -> bytes:
    """Encode a proof."""
    return write_proof(proof.index, proof.hashes, proof.checkpoint_note, proof.extra)


def write_proof(
    index: int, hashes: Iterable[bytes], checkpoint_note: bytes, extra: bytes | None = None
) -> bytes:
    """Encode a proof of parts that the log itself has just made; nothing is checked, see `TlogProof`."""
    lines = [HEADER] if extra is None else [HEADER, f"extra {encode_base64(extra)}"]
    lines.append(f"index {index}")
    lines += map(encode_base64, hashes)
    return "\n".join([*lines, "", ""]).encode() + checkpoint_note


def parse_proof(data: bytes) -> TlogProof:
    """Parse a proof; the exact inverse of `encode_proof`.

    Raises:
        DecodeError: wrong form, or longer than 1 MiB.
    """
    if len(data) > MAX_PROOF_BYTES:
        raise DecodeError(f"a proof has at most {MAX_PROOF_BYTES} bytes, found {len(data)}")
    head, separator, checkpoint_note = data.partition(b"\n\n")
    if not separator or not head.isascii():
        raise DecodeError("a proof is ASCII lines, an empty line and a checkpoint")
    header, *lines = head.decode("ascii").split("\n")
    if header != HEADER:
        raise DecodeError(f"a proof starts with the line {HEADER}")
    extra = None
    if lines and lines[0].startswith("extra "):
        extra = decode_base64(lines.pop(0).removeprefix("extra "))
    if not lines or not lines[0].startswith("index "):
        raise DecodeError("a proof has a line 'index <decimal>' before its hashes")
    index = parse_decimal(lines.pop(0).removeprefix("index "))
    return TlogProof(index, tuple(decode_base64(line) for line in lines), checkpoint_note, extra)


def verify_proof(
    proof: TlogProof, entry: bytes, log_key: VerifierKey, witness_keys: Iterable[VerifierKey], quorum: int
) -> Checkpoint:
    """Verify that an entry is in a log that a quorum of witnesses has seen.

    Args:
        proof: the receipt.
        entry: the log entry's bytes.
        log_key: its name is the origin that the checkpoint must have.
        witness_keys: cosigner keys (type 4); distinct public keys count.
        quorum: how many of them must have cosigned; 0 for the log's signature alone.

    Returns:
        The verified checkpoint.

    Raises:
        DecodeError: the note's text is no checkpoint.
        VerificationError: the origin or the log's signature is wrong.
        CosignatureError: fewer than `quorum` witnesses cosigned, or a cosignature is wrong.
        InclusionProofError: the proof does not lead from the entry to the root.
    """
    checkpoint = verify_cosigned(proof.checkpoint_note, log_key, tuple(witness_keys), quorum)
    verify_inclusion(leaf_hash(entry), proof.index, checkpoint.size, proof.hashes, checkpoint.root)
    return checkpoint


def verify_cosigned(
    checkpoint_note: bytes, log_key: VerifierKey, witness_keys: Sequence[VerifierKey], quorum: int
) -> Checkpoint:
    """Verify a signed checkpoint: origin, the log's signature, `quorum` cosignatures; see `verify_proof`."""
    note = parse_note(checkpoint_note)
    checkpoint = parse_checkpoint(note.text)
    if checkpoint.origin != log_key.name:
        raise VerificationError(f"the checkpoint's origin is not {log_key.name}")
    signers = verified_by(note, (log_key, *witness_keys))
    if log_key not in signers:
        raise VerificationError(f"the checkpoint has no signature by {log_key.name}")
    cosigners = {key.public_key for key in signers if key.key_type is KeyType.COSIGNATURE}
    if len(cosigners) < quorum:
        raise CosignatureError(f"{len(cosigners)} witnesses cosigned the checkpoint, the quorum is {quorum}")
    return checkpoint
