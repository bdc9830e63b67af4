"""One request as the pages see it. Knows no web framework."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from auditor.config import AuditorFolder
from auditor.desk import Desk
from auditor.errors import ConfigError
from auditor.page.keeper import Keeper
from auditor.page.work import Workshop
from pages.replies import Download, Page, Redirect
from pages.sessions import Session, Sessions
from plan.errors import Phrase, phrase

KEEPER, INSPECTOR = "keeper", "inspector"
ANYBODY: Final = frozenset({"", KEEPER, INSPECTOR})
ENTERED: Final = frozenset({KEEPER, INSPECTOR})
KEEPERS: Final = frozenset({KEEPER})


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence for the top of the next page; `kind` is "good", "warn" or "bad"."""

    kind: str
    words: Phrase


@dataclass(frozen=True, slots=True)
class Office:
    """What all pages share.

    Attributes:
        keeper: the open auditor's folder; None for an inspector without keys.
        owner: who runs this auditor, for the top of each page.
        sessions: who came in.
        watcher: where this auditor works: the second sitting, or a watch that goes on.
        workshop: where verifications and bundles are made.
        now: the clock, UTC.
    """

    keeper: Keeper | None
    owner: str
    sessions: Sessions
    watcher: Workshop
    workshop: Workshop
    now: Callable[[], datetime]


@dataclass(slots=True)
class Visit:
    """One request.

    Attributes:
        office: what all pages share.
        session: whose request it is.
        token: the session's id, of the cookie.
        language: of the page.
        path: what the path's places hold, such as a round's id.
        query: what stands behind the question mark.
        texts: the form.
    """

    office: Office
    session: Session
    token: str
    language: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    texts: Mapping[str, str] = field(default_factory=dict)

    @property
    def role(self) -> str:
        """Who is here: "keeper", "inspector", or "" for nobody."""
        if not self.session.is_in:
            return ""
        return KEEPER if self.office.keeper is not None else INSPECTOR

    @property
    def keeper(self) -> Keeper:
        """The open auditor's folder.

        Raises:
            ConfigError: the page was started without one.
        """
        if self.office.keeper is None:
            raise ConfigError(phrase("this page was started without an auditor's folder"))
        return self.office.keeper

    @property
    def folder(self) -> AuditorFolder:
        """The auditor's folder."""
        return self.keeper.folder

    @contextmanager
    def desk(self) -> Iterator[Desk]:
        """Have the auditor's desk alone."""
        with self.keeper.desk() as desk:
            yield desk

    @contextmanager
    def signing(self) -> Iterator[Desk]:
        """Have the desk alone to sign; however it ends, the next page asks the county for the log."""
        with self.keeper.desk() as desk:
            try:
                yield desk
            finally:
                self.keeper.forget()

    def text(self, name: str) -> str:
        """Give a text of the form without the spaces around it; "" where it is missing."""
        return self.texts.get(name, "").strip()

    def say(self, kind: str, words: Phrase) -> None:
        """Leave a sentence for the next page."""
        self.session.notices.append(Notice(kind, words))


Reply = Page | Redirect | Download
Handler = Callable[[Visit], Reply]
__all__ = [
    "ANYBODY",
    "ENTERED",
    "INSPECTOR",
    "KEEPER",
    "KEEPERS",
    "Download",
    "Handler",
    "Notice",
    "Office",
    "Page",
    "Redirect",
    "Reply",
    "Visit",
]
