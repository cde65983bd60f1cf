"""The tree of a trace, for every way parents can be wrong."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traces.canonical.types import SpanFlag
from traces.tree import Note, Step, build_tree, fold_tree


def step(span, parent=None, *, at=0, ms=10, kind=0, status=0, flags=0, http=False, name=""):
    return Step(span, parent, at, ms * 1_000_000, kind, status, flags, http, name or f"s{span}")


def shape(tree):
    """The lines as (span id, depth)."""
    return [(tree.steps[line.place].span_id, line.depth) for line in fold_tree(tree).lines if line.fold is None]


def test_children_stand_below_their_parent_in_order_of_start():
    tree = build_tree([step(1), step(3, 1, at=1), step(2, 1, at=2), step(4, 3, at=3)])

    assert shape(tree) == [(1, 0), (3, 1), (4, 2), (2, 1)]


def test_a_late_child_joins_its_parent_even_if_it_started_first():
    tree = build_tree([step(2, 1, at=0), step(1, at=5)])

    assert shape(tree) == [(1, 0), (2, 1)]
    assert tree.notes == {}


def test_one_span_whose_parent_never_came_is_the_root():
    tree = build_tree([step(2, 99), step(3, 2, at=1)])

    assert shape(tree) == [(2, 0), (3, 1)]
    assert tree.orphans == 0


def test_several_spans_without_their_parent_stand_at_the_top_and_say_so():
    tree = build_tree([step(1), step(2, 99, at=1), step(3, 98, at=2)])

    assert shape(tree) == [(1, 0), (2, 0), (3, 0)]
    assert tree.notes == {1: Note.PARENT_MISSING, 2: Note.PARENT_MISSING}
    assert tree.orphans == 2


def test_two_roots_are_both_shown():
    assert shape(build_tree([step(1), step(2, at=1)])) == [(1, 0), (2, 0)]


def test_a_span_that_is_its_own_parent_is_a_root():
    tree = build_tree([step(1, 1), step(2, 1, at=1)])

    assert shape(tree) == [(1, 0), (2, 1)]
    assert tree.notes == {0: Note.OWN_PARENT}


def test_a_circle_is_cut_at_its_earliest_span():
    tree = build_tree([step(7, at=0), step(2, 4, at=1), step(3, 2, at=2), step(4, 3, at=3), step(5, 4, at=4)])

    assert shape(tree) == [(7, 0), (2, 0), (3, 1), (4, 2), (5, 3)]
    assert tree.notes == {1: Note.CYCLE_CUT}
    assert tree.cycles == 1


def test_a_branch_that_starts_before_the_circle_it_hangs_on_is_not_the_cut():
    tree = build_tree([step(9, 2, at=0), step(2, 3, at=1), step(3, 2, at=2)])

    assert shape(tree) == [(2, 0), (9, 1), (3, 1)]
    assert tree.notes == {1: Note.CYCLE_CUT}


def test_a_placeholder_is_hidden_once_its_real_span_came():
    pending = SpanFlag.PENDING
    tree = build_tree([step(1), step(10, 2, at=1, flags=pending), step(2, 1, at=1), step(3, 10, at=2)])

    assert shape(tree) == [(1, 0), (2, 1), (3, 2)]
    assert tree.pending_hidden == 1
    assert tree.size == 3


def test_a_placeholder_alone_is_shown():
    tree = build_tree([step(1), step(10, 99, at=1, flags=SpanFlag.PENDING)])

    assert [span for span, _ in shape(tree)] == [1, 10]


@pytest.mark.parametrize(
    "parents",
    [lambda k: k, lambda k: 1 if k else None, lambda k: (k - 1) // 10 + 1 if k else None],
    ids=["chain", "wide", "bushy"],
)
def test_fifty_thousand_spans_are_built_in_a_moment(parents):
    steps = [step(k + 1, parents(k) or None, at=k, name="same") for k in range(50_000)]

    began = time.process_time()
    tree = build_tree(steps)
    lines = fold_tree(tree).lines
    took = time.process_time() - began

    assert tree.size == 50_000
    assert lines
    # About 0.1 s on a slow core; what matters is that no shape is quadratic.
    assert took < 2


@given(
    st.lists(st.tuples(st.integers(0, 40), st.one_of(st.none(), st.integers(0, 45)), st.booleans()), max_size=60),
    st.randoms(use_true_random=False),
)
def test_every_span_is_in_the_tree_exactly_once(given_spans, shuffle: random.Random):
    seen, steps = set(), []
    for span, parent, is_pending in given_spans:
        if span not in seen:
            seen.add(span)
            steps.append(step(span, parent, at=shuffle.randrange(50), flags=SpanFlag.PENDING if is_pending else 0))
    steps.sort(key=lambda s: (s.started_us, s.span_id))

    tree = build_tree(steps)

    shown = [span for span, _ in shape(tree)]
    assert len(shown) == len(set(shown)) == tree.size
    assert seen - set(shown) == {s.span_id for s in steps if s.flags} - set(shown)
    for at, above in tree.parents.items():
        assert at in tree.children[above]
