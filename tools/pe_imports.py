"""Which DLLs a Windows program or library needs: its import table, read from the file.

Enough to say whether a folder holds together before anybody carries it to a Windows machine.
Spec: Microsoft PE and COFF, "The .idata section" and "The Delay-Load Import Tables".
"""

from __future__ import annotations

import struct

_PE32_PLUS = 0x20B
_IMPORTS, _DELAYED = 1, 13
_ENTRY_BYTES = {_IMPORTS: (20, 12), _DELAYED: (32, 4)}  # size of an entry, where its name's address is


def imported(data: bytes) -> set[str]:
    """Give the names of the DLLs that a 64-bit PE file imports, in lower case; empty for other files.

    Raises:
        ValueError: it begins like one and is damaged.
    """
    if data[:2] != b"MZ":
        return set()
    try:
        return _imported(data)
    except (struct.error, IndexError) as err:
        raise ValueError("a damaged PE file") from err


def _imported(data: bytes) -> set[str]:
    head = struct.unpack_from("<I", data, 0x3C)[0]
    num_sections, optional_bytes = struct.unpack_from("<2xH12xH", data, head + 4)
    optional = head + 24
    if struct.unpack_from("<H", data, optional)[0] != _PE32_PLUS:
        raise ValueError("not a 64-bit PE file")
    sections = [
        struct.unpack_from("<8xIIII", data, optional + optional_bytes + 40 * number)
        for number in range(num_sections)
    ]
    return {name for kind in (_IMPORTS, _DELAYED) for name in _names(data, optional, kind, sections)}


def _names(data: bytes, optional: int, kind: int, sections: list[tuple[int, ...]]) -> set[str]:
    num_directories = struct.unpack_from("<I", data, optional + 108)[0]
    if kind >= num_directories:
        return set()
    address = struct.unpack_from("<I", data, optional + 112 + 8 * kind)[0]
    found: set[str] = set()
    size, at = _ENTRY_BYTES[kind]
    place = _offset(address, sections) if address else -1
    while place >= 0:
        name = struct.unpack_from("<I", data, place + at)[0]
        if name == 0:
            break
        start = _offset(name, sections)
        found.add(data[start : data.index(b"\0", start)].decode("ascii", "replace").lower())
        place += size
    return found


def _offset(address: int, sections: list[tuple[int, ...]]) -> int:
    for virtual_bytes, virtual, raw_bytes, raw in sections:
        if virtual <= address < virtual + max(virtual_bytes, raw_bytes):
            return address - virtual + raw
    raise IndexError(address)
