"""The mirror of the log: what it takes, what it drops, and what it never trusts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from fakes_federation import TinyFederation, fake_bytes
from fakes_vault import KEY, SchoolHouse, plan_of

from node.vault.clock import Clock
from node.vault.errors import MirrorError
from node.vault.mirror import Mirror
from node.vault.store import Value, VaultStore


def mirror_of(house: SchoolHouse) -> Mirror:
    return house.desk.enrolled().mirror


def stored(house: SchoolHouse) -> int:
    return len(house.store.query("SELECT 1 FROM log_entry"))


def fill(house: SchoolHouse, rounds: int = 2) -> None:
    for number in range(rounds):
        round_id = house.publish(replace(plan_of(), id=f"tiny-{number}"))
        house.federation.approve(round_id)


def other_history(house: SchoolHouse) -> TinyFederation:
    """The same keys, another second roster: what a lying log could show."""
    other = TinyFederation(kind="production")
    other.roster_nodes = (replace(house.roster_node, operator="另一所学校"),)
    other.join()
    return other


def test_pages_in_order_make_the_same_tree(house: SchoolHouse) -> None:
    fill(house)
    federation = house.federation
    for start in range(0, federation.ledger.size, 3):
        page = federation.page(start, now=house.now)
        house.desk.on_log(start, list(page.entries[:3]), page.latest, page.cosigned)
    mirror = mirror_of(house)
    assert mirror.ledger.root() == federation.ledger.root()
    assert mirror.trusted_size == federation.ledger.size
    assert stored(house) == federation.ledger.size


def test_a_page_stored_by_another_process_while_we_read_is_seen_whole_or_not_at_all(
    house: SchoolHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(house)
    mirror, before = mirror_of(house), mirror_of(house).ledger.size
    other = VaultStore(house.folder / "vault.db", KEY)
    writer = Mirror(other, house.federation.card, Clock(other, lambda: house.now))
    page, read = house.federation.page(0, now=house.now), house.store.query

    def query(statement: str, values: Sequence[Value] = ()) -> list[tuple[Any, ...]]:
        rows = read(statement, values)
        if "FROM log_entry" in statement and writer.ledger.size < house.federation.ledger.size:
            writer.take_page(0, page.entries, page.latest, page.cosigned)
        return rows

    monkeypatch.setattr(house.store, "query", query)
    mirror.catch_up()
    assert writer.trusted_size == house.federation.ledger.size
    assert mirror.ledger.size == before
    mirror.catch_up()
    assert mirror.trusted_size == mirror.ledger.size == house.federation.ledger.size
    other.close()


def test_a_restart_rebuilds_the_same_state(house: SchoolHouse) -> None:
    fill(house)
    house.sync()
    house.restart()
    mirror = mirror_of(house)
    assert mirror.ledger.root() == house.federation.ledger.root()
    assert mirror.trusted is not None
    assert mirror.trusted.time == house.now
    assert list(mirror.ledger.rounds) == list(house.federation.ledger.rounds)


def test_the_same_page_again_changes_nothing(house: SchoolHouse) -> None:
    fill(house)
    house.sync()
    before = stored(house)
    house.sync()
    assert stored(house) == before


def test_nothing_is_taken_before_a_card_is_pinned(tmp_path: object, house: SchoolHouse) -> None:
    page = house.federation.page(0)
    with house.store.transaction("forget"):
        house.store.execute("DELETE FROM setting WHERE name = 'card'")
    house.restart()
    house.desk.on_log(0, list(page.entries), page.latest, page.cosigned)
    assert stored(house) == 0
    assert house.desk.outgoing() is None
    assert house.desk.on_receipt(b"x") is False


def test_a_gap_is_refused(house: SchoolHouse) -> None:
    fill(house)
    page = house.federation.page(4)
    with pytest.raises(MirrorError) as caught:
        house.desk.on_log(4, list(page.entries), page.latest, page.cosigned)
    assert caught.value.code == "log-gap"
    assert stored(house) == 0


@pytest.mark.parametrize("position", [0, 1, 3])
def test_a_forged_entry_is_refused_and_what_was_before_it_stays(house: SchoolHouse, position: int) -> None:
    fill(house)
    page = house.federation.page(0)
    entries = list(page.entries)
    entry, body = entries[position]
    entries[position] = (entry.replace(b"county-1", b"county-2", 1), body)
    with pytest.raises(MirrorError) as caught:
        house.desk.on_log(0, entries, page.latest, page.cosigned)
    assert caught.value.code == "log-refused"
    assert stored(house) <= position
    house.sync()
    assert mirror_of(house).trusted_size == house.federation.ledger.size


def test_a_wrong_body_is_refused(house: SchoolHouse) -> None:
    page = house.federation.page(0)
    entries = [(entry, body + b" ") for entry, body in page.entries]
    with pytest.raises(MirrorError, match="wrong-body"):
        house.desk.on_log(0, entries, b"", b"")


def test_a_log_of_another_federation_is_refused(house: SchoolHouse) -> None:
    other = TinyFederation(federation="county-9", kind="production")
    page = other.page(0)
    with pytest.raises(MirrorError):
        house.desk.on_log(0, list(page.entries), page.latest, page.cosigned)
    assert stored(house) == 0


@pytest.mark.parametrize("cosigners", [["a1"], ["a1", "a2"], []], ids=["one", "two", "none"])
def test_too_few_cosignatures_trust_nothing(house: SchoolHouse, cosigners: list[str]) -> None:
    with pytest.raises(MirrorError) as caught:
        house.sync(cosigners=cosigners)
    assert caught.value.code == "log-checkpoint"
    assert mirror_of(house).trusted is None


def test_a_damaged_checkpoint_is_refused(house: SchoolHouse) -> None:
    house.sync()
    for note in (
        b"no note",
        house.federation.checkpoint(["a1", "a2", "a3"]).replace(b"fedscreen", b"fedscream"),
    ):
        with pytest.raises(MirrorError) as caught:
            house.desk.on_log(2, [], b"", note)
        assert caught.value.code == "log-checkpoint"


def test_a_checkpoint_for_entries_that_are_not_here_yet_waits(house: SchoolHouse) -> None:
    fill(house)
    page = house.federation.page(0, now=house.now)
    house.desk.on_log(0, list(page.entries[:3]), page.latest, page.cosigned)
    assert mirror_of(house).trusted is None
    house.desk.on_log(3, list(page.entries[3:]), page.latest, page.cosigned)
    assert mirror_of(house).trusted_size == house.federation.ledger.size


def test_an_older_checkpoint_does_not_shrink_what_is_trusted(house: SchoolHouse) -> None:
    house.sync()
    old = house.federation.checkpoint(["a1", "a2", "a3"], house.now)
    fill(house)
    house.sync()
    house.desk.on_log(house.federation.ledger.size, [], old, old)
    assert mirror_of(house).trusted_size == house.federation.ledger.size


def test_a_newer_time_for_the_same_tree_is_taken_an_older_one_is_not(house: SchoolHouse) -> None:
    house.sync()
    size, later = house.federation.ledger.size, house.now + timedelta(hours=20)
    house.desk.on_log(size, [], b"", house.federation.checkpoint(["a1", "a2", "a3"], later))
    house.desk.on_log(size, [], b"", house.federation.checkpoint(["a1", "a2", "a3"], house.now))
    trusted = mirror_of(house).trusted
    assert trusted is not None
    assert trusted.time == later


def test_the_time_is_the_one_that_a_whole_quorum_had_reached(house: SchoolHouse) -> None:
    size = house.federation.ledger.size
    notes = [
        house.federation.checkpoint([name], house.now - timedelta(hours=hours))
        for name, hours in (("a1", 0), ("a2", 5), ("a3", 2), ("a4", 9))
    ]
    note = notes[0] + b"".join(part.split(b"\n\n")[1].split(b"\n", 1)[1] for part in notes[1:])
    page = house.federation.page(0)
    house.desk.on_log(0, list(page.entries), b"", note)
    trusted = mirror_of(house).trusted
    assert trusted is not None
    assert (trusted.size, trusted.time) == (size, house.now - timedelta(hours=5))


# -- other histories ---------------------------------------------------------------------------


def test_entries_that_a_cosigned_checkpoint_contradicts_are_dropped(house: SchoolHouse) -> None:
    genesis, lie = other_history(house).page(0).entries
    house.desk.on_log(0, [genesis, lie], b"", b"")
    assert stored(house) == 2
    with pytest.raises(MirrorError) as caught:
        house.desk.on_log(2, [], b"", house.federation.checkpoint(["a1", "a2", "a3"], house.now))
    assert caught.value.code == "log-rewound"
    assert mirror_of(house).is_split is False
    house.sync()
    assert mirror_of(house).ledger.root() == house.federation.ledger.root()
    assert mirror_of(house).trusted_size == house.federation.ledger.size


def test_other_entries_replace_untrusted_ones(house: SchoolHouse) -> None:
    lie = other_history(house).page(0)
    house.desk.on_log(0, list(lie.entries), b"", b"")
    house.sync()
    assert mirror_of(house).ledger.root() == house.federation.ledger.root()


def test_a_lie_above_the_trusted_size_does_not_block_the_truth(house: SchoolHouse) -> None:
    genesis = house.federation.page(0).entries[0]
    first = house.federation.checkpoint(["a1", "a2", "a3"], house.now, size=1)
    house.desk.on_log(0, [genesis], b"", first)
    house.desk.on_log(1, [other_history(house).page(0).entries[1]], b"", b"")
    fill(house)
    page = house.federation.page(2)
    with pytest.raises(MirrorError):
        house.desk.on_log(2, list(page.entries), b"", b"")
    assert stored(house) == 1
    house.sync()
    assert mirror_of(house).trusted_size == house.federation.ledger.size


def test_other_entries_below_the_trusted_size_are_refused_without_being_believed(house: SchoolHouse) -> None:
    house.sync()
    lie = other_history(house).page(0)
    with pytest.raises(MirrorError) as caught:
        house.desk.on_log(0, list(lie.entries), b"", b"")
    assert caught.value.code == "log-differs"
    assert mirror_of(house).is_split is False


@pytest.mark.parametrize("is_cosigned", [True, False], ids=["cosigned", "log-signed only"])
def test_a_signed_second_history_is_kept_as_evidence_for_ever(house: SchoolHouse, is_cosigned: bool) -> None:
    house.sync()
    evidence = other_history(house).checkpoint(["a1", "a2", "a3"] if is_cosigned else [], house.now)
    arguments = (b"", evidence) if is_cosigned else (evidence, b"")
    with pytest.raises(MirrorError) as caught:
        house.desk.on_log(2, [], *arguments)
    assert caught.value.code == "log-split"
    house.restart()
    assert mirror_of(house).is_split is True
    row = house.store.one("SELECT note FROM checkpoint WHERE kind = 'split'")
    assert row is not None
    assert bytes(row[0]) == evidence
    assert house.call("status")["log"]["split"] == 1


def test_two_processes_share_one_mirror(house: SchoolHouse) -> None:
    other = SchoolHouse(house.folder, house.federation, is_enrolled=False)
    fill(house, 1)
    house.sync()
    assert other.call("status")["log"]["trusted_size"] == house.federation.ledger.size
    fill_again = house.publish(replace(plan_of(), id="tiny-9"))
    other.sync()
    assert fill_again in mirror_of(house).ledger.rounds
    other.store.close()


def test_a_process_notices_that_another_one_dropped_entries(house: SchoolHouse) -> None:
    other = SchoolHouse(house.folder, house.federation, is_enrolled=False)
    lie = other_history(house).page(0)
    house.desk.on_log(0, list(lie.entries), b"", b"")
    assert mirror_of(other).ledger.root() != house.federation.ledger.root()
    house.sync()
    assert mirror_of(other).ledger.root() == house.federation.ledger.root()
    assert mirror_of(other).trusted_size == house.federation.ledger.size
    other.store.close()


def test_a_page_of_too_many_entries_is_refused(house: SchoolHouse) -> None:
    with pytest.raises(MirrorError) as caught:
        house.desk.on_log(0, [(fake_bytes("x"), b"")] * 4097, b"", b"")
    assert caught.value.code == "log-page"
