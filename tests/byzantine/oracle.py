"""What must hold after every step, said from outside of the product.

The oracle sees what leaves honest parties, what they have on their disks, and what the schools really sent;
it raises `judge.Violation` as soon as one of the invariants of docs/byzantine.md does not hold.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from byzantine.judge import Judge, Name, Sitting, hold
from byzantine.template import LOW_CAP, LOW_CAP_SCHOOL

from crypto import derivation
from crypto.checkpoint import parse_checkpoint
from crypto.field64 import MODULUS, parse_vector
from crypto.merkle import leaf_hash, tree_root
from crypto.note import parse_note, verify_signature
from crypto.prio3_shares import USAGE_MEAS_SHARE, share_binder
from crypto.replication import rank, subsets_with
from crypto.xof import XofHmacSha256Aes128, format_dst
from plan.published import read_published
from privacy.discrete_gaussian import XOF_USAGE, Sampler
from protos import entry as entries
from protos.report_payload import note_of, parse_payload
from protos.statements import Abandon, Agreement, Approval, Checked, Opening, Report

if TYPE_CHECKING:
    from byzantine.world import Auditor, School, World

KINDS = {
    Approval: "approval",
    Checked: "checked",
    Agreement: "decision",
    Abandon: "decision",
    Opening: "opening",
}


@dataclass
class Sent:
    """A report as its school made it.

    Attributes:
        seeds: of all subsets; boxes: auditor → the seeds that it finds, None where it must refuse.
    """

    node: str
    round_id: bytes
    vector: bytes
    seeds: dict[int, bytes]
    boxes: dict[str, dict[int, bytes] | None]


@dataclass
class Follower:
    """What an honest party has accepted: read by a judge of its own."""

    judge: Judge = field(default_factory=Judge)
    leaves: list[bytes] = field(default_factory=list)

    def take(self, entry: bytes, body: bytes) -> None:
        """Judge the next entry."""
        self.judge.feed(entry, body)
        self.leaves.append(leaf_hash(entry))


@lru_cache(maxsize=20_000)
def mask_of(seed: bytes, round_id: bytes, place: int, cells: int) -> tuple[int, ...]:
    """Expand one mask, as docs/protocol.md says."""
    stream = XofHmacSha256Aes128(seed, format_dst(USAGE_MEAS_SHARE, round_id), share_binder(place))
    return tuple(int(value) for value in stream.next_vec(cells))


@lru_cache(maxsize=64)
def sampler_of(s2: int) -> Sampler:
    """Make a sampler once."""
    return Sampler(s2)


class Oracle:
    """Checks a world.

    Attributes:
        reports: digest of a header → what the school made.
        answers: (auditor, round, kind) → digest of what it sent.
        opened: round → digest of the close → honest auditors that opened.
        abandons: round → auditors of which an abandon was seen, liars too.
        votes: (auditor, round) → the close that it has agreed to.
        charged: school → rounds that it charged.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.reports: dict[bytes, Sent] = {}
        self.answers: dict[tuple[str, bytes, str], bytes] = {}
        self.opened: dict[bytes, dict[bytes, set[str]]] = defaultdict(lambda: defaultdict(set))
        self.abandons: dict[bytes, set[str]] = defaultdict(set)
        self.charged: dict[str, set[bytes]] = defaultdict(set)
        self.votes: dict[tuple[str, bytes], bytes] = {}
        self.vectors: dict[tuple[str, bytes, int], bytes] = {}
        self.followers: dict[str, Follower] = defaultdict(Follower)
        self.cosigned: dict[str, list[bytes]] = {}
        self.one_history: list[bytes] = []
        self.secrets: dict[tuple[str, bytes], tuple[bytes, ...]] = {}

    # -- after every step --------------------------------------------------------------------------

    def look(self) -> None:
        """Look at what honest auditors and schools have accepted since the last look."""
        for auditor in self.world.honest:
            if auditor.desk is not None:
                self._look_at(auditor)

    def _look_at(self, auditor: Auditor) -> None:
        mirror = auditor.desk.mirror  # type: ignore[union-attr]
        size = len(mirror.entries)
        follower = self.followers[auditor.id]
        if size == len(follower.leaves):
            return
        if size < len(follower.leaves):  # it has begun again, from nothing or from an older copy
            follower = self.followers[auditor.id] = Follower()
        for entry, body in mirror.entries[len(follower.leaves) : size]:
            follower.take(entry, body)
        hold(
            mirror.ledger.leaves[:size] == follower.leaves, "append-only", f"{auditor.id} has lost its place"
        )

    def forget(self, auditor_id: str) -> None:
        """Note that an auditor's copy of the log is gone."""
        self.followers.pop(auditor_id, None)

    # -- what an honest auditor sends --------------------------------------------------------------

    def on_sent(self, auditor: Auditor, data: bytes, body: bytes, sums: Sequence[bytes] = ()) -> None:
        """Judge a statement that leaves an honest auditor."""
        entry = entries.parse_entry(data)
        statement: Any = entry.statement
        kind = KINDS.get(type(statement))
        if kind is None:
            return
        self.look()
        known = self.answers.setdefault((auditor.id, statement.round, kind), entry.digest)
        hold(known == entry.digest, "two-answers", f"{auditor.id} signed a second {kind}")
        row = self.followers[auditor.id].judge.rounds.get(statement.round)
        hold(row is not None, "unknown-round", f"{auditor.id} signs for a round that it has not seen")
        assert row is not None
        if isinstance(statement, Approval):
            self._approved(auditor, row, statement)
        else:
            self._keeps_its_state(auditor, row, kind)
        if isinstance(statement, Checked):
            self._checked(auditor, row, body, data)
        elif isinstance(statement, Agreement):
            self._agreed(auditor, row, statement)
        elif isinstance(statement, Abandon):
            self.abandons[row.id].add(auditor.id)
            self._secrets_gone(auditor, row.id)
        elif isinstance(statement, Opening):
            self._opened(auditor, row, statement, sums)

    def _approved(self, auditor: Auditor, row: Sitting, approval: Approval) -> None:
        policy, terms = self.world.policy, row.terms
        tuple_ = (len(terms.auditors), terms.threshold, terms.collude, terms.quorum)
        hold(tuple_ in policy.tuples, "policy", f"{auditor.id} approves {tuple_}")
        hold(terms.min_reports >= policy.min_reports, "policy", f"{auditor.id} approves min_reports")
        hold(terms.min_group >= policy.min_group, "policy", f"{auditor.id} approves min_group")
        hold(terms.rho <= policy.max_rho, "policy", f"{auditor.id} approves rho {terms.rho}")
        same = [
            other
            for other in self.followers[auditor.id].judge.rounds.values()
            if other.id != row.id
            and other.body["tables"][0]["dims"] == row.body["tables"][0]["dims"]
            and auditor.id in other.approvals
            and other.reports
            and not other.is_over
            and other.body["census_date"] == row.body["census_date"]
            and (auditor.id, other.id, "approval") in self.answers
        ]
        if (auditor.id, row.id) not in self.secrets:  # the first time that it is sent
            hold(not same, "asked-again", f"{auditor.id} approves the same question twice")
            self.secrets[(auditor.id, row.id)] = auditor.secrets_of(row.id)
        del approval

    def _keeps_its_state(self, auditor: Auditor, row: Sitting, kind: str) -> None:
        mine = row.approvals.get(auditor.id)
        is_own = mine is not None and mine[2].instance == auditor.instance()
        hold(
            is_own or not row.approvals.get(auditor.id),
            "restored",
            f"{auditor.id} signs a {kind} after a loss",
        )

    def _checked(self, auditor: Auditor, row: Sitting, body: bytes, data: bytes) -> None:
        if row.candidates is None or entries.parse_entry(data).statement.candidates != row.candidates[0]:
            return  # a re-send, to a history that has not come so far
        found = {(name[0], name[1], bytes.fromhex(name[2])) for name in json.loads(body)["refused"]}
        expected = self.refusals(auditor.id, row)
        hold(found == expected, "checked", f"{auditor.id} refuses {_names(found)}, must {_names(expected)}")

    def refusals(self, auditor_id: str, row: Sitting) -> set[Name]:
        """Compute what an honest auditor must refuse of the candidates."""
        seen: set[bytes] = set()
        bad: set[bytes] = set()
        for _, (_, _, digest), _ in row.reports:
            seeds = self.reports[digest].boxes.get(auditor_id)
            values = list(seeds.values()) if seeds else []
            if not values or len(set(values)) != len(values) or seen.intersection(values):
                bad.add(digest)
            else:
                seen.update(values)
        candidates = row.candidates[1] if row.candidates else ()
        kept = [name for name in candidates if name[2] not in bad]
        while small := row.small_groups(kept):
            kept = [name for name in kept if name[0] not in small]
        return set(candidates) - set(kept)

    def _agreed(self, auditor: Auditor, row: Sitting, agreement: Agreement) -> None:
        self.votes[(auditor.id, row.id)] = agreement.close
        if row.close is None or agreement.close != row.close[0]:
            return  # a re-send in another history; what was signed was judged when it was
        self._set_is_right(auditor, row)
        hold(
            not self.refusals(auditor.id, row).intersection(row.chosen), "answerable", f"{auditor.id} agrees"
        )

    def _set_is_right(self, auditor: Auditor, row: Sitting) -> None:
        who = auditor.id
        assert row.close is not None
        count = row.operators_of(row.chosen)
        hold(count >= row.terms.min_reports, "min-reports", f"{who}: {count} operators in S")
        hold(not row.small_groups(row.chosen), "min-group", f"{who}: a small group in S")
        nodes = [name[0] for name in row.chosen]
        hold(nodes == sorted(set(nodes)), "S", f"{who}: a school twice in S")
        for _, _, digest in row.chosen:
            hold(self.reports[digest].round_id == row.id, "report-of-another-round", f"{who} counts one")

    def _opened(self, auditor: Auditor, row: Sitting, opening: Opening, sums: Sequence[bytes]) -> None:
        who = auditor.id
        self._secrets_gone(auditor, row.id)
        voted = self.votes.get((who, row.id))
        hold(voted == opening.close, "opening-close", f"{who} opens for a close that it has not agreed to")
        is_first = who not in self.opened[row.id][opening.close]
        self.opened[row.id][opening.close].add(who)
        sets = [close for close, names in self.opened[row.id].items() if names]
        hold(len(sets) == 1, "two-sets", f"{len(sets)} sets are opened in one round")
        if not is_first or row.close is None:
            return
        hold(opening.close == row.close[0], "opening-close", f"{who} opens for another close")
        self._set_is_right(auditor, row)
        agreed = self._cosigned_agreements(auditor, row)
        hold(agreed >= row.quorum, "opening-quorum", f"{who}: {agreed} agreements are cosigned")
        expected = self.sums(who, row)
        hold(
            [bytes(value) for value in sums] == list(expected.values()),
            "sums",
            f"{who} adds up something else",
        )

    def _cosigned_agreements(self, auditor: Auditor, row: Sitting) -> int:
        note_bytes = auditor.desk.mirror.cosigned  # type: ignore[union-attr]
        if not note_bytes:
            return 0
        note, template = parse_note(note_bytes), self.world.template
        checkpoint = parse_checkpoint(note.text)
        keys = {key.verifier.key_id: key.verifier for key in template.federation.witnesses.values()}
        found = {signature.key_id for signature in note.signatures if signature.key_id in keys}
        for signature in note.signatures:
            if signature.key_id in keys:
                verify_signature(note.text, signature, keys[signature.key_id])
        leaves = self.followers[auditor.id].leaves[: checkpoint.size]
        if len(found) < template.federation.quorum or tree_root(leaves) != checkpoint.root:
            return 0
        return sum(1 for position in row.agreements.values() if position < checkpoint.size)

    def sums(self, auditor_id: str, row: Sitting) -> dict[int, bytes]:
        """Compute an auditor's mask sums over S."""
        terms = row.terms
        n, t = len(terms.auditors), terms.threshold
        found = {}
        for subset in subsets_with(terms.auditors.index(auditor_id), n, t):
            total = [0] * terms.cells
            for _, _, digest in row.chosen:
                held = (self.reports[digest].boxes.get(auditor_id) or self.reports[digest].seeds)[subset]
                mask = mask_of(held, row.id, 1 + rank(subset, n, t), terms.cells)
                total = [(a + b) % MODULUS for a, b in zip(total, mask, strict=True)]
            found[subset] = np.array(total, "<u8").tobytes()
        return found

    def _secrets_gone(self, auditor: Auditor, round_id: bytes) -> None:
        values = self.secrets.get((auditor.id, round_id), ())
        hold(not auditor.holds(round_id, values), "secrets", f"{auditor.id} still has a round's keys")

    def no_secrets(self, auditor: Auditor, round_id: bytes, why: str) -> None:
        """Check that a round's keys are destroyed once it is over."""
        values = self.secrets.get((auditor.id, round_id), ())
        hold(not auditor.holds(round_id, values), "secrets", f"{auditor.id} keeps keys: {why}")

    # -- witnesses ---------------------------------------------------------------------------------

    def on_cosigned(self, auditor: Auditor, size: int) -> None:
        """Check that an honest witness never cosigns two histories."""
        self.look()
        leaves = self.followers[auditor.id].leaves[:size]
        hold(len(leaves) == size, "cosigned", f"{auditor.id} cosigns {size} entries, it has fewer")
        before = self.cosigned.get(auditor.id, [])
        if auditor.is_witness_honest:
            hold(leaves[: len(before)] == before, "fork-cosigned", f"{auditor.id} cosigns two histories")
        if len(leaves) >= len(before) or not auditor.is_witness_honest:
            self.cosigned[auditor.id] = leaves

    def on_trusted(self, school: School, leaves: list[bytes]) -> None:
        """Check that what honest schools trust is one history."""
        if self.world.num_false_witnesses > self.world.template.shape.terms[2]:
            return
        common = min(len(leaves), len(self.one_history))
        hold(
            leaves[:common] == self.one_history[:common], "split-trust", f"{school.id} trusts another history"
        )
        if len(leaves) > len(self.one_history):
            self.one_history = leaves

    # -- abandons ----------------------------------------------------------------------------------

    def on_abandon_by_liar(self, auditor_id: str, round_id: bytes) -> None:
        """Note that a liar has abandoned, too."""
        self.abandons[round_id].add(auditor_id)

    def refunds_are_safe(self) -> None:
        """Check that where q abandons exist, too few can have answered."""
        shape = self.world.template.shape.terms
        for round_id, names in self.abandons.items():
            if len(names) >= shape[3]:
                openers = set().union(*self.opened[round_id].values()) | set(self.world.liars)
                hold(
                    len(openers) < shape[1],
                    "refund",
                    f"{len(openers)} can answer after {len(names)} abandons",
                )

    # -- schools -----------------------------------------------------------------------------------

    def on_payload(self, school: School, payload: bytes) -> None:
        """Judge a report that leaves an honest school."""
        entry = entries.parse_entry(note_of(payload))
        report = entry.statement
        assert isinstance(report, Report)
        hold(report.round in self.charged[school.id], "account", f"{school.id} sends before it charges")
        if entry.digest in self.reports:
            return
        row = school.store.one(
            "SELECT tag FROM report WHERE round = ? AND attempt = ?", (report.round, report.attempt)
        )
        hold(row is not None, "outbox", f"{school.id} sends what it has not stored")
        tag = bytes(row[0]) if row else b""
        master = self.world.template.masters[school.id]
        parts = (self.world.template.federation.federation, school.id, report.round)
        secret = derivation.round_secret(master, *parts, report.roster, report.approvals)
        secret = derivation.report_secret(secret, report.attempt, tag)
        seeds = derivation.seeds(secret, [subset for subset, _ in report.seeds])
        slot = school.id, report.round, report.attempt
        known = self.vectors.setdefault(slot, report.vector)
        hold(known == report.vector, "noise", f"{school.id} answers the same question with other noise")
        own = tuple(
            (subset, derivation.seed_commitment(report.round, school.id, report.attempt, subset, seed))
            for subset, seed in seeds.items()
        )
        hold(own == report.seeds, "derivation", f"{school.id} commits to other seeds")
        self.learn(payload, report, entry.digest, seeds, {})
        self._noise_is_derived(school, report, entry.digest, secret)

    def _noise_is_derived(self, school: School, report: Report, digest: bytes, secret: bytes) -> None:
        """Take masks and the noise that must be there off a report: small multiples of the scale are left."""
        row = school.desk.enrolled().mirror.ledger.rounds[report.round]
        n, t = len(row.terms.auditors), row.terms.threshold
        sent = self.reports[digest]
        total = [int(value) for value in parse_vector(sent.vector, report.cells)]
        for subset, seed in sent.seeds.items():
            mask = mask_of(seed, report.round, 1 + rank(subset, n, t), report.cells)
            total = [(a + b) % MODULUS for a, b in zip(total, mask, strict=True)]
        line = row.terms.noise_lines[0]
        stream = XofHmacSha256Aes128(derivation.noise_key(secret, 0), format_dst(XOF_USAGE, b""), b"")
        noise = sampler_of(line.s2).sample(stream.next, report.cells)
        left = [(value - int(drawn)) % MODULUS for value, drawn in zip(total, noise, strict=True)]
        small = all(value % line.scale == 0 and value <= 100 * line.scale for value in left)
        hold(small, "noise", f"{school.id}: the noise is not the one that follows from its table")

    def learn(
        self,
        payload: bytes,
        report: Report,
        digest: bytes,
        seeds: dict[int, bytes],
        boxes: dict[str, dict[int, bytes] | None],
    ) -> None:
        """Note what a school has made; `boxes` names the auditors that find something else than `seeds`."""
        names = [name for name, _ in report.boxes]
        num = len(names)
        size = (len(payload) - 4 - len(note_of(payload)) - 8 * report.cells) // num
        vector = parse_payload(payload, report.cells, size, num).vector
        t = self.world.template.shape.terms[1]
        right: dict[str, dict[int, bytes] | None] = {
            name: {subset: seeds[subset] for subset in subsets_with(place, num, t)}
            for place, name in enumerate(names)
        }
        self.reports.setdefault(digest, Sent(report.node, report.round, vector, seeds, {**right, **boxes}))

    def account(self, school: School) -> None:
        """Compute a school's year account again and compare it."""
        parts = school.desk.enrolled()
        mirror, expected = parts.mirror, Fraction(0)
        self._trusted(school)
        judge = self.followers[school.id].judge
        for round_id in sorted(self.charged[school.id]):
            round_log = mirror.ledger.rounds.get(round_id)
            row = judge.rounds.get(round_id)
            is_given_back = row is not None and len(row.abandons) >= row.quorum
            if round_log is not None and not is_given_back:
                expected += read_published(round_log.terms, round_log.plan.body).rho
        cap = LOW_CAP if school.id == LOW_CAP_SCHOOL else Fraction(1, 2)
        found = parts.account.read("2026-2027", cap, mirror).spent
        hold(found == expected, "account", f"{school.id} has spent {expected}, its account says {found}")
        hold(found <= cap, "account-cap", f"{school.id} has spent {found}")

    def _trusted(self, school: School) -> None:
        size = school.desk.enrolled().mirror.trusted_size
        follower = self.followers[school.id]
        if size <= len(follower.leaves):
            return
        rows = school.store.query(
            "SELECT entry, body FROM log_entry WHERE position >= ? AND position < ? ORDER BY position",
            (len(follower.leaves), size),
        )
        for entry, body in rows:
            follower.take(bytes(entry), bytes(body))
        self.on_trusted(school, follower.leaves)

    # -- releases ----------------------------------------------------------------------------------

    def on_release(self, row: Sitting, released: Iterable[int]) -> None:
        """Check the sums that an honest coordinator releases."""
        terms = row.terms
        n, t = len(terms.auditors), terms.threshold
        total = [0] * terms.cells
        for _, _, digest in row.chosen:
            sent = self.reports[digest]
            terms_of = [[int(value) for value in parse_vector(sent.vector, terms.cells)]]
            terms_of += [
                list(mask_of(seed, row.id, 1 + rank(subset, n, t), terms.cells))
                for subset, seed in sent.seeds.items()
            ]
            total = [
                (sum(column) + before) % MODULUS for before, *column in zip(total, *terms_of, strict=True)
            ]
        lifted = [value - MODULUS if value > MODULUS // 2 else value for value in total]
        hold(list(released) == lifted, "release", "the released sums are not those of S")


def _names(found: set[Name]) -> list[str]:
    return sorted(f"{name[0]}/{name[1]}" for name in found)


def sha256(data: bytes) -> bytes:
    """Hash."""
    return hashlib.sha256(data).digest()
