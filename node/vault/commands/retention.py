"""Commands about keeping and deleting: ``retention``, ``retention_policy``, ``retention_filed``, ``prune``.

Each is a `Handler`: the open vault, the fields, the files by name. Fields and answers: `node.vault.desk`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Final

from node.vault.errors import _
from node.vault.fields import Answer, Fields, Files, Handler, bad_field
from node.vault.open_vault import OpenVault
from node.vault.retention import find_due, prune, record_filed, retention_status, take_policy
from node.vault.roles import MAX_NAME


def _retention(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    fields.allow()
    return retention_status(desk.enrolled()), {}


def _retention_policy(desk: OpenVault, fields: Fields, files: Files) -> Answer:
    fields.allow("by")
    parts, by = desk.enrolled(), _name(fields)
    with desk.store.transaction("retention policy"):
        take_policy(parts, files.get("policy", b""), by)
    return retention_status(parts), {}


def _retention_filed(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    fields.allow("until", "by")
    parts, by = desk.enrolled(), _name(fields)
    try:
        until = date.fromisoformat(fields.text("until", 10))
    except ValueError:
        raise bad_field("until", _("a day such as 2027-01-31")) from None
    with desk.store.transaction("audit filed"):
        record_filed(parts, until, by)
    return retention_status(parts), {}


def _prune(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    fields.allow("by", "dry_run")
    parts = desk.enrolled()
    if fields.flag("dry_run", default=False):
        return {"due": find_due(parts).counts(), "deleted": 0}, {}
    return {"due": prune(parts, _name(fields)).counts(), "deleted": 1}, {}


def _name(fields: Fields) -> str:
    by = fields.text("by", MAX_NAME)
    if not by.strip() or not by.isprintable():
        raise bad_field("by", _("a name"))
    return by


COMMANDS: Final[Mapping[str, Handler]] = {
    "retention": _retention,
    "retention_policy": _retention_policy,
    "retention_filed": _retention_filed,
    "prune": _prune,
}
