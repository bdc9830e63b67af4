"""The tables as SQLite files had them before there were migrations (schema version 2)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

MOMENT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the first tables."""
    _log_tables()
    _party_tables()
    _round_tables()


def _log_tables() -> None:
    op.create_table(
        "meta",
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("value", sa.String, nullable=False),
    )
    op.create_table(
        "entries",
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("logged_ms", MOMENT, nullable=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("entry", sa.LargeBinary, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.CheckConstraint("position >= 0"),
    )
    op.create_table(
        "cosignatures",
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("auditor", sa.String, nullable=False),
        sa.Column("time_s", MOMENT, nullable=False),
        sa.Column("line", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("size", "auditor"),
    )


def _party_tables() -> None:
    op.create_table(
        "enrolments",
        sa.Column("role", sa.String, nullable=False),
        sa.Column("id", sa.String, nullable=False),
        sa.Column("is_outside", sa.Integer, nullable=False),
        sa.Column("request", sa.LargeBinary, nullable=False),
        sa.Column("certificate_pem", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("role", "id"),
    )
    op.create_table(
        "proposals",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("serial", sa.Integer, nullable=False),
        sa.Column("is_waiting", sa.Integer, nullable=False),
        sa.Column("text", sa.String, nullable=False),
        sa.Column("card", sa.String, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "proposal_signatures",
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("auditor", sa.String, nullable=False),
        sa.Column("line", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("digest", "auditor"),
    )


def _round_tables() -> None:
    op.create_table(
        "reports",
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("vector", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "boxes",
        sa.Column("round", sa.LargeBinary, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("boxes", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("round", "position"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "sums",
        sa.Column("round", sa.LargeBinary, nullable=False),
        sa.Column("auditor", sa.String, nullable=False),
        sa.Column("subset", sa.Integer, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("round", "auditor", "subset"),
    )
    op.create_table(
        "close_requests",
        sa.Column("round", sa.LargeBinary, primary_key=True),
        sa.Column("requested_ms", MOMENT, nullable=False),
    )


def downgrade() -> None:
    """Refuse: a database only goes forward; the way back is the copy that was kept."""
    raise NotImplementedError("restore the copy that was kept before the upgrade")
