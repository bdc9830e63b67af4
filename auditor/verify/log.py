"""Checks of the log itself: tree, tiles, bodies, signatures, witnesses, genesis, and every entry in order.

The keys that matter come from the policy file. Without one the log is still read, with the keys
that stand in its own genesis roster, so that internal contradictions show; but then the checks
that need a pin are SKIPPED, because a forger would have put his own keys there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from auditor.policy import AuditorPolicy
from auditor.verify.bundle_files import CHECKPOINT, BundleFiles
from auditor.verify.outcome import CheckFailed, CheckSkipped
from crypto.checkpoint import Checkpoint, parse_checkpoint
from crypto.errors import VerificationError
from crypto.merkle import leaf_hash, tree_root
from crypto.note import parse_note, verified_by
from crypto.policy import LogPolicy, verify_checkpoint
from crypto.tiles import TILE_WIDTH, changed_tiles, entries_path, parse_entries, tile_path
from plan.errors import Phrase, phrase, phrase_of
from protos.bodies import parse_roster_body
from protos.card import CardAuditor, FederationCard
from protos.errors import LedgerError
from protos.followed import followed
from protos.ledger import Ledger
from protos.statements import (
    MAX_BODY_BYTES,
    BodyRef,
    Roster,
    Statement,
    body_of,
    body_ref,
    digest,
    parse_statement,
)

LOG = "log"
MAX_ENTRIES = 10_000_000


@dataclass(slots=True)
class BundleLog:
    """What the checks have read of a bundle's log so far.

    Attributes:
        policy: whose keys count; None when none was given.
        note: the checkpoint as a signed note.
        checkpoint: its contents.
        entries: every entry, once its tile was read.
        statements: the statement of every entry, None where it cannot be parsed.
        bodies: the body of every entry (empty where it has none).
        ledger: the log read by the protocol's rules, as far as it is valid.
        stopped_at: position of the first entry that the rules refuse, None if all are valid.
        stopped_by: why.
    """

    files: BundleFiles
    policy: AuditorPolicy | None
    note: bytes = b""
    checkpoint: Checkpoint | None = None
    entries: list[bytes] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    ledger: Ledger | None = None
    stopped_at: int | None = None
    stopped_by: Phrase | None = None

    def whole_ledger(self) -> Ledger:
        """Return the ledger if every entry was valid.

        Raises:
            CheckSkipped: the log could not be read, or only in part.
        """
        if self.ledger is None:
            raise CheckSkipped(phrase("the log could not be read"))
        if self.stopped_at is not None:
            raise CheckSkipped(
                phrase("the log is valid only up to entry %(stopped_at)s", stopped_at=self.stopped_at)
            )
        return self.ledger

    def required_policy(self) -> AuditorPolicy:
        """Return the policy.

        Raises:
            CheckSkipped: none was given.
        """
        if self.policy is None:
            raise CheckSkipped(phrase("no policy was given; keys out of the bundle prove nothing"))
        return self.policy


def check_policy(log: BundleLog) -> Phrase:
    """Say whose keys are believed."""
    policy = log.required_policy()
    return phrase(
        "log %(name)s, %(num_witnesses)s witnesses, genesis %(genesis)s",
        name=policy.log.name,
        num_witnesses=len(policy.trust.witnesses),
        genesis=policy.genesis.hex()[:16],
    )


def check_checkpoint(log: BundleLog) -> Phrase:
    """Check the checkpoint's signature and cosignatures by the policy's keys."""
    log.note = log.files.read(CHECKPOINT)
    log.checkpoint = parse_checkpoint(parse_note(log.note).text)
    trust = log.required_policy().trust
    try:
        verify_checkpoint(log.note, trust)
    except VerificationError:
        trust = _followed(log, log.required_policy())
        verify_checkpoint(log.note, trust)
    signers = verified_by(parse_note(log.note), list(trust.witnesses.values()))
    return phrase(
        "size %(size)s, %(num_witnesses)s cosignatures", size=log.checkpoint.size, num_witnesses=len(signers)
    )


def _followed(log: BundleLog, policy: AuditorPolicy) -> LogPolicy:
    """Put in the place of each key of the policy the one that has followed it by the rosters of this log.

    They begin with the genesis roster that the policy pins, and every step is signed as
    `protos.roster_chain` asks: an auditor's new keys by its old one, all of it by a quorum.

    Raises:
        CheckFailed: the log does not begin with the pinned roster, or not all of it is valid.
    """
    entries = _read_entries(log)
    bodies = [_body_of(log, entry) for entry in entries]
    reading = BundleLog(log.files, policy, entries=entries, bodies=bodies)
    reading.statements = [parse_statement(parse_note(entry).text) for entry in entries[:1]]
    card = genesis_card(reading)
    if card.genesis != policy.genesis or card.log != policy.log:
        raise CheckFailed(phrase("not signed by the policy's keys, and the log has another genesis"))
    ledger = Ledger(card)
    try:
        for entry, body in zip(entries, bodies, strict=True):
            ledger.append(entry, body)
    except LedgerError as err:
        raise CheckFailed(
            phrase(
                "not signed by the policy's keys, and none can be seen to follow them: %(reason)s", reason=err
            )
        ) from err
    return followed(policy.trust, ledger, ledger.size)


def _body_of(log: BundleLog, entry: bytes) -> bytes:
    ref = body_of(parse_statement(parse_note(entry).text))
    return b"" if ref is None else read_body(log.files, ref)


def read_body(files: BundleFiles, ref: BodyRef, place: str = f"{LOG}/") -> bytes:
    """Read a body, no more of it than its statement says: a file of holes costs its maker nothing.

    Raises:
        CheckSkipped: it is not there.
        CheckFailed: it is longer.
    """
    return files.read(body_path(ref, place), min(ref.size, MAX_BODY_BYTES))


def body_path(ref: BodyRef, place: str = f"{LOG}/") -> str:
    """Return where a body lies in a bundle, or in a log folder (`place` is empty)."""
    return f"{place}blob/{ref.sha256.hex()}"


def _read_entries(log: BundleLog) -> list[bytes]:
    if log.checkpoint is None:
        raise CheckSkipped(phrase("the checkpoint cannot be read"))
    return read_entries(log.files, log.checkpoint.size)


def read_entries(files: BundleFiles, size: int, place: str = f"{LOG}/") -> list[bytes]:
    """Read the entries of a tree size out of their tiles.

    Raises:
        CheckSkipped: a tile is missing.
        CheckFailed, DecodeError: the size is out of range, or a tile is no tile.
    """
    _check_size(size)
    entries: list[bytes] = []
    for first in range(0, size, TILE_WIDTH):
        width = min(TILE_WIDTH, size - first)
        path = place + entries_path(first // TILE_WIDTH, width)
        entries += parse_entries(files.read(path), width)
    return entries


def check_tree(log: BundleLog) -> Phrase:
    """Rebuild tree and tiles from the entries and compare root and every tile."""
    if log.checkpoint is None:
        raise CheckSkipped(phrase("the checkpoint cannot be read"))
    size = log.checkpoint.size
    _check_tiles(log.files, size)
    entries = _read_entries(log)
    leaves = [leaf_hash(entry) for entry in entries]
    if tree_root(leaves) != log.checkpoint.root:
        raise CheckFailed(phrase("the %(size)s entries have another root than the checkpoint", size=size))
    log.entries = entries
    tiles = {f"{LOG}/{path}": data for path, data in changed_tiles(leaves, entries, 0, size)}
    for path, data in tiles.items():
        if log.files.read(path) != data:
            raise CheckFailed(phrase("%(path)s: not the tile that the entries have", path=path))
    return phrase("%(size)s entries, %(num_tiles)s tiles", size=size, num_tiles=len(tiles))


def _check_size(size: int) -> None:
    if not 0 < size <= MAX_ENTRIES:
        raise CheckFailed(
            phrase("tree size %(size)s, expected 1 to %(max_entries)s", size=size, max_entries=MAX_ENTRIES)
        )


def _check_tiles(files: BundleFiles, size: int) -> None:
    """Refuse a tile that a tree of this size has not; what is missing shows when it is read."""
    _check_size(size)
    known, level, count = set[str](), 0, size
    while count:
        for first in range(0, count, TILE_WIDTH):
            index, width = first // TILE_WIDTH, min(TILE_WIDTH, count - first)
            known.add(f"{LOG}/{tile_path(level, index, width)}")
            if level == 0:
                known.add(f"{LOG}/{entries_path(index, width)}")
        level, count = level + 1, count // TILE_WIDTH
    extra = [path for path in files.under(f"{LOG}/tile") if path not in known]
    if extra:
        raise CheckFailed(phrase("%(extra)s: no tile of this tree", extra=extra[0]))


def check_bodies(log: BundleLog) -> Phrase:
    """Read every entry's statement and compare its body with the digest and size named there."""
    if not log.entries:
        raise CheckSkipped(phrase("the entries cannot be read"))
    statements = [parse_statement(parse_note(entry).text) for entry in log.entries]
    named = {body_path(ref) for row in statements if (ref := body_of(row)) is not None}
    extra = [path for path in log.files.under(f"{LOG}/blob") if path not in named]
    if extra:
        raise CheckFailed(phrase("%(extra)s: no entry names this body", extra=extra[0]))
    bodies: list[bytes] = []
    for statement in statements:
        ref, body = body_of(statement), b""
        if ref is not None:
            path = body_path(ref)
            body = read_body(log.files, ref)
            if body_ref(body) != ref:
                raise CheckFailed(
                    phrase(
                        "%(path)s: not the body that entry %(num_bodies)s names",
                        path=path,
                        num_bodies=len(bodies),
                    )
                )
        bodies.append(body)
    log.statements, log.bodies = statements, bodies
    return phrase("%(num_named)s bodies", num_named=len(named))


