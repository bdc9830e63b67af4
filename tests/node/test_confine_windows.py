"""L1 on Windows: what each part must prove, with a Windows that lies in every way."""

from __future__ import annotations

import ctypes
import errno
import itertools
import os
import socket
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fakes_windows import FakeWindows

from node import confine, launch
from node.confine import Confinement, encode_ready, parse_ready
from node.confine_windows import WindowsWall, lock_down
from node.errors import ConfinementError
from node.windows_calls import (
    ACCESS_DENIED,
    NOT_ENOUGH_QUOTA,
    QUOTA_EXCEEDED,
    WSAEACCES,
    WSAETIMEDOUT,
    JobLimits,
    Windows,
)

ACCOUNT = "fedscreen-node"
L1 = WindowsWall(limited=True, own_account=True, firewall=True)


@dataclass
class Machine:
    """A Windows as the self-test sees it."""

    limit_error: int = 0
    program_error: int = NOT_ENOUGH_QUOTA
    user: str = "Fedscreen-Node"
    has_rights: bool = False
    network_error: int = WSAEACCES
    odd: dict[tuple[int, str, int], int] = field(default_factory=dict)
    tried: list[tuple[int, str, int]] = field(default_factory=list)

    def limit(self) -> int:
        return self.limit_error

    def start_program(self) -> int:
        return self.program_error

    def account(self) -> str:
        return self.user

    def is_administrator(self) -> bool:
        return self.has_rights

    def connect(self, kind: int, address: str, port: int) -> int:
        self.tried.append((kind, address, port))
        return self.odd.get((kind, address, port), self.network_error)


def test_all_parts_together_are_l1() -> None:
    machine = Machine()
    assert lock_down(machine, ACCOUNT) == L1
    assert {kind for kind, _address, _port in machine.tried} == {socket.SOCK_STREAM, socket.SOCK_DGRAM}


def test_an_egress_may_reach_one_address_but_not_its_other_ports() -> None:
    machine = Machine()
    assert lock_down(machine, ACCOUNT, "10.1.2.3").firewall
    assert (socket.SOCK_STREAM, "10.1.2.3", 9) in machine.tried
    machine.odd[(socket.SOCK_STREAM, "10.1.2.3", 9)] = 10061
    assert not lock_down(machine, ACCOUNT, "10.1.2.3").firewall


@pytest.mark.parametrize(
    "found",
    [0, WSAETIMEDOUT, 10061, 10051, 10065, errno.EACCES, errno.ECONNREFUSED],
    ids=["it worked", "no answer", "refused", "no network", "no host", "errno EACCES", "errno refused"],
)
@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_only_the_firewalls_own_refusal_proves_the_firewall(kind: int, found: int) -> None:
    port = 443 if kind == socket.SOCK_STREAM else 53
    machine = Machine(odd={(kind, "192.0.2.1", port): found})
    assert lock_down(machine, ACCOUNT) == WindowsWall(limited=True, own_account=True)


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        (Machine(limit_error=5), WindowsWall(own_account=True, firewall=True)),
        (Machine(user="teacher"), WindowsWall(limited=True, firewall=True)),
        (Machine(user=""), WindowsWall(limited=True, firewall=True)),
        (Machine(has_rights=True), WindowsWall(limited=True, firewall=True)),
    ],
    ids=["no job", "the teacher's account", "no name", "an administrator"],
)
def test_what_is_missing_is_missing(machine: Machine, expected: WindowsWall) -> None:
    assert lock_down(machine, ACCOUNT) == expected
    state = Confinement(
        own_uid=expected.own_account,
        windows_job=expected.limited,
        windows_firewall=expected.firewall,
    )
    assert state.level == "L0"


def test_a_job_that_does_not_hold_ends_the_process() -> None:
    with pytest.raises(ConfinementError, match="start a program"):
        lock_down(Machine(program_error=0), ACCOUNT)


@pytest.mark.parametrize(
    ("found", "expected"),
    [(NOT_ENOUGH_QUOTA, True), (QUOTA_EXCEEDED, True), (5, False), (2, False), (1, False)],
    ids=["refused", "one too many", "denied", "not found", "an error of its own"],
)
def test_only_the_jobs_own_refusal_proves_the_job(found: int, expected: bool) -> None:
    assert lock_down(Machine(program_error=found), ACCOUNT).limited is expected


def test_without_an_account_nothing_is_tried() -> None:
    machine = Machine(program_error=0)
    assert lock_down(machine, "") == WindowsWall()
    assert machine.tried == []


def test_levels_follow_from_the_parts() -> None:
    for job, firewall, own in itertools.product((False, True), repeat=3):
        state = Confinement(windows_job=job, windows_firewall=firewall, own_uid=own)
        assert state.level == ("L1" if job and firewall and own else "L0")
        assert parse_ready(encode_ready(state)) == state


