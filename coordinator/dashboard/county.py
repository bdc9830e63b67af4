"""The coordinator's database as the dashboard opens it: without a single key.

The log is read as everybody reads it; what the dashboard writes are its own tables and what people type
(facts, a wish to close early). The running coordinator sees that and acts; this process signs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection

from coordinator.config import Config, load_config
from coordinator.facts import school_name
from coordinator.home import place_of
from coordinator.log_book import LogBook, View
from coordinator.store import Store


@dataclass(frozen=True, slots=True)
class County:
    """One open county.

    Attributes:
        directory: the coordinator's folder.
        config: its configuration.
        store: its database.
        book: its log, to be read.
        clock: the present time, UTC.
    """

    directory: Path
    config: Config
    store: Store
    book: LogBook
    clock: Callable[[], datetime]

    @property
    def now_ms(self) -> int:
        """The present time in milliseconds."""
        return round(self.clock().timestamp() * 1000)

    @contextmanager
    def reading(self) -> Iterator[View]:
        """See the log as it is now."""
        with self.book.reading() as view:
            yield view

    @contextmanager
    def writing(self, step: str) -> Iterator[Connection]:
        """Change the dashboard's own tables in one transaction."""
        with self.store.writing(step) as connection:
            yield connection

    def nodes(self) -> dict[str, str]:
        """Give the schools of the roster in force: id → name; empty before the first roster."""
        with self.reading() as view:
            return nodes_of(view)

    def close(self) -> None:
        """Close the database."""
        self.store.close()


def nodes_of(view: View) -> dict[str, str]:
    """Give the schools of the roster in force, without the revoked: id → name."""
    if not view.has_genesis:
        return {}
    revoked = view.ledger.revoked_nodes
    return {node.id: school_name(node) for node in view.ledger.roster.body.nodes if node.id not in revoked}


def open_county(directory: Path, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> County:
    """Open a coordinator's folder.

    Raises:
        ConfigError, StoreError: it is not usable.
    """
    config = load_config(directory)
    store = Store(place_of(directory, config))
    return County(directory, config, store, LogBook(store, tuple, clock), clock)  # no log key at all
