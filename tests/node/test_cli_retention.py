"""`fedscreen node retention|prune` on the command line, behind the wall."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fakes_federation import TinyFederation
from wall_support import KEY, make_config, make_folder

from node import cli_retention
from node.cli import node as group
from node.config import NodeFolder, write_config
from node.session import open_vault

POLICY = 'format = "fedscreen/retention/v1"\n[days]\n' + "".join(
    f"{name} = 400\n" for name in ("records", "sealed_files", "payloads", "journal", "master")
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeFolder]:
    """A node that has joined a federation."""
    root = tmp_path_factory.mktemp("node")
    federation = TinyFederation(kind="production")
    found, config = make_folder(root / "node"), make_config(federation=federation.federation)
    write_config(found, config)
    (root / "fedscreen-database-key").write_bytes(KEY)
    (root / "retention.toml").write_text(POLICY)
    with open_vault(found, config, KEY) as vault:
        init = {"federation": federation.federation, "node": config.node, "operator": "第一中学"}
        vault.call({"command": "init", **init})
        vault.call({"command": "accept", "card_text": federation.card_text})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CREDENTIALS_DIRECTORY", str(root))
        patch.setenv("LANGUAGE", "en")
        yield found


def run(folder: NodeFolder, *words: object, code: int = 0) -> dict[str, Any]:
    command = [*map(str, words), "--dir", str(folder.root), "--json"]
    found = CliRunner().invoke(group, command, catch_exceptions=False)
    assert found.exit_code == code, found.output
    return dict(json.loads(found.stdout))


@pytest.mark.process
def test_the_county_s_numbers_are_taken_shown_and_used(folder: NodeFolder) -> None:
    policy = folder.root.parent / "retention.toml"
    taken = run(folder, "retention", "--policy", policy, "--by", "王主任")
    assert (taken["policy"]["by"], taken["policy"]["days"]["records"]) == ("王主任", 400)
    filed = run(folder, "retention", "filed", "--until", "2026-01-31", "--by", "李校长")
    assert filed["filed"]["until"] == "2026-01-31"
    assert filed["policy"] == taken["policy"]
    assert run(folder, "prune", "--dry-run")["deleted"] == 0
    shown = CliRunner().invoke(group, ["retention", "--dir", str(folder.root)]).stdout
    assert "audit filed up to 2026-01-31, recorded by 李校长" in shown
    assert shown.count("400 days") == 5


@pytest.mark.parametrize("words", [["retention", "--policy", __file__], ["prune"]])
def test_a_name_is_asked_for(tmp_path: Path, words: list[str]) -> None:
    found = CliRunner().invoke(group, [*words, "--dir", str(tmp_path)])
    assert found.exit_code == 2
    assert "--by" in found.output


def test_no_node_is_told(tmp_path: Path) -> None:
    found = CliRunner().invoke(group, ["retention", "--dir", str(tmp_path), "--json"])
    assert (found.exit_code, json.loads(found.stdout)["error"]) == (1, "config")


def test_without_policy_and_audit_it_says_that_nothing_goes() -> None:
    answer = {"policy": {}, "filed": {}, "classes": [{"name": "records", "days": 0, "until": "", "due": 0}]}
    lines = list(cli_retention._status_lines(answer))
    assert len(lines) == 2


@pytest.mark.parametrize(("deleted", "word"), [(0, "would be deleted"), (1, "deleted")])
def test_what_is_due_is_told(deleted: int, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGUAGE", "en")
    due = {"records": 2, "journal": 0, "payloads": 1}
    lines = list(cli_retention._prune_lines({"due": due, "deleted": deleted}))
    assert len(lines) == 2
    assert all(line.startswith(word) for line in lines)
    assert len(list(cli_retention._prune_lines({"due": {"records": 0}, "deleted": 1}))) == 1
