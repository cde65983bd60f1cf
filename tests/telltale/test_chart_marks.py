"""Marks of changes on a figure that is drawn already."""

from __future__ import annotations

from itertools import pairwise

import pytest

from telltale.lib import charts
from telltale.lib.chart_marks import LETTER, Mark, with_marks


@pytest.fixture
def figure():
    lines = [charts.Line([0.0, 50.0, 100.0], [1.0, 2.0, 3.0])]
    picture = charts.line_picture(lines, [], charts.COUNT, x_range=(0.0, 100.0))
    return charts.Figure("It rose", "", "It rose.", picture, ("Time", "n"), ())


def drawn(figure):
    return [(rule.x1, rule.x2) for rule in figure.picture.rules if rule.css == "c-event"]


def names(figure, of):
    return [text.text for text in figure.picture.texts if text not in of.picture.texts]


def test_a_mark_lies_where_its_moment_lies_on_the_axis(figure):
    marked = with_marks(figure, [Mark(50.0, "1.8.2")], 0.0, 100.0)

    middle = charts.LEFT + (charts.WIDE[0] - 16.0 - charts.LEFT) / 2
    assert drawn(marked) == [(middle, middle)]
    assert names(marked, figure) == ["1.8.2"]
    assert marked.sentence == "It rose. 1 change marked."


def test_marks_on_each_other_are_one_line_with_their_number(figure):
    marked = with_marks(figure, [Mark(50.0, "a"), Mark(50.1, "b"), Mark(90.0, "c")], 0.0, 100.0)

    assert len(drawn(marked)) == 2
    assert names(marked, figure) == ["2 changes", "c"]


def test_no_name_runs_into_another_or_out_of_the_picture(figure):
    marks = [Mark(float(at), f"release-{at:03}-with-a-long-name") for at in range(100)]

    marked = with_marks(figure, [*marks, Mark(99.9, "the last")], 0.0, 100.0)

    spans = []
    for text in marked.picture.texts:
        if text not in figure.picture.texts:
            wide = len(text.text) * LETTER
            spans.append((text.x, text.x + wide) if text.anchor == "start" else (text.x - wide, text.x))
    assert spans == sorted(spans)
    assert all(one[1] <= other[0] for one, other in pairwise(spans))
    assert all(low >= charts.LEFT - 20 and high <= charts.WIDE[0] for low, high in spans)


def test_what_is_outside_or_has_no_axis_marks_nothing(figure):
    bare = charts.Figure("", "", "", charts.Picture(10, 10), (), ())

    assert with_marks(figure, [Mark(100.0, "end"), Mark(-1.0, "before")], 0.0, 100.0) == figure
    assert with_marks(bare, [Mark(5.0, "x")], 0.0, 10.0) == bare
