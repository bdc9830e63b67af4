"""Processes to measure: start a program, read its CPU time and memory, call it on many connections."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import grpc

from coordinator.home import Home

ROOT = Path(__file__).resolve().parent.parent
STOP_S = 60.0
CONNECT_S = 30.0


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads of a process so far, by the scheduler's clock."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text("ascii").split()[0]) for task in tasks) / 1e9


def resident_bytes(pid: int) -> dict[str, int]:
    """Resident set of a process: `now`, and the largest so far, its `peak`."""
    lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    found = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.startswith("Vm")}
    return {"now": found["VmRSS"], "peak": found["VmHWM"]}


@contextmanager
def running(*words: str) -> Iterator[tuple[int, int]]:
    """Run a Python program that prints its port first; gives (pid, port) and stops it at the end."""
    with subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, cwd=ROOT, text=True) as child:
        try:
            line = child.stdout.readline() if child.stdout else ""
            if not line.strip().isdigit():
                raise RuntimeError(f"{words[0]} did not start")
            yield child.pid, int(line)
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(STOP_S)


def connect(port: int, home: Home, tls: tuple[bytes, bytes]) -> grpc.Channel:
    """Connect to a server of `home` as the party of a key and certificate, on a connection of its own."""
    key_pem, certificate_pem = tls
    options: Sequence[tuple[str, int | str]] = (
        ("grpc.ssl_target_name_override", home.config.server_name),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.enable_http_proxy", 0),
    )
    root = home.authority.certificate_pem.encode()
    credentials = grpc.ssl_channel_credentials(root, key_pem, certificate_pem)
    return grpc.secure_channel(f"127.0.0.1:{port}", credentials, options=options)


def drive(tasks: Sequence[Callable[[], object]], num_threads: int) -> None:
    """Run tasks in some threads, each its share in order; the first failure is raised."""
    failures: list[BaseException] = []

    def work(first: int) -> None:
        try:
            for task in tasks[first::num_threads]:
                task()
        except BaseException as err:
            failures.append(err)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(num_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
