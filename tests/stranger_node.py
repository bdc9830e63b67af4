"""A node's report as somebody would build it from docs/protocol.md, docs/log.md and docs/privacy.md alone.

Only the standard library, cryptography, nacl and numpy, and no line of the product; `protos/test_stranger.py`
compares it with the vectors and hands what it makes to the product. Sections are those of docs/protocol.md.
"""

import base64
import hashlib
import hmac
import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal, localcontext
from functools import cache
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from nacl.signing import SigningKey, VerifyKey

P = 2**64 - 2**32 + 1
HPKE_SUITE = b"HPKE" + bytes.fromhex("647a00010002")


def encode(*parts: bytes | str | int) -> bytes:
    """E() of section 2."""
    encoded = b""
    for part in parts:
        if isinstance(part, int):
            part = part.to_bytes(8, "big")
        elif isinstance(part, str):
            part = part.encode()
        encoded += len(part).to_bytes(4, "big") + part
    return encoded


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def kdf(key: bytes, *parts: bytes | str | int) -> bytes:
    return hmac.digest(key, encode("fedscreen/v1", *parts) + b"\x01", "sha256")


class Stream:
    """XofHmacSha256Aes128 of section 5."""

    def __init__(self, seed: bytes, usage: int, ctx: bytes, binder: bytes) -> None:
        dst = bytes([18, 0]) + 0xFFFF4653.to_bytes(4, "big") + usage.to_bytes(2, "big") + ctx
        tag = hmac.digest(seed, bytes([len(dst)]) + dst + binder, "sha256")
        self._cipher = Cipher(algorithms.AES(tag[:16]), modes.CTR(tag[16:])).encryptor()

    def integer(self, size: int) -> int:
        return int.from_bytes(self._cipher.update(bytes(size)), "little")

    def elements(self, count: int) -> list[int]:
        found: list[int] = []
        while len(found) < count:
            word = self.integer(8)
            if word < P:
                found.append(word)
        return found


@dataclass
class Statement:
    """A statement's text, its lines by key, and its body (section 4)."""

    text: str
    body: Any

    @property
    def digest(self) -> bytes:
        return sha256(self.text.encode())

    @property
    def type(self) -> str:
        return self.text.split("/")[1]

    def all(self, key: str) -> list[list[str]]:
        return [line.split(" ")[1:] for line in self.text.split("\n") if line.startswith(key + " ")]

    def one(self, key: str) -> str:
        ((word,),) = self.all(key)
        return word


def read(entry: str, body: str) -> Statement:
    """Take a log entry apart; its signatures are checked by `signers`."""
    return Statement(entry.rpartition("\n\n")[0] + "\n", json.loads(body) if body else None)


def signers(note: str, vkeys: Sequence[str]) -> list[str]:
    """Names of those keys that signed a note: types 01 and 04 (docs/log.md)."""
    text, _, block = note.rpartition("\n\n")
    message, found = (text + "\n").encode(), []
    for line, vkey in itertools.product(block.splitlines(), vkeys):
        _, name, encoded = line.split(" ")
        typed = base64.b64decode(vkey.split("+", 2)[2])
        key_id = sha256(name.encode() + b"\n" + typed)[:4]
        blob = base64.b64decode(encoded)
        if name != vkey.split("+")[0] or blob[:4] != key_id:
            continue
        signature, signed = blob[4:], message
        if typed[0] == 4:
            time, signature = int.from_bytes(blob[4:12], "big"), blob[12:]
            signed = f"cosignature/v1\ntime {time}\n".encode() + message
        VerifyKey(typed[1:]).verify(signed, signature)
        found.append(name)
    return found


def tree_root(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962 over leaf hashes."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\x01" + tree_root(leaves[:split]) + tree_root(leaves[split:]))


