"""What a county office works with beside the log: facts, progress, accounts, and what else came with them.

Until the first release that has it, this step makes every table of ``coordinator.schema`` that is not there.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from coordinator import schema

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables that are missing, with their indexes."""
    connection = op.get_bind()
    present = set(sa.inspect(connection).get_table_names())
    missing = [table for table in schema.metadata.sorted_tables if table.name not in present]
    schema.metadata.create_all(connection, tables=missing, checkfirst=False)


def downgrade() -> None:
    """Refuse: a database only goes forward; the way back is the copy that was kept."""
    raise NotImplementedError("restore the copy that was kept before the upgrade")
