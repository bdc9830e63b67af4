"""One auditor at work, without gRPC: what `watch` runs, and what tests run in one process.

`step` does, in this order: follow the log, cosign it, then bring every round as far as the log
allows. For one round the order is

    approval (asked for by a person) → checked → agreement or abandon → opening

and each of them is signed into its once-only slot before it is sent. What is in a slot but not in
the log is sent again, byte for byte. A round that this state did not approve (a restored copy, a
lost instance id) is left alone for ever; so is one whose slots are damaged, and one for which the log has
something of this auditor that its slots have not (`auditor.abstain`).

An error in one round never stops the others: it comes back as an event.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from auditor.abstain import has_served, verify_own_statements
from auditor.agree import CANCELLED, EXPIRED, NEVER_OPENS, sign_abandon, sign_decision
from auditor.answer_masks import destroy_keys, sign_opening, stored_answer
from auditor.approve import sign_approval
from auditor.check_reports import sign_checked
from auditor.config import AuditorConfig
from auditor.context import Context
from auditor.durable import Durable, ignore_durable
from auditor.errors import AuditorError, NotReadyError, RefusalError, StateError
from auditor.extend import is_asked_to_extend, sign_extended
from auditor.keys import AuditorKeys
from auditor.link import CoordinatorLink
from auditor.mirror import Mirror
from auditor.policy import AuditorPolicy
from auditor.sign_roster import RosterReview, list_reviews, sign_roster
from auditor.signing import SignedEntry, stored_entry
from auditor.state import SlotKind, State
from auditor.witness import cosign_newest
from plan.errors import Phrase, phrase
from protos.card import FederationCard
from protos.errors import ProtocolError
from protos.ledger import RoundLog
from protos.statements import Abandon, Agreement

LOGGER = logging.getLogger("fedscreen." + __name__)
MAX_PASSES = 12  # one round needs five; more means that two sides undo each other's work


@dataclass(frozen=True, slots=True)
class Event:
    """Something that `step` did or could not do.

    Attributes:
        kind: cosigned, approval, checked, agreement, abandon, opening, destroyed, waiting, refused or error.
        round_id: the round, None for the log as a whole.
        phrase: what happened, for people; names no school's number.
        is_progress: whether something was sent or changed, so that another pass may find more to do.
    """

    kind: str
    round_id: bytes | None
    phrase: Phrase
    is_progress: bool

    @property
    def detail(self) -> str:
        """What happened, in English."""
        return str(self.phrase)


class Desk:
    """One auditor.

    Args:
        directory: holds `state/` and `mirror/`.
        config: id and limits.
        keys: statement and cosigner keys.
        card: what was pinned at `join`.
        policy: what this auditor signs.
        link: its coordinator.
        now: the clock, UTC.
        entropy: random bytes.
        durable: called before and after every durable write.
    """

    def __init__(
        self,
        directory: Path,
        *,
        config: AuditorConfig,
        keys: AuditorKeys,
        card: FederationCard,
        policy: AuditorPolicy,
        link: CoordinatorLink,
        now: Callable[[], datetime],
        entropy: Callable[[int], bytes],
        durable: Durable = ignore_durable,
    ) -> None:
        _verify_policy_pins(policy, card)
        self.card = card
        self.state = State(directory / "state", entropy=entropy, durable=durable)
        with self.state.locked():
            self.mirror = Mirror(directory / "mirror", card, durable=durable)
        self.context = Context(
            id=config.id,
            keys=keys,
            policy=policy,
            state=self.state,
            mirror=self.mirror,
            link=link,
            now=now,
            entropy=entropy,
            keep_keys=timedelta(days=config.keep_keys_days),
        )

    def sync(self) -> int:
        """Follow the log; returns the number of new entries."""
        with self.state.locked():
            return self.mirror.sync(self.context.link)

    def cosign(self) -> int | None:
        """Cosign the newest checkpoint unless it is already; returns its size."""
        with self.state.locked():
            cosignature = cosign_newest(self.mirror, self.state, self.context.keys, self.context.now())
            if cosignature is None:
                return None
            self.context.link.submit_cosignature(cosignature.size, cosignature.line)
            return cosignature.size

    def list_rosters(self) -> tuple[RosterReview, ...]:
        """Review the rosters that wait for signatures."""
        self.sync()
        return tuple(review for _, review in list_reviews(self.context, self.card))

    def sign_roster(self, digest: bytes) -> bool:
        """Sign a waiting roster; returns whether it stands in the log now."""
        with self.state.locked():
            return sign_roster(self.context, self.card, digest)

    def approve(self, round_id: bytes) -> int:
        """Check a round's plan against the policy and approve it, once; returns the log position.

        Raises:
            RefusalError: the plan is against the policy or the rules.
        """
        with self.state.locked():
            self.mirror.sync(self.context.link)
            signed = sign_approval(self.context, round_id)
            return self.context.link.submit_statement(signed.entry, signed.body)

    def extend(self, round_id: bytes, shown: bytes | None = None) -> int:
        """Grant the later deadline that the coordinator asks for; returns the log position.

        The log may grow between looking and signing: `shown` is the digest of the extension that was looked
        at, and another one is not granted.

        Raises:
            RefusalError: it is against the rules, nobody has asked, or it is another than was shown.
        """
        with self.state.locked():
            self.mirror.sync(self.context.link)
            signed = sign_extended(self.context, round_id, shown)
            return self.context.link.submit_statement(signed.entry, signed.body)

    def step(self, tell: Callable[[Event], None] | None = None, *, passes: int = MAX_PASSES) -> list[Event]:
        """Do everything that can be done now; `tell` hears of each new thing at once.

        One pass is enough where the log cannot grow meanwhile: with a file instead of a connection. Keys
        whose time is over are destroyed in any case: a coordinator that does not answer, or shows a fork,
        does not keep them alive.
        """
        events: list[Event] = []

        def take(event: Event) -> None:
            if event not in events:
                events.append(event)
                if tell is not None:
                    tell(event)

        with self.state.locked():
            try:
                self._run_passes(take, passes)
            except Exception:
                self._expire(take)
                raise
            self._expire(take)
        return events

    # --- one pass -----------------------------------------------------------

    def _run_passes(self, take: Callable[[Event], None], passes: int) -> None:
        for _ in range(passes):
            is_progress = False
            for event in self._pass():
                is_progress |= event.is_progress
                take(event)
            if not is_progress:
                return

    def _pass(self) -> Iterator[Event]:
        self.mirror.sync(self.context.link)
        size = self.cosign()
        if size is not None:
            yield Event("cosigned", None, phrase("checkpoint of %(size)s entries", size=size), True)
        for round_log in list(self.context.ledger.rounds.values()):
            if self.context.id in round_log.terms.auditors:
                yield from self._guarded(round_log)

    def _guarded(self, round_log: RoundLog) -> Iterator[Event]:
        """Run one round's work; an error ends up in the events of this round only."""
        try:
            yield from self._work(round_log)
        except NotReadyError as err:
            yield Event("waiting", round_log.round_id, err.phrase, False)
        except RefusalError as err:
            yield Event("refused", round_log.round_id, err.phrase, False)
        except (AuditorError, ProtocolError) as err:
            # no warning: it comes at each poll, and the event tells it
            LOGGER.info("round %s: %s", round_log.round_id.hex()[:16], err)
            yield Event(
                "error",
                round_log.round_id,
                phrase("%(name)s: %(reason)s", name=type(err).__name__, reason=err),
                False,
            )

    def _work(self, round_log: RoundLog) -> Iterator[Event]:
        context, round_id = self.context, round_log.round_id
        if self.context.id not in round_log.approvals:
            if round_log.changes.cancel is None:
                yield from self._resend(round_log, SlotKind.APPROVAL)
            else:
                yield from self._destroy(round_id, phrase("the county has ended the round"))
            return
        try:
            verify_own_statements(context, round_log)
        except StateError:
            if has_served(context.id, round_log) or self._is_expired(round_log):
                yield from self._destroy(round_id, phrase("the round needs them no more"))
            raise
        if round_log.release is not None:
            yield from self._destroy(round_id, phrase("the round is released"))
            yield from self._deliver(round_log)
            return
        if round_log.can_never_open:
            yield from self._give_up(round_log, NEVER_OPENS)
            return
        if round_log.changes.cancel is not None:
            yield from self._give_up(round_log, CANCELLED)
            return
        if self._is_expired(round_log):
            yield from self._give_up(round_log, EXPIRED)
            return
        if is_asked_to_extend(context.id, round_log):
            words = phrase("the county asks for a later deadline: look at it with 'auditor extend'")
            yield Event("waiting", round_id, words, False)
        yield from self._check(round_log)
        yield from self._decide(round_log)
        yield from self._answer(round_log)

    def _check(self, round_log: RoundLog) -> Iterator[Event]:
        if round_log.candidates is None or round_log.close is not None:
            return
        if stored_entry(self.state, SlotKind.CHECKED, round_log.round_id) is None:
            sign_checked(self.context, round_log)
        yield from self._resend(round_log, SlotKind.CHECKED)

    def _decide(self, round_log: RoundLog) -> Iterator[Event]:
        decision = stored_entry(self.state, SlotKind.DECISION, round_log.round_id)
        if decision is None:
            if round_log.close is None:
                return
            decision = sign_decision(self.context, round_log)
        if isinstance(decision.statement, Abandon):
            yield from self._destroy(round_log.round_id, phrase("abandoned"))
        yield from self._resend(round_log, SlotKind.DECISION)

    def _answer(self, round_log: RoundLog) -> Iterator[Event]:
        decision = stored_entry(self.state, SlotKind.DECISION, round_log.round_id)
        if decision is None or not isinstance(decision.statement, Agreement):
            return
        if stored_entry(self.state, SlotKind.OPENING, round_log.round_id) is None:
            sign_opening(self.context, round_log)
        destroy_keys(self.state, round_log.round_id)  # a crash may have come between signing and this
        yield from self._deliver(round_log)

    def _deliver(self, round_log: RoundLog) -> Iterator[Event]:
        """Send the stored opening and sums, unless the opening stands in the log already."""
        answer = stored_answer(self.state, round_log)
        if answer is not None and not self._is_logged(answer[0]):
            self.context.link.submit_opening(answer[0].entry, answer[1])
            yield Event("opening", round_log.round_id, phrase("mask sums sent, keys destroyed"), True)

    def _resend(self, round_log: RoundLog, kind: SlotKind) -> Iterator[Event]:
        """Send what a slot holds, unless it stands in the log already."""
        signed = stored_entry(self.state, kind, round_log.round_id)
        if signed is None or self._is_logged(signed):
            return
        self.context.link.submit_statement(signed.entry, signed.body)
        yield Event(signed.statement.TYPE, round_log.round_id, phrase("sent"), True)

    def _is_logged(self, signed: SignedEntry) -> bool:
        return signed.digest in self.context.ledger.entries_digest

    def _is_expired(self, round_log: RoundLog) -> bool:
        return self.context.now() > round_log.closes + self.context.keep_keys

    def _give_up(self, round_log: RoundLog, reason: str) -> Iterator[Event]:
        """Abandon a round that was not decided, so that schools get their charge back; destroy its keys.

        A round that this auditor has agreed to just loses its keys; an answer that was signed
        before is still delivered.
        """
        if stored_entry(self.state, SlotKind.DECISION, round_log.round_id) is None:
            sign_abandon(self.context, round_log, reason)
        yield from self._destroy(round_log.round_id, phrase("given up: %(reason)s", reason=reason))
        yield from self._resend(round_log, SlotKind.DECISION)
        yield from self._deliver(round_log)

    def _expire(self, take: Callable[[Event], None]) -> None:
        """Destroy the keys of rounds that are out of time by this auditor's own copy of the log."""
        reason = phrase("given up: %(reason)s", reason=EXPIRED)
        for round_log in self.context.ledger.rounds.values():
            if self._is_expired(round_log):
                for event in self._destroy(round_log.round_id, reason):
                    take(event)

    def _destroy(self, round_id: bytes, reason: Phrase) -> Iterator[Event]:
        if destroy_keys(self.state, round_id):
            yield Event("destroyed", round_id, reason, True)


def _verify_policy_pins(policy: AuditorPolicy, card: FederationCard) -> None:
    """Refuse to work under a policy for another federation than the card's.

    Raises:
        RefusalError: log key or genesis differ.
    """
    if policy.log != card.log or policy.genesis != card.genesis:
        raise RefusalError(
            "policy-pins", phrase("policy.txt pins another log or genesis than card.txt; take the right file")
        )
