"""`fedscreen node hand-over`: sealed files about one pupil, from a school to one named person.

At a school every command asks for the psychologist's passphrase. A recipient without a node, such as a
hospital, uses two commands that need no node and no network: `recipient-init` once, `open` for each file.
Nothing here reaches the coordinator: a file is written where the person says, and carried by hand or mail.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, date, datetime
from gettext import gettext as _
from pathlib import Path
from typing import Any

import click

from node.cli_ask import ask_new_passphrase, ask_passphrase
from node.cli_context import FILE, NEW_FILE, Context, command, write_file
from node.cli_follow_up import SCHOOL_YEAR, WAVE, ask_psychologist, value_words, wave_fields
from node.cli_roles import actor_options
from node.config import file_error, replace_file
from node.errors import ConfigError
from node.errors import _ as N_  # translated where it is shown
from node.follow_up_words import FIELD_WORDS, KIND_WORDS, REASON_WORDS
from node.hand_over_file import KINDS, MAX_DAYS, PLAIN_BYTES, Opened, open_file
from node.hand_over_key import MAX_KEY_BYTES, check_fingerprint, key_pair
from node.hand_over_receipt import MAX_RECEIPT_BYTES, make_receipt
from node.hand_over_secret import (
    NONCE_BYTES,
    SALT_BYTES,
    SECRET_BYTES,
    SECRET_FILE_BYTES,
    open_secret,
    wrap_secret,
)
from node.unwrap import read_passphrase_file
from node.vault.hand_over_fields import FIELDS, MORE
from plan.words import word

MAX_FILE_BYTES = PLAIN_BYTES + 4096
SHORT = 8
SENDER = click.option(
    "--sender", help=_("The sender's fingerprint, told by another way; another is refused.")
)
FIELD_ORDER = tuple(dict.fromkeys((*FIELDS["transfer"], *FIELDS["consultation"], *MORE)))

hand_over: click.Group = click.Group(
    "hand-over", help=_("Sealed files about one pupil, to one named person; never through the county.")
)


# ---------------------------------------------------------------- at a school


@command(hand_over, "key", _("Write this school's key, to which other schools can seal files."))
@click.option("--out", type=NEW_FILE, required=True, help=_("File to write."))
@actor_options()
def write_key(context: Context, out: Path, holder: str | None, role_passphrase_file: Path | None) -> None:
    """Write the psychologist's public key."""
    with context.vault() as vault:
        actor = ask_psychologist(vault, holder, role_passphrase_file)
        answer, blobs = vault.call({"command": "hand_over_key", "actor": actor})
    write_file(out, blobs["key"])
    values = {**answer, "file": str(out)}
    context.say(values, _key_lines(values))


@command(hand_over, "make", _("Seal what a named person needs to know about one pupil into a file."))
@click.option("--pupil", required=True, help=_("Key of the list, student number or name."))
@click.option("--to", "key", type=FILE, required=True, help=_("The recipient's key file."))
@click.option("--fingerprint", required=True, help=_("The key's fingerprint, told by another way."))
@click.option("--kind", type=click.Choice(KINDS), required=True, help=_("What it is for."))
@click.option("--consent", metavar="DAY", help=_("The day on which the guardian consented to this."))
@click.option("--crisis", metavar="WORDS", help=_("Instead of consent: why nobody could wait."))
@click.option("--words", help=_("What the guardian agreed to."))
@click.option(
    "--expires", "days", type=click.IntRange(1, MAX_DAYS), default=14, show_default=True,
    help=_("Days in which it may be opened."),
)  # fmt: skip
@click.option("--note", help=_("What else the recipient needs to know, in your words."))
@click.option("--note-file", type=FILE, help=_("The same from a UTF-8 text file."))
@click.option("--more", multiple=True, help=_("Also: total, factors_high or critical."))
@click.option("--dry-run", is_flag=True, help=_("Show what would be handed over; write nothing."))
@click.option("--out", type=NEW_FILE, help=_("File to write."))
@SCHOOL_YEAR
@WAVE
@actor_options()
def make(context: Context, out: Path | None, key: Path, **options: Any) -> None:
    """Make a file; the journal has it before it is written."""
    if out is None and not options["dry_run"]:
        raise click.UsageError(_("Give --out FILE, or --dry-run."))
    asks = {"command": "hand_over_make", **_reason(options), **_content(options)}
    _check_size(key, MAX_KEY_BYTES)
    with context.vault() as vault:
        asks["actor"] = ask_psychologist(vault, options["holder"], options["role_passphrase_file"])
        answer, blobs = vault.call(asks, {"recipient": key})
    if out is not None and not options["dry_run"]:
        write_file(out, blobs["file"])
        answer["file"] = str(out)
    context.say(answer, _made_lines(answer))


