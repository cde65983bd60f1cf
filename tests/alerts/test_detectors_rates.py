"""False alarms of detectors in control, by simulation, and the source document's chart that can never alarm."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from alerts.detectors.base import Baseline, State
from alerts.detectors.scores import Scores, ScoreSettings
from tests.alerts.detector_kit import KINDS

# What makes a limit is itself drawn: 120 to 160 alarms, so a run length is off by 1/sqrt(120) = 9 %, four times as far
# once in 10,000.
_OF_THE_LIMIT = 4 / math.sqrt(120)


def _false_alarms(detector: Any, settings: Any, learn: list[Any], watch: list[Any], seed: int) -> int:
    baseline = detector.learn(learn, settings, seed)
    # A stretch in control is refused once in a thousand: then there is no chart and no false alarm.
    if not isinstance(baseline, Baseline):
        return 0
    state, alarms = State(), 0
    for point in watch:
        state, verdict = detector.step(baseline, state, point)
        if verdict.alarm is not None:
            alarms += 1
            state = state.released()
    return alarms


@pytest.mark.parametrize("name", [name for name in KINDS if not name.startswith("counts")])
def test_false_alarms_come_as_often_as_the_run_length_says(name: str):
    # Given 25 baselines, each watched for 250 points in control at a wanted run length of 100.
    kind, baselines, points, arl0 = KINDS[name], 25, 250, 100.0
    settings = replace(kind.settings, arl0=arl0)

    alarms = []
    for seed in range(baselines):
        g = np.random.default_rng([seed, 17])
        learn, watch = kind.series(g, kind.learns, False), kind.series(g, points, False)
        alarms.append(_false_alarms(kind.detector, settings, learn, watch, seed))

    # Baselines differ, so alarms are no Poisson: the error of their mean is taken between baselines, four of them.
    mean, error = float(np.mean(alarms)), float(np.std(alarms, ddof=1)) / math.sqrt(baselines)
    expected = points / arl0
    assert mean <= expected * (1 + _OF_THE_LIMIT) + 4 * error
    # Discrete values and cross-fitting make charts quieter than asked, never deaf.
    assert mean >= expected / 4 - 4 * error
    assert sum(alarms) > 0


def _source_chart(alpha: float, k: float) -> Callable[[float], bool]:
    """QualityControlChart of source document 004, as given: the EWMA moves first and is compared with what moved it."""
    state: dict[str, float] = {}

    def update(value: float) -> bool:
        if not state:
            state.update(ewma=value, variance=0.0)
            return False
        before = state["ewma"]
        state["ewma"] = alpha * value + (1 - alpha) * before
        state["variance"] = (1 - alpha) * (state["variance"] + alpha * (value - before) ** 2)
        sd = math.sqrt(state["variance"])
        return sd > 0 and abs(value - state["ewma"]) > k * sd

    return update


def test_the_source_documents_chart_can_never_alarm_whatever_it_sees():
    # With d = x - old EWMA it asks for d²(1 - a - k²a) > k²v; at a = .1, k = 3 the bracket is 1 - .1 - .9 = 0.
    update = _source_chart(0.1, 3.0)
    g = np.random.default_rng(1)
    wild = [*g.normal(0, 1, 5_000), 1e6, *g.standard_cauchy(5_000), -1e6, *([4.0] * 100), *([1.0] * 100)]

    assert not any([update(float(value)) for value in wild][30:])


def test_a_lasting_fall_of_scores_alarms_here_where_the_source_documents_chart_is_silent():
    kind = KINDS["scores one by one"]
    g = np.random.default_rng(2)
    learn, fallen = kind.series(g, 60, False), kind.series(g, 20, True)
    baseline = Scores().learn(learn, ScoreSettings(5_000.0), 1)
    assert isinstance(baseline, Baseline)
    for alpha in (0.1, 0.05):
        update = _source_chart(alpha, 3.0)
        silent = [update(value) for point in learn + fallen for value in point.values]
        assert not any(silent[60 * 20 :])

    _, verdict = Scores().step(baseline, State(), fallen[0])

    assert verdict.alarm == "down"
