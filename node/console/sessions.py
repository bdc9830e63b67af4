"""Who sits at the page. Everything here lives in memory and ends with the console.

Rules:

1. IT enters by a link that works once and for `LINK_S` seconds; making a new one ends the old one.
2. A psychologist or principal enters with name and passphrase. Somebody who entered by a link and then lets a
   colleague log in gets the own place back when the colleague logs out; while the colleague is there, only
   that role counts.
3. A session ends `IDLE_S` after its last request and `LONGEST_S` after its begin, whatever happens.
4. Every change of who sits there gives a new session id and a new form token.
5. Failed log-ins are slowed for everybody: the n-th in a row makes the next wait 2^(n-1) seconds, at most
   `LONGEST_PAUSE_S`. A success, or that much quiet, ends it.
6. Ids and links are kept as SHA-256 only.
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
LONGEST_PAUSE_S: Final = 60.0
MAX_SESSIONS: Final = 64
TOKEN_BYTES: Final = 32

IT, PSYCHOLOGIST, PRINCIPAL = "it", "psychologist", "principal"
ROLES: Final = (PSYCHOLOGIST, PRINCIPAL)
"""The roles that have a key of their own; IT is whoever can unlock the node."""

Entropy = Callable[[int], bytes]
Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who logged in with a role's key.

    Attributes:
        role: "psychologist" or "principal".
        name: as the vault knows it.
        actor: what commands carry to prove it; holds the stretched passphrase (secret).
    """

    role: str
    name: str
    actor: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence for the top of the next page: an English template, translated where it is shown."""

    kind: str
    message: str
    advice: str = ""
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Session:
    """One browser's place at the page.

    Attributes:
        form_token: what every form of this session must carry.
        is_it: entered by a link of the command.
        person: who logged in with a role's key, if anybody.
        notices: what the next page has to say.
        staged: files that were checked and wait for a yes; in memory only.
        drafts: what else waits for a yes or a download, by name; in memory only.
        typed: by form, what was typed into it when it was refused; never a passphrase.
        checked: the records that a holder looked at here, with their round.
    """

    form_token: str = field(repr=False)
    created_s: float
    seen_s: float
    is_it: bool = False
    person: Person | None = None
    notices: list[Notice] = field(default_factory=list)
    staged: Any = None
    drafts: dict[str, Any] = field(default_factory=dict, repr=False)
    typed: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)
    checked: set[tuple[str, str]] = field(default_factory=set)

    @property
    def role(self) -> str:
        """The role that counts now: "psychologist", "principal", "it", or "" for nobody."""
        if self.person is not None:
            return self.person.role
        return IT if self.is_it else ""

    @property
    def actor(self) -> dict[str, Any]:
        """What a command carries to prove the role: {"actor": …}, or nothing."""
        return {"actor": self.person.actor} if self.person is not None else {}


class Sessions:
    """All sessions of one console.

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
        """Make the secret part of a link for IT; an older one stops working."""
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
        return self.begin(is_it=True)

    def begin(self, *, is_it: bool = False, person: Person | None = None) -> tuple[str, Session]:
        """Begin a session; give its id (for the cookie alone) and the session."""
        token, now_s = self._token(), self._now_s()
        session = Session(self._token(), now_s, now_s, is_it, person)
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

    def change(self, token: str, person: Person | None) -> tuple[str, Session]:
        """Replace a session by one in which `person` sits there (None: whoever entered by the link)."""
        with self._lock:
            before = self._sessions.pop(_digest(token), None)
        return self.begin(is_it=before is not None and before.is_it, person=person)

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
        by_use = sorted(alive.items(), key=lambda item: (bool(item[1].role), item[1].seen_s))
        self._sessions = dict(by_use[max(0, len(by_use) - MAX_SESSIONS + 1) :])


class LoginBrake:
    """Slows guessing: rule 5 of the module.

    Attributes:
        turn: held during a try, so that many at once are as slow as one after the other.
    """

    def __init__(self, now_s: Clock) -> None:
        self.turn = threading.Lock()
        self._now_s = now_s
        self._lock = threading.Lock()
        self._num_failures = 0
        self._free_s = 0.0

    def wait_s(self) -> int:
        """Say how many seconds are left until the next try; 0 when it may be now."""
        with self._lock:
            return max(0, -int(-(self._free_s - self._now_s()) // 1))

    def fail(self) -> None:
        """Note a failed log-in."""
        with self._lock:
            now_s = self._now_s()
            if now_s > self._free_s + LONGEST_PAUSE_S:
                self._num_failures = 0
            self._num_failures += 1
            self._free_s = now_s + min(LONGEST_PAUSE_S, 2.0 ** (self._num_failures - 1))

    def succeed(self) -> None:
        """Note a log-in that worked."""
        with self._lock:
            self._num_failures, self._free_s = 0, 0.0


def _is_ended(session: Session, now_s: float) -> bool:
    return now_s - session.seen_s > IDLE_S or now_s - session.created_s > LONGEST_S


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
