"""Faults of the source documents' charts that must not come back, each beside what stands in its place."""

from __future__ import annotations

import math

import numpy as np
import pytest

from alerts.stats import ewma, shewhart
from alerts.stats.budget import Chart, allot, expected_a_week


class SourceChart:
    """QualityControlChart of source document 004, as given: it compares a value with an average that holds it."""

    def __init__(self, weight=0.1, k=3.0, warm=30):
        self.weight, self.k, self.warm = weight, k, warm
        self.mean, self.variance, self.n = None, 0.0, 0

    def update(self, value):
        self.n += 1
        if self.mean is None:
            self.mean = value
            return False
        before = self.mean
        self.mean = self.weight * value + (1 - self.weight) * before
        self.variance = (1 - self.weight) * (self.variance + self.weight * (value - before) ** 2)
        sd = math.sqrt(self.variance)
        return self.n >= self.warm and abs(value - self.mean) > (self.k * sd if sd > 0 else math.inf)


def alarms_of_ewma(points, arl0):
    """How many points the chart that replaces it calls out, from a baseline of mean 0 and sd 1, with restarts."""
    boundary, c, alarms = ewma.boundary_for(0.1, arl0), 0.0, 0
    for point in points:
        c += 0.1 * (float(point) - c)
        if abs(c) > boundary:
            alarms, c = alarms + 1, 0.0
    return alarms


def test_the_chart_of_the_source_can_never_alarm():
    rng = np.random.default_rng(1)
    chart = SourceChart()
    wild = rng.standard_normal(60_000) * np.where(rng.random(60_000) < 0.01, 1e6, 1)
    wild[30_000:] += 50

    assert not any(chart.update(float(point)) for point in wild)
    assert not SourceChart().update(1.0)
    assert alarms_of_ewma(wild, 8_400) > 1_000


def test_at_a_smaller_weight_it_is_blind_to_what_lasts():
    # Scores of 1 to 5 that fall by 1.25 sd and stay there.
    rng = np.random.default_rng(2)
    levels = np.arange(1, 6)
    well, ill = (0.03, 0.05, 0.12, 0.35, 0.45), (0.22, 0.20, 0.22, 0.22, 0.14)
    chart = SourceChart(weight=0.05)
    scores = np.concatenate([rng.choice(levels, 500, p=well), rng.choice(levels, 5_000, p=ill)])

    called = [at for at, score in enumerate(scores) if chart.update(float(score))]

    # It calls out a single low score of the good time, and nothing of the bad one.
    assert called == [382]
    mean, sd = scores[:500].mean(), scores[:500].std(ddof=1)
    assert alarms_of_ewma((scores[500:] - mean) / sd, 5_000) > 100


def test_three_sd_on_fifty_hourly_charts_are_23_false_pages_a_week():
    assert 50 * 168 / shewhart.run_length(3) == pytest.approx(23, abs=0.5)
    assert expected_a_week(allot([Chart(str(at), 168) for at in range(50)])) == pytest.approx(1)


def test_limits_of_single_points_throw_the_averaging_away():
    # A lasting shift of 1 sd at the same run length of 370: 44 points by single points, 10 by their average.
    assert shewhart.run_length(3, 1) > 4 * ewma.delay(0.1, shewhart.run_length(3), 1)
