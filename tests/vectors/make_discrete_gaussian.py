"""Write discrete_gaussian.json: known answers of the normative noise sampler, from a second implementation.

Shares no code with the product: mpmath with 160 decimal digits for the distribution function, `bisect` on
whole 128-bit integers for the draw, HMAC and AES-CTR called directly for the stream. Run it from the
repository root:

    python tests/vectors/make_discrete_gaussian.py
"""

import bisect
import hashlib
import hmac
import json
import struct
from fractions import Fraction
from pathlib import Path

import mpmath
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

PATH = Path(__file__).parent / "discrete_gaussian.json"
CASES = (Fraction(1, 4), Fraction(1), Fraction(9), Fraction(2561), Fraction(15873), Fraction(460801))
LARGE = Fraction(4096**2)
KEYS = (bytes(range(32)), bytes(32))


def reference_thresholds(s2: Fraction) -> list[int]:
    """Return C_k for k = -B .. B by summing the whole distribution from its far left end."""
    with mpmath.workdps(160):
        variance = mpmath.mpf(s2.numerator) / s2.denominator
        bound = int(mpmath.floor(14 * mpmath.sqrt(variance))) + 1
        # e^(-26^2/2) is 2^-487: what lies further out changes no threshold
        far = int(mpmath.ceil(26 * mpmath.sqrt(variance))) + 2
        step, start = mpmath.exp(-1 / variance), mpmath.exp(-1 / (2 * variance))
        weights, weight, ratio = [mpmath.mpf(1)], mpmath.mpf(1), start
        for _ in range(far):
            weight *= ratio
            ratio *= step
            weights.append(weight)
        total = weights[0] + 2 * mpmath.fsum(weights[1:])
        running, table = mpmath.mpf(0), []
        for k in range(-far, bound):
            running += weights[abs(k)]
            if k >= -bound:
                table.append(int(mpmath.floor(running / total * 2**128)))
        return [*table, 2**128]


def reference_stream(key: bytes, size: int) -> bytes:
    """Return bytes of XofHmacSha256Aes128(key, dst(usage 32, no context), empty binder)."""
    dst = bytes([18, 0]) + struct.pack(">IH", 0xFFFF4653, 32)
    tag = hmac.new(key, bytes([len(dst)]) + dst, hashlib.sha256).digest()
    return Cipher(algorithms.AES(tag[:16]), modes.CTR(tag[16:])).encryptor().update(bytes(size))


def reference_sample(table: list[int], stream: bytes) -> list[int]:
    """Return min{k : u < C_k} for every 16 bytes of the stream."""
    bound = len(table) // 2
    words = [int.from_bytes(stream[i : i + 16], "little") for i in range(0, len(stream), 16)]
    return [bisect.bisect_right(table, u) - bound for u in words]


def _digest(table: list[int]) -> str:
    return hashlib.sha256(b"".join(c.to_bytes(17, "little") for c in table)).hexdigest()


def _case(s2: Fraction) -> dict[str, object]:
    table = reference_thresholds(s2)
    samples = [reference_sample(table, reference_stream(key, 16 * 5000)) for key in KEYS]
    return {
        "s2": str(s2),
        "bound": len(table) // 2,
        "thresholds_sha256": _digest(table),
        "samples": [
            {
                "key": key.hex(),
                "first": values[:12],
                "sha256_of_5000_int64_le": hashlib.sha256(struct.pack("<5000q", *values)).hexdigest(),
            }
            for key, values in zip(KEYS, samples, strict=True)
        ],
    }


def main() -> None:
    """Write the file."""
    vectors = {
        "made_by": "tests/vectors/make_discrete_gaussian.py (mpmath, bisect, HMAC, AES-CTR; not the product)",
        "cases": [_case(s2) for s2 in (*CASES, LARGE)],
    }
    PATH.write_text(json.dumps(vectors, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
