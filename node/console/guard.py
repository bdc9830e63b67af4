"""What every request must be and every answer carries.

A page on this computer's loopback can be reached by any web page that the same browser shows, and by any name
that somebody's DNS points at 127.0.0.1. Hence:

1. `Host` is this console's address to the letter; anything else is refused before it is looked at.
2. A request that changes something comes from a page of this console: `Origin` says so or, since pages here
   send no referrer and so `Origin: null`, `Sec-Fetch-Site: same-origin` does. Its form carries the session's
   token.
3. Every answer forbids scripts, styles, pictures, frames and forms that are not the console's own, being
   framed, being kept by the browser, and telling other sites where it was.
4. The cookie is for this host, out of reach for scripts, and never sent on a way that another site began.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Final

from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        *(f"{kind}-src 'self'" for kind in ("script", "style", "img")),
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
METHODS: Final = ("GET", "HEAD", "POST")


class Guard:
    """Refuses what does not belong here, and puts the headers on every answer.

    Args:
        app: what answers the requests that belong here.
        authority: the only `Host` that is answered, such as "127.0.0.1:8765".
    """

    def __init__(self, app: ASGIApp, authority: str) -> None:
        self._app, self._authority = app, authority

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _with_headers(message["headers"])
            await send(message)

        refusal = self._refusal(HTTPConnection(scope), scope["method"])
        await (refusal or self._app)(scope, receive, send_guarded)

    def _refusal(self, request: HTTPConnection, method: str) -> Response | None:
        if request.headers.getlist("host") != [self._authority]:
            return PlainTextResponse(f"This page is at http://{self._authority}/ only.\n", 421)
        if method not in METHODS:
            return PlainTextResponse("There is no such method here.\n", 405)
        if method == "POST" and not is_own_origin(request.headers, self._authority):
            return PlainTextResponse("This form was not sent by a page of this console.\n", 403)
        return None


def is_own_origin(headers: Mapping[str, str], authority: str) -> bool:
    """Say whether a request that changes something comes from a page of this console."""
    origin, site = headers.get("origin", ""), headers.get("sec-fetch-site", "")
    if site not in ("", "same-origin"):
        return False
    return origin == f"http://{authority}" or (origin == "null" and site == "same-origin")


def is_right_token(given: str, expected: str) -> bool:
    """Compare a form's token without telling how much of it was right."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())


def cookie_name(port: int) -> str:
    """Give the session cookie's name; a browser sends cookies of 127.0.0.1 to every port."""
    return f"fedscreen-console-{port}"


def _with_headers(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    own = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
    kept = [row for row in headers if row[0].decode("latin-1").lower() not in (*HEADERS, "server")]
    return [*kept, *own]
