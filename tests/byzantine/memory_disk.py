"""A disk in memory for an auditor's real `State` and `Mirror`, with a power switch.

`MemoryPath` stands where a `pathlib.Path` does, `DiskCalls` where the module `os` does; everything else in
`auditor.state`, `auditor.mirror` and `auditor.durable` is the product's own code. What a crash leaves:

- a process that is killed leaves what it has written;
- a power cut leaves of a file what was synced, and of what was written since any beginning; of a folder the
  names that stood there when it was synced, and any number of the first changes since.

A block that is freed keeps its bytes: `holds` finds a secret that was unlinked without being overwritten.
"""

from __future__ import annotations

import io
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import auditor.durable
import auditor.mirror
import auditor.state


class Block:
    """One file's bytes: as written, and as they survive a power cut."""

    __slots__ = ("data", "synced")

    def __init__(self) -> None:
        self.data = b""
        self.synced = b""


class Folder:
    """One folder: its names now, and the changes since it was synced."""

    __slots__ = ("changes", "names", "synced")

    def __init__(self) -> None:
        self.names: dict[str, Block] = {}
        self.synced: dict[str, Block] = {}
        self.changes: list[tuple[str, Block | None]] = []

    def put(self, name: str, block: Block | None) -> None:
        """Give a name to a file, or take it away."""
        self.changes.append((name, block))
        if block is None:
            del self.names[name]
        else:
            self.names[name] = block

    def sync(self) -> None:
        """Make the names durable."""
        self.synced = dict(self.names)
        self.changes.clear()


class MemoryDisk:
    """All folders of one auditor."""

    def __init__(self) -> None:
        self.folders: dict[str, Folder] = {"": Folder()}
        self.blocks: list[Block] = []

    @property
    def root(self) -> MemoryPath:
        """The folder at the top."""
        return MemoryPath(self, "")

    def new_block(self) -> Block:
        """Allocate a file."""
        block = Block()
        self.blocks.append(block)
        return block

    def cut_power(self, rng: random.Random) -> None:
        """Lose what was not synced, as far as chance has it."""
        for folder in self.folders.values():
            names = dict(folder.synced)
            for name, block in folder.changes[: rng.randint(0, len(folder.changes))]:
                if block is None:
                    names.pop(name, None)
                else:
                    names[name] = block
            folder.names = names
            folder.sync()
        for block in self.blocks:
            if block.data != block.synced:
                kept = rng.choice((0, len(block.data), rng.randint(0, len(block.data))))
                # a block that was overwritten in part has the new bytes first, and the old ones behind
                block.data = block.data[:kept] + block.synced[kept:]
                block.synced = block.data

    def holds(self, secret: bytes) -> bool:
        """Say whether any block, freed or not, holds these bytes."""
        return any(secret in block.data for block in self.blocks)

    def copy(self, prefix: str = "") -> dict[str, bytes]:
        """Copy the files of some folders: a backup."""
        return {
            f"{where}/{name}": block.data
            for where, folder in self.folders.items()
            if where.startswith(prefix)
            for name, block in folder.names.items()
        }

    def remove(self, prefix: str) -> None:
        """Remove the files of some folders."""
        for where, folder in self.folders.items():
            if where.startswith(prefix):
                folder.names = {}
                folder.sync()

    def restore(self, files: dict[str, bytes]) -> None:
        """Write files of a backup back over what is there."""
        for path, data in files.items():
            where, _, name = path.rpartition("/")
            block = self.new_block()
            block.data = block.synced = data
            folder = self.folders.setdefault(where, Folder())
            folder.put(name, block)
            folder.sync()


