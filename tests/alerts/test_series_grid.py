"""Windows of series: they tile time, nest in days, and follow the project's clock."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.monitors.types import Window
from alerts.series.grid import SIZES, hour_of_week, is_size, window_at, windows_between

ZONES = ("UTC", "Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia")


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


@settings(max_examples=60, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    minutes=st.sampled_from(SIZES),
    start=st.datetimes(datetime(2011, 1, 1), datetime(2030, 1, 1)).map(lambda each: each.replace(tzinfo=UTC)),
    count=st.integers(1, 40),
)
def test_windows_tile_time_whatever_the_zone(zone, minutes, start, count):
    size = timedelta(minutes=minutes)

    windows = list(windows_between(zone, size, start, start + count * size))

    assert all(first.end == second.start for first, second in pairwise(windows))
    assert all(start <= window.start < window.end <= start + count * size for window in windows)
    assert len(windows) >= count - 1 or minutes > 60
    for window in windows[:3]:
        assert window_at(zone, size, window.start) == window
        assert window_at(zone, size, window.end - timedelta(seconds=1)) == window


def test_days_are_those_of_the_project():
    days = list(windows_between("Europe/Berlin", timedelta(days=1), at(2026, 3, 27, 23), at(2026, 3, 30, 22)))

    assert [(each.end - each.start).total_seconds() / 3600 for each in days] == [24, 23, 24]
    assert days[0].start == at(2026, 3, 27, 23)


def test_the_last_window_of_an_odd_day_takes_the_rest():
    windows = list(windows_between("Europe/Berlin", timedelta(hours=6), at(2026, 10, 24, 22), at(2026, 10, 25, 23)))

    assert [(each.end - each.start).total_seconds() / 3600 for each in windows] == [6, 6, 6, 7]


def test_hours_nest_in_days_of_zones_half_an_hour_off():
    assert window_at("Asia/Kolkata", timedelta(hours=1), at(2026, 5, 5, 10, 45)) == Window(
        at(2026, 5, 5, 10, 30), at(2026, 5, 5, 11, 30)
    )
    assert window_at("Asia/Kolkata", timedelta(minutes=15), at(2026, 5, 5, 10, 46)).start == at(2026, 5, 5, 10, 45)


def test_weeks_begin_on_monday_also_where_a_day_was_skipped():
    size = timedelta(days=7)

    apia = window_at("Pacific/Apia", size, at(2011, 12, 31))

    assert apia.end - apia.start == timedelta(days=6)
    assert window_at("UTC", size, at(2026, 5, 6)).start == at(2026, 5, 4)


def test_the_hour_of_the_week_is_that_of_the_clock_on_the_wall():
    window = Window(at(2026, 5, 4, 8), at(2026, 5, 4, 9))

    assert hour_of_week("UTC", window) == 8.5
    assert hour_of_week("Europe/Berlin", window) == 10.5
    assert 0 <= hour_of_week("Asia/Tokyo", Window(at(2026, 5, 3, 14), at(2026, 5, 3, 15))) < 168


@pytest.mark.parametrize("size", [timedelta(0), timedelta(seconds=90), timedelta(minutes=7), timedelta(days=2)])
def test_windows_of_other_sizes_are_refused(size):
    assert not is_size(size)
    with pytest.raises(ValueError, match="windows are as long"):
        window_at("UTC", size, at(2026, 1, 1))
