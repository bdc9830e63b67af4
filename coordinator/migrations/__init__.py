"""Steps from one revision of the schema to the next, run by ``coordinator.revisions``.

A step is never changed once a release has it; a change of any table in ``coordinator.schema`` is a new one.
Tests compare what all steps make with ``coordinator.schema`` on SQLite and on PostgreSQL.
"""
