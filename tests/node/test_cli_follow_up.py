"""`node follow-up` and `node hand-over` on the command line, through a confined vault."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from follow_up_school import AUTUMN, DENIED, FIRST, NAMES, SECOND, TEACHER, files, number

from node import cli_follow_up, cli_hand_over, hand_over_secret, role_login
from node.cli import node as group
from node.hand_over_file import Body, Header, Reason, make_file
from node.hand_over_key import key_pair, parse_key
from node.hand_over_receipt import verify_receipt

pytestmark = pytest.mark.process
PASSPHRASE = "four unrelated words here"


def quick_stretch(passphrase: str, salt: bytes) -> bytes:
    """Stand in for Argon2id, which takes 0.4 s each time."""
    return (passphrase.encode() + salt).ljust(32, b".")[-32:]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A node with a psychologist and the autumn wave, and a passphrase file."""
    root = tmp_path_factory.mktemp("follow-up")
    (root / "fedscreen-database-key").write_bytes(bytes(range(50, 82)))
    (root / "passphrase").write_text(PASSPHRASE + "\n")
    (root / "passphrase").chmod(0o600)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CREDENTIALS_DIRECTORY", str(root))
        patch.setenv("LANGUAGE", "en")
        patch.setenv("FEDSCREEN_NODE_ROLE_PASSPHRASE_FILE", str(root / "passphrase"))
        patch.setattr(role_login, "stretch", quick_stretch)
        patch.setattr(hand_over_secret, "stretch", quick_stretch)
        ran(root, "init", "--federation", "f", "--id", "s", "--operator", "第一中学")
        refused = run(root, "follow-up", "list", "--json")
        assert (refused.exit_code, json.loads(refused.output)["error"]) == (1, "no-role")
        ran(root, "role", "add", "psychologist", "--holder", TEACHER)
        named = []
        for part, data in files().items():
            (root / part).write_bytes(data)
            named += [f"--{part}", str(root / part)]
        wave = [item for name in AUTUMN for item in ("--" + name.replace("_", "-"), AUTUMN[name])]
        ran(root, "import", *named, *wave)
        yield root


def run(root: Path, *arguments: str, text: str | None = None) -> Result:
    num_names = 2 if arguments[0] in ("follow-up", "hand-over", "role") else 1
    words = [*arguments[:num_names], "--dir", str(root / "node"), *arguments[num_names:]]
    found = CliRunner().invoke(group, words, input=text)
    if found.exception and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found


def ran(root: Path, *arguments: str, text: str | None = None) -> str:
    found = run(root, *arguments, text=text)
    assert found.exit_code == 0, found.output
    return found.stdout


def answer_of(root: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
    found = run(root, *arguments, "--json")
    assert found.exit_code == code, found.output
    return dict(json.loads(found.stdout))


# ---------------------------------------------------------------- the form


def test_list_set_history_and_withdraw(root: Path) -> None:
    shown = ran(root, "follow-up", "list")
    assert NAMES[DENIED] not in shown
    (line,) = [line for line in shown.split("\n") if NAMES[FIRST] in line]
    key = line.split()[0]
    done = ran(root, "follow-up", "set", key, "level2=2", "file_built=已建档", "groups=g1,g3")
    assert "result of the recheck: 1 降级" in done
    assert "groups: g1 留守, g3 心理障碍(经专科诊断)" in done
    typed = ran(root, "follow-up", "set", NAMES[SECOND], text="pool=2\noutcome=5\n\n")
    assert "alert pool: 2 在册" in typed
    history = answer_of(root, "follow-up", "history", number(SECOND))
    (entry,) = history["entries"]
    assert (entry["by"], entry["values"]) == (TEACHER, {"pool": "2", "outcome": "5"})
    assert "withdrawn" in ran(root, "follow-up", "withdraw", str(entry["entry"]))


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (("set", NAMES[FIRST], "level1=0"), 1, "bad-command"),
        (("set", NAMES[FIRST], "pool"), 2, ""),
        (("set", NAMES[FIRST], "pool=1", "pool=2"), 2, ""),
        (("list", "--holder", "另一人"), 1, "wrong-role-passphrase"),
        (("withdraw", "0"), 2, ""),
    ],
)
def test_refusals_say_what_to_do(root: Path, arguments: tuple[str, ...], code: int, error: str) -> None:
    found = run(root, "follow-up", *arguments, "--json")
    assert found.exit_code == code, found.output
    if error:
        values = json.loads(found.stdout)
        assert values["error"] == error
        assert values["advice"]


def test_the_fields_are_listed_without_a_node(tmp_path: Path) -> None:
    shown = ran(tmp_path, "follow-up", "fields")
    assert "file_built  file built: 0 未建档; 1 已建档; 9 未知" in shown
    assert "reviewed_on" in shown


