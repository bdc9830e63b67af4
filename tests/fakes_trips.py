"""An auditor whose link is a file, and the county in memory: files as a coordinator writes them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from fakes_auditors import Entropy, FakeCounty, FakeLink

from auditor.desk import Desk, Event
from auditor.durable import Durable, ignore_durable
from auditor.file_link import FileLink
from auditor.trip import Trip, begin_trip
from protos import trip_records as records
from protos.stick import from_auditor_path, to_auditor_path
from protos.trip_file import TO_AUDITOR, Record, TripFile, TripHead, Whom, write_trip

MADE = datetime(2026, 10, 20, 8, 0, tzinfo=UTC)


def trip_records(county: FakeCounty, auditor: str, start: int = 0) -> Iterator[Record]:
    """What a coordinator puts into a file for an auditor."""
    link = county.link(auditor)
    page = link.get_log(start, 100_000)
    yield records.LOG, records.log_parts(records.LogHead(start, page.latest, page.cosigned))
    yield from ((records.ENTRY, pair) for pair in page.entries)
    yield from ((records.PROPOSAL, records.proposal_parts(row)) for row in county.proposals)
    for round_id, row in county.ledger.rounds.items():
        if row.candidates is not None and auditor not in row.openings:
            yield from ((records.BOX, (round_id, *pair)) for pair in link.get_boxes(round_id))


def encode(content: list[Record], head: TripHead) -> bytes:
    """Write a trip file to memory."""
    stream = io.BytesIO()
    write_trip(stream, head, content)
    return stream.getvalue()


def trip_data(
    county: FakeCounty,
    auditor: str,
    *,
    start: int = 0,
    whom: Whom = TO_AUDITOR,
    federation: str = "",
    name: str = "",
) -> bytes:
    """Write the file for an auditor; the names in its head may lie."""
    head = TripHead(whom, federation or county.federation, name or auditor, MADE)
    return encode(list(trip_records(county, auditor, start)), head)


def put_file(county: FakeCounty, stick: Path, auditor: str) -> Path:
    """Put the newest file for an auditor on a stick."""
    stick.mkdir(exist_ok=True)
    path = to_auditor_path(stick, auditor)
    path.write_bytes(trip_data(county, auditor))
    return path


def deliver(link: FakeLink, answer: TripFile) -> None:
    """Hand an answer over to the county, record by record."""
    for parts in answer.parts(records.STATEMENT):
        link.submit_statement(*records.parse_entry_record(parts))
    for parts in answer.parts(records.OPENING):
        link.submit_opening(*records.parse_opening(parts))
    for parts in answer.parts(records.ROSTER_LINE):
        link.sign_roster(*records.parse_roster_line(parts))
    for parts in answer.parts(records.COSIGNATURE):
        link.submit_cosignature(*records.parse_cosignature(parts))


def mangle(rng: Random, content: list[Record]) -> list[Record]:
    """Drop, repeat, relabel or spoil one to three records, as who writes a fitting digest can."""
    out = list(content)
    for _ in range(rng.randint(1, 3)):
        place = rng.randrange(len(out))
        kind, parts = out[place]
        data = bytearray(parts[-1] if parts else b"")
        if data:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        out[place : place + 1] = (
            rng.choice(
                [
                    [],
                    [out[place], out[place]],
                    [(rng.choice([*range(1, 8), *range(16, 21), 99]), parts)],
                    [(kind, parts[:-1])],
                    [(kind, (*parts, b"x"))],
                    [(kind, (*parts[:-1], bytes(data)))],
                    [(kind, (*parts[:-1], bytes(data[: len(data) // 2])))],
                ]
            )
            or out[:1]
        )
    return out


class StickAuditor:
    """An auditor on a directory that works by trips only; crashes go through to the caller."""

    def __init__(
        self, county: FakeCounty, name: str, directory: Path, durable: Durable = ignore_durable
    ) -> None:
        self.county, self.name, self.directory, self.durable = county, name, directory, durable
        self.link = county.link(name)  # as the county sees it: `sent` is what has arrived
        self.stick = directory.with_name(f"stick of {directory.name}")
        self.entropy = Entropy(f"{name} {directory}")

    def open(self, data: bytes) -> Trip:
        """Begin a trip with a file's content."""
        file = TripFile(io.BytesIO(data))
        link = FileLink(file)
        desk: Desk = self.county.desk(
            self.name,
            self.directory,
            link=link,  # type: ignore[arg-type]
            durable=self.durable,
            entropy=self.entropy,
        )
        return begin_trip(desk, file, link, self.stick, self.durable)

    def trip(self, approve: bytes | None = None, data: bytes | None = None) -> list[Event]:
        """Make a trip: the county's newest file (or `data`) out, the answer back and taken."""
        self.stick.mkdir(parents=True, exist_ok=True)
        trip = self.open(trip_data(self.county, self.name) if data is None else data)
        if approve is not None:
            trip.desk.approve(approve)
        events = trip.finish()
        self.bring()
        return events

    def answer(self) -> TripFile:
        """Read the answer that lies on the stick."""
        return TripFile(io.BytesIO(from_auditor_path(self.stick, self.name).read_bytes()))

    def bring(self) -> None:
        """Let the county take the answer that lies on the stick."""
        deliver(self.link, self.answer())
