"""Wrong numbers: sums, vectors, replicas, costs; keys used again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial

import numpy as np
from bundle_zoo import stories
from bundle_zoo.county import ZooCounty
from bundle_zoo.forge import Files, History, history_of
from bundle_zoo.stories import county_of, whole_round
from bundle_zoo.tampering import (
    OTHER,
    Tampered,
    change_body,
    change_tables,
    false_key,
    history,
    more,
    register,
)

from auditor.verify.outcome import NUMBERS
from crypto.field64 import parse_vector


def _vector_path(found: History, nth: int = 0) -> str:
    return sorted(found.vectors)[nth]


def _other_element(data: bytes, value: int, place: int = 0) -> bytes:
    return data[: 8 * place] + value.to_bytes(8, "little") + data[8 * place + 8 :]


def _vector(change: Callable[[bytes], bytes], *, follows: bool = True) -> Callable[[History], None]:
    def apply(found: History) -> None:
        path = _vector_path(found)
        data = change(found.vectors[path])
        if follows:
            found.set_vector(path, data)
        else:
            found.vectors[path] = data

    return apply


def _sum(change: Callable[[bytes], bytes], *, follows: bool = True) -> Callable[[History], None]:
    def apply(found: History) -> None:
        path = sorted(found.sums)[0]
        if follows:
            found.set_vector(path, change(found.sums[path]))
        else:
            found.sums[path] = change(found.sums[path])

    return apply


def _numbers() -> None:
    def add_one(data):
        return _other_element(data, (int.from_bytes(data[:8], "little") + 1) % (2**64 - 2**32 + 1))

    def not_canonical(data):
        return _other_element(data, 2**64 - 1)

    def just_p(data):
        return _other_element(data, 2**64 - 2**32 + 1, 3)

    history(
        "wrong sum, one more",
        "arithmetic",
        change_body("release", change_tables(lambda rows: [more(rows[0]), *rows[1:]])),
    )
    history(
        "wrong sum, one less in the last cell",
        "arithmetic",
        change_body("release", change_tables(lambda rows: [*rows[:-1], more(rows[-1], -1, -1)])),
    )
    history(
        "wrong sum, moved between cells",
        "arithmetic",
        change_body("release", change_tables(lambda rows: [more(more(rows[0], 0, 5), 1, -5), *rows[1:]])),
    )
    history(
        "wrong sum, by 2 to the 50th",
        "arithmetic",
        change_body("release", change_tables(lambda rows: [more(rows[0], 0, 2**50), *rows[1:]])),
    )
    history(
        "wrong sum in the second round",
        "arithmetic",
        change_body("release", change_tables(lambda rows: [more(rows[0]), *rows[1:]]), 1),
        stories.corrected,
    )
    history(
        "wrong sum on a ladder",
        "arithmetic",
        change_body("release", change_tables(lambda rows: [more(rows[0]), *rows[1:]])),
        lambda: stories.ladder(7),
    )
    history("wrong sum, results of the true one", "arithmetic", _wrong_sum_true_results)
    history("another vector, its header follows", "arithmetic", _vector(add_one))
    history("another vector, its header does not follow", "vectors", _vector(add_one, follows=False))
    history("an element that is no residue", "vectors", _vector(not_canonical))
    history("an element that is p", "vectors", _vector(just_p))
    history("a vector cut", "vectors", _vector(lambda data: data[:-8]))
    history("a vector grown", "vectors", _vector(lambda data: data + bytes(8)))
    history("another mask sum in every replica", "arithmetic", _sum(add_one))
    history("a mask sum that is no residue", "sums", _sum(not_canonical))
    history("a mask sum cut", "sums", _sum(lambda data: data[:-8]))
    history("a mask sum that its opening does not name", "sums", _sum(add_one, follows=False))
    history("replicas that differ", "entries", _replica)
    history("a contradicting opening left out of the release", "openings", _dissenter)
    history(
        "vectors of two schools exchanged with their headers",
        "arithmetic",
        _exchange_vectors,
        stories.corrected,
    )
    history("steps of a ladder exchanged", "arithmetic", _exchange_steps, lambda: stories.ladder(6))
    _policies()


def _wrong_sum_true_results(found: History) -> None:
    change_body("release", change_tables(lambda rows: [more(rows[0]), *rows[1:]]))(found)
    found.is_changed = False


def _replica(found: History) -> None:
    place = found.find("opening", 1)
    sums = found.rows[place].statement.sums  # type: ignore[union-attr]
    found.set(place, sums=((sums[0][0], OTHER), *sums[1:]))


def _dissenter(found: History) -> None:
    """a4 contradicts the others, and the release names three that carry only themselves."""
    place = found.find("opening", 3)
    sums = found.rows[place].statement.sums  # type: ignore[union-attr]
    found.set(place, sums=((sums[0][0], OTHER), *sums[1:]))
    where = found.last("release")
    found.set(where, openings=found.rows[where].statement.openings[:3], replicas=1)  # type: ignore[union-attr]
    found.sums = {path: data for path, data in found.sums.items() if "/a4." not in path}


def _exchange_vectors(found: History) -> None:
    """One school's vectors of two rounds: the masks are bound to the round."""
    one, two = (path for path in sorted(found.vectors) if path.endswith("/s1.0.y"))
    first_data, second_data = found.vectors[one], found.vectors[two]
    found.renamed[hashlib.sha256(first_data).hexdigest()] = hashlib.sha256(second_data).hexdigest()
    found.renamed[hashlib.sha256(second_data).hexdigest()] = hashlib.sha256(first_data).hexdigest()
    found.vectors[one], found.vectors[two] = second_data, first_data