def _reason(options: dict[str, Any]) -> dict[str, str]:
    consent, crisis = options["consent"], options["crisis"]
    if bool(consent) == bool(crisis) or (crisis and options["words"]):
        raise click.UsageError(_("Give --consent DAY (with --words), or --crisis WORDS: one of the two."))
    if crisis:
        return {"reason": "crisis", "words": crisis}
    return {"reason": "consent", "day": _day(consent), "words": options["words"] or ""}


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise click.UsageError(_("--consent is a day such as 2026-09-30")) from None


def _content(options: dict[str, Any]) -> dict[str, Any]:
    note = options["note"] or ""
    if options["note_file"] is not None:
        if note:
            raise click.UsageError(_("Give --note or --note-file."))
        try:
            note = options["note_file"].read_text("utf-8-sig").strip()
        except UnicodeDecodeError:
            raise click.UsageError(_("--note-file is a UTF-8 text file")) from None
    named = {name: options[name] for name in ("pupil", "fingerprint", "kind", "days")}
    named |= {"note": note, "more": list(options["more"]), "dry_run": int(options["dry_run"])}
    return named | wave_fields(options["school_year"], options["wave"])


@command(hand_over, "receive", _("Open a file that another school sealed to this school's key, and keep it."))
@click.argument("file", type=FILE)
@click.option("--receipt", type=NEW_FILE, required=True, help=_("Receipt to write, for the sender."))
@SENDER
@click.option("--text", type=NEW_FILE, help=_("Also write the content, to be printed."))
@actor_options()
def receive(
    context: Context,
    file: Path,
    receipt: Path,
    sender: str | None,
    text: Path | None,
    holder: str | None,
    role_passphrase_file: Path | None,
) -> None:
    """Open, keep, show, and write the receipt."""
    _check_size(file, MAX_FILE_BYTES)
    with context.vault() as vault:
        actor = ask_psychologist(vault, holder, role_passphrase_file)
        asks = {"command": "hand_over_receive", "actor": actor, "sender": sender or ""}
        answer, blobs = vault.call(asks, {"file": file})
    write_file(receipt, blobs["receipt"])
    _write_text(text, answer)
    values = {**answer, "receipt": str(receipt)}
    context.say(values, _opened_lines(values))


@command(hand_over, "receipt", _("Take the receipt that a recipient sent back."))
@click.argument("file", type=FILE)
@actor_options()
def take_receipt(context: Context, file: Path, holder: str | None, role_passphrase_file: Path | None) -> None:
    """Keep a receipt that proves who opened a file."""
    _check_size(file, MAX_RECEIPT_BYTES)
    with context.vault() as vault:
        actor = ask_psychologist(vault, holder, role_passphrase_file)
        answer, _blobs = vault.call({"command": "hand_over_receipt", "actor": actor}, {"receipt": file})
    context.say(answer, _receipt_lines(answer))


@command(hand_over, "list", _("List the files that were sent and received, with their receipts."))
@actor_options()
def list_files(context: Context, holder: str | None, role_passphrase_file: Path | None) -> None:
    """List hand-over files, newest first."""
    with context.vault() as vault:
        actor = ask_psychologist(vault, holder, role_passphrase_file)
        answer, _blobs = vault.call({"command": "hand_over_list", "actor": actor})
    context.say(answer, _list_lines(answer["files"]))


@command(hand_over, "show", _("Show a received file again."))
@click.argument("hand_over_id", metavar="ID")
@click.option("--text", type=NEW_FILE, help=_("Also write the content, to be printed."))
@actor_options()
def show(
    context: Context,
    hand_over_id: str,
    text: Path | None,
    holder: str | None,
    role_passphrase_file: Path | None,
) -> None:
    """Open a kept file again."""
    with context.vault() as vault:
        actor = ask_psychologist(vault, holder, role_passphrase_file)
        answer, _blobs = vault.call({"command": "hand_over_show", "actor": actor, "id": hand_over_id})
    _write_text(text, answer)
    context.say(answer, _opened_lines(answer))


# ---------------------------------------------------------------- at a hospital, without a node


