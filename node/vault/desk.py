"""The desk: what may be asked of an open vault, and which step answers it.

In `command` mode the worker hands over one command (JSON) with the user's files and gets an answer and named
blobs. What happens in `run` mode is in `node.vault.run_desk`.

| command | fields | answer |
| --- | --- | --- |
| ``init`` | federation, node, operator, attributes, system, floors | identity |
| ``identity`` | | report key, commitment to K |
| ``request`` | csr | blob ``request``: the signed enrolment request |
| ``roll`` | csr | blob ``roll``: the request with the next report key, and the old key's word |
| ``accept`` | card_text | the card's fingerprint |
| ``floors`` | floors | the floors, only ever stricter |
| ``import`` | round, or wave, school_year, census_date, consent; dry_run, sheets, by | counts and issues |
| ``undo_import`` | by | which wave, and what is current now |
| ``guess_profile`` | school_year | what was recognised; blob ``profile``: a proposal in TOML |
| ``records_summary`` | | the current sets of records |
| ``rounds`` | | every round with this node's report |
| ``preview`` | round, actor | tables, noise, cost, account; on a node with roles counts only for an actor |
| ``release`` | round, by, records; or with a principal: actor, reason | the stored report |
| ``decide`` | round, decision, reason, records, actor | approve releases; hold and decline keep back |
| ``hold`` | on | whether sending is held |
| ``status`` | | everything that this node knows |
| ``budget`` | year | the account of a school year as a meter: costs, risks, what is left |
| ``receipt`` | round | blob ``receipt``: a tlog-proof |
| ``log_import`` | | how far the log is trusted now; takes the file ``log`` |
| ``outbox_export`` | again | the reports that the cosigned log does not hold yet; a blob each |
| ``receipt_import`` | | which report the file ``receipt`` proves |
| ``recompute`` | round, attempt | the numbered checks of a replay |
| ``visit`` | | whom the file ``challenge`` asks for which report, and whether the log draws it |
| ``roles`` | | who holds which role; public keys |
| ``role_salt`` | role, name | the salt for the holder's passphrase; a new one for a new holder |
| ``role_add`` | role, name, salt, key, actor | a new holder, or a holder's new passphrase |
| ``role_check`` | actor | whether name and passphrase are right |
| ``follow_up_list`` | actor, school_year, wave, all | who is followed up, with names, level, what is open |
| ``follow_up_set`` | actor, school_year, wave, pupil or rec_key, values | the entry and the pupil now |
| ``follow_up_history`` | actor, school_year, wave, pupil or rec_key | a pupil's entries |
| ``follow_up_withdraw`` | actor, entry | the entry without its values |
| ``backup_begin`` | | a copy of the record file: name, bytes, SHA-256, when |
| ``backup_read`` | name, offset | blob ``piece`` of that copy |
| ``backup_end`` | name, kept | removes the copy; kept: the backup was written whole |
| ``restored`` | made | the restored file read whole; the node's reports that only the log has |
| ``recovery_make`` | key, actor | blob ``sealed``: this node's secrets; the principal's, where there is one |
| ``recovery_kept`` | made, sha256 | notes that the recovery file was written whole |
| ``recover`` | key, federation, node, made | becomes the node of the file ``sealed``, in an empty store |
| ``retention`` | | the county's numbers, the filed audit, what is due |
| ``retention_policy`` | by | takes the file ``policy`` |
| ``retention_filed`` | until, by | records that the audit up to a day was filed |
| ``prune`` | by, dry_run | what is due, deleted unless dry_run |
| ``local_report`` | wave, school_year, version, reason, actor | the school's own report; journal first |
| ``template`` | levels, sheet | what a workbook to fill in is made from; takes ``codebook``, ``roster`` |
| ``hand_over_key`` | actor | fingerprint; blob ``key``: this school's key for hand-over files |
| ``hand_over_make`` | actor, pupil, wave …, kind, fingerprint, reason … | what the blob ``file`` hands over |
| ``hand_over_receive`` | actor, sender | the content of the file ``file``; blob ``receipt`` |
| ``hand_over_receipt`` | actor | which file the file ``receipt`` is for |
| ``hand_over_list`` | actor | the files sent and received |
| ``hand_over_show`` | actor, id | the content of a received file |
| ``check_store`` | | damaged pages, and whether the journal's chain is whole |

An ``actor`` is an object: role, name, and key, the 32 bytes in hex that the passphrase was stretched to.
A field that is not listed is refused. Every command may be given again. Rationals in an answer are text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from node.vault.commands import (
    audit,
    backup,
    carrying,
    enrolment,
    follow_up,
    hand_over,
    local_report,
    records,
    retention,
    roles,
    rounds,
    template,
)
from node.vault.errors import CommandError, _
from node.vault.fields import Answer, Fields, Handler
from node.vault.open_vault import OpenVault

COMMANDS: Final[Mapping[str, Handler]] = {
    **enrolment.COMMANDS,
    **records.COMMANDS,
    **rounds.COMMANDS,
    **carrying.COMMANDS,
    **audit.COMMANDS,
    **backup.COMMANDS,
    **retention.COMMANDS,
    **roles.COMMANDS,
    **follow_up.COMMANDS,
    **hand_over.COMMANDS,
    **local_report.COMMANDS,
    **template.COMMANDS,
}


class Desk(OpenVault):
    """One open vault that takes commands; it can follow the log too."""

    def handle(self, command: Mapping[str, Any], files: Mapping[str, bytes]) -> Answer:
        """Answer one command.

        Raises:
            VaultError: it is refused; nothing is changed unless the refusal says so.
        """
        name = command.get("command")
        handler = COMMANDS.get(name) if isinstance(name, str) else None
        if handler is None:
            raise CommandError(
                _("there is no such command"),
                _("Use the same version of fedscreen for the command and the node."),
                code="unknown-command",
            )
        return handler(
            self, Fields({key: value for key, value in command.items() if key != "command"}), files
        )
