"""A prefecture's totals: read counties' logs, verify each, add their releases.

For each county, in this order; the first that fails refuses the whole total:

1. the first entry of its log is the genesis roster that the policy pins;
2. the log folder is whole, every entry follows the rules, and the checkpoint is signed and cosigned as the
   policy asks, by its keys or those that have followed them (`coordinator.fsck`);
3. the round is released with numbers, and not withdrawn;
4. its schools are in no other county's part (`results.combining`).

Nothing else is believed: the numbers come out of the logged release, never out of a county's result files. No
opening is involved and nobody is charged: all of it is post-processing of what is public.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coordinator.errors import FileError, FsckError, NotReleasedError, WithdrawnError
from coordinator.fsck import fsck
from coordinator.plan_view import published_plan
from coordinator.publish_log import BLOB, CHECKPOINT
from crypto.canonical import parse_json
from crypto.checkpoint import parse_checkpoint
from crypto.errors import CryptoError
from crypto.note import parse_note
from crypto.policy import LogPolicy, parse_policy
from crypto.tiles import TILE_WIDTH, entries_path, parse_entries
from plan.errors import phrase
from protos.errors import ProtocolError
from protos.genesis import card_of
from protos.ledger import Ledger
from protos.policy_words import WORDS
from protos.round_log import RoundLog
from protos.statements import body_of, parse_statement
from results.combined_files import CountyHead, combined_files
from results.combining import Part
from results.errors import ResultsError
from results.release import read_release


@dataclass(frozen=True, slots=True)
class County:
    """Where a county's evidence lies.

    Attributes:
        folder: a bundle, or a log folder.
        policy: text of the policy file that says whose keys count.
    """

    folder: Path
    policy: bytes


def combine_counties(counties: Sequence[County], plan_id: str, school_year: str = "") -> dict[str, bytes]:
    """Verify counties' releases of a plan and add them up; return files by relative path.

    Args:
        counties: two or more.
        plan_id: id of the plan, the same in each county, such as ``autumn-full``.
        school_year: `YYYY-YYYY`; empty for the newest released one of each.

    Raises:
        FsckError: a log is not whole, or not signed as its policy asks.
        FileError: a policy pins no genesis or another one; or the releases cannot be added.
        NotReleasedError, WithdrawnError: a county has no such release, or has withdrawn it.
    """
    found = [_read_county(county, plan_id, school_year) for county in counties]
    try:
        return combined_files([head for head, _ in found], [part for _, part in found])
    except ResultsError as err:
        raise FileError(phrase("these releases cannot be added: %(reason)s", reason=err)) from err


def read_verified_log(county: County) -> Ledger:
    """Read a county's log, checking everything against its policy; errors as `combine_counties`."""
    folder = county.folder / "log" if (county.folder / "log" / CHECKPOINT).is_file() else county.folder
    policy = _policy(county)
    try:
        first = parse_entries((folder / _first_page(folder)).read_bytes(), _first_width(folder))[0]
        card = card_of(first, _body(folder, first))
        _check_genesis(county, policy, card.genesis)
        checkpoint = fsck(folder, policy, card)
        ledger = Ledger(card)
        for entry in _entries(folder, checkpoint.size):
            ledger.append(entry, _body(folder, entry))
    except (ProtocolError, CryptoError, OSError) as err:
        raise FsckError((phrase("%(folder)s: %(reason)s", folder=county.folder.name, reason=err),)) from err
    return ledger


def _size(folder: Path) -> int:
    return parse_checkpoint(parse_note((folder / CHECKPOINT).read_bytes()).text).size


def _first_width(folder: Path) -> int:
    return min(TILE_WIDTH, _size(folder))


def _first_page(folder: Path) -> str:
    return entries_path(0, _first_width(folder))


def _policy(county: County) -> LogPolicy:
    try:
        return parse_policy(county.policy.decode("utf-8"), WORDS)
    except (UnicodeDecodeError, CryptoError) as err:
        raise FileError(
            phrase("the policy of %(folder)s: %(reason)s", folder=county.folder.name, reason=err)
        ) from err


def _check_genesis(county: County, policy: LogPolicy, genesis: bytes) -> None:
    pinned = [row[1] for row in policy.extra if row[0] == "genesis" and len(row) == 2]
    if pinned != [genesis.hex()]:
        raise FileError(
            phrase(
                "the policy of %(folder)s pins another genesis than its log has, or none",
                folder=county.folder.name,
            )
        )


def _entries(folder: Path, size: int) -> list[bytes]:
    entries: list[bytes] = []
    for first in range(0, size, TILE_WIDTH):
        width = min(TILE_WIDTH, size - first)
        entries += parse_entries((folder / entries_path(first // TILE_WIDTH, width)).read_bytes(), width)
    return entries


def _body(folder: Path, entry: bytes) -> bytes:
    ref = body_of(parse_statement(parse_note(entry).text))
    return (folder / BLOB / ref.sha256.hex()).read_bytes() if ref else b""


def _read_county(county: County, plan_id: str, school_year: str) -> tuple[CountyHead, Part]:
    ledger = read_verified_log(county)
    row = _find_round(county, ledger, plan_id, school_year)
    release = row.release
    if release is None:
        raise _not_released(county, plan_id)
    document = published_plan(row).document
    body: Any = parse_json(release.body)
    closed = row.close_body()
    head = CountyHead(
        federation=row.terms.federation,
        round_id=row.round_id.hex(),
        release=release.digest.hex(),
        plan=document.id,
        school_year=document.school_year,
        wave=document.wave,
        standing=row.changes.standing,
        corrections=tuple(row.changes.corrections_as_values()),
        schools=len(row.roster.nodes),
        reports_in=release.statement.reports_in,
        rho=f"{row.terms.rho.numerator}/{row.terms.rho.denominator}",
        log_size=ledger.size,
        log_root=ledger.root().hex(),
        policy=hashlib.sha256(county.policy).hexdigest(),
    )
    part = Part(
        read_release(document, body["tables"], release=head.round_id, reports_in=head.reports_in),
        frozenset(f"{head.federation}/{name.node}" for name in (closed.set if closed else ())),
    )
    return head, part


def _find_round(county: County, ledger: Ledger, plan_id: str, school_year: str) -> RoundLog:
    """Find the newest release of a plan; a withdrawn one is refused, not passed over."""
    for row in reversed(list(ledger.rounds.values())):
        if row.release is None or row.release.statement.status != "ok":
            continue
        document = published_plan(row).document
        if document.id != plan_id or school_year not in ("", document.school_year):
            continue
        if row.changes.is_withdrawn:
            raise WithdrawnError(
                phrase(
                    "%(federation)s: its release of %(plan)s was withdrawn; the total waits for another one",
                    federation=row.terms.federation,
                    plan=plan_id,
                )
            )
        return row
    raise _not_released(county, plan_id)


def _not_released(county: County, plan_id: str) -> NotReleasedError:
    return NotReleasedError(
        phrase("%(folder)s: no released round of plan %(plan)s", folder=county.folder.name, plan=plan_id)
    )
