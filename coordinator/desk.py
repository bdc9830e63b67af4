"""The coordinator without its network: every call, with the caller's identity as an argument.

What each call does is in the module named for its step; this class holds what they share and
decides who may ask. Rules:

1. All state is in the database and the log; a Desk that is opened on the same folder after a
   crash goes on from there.
2. Every call is idempotent: asking again gives the same answer and changes nothing.
3. ``tick`` drives every round one or more steps; any number of processes may tick.
4. Nobody gets what is not theirs: boxes by auditor, vectors only after the caller's own opening
   is logged, mask sums only after the release.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from coordinator import (
    carry,
    describe,
    enrol,
    hand_out,
    members,
    rollover,
    roster,
    status,
    take_statement,
    tokens,
    waiting_roster,
)
from coordinator.close import close_set, fix_candidates, request_close
from coordinator.combine import combine
from coordinator.denied import Refusals
from coordinator.durable import DurableHook, InUse, ignore_step
from coordinator.errors import CoordinatorError
from coordinator.export import export_results
from coordinator.high_water import HighWater
from coordinator.home import Entropy, Home, load_home
from coordinator.identity import Caller
from coordinator.log_book import LogBook, View
from coordinator.plan_view import published_plan
from coordinator.publish_log import (
    publish_log,
    publish_shared,
    published_checkpoint,
    verify_not_rolled_back,
)
from coordinator.publish_plan import publish_plan
from coordinator.receive import Receiver
from coordinator.release import delete_boxes, has_boxes, log_release
from coordinator.retention import prune
from coordinator.revoke import revoke
from coordinator.round import Action, CloseSet, Combine, Finished, FixCandidates, Wait
from coordinator.round_desk import RoundDesk
from coordinator.store import read_meta
from coordinator.structured_log import fields
from coordinator.surroundings import action_of
from coordinator.witnesses import cosigned_checkpoint, latest_checkpoint, take_cosignature
from plan.document import PlanDocument
from protos.convert import MAX_PAGE_BYTES, LogPage, Proposal
from protos.invitation import Invitation
from protos.log_file import LogFile
from protos.round_log import RoundLog

_LOGGER = logging.getLogger("fedscreen." + __name__)
PRUNE_EVERY = timedelta(hours=1)


def utc_now() -> datetime:
    """Read the clock."""
    return datetime.now(UTC)


class Desk:
    """One coordinator at work on its folder. Threads may share it."""

    def __init__(
        self,
        directory: Path,
        *,
        now: Callable[[], datetime] = utc_now,
        entropy: Entropy | None = None,
        durable: DurableHook = ignore_step,
    ) -> None:
        """Open a coordinator's folder.

        Args:
            directory: made by ``coordinator.home.create_home``.
            now: the clock, UTC.
            entropy: gives that many random bytes, for keys that are rolled over and for tokens.
            durable: called before and after every durable write.

        Raises:
            ConfigError, StoreError, LogRolledBackError: the folder is not usable.
        """
        self._entropy: Entropy = entropy or secrets.token_bytes
        self.home: Home = load_home(directory)
        self._durable = durable
        self._in_use = InUse(directory)
        self._head = HighWater(self.home.head_path)
        self._head.read()
        try:
            self._store = self.home.open_store(durable)
        except BaseException:
            self._in_use.close()
            raise
        self._book = LogBook(self._store, lambda: self.home.ring.signing("log"), now, self._head)
        self._receiver = Receiver(self._book)
        self._pruned_at: datetime | None = None
        self._refusals = Refusals(self._store)
        try:
            self._verify_not_rolled_back()
        except BaseException:
            self.close()
            raise

    def _verify_not_rolled_back(self) -> None:
        published = published_checkpoint(self.home.log_folder)
        with self._book.reading() as view:
            verify_not_rolled_back(view, self.home.log_folder, published)

    @property
    def book(self) -> LogBook:
        """The log and the database, for modules that keep something of their own beside the log."""
        return self._book

    def close(self) -> None:
        """Close the database."""
        self._store.close()
        self._in_use.close()

    def probe(self) -> None:
        """Read something, to see whether the database answers; raises StoreError if it does not."""
        with self._store.reading() as connection:
            read_meta(connection, "schema_version")

    def verify_caller(self, caller: Caller) -> None:
        """Refuse a caller that was revoked, or whose certificate is denied (``coordinator.denied``)."""
        self._refusals.verify(caller)

    # -- anybody enrolled ---------------------------------------------------------------------

    def get_log(self, start: int, max_entries: int) -> LogPage:
        """Read entries from `start` on, as many as fit a page, with the two newest checkpoints."""
        with self._book.reading() as view:
            if not view.has_genesis:
                return LogPage(start, (), b"", b"")
            chosen: list[tuple[bytes, bytes]] = []
            num_bytes = 0
            stop = min(view.ledger.size, start + max_entries)
            for pair in view.entries(start, stop) if start < stop else ():
                num_bytes += len(pair[0]) + len(pair[1])
                if chosen and num_bytes > MAX_PAGE_BYTES:
                    break
                chosen.append(pair)
            return LogPage(
                start,
                tuple(chosen),
                latest_checkpoint(self._book, view),
                cosigned_checkpoint(self._book, view),
            )

    # -- nodes --------------------------------------------------------------------------------

    def submit_report(self, node_id: str, payload: bytes) -> bytes:
        """Take one report; return its receipt (``coordinator.receive``)."""
        return self._receiver.receive(node_id, payload)

    # -- auditors -----------------------------------------------------------------------------

    def list_proposals(self, auditor_id: str) -> tuple[Proposal, ...]:
        """List the rosters that wait for this auditor's or others' signatures."""
        return roster.list_proposals(self._book, self.home, auditor_id)

    def sign_roster(self, auditor_id: str, digest: bytes, line: str) -> bool:
        """Take a roster signature; return whether the roster is logged now."""
        return roster.sign_roster(self._book, self.home, auditor_id, digest, line)

    def submit_cosignature(self, auditor_id: str, size: int, line: str) -> None:
        """Take a witness cosignature."""
        take_cosignature(self._book, auditor_id, size, line)

    def submit_statement(self, auditor_id: str, entry: bytes, body: bytes) -> int:
        """Log an auditor's statement; return its position."""
        return take_statement.submit_statement(self._book, auditor_id, entry, body)

    def submit_opening(self, auditor_id: str, entry: bytes, sums: Sequence[bytes]) -> int:
        """Log an opening with its mask sums; return its position."""
        return take_statement.submit_opening(self._book, auditor_id, entry, sums)

    def get_boxes(self, auditor_id: str, round_id: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Give (report digest, box) of the caller's own boxes of a round, in log order."""
        return hand_out.boxes_of(self._book, auditor_id, round_id)

    def get_vectors(self, auditor_id: str, round_id: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Give (report digest, masked vector) of S, once the caller's opening is logged."""
        return hand_out.vectors_of(self._book, auditor_id, round_id)

    def get_sums(self, round_id: bytes) -> Iterator[tuple[str, int, bytes]]:
        """Give (auditor, subset, mask sum) of every opening of a released round."""
        return hand_out.sums_of(self._book, round_id)

    # -- the county's administrator -----------------------------------------------------------

    def approve_request(self, data: bytes, *, is_outside: bool = False) -> bytes:
        """Enrol a node or auditor; return its grant file."""
        return enrol.approve_request(self._book, self.home, data, is_outside=is_outside)

    def look_at_request(self, data: bytes, *, is_outside: bool = False) -> dict[str, Any]:
        """Say who asks to be enrolled, and the code to compare; change nothing."""
        return enrol.look_at_request(self._book, self.home, data, is_outside=is_outside)

    def roster_status(self) -> dict[str, Any]:
        """Say which roster is in force, which one waits, and who has signed it."""
        with self._book.reading() as view:
            return waiting_roster.describe_rosters(view, self.home.config.federation)

    def propose_roster(self) -> bytes:
        """Draft the next roster; return its digest."""
        return roster.propose_roster(self._book, self.home)

    def roll_key(self, purpose: str) -> bool:
        """Make the next log, statement or CA key unless one waits; propose a roster then."""
        return rollover.make_next_key(self._book, self.home, purpose, self._entropy, self._durable)

    def retire_key(self, purpose: str, *, anyway: bool = False) -> int:
        """Erase the keys of a purpose that nothing needs any more; return how many."""
        return rollover.retire(self._book, self.home, purpose, self._durable, anyway=anyway)

    def enrol_by_token(self, token: str, data: bytes) -> bytes:
        """Enrol the school that a token invites; return its grant."""
        return tokens.enrol_by_token(self._book, self.home, token, data)

    def make_token(self, invitation: Invitation, days: int) -> str:
        """Make the token of an invitation; an unused one of the same school is void then."""
        return tokens.make_token(self._book, invitation, days, self._entropy)

    def renew_certificate(self, role: str, party_id: str, csr_pem: str) -> bytes:
        """Certify an enrolled party's TLS key anew; return its grant."""
        return enrol.renew_certificate(self._book, self.home, role, party_id, csr_pem)

    def reading(self) -> AbstractContextManager[View]:
        """See log and database as they are now, for whoever only looks."""
        return self._book.reading()

    def describe_keys(self) -> list[dict[str, object]]:
        """List the coordinator's own keys and their states."""
        return describe.describe_keys(self._book, self.home)

    def describe_members(self) -> list[dict[str, Any]]:
        """List everybody enrolled."""
        return describe.describe_members(self._book)

    def set_attributes(self, node_id: str, values: Mapping[str, str]) -> dict[str, str]:
        """State public attributes of a node; return everything that is stated."""
        return members.set_attributes(self._book, node_id, values)

    def leave(self, role: str, party_id: str, successor: str = "") -> None:
        """Let a member leave with the next roster, a node perhaps to a successor."""
        members.leave(self._book, role, party_id, successor)

    def card_text(self) -> str:
        """Give the federation card; empty before the genesis roster is drafted."""
        with self._book.reading() as view:
            return roster.card_text(view)

    def publish_plan(self, draft: PlanDocument, auditors: Sequence[str] = ()) -> bytes:
        """Log a plan; return the round id."""
        return publish_plan(self._book, self.home, draft, auditors)

    def request_close(self, round_id: bytes, *, without_missing: bool = False) -> None:
        """Ask for the candidates before the deadline."""
        request_close(self._book, self.home.config, round_id, without_missing=without_missing)

    @property
    def rounds(self) -> RoundDesk:
        """What an administrator does with rounds beside the ordinary course."""
        return RoundDesk(self._book, self.home)

    def round_ids(self) -> tuple[bytes, ...]:
        """List every round, in the order of their plans."""
        with self._book.reading() as view:
            return tuple(view.ledger.rounds) if view.has_genesis else ()

    def round_status(self, round_id: bytes) -> dict[str, object]:
        """Describe a round: state, what it waits for, who is missing."""
        with self._book.reading() as view:
            return status.describe(view, self.home.config, view.round(round_id))

    def revoke(self, subject: str, party_id: str, reason: str) -> int:
        """Log that a node or auditor is out from now on; return the position."""
        return revoke(self._book, self.home, subject, party_id, reason)

    def export_log(self, folder: Path) -> int:
        """Write the published log into another folder; return its size."""
        return publish_log(self._book, folder, self._durable)

    def export_outbox(self, start: int = 0) -> tuple[LogFile, datetime]:
        """Give the cosigned log from a position on for nodes without a network, and until when it serves."""
        return carry.log_file(self._book, self.home.config.federation, start)

    def import_report(self, data: bytes) -> carry.Receipt:
        """Take a report that came as a file, with every check of `submit_report`; return its receipt."""
        return carry.take_report_file(self._receiver, data)

    def receipts_of(self, round_id: bytes) -> tuple[carry.Receipt, ...]:
        """Give the receipts of a round's reports again."""
        return tuple(carry.receipts(self._book, round_id))

    def export_results(
        self, round_id: bytes, folder: Path, *, with_withdrawn: bool = False
    ) -> tuple[Path, ...]:
        """Write a released round's result files; return their paths."""
        return export_results(self._book, round_id, folder, self._durable, with_withdrawn=with_withdrawn)

    # -- the driver ---------------------------------------------------------------------------

    def tick(self) -> tuple[str, ...]:
        """Take every step that every round is ready for, then publish the log; return what was done.

        A round that cannot go on does not stop the others; its error is logged.
        """
        done: list[str] = []
        self._head.read()  # other processes on this folder sign too
        for round_id in self.round_ids():
            try:
                done += self._drive(round_id)
            except CoordinatorError as err:
                _LOGGER.error("a round cannot go on", extra=fields(round=_short(round_id), code=err.code))
        publish_shared(self._book, self.home.log_folder, self._durable)
        self._prune()
        return tuple(done)

    def _prune(self) -> None:
        """Delete what the protocol keeps no longer, now and then; any process may."""
        now = utc_now()
        if self._pruned_at is None or now - self._pruned_at > PRUNE_EVERY:
            prune(self._book, self.home.config)
            self._pruned_at = now

    def _drive(self, round_id: bytes) -> Iterator[str]:
        while True:
            with self._book.reading() as view:
                action = action_of(view, self.home.config, view.round(round_id))
                is_clean = not has_boxes(view, round_id)
            if isinstance(action, Wait) or (isinstance(action, Finished) and is_clean):
                return
            step = type(action).__name__
            self._take(round_id, action)
            _LOGGER.info("step done", extra=fields(round=_short(round_id), step=step))
            yield f"{step} {round_id.hex()[:16]}"

    def _take(self, round_id: bytes, action: Action) -> None:
        if isinstance(action, Combine):
            self._release(round_id, action)
            return
        with self._book.writing(type(action).__name__) as view:
            round_log = view.round(round_id)
            if action_of(view, self.home.config, round_log) != action:
                return  # another process took this step
            if isinstance(action, FixCandidates):
                fix_candidates(view, self.home, round_log)
            elif isinstance(action, CloseSet):
                close_set(view, self.home, round_log, action.checked)
            else:
                delete_boxes(view, round_id)
        if isinstance(action, Finished):
            self._store.empty_wal()

    def _release(self, round_id: bytes, action: Combine) -> None:
        with self._store.reading() as connection:
            round_log = self._round(round_id)
            layout = published_plan(round_log).layout
            bound = self.home.config.school_bound
            combined = combine(connection, round_log, layout, action.openers, bound)
        if action.liars:
            _LOGGER.warning(
                "replicas differ", extra=fields(round=_short(round_id), party=", ".join(action.liars))
            )
        if combined.outside:
            _LOGGER.error("corrupt", extra=fields(round=_short(round_id), table=", ".join(combined.outside)))
        with self._book.writing("append release") as view:
            if action_of(view, self.home.config, view.round(round_id)) == action:
                log_release(view, self.home, view.round(round_id), layout, combined, action.openers)
        self._store.empty_wal()

    def _round(self, round_id: bytes) -> RoundLog:
        with self._book.reading() as view:
            return view.round(round_id)


def _short(round_id: bytes) -> str:
    return round_id.hex()[:16]
