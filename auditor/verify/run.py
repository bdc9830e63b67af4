"""Run every check on a bundle, in order, offline.

The order matters only for what a check may rely on: what an earlier one could not read, a later
one skips. Nothing is fetched, nothing is written.

| checks | module |
| --- | --- |
| manifest | `auditor.verify.bundle_files` |
| policy, checkpoint, tree, bodies, genesis, entries, rosters | `auditor.verify.log` |
| plans … openings | `auditor.verify.round` |
| vectors, sums, arithmetic | `auditor.verify.sums` |
| changes | `auditor.verify.changes` |
| noise, rho, account, results | `auditor.verify.privacy` |
| canonical, replays | `auditor.verify.canonical`, `auditor.verify.replays` |

Their numbers: `auditor.verify.outcome.NUMBERS`, docs/verification.md.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from auditor.policy import AuditorPolicy
from auditor.verify import log as log_checks
from auditor.verify import privacy as privacy_checks
from auditor.verify.bundle_files import BundleFiles, check_manifest, read_manifest
from auditor.verify.canonical import check_canonical
from auditor.verify.changes import check_changes
from auditor.verify.log import BundleLog
from auditor.verify.outcome import CheckSkipped, Verdict
from auditor.verify.replays import check_replays
from auditor.verify.round import ROUND_CHECKS
from auditor.verify.sums import SUM_CHECKS
from plan.errors import Phrase
from protos.bundle import Manifest
from protos.errors import ManifestError

LogCheck = Callable[[BundleLog], Phrase]
LOG_CHECKS: tuple[tuple[str, LogCheck], ...] = (
    ("policy", log_checks.check_policy),
    ("checkpoint", log_checks.check_checkpoint),
    ("tree", log_checks.check_tree),
    ("bodies", log_checks.check_bodies),
    ("genesis", log_checks.check_genesis),
    ("entries", log_checks.check_entries),
    ("rosters", log_checks.check_rosters),
)
PRIVACY_CHECKS: tuple[tuple[str, LogCheck], ...] = (
    ("noise", privacy_checks.check_noise),
    ("rho", privacy_checks.check_rho),
    ("account", privacy_checks.check_account),
    ("results", privacy_checks.check_results),
)

WHOLE_CHECKS: tuple[tuple[str, LogCheck], ...] = (
    ("canonical", check_canonical),
    ("replays", check_replays),
)


def verify_bundle(folder: Path, policy: AuditorPolicy | None, head: bytes | None = None) -> Verdict:
    """Verify a bundle.

    Args:
        folder: the bundle.
        policy: whose keys and bounds count; without one the outcome is never PASS.
        head: a checkpoint kept from earlier, which the log must extend; None for none.
    """
    return verify_files(BundleFiles(folder), policy, head)


def verify_files(files: BundleFiles, policy: AuditorPolicy | None, head: bytes | None = None) -> Verdict:
    """Verify the files of a bundle; see `verify_bundle`."""
    log = BundleLog(files, policy)
    verdict = Verdict()
    verdict.run("manifest", partial(check_manifest, files))
    for name, check in LOG_CHECKS:
        verdict.run(name, partial(check, log))
    for name, check in (*ROUND_CHECKS, ("changes", check_changes)):
        verdict.run(name, partial(check, log))
    manifest = _manifest(files)
    for name, sum_check in SUM_CHECKS:
        verdict.run(name, partial(sum_check, log, manifest))
    for name, check in (*PRIVACY_CHECKS, *WHOLE_CHECKS):
        verdict.run(name, partial(check, log))
    if head is not None:
        verdict.run("head", partial(log_checks.check_head, log, head))
    return verdict


def _manifest(files: BundleFiles) -> Manifest | None:
    """Return the manifest, None when it cannot be read (the first check says so)."""
    try:
        return read_manifest(files)
    except (CheckSkipped, ManifestError):
        return None
