"""The tables of the record file.

``setting`` named single values · ``identity`` who this node is and its secrets · ``log_entry`` the
mirror of the log · ``checkpoint`` the newest checkpoints of it · ``record_set`` and ``record`` the
screening records, one set per import · ``charge`` the local half of the privacy account · ``report``
what was released, with the stored bytes (this is the outbox too) · ``receipt`` what the log
answered · ``journal`` the append-only chain.

The journal can only grow: triggers refuse every UPDATE and DELETE. Charges and reports are never
deleted; a report's stored bytes never change.
"""

from __future__ import annotations

SCHEMA_VERSION = 1

SCHEMA: tuple[str, ...] = (
    "CREATE TABLE setting (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT",
    """CREATE TABLE identity (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        public BLOB NOT NULL,
        master BLOB NOT NULL,
        report_seed BLOB NOT NULL,
        pupil_key BLOB NOT NULL,
        journal_key BLOB NOT NULL,
        created TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE log_entry (
        position INTEGER PRIMARY KEY,
        entry BLOB NOT NULL,
        body BLOB NOT NULL
    ) STRICT""",
    """CREATE TABLE checkpoint (
        kind TEXT PRIMARY KEY CHECK (kind IN ('cosigned', 'latest', 'split')),
        size INTEGER NOT NULL,
        note BLOB NOT NULL
    ) STRICT""",
    """CREATE TABLE record_set (
        set_id INTEGER PRIMARY KEY,
        school_year TEXT NOT NULL,
        wave TEXT NOT NULL,
        census_date TEXT NOT NULL,
        is_current INTEGER NOT NULL CHECK (is_current IN (0, 1)),
        num_records INTEGER NOT NULL,
        digest BLOB NOT NULL,
        provenance BLOB NOT NULL,
        imported TEXT NOT NULL
    ) STRICT""",
    """CREATE UNIQUE INDEX record_set_current ON record_set (school_year, wave) WHERE is_current = 1""",
    """CREATE TABLE record (
        set_id INTEGER NOT NULL REFERENCES record_set (set_id) ON DELETE CASCADE,
        rec_key BLOB NOT NULL,
        data BLOB NOT NULL,
        PRIMARY KEY (set_id, rec_key)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE charge (
        round BLOB PRIMARY KEY,
        school_year TEXT NOT NULL,
        rho TEXT NOT NULL,
        charged TEXT NOT NULL
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE report (
        round BLOB NOT NULL,
        attempt INTEGER NOT NULL CHECK (attempt BETWEEN 0 AND 3),
        set_id INTEGER NOT NULL REFERENCES record_set (set_id),
        tag BLOB NOT NULL,
        digest BLOB NOT NULL,
        payload BLOB,
        journal_seq INTEGER NOT NULL,
        released TEXT NOT NULL,
        released_by TEXT NOT NULL,
        PRIMARY KEY (round, attempt)
    ) STRICT""",
    """CREATE TABLE receipt (
        report BLOB NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('immediate', 'proof')),
        data BLOB NOT NULL,
        PRIMARY KEY (report, kind)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE journal (
        seq INTEGER PRIMARY KEY,
        previous BLOB NOT NULL,
        nonce BLOB NOT NULL,
        sealed BLOB NOT NULL,
        digest BLOB NOT NULL
    ) STRICT""",
    """CREATE TRIGGER journal_no_update BEFORE UPDATE ON journal
        BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END""",
    """CREATE TRIGGER journal_no_delete BEFORE DELETE ON journal
        BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END""",
    """CREATE TRIGGER charge_no_delete BEFORE DELETE ON charge
        BEGIN SELECT RAISE(ABORT, 'a charge is never taken back'); END""",
    """CREATE TRIGGER report_no_delete BEFORE DELETE ON report
        BEGIN SELECT RAISE(ABORT, 'a report is never forgotten'); END""",
)
