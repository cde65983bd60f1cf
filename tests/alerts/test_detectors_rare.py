"""Shares too small for scores: sums of log likelihood ratios, their limits, and what few events leave unknown."""

from __future__ import annotations

import math

import numpy as np
import pytest

from alerts.detectors.base import Baseline, NotStable, State, TooLittle, replay
from alerts.detectors.points import Share
from alerts.detectors.rare import Rare, suits
from alerts.detectors.shares import ShareSettings
from alerts.stats.proportions import dispersed
from tests.alerts.detector_kit import rare_shares


def learned(points: list[Share], settings: ShareSettings | None = None) -> Baseline:
    found = Rare().learn(points, settings or ShareSettings(400.0, up_share=0.8), 1)
    assert isinstance(found, Baseline), found
    return found


def test_rare_is_less_than_one_event_a_window():
    assert suits([Share(0, 100), Share(1, 100), Share(0, 0)])
    assert not suits([Share(1, 100), Share(2, 100)])
    assert not suits([])
    assert not suits([Share(0, 0)])


def test_each_event_and_each_request_without_one_adds_its_likelihood_ratio():
    # Given 3 events of 6,000 in each of 20 windows: Jeffreys' mean of 60 of 120,000.
    baseline = learned([Share(3 if at % 3 == 0 else 0, 2_000) for at in range(60)])
    p = 60.5 / 120_001
    assert baseline.number("p") == pytest.approx(p)
    assert baseline.parameters["assumed"] is False

    state, verdict = Rare().step(baseline, State(), Share(4, 2_000))
    state, after = Rare().step(baseline, state, Share(0, 1_000))

    up = 4 * math.log(2) + 1_996 * math.log((1 - 2 * p) / (1 - p))
    assert verdict.parts[0].statistic == pytest.approx(up)
    assert after.parts[0].statistic == pytest.approx(max(0.0, up + 1_000 * math.log((1 - 2 * p) / (1 - p))))
    assert [part.rule for part in verdict.parts] == ["likelihood up", "likelihood down"]
    assert verdict.parts[1].statistic == 0.0


def test_a_burst_of_a_few_events_alarms_and_one_event_does_not():
    baseline = learned(rare_shares(np.random.default_rng(1), 400))

    assert Rare().step(baseline, State(), Share(1, 60))[1].alarm is None
    assert Rare().step(baseline, State(), Share(12, 60))[1].alarm == "up"


def test_events_that_cease_are_news_after_a_while():
    baseline = learned(rare_shares(np.random.default_rng(1), 400), ShareSettings(400.0, up_share=0.5))

    alarms = [verdict.alarm for verdict in replay(Rare(), baseline, [Share(0, 60)] * 400)]

    assert "down" in alarms
    # At .13 events a window, four are missing after thirty.
    assert alarms.index("down") > 30


def test_a_side_without_budget_is_no_rule():
    baseline = learned(rare_shares(np.random.default_rng(1), 400), ShareSettings(400.0, up_share=1.0))

    verdict = Rare().step(baseline, State(), Share(0, 60))[1]

    assert [part.rule for part in verdict.parts] == ["likelihood up"]


def test_few_events_are_assumed_and_need_more_proof():
    g = np.random.default_rng(2)
    none = learned([Share(0, int(n)) for n in g.poisson(60, 300)])
    many = learned(rare_shares(g, 4_000))

    assert none.parameters["assumed"] is True
    assert "assumed from 0 of 30 events" in none.method
    assert many.parameters["assumed"] is False
    assert Rare().step(none, State(), Share(1, 60))[1].alarm is None
    assert Rare().step(none, State(), Share(30, 60))[1].alarm == "up"
    # That nothing comes is no news there.
    assert [part.rule for part in Rare().step(none, State(), Share(0, 60))[1].parts] == ["likelihood up"]
    found = Rare().learn([Share(0, 60)] * 300, ShareSettings(400.0, up_share=0.0), 1)
    assert found == TooLittle(0, 30, "events")


def test_events_that_come_in_bunches_have_wider_limits():
    g = np.random.default_rng(3)
    sizes = g.poisson(60, 600)
    bunched = [Share(int(k), int(n)) for k, n in zip(g.binomial(sizes, g.beta(0.02, 8, 600)), sizes, strict=True)]
    found = Rare().learn(bunched, ShareSettings(400.0, up_share=0.8), 1)
    even = learned(rare_shares(np.random.default_rng(3), 600))
    k, n = np.array([one.k for one in bunched]), sizes

    assert dispersed(k, n, k.sum() / n.sum(), 1) > 0
    assert not isinstance(found, TooLittle | NotStable)
    assert found.number("rho") > 0
    assert found.number("up_limit") > 1.5 * even.number("up_limit")


def test_a_change_inside_makes_no_baseline_and_little_says_how_much():
    g = np.random.default_rng(4)
    found = Rare().learn(rare_shares(g, 300) + rare_shares(g, 300, changed=True), ShareSettings(400.0), 1)

    assert isinstance(found, NotStable)
    assert abs(found.at - 300) < 30
    assert Rare().learn([Share(0, 10)] * 49, ShareSettings(400.0), 1) == TooLittle(49, 50, "windows that hold anything")
    assert Rare().learn([Share(0, 1)] * 60, ShareSettings(400.0), 1) == TooLittle(60, 200, "requests")


def test_an_empty_window_says_nothing():
    baseline = learned(rare_shares(np.random.default_rng(1), 400))
    before, _ = Rare().step(baseline, State(), Share(2, 60))

    after, verdict = Rare().step(baseline, before, Share(0, 0))

    assert after == before
    assert (verdict.z, verdict.alarm) == (None, None)
