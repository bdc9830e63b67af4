"""Run the steps on the connection that ``coordinator.revisions`` hands over, within its transaction."""

from __future__ import annotations

from alembic import context

from coordinator import schema

context.configure(connection=context.config.attributes["connection"], target_metadata=schema.metadata)
with context.begin_transaction():
    context.run_migrations()
