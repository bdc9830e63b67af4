"""The enrolment port: one call, TLS with the server's certificate alone, for schools that have none yet.

It is a server of its own beside the one for nodes and auditors, off unless coordinator.toml says where it
listens (`enrol_listen`). Who calls is nobody until a token says otherwise, so calls are few, small and slow:
each address may fail `MAX_FAILURES` times within `WINDOW_S`, and everybody together `MAX_ALL_FAILURES` times.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

import grpc

from coordinator import errors
from coordinator.desk import Desk
from coordinator.structured_log import fields
from coordinator.tls import ServerTls, credentials_of
from plan.errors import phrase
from protos import convert
from protos import fedscreen_v1_pb2 as pb
from protos import fedscreen_v1_pb2_grpc as stubs
from protos.errors import ConvertError

MAX_FAILURES: Final = 10
MAX_ALL_FAILURES: Final = 200
WINDOW_S: Final = 600.0
MAX_ADDRESSES: Final = 4096
THREADS: Final = 2
MAX_WAITING: Final = 16
_LOGGER = logging.getLogger("fedscreen." + __name__)
_CODE_KEY = "fedscreen-code"


class Brake:
    """Counts failures by address; threads share it."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._failures: dict[str, deque[float]] = {}

    def is_open(self, address: str) -> bool:
        """Tell whether an address may try."""
        with self._lock:
            self._forget()
            total = sum(len(times) for times in self._failures.values())
            return total < MAX_ALL_FAILURES and len(self._failures.get(address, ())) < MAX_FAILURES

    def note_failure(self, address: str) -> None:
        """Count a failure."""
        with self._lock:
            if address not in self._failures and len(self._failures) >= MAX_ADDRESSES:
                self._failures.pop(next(iter(self._failures)))
            self._failures.setdefault(address, deque(maxlen=MAX_FAILURES)).append(self._clock_s())

    def _forget(self) -> None:
        oldest = self._clock_s() - WINDOW_S
        for address, times in list(self._failures.items()):
            while times and times[0] <= oldest:
                times.popleft()
            if not times:
                del self._failures[address]


class EnrolmentService(stubs.EnrolmentServiceServicer):
    """The one call."""

    def __init__(self, desk: Desk, brake: Brake) -> None:
        self._desk = desk
        self._brake = brake

    def Enrol(self, request: pb.EnrolRequest, context: grpc.ServicerContext) -> pb.EnrolResponse:  # noqa: N802
        """Enrol a school by its token."""
        address = _address(context.peer())
        if not self._brake.is_open(address):
            _abort(context, grpc.StatusCode.RESOURCE_EXHAUSTED, "too-many-attempts", "try again later")
        try:
            return pb.EnrolResponse(grant=self._desk.enrol_by_token(*convert.parse_enrol_request(request)))
        except (errors.CoordinatorError, ConvertError) as err:
            self._brake.note_failure(address)
            code = err.code if isinstance(err, errors.CoordinatorError) else "malformed"
            _LOGGER.info("enrolment refused", extra=fields(code=code))
            is_refusal = isinstance(err, errors.EnrolmentRefusedError | errors.AlreadyEnrolledError)
            is_refusal = is_refusal or isinstance(err, errors.TokenRefusedError | errors.CertificateError)
            if is_refusal or isinstance(err, ConvertError):
                _abort(context, grpc.StatusCode.PERMISSION_DENIED, code, str(err))
            _abort(context, grpc.StatusCode.UNAVAILABLE, code, "the coordinator cannot answer now; try again")
        raise AssertionError  # for mypy: `_abort` raises


def _abort(context: grpc.ServicerContext, status: grpc.StatusCode, code: str, text: str) -> None:
    context.set_trailing_metadata(((_CODE_KEY, code),))
    context.abort(status, text)


def _address(peer: str) -> str:
    """Cut the port off: an address is an address from whatever port it calls."""
    return peer.rpartition(":")[0]


@contextmanager
def serving_enrolment(desk: Desk, listen: str, current: Callable[[], ServerTls]) -> Iterator[int]:
    """Serve the enrolment port while the block runs; yields the port, 0 where it is off.

    Args:
        desk: the coordinator.
        listen: host:port; empty for off.
        current: gives the server's certificate as it is now.

    Raises:
        ConfigError: the address cannot be bound.
    """
    if not listen:
        yield 0
        return
    server = grpc.server(
        ThreadPoolExecutor(THREADS, thread_name_prefix="enrol"),
        options=[
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", 2 * convert.MAX_REQUEST_FILE_BYTES),
            ("grpc.max_connection_age_ms", 60_000),
        ],
        maximum_concurrent_rpcs=MAX_WAITING,
    )
    stubs.add_EnrolmentServiceServicer_to_server(EnrolmentService(desk, Brake()), server)  # type: ignore[no-untyped-call,unused-ignore]
    try:
        port = server.add_secure_port(listen, credentials_of(current, is_for_clients=False))
    except RuntimeError as err:
        raise _not_bound(listen) from err
    if port == 0:
        raise _not_bound(listen)
    server.start()
    try:
        yield port
    finally:
        server.stop(2).wait()


def _not_bound(listen: str) -> errors.ConfigError:
    return errors.ConfigError(
        phrase("enrol_listen: %(listen)s cannot be bound; is another server running?", listen=listen)
    )
