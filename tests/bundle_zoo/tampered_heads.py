"""Tampered checkpoints, cosignatures and whole histories."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bundle_zoo import stories
from bundle_zoo.county import ZooCounty
from bundle_zoo.forge import Files, History, history_of
from bundle_zoo.stories import county_of, whole_round
from bundle_zoo.tampering import (
    Story,
    Tampered,
    branch,
    change_line,
    false_key,
    files,
    first,
    history,
    number_of,
    register,
)

from crypto.note import KeyType, SigningKey, encode_note, parse_note


def _note_lines(found: Files) -> list[str]:
    return found["log/checkpoint"].decode().split("\n")


def _checkpoint_lines(change: Callable[[list[str]], list[str]]) -> Callable[[Files], None]:
    def apply(found: Files) -> None:
        found["log/checkpoint"] = "\n".join(change(_note_lines(found))).encode()

    return apply


def _cosigned_by(*names: str) -> Callable[[History], None]:
    def change(found: History) -> None:
        found.cosigners = tuple(found.county.witnesses[name] for name in names)

    return change


def _forged_cosigner(found: History) -> None:
    found.cosigners = (*found.cosigners[:-1], false_key(found.cosigners[-1]))


def _forged_id(found: Files) -> None:
    """A line with the real key's id and somebody else's signature."""
    note = parse_note(found["log/checkpoint"])
    blob = bytearray(note.signatures[-1].blob)
    blob[-1] ^= 1
    lines = (*note.signatures[:-1], replace(note.signatures[-1], blob=bytes(blob)))
    found["log/checkpoint"] = encode_note(replace(note, signatures=lines))


def _stale(found: Files) -> None:
    """The cosignatures of an earlier checkpoint."""
    old = parse_note(history_of(stories.one_round(), 20).bundle()["log/checkpoint"])
    note = parse_note(found["log/checkpoint"])
    found["log/checkpoint"] = encode_note(replace(note, signatures=(note.signatures[0], *old.signatures[1:])))


def _moved_time(found: Files) -> None:
    """A cosignature with another time than was signed."""
    note = parse_note(found["log/checkpoint"])
    blob = bytearray(note.signatures[-1].blob)
    blob[7] ^= 1
    lines = (*note.signatures[:-1], replace(note.signatures[-1], blob=bytes(blob)))
    found["log/checkpoint"] = encode_note(replace(note, signatures=lines))


def _old_checkpoint(found: Files) -> None:
    found["log/checkpoint"] = history_of(stories.one_round(), 20).bundle()["log/checkpoint"]


def _with_root(found: History, size: int, root: bytes | None) -> None:
    """Let log and witnesses sign another tree than the bundle shows."""
    plain = found.checkpoint

    def checkpoint(true_root: bytes, true_size: int) -> bytes:
        return plain(true_root if root is None else root, true_size + size)

    found.checkpoint = checkpoint  # type: ignore[method-assign]


def _wrong_log_key(found: History) -> None:
    found.log_key = false_key(found.county.log_key)


def _other_origin(found: History) -> None:
    found.log_key = SigningKey("fedscreen/county-2/log", KeyType.ED25519, found.county.log_key.seed)


def _checkpoints() -> None:
    history("only two cosignatures", "checkpoint", _cosigned_by("a1", "a3"))
    history("no cosignature", "checkpoint", _cosigned_by())
    history("one auditor cosigns three times", "checkpoint", _cosigned_by("a1", "a1", "a1"))
    history("a forged cosignature", "checkpoint", _forged_cosigner)
    files("a forged cosignature under the real key id", "checkpoint", _forged_id)
    files("stale cosignatures", "checkpoint", _stale)
    files("a cosignature moved in time", "checkpoint", _moved_time)
    files("an older checkpoint", "tree", _old_checkpoint)
    history("another log key", "checkpoint", _wrong_log_key)
    history("another origin", "checkpoint", _other_origin)
    history("another root, cosigned", "tree", lambda found: _with_root(found, 0, bytes(32)))
    history("a larger tree, cosigned", "tree", lambda found: _with_root(found, 1, None))
    history("a smaller tree, cosigned", "tree", lambda found: _with_root(found, -1, None))
    files("no signature of the log", "checkpoint", _checkpoint_lines(lambda lines: [*lines[:4], *lines[5:]]))
    files(
        "size with a leading zero",
        "checkpoint",
        _checkpoint_lines(lambda lines: change_line(lines, 1, "2", "02")),
    )
    files("an empty line more", "checkpoint", _checkpoint_lines(lambda lines: [*lines[:4], "", *lines[4:]]))
    files(
        "signature line with a hyphen",
        "checkpoint",
        _checkpoint_lines(lambda lines: change_line(lines, 4, "\u2014", "-")),
    )
    files(
        "base64 without its padding",
        "checkpoint",
        _checkpoint_lines(lambda lines: change_line(lines, 2, "=", "")),
    )
    files("base64 with other padding bits", "checkpoint", _checkpoint_lines(_padding_bits))
    files(
        "CR LF in the checkpoint",
        "checkpoint",
        _checkpoint_lines(lambda lines: [row + "\r" for row in lines]),
    )
    history(
        "a revoked auditor's cosignature counts",
        "entries",
        _cosigned_by("a1", "a2", "a3"),
        lambda: stories.revoked("auditor"),
    )
    history(
        "cosigned by keys that were followed", "entries", _old_cosigners, lambda: stories.rolled("auditors")
    )
    history(
        "signed by a log key that was followed",
        "entries",
        _old_log_key,
        lambda: stories.rolled("coordinator"),
    )


def _padding_bits(lines: list[str]) -> list[str]:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    last = lines[2][-2]
    return [*lines[:2], lines[2][:-2] + alphabet[alphabet.index(last) ^ 1] + "=", *lines[3:]]


def _first_keys(found: History) -> ZooCounty:
    return county_of()  # the same labels give the same first keys


def _old_cosigners(found: History) -> None:
    found.cosigners = tuple(_first_keys(found).witnesses[name] for name in ("a1", "a2", "a3"))


def _old_log_key(found: History) -> None:
    found.log_key = _first_keys(found).log_key


class ForgedCounty(ZooCounty):
    """The same names, other keys."""

    def _key(self, label: str, *parts: str, key_type: KeyType = KeyType.ED25519) -> SigningKey:
        return super()._key(f"forged {label}", *parts, key_type=key_type)


def _forged() -> ZooCounty:
    county = ForgedCounty()
    county.enrol()
    whole_round(county)
    return county


class OtherGenesis(ZooCounty):
    """The same keys of log and auditors, another first roster."""

    @property
    def all_tuples(self) -> set[tuple[int, int, int, int]]:
        return {self.tuple_, (3, 3, 2, 3)}


def _other_genesis() -> ZooCounty:
    county = OtherGenesis(num_auditors=4, quorum=4)
    county.enrol()
    whole_round(county)
    return county


def _foreign(name: str, check: str, false: Story, true: Story = stories.one_round) -> None:
    def make() -> tuple[Files, str, bytes | None]:
        return history_of(false()).bundle(), true().policy_text(), None

    register(name, Tampered(number_of(check), make))


def _head_of(story: Story, size: int | None = None) -> Callable[[ZooCounty], bytes]:
    return lambda _county: history_of(story(), size).bundle()["log/checkpoint"]


def _cut(size: int) -> Callable[[History], None]:
    def change(found: History) -> None:
        del found.rows[size:]
        found.receipts.clear()

    return change


def _other_branch() -> ZooCounty:
    return branch(min_group=6)


def _histories() -> None:
    _foreign("forged whole, with its own keys", "checkpoint", _forged)
    _foreign("another genesis under the same keys", "genesis", _other_genesis)
    _foreign("another federation", "checkpoint", stories.production)

    def nothing(found: History) -> None:
        return None

    history("split view: another branch than the head", "head", nothing, head=_head_of(_other_branch))
    history("split view at an early size", "head", nothing, head=_head_of(_other_branch, 4))
    history("head of another federation", "head", nothing, head=_head_of(stories.production, 4))
    history("rolled back below the head", "head", _cut(20), head=_head_of(stories.one_round), kind="public")
    history("truncated, signed by the log and one auditor", "checkpoint", _cut_with_one)
    history("rewritten after the head", "head", _other_confinement, head=_head_of(stories.one_round, 12))
    files("truncated without a new checkpoint", "tree", _truncate_entries)
    for nth, name in ((0, "first"), (9, "middle"), (-1, "last")):
        files(
            f"the {name} entry left out of the tile", "tree", lambda found, nth=nth: _drop_entry(found, nth)
        )  # type: ignore[misc]


def _other_confinement(found: History) -> None:
    found.set(found.find("report"), confinement="L0")


def _cut_with_one(found: History) -> None:
    _cut(20)(found)
    _cosigned_by("a1")(found)


def _entries_of(found: Files) -> tuple[str, list[bytes]]:
    path = first(found, "log/tile/entries/")
    data, rows = found[path], []
    while data:
        size = int.from_bytes(data[:2], "big")
        rows.append(data[2 : 2 + size])
        data = data[2 + size :]
    return path, rows


def _truncate_entries(found: Files) -> None:
    path, rows = _entries_of(found)
    found[path] = b"".join(len(row).to_bytes(2, "big") + row for row in rows[:-1])


def _drop_entry(found: Files, nth: int) -> None:
    path, rows = _entries_of(found)
    del rows[nth]
    found[path] = b"".join(len(row).to_bytes(2, "big") + row for row in rows)


_checkpoints()
_histories()
