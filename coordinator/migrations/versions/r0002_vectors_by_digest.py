"""Masked vectors by their SHA-256 instead of by log position; what was deleted, and when."""

from __future__ import annotations

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

MOMENT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the new tables, move the vectors over one at a time, drop the old table."""
    vectors = op.create_table(
        "vectors",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "deletions",
        sa.Column("round", sa.LargeBinary, nullable=False),
        sa.Column("what", sa.String, nullable=False),
        sa.Column("num_rows", sa.Integer, nullable=False),
        sa.Column("deleted_ms", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("round", "what"),
    )
    _move(op.get_bind(), vectors)
    op.drop_table("reports")
    op.execute("UPDATE meta SET value = '3' WHERE key = 'schema_version'")


def _move(connection: sa.Connection, vectors: sa.Table) -> None:
    reports = sa.table("reports", sa.column("position", sa.Integer), sa.column("vector", sa.LargeBinary))
    positions = connection.execute(sa.select(reports.c.position).order_by(reports.c.position)).scalars().all()
    known: set[bytes] = set()
    for position in positions:
        data = connection.execute(
            sa.select(reports.c.vector).where(reports.c.position == position)
        ).scalar_one()
        digest = hashlib.sha256(data).digest()
        if digest not in known:
            known.add(digest)
            connection.execute(sa.insert(vectors).values(digest=digest, data=data))


def downgrade() -> None:
    """Refuse: a database only goes forward; the way back is the copy that was kept."""
    raise NotImplementedError("restore the copy that was kept before the upgrade")
