"""P1, P9: pupils are on the psychologist's pages of the console, and on no other page, for nobody else.

Every page that can be opened (taken from the console's own table, so that a new one is opened too) is asked
for by a stranger, by IT, by the principal and by the psychologist, on a node whose pupils are canaries.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

pytest.importorskip("starlette", reason="the console needs fedscreen[web]")
pytest.importorskip("jinja2", reason="the console needs fedscreen[web]")

from canary_school import CANARIES, PUPILS, contents, school_files, search_of_canaries, unescaped
from fakes_console import Browser, ConsoleHouse, quick_kdf
from follow_up_school import AUTUMN

from node.console.app import PLACES, Place

SEARCH = search_of_canaries()
PAGES = [place for place in PLACES if place.method == "GET" and not place.path.startswith("/enter")]
WHO = ("stranger", "it", "principal", "psychologist")
WITH_PUPILS = ("/follow-up", "/follow-up/{rec_key:str}")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleHouse]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nacl.pwhash.argon2id.kdf", quick_kdf)
        made = ConsoleHouse(tmp_path_factory.mktemp("console"))
        made.give_roles()
        made.start_round(with_records=False)
        made.do(lambda school: school.call("import", school_files(), **AUTUMN))
        yield made
        made.keeper.close()


@pytest.fixture(scope="module")
def browsers(house: ConsoleHouse) -> dict[str, Browser]:
    return {
        "stranger": house.browser(),
        "it": house.browser().enter(),
        "principal": house.browser().log_in("principal"),
        "psychologist": house.browser().log_in("psychologist"),
    }


@pytest.fixture(scope="module")
def names(house: ConsoleHouse, browsers: dict[str, Browser]) -> dict[str, str]:
    """A round, a pupil's key, a file's id, for addresses."""
    browsers["psychologist"].get("/follow-up")
    keys = re.findall(r'href="/follow-up/([0-9a-f]{32})\?', browsers["psychologist"].text)
    round_id = house.do(lambda school: school.call("rounds")["rounds"][0]["round"])
    return {"{round:str}": round_id, "{rec_key:str}": keys[0], "{ending:str}": "html", "{id:str}": "ab" * 16}


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("place", PAGES, ids=lambda place: place.path)
def test_pupils_are_on_the_psychologists_pages_alone(
    names: dict[str, str], browsers: dict[str, Browser], place: Place, who: str
) -> None:
    path = place.path
    for name, value in names.items():
        path = path.replace(name, value)
    answer = browsers[who].get(path)
    parts = [("page", part) for part in contents(answer.content)]
    parts += [("page", unescaped(answer.text).encode()), ("headers", repr(answer.headers).encode())]
    found = SEARCH.find_in(parts)
    assert bool(found) == (who == "psychologist" and place.path in WITH_PUPILS), (answer.status_code, found)
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    "path", [f"/nowhere/{PUPILS[0]}", f"/follow-up/{CANARIES[8]}", f"/round/{PUPILS[1]}/check"]
)
def test_what_stands_in_an_address_is_not_repeated(browsers: dict[str, Browser], path: str) -> None:
    for browser in browsers.values():
        answer = browser.get(path)
        assert answer.status_code < 500
        assert SEARCH.find(answer.content) == set()


def test_every_page_with_pupils_is_one_of_the_psychologists() -> None:
    by_path = {place.path: place for place in PAGES}
    assert set(WITH_PUPILS) <= set(by_path)
    for path in WITH_PUPILS:
        assert by_path[path].who == frozenset({"psychologist"})
