"""What every request must be and every answer carries.

A page on this machine can be reached by any other page that the same browser shows, and by any name that
somebody points at its address. Hence:

1. `Host` is the page's own address to the letter; anything else is refused before it is looked at.
2. A request that changes something comes from one of the own pages: `Origin` says so or, since they send no
   referrer and so `Origin: null`, `Sec-Fetch-Site: same-origin` does. Its form carries its session's token.
3. Every answer forbids scripts (where the pages have none), styles, pictures, frames and forms that are not
   the own ones, being framed, being kept by the browser, and telling other sites where it was.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

METHODS: Final = ("GET", "HEAD", "POST")
TRANSPORT: Final = "max-age=31536000"


def policy_of(*kinds: str) -> str:
    """Write the content policy of pages that load only these kinds of their own: "script", "style", "img"."""
    own = (f"{kind}-src 'self'" for kind in kinds)
    rest = ("form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'")
    return "; ".join(("default-src 'none'", *own, *rest))


def headers_of(policy: str) -> Mapping[str, str]:
    """Give what every answer carries."""
    return {
        "content-security-policy": policy,
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), microphone=(), geolocation=(), browsing-topics=()",
        "cache-control": "no-store",
    }


SCRIPTLESS: Final = headers_of(policy_of("style", "img"))
"""What answers of pages without any script carry."""
SCRIPTED: Final = headers_of(policy_of("script", "style", "img"))
"""What answers of pages with a script of their own carry."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where browsers reach the pages.

    Attributes:
        scheme: "http" or "https".
        authority: host, and port where it is not the scheme's own.
    """

    scheme: str
    authority: str

    @property
    def origin(self) -> str:
        """What a browser says in `Origin`."""
        return f"{self.scheme}://{self.authority}"

    @property
    def is_secure(self) -> bool:
        """Whether browsers come by TLS."""
        return self.scheme == "https"

    @property
    def port(self) -> str:
        """The port, as it stands in the address."""
        return self.authority.rpartition(":")[2]

    def cookie_of(self, name: str) -> str:
        """Give the session cookie's name; a browser sends cookies of 127.0.0.1 to every port."""
        return f"__Host-{name}" if self.is_secure else f"{name}-{self.port}"


class Guard:
    """Refuses what does not belong here, and puts the headers on every answer.

    Args:
        app: what answers the requests that belong here.
        address: the only one that is answered at.
        headers: what every answer carries.
    """

    def __init__(self, app: ASGIApp, address: Address, headers: Mapping[str, str] = SCRIPTLESS) -> None:
        self._app, self._address = app, address
        self._headers = dict(headers)
        if address.is_secure:
            self._headers["strict-transport-security"] = TRANSPORT

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = self._with_headers(message["headers"])
            await send(message)

        refusal = self._refusal(HTTPConnection(scope), scope["method"])
        await (refusal or self._app)(scope, receive, send_guarded)

    def _refusal(self, request: HTTPConnection, method: str) -> Response | None:
        if request.headers.getlist("host") != [self._address.authority]:
            return PlainTextResponse(f"This page is at {self._address.origin}/ only.\n", 421)
        if method not in METHODS:
            return PlainTextResponse("There is no such method here.\n", 405)
        if method == "POST" and not is_own_origin(request.headers, self._address):
            return PlainTextResponse("This form was not sent by one of these pages.\n", 403)
        return None

    def _with_headers(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        own = [(name.encode(), value.encode()) for name, value in self._headers.items()]
        kept = [row for row in headers if row[0].decode("latin-1").lower() not in (*self._headers, "server")]
        return [*kept, *own]


def is_own_origin(headers: Mapping[str, str], address: Address) -> bool:
    """Say whether a request that changes something comes from one of the own pages."""
    origin, site = headers.get("origin", ""), headers.get("sec-fetch-site", "")
    if site not in ("", "same-origin"):
        return False
    return origin == address.origin or (origin == "null" and site == "same-origin")


def is_right_token(given: str, expected: str) -> bool:
    """Compare a form's token without telling how much of it was right."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())


def is_own_path(path: str) -> bool:
    """Say whether a browser may be sent on to this path: one of the own pages, never another host."""
    return path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
