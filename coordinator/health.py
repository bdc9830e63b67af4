"""Whether this process should be given calls: one answer for gRPC health, for HTTP and for the metrics.

States: starting → serving → draining. Ready is: serving, and the database answers. The gRPC service is
grpc.health.v1 (``Check``; a ``Watch`` would hold a thread per watcher and is refused), on the same port and
under the same certificates as everything else; HTTP without a certificate is ``coordinator.admin_http``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped,unused-ignore]

from coordinator.errors import CoordinatorError

SERVICES = (
    "",
    "fedscreen.v1.LogService",
    "fedscreen.v1.NodeService",
    "fedscreen.v1.AuditorService",
    "fedscreen.v1.CertificateService",
)
PROBE_S = 1.0  # the database is asked at most so often, however often we are


class Readiness:
    """The state of one process; threads share it."""

    def __init__(self, probe: Callable[[], None]) -> None:
        """Begin in the state "starting".

        Args:
            probe: reads something from the database; raises CoordinatorError if that fails.
        """
        self._probe = probe
        self._lock = threading.Lock()
        self._probed_s = float("-inf")
        self._is_answering = False
        self._state = "starting"

    def serve(self) -> None:
        """Calls are taken from now on."""
        self._state = "serving"

    def drain(self) -> None:
        """No new calls are taken from now on."""
        self._state = "draining"

    def is_draining(self) -> bool:
        """Tell whether the process is about to stop."""
        return self._state == "draining"

    def is_ready(self) -> bool:
        """Tell whether this process should be given calls."""
        return self.reason() == "ready"

    def reason(self) -> str:
        """Say in one word how it stands: ready, starting, draining or store."""
        if self._state != "serving":
            return self._state
        return "ready" if self._database_answers() else "store"

    def _database_answers(self) -> bool:
        with self._lock:
            if time.monotonic() - self._probed_s >= PROBE_S:
                try:
                    self._probe()
                    self._is_answering = True
                except CoordinatorError:
                    self._is_answering = False
                self._probed_s = time.monotonic()
            return self._is_answering


class HealthService(health_pb2_grpc.HealthServicer):  # type: ignore[misc,unused-ignore]
    """grpc.health.v1 without Watch."""

    def __init__(self, readiness: Readiness) -> None:
        self._readiness = readiness

    def Check(  # noqa: N802
        self, request: health_pb2.HealthCheckRequest, context: grpc.ServicerContext
    ) -> health_pb2.HealthCheckResponse:
        """Answer SERVING or NOT_SERVING for the whole process or one of its services."""
        answer = health_pb2.HealthCheckResponse
        if request.service not in SERVICES:
            context.set_code(grpc.StatusCode.NOT_FOUND)
            context.set_details("no such service")
            return answer()
        is_ready = self._readiness.is_ready()
        return answer(status=answer.SERVING if is_ready else answer.NOT_SERVING)
