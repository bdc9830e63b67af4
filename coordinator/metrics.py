"""What a coordinator tells a monitoring system: an allow-list of figures, none of which counts few people.

Rules:
1. Every name that may be exported stands in `NAMES`, with the labels that it may carry. No label names a
   school, an auditor, a round or an address.
2. What counts calls or connections is shown in steps of `FLOOR`, rounded down: neither a value nor the
   difference of two scrapes tells how many schools of a small round have reported.
3. Nothing of a report is in it: no size, no cell, no number of pupils.

Format: Prometheus text, version 0.0.4, on the loopback admin port (``coordinator.admin_http``).
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

FLOOR = 10
BOUNDS_S = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0)
NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "fedscreen_build": ("version",),
        "fedscreen_ready": (),
        "fedscreen_draining": (),
        "fedscreen_started_timestamp_seconds": (),
        "fedscreen_calls": ("method", "code"),
        "fedscreen_call_seconds": ("method",),
        "fedscreen_tick_age_seconds": (),
        "fedscreen_tick_failures": (),
        "fedscreen_server_certificate_expires_timestamp_seconds": (),
        "fedscreen_disk_free_bytes": (),
        "process_virtual_memory_bytes": (),
        "process_resident_memory_bytes": (),
        "process_start_time_seconds": (),
        "process_cpu_seconds": (),
        "process_open_fds": (),
        "process_max_fds": (),
    }
)
STEPPED = frozenset({"process_open_fds"})  # one more is one more school that is connected
METHODS = frozenset(
    {
        *("GetLog", "SubmitReport", "ListProposals", "SignRoster", "SubmitCosignature", "SubmitStatement"),
        *("SubmitOpening", "GetBoxes", "GetVectors", "GetSums", "Check", "Renew", "Enrol"),
    }
)
OTHER = "other"


@dataclass(slots=True)
class _Durations:
    counts: list[int]
    total_s: float = 0.0
    shown_s: float = 0.0  # `total_s` when the number of calls was last a multiple of `FLOOR`


class Measures:
    """Counts of one process; threads share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: Counter[tuple[str, str]] = Counter()
        self._durations: dict[str, _Durations] = {}
        self._tick_failures = 0
        self.ticked_s: float | None = None

    def call(self, method: str, code: str, seconds: float) -> None:
        """Count a call that is over; `code` is a word of ours."""
        name = method.rpartition("/")[2]
        name = name if name in METHODS else OTHER
        with self._lock:
            self._calls[name, code] += 1
            durations = self._durations.get(name)
            if durations is None:
                durations = self._durations[name] = _Durations([0] * (len(BOUNDS_S) + 1))
            durations.counts[bisect_left(BOUNDS_S, seconds)] += 1
            durations.total_s += seconds
            if sum(durations.counts) % FLOOR == 0:
                durations.shown_s = durations.total_s

    def tick(self, *, is_good: bool) -> None:
        """Note that the driver has looked at every round."""
        with self._lock:
            self.ticked_s = time.monotonic()
            self._tick_failures += not is_good

    def families(self) -> Iterator[Metric]:
        """Give what is counted, in steps of `FLOOR`."""
        with self._lock:
            calls, failures = dict(self._calls), self._tick_failures
            durations = {name: (tuple(row.counts), row.shown_s) for name, row in self._durations.items()}
        counted = CounterMetricFamily("fedscreen_calls", "Calls, in steps of 10", labels=("method", "code"))
        for labels, number in sorted(calls.items()):
            counted.add_metric(labels, _floored(number))
        yield counted
        timed = HistogramMetricFamily(
            "fedscreen_call_seconds", "Duration, in steps of 10", labels=("method",)
        )
        for name, (counts, shown_s) in sorted(durations.items()):
            timed.add_metric((name,), _buckets(counts), sum_value=round(shown_s, 3))
        yield timed
        yield CounterMetricFamily(
            "fedscreen_tick_failures", "Looks at the rounds that failed", value=failures
        )


def _floored(number: int) -> int:
    return number - number % FLOOR


def _buckets(counts: Iterable[int]) -> list[tuple[str, float]]:
    """Give cumulative buckets in steps of `FLOOR`."""
    names = [*(str(bound) for bound in BOUNDS_S), "+Inf"]
    buckets, running = [], 0
    for name, count in zip(names, counts, strict=True):
        running += count
        buckets.append((name, float(_floored(running))))
    return buckets


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is read at the moment of a scrape.

    Attributes:
        version: of the program.
        is_ready, is_draining: the service's state.
        started: when the process began to serve.
        certificate_expires: the server certificate's end.
        disk_free: bytes left where the database lies.
    """

    version: str
    is_ready: Callable[[], bool]
    is_draining: Callable[[], bool]
    started: datetime
    certificate_expires: Callable[[], datetime]
    disk_free: Callable[[], int]


class _OwnCollector(Collector):
    def __init__(self, measures: Measures, around: Surroundings) -> None:
        self._measures = measures
        self._around = around

    def collect(self) -> Iterator[Metric]:
        around = self._around
        build = GaugeMetricFamily("fedscreen_build", "The program's version", labels=("version",))
        build.add_metric((around.version,), 1)
        yield build
        yield _gauge("fedscreen_ready", "1 while calls are answered", around.is_ready())
        yield _gauge("fedscreen_draining", "1 when the process is about to stop", around.is_draining())
        yield _gauge("fedscreen_started_timestamp_seconds", "Start of service", around.started.timestamp())
        expires = around.certificate_expires().timestamp()
        yield _gauge("fedscreen_server_certificate_expires_timestamp_seconds", "End of validity", expires)
        yield _gauge("fedscreen_disk_free_bytes", "Free where the database lies", around.disk_free())
        ticked_s = self._measures.ticked_s
        if ticked_s is not None:
            age_s = round(time.monotonic() - ticked_s, 1)
            yield _gauge("fedscreen_tick_age_seconds", "Since the last look at the rounds", age_s)
        yield from self._measures.families()


def _gauge(name: str, documentation: str, value: float) -> Metric:
    return GaugeMetricFamily(name, documentation, value=float(value))


class _Allowed(Collector):
    """Lets through what stands in `NAMES`, whoever made it."""

    def __init__(self, *inner: Collector) -> None:
        self._inner = inner

    def collect(self) -> Iterator[Metric]:
        for collector in self._inner:
            for family in collector.collect():
                if _is_allowed(family):
                    yield _stepped(family) if family.name in STEPPED else family


def _stepped(family: Metric) -> Metric:
    return _gauge(family.name, family.documentation, _floored(int(family.samples[0].value)))


def _is_allowed(family: Metric) -> bool:
    labels = NAMES.get(family.name)
    return labels is not None and all(row.labels.keys() <= {*labels, "le"} for row in family.samples)


def exposition(measures: Measures, around: Surroundings) -> Callable[[], bytes]:
    """Make the function that writes a scrape's answer."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Allowed(_OwnCollector(measures, around), ProcessCollector(registry=None)))
    return lambda: generate_latest(registry)
