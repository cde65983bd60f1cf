"""Charts as geometry: nothing is drawn that is not known, bars stand on 0, labels do not lie on each other."""

from __future__ import annotations

import re

import pytest
from django.template.loader import render_to_string
from hypothesis import given
from hypothesis import strategies as st

from telltale.lib import charts
from telltale.lib.charts import COUNT, MS, SHARE, USD, Event, Figure, Line, Row, Stack


@pytest.mark.parametrize(
    ("top", "step"),
    [(0, 1), (3, 1), (4, 1), (4.1, 2), (100, 25), (11_800, 5000), (12_500, 5000), (0.012, 0.005), (1e-9, 2.5e-10)],
)
def test_grid_steps_are_round(top, step):
    assert charts.nice_step(top) == pytest.approx(step)


@given(st.floats(1e-12, 1e15))
def test_at_most_four_steps_reach_the_top(top):
    step = charts.nice_step(top)

    assert step * 4 >= top * (1 - 1e-6)
    assert step * 4 <= top * 2.5 * (1 + 1e-6) * 4


@pytest.mark.parametrize(
    ("unit", "value", "step", "text"),
    [(USD, 4000, 4000, "$4k"), (USD, 0, 4000, "$0k"), (USD, 0, 100, "$0"), (USD, 1200, 200, "$1,200"),
     (USD, 0.5, 0.5, "$0.50"), (USD, 0.005, 0.005, "$0.005"), (USD, 2_000_000, 1_000_000, "$2 M"),
     (COUNT, 2000, 1000, "2 k"), (COUNT, 50, 25, "50"), (COUNT, 2.5e6, 5e5, "2,500 k"), (COUNT, 3e6, 1e6, "3 M"),
     (MS, 500, 250, "0.5 s"), (MS, 40, 20, "40 ms"), (MS, 120_000, 60_000, "2 min"), (MS, 0, 20, "0"),
     (SHARE, 0.05, 0.05, "5%"), (SHARE, 0.005, 0.0025, "0.50%")],
)  # fmt: skip
def test_ticks_carry_their_unit(unit, value, step, text):
    assert unit.tick(value, step) == text


def test_a_missing_value_breaks_the_line():
    line = Line([0, 1, 2, 3, 4], [1.0, 2.0, None, 3.0, 1.0])

    picture = charts.line_picture([line], [], COUNT, x_range=(0, 4))

    assert picture.paths[0].d.count("M") == 2


def test_a_single_value_between_gaps_is_still_seen():
    picture = charts.line_picture([Line([0, 1, 2], [None, 2.0, None])], [], COUNT, x_range=(0, 2))

    assert "h.1" in picture.paths[0].d


def test_a_share_that_is_always_whole_has_no_grid_above_it():
    line = Line([0, 1], [1.0, 1.0])

    picture = charts.line_picture([line], [], SHARE, x_range=(0, 1), from_zero=False)

    assert [text.text for text in picture.texts if text.anchor == "end"] == ["75%", "100%"]


def test_a_band_is_closed_and_breaks_with_its_data():
    line = Line([0, 1, 2, 3, 4], [1.0] * 5, low=[0.5, 0.5, None, 0.5, 0.5], high=[2.0, 2.0, None, 2.0, 2.0])

    picture = charts.line_picture([line], [], COUNT, x_range=(0, 4))

    assert picture.areas[0].d.count("Z") == 2


@given(st.lists(st.floats(0, 1e9) | st.none(), min_size=1, max_size=40))
def test_bars_stand_on_zero_and_stay_inside(values):
    picture = charts.bar_picture([Stack("a", values)], [""] * len(values), USD)

    base = picture.height - charts.BOTTOM
    for path in picture.paths:
        for y0, y1 in re.findall(r"M\S+ (\S+)V(\S+?)h", path.d):
            assert float(y0) == base
            assert charts.TOP - 0.2 <= float(y1) <= base


