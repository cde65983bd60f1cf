"""Segments: the documents of one day that were taken in together, with an inverted index of their own.

A segment is written once. What changes later is which of its documents still count: a trace that is taken in again
gets a new version in a new segment. Small segments are merged into larger ones, without those that count no more.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from traces.search.blocks import (
    DOC_BLOCK,
    Numbers,
    Ordinals,
    TermBlock,
    pack_docs,
    pack_terms,
)

Mapping = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Doc:
    """A trace as it is taken in: when it began (microseconds since 1970), in which version, under which terms."""

    trace_id: UUID
    start_us: int
    version: int
    terms: frozenset[str] | set[str]


@dataclass(slots=True)
class Documents:
    """The documents of a segment, ordered by start."""

    trace_ids: bytes
    starts: Numbers
    versions: Numbers

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def block_starts(self) -> Numbers:
        """The start of each block's first document, and of the last document."""
        return np.append(self.starts[::DOC_BLOCK], self.starts[-1:])

    def blocks(self) -> Iterator[bytes]:
        """The documents packed, `DOC_BLOCK` at a time."""
        for at in range(0, len(self), DOC_BLOCK):
            to = at + DOC_BLOCK
            yield pack_docs(self.trace_ids[16 * at : 16 * to], self.starts[at:to], self.versions[at:to])


def documents_of(docs: Sequence[Doc]) -> tuple[Documents, list[Doc]]:
    """The documents in the segment's order, and the same with their terms."""
    ordered = sorted(docs, key=lambda doc: (doc.start_us, doc.trace_id))
    return (
        Documents(
            b"".join(doc.trace_id.bytes for doc in ordered),
            np.fromiter((doc.start_us for doc in ordered), np.int64, len(ordered)),
            np.fromiter((doc.version for doc in ordered), np.int64, len(ordered)),
        ),
        ordered,
    )


def invert(ordered: Sequence[Doc]) -> Iterator[tuple[bytes, bytes]]:
    """The term blocks of documents in the segment's order, each as (its first term, its bytes)."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    for at, doc in enumerate(ordered):
        for term in doc.terms:
            found[term].append(at)
    if not found:
        return
    pairs = sorted((term.encode("utf-8", "replace"), held) for term, held in found.items())
    counts = np.fromiter((len(held) for _, held in pairs), np.int64, len(pairs))
    ordinals = np.fromiter(chain.from_iterable(held for _, held in pairs), np.uint16, int(counts.sum()))
    yield from pack_terms([term for term, _ in pairs], counts, ordinals)


@dataclass(slots=True)
class Source:
    """A segment being merged: its documents, which of them count, and its term blocks in order."""

    documents: Documents
    counts: NDArray[np.bool_]
    blocks: Iterator[TermBlock]
    mapping: Mapping = field(default_factory=lambda: np.empty(0, np.int64))


def merge_documents(sources: Sequence[Source]) -> Documents:
    """The documents that count, in order of start; each source learns what became of its ordinals (-1: gone)."""
    ids = np.concatenate([np.frombuffer(source.documents.trace_ids, "S16") for source in sources])
    starts = np.concatenate([source.documents.starts for source in sources])
    versions = np.concatenate([source.documents.versions for source in sources])
    counts = np.concatenate([source.counts for source in sources])
    kept = np.flatnonzero(counts)
    order = kept[np.argsort(starts[kept], kind="stable")]
    mapping = np.full(len(starts), -1, np.int64)
    mapping[order] = np.arange(len(order))
    at = 0
    for source in sources:
        source.mapping = mapping[at : at + len(source.documents)]
        at += len(source.documents)
    return Documents(ids[order].tobytes(), starts[order], versions[order])


def merge_terms(sources: Sequence[Source]) -> Iterator[tuple[bytes, bytes]]:
    """The term blocks of the merged segment; at no time are more than a few blocks of each source in memory."""
    terms: list[bytes] = []
    counts: list[Numbers] = []
    ordinals: list[Ordinals] = []
    held = 0
    for more_terms, more_counts, more_ordinals in _merged(sources):
        terms += more_terms
        counts.append(more_counts)
        ordinals.append(more_ordinals)
        held += len(more_ordinals)
        if held > 500_000:
            yield from pack_terms(terms, np.concatenate(counts), np.concatenate(ordinals))
            terms, counts, ordinals, held = [], [], [], 0
    if terms:
        yield from pack_terms(terms, np.concatenate(counts), np.concatenate(ordinals))


@dataclass(slots=True)
class _Reader:
    """A source's current block, and how far it is taken."""

    source: Source
    block: TermBlock
    at: int = 0

    def take_until(self, last: bytes) -> tuple[list[bytes], Numbers, Ordinals]:
        """The terms up to and with `last`."""
        to = bisect_right(self.block.terms, last, self.at)
        found = self.block.terms[self.at : to], self.block.counts[self.at : to], self.block.between(self.at, to)
        self.at = to
        return found

    def is_spent(self) -> bool:
        return self.at == len(self.block.terms)


def _merged(sources: Sequence[Source]) -> Iterator[tuple[list[bytes], Numbers, Ordinals]]:
    """Stretches of merged terms, in order."""
    readers: list[_Reader] = []
    for source in sources:
        block = next(source.blocks, None)
        if block is not None:
            readers.append(_Reader(source, block))
    while readers:
        last = min(reader.block.terms[-1] for reader in readers)
        yield from _stretch([(reader.source.mapping, *reader.take_until(last)) for reader in readers])
        for reader in list(readers):
            if reader.is_spent():
                block = next(reader.source.blocks, None)
                if block is None:
                    readers.remove(reader)
                else:
                    reader.block, reader.at = block, 0


def _stretch(
    taken: Iterable[tuple[Mapping, list[bytes], Numbers, Ordinals]],
) -> Iterator[tuple[list[bytes], Numbers, Ordinals]]:
    pieces = [piece for piece in taken if piece[1]]
    terms = sorted(set(chain.from_iterable(piece[1] for piece in pieces)))
    place = {term: at for at, term in enumerate(terms)}
    keys = []
    for mapping, held, counts, ordinals in pieces:
        new = mapping[ordinals]
        numbers = np.repeat(np.fromiter((place[term] for term in held), np.int64, len(held)), counts)
        keys.append((numbers << 16 | new)[new >= 0])
    merged = np.sort(np.concatenate(keys), kind="stable")
    if not len(merged):
        return
    per_term = np.bincount(merged >> 16, minlength=len(terms))
    kept = np.flatnonzero(per_term)
    yield [terms[at] for at in kept], per_term[kept], (merged & 0xFFFF).astype(np.uint16)
