"""Parties of a simulated county that have left the rules, with the real keys of whom they are.

- `ForgedLog`: a second history under the coordinator's log key, with whatever entries it likes;
- `ForgedLink`: the coordinator as it shows such a history to one auditor;
- `LyingSchool`: a school that signs any header and seals any seeds;
- `sign_as`, `log_statement`: statements of a coordinator or an auditor that says what it likes;
- `refusal_of_auditor`, `refusal_of_node`: why an honest party does not follow a forged history.

Honest parties stay the real desks: nothing in them is replaced, only what they are shown.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from county_sums import secret_of
from fakes_county import CountySimulator, Crash, Link
from fakes_federation import sign_entry

from auditor.errors import LinkError, MirrorError
from auditor.state import SlotKind
from crypto import derivation
from crypto.checkpoint import Checkpoint, cosign, encode_checkpoint
from crypto.merkle import leaf_hash, tree_root
from crypto.note import Note, SigningKey, encode_note, parse_note, parse_signature_line
from crypto.replication import subsets_with
from crypto.sealing import seal
from node.vault.enrol import load_identity
from node.vault.errors import MirrorError as NodeMirrorError
from protos.bodies import CloseBody, ReportName, encode_candidates_body, encode_close_body
from protos.card import parse_card
from protos.convert import LogPage
from protos.errors import LedgerError
from protos.ledger import Ledger
from protos.report_payload import ReportPayload, encode_payload, note_of, parse_payload
from protos.round_log import RoundLog, closed_set, tier_of
from protos.statements import (
    Candidates,
    Close,
    Report,
    Statement,
    body_ref,
    digest,
    encode_statement,
    parse_statement,
)

Entry = tuple[bytes, bytes]


def auditor_key(county: CountySimulator, auditor_id: str) -> SigningKey:
    """The statement key of an auditor, for an auditor that lies."""
    return county.auditors[auditor_id].context.keys.statement


def coordinator_key(county: CountySimulator) -> SigningKey:
    """The statement key of the coordinator."""
    return county.coordinator.home.statement_key


def sign_as(statement: Statement, *keys: SigningKey) -> bytes:
    """Sign a statement; the entry as it would stand in the log."""
    return sign_entry(encode_statement(statement), keys)


def log_statement(county: CountySimulator, statement: Statement, body: bytes, *keys: SigningKey) -> bytes:
    """Log a statement past every step of the coordinator but the log's own rules; returns its digest."""
    with county.coordinator._book.writing("forge") as view:
        view.append(sign_as(statement, *(keys or (coordinator_key(county),))), body)
    return digest(encode_statement(statement))


def candidates_of(
    round_log: RoundLog, names: Sequence[ReportName], log_size: int
) -> tuple[Candidates, bytes]:
    """Candidates as a coordinator that chooses would state them."""
    body = encode_candidates_body(names)
    return Candidates(round_log.terms.federation, round_log.round_id, log_size, body_ref(body)), body


def close_of(
    round_log: RoundLog, auditors: Sequence[str], contents: CloseBody | None = None, **changes: object
) -> tuple[Close, bytes]:
    """A close over the checks of these auditors; other contents or fields where a test says so."""
    contents = contents or closed_set(round_log, auditors)
    body = encode_close_body(contents)
    candidates = round_log.candidates
    close = Close(
        federation=round_log.terms.federation,
        round=round_log.round_id,
        candidates=candidates.digest if candidates else bytes(32),
        checked=tuple((name, round_log.checked[name].digest) for name in auditors),
        tier=tier_of(round_log, contents.set),
        reports=len(contents.set),
        body=body_ref(body),
    )
    return replace(close, **changes), body  # type: ignore[arg-type]


def close_digest(round_log: RoundLog) -> bytes:
    """The digest of the logged close; zeros before there is one."""
    return round_log.close.digest if round_log.close else bytes(32)


def newest_names(round_log: RoundLog) -> list[ReportName]:
    """Each school's newest report."""
    newest = dict(sorted(round_log.reports))
    return [name_of(round_log, node, attempt) for node, attempt in sorted(newest.items())]


def name_of(round_log: RoundLog, node: str, attempt: int = 0) -> ReportName:
    """Name a logged report."""
    return ReportName(node, attempt, round_log.reports[(node, attempt)].digest)


