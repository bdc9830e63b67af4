"""Return the sums of this auditor's masks over S: once computed, the same bytes for ever.

Order, and why:

1. This auditor's own slot holds an agreement to the logged close, and at least q agreements to it
   lie under a checkpoint that a quorum of witnesses has cosigned: there is one S, and everybody
   sees it.
2. Every box of S is opened again: the one that the header names by its digest, whose seeds this
   auditor compared with their commitments before it agreed. One running sum a subset; with a
   turnout ladder of M_A less the steps below the close's tier, the one combination ever answered.
3. The sums are written and synced, then the opening that names their digests is signed into its
   slot, then the round's key is destroyed. Only then is anything sent: whatever happens later,
   this auditor can neither answer for another set nor be made to.
4. The answer, now and at every repeat, comes from the stored sums.

Spec: docs/protocol.md "The close" step 5.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from auditor.check_reports import BoxOpener, read_boxes, round_key
from auditor.context import Context
from auditor.errors import CheckError, NotReadyError, RefusalError, StateError
from auditor.signing import SignedEntry, sign_entry, store_entry, stored_entry
from auditor.state import SecretKind, SlotKind, State
from crypto.field64 import encode_vector
from crypto.tier_sum import TierSum
from plan.errors import phrase
from protos.ledger import RoundLog
from protos.statements import Agreement, Opening

GROUP_REPORTS = 256  # seeds opened before their masks are added: many streams at once are faster


def sign_opening(context: Context, round_log: RoundLog) -> SignedEntry:
    """Compute and store the mask sums, sign the opening, destroy the round's key; once per round.

    Raises:
        NotReadyError: the agreements are not under a cosigned checkpoint yet.
        CheckError: the coordinator's boxes are not the logged ones.
        StateError: this auditor has not agreed, or has no key any more.
    """
    verify_agreed(context, round_log)
    sums = compute_sums(context, round_log)
    for subset, encoded in sums.items():
        context.state.keep_sum(round_log.round_id, subset, encoded)
    draw = context.state.secret(SecretKind.DRAW, round_log.round_id)
    if draw is None or round_log.close is None:
        raise StateError(
            phrase("the draw of round %(round_id)s is lost", round_id=round_log.round_id.hex()[:16])
        )
    statement = Opening(
        federation=round_log.terms.federation,
        round=round_log.round_id,
        auditor=context.id,
        close=round_log.close.digest,
        draw=draw,
        sums=tuple((subset, hashlib.sha256(encoded).digest()) for subset, encoded in sums.items()),
    )
    signed = sign_entry(statement, context.signing_key(round_log))
    store_entry(context.state, SlotKind.OPENING, round_log.round_id, signed)
    destroy_keys(context.state, round_log.round_id)
    return signed


def verify_agreed(context: Context, round_log: RoundLog) -> None:
    """Check that this auditor and a quorum have agreed to the one logged close.

    Raises:
        StateError: this auditor has not agreed to it.
        NotReadyError: fewer than q agreements lie under a cosigned checkpoint.
    """
    decision = stored_entry(context.state, SlotKind.DECISION, round_log.round_id)
    own = decision.statement if decision else None
    if round_log.close is None or not isinstance(own, Agreement) or own.close != round_log.close.digest:
        raise StateError(phrase("this auditor has not agreed to the close that is in the log"))
    cosigned = [
        auditor
        for auditor, row in round_log.agreements.items()
        if row.index < context.mirror.cosigned_size and row.statement.close == round_log.close.digest
    ]
    if len(cosigned) < round_log.terms.quorum:
        raise NotReadyError(
            phrase(
                "%(num_cosigned)s agreements under a cosigned checkpoint, %(quorum)s are needed",
                num_cosigned=len(cosigned),
                quorum=round_log.terms.quorum,
            )
        )


def compute_sums(context: Context, round_log: RoundLog) -> dict[int, bytes]:
    """Sum this auditor's masks over S, one encoded vector a subset, ascending.

    Memory: one vector a subset, two with a turnout ladder, whatever the number of reports.
    """
    body = round_log.close_body()
    if body is None or round_log.close is None:
        raise CheckError(phrase("this round is not closed yet"))
    cells, tier = round_log.terms.cells, round_log.close.statement.tier
    sums = {subset: TierSum(cells, tier) for subset in round_log.subsets_of(context.id)}
    for seeds in _seeds_of(context, round_log, {name.digest: name.node for name in body.set}):
        for subset, values in seeds.items():
            sums[subset].add_masks(
                subset, values, round_log.round_id, round_log.num_auditors, round_log.terms.threshold
            )
    return {subset: encode_vector(total.value()) for subset, total in sums.items()}


def _seeds_of(
    context: Context, round_log: RoundLog, wanted: dict[bytes, str]
) -> Iterator[dict[int, list[bytes]]]:
    """Open the boxes of the reports wanted (digest → node); give seeds by subset, some reports at a time."""
    opener = BoxOpener(round_log, context.id, round_key(context, round_log))
    seeds: dict[int, list[bytes]] = {subset: [] for subset in round_log.subsets_of(context.id)}
    num_waiting = 0
    for report_digest, report, box in read_boxes(
        round_log, context.id, context.link.get_boxes(round_log.round_id)
    ):
        if wanted.pop(report_digest, None) is None:
            continue
        try:
            opened = opener.reopen_seeds(report, box)
        except RefusalError as err:
            raise StateError(
                phrase("a report of S is not usable, although this auditor agreed (%(reason)s)", reason=err)
            ) from err
        for subset, seed in opened.items():
            seeds[subset].append(seed)
        num_waiting += 1
        if num_waiting == GROUP_REPORTS:
            yield seeds
            seeds, num_waiting = {subset: [] for subset in seeds}, 0
    for node in wanted.values():
        raise CheckError(phrase("the coordinator withholds the box of %(node)s; the round waits", node=node))
    yield seeds


def stored_answer(state: State, round_log: RoundLog) -> tuple[SignedEntry, tuple[bytes, ...]] | None:
    """Read the opening and its sums as they were stored, None before there is an opening.

    Raises:
        StateError: a stored sum is missing or is not the one that the opening names.
    """
    signed = stored_entry(state, SlotKind.OPENING, round_log.round_id)
    if signed is None:
        return None
    statement = signed.statement
    sums = []
    for subset, sum_digest in statement.sums if isinstance(statement, Opening) else ():
        encoded = state.stored_sum(round_log.round_id, subset)
        if encoded is None or hashlib.sha256(encoded).digest() != sum_digest:
            raise StateError(
                phrase(
                    "the stored sum of subset %(subset)s is missing or damaged; nothing is sent",
                    subset=subset,
                )
            )
        sums.append(encoded)
    return signed, tuple(sums)


def destroy_keys(state: State, round_id: bytes) -> bool:
    """Destroy a round's HPKE key and draw; returns whether there was anything left."""
    destroyed = [state.destroy_secret(kind, round_id) for kind in SecretKind]
    return any(destroyed)
