"""Money is counted in millionths of a dollar and drawn in dollars, its limits too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from alerts.charting.advancing import advance, begin
from alerts.charting.showing import shown
from alerts.detectors.base import Baseline, State
from alerts.detectors.cost import Cost, CostSettings
from alerts.detectors.points import Values
from alerts.monitors.types import BaselinePolicy, Count, Definition, Reading, Window
from alerts.series.catalogue import METRICS

START, HOUR = datetime(2026, 3, 2, tzinfo=UTC), timedelta(hours=1)


def test_limits_of_spend_lie_around_what_is_spent():
    definition = Definition("Spend", "spend", baseline=BaselinePolicy(days=14))
    chart = begin(definition)
    micro = np.random.default_rng(2).normal(500_000, 40_000, 15 * 24)

    for at, spent in enumerate(micro.astype(int)):
        window = Window(START + at * HOUR, START + (at + 1) * HOUR)
        reading = Reading(window, 90, spent / 1e6, Count(int(spent), float(at % 168)))
        step = advance(chart, definition, METRICS["spend"], reading, 2_000.0)
        chart = step.chart

    point = step.point
    assert point.shown_high is not None
    assert 0.5 < point.shown_high < 0.9
    assert 0.3 < point.shown_level < 0.7
    assert 0.4 < point.told["centre"] < 0.6


def test_a_level_of_costs_is_drawn_where_they_are():
    rng = np.random.default_rng(3)
    costs = rng.lognormal(np.log(4e-5), 0.3, 600)
    found = Cost().learn([Values(tuple(costs[at : at + 6])) for at in range(0, 600, 6)], CostSettings(arl0=2_000.0), 1)
    assert isinstance(found, Baseline)
    centre, state = float(costs.mean()), State()

    # Ten times as much for long enough that the average has arrived.
    for _ in range(60):
        window = Values(tuple(rng.lognormal(np.log(4e-4), 0.3, 6)))
        before = state
        state, verdict = Cost().step(found, before, window)
    drawn = shown(found, centre, before, window, verdict)

    assert 3.2e-4 < drawn.level < 5e-4
    assert 4e-5 < drawn.high < 6e-5
    assert drawn.level > drawn.high
