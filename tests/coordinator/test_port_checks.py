"""What doctor asks about ports."""

from __future__ import annotations

import socket

import pytest

from coordinator.admin_http import answers, serving
from coordinator.port_checks import ask_ready, check_port, num_connections_allowed


def test_a_port_is_free_in_use_or_not_of_this_machine() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen(1)
        port = held.getsockname()[1]
        assert check_port(f"127.0.0.1:{port}") == "in-use"
    assert check_port(f"127.0.0.1:{port}") == "free"
    assert check_port("192.0.2.1:50080") == "not-here"


@pytest.mark.parametrize("word", ["ready", "draining", "store"])
def test_a_running_coordinator_says_how_it_stands(word: str) -> None:
    with serving("127.0.0.1:0", answers(lambda: word, lambda: b"")) as port:
        assert ask_ready(f"127.0.0.1:{port}") == word


def test_nobody_there_and_somebody_else() -> None:
    with serving("127.0.0.1:0", answers(lambda: "another program", lambda: b"")) as port:
        assert ask_ready(f"127.0.0.1:{port}") == "not-ours"
    assert ask_ready(f"127.0.0.1:{port}") == "silent"
    assert ask_ready("192.0.2.1:50081") == "not-ours"


def test_the_limit_of_open_files_leaves_room_for_its_own() -> None:
    assert num_connections_allowed() > 0
