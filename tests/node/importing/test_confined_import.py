"""An import inside the wall may load no module and open no file: both are tried with both forbidden."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path

import table_files

PROGRAM = """
import base64, builtins, datetime, json, sys

jobs = json.load(sys.stdin)
from node.vault.import_file import ImportContext, import_files
from node.vault.importing.errors import ImportingError
from node.vault.importing.guess import guess_profile

class NoMore:
    def find_spec(self, name, path=None, target=None):
        raise RuntimeError("late import of " + name)

sys.meta_path.insert(0, NoMore())

def audit(event, args):
    if event in ("open", "socket.connect", "os.listdir", "subprocess.Popen"):
        raise RuntimeError("late " + event)

sys.addaudithook(audit)
context = ImportContext(b"k" * 32, "2026-2027", "A", datetime.date(2026, 9, 30), "6-3")
told = []
for job in jobs:
    files = {part: base64.b64decode(text) for part, text in job["files"].items()}
    try:
        guess_profile({part: files[part] for part in ("roster", "screening")}, "2026-2027")
    except ImportingError:
        pass  # tried for what it loads and opens
    result = import_files(files, context)
    [issue.as_json() for issue in result.issues]
    result.provenance and result.provenance.as_json()
    told.append([len(result.records), sorted({issue.code for issue in result.issues})])
print(json.dumps(told))
"""


def test_nothing_is_loaded_or_opened_once_the_wall_stands(files):
    jobs, expected = [], []

    def job(records: int, codes: list[str], **replaced: bytes) -> None:
        contents = {**files.contents(), **replaced}
        encoded = {part: base64.b64encode(data).decode() for part, data in contents.items()}
        jobs.append({"files": encoded})
        expected.append([records, codes])

    job(8, [])
    job(0, ["header-not-found"], roster=b"no")
    job(0, ["xlsx-damaged"], roster=b"PK\x03\x04" + bytes(100))
    job(0, ["profile-invalid"], profile=b"id = [")
    job(0, ["profile-invalid"], profile=b"idd = 'platform'")
    job(0, ["codebook-invalid"], codebook=b"\xff")
    job(0, ["codebook-invalid"], codebook=b"idd = 'mht'")
    files.ending = "csv"
    job(8, [])
    job(8, [], roster=files.contents()["roster"].decode().encode("gb18030"))
    job(8, [], roster=files.contents()["roster"].decode().encode("utf-16"))
    job(8, [], roster=table_files.xls(files.roster), screening=table_files.xls(files.screening))
    job(0, ["password"], roster=table_files.xls(files.roster, password=True))
    job(0, ["xls-damaged"], roster=b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    job(0, ["csv-damaged"], roster=b'"')
    files.set("screening", 1, "总分", "x")
    files.set("screening", 2, "测评日期", "x")
    files.set("screening", 3, "预警等级", "x")
    job(0, ["date-form", "not-a-number", "unmapped-level"])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == expected
