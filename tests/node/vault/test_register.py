"""Names beside records: sealed to the psychologist, gone with their set, never without that role."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes_roles import actor, add
from fakes_vault import SchoolHouse

from node.vault.errors import RegisterError
from node.vault.records import find_set
from node.vault.register import copy_cards, open_cards, read_classes
from node.vault.roles import PRINCIPAL, PSYCHOLOGIST, Unlocked, unlock

WAVE = {"wave": "A", "school_year": "2026-2027", "census_date": "2026-09-30"}
NAME = "欧阳若兰"


def files() -> dict[str, bytes]:
    examples = Path(__file__).parents[3] / "examples"
    profile = (examples / "profiles/addhealth.toml").read_text("utf-8")
    profile = profile.replace("[columns]", '[columns]\nname = ["姓名"]\nclass_no = ["班级"]', 1)
    pupil = f"G99000120140901001X,{NAME},七年级,七(2)班,同意"
    return {
        "roster": f"学籍号,姓名,年级,班级,监护人同意\n{pupil}\n".encode(),
        "screening": "学籍号,测评日期,总分,预警等级\nG99000120140901001X,2026-09-08,3,3\n".encode(),
        "profile": profile.encode(),
        "codebook": (examples / "codebooks/addhealth.toml").read_bytes(),
    }


def set_id(house: SchoolHouse) -> int:
    found = find_set(house.store, "2026-2027", "A")
    assert found is not None
    return found.set_id


def psychologist(house: SchoolHouse) -> Unlocked:
    return unlock(house.store, actor(PSYCHOLOGIST, "李老师"))


def test_without_the_role_the_class_is_kept_and_no_name(house: SchoolHouse) -> None:
    answer = house.call("import", files(), **WAVE)
    assert answer["names"] == 0, answer
    assert list(read_classes(house.store, set_id(house)).values()) == ["2"]
    add(house, PSYCHOLOGIST, "李老师")
    with pytest.raises(RegisterError) as caught:
        open_cards(house.store, set_id(house), psychologist(house))
    assert caught.value.code == "no-names"


def test_the_psychologist_alone_reads_the_name(house: SchoolHouse) -> None:
    add(house, PSYCHOLOGIST, "李老师")
    add(house, PRINCIPAL, "张校长")
    assert house.call("import", files(), **WAVE)["names"] == 1
    cards = open_cards(house.store, set_id(house), psychologist(house))
    (card,) = cards.values()
    assert (card.name, card.class_name, card.student_no) == (NAME, "2", "G99000120140901001X")
    assert NAME not in repr(card)
    stored = house.store.query("SELECT sealed FROM pupil_card")[0][0]
    assert NAME.encode() not in bytes(stored)
    with pytest.raises(RegisterError):
        open_cards(house.store, set_id(house), unlock(house.store, actor(PRINCIPAL, "张校长")))


def test_the_same_files_again_keep_names_that_were_not_kept_before(house: SchoolHouse) -> None:
    house.call("import", files(), **WAVE)
    add(house, PSYCHOLOGIST, "李老师")
    answer = house.call("import", files(), **WAVE)
    assert (answer["is_new"], answer["names"]) == (0, 1)
    assert len(open_cards(house.store, set_id(house), psychologist(house))) == 1


def test_a_card_of_another_pupil_is_damage(house: SchoolHouse) -> None:
    add(house, PSYCHOLOGIST, "李老师")
    house.call("import", files(), **WAVE)
    with house.store.transaction("tamper"):
        house.store.execute("UPDATE pupil_card SET class_name = '3'")
    with pytest.raises(RegisterError) as caught:
        open_cards(house.store, set_id(house), psychologist(house))
    assert caught.value.code == "names-damaged"


def test_cards_go_with_their_set_and_can_be_copied(house: SchoolHouse) -> None:
    add(house, PSYCHOLOGIST, "李老师")
    house.call("import", files(), **WAVE)
    first = set_id(house)
    other = {**files(), "screening": files()["screening"].replace(b",3,3", b",4,4")}
    house.call("import", other, **WAVE)
    with house.store.transaction("copy"):
        copy_cards(house.store, first, set_id(house))
    assert len(open_cards(house.store, set_id(house), psychologist(house))) == 1
    with house.store.transaction("delete"):
        house.store.execute("DELETE FROM record_set WHERE set_id = ?", (first,))
    assert read_classes(house.store, first) == {}
