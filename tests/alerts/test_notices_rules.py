"""Routes, hours, silences, and what answers mean: tables of cases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from alerts.notices.answers import Fate, Outcome, pause, read_answer, retry_after
from alerts.notices.matching import About, Hush, Way, minute_of, read_hours
from alerts.notices.transitions import Kind

FRIDAY = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
P1 = About(Kind.OPENED, 1, ("returns",), (7,))


@pytest.mark.parametrize(
    ("way", "about", "fits"),
    [
        (Way(), P1, True),
        (Way(severities=(0, 1)), P1, True),
        (Way(severities=(0,)), P1, False),
        (Way(features=("returns", "search")), P1, True),
        (Way(features=("search",)), P1, False),
        (Way(features=("search",)), About(Kind.OPENED, 1), True),  # of the whole project, so of this feature too
        (Way(kinds=("opened",)), P1, True),
        (Way(kinds=("resolved",)), P1, False),
        (Way(severities=(0,), features=("search",)), About(Kind.ENGINE_STANDS, 1), True),
        (Way(kinds=("opened",)), About(Kind.ENGINE_STANDS, 1), False),
        (Way(severities=(0,)), About(Kind.BUDGET, None), True),
    ],
)
def test_a_route_takes_what_fits(way, about, fits):
    assert way.fits(about, FRIDAY, "UTC") is fits


@pytest.mark.parametrize(
    ("hours", "at", "holds"),
    [
        ({"days": [1, 2, 3, 4, 5], "start": "09:00", "end": "18:00"}, FRIDAY, True),
        ({"days": [6, 7], "start": "09:00", "end": "18:00"}, FRIDAY, False),
        ({"start": "12:00", "end": "13:00"}, FRIDAY, True),
        ({"start": "11:00", "end": "12:00"}, FRIDAY, False),
        ({"days": [5], "start": "22:00", "end": "06:00"}, FRIDAY + timedelta(hours=11), True),
        ({"days": [5], "start": "22:00", "end": "06:00"}, FRIDAY + timedelta(hours=16), True),  # Saturday 04:00
        ({"days": [6], "start": "22:00", "end": "06:00"}, FRIDAY + timedelta(hours=16), False),
        ({"days": [5], "start": "00:00", "end": "24:00"}, FRIDAY, True),
        ({"days": [5], "start": "00:00", "end": "00:00"}, FRIDAY, True),  # a day from midnight to midnight
    ],
)
def test_hours_hold_in_the_zone_of_the_project(hours, at, holds):
    assert read_hours(hours).hold(at, "UTC") is holds


def test_hours_are_those_of_the_wall_clock():
    morning = read_hours({"start": "09:00", "end": "10:00"})

    assert morning.hold(datetime(2026, 1, 15, 8, 30, tzinfo=UTC), "Europe/Berlin")
    assert not morning.hold(datetime(2026, 7, 15, 8, 30, tzinfo=UTC), "Europe/Berlin")  # summer: 10:30 there


def test_hours_in_a_zone_that_is_no_more_are_those_of_utc():
    hours = read_hours({"start": "09:00", "end": "10:00"})

    assert hours.hold(datetime(2026, 1, 5, 9, 30, tzinfo=UTC), "Nowhere/Gone")
    assert not hours.hold(datetime(2026, 1, 5, 10, 30, tzinfo=UTC), "../etc")


@pytest.mark.parametrize("text", ["9:00", "09.00", "24:01", "12:60", "", "०९:००", "09:000"])
def test_what_is_no_time_of_day_is_refused(text):
    with pytest.raises(ValueError, match="no time of day"):
        minute_of(text)


@pytest.mark.parametrize(
    ("hush", "about", "holds"),
    [
        (Hush(), P1, True),
        (Hush(), About(Kind.ENGINE_STANDS, 1), False),
        (Hush(monitors=frozenset({7, 8})), P1, True),
        (Hush(monitors=frozenset({7})), About(Kind.OPENED, 1, ("returns",), (7, 9)), False),  # 9 is not silenced
        (Hush(monitors=frozenset({7})), About(Kind.OPENED, 1), False),
        (Hush(features=frozenset({"returns"})), P1, True),
        (Hush(features=frozenset({"returns"})), About(Kind.OPENED, 1, ("returns", "search")), False),
        (Hush(features=frozenset({"returns"})), About(Kind.OPENED, 1), False),
        (Hush(severities=frozenset({2, 3})), P1, False),
        (Hush(severities=frozenset({1}), features=frozenset({"search"})), P1, False),
    ],
)
def test_a_silence_holds_what_it_names_and_nothing_that_also_comes_from_elsewhere(hush, about, holds):
    assert hush.holds(about) is holds


@pytest.mark.parametrize(
    ("status", "fate"),
    [
        (200, Fate.DELIVERED), (202, Fate.DELIVERED), (204, Fate.DELIVERED), (301, Fate.WRONG), (307, Fate.WRONG),
        (400, Fate.REFUSED), (401, Fate.WRONG), (404, Fate.WRONG), (408, Fate.AGAIN), (413, Fate.REFUSED),
        (425, Fate.AGAIN), (429, Fate.AGAIN), (500, Fate.AGAIN), (503, Fate.AGAIN), (599, Fate.AGAIN),
    ],
)  # fmt: skip
def test_only_a_2xx_is_delivered(status, fate):
    outcome = read_answer(status, {}, FRIDAY)

    assert outcome.fate is fate
    assert str(status) in outcome.words


@pytest.mark.parametrize(
    ("raw", "seconds"),
    [
        ("7", 7), (" 7 ", 7), ("0", 0), ("99999999", 6 * 3600), ("Fri, 20 Nov 2026 12:00:30 GMT", 30),
        ("Fri, 20 Nov 2026 11:00:00 GMT", 0), ("soon", None), ("", None), ("-5", None), ("٧", None),
    ],
)  # fmt: skip
def test_retry_after_is_read_within_bounds(raw, seconds):
    assert retry_after(raw, FRIDAY) == (None if seconds is None else timedelta(seconds=seconds))


def test_pauses_grow_to_half_an_hour_and_are_never_before_what_was_asked():
    away = Outcome(Fate.AGAIN)
    waits = [pause(away, attempts, chance=0.5).total_seconds() for attempts in range(1, 10)]
    assert waits == [5, 15, 45, 120, 300, 600, 1200, 1800, 1800]

    asks = Outcome(Fate.AGAIN, status=429, asked=timedelta(seconds=30))
    assert pause(asks, 1, chance=0) == timedelta(seconds=30)
    assert pause(asks, 1, chance=1) == timedelta(seconds=33)
    assert pause(asks, 20, chance=0) == timedelta(minutes=30)  # it asked often enough

    assert pause(Outcome(Fate.WRONG), 1, chance=0.5) == timedelta(minutes=1)
    assert pause(away, 1, chance=0) < pause(away, 1, chance=1)
