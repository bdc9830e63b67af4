"""Valid inputs of every target, made from the tests' fakes and vectors: where mutation starts."""

from __future__ import annotations

import csv
import functools
import io
import json
import struct
from pathlib import Path

import table_files
import xlsxwriter
from fakes_coordinator import PLAN_TOML, School, csr
from fakes_federation import NOW, TinyFederation
from fuzz import bundles, composed
from fuzz.composed import BODY_MARK, ENTRY, LOG_KEY, WITNESSES, county, note_key, real_plan
from plan_samples import codebook, codebook_toml, ready_toml

import auditor.config
import coordinator.config
import node.config
from auditor.policy import default_policy
from crypto import canonical, derivation, merkle, note, sealing, tiles, tlog_proof
from crypto.checkpoint import Checkpoint, cosign, encode_checkpoint
from node import confine, frames, hand_over_file
from plan.codebook import encode_codebook
from plan.errors import encode_phrase, phrase
from protos import bodies, bundle, convert, enrolment
from protos import fedscreen_v1_pb2 as pb
from protos.invitation import Invitation, encode_invitation
from protos.log_file import LogFile, encode_log_file
from protos.report_payload import ReportPayload, encode_payload
from protos.statements import encode_statement, parse_statement

ROSTER_HEADER = [
    "全国学籍号",
    "性别",
    "年级",
    "就读方式",
    "是否留守儿童",
    "家庭结构",
    "监护人同意",
    "未测原因",
]
FACTORS = ["学习焦虑", "对人焦虑", "孤独倾向", "自责倾向", "过敏倾向", "身体症状", "恐怖倾向", "冲动倾向"]
SCREENING_HEADER = ["学籍号", "测评日期", "效度", "总分", *FACTORS, "预警等级"]
VECTORS = Path(__file__).resolve().parents[1] / "vectors"
LEAVES = [merkle.leaf_hash(b"%d" % place) for place in range(7)]


def _student(place: int) -> str:
    return f"G99000120150901{place:03d}X"


def _csv(rows: list[list[object]]) -> bytes:
    target = io.StringIO(newline="")
    csv.writer(target).writerows(rows)
    return target.getvalue().encode()


def roster_csv() -> bytes:
    """A roster of four pupils; the last is on leave."""
    rows = [
        [_student(n), "男", "四年级", "走读", "否", "双亲", "同意", "请假" if n == 4 else ""]
        for n in range(1, 5)
    ]
    return _csv([list(ROSTER_HEADER), *rows])


def screening_csv() -> bytes:
    """The platform's file for three of them."""
    rows: list[list[object]] = [
        [_student(n), "2026-09-20", "通过", 34, 9, 8, 7, 0, 1, 2, 3, 4, "二级预警"] for n in range(1, 4)
    ]
    return _csv([list(SCREENING_HEADER), *rows])


def workbook() -> bytes:
    """A plain workbook: text, numbers, a date, an empty cell."""
    target = io.BytesIO()
    book = xlsxwriter.Workbook(target, {"in_memory": True, "default_date_format": "yyyy-mm-dd"})
    book.set_properties({"created": NOW.replace(tzinfo=None)})
    sheet = book.add_worksheet("Sheet1")
    for row, cells in enumerate([["学籍号", "日期", "分"], ["G1", NOW.date(), 3], [None, None, 4.5]]):
        for column, cell in enumerate(cells):
            if cell is not None:
                sheet.write(row, column, cell)
    book.close()
    return target.getvalue()


SHEET = (
    b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
    b'<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1"><v>3.5</v></c><c r="C1" t="b"><v>1</v></c></row>'
    b'<row r="2"><c r="A2" t="inlineStr"><is><t>G1</t></is></c><c r="B2" t="str"><v>x</v></c></row>'
    b"</sheetData></worksheet>"
)
STRINGS = (
    b'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><si><t>one</t></si>'
    b"<si><r><t>two</t></r></si></sst>"
)

# ------------------------------------------------------------------ crypto


def _checkpoint_text(size: int = 7) -> str:
    return encode_checkpoint(Checkpoint(LOG_KEY.name, size, merkle.tree_root([*LEAVES[: size - 1], _leaf()])))


def _leaf() -> bytes:
    return merkle.leaf_hash(ENTRY)


def _signed_checkpoint() -> bytes:
    text = _checkpoint_text()
    lines = [LOG_KEY.sign(text), *(cosign(text, key, 1_800_000_000) for key in WITNESSES[:2])]
    return note.encode_note(note.Note(text, tuple(note.parse_signature_line(line) for line in lines)))


