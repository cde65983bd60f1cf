"""What every detector promises, asked of each kind."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from alerts.detectors.base import Baseline, NotThisBaseline, Settings, State, TooLittle, replay
from tests.alerts.detector_kit import KINDS, Kind

each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())


@cache
def _learned(kind: Kind, seed: int = 5) -> Baseline:
    found = kind.detector.learn(kind.series(np.random.default_rng([seed, 1]), kind.learns, False), kind.settings, seed)
    assert isinstance(found, Baseline), found
    return found


def _through_json(baseline: Baseline) -> Baseline:
    return Baseline.from_json(json.loads(json.dumps(baseline.as_json(), allow_nan=False)))


@each_kind
def test_replay_of_stored_points_equals_live_bit_for_bit(kind: Kind):
    baseline = _learned(kind)
    g = np.random.default_rng([5, 2])
    points = kind.series(g, kind.watches, False) + kind.series(g, kind.watches, True)

    state, live = State(), []
    for point in points:
        # As a worker does it: baseline and state come from JSON columns for every single point.
        state = State.from_json(json.loads(json.dumps(state.as_json(), allow_nan=False)))
        state, verdict = kind.detector.step(_through_json(baseline), state, point)
        live.append(verdict)

    assert replay(kind.detector, baseline, points) == live
    assert sum(verdict.alarm is not None for verdict in live) == 1


@each_kind
def test_learning_twice_from_the_same_points_gives_the_same_baseline(kind: Kind):
    baseline = _learned(kind)

    assert _learned.__wrapped__(kind) == baseline
    assert _through_json(baseline) == baseline


@each_kind
def test_a_change_alarms_in_its_direction_and_once_until_released(kind: Kind):
    baseline = _learned(kind)
    points = kind.series(np.random.default_rng([5, 3]), kind.watches, True)

    verdicts = replay(kind.detector, baseline, points)
    alarms = [at for at, verdict in enumerate(verdicts) if verdict.alarm]
    again = replay(kind.detector, baseline, points, released_at=frozenset({alarms[0] + 1}))

    assert [verdicts[at].alarm for at in alarms] == [kind.changes]
    assert sum(verdict.crossed is not None for verdict in verdicts) > 1
    assert sum(verdict.alarm is not None for verdict in again) == 2


@each_kind
def test_ten_times_the_run_length_makes_every_limit_wider(kind: Kind):
    narrow = _learned(kind)
    settings = replace(kind.settings, arl0=kind.settings.arl0 * 10)
    points = kind.series(np.random.default_rng([5, 1]), kind.learns, False)
    wide = kind.detector.learn(points, settings, 5)
    point = kind.series(np.random.default_rng([5, 4]), 60, False)

    limits = []
    for baseline in (wide, narrow):
        verdicts = replay(kind.detector, baseline, point)
        limits.append([(part.rule, part.limit_low, part.limit_high) for part in verdicts[-1].parts])

    for (rule, low, high), (same, lower, higher) in zip(*reversed(limits), strict=True):
        assert rule == same
        assert low is None or lower is None or low > lower
        assert high is None or higher is None or high < higher


@each_kind
def test_a_baseline_of_another_kind_is_refused(kind: Kind):
    baseline = _learned(kind)
    stranger = Baseline("other", baseline.parameters, 1, 1, "none", 1, 100.0)

    with pytest.raises(NotThisBaseline):
        kind.detector.step(stranger, State(), kind.series(np.random.default_rng(1), 1, False)[0])


@each_kind
def test_too_little_says_how_much_there_is_and_how_much_is_needed(kind: Kind):
    found = kind.detector.learn(kind.series(np.random.default_rng(1), 3, False), kind.settings, 1)

    assert isinstance(found, TooLittle)
    assert found.have < found.need


@each_kind
def test_the_point_under_test_never_moves_the_baseline(kind: Kind):
    baseline = _learned(kind)
    before = json.dumps(baseline.as_json())

    replay(kind.detector, baseline, kind.series(np.random.default_rng(9), 30, True))

    assert json.dumps(baseline.as_json()) == before


@pytest.mark.parametrize("arl0", [1.0, 0.0, -5.0, float("inf"), float("nan")])
def test_a_run_length_that_is_none_is_refused(arl0: float):
    with pytest.raises(ValueError, match="run length"):
        Settings(arl0)
