"""Extendable output functions: from a 32-byte seed to a stream of bytes or field elements.

- `XofHmacSha256Aes128` (libprio-rs): what the protocol uses, at the speed of AES-NI.
- `XofTurboShake128` (draft-irtf-cfrg-vdaf-20 section 6.2.1): for conformance with the draft's vectors; slow.

Both are one stream: `next` and `next_vec` may be mixed and each continues where the last one stopped.
"""

import hmac
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Protocol, Self, TypeAlias

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from crypto.errors import ParameterError
from crypto.field64 import ELEMENT_BYTES, MODULUS, FieldVector

VERSION = 18  # draft-irtf-cfrg-vdaf-20 section 6: the wire version
ALGORITHM_CLASS = 0  # section 6: a VDAF
ALGORITHM_ID = 0xFFFF4653  # section 10.1: 0xFFFF0000 to 0xFFFFFFFF is private use
MIN_BOUND = 1 << 62  # a smaller bound would discard most of the stream

_KEY_BYTES = 16
_SHA256_BLOCK_BYTES = 64
_XOR_36 = bytes(byte ^ 0x36 for byte in range(256))  # RFC 2104 section 2: ipad
_XOR_5C = bytes(byte ^ 0x5C for byte in range(256))  # and opad


def format_dst(usage: int, ctx: bytes, algorithm_id: int = ALGORITHM_ID) -> bytes:
    """Build a domain separation tag: version ‖ class ‖ u32be algorithm ‖ u16be usage ‖ ctx (VDAF).

    Args:
        usage: what the stream is for, 0 to 65,535.
        ctx: the application's context; here the round id.
        algorithm_id: ours, unless a published instance is repeated.

    Raises:
        ParameterError: usage or algorithm id out of range.
    """
    if not 0 <= usage < 1 << 16:
        raise ParameterError("a usage lies in 0..65535")
    if not 0 <= algorithm_id < 1 << 32:
        raise ParameterError("an algorithm id lies in 0..2^32-1")
    head = bytes([VERSION, ALGORITHM_CLASS])
    return head + algorithm_id.to_bytes(4, "big") + usage.to_bytes(2, "big") + ctx


class Xof(Protocol):
    """A seeded stream."""

    def next(self, num_bytes: int) -> bytes:
        """Return the next bytes of the stream."""
        ...

    def next_vec(self, cells: int, bound: int = MODULUS) -> FieldVector:
        """Return the next field elements of the stream."""
        ...


class XofHmacSha256Aes128:
    """AES-128-CTR with key tag[:16] and counter tag[16:], tag = HMAC-SHA256(seed, len8(dst) ‖ dst ‖ binder).

    Raises:
        ParameterError: dst is longer than 255 bytes.
    """

    __slots__ = ("_stream", "next_into")

    next_into: Callable[[memoryview, memoryview], int]
    """Write the next `len(zeros)` bytes of the stream into `out`, allocating nothing.

    zeros: that many zero bytes, reused by the caller; never written.
    out: at least 15 bytes longer than `zeros`, as CTR mode's `update_into` asks.
    """

    def __init__(self, seed: bytes, dst: bytes, binder: bytes) -> None:
        """Derive key and counter; the stream starts at its first byte."""
        self._open(seed, _hmac_message(dst, binder))

    @classmethod
    def many(cls, seeds: Iterable[bytes], dst: bytes, binder: bytes) -> list[Self]:
        """Open the streams of several seeds under one tag and binder."""
        message = _hmac_message(dst, binder)
        streams = []
        for seed in seeds:
            stream = cls.__new__(cls)
            stream._open(seed, message)
            streams.append(stream)
        return streams

    def _open(self, seed: bytes, message: bytes) -> None:
        tag = _hmac_sha256(seed, message)
        self._stream = Cipher(algorithms.AES128(tag[:_KEY_BYTES]), modes.CTR(tag[_KEY_BYTES:])).encryptor()
        self.next_into = self._stream.update_into

    def next(self, num_bytes: int) -> bytes:
        """Return the next `num_bytes` bytes of the stream."""
        return self._stream.update(bytes(num_bytes))

    def next_vec(self, cells: int, bound: int = MODULUS) -> FieldVector:
        """Return the next `cells` elements below `bound`; see `sample_vec`."""
        return sample_vec(self, cells, bound)


def _hmac_message(dst: bytes, binder: bytes) -> bytes:
    if len(dst) > 255:
        raise ParameterError(f"dst has at most 255 bytes here, found {len(dst)}")
    return bytes([len(dst)]) + dst + binder


def _hmac_sha256(key: bytes, message: bytes) -> bytes:
    """HMAC-SHA256 (RFC 2104), written out: two thirds of the library's time, which a sum of masks feels."""
    if len(key) > _SHA256_BLOCK_BYTES:
        return hmac.digest(key, message, "sha256")
    padded = key.ljust(_SHA256_BLOCK_BYTES, b"\0")
    inner = sha256(padded.translate(_XOR_36) + message).digest()
    return sha256(padded.translate(_XOR_5C) + inner).digest()


