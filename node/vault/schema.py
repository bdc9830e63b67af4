"""The tables of the record file.

``setting`` named single values · ``identity`` who this node is and its secrets · ``log_entry`` the
mirror of the log · ``checkpoint`` the newest checkpoints of it · ``record_set`` and ``record`` the
screening records, one set per import · ``charge`` the local half of the privacy account · ``report``
what was released, with the stored bytes (this is the outbox too) · ``receipt`` what the log
answered · ``journal`` the append-only chain.

Since format 2: ``role_key`` and ``role_holder`` the keys of the local roles, each sealed to its holder's
passphrase · ``register_set`` and ``pupil_card`` a set's classes, and its names sealed to the psychologist ·
``decision`` what the principal decided of a round · ``follow_up_entry`` what was typed into the form of the
follow-up, ``imported_record`` what a record was before it, ``no_follow_up`` pupils whose guardians denied
follow-up · ``hand_over`` sealed files about one pupil, and their receipts.

``pruned_set`` says which sets' rows retention has deleted, and when; ``journal_cut`` where the journal begins
since its oldest records were deleted (`node.vault.retention`).

The journal can only grow: triggers refuse every UPDATE, and every DELETE but of what lies before a cut, which
only moves forward. Charges and reports are never deleted; a report's stored bytes never change (retention may
delete them).
"""

from __future__ import annotations

from typing import Final

SCHEMA_VERSION = 2

FORMAT_1: Final[tuple[str, ...]] = (
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

FORMAT_2: Final[tuple[str, ...]] = (
    """CREATE TABLE role_key (
        role TEXT PRIMARY KEY CHECK (role IN ('psychologist', 'principal')),
        public BLOB NOT NULL,
        created TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE role_holder (
        role TEXT NOT NULL REFERENCES role_key (role),
        name TEXT NOT NULL,
        salt BLOB NOT NULL,
        sealed BLOB NOT NULL,
        created TEXT NOT NULL,
        PRIMARY KEY (role, name)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE register_set (
        set_id INTEGER PRIMARY KEY REFERENCES record_set (set_id) ON DELETE CASCADE,
        sealed_key BLOB NOT NULL
    ) STRICT""",
    """CREATE TABLE pupil_card (
        set_id INTEGER NOT NULL REFERENCES record_set (set_id) ON DELETE CASCADE,
        rec_key BLOB NOT NULL,
        class_name TEXT NOT NULL,
        sealed BLOB,
        PRIMARY KEY (set_id, rec_key)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE decision (
        round BLOB NOT NULL,
        seq INTEGER NOT NULL,
        decision TEXT NOT NULL CHECK (decision IN ('approve', 'hold', 'decline')),
        by TEXT NOT NULL,
        reason TEXT NOT NULL,
        decided TEXT NOT NULL,
        records TEXT NOT NULL,
        text TEXT NOT NULL,
        signature TEXT NOT NULL,
        PRIMARY KEY (round, seq)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE follow_up_entry (
        entry_id INTEGER PRIMARY KEY,
        school_year TEXT NOT NULL,
        wave TEXT NOT NULL,
        rec_key BLOB NOT NULL,
        data BLOB NOT NULL,
        time TEXT NOT NULL,
        by TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX follow_up_entry_wave ON follow_up_entry (school_year, wave, rec_key)",
    """CREATE TABLE imported_record (
        set_id INTEGER NOT NULL REFERENCES record_set (set_id) ON DELETE CASCADE,
        rec_key BLOB NOT NULL,
        data BLOB NOT NULL,
        PRIMARY KEY (set_id, rec_key)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE no_follow_up (
        set_id INTEGER NOT NULL REFERENCES record_set (set_id) ON DELETE CASCADE,
        rec_key BLOB NOT NULL,
        PRIMARY KEY (set_id, rec_key)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE hand_over (
        hand_over_id TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        created TEXT NOT NULL,
        expires TEXT NOT NULL,
        data BLOB NOT NULL,
        receipt BLOB
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE pruned_set (
        set_id INTEGER PRIMARY KEY REFERENCES record_set (set_id) ON DELETE CASCADE,
        pruned TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE journal_cut (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        first INTEGER NOT NULL,
        previous BLOB NOT NULL
    ) STRICT""",
    """CREATE TRIGGER journal_cut_forward BEFORE UPDATE ON journal_cut WHEN NEW.first <= OLD.first
        BEGIN SELECT RAISE(ABORT, 'a cut only moves forward'); END""",
    """CREATE TRIGGER journal_cut_no_delete BEFORE DELETE ON journal_cut
        BEGIN SELECT RAISE(ABORT, 'a cut is never taken back'); END""",
    "DROP TRIGGER journal_no_delete",
    """CREATE TRIGGER journal_no_delete BEFORE DELETE ON journal
        WHEN OLD.seq >= COALESCE((SELECT first FROM journal_cut), 0)
        BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END""",
)

FORMATS: Final = (FORMAT_1, FORMAT_2)
"""What each format adds to the one before; `node.vault.migrations` runs them in order."""
