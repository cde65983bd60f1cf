"""What a count would be: levels by hour of week, days marked out, clocks that change, trend, silence."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from alerts.stats.seasons import (
    base_level,
    expected_in,
    learn_season,
    level_of,
    silence_p,
    slot_of,
    trend_factor,
)
from evals.stats.results import TooLittle

STOCKHOLM = ZoneInfo("Europe/Stockholm")
MONDAY = datetime(2026, 8, 31, tzinfo=UTC)


def hours(start, weeks):
    return [start + timedelta(hours=at) for at in range(int(weeks * 168))]


def shape(at, zone=UTC):
    local = at.astimezone(zone)
    return 100 * (1.5 + math.sin(local.hour / 24 * 2 * math.pi)) * (0.4 if local.weekday() >= 5 else 1.0)


def test_hours_of_the_week_are_medians_that_one_outage_does_not_move():
    starts = hours(MONDAY, 6)
    counts = np.array([shape(at) for at in starts])
    counts[200:230] = 0

    season = learn_season(starts, counts, zone=UTC)

    assert (season.kind, len(season.levels), season.hours) == ("hour of week", 168, 1_008)
    assert season.levels == pytest.approx([shape(at) for at in starts[:168]])
    assert set(season.counts) == {6}


def test_under_four_weeks_hours_of_the_day_have_to_do():
    starts = hours(MONDAY, 3)

    season = learn_season(starts, [shape(at) for at in starts], zone=UTC)

    assert (season.kind, len(season.levels)) == ("hour of day", 24)
    assert learn_season(starts[:335], [1.0] * 335, zone=UTC) == TooLittle(13, 14, "days of hours")


def test_only_the_last_eight_of_the_same_hour_count():
    starts = hours(MONDAY, 12)
    counts = np.where(np.arange(len(starts)) < 4 * 168, 500.0, 100.0)

    season = learn_season(starts, counts, zone=UTC)

    assert set(season.levels) == {100.0}
    assert set(season.counts) == {8}


def test_marked_days_teach_nothing():
    starts = hours(MONDAY, 5)
    counts = np.array([100.0 if at.date() != date(2026, 9, 8) else 900.0 for at in starts])
    tuesdays = [date(2026, 9, 1) + timedelta(days=7 * week) for week in range(5)]

    season = learn_season(starts, counts, zone=UTC, marked={date(2026, 9, 8)})
    all_tuesdays = learn_season(starts, counts, zone=UTC, marked=set(tuesdays))

    assert (season.marked, season.counts[24 + 12], season.dispersion) == (24, 4, 0.0)
    # Without any Tuesday its hours are those of the other days.
    assert all_tuesdays.levels[24 + 12] == 100.0


def test_a_day_of_twenty_five_hours_is_no_anomaly():
    """Stockholm sets its clocks back on 25 October 2026: traffic by local hour is met by levels of the local hour."""
    starts = hours(datetime(2026, 9, 21, tzinfo=STOCKHOLM).astimezone(UTC), 4)
    season = learn_season(starts, [shape(at, STOCKHOLM) for at in starts], zone=STOCKHOLM)

    after = [datetime(2026, 10, 25, tzinfo=STOCKHOLM).astimezone(UTC) + timedelta(hours=at) for at in range(72)]

    assert [base_level(season, at, STOCKHOLM) for at in after] == pytest.approx([shape(at, STOCKHOLM) for at in after])
    day = expected_in(
        season, datetime(2026, 10, 25, tzinfo=STOCKHOLM), datetime(2026, 10, 26, tzinfo=STOCKHOLM), zone=STOCKHOLM
    )
    assert day == pytest.approx(sum(shape(at, STOCKHOLM) for at in after[:25]))
    assert slot_of(datetime(2026, 10, 25, 1, 30, tzinfo=UTC), STOCKHOLM) == 6 * 24 + 2


def test_dispersion_is_found_of_hours_left_out_of_their_level():
    random = np.random.default_rng(0)
    starts = hours(MONDAY, 8)
    mean = np.array([shape(at) for at in starts])

    poisson = learn_season(starts, random.poisson(mean), zone=UTC)
    uneven = learn_season(starts, random.negative_binomial(10, 10 / (10 + mean)), zone=UTC)

    # The error of a median of 7 is in it too: about pi/2/7 of the variance.
    assert poisson.dispersion == pytest.approx(0.22 / 130, abs=0.002)
    assert uneven.dispersion == pytest.approx(0.1 * 1.22, rel=0.2)


def test_few_events_an_hour_have_a_mean_and_no_median():
    """The median of Poisson(.5) is 0: then every event would be impossible."""
    random = np.random.default_rng(1)

    found = np.mean([level_of(random.poisson(0.5, 8).astype(float)) for _ in range(4_000)])

    assert found == pytest.approx(0.5, abs=0.02)
    assert level_of(np.array([2.0, 3.0, 2.0, 400.0])) < 5
    assert level_of(np.array([12.0, 90.0, 14.0])) == 14


def test_growth_moves_the_trend_and_half_a_day_of_outage_does_not():
    starts = hours(MONDAY, 5)
    season = learn_season(starts, [shape(at) for at in starts], zone=UTC)
    last = [starts[-1] + timedelta(hours=at + 1) for at in range(24)]
    level = np.array([shape(at) for at in last])

    grown = trend_factor(season, last, level * 1.3, zone=UTC)
    down = level.copy()
    down[14:] = 0

    assert grown == pytest.approx(1.3)
    assert trend_factor(season, last, down, zone=UTC) == pytest.approx(1.0)
    assert trend_factor(season, last, level * 9, zone=UTC) == 2.0
    assert trend_factor(season, last[:11], level[:11] * 1.3, zone=UTC) == 1.0


def test_a_window_takes_its_part_of_the_hours():
    starts = hours(MONDAY, 4)
    season = learn_season(starts, [float(60 + at.hour) for at in starts], zone=UTC)
    start = datetime(2026, 11, 2, 9, 50, tzinfo=UTC)

    assert expected_in(season, start, start + timedelta(minutes=20), zone=UTC) == pytest.approx(69 / 6 + 70 / 6)
    assert expected_in(season, start, start, zone=UTC, trend=1.5) == 0
    with pytest.raises(ValueError, match="ends after it starts"):
        expected_in(season, start, start - timedelta(minutes=1), zone=UTC)


@given(st.integers(0, 2_000), st.integers(0, 2_000), st.integers(0, 2_000))
def test_windows_side_by_side_expect_what_the_whole_does(a, b, c):
    starts = hours(MONDAY, 2)
    season = learn_season(starts, [shape(at) for at in starts], zone=UTC)
    at = [MONDAY + timedelta(minutes=minute) for minute in sorted((a, b, c))]

    parts = expected_in(season, at[0], at[1], zone=UTC) + expected_in(season, at[1], at[2], zone=UTC)

    assert parts == pytest.approx(expected_in(season, at[0], at[2], zone=UTC), abs=1e-9)


@given(st.floats(0, 500), st.floats(0.001, 5))
def test_silence_is_the_negative_binomials_zero(expected, dispersion):
    size = 1 / dispersion

    assert silence_p(expected, dispersion) == pytest.approx(
        stats.nbinom.pmf(0, size, size / (size + expected)), rel=1e-6
    )
    assert silence_p(expected, 0.0) == pytest.approx(math.exp(-expected))
    assert silence_p(expected, dispersion) >= silence_p(expected, 0.0) - 1e-15


def test_a_quiet_night_does_not_page_and_a_dead_sender_at_noon_does():
    starts = hours(MONDAY, 5)
    counts = [600.0 if 8 <= at.hour < 20 else 1.0 for at in starts]
    season = learn_season(starts, counts, zone=UTC)
    noon, night = datetime(2026, 11, 3, 12, tzinfo=UTC), datetime(2026, 11, 3, 2, tzinfo=UTC)
    quarter = timedelta(minutes=15)

    assert silence_p(expected_in(season, noon, noon + quarter, zone=UTC), 0.02) < 1e-5
    assert silence_p(expected_in(season, night, night + 4 * quarter, zone=UTC), 0.02) > 0.3


def test_bad_input_is_refused():
    starts = hours(MONDAY, 2)
    with pytest.raises(ValueError, match="order of time"):
        learn_season(starts[::-1], [1.0] * len(starts), zone=UTC)
    with pytest.raises(ValueError, match="count of 0 or more"):
        learn_season(starts, [-1.0] * len(starts), zone=UTC)
    with pytest.raises(ValueError, match="has a zone"):
        slot_of(datetime(2026, 1, 1), UTC)
