"""What every request must be and every answer carries: `pages.guard`, for pages with a script."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.types import ASGIApp

from pages import guard as shared
from pages.guard import SCRIPTED, Address, is_right_token

COOKIE: Final = "fedscreen-console"
HEADERS: Final = SCRIPTED


class Guard(shared.Guard):
    """Refuses what does not belong here, and puts the headers on every answer.

    Args:
        app: what answers the requests that belong here.
        authority: the only `Host` that is answered, such as "127.0.0.1:8765".
    """

    def __init__(self, app: ASGIApp, authority: str) -> None:
        super().__init__(app, Address("http", authority), HEADERS)


def is_own_origin(headers: Mapping[str, str], authority: str) -> bool:
    """Say whether a request that changes something comes from a page of this console."""
    return shared.is_own_origin(headers, Address("http", authority))


def cookie_name(port: int) -> str:
    """Give the session cookie's name; a browser sends cookies of 127.0.0.1 to every port."""
    return f"{COOKIE}-{port}"


__all__ = ["COOKIE", "HEADERS", "Guard", "cookie_name", "is_own_origin", "is_right_token"]
