"""The days of a bill: cut in the project's zone, compared with days that are over."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traces.cost.periods import (
    DAYS_MAX,
    NAMED,
    PeriodError,
    given_period,
    hours_of,
    month_of,
    named_period,
    read_day,
    share_of_today,
)
from traces.rollup.buckets import Calendar

BERLIN, KOLKATA, LOS_ANGELES = Calendar("Europe/Berlin"), Calendar("Asia/Kolkata"), Calendar("America/Los_Angeles")
NOW = datetime(2026, 11, 19, 11, 2, tzinfo=UTC)


def said(days):
    return None if days is None else (str(days.first), str(days.last))


@pytest.mark.parametrize(
    ("name", "days", "whole", "before"),
    [("month", ("2026-11-01", "2026-11-19"), ("2026-11-01", "2026-11-18"), ("2026-10-01", "2026-10-18")),
     ("last_month", ("2026-10-01", "2026-10-31"), ("2026-10-01", "2026-10-31"), ("2026-09-01", "2026-09-30")),
     ("7d", ("2026-11-13", "2026-11-19"), ("2026-11-13", "2026-11-18"), ("2026-11-06", "2026-11-11")),
     ("28d", ("2026-10-23", "2026-11-19"), ("2026-10-23", "2026-11-18"), ("2026-09-25", "2026-10-21"))],
)  # fmt: skip
def test_periods_and_what_they_are_compared_with(name, days, whole, before):
    period = named_period(name, BERLIN, NOW)

    assert (said(period.days), said(period.whole), said(period.before)) == (days, whole, before)


def test_days_begin_at_local_midnight():
    period = named_period("month", KOLKATA, NOW)

    assert period.days.start == datetime(2026, 10, 31, 18, 30, tzinfo=UTC)
    assert period.days.end == datetime(2026, 11, 19, 18, 30, tzinfo=UTC)


def test_today_is_the_zones_today():
    late = datetime(2026, 11, 30, 23, 30, tzinfo=UTC)

    assert named_period("month", BERLIN, late).days.first == date(2026, 12, 1)
    assert named_period("month", LOS_ANGELES, late).days.first == date(2026, 11, 1)


def test_on_the_first_of_a_month_nothing_can_be_compared():
    period = named_period("month", BERLIN, datetime(2026, 11, 1, 9, tzinfo=UTC))

    assert (period.whole, period.before) == (None, None)
    assert said(period.days) == ("2026-11-01", "2026-11-01")


def test_a_long_month_is_compared_with_all_of_a_short_one():
    period = named_period("month", BERLIN, datetime(2027, 3, 31, 9, tzinfo=UTC))

    assert said(period.whole) == ("2027-03-01", "2027-03-30")
    assert said(period.before) == ("2027-02-01", "2027-02-28")


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-11-19", 24)])
def test_days_have_their_hours(day, hours):
    assert hours_of(date.fromisoformat(day), BERLIN) == hours
    period = given_period(date.fromisoformat(day), date.fromisoformat(day), BERLIN, NOW)
    assert period.days.end - period.days.start == timedelta(hours=hours)


def test_the_share_of_a_long_day():
    """Noon of a day of 25 hours: 13 of them have passed."""
    assert share_of_today(BERLIN, datetime(2026, 10, 25, 11, tzinfo=UTC)) == pytest.approx(13 / 25)


def test_given_days_stand_beside_as_many_before():
    period = given_period(date(2026, 11, 10), date(2026, 11, 25), BERLIN, NOW)

    assert said(period.days) == ("2026-11-10", "2026-11-19")  # the rest has not come
    assert said(period.whole) == ("2026-11-10", "2026-11-18")
    assert said(period.before) == ("2026-11-01", "2026-11-09")


@pytest.mark.parametrize(
    ("first", "last", "field"),
    [((2026, 11, 2), (2026, 11, 1), "from"), ((2024, 1, 1), (2026, 1, 1), "from"),
     ((2026, 12, 1), (2026, 12, 2), "from")],
)  # fmt: skip
def test_days_that_cannot_be(first, last, field):
    with pytest.raises(PeriodError) as caught:
        given_period(date(*first), date(*last), BERLIN, NOW)

    assert caught.value.field == field
    assert caught.value.limit


@pytest.mark.parametrize(
    ("field", "raw", "day"),
    [("from", "2026-11-19", "2026-11-19"), ("from", "2026-11-18T23:30:00Z", "2026-11-19"),
     ("from", "2026-11-19 11:00", "2026-11-19"), ("to", "2026-11-20T00:00", "2026-11-19"),
     ("to", "2026-11-20", "2026-11-20"), ("from", "2026-11-19T00:00:00 01:00", "2026-11-19")],
)  # fmt: skip
def test_days_in_addresses(field, raw, day):
    assert read_day(field, raw, BERLIN) == date.fromisoformat(day)


@pytest.mark.parametrize(
    "raw", ["", "yesterday", "2026-13-01", "0001-01-01", "9999-12-31T23:59:59-12:00", "1e9", "\x00"]
)
def test_no_days(raw):
    with pytest.raises(PeriodError):
        read_day("from", raw, BERLIN)


@given(
    st.sampled_from(NAMED),
    st.datetimes(datetime(1971, 1, 1), datetime(2199, 1, 1)),
    st.sampled_from([BERLIN, KOLKATA, LOS_ANGELES]),
)
def test_every_moment_has_its_periods(name, moment, calendar):
    period = named_period(name, calendar, moment.replace(tzinfo=UTC))

    assert period.days.start < period.days.end
    assert period.days.n <= DAYS_MAX
    if period.whole and period.before:
        assert period.before.after <= period.whole.first
        assert period.whole.after <= period.today
        assert abs(period.before.n - period.whole.n) <= 3
    assert month_of(period.today)[0] <= period.today < month_of(period.today)[1]
