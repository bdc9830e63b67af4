"""P1, P9: pupils are in no output of any command, but in those that are for them, and only under their roles.

Every command of `fedscreen node` is run for a person (in both languages) and as JSON, when it succeeds and
when it is refused, on a node whose pupils are canaries; what it prints on both streams, logs, and writes is
searched in every spelling. The commands are taken from click's own tree, so a new one without a case fails.

Elsewhere: frames, messages and the county's files (test_p01_no_raw_row_leaves.py); refused imports of every
kind (test_p09_nothing_in_messages.py); what a vault that crashes may say (tests/node/test_session.py).
"""

from __future__ import annotations

import gettext
import json
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from canary_school import (
    CANARIES,
    NUMBERS,
    PRINCIPAL,
    PSYCHOLOGIST,
    PUPILS,
    YEAR,
    CanarySchool,
    Shown,
    quick_stretch,
    use_desks_here,
)
from nacl.pwhash import argon2id

from node import cli, hand_over_secret, role_login

TESTS = Path(__file__).resolve().parents[1]
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "gb18030", "xlsx")


@dataclass
class Case:
    """One way to give a command.

    Attributes:
        line: its words after `--dir`; a function of the school where they depend on it.
        exit_code: of the run for a person.
        pupils: whether it is one of those that may show pupils, and must here.
        files: whether what it writes may have pupils in it too.
    """

    line: Callable[[CanarySchool], list[object]]
    exit_code: int = 0
    pupils: bool = False
    files: bool = False


def words(*found: object) -> Callable[[CanarySchool], list[object]]:
    return lambda _school: list(found)


def teacher(*found: object, wrong: bool = False) -> Callable[[CanarySchool], list[object]]:
    """Words with the psychologist's name and passphrase."""
    return lambda school: [*found, *_holder(school, PSYCHOLOGIST, wrong)]


def principal(*found: object) -> Callable[[CanarySchool], list[object]]:
    return lambda school: [*found, *_holder(school, PRINCIPAL, False)]


def _holder(school: CanarySchool, name: str, wrong: bool) -> list[object]:
    return ["--holder", name, "--role-passphrase-file", school.wrong if wrong else school.passphrase]


def round_and(*found: object) -> Callable[[CanarySchool], list[object]]:
    return lambda school: [school.round_id[:12], *found]


def out(name: str, *found: object, option: str = "--out") -> Callable[[CanarySchool], list[object]]:
    return lambda school: [*found, option, school.new(name)]


def joined(*parts: Callable[[CanarySchool], list[object]]) -> Callable[[CanarySchool], list[object]]:
    return lambda school: [word for part in parts for word in part(school)]


def imported(encoding: str, *more: object) -> Callable[[CanarySchool], list[object]]:
    return lambda school: [*school.write_import(encoding), "--round", school.round_id[:12], *more]


def roster_in(encoding: str) -> Callable[[CanarySchool], list[object]]:
    return lambda school: [school.write_import(encoding)[1]]


def spoilt_import(school: CanarySchool) -> list[object]:
    """Names where numbers should be: refused, with nothing of what stands there."""
    options = school.write_import("utf-8")
    path = Path(options[options.index("--screening") + 1])
    path.write_text(path.read_text("utf-8").replace(NUMBERS[0], PUPILS[0]), "utf-8")
    return [*options, "--round", school.round_id[:12]]


def canary_file(school: CanarySchool) -> Path:
    """A file that is none of those that a command reads, full of canaries."""
    path = school.root / "canaries.txt"
    path.write_text("\n".join(CANARIES), "utf-8")
    return path


def given(*before: object) -> Callable[[CanarySchool], list[object]]:
    return lambda school: [*before, canary_file(school)]


def template(school: CanarySchool) -> list[object]:
    options = dict(zip(*[iter(school.write_import())] * 2, strict=True))
    found: list[object] = ["--codebook", options["--codebook"], "--roster", options["--roster"]]
    return [*found, "--out", school.new("t.xlsx"), "--profile-out", school.new("p.toml")]


def sealed(school: CanarySchool) -> list[object]:
    """A hand-over file about a canary, to a hospital's key."""
    return [
        *("--pupil", PUPILS[0], "--to", school.root / "hospital.pub", "--kind", "referral"),
        *(
            "--fingerprint",
            (school.root / "hospital.fingerprint").read_text(),
            "--consent",
            f"{YEAR[:4]}-09-30",
        ),
        *("--out", school.new("sealed.hand-over"), *_holder(school, PSYCHOLOGIST, False)),
    ]


