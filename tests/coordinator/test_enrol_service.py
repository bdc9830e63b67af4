"""The enrolment port: which certificate it shows."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime

from fakes_coordinator import County

from coordinator import ca
from coordinator.enrol_service import serving_enrolment
from coordinator.tls import ServerTls


def test_a_certificate_that_was_renewed_is_shown_without_a_restart(collecting: County) -> None:
    home = collecting.desk.home
    shown: list[str] = []

    def make() -> ServerTls:
        now = datetime.now(UTC)
        pem, key = ca.issue_server(home.authority, "county-1", home.config.server_name, (), now)
        return ServerTls(pem.encode(), key, home.ring.roots_pem())

    known = [make(), make()]
    with serving_enrolment(collecting.desk, "127.0.0.1:0", lambda: known[0]) as port:
        for _ in range(2):
            shown.append(ssl.get_server_certificate(("127.0.0.1", port)).strip())
            known.append(known.pop(0))
    assert shown == [pem.certificate.decode().strip() for pem in (known[0], known[1])]
