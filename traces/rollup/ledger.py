"""Contributions written down: what was booked of a trace, so that it can be taken away again exactly.

Layout 1: zstd of JSON, [zone, session, user, base minute, cells, reasons], a cell as [minute - base, scope, plain sums,
usage sums or null, sketches]; zeros cost next to nothing once packed. Integers over 64 bits stay exact.
"""

from __future__ import annotations

import json
import threading

import orjson
import zstandard

from traces.rollup.booking import PLAIN, USAGE, Contribution, User

LAYOUT = 1
# Nothing that one trace adds comes near; what claims more is damaged.
UNPACKED_MAX = 256 * 1024 * 1024
# What the standard library wrote and must read, since orjson makes floats of integers over 64 bits.
_BIG = b" "
_local = threading.local()


class LedgerDamaged(ValueError):
    """A ledger row that cannot be read: another layout, or broken bytes."""


def write(found: Contribution) -> bytes:
    """A contribution as bytes."""
    base = min((minute for minute, _ in found.cells), default=0)
    cells = [[minute - base, scope, *cell] for (minute, scope), cell in found.cells.items()]
    reasons = [[minute - base, scope, what, reason, n] for (minute, scope, what, reason), n in found.reasons.items()]
    user = found.user and [found.user.user_id, found.user.minute, found.user.sums]
    layout = [found.zone, found.session_id, user, base, cells, reasons]
    try:
        data = orjson.dumps(layout)
    except TypeError:  # an integer over 64 bits
        data = _BIG + json.dumps(layout).encode()
    return _compressor().compress(data)


def read(data: bytes, layout: int = LAYOUT) -> Contribution:
    """The contribution that `write` wrote. LedgerDamaged where it is none."""
    if layout != LAYOUT:
        raise LedgerDamaged(f"ledger layout {layout} is not {LAYOUT}")
    try:
        text = _decompressor().decompress(data, max_output_size=UNPACKED_MAX)
        zone, session_id, user, base, cells, reasons = (json.loads if text.startswith(_BIG) else orjson.loads)(text)
        found = Contribution(zone, session_id, None if user is None else User(*user))
        for minute, scope, plain, usage, sketches in cells:
            if len(plain) != len(PLAIN) or (usage is not None and len(usage) != len(USAGE)):
                raise LedgerDamaged("sums")
            found.cells[(minute + base, scope)] = [plain, usage, sketches]
        for minute, scope, what, reason, n in reasons:
            found.reasons[(minute + base, scope, what, reason)] = n
    except (ValueError, TypeError, LookupError, zstandard.ZstdError) as error:
        raise LedgerDamaged(type(error).__name__) from error
    return found


def _compressor() -> zstandard.ZstdCompressor:
    held: zstandard.ZstdCompressor | None = getattr(_local, "compressor", None)
    if held is None:
        held = _local.compressor = zstandard.ZstdCompressor(level=1, write_content_size=True)
    return held


def _decompressor() -> zstandard.ZstdDecompressor:
    held: zstandard.ZstdDecompressor | None = getattr(_local, "decompressor", None)
    if held is None:
        held = _local.decompressor = zstandard.ZstdDecompressor()
    return held
