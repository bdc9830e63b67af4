"""Say what is wrong with a line of a policy file in phrases, for `crypto.policy` speaks English only.

The crypto room knows no catalogue, so its messages are recognised here by their text. One that is not known
is passed on as it is: English, never lost.
"""

from __future__ import annotations

import re

from plan.errors import Phrase, phrase

_LINE = re.compile(r"policy line (?P<number>[0-9]+): (?P<reason>.*)\Z", re.DOTALL)
_TAKEN = re.compile(r"the name (?P<name>\S+) is taken\Z")
_UNDEFINED = re.compile(r"the name (?P<name>\S+) is not defined above\Z")
_TWICE = re.compile(r"(?P<name>\S+) is a group member already: a witness counts in one way only\Z")
_THRESHOLD = re.compile(r"a group's threshold is any, all or 1\.\.(?P<most>[0-9]+)\Z")
_LINES = re.compile(r"a policy has at most (?P<most>[0-9]+) lines, found (?P<found>[0-9]+)\Z")
_KEY_ID = re.compile(r"a vkey's key id is (?P<id>[0-9a-f]+) by its contents, the line has another\Z")


def policy_reason(error: Exception) -> Phrase | str:
    """Give a message of `crypto.policy` as a phrase; English as it is where it is none of the known."""
    line = _LINE.match(str(error))
    if line is None:
        return _reason(str(error))
    number, reason = line["number"], _reason(line["reason"])
    return phrase("policy line %(number)s: %(reason)s", number=number, reason=reason)


def _reason(text: str) -> Phrase | str:
    fixed = {
        str(known): known
        for known in (
            phrase("expected log, witness, group or quorum with their arguments"),
            phrase("a policy has exactly one quorum line, found none"),
            phrase("a policy has exactly one quorum line"),
            phrase("a policy has no control characters but tab and line feed"),
            phrase("a log's key has type 1 (Ed25519)"),
            phrase("this log key stands in the policy already"),
            phrase("a witness's key has type 4 (cosignature)"),
            phrase("this witness key stands in the policy already"),
            phrase("a vkey has the form <name>+<key id>+<base64>"),
            phrase("a vkey's key type is not one of 1, 4"),
        )
    }
    return fixed.get(text) or _with_values(text)


def _with_values(text: str) -> Phrase | str:
    if found := _TAKEN.match(text):
        return phrase("the name %(name)s is taken", **found.groupdict())
    if found := _UNDEFINED.match(text):
        return phrase("the name %(name)s is not defined above", **found.groupdict())
    if found := _TWICE.match(text):
        return phrase(
            "%(name)s is a group member already: a witness counts in one way only", **found.groupdict()
        )
    if found := _THRESHOLD.match(text):
        return phrase("a group's threshold is any, all or 1..%(most)s", **found.groupdict())
    if found := _LINES.match(text):
        return phrase("a policy has at most %(most)s lines, found %(found)s", **found.groupdict())
    if found := _KEY_ID.match(text):
        return phrase("a vkey's key id is %(id)s by its contents, the line has another", **found.groupdict())
    return text