# ---------------------------------------------------------------- hand-over files


@pytest.fixture(scope="module")
def hospital(root: Path) -> Path:
    """A hospital's folder with its keys; it has no node."""
    folder = root / "hospital"
    folder.mkdir()
    (folder / "passphrase").write_text("other words of the hospital\n")
    (folder / "passphrase").chmod(0o600)
    options = ("--institution", "县人民医院", "--person", "王医生", "--json")
    kept = ("--key", str(folder / "private"), "--out", str(folder / "public"))
    words = ("--passphrase-file", str(folder / "passphrase"))
    made = json.loads(ran(root / "nowhere", "hand-over", "recipient-init", *options, *kept, *words))
    assert made["fingerprint"] == parse_key((folder / "public").read_bytes()).fingerprint
    assert (folder / "private").stat().st_mode & 0o077 == 0
    again = run(root, "hand-over", "recipient-init", *options, *kept, *words)
    assert (again.exit_code, json.loads(again.stdout)["error"]) == (1, "file")
    return folder


def opening(folder: Path, *more: str) -> list[str]:
    key = ["--key", str(folder / "private"), "--passphrase-file", str(folder / "passphrase")]
    return ["hand-over", "open", str(folder / "sealed"), *key, "--receipt", str(folder / "receipt"), *more]


def make(root: Path, folder: Path, *more: str, out: str = "sealed") -> dict[str, Any]:
    told = parse_key((folder / "public").read_bytes()).fingerprint
    options = ("--pupil", NAMES[FIRST], "--to", str(folder / "public"), "--fingerprint", told)
    return answer_of(root, "hand-over", "make", *options, "--out", str(folder / out), *more)


def test_a_referral_goes_to_a_hospital_and_its_receipt_comes_back(root: Path, hospital: Path) -> None:
    today = datetime.now(UTC).date().isoformat()
    (hospital / "note.txt").write_text("\ufeff两周来睡眠差。\n请尽快面谈。\n", "utf-8")
    why = ("--consent", today, "--words", "同意转介", "--note-file", str(hospital / "note.txt"))
    made = make(root, hospital, "--kind", "referral", *why)
    assert made["fields"]["name"] == NAMES[FIRST]
    sealed = (hospital / "sealed").read_bytes()
    assert NAMES[FIRST].encode() not in sealed
    key = answer_of(root, "hand-over", "key", "--out", str(root / "k"))["fingerprint"]
    stranger = answer_of(root / "nowhere", *opening(hospital, "--sender", "0" * 32), code=1)
    assert stranger["error"] == "hand-over-fingerprint"
    assert not (hospital / "receipt").exists()
    written = ("--text", str(hospital / "content.txt"), "--sender", key)
    shown = ran(root / "nowhere", *opening(hospital, *written))
    for text in (shown, (hospital / "content.txt").read_text("utf-8")):
        assert NAMES[FIRST] in text
        assert "level of the test: 3 重点关注" in text
        assert "请尽快面谈。" in text
        assert key in text
    assert (hospital / "content.txt").stat().st_mode & 0o077 == 0
    assert "was opened by 王医生" in ran(root, "hand-over", "receipt", str(hospital / "receipt"))
    again = answer_of(root, "hand-over", "receipt", str(hospital / "receipt"), code=1)
    assert again["error"] == "hand-over-receipt-kept"
    listed = ran(root, "hand-over", "list")
    assert f"referral to a hospital, {NAMES[FIRST]}, to 县人民医院, 王医生" in listed
    assert "opened by 王医生" in listed


def test_a_dry_run_writes_nothing(root: Path, hospital: Path) -> None:
    made = make(root, hospital, "--kind", "transfer", "--crisis", "监护人联系不上", "--dry-run", out="none")
    assert made["fields"]["student_no"] == number(FIRST)
    assert not (hospital / "none").exists()


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--consent", "2026-09-30", "--crisis", "不能等待监护人"),
        ("--consent", "30.9.2026"),
        ("--crisis", "不能等待监护人", "--words", "同意"),
        ("--consent", "2026-09-30", "--note", "x", "--note-file", "NOTE"),
        ("--consent", "2026-09-30", "--expires", "91"),
    ],
)
def test_a_reason_is_one_of_two(root: Path, hospital: Path, options: tuple[str, ...]) -> None:
    (hospital / "n").write_text("x")
    words = [str(hospital / "n") if word == "NOTE" else word for word in options]
    kept = ["--pupil", "x", "--to", str(hospital / "public"), "--fingerprint", "x", "--kind", "referral"]
    found = run(root, "hand-over", "make", *kept, "--out", str(hospital / "none"), *words)
    assert found.exit_code == 2, found.output