def _proof(extra: bytes | None = None) -> bytes:
    leaves = [*LEAVES[:6], _leaf()]
    hashes = merkle.inclusion_proof(leaves, 6, 7)
    return tlog_proof.encode_proof(tlog_proof.TlogProof(6, hashes, _signed_checkpoint(), extra))


def _inclusion() -> bytes:
    leaves = [*LEAVES[:6], _leaf()]
    return struct.pack(">qq", 6, 7) + b"".join(
        [merkle.tree_root(leaves), *merkle.inclusion_proof(leaves, 6, 7)]
    )


def _consistency(old: int, new: int) -> bytes:
    roots = [merkle.tree_root(LEAVES[:size]) for size in (old, new)]
    return struct.pack(">qq", old, new) + b"".join([*roots, *merkle.consistency_proof(LEAVES, old, new)])


def _policy_text() -> str:
    witnesses = "".join(f"witness w{n} {key.verifier.text}\n" for n, key in enumerate(WITNESSES))
    groups = "group g1 any w0 w1\ngroup g2 1 g1 w2\n"
    return f"# county\nlog {LOG_KEY.verifier.text} https://example\n{witnesses}{groups}quorum g2\n"


def _crypto() -> dict[str, list[bytes]]:
    public_key = sealing.round_public_key(composed.ROUND_SECRET)
    statement_note = county()[0].entries[0][0]
    return {
        "crypto.json": [b'{"a":[1,"x",{}],"\xc3\xa9":-7}', b"[]", b"0"],
        "crypto.base64": [b"", b"AA==", b"AAECAwQ="],
        "crypto.vector": [bytes(16), b"\xff" * 4 + bytes(4)],
        "crypto.box-plaintext": [derivation.box_plaintext([bytes([n]) * 32 for n in range(3)])],
        "crypto.round-key": [public_key],
        "crypto.box": [sealing.seal(public_key, b"seeds", composed.BOX_INFO)],
        "crypto.note": [statement_note, _signed_checkpoint()],
        "crypto.signed-note": [_signed_checkpoint()],
        "crypto.vkey": [key.verifier.text.encode() for key in (LOG_KEY, WITNESSES[0])],
        "crypto.signature": [LOG_KEY.sign("x\n").encode()],
        "crypto.checkpoint": [_checkpoint_text().encode(), b"o\n0\n" + b"A" * 43 + b"=\nmore\n"],
        "crypto.cosigned": [_signed_checkpoint()],
        "crypto.tlog-proof": [_proof(), _proof(b"extra")],
        "crypto.receipt": [_proof()],
        "crypto.inclusion": [_inclusion()],
        "crypto.consistency": [_consistency(3, 7), _consistency(4, 7), _consistency(7, 7)],
        "crypto.tile-path": [tiles.tile_path(0, 1234067).encode(), tiles.tile_path(63, 0, 1).encode()],
        "crypto.entries-path": [tiles.entries_path(5, 255).encode(), tiles.entries_path(2**63 - 1).encode()],
        "crypto.tile": [b"".join(LEAVES)],
        "crypto.entries": [composed.encode_entries((b"one", b"", b"three"))],
        "crypto.policy": [_policy_text().encode()],
        "crypto.policed": [_policy_text().encode() + BODY_MARK + _signed_checkpoint()],
    }


# ------------------------------------------------------------------ protos


@functools.cache
def _statement_texts() -> tuple[bytes, ...]:
    vectors = json.loads((VECTORS / "statements.json").read_text("utf-8"))
    return tuple(text.encode() for text in vectors["texts"].values())


def _ledger_entries() -> list[bytes]:
    """The next entry at every stage at which there is one, and statements that never come next."""
    federation, stages = county()
    first = {name: ledger.size for name, ledger in stages.items()}
    found = []
    for place, name in enumerate(composed.STAGES[:-1]):
        entry, body = federation.entries[first[name]]
        text = note.parse_note(entry).text.encode().removesuffix(b"\n")
        found.append(bytes([place]) + text + (BODY_MARK + body if body else b""))
    texts = [text.removesuffix(b"\n") for text in _statement_texts()]
    return found + [bytes([place % len(composed.STAGES)]) + text for place, text in enumerate(texts)]


def _request_values() -> bytes:
    values = canonical.parse_json(School("s1", "school 1", (("county", "530101"),)).request())
    assert isinstance(values, dict)
    federation = str(values["federation"])
    key = note_key(bodies.key_name(federation, "node", "s1"))
    plain = {name: value for name, value in values.items() if name != "signature"}
    return canonical.encode_json({**plain, "key": key.verifier.text})


