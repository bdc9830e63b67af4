"""Bytes that a real egress puts on the line: per connection, per look at the log, per report.

    .venv/dev/bin/python tests/leaks/egress_bytes.py

The egress's own client (`node.egress.client.Coordinator`) calls the stand-in county of the self-test through
its relay, over TLS. The constants of `auditor.flow_check` and docs/on-site-audit.md are from what is printed.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives import serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402

from node.audit_canaries import SCHOOLS, SYSTEM, canary_plan  # noqa: E402
from node.audit_scratch import make_scratch_node, now  # noqa: E402
from node.audit_wire import LOOPBACK, SERVER_NAME, CountyServer, Evidence, TrialAuthority, WireRelay  # noqa: E402
from node.egress.client import CallError, Coordinator, Credentials  # noqa: E402

SETTLE_S = 0.15


@dataclass
class Line:
    """A connection to a county, and what the caller has sent so far."""

    coordinator: Coordinator
    evidence: Evidence

    def sent(self) -> int:
        """Wait until nothing more comes; count TCP payload bytes from the caller."""
        before = -1
        while (found := sum(len(data) for data in self.evidence.of("wire"))) != before:
            before = found
            time.sleep(SETTLE_S)
        return found

    def spent(self, call: str, *arguments: object) -> int:
        """Make a call and count what it cost."""
        before = self.sent()
        with suppress(CallError):  # a made-up report is refused; its bytes were sent
            getattr(self.coordinator, call)(*arguments)
        return self.sent() - before


@contextmanager
def line() -> Iterator[Line]:
    """Serve a small log over TLS behind a relay."""
    with tempfile.TemporaryDirectory() as place:
        node = make_scratch_node(Path(place), canary_plan(now()), SCHOOLS, "L0", attributes={}, system=SYSTEM)
        evidence = Evidence()
        server = CountyServer(node.county, node.authority, evidence)
        relay = WireRelay(server.port, evidence)
        try:
            yield Line(
                Coordinator(LOOPBACK, relay.port, SERVER_NAME, _credentials(node.authority), 20.0), evidence
            )
        finally:
            relay.stop()
            server.stop()


def _credentials(authority: TrialAuthority) -> Credentials:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.UniformResourceIdentifier("spiffe://demo-county/node/school-0001")
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    certificate = authority.certify(key.public_key(), name, is_server=False)
    return Credentials(pem, certificate, authority.pem)


def measure(sizes: tuple[int, ...], num_looks: int) -> dict[str, object]:
    """Measure one connection: its first look, looks after it, and a report of each size."""
    with line() as found:
        first = found.spent("get_log", 0)
        looks = [found.spent("get_log", 0) for _look in range(num_looks)]
        reports = {size: found.spent("submit_report", b"\x01" * size) for size in sizes}
    return {"first": first, "looks": looks, "reports": reports}


if __name__ == "__main__":
    print(measure((1_000, 5_000, 10_000, 50_000, 200_000), 8))
