"""P7: anyone can check a whole round offline, with keys of his own choosing, and with a program of his own.

A bundle is verified without a network by the product and by `tools/verify_standalone.py`, which shares no
code with it. Keys that come with the bundle prove nothing. All kinds of tampering: `tests/bundle_zoo/`.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes_county import CountySimulator

from auditor.bundle_write import write_bundle
from auditor.policy import parse_auditor_policy
from auditor.verify.run import verify_bundle

STANDALONE = Path(__file__).resolve().parents[2] / "tools" / "verify_standalone.py"


@pytest.fixture(scope="module")
def bundle(
    stages: Callable[[str], CountySimulator], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    """An auditor's bundle of a released round, and the policy."""
    from county_stages import copy_of

    root = tmp_path_factory.mktemp("p07")
    county = copy_of(stages("released"), root / "county")
    auditor = county.auditors["a1"]
    auditor.step()
    write_bundle(auditor.context, root / "bundle")
    county.close()
    return root / "bundle", county.policy_text


def no_network(*_arguments: object) -> None:
    raise AssertionError("a verifier asked the network")


def test_a_round_is_verified_without_any_network(
    bundle: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    folder, policy = bundle
    assert verify_bundle(folder, parse_auditor_policy(policy)).exit_code == 0


def test_without_keys_of_ones_own_it_is_never_a_pass(bundle: tuple[Path, str]) -> None:
    assert verify_bundle(bundle[0], None).exit_code == 2


def test_another_program_on_the_bare_standard_library_says_the_same(
    bundle: tuple[Path, str], tmp_path: Path
) -> None:
    folder, policy = bundle
    (tmp_path / "policy.txt").write_text(policy)
    command = [sys.executable, "-I", "-S", str(STANDALONE), str(folder)]
    command += ["--policy", str(tmp_path / "policy.txt"), "--without-estimates", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    theirs = {check["name"]: check["outcome"] for check in json.loads(done.stdout)["checks"]}
    ours = verify_bundle(folder, parse_auditor_policy(policy))
    assert theirs == {check.name: check.outcome.value for check in ours.checks}
