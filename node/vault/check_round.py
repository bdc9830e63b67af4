"""Everything that this node checks before it answers a round.

Order; the first check that fails refuses the round, and nothing has been charged or drawn:

1.  the log has never shown two histories, and has a checkpoint with a quorum of cosignatures;
2.  that checkpoint is at most 24 hours old by its cosignatures;
3.  the plan is in the log, below that checkpoint (its roster chain was checked entry by entry);
4.  every auditor of the plan has approved, below that checkpoint, with a round key that can be sealed to;
5.  every auditor of the plan is pinned on this node's card with the same keys, or with keys that followed
    them by its own word;
6.  this node stands in the plan's roster with its own report key and its own commitment to K, unrevoked;
7.  the round is neither abandoned nor ended by the county, and its window is open by the vault's clock; a
    later deadline counts once the grants of q auditors lie below that checkpoint;
8.  the plan is at least as strict as the local floors, and its roster has enough independent operators;
9.  cells and noise of the plan are what its tables make them, thresholds included; its codebooks are named
    by digest, except in a demo;
10. what it really costs is at most what it says, and at most what the school allows for one round;
11. its school year is that of its census date and has begun;
12. it lists this node's own value of every roster attribute that it uses, and no table shows a group of fewer
    than ``min_group`` schools of its roster.

The account (``account.py``), the records and their identities (``tabulate.py``) come after this.
Spec: docs/protocol.md "Checks elsewhere".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from crypto.errors import CryptoError
from crypto.sealing import verify_public_key
from node.errors import Detail
from node.vault.account import YearAccount
from node.vault.enrol import Floors, load_floors
from node.vault.errors import RoundRefusedError, _, shown_as
from node.vault.mirror import Mirror, Trusted
from node.vault.parts import Parts
from plan.attributes import own_codes
from plan.errors import LayoutError
from plan.groups import small_groups
from plan.published import Published
from plan.rules import MIN_GROUP_FLOOR
from privacy.errors import PrivacyError
from privacy.year_account import Charge, verify_year
from protos.ledger import RoundLog

MAX_CHECKPOINT_AGE = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class CheckedRound:
    """A round that passed every check above.

    Attributes:
        round_log: what the log says about it.
        published: its plan, read and recomputed.
        charge: what a release costs.
        account: the account of its school year, before it.
        now: the vault's clock at the check.
        attributes: of this node's own entry in the plan's roster.
    """

    round_log: RoundLog
    published: Published
    charge: Charge
    account: YearAccount
    now: datetime
    attributes: Mapping[str, str]


def check_round(parts: Parts, round_id: bytes) -> CheckedRound:
    """Check a round and put together what it costs.

    Raises:
        RoundRefusedError: a check failed; the code says which.
    """
    now = parts.clock.now()
    trusted = _check_log(parts.mirror, now)
    round_log = find_round(parts.mirror, round_id)
    _check_cosigned(round_log, trusted)
    _check_pins(parts, round_log)
    own = _check_own_entry(parts, round_log)
    _check_window(round_log, now, trusted.size)
    floors = load_floors(parts.store)
    _check_floors(floors, round_log)
    published = parts.published.read(round_log)
    _check_noise(round_log, published)
    _check_codebooks(parts, published)
    _check_cost(floors, round_log, published)
    _check_year(published, now)
    _check_attributes(published, own)
    _check_groups(parts, round_log, published)
    document = published.document
    charge = Charge(round_id, document.school_year, published.rho)
    account = parts.account.read(document.school_year, floors.rho_year, parts.mirror)
    return CheckedRound(round_log, published, charge, account, now, own)


def find_round(mirror: Mirror, round_id: bytes) -> RoundLog:
    """Find a round in the mirror.

    Raises:
        RoundRefusedError: the log has no such plan.
    """
    round_log = mirror.ledger.rounds.get(round_id)
    if round_log is None:
        raise _refuse(
            "no-such-round",
            _("no round %(round)s… in the log"),
            _("Look it up with 'fedscreen node status'; a new plan arrives by itself while the node runs."),
            round=round_id.hex()[:16],
        )
    return round_log


def _check_log(mirror: Mirror, now: datetime) -> Trusted:
    if mirror.is_split:
        raise _refuse(
            "log-split",
            _("the log has shown two different histories"),
            _("Keep this node's folder and tell the auditors at once."),
        )
    trusted = mirror.trusted
    if trusted is None:
        raise _refuse(
            "log-unverified",
            _("no part of the log is cosigned by a quorum of auditors yet"),
            _("Wait until the auditors have signed; the node fetches it by itself while it runs."),
        )
    age = now - trusted.time
    if age > MAX_CHECKPOINT_AGE:
        raise _refuse(
            "log-stale",
            _("the newest cosigned checkpoint is %(hours)d hours old, at most %(allowed)d are allowed"),
            _("Check this computer's date, start the node so that it fetches the log, or ask the county."),
            hours=int(age / timedelta(hours=1)),
            allowed=int(MAX_CHECKPOINT_AGE / timedelta(hours=1)),
        )
    return trusted


def _check_cosigned(round_log: RoundLog, trusted: Trusted) -> None:
    if round_log.plan.index >= trusted.size:
        raise _not_cosigned(_("the plan"))
    missing = [name for name in round_log.terms.auditors if name not in round_log.approvals]
    if missing:
        raise _refuse(
            "approval-missing",
            _("auditor %(auditor)s has not approved the plan"),
            _("Wait; a round opens only when all its auditors have approved."),
            auditor=missing[0],
        )
    if max(approval.index for approval in round_log.approvals.values()) >= trusted.size:
        raise _not_cosigned(_("an approval"))
    for name, approval in round_log.approvals.items():
        _check_round_key(name, approval.statement.round_key)


def _check_round_key(auditor: str, round_key: bytes) -> None:
    """Refuse a key that cannot be sealed to before anything is charged: else one auditor empties accounts."""
    try:
        verify_public_key(round_key)
    except CryptoError:
        raise _refuse(
            "bad-round-key",
            _("the round key of auditor %(auditor)s cannot be sealed to"),
            _("Tell the county and this auditor; the round has to be published anew."),
            auditor=auditor,
        ) from None


def _not_cosigned(what: str) -> RoundRefusedError:
    return _refuse(
        "not-cosigned",
        _("%(what)s is not yet covered by a checkpoint that a quorum of auditors cosigned"),
        _("Wait until the auditors have signed; the node fetches it by itself while it runs."),
        what=what,
    )


def _check_pins(parts: Parts, round_log: RoundLog) -> None:
    pinned = {row.id: (row.statement, row.cosigner) for row in parts.card.auditors}
    for name in round_log.terms.auditors:
        auditor = round_log.roster.auditor(name)
        # each pair but the first is named by the statement key before it (protos.roster_chain, rule 3)
        known = parts.mirror.ledger.chain.auditor_keys.get(name, [])
        is_pinned = bool(known) and pinned.get(name) == known[0]
        if auditor is None or not is_pinned or (auditor.statement, auditor.cosigner) not in known:
            raise _refuse(
                "auditor-not-pinned",
                _("auditor %(auditor)s of the plan is not the one pinned on this node's card"),
                _("Ask the county why it changed, and compare its fingerprint with the auditor itself."),
                auditor=name,
            )


def _check_own_entry(parts: Parts, round_log: RoundLog) -> dict[str, str]:
    """Check this node's entry in the plan's roster; give its attributes."""
    identity = parts.identity
    own = round_log.roster.node(identity.node)
    if own is None:
        raise _refuse(
            "not-on-roster",
            _("node %(node)s stands not in the plan's roster"),
            _("Ask the county to enrol it; it takes part from the next plan on."),
            node=identity.node,
        )
    if identity.key_for(own.report) is None or own.master != identity.commitment:
        raise _refuse(
            "wrong-own-key",
            _("the plan's roster has another key for node %(node)s than this one"),
            _("Tell the county and the auditors: somebody else may be enrolled under this name."),
            node=identity.node,
        )
    if identity.node in parts.mirror.ledger.revoked_nodes:
        raise _refuse(
            "node-revoked",
            _("node %(node)s is revoked"),
            _("Ask the county for the reason."),
            node=identity.node,
        )
    return dict(own.attributes)


def _check_window(round_log: RoundLog, now: datetime, log_size: int) -> None:
    terms, closes = round_log.terms, round_log.changes.closes_below(round_log.terms, log_size)
    if round_log.changes.cancel is not None:
        raise _refuse(
            "round-cancelled",
            _("the county has ended this round; it is never opened"),
            _("Wait for the county's next plan."),
        )
    if round_log.can_never_open:
        raise _refuse(
            "round-aborted",
            _("the auditors have abandoned this round; it is never opened"),
            _("Wait for the county's next plan."),
        )
    if now < terms.opens:
        raise _refuse(
            "plan-not-open",
            _("the round opens on %(opens)s"),
            _("Try again then; check this computer's date if that has passed."),
            opens=terms.opens.isoformat(),
        )
    if now >= closes:
        raise _refuse(
            "plan-expired",
            _("the plan expired on %(closes)s"),
            _("Ask the county for a new plan; check this computer's date if it has not passed."),
            closes=closes.isoformat(),
        )


def _check_floors(floors: Floors, round_log: RoundLog) -> None:
    terms = round_log.terms
    for name, least, found in (
        ("threshold", floors.threshold, terms.threshold),
        ("collude", floors.collude, terms.collude),
        ("min_reports", floors.min_reports, terms.min_reports),
        ("colluding_schools", floors.colluding_schools, terms.colluding_schools),
    ):
        if found < least:
            raise _refuse(
                "below-floor",
                _("the plan has %(name)s %(found)d, this school asks for at least %(least)d"),
                _("Ask the county for a stricter plan; the floor stands in this node's settings."),
                name=name,
                found=found,
                least=least,
            )
    operators = {node.operator for node in round_log.roster.nodes}
    if len(operators) < terms.min_reports:
        raise _refuse(
            "too-few-operators",
            _("the plan's roster has %(found)d independent operators, min_reports is %(least)d"),
            _("Ask the county: such a round can never be opened."),
            found=len(operators),
            least=terms.min_reports,
        )


def _check_noise(round_log: RoundLog, published: Published) -> None:
    terms = round_log.terms
    if terms.cells != published.layout.cells:
        raise _refuse(
            "wrong-cells",
            _("the plan says %(found)d cells, its tables have %(expected)d"),
            _("Tell the county; the plan was made by another version or is forged."),
            found=terms.cells,
            expected=published.layout.cells,
        )
    expected = published.noise
    if terms.noise != expected or terms.steps != published.steps:
        rows = ((*expected, *published.steps), (*terms.noise, *terms.steps))
        wrong = next((row[0] for row in rows[0] if row not in rows[1]), terms.noise[-1][0])
        raise _refuse(
            "wrong-noise",
            _("the plan states another noise for table %(table)s than its tables and rho make"),
            _("Tell the county; the plan was made by another version or is forged."),
            table=wrong,
        )


def _check_codebooks(parts: Parts, published: Published) -> None:
    loose = [item.id for item in published.document.instruments if not item.digest]
    if loose and parts.card.kind != "demo":
        raise _refuse(
            "codebook-not-pinned",
            _("the plan does not say which version of codebook %(codebook)s it counts"),
            _("Ask the county to publish the plan with the codebook's digest."),
            codebook=loose[0],
        )


def _check_cost(floors: Floors, round_log: RoundLog, published: Published) -> None:
    if published.rho > round_log.terms.rho:
        raise _refuse(
            "rho-understated",
            _("the plan costs rho %(found)s, it says %(stated)s"),
            _("Tell the county; the plan was made by another version or is forged."),
            found=f"{float(published.rho):.6g}",
            stated=f"{float(round_log.terms.rho):.6g}",
        )
    if published.rho > floors.rho_round:
        raise _refuse(
            "below-floor",
            _("the plan costs rho %(found)s, this school allows %(allowed)s for one round"),
            _("Ask the county for a plan with a smaller rho; the limit stands in this node's settings."),
            found=f"{float(published.rho):.6g}",
            allowed=f"{float(floors.rho_round):.6g}",
        )


def _check_year(published: Published, now: datetime) -> None:
    document = published.document
    try:
        verify_year(document.school_year, document.census_date, now.date())
    except PrivacyError as err:
        raise _refuse(
            "wrong-school-year",
            _("the plan's school year cannot be charged (%(reason)s)"),
            _("Check this computer's date, or ask the county."),
            reason=str(err),
        ) from None


def _check_attributes(published: Published, own: Mapping[str, str]) -> None:
    try:
        own_codes(published.layout.scope.attributes, own)
    except LayoutError as err:
        raise RoundRefusedError(
            _("the plan has no cells for this school (%(reason)s)"),
            _("Tell the county: the roster's entry of this school, or the plan's list, has to be corrected."),
            code="attribute-not-listed",
            details={**shown_as("reason", err.phrase)},
        ) from None


def _check_groups(parts: Parts, round_log: RoundLog, published: Published) -> None:
    schools = {node.id: dict(node.attributes) for node in round_log.roster.nodes}
    least = max(round_log.terms.min_group, MIN_GROUP_FLOOR)
    present = schools.keys() - parts.mirror.ledger.revoked_nodes
    small = small_groups(published.layout, schools, present, least)
    if small:
        group = ", ".join(f"{key} = {value or '—'}" for key, value in min(small))
        raise _refuse(
            "group-too-small",
            _("a table shows the schools with %(group)s, and the roster has fewer than %(least)d of them"),
            _("Ask the county to leave this group out of the plan's tables."),
            group=group,
            least=least,
        )


def _refuse(code: str, message: str, advice: str, **details: Detail) -> RoundRefusedError:
    return RoundRefusedError(message, advice, code=code, details=details)
