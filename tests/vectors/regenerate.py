"""Write the project's own known-answer vectors.

    python tests/vectors/regenerate.py [--check]

With --check nothing is written; the exit code is 1 if a file would change. Every input is a fixed, public
test value. A sealed box is random, so an existing one is kept as long as it still opens.
"""

import hashlib
import sys
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[level]) for level in (2, 0)]

import numpy as np  # noqa: E402
from vector_files import Files, load, made_by, main  # noqa: E402

from crypto import derivation, note, sealing, sharing  # noqa: E402
from crypto.canonical import encode_json, encode_parts  # noqa: E402
from crypto.checkpoint import Checkpoint, cosign, encode_checkpoint  # noqa: E402
from crypto.errors import OpenError  # noqa: E402
from crypto.field64 import encode_vector  # noqa: E402
from crypto.mask_sum import MaskSum  # noqa: E402
from crypto.replication import subsets, subsets_with  # noqa: E402
from crypto.xof import XofHmacSha256Aes128, format_dst  # noqa: E402

SOURCE = made_by("regenerate.py")

MASTER = bytes(range(32))
FEDERATION, NODE, AUDITOR = "county-demo", "school-07", "health-centre"
ROUND_ID = hashlib.sha256(b"test round").digest()
ROSTER = hashlib.sha256(b"test roster").digest()
ROWS = hashlib.sha256(b"test rows").digest()
APPROVALS = ("fedscreen/approval/v1\nauditor a\n", "fedscreen/approval/v1\nauditor 乙\n")
ATTEMPT = 1
X = np.array([0, 64, -64, 4096, 2**40, -(2**40)], dtype=np.int64)
NOISED = X + np.array([-3, 5, 0, 17, -1, 2], dtype=np.int64)
ROUND_SECRET = bytes(range(96))
N, T = 4, 3


def derivation_vectors() -> dict[str, Any]:
    """Each step of the derivation block of protocol.md."""
    apr = derivation.approvals_digest(APPROVALS)
    secret_r = derivation.round_secret(MASTER, FEDERATION, NODE, ROUND_ID, ROSTER, apr)
    tag = derivation.measurement_tag(secret_r, X)
    secret_t = derivation.report_secret(secret_r, ATTEMPT, tag)
    seeds = derivation.seeds(secret_t, subsets(N, T))
    commitments = [derivation.seed_commitment(ROUND_ID, NODE, ATTEMPT, a, seeds[a]) for a in subsets(N, T)]
    coms = derivation.commitments_digest(commitments)
    public_key = sealing.round_public_key(ROUND_SECRET)
    y = sharing.mask_vector(NOISED, seeds, ROUND_ID, N, T)
    y_digest = hashlib.sha256(encode_vector(y)).digest()
    info = derivation.box_info(ROUND_ID, NODE, ATTEMPT, AUDITOR, public_key, y_digest, coms)
    return {
        "source": SOURCE,
        "inputs": {
            "master": MASTER.hex(),
            "federation": FEDERATION,
            "node": NODE,
            "auditor": AUDITOR,
            "round_id": ROUND_ID.hex(),
            "roster_digest": ROSTER.hex(),
            "rows_digest": ROWS.hex(),
            "approvals": list(APPROVALS),
            "attempt": ATTEMPT,
            "x": X.tolist(),
            "n": N,
            "t": T,
            "round_secret_of_auditor": ROUND_SECRET.hex(),
            "y_digest": y_digest.hex(),
        },
        "kdf": derivation.kdf(MASTER, "part", 7, b"\x00").hex(),
        "master_commitment": derivation.master_commitment(NODE, MASTER).hex(),
        "approvals_digest": apr.hex(),
        "round_secret": secret_r.hex(),
        "measurement_tag": tag.hex(),
        "report_secret": secret_t.hex(),
        "noise_keys": [derivation.noise_key(secret_t, j).hex() for j in range(3)],
        "seeds": {str(subset): seed.hex() for subset, seed in seeds.items()},
        "seed_commitments": [commitment.hex() for commitment in commitments],
        "commitments_digest": coms.hex(),
        "round_public_key": public_key.hex(),
        "box_info": info.hex(),
        "box_plaintext": derivation.box_plaintext([seeds[a] for a in subsets_with(0, N, T)]).hex(),
        "input_commitment": derivation.input_commitment(secret_r, ATTEMPT, ROWS, X).hex(),
        "draw_commitment": derivation.draw_commitment(MASTER).hex(),
    }


