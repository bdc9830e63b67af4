"""What every call passes: who is refused at once, how much one caller may, and what slow ones can hold up."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from fakes_channel import CALL_S, as_party, certify, refused
from fakes_coordinator import County, small_config

from coordinator.config import Config
from coordinator.denied import deny_certificate
from coordinator.errors import CertificateDeniedError, RevokedError
from coordinator.gate import Gate
from coordinator.identity import identify, serial_of
from coordinator.limits import Limits
from coordinator.serve import drain
from coordinator.service import Service, make_service
from coordinator.tls import TlsFiles
from protos import fedscreen_v1_pb2 as pb

Code = grpc.StatusCode
ROOT = Path(__file__).resolve().parents[2]
SUBMIT = "/fedscreen.v1.NodeService/SubmitReport"
PARTIES = ("s06", "a4", "s05")


@contextmanager
def serving(county: County, **limits: object) -> Iterator[Service]:
    """A server in this process, with other limits than the default."""
    config = county.desk.home.config.model_copy(update={"limits": Limits(**limits)})  # type: ignore[arg-type]
    object.__setattr__(county.desk.home, "config", config)
    service = make_service(
        county.desk,
        TlsFiles(county.desk.home, ("127.0.0.1",), lambda: datetime.now(UTC)).current,
        "127.0.0.1:0",
        lambda: datetime.now(UTC),
    )
    service.server.start()
    service.readiness.serve()
    try:
        yield service
    finally:
        service.server.stop(None).wait()


@contextmanager
def process(folder: Path) -> Iterator[dict[str, Any]]:
    """A coordinator's process; gives its ports and what stops it."""
    words = [
        "coordinator",
        "serve",
        "--dir",
        str(folder),
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
    ]
    with subprocess.Popen(
        [sys.executable, "-m", "fedscreen", *words, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    ) as child:
        try:
            yield {"child": child, "port": partial(_port, child), "log": child.stderr}
        finally:
            child.kill()


def _port(child: subprocess.Popen[str]) -> int:
    assert child.stdout
    return int(json.loads(child.stdout.readline())["address"].rpartition(":")[2])


# -- refused within one call ---------------------------------------------------------------------


def test_the_revoked_are_refused_by_every_process_at_their_next_call_on_open_channels(
    collecting: County,
) -> None:
    with ExitStack() as stack:
        children = [stack.enter_context(process(collecting.directory)) for _ in range(2)]
        ports = [child["port"]() for child in children]
        s06, a4, s05 = (
            [stack.enter_context(as_party(collecting, port, name)) for port in ports]
            for name in ("s06", "a4", "s05")
        )
        for party in (*s06, *a4, *s05):
            party.get_log()  # every channel is open and has been answered
        collecting.desk.revoke("node", "s06", "key-lost")  # a third process on the same database
        for party in s06:
            with refused(Code.PERMISSION_DENIED, "revoked"):
                party.get_log()
        collecting.desk.revoke("auditor", "a4", "key-lost")
        for party in a4:
            with refused(Code.PERMISSION_DENIED, "revoked"):
                party.auditor.ListProposals(pb.ListProposalsRequest(), timeout=CALL_S)
            with refused(Code.PERMISSION_DENIED, "revoked"):
                party.get_log()
        deny(collecting, certificate := certify(collecting, "s05"), "s05")
        for port in ports:
            party = stack.enter_context(as_party(collecting, port, "s05", certificate))
            with refused(Code.UNAUTHENTICATED, "certificate-denied"):
                party.get_log()
        for party in s05:
            party.get_log()  # the newer certificate of the same school still serves
        for child in children:
            child["child"].send_signal(signal.SIGTERM)
        assert [child["child"].wait(20) for child in children] == [0, 0]
        log = [json.loads(line) for line in children[0]["log"]]
    refusals = [row for row in log if row["event"] == "refused"]
    assert {row["code"] for row in refusals} == {"revoked", "certificate-denied"}
    assert [row["event"] for row in log][-2:] == ["draining", "stopped"]
    assert "s06" not in json.dumps(log)


def deny(county: County, certificate: str, name: str) -> bool:
    serial = serial_of(x509.load_pem_x509_certificate(certificate.encode()))
    with county.desk.book.writing("deny") as view:
        return deny_certificate(view.connection, serial, "node", name, "renewed", county.clock)


def test_a_certificate_is_denied_once_and_on_an_open_channel(collecting: County) -> None:
    certificate = certify(collecting, "s01")
    with serving(collecting) as service, as_party(collecting, service.port, "s01", certificate) as party:
        party.get_log()
        assert deny(collecting, certificate, "s01")
        assert not deny(collecting, certificate, "s01")
        with refused(Code.UNAUTHENTICATED, "certificate-denied"):
            party.get_log()


def test_a_revocation_is_found_behind_many_entries(collecting: County) -> None:
    with serving(collecting) as service, as_party(collecting, service.port, "s06") as party:
        party.get_log()
        collecting.report(collecting.round_id, ["s01", "s02"])
        collecting.desk.revoke("node", "s06", "key-lost")
        collecting.report(collecting.round_id, ["s03"])
        with refused(Code.PERMISSION_DENIED, "revoked"):
            party.get_log()


def test_another_process_refuses_at_once_on_either_database(
    make_county: Callable[..., County], address: str
) -> None:
    county = make_county(config=small_config(database=address))
    county.collecting()
    other = county.open()  # as another process: nothing in memory is shared
    try:
        callers = [
            identify(certify(county, name).encode(), "county-1", datetime.now(UTC)) for name in PARTIES
        ]
        for caller in callers:
            other.verify_caller(caller)
        county.desk.revoke("node", "s06", "key-lost")
        county.report(county.round_id, ["s01"])
        county.desk.revoke("auditor", "a4", "key-lost")
        with county.desk.book.writing("deny") as view:
            deny_certificate(view.connection, callers[2].serial, "node", "s05", "renewed", county.clock)
        for caller, error in zip(callers, (RevokedError, RevokedError, CertificateDeniedError), strict=True):
            with pytest.raises(error):
                other.verify_caller(caller)
        other.verify_caller(identify(certify(county, "s01").encode(), "county-1", datetime.now(UTC)))
    finally:
        other.close()


def test_who_is_refused_learns_nothing_of_other_errors(
    collecting: County, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise ValueError("pupil 17 of class 3")

    with serving(collecting) as service, as_party(collecting, service.port, "s01") as party:
        monkeypatch.setattr(collecting.desk, "get_log", fail)
        with pytest.raises(grpc.RpcError) as caught:
            party.get_log()
    assert caught.value.code() is Code.UNAVAILABLE
    assert "pupil" not in (caught.value.details() or "")


def test_a_stream_that_runs_ends_with_the_revocation_of_its_reader(
    agreed: County, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last box would be sent half an hour after the key was reported stolen."""
    go_on = threading.Event()

    def boxes(_auditor: str, _round: bytes) -> Iterator[tuple[bytes, bytes]]:
        yield bytes(32), b"first"
        go_on.wait(CALL_S)
        yield bytes(32), b"second"

    monkeypatch.setattr(agreed.desk, "get_boxes", boxes)
    monkeypatch.setattr("coordinator.gate.LOOK_S", 0.0)
    with serving(agreed) as service, as_party(agreed, service.port, "a4") as party:
        stream = party.auditor.GetBoxes(pb.GetBoxesRequest(round_id=agreed.round_id), timeout=CALL_S)
        assert next(stream).box == b"first"
        agreed.desk.revoke("auditor", "a4", "key-lost")
        go_on.set()
        with refused(Code.PERMISSION_DENIED, "revoked"):
            next(stream)


# -- how much one caller may ---------------------------------------------------------------------


def test_one_caller_cannot_use_up_the_others_share(collecting: County) -> None:
    with serving(collecting, node_burst=3, node_calls_per_minute=1) as service, ExitStack() as stack:
        first, second, other = (
            stack.enter_context(as_party(collecting, service.port, name)) for name in ("s01", "s01", "s02")
        )
        first.get_log()
        second.get_log()  # another connection of the same school
        first.get_log()
        for party in (first, second):
            with refused(Code.RESOURCE_EXHAUSTED, "too-many-calls"):
                party.get_log()
        other.get_log()


def test_bytes_are_counted_before_they_are_read(collecting: County) -> None:
    with (
        serving(collecting, node_mib_per_hour=1) as service,
        as_party(collecting, service.port, "s01") as party,
    ):
        request = pb.SubmitReportRequest(payload=bytes(600_000))
        with refused(Code.INVALID_ARGUMENT):
            party.node.SubmitReport(request, timeout=CALL_S)
        with refused(Code.RESOURCE_EXHAUSTED, "quota-used"):
            party.node.SubmitReport(request, timeout=CALL_S)
        party.get_log()


def test_a_message_that_is_too_large_is_refused(collecting: County) -> None:
    with serving(collecting, message_mib=1) as service, as_party(collecting, service.port, "s01") as party:
        with refused(Code.RESOURCE_EXHAUSTED):
            party.node.SubmitReport(pb.SubmitReportRequest(payload=bytes(2**20 + 100)), timeout=CALL_S)
        party.get_log()


@pytest.mark.parametrize("data", [b"\xff\xff\xff", b""], ids=["no protobuf", "empty message"])
def test_bytes_that_are_no_request(collecting: County, data: bytes) -> None:
    with serving(collecting) as service, as_party(collecting, service.port, "s01") as party:
        call = party.channel.unary_unary(SUBMIT)
        with refused(Code.INVALID_ARGUMENT, "malformed"):
            call(data, timeout=CALL_S)


# -- slow clients --------------------------------------------------------------------------------


class _Drip:
    """A request stream that never sends its message."""

    def __init__(self) -> None:
        self._end = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        self._end.wait(CALL_S)
        return iter(())

    def stop(self) -> None:
        self._end.set()


def test_who_never_sends_the_request_is_cut_off(collecting: County) -> None:
    with (
        serving(collecting, receive_s=0.2) as service,
        as_party(collecting, service.port, "s01") as party,
    ):
        drip = _Drip()
        call = party.channel.stream_unary(SUBMIT).future(iter_lazily(drip))
        wait_for(lambda: service.gate.running.num_running == 1)
        time.sleep(0.25)
        assert service.gate.running.cancel() == 1
        assert call.code() is Code.CANCELLED
        drip.stop()
        wait_for(lambda: service.gate.running.num_running == 0)
        party.get_log()
        assert ("SubmitReport", "too-slow") in service.measures._calls


def iter_lazily(drip: _Drip) -> Iterator[bytes]:
    yield from drip


def test_slow_schools_hold_no_more_workers_than_they_may(collecting: County) -> None:
    with serving(collecting, node_calls_at_once=2) as service, ExitStack() as stack:
        party = stack.enter_context(as_party(collecting, service.port, "s01"))
        drips = [_Drip() for _ in range(2)]
        calls = [party.channel.stream_unary(SUBMIT).future(iter_lazily(drip)) for drip in drips]
        wait_for(lambda: service.gate.running.num_running == 2)
        with refused(Code.RESOURCE_EXHAUSTED, "too-many-calls"):
            party.get_log()
        stack.enter_context(as_party(collecting, service.port, "s02")).get_log()
        for call, drip in zip(calls, drips, strict=True):
            call.cancel()
            drip.stop()
        wait_for(lambda: service.gate.running.num_running == 0)
        party.get_log()


def test_slow_readers_of_streams_hold_up_no_report(agreed: County, monkeypatch: pytest.MonkeyPatch) -> None:
    end = threading.Event()

    def drip(_auditor: str, _round: bytes) -> Iterator[tuple[bytes, bytes]]:
        end.wait(CALL_S)
        return iter(())

    monkeypatch.setattr(agreed.desk, "get_boxes", drip)
    home = agreed.desk.home
    object.__setattr__(home, "config", home.config.model_copy(update={"threads": 4}))
    with serving(agreed, stream_threads=1) as service, ExitStack() as stack:
        auditors = [stack.enter_context(as_party(agreed, service.port, name)) for name in ("a1", "a2", "a3")]
        request = pb.GetBoxesRequest(round_id=agreed.round_id)
        streams = [
            party.auditor.GetBoxes(request, timeout=CALL_S) for party in auditors for _ in range(4)
        ]  # more than the server has threads for calls
        wait_for(lambda: service.gate.running.num_running == 1)
        stack.enter_context(as_party(agreed, service.port, "s01")).get_log()
        end.set()
        assert [list(stream) for stream in streams] == [[]] * len(streams)


# -- health and drain ----------------------------------------------------------------------------


def test_health_follows_the_state_of_the_process(collecting: County, monkeypatch: pytest.MonkeyPatch) -> None:
    from coordinator import health
    from coordinator.errors import StoreError

    monkeypatch.setattr(health, "PROBE_S", 0.0)

    def fail() -> None:
        raise StoreError("locked")

    with serving(collecting) as service, as_party(collecting, service.port, "s01") as party:
        assert party.health() == "SERVING"
        assert party.health("fedscreen.v1.NodeService") == "SERVING"
        with refused(Code.NOT_FOUND):
            party.health("another.Service")
        monkeypatch.setattr(service.readiness, "_probe", fail)
        assert party.health() == "NOT_SERVING"


def test_a_drain_lets_calls_finish_and_refuses_new_ones(
    collecting: County, monkeypatch: pytest.MonkeyPatch
) -> None:
    end, answer = threading.Event(), collecting.desk.get_log

    def slow(*arguments: Any) -> Any:
        end.wait(CALL_S)
        return answer(*arguments)

    with serving(collecting) as service, as_party(collecting, service.port, "s01") as party:
        party.get_log()
        monkeypatch.setattr(collecting.desk, "get_log", slow)
        running = party.log.GetLog.future(pb.GetLogRequest(max_entries=1), timeout=CALL_S)
        wait_for(lambda: service.gate.running.num_running == 1)
        draining = threading.Thread(target=drain, args=(service, collecting.desk.home.config))
        draining.start()
        wait_for(service.readiness.is_draining)
        with refused(Code.UNAVAILABLE, "draining"):
            party.get_log()
        assert party.health() == "NOT_SERVING"
        end.set()
        assert running.result().latest
        draining.join(CALL_S)
        assert not draining.is_alive()
        with refused(Code.UNAVAILABLE):
            party.get_log()


def test_a_drain_does_not_wait_longer_than_it_may(collecting: County) -> None:
    config = Config(federation="county-1", drain_s=0.2)
    with serving(collecting) as service, as_party(collecting, service.port, "s01") as party:
        drip = _Drip()
        call = party.channel.stream_unary(SUBMIT).future(iter_lazily(drip))
        wait_for(lambda: service.gate.running.num_running == 1)
        start = time.monotonic()
        drain(service, config)
        assert time.monotonic() - start < 5
        drip.stop()
        assert call.code() in (Code.UNAVAILABLE, Code.CANCELLED)


# -- reflection ----------------------------------------------------------------------------------


@pytest.mark.parametrize("is_on", [False, True])
def test_reflection_only_where_it_is_switched_on(collecting: County, is_on: bool) -> None:
    from grpc_reflection.v1alpha import reflection_pb2 as wire
    from grpc_reflection.v1alpha import reflection_pb2_grpc

    home = collecting.desk.home
    object.__setattr__(home, "config", home.config.model_copy(update={"reflection": is_on}))
    with serving(collecting) as service, as_party(collecting, service.port, "s01") as party:
        stub = reflection_pb2_grpc.ServerReflectionStub(party.channel)
        answers = stub.ServerReflectionInfo(
            iter([wire.ServerReflectionRequest(list_services="")]), timeout=CALL_S
        )
        if is_on:
            names = {row.name for row in next(answers).list_services_response.service}
            assert "fedscreen.v1.NodeService" in names
        else:
            with refused(Code.UNIMPLEMENTED):
                next(answers)


def test_the_gate_stands_before_every_service(collecting: County) -> None:
    with serving(collecting) as service:
        assert isinstance(service.gate, Gate)
        assert service.server._state.interceptor_pipeline.interceptors == (service.gate,)


def wait_for(is_so: Callable[[], bool], within_s: float = CALL_S) -> None:
    end = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.005)
