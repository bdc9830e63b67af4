"""The recovery code: 128 bits as eight groups of six digits, each with its own check.

Group i (1 to 8) is 11·v + i for 16 bits v: it leaves the remainder i by 11. So one wrong digit, or two
neighbours that changed places, is told with its group, and so are two groups in the wrong order.
"""

from __future__ import annotations

import struct
import unicodedata
from typing import Final

from node.errors import BackupError, _

CODE_BYTES: Final = 16
NUM_GROUPS: Final = 8
GROUP_DIGITS: Final = 6
MODULUS: Final = 11
_WORDS = struct.Struct(">8H")
_BETWEEN = str.maketrans("", "", " -\t\r\n·.,")


def format_code(code: bytes) -> str:
    """Write 16 bytes as a code; the inverse of `parse_code`."""
    values = enumerate(_WORDS.unpack(code), 1)
    return "-".join(f"{MODULUS * value + group:0{GROUP_DIGITS}d}" for group, value in values)


def parse_code(text: str) -> bytes:
    """Read a code as people type it: any spaces and hyphens, full-width digits too.

    Raises:
        BackupError: not 48 digits, or a group is mistyped; the message names it, never its digits.
    """
    digits = unicodedata.normalize("NFKC", text).translate(_BETWEEN)
    if len(digits) != NUM_GROUPS * GROUP_DIGITS or not digits.isascii() or not digits.isdigit():
        raise BackupError(
            _("the recovery code has %(expected)d groups of %(digits)d digits"),
            _("Type it as it stands on the sheet."),
            code="recovery-code",
            details={"expected": NUM_GROUPS, "digits": GROUP_DIGITS},
        )
    groups = [digits[at : at + GROUP_DIGITS] for at in range(0, len(digits), GROUP_DIGITS)]
    return _WORDS.pack(*(_value(int(text), group) for group, text in enumerate(groups, 1)))


def _value(number: int, group: int) -> int:
    value, rest = divmod(number - group, MODULUS)
    if rest or not 0 <= value < 1 << 16:
        raise BackupError(
            _("group %(group)d of the recovery code is mistyped"),
            _("Compare this group with the sheet; if it is as there, compare the groups before it."),
            code="recovery-code",
            details={"group": group},
        )
    return value
