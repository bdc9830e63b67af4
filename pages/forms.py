"""What a browser sends, read into memory within limits. Forms here carry texts only, each field once.

Anything else is refused whole before a page sees it: other kinds of forms, a field twice, signs that cannot
be seen (control characters, signs that turn the direction of writing), a text longer than any field takes.
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import AsyncGenerator
from typing import Final

from starlette.formparsers import FormParser, MultiPartException
from starlette.requests import Request

from plan.errors import PhrasedError, phrase

MAX_FORM_BYTES: Final = 64 * 2**10
MAX_FIELDS: Final = 128
MAX_TEXT: Final = 2_000
READ_S: Final = 15.0
KIND: Final = "application/x-www-form-urlencoded"
_ALLOWED: Final = frozenset("\t\r\n")
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


class FormError(PhrasedError):
    """A form is too large, or is none."""

    code: Final = "form"


async def read_form(request: Request) -> dict[str, str]:
    """Read a form: field → text.

    Raises:
        FormError: it is too large, too slow, malformed, or carries what no field takes.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != KIND:
        raise _unreadable()
    try:
        parser = FormParser(request.headers, _limited(request), max_fields=MAX_FIELDS)
        items = (await asyncio.wait_for(parser.parse(), READ_S)).multi_items()
    except (MultiPartException, UnicodeError, TimeoutError, ValueError):
        raise _unreadable() from None
    found: dict[str, str] = {}
    for name, value in items:
        if name in found or not isinstance(value, str):
            raise _unreadable()
        found[name] = _checked(value)
    return found


def stale() -> FormError:
    """Make the refusal of a form whose token is not its session's."""
    return FormError(phrase("this form is too old; load the page again and send it once more"))


def _checked(value: str) -> str:
    if len(value) > MAX_TEXT:
        raise FormError(phrase("a field takes %(most)s characters at most", most=MAX_TEXT))
    if any(unicodedata.category(sign) in _HIDDEN and sign not in _ALLOWED for sign in value):
        raise FormError(phrase("a field holds a character that cannot be seen; type it anew"))
    return value


async def _limited(request: Request) -> AsyncGenerator[bytes, None]:
    length = request.headers.get("content-length") or "0"
    if not (length.isascii() and length.isdigit()) or int(length[:12]) > MAX_FORM_BYTES:
        raise FormError(phrase("the form is larger than what is taken"))
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_FORM_BYTES:
            raise FormError(phrase("the form is larger than what is taken"))
        yield chunk


def _unreadable() -> FormError:
    return FormError(phrase("the form cannot be read; load the page again and send it once more"))
