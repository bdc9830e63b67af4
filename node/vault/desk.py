"""The desk: what may be asked of an open vault, and which step answers it.

In `command` mode the worker hands over one command (JSON) with the user's files and gets an answer and named
blobs. What happens in `run` mode is in `node.vault.run_desk`.

| command | fields | answer |
| --- | --- | --- |
| ``init`` | federation, node, operator, attributes, system, floors | identity |
| ``identity`` | | report key, commitment to K |
| ``request`` | csr | blob ``request``: the signed enrolment request |
| ``accept`` | card_text | the card's fingerprint |
| ``floors`` | floors | the floors, only ever stricter |
| ``import`` | round, or wave, school_year, census_date, consent; dry_run, sheets, by | counts and issues |
| ``undo_import`` | by | which wave, and what is current now |
| ``guess_profile`` | school_year | what was recognised; blob ``profile``: a proposal in TOML |
| ``records_summary`` | | the current sets of records |
| ``rounds`` | | every round with this node's report |
| ``preview`` | round | exact tables, noise, cost, account; for the person in front of it |
| ``release`` | round, by, records | the stored report |
| ``hold`` | on | whether sending is held |
| ``status`` | | everything that this node knows |
| ``budget`` | year | the account of a school year as a meter: costs, risks, what is left |
| ``receipt`` | round | blob ``receipt``: a tlog-proof |
| ``log_import`` | | how far the log is trusted now; takes the file ``log`` |
| ``outbox_export`` | | the reports that the cosigned log does not hold yet; a blob each |
| ``receipt_import`` | | which report the file ``receipt`` proves |
| ``recompute`` | round, attempt | the numbered checks of a replay |
| ``check_store`` | | damaged pages, and whether the journal's chain is whole |

A field that is not listed is refused. Every command may be given again. Rationals in an answer are text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from node.vault import carry
from node.vault.account import Account
from node.vault.budget import budget
from node.vault.check_round import find_round
from node.vault.enrol import (
    Identity,
    accept_card,
    create_identity,
    find_card,
    find_identity,
    load_floors,
    load_identity,
    make_request,
    parse_floors,
    tighten_floors,
)
from node.vault.errors import CommandError, VaultError, _, shown_as
from node.vault.import_records import import_records, target_of_plan, target_of_values
from node.vault.importing.guess import guess_profile
from node.vault.journal import Entropy, Journal, JournalRecord
from node.vault.parts import Parts
from node.vault.preview import preview_round
from node.vault.published import PublishedRounds
from node.vault.receipt import make_receipt
from node.vault.records import list_sets
from node.vault.release import release_round
from node.vault.replay import replay_report
from node.vault.run_desk import HOLD_SETTING, RunDesk
from node.vault.status import list_rounds, node_status, record_set_values, report_values
from node.vault.store import VaultStore
from node.vault.undo_import import undo_import
from plan.errors import phrase
from privacy.errors import PrivacyError
from privacy.year_account import first_year
from protos.card import fingerprint

DIGEST_BYTES = 32
LEVELS = ("L0", "L1", "L2", "L3")

Answer = tuple[dict[str, Any], dict[str, bytes]]


class Desk(RunDesk):
    """One open vault that takes commands; it can follow the log too.

    Args:
        store: the open record file.
        entropy: returns that many random bytes.
        now: the computer's clock, UTC.
        level: confinement level that this process reached.
        software: SHA-256 of the installed program.
    """

    def __init__(
        self, store: VaultStore, *, entropy: Entropy, now: Callable[[], datetime], level: str, software: bytes
    ) -> None:
        if level not in LEVELS or len(software) != DIGEST_BYTES:
            raise CommandError(_("the vault was opened with a wrong level or software digest"))
        super().__init__(store, now=now)
        self._entropy = entropy
        self._published = PublishedRounds()
        self._level = level
        self._software = software
        self._parts: Parts | None = None

    # -- command mode ------------------------------------------------------------------------

    def handle(self, command: Mapping[str, Any], files: Mapping[str, bytes]) -> Answer:
        """Answer one command.

        Raises:
            VaultError: it is refused; nothing is changed unless the refusal says so.
        """
        name = command.get("command")
        handler = self._handlers().get(name) if isinstance(name, str) else None
        if handler is None:
            raise CommandError(
                _("there is no such command"),
                _("Use the same version of fedscreen for the command and the node."),
                code="unknown-command",
            )
        fields = {key: value for key, value in command.items() if key != "command"}
        return handler(_Fields(fields), files)

    def _handlers(self) -> dict[str, Callable[[_Fields, Mapping[str, bytes]], Answer]]:
        return {
            "init": self._init,
            "identity": self._identity,
            "request": self._request,
            "accept": self._accept,
            "floors": self._floors,
            "import": self._import,
            "undo_import": self._undo_import,
            "guess_profile": self._guess_profile,
            "records_summary": self._records_summary,
            "rounds": self._rounds,
            "preview": self._preview,
            "release": self._release,
            "hold": self._hold,
            "status": self._status,
            "budget": self._budget,
            "receipt": self._receipt,
            "log_import": self._log_import,
            "outbox_export": self._outbox_export,
            "receipt_import": self._receipt_import,
            "recompute": self._recompute,
            "check_store": self._check_store,
        }

    def _init(self, fields: _Fields, _files: Mapping[str, bytes]) -> Answer:
        fields.allow("federation", "node", "operator", "attributes", "system", "floors")
        floors = parse_floors(fields.mapping("floors"))
        values = {key: value for key, value in fields.values.items() if key != "floors"}
        with self._store.transaction("init"):
            is_new = find_identity(self._store) is None
            now = self._clock.now()
            identity = create_identity(self._store, self._entropy, now, values, floors)
            if is_new:
                self._journal(identity).append(_record(now, "init", identity.node, {}))
        return self._describe_identity(identity), {}

    def _identity(self, fields: _Fields, _files: Mapping[str, bytes]) -> Answer:
        fields.allow()
        return self._describe_identity(load_identity(self._store)), {}

    def _request(self, fields: _Fields, _files: Mapping[str, bytes]) -> Answer:
        fields.allow("csr")
        identity = load_identity(self._store)
        request = make_request(identity, fields.text("csr", 16 * 1024))
        return self._describe_identity(identity), {"request": request}

    def _accept(self, fields: _Fields, _files: Mapping[str, bytes]) -> Answer:
        fields.allow("card_text")
        identity, text = load_identity(self._store), fields.text("card_text", 64 * 1024)
        with self._store.transaction("accept"):
            is_new = find_card(self._store) is None
            card = accept_card(self._store, identity, text)
            if is_new:
                data = {"fingerprint": fingerprint(text)}
                now = self._clock.now()
                self._journal(identity).append(_record(now, "accept", card.federation, data))
        return {"federation": card.federation, "kind": card.kind, "fingerprint": fingerprint(text)}, {}

    def _floors(self, fields: _Fields, _files: Mapping[str, bytes]) -> Answer:
        fields.allow("floors")
        identity = load_identity(self._store)
        with self._store.transaction("floors"):
            floors = tighten_floors(self._store, fields.mapping("floors"))
            values = floors.as_json()
            self._journal(identity).append(_record(self._clock.now(), "floors", identity.node, values))
        return values, {}

    def _import(self, fields: _Fields, files: Mapping[str, bytes]) -> Answer:
        fields.allow("round", "wave", "school_year", "census_date", "consent", "dry_run", "sheets", "by")
        identity = load_identity(self._store)
        if fields.has("round"):
            round_log = find_round(self._enrolled().mirror, fields.digest("round"))
            target = target_of_plan(self._published.read(round_log))
        else:
            target = target_of_values(fields.values)
        sheets = {key: value for key, value in fields.mapping("sheets").items() if isinstance(value, str)}
        is_dry_run = fields.flag("dry_run", default=False)
        answer = import_records(
            self._store,
            self._journal(identity),
            identity,
            self._clock.now(),
            target,
            files,
            sheets,
            by=fields.text("by", 200) if fields.has("by") else "",
            is_dry_run=is_dry_run,
        )
        return answer, {}

    def _undo_import(self, fields: _Fields, _files: Mapping[str, bytes]) -> Answer:
        fields.allow("by")
        identity, by = load_identity(self._store), fields.text("by", 200)
        return undo_import(self._store, self._journal(identity), self._clock.now(), by), {}

    def _guess_profile(self, fields: _Fields, files: Mapping[str, bytes]) -> Answer:
        fields.allow("school_year")
        load_identity(self._store)
        guess = guess_profile(files, fields.text("school_year", 9) if fields.has("school_year") else "")
        return guess.answer, {"profile": guess.toml}

    def _records_summary(self, fields: _Fields, _files: Mapping[str, bytes]) -> Answer:
        fields.allow()
        load_identity(self._store)
        return {"records": [record_set_values(row) for row in list_sets(self._store)]}, {}

    def _rounds(self, fields: _Fields, _files: Mapping[str, bytes]) -> Answer:
        fields.allow()
        return {"rounds": list_rounds(self._enrolled())}, {}

    def _preview(self, fields: _Fields, _files: Mapping[str, bytes]) -> Answer:
        fields.allow("round")
        return preview_round(self._enrolled(), fields.digest("round")), {}

    def _release(self, fields: _Fields, _files: Mapping[str, bytes]) -> Answer:
        fields.allow("round", "by", "records")
        parts = self._enrolled()
        records = fields.text("records", 64) if fields.has("records") else ""
        by = fields.text("by", 200)
        released = release_round(parts, fields.digest("round"), by, records=records)
        answer = report_values(parts, released.report)
        answer |= {"round": released.report.round_id.hex(), "is_new": int(released.is_new)}
        return answer | {"bytes": released.payload_bytes}, {}

    def _hold(self, fields: _Fields, _files: Mapping[str, bytes]) -> Answer:
        fields.allow("on")
        identity, is_on = load_identity(self._store), fields.flag("on", default=True)
        with self._store.transaction("hold"):
            self._store.put_setting(HOLD_SETTING, b"1" if is_on else b"0")
            self._journal(identity).append(
                _record(self._clock.now(), "hold", identity.node, {"on": int(is_on)})
            )
        return {"held": int(is_on)}, {}

    def _status(self, fields: _Fields, _files: Mapping[str, bytes]) -> Answer:
        fields.allow()
        identity, pinned = load_identity(self._store), find_card(self._store)
        if pinned is None:
            values = self._describe_identity(identity)
            return values | {"fingerprint": "", "clock": self._clock.now().isoformat(), "rounds": []}, {}
        return node_status(self._enrolled(), pinned[1], is_held=self._is_held()), {}

    def _budget(self, fields: _Fields, _files: Mapping[str, bytes]) -> Answer:
        fields.allow("year")
        year = fields.school_year("year") if fields.has("year") else ""
        return budget(self._enrolled(), year), {}

    def _receipt(self, fields: _Fields, _files: Mapping[str, bytes]) -> Answer:
        fields.allow("round")
        receipt = make_receipt(self._enrolled(), fields.digest("round"))
        return {"kind": receipt.kind, "attempt": receipt.attempt}, {"receipt": receipt.proof}

    def _log_import(self, fields: _Fields, files: Mapping[str, bytes]) -> Answer:
        fields.allow()
        known = self._following()
        answer = carry.import_log(known.mirror, known.card.federation, files.get("log", b""))
        trusted = known.mirror.trusted
        age_s = int((self._clock.now() - trusted.time).total_seconds()) if trusted else -1
        return answer | {"age_s": age_s, "trusted_time": trusted.time.isoformat() if trusted else ""}, {}

    def _outbox_export(self, fields: _Fields, _files: Mapping[str, bytes]) -> Answer:
        fields.allow()
        parts = self._enrolled()
        if self._is_held():
            raise VaultError(
                _("sending is held; nothing leaves"), _("Run 'fedscreen node hold --off' first."), code="held"
            )
        found = carry.waiting_reports(self._store, parts.mirror, parts.identity.node)
        rows: list[dict[str, str | int]] = [
            {
                "name": name,
                "round": report.round_id.hex(),
                "attempt": report.attempt,
                "state": state.value,
                "digest": report.digest.hex(),
                "bytes": len(payload),
            }
            for name, report, state, payload in found
        ]
        with self._store.transaction("outbox export"):
            for row in rows:
                data = {"round": row["round"], "attempt": row["attempt"]}
                parts.journal.append(_record(self._clock.now(), "carry-out", str(row["digest"]), data))
        return {"reports": rows}, {name: payload for name, _report, _state, payload in found}

    def _receipt_import(self, fields: _Fields, files: Mapping[str, bytes]) -> Answer:
        fields.allow()
        card = self._following().card
        with self._store.transaction("receipt"):
            report = carry.import_receipt(self._store, card, files.get("receipt", b""))
        return {"round": report.round_id.hex(), "attempt": report.attempt, "digest": report.digest.hex()}, {}

    def _recompute(self, fields: _Fields, _files: Mapping[str, bytes]) -> Answer:
        fields.allow("round", "attempt")
        replay = replay_report(self._enrolled(), fields.digest("round"), fields.number("attempt", 0, 3))
        checks = [{"number": row.number, "name": row.name, "result": row.result} for row in replay.checks]
        return {
            "node": replay.node,
            "round": replay.round_id.hex(),
            "attempt": replay.attempt,
            "report": replay.report.hex(),
            "outcome": replay.outcome,
            "confinement": self._level,
            "checks": checks,
        }, {}

    def _check_store(self, fields: _Fields, _files: Mapping[str, bytes]) -> Answer:
        fields.allow()
        identity = load_identity(self._store)
        num_records = sum(1 for _record in self._journal(identity).verify())
        return {"damaged": list(self._store.damaged_pages()), "journal_records": num_records}, {}

    # -- pieces ------------------------------------------------------------------------------

    def _enrolled(self) -> Parts:
        """Open the pieces of an enrolled node, and take over what another process stored."""
        known = self._following()
        if self._parts is None:
            self._parts = Parts(
                store=self._store,
                clock=self._clock,
                journal=self._journal(known.identity),
                mirror=known.mirror,
                account=Account(self._store, known.identity, self._published),
                published=self._published,
                identity=known.identity,
                card=known.card,
                entropy=self._entropy,
                level=self._level,
                software=self._software,
            )
        return self._parts

    def _journal(self, identity: Identity) -> Journal:
        return Journal(self._store, identity.journal_key, self._entropy)

    def _describe_identity(self, identity: Identity) -> dict[str, Any]:
        return identity.public_values() | {
            "report_key": identity.verifier.text,
            "master": identity.commitment.hex(),
            "floors": load_floors(self._store).as_json(),
            "confinement": self._level,
            "software": self._software.hex(),
        }


class _Fields:
    """A command's fields, taken one by one with a check each."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = dict(values)

    def allow(self, *names: str) -> None:
        unknown = sorted(set(self.values) - set(names))
        if unknown:
            raise _bad_field(unknown[0][:40], _("no such field"))

    def has(self, name: str) -> bool:
        return self.values.get(name) not in (None, "")

    def text(self, name: str, most: int) -> str:
        value = self.values.get(name)
        if not isinstance(value, str) or not 0 < len(value) <= most:
            raise _bad_field(name, _("a text"))
        return value

    def number(self, name: str, low: int, high: int) -> int:
        value = self.values.get(name)
        if type(value) is not int or not low <= value <= high:
            raise _bad_field(name, f"{low} … {high}")
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        value = self.values.get(name, default)
        if value not in (0, 1):
            raise _bad_field(name, "0 / 1")
        return bool(value)

    def mapping(self, name: str) -> dict[str, Any]:
        value = self.values.get(name, {})
        if not isinstance(value, dict):
            raise _bad_field(name, _("an object"))
        return value

    def school_year(self, name: str) -> str:
        try:
            year = self.text(name, 64)
            first_year(year)
        except PrivacyError:
            raise CommandError(
                _("%(field)s: expected %(expected)s"),
                _("Correct the value and run the command again."),
                details={"field": name, **shown_as("expected", phrase("a school year such as 2026-2027"))},
            ) from None
        return year

    def digest(self, name: str) -> bytes:
        value = self.values.get(name)
        try:
            digest = bytes.fromhex(value) if isinstance(value, str) else b""
        except ValueError:
            digest = b""
        if len(digest) != DIGEST_BYTES or digest.hex() != value:
            raise _bad_field(name, _("64 lower-case hex digits"))
        return digest


def _bad_field(name: str, expected: str) -> CommandError:
    return CommandError(
        _("%(field)s: expected %(expected)s"),
        _("Correct the value and run the command again."),
        details={"field": name, "expected": expected},
    )


def _record(now: datetime, kind: str, target: str, data: Mapping[str, str | int]) -> JournalRecord:
    return JournalRecord(now, "vault", kind, target, "ok", dict(data))
