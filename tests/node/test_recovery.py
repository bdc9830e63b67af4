"""The recovery file: its code, its two parts, and a new computer that becomes the same node."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fakes_backup import CODE, BackedHouse, entropy, without_processes
from fakes_vault import KEY, plan_of, pupils
from hypothesis import given
from hypothesis import strategies as st

from node import recovery
from node.cli import node as group
from node.config import NodeFolder
from node.errors import BackupError, ConfigError, UnlockError, VaultRefusal
from node.recovery import encode_file, open_outside, parse_file, read_file, write_recovery
from node.recovery_code import format_code, parse_code
from node.recovery_sheet import recovery_sheet
from node.unwrap import stretch
from node.vault.enrol import load_floors, load_identity
from node.vault.errors import AttemptError
from plan.layout import build_layout

COST = build_layout(plan_of()).claimed_rho

# -- the code ----------------------------------------------------------------------------------


@given(st.binary(min_size=16, max_size=16))
def test_a_code_is_read_as_it_was_written(code: bytes) -> None:
    text = format_code(code)
    assert parse_code(text) == code
    assert len(text) == 8 * 6 + 7
    assert len({group.isdigit() and len(group) for group in text.split("-")}) == 1


@pytest.mark.parametrize("code", [bytes(16), b"\xff" * 16])
def test_the_smallest_and_the_greatest_code(code: bytes) -> None:
    assert parse_code(format_code(code)) == code


@pytest.mark.parametrize("between", ["", " ", "　", "\n", " - ", "・".replace("・", "·")])
def test_a_code_may_be_typed_with_any_gaps(between: str) -> None:
    assert parse_code(between.join(CODE.split("-"))) == parse_code(CODE)


def test_a_code_may_be_typed_in_full_width_digits() -> None:
    wide = CODE.translate({ord(digit): 0xFF10 + int(digit) for digit in "0123456789"})
    assert parse_code(wide.replace("-", "－")) == parse_code(CODE)


def test_every_single_mistyped_digit_is_told_with_its_group() -> None:
    digits = CODE.replace("-", "")
    for at, digit in enumerate(digits):
        for other in set("0123456789") - {digit}:
            with pytest.raises(BackupError, match=f"group {at // 6 + 1} ") as caught:
                parse_code(digits[:at] + other + digits[at + 1 :])
            assert digits[at // 6 * 6 : at // 6 * 6 + 6] not in str(caught.value)


def test_groups_and_neighbours_that_changed_places_are_told() -> None:
    groups = CODE.split("-")
    for at in range(7):
        swapped = [*groups[:at], groups[at + 1], groups[at], *groups[at + 2 :]]
        with pytest.raises(BackupError, match=f"group {at + 1} "):
            parse_code("-".join(swapped))
    digits = CODE.replace("-", "")
    for at in (at for at in range(47) if at % 6 != 5 and digits[at] != digits[at + 1]):
        with pytest.raises(BackupError):
            parse_code(digits[:at] + digits[at + 1] + digits[at] + digits[at + 2 :])


@pytest.mark.parametrize("text", ["", "1" * 47, "1" * 49, "12345x" * 8, "٣" * 48, "-" * 48, "999999" * 8])
def test_what_is_no_code_is_refused(text: str) -> None:
    with pytest.raises(BackupError) as caught:
        parse_code(text)
    assert caught.value.code == "recovery-code"


def test_a_group_beyond_its_bits_is_mistyped() -> None:
    with pytest.raises(BackupError, match="group 1 "):
        parse_code("-".join([f"{11 * (1 << 16) + 1}", *CODE.split("-")[1:]]))


# -- the file ----------------------------------------------------------------------------------


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BackedHouse]:
    without_processes(monkeypatch, tmp_path)
    opened = BackedHouse(tmp_path / "school")
    yield opened
    opened.store.close()


def secrets_of(house: BackedHouse) -> list[bytes]:
    identity = load_identity(house.store)
    found = (identity.master, identity.report_seed, identity.pupil_key, identity.journal_key, KEY)
    return [form for secret in found for form in (secret, secret.hex().encode())]


def test_the_file_holds_everything_and_shows_nothing(house: BackedHouse) -> None:
    file = house.recovery()
    data = encode_file(file)
    assert parse_file(data) == file
    assert [secret for secret in (*secrets_of(house), b"a TLS key") if secret in data] == []
    outside, _keys = open_outside(file, CODE)
    assert outside.database_key == KEY
    assert outside.files["tls.key"] == b"a TLS key"
    assert [secret for secret in secrets_of(house)[:8] if secret in str(outside.files).encode()] == []


def test_another_code_does_not_open_it(house: BackedHouse) -> None:
    with pytest.raises(BackupError) as caught:
        open_outside(house.recovery(), format_code(bytes(16)))
    assert caught.value.code == "wrong-recovery-code"
    assert "school-1" in str(caught.value)


def test_two_files_of_one_code_share_no_key(house: BackedHouse) -> None:
    first, second = house.recovery(), house.recovery()
    with pytest.raises(BackupError):
        open_outside(replace(second, outside=first.outside), CODE)
    with pytest.raises(BackupError):
        open_outside(replace(second, vault=first.vault), CODE)


def test_every_changed_character_is_refused(house: BackedHouse) -> None:
    data = encode_file(house.recovery())
    for at in range(0, len(data), 7):
        spoilt = bytearray(data)
        spoilt[at] ^= 1
        with pytest.raises(BackupError):
            open_outside(parse_file(bytes(spoilt)), CODE)


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b'{"format":"fedscreen/recovery/v1"}', b"\xff" * 50, b"null\n"]
)
def test_another_file_is_none(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(BackupError) as caught:
        read_file(tmp_path / "file")
    assert caught.value.code == "recovery-damaged"
    with pytest.raises(ConfigError):
        read_file(tmp_path / "nothing")


def test_a_passphrase_seals_it_too(house: BackedHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        recovery.unwrap, "stretch", lambda text, salt: (text.encode() + salt)[-32:].rjust(32, b"x")
    )
    words = "the principal's own words"
    file = recovery.make_file(house.session, house.node_folder, KEY, "passphrase", words, entropy)  # type: ignore[arg-type]
    assert open_outside(file, words)[0].database_key == KEY
    with pytest.raises(BackupError):
        open_outside(file, "other words, as many")


def test_a_short_passphrase_is_refused() -> None:
    with pytest.raises(UnlockError):
        recovery.keys_of("passphrase", "short", bytes(16))
    assert callable(stretch)


def test_it_is_written_once_noted_and_private(house: BackedHouse, tmp_path: Path) -> None:
    assert house.call("status")["safety"]["recovery"] == ""
    file = house.recovery()
    assert house.call("status")["safety"]["recovery"] == ""  # sealed, but nowhere yet
    write_recovery(house.session, file, tmp_path / "r")  # type: ignore[arg-type]
    assert (tmp_path / "r").stat().st_mode & 0o077 == 0
    assert house.call("status")["safety"]["recovery"] == file.made
    with pytest.raises(ConfigError) as caught:
        write_recovery(house.session, house.recovery(), tmp_path / "r")  # type: ignore[arg-type]
    assert caught.value.code == "exists"
    assert read_file(tmp_path / "r") == file


def test_a_node_with_a_principal_asks_for_the_principal(house: BackedHouse) -> None:
    salt = house.call("role_salt", role="principal", name="李校长")["salt"]
    key = bytes(range(7, 39)).hex()
    house.call("role_add", role="principal", name="李校长", salt=salt, key=key)
    with pytest.raises(VaultRefusal) as caught:
        house.recovery()
    assert caught.value.code == "role-needed"
    actor = {"role": "principal", "name": "李校长", "key": key}
    file = recovery.make_file(house.session, house.node_folder, KEY, "code", CODE, entropy, actor)  # type: ignore[arg-type]
    assert open_outside(file, CODE)[0].database_key == KEY
    record = list(house.desk.enrolled().journal.verify())[-1]
    assert (record.kind, record.data) == ("recovery-file", {"by": "李校长"})


# -- the new computer ----------------------------------------------------------------------------


def spent(house: BackedHouse) -> Fraction:
    parts = house.desk.enrolled()
    return parts.account.read("2026-2027", load_floors(house.store).rho_year, parts.mirror).spent


def lose_the_computer(house: BackedHouse, tmp_path: Path, *, is_logged: bool = True) -> bytes:
    """Make the recovery file first, then a report; then nothing is left but file, code and log."""
    file = house.recovery()
    round_id = house.start_round()
    house.release(round_id)
    if is_logged:
        house.desk.on_receipt(house.submit())
    house.recover(file, tmp_path / "new")
    return round_id


def test_it_is_the_same_node_with_the_same_pupil_keys(house: BackedHouse, tmp_path: Path) -> None:
    house.call("floors", floors={"rho_year": "49/100"})
    before = load_identity(house.store)
    lose_the_computer(house, tmp_path)
    assert load_identity(house.store) == before
    assert house.call("floors", floors={})["rho_year"] == "49/100"
    assert house.call("records_summary")["records"] == []
    assert next(row.kind for row in house.desk.enrolled().journal.verify()) == "recover"


def test_the_account_is_read_again_from_the_log(house: BackedHouse, tmp_path: Path) -> None:
    lose_the_computer(house, tmp_path)
    assert spent(house) == 0  # no log yet: and without a fresh one nothing is released
    house.sync()
    assert spent(house) == COST


def test_nothing_is_released_before_the_log_is_there(house: BackedHouse, tmp_path: Path) -> None:
    round_id = lose_the_computer(house, tmp_path)
    house.save(pupils())
    with pytest.raises(Exception, match="log") as caught:
        house.release(round_id)
    assert getattr(caught.value, "code", "") in ("log-unverified", "no-such-round")


def test_the_lost_report_is_told_and_not_sent_again(house: BackedHouse, tmp_path: Path) -> None:
    round_id = lose_the_computer(house, tmp_path)
    house.sync()
    house.save(pupils())
    report = house.call("rounds")["rounds"][0]["report"]
    assert (report["state"], report["attempt"], report["receipts"]) == ("lost", 0, [])
    with pytest.raises(AttemptError) as caught:
        house.release(round_id)
    assert caught.value.code == "already-logged"
    assert house.desk.outgoing() is None


def test_a_correction_is_the_next_attempt(house: BackedHouse, tmp_path: Path) -> None:
    round_id = lose_the_computer(house, tmp_path)
    house.sync()
    house.save(pupils(shift=1))
    assert house.release(round_id)["attempt"] == 1
    house.desk.on_receipt(house.submit())
    house.sync()
    assert len(house.federation.round(round_id).attempts_of(house.node)) == 2
    assert spent(house) == COST


def test_a_report_that_never_arrived_is_made_again_with_the_same_vector(
    house: BackedHouse, tmp_path: Path
) -> None:
    file, round_id = house.recovery(), house.start_round()
    house.release(round_id)
    vector = house.payload(round_id).vector
    house.recover(file, tmp_path / "new")
    house.sync()
    house.save(pupils())
    house.release(round_id)
    assert house.payload(round_id).vector == vector
    house.submit()


def test_a_file_of_before_the_enrolment_recovers_and_then_enrols(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_processes(monkeypatch, tmp_path)
    house = BackedHouse(tmp_path / "school", is_enrolled=False)
    house.recover(house.recovery(), tmp_path / "new")
    house.call("accept", card_text=house.federation.card_text)
    house.join()
    house.sync()
    house.store.close()


def test_it_recovers_into_nothing_else_than_an_empty_store(house: BackedHouse) -> None:
    file = house.recovery()
    keys = open_outside(file, CODE)[1]
    names = {"federation": file.federation, "node": file.node, "made": file.made}
    with pytest.raises(VaultRefusal) as caught:
        house.session.call({"command": "recover", "key": keys.vault.hex(), **names}, {"sealed": file.vault})
    assert caught.value.code == "already-initialised"
    for changed in ({"node": "school-2"}, {"federation": "x"}, {"made": "2020-01-01T00:00:00Z"}):
        asks = {"command": "recover", "key": keys.vault.hex(), **names, **changed}
        with pytest.raises(VaultRefusal) as caught:
            house.session.call(asks, {"sealed": file.vault})
        assert caught.value.code == "recovery-damaged"


def test_a_wrong_code_or_a_used_folder_makes_nothing(house: BackedHouse, tmp_path: Path) -> None:
    file = house.recovery()
    with pytest.raises(BackupError):
        recovery.recover_node(file, format_code(bytes(16)), NodeFolder(tmp_path / "new"), entropy, str)
    assert not (tmp_path / "new").exists()
    with pytest.raises(ConfigError) as caught:
        recovery.recover_node(file, CODE, house.node_folder, entropy, str)
    assert caught.value.code == "folder-used"


def test_the_recovery_file_opens_an_old_backup(house: BackedHouse, tmp_path: Path) -> None:
    file, backup = house.recovery(), house.keep(tmp_path / "b")
    key = open_outside(file, CODE)[0].database_key
    kept = recovery.keep_old_key(house.node_folder, key, entropy, lambda: "a new passphrase")
    assert (kept, house.node_folder.key_file.stat().st_mode & 0o077) == ("passphrase", 0)
    assert recovery.unwrap.open_wrapped(house.node_folder.key_file.read_bytes(), "a new passphrase") == KEY
    assert backup.exists()


# -- the sheet and the command line --------------------------------------------------------------


def test_the_sheet_has_the_code_and_nothing_from_elsewhere(house: BackedHouse) -> None:
    house.recovery()
    file = replace(house.recovery(), operator="<b>第一中学</b>")
    page = recovery_sheet(file, CODE, "school.recovery", "ab" * 32, "en")
    assert all(f"<span>{part}</span>" in page for part in CODE.split("-"))
    assert "&lt;b&gt;第一中学" in page
    assert not any(word in page for word in ("<script", "http:", "https:", "url(", "@import", "<b>"))
    other = recovery_sheet(replace(file, seal="passphrase"), "my own words here", "f", "ab" * 32, "en")
    assert "my own words here" not in other


@pytest.mark.process
def test_make_check_and_restore_by_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "fedscreen-database-key").write_bytes(KEY)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("LANGUAGE", "en")

    def run(*words: object, folder: str, code: int = 0) -> dict[str, Any]:
        options = ["--dir", str(tmp_path / folder), "--json"]
        found = CliRunner().invoke(group, [*map(str, words), *options], catch_exceptions=False)
        assert found.exit_code == code, found.output
        return dict(json.loads(found.stdout))

    run("init", "--federation", "county", "--id", "s1", "--operator", "第一中学", folder="node")
    made = run("recovery", "make", "--out", tmp_path / "r", "--sheet", tmp_path / "s.html", folder="node")
    (tmp_path / "code").write_text(made["code"] + "\n")
    (tmp_path / "code").chmod(0o600)
    assert made["code"].split("-")[3] in (tmp_path / "s.html").read_text()
    assert (tmp_path / "s.html").stat().st_mode & 0o077 == 0
    options = ("--code-file", tmp_path / "code")
    assert run("recovery", "check", tmp_path / "r", *options, folder="any")["node"] == "s1"
    assert run("recovery", "restore", tmp_path / "r", *options, folder="new")["journal_records"] == 1
    before, after = (run("status", folder=name) for name in ("node", "new"))
    assert [before[name] for name in ("report_key", "master")] == [
        after[name] for name in ("report_key", "master")
    ]
    assert after["safety"]["recovery"] == before["safety"]["recovery"] == made["made"]
    assert os.listdir(tmp_path / "new" / "vault")[0].startswith("vault.db")
    run("backup", "--out", tmp_path / "b", folder="node")
    (tmp_path / "pw").write_text("a new passphrase here")
    (tmp_path / "pw").chmod(0o600)
    words = ("--recovery", tmp_path / "r", *options, "--passphrase-file", tmp_path / "pw")
    assert run("restore", tmp_path / "b", *words, folder="third")["key_source"] == "passphrase"
