"""Logs that name events, never values: one line an event, fields by allow-list.

Rules:
1. A line has time, level, logger and event. The event of our own loggers is the message as it is written in
   the code; what is inserted into it never appears.
2. Further fields come only by ``extra=fields(...)``, and only if their name stands in `FIELDS`. These are
   public (ids of the roster, round ids, codes, positions in the log) or about this machine.
3. Of an exception stand its class and the place in our code, not its message: a message may quote a value.
4. Loggers of libraries give their name, level and an exception's class, and nothing else.

``json`` is for machines, ``text`` the same content for a terminal. English, both.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TextIO

OWN = "fedscreen"
KEY = "fedscreen_fields"
FIELDS = frozenset(
    {
        *("admin_port", "code", "error", "file", "method", "party", "position", "port", "reason", "role"),
        *("round", "seconds", "state", "status", "step", "table", "version", "where"),
    }
)
MAX_VALUE_CHARS = 200
Format = Literal["json", "text"]


def fields(**values: object) -> dict[str, dict[str, object]]:
    """Make the ``extra=`` of a logging call; names outside of `FIELDS` are dropped."""
    return {KEY: {name: value for name, value in values.items() if name in FIELDS}}


def content_of(record: logging.LogRecord) -> dict[str, str | int | float]:
    """Give what may be written of a record."""
    found: dict[str, str | int | float] = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "logger": record.name[:MAX_VALUE_CHARS],
        "event": _event(record),
    }
    extra = getattr(record, KEY, None)
    if isinstance(extra, dict) and _is_own(record):
        found |= {name: _plain(value) for name, value in extra.items() if name in FIELDS}
    if record.exc_info and record.exc_info[0] is not None:
        found["error"] = record.exc_info[0].__name__
        found["where"] = _place(record)
    return found


class LineFormatter(logging.Formatter):
    """Writes one record as one line."""

    def __init__(self, form: Format) -> None:
        super().__init__()
        self._form = form

    def format(self, record: logging.LogRecord) -> str:
        """Write the line."""
        content = content_of(record)
        if self._form == "json":
            return json.dumps(content, ensure_ascii=False)
        head = f"{content.pop('time')} {content.pop('level')} {content.pop('logger')}: {content.pop('event')}"
        return " ".join(
            [head, *(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in content.items())]
        )


def start_logging(form: Format, stream: TextIO | None = None) -> None:
    """Let every logger of this process write such lines, to stderr unless told otherwise."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(LineFormatter(form))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)


def _is_own(record: logging.LogRecord) -> bool:
    return record.name == OWN or record.name.startswith(OWN + ".")


def _event(record: logging.LogRecord) -> str:
    if not _is_own(record):
        return "message of a library"
    return record.msg if isinstance(record.msg, str) else type(record.msg).__name__


def _plain(value: object) -> str | int | float:
    if isinstance(value, int | float):
        return value
    text = str(value)
    clean = "".join(char if char.isprintable() else "?" for char in text)
    return clean if len(clean) <= MAX_VALUE_CHARS else clean[:MAX_VALUE_CHARS] + "…"


def _place(record: logging.LogRecord) -> str:
    """Name file and line of the innermost frame, without the folder it is in."""
    trace = record.exc_info[2] if record.exc_info else None
    frames = traceback.extract_tb(trace)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
