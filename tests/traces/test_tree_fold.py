"""Folding what says little, and where bars stand."""

from __future__ import annotations

import pytest

from traces.canonical.types import SpanFlag
from traces.tree import Bar, Fold, Step, build_tree, fold_tree, make_scale


def step(span, parent=None, *, at=0, ms=10, kind=0, status=0, flags=0, http=False, name=""):
    return Step(span, parent, at * 1000, ms * 1_000_000, kind, status, flags, http, name or f"s{span}")


def words(tree, **options):
    return [
        (line.fold.value, line.n) if line.fold else tree.steps[line.place].name
        for line in fold_tree(tree, **options).lines
    ]


def test_http_calls_below_a_step_fold_into_one_line():
    tree = build_tree(
        [step(1, name="chat"), step(2, 1, at=1, http=True), step(3, 2, at=2, http=True), step(4, 1, at=3)]
    )

    assert words(tree) == ["chat", ("http", 1), "s4"]
    assert fold_tree(tree).folded == 1


def test_http_spans_with_something_of_the_application_below_stay():
    tree = build_tree([step(1), step(2, 1, at=1, http=True), step(3, 2, at=2)])

    assert words(tree) == ["s1", "s2", "s3"]


def test_a_failed_http_call_is_never_folded():
    tree = build_tree([step(1), step(2, 1, at=1, http=True, status=2)])

    assert words(tree) == ["s1", "s2"]


def test_an_http_server_span_at_the_top_stays():
    tree = build_tree([step(1, http=True, name="POST /chat"), step(2, 1, at=1)])

    assert words(tree) == ["POST /chat", "s2"]


def test_many_siblings_of_one_name_fold_after_the_first():
    steps = [step(1, name="job")] + [step(k, 1, at=k, name="row") for k in range(2, 42)]
    steps += [step(50, 1, at=50, name="end")]
    tree = build_tree(steps)

    shown = words(tree)

    assert shown == ["job", *["row"] * 10, ("same_name", 30), "end"]


def test_a_failed_sibling_stays_in_sight():
    steps = [step(1)] + [step(k, 1, at=k, name="row", status=2 if k == 40 else 0) for k in range(2, 42)]
    tree = build_tree(steps)

    line = [line for line in fold_tree(tree).lines if line.fold is None][-1]

    assert tree.steps[line.place].span_id == 40


def test_an_opened_step_shows_all_its_children():
    tree = build_tree([step(1)] + [step(k, 1, at=k, name="row") for k in range(2, 42)])

    assert words(tree, opened=[0]) == ["s1", *["row"] * 40]
    assert fold_tree(tree, opened=[0]).folded == 0


def test_the_chosen_span_is_never_inside_a_fold():
    tree = build_tree([step(1)] + [step(k, 1, at=k, name="row") for k in range(2, 42)])

    lines = fold_tree(tree, selected=39)

    assert lines.find(39) is not None
    assert all(line.fold is not Fold.SAME_NAME for line in lines.lines)


@pytest.mark.parametrize(
    ("long_ms", "step_ms"), [(3420, 1000), (100, 25), (0.7, 0.2), (900, 250), (65_000, 20_000), (7_000_000, 1_800_000)]
)
def test_the_time_line_has_four_round_parts(long_ms, step_ms):
    scale = make_scale([step(1, ms=0)._replace(duration_ns=int(long_ms * 1e6))])

    assert [tick.x for tick in scale.ticks] == [0, 25, 50, 75, 100]
    assert [tick.at_ms for tick in scale.ticks] == pytest.approx([n * step_ms for n in range(5)])


def test_bars_stand_where_their_time_is():
    scale = make_scale([step(1, ms=4000), step(2, 1, at=1000, ms=2000)])

    assert scale.bar(1_000_000, 2_000_000_000, 500_000_000) == Bar(25.0, 50.0, 12.5)
    assert scale.bar(1_000_000, 2_000_000_000).end == 75.0


@pytest.mark.parametrize(
    ("start_us", "duration_ns", "ttft_ns"), [(-(10**15), 10**20, None), (10**18, 5, 10**18), (0, None, 3), (0, 0, 0)]
)
def test_a_bar_never_leaves_the_line(start_us, duration_ns, ttft_ns):
    bar = make_scale([step(1, ms=100)]).bar(start_us, duration_ns, ttft_ns)

    assert 0 <= bar.x <= 100
    assert 0 <= bar.wait <= bar.width <= 100 - bar.x


def test_a_span_with_a_misplaced_clock_does_not_squeeze_the_rest():
    scale = make_scale([step(1, ms=100), step(2, 1, at=10**12, flags=SpanFlag.FAR_FUTURE)])

    assert scale.span_us == 100_000


def test_a_trace_without_spans_has_a_scale():
    assert make_scale([]).bar(5, 5).width <= 100