def _auditor_request() -> bytes:
    name = functools.partial(bodies.key_name, "county-1")
    key, cosigner = note_key(name("auditor", "a1")), note_key(name("witness", "a1"), note.KeyType.COSIGNATURE)
    request = enrolment.Request(
        "auditor", "county-1", "a1", "university", (), key.verifier, cosigner.verifier, None, csr("a1")
    )
    return enrolment.sign_request(request, key)


def _log_files() -> list[LogFile]:
    federation = county()[0]
    note = federation.checkpoint(["a1", "a2", "a3"])
    whole = LogFile("county-1", 0, tuple(federation.entries), note)
    return [LogFile("county-1", 7, ((b"entry", b"body"), (b"e", b"")), b"note"), whole]


def _protos() -> dict[str, list[bytes]]:
    federation = county()[0]
    names = {entry.TYPE: body for entry, body in _statements_of(federation)}
    refusal = bodies.Refusal(bodies.ReportName("s1", 3, bytes(32)), "bad-box")
    grant = enrolment.Grant("node", "county-1", "s1", "C", "A", federation.card_text, "127.0.0.1:1", "name")
    payload = ReportPayload(b"header", bytes(32), (b"12345678", b"87654321"))
    return {
        "protos.statement": list(_statement_texts()),
        "protos.roster-body": [names["roster"]],
        "protos.candidates-body": [names["candidates"]],
        "protos.checked-body": [names["checked"], bodies.encode_checked_body([refusal])],
        "protos.close-body": [names["close"], bodies.encode_close_body(bodies.CloseBody((), (refusal,)))],
        "protos.release-body": [names["release"]],
        "protos.manifest": [bundle.encode_manifest(bundle.manifest_of("public", {"log/a": b"x", "b": b""}))],
        "protos.card": [federation.card_text.encode()],
        "protos.request": [School("s1", "school 1", (("county", "530101"),)).request(), _auditor_request()],
        "protos.signed-request": [_request_values()],
        "protos.grant": [enrolment.encode_grant(grant)],
        "protos.invitation": [
            encode_invitation(Invitation("county-1", "s1", "校", (), "6-3", federation.card_text)),
            encode_invitation(Invitation("county-1", "s1", "x", (("county", "530101"),), "5-4", "")),
        ],
        "protos.log-file": [encode_log_file(row)[:-32] for row in _log_files()],
        "protos.payload": [encode_payload(payload)],
        "protos.ledger": _ledger_entries(),
        "protos.ledger-checkpoint": [federation.checkpoint(["a1", "a2", "a3"])],
    }


def _statements_of(federation: TinyFederation) -> list[tuple[object, bytes]]:
    return [(parse_statement(note.parse_note(entry).text), body) for entry, body in federation.entries]


def _wire() -> dict[str, list[bytes]]:
    federation = county()[0]
    entry, body = federation.entries[1]
    line = federation.coordinator.sign("x\n")
    vector = bytes(32)
    rosters = (convert.Proposal(federation.genesis_text, body, (line,)),)
    page = federation.page(len(federation.entries) - 2)
    messages = [
        pb.GetLogRequest(start=7, max_entries=1024),
        convert.encode_log_page(page),
        pb.SubmitReportRequest(payload=b"payload"),
        pb.SubmitReportResponse(receipt=_proof()),
        convert.encode_proposals(rosters),
        pb.SignRosterRequest(digest=bytes(32), signature=line),
        pb.SubmitCosignatureRequest(size=7, cosignature=line),
        pb.SubmitStatementRequest(entry=entry, body=body),
        pb.SubmitOpeningRequest(entry=entry, sums=[vector, vector]),
        pb.GetBoxesRequest(round_id=bytes(32)),
        pb.GetBoxesResponse(report=bytes(32), box=b"box"),
        pb.GetVectorsResponse(report=bytes(32), vector=vector),
        pb.GetSumsResponse(auditor="a1", subset=3, sum=vector),
    ]
    return {f"wire.{message.DESCRIPTOR.name}": [message.SerializeToString()] for message in messages}


# ------------------------------------------------------------------ plan, node, settings


def _plan() -> dict[str, list[bytes]]:
    statement, body = real_plan()
    laddered, _ = real_plan((5, 6))
    ladder = b'[trust]\nladder = "auto"\n'
    layout_tables = composed.read_published(body)[0].layout.tables
    tables = [
        bodies.TableSums(table.id, table.noise.scale, table.noise.s2, (-5,) * table.cells)
        for table in layout_tables
    ]
    inner = phrase("found %(found)s", found="x")
    return {
        "plan.toml": [
            PLAN_TOML.encode(),
            ready_toml("autumn-full"),
            ready_toml("autumn-full").replace(b"[trust]\n", ladder),
        ],
        "plan.codebook": [codebook_toml("mht")],
        "plan.codebook-json": [encode_codebook(codebook("mht"))],
        "plan.published": [
            body,
            *(body + BODY_MARK + encode_statement(row).encode() for row in (statement, laddered)),
        ],
        "plan.phrase": [encode_phrase(phrase("%(a)s: %(b)s %%", a=3, b=inner)).encode()],
        "results.release": [bodies.encode_release_body(tables)],
    }


