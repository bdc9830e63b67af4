"""What every gRPC call passes before and after its own work, in this order:

1. A process that drains refuses new calls, as UNAVAILABLE: they are tried again. Health still answers.
2. Who calls: certificate, federation, expiry (``coordinator.identity``).
3. How often and how many at once (``coordinator.allowance``).
4. Whether party or certificate is refused meanwhile, by the database (``coordinator.denied``): so a
   revocation bites at the next call, also on a channel that is open, also in another process. A stream that
   runs is asked about again while it runs.
5. Only now the request is received, within `receive_s`, and its bytes are counted.
6. The call's own work, whose refusals become a status in ``coordinator.service``; anything unforeseen is
   answered with one fixed sentence and logged by its class alone.
7. Duration and outcome are counted.

gRPC's threads would wait for a whole request before our code is asked; so every method is registered as one
whose request is a stream of one message, which is the same on the wire. Streams of answers have threads of
their own: slow readers hold up other slow readers, and no report.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, NoReturn, cast

import grpc
from google.protobuf.message import DecodeError

from coordinator.allowance import Allowances
from coordinator.errors import DrainingError, code_of
from coordinator.identity import Caller, identify
from coordinator.limits import Limits
from coordinator.metrics import Measures
from coordinator.slow_calls import RunningCalls, Watched
from plan.errors import phrase
from protos.errors import ConvertError

LOOK_S = 1.0
HEALTH = "/grpc.health.v1.Health/"
_CALLER: ContextVar[Caller] = ContextVar("caller")
Refuse = Callable[[grpc.ServicerContext, Exception], NoReturn]


def current_caller() -> Caller:
    """Give who makes the call that this thread answers; the gate has let it in."""
    return _CALLER.get()


@dataclass(frozen=True, slots=True)
class House:
    """What the gate asks about a caller.

    Attributes:
        federation: whose certificates count.
        verify: raises for a revoked party or a denied certificate.
        is_draining: whether this process is about to stop.
        now: the clock, UTC.
    """

    federation: str
    verify: Callable[[Caller], None]
    is_draining: Callable[[], bool]
    now: Callable[[], datetime]


class Gate(grpc.ServerInterceptor):  # type: ignore[misc,unused-ignore]
    """The one interceptor of the service."""

    def __init__(self, house: House, limits: Limits, refuse: Refuse, measures: Measures) -> None:
        self._house = house
        self._limits = limits
        self._refuse = refuse
        self._measures = measures
        self._allowances = Allowances(limits, time.monotonic)
        self.running = RunningCalls(time.monotonic)
        self._handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
        self._streams = ThreadPoolExecutor(limits.stream_threads, thread_name_prefix="stream")

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Give the guarded form of a method's handler."""
        method = str(handler_call_details.method)
        made = self._handlers.get(method)
        if made is None:
            inner = continuation(handler_call_details)
            if inner is None:
                return None  # no such method; gRPC says so
            made = self._handlers[method] = self._guarded(method, inner)
        return made

    def _guarded(self, method: str, inner: Any) -> grpc.RpcMethodHandler[Any, Any]:
        if inner.response_streaming:
            work = partial(self._stream, method, inner)
            work.experimental_thread_pool = self._streams  # type: ignore[attr-defined]
            return grpc.stream_stream_rpc_method_handler(work)
        return grpc.stream_unary_rpc_method_handler(partial(self._answer, method, inner))

    def _answer(
        self, method: str, inner: Any, requests: Iterator[bytes], context: grpc.ServicerContext
    ) -> bytes:
        with self._admitted(method, context) as (caller, watched):
            request = self._receive(inner, requests, caller)
            self.running.go_on(watched, self._limits.answer_s)
            return cast(bytes, inner.response_serializer(inner.unary_unary(request, context)))
        raise AssertionError  # for mypy: `_admitted` swallows nothing

    def _stream(
        self, method: str, inner: Any, requests: Iterator[bytes], context: grpc.ServicerContext
    ) -> Iterator[bytes]:
        with self._admitted(method, context) as (caller, watched):
            if inner.request_streaming:
                self.running.go_on(watched, self._limits.stream_s)
                answers = inner.stream_stream(map(inner.request_deserializer, requests), context)
            else:
                request = self._receive(inner, requests, caller)
                self.running.go_on(watched, self._limits.stream_s)
                answers = inner.unary_stream(request, context)
            for answer in self._while_let_in(caller, answers):
                yield inner.response_serializer(answer)

    def _while_let_in(self, caller: Caller, answers: Iterator[Any]) -> Iterator[Any]:
        """Give a stream's answers as long as its caller is not refused meanwhile; asked once in `LOOK_S`."""
        asked_s = time.monotonic()
        for answer in answers:
            if time.monotonic() - asked_s >= LOOK_S:
                self._house.verify(caller)
                asked_s = time.monotonic()
            yield answer

    def _receive(self, inner: Any, requests: Iterator[bytes], caller: Caller) -> Any:
        data = next(requests, None)
        if data is None:
            raise ConvertError("a call without a message")
        self._allowances.charge(caller, len(data))
        try:
            return inner.request_deserializer(data)
        except DecodeError as err:
            raise ConvertError("the message is no protobuf of this call") from err

    @contextmanager
    def _admitted(self, method: str, context: grpc.ServicerContext) -> Iterator[tuple[Caller, Watched]]:
        start_s = time.monotonic()
        watched = self.running.begin(context, self._limits.receive_s)
        caller: Caller | None = None
        code = "ok"
        try:
            identified = self._identify(method, context)
            self._allowances.begin(identified)
            caller = identified
            self._house.verify(caller)
            _CALLER.set(caller)
            yield caller, watched
        except GeneratorExit:
            code = "cancelled"
            raise
        except grpc.RpcError:  # of receiving: the client went away, or was too slow
            code = "too-slow" if watched.is_cancelled else "cancelled"
            raise
        except Exception as err:
            code = "too-slow" if watched.is_cancelled else code_of(err)  # a request cut off reads as none
            self._refuse(context, err)
        finally:
            self.running.end(watched)
            if caller is not None:
                self._allowances.end(caller)
            self._measures.call(method, code, time.monotonic() - start_s)

    def _identify(self, method: str, context: grpc.ServicerContext) -> Caller:
        if self._house.is_draining() and not method.startswith(HEALTH):
            raise DrainingError(phrase("this coordinator is about to stop; try again"))
        shown = cast(Mapping[str, Sequence[bytes]], context.auth_context()).get("x509_pem_cert", ())
        return identify(shown[0] if shown else None, self._house.federation, self._house.now())
