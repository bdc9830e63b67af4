"""`audit selftest` passes on an honest node, and fails where a side leaks, is silent, or has no wall."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fakes_federation import fake_bytes
from leaky_sides import leaking_supervisor

from node import audit_selftest
from node.audit_canaries import Canary, make_canaries
from node.audit_selftest import CHECKS, run_selftest
from node.audit_spellings import of_code, of_text
from node.cli import node as node_group

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def canaries() -> tuple[Canary, ...]:
    """Planted pupils that the leaking sides know."""
    count = iter(range(10**6))
    return make_canaries(lambda size: fake_bytes(f"canary {next(count)}", size))


def results(values: dict[str, Any]) -> dict[str, str]:
    assert [check["number"] for check in values["checks"]] == list(range(1, len(CHECKS) + 1))
    assert [check["name"] for check in values["checks"]] == list(CHECKS)
    return {check["name"]: check["result"] for check in values["checks"]}


def test_an_honest_node_passes_and_no_real_node_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where the environment names one: the trial has no option and reads no variable for it."""
    real = tmp_path / "real"
    real.mkdir()
    (real / "node.toml").write_text("this would be refused by any command that reads it")
    monkeypatch.setenv("FEDSCREEN_NODE_DIR", str(real))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    found = CliRunner().invoke(node_group, ["audit", "selftest", "--json"], catch_exceptions=False)
    values = json.loads(found.stdout)
    assert set(results(values).values()) == {"PASS"}, values
    assert (found.exit_code, values["outcome"], values["confinement"]) == (0, "PASS", "L3")
    assert list(scratch.iterdir()) == []
    assert [path.name for path in real.iterdir()] == ["node.toml"]


def leak_of(canary: Canary) -> bytes:
    """What a leaking side sends: a name, and a number backwards; short enough for a report of this plan."""
    spellings = {**of_text(canary.name), **of_code(canary.student_no)}
    chosen = [
        raw
        for name, raw in spellings.items()
        if name.endswith(("utf-8", "gb18030 base64 +1", "backwards utf-8"))
    ]
    return b"\xff".join(chosen)


@pytest.mark.parametrize(
    ("side", "failing"),
    [("vault", {"sent", "pipe", "wire", "identifiers"}), ("egress", {"wire", "identifiers"})],
)
def test_a_side_that_leaks_fails(canaries: tuple[Canary, ...], side: str, failing: set[str]) -> None:
    leak = leak_of(canaries[3])
    values = run_selftest(
        canaries=canaries, supervise=lambda _folder: leaking_supervisor(side, leak), wait_s=20
    )
    found = results(values)
    assert values["outcome"] == "FAIL"
    assert {name for name, result in found.items() if result == "FAIL"} - {"files"} == failing
    assert found["files"] == {"vault": "FAIL", "egress": "PASS"}[side]  # the recording of the pipe is a file


@pytest.mark.parametrize("number", range(6))
def test_a_single_short_leak_in_any_writing_is_enough(canaries: tuple[Canary, ...], number: int) -> None:
    """The check itself, without processes: one spelling of one value in one place."""
    canary = canaries[number]
    spellings = {**of_text(canary.name), **of_code(canary.phone), **of_code(canary.local_no)}
    search = audit_selftest.Search(audit_selftest.canary_patterns(canaries, []))
    for raw in spellings.values():
        assert search.find(b"\x01" + raw + b"\x02")


def test_a_node_that_sends_nothing_does_not_pass(canaries: tuple[Canary, ...]) -> None:
    """Where nothing was seen nothing was proved."""
    values = run_selftest(canaries=canaries, supervise=lambda _folder: ["/bin/cat", "/dev/null"], wait_s=0.3)
    found = results(values)
    assert values["outcome"] == "FAIL"
    assert {"wall", "sent", "pipe", "wire"} <= {name for name, result in found.items() if result == "FAIL"}
    assert found["crash"] == "SKIP"


def test_a_wall_below_the_floor_fails(canaries: tuple[Canary, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    def lower(trial: audit_selftest._Trial, *_arguments: object) -> None:
        trial.levels |= {"vault": "L1", "egress": "L3"}

    monkeypatch.setattr(audit_selftest, "_run", lower)
    monkeypatch.setattr(audit_selftest, "_feed_garbage", lambda _trial: None)
    assert results(run_selftest("L2", canaries=canaries))["wall"] == "FAIL"


def test_planted_pupils_are_other_ones_every_time() -> None:
    import secrets

    first, second = make_canaries(secrets.token_bytes), make_canaries(secrets.token_bytes)
    assert not {row.student_no for row in first} & {row.student_no for row in second}
    assert len({row.student_no for row in first}) == len(first)
