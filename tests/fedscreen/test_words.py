"""Every code that a service shows has a word; a code without one is shown as it is."""

from collections.abc import Collection, Mapping

import pytest

from auditor.verify.round import ROUND_CHECKS
from auditor.verify.run import LOG_CHECKS, PRIVACY_CHECKS
from auditor.verify.sums import SUM_CHECKS
from coordinator.round import Reason
from coordinator.status import _AT_WORK
from node.vault.receipt import COSIGNED, IMMEDIATE
from node.vault.replay import _CHECKS
from node.vault.reports import ReportState
from plan import words
from plan.prediction import _VERDICTS
from protos.round_log import RoundState
from protos.statement_types import STATEMENT_TYPES

VERIFY = [row[0] for rows in (LOG_CHECKS, ROUND_CHECKS, SUM_CHECKS, PRIVACY_CHECKS) for row in rows]


@pytest.mark.parametrize(
    ("table", "codes"),
    [
        (words.ROUND_STATES, [state.value for state in RoundState]),
        (words.REASONS, [*(reason.value for reason in Reason), _AT_WORK]),
        (words.REPORT_STATES, [state.value for state in ReportState]),
        (words.RECEIPTS, [IMMEDIATE, COSIGNED]),
        (words.STATEMENTS, [cls.TYPE for cls in STATEMENT_TYPES]),
        (words.CHECKS, ["manifest", "head", *VERIFY]),
        (words.REPLAY_CHECKS, [row[0] for row in _CHECKS]),
        (words.PARTIES, ["node", "auditor", "production", "demo"]),
        (words.VERDICTS, [word for _least, word in _VERDICTS]),
    ],
    ids=["round", "reason", "report", "receipt", "statement", "check", "replay", "party", "verdict"],
)
def test_every_code_has_a_word(table: Mapping[str, str], codes: Collection[str]) -> None:
    assert set(codes) <= set(table)


def test_an_event_may_be_any_statement() -> None:
    assert set(words.STATEMENTS) <= set(words.EVENTS)


def test_a_word_is_translated_and_an_unknown_code_is_shown_as_it_is() -> None:
    assert words.word(words.ROUND_STATES, "draft", str.upper) == "DRAFT"
    assert words.word(words.ROUND_STATES, "odd-state", str.upper) == "odd-state"
