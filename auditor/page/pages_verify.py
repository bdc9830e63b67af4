"""Verify a bundle or compare two logs: what the commands do, with a report to print. Needs no keys."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from auditor.bundle_write import write_bundle
from auditor.config import AuditorFolder
from auditor.enrol import load_policy
from auditor.errors import BundleError
from auditor.page.keeper import Keeper
from auditor.page.visit import KEEPER, Page, Redirect, Reply, Visit
from auditor.page.work import Work
from auditor.verify.bundle_files import manifest_bytes
from auditor.verify.diff import Difference, compare
from auditor.verify.news import conclusion, news_lines, note_text
from auditor.verify.outcome import EXIT_FAIL, Verdict
from auditor.verify.run import verify_bundle
from plan.errors import Phrase, phrase
from protos.bundle import NAME

MAX_FOUND: Final = 12
MAX_LOOKED_AT: Final = 200
MAX_KEPT_BYTES: Final = 1 << 20
STICKS: Final = ("/media", "/run/media", "/mnt", "/Volumes")


@dataclass(frozen=True, slots=True)
class Report:
    """What a verification found, as a page and a sheet of paper show it.

    Attributes:
        folder: what was looked at.
        policy: the policy file; "" for none.
        manifest: SHA-256 of the bundle's list of files, which names every byte of it.
        verdict: the checks; None where two logs were compared.
        difference: the comparison; None where a bundle was checked.
        kept: what was held against it.
    """

    folder: str
    policy: str = ""
    manifest: str = ""
    verdict: Verdict | None = None
    difference: Difference | None = None
    kept: str = ""

    @property
    def found(self) -> Verdict:
        """The checks of either."""
        if self.verdict is not None:
            return self.verdict
        if self.difference is None:
            raise BundleError(phrase("nothing was verified here yet"))
        return self.difference.verdict

    @property
    def news(self) -> list[Phrase]:
        """What is new in the log, line by line."""
        return list(news_lines(self.difference)) if self.difference else []

    @property
    def is_public(self) -> bool:
        """Whether what was looked at calls itself a public bundle."""
        rows = self.verdict.checks if self.verdict else []
        return any(("kind", "public") in row.phrase.values for row in rows if row.name == "manifest")

    @property
    def conclusion(self) -> Phrase:
        """How the comparison came out, and what is to be done."""
        return conclusion(self.difference) if self.difference else phrase("nothing was verified here yet")

    @property
    def checkpoints(self) -> list[tuple[Phrase, str]]:
        """Both checkpoints as signed, where a comparison failed: they are the evidence."""
        found = self.difference
        if found is None or found.verdict.exit_code != EXIT_FAIL:
            return []
        pairs = ((phrase("kept:"), found.old), (phrase("shown now:"), found.new))
        return [(title, note_text(shown)) for title, shown in pairs if shown is not None]


def form(visit: Visit) -> Reply:
    """Ask for a folder."""
    own = visit.office.keeper.folder if visit.office.keeper else None
    values = {
        "found": list(bundles(own)),
        "own_policy": str(own.policy) if own and own.policy.exists() else "",
        "own_folder": str(own.root) if own else "",
        "example": r"E:\bundle" if os.name == "nt" else "/media/stick/bundle",
        "last": _last(visit),
    }
    return Page("verify.html", values)


def start(visit: Visit) -> Reply:
    """Verify a bundle; what takes long goes on while the page looks again."""
    folder = read_path(visit.text("folder"))
    if not folder.is_dir():
        raise BundleError(phrase("%(folder)s: no such folder on this machine", folder=folder))
    policy = _policy_path(visit)
    head = _kept(visit.text("head"))
    trusted = load_policy(policy) if policy else None

    def task(_work: Work) -> Report:
        verdict = verify_bundle(folder, trusted, head)
        return Report(str(folder), str(policy or ""), manifest_digest(folder), verdict)

    visit.office.workshop.start("verify", "/verify/result", task)
    return Redirect("/verify/result")


def start_diff(visit: Visit) -> Reply:
    """Hold a log against one that was kept."""
    old, new = read_path(visit.text("old")), read_path(visit.text("new"))
    for path in (old, new):
        if not path.exists():
            raise BundleError(phrase("%(folder)s: no such file or folder on this machine", folder=path))

    def task(_work: Work) -> Report:
        return Report(str(new), difference=compare(old, new), kept=str(old))

    visit.office.workshop.start("verify", "/verify/result", task)
    return Redirect("/verify/result")


def result(visit: Visit) -> Reply:
    """Show how the verification came out, for the screen and for paper."""
    work = visit.office.workshop.last
    if work is None or work.kind not in ("verify", "bundle"):
        return Redirect("/verify")
    if not work.is_done or work.problem is not None or not isinstance(work.result, Report):
        return Page("work.html", {"work": work, "is_idle": work.is_done})
    return Page("verdict.html", {"report": work.result, "work": work})


def write(visit: Visit) -> Reply:
    """Write a bundle into a new folder."""
    out, is_public = read_path(visit.text("out")), visit.text("public") == "1"
    if not out.parent.is_dir():
        raise BundleError(phrase("%(folder)s: no such folder on this machine", folder=out.parent))
    if out.exists():
        raise BundleError(phrase("%(folder)s: exists already; choose a new folder", folder=out))
    keeper = visit.keeper
    visit.office.workshop.start("bundle", "/verify/result", lambda work: _write(keeper, work, out, is_public))
    return Redirect("/verify/result")


def _write(keeper: Keeper, work: Work, out: Path, is_public: bool) -> str:
    with keeper.desk(wait_s=60.0) as desk:
        desk.step(lambda event: work.note(keeper.now(), event))
        with desk.state.locked():
            write_bundle(desk.context, out, is_public=is_public)
    return str(out)


def read_path(text: str) -> Path:
    """Read a path that a person typed or pasted, with or without quotation marks around it.

    Raises:
        BundleError: nothing was typed, or not the whole path.
    """
    plain = text.strip().strip('"').strip()
    if not plain:
        raise BundleError(
            phrase("type the whole path of a folder, such as E:\\bundle or /media/stick/bundle")
        )
    path = Path(plain)
    if not path.is_absolute():
        raise BundleError(phrase("%(path)s: type the whole path, from the drive or from /", path=plain[:200]))
    return path


def bundles(own: AuditorFolder | None) -> Iterator[str]:
    """Find bundles where they usually lie: the auditor's own folder, and sticks."""
    places = [own.root / "bundles", own.root] if own else []
    places += [path for stick in STICKS for path in folders_of(Path(stick))]
    num_found = 0
    for place in places:
        for folder in (place, *folders_of(place)):
            if num_found < MAX_FOUND and (folder / NAME).is_file():
                num_found += 1
                yield str(folder)


def folders_of(place: Path) -> list[Path]:
    """List the folders of a place; none where it cannot be read."""
    try:
        return sorted(path for path in list(place.iterdir())[:MAX_LOOKED_AT] if path.is_dir())
    except OSError:
        return []


def _policy_path(visit: Visit) -> Path | None:
    typed = visit.text("policy")
    if typed:
        return read_path(typed)
    if visit.role == KEEPER and visit.folder.policy.exists():
        return visit.folder.policy
    return None


def _kept(typed: str) -> bytes | None:
    """Read a checkpoint that was kept from earlier."""
    if not typed:
        return None
    path = read_path(typed)
    with path.open("rb") as file:
        return file.read(MAX_KEPT_BYTES)


def _last(visit: Visit) -> bool:
    work = visit.office.workshop.last
    return work is not None and isinstance(work.result, Report)


def manifest_digest(folder: Path) -> str:
    """Name a bundle by the digest of its list of files; "" where it has none."""
    try:
        return hashlib.sha256(manifest_bytes(folder)).hexdigest()
    except (BundleError, OSError):
        return ""
