"""The yearly evidence pack: its facts, that every form says the same, what may never stand in it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from fakes_auditors import sign_entry
from fakes_evidence import (
    SECRET_SUM,
    STATEMENTS,
    YEAR,
    County,
    county_year,
    visit_of,
    write_bundle_of,
    write_folder,
)

from auditor.cli import auditor
from auditor.config import AuditorFolder
from auditor.errors import ConfigError, EvidenceError
from auditor.evidence.documents import make_document
from auditor.evidence.facts import Facts
from auditor.evidence.gaps import failures_of, open_points_of
from auditor.evidence.gather import Source, gather
from auditor.evidence.sources import Inputs, read_bundle
from auditor.evidence.stated import parse_stated
from auditor.evidence.wording import LAWYER
from auditor.evidence.writing import Request, evidence_bytes, make_pack
from crypto.canonical import parse_json
from crypto.checkpoint import Checkpoint, encode_checkpoint
from fedscreen.language import speak
from paper.html import encode_html
from paper.speech import CHINESE, speech_of
from protos.fields import HEX_PATTERN

PROFILES = ("cn-minors-annual", "mlps3")
TAGS = ("zh-CN", "en")
IN_EVERY_FORM = {"cn-minors-annual": "zh_CN", "mlps3": "en"}
FAILURES = [
    ("release-corrected", "2", "school-miscounted", 0),
    ("round-abandoned", "3", "expired", 0),
    ("round-reissued", "4", "wrong-terms", 5),
    ("release-withdrawn", "5", "wrong-records", 0),
    ("refused", "5", "seed-mismatch", 1),
    ("away", "5", "a4", 0),
    ("round-corrupt", "6", "", 0),
    ("draw-withheld", "6", "a4", 0),
    ("replay-failed", "s2", "a2", 2),
    ("visit-failed", "s2", "FAIL", 2),
    ("revoked-node", "s6", "closed", 126),
    ("revoked-auditor", "a4", "key-lost", 127),
]


@dataclass
class Year:
    """The year, once a module."""

    county: County
    root: Path
    folder: AuditorFolder
    bundle: Path
    since: Path
    statements: Path

    def inputs(self, **changes: Any) -> Inputs:
        given = Inputs(self.folder.policy, self.since, self.folder.root / "site", self.statements)
        return replace(given, **changes)

    @cached_property
    def source(self) -> Source:
        return read_bundle(self.bundle, self.inputs())

    def facts(self, year: int = YEAR, **changes: Any) -> Facts:
        """Read the bundle again, from other inputs."""
        return gather(read_bundle(self.bundle, self.inputs(**changes)), year)


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Year]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _descriptor: None)
        patch.setenv("LANGUAGE", "zh_CN")
        speak(os.environ)
        root = tmp_path_factory.mktemp("evidence")
        county, kept = county_year()
        folder = write_folder(county, root / "folder")
        (root / "since.txt").write_bytes(kept)
        (root / "stated.toml").write_text(STATEMENTS, "utf-8")
        bundle = write_bundle_of(folder, county, root / "bundle")
        yield Year(county, root, folder, bundle, root / "since.txt", root / "stated.toml")


@pytest.fixture(scope="module")
def facts(year: Year) -> Facts:
    return gather(year.source, YEAR)


@pytest.fixture(scope="module")
def packs(year: Year) -> dict[str, dict[str, bytes]]:
    """Pages of both profiles in both languages; pdf and docx of one profile in each language."""
    source = year.source
    found = {profile: make_pack(source, Request(profile, YEAR, formats=("html",)))[1] for profile in PROFILES}
    for profile, language in IN_EVERY_FORM.items():
        found[profile] |= make_pack(source, Request(profile, YEAR, (language,), ("pdf", "docx")))[1]
    return found


def words_of(page: bytes) -> str:
    return unescape(re.sub("<[^>]+>", "\n", re.sub("<style>.*?</style>", "", page.decode())))


def pdf_words(data: bytes) -> str:
    done = subprocess.run(["pdftotext", "-raw", "-", "-"], input=data, capture_output=True, check=True)
    return done.stdout.decode()


def docx_words(data: bytes) -> str:
    docx = pytest.importorskip("docx")
    document = docx.Document(io.BytesIO(data))
    cells = [cell.text for table in document.tables for row in table.rows for cell in row.cells]
    return "\n".join([*(item.text for item in document.paragraphs), *cells])


# --- facts ------------------------------------------------------------------------------------


def test_the_rounds_of_the_year_are_those_with_a_day_in_it(facts: Facts) -> None:
    assert [(row.serial, row.state, row.ended) for row in facts.rounds] == [
        (2, "released", ""),
        (3, "aborted", "abandoned"),
        (4, "aborted", "reissued"),
        (5, "released", ""),
        (6, "aborted", "corrupt"),
    ]
    assert facts.other_rounds == (1,)


def test_an_earlier_year_has_its_own_round_and_accounts(year: Year) -> None:
    found = gather(replace(year.source, kept=b""), 2025)
    assert [row.serial for row in found.rounds] == [1]
    assert found.start.origin == "beginning"
    assert found.year_until == year.county.round(list(year.county.ledger.rounds)[1]).plan.index
    assert not any(row.is_of_year for row in (*found.replays, *found.revocations))
    assert found.visits == ()  # of round 2, in 2026
    assert failures_of(found) == ()
    assert [row.school_year for row in found.accounts] == ["2025-2026"]


def test_what_failed_is_listed_in_order_and_complete(facts: Facts) -> None:
    assert [(row.code, row.place, row.detail, row.number) for row in failures_of(facts)] == FAILURES


def test_an_abandoned_round_costs_nothing_and_one_ended_by_the_sum_does(facts: Facts) -> None:
    spent = {row.school_year: row for row in facts.accounts}
    assert facts.rounds[1].is_refunded
    assert not facts.rounds[4].is_refunded
    assert spent["2026-2027"].spent_decimal == spent["2025-2026"].spent_decimal == "0.399961"
    assert spent["2026-2027"].epsilon == "4.604"
    assert all(row.is_within and row.num_schools == 6 for row in spent.values())


def test_an_auditor_that_rolled_over_has_two_terms(facts: Facts) -> None:
    terms = [(row.from_roster, row.until_roster, row.follows) for row in facts.terms if row.auditor == "a3"]
    assert terms == [(1, 3, 0), (3, 0, 1)]
    assert [(row.roster, row.what, row.who) for row in facts.key_changes] == [(3, "auditor-rolled", "a3")]
    revoked = [(row.auditor, row.revoked_at, row.reason) for row in facts.terms if row.revoked_at]
    assert revoked == [("a4", 127, "key-lost")]


def test_who_was_away_and_who_withheld_a_draw_is_named_by_round(facts: Facts) -> None:
    assert {row.serial: row.away for row in facts.rounds if row.away} == {5: ("a4",)}
    assert {row.serial: row.withheld_draws for row in facts.rounds if row.withheld_draws} == {6: ("a4",)}


def test_schools_are_counted_by_form_and_the_revoked_one_is_gone(facts: Facts) -> None:
    assert {row.form: row.number for row in facts.custody} == {"a": 2, "b": 1, "c": 1, "": 1}
    assert [row.id for row in facts.schools] == ["s1", "s2", "s3", "s4", "s5"]


def test_both_ends_of_the_log_have_their_checkpoints(year: Year, facts: Facts) -> None:
    ledger = year.county.ledger
    assert (facts.start.origin, facts.end.origin) == ("kept", "newest")
    assert facts.start.root == ledger.root(facts.start.size).hex()
    assert facts.end.root == ledger.root().hex()
    assert facts.start.note.encode() == year.since.read_bytes()
    assert [row.auditor for row in facts.end.cosignatures] == ["a1", "a2", "a3"]
    assert facts.made_on == "2027-01-15"  # by the newest cosignature


def test_a_kept_checkpoint_of_another_history_is_a_failed_check(
    year: Year, facts: Facts, tmp_path: Path
) -> None:
    assert ("head", "PASS") in {(row.name, row.outcome) for row in facts.verification.checks}
    key = year.county.log_key
    text = encode_checkpoint(Checkpoint(key.name, facts.start.size, b"\x07" * 32))
    path = tmp_path / "since.txt"
    path.write_bytes(sign_entry(text, [key]))
    assert ("check-failed", "head") in {(row.code, row.place) for row in failures_of(year.facts(kept=path))}


def test_without_a_kept_checkpoint_the_year_begins_at_its_first_plan_and_says_so(year: Year) -> None:
    found = gather(replace(year.source, kept=b""), YEAR)
    assert found.start.origin == "unknown"
    assert found.start.size == found.rounds[0].index
    assert "no-kept-checkpoint" in {row.code for row in open_points_of(found)}


def test_a_year_without_rounds_has_a_pack_that_says_so(year: Year) -> None:
    found, files = make_pack(replace(year.source, kept=b""), Request("mlps3", 2030, formats=("html",)))
    assert (found.rounds, found.accounts, found.entries_of_year) == ((), (), ())
    assert "no-round" in {row.code for row in open_points_of(found)}
    assert "本年度没有任何轮次" in files["mlps3.zh-CN.html"].decode()


def test_without_a_cosignature_the_day_has_to_be_given(year: Year) -> None:
    county = year.county
    size = county.ledger.size
    text = encode_checkpoint(Checkpoint(county.log_key.name, size, county.ledger.root()))
    alone = replace(year.source, checkpoint=sign_entry(text, [county.log_key]))
    with pytest.raises(EvidenceError, match="--date"):
        gather(alone, YEAR)
    assert gather(alone, YEAR, "2027-01-20").made_on == "2027-01-20"


def test_open_points_name_what_people_have_to_state(year: Year, facts: Facts) -> None:
    unstated = {row.place for row in open_points_of(facts) if row.code == "custody-unstated"}
    assert unstated == {"confidentiality_agreement", "deletion_certificate"}
    codes = {row.code: row.number for row in open_points_of(facts)}
    assert codes["custody-unknown"] == 1
    assert codes["skipped-checks"] == 3
    bare = {row.code for row in open_points_of(year.facts(stated=None, policy=None, site=None))}
    assert {"no-policy", "no-visits", "retention-unstated"} <= bare


def test_a_visit_counts_with_the_signature_of_its_auditor_only(year: Year, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(visit_of(year.county, "s3", "PASS", signer="a2"))
    found = year.facts(site=tmp_path)
    assert [(row.node, row.round, row.is_signed) for row in found.visits] == [("s3", 2, 0)]
    assert ("visit-unsigned", "s3") in {(row.code, row.place) for row in failures_of(found)}


def test_a_failed_check_stands_in_the_pack(year: Year, tmp_path: Path) -> None:
    strict = year.folder.policy.read_text().replace("max-rho-year 1/2", "max-rho-year 1/4")
    policy = tmp_path / "policy.txt"
    policy.write_text(strict)
    found = year.facts(policy=policy)
    failed = {(row.code, row.place) for row in failures_of(found)}
    assert ("check-failed", "account") in failed
    assert ("over-the-cap", "2026-2027") in failed
    assert found.verification.summary == "FAIL"


# --- documents --------------------------------------------------------------------------------


def numbers(text: str) -> set[str]:
    return set(re.findall(r"[0-9]+", text))


def known_numbers(pack: dict[str, bytes]) -> set[str]:
    """Numbers in evidence.json, and days and clock times of its times at the county."""
    values: Any = parse_json(pack["evidence.json"].rstrip(b"\n"))
    found = numbers(json.dumps(values, ensure_ascii=False))
    text = json.dumps(values)
    for moment in re.findall(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):", text):
        found |= {*moment, f"{(int(moment[3]) + 8) % 24:02d}"}
    return found


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("tag", TAGS)
def test_every_number_of_a_document_stands_in_the_json(
    packs: dict[str, dict[str, bytes]], profile: str, tag: str
) -> None:
    pack = packs[profile]
    text = words_of(pack[f"{profile}.{tag}.html"]).replace("10⁻⁶", "")
    text = re.sub(r"^(Annex )?\d+[.:] ", "", text, flags=re.MULTILINE)  # the chapters' own numbers
    text = text.replace("annex 1", "").replace("Annex 4", "")
    whole = pack["evidence.json"].decode()
    text = re.sub(r"\b[0-9a-f]{16}\b", lambda found: "" if found[0] in whole else found[0], text)
    attempts = {"1"}
    assert numbers(text) - known_numbers(pack) - attempts == set()


def squeezed(text: str) -> str:
    return re.sub(r"[\s\u200b]+", "", text)


@pytest.mark.parametrize("profile", PROFILES)
def test_page_and_word_document_say_the_same(packs: dict[str, dict[str, bytes]], profile: str) -> None:
    pack, tag = packs[profile], IN_EVERY_FORM[profile].replace("_", "-")
    lines = [line for line in words_of(pack[f"{profile}.{tag}.html"]).split("\n") if line.strip()]
    assert len(lines) > 300
    word = squeezed(docx_words(pack[f"{profile}.{tag}.docx"]))
    assert [line for line in lines if squeezed(line) not in word] == []


def test_the_pdf_says_what_the_page_says(packs: dict[str, dict[str, bytes]]) -> None:
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext is not installed")
    pack = packs["cn-minors-annual"]
    lines = [line for line in words_of(pack["cn-minors-annual.zh-CN.html"]).split("\n") if line.strip()]
    printed = squeezed(pdf_words(pack["cn-minors-annual.zh-CN.pdf"]))
    short = [line for line in lines if len(line) < 12]  # longer ones may run over a page's foot
    assert [line for line in short if squeezed(line) not in printed] == []


CODE_WORDS = {
    *("county", "log", "witness", "fedscreen", "operator", "of", "school", "public", "auditor", "SHA"),
    *("Ed", "ML", "KEM", "AES", "SM", "PASS", "FAIL", "MHT"),
}


@pytest.mark.parametrize("profile", PROFILES)
def test_the_chinese_document_is_chinese_but_for_code_words(
    packs: dict[str, dict[str, bytes]], profile: str
) -> None:
    page = re.sub('<p class="code">.*?</p>', "", packs[profile][f"{profile}.zh-CN.html"].decode())
    text = re.sub(r"\b[0-9a-f]{8,64}\b", "", words_of(page.encode()))
    text = re.sub(r"\b[0-9]+ texts read.*|.*replays, .*|one form|^replays$", "", text, flags=re.MULTILINE)
    found = set(re.findall(r"[A-Za-z]{2,}", text))
    assert found - CODE_WORDS == set()


WRITTEN_BY_PEOPLE = (
    *("由县教育局信息中心一人保管", "某县教育局；各校", "县教育局", "教思政厅函〔2021〕10号"),
    *("小计划", "测试", "测评情况", "预警等级", "密评", "等级保护"),
)


@pytest.mark.parametrize("profile", PROFILES)
def test_the_english_document_is_english_but_for_names(
    packs: dict[str, dict[str, bytes]], profile: str
) -> None:
    text = words_of(packs[profile][f"{profile}.en.html"])
    for known in WRITTEN_BY_PEOPLE:
        text = text.replace(known, "")
    assert re.findall("[\u4e00-\u9fff]+", text) == []


def test_law_is_marked_for_a_lawyer_and_only_listed_sources_are_cited(
    packs: dict[str, dict[str, bytes]],
) -> None:
    listed = (Path(__file__).resolve().parents[2] / "docs" / "zh" / "README.md").read_text("utf-8")
    for profile in PROFILES:
        lines = words_of(packs[profile][f"{profile}.zh-CN.html"]).split("\n")
        for line in lines:
            if re.search("《[^》]*(?:法|条例)》|第[一二三四五六七八九十]+条", line):
                assert line.startswith(LAWYER.zh), line
            for law in re.findall("《[^》]*(?:法|条例)》第[一二三四五六七八九十]+条", line):
                assert law in listed
            assert set(re.findall(r"〔\d{4}〕\d+号", line)) <= {"〔2021〕10号"}
    assert "尚未满足商用密码应用安全性评估（密评）要求" in words_of(packs["mlps3"]["mlps3.zh-CN.html"])


def test_no_count_of_a_school_no_estimate_and_no_ranking_stands_in_any_file(
    packs: dict[str, dict[str, bytes]],
) -> None:
    for profile, pack in packs.items():
        texts = [words_of(pack[f"{profile}.{tag}.html"]) for tag in TAGS]
        for text in (*texts, pack["evidence.json"].decode()):
            assert str(SECRET_SUM) not in text
            assert not re.search("问题学生|患者|心理疾病|异常学生|名单以外|排名第|得分", text)
        assert "不得用于学校排名" in texts[0]
    values: Any = parse_json(packs["mlps3"]["evidence.json"].rstrip(b"\n"))
    assert {name for school in values["facts"]["schools"] for name in school} == {
        "id",
        "name",
        "operator",
        "deployment",
    }


def test_the_same_input_gives_the_same_bytes_and_another_day_another_page(
    year: Year, packs: dict[str, dict[str, bytes]]
) -> None:
    source = year.source
    again = make_pack(source, Request("mlps3", YEAR, ("en",)))[1]
    assert again == {name: packs["mlps3"][name] for name in again}
    later = Request("mlps3", YEAR, ("zh_CN",), ("html",), "2027-01-31")
    assert "2027-01-31" in make_pack(source, later)[1]["mlps3.zh-CN.html"].decode()


def test_the_json_is_canonical_and_says_what_it_is(facts: Facts) -> None:
    data = evidence_bytes(facts, "mlps3")
    values: Any = parse_json(data.rstrip(b"\n"))
    assert (values["format"], values["profile"]) == ("fedscreen/evidence/v1", "mlps3")
    assert [row["code"] for row in values["failures"]] == [row[0] for row in FAILURES]
    assert HEX_PATTERN.match(values["facts"]["verification"]["bundle"])


# --- the command ------------------------------------------------------------------------------


def run(year: Year, out: Path, *arguments: str) -> Result:
    formats = () if "--format" in arguments else ("--format", "html")
    base = ["report", "--profile", "mlps3", "--year", str(YEAR), "--lang", "zh", *formats]
    return CliRunner().invoke(auditor, [*base, "--out", str(out), *arguments])


def digests(folder: Path) -> dict[str, str]:
    lines = (folder / "MANIFEST").read_text().splitlines()
    return {line.split("  ")[1]: line.split("  ")[0] for line in lines}


def test_a_pack_from_a_folder_holds_its_bundle_and_a_list_of_digests(year: Year, tmp_path: Path) -> None:
    out = tmp_path / "pack"
    done = run(year, out, "--dir", str(year.folder.root), "--since", str(year.since), "--json")
    assert done.exit_code == 0
    said = json.loads(done.output)
    assert (said["verify"], said["rounds"], said["failures"]) == ("INCOMPLETE", 5, len(FAILURES))
    listed = digests(out)
    for name, digest in listed.items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == digest
    present = {path.name for path in out.iterdir() if path.is_file()} - {"MANIFEST"}
    assert set(listed) == present | {"bundle/MANIFEST"}
    assert {"mlps3.zh-CN.html", "evidence.json", "checkpoint.txt", "policy.txt", "since.txt"} == present
    assert (out / "checkpoint.txt").read_bytes() == (out / "bundle/log/checkpoint").read_bytes()


def test_an_inspector_without_keys_gets_the_same_facts_from_the_bundle(year: Year, tmp_path: Path) -> None:
    site = str(year.folder.root / "site")
    run(year, tmp_path / "one", "--dir", str(year.folder.root))
    done = run(
        year,
        tmp_path / "two",
        *("--bundle", str(tmp_path / "one/bundle"), "--policy", str(year.folder.policy), "--site", site),
        *("--dir", str(tmp_path / "nothing")),
    )
    assert done.exit_code == 0, done.output
    first, second = ((tmp_path / name / "evidence.json").read_text() for name in ("one", "two"))
    assert first.replace('"source":"folder"', '"source":"bundle"') == second


def test_what_cannot_be_made_is_refused_and_leaves_nothing(
    year: Year, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").mkdir()
    assert "exists already" in run(year, tmp_path / "there", "--json", "--dir", "x").output
    spoilt = tmp_path / "spoilt"
    spoilt.mkdir()
    assert run(year, tmp_path / "new", "--bundle", str(spoilt), "--json").exit_code == 1
    monkeypatch.setitem(__import__("sys").modules, "typst", None)
    base = ("--bundle", str(year.bundle), "--json", "--format", "pdf")
    assert "extra 'pdf'" in run(year, tmp_path / "new", *base).output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["spoilt", "there"]


def test_a_log_that_breaks_the_rules_gives_no_pack(year: Year, tmp_path: Path) -> None:
    bundle = write_bundle_of(year.folder, year.county, tmp_path / "bundle")
    (bundle / "log/checkpoint").write_bytes(b"nothing\n")
    done = run(year, tmp_path / "new", "--bundle", str(bundle), "--json")
    assert done.exit_code == 1
    assert "cannot be read" in json.loads(done.output)["message"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[custody]\nwho = 'x'", "unknown key who"),
        ("[retention]\nrecords_days = 'long'", "whole number of days"),
        ("[retention]\nlog_days = -1", "whole number of days"),
        ("custody = 3", "expected a table"),
        ("controllers = ''", "text of 1 to"),
        ("= =", "not TOML"),
    ],
    ids=["unknown", "text", "negative", "no-table", "empty", "no-toml"],
)
def test_statements_of_people_are_read_strictly(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_stated(text.encode())


@pytest.mark.parametrize("summary", ["PASS", "FAIL"])
def test_a_failed_verification_is_red(facts: Facts, summary: str) -> None:
    found = replace(facts, verification=replace(facts.verification, summary=summary))
    document = make_document(found, "cn-minors-annual", speech_of(CHINESE))
    page = encode_html(document).decode()
    assert ('<dd style="color:var(--red)' in page) == (summary == "FAIL")
    assert document.head.alarms == (("核验结论",) if summary == "FAIL" else ())
