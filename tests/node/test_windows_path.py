"""A node's way on Windows: nothing POSIX-only is called unguarded, and a round runs where it is hidden."""

from __future__ import annotations

import ast
import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from as_windows import Seen
from click.testing import CliRunner
from fakes_federation import TinyFederation
from fakes_log_server import SERVER_NAME, LogServer, make_node
from fakes_vault import plan_of
from posix_names import LOOKED_AT, MODULES, missing_on_windows
from wall_support import TESTS, wait_until

from node import cli_run, cli_setup, dpapi, launch
from node import config as config_module
from node.cli_context import Context
from node.config import open_folder, read_config, write_config
from node.errors import SuperviseError
from node.frames import COMMAND_VAULT_SENDS
from plan.codebook import parse_codebook_toml
from plan.document import encode_body
from plan.layout import build_layout
from plan.published import noise_rows
from plan.publishing import use_codebook
from privacy.year_account import school_year_of
from protos.bodies import RosterNode, sorted_attributes
from protos.card import fingerprint
from protos.enrolment import Request, parse_request
from protos.log_file import LogFile, encode_log_file

ROOT = TESTS.parent
LINUX_WALL = {
    "node/confine.py": "reached from confine_vault and confine_egress, which turn elsewhere first",
    "node/selftest.py": "the same",
}
DANGEROUS = {
    "os.kill": "sends Ctrl-C there",
    "os.execve": "leaves the caller without its child's end",
    "os.rename": "fails where the target is there; os.replace",
}


# ---------------------------------------------------------------- what the sources say


def test_the_list_of_names_is_the_one_that_matters() -> None:
    lacking = missing_on_windows("os")
    assert {
        "geteuid",
        "setresuid",
        "O_DIRECTORY",
        "O_NOFOLLOW",
        "fchmod",
        "chown",
        "fork",
        "getgroups",
    } <= lacking
    assert not {"kill", "open", "replace", "fsync", "getpid", "pipe", "dup2", "O_BINARY"} & lacking
    assert {"SIGKILL", "SIGHUP", "alarm"} <= missing_on_windows("signal")
    assert "SIGTERM" not in missing_on_windows("signal")


def unguarded(source: str) -> list[str]:
    """Name every use of a name that Windows lacks outside a branch that asks for it."""
    found: list[str] = []
    _look(ast.parse(source), frozenset(), found)
    return found


def _look(item: ast.AST, asked: frozenset[str], found: list[str]) -> None:
    if isinstance(item, (ast.Import, ast.ImportFrom)):
        names = [alias.name for alias in item.names] if isinstance(item, ast.Import) else [item.module or ""]
        found += [f"{item.lineno}: import {name}" for name in names if name in MODULES and "*" not in asked]
        if isinstance(item, ast.ImportFrom) and item.module in LOOKED_AT:
            lacking = missing_on_windows(item.module)
            found += [
                f"{item.lineno}: {row.name}" for row in item.names if row.name in lacking and "*" not in asked
            ]
    if isinstance(item, ast.Attribute) and isinstance(item.value, ast.Name):
        name = f"{item.value.id}.{item.attr}"
        is_lacking = item.value.id in LOOKED_AT and item.attr in missing_on_windows(item.value.id)
        if (is_lacking or name in DANGEROUS) and not {"*", name} & asked:
            found.append(f"{item.lineno}: {name}")
    if isinstance(item, (ast.If, ast.IfExp)):
        _look(item.test, asked, found)
        inside, outside = _asks(item.test)
        for part in item.body if isinstance(item, ast.If) else [item.body]:
            _look(part, asked | inside, found)
        for part in item.orelse if isinstance(item, ast.If) else [item.orelse]:
            _look(part, asked | outside, found)
        return
    if isinstance(item, ast.BoolOp) and isinstance(item.op, ast.And):
        for part in item.values:
            _look(part, asked, found)
            asked |= _asks(part)[0]
        return
    for field in ast.iter_fields(item):
        parts = field[1] if isinstance(field[1], list) else [field[1]]
        for part in parts:
            if isinstance(part, ast.AST):
                _look(part, asked, found)
                if isinstance(part, ast.If) and not part.orelse and _leaves(part.body):
                    asked |= _asks(part.test)[1]  # what follows `if os.name != "posix": return …`


