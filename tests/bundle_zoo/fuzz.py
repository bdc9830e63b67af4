"""Random single edits, signed anew: what a verifier lets pass must be an honest bundle after all.

    fuzz.py [--seconds 60] [--seed 1] [--standalone tools/verify_standalone.py]

Each case takes one story and changes one thing: a word or a digit of a statement's text, a value of a body, a
byte of a vector or sum, or the place of a row. Everything that follows is signed anew by its real keys. Both
verifiers have to say the same outcome, and neither may die. What passes is printed with its edit: a person
decides whether that is another honest history (a county that says L2 where it said L3) or a hole.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from bundle_zoo import stories  # noqa: E402
from bundle_zoo.forge import Files, History, history_of, seal  # noqa: E402
from bundle_zoo.run import Case, Verdict, on_disk, ours, standalone  # noqa: E402

from protos.bundle import NAME  # noqa: E402

STORIES: dict[str, Callable[[], object]] = {
    "one round": stories.one_round,
    "attempts": stories.attempts,
    "refused": lambda: stories.refused(s3="bad-box"),
    "extended": lambda: stories.extended(("a1", "a3", "a4")),
    "corrected": lambda: stories.corrected("table", "withdrawn", "replaced"),
    "replayed": lambda: stories.replayed("PASS", "FAIL"),
    "rolled": lambda: stories.rolled("node"),
    "cancelled": lambda: stories.cancelled("closed"),
    "revoked": lambda: stories.revoked("node"),
    "ladder": lambda: stories.ladder(6),
    "merged": stories.merged,
}


def edit_word(found: History, rng: random.Random) -> str:
    """Change one value of one line."""
    row = rng.choice(found.rows)
    lines = row.text.split("\n")
    place = rng.randrange(1, len(lines) - 1)
    words = lines[place].split(" ")
    at = rng.randrange(len(words))
    before = words[at]
    words[at] = _other_word(before, rng)
    lines[place] = " ".join(words)
    row.text = "\n".join(lines)
    row.is_raw = rng.random() < 0.3 or lines[place].startswith(("body-", "log-size"))
    return (
        f"{row.type}: {' '.join(words[:1])} {before[:20]} -> {words[at][:20]}{' (raw)' if row.is_raw else ''}"
    )


def _other_word(word: str, rng: random.Random) -> str:
    if word.isdigit():
        return str(max(0, int(word) + rng.choice((-2, -1, 1, 2, 7))))
    letters = "0123456789abcdef" if re.fullmatch("[0-9a-f]{32,}", word) else "0123456789abcxyzL/-. "
    place = rng.randrange(len(word))
    return word[:place] + rng.choice(letters.replace(word[place], "")) + word[place + 1 :]


def edit_body(found: History, rng: random.Random) -> str:
    """Change one number or letter of a body; the statement follows."""
    row = rng.choice([item for item in found.rows if item.body])
    places = [match.span() for match in re.finditer(rb'-?[0-9]+(?![0-9a-f"])|"[^"]+"', row.body)]
    start, end = rng.choice(places)
    old = row.body[start:end]
    if old.startswith(b'"'):
        new = b'"' + _other_word(old[1:-1].decode(), rng).encode() + b'"'
    else:
        new = str(int(old) + rng.choice((-1, 1, 5))).encode()
    row.body = row.body[:start] + new + row.body[end:]
    return f"{row.type} body: {old[:24]!r} -> {new[:24]!r}"


def edit_rows(found: History, rng: random.Random) -> str:
    """Move, repeat or leave out a row."""
    place, to = rng.randrange(1, len(found.rows)), rng.randrange(1, len(found.rows))
    kind = found.rows[place].type
    how = rng.choice(("move", "repeat", "leave out"))
    if how == "repeat":
        found.copy_row(place, to)
        return f"{kind} repeated at {to}"
    row = found.rows.pop(place)
    if how == "move":
        found.rows.insert(to, row)
    return f"{kind} {how} {place} {to if how == 'move' else ''}"


def edit_vector(found: History, rng: random.Random) -> str:
    """Change a byte of a vector or sum; the statements that name it follow, or not."""
    path = rng.choice([*found.vectors, *found.sums])
    data = bytearray((found.vectors if path in found.vectors else found.sums)[path])
    place = rng.randrange(len(data))
    data[place] ^= 1 << rng.randrange(8)
    if rng.random() < 0.7:
        found.set_vector(path, bytes(data))
    else:
        (found.vectors if path in found.vectors else found.sums)[path] = bytes(data)
    return f"{path[-20:]} byte {place}"


def edit_file(files: Files, rng: random.Random) -> str:
    """Change a byte of a file of the bundle; the MANIFEST follows."""
    path = rng.choice(sorted(set(files) - {NAME}))
    data = files[path]
    place = rng.randrange(len(data))
    how = rng.choice(("flip", "drop", "double"))
    kept = {
        "flip": bytes([data[place] ^ 1 << rng.randrange(8)]),
        "drop": b"",
        "double": data[place : place + 1] * 2,
    }
    files[path] = data[:place] + kept[how] + data[place + 1 :]
    files.update(seal(files))
    return f"{how} byte {place} of {path[-40:]}"


EDITS = (edit_word, edit_word, edit_word, edit_body, edit_body, edit_rows, edit_vector)


def make(rng: random.Random) -> tuple[str, Files, str]:
    """Make one bundle with one edit."""
    name = rng.choice(sorted(STORIES))
    county = STORIES[name]()
    found = history_of(county)  # type: ignore[arg-type]
    found.is_changed = True
    policy_text: str = county.policy_text()  # type: ignore[attr-defined]
    if rng.random() < 0.2:
        files = history_of(county).bundle()  # type: ignore[arg-type]
        return f"{name}: {edit_file(files, rng)}", files, policy_text
    what = rng.choice(EDITS)(found, rng)
    return f"{name}: {what}", found.settle().bundle(), policy_text


def outcome(verdict: Verdict) -> tuple[str, int]:
    """Sum a verdict up: its outcome, and the number of the first check that fails."""
    failed = [row[0] for row in verdict.values() if row[1] == "FAIL"]
    skipped = [name for name, row in verdict.items() if row[1] == "SKIPPED" and name != "estimates"]
    return ("FAIL", min(failed)) if failed else ("INCOMPLETE" if skipped else "PASS", 0)


def main(argv: list[str] | None = None) -> int:
    """Fuzz for a while."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--standalone", type=Path)
    options = parser.parse_args(argv)
    second = standalone(options.standalone) if options.standalone else None
    start, seed, counts, wrong = time.monotonic(), options.seed, Counter[str](), 0
    while time.monotonic() - start < options.seconds:
        seed += 1
        try:
            what, files, policy_text = make(random.Random(seed))
        except Exception as err:  # an edit that no signer and no encoder can write
            counts[f"not made: {type(err).__name__}"] += 1
            continue
        with on_disk(Case("", lambda one=files, text=policy_text: (one, text, None), None)) as place:  # type: ignore[misc]
            found = outcome(ours(*place))
            other = outcome(second(*place)) if second else found
        counts[found[0]] += 1
        if found[0] != "FAIL":
            print(f"{seed} {found[0]}: {what}")
        if found != other:
            wrong += 1
            print(f"{seed} product {found}, standalone {other}: {what}")
    print(json.dumps({"outcomes": counts, "disagreements": wrong}))
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
