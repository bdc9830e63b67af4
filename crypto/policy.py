"""Trust policies (c2sp.org/tlog-policy): which logs, which witnesses, and which of them make a quorum.

    log <vkey> [<url>]
    witness <name> <vkey> [<url>]
    group <name> <any|all|k> <name>...
    quorum <name|none>

Lines are read in order and name only what stands above them. Empty lines and lines that start with `#` say
nothing. An application may keep lines of its own in the same file: it passes their first words.
"""

from collections.abc import Collection, Set
from dataclasses import dataclass, field

from crypto.checkpoint import Checkpoint, parse_checkpoint
from crypto.errors import CosignatureError, DecodeError, VerificationError
from crypto.note import KeyType, VerifierKey, parse_note, parse_vkey, verified_by

NO_QUORUM = "none"
MAX_LINES = 1000


@dataclass(frozen=True, slots=True)
class Group:
    """A group: at least `threshold` of its members (witnesses or groups) must have cosigned."""

    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LogPolicy:
    """A parsed policy; witnesses and groups are by the names that this file gives them."""

    logs: tuple[VerifierKey, ...]
    witnesses: dict[str, VerifierKey]
    groups: dict[str, Group]
    quorum: str
    extra: tuple[tuple[str, ...], ...] = ()

    def is_satisfied(self, names: Set[str]) -> bool:
        """Say whether these witnesses (policy names) together make the quorum."""
        satisfied = {name for name in names if name in self.witnesses}
        for name, group in self.groups.items():  # in this order: members stand above their group
            if sum(member in satisfied for member in group.members) >= group.threshold:
                satisfied.add(name)
        return self.quorum == NO_QUORUM or self.quorum in satisfied


def verify_checkpoint(checkpoint_note: bytes, policy: LogPolicy) -> Checkpoint:
    """Verify a signed checkpoint against a policy.

    Raises:
        DecodeError: no note, or its text is no checkpoint.
        VerificationError: the log is not listed, or did not sign, or a known key's signature is wrong.
        CosignatureError: the witnesses that cosigned do not make the quorum.
    """
    note = parse_note(checkpoint_note)
    checkpoint = parse_checkpoint(note.text)
    log_keys = [key for key in policy.logs if key.name == checkpoint.origin]
    signers = verified_by(note, (*log_keys, *policy.witnesses.values()))
    if not any(key in signers for key in log_keys):
        raise VerificationError("no log of the policy has signed this checkpoint under its origin")
    cosigned = {name for name, key in policy.witnesses.items() if key in signers}
    if not policy.is_satisfied(cosigned):
        raise CosignatureError(f"{len(cosigned)} of the policy's witnesses cosigned: not the quorum")
    return checkpoint


def parse_policy(text: str, extra_words: Collection[str] = ()) -> LogPolicy:
    """Parse a policy.

    Args:
        text: the file's contents.
        extra_words: first words of the application's own lines; these are returned, split, in `extra`.

    Raises:
        DecodeError: a line is wrong; the message gives its number.
    """
    if any(character < " " and character not in "\t\n" for character in text) or "\x7f" in text:
        raise DecodeError("a policy has no control characters but tab and line feed")
    lines = text.split("\n")
    if len(lines) > MAX_LINES:
        raise DecodeError(f"a policy has at most {MAX_LINES} lines, found {len(lines)}")
    reader = _Reader(frozenset(extra_words))
    for number, line in enumerate(lines, start=1):
        words = line.replace("\t", " ").split(" ")
        words = [word for word in words if word]
        if not words or words[0].startswith("#"):
            continue
        try:
            reader.read(words)
        except DecodeError as err:
            raise DecodeError(f"policy line {number}: {err}") from err
    return reader.policy()


@dataclass(slots=True)
class _Reader:
    """What the lines so far have defined."""

    extra_words: frozenset[str]
    logs: list[VerifierKey] = field(default_factory=list)
    witnesses: dict[str, VerifierKey] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    members: set[str] = field(default_factory=set)
    quorum: str | None = None
    extra: list[tuple[str, ...]] = field(default_factory=list)

    def read(self, words: list[str]) -> None:
        match words:
            case ["log", vkey] | ["log", vkey, _]:
                self._add_log(parse_vkey(vkey))
            case ["witness", name, vkey] | ["witness", name, vkey, _]:
                self._add_witness(name, parse_vkey(vkey))
            case ["group", name, threshold, *members] if members:
                self._add_group(name, threshold, tuple(members))
            case ["quorum", name]:
                self._set_quorum(name)
            case [word, *_] if word in self.extra_words:
                self.extra.append(tuple(words))
            case _:
                raise DecodeError("expected log, witness, group or quorum with their arguments")

    def policy(self) -> LogPolicy:
        if self.quorum is None:
            raise DecodeError("a policy has exactly one quorum line, found none")
        return LogPolicy(tuple(self.logs), self.witnesses, self.groups, self.quorum, tuple(self.extra))

    def _add_log(self, key: VerifierKey) -> None:
        if key.key_type is not KeyType.ED25519:
            raise DecodeError("a log's key has type 1 (Ed25519)")
        if key.public_key in {known.public_key for known in self.logs}:
            raise DecodeError("this log key stands in the policy already")
        self.logs.append(key)

    def _add_witness(self, name: str, key: VerifierKey) -> None:
        self._check_new(name)
        if key.key_type is not KeyType.COSIGNATURE:
            raise DecodeError("a witness's key has type 4 (cosignature)")
        if key.public_key in {known.public_key for known in self.witnesses.values()}:
            raise DecodeError("this witness key stands in the policy already")
        self.witnesses[name] = key

    def _add_group(self, name: str, threshold: str, members: tuple[str, ...]) -> None:
        self._check_new(name)
        for member in members:
            self._check_defined(member)
            if member in self.members:
                raise DecodeError(f"{member} is a group member already: a witness counts in one way only")
            self.members.add(member)
        self.groups[name] = Group(_parse_threshold(threshold, len(members)), members)

    def _set_quorum(self, name: str) -> None:
        if self.quorum is not None:
            raise DecodeError("a policy has exactly one quorum line")
        if name != NO_QUORUM:
            self._check_defined(name)
        self.quorum = name

    def _check_new(self, name: str) -> None:
        if name == NO_QUORUM or name in self.witnesses or name in self.groups:
            raise DecodeError(f"the name {name} is taken")

    def _check_defined(self, name: str) -> None:
        if name not in self.witnesses and name not in self.groups:
            raise DecodeError(f"the name {name} is not defined above")


def _parse_threshold(text: str, num_members: int) -> int:
    if text in ("any", "all"):
        return 1 if text == "any" else num_members
    if not (text.isascii() and text.isdigit() and len(text) < 4 and 1 <= int(text) <= num_members):
        raise DecodeError(f"a group's threshold is any, all or 1..{num_members}")
    return int(text)