def test_a_stack_has_five_colours_and_the_rest_in_grey():
    stacks = [Stack(str(n), [float(n)]) for n in range(9, 0, -1)]

    merged = charts.merge_rest(stacks)

    assert [stack.css for stack in merged] == ["f1", "f2", "f3", "f4", "f5", "f6"]
    assert merged[-1].values == [1 + 2 + 3 + 4]
    assert sum(stack.values[0] for stack in merged) == sum(range(1, 10))


def test_labels_at_line_ends_do_not_lie_on_each_other():
    lines = [Line([0, 1], [0.0, 10.0], end="first"), Line([0, 1], [0.0, 10.1], end="second")]

    picture = charts.line_picture(lines, [], COUNT, x_range=(0, 1))

    ys = [text.y for text in picture.texts if text.text in {"first", "second"}]
    assert abs(ys[0] - ys[1]) >= charts.LABEL_GAP


@pytest.mark.parametrize(("value", "at"), [(10.0, 0.95), (10.0, 1.0), (8.6, 0.9), (0.1, 0.95)])
def test_the_name_of_a_change_does_not_lie_on_the_label_of_a_lines_end(value, at):
    line = Line([0, 1], [0.0, value], end="in control", end_note="n 200")
    events = [Event(at, "release 5.11.0"), Event(at, "prompt v18", is_hot=True)]

    picture = charts.line_picture(
        [line, Line([0, 1], [10.0, 10.0])], [], COUNT, x_range=(0, 1), right=90.0, events=events
    )

    ends = [text for text in picture.texts if text.text in {"in control", "n 200"}]
    names = [text for text in picture.texts if text.text in {"release 5.11.0", "prompt v18"}]
    assert len(names) == 2
    for name in names:
        wide = charts.EVENT_LETTER * len(name.text)
        left, right = (name.x - wide, name.x) if name.anchor == "end" else (name.x, name.x + wide)
        assert not any(left < end.x + 60 and right > end.x and abs(end.y - name.y) < charts.LABEL_GAP for end in ends)


def test_a_waterfall_of_small_steps_shows_them():
    """Levels are lines, so the axis need not begin at 0; only differences are bars."""
    picture = charts.step_picture(("Before", 1000.0), [("Volume", 40.0, "f2"), ("Mix", -10.0, "f3")], "Now", USD)

    ticks = [text.text for text in picture.texts if text.anchor == "end"]
    assert ticks[0] != "$0"
    assert [path.css for path in picture.paths] == ["c-line ink", "f2", "f3", "c-line ink"]
    assert "$1,030" in [text.text for text in picture.texts]


@pytest.mark.parametrize(("before", "amounts"), [(0.0, []), (0.0, [0.0]), (5.0, [-5.0]), (0.0, [1e-9, -1e-9])])
def test_a_waterfall_of_next_to_nothing_is_no_error(before, amounts):
    picture = charts.step_picture(("Before", before), [("a", amount, "f1") for amount in amounts], "Now", USD)

    assert len(picture.paths) == len(amounts) + 2


def test_every_chart_has_a_sentence_a_table_and_links():
    picture = charts.bar_picture([Stack("cost", [1.0, 2.0])], ["Mon", "Tue"], USD, spots=[("/a", "Mon: $1"), ("", "")])
    figure = Figure("Tuesday cost most", "USD a day", "Cost a day", picture, ("Day", "Cost"),
                    (Row(("Mon", "$1"), "/a"), Row(("<b>", "\u202e"))), (("s1", "cost"),))  # fmt: skip

    html = render_to_string("_chart.html", {"figure": figure})

    assert '<g role="img" aria-label="Cost a day">' in html
    assert "<b>Tuesday cost most</b>" in html
    assert "Show as a table" in html
    assert html.count('href="/a"') == 2
    assert "&lt;b&gt;" in html
    assert "\u202e" not in html
    assert "style=" not in html
    assert "<script" not in html