class MemoryPath:
    """As much of `pathlib.Path` as an auditor's state and mirror use."""

    __slots__ = ("_disk", "_path")

    def __init__(self, disk: MemoryDisk, path: str) -> None:
        self._disk = disk
        self._path = path

    def __truediv__(self, name: str) -> MemoryPath:
        """Go down."""
        return MemoryPath(self._disk, f"{self._path}/{name}")

    def __str__(self) -> str:
        """Name the path, for messages."""
        return f"memory:{self._path}"

    @property
    def name(self) -> str:
        """The last part."""
        return self._path.rpartition("/")[2]

    @property
    def parent(self) -> MemoryPath:
        """The folder around."""
        return MemoryPath(self._disk, self._path.rpartition("/")[0])

    @property
    def _folder(self) -> Folder:
        found = self._disk.folders.get(self._path.rpartition("/")[0])
        if found is None:
            raise FileNotFoundError(str(self))
        return found

    def with_name(self, name: str) -> MemoryPath:
        """Name a file beside this one."""
        return self.parent / name

    def block(self) -> Block:
        """Find the file."""
        try:
            return self._folder.names[self.name]
        except KeyError:
            raise FileNotFoundError(str(self)) from None

    def exists(self) -> bool:
        """Whether there is such a file or folder."""
        folder = self._disk.folders.get(self._path.rpartition("/")[0])
        return self._path in self._disk.folders or (folder is not None and self.name in folder.names)

    def is_dir(self) -> bool:
        """Whether this is a folder."""
        return self._path in self._disk.folders

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        """Make a folder; folders themselves survive every crash."""
        path = self._path
        while path:
            self._disk.folders.setdefault(path, Folder())
            path = path.rpartition("/")[0]

    def sync_folder(self) -> None:
        """Make the names in this folder durable."""
        self._disk.folders[self._path].sync()

    def read_bytes(self) -> bytes:
        """Read the file."""
        return self.block().data

    def stat(self) -> os.stat_result:
        """Tell the size; time stands still."""
        return os.stat_result((0, 0, 0, 0, 0, 0, len(self.block().data), 0, 0, 0))

    def unlink(self, missing_ok: bool = False) -> None:
        """Take the name away; the block keeps its bytes."""
        if self.exists():
            self._folder.put(self.name, None)
        elif not missing_ok:
            raise FileNotFoundError(str(self))

    def replace(self, target: MemoryPath) -> None:
        """Give the file another name, in one step."""
        target._folder.put(target.name, self.block())
        self._folder.put(self.name, None)

    def link(self, target: MemoryPath) -> None:
        """Give the file a second name."""
        if target.exists():
            raise FileExistsError(str(target))
        target._folder.put(target.name, self.block())

    def create(self, exclusively: bool) -> Block:
        """Find or make the file."""
        if self.name in self._folder.names:
            if exclusively:
                raise FileExistsError(str(self))
            return self.block()
        block = self._disk.new_block()
        self._folder.put(self.name, block)
        return block

    def open(self, mode: str = "r") -> MemoryFile:
        """Open the file in binary."""
        return MemoryFile(self.block())

    def opened(self) -> MemoryFile:
        """Make the file if it is not there, and open it."""
        return MemoryFile(self.create(exclusively=False))


class MemoryFile(io.BytesIO):
    """An open file; flushed bytes reach the block, synced ones survive a power cut."""

    def __init__(self, block: Block) -> None:
        super().__init__(block.data)
        self.block = block

    def fileno(self) -> Any:
        """Stand for its own descriptor."""
        return self

    def flush(self) -> None:
        """Hand the bytes to the system."""
        if not self.closed:
            self.block.data = self.getvalue()

    def close(self) -> None:
        """Write out what is left."""
        if not self.closed and self.getvalue() != self.block.data:
            self.flush()
        super().close()


class DiskCalls:
    """The module `os`, for paths in memory and real ones alike."""

    def __getattr__(self, name: str) -> Any:
        """Everything else is the system's."""
        return getattr(os, name)

    def open(self, path: Any, flags: int, mode: int = 0o777) -> Any:
        """Open a file or a folder."""
        if not isinstance(path, MemoryPath):
            return os.open(path, flags, mode)
        if path.is_dir():
            return path
        if flags & os.O_CREAT:
            return MemoryFile(path.create(bool(flags & os.O_EXCL)))
        return MemoryFile(path.block())

    def fdopen(self, descriptor: Any, mode: str) -> Any:
        """Give the open file."""
        return descriptor if isinstance(descriptor, MemoryFile) else os.fdopen(descriptor, mode)

    def fsync(self, descriptor: Any) -> None:
        """Make bytes or names durable."""
        if isinstance(descriptor, MemoryFile):
            descriptor.block.synced = descriptor.block.data
        elif isinstance(descriptor, MemoryPath):
            descriptor.sync_folder()
        else:
            os.fsync(descriptor)

    def fstat(self, descriptor: Any) -> Any:
        """Tell the size."""
        if isinstance(descriptor, MemoryFile):
            return os.stat_result((0, 0, 0, 0, 0, 0, len(descriptor.block.data), 0, 0, 0))
        return os.fstat(descriptor)

    def close(self, descriptor: Any) -> None:
        """Close a file."""
        if isinstance(descriptor, MemoryFile):
            descriptor.close()
        elif not isinstance(descriptor, MemoryPath):
            os.close(descriptor)

    def link(self, source: Any, target: Any) -> None:
        """Give a file a second name."""
        if isinstance(source, MemoryPath):
            source.link(target)
        else:
            os.link(source, target)


@contextmanager
def disk_in_memory() -> Iterator[None]:
    """Let an auditor's state and mirror work on paths in memory, too."""
    modules = (auditor.durable, auditor.mirror, auditor.state)
    try_lock, calls = auditor.state._try_lock, DiskCalls()
    for module in modules:
        module.os = calls  # type: ignore[attr-defined]
    auditor.state._try_lock = lambda found: isinstance(found, MemoryFile) or try_lock(found)
    try:
        yield
    finally:
        for module in modules:
            module.os = os  # type: ignore[attr-defined]
        auditor.state._try_lock = try_lock
