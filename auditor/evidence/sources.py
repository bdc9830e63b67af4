"""Read what a pack is made from: a bundle with a policy, or an auditor's own folder. All reading is here.

1. The log is read by the protocol's rules; where an entry is refused there is no pack.
2. Every numbered check runs, and each outcome stands in the pack, failed ones too.
3. Visits count with the signature of the auditor that they name; statements of people are marked as such.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditor.bundle_write import write_public_bundle
from auditor.config import AuditorFolder
from auditor.enrol import load_card, load_policy
from auditor.errors import EvidenceError
from auditor.evidence import facts
from auditor.evidence.gather import Source
from auditor.evidence.stated import parse_stated
from auditor.mirror import Mirror
from auditor.policy import AuditorPolicy
from auditor.verify.bundle_files import CHECKPOINT, BundleFiles, manifest_bytes
from auditor.verify.log import BundleLog
from auditor.verify.outcome import Verdict
from auditor.verify.run import LOG_CHECKS, verify_bundle
from crypto.errors import CryptoError
from paper.speech import CHINESE, speech_of
from plan.errors import phrase
from protos.bundle import parse_manifest
from protos.ledger import Ledger
from protos.site_visit import VISIT_FORMAT, SiteFileError, parse_signed, verify_signed

SITE_FOLDER = "site"
BUNDLE_FOLDER = "bundle"


@dataclass(frozen=True, slots=True)
class Inputs:
    """Files beside the log that a pack may be made from; None where there is none.

    Attributes:
        policy: whose keys and bounds count.
        kept: the checkpoint that stood in last year's pack.
        site: a folder of visits' records.
        stated: what people state (`auditor.evidence.stated`).
    """

    policy: Path | None = None
    kept: Path | None = None
    site: Path | None = None
    stated: Path | None = None


def read_bundle(bundle: Path, inputs: Inputs, name: str = "bundle") -> Source:
    """Read a bundle and check it.

    Raises:
        EvidenceError: its log is not one that follows the rules.
    """
    stated = parse_stated(inputs.stated.read_bytes()) if inputs.stated else {}
    policy = load_policy(inputs.policy) if inputs.policy else None
    log = _read_log(bundle, policy)
    ledger = log.whole_ledger()
    kept = inputs.kept.read_bytes() if inputs.kept else b""
    verdict = verify_bundle(bundle, policy, kept or None)
    return Source(
        name=name,
        ledger=ledger,
        statements=log.statements,
        checkpoint=BundleFiles(bundle).read(CHECKPOINT),
        kept=kept,
        cap=policy.max_rho_year if policy else None,
        verification=_verification(bundle, inputs.policy, verdict),
        visits=tuple(_visits(inputs.site, ledger)) if inputs.site else (),
        stated=stated,
    )


def read_folder(folder: AuditorFolder, inputs: Inputs, scratch: Path) -> Source:
    """Read an auditor's own copy: a public bundle of it is written to `scratch` and checked as any other.

    Raises:
        BundleError: nothing is cosigned yet.
    """
    write_public_bundle(Mirror(folder.mirror, load_card(folder)), scratch)
    site = folder.root / SITE_FOLDER
    own = Inputs(
        inputs.policy or folder.policy,
        inputs.kept,
        inputs.site or (site if site.is_dir() else None),
        inputs.stated,
    )
    return read_bundle(scratch, own, "folder")


def _read_log(bundle: Path, policy: AuditorPolicy | None) -> BundleLog:
    log, verdict = BundleLog(BundleFiles(bundle), policy), Verdict()
    for name, check in LOG_CHECKS:
        verdict.run(name, _bound(check, log))
    if log.ledger is None or log.stopped_at is not None:
        failed = next((row for row in verdict.checks if row.outcome.value == "FAIL"), verdict.checks[-1])
        raise EvidenceError(
            phrase(
                "the log of %(bundle)s cannot be read (%(name)s: %(reason)s); run 'auditor verify' on it",
                bundle=bundle,
                name=failed.name,
                reason=failed.phrase,
            )
        )
    return log


def _bound(check: Callable[[BundleLog], Any], log: BundleLog) -> Callable[[], Any]:
    return lambda: check(log)


def _verification(bundle: Path, policy: Path | None, verdict: Verdict) -> facts.Verification:
    manifest = manifest_bytes(bundle)
    parsed = parse_manifest(manifest)
    return facts.Verification(
        summary=verdict.summary,
        bundle=hashlib.sha256(manifest).hexdigest(),
        kind=parsed.kind,
        num_files=len(parsed.files),
        has_policy=int(policy is not None),
        policy=hashlib.sha256(policy.read_bytes()).hexdigest() if policy else "",
        checks=tuple(_checks(verdict)),
    )


def _checks(verdict: Verdict) -> Iterator[facts.Check]:
    chinese = speech_of(CHINESE)
    for row in sorted(verdict.checks, key=lambda item: item.number):
        yield facts.Check(row.number, row.name, row.outcome.value, row.detail, row.phrase.text(chinese.say))


def _visits(folder: Path, ledger: Ledger) -> Iterator[facts.Visit]:
    serials = {row.round_id.hex(): row.terms.serial for row in ledger.rounds.values()}
    for path in sorted(folder.glob("*.json")):
        data = path.read_bytes()
        try:
            values, note = parse_signed(VISIT_FORMAT, data)
            result = values["result"]
            yield facts.Visit(
                file=path.name,
                sha256=hashlib.sha256(data).hexdigest(),
                auditor=str(values["auditor"]),
                round=serials.get(str(result["round"]), 0),
                node=str(result["node"]),
                ended=str(result["ended"]),
                outcome=str(values["outcome"]),
                trials=tuple(f"{name} {row['outcome']}" for name, row in sorted(result["trials"].items())),
                program=str(values["program"]),
                is_signed=int(_is_signed(note, str(values["auditor"]), ledger)),
                is_logged=int(_is_logged(str(values["statement"]), ledger)),
            )
        except (SiteFileError, CryptoError, KeyError, TypeError, ValueError) as err:
            raise EvidenceError(
                phrase("%(path)s: no record of a visit (%(reason)s); move it away", path=path, reason=err)
            ) from err


def _is_signed(note: Any, auditor: str, ledger: Ledger) -> bool:
    """Say whether any statement key that the rosters ever gave this auditor has signed."""
    for statement, _ in ledger.chain.auditor_keys.get(auditor, []):
        try:
            verify_signed(note, statement)
        except SiteFileError:
            continue
        return True
    return False


def _is_logged(statement: str, ledger: Ledger) -> bool:
    return bool(statement) and bytes.fromhex(statement) in ledger.entries_digest
