"""What every request must be and every answer carries.

1. `Host` is the dashboard's own name to the letter: a name that somebody points at this address leads
   nowhere.
2. A request that changes something comes from a page of the dashboard: `Origin` says so or, since pages here
   send no referrer and so `Origin: null`, `Sec-Fetch-Site: same-origin` does. Its form carries the token of
   the cookie that comes with it.
3. Every answer forbids scripts at all, and styles, pictures, frames and forms that are not the dashboard's.
4. The cookie is for this host, out of reach for scripts, and never sent on a way that another site began.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "img-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), browsing-topics=()",
    "cache-control": "no-store",
}
TRANSPORT: Final = "max-age=31536000"
METHODS: Final = ("GET", "HEAD", "POST")


@dataclass(frozen=True, slots=True)
class Address:
    """Where browsers reach the dashboard.

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
    def cookie(self) -> str:
        """The session cookie's name; a browser sends cookies of 127.0.0.1 to every port."""
        if self.is_secure:
            return "__Host-fedscreen-dashboard"
        return f"fedscreen-dashboard-{self.authority.rpartition(':')[2]}"


class Guard:
    """Refuses what does not belong here, and puts the headers on every answer.

    Args:
        app: what answers the requests that belong here.
        address: the only one that is answered at.
    """

    def __init__(self, app: ASGIApp, address: Address) -> None:
        self._app, self._address = app, address
        self._headers = dict(HEADERS)
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
            return PlainTextResponse("This form was not sent by a page of this dashboard.\n", 403)
        return None

    def _with_headers(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        own = [(name.encode(), value.encode()) for name, value in self._headers.items()]
        kept = [row for row in headers if row[0].decode("latin-1").lower() not in (*self._headers, "server")]
        return [*kept, *own]


def is_own_origin(headers: Mapping[str, str], address: Address) -> bool:
    """Say whether a request that changes something comes from a page of this dashboard."""
    origin, site = headers.get("origin", ""), headers.get("sec-fetch-site", "")
    if site not in ("", "same-origin"):
        return False
    return origin == address.origin or (origin == "null" and site == "same-origin")


def form_token(token: str) -> str:
    """Give the token that forms carry beside this cookie."""
    return hmac.new(token.encode("utf-8", "replace"), b"fedscreen/form/v1", hashlib.sha256).hexdigest()


def is_right_token(given: str, expected: str) -> bool:
    """Compare a form's token without telling how much of it was right."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())