def check_genesis(log: BundleLog) -> Phrase:
    """Compare the first entry with the genesis roster that the policy pins."""
    policy = log.required_policy()
    if not log.entries:
        raise CheckSkipped(phrase("the entries cannot be read"))
    found = digest(parse_note(log.entries[0]).text)
    if found != policy.genesis:
        raise CheckFailed(
            phrase(
                "genesis is %(found)s, the policy pins %(genesis)s",
                found=found.hex()[:16],
                genesis=policy.genesis.hex()[:16],
            )
        )
    return phrase("%(genesis)s", genesis=found.hex())


def check_entries(log: BundleLog) -> Phrase:
    """Read the log by the protocol's rules: every signature, order, count and digest of every entry."""
    if not log.statements:
        raise CheckSkipped(phrase("the entries cannot be read"))
    card = genesis_card(log)
    if log.policy is not None and card.log != log.policy.log:
        raise CheckFailed(phrase("the genesis roster has another log key than the policy"))
    log.ledger = Ledger(card)
    for position, (entry, body) in enumerate(zip(log.entries, log.bodies, strict=True)):
        try:
            log.ledger.append(entry, body)
        except LedgerError as err:
            log.stopped_at, log.stopped_by = position, phrase_of(err)
            raise CheckFailed(
                phrase(
                    "entry %(position)s (%(type)s): %(reason)s",
                    position=position,
                    type=log.statements[position].TYPE,
                    reason=err,
                )
            ) from err
    log.ledger.verify_checkpoint(log.note)
    return phrase("%(size)s entries follow the rules", size=log.ledger.size)