def _asks(test: ast.expr) -> tuple[frozenset[str], frozenset[str]]:
    """What is known where a test holds, and where it does not; "*" is: this is not Windows."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return _asks(test.operand)[::-1]
    text = ast.unparse(test)
    everything, nothing = frozenset({"*"}), frozenset[str]()
    if text in (
        "sys.platform == 'linux'",
        "os.name == 'posix'",
        "sys.platform != 'win32'",
        "windows is None",
    ):
        return everything, nothing
    if text in (
        "sys.platform != 'linux'",
        "os.name != 'posix'",
        "os.name == 'nt'",
        "sys.platform == 'win32'",
    ):
        return nothing, everything
    if text == "windows is not None":
        return nothing, everything
    known = nothing
    for call in ast.walk(test):
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "hasattr" and len(call.args) == 2:
            module, name = call.args
            if isinstance(name, ast.Constant):
                known |= {f"{ast.unparse(module)}.{name.value}"}
    return known, nothing


def _leaves(body: list[ast.stmt]) -> bool:
    return isinstance(body[-1], (ast.Return, ast.Raise))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import os\nos.geteuid()", 1),
        ("import os\nif hasattr(os, 'geteuid'):\n    os.geteuid()", 0),
        ("import os\nif hasattr(os, 'getuid'):\n    os.geteuid()", 1),
        ("x = hasattr(os, 'geteuid') and os.geteuid() == 0", 0),
        ("x = os.geteuid() == 0 and hasattr(os, 'geteuid')", 1),
        ("def f():\n    if sys.platform != 'linux':\n        return 1\n    os.setgroups([])", 0),
        ("def f():\n    if sys.platform != 'linux':\n        print(1)\n    os.setgroups([])", 1),
        ("if sys.platform != 'linux':\n    os.setgroups([])", 1),
        ("def f():\n    if not hasattr(os, 'statvfs'):\n        return 1\n    os.statvfs(p)", 0),
        ("def f():\n    if hasattr(os, 'statvfs'):\n        return 1\n    os.statvfs(p)", 1),
        ("import fcntl", 1),
        ("if os.name == 'posix':\n    import fcntl", 0),
        ("from signal import SIGKILL", 1),
        ("import signal\nsignal.SIGTERM", 0),
        ("os.kill(pid, 0)", 1),
        ("os.rename(a, b)", 1),
        ("os.open(p, os.O_RDONLY | os.O_NOFOLLOW)", 1),
    ],
    ids=str,
)
def test_what_the_search_finds(source: str, expected: int) -> None:
    assert len(unguarded(source)) == expected


def test_nothing_posix_only_lies_on_the_way() -> None:
    """The walls of Linux are entered only behind their own question; everything else asks itself."""
    found = {}
    for room in ("node", "crypto", "privacy", "plan", "protos", "fedscreen"):
        for path in sorted((ROOT / room).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if name in LINUX_WALL or name.startswith("fedscreen/demo/"):
                continue  # the demo is for Linux only, and says so
            uses = unguarded(path.read_text("utf-8"))
            if uses:
                found[name] = uses
    assert found == {}


@pytest.mark.parametrize("name", sorted(LINUX_WALL))
def test_the_walls_of_linux_are_no_more_than_needed(name: str) -> None:
    assert unguarded((ROOT / name).read_text("utf-8")), "take it off the list"


# ---------------------------------------------------------------- a whole round, seen as Windows


class WindowsNode:
    """A node's folder, and commands that see Windows."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = open_folder(root / "node")
        self.python = root / "python.exe"
        boot = TESTS / "as_windows.py"
        self.python.write_text(
            f"#!{sys.executable}\nimport runpy, sys\nsys.executable = {str(self.python)!r}\n"
            f"sys.argv = [{str(boot)!r}, *sys.argv[1:]]\nrunpy.run_path({str(boot)!r}, run_name='__main__')\n"
        )
        self.python.chmod(0o755)
        lacking = {name: sorted(missing_on_windows(name)) for name in LOOKED_AT}
        (root / "lacking.json").write_text(json.dumps(lacking), "utf-8")

    def command(self, *words: object) -> list[str]:
        return [str(self.python), "-m", "fedscreen", "node", *map(str, words)]

    def environ(self) -> dict[str, str]:
        foreign = ("FEDSCREEN_", "CREDENTIALS", "LANG", "COVERAGE")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        return {
            **kept,
            "FEDSCREEN_LANG": "en",
            "FEDSCREEN_NODE_DIR": str(self.folder.root),
            "USERNAME": "teacher",
        }

    def run(self, *words: object, code: int = 0) -> dict[str, Any]:
        done = subprocess.run(
            self.command(*words, "--json"),
            env=self.environ(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return dict(json.loads(done.stdout)) if done.stdout else {"usage": done.stderr}


NOW = datetime.now(UTC).replace(microsecond=0)


def publish(federation: TinyFederation) -> str:
    window = {"opens": NOW - timedelta(hours=1), "closes": NOW + timedelta(days=20)}
    plan = plan_of(school_year=school_year_of(NOW.date()), census_date=NOW.date(), **window)
    plan = use_codebook(plan, parse_codebook_toml((ROOT / "examples/codebooks/addhealth.toml").read_bytes()))
    layout = build_layout(plan)
    terms = {"opens": plan.opens, "closes": plan.closes, "min_group": 5}
    round_id = federation.publish(encode_body(plan), layout.cells, noise_rows(layout), **terms)
    federation.approve(round_id)
    return round_id.hex()


def write_files(root: Path) -> list[object]:
    roster, screening = ["学籍号,姓名,年级,监护人同意"], ["学籍号,测评日期,总分,预警等级"]
    for place in range(30):
        number = f"G99000120140901{place:03d}X"
        roster.append(f"{number},欧阳甲,{'七年级' if place % 2 else '八年级'},同意")
        screening.append(f"{number},{NOW:%Y-%m-%d},1,{place % 3}")
    for name, rows in (("roster.csv", roster), ("screening.csv", screening)):
        (root / name).write_text("\r\n".join(rows), "gb18030")
    examples = ROOT / "examples"
    return [
        *("--roster", root / "roster.csv", "--screening", root / "screening.csv"),
        *(
            "--profile",
            examples / "profiles/addhealth.toml",
            "--codebook",
            examples / "codebooks/addhealth.toml",
        ),
    ]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[WindowsNode, TinyFederation, str]]:
    """A node that was set up, in a federation that has published a plan."""
    found = WindowsNode(tmp_path_factory.mktemp("windows"))
    federation = TinyFederation(kind="production")
    card = found.root / "card.txt"
    card.write_text(federation.card_text, "utf-8")
    told = ["--fingerprint", fingerprint(federation.card_text), "--id", "school-1", "--operator", "第一中学"]
    found.run("setup", card, *told, "--confinement-floor", "L0")
    request = parse_request((found.folder.root / "request.json").read_bytes())
    federation.roster_nodes = (roster_node(request),)
    federation.join()
    yield found, federation, publish(federation)
    shutil.rmtree(found.root)


def roster_node(request: Request) -> RosterNode:
    assert request.master is not None
    attributes = sorted_attributes(dict(request.attributes))
    return RosterNode(request.id, request.operator, request.key, request.master, attributes, ())


Made = tuple[WindowsNode, TinyFederation, str]
pytestmark = pytest.mark.process


def test_setup_lets_windows_keep_the_key(node: Made) -> None:
    folder = node[0].folder
    config = read_config(folder)
    assert (config.key_source, config.confinement_floor) == ("dpapi", "L0")
    assert folder.key_file.read_bytes().startswith(dpapi.MAGIC + b"U")
    assert (config.vault_uid, config.egress_uid) == (0, 0)


def test_import_preview_release_and_export(node: Made) -> None:
    """A round by stick, from the county's log to the report file; every command in a process of its own."""
    school, federation, round_id = node
    page = federation.page(0, None, NOW)
    stick = school.root / "log"
    stick.write_bytes(encode_log_file(LogFile(federation.federation, 0, page.entries, page.cosigned)))
    assert school.run("log", "import", stick)["new_entries"] == federation.ledger.size
    assert school.run("import", *write_files(school.root))["imported"] == 1
    preview = school.run("preview", round_id[:8])
    assert preview["tables"]
    assert school.run("release", round_id[:8], "--by", "王校长")["is_new"] == 1
    assert len(school.run("outbox", "export", "--out", school.root / "out")["reports"]) == 1


def test_doctor_speaks_of_windows(node: Made) -> None:
    found = node[0].run("doctor", "--offline")
    findings = {row["name"]: row for row in found["findings"]}
    assert "reaches L1 at most" in findings["kernel"]["message"]
    assert "vault L0" in findings["confinement"]["message"]
    assert findings["key"]["message"] == "kept by: dpapi"
    assert findings["permissions"]["state"] == "SKIP"
    assert "user" not in findings


def test_the_page_is_served(node: Made) -> None:
    school = node[0]
    command = school.command("console", "--port", "0", "--json")
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with subprocess.Popen(
        command, env=school.environ(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            link = json.loads(process.stdout.readline())["link"]
            with opener.open(link, timeout=30) as answer:
                page = answer.read().decode("utf-8")
            process.send_signal(signal.SIGINT)
            process.wait(30)  # it ends by itself
        finally:
            process.kill()
    assert "第一中学" in page


def test_without_a_word_of_the_school_there_is_no_l0(tmp_path: Path) -> None:
    school = WindowsNode(tmp_path)
    words = ["setup", "--federation", "county-1", "--id", "school-1", "--operator", "x"]
    assert "--confinement-floor" in school.run(*words, code=2)["usage"]
    assert not school.folder.config.exists()
    refused = school.run(*words, "--confinement-floor", "L1", "--service-account", "fedscreen-node", code=70)
    assert refused["error"] == "confinement"


def test_with_account_and_rules_a_node_reaches_l1(tmp_path: Path) -> None:
    school = WindowsNode(tmp_path)
    (tmp_path / "l1").touch()
    words = ["--federation", "county-1", "--id", "school-1", "--operator", "x", "--confinement-floor", "L1"]
    made = school.run("setup", *words, "--service-account", "fedscreen-node")
    assert made["confinement"] == "L1"
    assert school.folder.key_file.read_bytes().startswith(dpapi.MAGIC + b"M")


def test_run_keeps_both_sides_and_ends_with_ctrl_c(node: Made) -> None:
    """`node run` is a parent there, not replaced; the report goes out; SIGINT ends all three."""
    school, federation, _round_id = node
    page = federation.page(0, None, NOW)
    served = LogServer(entries=list(page.entries), latest=page.latest, cosigned=page.cosigned, page=1000)
    server, port = served.serve()
    pair = make_node(served.ca, federation.federation)
    for name, data in (("tls.key", pair.key_pem), ("tls.crt", pair.certificate_pem)):
        (school.folder.egress / name).write_bytes(data)
    (school.folder.egress / "ca.crt").write_bytes(served.ca.certificate_pem)
    config = read_config(school.folder)
    write_config(
        school.folder,
        replace(config, address=f"127.0.0.1:{port}", server_name=SERVER_NAME, poll_s=0.2),
    )
    process = subprocess.Popen(
        school.command("run"),
        env=school.environ(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        served.wait_for(lambda: served.starts, 60.0)
        running = wait_until(lambda: school.run("status")["running"], 30.0)
        assert {running["vault"]["level"], running["egress"]["level"]} == {"L0"}
        second = school.run("run", code=1)
        assert (second["error"], second["details"]["pid"]) == ("already-running", running["supervisor"])
        os.kill(running["supervisor"], signal.SIGINT)
        process.send_signal(signal.SIGINT)
        out, _err = process.communicate(timeout=30)
    finally:
        process.kill()
        server.stop(0).wait()
    assert process.returncode == 0, out
    assert "vault: running, confinement L0" in out
    assert not school.folder.running.exists()


# ---------------------------------------------------------------- the pieces, one by one


def as_nt(module: Any, monkeypatch: pytest.MonkeyPatch, **changed: Any) -> None:
    """Let one module see os.name "nt"; pathlib and the rest stay as they are."""
    monkeypatch.setattr(module, "os", Seen(os, frozenset(), {"name": "nt", **changed}))


@pytest.mark.parametrize("num_refused", [0, 1, 5])
def test_a_file_that_is_being_read_is_replaced_a_little_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, num_refused: int
) -> None:
    refusals = [PermissionError(13, "in use")] * num_refused

    def replace_file(source: Any, target: Any) -> None:
        if refusals:
            raise refusals.pop()
        os.replace(source, target)

    as_nt(config_module, monkeypatch, replace=replace_file)
    config_module.replace_file(tmp_path / "node.toml", b"new")
    assert (tmp_path / "node.toml").read_bytes() == b"new"


def test_a_file_that_stays_in_use_is_told_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_source: Any, _target: Any) -> None:
        raise PermissionError(13, "in use")

    as_nt(config_module, monkeypatch, replace=refuse)
    monkeypatch.setattr(config_module, "_WINDOWS_PAUSES_S", (0.0, 0.0))
    (tmp_path / "node.toml").write_bytes(b"old")
    with pytest.raises(PermissionError):
        config_module.replace_file(tmp_path / "node.toml", b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("node.toml", b"old")]


CHILD = "import sys; data = sys.stdin.buffer.read(); print(len(data)); sys.exit(data[0])"


def test_a_child_gets_the_key_and_its_exit_code_comes_back(capfd: pytest.CaptureFixture[str]) -> None:
    key = bytes([70]) + bytes(31)
    assert cli_run.wait_for_child([sys.executable, "-c", CHILD], key, dict(os.environ)) == 70
    assert capfd.readouterr().out == "32\n"


def test_without_a_console_a_child_prints_nowhere(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", None)  # pythonw.exe
    assert cli_run.wait_for_child([sys.executable, "-c", CHILD], bytes(32), dict(os.environ)) == 0
    monkeypatch.undo()
    assert capfd.readouterr().out == ""


def test_a_child_that_takes_no_key_is_no_error() -> None:
    closing = [sys.executable, "-c", "import os; os.close(0)"]
    assert cli_run.wait_for_child(closing, bytes(32), dict(os.environ)) == 0


def test_a_side_that_says_nothing_is_ended_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    as_nt(launch, monkeypatch)
    monkeypatch.setattr(launch, "START_TIMEOUT_S", 0.2)
    with pytest.raises(SuperviseError, match="exit code -9"):
        launch.start_side("vault", ["sleep", "60"], COMMAND_VAULT_SENDS)


@pytest.mark.parametrize(
    ("typed", "given", "expected"),
    [("L1\n", None, "L1"), ("L3\nL0\n", None, "L0"), ("", "L2", "L2")],
    ids=["L1", "L3 is not to be had", "given"],
)
def test_on_windows_the_school_says_what_it_accepts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str, given: str | None, expected: str
) -> None:
    as_nt(cli_setup, monkeypatch)
    context = Context(open_folder(tmp_path), None, as_json=False)
    with CliRunner().isolation(input=typed):
        assert cli_setup._floor(context, given) == expected
    monkeypatch.undo()
    assert cli_setup._floor(context, None) == "L3"  # elsewhere nobody is asked
