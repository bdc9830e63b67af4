"""The model that a page shows of a released round; models of single rounds are kept, they never change."""

from __future__ import annotations

import threading
from collections import OrderedDict
from functools import partial
from typing import Final

from coordinator.log_book import LogBook
from coordinator.report_of import build_model, newest_before, with_all_waves, with_facts
from coordinator.witnesses import cosigned_size
from protos.round_log import RoundLog
from results.comparing import with_earlier
from results.errors import ResultsError
from results.report_model import ReportModel

MAX_KEPT: Final = 8
_KEPT: OrderedDict[tuple[bytes, int, int, str], ReportModel] = OrderedDict()
_LOCK = threading.Lock()


def shown_report(book: LogBook, round_log: RoundLog, unit: str = "") -> ReportModel:
    """Make the model of class 内部: with facts, all waves, and the newest earlier round beside it.

    Args:
        unit: the county's name in words; by default the federation's id.

    Raises:
        NotReleasedError: the round has no numbers.
        ResultsError, PlanError: release and plan do not fit together.
    """
    model = with_facts(book, _kept(book, round_log, unit))
    model = with_all_waves(book, round_log, model, build=partial(_kept, unit=unit))
    earlier = newest_before(book, round_log)
    if earlier is None:
        return model
    try:
        return with_earlier(model, _kept(book, earlier, unit))
    except ResultsError:  # rounds that cannot stand side by side; each stands alone
        return model


def _kept(book: LogBook, round_log: RoundLog, unit: str) -> ReportModel:
    """Build a round's own model, or take it from those that were built last."""
    corrections = len(round_log.changes.corrections_as_values())
    with book.reading() as view:
        key = (round_log.round_id, corrections, cosigned_size(view), unit)
    with _LOCK:
        found = _KEPT.get(key)
    if found is None:
        found = build_model(book, round_log, unit)
        with _LOCK:
            _KEPT[key] = found
            while len(_KEPT) > MAX_KEPT:
                _KEPT.popitem(last=False)
    return found