RECOVERY = lambda school: [  # noqa: E731
    *("--with-passphrase", "--code-file", school.passphrase, "--out", school.new("r.recovery")),
    *_holder(school, PRINCIPAL, False),
]
EXACT = ("--exact", "--reason", "班主任会")
LIST = ("--follow-up", "--reason", "班主任会")

CASES: dict[str, list[Case]] = {
    "init": [Case(words("--federation", "x", "--id", "y", "--operator", "z"), 1)],
    "setup": [Case(given(), 1)],
    "request": [Case(out("request.json"))],
    "accept": [Case(lambda school: [canary_file(school), "--fingerprint", "x"], 1)],
    "role add": [
        Case(lambda school: ["principal", "--holder", "x", "--role-passphrase-file", school.passphrase], 1)
    ],
    "role list": [Case(words())],
    "profile guess": [Case(roster_in(encoding)) for encoding in ENCODINGS],
    "template": [Case(template, pupils=True, files=True)],
    "import": [
        *(Case(imported(encoding)) for encoding in ENCODINGS),
        Case(imported("gb18030", "--dry-run")),
        Case(joined(imported("utf-8", "--dry-run"), out("import.html", option="--report"))),
        Case(joined(imported("utf-8", "--dry-run"), out("import.csv", option="--report"))),
        Case(joined(spoilt_import, out("import.xlsx", option="--report")), 1),
        Case(lambda school: ["--roster", canary_file(school), *imported("xlsx")(school)[2:]], 1),
    ],
    "rounds": [Case(words())],
    "preview": [Case(round_and("--cells")), Case(joined(round_and("--cells"), principal()))],
    "decide": [Case(joined(round_and("hold", "--reason", "再看"), principal()))],
    "release": [  # also lifts what the principal held
        Case(round_and("--by", PRINCIPAL), 1),
        Case(
            lambda school: [
                *(school.round_id[:12], "--by", PRINCIPAL, "--reason", "已核对"),
                *("--role-passphrase-file", school.passphrase),
            ]
        ),
    ],
    "hold": [Case(words("--off"))],
    "floors": [Case(words())],
    "status": [Case(words())],
    "budget": [Case(words())],
    "doctor": [Case(words("--offline", "--no-vault"), 1)],
    "check": [Case(words())],
    "audit replay": [Case(round_and(), 1)],
    "log import": [Case(given(), 1)],
    "outbox export": [Case(out("stick"))],
    "receipt write": [Case(round_and(), 1)],
    "receipt import": [Case(given(), 1)],
    "report": [
        Case(out("hand-in.html"), 1),
        Case(joined(out("hand-in.html"), teacher())),
        Case(joined(out("hand-in.xlsx"), teacher())),
        Case(joined(out("exact.html", *EXACT), teacher(wrong=True)), 1),
        Case(joined(out("list.xlsx", *LIST), teacher(wrong=True)), 1),
        Case(joined(out("exact.html", *EXACT), teacher())),
        Case(joined(out("list.html", *LIST), teacher()), pupils=True, files=True),
        Case(joined(out("list.xlsx", *LIST), teacher()), pupils=True, files=True),
    ],
    "follow-up fields": [Case(words())],
    "follow-up list": [
        Case(teacher(), pupils=True),
        Case(teacher(wrong=True), 1),
        Case(principal(), 1),
        Case(words(), 1),
    ],
    "follow-up set": [
        Case(teacher(PUPILS[0], "file_built=1"), pupils=True),
        Case(teacher(PUPILS[0], "file_built=1", wrong=True), 1),
    ],
    "follow-up history": [
        Case(teacher(NUMBERS[0]), pupils=True),
        Case(teacher(NUMBERS[0], wrong=True), 1),
    ],
    "follow-up withdraw": [Case(teacher("1", wrong=True), 1)],
    "hand-over key": [Case(joined(out("school.pub"), teacher()))],
    "hand-over recipient-init": [
        Case(
            lambda school: [
                *("--institution", "县医院", "--person", "王医生"),
                *(
                    "--passphrase-file",
                    school.passphrase,
                    "--key",
                    school.new("private"),
                    "--out",
                    school.new("pub"),
                ),
            ]
        )
    ],
    "hand-over make": [
        Case(sealed, pupils=True),
        Case(lambda school: [*sealed(school)[:-4], *_holder(school, PSYCHOLOGIST, True)], 1),
        Case(
            lambda school: [*sealed(school)[:-4], "--dry-run", *_holder(school, PSYCHOLOGIST, False)],
            pupils=True,
        ),
    ],
    "hand-over list": [Case(teacher(), pupils=True), Case(teacher(wrong=True), 1)],
    "hand-over receive": [Case(joined(given(), out("r", option="--receipt"), teacher()), 1)],
    "hand-over receipt": [Case(joined(given(), teacher()), 1)],
    "hand-over show": [Case(teacher("ab" * 16), 1)],
    "hand-over open": [
        Case(
            lambda school: [
                *(
                    school.root / "to-open",
                    "--key",
                    school.root / "hospital.key",
                    "--receipt",
                    school.new("r"),
                ),
                *("--passphrase-file", school.passphrase),
            ],
            pupils=True,
        ),
        Case(
            lambda school: [
                *(
                    school.root / "to-open",
                    "--key",
                    school.root / "hospital.key",
                    "--receipt",
                    school.new("r"),
                ),
                *("--passphrase-file", school.wrong),
            ],
            1,
        ),
    ],
    "recovery make": [Case(RECOVERY)],
    "recovery check": [Case(lambda school: [canary_file(school), "--code-file", school.passphrase], 1)],
    "recovery restore": [Case(lambda school: [canary_file(school), "--code-file", school.passphrase], 1)],
    "backup": [Case(out("node.backup"))],
    "restore": [Case(given(), 1)],
    "keys roll": [Case(out("roll.json"))],
    "keys renew": [Case(words())],
    "retention filed": [Case(words("--until", f"{YEAR[:4]}-09-01", "--by", "x"))],
    "prune": [Case(words("--dry-run"))],
}
ELSEWHERE = {
    "run": "node/test_whole_node.py",
    "console": "promises/test_console_outputs.py",
    "audit rehearse": "node/test_audit_rehearse.py",
    "audit selftest": "node/test_audit_selftest.py",
    "audit visit": "node/vault/test_visit.py",
}
"""Commands that start processes of their own: where all that they put out is searched."""


