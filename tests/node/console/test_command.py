"""The command: where it listens, and what it says when it cannot."""

from __future__ import annotations

import builtins
import socket
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from wall_support import KEY, make_config, make_folder

from node.cli import node as group
from node.config import write_config
from node.console.serve import HOST, bind
from node.errors import ConfigError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "fedscreen-database-key").write_bytes(KEY)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    made = make_folder(tmp_path / "node")
    write_config(made, make_config())
    return made.root


def run(folder: Path, *arguments: str) -> Any:
    return CliRunner().invoke(group, ["console", "--dir", str(folder), *arguments])


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "::1", "localhost", "192.168.1.5", "", "127.0.0.2"])
def test_it_listens_nowhere_but_on_the_loopback(folder: Path, host: str) -> None:
    with pytest.raises(ConfigError, match=r"127\.0\.0\.1"):
        bind(host, 0)
    found = run(folder, "--host", host, "--port", "0")
    assert found.exit_code == 1
    assert "127.0.0.1" in found.output


def test_a_taken_port_is_told() -> None:
    listener = bind(HOST, 0)
    host, port = listener.getsockname()
    assert host == "127.0.0.1"
    with pytest.raises(ConfigError, match=f"port {port}"):
        bind(HOST, port)
    listener.close()


def test_a_closed_port_is_free_again() -> None:
    listener = bind(HOST, 0)
    port = listener.getsockname()[1]
    client = socket.create_connection((HOST, port))
    listener.accept()[0].close()
    client.close()
    listener.close()
    bind(HOST, port).close()


@pytest.mark.parametrize("missing", ["starlette", "uvicorn", "jinja2", "python_multipart"])
def test_a_missing_package_is_named_with_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    honest = builtins.__import__

    def imported(name: str, *rest: Any, **options: Any) -> Any:
        if name.startswith("node.console"):
            raise ModuleNotFoundError(f"No module named '{missing}'", name=missing)
        return honest(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", imported)
    found = run(folder, "--port", "0")
    assert found.exit_code == 1
    assert missing in found.output
    assert "pip install 'fedscreen[node,web]'" in found.output
    assert "Traceback" not in found.output


def test_a_fault_of_our_own_is_not_called_a_missing_package(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = builtins.__import__

    def imported(name: str, *rest: Any, **options: Any) -> Any:
        if name.startswith("node.console"):
            raise ModuleNotFoundError("No module named 'node.lost'", name="node.lost")
        return honest(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", imported)
    assert isinstance(run(folder, "--port", "0").exception, ModuleNotFoundError)
