"""Categories by windows: one test of all cells, spread between windows, and categories that nobody had seen."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from alerts.detectors.base import Baseline, NotStable, State, TooLittle, replay
from alerts.detectors.categories import CategoryMix, CategorySettings
from alerts.detectors.points import Categories
from tests.alerts.detector_kit import categories


def learned(points: list[Categories], **settings: float) -> Baseline:
    found = CategoryMix().learn(points, CategorySettings(500.0, **settings), 1)  # type: ignore[arg-type]
    assert isinstance(found, Baseline), found
    return found


def rows(**counts: int) -> Categories:
    return Categories(tuple(counts.items()))


def steady(g: np.random.Generator, n: int, size: int = 100) -> list[Categories]:
    return [rows(**dict(zip("abc", g.multinomial(size, [0.6, 0.3, 0.1]).tolist(), strict=True))) for _ in range(n)]


def test_a_window_is_the_normal_score_of_its_chi_square():
    baseline = learned(steady(np.random.default_rng(1), 200))
    assert baseline.parameters["cells"] == ["a", "b", "c"]
    effect, centre, sd = (baseline.number(name) for name in ("effect", "centre", "sd"))

    verdict = CategoryMix().step(baseline, State(), rows(a=40, b=45, c=15))[1]

    table = np.array([baseline.numbers("reference"), [40, 45, 15]])
    statistic = scipy_stats.chi2_contingency(table, correction=False).statistic / effect
    z = (scipy_stats.norm.isf(scipy_stats.chi2.sf(statistic, 2)) - centre) / sd
    assert verdict.z == pytest.approx(z, rel=1e-6)


def test_windows_that_differ_more_than_chance_are_held_back():
    g = np.random.default_rng(2)
    moody = [
        rows(**dict(zip("abc", g.multinomial(200, g.dirichlet([24, 12, 4])).tolist(), strict=True))) for _ in range(200)
    ]
    window = rows(a=90, b=85, c=25)

    held = CategoryMix().step(learned(moody), State(), window)[1]
    told = CategoryMix().step(learned(steady(g, 200, 200)), State(), window)[1]

    assert learned(moody).number("effect") > 3
    assert held.alarm is None
    assert told.alarm == "up"


def test_a_new_category_is_told_by_name_and_a_single_row_of_it_is_not():
    baseline = learned(steady(np.random.default_rng(3), 200))

    one = CategoryMix().step(baseline, State(), rows(a=60, b=29, c=10, d=1))[1]
    some = CategoryMix().step(baseline, State(), rows(a=58, b=28, c=9, d=5))[1]

    assert one.alarm is None
    assert some.alarm == "up"
    assert next(part for part in some.parts if part.rule.startswith("new")).rule == "new category d"


def test_where_new_ones_come_all_the_time_they_are_no_news():
    g = np.random.default_rng(4)
    # A tenth of the rows has a name of its own.
    usual = [
        Categories((("a", 90), *((f"x{at}-{i}", 1) for i in range(int(g.binomial(10, 0.5)))))) for at in range(100)
    ]
    baseline = learned(usual)

    verdict = CategoryMix().step(baseline, State(), Categories((("a", 90), *((f"y{i}", 1) for i in range(6)))))[1]

    assert baseline.number("unseen") > 0.03
    assert verdict.alarm is None


def test_unknown_is_a_category_like_others():
    g = np.random.default_rng(5)
    points = [Categories((("en", int(k)), (None, 50 - int(k)))) for k in g.binomial(50, 0.8, 150)]

    baseline = learned(points)

    assert baseline.parameters["cells"] == ["en", None]
    assert any(one.alarm for one in replay(CategoryMix(), baseline, [Categories((("en", 10), (None, 40)))] * 3))


def test_small_windows_wait_until_their_cells_can_be_tested():
    g = np.random.default_rng(6)
    baseline = learned(steady(g, 400, size=8))
    least = int(baseline.number("least"))

    state, first = CategoryMix().step(baseline, State(), rows(a=5, b=3))
    while sum(state.pending) and sum(state.pending) + 8 < least:
        state, first = CategoryMix().step(baseline, state, rows(a=5, b=3))
        assert first.z is None
    state, full = CategoryMix().step(baseline, state, rows(a=5, b=2, c=1))

    assert full.z is not None
    assert state.pending == ()


def test_a_mix_that_drifts_alarms_though_no_window_would():
    g = np.random.default_rng(7)
    baseline = learned(categories(g, 200))
    drifted = [
        rows(stop=int(a), length=int(b), tool_calls=int(c))
        for a, b, c in g.multinomial(120, [0.70, 0.22, 0.08], 60).tolist()
    ]

    verdicts = replay(CategoryMix(), baseline, drifted)

    assert any(one.alarm for one in verdicts)


def test_a_change_inside_is_refused_and_little_says_how_much():
    g = np.random.default_rng(8)
    found = CategoryMix().learn(categories(g, 80) + categories(g, 80, changed=True), CategorySettings(500.0), 1)

    assert isinstance(found, NotStable)
    assert abs(found.at - 80) <= 6
    assert CategoryMix().learn([rows(a=10)] * 5, CategorySettings(500.0), 1) == TooLittle(50, 200, "rows")
    assert CategoryMix().learn([rows(a=200, b=200)] * 5, CategorySettings(500.0), 1) == TooLittle(
        5, 20, "windows that hold anything"
    )


def test_one_category_alone_is_watched_for_others():
    baseline = learned([rows(a=100)] * 60)

    assert CategoryMix().step(baseline, State(), rows(a=100))[1].alarm is None
    assert CategoryMix().step(baseline, State(), rows(a=99, b=1))[1].alarm is None
    verdict = CategoryMix().step(baseline, State(), rows(a=70, b=30))[1]
    assert (verdict.alarm, verdict.rule) == ("up", "new category b")
    assert CategoryMix().step(baseline, State(), Categories(()))[1].z is None
