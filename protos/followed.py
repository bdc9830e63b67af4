"""A policy's keys, and those that have followed them by the rosters of a log.

A policy pins a genesis roster, and with it the first keys; it is never written anew because a key was rolled
over. What a reader has of the log says which keys stand in their place at a size, each step of it signed as
`protos.roster_chain` asks.

I/O-free. Spec: docs/protocol.md "Key succession".
"""

from __future__ import annotations

from dataclasses import replace

from crypto.policy import LogPolicy
from protos.ledger import Ledger


def followed(policy: LogPolicy, ledger: Ledger, size: int) -> LogPolicy:
    """Put in the place of each key the one that counts at a tree size.

    Args:
        policy: whose keys are believed.
        ledger: a log that begins with the genesis roster that the same reader pins.
        size: of the checkpoint that is to be verified.
    """
    chain, roster = ledger.chain, ledger.chain.at(size).body
    now = {
        cosigner: row.cosigner
        for row in roster.auditors
        for _statement, cosigner in chain.auditor_keys.get(row.id, ())
    }
    logs = tuple(roster.log if key in chain.log_keys() else key for key in policy.logs)
    witnesses = {name: now.get(key, key) for name, key in policy.witnesses.items()}
    return replace(policy, logs=tuple(dict.fromkeys(logs)), witnesses=witnesses)
