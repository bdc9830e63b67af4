"""Auditors without a network: their commands, a folder for a stick, and a guard against every socket."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from click.testing import CliRunner
from fakes_county import FEDERATION, CountySimulator

from auditor import watch as watching
from auditor.cli import auditor as auditor_group
from auditor.config import AuditorConfig, AuditorFolder, write_config
from coordinator import cli_context, cli_offline
from coordinator.cli import coordinator as county_group
from coordinator.desk import Desk as CoordinatorDesk

_guarded = False


def _watch_sockets(event: str, _arguments: object) -> None:
    if _guarded and event.startswith("socket."):
        raise AssertionError(f"{event}: an auditor without a network touched a socket")


sys.addaudithook(_watch_sockets)


def _no_channel(*_arguments: object, **_options: object) -> object:
    raise AssertionError("an auditor without a network opened a gRPC channel")


@contextmanager
def no_sockets() -> Iterator[None]:
    """Let every socket of Python and every gRPC channel fail that is made in here."""
    global _guarded  # noqa: PLW0603 - an audit hook cannot be taken away, only switched off
    with pytest.MonkeyPatch.context() as patch:
        for name in ("secure_channel", "insecure_channel"):
            patch.setattr(grpc, name, _no_channel)
        _guarded = True
        try:
            yield
        finally:
            _guarded = False


class Sticks:
    """The commands of both sides on a simulated county; each auditor has a stick of its own."""

    def __init__(self, county: CountySimulator, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.county, self.root = county, root
        self.num_trips = 0
        monkeypatch.setattr(watching, "utc_now", lambda: county.now)
        monkeypatch.setattr(cli_offline, "utc_now", lambda: county.now)
        monkeypatch.setattr(cli_context, "Desk", partial(CoordinatorDesk, now=lambda: county.now))

    def seclude(self, names: Sequence[str]) -> None:
        """Take auditors off the network; their folders get the files that commands read."""
        self.county.absent |= set(names)
        for name in names:
            folder = AuditorFolder(self.county.root / name)
            write_config(folder, AuditorConfig(federation=FEDERATION, id=name, operator=f"operator {name}"))
            folder.card.write_text(self.county.card_text)
            folder.policy.write_text(self.county.policy_text)

    def stick(self, name: str) -> Path:
        """The folder that stands for an auditor's stick."""
        path = self.root / f"stick-{name}"
        path.mkdir(parents=True, exist_ok=True)
        return path

    def county_side(self, *names: str, options: Sequence[object] = (), code: int = 0) -> dict[str, Any]:
        """Serve several auditors at the county with one command, then put each file on its own stick."""
        shared = self.root / "county-desk"
        shared.mkdir(parents=True, exist_ok=True)
        for name in names:
            answer = self.stick(name) / f"from-{name}.trip"
            if answer.exists():
                shutil.copy(answer, shared)
        words = [word for name in names for word in ("--auditor", name)]
        folder = self.county.root / "coordinator"
        command = ["offline", "trip", shared, *words, *options, "--dir", folder, "--json"]
        found = CliRunner().invoke(county_group, list(map(str, command)), catch_exceptions=False)
        assert found.exit_code == code, found.output
        for name in names:
            shutil.copy(shared / f"to-{name}.trip", self.stick(name))
        return dict(json.loads(found.stdout))

    def auditor(self, name: str, *words: object, code: int = 0) -> dict[str, Any]:
        """Run one command of an auditor, which must not touch a socket."""
        command = ["offline", *words, "--dir", self.county.root / name, "--json"]
        with no_sockets():
            found = CliRunner().invoke(auditor_group, list(map(str, command)), catch_exceptions=False)
        assert found.exit_code == code, found.output
        return dict(json.loads(found.stdout))

    def trip(self, *names: str, options: Sequence[object] = (), code: int = 0) -> dict[str, dict[str, Any]]:
        """Go once to several auditors and back: file out, their commands, answers in; a minute goes by."""
        self.county_side(*names)
        self.num_trips += 1
        told = {
            name: self.auditor(name, "trip", self.stick(name), "--yes", *options, code=code) for name in names
        }
        self.county_side(*names)
        return told
