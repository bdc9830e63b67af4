"""Compare what a switch or router counted with what the log lets a school send in one round.

A manifest of the network (TOML) says whose addresses are whose and what is declared beforehand:

    format = "fedscreen/flows/v1"
    county = ["203.0.113.5"]        # where schools may send
    allowed = ["203.0.113.9"]       # a time server, say; every byte to it counts as unexplained
    poll_s = 300                    # the nodes' poll_s
    connections_a_day = 4           # new TLS connections
    starts_a_day = 1                # of `node run`: each reads the log from its beginning
    retries = 1                     # times that a report may have been sent again
    tolerance_percent = 5
    utc_offset = "+08:00"           # of times without one
    [schools]
    s01 = ["10.1.0.7"]

Flows are CSV with a header: of `nfdump -o csv` (read up to its line `Summary`), or any with the columns
time, src, dst, bytes. Times are ISO 8601 or seconds since 1970. A line that cannot be read is refused, not
left out. What comes in, and what other machines sent, is counted as `other` and not judged.

What a school may send in a round, in bytes as a router counts them (IP, TCP, TLS, HTTP/2, gRPC), follows from
measurements of the real egress (`tests/leaks/egress_bytes.py`), rounded up:

    connection   FIRST                      TLS handshake with a certificate, HTTP/2 settings, first look
    look         LOOK                       one GetLog every poll_s, and what acknowledges its answer
    report       payload + payload/256 + REPORT + PACKET · packets     for each attempt and each retry
    start        PACKET · packets           acknowledgements of the log, which is read whole then, at
                                            LOG_ENTRY_BYTES an entry

`most` is their sum and the tolerance; more FAILs. `least` is what the round's reports alone need, sent once.
What was counted above `least` is not explained by reports: 8 times that is an upper bound, in bits, of what
contents could have been hidden in it (not of what a moment of sending could tell). Less than `least` is
SKIPPED: the report went on a stick, or past this counter.
"""

from __future__ import annotations

import csv
import io
import ipaddress
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from auditor.errors import RefusalError
from plan.errors import Phrase, phrase
from protos.ledger import Ledger, RoundLog

FORMAT = "fedscreen/flows/v1"
FIRST, LOOK, REPORT, PACKET = 3_400, 420, 400, 52
NOTE_BYTES = 4
SEGMENT_BYTES = 1_200  # of a packet on a line with tunnels; ordinary ones carry 1,448
LOG_ENTRY_BYTES = 4_096
DAY_S = 86_400
MAX_BYTES = 512 << 20
MOST_NAMED = 10
PASS, FAIL, SKIPPED = "PASS", "FAIL", "SKIPPED"
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "time": ("time", "ts", "firstseen", "first"),
    "src": ("src", "sa", "srcaddr", "src4addr"),
    "dst": ("dst", "da", "dstaddr", "dst4addr"),
    "bytes": ("bytes", "ibyt", "inbytes"),
}


@dataclass(frozen=True, slots=True)
class Network:
    """What the manifest declares."""

    county: frozenset[str]
    allowed: frozenset[str]
    poll_s: int
    connections_a_day: int
    starts_a_day: int
    retries: int
    tolerance_percent: int
    zone: timezone | None
    schools: Mapping[str, frozenset[str]]

    def school_of(self) -> dict[str, str]:
        """Map each school's address to its node id."""
        return {address: node for node, found in self.schools.items() for address in found}


@dataclass(frozen=True, slots=True)
class Flow:
    """One line of a flow file: when it began, between whom, how many bytes."""

    time: datetime
    src: str
    dst: str
    num_bytes: int


@dataclass(frozen=True, slots=True)
class SchoolFlow:
    """What one school sent, against what it may.

    Attributes:
        node: the school.
        attempts: how many reports of it stand in the log.
        to_county, to_allowed: bytes counted.
        least, most: what its reports need, and what is allowed.
        result: PASS, FAIL, or SKIPPED where its reports were not seen here.
    """

    node: str
    attempts: int
    to_county: int
    to_allowed: int
    least: int
    most: int

    @property
    def result(self) -> str:
        """How it came out."""
        if self.to_county > self.most:
            return FAIL
        return PASS if self.to_county >= self.least else SKIPPED

    @property
    def unexplained_bits(self) -> int:
        """Bits of what was counted that its reports do not explain."""
        return 8 * (max(0, self.to_county - self.least) + self.to_allowed)

    @property
    def room_bits(self) -> int:
        """Bits that could be added before this check fails."""
        return 8 * max(0, self.most - self.least)