def test_without_a_place_to_write_nothing_is_asked(root: Path, hospital: Path) -> None:
    kept = ["--pupil", "x", "--to", str(hospital / "public"), "--fingerprint", "x", "--kind", "referral"]
    assert run(root, "hand-over", "make", *kept, "--consent", "2026-09-30").exit_code == 2


@pytest.fixture(scope="module")
def consulted(root: Path, hospital: Path) -> Path:
    """The hospital's folder with a consultation in it."""
    make(root, hospital, "--kind", "consultation", "--crisis", "不能等待监护人")
    return hospital


@pytest.mark.parametrize("name", ["altered", "cut", "for somebody else", "huge", "wrong passphrase"])
def test_what_a_hospital_cannot_open_is_told(root: Path, consulted: Path, tmp_path: Path, name: str) -> None:
    for item in ("private", "passphrase", "sealed"):
        shutil.copy(consulted / item, tmp_path / item)
    data = (tmp_path / "sealed").read_bytes()
    if name == "altered":
        (tmp_path / "sealed").write_bytes(data[:-5] + b"\0" + data[-4:])
    elif name == "cut":
        (tmp_path / "sealed").write_bytes(data[:-5])
    elif name == "huge":
        (tmp_path / "sealed").write_bytes(data + bytes(5000))
    elif name == "wrong passphrase":
        (tmp_path / "passphrase").write_text("another passphrase\n")
    else:
        wrapped = hand_over_secret.wrap_secret(bytes(96), "other words of the hospital", bytes(16), bytes(24))
        (tmp_path / "private").write_bytes(wrapped)
    found = answer_of(root / "nowhere", *opening(tmp_path), code=1)
    assert (
        found["error"]
        == {
            "altered": "hand-over-altered",
            "cut": "hand-over-damaged",
            "huge": "file",
            "wrong passphrase": "wrong-passphrase",
            "for somebody else": "other-recipient",
        }[name]
    )
    assert not (tmp_path / "receipt").exists()


def test_a_school_receives_what_was_sealed_to_its_key(root: Path) -> None:
    ran(root, "hand-over", "key", "--out", str(root / "school"))
    own, sender = parse_key((root / "school").read_bytes()), key_pair(bytes(96), "第二中学", "周老师")
    now = datetime.now(UTC).replace(microsecond=0)
    header = Header("0c" * 16, own.key_id, now, now + timedelta(days=9))
    reason = Reason("consent", now.date())
    body = Body("transfer", sender.public, "s2", "周老师", own.who, reason, {"name": "郑远"}, "", "1b" * 32)
    (root / "transfer").write_bytes(make_file(header, body, sender, own))
    files_of = ("--receipt", str(root / "receipt"), "--text", str(root / "text"))
    files_of += ("--sender", sender.public.fingerprint)
    shown = ran(root, "hand-over", "receive", str(root / "transfer"), *files_of)
    assert "name: 郑远" in shown
    assert sender.public.fingerprint in (root / "text").read_text("utf-8")
    digest = hashlib.sha256((root / "transfer").read_bytes()).hexdigest()
    verify_receipt((root / "receipt").read_bytes(), own.verifier, digest, "1b" * 32)
    again = answer_of(root, "hand-over", "receive", str(root / "transfer"), *files_of, code=1)
    assert again["error"] == "hand-over-received"
    assert "郑远" in ran(root, "hand-over", "show", "0c0c0c")


# ---------------------------------------------------------------- words


def test_values_are_shown_with_their_labels() -> None:
    assert cli_follow_up.value_words("level2", "3") == "3 重点关注"
    assert cli_follow_up.value_words("groups", []) == "none"
    assert cli_follow_up.value_words("days_to_review", 3) == "3"
    assert cli_hand_over._shown("name", NAMES[FIRST]) == NAMES[FIRST]


def test_fields_come_in_the_order_of_the_table_and_unknown_ones_last() -> None:
    lines = cli_hand_over._field_lines({"future": "x", "level1": "3 重点关注", "name": "郑远", "more": "y"})
    assert list(lines) == ["  name: 郑远", "  level of the test: 3 重点关注", "  future: x", "  more: y"]


@pytest.mark.parametrize("command", ["list", "set", "history", "withdraw", "fields"])
def test_help_of_the_form_is_there(command: str) -> None:
    assert CliRunner().invoke(group, ["follow-up", command, "--help"]).exit_code == 0


@pytest.mark.parametrize(
    "command", ["key", "make", "receive", "receipt", "list", "show", "recipient-init", "open"]
)
def test_help_of_hand_over_is_there(command: str) -> None:
    assert CliRunner().invoke(group, ["hand-over", command, "--help"]).exit_code == 0