def _frames() -> dict[str, list[bytes]]:
    federation = county()[0]
    page = federation.page(len(federation.entries) - 2)
    log = frames.encode_log(frames.LogPage(page.start, page.entries, page.latest, page.cosigned))
    reports = [entry for entry, _ in federation.entries if entry.startswith(b"fedscreen/report")]
    size = int(reports[0].split(b"\nsize ")[1].split(b"\n")[0])
    report = struct.pack(">I", len(reports[0])) + reports[0] + bytes(size)
    link = frames.encode_link(frames.LinkState("report", 14, bytes(32)))
    command = frames.encode_object({"command": "status", "floors": {"rho_round": "1/5"}})
    response = frames.encode_response({"ok": True, "rows": [1, "x", None, 0.5]}, {"a": b"blob", "b": b""})
    ready = confine.encode_ready(confine.Confinement(True, 7, True, True, True, False, False))
    whole = [
        frames.encode_frame(frames.Kind.READY, ready),
        frames.encode_frame(frames.Kind.LINK, link),
        frames.encode_frame(frames.Kind.END),
    ]
    return {
        "node.frames": [b"".join(whole)],
        "node.log-frame": [log],
        "node.report-frame": [report],
        "node.link-frame": [link],
        "node.data-frame": [frames.encode_data("roster", b"rows")],
        "node.command-frame": [command],
        "node.response-frame": [response],
        "node.ready-frame": [ready],
    }


def _hand_over() -> dict[str, list[bytes]]:
    body, file, receipt = composed.hand_over_samples()
    return {
        "node.hand-over-key": [composed.HAND_OVER_SCHOOL.public.text.encode()],
        "node.hand-over-file": [file],
        "node.hand-over-body": [hand_over_file._encode_body(body)],
        "node.hand-over-receipt": [receipt],
    }


def _node() -> dict[str, list[bytes]]:
    profiles = sorted((composed.EXAMPLES / "profiles").glob("*.toml"))
    return _frames() | {
        "node.floors": [b'{"rho_round":"1/5","threshold":3}'],
        "node.profile": [path.read_bytes() for path in profiles],
        "node.csv": [roster_csv(), b"\xef\xbb\xbfa,b\r\n1,2\r\n"],
        "node.xlsx": [workbook()],
        "node.xls": [table_files.xls([ROSTER_HEADER, [_student(1), "男", 4, None, True, 2.5]])],
        "node.sheet": [SHEET + BODY_MARK + STRINGS],
        **_hand_over(),
        "node.import": [screening_csv(), screening_csv() + BODY_MARK + roster_csv()],
    }


def _forged_entries(federation: TinyFederation) -> list[bytes]:
    found = []
    for place, (entry, body) in enumerate(federation.entries):
        text = note.parse_note(entry).text.encode().removesuffix(b"\n")
        found.append(bytes([place]) + text + (BODY_MARK + body if body else b""))
    return found


def _exchanged_files(files: dict[str, bytes]) -> list[bytes]:
    """One file of every kind, in its own place."""
    kinds = {"/".join(path.split("/")[:2])[:12]: at for at, path in enumerate(sorted(files))}
    return [bytes([at]) + files[sorted(files)[at]] for at in kinds.values()]


def _settings() -> dict[str, list[bytes]]:
    made = bundles.released()
    federation = county()[0]
    node_config = node.config.NodeConfig("county-1", "s1", "passphrase", address="[::1]:50080", poll_s=0.5)
    auditor_config = auditor.config.AuditorConfig(federation="county-1", id="a1", operator="university")
    return {
        "node.toml": [node.config.encode_config(node_config)],
        "coordinator.toml": [
            coordinator.config.encode_config(coordinator.config.Config(federation="county-1"))
        ],
        "auditor.toml": [auditor.config.encode_config(auditor_config)],
        "auditor.policy": [default_policy(federation.card).encode()],
        "auditor.bundle": _exchanged_files(made.files),
        "auditor.forged-log": _forged_entries(made.federation),
        "coordinator.csr": [csr("s1").encode()],
    }


@functools.cache
def seeds() -> dict[str, list[bytes]]:
    """Valid inputs by target."""
    return _crypto() | _protos() | _wire() | _plan() | _node() | _settings()
