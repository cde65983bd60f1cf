"""The bytes of a request while they come in: in memory while they are few, then in a file without a name."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import BinaryIO

from django.conf import settings

# A body beyond is kept on disk until its turn: several of 64 MiB at once were most of web's memory.
MEMORY_BYTES = 8 * 1024 * 1024
READ_BYTES = 256 * 1024


class NoRoom(Exception):
    """The disk has no place for a large request."""


class Spool:
    """Takes a body in, gives it back in pieces. `take` is called with the bytes of memory more, or fewer."""

    def __init__(self, take: Callable[[int], None]) -> None:
        self._take = take
        self._memory = BytesIO()
        self._file: BinaryIO | None = None
        self.size = 0

    @property
    def is_large(self) -> bool:
        """Whether it is on disk."""
        return self._file is not None

    def write(self, part: bytes) -> None:
        """Add a piece; NoRoom where the disk is full."""
        if self._file is None and self.size + len(part) > MEMORY_BYTES:
            self._spill()
        self.size += len(part)
        if self._file is None:
            self._take(len(part))
            self._memory.write(part)
            return
        try:
            self._file.write(part)
        except OSError as error:
            raise NoRoom from error

    def _spill(self) -> None:
        try:
            self._file = tempfile.TemporaryFile(dir=_place(), buffering=0)  # noqa: SIM115 - closed by close()
            self._file.write(self._memory.getbuffer())
        except OSError as error:
            raise NoRoom from error
        self._take(-self.size)
        self._memory = BytesIO()

    def pieces(self) -> Iterator[bytes]:
        """The body from its beginning, in pieces; in one where it is in memory."""
        if self._file is None:
            # Shares its buffer, where joining pieces would hold the body twice.
            yield self._memory.getvalue()
            return
        self._file.seek(0)
        while part := self._file.read(READ_BYTES):
            yield part

    def close(self) -> None:
        """Let go of it; a file goes with it."""
        self._memory = BytesIO()
        if self._file is not None:
            self._file.close()


def _place() -> str | None:
    """The home's own directory where this process may write there, else the system's for temporary files."""
    run = settings.TELLTALE_HOME / "run"
    return str(run) if os.access(run, os.W_OK) else None