class XofTurboShake128:
    """TurboSHAKE128(LE16(len dst) ‖ dst ‖ LE8(len seed) ‖ seed ‖ binder, D = 1).

    Raises:
        ParameterError: dst is longer than 65,535 bytes or the seed longer than 255.
    """

    def __init__(self, seed: bytes, dst: bytes, binder: bytes) -> None:
        """Absorb seed, dst and binder; the stream starts at its first byte."""
        if len(dst) > 0xFFFF or len(seed) > 0xFF:
            raise ParameterError(
                f"dst and seed have at most 65535 and 255 bytes, found {len(dst)}, {len(seed)}"
            )
        message = len(dst).to_bytes(2, "little") + dst + bytes([len(seed)]) + seed + binder
        self._state = _absorb(message, domain=0x01)
        self._block = _squeeze(self._state)

    def next(self, num_bytes: int) -> bytes:
        """Return the next `num_bytes` bytes of the stream."""
        parts = [self._block]
        held = len(self._block)
        while held < num_bytes:
            self._state = _permute(self._state)
            parts.append(_squeeze(self._state))
            held += _RATE_BYTES
        stream = b"".join(parts)
        self._block = stream[num_bytes:]
        return stream[:num_bytes]

    def next_vec(self, cells: int, bound: int = MODULUS) -> FieldVector:
        """Return the next `cells` elements below `bound`; see `sample_vec`."""
        return sample_vec(self, cells, bound)


def sample_vec(stream: Xof, cells: int, bound: int) -> FieldVector:
    """Sample elements by rejection: read eight bytes little-endian, keep the word if below the bound.

    Exactly the words up to the last one kept are consumed: each discarded word asks for one more, so reading
    the missing ones together gives what reading them singly would.

    Args:
        stream: the XOF; it moves on.
        cells: how many elements.
        bound: the modulus. Tests lower it to force rejections, which the modulus causes once in 2^32 words.

    Raises:
        ParameterError: the bound lies outside 2^62..p.
    """
    if not MIN_BOUND <= bound <= MODULUS:
        raise ParameterError("a sampling bound lies outside 2^62..p")
    kept: list[FieldVector] = []
    missing = cells
    while missing:
        words = np.frombuffer(stream.next(missing * ELEMENT_BYTES), dtype="<u8")
        kept.append(words[words < np.uint64(bound)])
        missing -= len(kept[-1])
    return np.concatenate(kept).astype(np.uint64, copy=False) if kept else np.empty(0, np.uint64)


def sample_integers(stream: Xof, count: int, modulus: int) -> list[int]:
    """Sample elements of any prime field, as the draft's `next_vec`: for published vectors over other fields.

    Each is read from as many bytes as the modulus has, little-endian, without the bits above it.

    Raises:
        ParameterError: a modulus below 2, or a negative count.
    """
    if modulus < 2 or count < 0:
        raise ParameterError("sampling: expected a modulus of 2 or more and a count of 0 or more")
    element_bytes = -(-modulus.bit_length() // 8)
    mask = (1 << (modulus - 1).bit_length()) - 1
    kept: list[int] = []
    while len(kept) < count:
        value = int.from_bytes(stream.next(element_bytes), "little") & mask
        if value < modulus:
            kept.append(value)
    return kept


# TurboSHAKE128 (RFC 9861): a sponge over the last 12 rounds of Keccak-f[1600]; lane (x, y) is at x + 5 y.

_RATE_BYTES = 168
_RATE_LANES = _RATE_BYTES // 8
_LANE_MASK = (1 << 64) - 1
# fmt: off
_ROUND_CONSTANTS = (  # FIPS 202 section 3.2.5, rounds 12 to 23
    0x000000008000808B, 0x800000000000008B, 0x8000000000008089, 0x8000000000008003,
    0x8000000000008002, 0x8000000000000080, 0x000000000000800A, 0x800000008000000A,
    0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
)
_ROTATIONS = (  # FIPS 202 section 3.2.2, by lane x + 5 y
    0, 1, 62, 28, 27, 36, 44, 6, 55, 20, 3, 10, 43, 25, 39, 41, 45, 15, 21, 8, 18, 2, 61, 56, 14,
)
# fmt: on
_TARGETS = tuple((lane // 5) + 5 * ((2 * (lane % 5) + 3 * (lane // 5)) % 5) for lane in range(25))  # pi

_Lanes: TypeAlias = tuple[int, ...]


def _absorb(message: bytes, domain: int) -> _Lanes:
    """Absorb a padded message: domain byte, zeros, and the last bit of the last block set."""
    padded = bytearray(message) + bytes([domain])
    padded += bytes(-len(padded) % _RATE_BYTES)
    padded[-1] ^= 0x80
    state: _Lanes = (0,) * 25
    for at in range(0, len(padded), _RATE_BYTES):
        block = padded[at : at + _RATE_BYTES]
        lanes = [int.from_bytes(block[8 * i : 8 * i + 8], "little") for i in range(_RATE_LANES)]
        mixed = tuple(a ^ b for a, b in zip(state, lanes, strict=False))
        state = _permute(mixed + state[_RATE_LANES:])
    return state


def _squeeze(state: _Lanes) -> bytes:
    return b"".join(lane.to_bytes(8, "little") for lane in state[:_RATE_LANES])


def _permute(state: _Lanes) -> _Lanes:
    """Keccak-p[1600, 12]."""
    lanes = list(state)
    for constant in _ROUND_CONSTANTS:
        columns = [lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20] for x in range(5)]
        theta = [columns[x - 1] ^ _rotate(columns[(x + 1) % 5], 1) for x in range(5)]
        moved = [0] * 25
        for lane, value in enumerate(lanes):
            moved[_TARGETS[lane]] = _rotate(value ^ theta[lane % 5], _ROTATIONS[lane])
        for row in range(0, 25, 5):
            a, b, c, d, e = moved[row : row + 5]
            lanes[row : row + 5] = a ^ (~b & c), b ^ (~c & d), c ^ (~d & e), d ^ (~e & a), e ^ (~a & b)
        lanes[0] ^= constant
    return tuple(lanes)


def _rotate(lane: int, bits: int) -> int:
    return ((lane << bits) | (lane >> (64 - bits))) & _LANE_MASK
