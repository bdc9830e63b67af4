"""The tables of one coordinator's database.

Everything that a round's result depends on is here, so that a process may stop at any
instruction: the log itself (``entries``), what reports carry beside their header (``vectors``,
``boxes``), the auditors' mask sums, and who is enrolled. The same tables stand in SQLite and in
PostgreSQL; ``coordinator.migrations`` brings a database of an earlier version here.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)

SCHEMA_VERSION = 3  # what a program of before the migrations reads in `meta`
REVISION = "0003"  # the newest of coordinator/migrations/versions

metadata = MetaData()
Moment = BigInteger().with_variant(Integer(), "sqlite")  # milliseconds or seconds since 1970

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
    Column("logged_ms", Moment, nullable=False),
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
    Column("time_s", Moment, nullable=False),
    Column("line", String, nullable=False),
    PrimaryKeyConstraint("size", "auditor"),
)

vectors = Table(  # by SHA-256; which report has which is said by the report's header in the log
    "vectors",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("data", LargeBinary, nullable=False),
)

boxes = Table(  # of one report, in plan order, each of the same size
    "boxes",
    metadata,
    Column("round", LargeBinary, nullable=False),
    Column("position", Integer, nullable=False),
    Column("boxes", LargeBinary, nullable=False),
    PrimaryKeyConstraint("round", "position"),
    sqlite_with_rowid=False,
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

deletions = Table(  # what was deleted because its time was over; rows only, nothing of what they held
    "deletions",
    metadata,
    Column("round", LargeBinary, nullable=False),
    Column("what", String, nullable=False),  # boxes, unused vectors, vectors, sums
    Column("num_rows", Integer, nullable=False),
    Column("deleted_ms", Moment, nullable=False),
    PrimaryKeyConstraint("round", "what"),
)

close_requests = Table(
    "close_requests",
    metadata,
    Column("round", LargeBinary, primary_key=True),
    Column("requested_ms", Moment, nullable=False),
)

leave_outs = Table(  # an administrator lets a close leave out the checks of auditors that refuse too much
    "leave_outs",
    metadata,
    Column("round", LargeBinary, primary_key=True),
    Column("requested_ms", Moment, nullable=False),
)

facts = Table(  # what people typed about a school's conditions; every version is kept
    "facts",
    metadata,
    Column("node", String, nullable=False),
    Column("year", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),  # canonical JSON of results.facts
    Column("entered_by", String, nullable=False),
    Column("source", String, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("node", "year", "version"),
)

progress = Table(  # principals' progress statements; every version is kept
    "progress",
    metadata,
    Column("node", String, nullable=False),
    Column("round", LargeBinary, nullable=False),
    Column("version", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),  # canonical JSON of results.progress
    Column("entered_by", String, nullable=False),
    Column("source", String, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("node", "round", "version"),
)

accounts = Table(  # who may log in to the dashboard (`coordinator.accounts`)
    "accounts",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("person", String(200), nullable=False),
    Column("role", String(16), nullable=False),  # empty until the security administrator gives one
    Column("node", String(64), nullable=False),  # the school of a school's account, else empty
    Column("is_enabled", Integer, nullable=False),
    Column("passphrase", String(200), nullable=False),  # Argon2id; empty before the first
    Column("code_digest", LargeBinary, nullable=False),  # SHA-256 of a set-up code; empty for none
    Column("code_until_ms", BigInteger, nullable=False),
    Column("totp_secret", String(64), nullable=False),
    Column("totp_pending", String(64), nullable=False),
    Column("totp_step", BigInteger, nullable=False),  # the newest that was used
    Column("created_ms", BigInteger, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),  # of the passphrase; 0 before the first
)

recovery_codes = Table(  # of accounts with a second factor; each works once
    "recovery_codes",
    metadata,
    Column("account", String(64), nullable=False),
    Column("digest", LargeBinary, nullable=False),
    PrimaryKeyConstraint("account", "digest"),
)

login_sessions = Table(
    "login_sessions",
    metadata,
    Column("digest", LargeBinary, primary_key=True),  # SHA-256 of the cookie
    Column("account", String(64), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
)

login_brakes = Table(  # failed log-ins by account, and of everybody
    "login_brakes",
    metadata,
    Column("subject", String(100), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("free_ms", BigInteger, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
)

actions = Table(  # who did what on the dashboard; rows are only ever added (`coordinator.actions`)
    "actions",
    metadata,
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("account", String(64), nullable=False),
    Column("role", String(16), nullable=False),
    Column("action", String(40), nullable=False),
    Column("subject", String(100), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("digest", LargeBinary, nullable=False),  # SHA-256 of the row before and this one
)

certificates = (
    Table(  # every one that was issued to a node or auditor: all of an old TLS key are denied at once
        "certificates",
        metadata,
        Column("serial", String(40), primary_key=True),  # as in denied_certificates
        Column("role", String(16), nullable=False),
        Column("party", String(64), nullable=False),
        Column("tls_key", LargeBinary, nullable=False),  # SHA-256 of the SubjectPublicKeyInfo
        Column("issued_ms", BigInteger, nullable=False),
    )
)
denied_certificates = Table(  # serials that no call is answered for any more, long before they expire
    "denied_certificates",
    metadata,
    Column("serial", String(40), primary_key=True),  # lower-case hex, no leading zeros
    Column("role", String(16), nullable=False),
    Column("party", String(64), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("denied_ms", BigInteger, nullable=False),
)

members = Table(  # what the county says of a member beside its request (`coordinator.members`)
    "members",
    metadata,
    Column("role", String(16), nullable=False),
    Column("id", String(64), nullable=False),
    Column("attributes", Text, nullable=False),  # JSON: name → value, "" takes one away
    Column("left_ms", BigInteger),  # since when it is to leave; null for never
    Column("successor", String(64), nullable=False),  # the node that succeeds it, or empty
    PrimaryKeyConstraint("role", "id"),
)

tokens = Table(  # invitations to enrol online; each works once (`coordinator.tokens`)
    "tokens",
    metadata,
    Column("digest", LargeBinary, primary_key=True),  # SHA-256 of the token
    Column("node", String(64), nullable=False),
    Column("invited", LargeBinary, nullable=False),  # SHA-256 of id, name and attributes
    Column("made_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("used_ms", BigInteger),  # null until it was used
    Column("request", LargeBinary, nullable=False),  # SHA-256 of the request it was used for, else empty
)
