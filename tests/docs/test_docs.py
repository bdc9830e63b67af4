"""What the documents say is true: their commands run or at least parse, their links and files exist.

A block marked `sh` is run; one marked `console` shows commands that are only parsed, because they need other
people, other machines or this very test suite. All `sh` blocks of one document run in one shell.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from fedscreen.__main__ import build
from fedscreen.demo.processes import free_port

ROOT = Path(__file__).resolve().parents[2]
AT_THE_TOP = ("README.md", "README.zh-CN.md", "CONTRIBUTING.md", "SECURITY.md")
DOCUMENTS = sorted([*(ROOT / page for page in AT_THE_TOP), *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
TICKED = re.compile(r"`([^`\n]+)`")
OPERATORS = set("|;&<>()")
RUN_TIMEOUT_S = 300
NOT_OURS = {"a/b", "cosignature/v1"}  # looks like a path and is none
ROOMS = (
    "node",
    "coordinator",
    "auditor",
    "pages",
    "paper",
    "results",
    "plan",
    "privacy",
    "crypto",
    "protos",
    "fedscreen",
)
RUNNING = (
    "demo-out/",
    "files/",
    "keys/",
    "log/",
    "vault/",
    "egress/",
    "receipts/",
    "mirror/",
    "tile/",
    "blob/",
)  # not sources


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(document: Path, language: str) -> list[str]:
    found = BLOCK.findall(document.read_text("utf-8"))
    return [body for _indent, marked, body in found if marked == language]


def commands(text: str) -> Iterator[list[str]]:
    """Give the words of every `fedscreen …` command of a shell text, up to the next operator."""
    joined = re.sub(r"\\\n\s*", " ", text)
    for line in joined.split("\n"):
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.commenters = "#"
        lexer.whitespace_split = True
        words = list(lexer)
        for start, word in enumerate(words):
            if word.rpartition("/")[2] != "fedscreen":
                continue
            rest = []
            for item in words[start + 1 :]:
                if set(item) <= OPERATORS:
                    break
                rest.append(item)
            yield rest


def resolve(words: list[str]) -> str:
    """Say what is wrong with a command as click would see it; empty when it parses."""
    command: click.Command = build()
    context = click.Context(command)
    path = ["fedscreen"]
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        default = getattr(command, "default_command", None)  # a command that may be left out
        if default and command.get_command(context, words[0]) is None:
            words.insert(0, default)
        found = command.get_command(context, words[0])
        if found is None:
            return f"{' '.join(path)} has no command {words[0]}"
        path.append(words.pop(0))
        command, context = found, click.Context(found, parent=context)
    options = {flag: option for option in command.params for flag in (*option.opts, *option.secondary_opts)}
    arguments = [item for item in command.params if isinstance(item, click.Argument)]
    given, num_values = set(), 0
    while words:
        word = words.pop(0)
        if not word.startswith("-") or word == "-":
            num_values += 1
            continue
        option = options.get(word)
        if option is None:
            return "" if word in ("--help", "--version") else f"{' '.join(path)} has no option {word}"
        given.add(option.name)
        if not option.is_flag and not words:
            return f"{' '.join(path)} {word} lacks its value"
        if not option.is_flag:
            words.pop(0)
    if isinstance(command, click.Group):
        return ""  # a group is named as such
    missing = [
        item.opts[0]
        for item in command.params
        if isinstance(item, click.Option) and item.required and item.name not in given
    ]
    least = sum(item.nargs if item.nargs > 0 else 1 for item in arguments if item.required)
    most = None if any(item.nargs < 0 for item in arguments) else sum(item.nargs for item in arguments)
    if missing:
        return f"{' '.join(path)} lacks {missing[0]}"
    if num_values < least or (most is not None and num_values > most):
        return f"{' '.join(path)} has {num_values} arguments"
    return ""


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_every_command_in_a_block_parses(document: Path) -> None:
    texts = blocks(document, "sh") + blocks(document, "console")
    wrong = [found for text in texts for words in commands(text) if (found := resolve(words))]
    assert wrong == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_every_command_named_in_a_sentence_exists(document: Path) -> None:
    """Short forms are allowed there: options and arguments may be left out, but not be wrong."""
    prose = BLOCK.sub("", document.read_text("utf-8"))
    wrong = []
    for text in TICKED.findall(prose):
        if text.startswith("fedscreen ") and "…" not in text:
            found = resolve(shlex.split(text)[1:])
            if found and " lacks " not in found and " arguments" not in found:
                wrong.append(found)
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("fedscreen nodes run", "no command nodes"),
        ("fedscreen node run --fast", "no option --fast"),
        ("fedscreen node release ROUND", "lacks --by"),
        ("fedscreen node preview", "0 arguments"),
        ("fedscreen node preview ONE TWO", "2 arguments"),
        ("true && fedscreen auditor verify bundle --policy", "lacks its value"),
        ("echo x | /opt/bin/fedscreen auditor verify a \\\n  b", "2 arguments"),
    ],
)
def test_a_wrong_command_is_noticed(text: str, problem: str) -> None:
    assert [problem in resolve(words) for words in commands(text)] == [True]


def test_several_commands_of_one_line_are_all_found() -> None:
    text = "A=$(fedscreen plan show x | head); each fedscreen node run > a.log & # fedscreen nothing"
    assert list(commands(text)) == [["plan", "show", "x"], ["node", "run"]]


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_blocks_are_marked_in_a_known_way(document: Path) -> None:
    found = {marked for _indent, marked, _body in BLOCK.findall(document.read_text("utf-8"))}
    assert found <= {"", "sh", "console", "toml"}


@pytest.mark.process
@pytest.mark.parametrize("document", [item for item in DOCUMENTS if blocks(item, "sh")], ids=name)
def test_the_shell_blocks_run(document: Path, tmp_path: Path) -> None:
    binaries = tmp_path / "bin"
    binaries.mkdir()
    shim = binaries / "fedscreen"
    shim.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m fedscreen "$@"\n', "utf-8")
    shim.chmod(0o755)
    foreign = ("FEDSCREEN_", "CREDENTIALS")
    environ = {
        **{key: value for key, value in os.environ.items() if not key.startswith(foreign)},
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PORT": str(free_port()),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    script = "set -euo pipefail\n" + "\n".join(blocks(document, "sh"))
    output = tmp_path / "output"
    work = tmp_path / "work"
    work.mkdir()
    with output.open("wb") as stream:
        process = subprocess.Popen(
            ["bash", "-c", script],
            cwd=work,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(RUN_TIMEOUT_S)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait()
    text = output.read_text("utf-8", "replace")
    assert code == 0, text[-4000:]
    if document.stem == "walkthrough":
        assert text.rstrip().endswith("every check passed")
        assert len(list((work / "by-hand" / "results" / "tables").glob("*.csv"))) == 7


def slug(heading: str) -> str:
    """Give a heading's anchor as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def headings(document: Path) -> list[str]:
    prose = BLOCK.sub("", document.read_text("utf-8"))
    return re.findall(r"^#+ (.+)$", prose, re.MULTILINE)


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_links_lead_somewhere(document: Path) -> None:
    broken = []
    for target in LINK.findall(BLOCK.sub("", document.read_text("utf-8"))):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        found = (document.parent / path).resolve() if path else document
        if not found.exists() or (anchor and anchor not in [slug(line) for line in headings(found)]):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_files_that_are_named_exist(document: Path) -> None:
    missing = []
    for text in TICKED.findall(BLOCK.sub("", document.read_text("utf-8"))):
        is_path = re.fullmatch(r"[\w.-]+/[\w./{},*-]*", text) is not None
        if not is_path or text in NOT_OURS or text.startswith(RUNNING) or "{" in text:
            continue
        if not (ROOT / text).exists() and not (document.parent / text).exists():
            missing.append(text)
    assert missing == []


