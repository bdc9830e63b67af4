"""Show the zoo to both verifiers: no honest bundle may fail, every tampered one must, by the check named.

    run.py [--standalone tools/verify_standalone.py] [--only WORDS] [--every N] [--json]

`--only`: bundles whose name has these words. `--every N`: one of N, for a quick look. With `--standalone` the
second verifier reads the same folders; it is loaded from its file, its `main` is called with a command line,
and its Ed25519 verification is remembered between bundles, which share most of their entries.

Exit 1: a false alarm, a tampering that was not found or was found by another check, or two verifiers that
disagree. What the second verifier says to be SKIPPED because it cannot recompute it is no disagreement on an
honest bundle, and is one on a tampered bundle.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import json
import os
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from unittest import mock

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from bundle_zoo.forge import Files  # noqa: E402
from bundle_zoo.honest import HONEST  # noqa: E402
from bundle_zoo.tampered import INCOMPLETE, TAMPERED  # noqa: E402

from auditor.policy import parse_auditor_policy  # noqa: E402
from auditor.verify.outcome import NAMES  # noqa: E402
from auditor.verify.run import verify_bundle  # noqa: E402

NOT_RECOMPUTED = frozenset({"estimates", "results"})
"""Checks that the second verifier may skip on an honest bundle: they need a least squares over all tables."""
Verdict = dict[str, tuple[int, str, str]]
Verifier = Callable[[Path, Path, Path | None], Verdict]


@dataclass(frozen=True)
class Case:
    """One bundle and what must be said of it: the number of the first check that fails, None for none."""

    name: str
    make: Callable[[], tuple[Files, str, bytes | None]]
    number: int | None
    skipped: frozenset[str] = frozenset()
    on_disk: str = ""


@dataclass
class Report:
    """What was found."""

    num_honest: int = 0
    num_tampered: int = 0
    wrong: list[dict[str, object]] = field(default_factory=list)


def cases() -> Iterator[Case]:
    """List the whole zoo."""
    for name, honest in HONEST.items():
        yield Case(
            f"honest: {name}",
            lambda one=honest: (one.files(), one.policy_text(), one.head()),
            None,
            honest.skipped,
        )  # type: ignore[misc]
    for name, tampered in TAMPERED.items():
        yield Case(f"tampered: {name}", tampered.make, tampered.number, on_disk=tampered.on_disk)


@contextlib.contextmanager
def on_disk(case: Case) -> Iterator[tuple[Path, Path, Path | None]]:
    """Write a bundle; give its folder, the policy file, and the kept checkpoint if there is one."""
    files, policy_text, head = case.make()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        folder = Path(name)
        bundle, policy = folder / "bundle", folder / "policy.txt"
        for path, data in files.items():
            target = bundle / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        policy.write_text(policy_text, "utf-8")
        kept = folder / "head" if head is not None else None
        if kept is not None and head is not None:
            kept.write_bytes(head)
        _spoil_folder(bundle, case.on_disk)
        yield bundle, policy, kept


def _spoil_folder(bundle: Path, what: str) -> None:
    manifest = bundle / "MANIFEST"
    if what == "link to a file":
        (bundle / "log" / "link").symlink_to("checkpoint")
    elif what == "link to a folder":
        (bundle / "log" / "more").symlink_to("blob", target_is_directory=True)
    elif what == "MANIFEST is a link":
        manifest.rename(bundle.with_name("elsewhere"))
        manifest.symlink_to(bundle.with_name("elsewhere"))
    elif what == "a fifo":
        os.mkfifo(bundle / "log" / "pipe")
    elif what == "the checkpoint is a link":
        shutil.move(bundle / "log" / "checkpoint", bundle.with_name("elsewhere"))
        (bundle / "log" / "checkpoint").symlink_to(bundle.with_name("elsewhere"))


def ours(bundle: Path, policy: Path, head: Path | None) -> Verdict:
    """Ask the product's verifier."""
    kept = head.read_bytes() if head else None
    verdict = verify_bundle(bundle, parse_auditor_policy(policy.read_text("utf-8")), kept)
    return {row.name: (row.number, row.outcome.value, row.detail) for row in verdict.checks}


