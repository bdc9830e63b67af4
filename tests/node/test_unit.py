"""The systemd unit: how exposed it leaves the service, and that a node comes up under what it allows."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from as_service import HEADER, allowed_calls, settings_of
from fakes_log_server import SERVER_NAME, LogServer
from wall_support import IS_ROOT, KEY, TESTS, make_config, make_folder, wait_until

from node.config import write_config

UNIT = TESTS.parent / "deploy" / "fedscreen-node.service"
MOST_EXPOSED = 1.2  # of 10; the network itself costs 0.8
HAS_ANALYZE = shutil.which("systemd-analyze") is not None
needs_analyze = pytest.mark.skipif(not HAS_ANALYZE, reason="no systemd-analyze on this machine")


def exposure(unit: Path, most: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", "security", "--offline=true", f"--threshold={round(most * 10)}", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )


@needs_analyze
def test_the_service_is_hardly_exposed(tmp_path: Path) -> None:
    found = exposure(UNIT, MOST_EXPOSED)
    assert found.returncode == 0, found.stdout[-300:]
    weaker = tmp_path / UNIT.name
    weaker.write_text(UNIT.read_text("utf-8").replace("CapabilityBoundingSet=\n", ""), "utf-8")
    assert exposure(weaker, MOST_EXPOSED).returncode != 0


def test_the_service_has_a_user_and_does_not_start_again_without_its_wall() -> None:
    settings = settings_of(UNIT.read_text("utf-8"))
    (user,) = settings["User"]
    assert f"u {user} " in (UNIT.parent / "fedscreen-node.sysusers").read_text("utf-8")
    assert settings["RestartPreventExitStatus"] == ["70"]
    assert settings["LimitCORE"] == ["0"]
    for name in ("NoNewPrivileges", "PrivateUsers", "MemoryDenyWriteExecute", "LockPersonality"):
        assert settings[name] == ["yes"]
    folder = "/var/lib/" + settings["StateDirectory"][0]
    assert settings["ExecStart"] == [f"/opt/fedscreen/bin/fedscreen node run --dir {folder}"]


def test_a_persons_command_gets_the_services_user_folder_and_key(tmp_path: Path) -> None:
    """With a systemd-run that only prints what it is given."""
    stub = tmp_path / "systemd-run"
    stub.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    stub.chmod(0o755)
    found = subprocess.run(
        ["/bin/sh", str(UNIT.parent / "fedscreen-node-command"), "release", "ab cd", "--by", "王 校长"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "FEDSCREEN_LANG": "en"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    words, settings = found.stdout.splitlines(), settings_of(UNIT.read_text("utf-8"))
    assert words[-6:] == ["/opt/fedscreen/bin/fedscreen", "node", "release", "ab cd", "--by", "王 校长"]
    for name in ("StateDirectory", "StateDirectoryMode", "UMask", "LimitCORE", "LoadCredentialEncrypted"):
        assert f"--property={name}={settings[name][0]}" in words
    (folder,) = settings["StateDirectory"]
    assert {"--uid=fedscreen", "--pipe", f"--setenv=FEDSCREEN_NODE_DIR=/var/lib/{folder}"} <= set(words)


@needs_analyze
def test_what_the_wall_needs_is_allowed_and_what_it_closes_may_be_closed_already() -> None:
    allowed = allowed_calls(settings_of(UNIT.read_text("utf-8"))["SystemCallFilter"])
    assert {"landlock_create_ruleset", "landlock_restrict_self", "seccomp", "prctl", "prlimit64"} <= allowed
    assert not {"mount", "bpf", "keyctl", "chown", "setuid", "reboot", "init_module", "ptrace"} & allowed


@pytest.mark.process
@needs_analyze
@pytest.mark.skipif(not IS_ROOT, reason="only root can give up what systemd would")
@pytest.mark.skipif(platform.machine() != "x86_64" or not HEADER.exists(), reason=f"no {HEADER}")
def test_a_node_comes_up_at_l3_under_what_the_unit_allows(tmp_path: Path) -> None:
    county = LogServer()
    handle, port = county.serve()
    folder = make_folder(tmp_path / "node", county)
    address = {"address": f"127.0.0.1:{port}", "server_name": SERVER_NAME}
    write_config(folder, make_config(vault_uid=0, egress_uid=0, **address))
    command = [sys.executable, "-m", "node.supervise", "--dir", str(folder.root)]
    process = subprocess.Popen(
        [sys.executable, str(TESTS / "as_service.py"), str(UNIT), "61999", "--", *command],
        cwd=TESTS.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        assert process.stdin is not None
        process.stdin.write(KEY)
        process.stdin.close()
        process.stdin = None  # for `communicate`
        county.wait_for(lambda: county.starts)
        values = wait_until(lambda: read_running(folder.running))
        assert (values["vault"]["level"], values["egress"]["level"]) == ("L3", "L3")
        assert (values["vault"]["starts"], values["egress"]["starts"]) == (1, 1)
        status = Path(f"/proc/{values['supervisor']}/status").read_text()
        assert "\nSeccomp:\t2\n" in status
        assert "\nCapBnd:\t0000000000000000\n" in status
    finally:
        process.terminate()
        output = process.communicate(timeout=30)[0]
        handle.stop(0).wait()
    assert process.returncode == 0, output


def read_running(path: Path) -> dict[str, dict[str, object]]:
    """Read running.json once both sides are in it; empty before."""
    try:
        values = dict(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError):
        return {}
    return values if values["vault"]["level"] and values["egress"]["level"] else {}