@pytest.mark.parametrize(("floor", "refused"), [("L0", False), ("L1", False), ("L2", True), ("L3", True)])
def test_the_floor_decides(monkeypatch: pytest.MonkeyPatch, floor: str, refused: bool) -> None:
    monkeypatch.setattr(confine, "find_windows", Machine)
    if refused:
        monkeypatch.setattr(os, "name", "nt")
        with pytest.raises(ConfinementError, match=r"docs/windows\.md"):
            confine._confine_elsewhere(ACCOUNT, floor)
    else:
        assert confine._confine_elsewhere(ACCOUNT, floor).level == "L1"


def test_the_egress_tries_other_ports_of_the_one_address(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine()
    monkeypatch.setattr(confine, "find_windows", lambda: machine)
    monkeypatch.setattr(confine.sys, "platform", "win32")
    confine.confine_egress(Path("unused"), None, "L1", 50080, account=ACCOUNT, address="10.1.2.3")
    assert (socket.SOCK_STREAM, "10.1.2.3", 9) in machine.tried
    machine.tried.clear()
    confine.confine_vault(Path("unused"), None, "L1", ACCOUNT)
    assert machine.tried
    assert {address for _kind, address, _port in machine.tried} == {"192.0.2.1"}


def test_a_system_without_a_wall_is_l0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confine, "find_windows", lambda: None)
    assert confine._confine_elsewhere(ACCOUNT, "L0") == Confinement()
    with pytest.raises(ConfinementError):
        confine._confine_elsewhere(ACCOUNT, "L1")


# ---------------------------------------------------------------- the calls themselves


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeWindows:
    found = FakeWindows(user=ACCOUNT)
    monkeypatch.setattr(ctypes, "get_last_error", found.last_error, raising=False)
    return found


def test_the_job_allows_one_process_and_no_clipboard(fake: FakeWindows) -> None:
    assert Windows(fake.load).limit() == 0
    assert fake.limits == [(9, (0x408, 1)), (4, 0xFF)]
    assert fake.has_joined


def test_structures_are_those_of_64_bit_windows() -> None:
    assert ctypes.sizeof(JobLimits) == 144
    assert JobLimits.basic.offset == 0
    assert JobLimits.memory.offset == 112


@pytest.mark.parametrize("call", ["CreateJobObjectW", "SetInformationJobObject", "AssignProcessToJobObject"])
def test_a_job_that_windows_refuses_is_no_limit(fake: FakeWindows, call: str) -> None:
    fake.refuses.add(call)
    assert Windows(fake.load).limit() == ACCESS_DENIED
    assert lock_down(Windows(fake.load), "another").limited is False


def test_account_and_rights_are_windows_own(fake: FakeWindows) -> None:
    assert Windows(fake.load).account() == ACCOUNT
    assert not Windows(fake.load).is_administrator()
    fake.refuses.add("GetUserNameW")
    fake.is_administrator = True
    assert Windows(fake.load).account() == ""
    assert Windows(fake.load).is_administrator()


def test_a_process_is_looked_at_and_never_signalled(
    fake: FakeWindows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """os.kill(pid, 0) would be Ctrl-C there."""
    fake.alive, fake.foreign = {10}, {20}
    monkeypatch.setattr(launch, "find_windows", lambda: Windows(fake.load))
    monkeypatch.setattr(os, "kill", lambda *_words: pytest.fail("a signal was sent"))
    assert [launch.is_process_running(pid) for pid in (10, 20, 30)] == [True, True, False]


def test_a_program_that_starts_is_noticed(fake: FakeWindows) -> None:
    assert Windows(fake.load).start_program() == 0


def test_connections_are_really_tried(fake: FakeWindows) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert Windows(fake.load).connect(socket.SOCK_STREAM, "127.0.0.1", port) == 0
        assert Windows(fake.load).connect(socket.SOCK_DGRAM, "127.0.0.1", port) == 0
    assert Windows(fake.load).connect(socket.SOCK_STREAM, "127.0.0.1", port) == errno.ECONNREFUSED


@pytest.mark.parametrize(
    ("drive", "kind", "expected"),
    [("C:", 3, False), ("H:", 4, True), ("\\\\server\\share", 0, True), ("", 0, False)],
    ids=["disk", "mapped", "share", "none"],
)
def test_network_drives_are_known(
    fake: FakeWindows, monkeypatch: pytest.MonkeyPatch, drive: str, kind: int, expected: bool
) -> None:
    fake.drives = {drive + "\\": kind}
    monkeypatch.setattr("node.windows_calls.os.path.splitdrive", lambda _path: (drive, "\\node"))
    assert Windows(fake.load).is_network_drive(Path("node")) is expected


def test_a_side_has_a_program_of_its_own_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fedscreen-vault.exe").touch()
    monkeypatch.setattr("sys.executable", str(tmp_path / "python.exe"))
    assert launch.side_program("vault") == [str(tmp_path / "python.exe")]  # only on Windows
    monkeypatch.setattr(launch.os, "name", "nt")
    monkeypatch.setattr(launch, "Path", type(tmp_path))
    assert launch.side_program("vault") == [str(tmp_path / "fedscreen-vault.exe"), "-X", "utf8"]
    assert launch.side_program("egress") == [str(tmp_path / "python.exe"), "-X", "utf8"]
