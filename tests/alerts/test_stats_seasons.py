"""What a count is used to: levels by hour, other laps than its own, slopes between hours, the last day's factor."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.stats.seasons import TREND_MOST, between, by_other_laps, level_of, trend, trended, used_to


def hours(weeks, a_day=24):
    """The middles of the windows of some weeks, in hours of the week."""
    return (np.arange(weeks * 7 * a_day) + 0.5) * (24 / a_day) % 168


def shape(at):
    return 100 * (1.5 + np.sin(at % 24 / 24 * 2 * np.pi)) * np.where(at // 24 >= 5, 0.4, 1.0)


def test_hours_of_the_week_are_medians_that_one_outage_does_not_move():
    at = hours(6)
    events = shape(at)
    usual = used_to(events, at, 168)
    events = events.copy()
    events[200:230] = 0

    assert used_to(events, at, 168) == pytest.approx(usual)
    assert usual == pytest.approx(shape(at[:168]).tolist())


def test_hours_never_seen_take_the_level_of_all():
    at = hours(4)
    seen = at % 24 < 12

    usual = used_to(np.where(at[seen] % 24 < 6, 10.0, 30.0), at[seen], 168)

    assert usual[3] == 10.0
    assert usual[20] == 20.0


def test_no_window_is_judged_by_itself():
    at = hours(4)
    events = np.full(at.size, 20.0)
    events[10] = 5_000.0

    others = by_other_laps(events, at, 168)

    # The week of the outlier does not see it; the others do, as one of three.
    assert others[10] == 20.0
    events = np.full(at.size, 2.0)
    events[10] = 62.0
    assert by_other_laps(events, at, 168)[[10, 178]].tolist() == [2.0, 22.0]


@pytest.mark.parametrize(("a_day", "period"), [(1, 24), (1, 168), (1 / 7, 168), (96, 24), (96, 168)])
def test_windows_of_any_length_have_laps(a_day, period):
    weeks = 12 if a_day < 1 else 4
    windows = round(weeks * 7 * a_day)
    at = (np.arange(windows) + 0.5) * (24 / a_day) % period
    events = np.full(windows, 50.0)
    events[3] = 1_000.0

    others = by_other_laps(events, at, period)

    assert others[3] == pytest.approx(50.0)
    assert np.isfinite(others).all()


def test_a_steep_morning_is_a_slope_and_midnight_before_a_weekend_a_step():
    levels = [10.0] * 24
    levels[8:12] = [20.0, 30.0, 40.0, 45.0]

    # In the middle of its hour the level itself; between hours the lesser of both slopes.
    assert between(levels, 9.5) == 30.0
    assert between(levels, 9.75) == pytest.approx(32.5)
    assert between(levels, 9.0) == pytest.approx(25.0)
    # 40 -> 45 -> 10: a peak is flat, and so is the hour before a jump.
    assert between(levels, 11.9) == 45.0
    assert between(levels, 3.1) == 10.0
    assert between(levels, 23.9) == 10.0


@given(st.lists(st.floats(0.5, 1e6), min_size=24, max_size=24), st.floats(0, 23.999))
def test_what_is_between_hours_lies_between_their_levels(levels, hour):
    slot = int(hour)
    around = [levels[slot - 1], levels[slot], levels[(slot + 1) % 24]]

    assert min(around) * (1 - 1e-9) <= between(levels, hour) <= max(around) * (1 + 1e-9)


def test_small_counts_take_the_mean_and_no_hour_expects_nothing():
    assert level_of([0.0, 0.0, 3.0, 1.0]) == 1.0
    assert level_of([10.0, 12.0, 900.0]) == 12.0
    assert level_of([0.0] * 4) == 0.125


def test_the_factor_follows_slow_growth_and_knows_its_bounds():
    # A day of 96 quarters at 10 each that held half as much again, from as much as four windows "as ever".
    assert trend(0.0, 0.0, 10.0) == 1.0
    assert trend(1_440.0, 960.0, 10.0) == pytest.approx((1_440 + 40) / (960 + 40))
    assert trend(1e9, 960.0, 10.0) == TREND_MOST
    assert trend(0.0, 1e9, 10.0) == 1 / TREND_MOST


def test_expectations_hold_the_day_before_and_never_the_window_itself():
    usual = np.full(300, 10.0)
    events = np.where(np.arange(300) < 150, 10.0, 20.0)

    expected = trended(events, usual, 96)

    assert expected[150] == pytest.approx(10.0)
    assert expected[151] == pytest.approx(
        10
        * (10 * (1 - math.exp(-150 / 96)) / (1 - math.exp(-1 / 96)) + 10 + 40)
        / (10 * (1 - math.exp(-151 / 96)) / (1 - math.exp(-1 / 96)) + 40),
        rel=0.01,
    )
    assert 17 < expected[-1] < 20
