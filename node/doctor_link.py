"""What `doctor` looks at on the way to the county: certificate, proxy, name, port, and what answers there.

It calls nothing and sends nothing of the node: it opens a TCP connection to the one address and port that
the egress may use, asks the proxy for a tunnel where there is one, and shakes hands without a certificate.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from node.config import NodeConfig, NodeFolder
from node.doctor import FAIL, Finding, bad, doubtful, good, refused
from node.enrolment import CA_CERTIFICATE, ROLE, TLS_CERTIFICATE, TLS_KEY, names_in
from node.errors import SuperviseError
from node.errors import _ as N_
from node.supervise import resolve
from node.tunnel import TunnelError, open_way

CONNECT_TIMEOUT_S = 5.0
PROXY_NAMES = ("http_proxy", "https_proxy", "grpc_proxy", "all_proxy")
_RENEW = N_("Run 'fedscreen node request', send it to the county, and 'fedscreen node accept' the answer.")


def read_certificate(folder: NodeFolder) -> x509.Certificate | None:
    """Read this node's certificate; None where there is none or it is damaged."""
    try:
        return x509.load_pem_x509_certificate((folder.egress / TLS_CERTIFICATE).read_bytes())
    except (OSError, ValueError, x509.InvalidVersion):
        return None


def check_certificate(folder: NodeFolder, config: NodeConfig, now: datetime) -> Finding:
    """Judge dates, name and key of this node's certificate."""
    certificate = read_certificate(folder)
    if certificate is None:
        return bad("certificate", N_("there is no certificate, or it is damaged"), _RENEW)
    expected = f"spiffe://{config.federation}/{ROLE}/{config.node}"
    if names_in(certificate) != [expected]:
        return bad("certificate", N_("the certificate is not for %(name)s"), _RENEW, name=expected)
    if not _is_own_key(folder, certificate):
        return bad("certificate", N_("the certificate is for another key than this node's"), _RENEW)
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    values: dict[str, str | int] = {"until": f"{end:%Y-%m-%d}", "days": (end - now).days, "name": config.node}
    if now < start:
        text = N_("the certificate holds from %(start)s on, and it is %(now)s here")
        advice = N_("Set this computer's date and time.")
        form = "%Y-%m-%d %H:%M UTC"
        return bad("certificate", text, advice, start=start.strftime(form), now=now.strftime(form))
    if now >= end:
        text = N_("the certificate expired on %(until)s; files still go, the network does not")
        return bad("certificate", text, _RENEW, **values)
    text = N_("%(name)s until %(until)s, %(days)d days")
    if end - now < (end - start) / 3:
        return doubtful("certificate", text, _RENEW, **values)
    return good("certificate", text, **values)


def _is_own_key(folder: NodeFolder, certificate: x509.Certificate) -> bool:
    try:
        data = (folder.egress / TLS_KEY).read_bytes()
        return serialization.load_pem_private_key(data, None).public_key() == certificate.public_key()
    except (OSError, ValueError, TypeError):
        return False


def check_proxy(environ: Mapping[str, str], proxy: str = "") -> Finding:
    """Tell which proxy is used, and name variables of others; their values may hold a password."""
    if proxy:
        return good("proxy", N_("%(proxy)s, as node.toml says"), proxy=proxy)
    found = sorted(name for name in environ if name.lower() in PROXY_NAMES and environ[name])
    if found:
        return doubtful(
            "proxy",
            N_("%(names)s are set; a node uses only the proxy of its own settings, and there is none"),
            N_(
                "Nothing is to be done if the connection below is good; else give the proxy: fedscreen node "
                "setup --proxy HOST:PORT"
            ),
            names=", ".join(found),
        )
    return good("proxy", N_("none is set, and none would be used"))


def check_name(config: NodeConfig) -> tuple[Finding, str]:
    """Look up the county's or the proxy's name; give the IP address too, empty where it is not known."""
    try:
        address = resolve(config)
    except SuperviseError as err:
        return refused("name", err), ""
    host = config.hop[0]
    if _is_address(host):
        return good("name", N_("%(host)s is an address, no name is needed"), host=host), address
    return good("name", N_("%(host)s is %(address)s"), host=host, address=address), address


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def check_way(config: NodeConfig, address: str) -> Finding:
    """Open a TCP connection to the county, through the proxy where there is one."""
    port = config.hop[1]
    if not config.proxy:
        return check_connection(address, port, N_("Ask the county whether its coordinator runs."))
    advice = N_("Ask whoever runs the network whether the proxy runs, and for its address and port.")
    found = check_connection(address, port, advice)
    return found if found.state == FAIL else check_tunnel(config, address)