@command(
    hand_over, "recipient-init", _("For a recipient without a node: make a key, once. Needs no network.")
)
@click.option("--institution", required=True, help=_("Name of the hospital or office."))
@click.option("--person", required=True, help=_("Name of the person who will open files."))
@click.option("--key", "secret_file", type=NEW_FILE, required=True, help=_("Private key to write; keep it."))
@click.option("--out", type=NEW_FILE, required=True, help=_("Public key to write; give it to schools."))
def recipient_init(context: Context, institution: str, person: str, secret_file: Path, out: Path) -> None:
    """Make a private key under a passphrase, and its public half."""
    if secret_file.exists():
        raise ConfigError(
            N_("%(file)s exists already"),
            N_("A key that is replaced can open nothing any more: choose another name."),
            code="file",
            details={"file": str(secret_file)},
        )
    entropy = secrets.token_bytes
    secret = entropy(SECRET_BYTES)
    public = key_pair(secret, institution, person).public
    wrapped = wrap_secret(secret, _ask(context, is_new=True), entropy(SALT_BYTES), entropy(NONCE_BYTES))
    _write_private(secret_file, wrapped)
    write_file(out, public.text.encode("utf-8"))
    values = {"institution": institution, "person": person, "fingerprint": public.fingerprint}
    values |= {"file": str(out), "key": str(secret_file)}
    context.say(values, _recipient_lines(values))


@command(hand_over, "open", _("For a recipient without a node: open a file, and write its receipt."))
@click.argument("file", type=FILE)
@click.option("--key", "secret_file", type=FILE, required=True, help=_("The private key."))
@click.option("--receipt", type=NEW_FILE, required=True, help=_("Receipt to write, for the sender."))
@SENDER
@click.option("--by", help=_("Who opens it; default: the person whom the file names."))
@click.option("--text", type=NEW_FILE, help=_("Also write the content, to be printed."))
def open_here(
    context: Context,
    file: Path,
    secret_file: Path,
    receipt: Path,
    sender: str | None,
    by: str | None,
    text: Path | None,
) -> None:
    """Open a file with a private key of one's own, without node and network."""
    _check_size(file, MAX_FILE_BYTES)
    _check_size(secret_file, SECRET_FILE_BYTES)
    now = datetime.now(UTC)
    secret = open_secret(secret_file.read_bytes(), _ask(context, is_new=False))
    own = key_pair(secret, "-", "-")  # names are in the public key only; the file is checked by the keys
    opened = open_file(file.read_bytes(), own, now)
    if sender:
        check_fingerprint(opened.body.sender, sender)
    write_file(receipt, make_receipt(opened, own, by or opened.body.to[1], now))
    answer = {**_values_of(opened), "receipt": str(receipt)}
    _write_text(text, answer)
    context.say(answer, _opened_lines(answer))


def _ask(context: Context, *, is_new: bool) -> str:
    if context.passphrase_file is not None:
        return read_passphrase_file(context.passphrase_file)
    label = _("Passphrase of the private key (12 characters or more)")
    return (ask_new_passphrase if is_new else ask_passphrase)(label)


def _values_of(opened: Opened) -> dict[str, Any]:
    """Give an opened file as a vault's answer gives it."""
    header, body = opened.header, opened.body
    day = body.reason.day.isoformat() if body.reason.day is not None else ""
    return {
        "id": header.hand_over_id,
        "kind": body.kind,
        "created": header.created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "expires": header.expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "from": {
            "institution": body.sender.institution,
            "person": body.by,
            "node": body.node,
            "fingerprint": body.sender.fingerprint,
        },
        "to": list(body.to),
        "reason": {"kind": body.reason.kind, "words": body.reason.words, "day": day},
        "fields": dict(body.fields),
        "note": body.note,
    }


def _check_size(path: Path, most: int) -> None:
    """Refuse a file that is larger than any good one, before it is read."""
    found = path.stat().st_size
    if found > most:
        raise ConfigError(
            N_("%(file)s has %(found)d bytes, at most %(high)d"),
            N_("Choose the file that the other side wrote."),
            code="file",
            details={"file": str(path), "found": found, "high": most},
        )


def _write_private(path: Path, data: bytes) -> None:
    try:
        replace_file(path, data)
    except OSError as err:
        raise file_error(err, str(path)) from err