def standalone(path: Path) -> Verifier:
    """Load the second verifier from its file."""
    module = load(path)

    def ask(bundle: Path, policy: Path, head: Path | None) -> Verdict:
        words = [str(path), str(bundle), "--policy", str(policy), "--json"]
        words += ["--head", str(head)] if head else []
        out = io.StringIO()
        with (
            mock.patch.object(sys, "argv", words),
            contextlib.redirect_stdout(out),
            warnings.catch_warnings(
                category=ResourceWarning, action="ignore"
            ),  # it opens files as a script may
        ):
            module.main()
        rows = json.loads(out.getvalue())["checks"]
        return {row["name"]: (row["number"], row["outcome"], row["detail"]) for row in rows}

    return ask


def load(path: Path) -> ModuleType:
    """Load a program as a module; signatures that it has verified once are remembered."""
    spec = importlib.util.spec_from_file_location("verify_standalone", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path}: no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules["verify_standalone"] = module
    spec.loader.exec_module(module)
    if hasattr(module, "is_signature"):
        module.is_signature = lru_cache(maxsize=None)(module.is_signature)
    return module


def judge(case: Case, verdict: Verdict, *, may_skip: frozenset[str] = frozenset()) -> str:
    """Say what is wrong with a verdict; empty when it is right."""
    failed = sorted((row[0], name, row[2]) for name, row in verdict.items() if row[1] == "FAIL")
    skipped = {name for name, row in verdict.items() if row[1] == "SKIPPED"}
    if case.number is None:
        if failed:
            return f"a false alarm: {failed[0]}"
        if skipped - may_skip != case.skipped - may_skip:
            return f"skipped {sorted(skipped)}, expected {sorted(case.skipped)}"
        return ""
    if case.number == INCOMPLETE:
        return f"failed {failed[0]}, expected incomplete" if failed else "" if skipped else "passed"
    if not failed:
        return f"not found; expected {case.number} ({NAMES[case.number - 1]})"
    if failed[0][0] != case.number:
        return f"found by {failed[0]}, expected {case.number} ({NAMES[case.number - 1]})"
    return ""


def walk(chosen: list[Case], other: Verifier | None) -> Report:
    """Show every bundle to the verifiers."""
    report = Report()
    for case in chosen:
        with on_disk(case) as (bundle, policy, head):
            found = {"product": judge(case, ours(bundle, policy, head))}
            if other is not None:
                try:
                    found["standalone"] = judge(case, other(bundle, policy, head), may_skip=NOT_RECOMPUTED)
                except Exception as err:  # whatever a hostile bundle makes it do is a finding
                    found["standalone"] = f"{type(err).__name__}: {err}"
        report.num_honest += case.number is None
        report.num_tampered += case.number is not None
        for verifier, problem in found.items():
            if problem:
                report.wrong.append({"bundle": case.name, "verifier": verifier, "problem": problem})
    return report


def main(argv: list[str] | None = None) -> int:
    """Run the zoo."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--standalone", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    start = time.monotonic()
    chosen = [case for case in cases() if options.only in case.name][:: options.every]
    report = walk(chosen, standalone(options.standalone) if options.standalone else None)
    values = {
        "honest": report.num_honest,
        "tampered": report.num_tampered,
        "verifiers": 2 if options.standalone else 1,
        "wrong": report.wrong,
        "seconds": round(time.monotonic() - start, 1),
    }
    if options.json:
        print(json.dumps(values, ensure_ascii=False))
    else:
        for row in report.wrong:
            print(f"{row['bundle']}\n    {row['verifier']}: {row['problem']}")
        print(
            "{honest} honest and {tampered} tampered bundles, {verifiers} verifiers, {problems} wrong, "
            "{seconds} s".format(**values, problems=len(report.wrong))
        )
    return 1 if report.wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
