"""The county's name in words, from its configuration, on the page of results and in what is taken away."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from fakes_coordinator import County
from fakes_dashboard import Office

from coordinator.config import encode_config, load_config


def test_results_and_downloads_name_the_unit_of_the_configuration(
    shared: Office, templates: Callable[[str], Path], tmp_path: Path
) -> None:
    path = f"/results/{shared.county.round_id.hex()}"
    taken = shared.visitor("clerk").get(f"{path}/report/json").json()
    assert taken["place"] == shared.open.config.federation
    folder = Path(shutil.copytree(templates("released"), tmp_path / "county"))
    named = load_config(folder).model_copy(update={"unit": "云岭县教育局"})
    (folder / "coordinator.toml").write_bytes(encode_config(named))
    office = Office(County(folder))
    try:
        clerk = office.visitor("clerk")
        assert clerk.get(f"{path}/report/json").json()["place"] == "云岭县教育局"
        assert "云岭县教育局" in clerk.get(path).text
        assert "<strong>云岭县教育局</strong>" in clerk.get("/").text
    finally:
        office.close()
