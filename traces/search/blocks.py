"""Blocks: the pieces an index segment is read in, as bytes.

A term block holds neighbouring terms with the documents that have them; a document block holds who some of the
documents are. Documents of a segment are numbered in order of time, so what is newest stands at a list's end.
"""

from __future__ import annotations

import struct
import threading
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
import zstandard
from numpy.typing import NDArray

Ordinals = NDArray[np.uint16]
Numbers = NDArray[np.int64]

# Ordinals are 16 bits wide. Larger segments would save few look-ups and make merging them long.
SEGMENT_DOCS_MAX = 65_536
# Of a term block: reading one word unpacks one block. Blocks of ids come out at about 12 KB.
BLOCK_TERMS = 1024
BLOCK_POSTINGS = 16_384
DOC_BLOCK = 256
_HEAD = struct.Struct("<II")
_LEVEL = 3
_local = threading.local()


@dataclass(frozen=True, slots=True)
class TermBlock:
    """Terms in order, how many documents have each, and the ordinals of these, term after term, ascending."""

    terms: list[bytes]
    counts: Numbers
    ordinals: Ordinals

    def find(self, term: bytes) -> Ordinals:
        """The documents that have the term."""
        at = bisect_left(self.terms, term)
        if at == len(self.terms) or self.terms[at] != term:
            return self.ordinals[:0]
        return self.between(at, at + 1)

    def find_prefix(self, prefix: bytes) -> Ordinals:
        """The documents that have a term beginning so, repeated where they have several."""
        first = bisect_left(self.terms, prefix)
        return self.between(first, bisect_left(self.terms, after_prefix(prefix)))

    def between(self, first: int, last: int) -> Ordinals:
        """The documents of the terms numbered [first, last)."""
        start = int(self.counts[:first].sum())
        return self.ordinals[start : start + int(self.counts[first:last].sum())]


@dataclass(frozen=True, slots=True)
class DocBlock:
    """Documents in order of time: who, when (microseconds since 1970), and in which version."""

    trace_ids: bytes  # 16 each
    starts: Numbers
    versions: Numbers

    def trace_id(self, at: int) -> UUID:
        return UUID(bytes=self.trace_ids[16 * at : 16 * at + 16])


def after_prefix(prefix: bytes) -> bytes:
    """What sorts behind every term that begins so: UTF-8 has no byte FF."""
    return prefix + b"\xff"


def pack_terms(terms: Sequence[bytes], counts: Numbers, ordinals: Ordinals) -> Iterator[tuple[bytes, bytes]]:
    """The blocks of ordered terms, each as (its first term, its bytes)."""
    ends = np.cumsum(counts)
    first = start = 0
    while first < len(terms):
        # As many terms as fit, and at least one.
        last = min(first + BLOCK_TERMS, max(int(np.searchsorted(ends, start + BLOCK_POSTINGS, "right")), first + 1))
        end = int(ends[last - 1])
        yield terms[first], _pack_block(terms[first:last], counts[first:last], ordinals[start:end])
        first, start = last, end


def _pack_block(terms: Sequence[bytes], counts: Numbers, ordinals: Ordinals) -> bytes:
    joined = b"\n".join(terms)
    gaps = np.empty(len(ordinals), np.uint16)
    gaps[1:] = ordinals[1:] - ordinals[:-1]  # wraps between terms, and unwraps the same way
    firsts = np.cumsum(counts) - counts
    gaps[firsts] = ordinals[firsts]
    planes = gaps.view(np.uint8).reshape(-1, 2)
    body = (
        _HEAD.pack(len(terms), len(joined)),
        joined,
        (counts - 1).astype("<u2").tobytes(),
        planes[:, 0].tobytes(),
        planes[:, 1].tobytes(),
    )
    return _compressor().compress(b"".join(body))


def unpack_terms(data: bytes) -> TermBlock:
    """The block that `data` is."""
    raw = _decompressor().decompress(data)
    n_terms, joined = _HEAD.unpack_from(raw)
    at = _HEAD.size
    terms = raw[at : at + joined].split(b"\n")
    at += joined
    counts = np.frombuffer(raw, "<u2", n_terms, at).astype(np.int64) + 1
    at += 2 * n_terms
    total = int(counts.sum())
    gaps = np.empty((total, 2), np.uint8)
    gaps[:, 0] = np.frombuffer(raw, np.uint8, total, at)
    gaps[:, 1] = np.frombuffer(raw, np.uint8, total, at + total)
    summed = np.cumsum(gaps.reshape(-1).view("<u2"), dtype=np.int64)
    # Each term's list begins anew: what was summed before it goes off.
    firsts = np.cumsum(counts) - counts
    before = np.concatenate(([0], summed))[firsts]
    return TermBlock(terms, counts, (summed - np.repeat(before, counts)).astype(np.uint16))


def pack_docs(trace_ids: bytes, starts: Numbers, versions: Numbers) -> bytes:
    """At most `DOC_BLOCK` documents as bytes."""
    numbers = np.diff(starts, prepend=0).tobytes() + np.diff(versions, prepend=0).tobytes()
    return trace_ids + _compressor().compress(numbers)


def unpack_docs(data: bytes, n: int) -> DocBlock:
    """The `n` documents that `data` is."""
    numbers = np.frombuffer(_decompressor().decompress(data[16 * n :]), np.int64)
    return DocBlock(data[: 16 * n], np.cumsum(numbers[:n]), np.cumsum(numbers[n:]))


def pack_numbers(numbers: Any) -> bytes:
    """Ascending whole numbers as bytes."""
    return _compressor().compress(np.diff(np.asarray(numbers, np.int64), prepend=0).tobytes())


def unpack_numbers(data: bytes) -> Numbers:
    """The numbers that `data` is."""
    return np.cumsum(np.frombuffer(_decompressor().decompress(data), np.int64))


def _compressor() -> zstandard.ZstdCompressor:
    held: zstandard.ZstdCompressor | None = getattr(_local, "compressor", None)
    if held is None:
        held = _local.compressor = zstandard.ZstdCompressor(level=_LEVEL, write_content_size=True)
    return held


def _decompressor() -> zstandard.ZstdDecompressor:
    held: zstandard.ZstdDecompressor | None = getattr(_local, "decompressor", None)
    if held is None:
        held = _local.decompressor = zstandard.ZstdDecompressor()
    return held
