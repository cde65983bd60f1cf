"""Comparing texts and trees: right on small ones, bounded on hostile ones."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traces.canonical.types import Kind
from traces.compare import Effort, align, compare_texts
from traces.tree import build_tree
from traces.tree.build import Step


def told(first, second):
    pieces, _ = compare_texts(first, second, Effort())
    return [(piece.op, piece.text) for piece in pieces]


@pytest.mark.parametrize(
    ("first", "second", "pieces"),
    [
        ("", "", []),
        ("same words", "same words", [("same", "same words")]),
        ("", "all new", [("new", "all new")]),
        ("all gone", "", [("gone", "all gone")]),
        ("30 days to return", "60 days to return", [("gone", "30"), ("new", "60"), ("same", " days to return")]),
        (
            "send it back at once please",
            "send it back some day please",
            [("same", "send it back "), ("gone", "at once"), ("new", "some day"), ("same", " please")],
        ),
        ("退货需要三十天", "退货需要六十天", [("same", "退货需要"), ("gone", "三"), ("new", "六"), ("same", "十天")]),
        ("a\nb\nc", "a\nx\nc", [("same", "a\n"), ("gone", "b"), ("new", "x"), ("same", "\nc")]),
    ],
)
def test_words_that_changed_are_told_apart(first, second, pieces):
    assert told(first, second) == pieces


WORDS = st.lists(st.sampled_from(["a", "b", "the", "cat", " ", "  ", ".", "\n", "退"]), max_size=60).map("".join)


@given(WORDS, WORDS)
def test_the_pieces_are_both_texts_whole(first, second):
    pieces = told(first, second)

    assert "".join(text for op, text in pieces if op != "new") == first
    assert "".join(text for op, text in pieces if op != "gone") == second


@given(st.lists(st.sampled_from("abc\n"), max_size=25), st.lists(st.sampled_from("abc\n"), max_size=25))
def test_no_shorter_difference_is_there(first, second):
    """Against the table of longest common subsequences; single letters apart by full stops are words."""
    a, b = ([word for letter in letters for word in (letter, ".")] for letters in (first, second))
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for x, left in enumerate(a):
        for y, right in enumerate(b):
            table[x + 1][y + 1] = table[x][y] + 1 if left == right else max(table[x][y + 1], table[x + 1][y])

    pieces, is_searched = compare_texts("".join(a), "".join(b), Effort())

    assert is_searched
    assert sum(len(piece.text) for piece in pieces if piece.op == "same") == table[-1][-1]


@pytest.mark.parametrize("seed", range(4))
def test_texts_without_anything_in_common_take_no_longer_than_a_page_may(seed):
    chance = random.Random(seed)
    vocabulary = [f"w{n}" for n in range([2, 5, 50, 100_000][seed])]
    first, second = (" ".join(chance.choices(vocabulary, k=40_000)) for _ in range(2))
    effort = Effort()

    began = time.perf_counter()
    pieces, is_searched = compare_texts(first, second, effort)
    took = time.perf_counter() - began

    assert not is_searched
    assert [piece.op for piece in pieces if piece.op != "same"] == ["gone", "new"]
    assert took < 5  # measured 0.2 to 0.5 s alone on two cores


def test_what_one_text_used_up_the_next_has_not():
    effort = Effort(left=10)

    _, is_searched = compare_texts("a b c d e f g h", "h g f e d c b a", effort)

    assert not is_searched


def tree(*rows):
    """(id, parent, name, kind) rows in order."""
    return build_tree(
        [Step(i, parent, at, 1, kind, 0, 0, False, name) for at, (i, parent, name, kind) in enumerate(rows)]
    )


def lines(first, second, limit=1000):
    aligned, is_whole = align(first, second, limit)
    return [
        (
            each.depth,
            None if each.a is None else first.steps[each.a].name,
            None if each.b is None else second.steps[each.b].name,
        )
        for each in aligned
    ], is_whole


def test_steps_of_one_name_below_the_same_step_are_the_same_step():
    first = tree((1, None, "turn", 0), (2, 1, "search", 3), (3, 1, "chat", 1))
    second = tree((7, None, "turn", 0), (8, 7, "search", 3), (9, 7, "check", 8), (10, 7, "chat", 1))

    assert lines(first, second) == (
        [(0, "turn", "turn"), (1, "search", "search"), (1, None, "check"), (1, "chat", "chat")],
        True,
    )


def test_a_model_call_whose_name_holds_the_model_is_the_same_call():
    first = tree((1, None, "turn", 0), (2, 1, "chat gpt-4o", Kind.GENERATION), (3, 1, "a", Kind.SPAN), (4, 1, "b", 0))
    second = tree((1, None, "turn", 0), (2, 1, "chat gpt-4o-mini", Kind.GENERATION), (3, 1, "c", 0), (4, 1, "d", 0))

    found, _ = lines(first, second)

    assert (1, "chat gpt-4o", "chat gpt-4o-mini") in found
    assert (1, "a", None) in found
    assert (1, None, "c") in found


def test_one_step_left_over_on_each_side_is_the_same_step():
    first = tree((1, None, "GET /orders/1", 0), (2, 1, "chat", 1))
    second = tree((1, None, "GET /orders/2", 0), (2, 1, "chat", 1))

    assert lines(first, second)[0] == [(0, "GET /orders/1", "GET /orders/2"), (1, "chat", "chat")]


def test_a_step_that_one_side_lacks_brings_all_below_it():
    first = tree((1, None, "turn", 0), (2, 1, "agent", 6), (3, 2, "chat", 1))
    second = tree((1, None, "turn", 0))

    assert lines(first, second)[0] == [(0, "turn", "turn"), (1, "agent", None), (2, "chat", None)]


def test_repeated_steps_pair_off_in_order():
    first = tree((1, None, "turn", 0), *[(n, 1, "retry", 0) for n in range(2, 5)])
    second = tree((1, None, "turn", 0), *[(n, 1, "retry", 0) for n in range(2, 4)])

    found, _ = lines(first, second)

    assert found[1:] == [(1, "retry", "retry"), (1, "retry", "retry"), (1, "retry", None)]


@pytest.mark.parametrize("shape", ["wide", "deep"])
def test_huge_trees_are_cut_at_the_limit(shape):
    rows = [(1, None, "turn", 0)] + [(n, n - 1 if shape == "deep" else 1, f"s{n % 7}", 0) for n in range(2, 20_000)]

    found, is_whole = lines(tree(*rows), tree(*rows[::1]), 500)

    assert len(found) == 500
    assert not is_whole
