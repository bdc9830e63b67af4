"""Counties of the zoo: every statement signed by the key that must sign it, real masks and sums, no boxes.

`ZooCounty` extends `FakeCounty` by what the verifier can see and tests of other rooms need less: ladders,
keys that roll over, auditors and nodes that come and go, and `signer`, which knows every private key that was
ever made. Boxes are digests of made-up bytes: no bundle holds a box.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
from fakes_auditors import PLAN_TOML, FakeCounty
from fakes_federation import ZERO, FakeNode, fake_bytes
from numpy.typing import NDArray

from crypto.derivation import master_commitment, seed_commitment
from crypto.field64 import encode_vector
from crypto.note import KeyType, SigningKey, VerifierKey
from crypto.replication import subsets
from crypto.sharing import mask_vector
from crypto.tier_sum import TierSum
from plan.document import PlanDocument, parse_plan_toml
from privacy.sensitivity import Neighbouring
from protos.bodies import (
    Refusal,
    ReportName,
    RosterAuditor,
    RosterBody,
    RosterNode,
    TableSums,
    encode_release_body,
    encode_roster_body,
    key_name,
)
from protos.report_payload import body_bytes
from protos.statements import (
    Abandon,
    Cancel,
    Correction,
    Extended,
    Extension,
    Opening,
    Replayed,
    Report,
    Revoke,
    Roster,
    Statement,
    body_ref,
    digest,
    encode_statement,
)
from protos.succession import sign_succession

Numbers = NDArray[np.int64]
_OWN_KEYS = (Correction, Replayed)  # signed by who is in force, not by who was when the plan was made


@cache
def plan_document(rho: str = "1/10", tiers: tuple[int, ...] = ()) -> PlanDocument:
    """A plan of 2 tables and 31 cells; the county fills in auditors and terms."""
    document = parse_plan_toml(PLAN_TOML.replace('rho = "1/5"', f'rho = "{rho}"').encode())
    return replace(document, tiers=tiers)


@dataclass
class ZooNode(FakeNode):
    """A school whose report key may have been followed by others."""

    generation: int = 0
    succeeds: tuple[str, ...] = ()

    def key(self, federation: str) -> SigningKey:
        """The report key of this generation."""
        label = f"node {self.id}" + (f" {self.generation}" if self.generation else "")
        return SigningKey(key_name(federation, "node", self.id), KeyType.ED25519, fake_bytes(label))


@dataclass
class ZooCounty(FakeCounty):
    """A county that can do everything that the log knows of.

    Attributes:
        registry: every private key ever made, by name and key id.
        lines: lines of succession of the next roster, by party.
        steps: the noise of each step of a ladder, by report.
    """

    registry: dict[tuple[str, bytes], SigningKey] = field(default_factory=dict)
    lines: dict[str, str] = field(default_factory=dict)
    steps: dict[bytes, list[Numbers]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make everybody; schools report keys are known to the registry as well."""
        super().__post_init__()
        self.nodes = {name: ZooNode(row.id, row.operator) for name, row in self.nodes.items()}

    def _key(self, label: str, *parts: str, key_type: KeyType = KeyType.ED25519) -> SigningKey:
        key = super()._key(label, *parts, key_type=key_type)
        return self.know(key)

    def know(self, key: SigningKey) -> SigningKey:
        """Remember a private key."""
        self.registry[key.name, key.verifier.key_id] = key
        return key

    def signer(self, key: VerifierKey) -> SigningKey:
        """Find the private half."""
        return self.registry[key.name, key.key_id]

    # --- rosters ----------------------------------------------------------------------------

    def roster_body(self, nodes: Sequence[RosterNode]) -> RosterBody:
        """Make a roster body with the keys of now and the lines of succession that wait."""
        auditors = tuple(
            RosterAuditor(
                name,
                f"operator of {name}",
                key.verifier,
                self.witnesses[name].verifier,
                int(name[1:]) > 2,
                self.lines.get(name, "") if hasattr(self, "lines") else "",
            )
            for name, key in sorted(self.auditors.items())
        )
        ordered = tuple(sorted(nodes, key=lambda node: node.id))
        return RosterBody(
            self.log_key.verifier,
            self.coordinator.verifier,
            fake_bytes("ca"),
            auditors,
            ordered,
            tuple(sorted(self.all_tuples)),
        )

    @property
    def all_tuples(self) -> set[tuple[int, int, int, int]]:
        """What plans may use."""
        return {self.tuple_}

    def all_roster_nodes(self) -> tuple[RosterNode, ...]:
        """Every school as the next roster has it."""
        rows = []
        for node in self.nodes.values():
            key = self.know(node.key(self.federation))
            rows.append(
                RosterNode(
                    node.id,
                    node.operator,
                    key.verifier,
                    master_commitment(node.id, node.master),
                    node.attributes,
                    node.succeeds if isinstance(node, ZooNode) else (),
                    self.lines.get(node.id, ""),
                )
            )
        return tuple(rows)

    def enrol(self, signers: Sequence[str] | None = None) -> bytes:
        """Log the next roster; it is signed as the chain asks, by everybody or by these auditors."""
        last = self.ledger.roster if self.ledger.roster_chain else None
        assert last is not None
        contents = self.roster_body(self.all_roster_nodes())
        body = encode_roster_body(contents)
        serial = last.statement.serial + 1
        roster = Roster(self.federation, serial, last.digest, self.kind, self.quorum, body_ref(body))
        old = {row.id: row for row in last.body.auditors}
        order = [*contents.auditors, *(row for name, row in old.items() if name not in self.auditors)]
        keys = [self.signer(last.body.coordinator)]
        keys += [self.signer(row.statement) for row in order if signers is None or row.id in signers]
        self.lines.clear()
        return self.add(roster, body, keys)

    def roll_auditor(self, name: str) -> None:
        """Give an auditor its next pair of keys; the next roster brings them."""
        old = self.auditors[name]
        generation = f"{name} {len(self.registry)}"
        self.auditors[name] = self._key(f"auditor {generation}", "auditor", name)
        witness = self._key(f"witness {generation}", "witness", name, key_type=KeyType.COSIGNATURE)
        self.witnesses[name] = witness
        new = self.auditors[name].verifier
        self.lines[name] = sign_succession(self.federation, "auditor", name, old, new, witness.verifier)

    def roll_node(self, name: str) -> None:
        """Give a school its next report key; the next roster brings it."""
        node = self.nodes[name]
        assert isinstance(node, ZooNode)
        old = node.key(self.federation)
        node.generation += 1
        new = self.know(node.key(self.federation)).verifier
        self.lines[name] = sign_succession(self.federation, "node", name, old, new, None)

    def roll_coordinator(self) -> None:
        """Give log and coordinator their next keys; the next roster brings them."""
        self.log_key = self._key(f"log {len(self.registry)}", "log")
        self.coordinator = self._key(f"coordinator {len(self.registry)}", "coordinator")

    def replace_auditor(self, gone: str, new: str) -> None:
        """Let another auditor take a seat; the next roster says so."""
        del self.auditors[gone], self.witnesses[gone]
        self.auditors[new] = self._key(f"auditor {new}", "auditor", new)
        self.witnesses[new] = self._key(f"witness {new}", "witness", new, key_type=KeyType.COSIGNATURE)

    def add_node(self, name: str, succeeds: tuple[str, ...] = ()) -> None:
        """Let a school come in, perhaps in the place of others, which leave."""
        for old in succeeds:
            del self.nodes[old]
        self.nodes[name] = ZooNode(name, f"school {name}", succeeds=succeeds)

    def revoke(self, subject: str, name: str) -> bytes:
        """Revoke a node or an auditor by the coordinator's word."""
        said = Revoke(self.federation, self.ledger.roster.digest, subject, name, "lost")
        return self.add(said, b"", [self.coordinator])

    def add(self, statement: Statement, body: bytes, keys: Sequence[SigningKey]) -> bytes:
        """Sign and append; what belongs to a round is signed by the keys of its plan's roster."""
        row = self.ledger.rounds.get(getattr(statement, "round", b""))
        if row is not None and not isinstance(statement, _OWN_KEYS):
            roster = row.roster
            known = [roster.coordinator, *(item.statement for item in roster.auditors)]
            known += [item.report for item in roster.nodes]
            by_name = {key.name: key for key in known}
            keys = [self.signer(by_name[key.name]) for key in keys]
        return super().add(statement, body, keys)

    # --- rounds -----------------------------------------------------------------------------

    def plan_round(
        self,
        rho: str = "1/10",
        tiers: tuple[int, ...] = (),
        *,
        approved_by: Sequence[str] | None = None,
        neighbouring: str = "",
        **terms: Any,
    ) -> bytes:
        """Publish a plan and let its auditors approve it: all of them, or those named."""
        n, t, f, q = self.tuple_
        document = replace(plan_document(rho, tiers), num_auditors=n, threshold=t, collude=f, quorum=q)
        if neighbouring:
            document = replace(document, neighbouring=Neighbouring(neighbouring))
        names = tuple(name for name in sorted(self.auditors) if name not in self.ledger.revoked_auditors)[:n]
        round_id = self.publish_plan(document, auditors=terms.pop("auditors", names), **terms)
        if approved_by is None:
            self.approve(round_id)
        for name in approved_by or ():
            self.approve(round_id, [name])
        return round_id

    def report(self, node: str, round_id: bytes, **changes: object) -> bytes:
        """Log a report with real masks."""
        row = self.round(round_id)
        terms, n, t = row.terms, len(row.terms.auditors), row.terms.threshold
        attempt = len(row.attempts_of(node))
        label = f"{node} {attempt} {round_id.hex()}"
        seeds = {subset: fake_bytes(f"seed {subset} {label}") for subset in subsets(n, t)}
        numbers = self._numbers(f"x {label}", terms.cells)
        steps = [self._numbers(f"w{k} {label}", terms.cells) // 8 for k in range(1, terms.num_vectors)]
        parts = [mask_vector(numbers, seeds, round_id, n, t)]
        parts += [mask_vector(part, seeds, round_id, n, t, step=k) for k, part in enumerate(steps, start=1)]
        vector = encode_vector(np.concatenate(parts))
        commitments = tuple(
            (subset, seed_commitment(round_id, node, attempt, subset, seed)) for subset, seed in seeds.items()
        )
        statement: Report = self.report_statement(
            node,
            round_id,
            vector=hashlib.sha256(vector).digest(),
            seeds=commitments,
            size=body_bytes(terms.num_elements, row.box_bytes, n),
            **changes,
        )
        name = self.add(statement, b"", [self.nodes[node].key(self.federation)])
        self.seeds_of[(name.hex(), 0)] = seeds
        self.vectors[name], self.values[name], self.steps[name] = vector, numbers, steps
        return name

    @staticmethod
    def _numbers(label: str, cells: int) -> Numbers:
        return np.frombuffer(fake_bytes(label, cells), np.uint8).astype(np.int64) - 60

    def collect(self, round_id: bytes, nodes: Sequence[str] | None = None) -> None:
        """Let schools report."""
        for node in nodes or sorted(self.nodes):
            self.report(node, round_id)

    def finish(
        self,
        round_id: bytes,
        *,
        away: Sequence[str] = (),
        refused: Mapping[str, str] | None = None,
        is_released: bool = True,
    ) -> None:
        """Go from the candidates to the release with every auditor that is not away."""
        present = [name for name in self.round(round_id).terms.auditors if name not in away]
        self.fix_candidates(round_id)
        names = self.round(round_id).candidate_names()
        refusals = tuple(
            Refusal(name, (refused or {})[name.node]) for name in names if name.node in (refused or {})
        )
        for name in present:
            self.check(name, round_id, refusals)
        self.close(round_id, present)
        for name in present:
            self.agree(name, round_id)
        for name in present:
            self.open_(name, round_id)
        if is_released:
            self.release(round_id)

    def open_(self, auditor: str, round_id: bytes) -> bytes:
        """Log one opening with the real sums."""
        row = self.round(round_id)
        sums = {}
        for subset in row.subsets_of(auditor):
            data = self.mask_sum(round_id, subset)
            self.sums[(round_id, auditor, subset)] = data
            sums[subset] = hashlib.sha256(data).digest()
        return self.add(self.opening_statement(auditor, round_id, sums), b"", [self.auditors[auditor]])

    def mask_sum(self, round_id: bytes, subset: int) -> bytes:
        """Compute the mask sum of one subset over S."""
        row = self.round(round_id)
        total = TierSum(row.terms.cells, row.close.statement.tier if row.close else 0)
        seeds = [self.seeds_of[(name.digest.hex(), 0)][subset] for name in self._set(round_id)]
        total.add_masks(subset, seeds, round_id, len(row.terms.auditors), row.terms.threshold)
        return encode_vector(total.value())

    def _set(self, round_id: bytes) -> tuple[ReportName, ...]:
        body = self.round(round_id).close_body()
        return body.set if body else ()

    def expected(self, round_id: bytes) -> Numbers:
        """What the opened sum must be."""
        row = self.round(round_id)
        tier = row.close.statement.tier if row.close else 0
        total: Numbers = np.zeros(row.terms.cells, dtype=np.int64)
        for name in self._set(round_id):
            total = total + self.values[name.digest] - sum(self.steps[name.digest][:tier])
        return total

    def release(self, round_id: bytes, openers: Sequence[str] | None = None, **changes: object) -> bytes:
        """Log the release with the real sums."""
        row = self.round(round_id)
        names = openers or [name for name in row.terms.auditors if name in row.openings]
        body = self.release_body(round_id)
        if changes.get("status") == "corrupt":
            body = encode_release_body(())
        statement, _ = self.release_statement(round_id, names, body=body_ref(body), **changes)
        return self.add(statement, body, [self.coordinator])

    def release_body(self, round_id: bytes) -> bytes:
        """Write the opened tables."""
        row = self.round(round_id)
        values, start, tables = self.expected(round_id), 0, []
        sizes = self.table_sizes(round_id)
        for table, scale, s2 in row.terms.noise_left(row.close.statement.tier if row.close else 0):
            cells = values[start : start + sizes[table]]
            tables.append(TableSums(table, scale, s2, tuple(int(value) for value in cells)))
            start += sizes[table]
        return encode_release_body(tables)

    def table_sizes(self, round_id: bytes) -> dict[str, int]:
        """Cells of every table."""
        from auditor.plan_view import view_plan

        row = self.round(round_id)
        layout = view_plan(row.terms, row.plan.body).layout
        return {table.id: table.end - table.offset for table in layout.tables}

    # --- what changes in a round ------------------------------------------------------------

    def extend(self, round_id: bytes, days: int = 7, granted_by: Sequence[str] | None = None) -> None:
        """Ask for a later deadline; some auditors grant it."""
        row = self.round(round_id)
        serial = len(row.changes.extensions) + 1
        said = Extension(self.federation, round_id, serial, row.closes + timedelta(days=days), "holiday")
        asked = self.add(said, b"", [self.coordinator])
        for name in row.terms.auditors[: row.terms.quorum] if granted_by is None else granted_by:
            granted = Extended(self.federation, round_id, name, asked)
            self.add(granted, b"", [self.auditors[name]])

    def abandon(self, auditor: str, round_id: bytes) -> bytes:
        """Let an auditor abandon a round."""
        close = self.round(round_id).close
        said = Abandon(self.federation, round_id, auditor, close.digest if close else ZERO, "expired")
        return self.add(said, b"", [self.auditors[auditor]])

    def cancel(self, round_id: bytes, successor: bytes = ZERO) -> bytes:
        """Let the county end a round."""
        close = self.round(round_id).close
        said = Cancel(self.federation, round_id, close.digest if close else ZERO, successor, "mistake")
        return self.add(said, b"", [self.coordinator])

    def correct(
        self,
        round_id: bytes,
        status: str = "corrected",
        tables: tuple[str, ...] = (),
        successor: bytes = ZERO,
    ) -> bytes:
        """Say how a release is to be read."""
        row = self.round(round_id)
        assert row.release is not None
        last = row.changes.corrections[-1].digest if row.changes.corrections else ZERO
        said = Correction(
            self.federation, round_id, row.release.digest, last, status, tables, successor, "other"
        )
        return self.add(said, b"", [self.coordinator])

    def replay(self, auditor: str, round_id: bytes, node: str, outcome: str = "PASS") -> bytes:
        """Let an auditor log what a replay found."""
        report = self.round(round_id).attempts_of(node)[-1]
        said = Replayed(self.federation, round_id, auditor, node, report.digest, outcome, "L3")
        return self.add(said, b"", [self.auditors[auditor]])

    def lying_opening(self, auditor: str, round_id: bytes, subset: int) -> bytes:
        """Let an auditor return another sum of one of its subsets."""
        said: Opening = self.opening_statement(
            auditor,
            round_id,
            {
                one: hashlib.sha256(self.mask_sum(round_id, one) + (b"x" if one == subset else b"")).digest()
                for one in self.round(round_id).subsets_of(auditor)
            },
        )
        return self.add(said, b"", [self.auditors[auditor]])


def digest_of(statement: Statement) -> bytes:
    """The digest of a statement."""
    return digest(encode_statement(statement))


__all__ = ["Fraction", "ZooCounty", "ZooNode", "digest_of", "plan_document"]
