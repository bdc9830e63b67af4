"""What `fedscreen node doctor` finds: one finding a thing that a node needs, and what to do about it.

A finding is OK, WARN (it works, look at it soon), FAIL (something does not work) or SKIP (not looked at,
and why). Messages and advice are English templates over `details`, as in `node.errors`; nothing in them is
a secret, a passphrase, a value of a proxy variable, a pupil or a count of pupils.

What is looked at: the machine (`node.doctor_machine`), the way to the county (`node.doctor_link`), and what
the vault knows (`node.doctor_vault`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from node.errors import Detail, NodeError
from node.errors import _ as N_

OK, WARN, FAIL, SKIP = "OK", "WARN", "FAIL", "SKIP"

STATES = {OK: N_("ok"), WARN: N_("look"), FAIL: N_("FAILED"), SKIP: N_("not checked")}
"""What people read for a state."""

LABELS = {
    "settings": N_("settings"),
    "python": N_("Python"),
    "packages": N_("packages"),
    "kernel": N_("kernel"),
    "user": N_("user"),
    "confinement": N_("confinement"),
    "disk": N_("disk"),
    "file-system": N_("file system"),
    "permissions": N_("permissions"),
    "key": N_("database key"),
    "clock": N_("clock"),
    "certificate": N_("certificate"),
    "proxy": N_("proxy"),
    "name": N_("county's name"),
    "connection": N_("connection"),
    "tls": N_("TLS"),
    "vault": N_("record file"),
    "backup": N_("backup"),
    "recovery": N_("recovery file"),
    "log": N_("log"),
    "running": N_("running node"),
}
"""What people read for the name of a finding, in the order in which they are shown."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: a key of `LABELS`; stable, for programs.
        state: OK, WARN, FAIL or SKIP.
        message: template of one sentence: what was found.
        advice: template of one sentence: what to do; empty where nothing is to be done.
        details: what the templates need.
    """

    name: str
    state: str
    message: str
    advice: str = ""
    details: dict[str, Detail] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Give the finding as JSON values, in English."""
        texts = {"message": self.message, "advice": self.advice}
        filled = {name: text % self.details if self.details else text for name, text in texts.items()}
        return {"name": self.name, "state": self.state, **filled, "details": self.details}


def good(name: str, message: str, /, **details: Detail) -> Finding:
    """Make a finding that is as it should be."""
    return Finding(name, OK, message, "", details)


def doubtful(name: str, message: str, advice: str, /, **details: Detail) -> Finding:
    """Make a finding that somebody should look at soon."""
    return Finding(name, WARN, message, advice, details)


def bad(name: str, message: str, advice: str, /, **details: Detail) -> Finding:
    """Make a finding that does not work."""
    return Finding(name, FAIL, message, advice, details)


def skipped(name: str, message: str, /, **details: Detail) -> Finding:
    """Make a finding of something that was not looked at; the message says why."""
    return Finding(name, SKIP, message, "", details)


def refused(name: str, err: NodeError) -> Finding:
    """Make a failed finding of an error of this room."""
    return Finding(name, FAIL, err.message, err.advice, dict(err.details))


def outcome(findings: Iterable[Finding]) -> str:
    """Give the worst state: FAIL, WARN or OK. What was skipped counts as WARN, for nobody knows."""
    states = {finding.state for finding in findings}
    if FAIL in states:
        return FAIL
    return WARN if states & {WARN, SKIP} else OK


def in_order(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Give findings in the order of `LABELS`."""
    yield from sorted(findings, key=lambda finding: list(LABELS).index(finding.name))
