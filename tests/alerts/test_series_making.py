"""What was read becomes a reading: values evenly by rank, orders that stay, intervals, and what is lacking."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.detectors.points import Categories, Level, Share
from alerts.monitors.types import Window
from alerts.series import making
from telltale.stats.sketch import Sketch, of_values

START = datetime(2026, 11, 16, tzinfo=UTC)
HOUR = Window(START, START + timedelta(hours=1))
NEXT = Window(HOUR.end, HOUR.end + timedelta(hours=1))


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 5000), st.integers(1, 200))
def test_ranks_are_evenly_spread_and_each_taken_once(n, most):
    ranks = making.spread_ranks(n, most)

    assert len(ranks) == min(n, most) == len(set(ranks.tolist()))
    assert 1 <= ranks[0] <= ranks[-1] <= n
    # As far from the lowest as from the highest, and no gap more than one rank longer than another.
    assert abs((ranks[0] - 1) - (n - ranks[-1])) <= 1
    gaps = np.diff(ranks)
    assert not len(gaps) or gaps.max() - gaps.min() <= 1


def test_values_of_a_busy_window_have_its_distribution_in_an_order_that_stays():
    rng = np.random.default_rng(5)
    durations = (rng.lognormal(0, 1, 20_000) * 1e9).astype(np.int64)
    sketch = Sketch(of_values(durations.tolist()))

    reading = making.times(HOUR, sketch, 0.95, 1e-6, "duration", "")

    values = np.array(reading.data.values)
    assert len(values) == making.VALUES_MAX
    assert reading.n == 20_000
    assert np.median(values) == pytest.approx(np.median(durations) / 1e6, rel=0.03)
    assert np.log(values).std() == pytest.approx(np.log(durations).std(), rel=0.05)
    assert reading.low <= reading.value <= reading.high
    # Neighbours have nothing in common, and another window another order.
    assert abs(np.corrcoef(values[1:], values[:-1])[0, 1]) < 0.25
    assert making.times(HOUR, sketch, 0.95, 1e-6, "duration", "") == reading
    other = making.times(NEXT, sketch, 0.95, 1e-6, "duration", "")
    assert other.data.values != reading.data.values
    assert sorted(other.data.values) == sorted(reading.data.values)


def test_values_of_ranks_are_those_that_stand_there():
    sketch = Sketch(of_values([5, 1, 3, 3]))

    assert sketch.values_at(np.array([1, 4, 2, 3])).tolist() == [sketch.value_at(rank) for rank in (1, 4, 2, 3)]
    assert sketch.values_at(np.array([], dtype=np.int64)).tolist() == []
    with pytest.raises(IndexError, match="ranks 0 to 4 of 4"):
        sketch.values_at(np.array([0, 4]))


def test_speed_is_the_inverse_of_time_with_its_limits_turned():
    sketch = Sketch(of_values([10**7, 2 * 10**7, 4 * 10**7] * 100))

    reading = making.times(HOUR, sketch, 0.9, 1e-9, "token_speed", "", inverse=True)

    assert reading.value == pytest.approx(25, rel=0.03)  # nine of ten calls are at least as quick
    assert reading.low <= reading.value <= reading.high
    assert sorted(set(reading.data.values)) == pytest.approx([25, 50, 100], rel=0.03)
    zero = making.times(HOUR, Sketch(of_values([0, 0])), 0.5, 1e-9, "token_speed", "", inverse=True)
    assert (zero.value, zero.lacking) == (None, "no time passed")


def test_weighted_shares_count_as_many_as_they_are_worth():
    # 30 of weight 1 (10 of them low), 10 of weight 5 (none low).
    reading = making.weighted_share(HOUR, 40, 10.0, 80.0, 30 + 250.0, "no score")

    assert reading.value == pytest.approx(10 / 80)
    assert reading.n_eff == pytest.approx(80**2 / 280)
    assert reading.data == Share(round(80**2 / 280 / 8), round(80**2 / 280))
    assert making.weighted_share(HOUR, 25, 5.0, 25.0, 25.0, "").data == Share(5, 25)
    assert making.weighted_share(HOUR, 0, 0.0, 0.0, 0.0, "no score").lacking == "no score"


def test_costs_have_a_mean_with_its_interval_and_say_how_many_are_known():
    values = np.array([0.01, 0.02, 0.03, 0.04])

    reading = making.costs(HOUR, 5, 4, values.sum(), (values**2).sum(), values, "cost")

    half = 1.959963984540054 * values.std(ddof=1) / 2
    assert (reading.n, reading.value, reading.coverage) == (4, pytest.approx(0.025), 0.8)
    assert (reading.low, reading.high) == (pytest.approx(0.025 - half), pytest.approx(0.025 + half))
    unknown = making.costs(HOUR, 5, 0, 0.0, 0.0, values[:0], "cost")
    assert (unknown.n, unknown.value, unknown.coverage, unknown.lacking) == (5, None, 0.0, "no cost is known")


def test_nothing_is_a_count_and_no_share():
    assert making.count(HOUR, "UTC", 0).value == 0
    assert making.share(HOUR, 0, 0).data is None
    assert making.count(HOUR, "UTC", 10**30).data.events == making.EVENTS_MAX
    assert making.level(HOUR, float("nan"), 3, "not told").data is None
    assert making.level(HOUR, 0.0, 3, "").data == Level(0.0)
    assert making.categories(HOUR, {"a": 2, None: 5, "b": 0}, "").data == Categories(((None, 5), ("a", 2)))
