"""P1, P10: what the kernel says of a running node's processes while a round is collecting; their weight."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.process
MIB = 1024 * 1024
MOST_BYTES = 100 * MIB
ROOT = "0\t0\t0\t0"
SIDES = ("supervisor", "vault", "egress")


@pytest.fixture(scope="module")
def nodes(runs: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """By node and side: what /proc said."""
    found: dict[str, dict[str, dict[str, Any]]] = json.loads((runs / "processes.json").read_text())
    assert len(found) == 5
    return found


@pytest.fixture(scope="module")
def looked_into(nodes: dict[str, dict[str, dict[str, Any]]]) -> dict[str, dict[str, dict[str, Any]]]:
    """The same, where descriptors and memory could be read."""
    if not all("descriptors" in facts for sides in nodes.values() for facts in sides.values()):
        pytest.skip("these processes hide their descriptors and memory from everyone but root")
    return nodes


@pytest.mark.parametrize("side", ["vault", "egress"])
def test_both_sides_run_under_a_filter_that_nothing_can_lift(nodes: Any, side: str) -> None:
    for sides in nodes.values():
        assert sides[side]["command"] == f"node.{side}.worker"
        assert sides[side]["Seccomp"] == "2"
        assert sides[side]["NoNewPrivs"] == "1"
        assert int(sides[side]["CapEff"], 16) == 0


def test_supervisor_itself_is_not_filtered(nodes: Any) -> None:
    """So the facts above are the sides' own, not inherited from whoever started everything."""
    assert {sides["supervisor"]["Seccomp"] for sides in nodes.values()} == {"0"}


def test_vault_has_one_thread(nodes: Any) -> None:
    assert {sides["vault"]["Threads"] for sides in nodes.values()} == {"1"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give the sides users of their own")
def test_every_side_of_every_node_has_a_user_of_its_own(nodes: Any) -> None:
    users = [sides[side]["Uid"] for sides in nodes.values() for side in ("vault", "egress")]
    assert len(set(users)) == len(users)
    assert ROOT not in users
    assert all(len(set(user.split("\t"))) == 1 for user in users)  # real, effective, saved, file system


def test_vault_has_no_socket_and_only_its_database_beside_the_pipes(looked_into: Any) -> None:
    for sides in looked_into.values():
        descriptors = sides["vault"]["descriptors"]
        assert [link for link in descriptors if link.startswith("socket:")] == []
        pipes = [link for link in descriptors if link.startswith("pipe:")]
        assert len(pipes) == 3
        others = {Path(link).name for link in descriptors if not link.startswith("pipe:")}
        assert others <= {"vault.db", "vault.db-wal", "vault.db-shm"}


def test_egress_has_a_socket_and_no_file_of_the_vault(looked_into: Any) -> None:
    for sides in looked_into.values():
        descriptors = sides["egress"]["descriptors"]
        assert any(link.startswith("socket:") for link in descriptors)
        assert not any("vault" in link for link in descriptors)


def test_idle_node_weighs_at_most_100_mib(looked_into: Any) -> None:
    for sides in looked_into.values():
        assert sum(sides[side]["pss"] for side in SIDES) <= MOST_BYTES


def test_idle_node_alone_on_its_machine_weighs_at_most_100_mib(looked_into: Any) -> None:
    """PSS divides what is shared with this machine's other processes; a school's has none of ours.

    So count every private byte, and what is shared of each file once: as much as one of the three maps of it.
    """
    for sides in looked_into.values():
        maps = [sides[side]["alone"] for side in SIDES]
        private = sum(sizes[0] for found in maps for sizes in found.values())
        files = {name for found in maps for name in found}
        shared = sum(max(found.get(name, (0, 0))[1] for found in maps) for name in files)
        assert private + shared <= MOST_BYTES
