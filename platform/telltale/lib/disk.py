"""Whether the disk below the home is nearly full, and what takes the space; for a note on every page.

A database that cannot write refuses what arrives (503, senders try again) and still reads: pages open, and say why.
"""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

MIB, GIB = 1 << 20, 1 << 30
# Nearly full: less than a twentieth is free and less than this.
LEAST_FREE_BYTES = GIB
LOOK_SECONDS = 5.0
# Adding up thousands of files takes some milliseconds.
SIZES_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class FullDisk:
    """A disk that is nearly full: `parts` are what lies there, as (name, bytes), largest first."""

    free: int
    total: int
    parts: tuple[tuple[str, int], ...]

    @property
    def words(self) -> str:
        """How full it is."""
        return f"{size(self.free)} of {size(self.total)} are free"

    @property
    def taken_by(self) -> str:
        """What takes the space."""
        return ", ".join(f"{name} {size(taken)}" for name, taken in self.parts)


def size(taken: int) -> str:
    """Bytes for people: "340 MiB", "1.2 GiB"."""
    return f"{taken / GIB:,.1f} GiB" if taken >= GIB else f"{taken / MIB:,.0f} MiB"


class _Seen:
    """What this process saw last."""

    looked_at = sized_at = float("-inf")
    found: FullDisk | None = None
    sizes: tuple[tuple[str, int], ...] = ()


_seen = _Seen()


def nearly_full(home: Path) -> FullDisk | None:
    """The disk of `home` where it is nearly full; looked at every few seconds at most. None where it cannot be read."""
    now = time.monotonic()
    if now - _seen.looked_at >= LOOK_SECONDS:
        _seen.looked_at = now
        _seen.found = _look(home, now)
    return _seen.found


def forget() -> None:
    """Look anew at the next question."""
    _seen.looked_at = _seen.sized_at = float("-inf")


def _look(home: Path, now: float) -> FullDisk | None:
    try:
        usage = shutil.disk_usage(home)
    except OSError:
        return None
    if usage.free >= min(LEAST_FREE_BYTES, usage.total // 20):
        return None
    if now - _seen.sized_at >= SIZES_SECONDS:
        _seen.sized_at = now
        _seen.sizes = _sizes(home)
    rest = usage.used - sum(taken for _, taken in _seen.sizes)
    parts = (*_seen.sizes, ("everything else on it", max(rest, 0)))
    return FullDisk(usage.free, usage.total, tuple(sorted(parts, key=lambda part: -part[1])))


def _sizes(home: Path) -> tuple[tuple[str, int], ...]:
    """What the home holds; a database elsewhere is none of it."""
    log = _size_below(home / "postgres" / "pg_wal")
    database = _size_below(home / "postgres") - log
    found = (("the database", database), ("its log of changes", log), ("log files", _size_below(home / "log")))
    return tuple(part for part in found if part[1] > 0)


def _size_below(directory: Path) -> int:
    """Bytes on the disk of all files below; what vanishes meanwhile, or may not be read, is left out."""
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_blocks * 512
            except OSError:
                continue
    return total