def _write_text(path: Path | None, answer: dict[str, Any]) -> None:
    """Write the content for a printer, readable for its owner alone."""
    if path is not None:
        _write_private(path, "".join(line + "\n" for line in _content_lines(answer)).encode("utf-8"))


# ---------------------------------------------------------------- lines


def _key_lines(values: dict[str, Any]) -> Iterator[str]:
    yield _("key of %(institution)s, %(person)s, written to %(file)s") % values
    yield _("  fingerprint %(fingerprint)s") % values
    yield _("  give out the file by any way, and read the fingerprint out on the telephone")


def _recipient_lines(values: dict[str, Any]) -> Iterator[str]:
    yield from _key_lines(values)
    yield _("  private key in %(key)s: whoever has it and the passphrase opens every file for you") % values


def _field_lines(values: dict[str, str]) -> Iterator[str]:
    known = [name for name in FIELD_ORDER if name in values]
    for name in (*known, *sorted(values.keys() - known)):
        yield f"  {word(FIELD_WORDS, name, _)}: {_shown(name, values[name])}"


def _shown(name: str, text: str) -> str:
    return text if " " in text else value_words(name, text)


def _made_lines(answer: dict[str, Any]) -> Iterator[str]:
    kind = word(KIND_WORDS, answer["kind"], _)
    yield _("%(kind)s: %(name)s, to %(institution)s, %(person)s") % {
        **answer,
        "kind": kind,
        "name": answer["pupil"]["name"] or answer["pupil"]["key"],
    }
    yield from _field_lines(answer["fields"])
    if answer["note"]:
        yield _("  note: %(note)s") % answer
    if answer["dry_run"]:
        yield _("dry run: nothing was written")
        return
    words = {**answer, "id": answer["id"][:SHORT], "day": answer["expires"][:10]}
    yield _("sealed into %(file)s, file %(id)s, to be opened until %(day)s") % words
    yield _("  carry or mail it yourself: it never goes through the county. Ask for the receipt.")


def _content_lines(answer: dict[str, Any]) -> Iterator[str]:
    sender, reason = answer["from"], answer["reason"]
    yield word(KIND_WORDS, answer["kind"], _)
    yield _("from %(institution)s, %(person)s") % sender
    yield _("  the sender's fingerprint, to be compared by telephone: %(fingerprint)s") % sender
    yield _("to %(institution)s, %(person)s") % dict(
        zip(("institution", "person"), answer["to"], strict=True)
    )
    kind = word(REASON_WORDS, reason["kind"], _)
    yield _("reason: %(kind)s %(day)s %(words)s") % {**reason, "kind": kind}
    yield from _field_lines(answer["fields"])
    if answer["note"]:
        yield _("note:")
        yield from ("  " + line for line in answer["note"].split("\n"))
    yield _("a screening result is no diagnosis; use it for what it was handed over for, then destroy it")


def _opened_lines(answer: dict[str, Any]) -> Iterator[str]:
    yield from _content_lines(answer)
    if answer.get("receipt"):
        yield _("receipt written to %(receipt)s: send it back to the school") % answer


def _receipt_lines(answer: dict[str, Any]) -> Iterator[str]:
    words = {**answer, "id": answer["id"][:SHORT], "kind": word(KIND_WORDS, answer["kind"], _)}
    yield _("file %(id)s (%(kind)s) was opened by %(by)s at %(opened)s") % words
    if answer["kind"] == "transfer":
        yield _("  note it: fedscreen node follow-up set PUPIL handed_over=1")


def _list_lines(rows: list[dict[str, Any]]) -> Iterator[str]:
    if not rows:
        yield _("no hand-over file yet")
    for row in rows:
        words = {**row, "id": row["id"][:SHORT], "kind": word(KIND_WORDS, row["kind"], _)}
        words["created"] = row["created"][:10]
        if row["direction"] == "received":
            yield _("%(id)s  %(created)s  received: %(kind)s, from %(institution)s, %(person)s") % words
            continue
        words["name"] = row["pupil"]["name"] or row["pupil"]["key"]
        yield _("%(id)s  %(created)s  sent: %(kind)s, %(name)s, to %(institution)s, %(person)s") % words
        if "opened" in row:
            yield _("    opened by %(opened_by)s at %(opened)s") % words
        elif row["is_expired"]:
            yield _("    no receipt, and expired on %(day)s") % {"day": row["expires"][:10]}
        else:
            yield _("    no receipt yet; may be opened until %(day)s") % {"day": row["expires"][:10]}
