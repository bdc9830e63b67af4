"""What every request must be and every answer carries: `pages.guard`, with the dashboard's own cookie.

The cookie is for this host, out of reach for scripts, and never sent on a way that another site began. A form
carries the token of the cookie that comes with it.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from pages import guard as shared
from pages.guard import SCRIPTLESS, Guard, is_own_origin, is_right_token

COOKIE: Final = "fedscreen-dashboard"
HEADERS: Final = SCRIPTLESS


class Address(shared.Address):
    """Where browsers reach the dashboard."""

    __slots__ = ()

    @property
    def cookie(self) -> str:
        """The session cookie's name."""
        return self.cookie_of(COOKIE)


def form_token(token: str) -> str:
    """Give the token that forms carry beside this cookie."""
    return hmac.new(token.encode("utf-8", "replace"), b"fedscreen/form/v1", hashlib.sha256).hexdigest()


__all__ = ["COOKIE", "HEADERS", "Address", "Guard", "form_token", "is_own_origin", "is_right_token"]
