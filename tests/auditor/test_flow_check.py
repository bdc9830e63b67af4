"""Counted bytes: what files are read, what is refused, and the command."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fakes_auditors import FakeCounty, run_all

from auditor.bundle_write import write_bundle
from auditor.cli import auditor
from auditor.desk import Desk
from auditor.errors import RefusalError
from auditor.flow_check import Flow, FlowReport, SchoolFlow, parse_flows, parse_network
from plan.errors import phrase_of

MANIFEST = """
format = "fedscreen/flows/v1"
county = ["203.0.113.5", "2001:db8::5"]
poll_s = 300
utc_offset = "+08:00"
[schools]
s1 = ["10.1.0.7"]
s2 = ["10.2.0.7", "2001:0db8:0::7"]
"""
CHINA = timezone(timedelta(hours=8))
AT = datetime(2026, 10, 20, 0, 0, tzinfo=UTC)
EXPECTED = [Flow(AT, "10.1.0.7", "203.0.113.5", 4321)]
READ: dict[str, str] = {
    "generic": "time,src,dst,bytes\n2026-10-20T08:00:00+08:00,10.1.0.7,203.0.113.5,4321\n",
    "seconds": "time,src,dst,bytes\n1792454400,10.1.0.7,203.0.113.5,4321\n",
    "no offset": "bytes,dst,src,time\n4321,203.0.113.5,10.1.0.7,2026-10-20 08:00:00\n",
    "nfdump 1.6": (
        "ts,te,td,sa,da,sp,dp,pr,flg,ipkt,ibyt,opkt,obyt\n"
        "2026-10-20 08:00:00,2026-10-20 08:04:00,240.0,10.1.0.7,203.0.113.5,40000,443,TCP,.AP,9,4321,0,0\n"
        "Summary\nflows,bytes,packets\n1,4321,9\n"
    ),
    "nfdump 1.7": (
        "firstSeen,duration,proto,srcAddr,srcPort,dstAddr,dstPort,packets,bytes,bps\r\n"
        "2026-10-20 08:00:00.000,240.0,TCP,10.1.0.7,40000,203.0.113.5,443,9,4321,1\r\n"
    ),
    "a mark, a comment and an empty line": (
        "\ufeff# from the switch\n\ntime,src,dst,bytes\n1792454400,10.1.0.7,203.0.113.5,4321\n"
    ),
}
REFUSED: dict[str, str] = {
    "nothing": "",
    "no header": "2026-10-20T08:00:00+08:00,10.1.0.7,203.0.113.5,4321\n",
    "no bytes": "time,src,dst\n1,10.1.0.7,203.0.113.5\n",
    "a name for an address": "time,src,dst,bytes\n1,school,203.0.113.5,1\n",
    "fewer bytes than none": "time,src,dst,bytes\n1,10.1.0.7,203.0.113.5,-1\n",
    "a short line": "time,src,dst,bytes\n1,10.1.0.7\n",
    "bytes with a unit": "time,src,dst,bytes\n1,10.1.0.7,203.0.113.5,4.2 M\n",
    "bytes in other digits": "time,src,dst,bytes\n1,10.1.0.7,203.0.113.5,\u0664\u0662\n",
    "a time that is none": "time,src,dst,bytes\nnow,10.1.0.7,203.0.113.5,1\n",
    "a time out of range": "time,src,dst,bytes\n99999999999999999999,10.1.0.7,203.0.113.5,1\n",
    "a time that this machine cannot hold": "time,src,dst,bytes\n99999999999999999,10.1.0.7,203.0.113.5,1\n",
    "a field without end": 'time,src,dst,bytes\n"' + "x" * 200_000,
    "a bare carriage return": "time,src,dst,bytes\n1\r2,10.1.0.7,203.0.113.5,1\n",
}


@pytest.mark.parametrize("name", READ)
def test_flow_files_that_are_read(name: str) -> None:
    assert list(parse_flows(READ[name].encode(), CHINA)) == EXPECTED


@pytest.mark.parametrize("name", REFUSED)
def test_flow_files_that_are_refused(name: str) -> None:
    with pytest.raises(RefusalError):
        list(parse_flows(REFUSED[name].encode(), CHINA))


def test_a_time_without_an_offset_needs_one() -> None:
    with pytest.raises(RefusalError, match="utc_offset"):
        list(parse_flows(READ["no offset"].encode(), None))


def test_a_line_that_is_refused_says_what_was_expected_in_the_readers_language() -> None:
    with pytest.raises(RefusalError) as caught:
        list(parse_flows(REFUSED["bytes with a unit"].encode(), CHINA))
    told = phrase_of(caught.value).text(lambda text: f"<{text}>")
    assert "<line 2 of the flows" in told
    assert "<expected bytes as a whole number without a unit, found '4.2 M'>" in told


def test_addresses_are_compared_by_value() -> None:
    network = parse_network(MANIFEST.encode())
    assert network.school_of()["2001:db8::7"] == "s2"
    assert network.tolerance_percent == 5


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("fedscreen/flows/v1", "fedscreen/flows/v2"),
        ("poll_s = 300", "poll_s = 0"),
        ("poll_s = 300", 'poll_s = "300"'),
        ("poll_s = 300", ""),
        ("poll_s = 300", "poll_s = true"),
        ("203.0.113.5", "county.example"),
        ("+08:00", "8"),
        ("10.2.0.7", "10.1.0.7"),
        ("10.2.0.7", "203.0.113.5"),
        ("utc_offset", "offset"),
        ("[schools]", "[school]"),
        ("format", "\x00"),
        ('["10.1.0.7"]', "[]"),
    ],
)
def test_manifests_that_are_refused(old: str, new: str) -> None:
    with pytest.raises(RefusalError):
        parse_network(MANIFEST.replace(old, new, 1).encode())


def test_nothing_counted_is_not_passed() -> None:
    quiet = SchoolFlow("s1", 0, 0, 0, 0, 9000)
    assert quiet.result == "PASS"  # it sent no report, and nothing was counted
    found = [
        FlowReport([quiet], num_flows=flows, num_outside=outside).outcome
        for flows, outside in ((0, 0), (4, 4), (5, 4))
    ]
    assert found == ["INCOMPLETE", "INCOMPLETE", "PASS"]


def test_the_command_on_a_bundle(
    county: FakeCounty, desks: dict[str, Desk], opened_round: bytes, tmp_path: Path
) -> None:
    county.release_real(opened_round)
    run_all(list(desks.values()), 2)
    write_bundle(desks["a1"].context, tmp_path / "bundle", is_public=True)
    (tmp_path / "policy.txt").write_text(county.policy_text())
    (tmp_path / "flows.toml").write_text(MANIFEST)
    size = county.round(opened_round).reports[("s1", 0)].statement.size
    line = "2026-10-20T08:00:00+08:00,%s,%s,%d\n"

    def check(*rows: tuple[str, str, int], code: int) -> Any:
        (tmp_path / "flows.csv").write_text("time,src,dst,bytes\n" + "".join(line % row for row in rows))
        found = CliRunner().invoke(
            auditor,
            [
                *("flow", "check", opened_round.hex()[:8], "--json"),
                *("--manifest", str(tmp_path / "flows.toml"), "--flows", str(tmp_path / "flows.csv")),
                *("--bundle", str(tmp_path / "bundle"), "--policy", str(tmp_path / "policy.txt")),
                *("--from", "2026-10-20T00:00:00+08:00", "--to", "2026-10-21T00:00:00+08:00"),
            ],
        )
        assert found.exit_code == code, found.output
        return json.loads(found.stdout)

    good = [("10.1.0.7", "203.0.113.5", size + 9000), ("2001:db8::7", "2001:db8::5", size + 9000)]
    values = check(*good, ("192.0.2.1", "192.0.2.2", 10**9), code=0)
    assert [row["result"] for row in values["schools"]] == ["PASS", "PASS"]
    assert (values["flows"], values["other"]) == (3, 1)
    assert check(*good[:1], code=2)["outcome"] == "INCOMPLETE"
    assert check(*good, ("10.1.0.7", "203.0.113.5", 10**7), code=1)["schools"][0]["result"] == "FAIL"
    assert check(*good, ("10.1.0.7", "192.0.2.2", 1), code=1)["unknown"][0]["bytes"] == 1
    assert len(values["unlisted"]) > 0
    assert not {"s1", "s2"} & set(values["unlisted"])
    (tmp_path / "flows.toml").write_text(MANIFEST.replace("s2 =", "s99 ="))
    refused = check(*good, ("10.2.0.7", "203.0.113.5", 18_000), code=1)
    assert refused["error"] == "flows"
    assert "s99" in refused["message"]


@pytest.mark.parametrize("page", ["on-site-audit.md", "on-site-audit.zh-CN.md"])
def test_the_manifest_of_the_page_is_one(page: str) -> None:
    text = (Path(__file__).parents[2] / "docs" / page).read_text("utf-8")
    (example,) = re.findall(r"```toml\n(format = .*?)```", text, re.DOTALL)
    network = parse_network(example.encode())
    assert network.school_of()["2001:db8::7"] == "s02"
    defaults = (network.connections_a_day, network.starts_a_day, network.retries, network.tolerance_percent)
    assert defaults == (4, 1, 1, 5)