def genesis_card(log: BundleLog) -> FederationCard:
    """Make the federation card that the first entry amounts to.

    Raises:
        CheckFailed: the first entry is no roster.
    """
    return card_of(log.entries[0], log.bodies[0])


def card_of(entry: bytes, contents: bytes) -> FederationCard:
    """Make the federation card that a genesis roster amounts to; see `genesis_card`."""
    text = parse_note(entry).text
    roster = parse_statement(text)
    if not isinstance(roster, Roster):
        raise CheckFailed(phrase("the first entry is no roster"))
    body = parse_roster_body(contents, roster.federation)
    return FederationCard(
        federation=roster.federation,
        kind=roster.kind,
        log=body.log,
        coordinator=body.coordinator,
        ca=body.ca,
        genesis=digest(text),
        quorum=roster.quorum,
        auditors=tuple(CardAuditor(row.id, row.statement, row.cosigner) for row in body.auditors),
        tuples=body.tuples,
    )


def check_rosters(log: BundleLog) -> Phrase:
    """Check the chain of rosters, and that the witnesses in force are ones that the policy knows."""
    if log.stopped_at is not None and isinstance(log.statements[log.stopped_at], Roster):
        raise CheckFailed(
            phrase(
                "roster at entry %(stopped_at)s: %(stopped_by)s",
                stopped_at=log.stopped_at,
                stopped_by=log.stopped_by,
            )
        )
    ledger = log.whole_ledger()
    chain = ledger.roster_chain
    for before, after in pairwise(chain):
        if after.statement.previous != before.digest or after.statement.serial != before.statement.serial + 1:
            raise CheckFailed(
                phrase("roster %(serial)s does not follow its predecessor", serial=after.statement.serial)
            )
    policy = log.required_policy()
    cosigners = {row.cosigner for state in chain for row in state.body.auditors}
    unknown = [name for name, key in policy.trust.witnesses.items() if key not in cosigners]
    if unknown:
        raise CheckFailed(
            phrase("witness %(unknown)s of the policy is no auditor of this federation", unknown=unknown[0])
        )
    return phrase(
        "%(num_rosters)s rosters, %(num_nodes)s nodes, %(num_auditors)s auditors",
        num_rosters=len(chain),
        num_nodes=len(chain[-1].body.nodes),
        num_auditors=len(chain[-1].body.auditors),
    )


def check_head(log: BundleLog, head: bytes) -> Phrase:
    """Check that the log extends a checkpoint that the auditor kept from earlier."""
    ledger = log.whole_ledger()
    kept = parse_checkpoint(parse_note(head).text)
    if kept.origin != ledger.card.log.name:
        raise CheckFailed(phrase("the kept checkpoint is of another log"))
    if kept.size > ledger.size or ledger.root(kept.size) != kept.root:
        raise CheckFailed(
            phrase("the log does not extend the kept checkpoint of size %(size)s", size=kept.size)
        )
    return phrase("extends size %(size)s", size=kept.size)
