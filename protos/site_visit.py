"""What is carried to a school and back: the auditor's challenge, the school's result, the visit's record.

| format | made by | signed by |
| --- | --- | --- |
| ``fedscreen/site-challenge/v1`` | `auditor site prepare` | the auditor's statement key |
| ``fedscreen/site-result/v1`` | `node audit visit` | nobody: the auditor stands beside it and carries it |
| ``fedscreen/site-visit/v1`` | `auditor site record` | the auditor's statement key |

Each file is one canonical JSON object (RFC 8785, texts and whole numbers only) with ``format`` in it. What
is signed is a note's text of two lines, the format and the canonical JSON of the value: it is no statement of
the log, and no statement is one of these.

I/O-free. Spec: docs/on-site-audit.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crypto.canonical import encode_json, parse_json
from crypto.errors import CryptoError
from crypto.note import Note, SigningKey, VerifierKey, parse_signature_line, verified_by
from protos.errors import ProtocolError

CHALLENGE_FORMAT = "fedscreen/site-challenge/v1"
RESULT_FORMAT = "fedscreen/site-result/v1"
VISIT_FORMAT = "fedscreen/site-visit/v1"
TRIALS = ("replay", "rehearse", "selftest")
PASS, FAIL, SKIPPED, REFUSED = "PASS", "FAIL", "SKIPPED", "REFUSED"
OUTCOMES = (PASS, FAIL, SKIPPED, REFUSED)
LEVELS = ("", "L0", "L1", "L2", "L3")
MAX_BYTES = 1 << 20
MAX_SCHOOLS = 10_000
MAX_CHECKS = 64
MAX_VISIT = 99
_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\Z")
_WORD = re.compile(r"[A-Za-z0-9_-]{1,40}\Z")
_NOTE = re.compile(r"[ -~]{0,200}\Z")
_CHECK_RESULTS = (PASS, FAIL, "SKIP", SKIPPED)


class SiteFileError(ProtocolError):
    """A file of a visit is not in its one form, or not signed by the key that it should be."""


@dataclass(frozen=True, slots=True)
class SiteSchool:
    """A school to visit: its report in S, and its place in the draw from 1 on (0: asked for, not drawn)."""

    node: str
    attempt: int
    report: bytes
    place: int


@dataclass(frozen=True, slots=True)
class SiteChallenge:
    """What an auditor asks of some schools for one round.

    Attributes:
        federation, auditor, round, close: whose, and which.
        number: size of the draw.
        visit: 1, or more where a visit is repeated.
        issued: UTC, to the second, ``2026-11-22T09:00:00Z``.
        schools: ascending by node id.
        trials: of `TRIALS`.
    """

    federation: str
    auditor: str
    round: bytes
    close: bytes
    number: int
    visit: int
    issued: str
    schools: tuple[SiteSchool, ...]
    trials: tuple[str, ...]

    def school(self, node: str) -> SiteSchool | None:
        """Find a school; None if it is not asked."""
        return next((row for row in self.schools if row.node == node), None)


@dataclass(frozen=True, slots=True)
class TrialCheck:
    """One numbered check of a trial as the school's machine printed it."""

    number: int
    name: str
    result: str
    note: str


@dataclass(frozen=True, slots=True)
class Trial:
    """One of `TRIALS`: outcome, confinement, checks; `code` where it was refused."""

    outcome: str
    confinement: str
    code: str
    checks: tuple[TrialCheck, ...]

    @property
    def failed(self) -> tuple[int, ...]:
        """Numbers of the checks that failed."""
        return tuple(row.number for row in self.checks if row.result == FAIL)


@dataclass(frozen=True, slots=True)
class SiteResult:
    """What came out at one school.

    Attributes:
        challenge: SHA-256 of the challenge's file.
        federation, node, round, attempt, report: which report was replayed.
        software: digest of the program on the school's disk, as in a report's header.
        started, ended: the school's clock, UTC.
        trials: those that were run, by name.
    """

    challenge: bytes
    federation: str
    node: str
    round: bytes
    attempt: int
    report: bytes
    software: bytes
    started: str
    ended: str
    trials: Mapping[str, Trial]


# ---------------------------------------------------------------- signed files


def sign_file(file_format: str, value: Mapping[str, Any], key: SigningKey) -> bytes:
    """Write a signed file: format, value, signature line."""
    signature = key.sign(signed_text(file_format, value))
    return encode_json({"format": file_format, "value": value, "signature": signature})


