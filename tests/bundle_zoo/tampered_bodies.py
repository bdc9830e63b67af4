"""The bodies of statements changed, and the statements that name them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bundle_zoo import stories
from bundle_zoo.forge import History
from bundle_zoo.tampering import OTHER, change_body, change_tables, history, set_fields

from protos.bodies import (
    CloseBody,
    Refusal,
    ReportName,
    encode_candidates_body,
    encode_checked_body,
    encode_close_body,
    encode_release_body,
    encode_roster_body,
    parse_candidates_body,
    parse_close_body,
    parse_roster_body,
)


def _names(change: Callable[[list[ReportName]], list[ReportName]]) -> Callable[[bytes], bytes]:
    return lambda body: encode_candidates_body(change(list(parse_candidates_body(body))))


def _closed(change: Callable[[CloseBody], CloseBody]) -> Callable[[bytes], bytes]:
    return lambda body: encode_close_body(change(parse_close_body(body)))


def _copied(found: History) -> None:
    """s2 sends what s1 sent, under its own name; no auditor refuses it."""
    first = found.rows[found.find("report", 0, node="s1")].statement
    place = found.find("report", 0, node="s2")
    found.set(place, vector=first.vector, boxes=first.boxes)  # type: ignore[union-attr]
    path = next(name for name in found.vectors if "/s2." in name)
    found.vectors[path] = found.vectors[path.replace("/s2.", "/s1.")]


def _copied_box(found: History) -> None:
    first = found.rows[found.find("report", 0, node="s1")].statement
    boxes = found.rows[found.find("report", 0, node="s5")].statement.boxes  # type: ignore[union-attr]
    found.set(found.find("report", 0, node="s5"), boxes=(first.boxes[0], *boxes[1:]))  # type: ignore[union-attr]


def _nothing(found: History) -> None:
    """The story itself is the attack."""


def _bodies() -> None:
    def left_out(body):
        return CloseBody(body.set[1:], body.excluded)

    def excluded(body):
        return CloseBody(body.set[1:], (Refusal(body.set[0], "bad-box"),))

    entries: dict[str, Callable[[History], None]] = {
        "candidates: a school left out": change_body("candidates", _names(lambda names: names[1:])),
        "candidates: another digest": change_body(
            "candidates", _names(lambda names: [replace(names[0], digest=OTHER), *names[1:]])
        ),
        "candidates: a stranger": change_body(
            "candidates", _names(lambda names: [*names, ReportName("s9", 0, OTHER)])
        ),
        "candidates: none": change_body("candidates", lambda body: encode_candidates_body([])),
        "candidates: not ascending": change_body(
            "candidates", lambda body: encode_candidates_body(list(parse_candidates_body(body))[::-1])
        ),
        "checked: refuses who is no candidate": change_body(
            "checked", lambda body: encode_checked_body([Refusal(ReportName("s9", 0, OTHER), "bad-box")])
        ),
        "close: a school left out": change_body("close", _closed(left_out), reports=5),
        "close: a school excluded that nobody refused": change_body("close", _closed(excluded), reports=5),
        "close: a school in and out": change_body(
            "close", _closed(lambda body: CloseBody(body.set, (Refusal(body.set[0], "x"),)))
        ),
        "close: another digest": change_body(
            "close", _closed(lambda body: CloseBody((replace(body.set[0], digest=OTHER), *body.set[1:]), ()))
        ),
        "release: a table less": change_body("release", change_tables(lambda rows: rows[1:])),
        "release: tables in another order": change_body("release", change_tables(lambda rows: rows[::-1])),
        "release: another scale": change_body(
            "release", change_tables(lambda rows: [replace(rows[0], scale=rows[0].scale * 2), *rows[1:]])
        ),
        "release: another s2": change_body(
            "release", change_tables(lambda rows: [replace(rows[0], s2=rows[0].s2 + 1), *rows[1:]])
        ),
        "release: a cell less": change_body(
            "release", change_tables(lambda rows: [replace(rows[0], sums=rows[0].sums[1:]), *rows[1:]])
        ),
        "release: no table": change_body("release", lambda body: encode_release_body([])),
        "roster body: no canonical JSON": change_body("roster", lambda body: body.replace(b",", b", ", 1), 1),
        "candidates body: no canonical JSON": change_body("candidates", lambda body: body + b"\n"),
        "checked body: no canonical JSON": change_body("checked", lambda body: body.replace(b":", b": ", 1)),
        "close body: keys in another order": change_body(
            "close", lambda body: b'{"set":' + body.split(b'"set":')[1][:-1] + b',"excluded":[]}'
        ),
        "release body: a number as text": change_body(
            "release",
            lambda body: body.replace(b'"scale":', b'"scale":"').replace(b',"sums"', b'","sums"', 1),
        ),
        "release body: a fraction": change_body(
            "release", lambda body: body.replace(b'"s2":', b'"s2":1.', 1)
        ),
        "release body: a key more": change_body("release", lambda body: body[:-1] + b',"x":1}'),
        "release body: no JSON": change_body("release", lambda body: b"{"),
        "roster body: no auditors": change_body(
            "roster",
            lambda body: encode_roster_body(replace(parse_roster_body(body, "county-1"), auditors=())),
            1,
        ),
    }
    for name, change in entries.items():
        history(name, "entries", change)
    history("plan body: no canonical JSON", "entries", change_body("plan", lambda body: body + b" "))
    history(
        "plan body: another plan",
        "plans",
        change_body("plan", lambda body: body.replace(b'"level"', b'"grade"', 1)),
    )
    history("plan body: no plan", "plans", change_body("plan", lambda body: b'{"tables":[]}'))
    history("candidates: an old attempt", "entries", _old_attempt, stories.attempts)
    history("S: an old attempt", "entries", _old_attempt_in_set, stories.attempts)
    history("candidates: a revoked school", "entries", _revoked_school, lambda: stories.revoked("node"))
    history(
        "close: a refused school is in S", "entries", _refused_in_set, lambda: stories.refused(s3="bad-box")
    )
    history("close: another code", "entries", _other_code, lambda: stories.refused(s3="bad-box"))
    history(
        "close: a wrong tier of the ladder", "entries", set_fields("close", tier=1), lambda: stories.ladder(7)
    )
    history(
        "close: a group of four schools in S", "close", _nothing, lambda: stories.groups(is_refused=False)
    )
    history("S: a copied report", "close", _copied)
    history("S: a copied box", "close", _copied_box, kind="public")
    history("close: below min_reports", "entries", _too_few)
    history(
        "release: reports out hidden",
        "entries",
        set_fields("release", reports_out=0),
        lambda: stories.refused(s3="bad-box"),
    )


def _too_few(found: History) -> None:
    """All auditors refuse two of six schools, and the close goes on with four."""
    names = parse_candidates_body(found.rows[found.find("candidates")].body)
    refused = [Refusal(name, "bad-box") for name in names[:2]]
    for nth in range(4):
        change_body("checked", lambda body: encode_checked_body(refused), nth)(found)
    change_body("close", _closed(lambda body: CloseBody(body.set[2:], tuple(refused))), reports=4)(found)


def _first_attempt(found: History, names: tuple[ReportName, ...]) -> list[ReportName]:
    old = found.rows[found.find("report", 0, node="s3")].digest
    return [ReportName("s3", 0, old) if name.node == "s3" else name for name in names]


def _old_attempt(found: History) -> None:
    change_body(
        "candidates", lambda body: encode_candidates_body(_first_attempt(found, parse_candidates_body(body)))
    )(found)


def _old_attempt_in_set(found: History) -> None:
    change_body("close", _closed(lambda body: CloseBody(tuple(_first_attempt(found, body.set)), ())))(found)


def _revoked_school(found: History) -> None:
    row = found.rows[found.find("report", 0, node="s2")]
    change_body("candidates", _names(lambda names: sorted([*names, ReportName("s2", 0, row.digest)])))(found)


def _refused_in_set(found: History) -> None:
    def change(body: CloseBody) -> CloseBody:
        names = tuple(sorted([*body.set, *(row.report for row in body.excluded)]))
        return CloseBody(names, ())

    change_body("close", _closed(change), reports=7)(found)


def _other_code(found: History) -> None:
    change_body(
        "close", _closed(lambda body: CloseBody(body.set, (replace(body.excluded[0], code="late"),)))
    )(found)


_bodies()