@cache
def thresholds(s2: int) -> tuple[int, ...]:
    """C_k of docs/privacy.md, "The sampler", with 120 decimal digits."""
    bound = math.isqrt(196 * s2) + 1
    far = math.isqrt(700 * s2) + 2  # what lies further out weighs less than 2^-500
    with localcontext() as context:
        context.prec, context.rounding = 120, ROUND_FLOOR
        weights = {k: (-Decimal(k * k) / (2 * s2)).exp() for k in range(far + 1)}
        total = weights[0] + 2 * sum(weights[k] for k in range(1, far + 1))
        running, table = Decimal(0), []
        for k in range(-far, bound):
            running += weights[abs(k)]
            if k >= -bound:
                table.append(int((running * 2**128 / total).to_integral_value()))
    return (*table, 2**128)


def sample(stream: Stream, s2: int, count: int) -> list[int]:
    table = np.array(thresholds(s2), dtype=object)
    return [int(np.searchsorted(table, stream.integer(16), "right")) - len(table) // 2 for _ in range(count)]


def subsets(n: int, t: int) -> list[int]:
    return [mask for mask in range(1, 1 << n) if mask.bit_count() == n - t + 1]


def labeled(key: bytes, label: bytes, data: bytes, expand: int = 0) -> bytes:
    """LabeledExtract, or LabeledExpand to 32 bytes or fewer (RFC 9180 section 4)."""
    labelled = b"HPKE-v1" + HPKE_SUITE + label + data
    if not expand:
        return hmac.digest(key or bytes(32), labelled, "sha256")
    return hmac.digest(key, expand.to_bytes(2, "big") + labelled + b"\x01", "sha256")[:expand]


def seal(round_key: bytes, plaintext: bytes, info: bytes) -> bytes:
    """HPKE base mode with X-Wing, by hand (section 3)."""
    kem_secret, kem_text = MLKEM768PublicKey.from_public_bytes(round_key[:1184]).encapsulate()
    ephemeral, theirs = X25519PrivateKey.generate(), round_key[1184:]
    share = ephemeral.public_key().public_bytes_raw()
    dh = ephemeral.exchange(X25519PublicKey.from_public_bytes(theirs))
    shared = hashlib.sha3_256(kem_secret + dh + share + theirs + b"\\.//^\\").digest()
    context = b"\x00" + labeled(b"", b"psk_id_hash", b"") + labeled(b"", b"info_hash", info)
    secret = labeled(shared, b"secret", b"")
    key, nonce = labeled(secret, b"key", context, 32), labeled(secret, b"base_nonce", context, 12)
    return kem_text + share + AESGCM(key).encrypt(nonce, plaintext, b"")


class Node:
    """A school's node: its secrets, and one round as the log has it so far."""

    def __init__(self, node: str, master: bytes, report_key_seed: bytes, log: Sequence[Statement]) -> None:
        self.node, self.master = node, master
        self.key = SigningKey(report_key_seed)
        self.plan = next(row for row in log if row.type == "plan")
        self.auditors = [name for (name,) in self.plan.all("auditor")]
        by_auditor = {row.one("auditor"): row for row in log if row.type == "approval"}
        self.approvals = [by_auditor[name] for name in self.auditors]
        self.round_id, self.federation = self.plan.digest, self.plan.one("federation")
        self.subsets = subsets(len(self.auditors), int(self.plan.one("threshold")))
        self.apr = sha256(encode(*(approval.text for approval in self.approvals)))
        own = [row for row in log if row.type == "report" and row.one("node") == node]
        self.attempt = len(own)
        self.previous = own[-1].digest if own else bytes(32)

    def draw(self, counts: dict[str, list[int]], rows_digest: bytes) -> None:
        """Section 5, "Derivation": everything but the boxes."""
        roster = bytes.fromhex(self.plan.one("roster"))
        secret_r = kdf(self.master, "round", self.federation, self.node, self.round_id, roster, self.apr)
        noise_lines = self.plan.all("noise")
        assert [table["id"] for table in self.plan.body["tables"]] == [row[0] for row in noise_lines]
        x = [int(scale) * count for table, scale, _, _ in noise_lines for count in counts[table]]
        packed = np.array(x, dtype="<i8").tobytes()
        xm = hmac.digest(kdf(secret_r, "x"), packed, "sha256")
        secret_t = kdf(secret_r, "report", self.attempt, xm)
        steps = self.plan.all("step")  # "The turnout ladder"; none without one
        noise: list[list[int]] = [[] for _ in range(1 + len(self.plan.all("tier")))]
        for j, (table, _, *z_0) in enumerate(noise_lines):
            own = [row[2:] for row in steps if row[0] == table]
            for k, (s2, digest) in enumerate([z_0, *own]):
                assert sha256(b"".join(c.to_bytes(17, "little") for c in thresholds(int(s2)))).hex() == digest
                key = kdf(secret_t, "tier", k, j) if steps else kdf(secret_t, "noise", j)
                noise[k] += sample(Stream(key, 32, b"", b""), int(s2), len(counts[table]))
        self.seeds = {subset: kdf(secret_t, "seed", subset) for subset in self.subsets}
        self.input = hmac.digest(kdf(secret_r, "input"), encode(self.attempt, rows_digest, packed), "sha256")
        vectors = [[sum(cell) for cell in zip(x, *noise, strict=True)], *noise[1:]]
        self.y = b"".join(self.masked(vector, 16 + k if k else 1) for k, vector in enumerate(vectors))
        self.commitments = [
            sha256(encode("seed", self.round_id, self.node, self.attempt, subset, seed))
            for subset, seed in self.seeds.items()
        ]

    def masked(self, vector: list[int], usage: int) -> bytes:
        """Subtract the streams of a usage from a vector and encode it."""
        for rank, seed in enumerate(self.seeds.values()):
            mask = Stream(seed, usage, self.round_id, bytes([1 + rank])).elements(len(vector))
            vector = [(a - b) % P for a, b in zip(vector, mask, strict=True)]
        return b"".join(element.to_bytes(8, "little") for element in vector)

    def boxes(self) -> list[bytes]:
        """Section 5, box_a for every auditor in plan order."""
        found = []
        for place, approval in enumerate(self.approvals):
            key = base64.b64decode(approval.one("round-key"))
            held = [seed for subset, seed in self.seeds.items() if subset >> place & 1]
            names = (self.round_id, self.node, self.attempt, self.auditors[place])
            digests = (sha256(key), sha256(self.y), sha256(encode(*self.commitments)))
            found.append(seal(key, encode(*held), encode("box", *names, *digests)))
        return found

    def payload(self, boxes: Sequence[bytes], software: bytes, confinement: str) -> bytes:
        """Section 5, "The header" and "Report payload"."""
        lines: list[tuple[object, ...]] = [
            ("federation", self.federation),
            ("round", self.round_id.hex()),
            ("roster", self.plan.one("roster")),
            ("approvals", self.apr.hex()),
            ("node", self.node),
            ("attempt", self.attempt),
            ("cells", self.plan.one("cells")),
            ("vector", sha256(self.y).hex()),
            *(("seed", a, com.hex()) for a, com in zip(self.seeds, self.commitments, strict=True)),
            *(("box", a, sha256(box).hex()) for a, box in zip(self.auditors, boxes, strict=True)),
            ("input", self.input.hex()),
            ("software", software.hex()),
            ("confinement", confinement),
            ("previous", self.previous.hex()),
            ("size", len(self.y) + sum(map(len, boxes))),
        ]
        text = "fedscreen/report/v1\n" + "".join(" ".join(map(str, line)) + "\n" for line in lines)
        name = f"fedscreen/{self.federation}/node/{self.node}"
        note = f"{text}\n{sign(text, name, self.key)}\n".encode()
        return len(note).to_bytes(4, "big") + note + self.y + b"".join(boxes)


def sign(text: str, name: str, key: SigningKey) -> str:
    """A signature line of type 01 (docs/log.md)."""
    key_id = sha256(name.encode() + b"\n\x01" + key.verify_key.encode())[:4]
    return f"— {name} {base64.b64encode(key_id + key.sign(text.encode()).signature).decode()}"
