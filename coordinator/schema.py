"""The tables of one coordinator's database.

Everything that a round's result depends on is here, so that a process may stop at any
instruction: the log itself (``entries``), what reports carry beside their header (``vectors``,
``boxes``), the auditors' mask sums, and who is enrolled. A change of any table is a new
``SCHEMA_VERSION``.
"""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    UniqueConstraint,
)

SCHEMA_VERSION = 1

metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("key", String, primary_key=True),
    Column("value", String, nullable=False),
)

entries = Table(
    "entries",
    metadata,
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("logged_ms", Integer, nullable=False),
    Column("root", LargeBinary, nullable=False),  # of the tree of position + 1 entries
    Column("entry", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    CheckConstraint("position >= 0"),
)

enrolments = Table(
    "enrolments",
    metadata,
    Column("role", String, nullable=False),
    Column("id", String, nullable=False),
    Column("is_outside", Integer, nullable=False),
    Column("request", LargeBinary, nullable=False),
    Column("certificate_pem", String, nullable=False),
    PrimaryKeyConstraint("role", "id"),
)

proposals = Table(
    "proposals",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("serial", Integer, nullable=False),
    Column("is_waiting", Integer, nullable=False),
    Column("text", String, nullable=False),
    Column("card", String, nullable=False),  # of a genesis; empty for every later roster
    Column("body", LargeBinary, nullable=False),
)

proposal_signatures = Table(
    "proposal_signatures",
    metadata,
    Column("digest", LargeBinary, nullable=False),
    Column("auditor", String, nullable=False),
    Column("line", String, nullable=False),
    PrimaryKeyConstraint("digest", "auditor"),
)

cosignatures = Table(
    "cosignatures",
    metadata,
    Column("size", Integer, nullable=False),
    Column("auditor", String, nullable=False),
    Column("time_s", Integer, nullable=False),
    Column("line", String, nullable=False),
    PrimaryKeyConstraint("size", "auditor"),
)

reports = Table(
    "reports",
    metadata,
    Column("round", LargeBinary, nullable=False),
    Column("node", String, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("position", Integer, nullable=False, unique=True),
    Column("digest", LargeBinary, nullable=False),
    Column("payload_sha256", LargeBinary, nullable=False),
    Column("vector", LargeBinary, nullable=False),  # last: small columns are read without it
    PrimaryKeyConstraint("round", "node", "attempt"),
    UniqueConstraint("round", "digest"),
)

boxes = Table(
    "boxes",
    metadata,
    Column("round", LargeBinary, nullable=False),
    Column("position", Integer, nullable=False),
    Column("auditor", String, nullable=False),
    Column("box", LargeBinary, nullable=False),
    PrimaryKeyConstraint("round", "position", "auditor"),
)

sums = Table(
    "sums",
    metadata,
    Column("round", LargeBinary, nullable=False),
    Column("auditor", String, nullable=False),
    Column("subset", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
    PrimaryKeyConstraint("round", "auditor", "subset"),
)

close_requests = Table(
    "close_requests",
    metadata,
    Column("round", LargeBinary, primary_key=True),
    Column("requested_ms", Integer, nullable=False),
)
