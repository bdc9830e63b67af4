"""What `coordinator.store` asks of a kind of database; SQLite's and PostgreSQL's answers are beside this."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from sqlalchemy import Connection, Engine


class Backend(Protocol):
    """One kind of database.

    Attributes:
        name: what a message calls it: a path, or host and database; never a password.
        engine: of its connections.
    """

    name: str
    engine: Engine

    def is_new(self) -> bool:
        """Tell whether nothing of a coordinator is in it."""

    def writing(self) -> AbstractContextManager[Connection]:
        """Run one write transaction, alone among all processes; an exception rolls it back."""

    def reading(self) -> AbstractContextManager[Connection]:
        """Give one consistent view."""

    def looking(self) -> AbstractContextManager[Connection]:
        """Give a connection for one statement of `coordinator.prepared` that sees all commits so far."""

    def change_mark(self, connection: Connection) -> int:
        """Give a number that is another one once the transaction has changed a row."""

    def forget_deleted(self) -> None:
        """Take deleted rows off the disk, as far as this database can."""

    def close(self) -> None:
        """Close every connection."""
