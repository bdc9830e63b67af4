"""Deadlines, ends, corrections and replays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from bundle_zoo import stories
from bundle_zoo.forge import Files, History, history_of
from bundle_zoo.tampering import (
    OTHER,
    Story,
    answers,
    change_fields,
    close_id,
    delete,
    files,
    history,
    raw_edit,
    round_id,
    set_fields,
    signer,
)
from fakes_federation import ZERO

from protos.statements import (
    Cancel,
    Correction,
    Extended,
)


def _extensions(found: History) -> list[int]:
    return [place for place, row in enumerate(found.rows) if row.type == "extension"]


def _changes() -> None:
    def three():
        return stories.extended(("a1", "a2", "a3"), 3)

    def one():
        return stories.extended(("a1", "a3", "a4"))

    def withdrawn():
        return stories.corrected("withdrawn")

    def corrected():
        return stories.corrected("table", "all")

    def replaced():
        return stories.corrected("table", "withdrawn", "replaced")

    entries: dict[str, tuple[Callable[[History], None], Story]] = {
        "extension beyond sixty days": (
            change_fields("extension", lambda row: {"closes": row.closes + timedelta(days=60)}),
            one,
        ),
        "extension to an earlier day": (
            change_fields("extension", lambda row: {"closes": row.closes - timedelta(days=20)}),
            one,
        ),
        "extension with a wrong serial": (set_fields("extension", serial=2), one),
        "extension after the candidates": (_move_to_end("extension"), lambda: stories.extended(())),
        "extension of an unknown round": (raw_edit("extension", "round", OTHER.hex()), one),
        "extension signed by an auditor": (
            signer("extension", lambda found, row: (found.county.auditors["a1"],)),
            one,
        ),
        "a fourth extension": (_fourth_extension, three),
        "extension granted twice": (_repeat_at("extended", "report"), one),
        "extension granted by a stranger": (set_fields("extended", auditor="a9"), one),
        "extension granted in another's name": (set_fields("extended", auditor="a2"), one),
        "an old extension granted": (_old_grant, three),
        "extension that is not there granted": (raw_edit("extended", "extension", OTHER.hex()), one),
        "cancelled after the release": (_cancel_at_end, stories.one_round),
        "cancelled twice": (_cancel_again, lambda: stories.cancelled("collecting")),
        "cancelled, with a close that is not there": (
            raw_edit("cancel", "close", OTHER.hex()),
            lambda: stories.cancelled("collecting"),
        ),
        "cancelled, the close hidden": (
            raw_edit("cancel", "close", ZERO.hex()),
            lambda: stories.cancelled("closed"),
        ),
        "cancelled signed by an auditor": (
            signer("cancel", lambda found, row: (found.county.auditors["a1"],)),
            lambda: stories.cancelled("collecting"),
        ),
        "reissued with reports": (_reissue_with_reports, lambda: stories.cancelled("collecting")),
        "reissued to an earlier round": (
            raw_edit("cancel", "successor", OTHER.hex()),
            lambda: stories.cancelled("reissued"),
        ),
        "released after the county had ended it": (_release_cancelled, stories.one_round),
        "corrected without a release": (_correct_unreleased, stories.unsealed),
        "correction of another release": (raw_edit("correction", "release", OTHER.hex()), corrected),
        "correction that hides the one before": (
            raw_edit("correction", "previous", ZERO.hex(), 1),
            corrected,
        ),
        "first correction with a predecessor": (raw_edit("correction", "previous", OTHER.hex()), corrected),
        "correction of an unknown table": (set_fields("correction", tables=("A9",)), corrected),
        "correction of a table twice": (set_fields("correction", tables=("A1", "A1")), corrected),
        "a table withdrawn": (set_fields("correction", tables=("A1",)), withdrawn),
        "a withdrawn release comes back": (_correct_withdrawn, withdrawn),
        "replaced by a round that is not there": (
            raw_edit("correction", "successor", OTHER.hex(), 2),
            replaced,
        ),
        "replaced by itself": (_replaced_by_itself, replaced),
        "correction signed by an auditor": (
            signer("correction", lambda found, row: (found.county.auditors["a1"],)),
            corrected,
        ),
        "correction left out": (delete("correction"), corrected),
        "corrections in another order": (_swap_corrections, corrected),
        "replay of another school": (set_fields("replayed", node="s5"), lambda: stories.replayed("PASS")),
        "replay of an unknown report": (
            raw_edit("replayed", "report", OTHER.hex()),
            lambda: stories.replayed("PASS"),
        ),
        "replay by a stranger": (set_fields("replayed", auditor="a9"), lambda: stories.replayed("PASS")),
        "replay in another's name": (set_fields("replayed", auditor="a3"), lambda: stories.replayed("PASS")),
        "replay signed by the coordinator": (
            signer("replayed", lambda found, row: (found.county.coordinator,)),
            lambda: stories.replayed("PASS"),
        ),
        "replay of an unknown round": (
            raw_edit("replayed", "round", OTHER.hex()),
            lambda: stories.replayed("PASS"),
        ),
    }
    for name, (change, story) in entries.items():
        history(f"changes: {name}", "entries", change, story)
    files("a withdrawn release is shown as good", "results", _old_release, withdrawn)


def _old_release(found: Files) -> None:
    """The result files of before the correction."""
    honest = history_of(stories.corrected())
    found.update(honest.results)


def _move_to_end(kind: str) -> Callable[[History], None]:
    def change(found: History) -> None:
        found.rows.insert(found.find("candidates") + 1, found.rows.pop(found.find(kind)))

    return change


def _repeat_at(kind: str, before: str) -> Callable[[History], None]:
    return lambda found: found.copy_row(found.find(kind), found.find(before)) and None


def _fourth_extension(found: History) -> None:
    row = found.rows[_extensions(found)[-1]]
    found.edit(_extensions(found)[-1], "serial 3", "serial 3")
    said = replace(row.statement, closes=row.statement.closes + timedelta(days=3))  # type: ignore[union-attr]
    found.insert(found.find("report"), said, *row.signers)


def _old_grant(found: History) -> None:
    first_one = found.rows[_extensions(found)[0]].digest
    said = Extended("county-1", round_id(found), "a4", first_one)
    found.insert(found.find("report"), said, *answers(found, "a4"))


def _cancel_at_end(found: History) -> None:
    said = Cancel("county-1", round_id(found), close_id(found), ZERO, "mistake")
    found.insert(len(found.rows), said, found.county.coordinator)


def _cancel_again(found: History) -> None:
    said = Cancel("county-1", round_id(found), ZERO, ZERO, "again")
    found.insert(len(found.rows), said, found.county.coordinator)


def _reissue_with_reports(found: History) -> None:
    place = found.find("cancel")
    plan = found.rows.pop(found.find("plan", 1))
    found.rows.insert(place, plan)
    found.set(place + 1, successor=plan.digest)


def _release_cancelled(found: History) -> None:
    said = Cancel("county-1", round_id(found), close_id(found), ZERO, "mistake")
    found.insert(found.find("release"), said, found.county.coordinator)


def _correct_unreleased(found: History) -> None:
    said = Correction("county-1", round_id(found), OTHER, ZERO, "corrected", (), ZERO, "other")
    found.insert(len(found.rows), said, found.county.coordinator)


def _correct_withdrawn(found: History) -> None:
    row = found.rows[found.find("correction")]
    said = replace(row.statement, status="corrected", previous=row.digest)  # type: ignore[union-attr]
    found.insert(len(found.rows), said, found.county.coordinator)


def _replaced_by_itself(found: History) -> None:
    raw_edit("correction", "successor", round_id(found).hex(), 2)(found)


def _swap_corrections(found: History) -> None:
    one, two = found.find("correction", 0), found.find("correction", 1)
    found.rows[one], found.rows[two] = found.rows[two], found.rows[one]


_changes()
