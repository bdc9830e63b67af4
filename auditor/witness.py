"""Cosign the log's newest checkpoint, as a witness (c2sp.org/tlog-witness).

Rules, in order:

1. The checkpoint is signed by the log and its root is the root of this auditor's own copy, which
   `auditor.mirror` has checked entry by entry.
2. It is not smaller than the last one cosigned, and that one is still a prefix of the copy: never
   a rollback, never a fork, also when the mirror was deleted and fetched again.
3. Size and root are stored durably before the cosignature leaves this process.
4. On a log that does not grow the cosignature is renewed: schools trust none older than 24 hours.

Spec: docs/protocol.md "Log"; the cosignature's time is this machine's clock, the witness's word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from auditor.errors import SplitViewError, StateError
from auditor.keys import AuditorKeys
from auditor.mirror import Mirror
from auditor.state import State
from crypto.checkpoint import Checkpoint, cosign
from crypto.note import Note, VerifierKey, cosignature_time, parse_note, verified_by
from plan.errors import phrase

RENEW_AFTER = timedelta(hours=12)
_RECORD = "witness"
_PATTERN = re.compile(r"([1-9][0-9]{0,18}) ([0-9a-f]{64})\n\Z")


@dataclass(frozen=True, slots=True)
class WitnessHead:
    """Size and root of the newest checkpoint that this auditor has cosigned."""

    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A cosignature line for the checkpoint of a size."""

    size: int
    line: str


def last_head(state: State) -> WitnessHead | None:
    """Read what was cosigned last, None before the first time.

    Raises:
        StateError: the record is damaged.
    """
    data = state.record(_RECORD)
    if data is None:
        return None
    match = _PATTERN.match(data.decode("ascii", "replace"))
    if match is None:
        raise StateError(
            phrase(
                "%(directory)s: damaged. Nothing is cosigned until it holds '<size> <root in "
                "hex>' of the last checkpoint that this auditor cosigned",
                directory=state.directory / _RECORD,
            )
        )
    return WitnessHead(int(match[1]), bytes.fromhex(match[2]))


def verify_extends(mirror: Mirror, checkpoint: Checkpoint, head: WitnessHead) -> None:
    """Check that a checkpoint of the mirror still contains what was cosigned last.

    Raises:
        SplitViewError: it is smaller, or the log has another root at that size.
    """
    if checkpoint.size < head.size:
        raise SplitViewError(
            phrase(
                "rollback: checkpoint of %(size)s entries, %(head_size)s were cosigned",
                size=checkpoint.size,
                head_size=head.size,
            )
        )
    if mirror.ledger.root(head.size) != head.root:
        raise SplitViewError(
            phrase("fork: the log's first %(size)s entries are not those that were cosigned", size=head.size)
        )


def cosign_newest(mirror: Mirror, state: State, keys: AuditorKeys, now: datetime) -> Cosignature | None:
    """Cosign the newest checkpoint of the mirror.

    Returns None where it carries a fresh cosignature of this auditor already, or where the roster at
    that size does not list this auditor's cosigner key, so that it would not count.

    Raises:
        SplitViewError: the log does not extend what was cosigned last. Nothing is signed.
        LedgerError: the checkpoint is not one of this log.
    """
    if not mirror.latest:
        return None
    with state.locked():
        head = last_head(state)
        checkpoint = mirror.ledger.verify_checkpoint(mirror.latest, 0)
        if head is not None:
            verify_extends(mirror, checkpoint, head)
        note, rostered = parse_note(mirror.latest), mirror.ledger.roster_at(checkpoint.size).body.auditors
        own = keys.cosigner_among([row.cosigner for row in rostered])
        if own is None or _is_fresh(note, own.verifier, now):
            return None
        if head != (newest := WitnessHead(checkpoint.size, checkpoint.root)):
            state.replace_record(_RECORD, f"{newest.size} {newest.root.hex()}\n".encode())
        return Cosignature(checkpoint.size, cosign(note.text, own, int(now.timestamp())))


def _is_fresh(note: Note, own: VerifierKey, now: datetime) -> bool:
    """Whether the note carries this auditor's cosignature, younger than `RENEW_AFTER`."""
    if not verified_by(note, [own]):
        return False
    times = [
        cosignature_time(row) for row in note.signatures if (row.name, row.key_id) == (own.name, own.key_id)
    ]
    return now - datetime.fromtimestamp(max(times), UTC) < RENEW_AFTER
