"""What monitoring is told: names and labels by allow-list, and no count of few."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from coordinator import metrics
from coordinator.metrics import FLOOR, NAMES, Measures, Surroundings, exposition

AROUND = Surroundings(
    version="1.2.3",
    is_ready=lambda: True,
    is_draining=lambda: False,
    started=datetime(2026, 10, 1, tzinfo=UTC),
    certificate_expires=lambda: datetime(2027, 1, 1, tzinfo=UTC),
    disk_free=lambda: 10**9,
)


def scrape(measures: Measures) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = exposition(measures, AROUND)().decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def busy() -> Measures:
    measures = Measures()
    for number in range(37):
        measures.call("/fedscreen.v1.NodeService/SubmitReport", "ok", 0.001 * number)
    measures.call("/fedscreen.v1.NodeService/SubmitReport", "already-reported", 0.01)
    measures.call("/somebody.Else/Probe", "ok", 0.01)
    measures.tick(is_good=False)
    return measures


def test_only_names_and_labels_of_the_list() -> None:
    for name, labels in scrape(busy()):
        base = name.removesuffix("_total").removesuffix("_bucket").removesuffix("_count").removesuffix("_sum")
        assert base in NAMES, name
        assert {key for key, _ in labels} <= {*NAMES[base], "le"}


@pytest.mark.parametrize("number", [1, FLOOR - 1, FLOOR, 3 * FLOOR + 7])
def test_counts_of_calls_are_shown_in_steps(number: int) -> None:
    measures = Measures()
    for _ in range(number):
        measures.call("/fedscreen.v1.NodeService/SubmitReport", "ok", 0.01)
    found = scrape(measures)
    labels = (("code", "ok"), ("method", "SubmitReport"))
    shown = number // FLOOR * FLOOR
    assert found["fedscreen_calls_total", labels] == shown
    assert found["fedscreen_call_seconds_count", (("method", "SubmitReport"),)] == shown
    buckets = [value for (name, _), value in found.items() if name == "fedscreen_call_seconds_bucket"]
    assert all(value % FLOOR == 0 for value in buckets)
    assert bool(shown) == (found["fedscreen_call_seconds_sum", (("method", "SubmitReport"),)] > 0)


def test_one_more_call_cannot_be_told_apart_within_a_step() -> None:
    measures = busy()
    before = {key: value for key, value in scrape(measures).items() if key[0].startswith("fedscreen_call")}
    measures.call("/fedscreen.v1.NodeService/SubmitReport", "ok", 0.001)
    after = {key: value for key, value in scrape(measures).items() if key[0].startswith("fedscreen_call")}
    assert after == before


def test_methods_of_others_are_one_label() -> None:
    methods = {dict(labels).get("method") for _, labels in scrape(busy())} - {None}
    assert methods == {"SubmitReport", "other"}


def test_a_family_outside_of_the_list_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    class Telltale(Collector):
        def __init__(self, *_arguments: object, **_named: object) -> None:
            """Stand in for the collector of process figures."""

        def collect(self) -> list[GaugeMetricFamily]:
            secret = GaugeMetricFamily("fedscreen_reports_of_a_round", "small", labels=("school",))
            secret.add_metric(("s01",), 3)
            labelled = GaugeMetricFamily("fedscreen_ready", "with a label", labels=("school",))
            labelled.add_metric(("s01",), 1)
            return [secret, labelled]

    monkeypatch.setattr(metrics, "ProcessCollector", Telltale)
    text = exposition(Measures(), AROUND)().decode()
    assert "s01" not in text
    assert "reports_of_a_round" not in text


def test_state_and_machine_are_told() -> None:
    found = scrape(busy())
    assert found["fedscreen_ready", ()] == 1
    assert found["fedscreen_build", (("version", "1.2.3"),)] == 1
    assert found["fedscreen_tick_failures_total", ()] == 1
    assert found["fedscreen_tick_age_seconds", ()] >= 0
    assert found["process_resident_memory_bytes", ()] > 0
    assert found["process_open_fds", ()] % FLOOR == 0
