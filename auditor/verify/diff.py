"""Hold a new log against what an auditor kept: the same log extended, and what is new in it.

| number | name | what it shows |
| --- | --- | --- |
| 1 | kept | what was kept can be read; where it has entries, they have its checkpoint's root |
| 2 | shown | the new log's entries have its checkpoint's root |
| 3 | extends | the new log's tree at the size that was kept is the one that was kept |
| 4 | rules | every entry follows the rules; the new checkpoint is signed and cosigned as its rosters ask |

A root stands for every byte of every entry below it. So where 3 holds, the first entry of the new log, and
the keys in it, are those that were believed when the old one was kept, and no policy is needed here. Where it
does not hold, the two signed checkpoints are the evidence: nobody else has to be believed.

Nothing is written. Spec: docs/verification.md "Against what was kept".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from auditor.config import AuditorFolder
from auditor.enrol import load_card
from auditor.errors import BundleError
from auditor.mirror import Mirror
from auditor.verify.bundle_files import BundleFiles
from auditor.verify.log import card_of, read_body, read_entries
from auditor.verify.outcome import CheckFailed, CheckSkipped, Verdict
from crypto.checkpoint import Checkpoint, parse_checkpoint
from crypto.merkle import leaf_hash, tree_root
from crypto.note import parse_note
from plan.errors import Phrase, phrase
from protos.errors import LedgerError
from protos.ledger import Ledger
from protos.statements import Statement, body_of, parse_statement

NAMES = {"kept": 1, "shown": 2, "extends": 3, "rules": 4}
MAX_NOTE_BYTES = 1 << 20
_PLACES = ("log", ".")  # of a bundle, of a published log folder


@dataclass(slots=True)
class Shown:
    """A log as somebody shows it, or the head of one.

    Attributes:
        note: its checkpoint, a signed note.
        checkpoint: what the note says.
        entries: None where only a head was kept.
        bodies: the body of every entry, empty where it has none.
    """

    note: bytes
    checkpoint: Checkpoint
    entries: list[bytes] | None = None
    bodies: list[bytes] = field(default_factory=list)


@dataclass(slots=True)
class Difference:
    """What `compare` found.

    Attributes:
        verdict: the four checks.
        old, new: None where one cannot be read.
        ledger: the new log by its rules, where every entry follows them.
        parted_at: position of the first entry that differs; None where that cannot be said.
    """

    verdict: Verdict
    old: Shown | None = None
    new: Shown | None = None
    ledger: Ledger | None = None
    parted_at: int | None = None

    @property
    def news(self) -> list[tuple[int, Statement]]:
        """Position and statement of every entry beyond what was kept; nothing unless it extends that."""
        if self.verdict.exit_code != 0 or self.old is None or self.new is None:
            return []
        entries, start = self.new.entries or [], self.old.checkpoint.size
        return [
            (position, parse_statement(parse_note(entry).text))
            for position, entry in enumerate(entries[start:], start=start)
        ]


def compare(old: Path, new: Path) -> Difference:
    """Compare what was kept (bundle, published log, auditor's folder or checkpoint) with a newer log."""
    found = Difference(Verdict(NAMES))

    def kept() -> Phrase:
        found.old = read_shown(old)
        return _describe(found.old)

    def shown() -> Phrase:
        found.new = read_shown(new)
        if found.new.entries is None:
            raise CheckSkipped(phrase("%(path)s: a checkpoint alone; expected a bundle or a log", path=new))
        return _describe(found.new)

    found.verdict.run("kept", kept)
    found.verdict.run("shown", shown)
    found.verdict.run("extends", lambda: _check_extends(found))
    found.verdict.run("rules", lambda: _check_rules(found))
    return found


def read_shown(path: Path) -> Shown:
    """Read a checkpoint file, a bundle, a published log folder or an auditor's folder.

    Raises:
        CheckSkipped: it holds no log, or a file of it is missing.
        CheckFailed: its entries have another root than its checkpoint.
        BundleError, DecodeError: what it holds cannot be read.
    """
    if path.is_file():
        return _head(path)
    for place in _PLACES:
        if (path / place / "checkpoint").is_file():
            return _folder(BundleFiles(path / place))
    if (path / "mirror").is_dir():
        return _mirror(AuditorFolder(path))
    raise CheckSkipped(phrase("%(path)s: no bundle, log, auditor's folder or checkpoint", path=path))


def _head(path: Path) -> Shown:
    if path.stat().st_size > MAX_NOTE_BYTES:
        raise BundleError(phrase("%(path)s: too large for a checkpoint", path=path))
    note = path.read_bytes()
    return Shown(note, parse_checkpoint(parse_note(note).text))


def _folder(files: BundleFiles) -> Shown:
    note = files.read("checkpoint")
    found = Shown(note, parse_checkpoint(parse_note(note).text))
    found.entries = read_entries(files, found.checkpoint.size, "")
    _compare_root(found)
    for entry in found.entries:
        ref = body_of(parse_statement(parse_note(entry).text))
        found.bodies.append(b"" if ref is None else read_body(files, ref, ""))
    return found


def _mirror(folder: AuditorFolder) -> Shown:
    mirror = Mirror(folder.mirror, load_card(folder))
    if not mirror.latest:
        raise CheckSkipped(phrase("%(path)s: this auditor has not read the log yet", path=folder.root))
    pairs = list(mirror.entries)
    found = Shown(mirror.latest, parse_checkpoint(parse_note(mirror.latest).text))
    found.entries, found.bodies = [entry for entry, _ in pairs], [body for _, body in pairs]
    _compare_root(found)
    return found


def _compare_root(found: Shown) -> None:
    entries = found.entries or []
    if tree_root([leaf_hash(entry) for entry in entries]) != found.checkpoint.root:
        raise CheckFailed(
            phrase("the %(size)s entries have another root than the checkpoint", size=len(entries))
        )


def _describe(found: Shown) -> Phrase:
    return phrase(
        "size %(size)s, root %(root)s", size=found.checkpoint.size, root=found.checkpoint.root.hex()[:16]
    )


def _check_extends(found: Difference) -> Phrase:
    old, new = found.old, found.new
    if old is None or new is None or new.entries is None:
        raise CheckSkipped(phrase("one of the two cannot be read"))
    if old.checkpoint.origin != new.checkpoint.origin:
        raise CheckFailed(phrase("another log: the kept checkpoint has another name"))
    leaves = [leaf_hash(entry) for entry in new.entries]
    size = old.checkpoint.size
    if size > len(leaves):
        raise CheckFailed(_smaller(old, new))
    if size == 0 or tree_root(leaves[:size]) != old.checkpoint.root:
        found.parted_at = _first_difference(old, new)
        raise CheckFailed(
            phrase("another history: it does not extend the kept checkpoint of size %(size)s", size=size)
        )
    return phrase("extends size %(size)s by %(number)s entries", size=size, number=len(leaves) - size)


def _smaller(old: Shown, new: Shown) -> Phrase:
    sizes = {"old": old.checkpoint.size, "new": new.checkpoint.size}
    if old.entries is None or new.entries is None:
        return phrase(
            "smaller than what was kept: %(new)s entries, kept were %(old)s; an older state or another "
            "history",
            **sizes,
        )
    if old.entries[: len(new.entries)] == new.entries:
        return phrase(
            "rolled back: an older state of the kept log, %(new)s entries of %(old)s (or OLD and NEW are "
            "swapped)",
            **sizes,
        )
    return phrase("another history, and shorter: %(new)s entries, kept were %(old)s", **sizes)


def _first_difference(old: Shown, new: Shown) -> int | None:
    pairs = enumerate(zip(old.entries or [], new.entries or [], strict=False))
    return next((position for position, (before, after) in pairs if before != after), None)


def _check_rules(found: Difference) -> Phrase:
    new = found.new
    if new is None or not new.entries:
        raise CheckSkipped(phrase("the log could not be read"))
    ledger = Ledger(card_of(new.entries[0], new.bodies[0]))
    for position, (entry, body) in enumerate(zip(new.entries, new.bodies, strict=True)):
        try:
            ledger.append(entry, body)
        except LedgerError as err:
            raise CheckFailed(
                phrase("entry %(position)s: %(reason)s", position=position, reason=err)
            ) from err
    ledger.verify_checkpoint(new.note, None)
    found.ledger = ledger
    return phrase("%(size)s entries follow the rules", size=ledger.size)