def command_tree(group: click.Group, *before: str) -> Iterator[str]:
    """Every command of click's tree by its words."""
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        if isinstance(found, click.Group):
            yield from command_tree(found, *before, name)
        else:
            yield " ".join((*before, name))


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CanarySchool]:
    root = tmp_path_factory.mktemp("canaries")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CREDENTIALS_DIRECTORY", str(root))
        patch.delenv("FEDSCREEN_NODE_ROLE_PASSPHRASE_FILE", raising=False)
        patch.setattr(role_login, "stretch", quick_stretch)
        patch.setattr(hand_over_secret, "stretch", quick_stretch)
        patch.setattr(argon2id, "MEMLIMIT_MODERATE", argon2id.MEMLIMIT_MIN)
        patch.setattr(gettext, "_current_domain", "fedscreen")  # as `speak` does, but only for these tests
        patch.setitem(gettext._localedirs, "fedscreen", str(TESTS.parent / "fedscreen" / "locale"))  # type: ignore[attr-defined]
        use_desks_here(patch)
        found = CanarySchool(root)
        for role, name in (("psychologist", PSYCHOLOGIST), ("principal", PRINCIPAL)):
            must(found, "role add", role, "--holder", name, "--role-passphrase-file", found.passphrase)
        must(found, "import", *imported("utf-8")(found))
        make_hospital(found)
        yield found


def must(school: CanarySchool, command: str, *rest: object) -> Shown:
    done = school.run(*command.split(), "--dir", school.node, *rest)
    assert done.exit_code == 0, done.shown
    return done


def make_hospital(school: CanarySchool) -> None:
    """Make a recipient's key and a sealed file to it."""
    made = must(
        school,
        "hand-over recipient-init",
        *("--institution", "县医院", "--person", "王医生", "--passphrase-file", school.passphrase),
        *("--key", school.root / "hospital.key", "--out", school.root / "hospital.pub", "--json"),
    )
    (school.root / "hospital.fingerprint").write_text(json.loads(made.shown)["fingerprint"])
    line = sealed(school)
    must(school, "hand-over make", *line)
    (school.root / "to-open").write_bytes(Path(str(line[line.index("--out") + 1])).read_bytes())


PARAMETERS = [
    pytest.param(command, place, id=f"{command}-{place}")
    for command, cases in CASES.items()
    for place in range(len(cases))
]


@pytest.mark.parametrize(("command", "place"), PARAMETERS)
def test_no_output_has_pupils_but_those_that_are_for_them(
    school: CanarySchool, caplog: pytest.LogCaptureFixture, command: str, place: int
) -> None:
    caplog.set_level(logging.DEBUG)
    case = CASES[command][place]
    language = "en" if place % 2 else "zh_CN"
    for options in ((), ("--json",)):
        line = [*command.split(), "--dir", school.node, *case.line(school), *options]
        done = school.run(*line, language=language)
        assert done.exit_code == case.exit_code or options, done.shown
        assert "Traceback" not in done.shown
        assert school.search.find(caplog.text.encode()) == set()
        assert bool(done.found) == case.pupils, (options, done.found, done.shown[:2000])
        check_files(case, done, school)