def signed_text(file_format: str, value: Mapping[str, Any]) -> str:
    """Give the note's text that is signed."""
    return f"{file_format}\n{encode_json(value).decode()}\n"


def parse_signed(file_format: str, data: bytes) -> tuple[dict[str, Any], Note]:
    """Read a signed file; the signature is not verified yet, see `verify_signed`.

    Raises:
        SiteFileError: not such a file.
    """
    values = _object(data, file_format)
    _names(values, ("format", "signature", "value"))
    try:
        value = dict(values["value"])
        note = Note(signed_text(file_format, value), (parse_signature_line(str(values["signature"])),))
    except (CryptoError, TypeError, ValueError) as err:
        raise SiteFileError(f"no {file_format}: its value or its signature is malformed") from err
    return value, note


def verify_signed(note: Note, key: VerifierKey) -> None:
    """Check that a key has signed a file.

    Raises:
        SiteFileError: it has not.
    """
    try:
        is_signed = verified_by(note, [key]) == (key,)
    except CryptoError:
        is_signed = False
    if not is_signed:
        raise SiteFileError(f"not signed by {key.name}: take the file that the auditor wrote")


# ---------------------------------------------------------------- challenge


def challenge_values(challenge: SiteChallenge) -> dict[str, Any]:
    """Give a challenge as JSON values."""
    return {
        "federation": challenge.federation,
        "auditor": challenge.auditor,
        "round": challenge.round.hex(),
        "close": challenge.close.hex(),
        "number": challenge.number,
        "visit": challenge.visit,
        "issued": challenge.issued,
        "trials": list(challenge.trials),
        "schools": [
            {"node": row.node, "attempt": row.attempt, "report": row.report.hex(), "place": row.place}
            for row in challenge.schools
        ],
    }


def parse_challenge(data: bytes) -> tuple[SiteChallenge, Note]:
    """Read a challenge; the note is for `verify_signed`.

    Raises:
        SiteFileError: malformed.
    """
    values, note = parse_signed(CHALLENGE_FORMAT, data)
    _names(
        values,
        ("auditor", "close", "federation", "issued", "number", "round", "schools", "trials", "visit"),
    )
    schools = tuple(_school(row) for row in _list(values["schools"], MAX_SCHOOLS))
    trials = tuple(str(name) for name in _list(values["trials"], len(TRIALS)))
    if trials != tuple(name for name in TRIALS if name in trials) or not trials:
        raise SiteFileError(f"trials: expected some of {', '.join(TRIALS)}, in this order")
    if [row.node for row in schools] != sorted({row.node for row in schools}) or not schools:
        raise SiteFileError("schools: expected one or more, ascending, each once")
    challenge = SiteChallenge(
        federation=_text(values, "federation", _ID),
        auditor=_text(values, "auditor", _ID),
        round=_digest(values, "round"),
        close=_digest(values, "close"),
        number=_number(values, "number", 0, MAX_SCHOOLS),
        visit=_number(values, "visit", 1, MAX_VISIT),
        issued=_text(values, "issued", _TIME),
        schools=schools,
        trials=trials,
    )
    return challenge, note


def _school(row: Any) -> SiteSchool:
    _names(row, ("attempt", "node", "place", "report"))
    return SiteSchool(
        _text(row, "node", _ID),
        _number(row, "attempt", 0, 3),
        _digest(row, "report"),
        _number(row, "place", 0, MAX_SCHOOLS),
    )


# ---------------------------------------------------------------- result


def encode_result(result: SiteResult) -> bytes:
    """Write a result; the inverse of `parse_result`."""
    return encode_json({"format": RESULT_FORMAT, **result_values(result)})


def result_values(result: SiteResult) -> dict[str, Any]:
    """Give a result as JSON values."""
    return {
        "challenge": result.challenge.hex(),
        "federation": result.federation,
        "node": result.node,
        "round": result.round.hex(),
        "attempt": result.attempt,
        "report": result.report.hex(),
        "software": result.software.hex(),
        "started": result.started,
        "ended": result.ended,
        "trials": {name: _trial_values(trial) for name, trial in result.trials.items()},
    }


def _trial_values(trial: Trial) -> dict[str, Any]:
    return {
        "outcome": trial.outcome,
        "confinement": trial.confinement,
        "code": trial.code,
        "checks": [
            {"number": row.number, "name": row.name, "result": row.result, "note": row.note}
            for row in trial.checks
        ],
    }