def mask_vectors() -> dict[str, Any]:
    """Masks and report shares of two schools, the auditors' sums, and the unmasked result."""
    schools = []
    sums = {subset: MaskSum(len(X)) for subset in subsets(N, T)}
    sum_y = MaskSum(len(X))
    for number in range(2):
        seeds = derivation.seeds(bytes([number]) * 32, subsets(N, T))
        y = sharing.mask_vector(NOISED, seeds, ROUND_ID, N, T)
        sum_y.add_vector(y)
        for subset in subsets(N, T):
            sharing.add_report_mask(sums[subset], subset, seeds[subset], ROUND_ID, N, T)
        schools.append(
            {"seeds": {str(a): seed.hex() for a, seed in seeds.items()}, "y": encode_vector(y).hex()}
        )
    result = sharing.unmask(sum_y.value(), [acc.value() for acc in sums.values()])
    xof = XofHmacSha256Aes128(MASTER, format_dst(sharing.MASK_USAGE, ROUND_ID), b"\x01")
    return {
        "source": SOURCE,
        "round_id": ROUND_ID.hex(),
        "n": N,
        "t": T,
        "dst": format_dst(sharing.MASK_USAGE, ROUND_ID).hex(),
        "stream": {
            "seed": MASTER.hex(),
            "binder": "01",
            "elements": [str(v) for v in xof.next_vec(5).tolist()],
        },
        "measurement": NOISED.tolist(),
        "schools": schools,
        "sum_y": encode_vector(sum_y.value()).hex(),
        "mask_sums": {str(subset): encode_vector(acc.value()).hex() for subset, acc in sums.items()},
        "result": result.tolist(),
    }


def sealing_vectors() -> dict[str, Any]:
    """One sealed box that this secret opens."""
    plaintext, info = encode_parts(MASTER, ROWS), encode_parts("box", ROUND_ID)
    public_key = sealing.round_public_key(ROUND_SECRET)
    return {
        "source": SOURCE,
        "secret": ROUND_SECRET.hex(),
        "public_key": public_key.hex(),
        "info": info.hex(),
        "plaintext": plaintext.hex(),
        "box": _kept_box(plaintext, info) or sealing.seal(public_key, plaintext, info).hex(),
    }


def _kept_box(plaintext: bytes, info: bytes) -> str | None:
    box: str | None = load("sealing.json").get("box")
    try:
        is_good = box and sealing.open_box(ROUND_SECRET, bytes.fromhex(box), info) == plaintext
    except OpenError:
        return None
    return box if is_good else None


def note_vectors() -> dict[str, Any]:
    """A signed and cosigned checkpoint and the keys that verify it."""
    log = note.SigningKey("fedscreen/county-demo/log", note.KeyType.ED25519, MASTER)
    witness = note.SigningKey("fedscreen/county-demo/witness/a", note.KeyType.COSIGNATURE, ROWS)
    text = encode_checkpoint(Checkpoint(log.name, 20_852_163, ROUND_ID))
    lines = (log.sign(text), cosign(text, witness, 1_679_315_147))
    signed = note.Note(text, tuple(map(note.parse_signature_line, lines)))
    return {
        "source": SOURCE,
        "log_seed": MASTER.hex(),
        "witness_seed": ROWS.hex(),
        "log_vkey": log.verifier.text,
        "witness_vkey": witness.verifier.text,
        "timestamp_s": 1_679_315_147,
        "note": note.encode_note(signed).decode(),
    }


def canonical_vectors() -> dict[str, Any]:
    """Canonical JSON, and JSON that is refused because its value has other canonical bytes or none."""
    good: dict[str, Any] = {
        "empty object": {},
        "empty array": [],
        "largest integers": [2**53 - 1, -(2**53) + 1, 0],
        "key order": {"b": 1, "a": {"é": "x", "z": []}, "B": '\u0000\n"\\'},
        "astral key before a private one": {"\U0001f600": 1, "\ufb33": 2},
    }
    bad = {
        "empty": b"",
        "white space": b'{"a": 1}',
        "trailing line feed": b"{}\n",
        "leading space": b" {}",
        "key order": b'{"b":1,"a":1}',
        "duplicate key": b'{"a":1,"a":1}',
        "needless escape": b'"\\u0061"',
        "escaped slash": b'"\\/"',
        "upper-case escape": b'"\\u001F"',
        "long escape": b'"\\u000a"',
        "escaped non-ASCII": b'"\\u00e9"',
        "lone surrogate": b'"\\ud800"',
        "float": b"1.0",
        "exponent": b"1e3",
        "minus zero": b"-0",
        "leading zero": b"01",
        "plus": b"+1",
        "two to the 53": b"9007199254740992",
        "five thousand digits": b"9" * 5000,
        "true": b"true",
        "null in an array": b"[null]",
        "NaN": b"NaN",
        "infinity": b"-Infinity",
        "byte order mark": b"\xef\xbb\xbf{}",
        "UTF-16": "{}".encode("utf-16"),
        "not UTF-8": b'"\xff"',
        "overlong UTF-8": b'"\xc0\xaf"',
        "raw control character": b'"\x01"',
        "two values": b"{}{}",
        "cut short": b'{"a":',
    }
    return {
        "source": SOURCE,
        "json": [{"name": name, "bytes": encode_json(value).hex()} for name, value in good.items()],
        "json_bad": [{"name": name, "bytes": data.hex()} for name, data in bad.items()],
    }


FILES: Files = {
    "canonical.json": canonical_vectors,
    "derivation.json": derivation_vectors,
    "masks.json": mask_vectors,
    "note.json": note_vectors,
    "sealing.json": sealing_vectors,
}


if __name__ == "__main__":
    sys.exit(main(FILES, sys.argv[1:]))