class ForgedLog:
    """A history that only the coordinator's log key vouches for.

    Attributes:
        entries: (entry, body) of every position.
        cosignatures: size → auditor → line, from auditors that take part in the lie or were lied to.
    """

    def __init__(self, county: CountySimulator, size: int | None = None) -> None:
        """Start from what the real log had at a size (default: now)."""
        self._county = county
        self.entries: list[Entry] = list(county.coordinator.get_log(0, 10_000).entries[:size])
        self.cosignatures: dict[int, dict[str, str]] = {}

    @property
    def size(self) -> int:
        """Number of entries."""
        return len(self.entries)

    def add(self, statement: Statement, body: bytes = b"", *keys: SigningKey) -> bytes:
        """Add a statement that nobody has checked, by default the coordinator's; returns its digest."""
        self.entries.append((sign_as(statement, *(keys or (coordinator_key(self._county),))), body))
        return digest(encode_statement(statement))

    def add_note(self, entry: bytes) -> None:
        """Add an entry that somebody else has signed."""
        self.entries.append((entry, b""))

    def ledger(self) -> Ledger:
        """Read it by the rules, as far as they allow."""
        ledger = Ledger(parse_card(self._county.card_text))
        for entry, body in self.entries:
            ledger.append(entry, body)
        return ledger

    def refusal(self) -> str:
        """By which of the log's rules it is refused; empty if it follows them."""
        try:
            self.ledger()
        except LedgerError as err:
            return err.code
        return ""

    def cosign(self, auditor_id: str, at: datetime | None = None) -> None:
        """Cosign what there is, as a witness that lies: no look at what it cosigned before."""
        key = self._county.auditors[auditor_id].context.keys.cosigner
        time_s = int((at or self._county.now).timestamp())
        line = cosign(self.checkpoint_text(self.size), key, time_s)
        self.cosignatures.setdefault(self.size, {})[auditor_id] = line

    def checkpoint_text(self, size: int) -> str:
        """The checkpoint of a size, unsigned."""
        leaves = [leaf_hash(entry) for entry, _ in self.entries[:size]]
        return encode_checkpoint(
            Checkpoint(self._county.coordinator.home.log_key.name, size, tree_root(leaves))
        )

    def checkpoint(self, size: int | None = None) -> bytes:
        """The checkpoint of a size, signed by the log and whoever cosigned it."""
        size = self.size if size is None else size
        text = self.checkpoint_text(size)
        lines = [self._county.coordinator.home.log_key.sign(text)]
        lines += [line for _, line in sorted(self.cosignatures.get(size, {}).items())]
        return encode_note(Note(text, tuple(parse_signature_line(line) for line in lines)))

    def page(self, start: int = 0) -> LogPage:
        """What a reader is served."""
        sizes = [size for size, lines in self.cosignatures.items() if len(lines) >= 3]
        cosigned = self.checkpoint(max(sizes)) if sizes else b""
        return LogPage(start, tuple(self.entries[start:]), self.checkpoint(), cosigned)


class ForgedLink(Link):
    """Shows one auditor a forged history; boxes, vectors and sums are the real ones.

    Attributes:
        sent: every entry that the auditor sent, in order.
    """

    def __init__(self, county: CountySimulator, auditor_id: str, log: ForgedLog) -> None:
        super().__init__(county, auditor_id)
        self.auditor_id = auditor_id
        self.log = log
        self.sent: list[bytes] = []

    def get_log(self, start: int, max_entries: int) -> LogPage:
        return self.log.page(start)

    def submit_cosignature(self, size: int, line: str) -> None:
        self.log.cosignatures.setdefault(size, {})[self.auditor_id] = line

    def submit_statement(self, entry: bytes, body: bytes) -> int:
        self.sent.append(entry)
        ledger = self.log.ledger()
        known = ledger.entries_digest.get(digest(parse_note(entry).text))
        if known is not None:
            return known
        try:
            ledger.append(entry, body)
        except LedgerError as err:
            raise LinkError(err.code, str(err), is_temporary=False) from err
        self.log.entries.append((entry, body))
        return self.log.size - 1

    def submit_opening(self, entry: bytes, sums: Sequence[bytes]) -> int:
        return self.submit_statement(entry, b"")


class DyingLink(Link):
    """The process is killed after a signature is in its slot and before it is sent."""

    def __init__(self, county: CountySimulator, auditor_id: str, kind: str) -> None:
        super().__init__(county, auditor_id)
        self._auditor_id = auditor_id
        self._kind = kind

    def submit_statement(self, entry: bytes, body: bytes) -> int:
        if self._kind == parse_statement(parse_note(entry).text).TYPE:
            raise Crash(self._auditor_id, f"send {self._kind}")
        return super().submit_statement(entry, body)

    def submit_opening(self, entry: bytes, sums: Sequence[bytes]) -> int:
        if self._kind == "opening":
            raise Crash(self._auditor_id, "send opening")
        return super().submit_opening(entry, sums)


def give_link(county: CountySimulator, auditor_id: str, link: Link) -> None:
    """Let an honest auditor talk to another coordinator than the real one."""
    desk = county.auditors[auditor_id]
    desk.context = replace(desk.context, link=link)


def show(county: CountySimulator, auditor_id: str, log: ForgedLog) -> ForgedLink:
    """Show an honest auditor a forged history from now on; `restart` ends it."""
    link = ForgedLink(county, auditor_id, log)
    give_link(county, auditor_id, link)
    return link


