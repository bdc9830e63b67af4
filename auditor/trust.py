"""What a policy pins, in a text of its own with a fingerprint: told by telephone, it ties a policy to a card.

A federation card and the policies that follow from it are different files, so their own digests say nothing
of each other. Both give this text, which has only what decides whose words count:

    fedscreen/trust/v1
    log <vkey>
    witness <vkey>            one line each, sorted
    quorum <k>                or the policy's own groups, where it has others
    genesis <sha256 in hex>

Limits are left out: each auditor tightens its own. `auditor keys show` computes it from the card that was
compared at `join`, `auditor policy show` from a policy. Equal fingerprints: equal keys, quorum and genesis.
"""

from __future__ import annotations

from collections.abc import Iterable

from auditor.enrol import read_told
from auditor.errors import RefusalError
from auditor.policy import AuditorPolicy, default_policy, parse_auditor_policy
from crypto.policy import LogPolicy
from plan.errors import phrase
from protos.card import FederationCard, fingerprint

FIRST_LINE = "fedscreen/trust/v1"


def trust_text(policy: AuditorPolicy) -> str:
    """Write what a policy pins: log, witnesses, quorum and genesis, in one canonical form."""
    lines = [FIRST_LINE, f"log {policy.log.text}"]
    lines += sorted(f"witness {key.text}" for key in policy.trust.witnesses.values())
    lines += _quorum_lines(policy.trust)
    return "\n".join((*lines, f"genesis {policy.genesis.hex()}")) + "\n"


def _quorum_lines(trust: LogPolicy) -> Iterable[str]:
    """Say how many of all witnesses count; a policy with other groups repeats them, with its names."""
    only = trust.groups.get(trust.quorum)
    if only is not None and len(trust.groups) == 1 and set(only.members) == set(trust.witnesses):
        return (f"quorum {only.threshold}",)
    names = (f"name {name} {key.text}" for name, key in trust.witnesses.items())
    groups = (f"group {name} {row.threshold} {' '.join(row.members)}" for name, row in trust.groups.items())
    return (*names, *groups, f"quorum {trust.quorum}")


def trust_fingerprint(policy: AuditorPolicy) -> str:
    """Compute the fingerprint of what a policy pins."""
    return fingerprint(trust_text(policy))


def card_trust_fingerprint(card: FederationCard) -> str:
    """Compute the same of the policy that follows from a card."""
    return trust_fingerprint(parse_auditor_policy(default_policy(card)))


def policy_name(policy: AuditorPolicy) -> str:
    """Say whose policy it is: `federation/policy`."""
    return f"{policy.log.name.removesuffix('/log').removeprefix('fedscreen/')}/policy"


def verify_told(policy: AuditorPolicy, told: str) -> None:
    """Hold a policy against the fingerprint that was told by telephone: digits or words.

    Raises:
        ConfigError: it is no fingerprint.
        RefusalError: the policy pins something else.
    """
    found, expected = trust_fingerprint(policy), read_told(told)
    if found != expected:
        raise RefusalError(
            "other-trust",
            phrase(
                "this policy pins what has the fingerprint %(found)s, you were told %(told)s; do not use it, "
                "telephone a second auditor",
                found=found,
                told=expected,
            ),
        )


def verify_same(policy: AuditorPolicy, card: FederationCard) -> None:
    """Hold a policy against a federation card.

    Raises:
        RefusalError: it pins another log, genesis, witnesses or quorum; the message names which.
    """
    expected = parse_auditor_policy(default_policy(card))
    if trust_text(policy) == trust_text(expected):
        return
    pairs = (
        (phrase("log"), policy.log, expected.log),
        (phrase("genesis"), policy.genesis, expected.genesis),
        (
            phrase("witnesses"),
            {key.text for key in policy.trust.witnesses.values()},
            {key.text for key in expected.trust.witnesses.values()},
        ),
    )
    differing = next((name for name, found, wanted in pairs if found != wanted), phrase("quorum"))
    raise RefusalError(
        "other-trust",
        phrase(
            "this policy and the federation card differ in: %(what)s; do not use it, telephone two auditors",
            what=differing,
        ),
    )
