"""The wall, tried from inside: real processes that lock themselves down and then try to get out."""

from __future__ import annotations

import errno
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from node import confine, landlock, seccomp, selftest
from node.confine import Confinement
from node.errors import ConfinementError

TESTS = Path(__file__).resolve().parents[1]
IS_ROOT = os.geteuid() == 0
VAULT_UID, EGRESS_UID = (61901, 61902) if IS_ROOT else (0, 0)
FREE_UID = 61903

linux_only = pytest.mark.skipif(
    not seccomp.is_supported() or landlock.supported_abi() < 4, reason="needs seccomp and Landlock ABI 4"
)


def node_folder(tmp_path: Path) -> Path:
    """A node's directory with both sides' folders, below pytest's folders of mode 0700."""
    for side in ("vault", "egress"):
        (tmp_path / side).mkdir(mode=0o700)
        (tmp_path / side / "secret").write_text("secret")
        (tmp_path / side / "secret").chmod(0o644)
    (tmp_path / "vault" / "keep").write_text("keep")
    (tmp_path / "vault" / "symlink").symlink_to(tmp_path / "egress" / "secret")
    return tmp_path


def start(
    side: str, root: Path, port: int, uid: int | None = None, **options: Any
) -> subprocess.Popen[bytes]:
    uid = uid if uid is not None else VAULT_UID if side == "vault" else EGRESS_UID
    arguments = [side, str(root / side), str(uid), str(port), str(os.getpid())]
    return subprocess.Popen(
        [sys.executable, str(TESTS / "wall_attempts.py"), *arguments],
        env={"PYTHONPATH": str(TESTS.parent), "PYTHONUTF8": "1"},
        **{"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
    )


@pytest.fixture(scope="module")
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


USERS = ("root", "user") if IS_ROOT else ("user",)
SIDES = [pytest.param((side, user), id=f"{side}-{user}") for side in ("vault", "egress") for user in USERS]


def folder_of(user: str, root: Path) -> Path:
    """A node's directory that belongs to whom the process starts as."""
    found = node_folder(root)
    if IS_ROOT and user == "user":
        for path in (found, *found.rglob("*")):
            os.chown(path, FREE_UID, FREE_UID, follow_symlinks=False)
    return found


@pytest.fixture(scope="module", params=SIDES)
def side(
    request: pytest.FixtureRequest, listener: socket.socket
) -> Iterator[tuple[str, dict[str, Any], str, str]]:
    """One locked-down process: its name, what it reported, its /proc status while it still ran, its user."""
    name, user = request.param
    with tempfile.TemporaryDirectory(prefix="fedscreen-wall-") as made:
        root = folder_of(user, Path(made))
        uid = -FREE_UID if IS_ROOT and user == "user" else None
        with start(name, root, listener.getsockname()[1], uid) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdin is not None
            line = process.stdout.readline()
            assert line, process.stderr.read()
            report = json.loads(line)
            report["links"] = [os.readlink(f"/proc/{process.pid}/fd/{fd}") for fd in (0, 1, 2)]
            report["descriptors"] = sorted(int(name) for name in os.listdir(f"/proc/{process.pid}/fd"))
            status = Path(f"/proc/{process.pid}/status").read_text()
            process.stdin.close()
            assert process.wait(10) == 0
        yield name, report, status, user


EPERM, EACCES = ("EPERM",), ("EACCES",)
NO_FILE = ("EACCES", "EPERM", "ENOENT")
BLOCKED = {
    "udp": EPERM,
    "udp6": EPERM,
    "icmp": EPERM,
    "mptcp": EPERM,
    "unix socket": EPERM,
    "unix datagram": EPERM,
    "socketpair": EPERM,
    "netlink": EPERM,
    "packet": EPERM,
    "vsock": EPERM,
    "bluetooth": EPERM,
    "af_alg": EPERM,
    "io_uring": EPERM,
    "listen": EPERM,
    "bind": EPERM,
    "exec": EPERM,
    "execve": EPERM,
    "fork": EPERM,
    "ptrace": EPERM,
    "read memory of another": EPERM,
    "steal a descriptor": EPERM,
    "signal another": EPERM,
    "shared memory": EPERM,
    "message queue": EPERM,
    "memfd": EPERM,
    "mount": EPERM,
    "new namespace": EPERM,
    "chroot": EPERM,
    "bpf": EPERM,
    "keyring": EPERM,
    "read /etc/hostname": EACCES,
    "list /": EACCES,
    "read the parent folder": EACCES,
    "read the sibling's file": EACCES,
    "read the sibling through /proc": EACCES,
    "look into another's files": EACCES,
    "read own memory file": EACCES,
    "write /tmp": EACCES,
    "write /dev/shm": EACCES,
    "write the parent folder": EACCES,
    "read the terminal": (*EACCES, "ENXIO"),
    "tcp connect elsewhere": (*EPERM, *EACCES),
    "tcp fast open": EPERM,
}
BLOCKED_IN_VAULT = {
    "tcp connect": EPERM,
    "tcp6 socket": EPERM,
    "thread": ("RuntimeError",),
    "link the sibling's file in": (*NO_FILE, "EXDEV"),
    "read a symlink to the sibling": NO_FILE,
    "move a file out": (*NO_FILE, "EXDEV"),
    "make a pipe file": NO_FILE,
    "make a folder": NO_FILE,
    "make a symlink": NO_FILE,
}


@linux_only
@pytest.mark.process
@pytest.mark.parametrize("name", BLOCKED)
def test_neither_side_gets_out(side: tuple[str, dict[str, Any], str, str], name: str) -> None:
    assert side[1]["found"][name] in BLOCKED[name]


@linux_only
@pytest.mark.process
@pytest.mark.parametrize("name", BLOCKED_IN_VAULT)
def test_vault_has_no_network_and_no_other_file(
    side: tuple[str, dict[str, Any], str, str], name: str
) -> None:
    if side[0] == "vault":
        assert side[1]["found"][name] in BLOCKED_IN_VAULT[name]


@linux_only
@pytest.mark.process
def test_what_must_work_works(side: tuple[str, dict[str, Any], str, str]) -> None:
    name, report, _status, _user = side
    found = report["found"]
    if name == "vault":
        assert {key: value for key, value in found.items() if key.startswith("works")} == {
            "works: database in WAL mode": "ok",
            "works: random bytes": "ok",
            "works: pipes": "ok",
            "works: own file": "ok",
        }
        assert found["own folder's listing"] == "ok"
    else:
        assert found["tcp connect"] == "ok"
        assert found["thread"] == "ok"
        assert found["own folder's listing"] == "EACCES"


@linux_only
@pytest.mark.process
def test_kernel_says_the_same(side: tuple[str, dict[str, Any], str, str]) -> None:
    name, report, status, user = side
    values = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert report["level"] == "L3"
    assert report["process"]["dumpable"] == 0
    assert report["process"]["death_signal"] == 9
    assert report["process"]["core"] == [0, 0]
    assert report["process"]["descriptors"] <= 256
    assert values["Seccomp"] == "2"
    assert values["NoNewPrivs"] == "1"
    assert int(values["CapEff"], 16) == 0
    assert all(link.startswith("pipe:") for link in report["links"])
    if IS_ROOT:
        uid = str(FREE_UID if user == "user" else VAULT_UID if name == "vault" else EGRESS_UID)
        assert values["Uid"].split() == [uid] * 4
        assert values["Gid"].split() == [uid] * 4
        assert values["Groups"].split() == []
        assert values["TracerPid"] == "0"


def ended(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    _out, err = process.communicate(timeout=20)
    return process.returncode, err.decode()


@linux_only
@pytest.mark.process
@pytest.mark.parametrize("kind", ["vault", "egress"])
def test_socket_that_was_open_before_is_refused(kind: str, tmp_path: Path, listener: socket.socket) -> None:
    with socket.create_connection(listener.getsockname()) as already_open:
        already_open.set_inheritable(True)
        number = already_open.fileno()
        code, err = ended(start(kind, node_folder(tmp_path), 9999, pass_fds=[number]))
    assert code == 70
    assert f"descriptor {number} is open" in err


@linux_only
@pytest.mark.process
def test_socket_as_stdin_is_refused(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        code, err = ended(start("vault", node_folder(tmp_path), 9999, stdin=theirs))
    assert code == 70
    assert "descriptor 0" in err


@linux_only
@pytest.mark.process
def test_file_as_stdout_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        code, err = ended(start("vault", node_folder(tmp_path), 9999, stdout=log))
    assert code == 70
    assert "descriptor 1" in err


@linux_only
@pytest.mark.process
@pytest.mark.skipif(not IS_ROOT, reason="only root starts without a user")
def test_root_without_a_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "VAULT_UID", 0)
    code, err = ended(start("vault", node_folder(tmp_path), 9999))
    assert code == 70
    assert "started as root" in err


SABOTAGE = """
import sys
from pathlib import Path
from node import confine, seccomp, landlock, selftest
from node.errors import ConfinementError
{patch}
try:
    confine.confine_vault(Path(sys.argv[1]), int(sys.argv[2]) or None, sys.argv[3])
except ConfinementError as err:
    print(str(err).encode("ascii", "replace").decode())
    raise SystemExit(70)
"""
BROKEN = {
    "seccomp does nothing": (
        "confine.install = lambda policy: None",
        "L3",
        "gave EINVAL, expected EPERM|success",
    ),
    "one call forgotten": (
        "p = confine.VAULT_POLICY\n"
        "confine.VAULT_POLICY = seccomp.FilterPolicy(tuple(n for n in p.denied if n != 'ptrace'))",
        "L3",
        "'ptrace'",
    ),
    "socket forgotten": (
        "p = confine.VAULT_POLICY\n"
        "confine.VAULT_POLICY = seccomp.FilterPolicy(tuple(n for n in p.denied if n != 'socket'))",
        "L3",
        "'socket ",
    ),
    "Landlock does nothing": (
        "confine.restrict = lambda *rest: landlock.LandlockState(7, True, True, True)",
        "L3",
        "success, expected EACCES",
    ),
    "Landlock allows the root": (
        "real = confine.restrict\n"
        "confine.restrict = lambda folders, *rest: real([*folders, Path('/')], *rest)",
        "L3",
        "success, expected EACCES",
    ),
    "Landlock is missing": ("confine.supported_abi = lambda: 0", "L3", "floor is L3"),
    "seccomp is missing": ("confine.is_supported = lambda: False", "L3", "floor is L3"),
    "nothing to try": (
        "selftest.file_probes.__globals__['_errno_of'] = lambda action: 2",
        "L3",
        "no file can be",
    ),
    "a thread runs": (
        "import threading, time\nthreading.Thread(target=time.sleep, args=(5,), daemon=True).start()",
        "L3",
        "2 threads",
    ),
}


@linux_only
@pytest.mark.process
@pytest.mark.parametrize("name", BROKEN)
def test_broken_wall_is_noticed(name: str, tmp_path: Path) -> None:
    patch, floor, expected = BROKEN[name]
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", SABOTAGE.format(patch=patch)),
            *(str(node_folder(tmp_path) / "vault"), str(VAULT_UID), floor),
        ],
        env={"PYTHONPATH": str(TESTS.parent)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = process.communicate(timeout=20)
    assert process.returncode == 70, err
    assert any(part in out.decode() for part in expected.split("|"))


@linux_only
@pytest.mark.process
@pytest.mark.skipif(not IS_ROOT, reason="only root becomes another user")
@pytest.mark.parametrize("mode", [0o700, 0o755])
def test_vault_reaches_its_folder_below_a_closed_one(tmp_path: Path, mode: int) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    root = node_folder(closed)
    closed.chmod(mode)
    with start("vault", root, 9999) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        report = json.loads(process.stdout.readline())
        process.stdin.close()
    assert report["found"]["works: database in WAL mode"] == "ok"
    assert (root / "vault" / "plain.db").stat().st_uid == VAULT_UID
    assert (root / "vault").stat().st_mode & 0o777 == 0o700
    assert not report["place"].startswith(str(tmp_path))


@linux_only
@pytest.mark.process
@pytest.mark.skipif(not IS_ROOT, reason="only root becomes another user")
def test_closed_folder_is_named_where_mounting_is_refused(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    root = node_folder(closed)
    closed.chmod(0o700)
    tmp_path.chmod(0o755)
    script = SABOTAGE.format(patch="confine._mount_alone = lambda folder: None")
    found = subprocess.run(
        [sys.executable, "-c", script, str(root / "vault"), str(VAULT_UID), "L3"],
        env={"PYTHONPATH": str(TESTS.parent)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=20,
    )
    assert found.returncode == 70
    assert "cannot reach" in found.stdout.decode()
    assert "chmod o+x" in found.stdout.decode()


@linux_only
@pytest.mark.process
@pytest.mark.skipif(not IS_ROOT, reason="only root gives files away")
def test_links_in_the_vault_folder_are_not_followed_when_it_changes_hands(tmp_path: Path) -> None:
    root = node_folder(tmp_path)
    outside = tmp_path / "outside"
    outside.write_text("x")
    (root / "vault" / "to-outside").symlink_to(outside)
    os.link(outside, root / "vault" / "hard")
    with start("vault", root, 9999) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline()
        process.stdin.close()
    assert outside.stat().st_uid == 0


# ---------------------------------------------------------------- without processes

FULL = Confinement(
    seccomp=True,
    landlock_abi=7,
    landlock_files=True,
    landlock_network=True,
    network_namespace=False,
    own_uid=True,
    was_root=True,
)


@pytest.mark.parametrize(
    ("state", "level"),
    [
        (FULL, "L3"),
        (replace(FULL, own_uid=False, was_root=False), "L3"),
        (replace(FULL, landlock_network=False, network_namespace=True), "L3"),
        (replace(FULL, landlock_network=False), "L2"),
        (replace(FULL, landlock_files=False), "L2"),
        (replace(FULL, landlock_network=False, own_uid=False, was_root=False), "L1"),
        (replace(FULL, own_uid=False), "L1"),
        (replace(FULL, seccomp=False), "L0"),
        (Confinement(), "L0"),
    ],
)
def test_level_follows_from_the_parts(state: Confinement, level: str) -> None:
    assert state.level == level
    assert confine.parse_ready(confine.encode_ready(state)) == state


@pytest.mark.parametrize("position", range(16))
def test_altered_ready_is_refused(position: int) -> None:
    payload = bytearray(confine.encode_ready(FULL))
    payload[position] ^= 0x80
    if position == 2:
        assert confine.parse_ready(bytes(payload)).landlock_abi == 7 + 128
        return
    if position == 3:  # another part is claimed, and the level does not follow from it
        assert confine.parse_ready(bytes(payload)) == replace(FULL, windows_firewall=True)
        return
    with pytest.raises(ConfinementError):
        confine.parse_ready(bytes(payload))


def test_ready_that_claims_too_much_is_refused() -> None:
    payload = b"L3" + confine.encode_ready(Confinement(seccomp=True))[2:]
    with pytest.raises(ConfinementError, match="contradicts"):
        confine.parse_ready(payload)


@pytest.mark.parametrize(("level", "floor"), [("L2", "L3"), ("L0", "L1"), ("L1", "L2")])
def test_level_below_the_floor_is_refused(level: str, floor: str) -> None:
    with pytest.raises(ConfinementError, match="floor"):
        confine.verify_floor(level, floor)
    confine.verify_floor(floor, level)


def run_filter(program: bytes, machine: str, number: int, arguments: tuple[int, ...] = ()) -> int:
    """A BPF machine of our own: what the filter returns for one system call."""
    words = [number & 0xFFFFFFFF, {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}[machine], 0, 0]
    for argument in (*arguments, *[0] * (6 - len(arguments))):
        words += [argument & 0xFFFFFFFF, argument >> 32 & 0xFFFFFFFF]
    steps = [program[at : at + 8] for at in range(0, len(program), 8)]
    position, register = 0, 0
    while True:
        code, yes, no, value = seccomp.struct.unpack("=HBBI", steps[position])
        position += 1
        if code == 0x20:
            register = words[value // 4]
        elif code == 0x54:
            register &= value
        elif code == 0x15:
            position += yes if register == value else no
        elif code == 0x35:
            position += yes if register >= value else no
        else:
            return int(value)


ALLOW, DENY, GONE, KILL = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("policy", [confine.VAULT_POLICY, confine.EGRESS_POLICY], ids=["vault", "egress"])
def test_filter_denies_exactly_the_named_calls(policy: seccomp.FilterPolicy, machine: str) -> None:
    program = seccomp.build_program(policy, machine)
    denied = {seccomp.call_number(name, machine) for name in policy.denied} - {None}
    special = {seccomp.call_number(name, machine) for name, _checks in policy.conditional}
    absent = {seccomp.call_number(name, machine) for name in policy.absent}
    for number in set(range(500)) - special:
        expected = DENY if number in denied else GONE if number in absent else ALLOW
        assert run_filter(program, machine, number) == expected, number


CONDITIONS: list[tuple[str, tuple[int, ...], int]] = [
    ("socket", (2, 1, 0), ALLOW),
    ("socket", (10, 1 | 0o2004000, 6), ALLOW),
    ("socket", (2, 2, 0), DENY),
    ("socket", (2, 1, 262), DENY),
    ("socket", (2, 1 | 0o2004000, 262), DENY),
    ("socket", (2, 3, 6), DENY),
    ("socket", (1, 1, 0), DENY),
    ("socket", (16, 3, 0), DENY),
    ("socket", (40, 1, 0), DENY),
    ("socket", (2 + (1 << 32), 1, 0), ALLOW),  # the kernel reads the low word only
    ("sendto", (3, 4096, 5, 0, 0, 0), ALLOW),
    ("sendto", (3, 4096, 5, 0x4000, 0, 0), ALLOW),
    ("sendto", (3, 4096, 5, 0, 4096, 16), DENY),
    ("sendto", (3, 4096, 5, 0, 1 << 32, 16), DENY),
    ("sendto", (3, 4096, 5, 0x20000000, 0, 0), DENY),
    ("sendmsg", (3, 4096, 0x4000), ALLOW),
    ("sendmsg", (3, 4096, 0x20004000), DENY),
    ("clone", (0x3D0F00, 4096), ALLOW),
    ("clone", (17, 0), DENY),
    ("clone", (0x4111, 0), DENY),
]


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize(("name", "arguments", "expected"), CONDITIONS)
def test_egress_filter_looks_at_arguments(
    name: str, arguments: tuple[int, ...], expected: int, machine: str
) -> None:
    number = seccomp.call_number(name, machine)
    assert number is not None
    program = seccomp.build_program(confine.EGRESS_POLICY, machine)
    assert run_filter(program, machine, number, arguments) == expected


def test_second_numbering_and_other_machines_are_killed() -> None:
    program = seccomp.build_program(confine.VAULT_POLICY, "x86_64")
    assert run_filter(program, "x86_64", 0x40000000 + 41) == KILL
    assert run_filter(program, "aarch64", 198) == KILL


def test_no_filter_for_an_unknown_machine() -> None:
    with pytest.raises(ConfinementError, match="s390x"):
        seccomp.build_program(confine.VAULT_POLICY, "s390x")


def test_probes_ask_for_what_the_policies_deny() -> None:
    names = set(confine.VAULT_POLICY.denied)
    for probe in selftest.VAULT_PROBES:
        assert probe.name.split()[0] in names


@pytest.mark.parametrize("found", [0, errno.EINVAL, errno.ENOSYS, errno.EACCES])
def test_self_test_takes_only_the_walls_own_errno(found: int) -> None:
    probe = selftest.Probe("something", lambda: found)
    with pytest.raises(ConfinementError, match="something"):
        selftest.verify_all_refused([probe])
    selftest.verify_all_refused([selftest.Probe("something", lambda: errno.EPERM)])


def test_self_test_needs_something_to_try() -> None:
    with pytest.raises(ConfinementError, match="no file"):
        selftest.reachable([selftest.Probe("never", lambda: errno.ENOENT)])


def test_another_system_has_no_wall(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(ConfinementError, match="floor is L3"):
        confine.confine_vault(tmp_path, None, "L3")
    assert confine.confine_vault(tmp_path, None, "L0") == (Confinement(), tmp_path)
    assert confine.confine_egress(tmp_path, None, "L0", 1) == Confinement()
    assert not seccomp.is_supported()
    assert landlock.supported_abi() == 0


WINDOWS = """
import os, signal, socket, subprocess, sys, select
import click, cryptography.x509, grpc, nacl.pwhash, numpy, python_calamine, sqlcipher3  # theirs to port
from nacl import signing
for name in ("resource", "pwd", "grp", "fcntl", "termios"):
    sys.modules[name] = None
for name in ("geteuid", "getuid", "setresuid", "setresgid", "setgroups", "fork", "mkfifo"):
    delattr(os, name)
for name in ("O_DIRECTORY", "O_NOFOLLOW", "O_CLOEXEC", "O_PATH", "O_TMPFILE"):
    delattr(os, name)
del signal.SIGKILL
sys.platform = "win32"
import node.cli_text, node.config, node.confine, node.egress.worker, node.frames, node.launch, node.session
import node.supervise, node.unwrap, node.vault.worker
from node import confine
confine.find_windows = lambda: None  # its calls are tried in test_confine_windows.py
try:
    confine.confine_vault(None, None, "L1")
except confine.ConfinementError as err:
    print(err.code, confine.confine_egress(None, None, "L0", 1).level)
"""


@pytest.mark.process
def test_everything_but_the_wall_loads_on_another_system() -> None:
    found = subprocess.run(
        [sys.executable, "-c", WINDOWS],
        env={"PYTHONPATH": str(TESTS.parent)},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert found.stderr.decode() == ""
    assert found.stdout.decode() == "confinement L0\n"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="reads this machine's headers")
def test_call_numbers_agree_with_the_kernel_headers() -> None:
    header = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
    if not header.exists():
        pytest.skip("no kernel headers")
    words = [line.split() for line in header.read_text().splitlines() if line.startswith("#define __NR_")]
    known = {row[1].removeprefix("__NR_"): int(row[2]) for row in words if len(row) == 3}
    for name in (*confine.VAULT_POLICY.denied, *confine.EGRESS_POLICY.denied):
        if name in known:
            assert seccomp.call_number(name, "x86_64") == known[name]
