"""coordinator.toml: every wrong value is refused by its key, and writing is the inverse of reading."""

from pathlib import Path

import pytest

from coordinator.config import encode_config, load_config, parse_config
from coordinator.errors import ConfigError

MINIMAL = b'federation = "county-1"\n'


def test_defaults_are_safe() -> None:
    config = parse_config(MINIMAL)
    assert config.kind == "production"
    assert config.listen.startswith("127.0.0.1:")
    assert config.tuples == ((4, 3, 1, 3),)
    assert config.public_address == config.listen


def test_a_byte_order_mark_is_tolerated() -> None:
    assert parse_config(b"\xef\xbb\xbf" + MINIMAL) == parse_config(MINIMAL)


def test_encoding_reads_back_to_the_same_value() -> None:
    config = parse_config(
        MINIMAL + b'tuples = [[5, 4, 2, 4], [4, 3, 1, 3]]\nquorum = 4\naddress = "c.example:1"\n'
    )
    assert parse_config(encode_config(config)) == config


def test_the_unit_is_a_name_in_any_script() -> None:
    assert parse_config(MINIMAL).unit == ""
    config = parse_config(MINIMAL + 'unit = "云岭县教育局"\n'.encode())
    assert config.unit == "云岭县教育局"
    assert parse_config(encode_config(config)) == config


def test_limits_are_a_table_that_reads_back() -> None:
    config = parse_config(
        MINIMAL + b'admin_listen = "[::1]:1"\nreflection = true\n[limits]\nnode_burst = 7\nidle_s = 30.0\n'
    )
    assert config.limits.node_burst == 7
    data = encode_config(config)
    assert parse_config(data) == config
    assert b"auditor_burst" not in data  # what is as the program has it is not written down


def test_limits_are_set_without_being_mentioned() -> None:
    limits = parse_config(MINIMAL).limits
    assert limits.node_calls_at_once < parse_config(MINIMAL).threads
    assert limits.receive_s <= limits.answer_s <= limits.stream_s


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (b"", "federation"),
        (b'federation = "County"\n', "federation"),
        (MINIMAL + b"colour = 1\n", "colour"),
        (MINIMAL + b'kind = "test"\n', "kind"),
        (MINIMAL + b'unit = " "\n', "unit"),
        (MINIMAL + b'unit = "a\\nb"\n', "unit"),
        (MINIMAL + b'unit = "a\\u202eb"\n', "unit"),
        (MINIMAL + b'unit = "' + b"x" * 61 + b'"\n', "unit"),
        (MINIMAL + b"unit = 1\n", "unit"),
        (MINIMAL + b'listen = "localhost"\n', "listen"),
        (MINIMAL + b'listen = "localhost:70000"\n', "listen"),
        (MINIMAL + b'server_name = "Bad Name"\n', "server_name"),
        (MINIMAL + b"quorum = 0\n", "quorum"),
        (MINIMAL + b'quorum = "3"\n', "quorum"),
        (MINIMAL + b"tuples = []\n", "tuples"),
        (MINIMAL + b"tuples = [[4, 2, 1, 3]]\n", "tuples"),
        (MINIMAL + b"tuples = [[1, 1, 0, 1]]\n", "tuples"),
        (MINIMAL + b"tick_s = 0.0\n", "tick_s"),
        (MINIMAL + b"open_grace_s = -1.0\n", "open_grace_s"),
        (MINIMAL + b"school_bound = 0\n", "school_bound"),
        (MINIMAL + b'admin_listen = "0.0.0.0:50081"\n', "admin_listen"),
        (MINIMAL + b'admin_listen = "50081"\n', "admin_listen"),
        (MINIMAL + b"reflection = 1\n", "reflection"),
        (MINIMAL + b'log_format = "xml"\n', "log_format"),
        (MINIMAL + b"drain_notice_s = 601.0\n", "drain_notice_s"),
        (MINIMAL + b"[limits]\nnode_burst = 0\n", "limits.node_burst"),
        (MINIMAL + b"[limits]\nstream_s = 0.0\n", "limits.stream_s"),
        (MINIMAL + b"[limits]\nmessage_mib = 65\n", "limits.message_mib"),
        (MINIMAL + b"[limits]\ncolour = 1\n", "limits.colour"),
        (MINIMAL + b"limits = 3\n", "limits"),
        (b"federation = \n", "TOML"),
        (b"\xff\xfe", "TOML"),
    ],
)
def test_a_wrong_value_is_refused_by_its_key(text: bytes, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        parse_config(text)


def test_an_error_does_not_repeat_the_value() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(b'federation = "Secret Word"\n')
    assert "Secret Word" not in str(caught.value)


def test_a_demo_may_have_a_single_auditor() -> None:
    config = parse_config(MINIMAL + b'kind = "demo"\nquorum = 1\ntuples = [[1, 1, 0, 1]]\n')
    assert config.tuples == ((1, 1, 0, 1),)


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="init"):
        load_config(tmp_path)
