"""One number a window: its own errors, long tails, what lasts and what comes back every day."""

from __future__ import annotations

import math

import numpy as np
import pytest

from alerts.detectors.base import Baseline, NotStable, State, TooLittle, replay
from alerts.detectors.levels import Levels, LevelSettings
from alerts.detectors.points import Level
from tests.alerts.detector_kit import levels, single_levels


def learned(points: list[Level], **settings: float) -> Baseline:
    found = Levels().learn(points, LevelSettings(500.0, **settings), 1)  # type: ignore[arg-type]
    assert isinstance(found, Baseline), found
    return found


def test_a_number_is_judged_by_the_spread_between_and_its_own_error():
    baseline = learned(single_levels(np.random.default_rng(1), 1_000))

    verdict = Levels().step(baseline, State(), Level(1.9, 0.1))[1]
    unsure = Levels().step(baseline, State(), Level(1.9, 0.6))[1]

    # Between .2 in sum, of which .1 is the numbers' own: sqrt(.2² - .1²) = .173.
    assert baseline.number("between") == pytest.approx(math.sqrt(0.03), abs=0.02)
    sd = math.hypot(baseline.number("between"), 0.1)
    assert verdict.z == pytest.approx((1.9 - baseline.number("centre")) / sd)
    assert unsure.z is not None
    assert verdict.z is not None
    assert unsure.z < verdict.z


def test_a_long_tail_is_read_by_logs_and_a_symmetric_one_is_not():
    g = np.random.default_rng(2)
    lags = [Level(float(one)) for one in g.lognormal(1.0, 0.8, 300)]

    assert learned(lags).method.startswith("logs of levels")
    assert learned(single_levels(g, 300)).method == "levels"
    nothing = Levels().step(learned(lags), State(), Level(0.0))[1]
    assert nothing.z == -20.0
    assert nothing.alarm == "down"


def test_what_lasts_widens_the_limits():
    g = np.random.default_rng(3)
    lasting = learned(levels(g, 400))
    apart = learned([Level(float(one)) for one in g.normal(0, 1, 400)])

    assert lasting.number("keep") > 0
    assert lasting.numbers("high")[0] > 1.2 * apart.numbers("high")[0]


def test_a_load_that_comes_back_every_day_is_in_control():
    g = np.random.default_rng(4)

    def days(count: int, first: int = 0, more: float = 0.0) -> list[Level]:
        at = np.arange(first * 24, (first + count) * 24)
        return [Level(float(50 + 20 * np.sin(2 * np.pi * hour / 24) + more + g.normal(0, 2))) for hour in at]

    baseline = learned(days(14))

    assert not any(verdict.alarm for verdict in replay(Levels(), baseline, days(7, 14)))
    assert any(verdict.alarm == "up" for verdict in replay(Levels(), baseline, days(3, 14, more=40.0)))


def test_numbers_that_never_moved_allow_a_little():
    baseline = learned([Level(80.0)] * 60)

    assert Levels().step(baseline, State(), Level(80.5))[1].alarm is None
    assert Levels().step(baseline, State(), Level(120.0))[1].alarm == "up"
    assert learned([Level(0.0)] * 60).number("between") > 0


def test_a_change_inside_is_refused_and_little_says_how_much():
    g = np.random.default_rng(5)
    found = Levels().learn(single_levels(g, 80) + single_levels(g, 80, changed=True), LevelSettings(500.0), 1)

    assert isinstance(found, NotStable)
    assert abs(found.at - 80) <= 3
    assert Levels().learn([Level(1.0)] * 20, LevelSettings(500.0), 1) == TooLittle(20, 50, "windows")


@pytest.mark.parametrize(("value", "sd"), [(math.nan, None), (math.inf, 1.0), (1.0, -1.0), (1.0, math.nan)])
def test_a_level_is_a_number(value, sd):
    with pytest.raises(ValueError, match="finite"):
        Level(value, sd)
