"""Auditors that collude with the coordinator, and schools that lie: with their real keys, and no rules."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from byzantine.county_log import CountyLog
from byzantine.judge import Judge
from fakes_federation import fake_bytes

from coordinator.errors import CoordinatorError, StatementRefusedError
from crypto.derivation import box_info, box_plaintext, commitments_digest, draw_commitment, seed_commitment
from crypto.field64 import encode_vector
from crypto.replication import subsets, subsets_with
from crypto.sealing import ROUND_SECRET_BYTES, round_public_key, seal
from crypto.sharing import mask_vector
from node.vault.enrol import load_identity
from protos.bodies import (
    Refusal,
    encode_checked_body,
)
from protos.report_payload import ReportPayload, encode_payload
from protos.round_log import RoundLog
from protos.statements import (
    Abandon,
    Agreement,
    Approval,
    Checked,
    Opening,
    Report,
    Statement,
    body_ref,
    digest,
    encode_statement,
)

if TYPE_CHECKING:
    from byzantine.world import World

ZERO = bytes(32)


class Liars:
    """Everybody that helps the coordinator.

    Attributes:
        world, rng: the county, and where choices come from.
        is_silent: whether lying auditors say nothing more.
        opens_wrongly: whether they answer with other sums while they seem to cooperate.
    """

    def __init__(self, world: World) -> None:
        self.world, self.rng = world, world.rng
        self.is_silent = False
        self.opens_wrongly = self.rng.random() < 0.2

    @property
    def spoils_openings(self) -> bool:
        """Whether liars answer wrongly to the very end, so that no round need be released."""
        return self.opens_wrongly and self.world.coordinator_lies and bool(self.world.liars)

    def some_log(self) -> CountyLog:
        """Choose a history."""
        return self.rng.choice(self.world.logs)

    def some_round(self, log: CountyLog) -> RoundLog | None:
        """Choose a round, the newest first."""
        rounds = list(log.ledger.rounds.values())
        return self.rng.choice(rounds[-2:]) if rounds else None

    def offer(self, log: CountyLog, statement: Statement, body: bytes = b"", *keys: Any) -> bool:
        """Offer a statement to a history; what its rules refuse is perhaps shown to an auditor."""
        try:
            entry = log.sign(statement, *keys)
            log.append(entry, body)
        except StatementRefusedError:
            if self.world.honest and not self.world.is_calm and self.rng.random() < 0.2:
                victim = self.rng.choice(self.world.honest)
                if victim.log is log:
                    victim.poison = [(entry, body)]
            return False
        return True

    # -- lying auditors ----------------------------------------------------------------------------

    def liar_auditor(self) -> None:
        """Let a liar say something in one history: what it should, mostly."""
        if not self.world.liars or self.is_silent:
            return
        name, log = self.rng.choice(self.world.liars), self.some_log()
        row = self.some_round(log)
        if row is None:
            return
        lies = (self.liar_checks, self.liar_votes, self.liar_opens, self.liar_abandons, self.liar_approves)
        what = (
            self.cooperate(name, log, row)
            if self.rng.random() < 0.7
            else self.rng.choice(lies)(name, log, row)
        )
        self.world.step("tick", f"{name} in {log.name}: {what}")

    def cooperate(self, name: str, log: CountyLog, row: RoundLog) -> str:
        """Do what an honest auditor would do next, in any history."""
        log.cosign_as(name, len(log.entries))
        if name not in row.approvals:
            return self.liar_approves(name, log, row, is_first=True)
        if row.candidates is not None and row.close is None and name not in row.checked:
            return self.liar_checks(name, log, row)
        if row.close is not None and name not in row.agreements and name not in row.abandons:
            return self.liar_votes(name, log, row)
        if len(row.agreements) >= row.terms.quorum and name not in row.openings:
            is_wrong = self.spoils_openings or (self.opens_wrongly and not self.world.is_calm)
            return self.liar_opens(name, log, row, is_right=not is_wrong)
        return "cosigns"

    def liar_approves(self, name: str, log: CountyLog, row: RoundLog, is_first: bool = False) -> str:
        """Approve; a second time with another nonce."""
        number = 0 if is_first else self.rng.randrange(3)
        label = f"{name} {row.round_id.hex()}"
        approval = Approval(
            row.terms.federation,
            row.round_id,
            row.roster_digest,
            name,
            fake_bytes(f"instance {name}", 16),
            round_public_key(fake_bytes(f"round key {label}", ROUND_SECRET_BYTES)),
            fake_bytes(f"nonce {label} {number}"),
            draw_commitment(fake_bytes(f"draw {label}")),
        )
        self.offer(log, approval, b"", self.world.template.federation.auditors[name])
        return f"approves ({number})"

    def liar_checks(self, name: str, log: CountyLog, row: RoundLog, *, refuses: bool = True) -> str:
        """Check; refuse nothing, or what it likes."""
        names = row.candidate_names() if refuses else ()
        refused = [item for item in names if self.rng.random() < 0.25] if self.rng.random() < 0.35 else []
        body = encode_checked_body([Refusal(item, "box-unopenable") for item in refused])
        candidates = row.candidates.digest if row.candidates else ZERO
        checked = Checked(row.terms.federation, row.round_id, name, candidates, body_ref(body))
        self.offer(log, checked, body, self.world.template.federation.auditors[name])
        return f"refuses {len(refused)}"

    def liar_votes(self, name: str, log: CountyLog, row: RoundLog) -> str:
        """Agree to the close of this history, whatever it is."""
        close = row.close.digest if row.close else ZERO
        vote = Agreement(row.terms.federation, row.round_id, name, close)
        self.offer(log, vote, b"", self.world.template.federation.auditors[name])
        return "agrees"

    def liar_abandons(self, name: str, log: CountyLog, row: RoundLog) -> str:
        """Abandon, in this history."""
        if self.rng.random() < 0.7:
            return "thinks of abandoning"
        vote = Abandon(
            row.terms.federation, row.round_id, name, row.close.digest if row.close else ZERO, "expired"
        )
        if self.offer(log, vote, b"", self.world.template.federation.auditors[name]):
            self.world.oracle.on_abandon_by_liar(name, row.round_id)
        return "abandons"

    def liar_opens(self, name: str, log: CountyLog, row: RoundLog, is_right: bool = False) -> str:
        """Answer: rightly, or with other sums."""
        if row.close is None or name not in row.approvals:
            return "cannot answer"
        judge = Judge()
        for entry, body in log.entries:
            judge.feed(entry, body)
        sums = self.world.oracle.sums(name, judge.rounds[row.round_id])
        if not is_right:
            sums = {subset: value[8:] + bytes(8) for subset, value in sums.items()}
        opening = Opening(
            federation=row.terms.federation,
            round=row.round_id,
            auditor=name,
            close=row.close.digest,
            draw=fake_bytes(f"draw {name} {row.round_id.hex()}"),
            sums=tuple((subset, hashlib.sha256(value).digest()) for subset, value in sums.items()),
        )
        if self.offer(log, opening, b"", self.world.template.federation.auditors[name]):
            for subset, value in sums.items():
                log.sums[(row.round_id, name, subset)] = value
        return "answers" if is_right else "answers wrongly"

    # -- lying schools -----------------------------------------------------------------------------

    def liar_school(self) -> None:
        """Let a lying school report: garbled boxes, copied seeds, another round's header."""
        if not self.world.liar_schools:
            return
        name, log = self.rng.choice(self.world.liar_schools), self.some_log()
        row = self.some_round(log)
        if row is None or not row.is_approved:
            return
        kind = self.rng.choice(("good", "good", "garbled", "wrong seed", "copied", "copied", "other round"))
        if row.reports.num_attempts(name) == 0 or self.rng.random() < 0.1:
            self.world.step("delivery", f"{name} reports to {log.name}: {kind}")
            self.report(name, log, row, kind)

    def report(self, name: str, log: CountyLog, row: RoundLog, kind: str) -> None:
        """Make and send a report of a kind."""
        terms, round_id = row.terms, row.round_id
        n, t = len(terms.auditors), terms.threshold
        attempt = row.reports.num_attempts(name)
        seeds = {subset: self.rng.randbytes(32) for subset in subsets(n, t)}
        if kind == "copied":
            self._copy_seeds(seeds, row)
        numbers = np.array([self.rng.randrange(-50, 500) for _ in range(terms.cells)], np.int64)
        vector = encode_vector(mask_vector(numbers, seeds, round_id, n, t))
        committed = tuple(
            (subset, seed_commitment(round_id, name, attempt, subset, seed)) for subset, seed in seeds.items()
        )
        vector_digest = hashlib.sha256(vector).digest()
        boxes, found = self._boxes(row, name, attempt, vector_digest, committed, seeds, kind)
        header = Report(
            federation=terms.federation,
            round=round_id,
            roster=row.roster_digest,
            approvals=row.approvals_digest() if kind != "other round" else self.rng.randbytes(32),
            node=name,
            attempt=attempt,
            cells=terms.cells,
            vector=vector_digest,
            seeds=committed,
            boxes=tuple((auditor, hashlib.sha256(box).digest()) for auditor, box in boxes.items()),
            input=bytes(32),
            software=bytes(32),
            confinement="L3",
            previous=log.ledger.last_report.get(name, ZERO),
            size=len(vector) + sum(map(len, boxes.values())),
        )
        key = load_identity(self.world.template.vaults[name]).report_key
        payload = encode_payload(ReportPayload(log.sign(header, key), vector, tuple(boxes.values())))
        self.world.oracle.learn(payload, header, digest(encode_statement(header)), seeds, found)
        try:
            is_inside = self.world.coordinator_lies and self.rng.random() < 0.3
            if kind == "late" or is_inside:  # past the checks of the door
                log.offer_report(header, key, vector, boxes)
            else:
                log.receiver.receive(name, payload)
        except CoordinatorError as err:
            self.world.note(f"{name}: {type(err).__name__}")

    def _boxes(
        self,
        row: RoundLog,
        name: str,
        attempt: int,
        vector_digest: bytes,
        committed: Sequence[tuple[int, bytes]],
        seeds: dict[int, bytes],
        kind: str,
    ) -> tuple[dict[str, bytes], dict[str, dict[int, bytes] | None]]:
        """Seal the seeds; spoil the boxes of some auditors, and say whose."""
        auditors = row.terms.auditors
        is_spoilt = kind in ("garbled", "wrong seed")
        victims = set(self.rng.sample(auditors, self.rng.randint(1, len(auditors)))) if is_spoilt else set()
        boxes: dict[str, bytes] = {}
        for place, auditor in enumerate(auditors):
            key = row.approvals[auditor].statement.round_key
            all_committed = commitments_digest([value for _, value in committed])
            info = box_info(row.round_id, name, attempt, auditor, key, vector_digest, all_committed)
            held = [seeds[subset] for subset in subsets_with(place, len(auditors), row.terms.threshold)]
            if auditor in victims and kind == "wrong seed":
                held = [self.rng.randbytes(32), *held[1:]]
            boxes[auditor] = seal(key, box_plaintext(held), info)
            if auditor in victims and kind == "garbled":
                boxes[auditor] = bytes(len(boxes[auditor]))
        return boxes, dict.fromkeys(victims)

    def _copy_seeds(self, seeds: dict[int, bytes], row: RoundLog) -> None:
        """Take a seed that a lying auditor holds, or one of the own: of an honest school, if there is one."""
        known = list(row.reports)
        bits = [
            1 << row.terms.auditors.index(name) for name in self.world.liars if name in row.terms.auditors
        ]
        shared = [subset for subset in seeds if any(subset & bit for bit in bits)]
        if known and shared:
            digest_ = row.reports[self.rng.choice(known)].digest
            for subset in self.rng.sample(shared, self.rng.randint(1, len(shared))):
                seeds[subset] = self.world.oracle.reports[digest_].seeds[subset]

    def _check_otherwise(self, log: CountyLog, row: RoundLog, name: str) -> None:
        """Let a liar refuse another report than in the other history."""
        names = row.candidate_names()
        refused = [Refusal(self.rng.choice(names), "box-unopenable")] if names else []
        body = encode_checked_body(refused)
        candidates = row.candidates.digest if row.candidates else ZERO
        checked = Checked(row.terms.federation, row.round_id, name, candidates, body_ref(body))
        self.offer(log, checked, body, self.world.template.federation.auditors[name])
