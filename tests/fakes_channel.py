"""Callers of a coordinator's gRPC port in tests: certificates by the county's CA, and what they may call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import grpc
import pytest
from fakes_coordinator import County, csr, tls_key_pem
from grpc_health.v1 import health_pb2, health_pb2_grpc

from coordinator import ca
from coordinator.service import CODE_KEY
from protos import fedscreen_v1_pb2 as pb
from protos import fedscreen_v1_pb2_grpc as stubs

CALL_S = 20.0


@dataclass
class Party:
    """A caller with its channel, open until the block ends."""

    channel: grpc.Channel
    log: stubs.LogServiceStub
    node: stubs.NodeServiceStub
    auditor: stubs.AuditorServiceStub

    def get_log(self) -> pb.GetLogResponse:
        """Make the call that anybody may make."""
        return self.log.GetLog(pb.GetLogRequest(max_entries=1), timeout=CALL_S)

    def health(self, service: str = "") -> str:
        """Ask how the process stands."""
        stub = health_pb2_grpc.HealthStub(self.channel)
        answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=CALL_S)
        return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)


def certify(county: County, name: str) -> str:
    """Issue a certificate for a party's key, valid by the real clock, which TLS looks at; PEM."""
    role = "node" if name in county.schools else "auditor"
    uri = ca.uri_of(county.config.federation, role, name)
    return ca.issue_client(county.desk.home.authority, csr(name), uri, 90, datetime.now(UTC))


@contextmanager
def as_party(county: County, port: int, name: str, certificate: str = "") -> Iterator[Party]:
    """Open a channel as a school or an auditor."""
    credentials = grpc.ssl_channel_credentials(
        county.desk.home.authority.certificate_pem.encode(),
        tls_key_pem(name),
        (certificate or certify(county, name)).encode(),
    )
    options = [
        ("grpc.ssl_target_name_override", county.config.server_name),
        ("grpc.enable_http_proxy", 0),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.max_send_message_length", -1),
    ]
    with grpc.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel:
        yield Party(
            channel,
            stubs.LogServiceStub(channel),
            stubs.NodeServiceStub(channel),
            stubs.AuditorServiceStub(channel),
        )


@contextmanager
def refused(code: grpc.StatusCode, word: str = "") -> Iterator[None]:
    """Expect a refusal with a status and, if given, our word for it."""
    with pytest.raises(grpc.RpcError) as caught:
        yield
    assert caught.value.code() is code, caught.value.details()
    if word:
        found = [(item.key, str(item.value)) for item in caught.value.trailing_metadata() or ()]
        assert (CODE_KEY, word) in found
