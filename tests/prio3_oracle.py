"""An independent Prio3 in Python integers, with its proofs: what the published reports are checked by.

Written from draft-irtf-cfrg-vdaf-20 sections 7.1 to 7.4: any NTT field, any number of shares and proofs. Slow
and short: polynomials are held by values at roots of unity and evaluated by Lagrange's formula. The product
has none of the proofs; here they say why each published `_bad_` report is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from crypto.prio3_shares import XofType
from crypto.xof import XofHmacSha256Aes128, XofTurboShake128, format_dst, sample_integers

SEED_BYTES = 32
MEAS_SHARE, PROOF_SHARE, JOINT_RAND, PROVE_RAND, QUERY_RAND, JOINT_RAND_SEED, JOINT_RAND_PART = range(1, 8)


class VerificationFailedError(Exception):
    """A report does not pass its verification."""


@dataclass(frozen=True)
class Field:
    """Integers modulo a prime with a generator of 2^log_order roots of unity (section 6.1.3)."""

    modulus: int
    element_bytes: int
    generator: int
    log_order: int

    def root(self, order: int) -> int:
        return pow(self.generator, (1 << self.log_order) // order, self.modulus)

    def encode(self, vector: Sequence[int]) -> bytes:
        return b"".join(value.to_bytes(self.element_bytes, "little") for value in vector)

    def parse(self, data: bytes) -> list[int]:
        size = self.element_bytes
        assert len(data) % size == 0
        vector = [int.from_bytes(data[at : at + size], "little") for at in range(0, len(data), size)]
        assert all(value < self.modulus for value in vector)
        return vector

    def add(self, *vectors: Sequence[int]) -> list[int]:
        return [sum(column) % self.modulus for column in zip(*vectors, strict=True)]

    def subtract(self, a: Sequence[int], b: Sequence[int]) -> list[int]:
        return [(x - y) % self.modulus for x, y in zip(a, b, strict=True)]

    def dot(self, a: Sequence[int], b: Sequence[int]) -> int:
        return sum(x * y for x, y in zip(a, b, strict=True)) % self.modulus


def ntt_field(generator: int, log_order: int, cofactor: int, element_bytes: int) -> Field:
    modulus = (cofactor << log_order) + 1
    return Field(modulus, element_bytes, pow(generator, cofactor, modulus), log_order)


FIELDS = {
    "Field64": ntt_field(7, 32, 4294967295, 8),
    "Field96": ntt_field(3, 64, 4294966555, 12),
    "Field128": ntt_field(7, 66, 4611686018427387897, 16),
}


@lru_cache(maxsize=4096)
def lagrange(field: Field, order: int, count: int, x: int) -> tuple[int, ...]:
    """Weights that evaluate at x a polynomial given by its values at the first powers of a root."""
    p = field.modulus
    nodes = [pow(field.root(order), i, p) for i in range(count)]
    if x in nodes:
        return tuple(int(node == x) for node in nodes)
    weights = []
    for i, node in enumerate(nodes):
        others = nodes[:i] + nodes[i + 1 :]
        above = math.prod((x - other) % p for other in others)
        weights.append(above * pow(math.prod((node - other) % p for other in others), -1, p) % p)
    return tuple(weights)


GadgetCall = Callable[[list[int]], int]


@dataclass(frozen=True)
class Circuit:
    """A validity circuit with one gadget, called `calls` times (section 7.3).

    `evaluate(meas, joint_rand, shares, gadget)` returns outputs that are all zero for a valid measurement.
    """

    field: Field
    meas_len: int
    joint_rand_len: int
    outputs: int
    arity: int
    degree: int
    calls: int
    gadget: GadgetCall
    encode: Callable[[Any], list[int]]
    truncate: Callable[[Sequence[int]], list[int]]
    evaluate: Callable[[Sequence[int], Sequence[int], int, GadgetCall], list[int]]
    is_scalar: bool

    @property
    def wire_len(self) -> int:
        return 1 << self.calls.bit_length()  # the next power of two of calls + 1

    @property
    def gadget_len(self) -> int:
        return self.degree * (self.wire_len - 1) + 1

    @property
    def proof_len(self) -> int:
        return self.arity + self.gadget_len

    @property
    def query_rand_len(self) -> int:
        return 1 + (self.outputs if self.outputs > 1 else 0)

    @property
    def verifier_len(self) -> int:
        return 2 + self.arity

    def prove(self, meas: Sequence[int], prove_rand: Sequence[int], joint_rand: Sequence[int]) -> list[int]:
        field, wires = self.field, [[seed] for seed in prove_rand]
        self.evaluate(meas, joint_rand, 1, lambda inputs: self.gadget(self._record(wires, inputs)))
        order = 1 << (self.gadget_len - 1).bit_length()
        proof = list(prove_rand)
        for i in range(self.gadget_len):
            weights = lagrange(field, self.wire_len, self.wire_len, pow(field.root(order), i, field.modulus))
            proof.append(self.gadget([field.dot(weights, self._padded(wire)) for wire in wires]))
        return proof

    def query(
        self,
        meas: Sequence[int],
        proof: Sequence[int],
        query_rand: Sequence[int],
        joint_rand: Sequence[int],
        shares: int,
    ) -> list[int]:
        field, wires = self.field, [[seed] for seed in proof[: self.arity]]
        polynomial, order = proof[self.arity :], 1 << (self.gadget_len - 1).bit_length()

        def from_polynomial(inputs: list[int]) -> int:
            self._record(wires, inputs)
            at = pow(field.root(self.wire_len), len(wires[0]) - 1, field.modulus)
            return field.dot(lagrange(field, order, self.gadget_len, at), polynomial)

        outputs = self.evaluate(meas, joint_rand, shares, from_polynomial)
        *rand, point = query_rand
        assert pow(point, self.wire_len, field.modulus) != 1
        weights = lagrange(field, self.wire_len, self.wire_len, point)
        return [
            field.dot(rand or [1], outputs),
            *(field.dot(weights, self._padded(wire)) for wire in wires),
            field.dot(lagrange(field, order, self.gadget_len, point), polynomial),
        ]

    def decide(self, verifier: Sequence[int]) -> None:
        output, *wires, at_point = verifier
        if output:
            raise VerificationFailedError("circuit output")
        if self.gadget(wires) != at_point:
            raise VerificationFailedError("gadget test")

    def _record(self, wires: list[list[int]], inputs: list[int]) -> list[int]:
        for wire, value in zip(wires, inputs, strict=True):
            wire.append(value % self.field.modulus)
        return inputs

    def _padded(self, wire: list[int]) -> list[int]:
        return wire + [0] * (self.wire_len - len(wire))


def range_weights(maximum: int) -> list[int]:
    """Weights of a range-checked integer's digits: powers of two, and what is left to the maximum."""
    powers = [1 << i for i in range(maximum.bit_length() - 1)]
    return [*powers, maximum - sum(powers)]


