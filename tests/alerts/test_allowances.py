"""Budgets without rows: what is advised, how a period is forecast, when an allowance runs out."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from alerts.allowances import wording
from alerts.allowances.answering import Stood, answer
from alerts.allowances.definition import parse, to_json, usd_text
from alerts.allowances.forecast import DayParts, outlook_of_day, outlook_of_month, runs_out, will_not_last
from alerts.allowances.periods import bounds_at
from alerts.allowances.types import Do, Of, Period, Step, step_at, told_share
from traces.cost.forecast import Day
from traces.rollup.buckets import calendar_of

NOW = datetime(2026, 11, 19, 11, 2, tzinfo=UTC)
POLICY = (Step(Decimal("0.8"), Do.CHEAPER_MODEL, "small"), Step(Decimal(1), Do.REFUSE))


def stood(of=Of.PROJECT, spent=50, limit=100, policy=POLICY, key=1, subject="", period=Period.MONTH, as_of=NOW):
    return Stood(key, "b", of, subject, period, limit, policy, NOW, NOW, spent, 0, 0, as_of)


@pytest.mark.parametrize(("spent", "do"), [(0, None), (79, None), (80, "cheaper_model"), (99, "cheaper_model"),
                                           (100, "refuse"), (500, "refuse")])  # fmt: skip
def test_the_last_step_that_is_reached_holds(spent, do):
    step = step_at(POLICY, spent, 100)

    assert (step and str(step.do)) == do


def test_shares_are_decimals_and_not_the_floats_beside_them():
    """0.7 x 10 pico-dollars is 7, where 0.7 of a float is 7.000000000000001."""
    assert told_share((Decimal("0.7"),), 7, 10) == Decimal("0.7")


def test_the_strictest_decides_then_the_larger_share():
    mild, strict = stood(spent=90, key=1), stood(Of.USER, spent=100, key=2)
    assert answer([mild, strict], NOW).decides is strict
    low, high = stood(spent=81, key=1), stood(Of.FEATURE, spent=95, key=2)
    assert answer([low, high], NOW).decides is high


def test_what_nobody_knows_decides_nothing_and_is_told():
    unknown = stood(spent=None, as_of=None)
    found = answer([unknown, stood(spent=10, key=2)], NOW)

    assert (found.is_allowed, found.is_over, found.is_stale, found.advice) == (True, None, True, None)
    assert answer([unknown, stood(spent=100, key=2)], NOW).is_over is True


def test_sums_older_than_five_minutes_are_stale():
    assert answer([stood(as_of=NOW - timedelta(minutes=5))], NOW).is_stale is False
    assert answer([stood(as_of=NOW - timedelta(minutes=5, seconds=1))], NOW).is_stale is True


def test_a_budget_reads_back_as_it_was_told():
    told = {
        "name": "Search", "of": "feature", "subject": "a b", "period": "day", "limit_usd": "12.340000000001",
        "tell_at": [1, 0.5, 0.5], "severity": 0, "is_on": False,
        "policy": [{"at": 1, "do": "refuse"}, {"at": 0.8, "do": "shorter_context", "with": "4000"}],
    }  # fmt: skip
    allowance = parse(told)

    assert parse(to_json(allowance)) == allowance
    assert (allowance.limit_pico, allowance.tell_at) == (12_340_000_000_001, (Decimal("0.5"), Decimal(1)))
    assert [str(step.do) for step in allowance.policy] == ["shorter_context", "refuse"]
    assert usd_text(allowance.limit_pico) == "12.340000000001"
    assert usd_text(10**15) == "1000"


def test_a_day_of_23_hours_is_a_day():
    calendar = calendar_of("Europe/Berlin")
    day = bounds_at(Period.DAY, calendar, datetime(2026, 3, 29, 12, tzinfo=UTC))
    month = bounds_at(Period.MONTH, calendar, datetime(2026, 3, 31, 23, tzinfo=UTC))

    assert (day.end - day.start, day.first) == (timedelta(hours=23), date(2026, 3, 29))
    assert (month.first, month.start) == (date(2026, 4, 1), datetime(2026, 3, 31, 22, tzinfo=UTC))


class TestForecastOfADay:
    def days(self, drawn, n=28, common=0.0, growth=0.0, week=(1.0,) * 7):
        level, found = 100.0, []
        for at in range(n + 1):
            day = date(2026, 10, 1) + timedelta(days=at)
            level *= 1 + growth
            busy = week[day.weekday()] * level * float(drawn.lognormal(0, common))
            found.append(DayParts(day, 0.4 * busy * drawn.lognormal(0, 0.1), 0.6 * busy * drawn.lognormal(0, 0.1)))
        return found

    @pytest.mark.parametrize("how", [{}, {"common": 0.3}, {"week": (1.2, 1.1, 1, 1, 1.3, 0.4, 0.3)}, {"n": 14}])
    def test_the_interval_holds_the_sum_in_about_80_of_100_days(self, how):
        """Of 200 days 0.80 ± 0.11 are the binomial limits at 10⁻⁴."""
        drawn = np.random.default_rng(1)
        held = 0
        for _ in range(200):
            *past, today = self.days(drawn, **how)
            found = outlook_of_day(past, today.before_usd, today.day)
            held += found.low_pico <= (today.before_usd + today.after_usd) * 1e12 <= found.high_pico
        assert 0.69 <= held / 200 <= 0.91

    def test_a_day_that_runs_away_is_forecast_from_what_it_spent(self):
        *past, today = self.days(np.random.default_rng(2), common=0.3)
        calm = outlook_of_day(past, 40.0, today.day)
        wild = outlook_of_day(past, 400.0, today.day)

        assert calm.pico == pytest.approx(100e12, rel=0.15)
        assert wild.pico > 800e12
        assert wild.high_pico - wild.low_pico > 4 * (calm.high_pico - calm.low_pico)

    def test_at_midnight_the_days_before_are_all_there_is(self):
        days = [DayParts(date(2026, 10, 1) + timedelta(days=at), 0.0, 100.0 + at % 2) for at in range(20)]

        assert outlook_of_day(days, 0.0, date(2026, 10, 21)).pico == pytest.approx(100.5e12, rel=0.01)

    def test_quiet_days_come_to_what_is_spent_and_few_to_nothing(self):
        quiet = [DayParts(date(2026, 10, 1) + timedelta(days=at), 0.0, 0.0) for at in range(20)]

        assert outlook_of_day(quiet, 3.0, date(2026, 10, 21)).pico == 3 * 10**12
        assert outlook_of_day(quiet[:13], 3.0, date(2026, 10, 14)).pico is None


class TestForecastOfAMonth:
    WEEK = (1.1, 1.1, 1.1, 1.0, 1.0, 0.85, 0.85)

    def told_on(self, over, drawn):
        """On which day of a month people are told, None: never."""
        days = [date(2026, 3, 1) + timedelta(days=at) for at in range(-56, 31)]
        spent = [100 * self.WEEK[day.weekday()] * float(drawn.lognormal(0, 0.1)) for day in days]
        limit = sum(spent[56:]) / over
        for at in range(0, 31, 3):
            so_far = sum(spent[56 : 56 + at])
            if so_far >= limit:
                break
            past = [Day(day, usd) for day, usd in zip(days[: 56 + at], spent, strict=False)]
            rest = [Day(day, None) for day in days[57 + at :]]
            outlook = outlook_of_month(past, so_far, Day(days[56 + at], 0.0), 0.0, rest)
            if will_not_last(outlook, round(limit * 1e12)):
                return at
        return None

    def test_an_overspend_is_told_weeks_before_and_a_kept_month_never(self):
        """As `python -m benchmarks.budgets --forecast` at full size: 0.3 of 100 at 95 %, all at 110 %."""
        drawn = np.random.default_rng(4)
        kept = [self.told_on(0.95, drawn) for _ in range(25)]
        over = [self.told_on(1.10, drawn) for _ in range(25)]

        assert sum(day is not None for day in kept) <= 2
        assert None not in over
        assert np.mean(over) < 7

    def test_when_it_runs_out_has_an_interval_of_days(self):
        days = [Day(date(2026, 10, 1) + timedelta(days=at), 10.0 + at % 3) for at in range(40)]
        rest = [Day(date(2026, 11, 11) + timedelta(days=at), None) for at in range(20)]
        outlook = outlook_of_month(days[:-1], 110.0, days[-1], 0.5, rest)
        found = runs_out(outlook, 200 * 10**12)

        assert found.earliest <= found.expected <= found.latest
        assert found.expected in {date(2026, 11, 17), date(2026, 11, 18)}
        assert runs_out(outlook, 10**18).expected is None


def test_messages_say_who_how_much_and_what_is_advised():
    policy = [{"at": 0.8, "do": "cheaper_model", "with": "m"}]
    one = parse({"name": "S", "of": "feature", "limit_usd": "1", "policy": policy})

    title, words = wording.crossed(one, [("search", 81 * 10**10, Decimal("0.8"))])

    assert title == "Feature search has spent 80% of its cost budget"
    assert words.startswith("Feature search has spent $0.81 of $1.00 this month, 81%. Its policy says now: ")
    assert words.endswith("use a cheaper model: m.")
