"""The known log in which rounds change: read by the product, with what may not come at each point."""

from __future__ import annotations

from typing import Any

import pytest
from vectors_dir import own

from protos.card import parse_card
from protos.errors import LedgerError
from protos.fields import TIME
from protos.ledger import Ledger
from protos.round_log import RoundState

KNOWN = own("changes.json")
FIRST, ENDED = bytes.fromhex(KNOWN["first"]), bytes.fromhex(KNOWN["ended"])


def ledger_after(size: int) -> Ledger:
    ledger = Ledger(parse_card(KNOWN["card"]))
    for row in KNOWN["entries"][:size]:
        ledger.append(row["entry"].encode(), row["body"].encode())
    return ledger


def test_the_whole_log_is_read_and_says_how_everything_stands() -> None:
    ledger = ledger_after(len(KNOWN["entries"]))
    assert ledger.rounds[FIRST].changes.standing == KNOWN["standing"] == "withdrawn"
    assert (ledger.rounds[FIRST].state, ledger.rounds[ENDED].state) == (
        RoundState.RELEASED,
        RoundState.ABORTED,
    )


def test_the_deadline_moves_with_the_grant_of_the_quorum_and_not_before() -> None:
    found = [[size, TIME.encode(ledger_after(size).rounds[FIRST].closes)] for size, _ in KNOWN["closes"]]
    assert found == KNOWN["closes"]
    assert len({closes for _, closes in KNOWN["closes"]}) == 2
    whole = ledger_after(len(KNOWN["entries"])).rounds[FIRST].changes
    terms = ledger_after(len(KNOWN["entries"])).rounds[FIRST].terms
    assert [[size, TIME.encode(whole.closes_below(terms, size))] for size, _ in KNOWN["closes"]] == found


@pytest.mark.parametrize("case", KNOWN["refused"], ids=lambda case: f"{case['code']}: {case['name']}")
def test_what_may_not_come_next_is_refused_with_its_code(case: dict[str, Any]) -> None:
    with pytest.raises(LedgerError) as found:
        ledger_after(case["after"]).check(case["entry"].encode(), b"")
    assert found.value.code == case["code"]
