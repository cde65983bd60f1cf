"""Segments: what goes in is found again, alone and merged, whatever was let go of."""

from __future__ import annotations

from uuid import UUID

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from traces.search import blocks
from traces.search.blocks import DOC_BLOCK, pack_numbers, unpack_docs, unpack_numbers, unpack_terms
from traces.search.segments import Doc, Source, documents_of, invert, merge_documents, merge_terms

TERMS = st.text(alphabet="abé退ط1-", min_size=1, max_size=4)
DOCS = st.lists(st.tuples(st.integers(0, 50), st.sets(TERMS, max_size=6)), min_size=1, max_size=30)


def make(told, first=0):
    return [Doc(UUID(int=first + at), start, first + at, terms) for at, (start, terms) in enumerate(told)]


def read(packed):
    found = {}
    for first, data in packed:
        block = unpack_terms(data)
        assert block.terms[0] == first
        for term in block.terms:
            found[term.decode()] = block.find(term).tolist()
    return found


def expected(ordered):
    found = {}
    for at, doc in enumerate(ordered):
        for term in doc.terms:
            found.setdefault(term, []).append(at)
    return found


@given(DOCS)
def test_a_segment_gives_back_what_it_was_made_of(told):
    _, ordered = documents_of(make(told))

    assert [doc.start_us for doc in ordered] == sorted(start for start, _ in told)
    assert read(invert(ordered)) == expected(ordered)


@settings(max_examples=60)
@given(st.lists(DOCS, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_merged_segments_hold_what_counts(several, rng):
    sources, kept = [], {}
    for number, told in enumerate(several):
        documents, ordered = documents_of(make(told, 1000 * number))
        counts = np.array([rng.random() < 0.7 for _ in ordered], np.bool_)
        packed = list(invert(ordered))
        sources.append(Source(documents, counts, (unpack_terms(data) for _, data in packed)))
        kept |= {doc.trace_id.bytes: doc for doc, held in zip(ordered, counts, strict=True) if held}

    merged = merge_documents(sources)
    found = read(merge_terms(sources))

    order = [kept[merged.trace_ids[16 * at : 16 * at + 16]] for at in range(len(merged))]
    assert len(order) == len(kept)
    assert [doc.start_us for doc in order] == sorted(doc.start_us for doc in order)
    assert [doc.version for doc in order] == merged.versions.tolist()
    assert found == expected(order)


def test_a_prefix_finds_every_term_that_begins_so(monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_TERMS", 3)
    _, ordered = documents_of(make([(at, {f"re{at}", "rz", "ra"}) for at in range(10)]))

    packed = [unpack_terms(data) for _, data in invert(ordered)]

    assert len(packed) == 4
    assert sorted({at for block in packed for at in block.find_prefix(b"re").tolist()}) == list(range(10))
    assert [at for block in packed for at in block.find(b"rq").tolist()] == []


def test_a_term_of_every_document_has_a_block_of_its_own():
    n = blocks.BLOCK_POSTINGS + 10
    _, ordered = documents_of(make([(at, {"the", f"w{at}"}) for at in range(n)]))

    found = read(invert(ordered))

    assert found["the"] == list(range(n))
    assert found["w7"] == [7]


def test_document_blocks_tell_who_and_when():
    documents, ordered = documents_of(make([(7 * at - 500, set()) for at in range(DOC_BLOCK + 44)]))

    packed = list(documents.blocks())
    block = unpack_docs(packed[1], 44)

    assert block.starts.tolist() == [doc.start_us for doc in ordered[DOC_BLOCK:]]
    assert block.trace_id(3) == ordered[DOC_BLOCK + 3].trace_id
    assert documents.block_starts.tolist() == [-500, 7 * DOC_BLOCK - 500, ordered[-1].start_us]


@given(st.lists(st.integers(-(2**50), 2**50)))
def test_numbers_survive_packing(numbers):
    assert unpack_numbers(pack_numbers(numbers)).tolist() == numbers
