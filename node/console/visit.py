"""One request as the pages see it, and what they may answer. Knows no web framework."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from node.config import NodeConfig, NodeFolder
from node.console.keeper import VaultKeeper
from node.console.sessions import LoginBrake, Notice, Person, Session, Sessions
from node.errors import NodeError
from pages.replies import Download, Page, Redirect

SECRET_FIELDS: Final = frozenset({"passphrase", "new", "again", "form_token"})
"""What is never kept when a form is shown again."""


@dataclass(frozen=True, slots=True)
class Console:
    """What all pages share.

    Attributes:
        folder: the node's directory.
        config: its configuration.
        keeper: the open vault.
        sessions: who sits at the page.
        brake: slows guessing of passphrases.
    """

    folder: NodeFolder
    config: NodeConfig
    keeper: VaultKeeper
    sessions: Sessions
    brake: LoginBrake


@dataclass(slots=True)
class Visit:
    """One request.

    Attributes:
        console: what all pages share.
        session: whose request it is.
        token: the session's id, of the cookie.
        language: of the page.
        path: what the path's places hold, such as a round's id.
        query: what stands behind the question mark.
        texts, files: the form.
    """

    console: Console
    session: Session
    token: str
    language: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    texts: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    @property
    def role(self) -> str:
        """Who is here: "it", "psychologist", "principal" or ""."""
        return self.session.role

    def text(self, name: str) -> str:
        """Give a text of the form without the spaces around it; "" where it is missing."""
        return self.texts.get(name, "").strip()

    def ask(self, name: str, /, **fields: Any) -> dict[str, Any]:
        """Give the vault a command without files."""
        return self.console.keeper.ask(name, **fields)

    def say(self, kind: str, message: str, advice: str = "", **details: Any) -> None:
        """Leave a sentence for the next page; `kind` is "good", "warn" or "bad"."""
        self.session.notices.append(Notice(kind, message, advice, details))

    def say_refused(self, err: NodeError) -> None:
        """Leave a refusal for the next page."""
        self.say("bad", err.message, err.advice, **err.details)

    def keep_typed(self, form: str) -> None:
        """Keep what was typed into a form that was refused, for the next time that it is shown."""
        kept = {name: text for name, text in self.texts.items() if name not in SECRET_FIELDS}
        self.session.typed[form] = kept

    def typed(self, form: str) -> dict[str, str]:
        """Give what was typed into a form when it was refused, once; nothing after a success."""
        return self.session.typed.pop(form, {})

    def become(self, person: Person | None) -> None:
        """Let somebody sit here; None: whoever entered by the link."""
        self.token, self.session = self.console.sessions.change(self.token, person)


Reply = Page | Redirect | Download
Handler = Callable[[Visit], Reply]
__all__ = ["SECRET_FIELDS", "Console", "Download", "Handler", "Page", "Redirect", "Reply", "Visit"]