def parse_result(data: bytes) -> SiteResult:
    """Read a result.

    Raises:
        SiteFileError: malformed, or a trial says PASS where one of its checks does not.
    """
    values = _object(data, RESULT_FORMAT)
    values.pop("format")
    return result_of(values)


def result_of(values: Mapping[str, Any]) -> SiteResult:
    """Read a result's JSON values."""
    names = ("attempt", "challenge", "ended", "federation", "node", "report", "round")
    _names(values, (*names, "software", "started", "trials"))
    trials = values["trials"]
    if not isinstance(trials, dict) or not trials or not set(trials) <= set(TRIALS):
        raise SiteFileError(f"trials: expected some of {', '.join(TRIALS)}")
    return SiteResult(
        challenge=_digest(values, "challenge"),
        federation=_text(values, "federation", _ID),
        node=_text(values, "node", _ID),
        round=_digest(values, "round"),
        attempt=_number(values, "attempt", 0, 3),
        report=_digest(values, "report"),
        software=_digest(values, "software"),
        started=_text(values, "started", _TIME),
        ended=_text(values, "ended", _TIME),
        trials={name: _trial(name, trials[name]) for name in TRIALS if name in trials},
    )


def _trial(name: str, values: Any) -> Trial:
    _names(values, ("checks", "code", "confinement", "outcome"))
    checks = tuple(_check(row) for row in _list(values["checks"], MAX_CHECKS))
    trial = Trial(
        _one_of(values, "outcome", OUTCOMES),
        _one_of(values, "confinement", LEVELS),
        _text(values, "code", _NOTE),
        checks,
    )
    if [row.number for row in checks] != list(range(1, len(checks) + 1)):
        raise SiteFileError(f"{name}: its checks are not numbered from 1 on")
    results = {row.result for row in checks}
    must_fail = FAIL in results
    is_whole = results == {PASS} or (name != "replay" and PASS in results)
    if (trial.outcome == FAIL) != must_fail or (trial.outcome == PASS and not is_whole):
        raise SiteFileError(f"{name}: {trial.outcome} is not what its checks say")
    return trial


def _check(row: Any) -> TrialCheck:
    _names(row, ("name", "note", "number", "result"))
    return TrialCheck(
        _number(row, "number", 1, MAX_CHECKS),
        _text(row, "name", _WORD),
        _one_of(row, "result", _CHECK_RESULTS),
        _text(row, "note", _NOTE),
    )


# ---------------------------------------------------------------- reading values


def _object(data: bytes, file_format: str) -> dict[str, Any]:
    if len(data) > MAX_BYTES:
        raise SiteFileError(f"at most {MAX_BYTES} bytes, found {len(data)}")
    try:
        values = parse_json(data)
    except CryptoError as err:
        raise SiteFileError(f"no {file_format}: not canonical JSON") from err
    if not isinstance(values, dict) or values.get("format") != file_format:
        raise SiteFileError(f"expected a file of the format {file_format}")
    return dict(values)


def _names(values: Any, expected: Sequence[str]) -> None:
    if not isinstance(values, dict) or sorted(values) != sorted(expected):
        raise SiteFileError(f"expected exactly {', '.join(sorted(expected))}")


def _list(values: Any, most: int) -> list[Any]:
    if not isinstance(values, list) or len(values) > most:
        raise SiteFileError(f"expected a list of at most {most}")
    return values


def _text(values: Mapping[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    value = values[name]
    if not isinstance(value, str) or not pattern.match(value):
        raise SiteFileError(f"{name}: not of its form")
    return value


def _one_of(values: Mapping[str, Any], name: str, allowed: Sequence[str]) -> str:
    value = values[name]
    if not isinstance(value, str) or value not in allowed:
        raise SiteFileError(f"{name}: expected one of {', '.join(filter(None, allowed))}")
    return value


def _number(values: Mapping[str, Any], name: str, low: int, high: int) -> int:
    value = values[name]
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise SiteFileError(f"{name}: expected a whole number from {low} to {high}")
    return value


def _digest(values: Mapping[str, Any], name: str) -> bytes:
    value = values[name]
    if not isinstance(value, str) or not re.fullmatch(r"[0-9a-f]{64}", value):
        raise SiteFileError(f"{name}: expected 32 bytes in hex")
    return bytes.fromhex(value)