def check_tunnel(config: NodeConfig, address: str) -> Finding:
    """Ask the proxy for a tunnel to the county."""
    values: dict[str, str | int] = {"proxy": config.proxy, "target": config.address}
    try:
        open_way(config, address, CONNECT_TIMEOUT_S).close()
    except TunnelError as err:
        return _no_tunnel(err.status, values)
    except OSError as err:
        text = N_("the proxy %(proxy)s took the connection and then gave no answer (%(reason)s)")
        advice = N_("Ask whoever runs the network whether it is an HTTP proxy that takes CONNECT.")
        return bad("connection", text, advice, **values, reason=err.strerror or type(err).__name__)
    return good("connection", N_("the proxy %(proxy)s gives a way to %(target)s"), **values)


def _no_tunnel(status: int, values: dict[str, str | int]) -> Finding:
    if status == 407:
        text = N_("the proxy %(proxy)s asks for a user's name and password (407)")
        advice = N_(
            "A node keeps no proxy password: let the proxy pass this computer to %(target)s without one."
        )
    elif status == 0:
        text = N_("what answers at %(proxy)s is no HTTP proxy")
        advice = N_("Ask whoever runs the network for the address and port of the HTTP proxy.")
    elif status == 403:
        text = N_("the proxy %(proxy)s refuses a way to %(target)s (403)")
        advice = N_("Ask whoever runs the proxy to allow CONNECT to %(target)s.")
    else:
        text = N_("the proxy %(proxy)s found no way to %(target)s (%(status)d)")
        advice = N_("Ask the county whether its coordinator runs, and whoever runs the proxy what it says.")
    return bad("connection", text, advice, **values, status=status)


def check_connection(
    address: str, port: int, refused_advice: str = N_("Ask the county whether its coordinator runs.")
) -> Finding:
    """Open a TCP connection to an address and port; `refused_advice` is for when nothing listens there."""
    values: dict[str, str | int] = {"address": address, "port": port}
    try:
        socket.create_connection((address, port), CONNECT_TIMEOUT_S).close()
    except ConnectionRefusedError:
        text = N_("nothing listens at %(address)s, port %(port)d")
        return bad("connection", text, refused_advice, **values)
    except TimeoutError:
        text = N_("no answer from %(address)s, port %(port)d, within 5 seconds")
        advice = N_(
            "A firewall drops it: let this computer connect to that address and TCP port. Reports can go by "
            "file meanwhile ('fedscreen node outbox export')."
        )
        return bad("connection", text, advice, **values)
    except OSError as err:
        text = N_("%(address)s, port %(port)d, cannot be reached (%(reason)s)")
        advice = N_(
            "Check cable, network and firewall. Reports can go by file meanwhile "
            "('fedscreen node outbox export')."
        )
        return bad("connection", text, advice, **values, reason=err.strerror or "")
    return good("connection", N_("%(address)s answers on TCP port %(port)d"), **values)


def check_tls(folder: NodeFolder, config: NodeConfig, address: str) -> Finding:
    """Shake hands: is it the county's server, and does nothing stand between?"""
    try:
        version = _handshake(folder, config, address)
    except ssl.SSLCertVerificationError as err:
        return bad(
            "tls",
            N_("what answers is not the county's server (%(reason)s)"),
            N_("Something between inspects TLS (firewall, virus scanner): except this address and port."),
            reason=err.verify_message,
        )
    except ssl.SSLError as err:
        return bad(
            "tls",
            N_("what answers does not speak TLS as the county's server does (%(reason)s)"),
            N_("Ask the county for the right address and port."),
            reason=err.reason or "",
        )
    except TunnelError as err:
        return _no_tunnel(err.status, {"proxy": config.proxy, "target": config.address})
    except OSError as err:
        return bad(
            "tls",
            N_("the connection was cut off (%(reason)s)"),
            N_("Something between lets the connection begin and then cuts it: ask who runs the firewall."),
            reason=err.strerror or type(err).__name__,
        )
    return good("tls", N_("%(name)s, %(version)s"), name=config.server_name, version=version)


def _handshake(folder: NodeFolder, config: NodeConfig, address: str) -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    context.load_verify_locations(folder.egress / CA_CERTIFICATE)
    with (
        open_way(config, address, CONNECT_TIMEOUT_S) as plain,
        context.wrap_socket(plain, server_hostname=config.server_name) as secure,
    ):
        return secure.version() or ""


def evidence_of_certificate(folder: NodeFolder) -> Iterable[datetime]:
    """Give the time from which on the certificate holds: it was written then, by the county's clock."""
    certificate = read_certificate(folder)
    return () if certificate is None else (certificate.not_valid_before_utc.astimezone(UTC),)
