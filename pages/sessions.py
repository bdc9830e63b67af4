"""Who came in by a link that a command printed. Everything here lives in memory and ends with the process.

Rules:

1. A link works once and for `LINK_S` seconds; making a new one ends the old one.
2. A session ends `IDLE_S` after its last request and `LONGEST_S` after its begin, whatever happens. What a
   page does by itself is no use.
3. Coming in gives a new session id and a new form token.
4. Ids and links are kept as SHA-256 only.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

IDLE_S: Final = 15 * 60.0
LONGEST_S: Final = 8 * 3600.0
LINK_S: Final = 10 * 60.0
MAX_SESSIONS: Final = 64
TOKEN_BYTES: Final = 32

Entropy = Callable[[int], bytes]
Clock = Callable[[], float]


@dataclass(slots=True)
class Session:
    """One browser's place at the pages.

    Attributes:
        form_token: what every form of this session must carry.
        is_in: entered by a link.
        notices: what the next page has to say.
        drafts: what waits for a look or a download, by name; in memory only.
    """

    form_token: str = field(repr=False)
    created_s: float
    seen_s: float
    is_in: bool = False
    notices: list[Any] = field(default_factory=list)
    drafts: dict[str, Any] = field(default_factory=dict, repr=False)


class Sessions:
    """All sessions of one process.

    Args:
        entropy: returns that many random bytes.
        now_s: a clock that never goes back, in seconds.
    """

    def __init__(self, entropy: Entropy, now_s: Clock) -> None:
        self._entropy, self._now_s = entropy, now_s
        self._lock = threading.Lock()
        self._sessions: dict[bytes, Session] = {}
        self._link: tuple[bytes, float] | None = None

    def make_link(self) -> str:
        """Make the secret part of a link; an older one stops working."""
        token = self._token()
        with self._lock:
            self._link = (_digest(token), self._now_s() + LINK_S)
        return token

    def enter(self, token: str) -> tuple[str, Session] | None:
        """Use a link up; give the new session's id and the session, or None."""
        with self._lock:
            link = self._link
            is_right = link is not None and hmac.compare_digest(link[0], _digest(token))
            if link is None or not is_right or self._now_s() > link[1]:
                return None
            self._link = None
        return self.begin(is_in=True)

    def begin(self, *, is_in: bool = False) -> tuple[str, Session]:
        """Begin a session; give its id (for the cookie alone) and the session."""
        token, now_s = self._token(), self._now_s()
        session = Session(self._token(), now_s, now_s, is_in)
        with self._lock:
            self._forget_ended(now_s)
            self._sessions[_digest(token)] = session
        return token, session

    def find(self, token: str, *, is_use: bool = True) -> Session | None:
        """Find a session that has not ended, and note that somebody used it.

        Args:
            token: its id.
            is_use: False for what a page does by itself, which keeps nobody's session open.
        """
        now_s, name = self._now_s(), _digest(token)
        with self._lock:
            session = self._sessions.get(name)
            if session is None:
                return None
            if _is_ended(session, now_s):
                del self._sessions[name]
                return None
            if is_use:
                session.seen_s = now_s
            return session

    def end(self, token: str) -> None:
        """End a session."""
        with self._lock:
            self._sessions.pop(_digest(token), None)

    def forget_ended(self) -> None:
        """Drop what has ended, with everything that it holds."""
        with self._lock:
            self._forget_ended(self._now_s())

    def _token(self) -> str:
        return self._entropy(TOKEN_BYTES).hex()

    def _forget_ended(self, now_s: float) -> None:
        """Drop what has ended, and the longest unused where there are too many."""
        alive = {name: row for name, row in self._sessions.items() if not _is_ended(row, now_s)}
        by_use = sorted(alive.items(), key=lambda item: (item[1].is_in, item[1].seen_s))
        self._sessions = dict(by_use[max(0, len(by_use) - MAX_SESSIONS + 1) :])


def _is_ended(session: Session, now_s: float) -> bool:
    return now_s - session.seen_s > IDLE_S or now_s - session.created_s > LONGEST_S


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
