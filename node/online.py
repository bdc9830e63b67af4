"""A node's certificate over the network: enrolment by an invitation's token, and renewal.

The call itself is made by a confined egress that ends after it (`node.egress.certify`); what comes back is
checked here, outside, as a file of the county would be. Whatever fails leaves everything as it was, and the
way by files stays open.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cryptography import x509

from crypto.ca_chain import roots_pem, verify_ca_chain
from crypto.errors import CryptoError
from node import enrolment
from node.config import NodeConfig, NodeFolder, replace_file
from node.errors import LinkError, _
from node.frames import Kind
from node.launch import Side, certify_command, close_pipe, start_side, stderr_line, stop_process
from node.supervise import require_enrolled, resolve
from protos.card import parse_card
from protos.enrolment import Grant
from protos.invitation import Online

ROOTS_FILE = "enrol-ca.crt"
MAX_GRANT_BYTES = 256 * 1024
OLDEST = timedelta(days=45)


def enrol_online(
    folder: NodeFolder, config: NodeConfig, online: Online, card_text: str, request: bytes
) -> bytes:
    """Hand a request in with an invitation's token; give the grant file, which nobody has checked yet.

    Args:
        folder, config: the node.
        online: where, and the token.
        card_text: the card whose fingerprint a person has compared: its CA is the one that is believed.
        request: the request file.

    Raises:
        LinkError: the CA is another one, no answer, or a refusal.
    """
    try:
        roots = verify_ca_chain(online.ca_pem.encode(), parse_card(card_text).ca)
    except CryptoError as err:
        raise LinkError(
            _("the invitation's CA is not the one that the federation card pins"),
            _("Nothing was sent. Ask the county for a new invitation."),
            code="grant-ca",
        ) from err
    replace_file(folder.egress / ROOTS_FILE, roots_pem(roots))
    there = replace(config, address=online.address, server_name=online.server_name)
    try:
        return _ask(folder, there, "enrol", online.token.encode() + b"\n" + request)
    finally:
        (folder.egress / ROOTS_FILE).unlink(missing_ok=True)


def renew_online(folder: NodeFolder, config: NodeConfig) -> Grant:
    """Get a new certificate of the same TLS key, check it, and keep it.

    Raises:
        LinkError: no answer, a refusal, or a grant that does not belong here; the old certificate stays.
        SuperviseError: this node does not know its coordinator, or its name has no address now.
    """
    require_enrolled(config)
    csr = enrolment.certificate_request(folder, config)
    grant = enrolment.read_renewal(folder, config, _ask(folder, config, "renew", csr.encode("ascii")))
    enrolment.install_renewal(folder, grant)
    return grant


def is_renewal_due(folder: NodeFolder, now: datetime | None = None) -> bool:
    """Tell whether it is time for a new certificate: two thirds of its life, or 45 days, are over.

    The 45 days bring a CA that was rolled over to every school within them.

    Raises:
        LinkError: the file is damaged.
    """
    path = folder.egress / enrolment.TLS_CERTIFICATE
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except FileNotFoundError:
        return False
    except (OSError, ValueError, x509.InvalidVersion) as err:
        raise LinkError(
            _("%(file)s cannot be read as a certificate"),
            _("Run 'fedscreen node accept' again with the county's file."),
            details={"file": str(path)},
        ) from err
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return (now or datetime.now(UTC)) - start >= min((end - start) * 2 / 3, OLDEST)


def _ask(folder: NodeFolder, config: NodeConfig, kind: str, data: bytes) -> bytes:
    side = start_side("egress", certify_command(folder, config, resolve(config), kind), {Kind.READY})
    try:
        answer = _exchange(side, data)
        exit_code = side.process.wait()
        line = stderr_line(side.process, is_ready=True)
    finally:
        stop_process(side.process)
        close_pipe(side.process.stdout)
        close_pipe(side.process.stderr)
    if exit_code or not answer:
        raise _no_grant(line.rpartition("[")[2].rstrip("]") if "[" in line else "")
    return answer


def _exchange(side: Side, data: bytes) -> bytes:
    answer = b""
    try:
        while data:
            data = data[os.write(side.stdin, data) :]
        if side.process.stdin is not None:
            side.process.stdin.close()
        while piece := os.read(side.stdout, 65536):
            answer += piece
            if len(answer) > MAX_GRANT_BYTES:
                return b""
    except OSError:
        return b""
    return answer


def _no_grant(code: str) -> LinkError:
    if code and not code.startswith("status-"):
        return LinkError(
            _("the county refuses (%(code)s)"),
            _("Ask the county for a new invitation, or go the way by files: 'fedscreen node request'."),
            code="enrolment-refused",
            details={"code": code},
        )
    return LinkError(
        _("the county's server does not answer"),
        _("Check the network and give the command again, or go the way by files: 'fedscreen node request'."),
        code="no-answer",
    )