def _exchange_steps(found: History) -> None:
    path = _vector_path(found)
    data = found.vectors[path]
    cells = len(data) // 24
    parts = np.split(parse_vector(data, 3 * cells), 3)
    swapped = np.concatenate([parts[1], parts[0], parts[2]]).astype("<u8").tobytes()
    found.set_vector(path, swapped)


def _policies() -> None:
    def nothing(found: History) -> None:
        return None

    for name, check, old, new in (
        ("policy: less rho a round", "rho", "max-rho 1/4", "max-rho 1/20"),
        ("policy: less rho a year", "account", "max-rho-year 1/2", "max-rho-year 1/20"),
        ("policy: more reports", "plans", "min-reports 5", "min-reports 6"),
        ("policy: larger groups", "plans", "min-group 5", "min-group 6"),
        ("policy: other tuples", "plans", "tuple 4 3 1 3", "tuple 5 4 2 4"),
        ("policy: a forbidden field", "plans", "tuple 4 3 1 3\n", "tuple 4 3 1 3\nforbid-field level\n"),
        (
            "policy: a forbidden filter",
            "plans",
            "tuple 4 3 1 3\n",
            "tuple 4 3 1 3\nforbid-field disposition\n",
        ),
        ("policy: five witnesses of four", "checkpoint", "group quorum 3", "group quorum 4"),
    ):
        history(name, check, nothing, policy=(old, new))
    register("policy: a witness that no roster knows", Tampered(NUMBERS["rosters"], _strange_witness))
    register("policy: another genesis", Tampered(NUMBERS["genesis"], _other_pin))
    history("six rounds in a year", "account", nothing, _six_rounds)
    history("a round dearer than the policy", "rho", nothing, _dear_round)
    everybody = ("a1", "a2", "a3", "a4")
    for name, check, terms, words in (
        ("a dear plan that all approved", "rho", {}, ("max-rho 1/4", "max-rho 1/8")),
        (
            "a plan of a forbidden relation that all approved",
            "plans",
            {"neighbouring": "add-remove"},
            ("tuple 4 3 1 3\n", "tuple 4 3 1 3\nforbid-relation add-remove\n"),
        ),
    ):
        history(name, check, nothing, partial(stories.drafts, everybody, **terms), policy=words)
        history(
            f"{name}, cancelled",
            check,
            nothing,
            partial(stories.drafts, everybody, is_cancelled=True, **terms),
            policy=words,
        )


def _strange_witness() -> tuple[Files, str, bytes | None]:
    county = stories.one_round()
    key = false_key(county.witnesses["a4"]).verifier
    text = county.policy_text().replace(county.witnesses["a4"].verifier.text, key.text)
    return history_of(county, None, ("a1", "a2", "a3")).bundle(), text, None


def _other_pin() -> tuple[Files, str, bytes | None]:
    county = stories.one_round()
    text = county.policy_text().replace(county.card.genesis.hex(), OTHER.hex())
    return history_of(county).bundle(), text, None


def _six_rounds() -> ZooCounty:
    county = county_of()
    for _ in range(6):
        whole_round(county)
    return county


def _dear_round() -> ZooCounty:
    county = county_of()
    round_id = county.plan_round(rho="1/3")
    county.collect(round_id)
    county.finish(round_id)
    return county


def _again(name: str) -> Callable[[History], None]:
    def change(found: History) -> None:
        value = getattr(found.rows[found.find("approval", 0)].statement, name)
        found.set(found.find("approval", 5), **{name: value})

    return change


def _reuse() -> None:
    history("a round key used in two rounds", "approvals", _again("round_key"), stories.corrected)
    history("a nonce used in two rounds", "approvals", _again("nonce"), stories.corrected)
    history("two auditors with one round key", "approvals", _shared_key)


def _shared_key(found: History) -> None:
    found.set(found.find("approval", 1), round_key=found.rows[found.find("approval", 0)].statement.round_key)  # type: ignore[union-attr]


_numbers()
_reuse()
