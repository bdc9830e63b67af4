"""Log lines: events and allowed fields only, whatever was inserted, raised or said by a library."""

from __future__ import annotations

import ast
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordinator.structured_log import FIELDS, Format, fields, start_logging

ROOM = Path(__file__).resolve().parents[2] / "coordinator"
SECRET = "pupil Li Hua scored 17"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    kept = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:], root.level = kept


def lines(stream: io.StringIO, form: Format = "json") -> logging.Logger:
    start_logging(form, stream)
    return logging.getLogger("fedscreen.coordinator.test")


def test_a_line_has_its_event_and_its_allowed_fields(stream: io.StringIO) -> None:
    lines(stream).info("step done", extra=fields(round="ab12", step="Combine", pupil=SECRET))
    (row,) = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert row.pop("time").endswith("+00:00")
    assert row == {
        "level": "info",
        "logger": "fedscreen.coordinator.test",
        "event": "step done",
        "round": "ab12",
        "step": "Combine",
    }


@pytest.mark.parametrize("form", ["json", "text"])
def test_what_is_inserted_or_raised_is_never_written(stream: io.StringIO, form: Format) -> None:
    logger = lines(stream, form)
    logger.warning("cannot read %s", SECRET)
    logger.info("event", extra={"pupil": SECRET, "fedscreen_fields": {"pupil": SECRET}})
    try:
        raise ValueError(SECRET)
    except ValueError:
        logger.exception("tick failed")
    logging.getLogger("grpc._server").error(f"Exception calling application: {SECRET}")
    text = stream.getvalue()
    assert "Li Hua" not in text
    assert "scored" not in text
    assert "cannot read %s" in text
    assert "ValueError" in text
    assert "grpc._server" in text


def test_one_line_an_event_whatever_a_field_holds(stream: io.StringIO) -> None:
    lines(stream).info("refused", extra=fields(code='x"\n{"event": "forged"}', party="a" * 500))
    (line,) = stream.getvalue().splitlines()
    row = json.loads(line)
    assert row["event"] == "refused"
    assert len(row["party"]) <= 201


def test_text_is_one_line_too(stream: io.StringIO) -> None:
    lines(stream, "text").info("refused", extra=fields(code="a\nb"))
    (line,) = stream.getvalue().splitlines()
    assert line.endswith('fedscreen.coordinator.test: refused code="a?b"')


def calls() -> list[tuple[str, ast.Call]]:
    found = []
    for path in ROOM.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
            if is_call and isinstance(node.func.value, ast.Name) and node.func.value.id == "_LOGGER":
                found.append((f"{path.name}:{node.lineno}", node))
    return found


def test_every_event_of_this_room_is_written_out_and_its_fields_are_allowed() -> None:
    assert len(calls()) > 5
    for place, call in calls():
        assert isinstance(call.args[0], ast.Constant), place
        assert len(call.args) == 1, f"{place}: values go into fields()"
        for keyword in call.keywords:
            if keyword.arg == "extra":
                assert isinstance(keyword.value, ast.Call), place
                names = {item.arg for item in keyword.value.keywords}
                assert names <= FIELDS, f"{place}: {names - FIELDS} would be dropped"
