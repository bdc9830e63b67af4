"""Invitations: one spelling, nothing that a roster could not hold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from crypto.canonical import encode_json, parse_json
from protos.errors import EnrolmentError
from protos.invitation import Invitation, encode_invitation, parse_invitation

GOOD = Invitation("honghe", "school-17", "第十七中学", (("county", "532501"), ("kind", "rural")), "6-3", "")


def changed(**values: Any) -> bytes:
    found = parse_json(encode_invitation(GOOD))
    assert isinstance(found, dict)
    return encode_json({**found, **values})


@pytest.mark.parametrize("change", [{}, {"system": "5-4"}, {"attributes": ()}])
def test_parse_is_the_inverse_of_encode(change: dict[str, Any]) -> None:
    invitation = replace(GOOD, **change)
    assert parse_invitation(encode_invitation(invitation)) == invitation


@pytest.mark.parametrize(
    "values",
    [
        {"id": "School 17"},
        {"id": ""},
        {"federation": "Honghe"},
        {"operator": ""},
        {"operator": "a\nb"},
        {"operator": "x" * 2000},
        {"operator": 7},
        {"system": "7-2"},
        {"format": "fedscreen/invitation/v2"},
        {"card": "fedscreen/card/v1\n"},
        {"card": "x"},
        {"attributes": {"County": "x"}},
        {"attributes": {"county": 7}},
        {"attributes": ["county"]},
        {"attributes": {f"a{number}": "x" for number in range(17)}},
        {"more": "x"},
    ],
)
def test_other_values_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(EnrolmentError):
        parse_invitation(changed(**values))


def test_hostile_bytes_are_refused() -> None:
    good = encode_invitation(GOOD)
    bad = [b"", b"{}", b"[]", b"null", b"\xff", good[:-1], good + b" ", b" " + good, bytes(100_000)]
    bad += [good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :] for place in range(0, len(good), 3)]
    num_refused = 0
    for data in bad:
        try:
            assert encode_invitation(parse_invitation(data)) == data  # another text, and as good a one
        except EnrolmentError:
            num_refused += 1
    assert num_refused > 20
