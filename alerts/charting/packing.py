"""What a detector took of a window as bytes and back, equal to the last bit: a replay needs nothing else."""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alerts.monitors.types import Categories, Count, Data, Level, Members, Share, Values, Vectors

# The first byte says what follows; a new layout gets a new one.
_SHARE, _VALUES, _COUNT, _LEVEL, _CATEGORIES, _VECTORS, _MEMBERS = range(1, 8)
# In place of these: the rest is any of them, compressed. Values read from sketches repeat themselves.
_SQUEEZED, _SQUEEZED_FROM = 127, 200
_TYPES = {code: np.dtype(code) for code in ("<f2", "<f4", "<f8")}


def pack(data: Data) -> bytes:
    """The bytes of what a window held, compressed where that makes them fewer."""
    plain = _packed(data)
    if len(plain) < _SQUEEZED_FROM:
        return plain
    squeezed = bytes([_SQUEEZED]) + zlib.compress(plain, 6)
    return squeezed if len(squeezed) < len(plain) else plain


def _packed(data: Data) -> bytes:
    match data:
        case Share(k, n):
            return struct.pack("<Bqq", _SHARE, k, n)
        case Count(events, hour):
            return struct.pack("<Bqd", _COUNT, events, hour)
        case Level(value, sd):
            return struct.pack("<Bd?d", _LEVEL, value, sd is not None, sd or 0.0)
        case Values(values, weights):
            count = len(values)
            return struct.pack("<BI?", _VALUES, count, weights is not None) + _numbers((*values, *(weights or ())))
        case Categories(counts):
            return _words(_CATEGORIES, counts)
        case Vectors(rows, traces):
            width = len(rows[0]) if rows else 0
            names = json.dumps(traces).encode()
            head = struct.pack("<BIII", _VECTORS, len(rows), width, len(names))
            return head + names + _numbers(tuple(one for row in rows for one in row))
        case Members():
            return _words(_MEMBERS, [data.alarmed, data.nearness])
    raise TypeError(f"{type(data).__name__} is nothing a window holds")


def unpack(stored: bytes) -> Data:
    """What `pack` was given. ValueError for bytes it never gave."""
    if not stored:
        raise ValueError("no bytes are nothing a window held")
    if stored[0] == _SQUEEZED:
        stored = zlib.decompress(stored[1:])
    code = stored[0]
    if code == _SHARE:
        return Share(*struct.unpack("<Bqq", stored)[1:])
    if code == _COUNT:
        return Count(*struct.unpack("<Bqd", stored)[1:])
    if code == _LEVEL:
        _, value, is_known, sd = struct.unpack("<Bd?d", stored)
        return Level(value, sd if is_known else None)
    if code == _VALUES:
        _, count, has_weights = struct.unpack_from("<BI?", stored)
        numbers = _read_numbers(stored[struct.calcsize("<BI?") :])
        return Values(tuple(numbers[:count].tolist()), tuple(numbers[count:].tolist()) if has_weights else None)
    if code == _CATEGORIES:
        return Categories(tuple((name, count) for name, count in _read_words(stored)))
    if code == _VECTORS:
        _, count, width, named = struct.unpack_from("<BIII", stored)
        start = struct.calcsize("<BIII")
        rows = _read_numbers(stored[start + named :]).reshape(count, width)
        return Vectors(tuple(map(tuple, rows.tolist())), tuple(json.loads(stored[start : start + named])))
    if code == _MEMBERS:
        alarmed, nearness = _read_words(stored)
        return Members(tuple(map(tuple, alarmed)), tuple(map(tuple, nearness)))
    raise ValueError(f"bytes that begin with {code} were not packed here")


def _words(code: int, told: Any) -> bytes:
    return bytes([code]) + json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def _read_words(stored: bytes) -> Any:
    return json.loads(stored[1:])


def _numbers(values: tuple[float, ...]) -> bytes:
    """Numbers in the smallest of half, single and double precision that holds each of them exactly."""
    exact = np.array(values, dtype="<f8")
    for code in ("<f2", "<f4"):
        with np.errstate(over="ignore"):
            smaller = exact.astype(_TYPES[code])
        if np.array_equal(smaller.astype("<f8"), exact):
            return code[1:].encode() + smaller.tobytes()
    return b"f8" + exact.tobytes()


def _read_numbers(stored: bytes) -> NDArray[np.float64]:
    numbers: NDArray[np.float64] = np.frombuffer(stored[2:], dtype=_TYPES["<" + stored[:2].decode()]).astype("<f8")
    return numbers