def range_digits(value: int, maximum: int) -> list[int]:
    assert 0 <= value <= maximum
    *powers, last = range_weights(maximum)
    is_above = value > sum(powers)
    rest = value - last * is_above
    return [*(rest >> i & 1 for i in range(len(powers))), int(is_above)]


def polynomial_circuit(
    field: Field,
    roots: int,
    calls: int,
    encode: Callable[[int], list[int]],
    truncate: Callable[[Sequence[int]], list[int]],
) -> Circuit:
    """Each element x satisfies x (x - 1) … (x - roots + 1) = 0: Sum and HigherDegree."""
    return Circuit(
        field=field,
        meas_len=calls,
        joint_rand_len=0,
        outputs=calls,
        arity=1,
        degree=roots,
        calls=calls,
        gadget=lambda inputs: math.prod(inputs[0] - i for i in range(roots)) % field.modulus,
        encode=encode,
        truncate=truncate,
        evaluate=lambda meas, _, __, gadget: [gadget([value]) for value in meas],
        is_scalar=True,
    )


def count_circuit(field: Field) -> Circuit:
    return Circuit(
        field=field,
        meas_len=1,
        joint_rand_len=0,
        outputs=1,
        arity=2,
        degree=2,
        calls=1,
        gadget=lambda inputs: inputs[0] * inputs[1] % field.modulus,
        encode=lambda measurement: [int(measurement)],
        truncate=list,
        evaluate=lambda meas, _, __, gadget: [(gadget([meas[0], meas[0]]) - meas[0]) % field.modulus],
        is_scalar=True,
    )