def check_files(case: Case, done: Shown, school: CanarySchool) -> None:
    """A sealed file shows nothing; one with pupils in it is its owner's alone."""
    for name in {found.split(":")[0] for found in done.found} - {"output"}:
        assert case.files, name
        assert (school.out / name).stat().st_mode & 0o077 == 0, name


def test_every_command_has_a_case() -> None:
    commands = set(command_tree(cli.node))
    assert commands - set(CASES) - set(ELSEWHERE) == set()
    assert set(CASES) | set(ELSEWHERE) <= commands
    assert all((TESTS / path).exists() for path in ELSEWHERE.values())


def test_only_what_the_promise_names_shows_pupils() -> None:
    """The local report's list, the follow-up, the template, a hand-over: under their roles."""
    shows = {command for command, cases in CASES.items() if any(case.pupils for case in cases)}
    assert shows == {
        *("template", "report", "follow-up list", "follow-up set", "follow-up history"),
        *("hand-over make", "hand-over list", "hand-over open"),
    }
    under_role = shows - {"template", "hand-over open"}  # the roster itself; the recipient's own key
    for command in under_role:
        refused = [case for case in CASES[command] if case.exit_code == 1 and not case.pupils]
        assert refused, f"{command} is not tried with the wrong passphrase"


def test_search_finds_a_pupil_in_every_kind_of_output(school: CanarySchool) -> None:
    for text in (PUPILS[3], json.dumps(PUPILS[3]), NUMBERS[2], CANARIES[-1]):
        assert school.look(Shown([], 0, f"x{text}x", {}))
        assert school.look(Shown([], 0, "", {"file": text.encode("gb18030")})) or not text.isascii()
    import io
    import zipfile

    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("sheet.xml", f"<t>{PUPILS[0]}</t>")
    assert school.look(Shown([], 0, "", {"a.xlsx": kept.getvalue()}))


def test_record_file_and_its_copies_hold_nothing_readable(school: CanarySchool) -> None:
    for path in (school.node / "vault").iterdir():
        assert school.search.find(path.read_bytes()) == set(), path.name


# ---------------------------------------------------------------- lengths


HEX = re.compile(r"[0-9a-f]{16,}")
CLOCK = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z")
NUM_RECORDS = re.compile(r'"num_records": [0-9]+')


def shape(shown: str) -> str:
    """An output without its digests, keys, and the number of rows, which who imports knows anyway."""
    return NUM_RECORDS.sub("", CLOCK.sub("…", HEX.sub("…", shown)))


@pytest.fixture(scope="module")
def two_schools(
    tmp_path_factory: pytest.TempPathFactory, school: CanarySchool
) -> tuple[CanarySchool, CanarySchool]:
    """Six pupils without a finding, nine hundred of whom every second has the highest level."""
    found = []
    for name, num, level in (("few", 6, 0), ("many", 900, 3)):
        root = tmp_path_factory.mktemp(name)
        made = CanarySchool(root)
        made.save(num, level)
        found.append(made)
    return found[0], found[1]


QUIET = ("rounds", "preview", "release", "rounds", "outbox export", "budget", "check", "audit replay")


@pytest.mark.parametrize("place", range(len(QUIET)), ids=lambda place: f"{place}-{QUIET[place]}")
def test_lengths_do_not_depend_on_the_pupils(
    two_schools: tuple[CanarySchool, CanarySchool], monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    """On a node with roles nobody but them sees a number: the same text, the same lengths of files."""
    command, outputs = QUIET[place], []
    for school in two_schools:
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(school.root))
        more: list[object] = []
        if command in ("preview", "release", "audit replay"):
            more = [school.round_id[:12]]
        if command == "release":
            more += ["--by", PRINCIPAL, "--reason", "x", "--role-passphrase-file", school.passphrase]
        if command == "outbox export":
            more = ["--out", school.out / "stick"]
        done = school.run(*command.split(), "--dir", school.node, *more, "--json")
        assert "error" not in json.loads(done.shown), done.shown
        sizes = sorted(len(data) for data in done.files.values())
        outputs.append((done.exit_code, shape(done.shown).replace(str(school.root), ""), sizes))
    assert outputs[0] == outputs[1]
    if command == "outbox export":
        assert outputs[0][2]
