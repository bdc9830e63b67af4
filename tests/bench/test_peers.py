"""The comparison with other systems: our side is a whole round, and a missed target is said to be missed."""

from __future__ import annotations

import numpy as np
import pytest

from bench import peer_ours, peers
from bench.our_round import Auditor, combine, make_node, make_report, make_round, receive, sum_vectors
from bench.peer_rows import Row
from crypto.errors import VerificationError
from protos.errors import PayloadError


def test_what_is_measured_opens_the_true_sum() -> None:
    row, parts = peer_ours.measure(3, 40, (4, 3), 1)
    assert (row.peer, row.n, row.d, row.rounds, row.exact) == ("fedscreen (4, 3)", 3, 40, 1, True)
    assert parts.open_cpu_s > 0
    assert row.bytes_per_client > 4 * 1244 + 8 * 40


def test_a_wrong_answer_of_one_auditor_opens_nothing() -> None:
    round_ = make_round(5, 4, 3)
    node, x = make_node(round_, 1), np.arange(5, dtype=np.int64)
    report = receive(round_, node.report_key.verifier.public_key, make_report(round_, node, x))
    auditors = [Auditor(round_, index) for index in range(3)]
    for auditor in auditors:
        auditor.add([auditor.open(report.header, report.boxes[auditor.index])])
    answers = [auditor.answer() for auditor in auditors]
    assert combine(round_, sum_vectors(5, [report.vector]), answers).tolist() == x.tolist()
    subset = next(iter(answers[0].keys() & answers[1].keys()))
    with pytest.raises(ValueError, match="differ"):
        combine(round_, sum_vectors(5, [report.vector]), [answers[0] | {subset: bytes(40)}, *answers[1:]])


def test_an_altered_report_is_not_received() -> None:
    round_ = make_round(2, 4, 3)
    node = make_node(round_, 1)
    data = make_report(round_, node, np.zeros(2, np.int64))
    public = node.report_key.verifier.public_key
    assert receive(round_, public, data).header.node == node.id
    with pytest.raises(VerificationError):
        receive(round_, public, data.replace(b"confinement L3", b"confinement L2"))
    with pytest.raises(PayloadError, match="box"):
        receive(round_, public, data[:-1] + bytes([data[-1] ^ 1]))


def row(peer: str, client_s: float, server_s: float) -> Row:
    return Row(peer, "", 10, 1_000, client_s, client_s, server_s, 1, 1, True)


def test_the_summary_takes_the_cheapest_peer_and_says_what_is_missed() -> None:
    rows = [row("fedscreen (4, 3)", 1.0, 5.0), row("fedscreen (2, 2)", 0.1, 0.1)]
    rows += [row("TenSEAL CKKS", 20.0, 9.0), row("Flower SecAgg+", 9.0, 100.0)]
    found = {
        item["name"]: (item["reference_peer"], item["ratio"], item["ok"]) for item in peers._summary(rows)
    }
    assert found == {
        "server CPU / best secure peer": ("TenSEAL CKKS", 0.5556, False),
        "server CPU / best peer without a shared key": ("Flower SecAgg+", 0.05, True),
        "client CPU / best secure peer": ("Flower SecAgg+", 0.1111, False),
        "client CPU / best peer without a shared key": ("Flower SecAgg+", 0.1111, False),
    }


def test_without_any_peer_there_is_nothing_to_summarise() -> None:
    assert list(peers._summary([row("fedscreen (4, 3)", 1.0, 1.0)])) == []
