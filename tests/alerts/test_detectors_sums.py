"""Money by the hour: sums of few dear calls with a day and a week in them, watched by the detector of counts."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy import stats as scipy_stats

from alerts.detectors.base import Baseline, State
from alerts.detectors.counts import Counts, CountSettings, expected_at, silence
from alerts.detectors.points import Count

WEEK, ARL0 = 168, 336.0
COSTS = ("gamma", "log-normal")
WEEKS = (2, 4)


def spend(g: np.random.Generator, weeks: int, cost: str, times: float = 1.0) -> list[Count]:
    """Micro-dollars by the hour: 2 calls at night, 60 at one in the afternoon, fewer on weekends, .4 cents a call."""
    at = np.arange(weeks * WEEK)
    calls = 60 * (0.04 + np.clip(np.sin(2 * np.pi * (at % 24 - 7) / 24), 0, None)) * np.where(at % WEEK < 120, 1, 0.7)
    found = []
    for hour, n in zip(at.tolist(), g.poisson(calls).tolist(), strict=True):
        costs = g.gamma(0.5, 8_000, n) if cost == "gamma" else 4_000 * np.exp(1.2 * g.normal(size=n) - 0.72)
        found.append(Count(int(times * costs.sum()), (hour + 0.5) % WEEK))
    return found


@cache
def learned(cost: str, weeks: int) -> Baseline:
    points = spend(np.random.default_rng([weeks, 31]), weeks, cost)
    found = Counts().learn(points, CountSettings(ARL0, windows_a_day=24), 1)
    assert isinstance(found, Baseline)
    return found


def false_alarms(baseline: Baseline, points: list[Count]) -> int:
    state, alarms = State(), 0
    for point in points:
        state, verdict = Counts().step(baseline, state, point)
        if verdict.alarm is not None:
            alarms += 1
            state = state.released()
    return alarms


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("weeks", WEEKS)
def test_money_alarms_no_oftener_than_the_run_length_says(cost: str, weeks: int):
    # Given 12 weeks in control at a run length of two weeks: 6 false alarms are due.
    baseline, watched = learned(cost, weeks), spend(np.random.default_rng([weeks, 32]), 12, cost)

    assert false_alarms(baseline, watched) <= scipy_stats.poisson.ppf(0.999, len(watched) / ARL0)
    # Amounts of .4 cents, uneven: 12,000 and 17,000 micro-dollars.
    assert 6_000 < baseline.number("unit") < 40_000


def test_money_judged_as_a_count_would_alarm_all_the_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("alerts.detectors.counts.is_sum", lambda *_: False)
    points, watched = (spend(np.random.default_rng([4, seed]), n, "gamma") for seed, n in ((31, 4), (32, 12)))
    baseline = Counts().learn(points, CountSettings(ARL0, windows_a_day=24), 1)
    assert isinstance(baseline, Baseline)

    # 6 are due.
    assert false_alarms(baseline, watched) > 400


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("weeks", WEEKS)
def test_twice_the_money_is_found_within_a_few_hours(cost: str, weeks: int):
    baseline, hours = learned(cost, weeks), []
    for seed in range(9):
        g = np.random.default_rng([seed, 33])
        state = State()
        for point in spend(g, 1, cost):
            state, _ = Counts().step(baseline, state, point)
        state = state.released()
        # From nine on Monday morning.
        crossed = []
        for point in spend(g, 1, cost, times=2.0)[9:57]:
            state, verdict = Counts().step(baseline, state, point)
            crossed.append(verdict.crossed == "up")
        hours.append(crossed.index(True) + 1 if any(crossed) else 48)

    assert np.median(hours) <= 8


def test_money_is_silent_by_the_events_that_it_comes_of():
    baseline = learned("gamma", 4)

    # A quiet hour at night holds two calls or three: none is no news. At noon no money for three hours is.
    assert silence(baseline, State(), [(26.5, 1.0)]).crossed is None
    assert silence(baseline, State(), [(34.5, 1.0), (35.5, 1.0), (36.5, 1.0)]).crossed == "down"


def test_limits_that_are_drawn_are_those_of_sums():
    baseline = learned("gamma", 4)
    mean, sd = expected_at(baseline, State(), 36.5)

    assert 200_000 < mean < 290_000
    # 60 calls: the sd of their sum is about √(12,000 · 240,000), a little more for the level's own error.
    assert 50_000 < sd < 90_000


def test_plain_counts_are_judged_as_ever_and_so_are_baselines_of_before():
    g = np.random.default_rng(34)
    at = np.arange(2 * WEEK)
    events = g.poisson(40 * (1.2 + np.sin(2 * np.pi * at / 24)))
    points = [Count(int(k), float((hour + 0.5) % WEEK)) for hour, k in zip(at, events, strict=True)]
    baseline = Counts().learn(points, CountSettings(ARL0, windows_a_day=24), 1)
    assert isinstance(baseline, Baseline)
    assert baseline.number("unit") == 1

    known = {name: one for name, one in baseline.parameters.items() if name not in {"unit", "one"}}
    before = replace(baseline, parameters=known)

    assert Counts().step(before, State(), points[0]) == Counts().step(baseline, State(), points[0])
