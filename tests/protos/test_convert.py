"""gRPC messages: what is in range passes unchanged, the rest is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from protos import convert
from protos import fedscreen_v1_pb2 as pb
from protos.convert import LogPage, Proposal
from protos.errors import ConvertError

DIGEST = bytes(32)
PAGE = LogPage(3, ((b"entry", b""), (b"entry 2", b"{}")), b"latest", b"")


def test_pages_and_proposals_round_trip() -> None:
    assert convert.parse_log_page(convert.encode_log_page(PAGE)) == PAGE
    proposals = (Proposal("text 县\n", b"{}", ("— a AAAA",)),)
    assert convert.parse_proposals(convert.encode_proposals(proposals)) == proposals


def test_what_is_in_range_passes() -> None:
    assert convert.parse_get_log_request(pb.GetLogRequest(start=5, max_entries=10)) == (5, 10)
    assert convert.parse_get_log_request(pb.GetLogRequest(max_entries=2**31)) == (0, convert.MAX_PAGE_ENTRIES)
    assert convert.parse_submit_report_request(pb.SubmitReportRequest(payload=b"x")) == b"x"
    assert convert.parse_submit_report_response(pb.SubmitReportResponse(receipt=b"r")) == b"r"
    assert convert.parse_sign_roster_request(pb.SignRosterRequest(digest=DIGEST, signature="s")) == (
        DIGEST,
        "s",
    )
    cosignature = pb.SubmitCosignatureRequest(size=1, cosignature="c")
    assert convert.parse_submit_cosignature_request(cosignature) == (1, "c")
    assert convert.parse_submit_statement_request(pb.SubmitStatementRequest(entry=b"e")) == (b"e", b"")
    opening = pb.SubmitOpeningRequest(entry=b"e", sums=[bytes(16)])
    assert convert.parse_submit_opening_request(opening) == (b"e", (bytes(16),))
    assert convert.parse_round_request(pb.GetBoxesRequest(round_id=DIGEST)) == DIGEST
    assert convert.parse_box(pb.GetBoxesResponse(report=DIGEST, box=b"b")) == (DIGEST, b"b")
    assert convert.parse_vector_message(pb.GetVectorsResponse(report=DIGEST, vector=bytes(8))) == (
        DIGEST,
        bytes(8),
    )
    assert convert.parse_sum_message(pb.GetSumsResponse(auditor="a1", subset=3, sum=bytes(8))) == (
        "a1",
        3,
        bytes(8),
    )


@pytest.mark.parametrize(
    ("parse", "message"),
    [
        (convert.parse_get_log_request, pb.GetLogRequest(start=1)),
        (convert.parse_log_page, pb.GetLogResponse(latest=bytes(9000))),
        (convert.parse_log_page, pb.GetLogResponse(cosigned=bytes(9000))),
        (convert.parse_log_page, pb.GetLogResponse(entries=[pb.LogEntry()])),
        (convert.parse_log_page, pb.GetLogResponse(entries=[pb.LogEntry(entry=bytes(25_000))])),
        (convert.parse_log_page, pb.GetLogResponse(entries=[pb.LogEntry(entry=b"e")] * 1025)),
        (convert.parse_submit_report_request, pb.SubmitReportRequest()),
        (convert.parse_submit_report_response, pb.SubmitReportResponse(receipt=bytes(20_000))),
        (convert.parse_proposals, pb.ListProposalsResponse(proposals=[pb.Proposal()])),
        (
            convert.parse_proposals,
            pb.ListProposalsResponse(proposals=[pb.Proposal(text=b"\xff", body=b"{}")]),
        ),
        (
            convert.parse_proposals,
            pb.ListProposalsResponse(proposals=[pb.Proposal(text=b"t", body=b"{}", signatures=["s"] * 16)]),
        ),
        (
            convert.parse_proposals,
            pb.ListProposalsResponse(proposals=[pb.Proposal(text=b"t", body=b"{}")] * 65),
        ),
        (convert.parse_sign_roster_request, pb.SignRosterRequest(digest=bytes(31), signature="s")),
        (convert.parse_sign_roster_request, pb.SignRosterRequest(digest=DIGEST, signature="s\nt")),
        (convert.parse_sign_roster_request, pb.SignRosterRequest(digest=DIGEST)),
        (convert.parse_submit_cosignature_request, pb.SubmitCosignatureRequest(cosignature="c")),
        (convert.parse_submit_statement_request, pb.SubmitStatementRequest()),
        (convert.parse_submit_opening_request, pb.SubmitOpeningRequest(entry=b"e")),
        (convert.parse_submit_opening_request, pb.SubmitOpeningRequest(entry=b"e", sums=[bytes(9)])),
        (convert.parse_submit_opening_request, pb.SubmitOpeningRequest(entry=b"e", sums=[bytes(8)] * 200)),
        (convert.parse_round_request, pb.GetSumsRequest(round_id=b"x")),
        (convert.parse_box, pb.GetBoxesResponse(report=DIGEST)),
        (convert.parse_vector_message, pb.GetVectorsResponse(report=DIGEST, vector=bytes(7))),
        (convert.parse_sum_message, pb.GetSumsResponse(auditor="A", subset=1, sum=bytes(8))),
        (convert.parse_sum_message, pb.GetSumsResponse(auditor="a", subset=0, sum=bytes(8))),
        (convert.parse_sum_message, pb.GetSumsResponse(auditor="a", subset=128, sum=bytes(8))),
    ],
)
def test_what_is_out_of_range_is_refused(parse: Callable[[Any], object], message: object) -> None:
    with pytest.raises(ConvertError):
        parse(message)
