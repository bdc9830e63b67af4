"""The desk that only follows the log: nothing else is loaded, and nothing late."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from fakes_vault import KEY, SchoolHouse

from node.vault.errors import VaultError
from node.vault.run_desk import RunDesk
from node.vault.store import VaultStore

ROOT = Path(__file__).parents[3]

PROGRAM = """
import pickle, sys
from datetime import datetime
from pathlib import Path
sys.path.insert(0, sys.argv[1])
folder = Path(sys.argv[2])
from node.vault import worker
open_desk = worker.load_run_desk()
worker.load_late_modules("run")
rooms = {name.split(".")[0] for name in sys.modules}
pages, receipt, key, now = pickle.loads((folder / "pages").read_bytes())
worker._now = lambda: now

def audit(event, args):
    if event == "import" or (event == "open" and not str(args[0]).startswith(str(folder))):
        raise RuntimeError("late " + event + " " + repr(args[:1]))

worker.close_imports()
sys.addaudithook(audit)
desk = open_desk(folder, key, "L3", bytes(32))
for page in pages:
    desk.on_log(*page)
payload = desk.outgoing()
taken = desk.on_receipt(receipt)
for wrong in (receipt[:-2], b"", bytes(60)):
    assert not desk.on_receipt(wrong)
again = desk.outgoing()
try:
    desk.on_log(10_000, [], b"", b"")
except Exception as err:
    str(err)
heavy = {"numpy", "privacy", "python_calamine", "tomllib"}
print(len(payload), taken, again == payload, *sorted(rooms & heavy))
"""


@pytest.fixture
def house(tmp_path: Path) -> SchoolHouse:
    """A school with a report that waits."""
    house = SchoolHouse(tmp_path)
    house.release(house.start_round())
    return house


def test_an_idle_vault_loads_little_and_nothing_once_the_wall_stands(house: SchoolHouse) -> None:
    """Not the sampler either: what the egress asks for on the coordinator's behalf can never draw noise."""
    page = house.federation.page(0, None, house.now)
    pages = [(0, list(page.entries), page.latest, page.cosigned)]
    payload = house.desk.outgoing()
    assert payload is not None
    receipt = house.submit()
    (house.folder / "pages").write_bytes(pickle.dumps((pages, receipt, KEY, house.now)))
    house.store.close()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(ROOT), str(house.folder)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(len(payload)), "True", "True"]


def test_it_does_what_the_desk_of_commands_does(house: SchoolHouse) -> None:
    follower = RunDesk(VaultStore(house.folder / "vault.db", KEY), now=lambda: house.now)
    payload = house.desk.outgoing()
    assert follower.outgoing() == payload
    receipt = house.submit()
    assert follower.on_receipt(receipt)
    assert not follower.on_receipt(receipt[:-1])
    page = house.federation.page(0, None, house.now)
    follower.on_log(page.start, list(page.entries), page.latest, page.cosigned)
    assert follower.outgoing() is None
    assert house.desk.outgoing() is None  # it reads what the other one has stored


def test_a_gap_is_refused(house: SchoolHouse) -> None:
    follower = RunDesk(VaultStore(house.folder / "vault.db", KEY), now=lambda: house.now)
    with pytest.raises(VaultError) as caught:
        follower.on_log(100, [], b"", b"")
    assert caught.value.code == "log-gap"


def test_before_the_grant_nothing_is_taken(tmp_path: Path) -> None:
    house = SchoolHouse(tmp_path, is_enrolled=False)
    follower = RunDesk(house.store, now=lambda: house.now)
    follower.on_log(0, [(b"x", b"")], b"", b"")
    assert follower.outgoing() is None
    assert not follower.on_receipt(b"x")


def test_a_held_node_offers_nothing(house: SchoolHouse) -> None:
    follower = RunDesk(VaultStore(house.folder / "vault.db", KEY), now=lambda: house.now)
    house.call("hold", on=1)
    assert follower.outgoing() is None
    house.call("hold", on=0)
    assert follower.outgoing() is not None
