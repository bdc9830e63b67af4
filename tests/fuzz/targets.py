"""Every parser of hostile bytes in one table: what it may raise, what writes its values, how much it takes.

A target takes bytes. Parsers of text get them decoded so that any bytes make a text, lone surrogates too.
Where a target signs its input before parsing it, the attacker is a party that holds that key. Errors are the
narrowest classes that callers catch; whatever else gets out is a bug (docs/fuzzing.md).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fuzz import bundles, composed, roundtrip
from google.protobuf.message import DecodeError as ProtobufError

import auditor.config
import coordinator.config
import node.config
from auditor.errors import ConfigError as AuditorConfigError
from auditor.errors import PolicyError
from auditor.policy import encode_auditor_policy, parse_auditor_policy
from coordinator.errors import CertificateError
from coordinator.errors import ConfigError as CoordinatorConfigError
from crypto import (
    canonical,
    checkpoint,
    derivation,
    errors,
    field64,
    note,
    policy,
    sealing,
    tiles,
    tlog_proof,
)
from node import confine, frames, hand_over_file
from node.errors import ConfigError as NodeConfigError
from node.errors import ConfinementError, FrameError
from node.hand_over_key import HandOverError, parse_key
from node.hand_over_receipt import parse_receipt
from node.vault.errors import CommandError
from node.vault.importing.errors import ImportingError
from node.vault.importing.profile import parse_profile
from plan.codebook import encode_codebook, parse_codebook_json, parse_codebook_toml
from plan.document import parse_plan_toml
from plan.errors import CodebookError, DocumentError, PhraseError, PlanError, encode_phrase, parse_phrase
from privacy.errors import PrivacyError
from protos import bodies, bundle, card, convert, enrolment, invitation, report_payload, statements
from protos import errors as protos
from protos import fedscreen_v1_pb2 as pb
from results.errors import ResultsError

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True)
class Target:
    """One parser.

    Attributes:
        name: `room.what`; also the corpus folder.
        parse: bytes to a value.
        errors: what `parse` may raise.
        encode: writes a parsed value again; None where the parser has no inverse.
        is_exact: `encode(parse(b)) == b`; otherwise only `parse(encode(parse(b))) == parse(b)`.
        grammar: what mutators know of it: "bytes", "text", "entry" (of a log), "json" (canonical), "toml".
        max_bytes: longest input that fuzzing tries.
        memory_bytes: most that an input of 1 MiB may take.
    """

    name: str
    parse: Callable[[bytes], Any]
    errors: tuple[type[Exception], ...]
    encode: Callable[[Any], bytes] | None = None
    is_exact: bool = True
    grammar: str = "bytes"
    max_bytes: int = 4 * KIB
    memory_bytes: int = 64 * MIB


DECODING = (errors.DecodeError, errors.ShapeMismatchError, errors.FieldRangeError)
VERIFYING = (errors.DecodeError, errors.VerificationError)
text_of, bytes_of = roundtrip.text_of, roundtrip.bytes_of


def _of_text(parse: Callable[[str], Any]) -> Callable[[bytes], Any]:
    return lambda data: parse(text_of(data))


def _to_text(encode: Callable[[Any], str]) -> Callable[[Any], bytes]:
    return lambda value: bytes_of(encode(value))


def _text_target(
    name: str, parse: Callable[[str], Any], encode: Callable[[Any], str] | None, *allowed: type[Exception]
) -> Target:
    written = _to_text(encode) if encode else None
    return Target(name, _of_text(parse), allowed, written, grammar="text")


def _body(name: str, parse: Callable[[bytes], Any], encode: Callable[[Any], bytes]) -> Target:
    return Target(f"protos.{name}-body", parse, (protos.BodyError,), encode, grammar="json")


def _message(message: Any, parse: Callable[[Any], Any], encode: Callable[[Any], Any] | None = None) -> Target:
    def parse_bytes(data: bytes) -> Any:
        return parse(message.FromString(data))

    written = (lambda value: encode(value).SerializeToString()) if encode else None
    allowed = (ProtobufError, protos.ConvertError)
    return Target(f"wire.{message.DESCRIPTOR.name}", parse_bytes, allowed, written, is_exact=False)


def _read_frame(data: bytes) -> list[frames.Frame]:
    """Read frames of every kind from a descriptor until it ends."""
    with tempfile.TemporaryFile() as stream:
        stream.write(data)
        stream.seek(0)
        found = []
        while (frame := frames.read_frame(stream.fileno(), frozenset(frames.Kind))) is not None:
            found.append(frame)
        return found


def _config(
    name: str, parse: Callable[[bytes], Any], error: type[Exception], encode: Callable[[Any], bytes]
) -> Target:
    return Target(f"{name}.toml", parse, (error,), encode, is_exact=False, grammar="toml")


CRYPTO = [
    Target(
        "crypto.json",
        canonical.parse_json,
        (errors.DecodeError,),
        canonical.encode_json,
        grammar="json",
        memory_bytes=96 * MIB,  # writing it again takes the second half
    ),
    _text_target("crypto.base64", canonical.decode_base64, canonical.encode_base64, errors.DecodeError),
    Target("crypto.vector", composed.parse_vector, DECODING, field64.encode_vector),
    Target("crypto.box-plaintext", composed.parse_seeds, (errors.DecodeError,), derivation.box_plaintext),
    Target("crypto.round-key", sealing.verify_public_key, (errors.DecodeError,)),
    Target("crypto.box", composed.open_box, (errors.OpenError,)),
    Target("crypto.note", note.parse_note, (errors.DecodeError,), note.encode_note, grammar="text"),
    Target("crypto.signed-note", composed.verify_note, VERIFYING, grammar="text"),
    _text_target("crypto.vkey", note.parse_vkey, lambda key: key.text, errors.DecodeError),
    _text_target("crypto.signature", note.parse_signature_line, note.signature_line, errors.DecodeError),
    _text_target(
        "crypto.checkpoint", checkpoint.parse_checkpoint, checkpoint.encode_checkpoint, errors.DecodeError
    ),
    Target("crypto.cosigned", composed.verify_cosigned, VERIFYING, grammar="text"),
    Target(
        "crypto.tlog-proof",
        tlog_proof.parse_proof,
        (errors.DecodeError,),
        tlog_proof.encode_proof,
        grammar="text",
    ),
    Target("crypto.receipt", composed.verify_receipt, VERIFYING, grammar="text"),
    Target("crypto.inclusion", composed.verify_inclusion, (errors.InclusionProofError,)),
    Target("crypto.consistency", composed.verify_consistency, (errors.ConsistencyError,)),
    _text_target(
        "crypto.tile-path", tiles.parse_tile_path, lambda v: tiles.tile_path(*v), errors.DecodeError
    ),
    _text_target(
        "crypto.entries-path", tiles.parse_entries_path, lambda v: tiles.entries_path(*v), errors.DecodeError
    ),
    Target("crypto.tile", composed.parse_tile, (errors.DecodeError,), b"".join),
    Target("crypto.entries", composed.parse_entries, (errors.DecodeError,), composed.encode_entries),
    _text_target("crypto.policy", policy.parse_policy, None, errors.DecodeError),
    Target("crypto.policed", composed.verify_policed, VERIFYING, grammar="text"),
]

PROTOS = [
    _text_target(
        "protos.statement", statements.parse_statement, statements.encode_statement, protos.StatementError
    ),
    _body("roster", composed.parse_roster, bodies.encode_roster_body),
    _body("candidates", bodies.parse_candidates_body, bodies.encode_candidates_body),
    _body("checked", bodies.parse_checked_body, bodies.encode_checked_body),
    _body("close", bodies.parse_close_body, bodies.encode_close_body),
    _body("release", bodies.parse_release_body, bodies.encode_release_body),
    Target(
        "protos.manifest",
        bundle.parse_manifest,
        (protos.ManifestError,),
        bundle.encode_manifest,
        grammar="text",
    ),
    _text_target("protos.card", card.parse_card, card.encode_card, protos.CardError),
    Target("protos.request", enrolment.parse_request, (protos.EnrolmentError,), grammar="json"),
    Target(
        "protos.signed-request",
        composed.parse_signed_request,
        (protos.EnrolmentError,),
        grammar="json",
        memory_bytes=128 * MIB,  # signing it here takes the second half
    ),
    Target(
        "protos.grant",
        enrolment.parse_grant,
        (protos.EnrolmentError,),
        enrolment.encode_grant,
        grammar="json",
    ),
    Target(
        "protos.invitation",
        invitation.parse_invitation,
        (protos.EnrolmentError,),
        invitation.encode_invitation,
        grammar="json",
    ),
    Target(
        "protos.log-file", composed.parse_sealed_log_file, (protos.LogFileError,), composed.unseal_log_file
    ),
    Target("protos.payload", composed.parse_payload, (protos.PayloadError,), report_payload.encode_payload),
    Target("protos.ledger", composed.check_entry, (protos.LedgerError,), grammar="entry"),
    Target("protos.ledger-checkpoint", composed.verify_logged, (protos.LedgerError,), grammar="text"),
]

WIRE = [
    _message(pb.GetLogRequest, convert.parse_get_log_request),
    _message(pb.GetLogResponse, convert.parse_log_page, convert.encode_log_page),
    _message(pb.SubmitReportRequest, convert.parse_submit_report_request),
    _message(pb.SubmitReportResponse, convert.parse_submit_report_response),
    _message(pb.ListProposalsResponse, convert.parse_proposals, convert.encode_proposals),
    _message(pb.SignRosterRequest, convert.parse_sign_roster_request),
    _message(pb.SubmitCosignatureRequest, convert.parse_submit_cosignature_request),
    _message(pb.SubmitStatementRequest, convert.parse_submit_statement_request),
    _message(pb.SubmitOpeningRequest, convert.parse_submit_opening_request),
    _message(pb.GetBoxesRequest, convert.parse_round_request),
    _message(pb.GetBoxesResponse, convert.parse_box),
    _message(pb.GetVectorsResponse, convert.parse_vector_message),
    _message(pb.GetSumsResponse, convert.parse_sum_message),
]

PLAN = [
    Target("plan.toml", parse_plan_toml, (DocumentError,), grammar="toml", max_bytes=8 * KIB),
    Target("plan.codebook", parse_codebook_toml, (CodebookError,), grammar="toml", max_bytes=8 * KIB),
    Target("plan.codebook-json", parse_codebook_json, (CodebookError,), encode_codebook, grammar="json"),
    Target(
        "plan.published",
        composed.read_published,
        (PlanError, PrivacyError),
        grammar="json",
        max_bytes=8 * KIB,
    ),
    Target(
        "plan.phrase",
        _of_text(parse_phrase),
        (PhraseError,),
        _to_text(encode_phrase),
        is_exact=False,
        grammar="json",
    ),
    Target(
        "results.release",
        composed.read_release,
        (protos.BodyError, ResultsError),
        grammar="json",
        max_bytes=8 * KIB,
    ),
]

NODE = [
    Target("node.frames", _read_frame, (FrameError,), roundtrip.encode_frames),
    Target("node.log-frame", frames.parse_log, (FrameError,), frames.encode_log),
    Target("node.report-frame", frames.report_shape, (FrameError,)),
    Target("node.link-frame", frames.parse_link, (FrameError,), frames.encode_link),
    Target("node.data-frame", frames.parse_data, (FrameError,), lambda value: frames.encode_data(*value)),
    Target("node.command-frame", frames.parse_object, (FrameError,), grammar="json"),
    Target("node.response-frame", frames.parse_response, (FrameError,)),
    Target("node.ready-frame", confine.parse_ready, (ConfinementError,), confine.encode_ready),
    Target("node.floors", composed.parse_floors, (FrameError, CommandError), grammar="json"),
    Target("node.profile", parse_profile, (ImportingError,), grammar="toml", max_bytes=8 * KIB),
    Target("node.csv", composed.read_csv, (ImportingError,), grammar="text"),
    Target("node.xlsx", composed.read_xlsx, (ImportingError,), max_bytes=16 * KIB, memory_bytes=512 * MIB),
    Target("node.xls", composed.read_xlsx, (ImportingError,), max_bytes=16 * KIB, memory_bytes=512 * MIB),
    Target("node.sheet", composed.read_sheet, (ImportingError,), grammar="text"),
    Target("node.hand-over-key", parse_key, (HandOverError,), lambda key: bytes_of(key.text), grammar="text"),
    Target(
        "node.hand-over-file",
        hand_over_file.parse_header,
        (HandOverError,),
        composed.write_hand_over,
        max_bytes=24 * KIB,
    ),
    Target(
        "node.hand-over-body",
        composed.read_hand_over_body,
        (HandOverError,),
        hand_over_file._encode_body,
        grammar="json",
    ),
    Target("node.hand-over-receipt", parse_receipt, (HandOverError,), grammar="text"),
    Target("node.import", composed.import_screening, (), grammar="text"),
]

SETTINGS = [
    _config("node", node.config.parse_config, NodeConfigError, node.config.encode_config),
    _config(
        "coordinator",
        coordinator.config.parse_config,
        CoordinatorConfigError,
        coordinator.config.encode_config,
    ),
    _config("auditor", auditor.config.parse_config, AuditorConfigError, auditor.config.encode_config),
    Target(
        "auditor.policy",
        _of_text(parse_auditor_policy),
        (PolicyError,),
        _to_text(encode_auditor_policy),
        is_exact=False,
        grammar="text",
    ),
    Target("auditor.bundle", bundles.verify_exchanged, (), grammar="text"),
    Target("auditor.forged-log", bundles.verify_forged, (), grammar="entry"),
    Target("coordinator.csr", composed.issue_certificate, (CertificateError,)),
]

TARGETS: dict[str, Target] = {
    target.name: target for target in [*CRYPTO, *PROTOS, *WIRE, *PLAN, *NODE, *SETTINGS]
}


class Broken(Exception):
    """A parser took bytes that it does not write, or reads differently what it wrote."""


def run_once(target: Target, data: bytes) -> bool:
    """Parse hostile bytes; returns whether they were taken.

    Raises:
        Broken: the value does not go round.
        Exception: whatever the parser lets out that it may not.
    """
    try:
        value = target.parse(data)
    except target.errors:
        return False
    if target.encode is None:
        return True
    written = target.encode(value)
    if target.is_exact and written != data:
        raise Broken(f"{target.name}: parsed bytes are not written again as they were")
    if not target.is_exact and not roundtrip.is_equal(target.parse(written), value):
        raise Broken(f"{target.name}: what was written is read as another value")
    return True


__all__ = ["MIB", "TARGETS", "Broken", "Target", "run_once"]
