"""Publish a plan: fit the draft to the roster in force, write the statement, log it.

Rules:
1. ``min_reports = auto`` becomes max(5, ⌈0.8 · independent operators⌉); a plan that needs more
   than there are is refused. ``ladder = auto`` becomes the tiers for as many operators.
2. (n, t, f, q) is one of the roster's tuples; its n auditors are named, or the first n of the
   roster in its order.
3. Noise (scale, s², digest of the thresholds; of each component of a ladder) is computed here
   from the plan's ρ, and recomputed by every node and auditor.
4. A plan that the roster in force refuses, and that a roster waiting for signatures would change something
   for, is refused with that roster's signatures.
5. Publishing the same plan again while its round is unfinished gives the same round.

The round's id is the digest of the plan statement.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

from coordinator.errors import GroupTooSmallError, PlanRefusedError, RosterWaitsError
from coordinator.home import Home
from coordinator.log_book import LogBook, View, sign_entry
from coordinator.waiting_roster import WaitingRoster, find_waiting
from plan.document import PlanDocument, encode_body, terms_of
from plan.errors import PlanError, phrase
from plan.groups import small_groups
from plan.layout import Layout, build_layout
from plan.published import noise_rows, step_rows
from plan.publishing import check_publishable, resolve
from privacy.errors import PrivacyError
from protos.bodies import RosterBody
from protos.errors import ProtocolError
from protos.ledger import Ledger
from protos.round_log import RoundState
from protos.statements import Plan, body_ref, digest, encode_statement

_ENDED = (RoundState.RELEASED, RoundState.ABORTED)


def publish_plan(book: LogBook, home: Home, draft: PlanDocument, auditors: Sequence[str] = ()) -> bytes:
    """Log a plan under the roster in force; return the round id.

    Args:
        book: the log and database.
        home: holds the statement key.
        draft: the plan; its ``min_reports`` may still be ``auto``.
        auditors: ids of its n auditors; empty for the roster's first n.

    Raises:
        RosterWaitsError: it does not fit the roster in force, and another one waits for signatures.
        PlanRefusedError: it does not fit the roster, is over, or is not ready to be published.
        GroupTooSmallError: a table would show the sum of fewer schools than ``min_group``.
        StatementRefusedError: the log's rules refuse it.
    """
    with book.writing("append plan") as view:
        return append_plan(view, home, draft, auditors)


def append_plan(view: View, home: Home, draft: PlanDocument, auditors: Sequence[str] = ()) -> bytes:
    """Log a plan within a write transaction; return the round id. Arguments and errors as `publish_plan`."""
    statement, body = _statement(view, home, draft, auditors)
    earlier = _same_plan(view.ledger, statement)
    if earlier is not None:
        return earlier
    if statement.closes <= view.now:
        raise PlanRefusedError(
            phrase(
                "window.closes: %(closes)s is over; choose a later time",
                closes=statement.closes.isoformat(),
            )
        )
    text = encode_statement(statement)
    view.append(sign_entry(text, home.signer(view.ledger.roster.body.coordinator)), body)
    return digest(text)


def _statement(view: View, home: Home, draft: PlanDocument, auditors: Sequence[str]) -> tuple[Plan, bytes]:
    document, layout = _fit_roster(view, home, draft)
    ledger = view.ledger
    roster = ledger.roster
    try:
        terms, body = terms_of(document), encode_body(document)
        noise, steps = noise_rows(layout), step_rows(layout)
        statement = Plan(
            federation=home.config.federation,
            serial=len(ledger.rounds) + 1,
            roster=roster.digest,
            auditors=_choose_auditors(ledger, terms.num_auditors, auditors),
            threshold=terms.threshold,
            collude=terms.collude,
            quorum=terms.quorum,
            min_reports=terms.min_reports,
            colluding_schools=terms.colluding_schools,
            min_group=terms.min_group,
            rho=terms.rho,
            opens=terms.opens,
            closes=terms.closes,
            cells=layout.cells,
            noise=noise,
            tiers=terms.tiers,
            steps=steps,
            body=body_ref(body),
        )
    except (PlanError, PrivacyError, ProtocolError) as err:
        raise PlanRefusedError(err) from err
    return statement, body


def _fit_roster(view: View, home: Home, draft: PlanDocument) -> tuple[PlanDocument, Layout]:
    """Fit the draft to the roster in force; where it does not, tell of a roster that waits for signatures."""
    waiting = find_waiting(view, home.config.federation)
    if not view.has_genesis and waiting is not None:
        raise _roster_waits(waiting)
    revoked = view.ledger.revoked_nodes
    try:
        return _fit(home, draft, view.ledger.roster.body, revoked)
    except (PlanRefusedError, GroupTooSmallError) as err:
        if waiting is None:
            raise
        then = _refusal(home, draft, waiting.body, revoked)
        if str(then) == str(err):  # whatever the auditors sign, this plan is refused
            raise
        raise _roster_waits(waiting, then) from err


def _refusal(home: Home, draft: PlanDocument, body: RosterBody, revoked: Container[str]) -> Exception | None:
    try:
        _fit(home, draft, body, revoked)
    except (PlanRefusedError, GroupTooSmallError) as err:
        return err
    return None


def _roster_waits(waiting: WaitingRoster, then: Exception | None = None) -> RosterWaitsError:
    """Say who has signed and who has not; `then` is what would refuse the plan under that roster too."""
    text = phrase(
        "roster %(serial)s (%(digest)s…) with %(schools)s schools waits for the auditors' signatures: "
        "%(count)s of the %(needed)s needed; signed: %(signed)s; still to sign: %(missing)s",
        serial=waiting.serial,
        digest=waiting.digest.hex()[:16],
        schools=len(waiting.body.nodes),
        count=waiting.num_signed,
        needed=waiting.needed,
        signed=", ".join(waiting.signed) or phrase("nobody yet"),
        missing=", ".join(waiting.missing),
    )
    if then is None:
        return RosterWaitsError(text)
    return RosterWaitsError(phrase("%(roster)s; and under that roster: %(reason)s", roster=text, reason=then))


def _fit(
    home: Home, draft: PlanDocument, roster: RosterBody, revoked: Container[str]
) -> tuple[PlanDocument, Layout]:
    try:
        document = resolve(draft, _num_operators(roster, revoked))
        check_publishable(document, is_demo=home.config.kind == "demo")
        layout, terms = build_layout(document), terms_of(document)
    except (PlanError, PrivacyError) as err:
        raise PlanRefusedError(err) from err
    _check_tuple(roster, (terms.num_auditors, terms.threshold, terms.collude, terms.quorum))
    _check_groups(roster, revoked, layout, terms.min_group)
    return document, layout


def _num_operators(roster: RosterBody, revoked: Container[str]) -> int:
    return len({node.operator for node in roster.nodes if node.id not in revoked})


def _check_tuple(roster: RosterBody, row: tuple[int, int, int, int]) -> None:
    if row not in roster.tuples:
        allowed = ", ".join(str(item) for item in roster.tuples)
        raise PlanRefusedError(
            phrase(
                "trust: (auditors, threshold, collude, quorum) = %(row)s is not in the roster; it "
                "allows %(allowed)s",
                row=row,
                allowed=allowed,
            )
        )


def _check_groups(roster: RosterBody, revoked: Container[str], layout: Layout, min_group: int) -> None:
    nodes = (node.id for node in roster.nodes if node.id not in revoked)
    schools = {node.id: dict(node.attributes) for node in roster.nodes}
    small = small_groups(layout, schools, nodes, min_group)
    if small:
        group = ", ".join(f"{key} = {value or '(none)'}" for key, value in min(small))
        raise GroupTooSmallError(
            phrase(
                "the roster has fewer than %(min_group)s schools with %(group)s; leave it out of the tables",
                min_group=min_group,
                group=group,
            )
        )


def _choose_auditors(ledger: Ledger, num_auditors: int, wanted: Sequence[str]) -> tuple[str, ...]:
    known = [row.id for row in ledger.roster.body.auditors if row.id not in ledger.revoked_auditors]
    chosen = tuple(name for name in known if name in set(wanted)) if wanted else tuple(known[:num_auditors])
    if len(chosen) != num_auditors or (wanted and len(set(wanted)) != len(chosen)):
        raise PlanRefusedError(
            phrase(
                "auditors: the plan has %(num_auditors)s, usable in the roster are %(known)s",
                num_auditors=num_auditors,
                known=", ".join(known),
            )
        )
    return chosen


def _same_plan(ledger: Ledger, statement: Plan) -> bytes | None:
    """Find an unfinished round that differs from the statement in its serial only."""
    for round_id, round_log in ledger.rounds.items():
        terms = round_log.terms
        same = {name for name in Plan.__slots__ if getattr(terms, name) == getattr(statement, name)}
        if round_log.state not in _ENDED and same >= set(Plan.__slots__) - {"serial"}:
            return round_id
    return None
