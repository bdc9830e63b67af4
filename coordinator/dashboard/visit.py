"""One request as the pages see it, and what they may answer. Knows no web framework."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection

from coordinator import actions
from coordinator.account_rules import Account
from coordinator.dashboard.county import County
from coordinator.dashboard.guard import form_token
from coordinator.log_in import Session
from pages.replies import Download, Page, Redirect

SECRET_FIELDS: Final = frozenset({"passphrase", "new", "again", "code", "form_token"})
"""What is never put into a form that is shown again."""


@dataclass(slots=True)
class Visit:
    """One request.

    Attributes:
        county: the open coordinator.
        token: the cookie's value; with `account` the id of its session.
        session, account: whose request it is; None for somebody who has not logged in.
        language: of the page.
        translate: of that language.
        entropy: gives that many random bytes.
        path: what the path's places hold, such as a round's id.
        query: what stands behind the question mark.
        texts: the form.
    """

    county: County
    token: str
    session: Session | None
    account: Account | None
    language: str
    translate: Callable[[str], str]
    entropy: Callable[[int], bytes]
    path: Mapping[str, str]
    query: Mapping[str, str]
    texts: Mapping[str, str] = field(default_factory=dict)

    @property
    def role(self) -> str:
        """Who is here; "" for nobody."""
        return self.account.role if self.account else ""

    @property
    def name(self) -> str:
        """The account; "" for nobody."""
        return self.account.name if self.account else ""

    @property
    def form_token(self) -> str:
        """What every form of this page must carry."""
        return form_token(self.token)

    def text(self, name: str) -> str:
        """Give a text of the form without the spaces around it; "" where it is missing."""
        return self.texts.get(name, "").strip()

    def typed(self) -> dict[str, str]:
        """Give what was typed, without secrets, to be shown again."""
        return {name: text for name, text in self.texts.items() if name not in SECRET_FIELDS}

    @contextmanager
    def acting(self, action: str, subject: str = "") -> Iterator[Connection]:
        """Change something and note it in the journal, in one transaction."""
        with self.county.writing(action) as connection:
            yield connection
            actions.note(connection, self.county.now_ms, (self.name, self.role), action, subject)


@dataclass(frozen=True, slots=True)
class NewSession:
    """Go on as somebody else: with this cookie."""

    token: str
    to: str


Reply = Page | Redirect | Download | NewSession
Handler = Callable[[Visit], Reply]
__all__ = ["SECRET_FIELDS", "Download", "Handler", "NewSession", "Page", "Redirect", "Reply", "Visit"]
