"""One call about a certificate: `python -m node.egress.certify --kind enrol|renew --dir DIR …`, then it ends.

Order as in `node.egress.worker`: read the key, the certificates; lock down and self-test; send READY; only
then read what is to be sent from stdin, to its end, make the one call, and write the grant to stdout. What
comes back is looked at by the command that asked (`node.enrolment`), outside this process.

stdin: for ``renew`` the signing request; for ``enrol`` the token, a line feed, the request file.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from node import confine
from node.egress.client import CallError, Coordinator, Credentials, EnrolmentPort, read_credentials
from node.egress.worker import load_late_modules
from node.errors import EXIT_CONFINEMENT, EXIT_OK, EXIT_REFUSED, EXIT_UNREACHABLE, LinkError, NodeError
from node.frames import Kind, write_frame

STDIN, STDOUT, STDERR = 0, 1, 2
MAX_INPUT_BYTES = 512 * 1024
ROOTS_FILE = "enrol-ca.crt"


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="node.egress.certify", description="Started by fedscreen node.")
    parser.add_argument("--kind", choices=("enrol", "renew"), required=True)
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--floor", choices=confine.LEVELS, default="L3")
    parser.add_argument("--uid", type=int, default=None)
    parser.add_argument("--account", default="")
    parser.add_argument("--address", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--server-name", required=True)
    parser.add_argument("--tunnel-to", default="")
    parser.add_argument("--timeout-s", type=float, default=20.0)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the call and give the exit code (0, 1, 70 or 75)."""
    options = _arguments(arguments)
    sys.stdout = None  # stdout carries READY and the grant; a stray print must not
    folder = options.dir.resolve() / "egress"
    load_late_modules()
    try:
        prepared = _prepare(folder, options)
        found = confine.confine_egress(
            folder,
            options.uid,
            options.floor,
            options.port,
            is_ipv6=":" in options.address,
            account=options.account,
            address=options.address,
        )
    except LinkError as err:
        _say(str(err))
        return EXIT_REFUSED
    except Exception as err:  # whatever went wrong on the way: the wall does not stand
        _say(str(err) if isinstance(err, NodeError | OSError) else type(err).__name__)
        return EXIT_CONFINEMENT
    sys.meta_path.clear()
    sys.path.clear()
    try:
        write_frame(STDOUT, Kind.READY, confine.encode_ready(found))
        _write(_call(prepared, options, _read_all()))
        code = EXIT_OK
    except CallError as err:
        _say(f"CallError[{err.word or 'status-' + str(err.number)}]")
        code = EXIT_REFUSED if err.is_definite else EXIT_UNREACHABLE
    except Exception as err:  # one line and an exit code instead of a traceback
        _say(type(err).__name__)
        code = EXIT_REFUSED
    os._exit(code)  # gRPC's threads need not be waited for


def _prepare(folder: Path, options: argparse.Namespace) -> Credentials | bytes:
    """Read what the call needs; the channel is made behind the wall."""
    if options.kind == "renew":
        return read_credentials(folder)
    try:
        return (folder / ROOTS_FILE).read_bytes()
    except OSError as err:
        raise LinkError("the invitation's CA cannot be read") from err


def _call(known: Credentials | bytes, options: argparse.Namespace, data: bytes) -> bytes:
    where = options.address, options.port, options.server_name
    if isinstance(known, Credentials):
        coordinator = Coordinator(*where, known, options.timeout_s, options.tunnel_to)
        return coordinator.renew(data.decode("ascii"))
    token, _feed, request = data.partition(b"\n")
    port = EnrolmentPort(*where, known, options.timeout_s, options.tunnel_to)
    return port.enrol(token.decode("ascii"), request)


def _read_all() -> bytes:
    data = b""
    while piece := os.read(STDIN, 65536):
        data += piece
        if len(data) > MAX_INPUT_BYTES:
            raise ValueError("too much input")
    return data


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(STDOUT, data) :]


def _say(text: str) -> None:
    try:
        os.write(STDERR, f"egress: {text}\n".encode("ascii", "replace"))
    except OSError:
        return  # nobody listens: the exit code says the rest


if __name__ == "__main__":
    sys.exit(main())
