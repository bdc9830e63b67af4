"""`audit selftest` passes on an honest node, and fails where a side leaks, is silent, or has no wall."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from fakes_desk import report
from fakes_federation import fake_bytes
from leaky_sides import leaking_supervisor

from node import audit_selftest
from node.audit_canaries import Canary, make_canaries
from node.audit_selftest import CHECKS, run_selftest
from node.audit_spellings import of_code, of_text
from node.cli import node as node_group
from node.frames import Kind

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def canaries() -> tuple[Canary, ...]:
    """Planted pupils that the leaking sides know."""
    count = iter(range(10**6))
    return make_canaries(lambda size: fake_bytes(f"canary {next(count)}", size), 6)


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
    assert found["crash"] == "SKIPPED"


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


# ---------------------------------------------------------------- each check alone

PLACES = ("wire", "message GetLog", "metadata of GetLog", "carried report", "carried log", "carried receipt")
OUTPUT = ("standard output", "standard error", "running.json", "after a crash")
Spoil = Callable[[audit_selftest._Trial, bytes], None]


@pytest.fixture
def trial(canaries: tuple[Canary, ...], tmp_path: Path) -> audit_selftest._Trial:
    """What a self-test of an honest node gathers, without the processes."""
    for name in ("vault.db", "node.toml"):
        (tmp_path / "node").mkdir(exist_ok=True)
        (tmp_path / "node" / name).write_bytes(b"sealed")
    (tmp_path / "from-vault.frames").write_bytes(b"frames")
    node: Any = SimpleNamespace(folder=SimpleNamespace(root=tmp_path / "node"))
    payload, num = report(), len(canaries)
    made = audit_selftest._Trial(node, canaries, {}, imported=num, counted=num, payload=payload)
    made.levels |= {"command": "L3", "vault": "L3", "egress": "L3"}
    made.frames, made.reports = [(int(Kind.REPORT), payload)] * 2, [payload]
    made.restarted, made.core_limits = True, ["0", "0"]
    for place in (*PLACES, *OUTPUT):
        made.evidence.keep(place, f"{place}: nothing of anybody".encode())
    return made


def outcomes(trial: audit_selftest._Trial) -> set[str]:
    return {check.name for check in audit_selftest._check(trial, "L3").checks if check.result != "PASS"}


def test_an_honest_trial_passes_every_check(trial: audit_selftest._Trial) -> None:
    assert outcomes(trial) == set()


def at(place: str) -> Spoil:
    return lambda trial, leak: trial.evidence.keep(place, b"x" + leak + b"x")


def cut_in_two(trial: audit_selftest._Trial, leak: bytes) -> None:
    trial.evidence.keep("wire", leak[:9])
    trial.evidence.keep("wire", leak[9:])


def file_of(trial: audit_selftest._Trial, name: str, data: bytes) -> None:
    (trial.node.folder.root / name).write_bytes(data)


SPOILT: dict[str, tuple[Spoil, set[str]]] = {
    **{place: (at(place), {"wire", "identifiers"}) for place in PLACES[:3]},
    **{place: (at(place), {"carried", "identifiers"}) for place in PLACES[3:]},
    "standard output": (at("standard output"), {"lines", "crash", "identifiers"}),
    "standard error": (at("standard error"), {"lines", "identifiers"}),
    "running.json": (at("running.json"), {"lines", "crash", "identifiers"}),
    "after a crash": (at("after a crash"), {"crash", "identifiers"}),
    "two pieces of the wire": (cut_in_two, {"wire", "identifiers"}),
    "a file": (lambda trial, leak: file_of(trial, "notes", leak), {"files"}),
    "the record file": (lambda trial, leak: file_of(trial, "vault.db", leak), {"files"}),
    "a core file": (lambda trial, _leak: file_of(trial, "core.123", b"x"), {"crash"}),
    "a core limit": (lambda trial, _leak: trial.core_limits.append("unlimited"), {"crash"}),
    "no new start": (lambda trial, _leak: setattr(trial, "restarted", False), {"crash"}),
    "a pupil less": (lambda trial, _leak: setattr(trial, "counted", 5), {"planted"}),
    "another report on the line": (lambda trial, _leak: trial.reports.append(report(fill=8)), {"sent"}),
    "another length": (
        lambda trial, _leak: trial.frames.append((int(Kind.REPORT), report(cells=5))),
        {"sent", "pipe"},
    ),
    "another kind of frame": (lambda trial, _leak: trial.frames.append((int(Kind.LOG), b"x")), {"pipe"}),
    "a lower level": (lambda trial, _leak: trial.levels.update(egress="L2"), {"wall"}),
    "nothing on the wire": (
        lambda trial, _leak: setattr(
            trial.evidence, "parts", [row for row in trial.evidence.parts if row[0] != "wire"]
        ),
        {"wire"},
    ),
}


@pytest.mark.parametrize("name", SPOILT)
def test_each_check_fails_for_its_own_reason(
    trial: audit_selftest._Trial, canaries: tuple[Canary, ...], name: str
) -> None:
    spoil, expected = SPOILT[name]
    spoil(trial, canaries[5].student_no.encode())
    assert outcomes(trial) == expected


def test_identifiers_that_nobody_planted_are_found_too(trial: audit_selftest._Trial) -> None:
    trial.evidence.keep("wire", b'{"id":"11010519491231002X"}')
    assert outcomes(trial) == {"identifiers"}


def test_a_search_that_is_blind_fails(trial: audit_selftest._Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_selftest.Search, "find", lambda _search, _data: set())
    assert "search" in outcomes(trial)


def test_a_search_that_sees_ghosts_fails(
    trial: audit_selftest._Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = audit_selftest.Search.find
    monkeypatch.setattr(audit_selftest.Search, "find", lambda search, data: honest(search, data) | {"ghost"})
    assert "search" in outcomes(trial)
