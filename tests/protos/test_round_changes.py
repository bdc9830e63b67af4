"""Deadlines moved, rounds ended by the county, releases corrected: what may come next, and what may not."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest
from fakes_federation import CLOSES, ZERO, TinyFederation

from protos.errors import LedgerError, ProtocolError
from protos.ledger import Ledger
from protos.round_changes import MAX_EXTENSION
from protos.round_log import RoundState
from protos.statements import Abandon, Cancel, Correction, Extended, Extension, Statement

LATER = CLOSES + timedelta(days=7)
DAY = timedelta(days=1)


class Story:
    """A federation with two rounds, of which the first is brought to a stage."""

    def __init__(self, stage: str) -> None:
        self.federation = TinyFederation()
        self.federation.join()
        self.first = self.federation.publish()
        self.second = self.federation.publish()
        for name, step in self._steps():
            step()
            if name == stage:
                break

    def _steps(self) -> list[tuple[str, Callable[[], object]]]:
        made, round_id = self.federation, self.first
        names = sorted(made.auditors)
        return [
            ("planned", lambda: None),
            ("approved", lambda: made.approve(round_id)),
            ("reported", lambda: [made.report(node, round_id) for node in made.nodes]),
            ("candidates", lambda: made.fix_candidates(round_id)),
            ("checked", lambda: [made.check(name, round_id) for name in names]),
            ("closed", lambda: made.close(round_id)),
            ("agreed", lambda: [made.agree(name, round_id) for name in names]),
            ("opened", lambda: [made.open_(name, round_id) for name in names]),
            ("released", lambda: made.release(round_id)),
        ]

    @property
    def round(self):  # type: ignore[no-untyped-def]
        return self.federation.round(self.first)

    def say(self, statement: Statement, signer: str = "coordinator") -> bytes:
        key = self.federation.coordinator if signer == "coordinator" else self.federation.auditors[signer]
        return self.federation.add(statement, b"", [key])

    def extension(self, **changes: object) -> Extension:
        values = {"serial": len(self.round.changes.extensions) + 1, "closes": LATER, **changes}
        return Extension("county-1", self.first, reason="schools-missing", **values)  # type: ignore[arg-type]

    def extended(self, auditor: str, digest: bytes) -> Extended:
        return Extended("county-1", self.first, auditor, digest)

    def cancel(self, **changes: object) -> Cancel:
        close = self.round.close.digest if self.round.close else ZERO
        values = {"close": close, "successor": ZERO, "reason": "other", **changes}
        return Cancel("county-1", self.first, **values)  # type: ignore[arg-type]

    def correction(self, **changes: object) -> Correction:
        said = self.round.changes.corrections
        values = {
            "release": self.round.release.digest if self.round.release else ZERO,
            "previous": said[-1].digest if said else ZERO,
            "status": "corrected",
            "tables": (),
            "successor": ZERO,
            "reason": "wrong-records",
            **changes,
        }
        return Correction("county-1", self.first, **values)  # type: ignore[arg-type]

    def refused(self, statement: Statement, signer: str = "coordinator") -> str:
        ledger = self.federation.ledger
        before = ledger.size, ledger.root(), self.round.state, self.round.closes
        with pytest.raises(LedgerError) as caught:
            self.say(statement, signer)
        assert (ledger.size, ledger.root(), self.round.state, self.round.closes) == before
        return caught.value.code


def test_a_deadline_moves_with_the_grant_of_the_quorum_and_not_before() -> None:
    story = Story("approved")
    digest = story.say(story.extension())
    for name in ("a1", "a3"):
        story.say(story.extended(name, digest), name)
        assert story.round.closes == CLOSES
        assert story.round.changes.pending(story.round.terms) is not None
    size = story.federation.ledger.size
    story.say(story.extended("a4", digest), "a4")
    assert story.round.closes == LATER
    assert story.round.changes.pending(story.round.terms) is None
    assert story.round.changes.closes_below(story.round.terms, size) == CLOSES
    assert story.round.changes.closes_below(story.round.terms, size + 1) == LATER
    story.say(story.extended("a2", digest), "a2")
    assert story.round.closes == LATER


def test_a_newer_wish_takes_the_place_of_one_that_waits() -> None:
    story = Story("approved")
    first = story.say(story.extension())
    for name in ("a1", "a2"):
        story.say(story.extended(name, first), name)
    second = story.say(story.extension(closes=LATER + DAY))
    assert story.refused(story.extended("a3", first), "a3") == "wrong-extension"
    for name in ("a1", "a2", "a3"):
        story.say(story.extended(name, second), name)
    assert story.round.closes == LATER + DAY


@pytest.mark.parametrize(
    ("stage", "changes", "code"),
    [
        ("planned", {}, "not-approved"),
        ("candidates", {}, "too-late"),
        ("released", {}, "too-late"),
        ("approved", {"serial": 2}, "wrong-extension"),
        ("approved", {"closes": CLOSES}, "wrong-extension"),
        ("approved", {"closes": CLOSES + MAX_EXTENSION + DAY}, "wrong-extension"),
    ],
)
def test_deadlines_that_may_not_be_asked_for(stage: str, changes: dict[str, object], code: str) -> None:
    story = Story(stage)
    assert story.refused(story.extension(**changes)) == code


def test_at_most_three_and_each_later_than_the_last() -> None:
    story = Story("approved")
    for days in (1, 2, 3):
        digest = story.say(story.extension(closes=CLOSES + days * DAY))
        for name in ("a1", "a2", "a3"):
            story.say(story.extended(name, digest), name)
        assert story.round.closes == CLOSES + days * DAY
    assert story.refused(story.extension(serial=3, closes=CLOSES + 4 * DAY)) == "wrong-extension"


def test_who_may_grant() -> None:
    story = Story("approved")
    assert story.refused(story.extended("a1", ZERO), "a1") == "wrong-extension"
    digest = story.say(story.extension())
    story.say(story.extended("a1", digest), "a1")
    assert story.refused(story.extended("a2", digest), "a3") == "wrong-signers"
    assert story.refused(story.extended("a2", digest)) == "wrong-signers"
    story.say(Abandon("county-1", story.first, "a4", ZERO, "expired"), "a4")
    assert story.refused(story.extended("a4", digest), "a4") == "abandoned"
    story.say(Abandon("county-1", story.first, "a3", ZERO, "expired"), "a3")
    assert story.refused(story.extended("a2", digest), "a2") == "aborted"


def test_only_the_county_asks() -> None:
    story = Story("approved")
    assert story.refused(story.extension(), "a1") == "wrong-signers"
    assert story.refused(story.cancel(), "a1") == "wrong-signers"


@pytest.mark.parametrize(
    "stage", ["planned", "approved", "reported", "candidates", "checked", "closed", "agreed", "opened"]
)
def test_the_county_ends_a_round_at_any_time_before_its_release(stage: str) -> None:
    story = Story(stage)
    story.say(story.cancel())
    assert story.round.state is RoundState.ABORTED
    assert story.refused(story.cancel(reason="holiday")) == "second-cancel"
    assert story.refused(story.extension()) in ("cancelled", "too-late")
    with pytest.raises(LedgerError) as caught:
        story.federation.release(story.first) if stage == "opened" else story.federation.fix_candidates(
            story.first
        )
    assert caught.value.code == "aborted"
    again = Ledger(story.federation.card)
    for entry, body in story.federation.entries:
        again.append(entry, body)
    assert again.rounds[story.first].state is RoundState.ABORTED


def test_nothing_is_taken_after_the_end_but_abandons() -> None:
    story = Story("planned")
    story.say(story.cancel())
    with pytest.raises(LedgerError, match="cancelled"):
        story.federation.approve(story.first)
    story = Story("approved")
    story.say(story.cancel())
    with pytest.raises(LedgerError, match="cancelled"):
        story.federation.report("s1", story.first)
    for name in ("a1", "a2", "a3"):
        story.say(Abandon("county-1", story.first, name, ZERO, "cancelled"), name)
    assert story.round.is_refundable


def test_a_reissue_names_a_later_round_and_has_no_reports() -> None:
    story = Story("approved")
    assert story.refused(story.cancel(successor=b"\x01" * 32)) == "wrong-successor"
    assert story.refused(story.cancel(successor=story.first)) == "wrong-successor"
    story.say(story.cancel(successor=story.second, reason="reissued"))
    assert story.round.state is RoundState.ABORTED
    reported = Story("reported")
    assert reported.refused(reported.cancel(successor=reported.second)) == "has-reports"


def test_wrong_ends_are_refused() -> None:
    story = Story("closed")
    assert story.refused(story.cancel(close=ZERO)) == "wrong-close"
    released = Story("released")
    assert released.refused(released.cancel()) == "too-late"


def test_corrections_make_a_chain_that_a_withdrawal_ends() -> None:
    story = Story("released")
    assert story.round.changes.standing == "valid"
    table = story.round.terms.noise_lines[0].table
    first = story.say(story.correction(tables=(table,)))
    assert story.round.changes.standing == "corrected"
    assert story.refused(story.correction(previous=ZERO)) == "wrong-previous"
    story.say(story.correction(previous=first, status="withdrawn"))
    assert story.round.changes.standing == "withdrawn"
    assert story.round.state is RoundState.RELEASED
    assert story.refused(story.correction()) == "withdrawn"
    assert story.refused(story.correction(status="withdrawn")) == "withdrawn"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"release": ZERO}, "wrong-release"),
        ({"previous": b"\x01" * 32}, "wrong-previous"),
        ({"tables": ("nothing",)}, "wrong-tables"),
        ({"successor": b"\x01" * 32}, "wrong-successor"),
    ],
)
def test_wrong_corrections_are_refused(changes: dict[str, object], code: str) -> None:
    story = Story("released")
    assert story.refused(story.correction(**changes)) == code


def test_a_withdrawal_is_of_the_whole_release_and_tables_stand_in_order() -> None:
    story = Story("released")
    tables = tuple(line.table for line in story.round.terms.noise_lines)
    assert story.refused(story.correction(tables=tables[:1], status="withdrawn")) == "wrong-tables"
    assert story.refused(story.correction(tables=(tables[0], tables[0]))) == "wrong-tables"
    assert story.refused(story.correction(), "a1") == "wrong-signers"


def test_a_withdrawn_release_may_still_name_the_round_that_takes_its_place() -> None:
    story = Story("released")
    story.say(story.correction(status="withdrawn"))
    assert story.refused(story.correction(successor=story.second)) == "wrong-successor"  # not released yet
    made = story.federation
    made.approve(story.second)
    for node in made.nodes:
        made.report(node, story.second)
    made.fix_candidates(story.second)
    for step in (made.check, None, made.agree, made.open_):
        if step is None:
            made.close(story.second)
            continue
        for name in sorted(made.auditors):
            step(name, story.second)
    made.release(story.second)
    story.say(story.correction(successor=story.second, reason="replaced"))
    assert story.round.changes.standing == "withdrawn"
    assert story.round.changes.corrections_as_values()[-1]["successor"] == story.second.hex()


def test_what_was_not_released_cannot_be_corrected() -> None:
    for stage in ("approved", "opened"):
        story = Story(stage)
        assert story.refused(story.correction()) == "not-released"


# -- whatever comes in whatever order ----------------------------------------------------------


def attempt(story: Story, pick: random.Random) -> None:
    """Try something, by anybody, sensible or not; what ends a round is tried seldom."""
    made, first = story.federation, story.first
    name, node = pick.choice(sorted(made.auditors)), pick.choice(sorted(made.nodes))
    wishes = story.round.changes.extensions
    digest = pick.choice(wishes).digest if wishes else ZERO
    closes = CLOSES + pick.choice((-1, 1, 3, 30, 60, 61)) * DAY
    successor = pick.choice((ZERO, first, story.second))
    often: list[Callable[[], object]] = [
        lambda: story.say(story.extension(closes=closes)),
        *[lambda: story.say(story.extended(name, digest), name)] * 4,
        lambda: made.approve(first, [name]),
        *[lambda: made.report(node, first)] * 4,
        lambda: made.check(name, first),
        lambda: made.close(first),
        lambda: made.agree(name, first),
        lambda: made.open_(name, first),
        lambda: made.release(first),
        lambda: story.say(story.correction(successor=successor)),
    ]
    seldom: list[Callable[[], object]] = [
        lambda: story.say(story.cancel(successor=successor)),
        lambda: story.say(Abandon("county-1", first, name, ZERO, "expired"), name),
        lambda: story.say(story.correction(status="withdrawn")),
        *[lambda: made.fix_candidates(first)] * 20,
    ]
    pick.choice(seldom if pick.random() < 0.03 else often)()


@pytest.mark.parametrize("seed", range(6))
def test_no_order_of_attempts_breaks_what_must_hold(seed: int) -> None:
    story = Story(("planned", "approved", "approved", "checked", "opened", "released")[seed % 6])
    pick = random.Random(seed)
    ended_at: int | None = None
    deadlines = [story.round.closes]
    for _ in range(250):
        with suppress(ProtocolError, AttributeError, KeyError, IndexError, ValueError):
            attempt(story, pick)
        row = story.round
        deadlines.append(row.closes)
        if row.changes.cancel is not None and ended_at is None:
            ended_at = row.changes.cancel.index
        assert not (row.changes.cancel and row.release)
        assert row.closes <= CLOSES + MAX_EXTENSION
        assert not (row.changes.corrections and row.release is None)
        if row.candidates is not None:
            assert all(
                grant.index < row.candidates.index
                for grants in row.changes.extended.values()
                for grant in grants.values()
            )
    assert deadlines == sorted(deadlines)
    if ended_at is not None:
        assert all(logged.index < ended_at for logged in story.round.reports.values())
    again = Ledger(story.federation.card)
    for entry, body in story.federation.entries:
        again.append(entry, body)
    assert again.rounds[story.first].closes == story.round.closes
    assert again.rounds[story.first].state is story.round.state
