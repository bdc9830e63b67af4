"""What comes and goes on a stick instead of over the network; for a node that never has one.

| over the network | by hand |
| --- | --- |
| LOG frames, pages of the log | `import_log`: one file, through the same `Mirror` with all its checks |
| the REPORT frame | `waiting_reports`: the stored bytes, the same every time |
| the RECEIPT frame | `import_receipt`: the same check, told instead of dropped |

Rules:

1. A file is untrusted as the network is; nothing is believed but what is signed.
2. Carrying a report out acknowledges nothing: it counts as sent when the cosigned log shows it.
3. What is held is not carried out either, and every report that is carried out is journaled first.

Spec: docs/log.md "The log as one file"; docs/node.md "Without a network".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crypto.checkpoint import parse_checkpoint
from crypto.errors import CryptoError
from crypto.note import VerifierKey, parse_note
from node.vault.errors import MirrorError, ReceiptError, _
from node.vault.mirror import MAX_PAGE_ENTRIES, Mirror
from node.vault.receipt import take_receipt
from node.vault.reports import ReportState, StoredReport, all_reports, payload_of, state_of
from node.vault.store import VaultStore
from protos.errors import LogFileError
from protos.log_file import LogFile, parse_log_file

REPORT_SUFFIX = ".report"
_ADVICE = _("Copy it again from where it was written, or ask the county for a new one; nothing was changed.")
_DAMAGE = {
    "not-a-log-file": _("the file is not one that 'fedscreen coordinator outbox export' wrote"),
    "cut-off": _("the log file was not copied completely"),
    "damaged": _("the log file is damaged"),
}


def import_log(mirror: Mirror, federation: str, data: bytes) -> dict[str, Any]:
    """Bring this node's copy of the log up to date from a file; the same file again changes nothing.

    Args:
        mirror: this node's copy.
        federation: its federation's id.
        data: the file's content.

    Returns:
        JSON values: the file's first entry and size, how many entries were new to this node, and how far
        the log is trusted now.

    Raises:
        MirrorError: the file is not whole (``log-file``), of another federation, begins too late for this
            node (``log-gap``), or what it holds is refused as it would be from the network.
    """
    file = _read_file(data)
    if file.federation != federation:
        raise MirrorError(
            _("the log file is of federation %(found)s, this node belongs to %(expected)s"),
            _("Ask the county for its own file."),
            code="wrong-federation",
            details={"found": file.federation, "expected": federation},
        )
    if _covered(file) != file.size:
        raise _not_cosigned()
    before = mirror.ledger.size
    if file.start > before:
        raise _begins_too_late(file, before)
    try:
        _take(mirror, file)
    except MirrorError as err:
        if err.code != "log-rewound":
            raise
        # What the network had left above the trusted part was dropped; the file may begin beyond it.
        size = mirror.ledger.size
        raise (_begins_too_late(file, size) if file.start > size else _not_cosigned()) from None
    return {
        "from": file.start,
        "file_size": file.size,
        "new_entries": max(0, mirror.ledger.size - before),
        "size": mirror.ledger.size,
        "trusted_size": mirror.trusted_size,
    }


def _covered(file: LogFile) -> int:
    """Read how many entries the checkpoint covers; -1 where it is none. Nothing is verified yet."""
    try:
        return parse_checkpoint(parse_note(file.cosigned).text).size
    except CryptoError:
        return -1


def _read_file(data: bytes) -> LogFile:
    try:
        return parse_log_file(data)
    except LogFileError as err:
        raise MirrorError(_DAMAGE[err.code], _ADVICE, code="log-file", details={"reason": err.code}) from None


def _take(mirror: Mirror, file: LogFile) -> None:
    """Hand the file over in pages, the checkpoint with the last one."""
    last = max(0, len(file.entries) - 1) // MAX_PAGE_ENTRIES
    for page in range(last + 1):
        at = page * MAX_PAGE_ENTRIES
        rows = file.entries[at : at + MAX_PAGE_ENTRIES]
        mirror.take_page(file.start + at, rows, b"", file.cosigned if page == last else b"")


def _not_cosigned() -> MirrorError:
    return MirrorError(
        _("the log file's checkpoint is not for the entries that it holds"), _ADVICE, code="log-not-cosigned"
    )


def _begins_too_late(file: LogFile, size: int) -> MirrorError:
    return MirrorError(
        _("the log file begins with entry %(start)d, this node has %(size)d entries"),
        _("Ask the county for a file from entry %(size)d on, or for the whole log."),
        code="log-gap",
        details={"start": file.start, "size": size},
    )


def waiting_reports(
    store: VaultStore, mirror: Mirror, node: str, *, again: bool = False
) -> list[tuple[str, StoredReport, ReportState, bytes]]:
    """List what the cosigned log does not hold yet, oldest first: file name, report, state, stored bytes.

    With `again` also what stands in it in a round that is not over: a county that had to restore a backup
    knows such a report's header only, and asks for the rest. They are the bytes that it has had before.
    """
    wanted = {ReportState.WAITING, ReportState.LOGGED}
    if again:
        wanted |= {ReportState.COSIGNED, ReportState.IN_SET}
    found: list[tuple[str, StoredReport, ReportState, bytes]] = []
    for report in all_reports(store):
        state = state_of(mirror, report, node)
        payload = payload_of(store, report)
        if state in wanted and payload:
            name = f"{node}-{report.round_id.hex()[:16]}-{report.attempt}{REPORT_SUFFIX}"
            found.append((name, report, state, payload))
    return found


def import_receipt(store: VaultStore, log_keys: Sequence[VerifierKey], data: bytes) -> StoredReport:
    """Keep a receipt that came as a file, inside the caller's transaction; again changes nothing.

    Raises:
        ReceiptError: it proves no report of this node, or it is not whole.
    """
    try:
        return take_receipt(store, log_keys, data)
    except ReceiptError as err:
        raise ReceiptError(
            _("the file proves no report of this node"),
            _("It is another school's, or was not copied whole: ask the county for this school's own."),
            code="bad-receipt",
        ) from err