def refusal_of_auditor(county: CountySimulator, log: ForgedLog, auditor_id: str = "a1") -> str:
    """Show an auditor a forged history and tell by which of the log's rules it is refused; empty: it is not.

    The auditor is back at the real coordinator afterwards.
    """
    link = show(county, auditor_id, log)
    code = ""
    try:
        county.auditors[auditor_id].step()
    except MirrorError as err:
        code = err.__cause__.code if isinstance(err.__cause__, LedgerError) else str(err)
    county.restart(auditor_id)
    return code if not link.sent else f"{code}, but something was sent"


def refusal_of_node(county: CountySimulator, log: ForgedLog, node_id: str = "s01") -> str:
    """The same for a school."""
    page = log.page()
    try:
        county.nodes[node_id].on_log(page.start, list(page.entries), page.latest, page.cosigned)
    except NodeMirrorError as err:
        return str(err.details.get("reason", err.code))
    return ""


def assert_refused(county: CountySimulator, log: ForgedLog, code: str) -> None:
    """Check that auditors and schools refuse a history by the same rule."""
    assert (refusal_of_auditor(county, log), refusal_of_node(county, log)) == (code, code)


def slot_bytes(county: CountySimulator, auditor_id: str, kind: SlotKind, round_id: bytes) -> bytes | None:
    """What an auditor's once-only slot holds."""
    return county.auditors[auditor_id].state.slot(kind, round_id)


class LyingSchool:
    """A school with its own report key and no rules; it starts from its honest report.

    Attributes:
        report, vector, boxes: the honest report, made and not sent; boxes by auditor.
        seeds: subset → seed of that report.
    """

    def __init__(self, county: CountySimulator, node_id: str, round_id: bytes) -> None:
        self.county = county
        self.id = node_id
        self.round_log = county.round(round_id)
        county.release(node_id, round_id)
        payload = county.nodes[node_id].outgoing()
        assert payload is not None
        report = parse_statement(parse_note(note_of(payload)).text)
        assert isinstance(report, Report)
        self.report = report
        parts = parse_payload(
            payload, report.cells, self.round_log.box_bytes, len(self.round_log.terms.auditors)
        )
        self.vector = parts.vector
        self.boxes = dict(zip(self.round_log.terms.auditors, parts.boxes, strict=True))
        secret = secret_of(county, self.round_log, node_id)
        self.seeds = derivation.seeds(secret, self.round_log.subsets)
        county.absent.add(node_id)  # its honest desk sends nothing

    def commit(self, seeds: Mapping[int, bytes]) -> tuple[tuple[int, bytes], ...]:
        """Commit to seeds in this school's own name."""
        round_id = self.round_log.round_id
        return tuple(
            (subset, derivation.seed_commitment(round_id, self.id, self.report.attempt, subset, seed))
            for subset, seed in sorted(seeds.items())
        )

    def seal(self, auditor_id: str, contents: Mapping[int, bytes], **changes: object) -> bytes:
        """Seal seeds to an auditor under a header of this school with these changes."""
        report = replace(self.report, **changes)  # type: ignore[arg-type]
        terms = self.round_log.terms
        index = terms.auditors.index(auditor_id)
        held = [contents[subset] for subset in subsets_with(index, len(terms.auditors), terms.threshold)]
        round_key = self.round_log.approvals[auditor_id].statement.round_key
        info = derivation.box_info(
            self.round_log.round_id,
            self.id,
            report.attempt,
            auditor_id,
            round_key,
            report.vector,
            derivation.commitments_digest([commitment for _, commitment in report.seeds]),
        )
        return seal(round_key, derivation.box_plaintext(held), info)

    def payload(
        self, *, vector: bytes | None = None, boxes: Mapping[str, bytes] | None = None, **changes: object
    ) -> bytes:
        """Write a payload whose header fits vector and boxes, apart from the changes."""
        sent = self.vector if vector is None else vector
        sealed = {**self.boxes, **(boxes or {})}
        values: dict[str, object] = {
            "vector": hashlib.sha256(sent).digest(),
            "boxes": tuple((name, hashlib.sha256(box).digest()) for name, box in sealed.items()),
            "size": len(sent) + sum(len(box) for box in sealed.values()),
        }
        report = replace(self.report, **{**values, **changes})  # type: ignore[arg-type]
        note = sign_as(report, load_identity(self.county.stores[self.id]).report_key)
        return encode_payload(ReportPayload(note, sent, tuple(sealed.values())))

    def note(self) -> bytes:
        """The header as it would stand in the log."""
        return note_of(self.payload())

    def send(self, payload: bytes) -> bytes:
        """Send a payload under this school's certificate; returns the receipt."""
        return self.county.coordinator.submit_report(self.id, payload)