def sections_named_in_sources() -> Iterator[tuple[str, str, str]]:
    """Give (source, document, section) for every section that a source file names."""
    pattern = re.compile(r'([a-z-]+)\.md,?((?: (?:and|sections?) | |, )?"[^"\n]+"(?:(?:, | and )"[^"\n]+")*)')
    for room in (
        "node",
        "coordinator",
        "auditor",
        "results",
        "plan",
        "privacy",
        "crypto",
        "protos",
        "fedscreen",
    ):
        for path in (ROOT / room).rglob("*.py"):
            text = re.sub(r"\n\s*", " ", path.read_text("utf-8"))
            for stem, sections in pattern.findall(text):
                for section in re.findall(r'"([^"]{3,})"', sections):
                    yield name(path), stem, section


def test_sections_that_sources_name_exist() -> None:
    named = list(sections_named_in_sources())
    assert len(named) > 20
    known = {item.stem: "\n".join(headings(item)).lower() for item in DOCUMENTS}
    lost = [row for row in named if row[2].lower() not in known.get(row[1], "")]
    assert lost == []


def test_documents_that_sources_name_exist() -> None:
    lost = []
    for path in [*ROOT.glob("*/**/*.py"), *ROOT.glob("*.toml"), ROOT / "Makefile"]:
        if ".venv" not in path.parts:
            found = re.findall(r"docs/[\w/.-]+?\.md", path.read_text("utf-8"))
            lost += [(name(path), item) for item in found if not (ROOT / item).is_file()]
    assert lost == []


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd on this machine")
@pytest.mark.parametrize("unit", sorted((ROOT / "deploy").glob("*.service")), ids=name)
def test_units_are_valid(unit: Path, tmp_path: Path) -> None:
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text("utf-8").replace("/opt/fedscreen/bin/fedscreen", "/bin/true"), "utf-8")
    result = subprocess.run(
        ["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
