"""What the service gives one caller, one connection and one call: the ``[limits]`` table of coordinator.toml.

The defaults are wide for a school and an auditor that work as they should, and narrow for a program that
runs wild: one school can take about one hundredth of a core, and hold a worker for `receive_s`.
Counts are kept by each process; behind one address with N coordinators a caller may have N times as much.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

PerMinute = Annotated[int, Field(ge=1, le=10_000_000)]
AtOnce = Annotated[int, Field(ge=1, le=1_000)]
Mebibytes = Annotated[int, Field(ge=1, le=1_000_000)]
CallSeconds = Annotated[float, Field(ge=0.05, le=86_400)]


class Limits(BaseModel):
    """Limits of the gRPC service.

    Attributes:
        node_calls_per_minute: calls of one school, in the long run.
        node_burst: calls that a school may make on top of that after a pause.
        node_calls_at_once: calls of one school that run at the same time.
        node_mib_per_hour: MiB that one school may send within an hour.
        auditor_calls_per_minute, auditor_burst, auditor_calls_at_once, auditor_mib_per_hour: of an auditor.
        calls_waiting: calls that wait or run, of everybody together; more are refused.
        message_mib: largest message, either way.
        header_kib: largest set of headers of one call.
        receive_s: within this time a request must have arrived whole.
        answer_s: within this time a call must be answered.
        stream_s: within this time a stream (boxes, vectors, sums) must have been read.
        stream_threads: threads that streams have for themselves, so that reports do not wait for them.
        handshake_s: within this time a new connection must have shown its certificate.
        idle_s: a connection without a call is closed after this time.
        streams_per_connection: calls at the same time on one connection.
        ping_s: a silent connection is asked after this time whether it is alive.
        ping_timeout_s: and is closed when nothing came after that long.
        least_ping_s: clients that ping more often without a call are cut off.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, strict=True)

    node_calls_per_minute: PerMinute = 600
    node_burst: PerMinute = 600
    node_calls_at_once: AtOnce = 4
    node_mib_per_hour: Mebibytes = 256
    auditor_calls_per_minute: PerMinute = 6_000
    auditor_burst: PerMinute = 6_000
    auditor_calls_at_once: AtOnce = 8
    auditor_mib_per_hour: Mebibytes = 2_048
    calls_waiting: Annotated[int, Field(ge=1, le=1_000_000)] = 4_096
    message_mib: Annotated[int, Field(ge=1, le=64)] = 64
    header_kib: Annotated[int, Field(ge=1, le=64)] = 16
    receive_s: CallSeconds = 60.0
    answer_s: CallSeconds = 120.0
    stream_s: CallSeconds = 900.0
    stream_threads: AtOnce = 4
    handshake_s: CallSeconds = 20.0
    idle_s: Annotated[float, Field(ge=1, le=31_536_000)] = 1_800.0
    streams_per_connection: AtOnce = 32
    ping_s: Annotated[float, Field(ge=1, le=86_400)] = 120.0
    ping_timeout_s: Annotated[float, Field(ge=1, le=86_400)] = 20.0
    least_ping_s: Annotated[float, Field(ge=0, le=86_400)] = 20.0
