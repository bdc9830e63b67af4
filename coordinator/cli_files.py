"""`fedscreen coordinator outbox|report|receipt`: files on a stick for nodes without a network.

What the files hold and why a report file needs no certificate: ``coordinator.carry``.
"""

from __future__ import annotations

from collections.abc import Iterator
from gettext import gettext as _
from pathlib import Path

import click

from coordinator.carry import Receipt
from coordinator.cli_context import DIR, EXIT_REFUSED, FILE, JSON, ROUND, find_round, open_desk, say
from coordinator.desk import Desk
from coordinator.durable import ignore_step, write_file
from coordinator.errors import CoordinatorError, FileError
from plan.errors import phrase, told
from protos.convert import MAX_PAYLOAD_BYTES
from protos.log_file import encode_log_file

RECEIPT_SUFFIX = ".tlog-proof"
_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.group(name="outbox", help=_("Files for schools whose node has no network."))
def outbox() -> None:
    """Hold the commands about what goes out."""


@outbox.command(name="export", help=_("Write the cosigned log into one file, for 'node log import'."))
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help=_("File to write.")
)
@click.option(
    "--from",
    "start",
    type=click.IntRange(0),
    default=0,
    help=_("First entry; default: the whole log. What a node has already: its 'node status'."),
)
@DIR
@JSON
def export_outbox(directory: Path, out: Path, start: int, as_json: bool) -> None:
    """Write the log file; it is public."""
    with open_desk(directory, as_json) as desk:
        file, until = desk.export_outbox(start)
        data = encode_log_file(file)
        _write(out, data)
    values: dict[str, object] = {"file": str(out), "from": file.start, "size": file.size, "bytes": len(data)}
    values["until"] = until.isoformat()
    say(
        as_json,
        values,
        _("entries %(from)s to %(size)s of the log: %(file)s, %(bytes)s bytes") % values,
        _("schools can release with it until %(until)s UTC") % {"until": f"{until:%Y-%m-%d %H:%M}"},
    )


@click.group(name="report", help=_("Reports that came as files."))
def report() -> None:
    """Hold the commands about report files."""


@report.command(name="import", help=_("Take report FILEs of schools, with every check of the network's way."))
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILE)
@click.option("--receipts", type=_FOLDER, help=_("Folder to write each report's receipt into."))
@DIR
@JSON
def import_reports(directory: Path, files: tuple[Path, ...], receipts: Path | None, as_json: bool) -> None:
    """Take every file that can be taken; exit 1 if any was refused. Again changes nothing."""
    rows: list[dict[str, object]] = []
    lines: list[str] = []
    with open_desk(directory, as_json) as desk:
        for path in files:
            row, line = _take(desk, path, receipts)
            rows.append(row)
            lines.append(line)
    refused = sum("error" in row for row in rows)
    values: dict[str, object] = {"reports": rows, "refused": refused}
    say(as_json, values, *lines)
    if refused:
        raise SystemExit(EXIT_REFUSED)


def _take(desk: Desk, path: Path, receipts: Path | None) -> tuple[dict[str, object], str]:
    """Take one report file; give what a program and what a person is told."""
    try:
        taken = desk.import_report(_read(path))
        written = _write_receipt(receipts, taken) if receipts else None
    except CoordinatorError as err:
        row: dict[str, object] = {"file": str(path), "error": err.code, "message": str(err)}
        return row, _("refused: %(file)s: %(reason)s") % {"file": path.name, "reason": told(err, _)}
    row = {"file": str(path), **_describe(taken), "receipt": str(written or "")}
    return row, _("taken: %(node)s, round %(short)s, attempt %(attempt)s") % row


def _describe(receipt: Receipt) -> dict[str, object]:
    round_id = receipt.round_id.hex()
    return {"node": receipt.node, "round": round_id, "short": round_id[:16], "attempt": receipt.attempt}


@click.group(name="receipt", help=_("Receipts of reports, as files."))
def receipt() -> None:
    """Hold the commands about receipts."""


@receipt.command(
    name="export", help=_("Write the receipts of a round's reports (default: the newest round).")
)
@ROUND
@click.option("--out", type=_FOLDER, required=True, help=_("Folder to write into."))
@click.option("--node", "nodes", multiple=True, help=_("Only this school's; may be given more than once."))
@DIR
@JSON
def export_receipts(
    directory: Path, round_id: str | None, out: Path, nodes: tuple[str, ...], as_json: bool
) -> None:
    """Write one file a report; the same as the network gives."""
    with open_desk(directory, as_json) as desk:
        found = find_round(desk, round_id)
        rows = [
            {**_describe(item), "file": str(_write_receipt(out, item))}
            for item in desk.receipts_of(found)
            if not nodes or item.node in nodes
        ]
    say(as_json, {"round": found.hex(), "receipts": rows}, *_receipt_lines(rows))


def _receipt_lines(rows: list[dict[str, object]]) -> Iterator[str]:
    for row in rows:
        yield str(row["file"])
    if not rows:
        yield _("no report of these schools has come yet")


def _write_receipt(folder: Path, taken: Receipt) -> Path:
    name = f"{taken.node}-{taken.round_id.hex()[:16]}-{taken.attempt}{RECEIPT_SUFFIX}"
    _write(folder / name, taken.proof)
    return folder / name


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, data, ignore_step)
    except OSError as err:
        raise FileError(
            phrase(
                "%(path)s cannot be written (%(reason)s); choose another place with --out",
                path=path,
                reason=err.strerror or "",
            )
        ) from err


def _read(path: Path) -> bytes:
    """Read a report file, but never more than a report may have."""
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_PAYLOAD_BYTES + 1)
    except OSError as err:
        raise FileError(
            phrase("%(path)s cannot be read (%(reason)s)", path=path, reason=err.strerror or "")
        ) from err