def chunked_circuit(
    field: Field,
    meas_len: int,
    chunk: int,
    encode: Callable[[Any], list[int]],
    truncate: Callable[[Sequence[int]], list[int]],
    extra: Callable[[Sequence[int], int], list[int]] = lambda meas, shares_inverse: [],
) -> Circuit:
    """Every element is 0 or 1, checked chunk by chunk with joint randomness; `extra` are further outputs."""
    calls, p = -(-meas_len // chunk), field.modulus

    def evaluate(
        meas: Sequence[int], joint_rand: Sequence[int], shares: int, gadget: GadgetCall
    ) -> list[int]:
        inverse, check = pow(shares, -1, p), 0
        padded = [*meas, *[0] * (calls * chunk - meas_len)]
        for i, r in enumerate(joint_rand):
            inputs: list[int] = []
            for j, value in enumerate(padded[i * chunk : (i + 1) * chunk], 1):
                inputs += [pow(r, j, p) * value % p, (value - inverse) % p]
            check += gadget(inputs)
        return [check % p, *extra(meas, inverse)]

    return Circuit(
        field=field,
        meas_len=meas_len,
        joint_rand_len=calls,
        outputs=1 + len(extra([0] * meas_len, 1)),
        arity=2 * chunk,
        degree=2,
        calls=calls,
        gadget=lambda inputs: sum(a * b for a, b in zip(inputs[::2], inputs[1::2], strict=True)) % p,
        encode=encode,
        truncate=truncate,
        evaluate=evaluate,
        is_scalar=False,
    )


def sum_vec_circuit(field: Field, length: int, maximum: int, chunk: int) -> Circuit:
    weights = range_weights(maximum)
    bits = len(weights)
    return chunked_circuit(
        field,
        length * bits,
        chunk,
        encode=lambda values: [digit for value in values for digit in range_digits(value, maximum)],
        truncate=lambda m: [field.dot(weights, m[i : i + bits]) for i in range(0, len(m), bits)],
    )


def histogram_circuit(field: Field, length: int, chunk: int) -> Circuit:
    return chunked_circuit(
        field,
        length,
        chunk,
        encode=lambda bucket: [int(i == bucket) for i in range(length)],
        truncate=list,
        extra=lambda meas, inverse: [(sum(meas) - inverse) % field.modulus],
    )


def multihot_circuit(field: Field, length: int, max_weight: int, chunk: int) -> Circuit:
    weights = range_weights(max_weight)
    return chunked_circuit(
        field,
        length + len(weights),
        chunk,
        encode=lambda bits: [*map(int, bits), *range_digits(sum(bits), max_weight)],
        truncate=lambda meas: list(meas[:length]),
        extra=lambda meas, _: [(sum(meas[:length]) - field.dot(weights, meas[length:])) % field.modulus],
    )


@dataclass(frozen=True)
class Prio3:
    """One instance: circuit, XOF, algorithm id, shares and proofs (section 7.2)."""

    circuit: Circuit
    xof: XofType
    algorithm_id: int
    ctx: bytes
    shares: int
    proofs: int

    def dst(self, usage: int) -> bytes:
        return format_dst(usage, self.ctx, self.algorithm_id)

    def expand(self, seed: bytes, usage: int, binder: bytes, count: int) -> list[int]:
        stream = self.xof(seed, self.dst(usage), binder)
        return sample_integers(stream, count, self.circuit.field.modulus)

    def derive(self, seed: bytes, usage: int, binder: bytes) -> bytes:
        return self.xof(seed, self.dst(usage), binder).next(SEED_BYTES)

    def split_rand(self, rand: bytes) -> tuple[list[bytes], list[bytes], bytes]:
        """Return (helper seeds, blinds of leader and helpers, prove seed)."""
        seeds = [rand[at : at + SEED_BYTES] for at in range(0, len(rand), SEED_BYTES)]
        if not self.circuit.joint_rand_len:
            return seeds[:-1], [], seeds[-1]
        *helpers, leader_blind, prove_seed = seeds
        return helpers[0::2], [leader_blind, *helpers[1::2]], prove_seed

    def helper_meas(self, aggregator_id: int, seed: bytes) -> list[int]:
        return self.expand(seed, MEAS_SHARE, bytes([aggregator_id]), self.circuit.meas_len)

    def helper_proofs(self, aggregator_id: int, seed: bytes) -> list[int]:
        count = self.circuit.proof_len * self.proofs
        return self.expand(seed, PROOF_SHARE, bytes([self.proofs, aggregator_id]), count)

    def joint_rand_part(self, aggregator_id: int, blind: bytes, meas_share: list[int], nonce: bytes) -> bytes:
        binder = bytes([aggregator_id]) + nonce + self.circuit.field.encode(meas_share)
        return self.derive(blind, JOINT_RAND_PART, binder)

    def joint_rand_seed(self, parts: Sequence[bytes]) -> bytes:
        return self.derive(bytes(SEED_BYTES), JOINT_RAND_SEED, b"".join(parts))

    def joint_rands(self, seed: bytes) -> list[list[int]]:
        length = self.circuit.joint_rand_len
        flat = self.expand(seed, JOINT_RAND, bytes([self.proofs]), length * self.proofs) if length else []
        return self._by_proof(flat, length)

    def shard(self, measurement: object, nonce: bytes, rand: bytes) -> tuple[bytes, list[bytes]]:
        """Return the encoded public share and input shares."""
        circuit, field = self.circuit, self.circuit.field
        seeds, blinds, prove_seed = self.split_rand(rand)
        encoded = circuit.encode(measurement)
        helpers = [self.helper_meas(j, seed) for j, seed in enumerate(seeds, 1)]
        leader = field.subtract(encoded, field.add(*helpers))
        meas_shares = [leader, *helpers]
        parts = [self.joint_rand_part(j, blind, meas_shares[j], nonce) for j, blind in enumerate(blinds)]
        joint_rands = self.joint_rands(self.joint_rand_seed(parts))
        prove_rand = self.expand(prove_seed, PROVE_RAND, bytes([self.proofs]), circuit.arity * self.proofs)
        proofs: list[int] = []
        for rand_of_proof, joint_rand in zip(
            self._by_proof(prove_rand, circuit.arity), joint_rands, strict=True
        ):
            proofs += circuit.prove(encoded, rand_of_proof, joint_rand)
        for j, seed in enumerate(seeds, 1):
            proofs = field.subtract(proofs, self.helper_proofs(j, seed))
        inputs = [field.encode(leader) + field.encode(proofs), *seeds]
        return b"".join(parts), [a + b for a, b in zip(inputs, blinds or [b""] * self.shares, strict=True)]

    def expand_input_share(self, aggregator_id: int, data: bytes) -> tuple[list[int], list[int], bytes]:
        """Return (measurement share, proofs share, blind) of one aggregator."""
        cut = len(data) - (SEED_BYTES if self.circuit.joint_rand_len else 0)
        data, blind = data[:cut], data[cut:]
        if aggregator_id:
            assert len(data) == SEED_BYTES
            return self.helper_meas(aggregator_id, data), self.helper_proofs(aggregator_id, data), blind
        elements = self.circuit.field.parse(data)
        return elements[: self.circuit.meas_len], elements[self.circuit.meas_len :], blind

    def verify_init(
        self, verify_key: bytes, aggregator_id: int, nonce: bytes, public_share: bytes, input_share: bytes
    ) -> tuple[list[int], bytes, bytes]:
        """Return (out share, this aggregator's joint randomness seed, encoded verifier share)."""
        circuit = self.circuit
        meas, proofs, blind = self.expand_input_share(aggregator_id, input_share)
        seed = part = b""
        if circuit.joint_rand_len:
            parts = [public_share[at : at + SEED_BYTES] for at in range(0, len(public_share), SEED_BYTES)]
            part = parts[aggregator_id] = self.joint_rand_part(aggregator_id, blind, meas, nonce)
            seed = self.joint_rand_seed(parts)
        query_rand = self.expand(
            verify_key, QUERY_RAND, bytes([self.proofs]) + nonce, circuit.query_rand_len * self.proofs
        )
        verifiers: list[int] = []
        for proof, rand, joint_rand in zip(
            self._by_proof(proofs, circuit.proof_len),
            self._by_proof(query_rand, circuit.query_rand_len),
            self.joint_rands(seed),
            strict=True,
        ):
            verifiers += circuit.query(meas, proof, rand, joint_rand, self.shares)
        return circuit.truncate(meas), seed, circuit.field.encode(verifiers) + part

    def verifier_message(self, verifier_shares: Sequence[bytes]) -> bytes:
        """Combine the verifier shares; raises VerificationFailedError if a proof does not hold."""
        cut = self.circuit.verifier_len * self.proofs * self.circuit.field.element_bytes
        total = self.circuit.field.add(*(self.circuit.field.parse(share[:cut]) for share in verifier_shares))
        for verifier in self._by_proof(total, self.circuit.verifier_len):
            self.circuit.decide(verifier)
        parts = [share[cut:] for share in verifier_shares]
        return self.joint_rand_seed(parts) if self.circuit.joint_rand_len else b""

    def verify_next(self, own_seed: bytes, message: bytes) -> None:
        """Compare the client's joint randomness with the true one."""
        if own_seed != message:
            raise VerificationFailedError("joint randomness")

    def _by_proof(self, flat: Sequence[int], length: int) -> list[list[int]]:
        assert len(flat) == length * self.proofs
        return [list(flat[i * length : (i + 1) * length]) for i in range(self.proofs)]


def circuit_of(kind: str, field: Field, vector: dict[str, Any]) -> Circuit | None:
    """Build the circuit of a kind of vector file from the file's own parameters; None for an unknown kind."""
    if kind == "Count":
        return count_circuit(field)
    if kind == "HigherDegree":
        return polynomial_circuit(field, 3, 1, lambda measurement: [measurement], list)
    if kind == "Sum":
        maximum = vector["max_measurement"]
        weights = range_weights(maximum)
        return polynomial_circuit(
            field, 2, len(weights), lambda m: range_digits(m, maximum), lambda m: [field.dot(weights, m)]
        )
    if kind == "SumVec":
        return sum_vec_circuit(field, vector["length"], vector["max_measurement"], vector["chunk_length"])
    if kind == "Histogram":
        return histogram_circuit(field, vector["length"], vector["chunk_length"])
    if kind == "MultihotCountVec":
        return multihot_circuit(field, vector["length"], vector["max_weight"], vector["chunk_length"])
    return None


# name of a file: (circuit, algorithm id, field), draft sections 7.4 and 10.1; a file's own keys come first
INSTANCES = {
    "SumVecWithMultiproof": ("SumVec", 0xFFFFFFFF, "Field64"),
    "MultihotCountVec": ("MultihotCountVec", 5, "Field128"),
    "HigherDegree": ("HigherDegree", 0xFFFFFFFF, "Field64"),
    "Histogram": ("Histogram", 4, "Field128"),
    "SumVec": ("SumVec", 3, "Field128"),
    "Count": ("Count", 1, "Field64"),
    "Sum": ("Sum", 2, "Field64"),
}


def instance_of(name: str, vector: dict[str, Any]) -> Prio3 | None:
    """Derive the instance that a vector file is about from its name and its keys; None for another VDAF."""
    stem = name.removeprefix("Prio3")
    known = next((prefix for prefix in INSTANCES if stem.startswith(prefix)), None)
    if known is None or not vector.get("reports"):
        return None
    kind, algorithm_id, field_name = INSTANCES[known]
    field = FIELDS[vector.get("field", field_name)]
    circuit = circuit_of(kind, field, vector)
    if circuit is None:
        return None
    leader = bytes.fromhex(vector["reports"][0]["input_shares"][0])
    proof_bytes = len(leader) - field.element_bytes * circuit.meas_len
    proof_bytes -= SEED_BYTES if circuit.joint_rand_len else 0
    return Prio3(
        circuit=circuit,
        xof=XofHmacSha256Aes128 if "Hmac" in name else XofTurboShake128,
        algorithm_id=int(str(vector.get("algorithm_id", algorithm_id)), 0),
        ctx=bytes.fromhex(vector["ctx"]),
        shares=vector["shares"],
        proofs=vector.get("proofs", proof_bytes // (field.element_bytes * circuit.proof_len)),
    )
