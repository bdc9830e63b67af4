"""Write the kit that an auditor carries to a school: the signed challenge, made-up material, the digests.

| in the kit | |
| --- | --- |
| `challenge.json` | which report of which school, signed by this auditor (`protos.site_visit`) |
| `material/` | made-up pupils for `audit rehearse`, copied as they are |
| `release.json` | digests of every installed file, as tools/build_wheel.py wrote them |
| `install_check.py` | `auditor.install_check` as one file, for any Python 3.11 or newer |
| `READ-ME.txt` | the order of the afternoon, in Chinese and English |

One kit serves all the schools that it names. The draw is public, so a school that sees another's name learns
nothing that the log does not tell everybody. The same arguments on the same day write the same challenge.
A copy of each challenge stays under `site/challenges/`; a result is taken only for one of those.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from auditor import install_check
from auditor.challenge import find_challenge
from auditor.context import Context
from auditor.durable import make_private_directory, replace_durably
from auditor.errors import KeyFileError, RefusalError
from crypto.note import SigningKey
from plan.errors import phrase
from protos.bodies import ReportName
from protos.ledger import RoundLog
from protos.site_visit import (
    CHALLENGE_FORMAT,
    MAX_VISIT,
    TRIALS,
    SiteChallenge,
    SiteSchool,
    challenge_values,
    sign_file,
)

CHALLENGE, MATERIAL, RELEASE, CHECKER, READ_ME = (
    "challenge.json",
    "material",
    "release.json",
    "install_check.py",
    "READ-ME.txt",
)
FOLDER, CHALLENGES = "site", "challenges"

_READ_ME: Final = """到校检查 / A visit to a school

1. 先查程序，最好用自己的电脑读取学校电脑的硬盘（只读），不运行学校的程序：
   First the program; best with a computer of your own that reads the school's disk, read only:

       python3 install_check.py --release release.json --site-packages 目录/DIR

   在学校电脑上直接运行也可以，但被人控制的电脑可以说谎：
   On the school's own machine it works too, but a machine that somebody controls can lie:

       fedscreen auditor install verify --release release.json
%(release)s
2. 学校的人输入口令，督查人员在旁：
   A person of the school gives the passphrase, you stand beside:

       fedscreen node audit visit %(kit)s

   检查：%(trials_zh)s。
   Asked for: %(trials)s.

3. 带走它写出的 result-学校编号.json（一所学校一个文件，不会覆盖已有的），
   亲手交给准备这个文件夹的守密方 %(auditor)s。由守密方在自己的机器上运行 site record；
   你不需要、也不要为此运行 auditor init。
   Take result-SCHOOL.json, which it writes (one file a school, none is written over), to the key keeper
   who prepared this folder, %(auditor)s. The keeper runs there (you need no 'auditor init'):

       fedscreen auditor site record result-SCHOOL.json

若有 FAIL：电脑不要关机，不要重装；打电话给守密方，按 site record 显示的步骤办。
On FAIL: leave the machine on and as it is, and telephone the keeper; `site record` says what comes next.
"""
_NO_RELEASE: Final = """
   本文件夹里没有 release.json：请从发布版另取，并另行核对它的 SHA-256。
   This folder has no release.json: take it from the release, and compare its SHA-256 by another way.
"""
_TRIALS_ZH: Final = {
    "replay": "重算（replay）",
    "rehearse": "演练（rehearse）",
    "selftest": "自检（selftest）",
}


def _read_me(kit: str, challenge: SiteChallenge, *, has_release: bool) -> str:
    return _READ_ME % {
        "kit": kit,
        "auditor": challenge.auditor,
        "release": "" if has_release else _NO_RELEASE,
        "trials": ", ".join(challenge.trials),
        "trials_zh": "、".join(_TRIALS_ZH[name] for name in challenge.trials),
    }


def make_challenge(
    context: Context,
    round_log: RoundLog,
    nodes: Sequence[str],
    *,
    number: int = 0,
    visit: int = 1,
    trials: Sequence[str] = TRIALS,
) -> SiteChallenge:
    """Put together what is asked of some schools.

    Args:
        context: the auditor, its copy of the log up to date.
        round_log: the round.
        nodes: whom; none for all that are drawn.
        number: size of the draw; 0 for no draw.
        visit: 1, or more for a visit that is repeated.
        trials: of `TRIALS`.

    Raises:
        RefusalError: no draw yet, or a school has no report in the set.
    """
    draw = find_challenge(round_log)
    drawn = draw.draw(number) if number else ()
    places = {row.node: place for place, row in enumerate(drawn, 1)}
    reports = {row.node: row for row in draw.schools}
    wanted = sorted(set(nodes) or set(places))
    missing = [node for node in wanted if node not in reports]
    if missing or not wanted or not 1 <= visit <= MAX_VISIT:
        raise RefusalError(
            "no-such-school",
            phrase(
                "%(node)s has no report in this round's set; see 'auditor challenge select'",
                node=missing[0] if missing else "-",
            ),
        )
    return SiteChallenge(
        federation=round_log.terms.federation,
        auditor=context.id,
        round=round_log.round_id,
        close=draw.close,
        number=number,
        visit=visit,
        issued=_day(context.now()),
        schools=tuple(_school(reports[node], places.get(node, 0)) for node in wanted),
        trials=tuple(name for name in TRIALS if name in trials),
    )


def _school(name: ReportName, place: int) -> SiteSchool:
    return SiteSchool(name.node, name.attempt, name.digest, place)


def _day(now: datetime) -> str:
    return now.strftime("%Y-%m-%dT00:00:00Z")


def write_kit(
    context: Context,
    root: Path,
    out: Path,
    challenge: SiteChallenge,
    *,
    material: Path | None = None,
    release: Path | None = None,
) -> bytes:
    """Write a kit into a new folder, and keep its challenge; give the challenge's SHA-256.

    Args:
        context: the auditor.
        root: its folder.
        out: must not exist.
        challenge: what is asked.
        material: folder of made-up files for the rehearsal.
        release: file of digests.

    Raises:
        RefusalError: the folder exists, or a rehearsal is asked for without material.
        KeyFileError: this auditor does not stand in the roster in force.
    """
    if out.exists():
        raise RefusalError("exists", phrase("%(folder)s: exists already; choose a new folder", folder=out))
    if ("rehearse" in challenge.trials) != (material is not None):
        raise RefusalError(
            "material",
            phrase("a rehearsal needs --material, and material is for a rehearsal: give both or neither"),
        )
    data = sign_file(CHALLENGE_FORMAT, challenge_values(challenge), statement_key(context))
    digest = hashlib.sha256(data).digest()
    kept = root / FOLDER / CHALLENGES
    make_private_directory(kept)
    replace_durably(kept / f"{digest.hex()}.json", data, "site-challenge")
    out.mkdir(parents=True)
    (out / CHALLENGE).write_bytes(data)
    (out / CHECKER).write_bytes(Path(install_check.__file__).read_bytes())
    text = _read_me(out.name, challenge, has_release=release is not None)
    (out / READ_ME).write_text(text, "utf-8-sig", newline="\r\n")
    if material is not None:
        shutil.copytree(material, out / MATERIAL)
    if release is not None:
        shutil.copyfile(release, out / RELEASE)
    return digest


def statement_key(context: Context) -> SigningKey:
    """Give the statement key that the roster in force has for this auditor.

    Raises:
        KeyFileError: it has none, or another.
    """
    own = context.ledger.roster.body.auditor(context.id)
    if own is None:
        raise KeyFileError(phrase("%(id)s stands not in the roster in force", id=context.id))
    return context.keys.statement_for(own.statement)