@dataclass(slots=True)
class FlowReport:
    """The whole check.

    Attributes:
        schools: one row a school of the manifest.
        unlisted: schools of the round's roster that the manifest does not name; nothing of them is judged.
        unknown: (source, destination) → bytes, for what no line of the manifest allows.
        num_flows, num_other, num_outside: flows read; those that no school sent; those before or after the
            time asked for.
    """

    schools: list[SchoolFlow] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)
    unknown: Counter[tuple[str, str]] = field(default_factory=Counter)
    num_flows: int = 0
    num_other: int = 0
    num_outside: int = 0

    @property
    def outcome(self) -> str:
        """FAIL, PASS, or INCOMPLETE where a school's report was not seen or nothing was."""
        results = {row.result for row in self.schools}
        if FAIL in results or self.unknown:
            return FAIL
        is_seen = self.num_flows > self.num_outside
        return PASS if is_seen and results == {PASS} else "INCOMPLETE"


# ---------------------------------------------------------------- manifest and flows


def parse_network(data: bytes) -> Network:
    """Read a manifest.

    Raises:
        RefusalError: not of its form; the message names the key.
    """
    try:
        values = tomllib.loads(data.decode("utf-8-sig"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as err:
        raise _refuse(phrase("the manifest is not TOML in UTF-8 (%(reason)s)", reason=err)) from err
    expected = {"format", "county", "poll_s", "schools"}
    allowed = expected | {
        "allowed",
        "connections_a_day",
        "starts_a_day",
        "retries",
        "tolerance_percent",
        "utc_offset",
    }
    if not expected <= set(values) <= allowed or values["format"] != FORMAT:
        raise _refuse(phrase("the manifest needs %(keys)s", keys=", ".join(sorted(expected))))
    schools = values["schools"]
    if not isinstance(schools, dict) or not schools:
        raise _refuse(phrase("the manifest needs a table 'schools'"))
    network = Network(
        county=_addresses(values, "county"),
        allowed=_addresses(values, "allowed"),
        poll_s=_number(values, "poll_s", 1, DAY_S, 0),
        connections_a_day=_number(values, "connections_a_day", 1, 10_000, 4),
        starts_a_day=_number(values, "starts_a_day", 1, 1_000, 1),
        retries=_number(values, "retries", 0, 100, 1),
        tolerance_percent=_number(values, "tolerance_percent", 0, 100, 5),
        zone=_zone(values.get("utc_offset")),
        schools={str(node): _addresses(schools, node) for node in sorted(schools)},
    )
    for node, found in network.schools.items():
        if not found:  # nothing would be counted for it, and nothing counted is within every bound
            raise _refuse(phrase("the manifest's %(key)s: expected a list of addresses", key=node))
    known = [address for found in network.schools.values() for address in found]
    if len(set(known)) != len(known) or set(known) & (network.county | network.allowed):
        raise _refuse(phrase("the manifest gives one address to two parties"))
    return network


def _addresses(values: Mapping[str, Any], name: str) -> frozenset[str]:
    found = values.get(name, [])
    try:
        return frozenset(str(ipaddress.ip_address(text)) for text in found)
    except (ValueError, TypeError) as err:
        raise _refuse(phrase("the manifest's %(key)s: expected a list of addresses", key=name)) from err


def _number(values: Mapping[str, Any], name: str, low: int, high: int, default: int) -> int:
    value = values.get(name, default)
    if type(value) is not int or not low <= value <= high:
        raise _refuse(
            phrase(
                "the manifest's %(key)s: expected a whole number from %(low)s to %(high)s",
                key=name,
                low=low,
                high=high,
            )
        )
    return value


def _zone(text: Any) -> timezone | None:
    if text is None:
        return None
    match = re.fullmatch(r"([+-])(\d\d):([0-5]\d)", str(text))
    if match is None:
        raise _refuse(phrase("the manifest's %(key)s: expected a text like +08:00", key="utc_offset"))
    away = timedelta(hours=int(match[2]), minutes=int(match[3]))
    return timezone(away if match[1] == "+" else -away)


def parse_flows(data: bytes, zone: timezone | None) -> Iterator[Flow]:
    """Read flows as CSV, line by line.

    Raises:
        RefusalError: no header that names the columns, or a line that cannot be read.
    """
    if len(data) > MAX_BYTES:
        raise _refuse(phrase("at most %(number)s bytes of flows at once; cut the file", number=MAX_BYTES))
    rows = csv.reader(io.StringIO(data.decode("utf-8-sig", "replace")))
    places: dict[str, int] = {}
    for number, row in enumerate(_readable(rows), 1):
        if not row or row[0].startswith("#"):
            continue
        if not places:
            places = _places(row)
            continue
        if row[0].strip() == "Summary":
            return  # nfdump's own sums follow
        try:
            yield _flow(row, places, zone)
        except _CellError as err:
            raise _refuse(
                phrase(
                    "line %(number)s of the flows cannot be read (%(reason)s)",
                    number=number,
                    reason=err.reason,
                )
            ) from err
    if not places:
        raise _refuse(phrase("the flows have no header"))


def _readable(rows: Iterator[list[str]]) -> Iterator[list[str]]:
    try:
        yield from rows
    except csv.Error as err:  # a field without end, a bare carriage return
        raise _refuse(phrase("the flows are no CSV (%(reason)s)", reason=err)) from err


def _places(header: list[str]) -> dict[str, int]:
    names = [name.strip().lower() for name in header]
    found = {
        column: names.index(next(name for name in aliases if name in names))
        for column, aliases in _COLUMNS.items()
        if set(aliases) & set(names)
    }
    if len(found) != len(_COLUMNS):
        missing = ", ".join(sorted(set(_COLUMNS) - set(found)))
        raise _refuse(phrase("the flows' header lacks %(names)s", names=missing))
    return found


class _CellError(Exception):
    """A cell of a line cannot be read; `reason` says what was expected and what stands there."""

    def __init__(self, reason: Phrase) -> None:
        super().__init__(str(reason))
        self.reason = reason


def _flow(row: list[str], places: Mapping[str, int], zone: timezone | None) -> Flow:
    if len(row) <= max(places.values()):
        raise _CellError(phrase("expected %(number)s columns or more", number=max(places.values()) + 1))
    cells = {column: row[place].strip() for column, place in places.items()}
    return Flow(
        _time(cells["time"], zone), _address(cells["src"]), _address(cells["dst"]), _count(cells["bytes"])
    )


def _shown(text: str) -> str:
    """Give the beginning of a cell so that no terminal obeys it."""
    return ascii(text[:40])


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as err:
        raise _CellError(phrase("expected an IP address, found %(found)s", found=_shown(text))) from err


def _count(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise _CellError(
            phrase("expected bytes as a whole number without a unit, found %(found)s", found=_shown(text))
        )
    return int(text)


def _time(text: str, zone: timezone | None) -> datetime:
    try:
        if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
            return datetime.fromtimestamp(float(text), UTC)
        found = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError) as err:
        raise _CellError(
            phrase(
                "expected a time like 2026-10-12T08:00:00+08:00 or seconds since 1970, found %(found)s",
                found=_shown(text),
            )
        ) from err
    if found.tzinfo is not None:
        return found
    if zone is None:
        raise _CellError(phrase("a time without offset: give utc_offset in the manifest"))
    return found.replace(tzinfo=zone)


def _refuse(message: Any) -> RefusalError:
    return RefusalError("flows", message)


# ---------------------------------------------------------------- what is allowed


def report_bytes(payload: int) -> int:
    """Bound what one report costs on the line, from its payload's bytes."""
    sent = payload + payload // 256 + REPORT
    return sent + PACKET * packets(sent)


def packets(num_bytes: int) -> int:
    """Bound the packets that so many bytes take."""
    return -(-num_bytes // SEGMENT_BYTES) + 1


def payload_bytes(round_log: RoundLog, node: str) -> list[int]:
    """Give the payload's bytes of every report that a school has in the log: header, vector, boxes."""
    return [
        NOTE_BYTES + len(logged.text.encode()) + _SIGNATURE_BYTES + logged.statement.size
        for logged in round_log.attempts_of(node)
    ]


_SIGNATURE_BYTES = 320  # an empty line and one signature line; a key's name has at most 200 characters


def allowance(
    network: Network, payloads: Iterable[int], seconds: float, log_bytes: int, least_payloads: Iterable[int]
) -> tuple[int, int]:
    """Give the least and the most bytes that a school may send.

    Args:
        network: what was declared.
        payloads: upper bounds of its reports' payloads.
        seconds: length of the time that the flows cover.
        log_bytes: the log that it reads at each start.
        least_payloads: lower bounds of the same.
    """
    connections = max(1, round(network.connections_a_day * seconds / DAY_S))
    looks = int(seconds / network.poll_s) + 1
    starts = max(1, round(network.starts_a_day * seconds / DAY_S))
    most = connections * FIRST + starts * PACKET * packets(log_bytes) + looks * LOOK
    most += (1 + network.retries) * sum(report_bytes(payload) for payload in payloads)
    return sum(least_payloads), most + most * network.tolerance_percent // 100


def check_flows(
    ledger: Ledger,
    round_log: RoundLog,
    network: Network,
    flows: Iterable[Flow],
    window: tuple[datetime, datetime] | None = None,
) -> FlowReport:
    """Compare flows with a round.

    Args:
        ledger: the log.
        round_log: the round.
        network: whose addresses are whose.
        flows: what was counted.
        window: from when to when flows count; default: the plan's.

    Raises:
        RefusalError: the manifest names a school that the round does not have. One mistyped has no report,
            so that whatever it sent would stay below a bound that is nobody's.
    """
    start, end = window or (round_log.terms.opens, round_log.closes)
    report, owner = FlowReport(unlisted=_unlisted(round_log, network)), network.school_of()
    to_county: Counter[str] = Counter()
    to_allowed: Counter[str] = Counter()
    for flow in flows:
        report.num_flows += 1
        node = owner.get(flow.src)
        if node is None:
            report.num_other += 1
        elif not start <= flow.time <= end:
            report.num_outside += 1
        elif flow.dst not in network.county | network.allowed:
            report.unknown[(flow.src, flow.dst)] += flow.num_bytes
        else:
            (to_county if flow.dst in network.county else to_allowed)[node] += flow.num_bytes
    log_bytes = LOG_ENTRY_BYTES * ledger.size
    for node in network.schools:
        payloads = payload_bytes(round_log, node)
        sizes = [logged.statement.size for logged in round_log.attempts_of(node)]
        seconds = (end - start).total_seconds()
        least, most = allowance(network, payloads, seconds, log_bytes, sizes)
        report.schools.append(SchoolFlow(node, len(sizes), to_county[node], to_allowed[node], least, most))
    return report


def _unlisted(round_log: RoundLog, network: Network) -> list[str]:
    """Give the round's schools that a manifest lacks; refuse one with a school that the round lacks."""
    known = {row.id for row in round_log.roster.nodes}
    strangers = [node for node in network.schools if node not in known]
    if strangers:
        raise _refuse(
            phrase(
                "the manifest names %(nodes)s, not in the roster of this round (%(example)s, … is); "
                "correct the school's id",
                nodes=", ".join(ascii(node[:64])[1:-1] for node in strangers[:MOST_NAMED]),
                example=min(known),
            )
        )
    return sorted(known - set(network.schools))


def report_values(report: FlowReport) -> dict[str, Any]:
    """Give a report as JSON values."""
    return {
        "outcome": report.outcome,
        "flows": report.num_flows,
        "other": report.num_other,
        "outside": report.num_outside,
        "unlisted": report.unlisted,
        "schools": [
            {
                "node": row.node,
                "result": row.result,
                "attempts": row.attempts,
                "bytes": row.to_county,
                "allowed_bytes": row.to_allowed,
                "least": row.least,
                "most": row.most,
                "unexplained_bits": row.unexplained_bits,
                "room_bits": row.room_bits,
            }
            for row in report.schools
        ],
        "unknown": [
            {"src": src, "dst": dst, "bytes": num_bytes}
            for (src, dst), num_bytes in sorted(report.unknown.items())
        ],
    }
