"""`fedscreen coordinator offline`: trips of auditors without a network, by files on a stick.

What the files hold and why a signature stands for the certificate: ``coordinator.auditor_files``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from gettext import gettext as _
from pathlib import Path

import click

from coordinator.auditor_files import Answer, newest_size, outgoing, reason_of, take_answer, verify_may_trip
from coordinator.cli_context import DIR, EXIT_REFUSED, JSON, open_desk, say
from coordinator.desk import Desk, utc_now
from coordinator.durable import sync_folder
from coordinator.errors import FileError
from plan.errors import phrase
from plan.words import TRIP_ITEMS, word
from protos.errors import TripFileError
from protos.stick import from_auditor_path, open_on_stick, to_auditor_path
from protos.trip_file import TO_AUDITOR, TO_COORDINATOR, TripFile, TripHead, write_trip
from protos.trip_records import KIND_NAMES

_DAMAGE = {
    "not-a-file": phrase("a link, a folder or a pipe stands in its place; take a clean stick"),
    "too-large": phrase("it is larger than any answer"),
    "not-a-trip-file": phrase("it is not one that 'fedscreen auditor offline trip' wrote"),
    "cut-off": phrase("it was not copied completely; copy it again from the auditor"),
    "damaged": phrase("it is damaged; copy it again from the auditor"),
    "wrong-way": phrase("it is a file for an auditor, not an auditor's answer"),
    "wrong-federation": phrase("it is of another federation"),
    "wrong-auditor": phrase("it is another auditor's"),
}
Row = dict[str, object]


@click.group(name="offline", help=_("Trips of auditors without a network, by files on a stick."))
def offline() -> None:
    """Hold the commands about auditors without a network."""


@offline.command(
    name="trip", help=_("Take the auditors' answers from STICK, go on with the rounds, write the next files.")
)
@click.argument("stick", metavar="STICK", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--auditor", "auditors", multiple=True, required=True, help=_("For whom; may be given more than once.")
)
@click.option(
    "--size", type=click.IntRange(1), help=_("Show this many entries, as in another auditor's file.")
)
@click.option(
    "--from", "start", type=click.IntRange(0), default=0, help=_("First entry; default: all of them.")
)
@DIR
@JSON
def trip(
    directory: Path, stick: Path, auditors: tuple[str, ...], size: int | None, start: int, as_json: bool
) -> None:
    """Serve one or several auditors; exit 1 if an answer, or a part of one, was refused."""
    with open_desk(directory, as_json) as desk:
        for name in auditors:
            verify_may_trip(desk, name)
        rows: list[Row] = []
        answers = {name: _take(desk, stick, name, rows) for name in dict.fromkeys(auditors)}
        done = desk.tick()
        shown = size or newest_size(desk)
        for row, (name, answer) in zip(rows, answers.items(), strict=True):
            row |= _write(desk, stick, name, answer, shown, start)
    refused = sum(len(answer.refused) for answer in answers.values()) + sum("error" in row for row in rows)
    values: Row = {"size": shown, "steps": list(done), "auditors": rows, "refused": refused}
    say(as_json, values, *_lines(rows, answers, shown))
    if refused:
        raise SystemExit(EXIT_REFUSED)


def _take(desk: Desk, stick: Path, auditor: str, rows: list[Row]) -> Answer:
    """Take an auditor's answer if there is one; one that cannot be read stops nobody else."""
    path, answer = from_auditor_path(stick, auditor), Answer()
    row: Row = {"auditor": auditor, "taken": 0, "not_taken": []}
    rows.append(row)
    try:
        with open_on_stick(path) as stream:
            file = TripFile(stream)
            _verify_head(file.head, desk, auditor)
            answer = take_answer(desk, auditor, file)
    except TripFileError as err:
        if err.code != "no-file":
            row |= {"error": err.code, "message": f"{path}: {_DAMAGE[err.code]}"}
        return answer
    except OSError as err:
        raise _unusable(path, err) from err
    refused = [
        {"what": KIND_NAMES[item.kind], "error": item.code, "message": str(reason_of(item))}
        for item in answer.refused
    ]  # fmt: skip
    row |= {"taken": len(answer.told) - len(refused), "not_taken": refused}
    return answer


def _verify_head(head: TripHead, desk: Desk, auditor: str) -> None:
    checks = (
        ("wrong-way", head.whom == TO_COORDINATOR),
        ("wrong-federation", head.federation == desk.home.config.federation),
        ("wrong-auditor", head.auditor == auditor),
    )
    for code, is_right in checks:
        if not is_right:
            raise TripFileError(code, "somebody else's file")


def _write(desk: Desk, stick: Path, auditor: str, answer: Answer, size: int, start: int) -> Row:
    """Write the next file for an auditor in the place of the one before."""
    path = to_auditor_path(stick, auditor)
    head = TripHead(TO_AUDITOR, desk.home.config.federation, auditor, utc_now())
    with _replacing(path) as temporary:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        with os.fdopen(descriptor, "wb") as stream:
            num_bytes = write_trip(stream, head, outgoing(desk, auditor, answer, size=size, start=start))
            stream.flush()
            os.fsync(stream.fileno())
    return {"file": str(path), "bytes": num_bytes, "has_vectors": bool(answer.trip_key)}


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Give a name to write to; what stands there in the end takes the file's place, or nothing does."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.unlink(missing_ok=True)
        yield temporary
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as err:
        raise _unusable(path, err) from err
    except TripFileError as err:
        raise FileError(
            phrase("%(path)s: larger than a file of a stick may be; use --from", path=path)
        ) from err
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _unusable(path: Path, err: OSError) -> FileError:
    return FileError(
        phrase(
            "%(path)s cannot be read or written (%(reason)s); is the stick still there, and is it full?",
            path=path,
            reason=err.strerror or "",
        )
    )


def _lines(rows: list[Row], answers: dict[str, Answer], size: int) -> Iterator[str]:
    for row in rows:
        if "error" in row:
            yield _("refused: the answer of %(auditor)s: %(reason)s") % {
                "auditor": row["auditor"],
                "reason": _DAMAGE[str(row["error"])].text(_),
            }
        yield _("%(auditor)s: %(taken)s items taken") % row
        for item in answers[str(row["auditor"])].refused:
            values = {"what": word(TRIP_ITEMS, KIND_NAMES[item.kind], _), "error": item.code}
            values["message"] = reason_of(item).text(_)
            yield _("  not taken: %(what)s: %(error)s: %(message)s") % values
        yield _("  written: %(file)s, %(bytes)s bytes") % row
    yield _("each shows %(size)s entries of the log; for other auditors' sticks now: --size %(size)s") % {
        "size": size
    }
    yield _("next: unmount the stick and bring it to the auditor, who runs 'fedscreen auditor offline trip'")
