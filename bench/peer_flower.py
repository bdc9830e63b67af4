"""Flower's SecAgg+: its own client mod and server workflow, joined in one process by function calls.

No transport and no simulation engine: messages are serialised (their bytes are counted, the time is nobody's)
and handed to `secaggplus_mod`. CPU time inside the mod is the client's, all other time of the workflow the
server's. Every client secret-shares with 20 neighbours and itself, 14 of the 21 shares open. Flower masks
with 32-bit seeds and rounds values to 2^22 levels, so its sums are not exact.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.client.mod import secaggplus_mod
from flwr.common import Code, FitRes, Status, ndarrays_to_parameters, parameters_to_ndarrays
from flwr.common.serde import recorddict_from_proto, recorddict_to_proto
from flwr.compat.common import recorddict_compat
from flwr.server.client_manager import SimpleClientManager
from flwr.server.compat.grid_client_proxy import GridClientProxy
from flwr.server.compat.legacy_context import LegacyContext
from flwr.server.strategy import FedAvg
from flwr.server.workflow import SecAggPlusWorkflow
from flwr.server.workflow.constant import MAIN_CONFIGS_RECORD, MAIN_PARAMS_RECORD, Key
from flwr.serverapp.grid import Grid
from flwr.supercore.task_identity import TaskIdentity
from numpy.typing import NDArray

from bench.peer_rows import VALUE_BITS, Row, best_and_median, vectors

NAME, TRUST = "Flower SecAgg+", "the server with 14 of a client's 20 neighbours"
SHARES, THRESHOLD = 21, 14
ROUNDS = 4
SERVER, RUN = 0, 1
CLIP, WEIGHT = 8.0, 1000
STEP = 2**VALUE_BITS / (2 * CLIP)  # values are mapped onto Flower's clipping range, -8 to 8


class SumOnly(FedAvg):
    """Keeps the unmasked vector and leaves out what else a strategy does with it."""

    mean: NDArray[np.float64]

    def aggregate_fit(self, _round: int, results: Any, _failures: Any) -> tuple[None, dict[str, Any]]:
        """Take the aggregate that the workflow put into every result."""
        self.mean = parameters_to_ndarrays(results[0][1].parameters)[0]
        return None, {}


class CallGrid(Grid):  # type: ignore[misc]
    """Delivers messages by calling the client's mod; keeps its CPU time and bytes per client."""

    def __init__(self, values: dict[int, NDArray[np.int64]]) -> None:
        """Give every client its context and its answer to a fit instruction."""
        self.contexts = {node: Context(RUN, node, {}, RecordDict(), {}) for node in values}
        self.answers = {node: _fit_result(value) for node, value in values.items()}
        self.client_cpu_s: dict[int, float] = defaultdict(float)
        self.client_bytes: dict[int, int] = defaultdict(int)
        self.inside_cpu_s = 0.0

    def send_and_receive(self, messages: Iterable[Message], **_options: Any) -> list[Message]:
        """Deliver and answer, one client after the other."""
        entered = time.process_time()
        replies = [self._deliver(message) for message in messages]
        self.inside_cpu_s += time.process_time() - entered
        return replies

    def _deliver(self, message: Message) -> Message:
        node = message.metadata.dst_node_id
        message.content = self._travel(node, message.content)
        TaskIdentity.node_id = node
        start = time.process_time()
        reply = secaggplus_mod(
            message, self.contexts[node], lambda msg, _: Message(self.answers[node], reply_to=msg)
        )
        self.client_cpu_s[node] += time.process_time() - start
        TaskIdentity.node_id = SERVER
        reply.content = self._travel(node, reply.content)
        return reply

    def _travel(self, node: int, content: RecordDict) -> RecordDict:
        wire = recorddict_to_proto(content)
        self.client_bytes[node] += wire.ByteSize()
        return recorddict_from_proto(wire)

    def set_run(self, run: Any) -> None:
        """Do nothing: there is one run."""

    @property
    def run(self) -> Any:
        """Nothing reads it here."""
        return None

    def create_message(self, *args: Any, **kwargs: Any) -> Message:
        """Messages are made by the workflow itself."""
        raise NotImplementedError

    def get_node_ids(self) -> Iterable[int]:
        """The clients."""
        return self.contexts

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Only `send_and_receive` is used."""
        raise NotImplementedError

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Only `send_and_receive` is used."""
        raise NotImplementedError


def measure(n: int, d: int, most_clients: int) -> Row:
    """Run the whole protocol once; beyond `most_clients` scale the server's time, which is linear in n."""
    clients = min(n, most_clients)
    logging.getLogger("flwr").setLevel(logging.ERROR)
    TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = RUN, SERVER, 1
    values = dict(enumerate(vectors(clients, d), start=1))
    grid, strategy = CallGrid(values), SumOnly(min_fit_clients=clients, min_available_clients=clients)
    context = _context(grid, strategy)
    shares = min(SHARES, clients)
    workflow = SecAggPlusWorkflow(shares, min(THRESHOLD, round(shares * THRESHOLD / SHARES)))
    start = time.process_time()
    workflow(grid, context)
    server = (time.process_time() - start - grid.inside_cpu_s) * n / clients
    client, median = best_and_median(list(grid.client_cpu_s.values()))
    is_exact = _is_exact(strategy.mean, values)
    size_bytes = sum(grid.client_bytes.values()) // clients
    scaled_from = "" if clients == n else f"n={clients}"
    return Row(NAME, TRUST, n, d, client, median, server, size_bytes, ROUNDS, is_exact, scaled_from)


def _is_exact(mean: NDArray[np.float64], values: dict[int, NDArray[np.int64]]) -> bool:
    """Compare the sums; far more off than rounding explains is an error of this benchmark, so say so."""
    expected = sum(values.values())
    opened = np.rint((mean + CLIP) * STEP * len(values)).astype(np.int64)
    if np.abs(opened - expected).max() > len(values) * 2**VALUE_BITS / 2**20:
        raise ValueError("Flower's sum is not the sum of what was put in")
    return bool((opened == expected).all())


def _fit_result(value: NDArray[np.int64]) -> RecordDict:
    parameters = ndarrays_to_parameters([value / STEP - CLIP])
    return recorddict_compat.fitres_to_recorddict(FitRes(Status(Code.OK, ""), parameters, WEIGHT, {}), False)


def _context(grid: CallGrid, strategy: SumOnly) -> LegacyContext:
    manager = SimpleClientManager()
    for node in grid.contexts:
        manager.register(GridClientProxy(node, grid, RUN))
    context = LegacyContext(
        Context(RUN, SERVER, {}, RecordDict(), {}), strategy=strategy, client_manager=manager
    )
    context.state.config_records[MAIN_CONFIGS_RECORD] = ConfigRecord({Key.CURRENT_ROUND: 1})
    start = recorddict_compat.parameters_to_arrayrecord(ndarrays_to_parameters([np.zeros(1)]), False)
    context.state.array_records[MAIN_PARAMS_RECORD] = start
    return context
