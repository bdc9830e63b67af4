"""What a browser sends, read into memory within limits; nothing of it is written to a disk.

A school's files are some megabytes. A form without files is a few hundred bytes; without a session nothing
larger is read.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Final

from starlette.datastructures import UploadFile
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser
from starlette.requests import Request

from node.errors import NodeError
from node.errors import _ as N_  # translated where it is shown

MAX_UPLOAD_BYTES: Final = 64 * 2**20
MAX_FORM_BYTES: Final = 64 * 2**10
MAX_FILES: Final = 16
MAX_FIELDS: Final = 64
MULTIPART: Final = "multipart/form-data"
URLENCODED: Final = "application/x-www-form-urlencoded"


class FormError(NodeError):
    """A form is too large, or is none."""

    CODE = "form"


class _InMemory(MultiPartParser):
    spool_max_size = 0  # never rolls over to a file


@dataclass(frozen=True, slots=True)
class Form:
    """A form: its texts, and the content of its files by field; a field without a file is left out."""

    texts: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict, repr=False)

    def text(self, name: str) -> str:
        """Give a text without the spaces around it; "" where it is missing."""
        return self.texts.get(name, "").strip()


async def read_form(request: Request, *, with_files: bool) -> Form:
    """Read a form.

    Args:
        request: a POST.
        with_files: whether somebody is there who may send files.

    Raises:
        FormError: it is larger than what is taken, or malformed.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    most = MAX_UPLOAD_BYTES if with_files and kind == MULTIPART else MAX_FORM_BYTES
    stream = _limited(request, most)
    try:
        if kind == MULTIPART:
            parser = _InMemory(request.headers, stream, max_files=MAX_FILES, max_fields=MAX_FIELDS)
            return await _collect(parser)
        if kind == URLENCODED:
            return await _collect(FormParser(request.headers, stream, max_fields=MAX_FIELDS))
    except (MultiPartException, UnicodeDecodeError):
        pass
    raise FormError(N_("the form cannot be read"), N_("Load the page again and send the form once more."))


async def _limited(request: Request, most: int) -> AsyncGenerator[bytes, None]:
    if int(request.headers.get("content-length") or 0) > most:
        raise _too_large(most)
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise _too_large(most)
        yield chunk


async def _collect(parser: MultiPartParser | FormParser) -> Form:
    form = Form()
    for name, value in (await parser.parse()).multi_items():
        if isinstance(value, str):
            form.texts[name] = value
            continue
        content = await _content(value)
        if value.filename:
            form.files[name] = content
    return form


async def _content(file: UploadFile) -> bytes:
    try:
        return await file.read()
    finally:
        await file.close()


def _too_large(most: int) -> FormError:
    return FormError(
        N_("the files are larger than %(most)s MiB together"),
        N_("Save the tables as .xlsx without pictures, or use 'fedscreen node import'."),
        code="too-large",
        details={"most": most // 2**20} if most >= 2**20 else {"most": "1/16"},
    )
