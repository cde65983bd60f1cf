"""Detectors against sums done by hand, and at the edges where charts of means fail."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from alerts.detectors._values import Values, between_windows
from alerts.detectors.base import Baseline, NotStable, State, replay
from alerts.detectors.cost import Cost, CostSettings
from alerts.detectors.counts import Count, Counts, CountSettings, silence
from alerts.detectors.latency import Latency, LatencySettings
from alerts.detectors.scores import Scores, ScoreSettings, read_at
from alerts.detectors.shares import Share, Shares, ShareSettings
from alerts.detectors.vectors import Vectors, VectorSettings
from tests.alerts.detector_kit import counts, score_windows, shares, times, uneven_scores, vectors


def _scores_by_means(window: int = 20) -> Baseline:
    parameters = {
        "lowest": 1.0,
        "highest": 5.0,
        "centres": [4.0],
        "sds": [1.0],
        "between": [0.3],
        "window": window,
        "rules": ["EWMA 0.1"],
        "channels": [0],
        "lams": [0.1],
        "low": [-0.7],
        "high": [None],
    }
    return Baseline("score", parameters, 1_000, 50, "means of windows", 1, 500.0)


def test_a_window_of_shares_is_scored_by_its_mid_p_value():
    # Given p = .02 exactly: 2 of 100 in each of 30 windows, no more alike than chance.
    baseline = Shares().learn([Share(2, 100)] * 30, ShareSettings(500.0), 1)
    assert isinstance(baseline, Baseline)
    assert (baseline.number("p"), baseline.number("rho")) == (0.02, 0.0)

    state, verdict = Shares().step(baseline, State(), Share(5, 100))

    # Bin(100, .02): P(X <= 4) = .9492, P(X = 5) = .0353, so mid-p = .9668 and z = 1.836 (binomial tables).
    assert verdict.z == pytest.approx(1.836, abs=2e-3)
    assert state.statistics == (pytest.approx(0.1836, abs=2e-4),)
    assert verdict.alarm is None


def test_an_empty_window_of_shares_says_nothing_and_moves_nothing():
    baseline = Shares().learn(shares(np.random.default_rng(1), 200), ShareSettings(500.0), 1)
    assert isinstance(baseline, Baseline)
    before, _ = Shares().step(baseline, State(), Share(5, 150))

    after, verdict = Shares().step(baseline, before, Share(0, 0))

    assert after == before
    assert (verdict.z, verdict.alarm) == (None, None)


def test_one_failure_of_one_request_is_no_alarm_and_twenty_of_forty_are():
    baseline = Shares().learn(shares(np.random.default_rng(1), 200), ShareSettings(5_000.0), 1)
    assert isinstance(baseline, Baseline)

    one = Shares().step(baseline, State(), Share(1, 1))[1]
    many = Shares().step(baseline, State(), Share(20, 40))[1]

    assert one.alarm is None
    assert (many.alarm, many.rule) == ("up", "one point")


def test_the_spread_between_windows_is_what_chance_within_leaves_over():
    # Three windows of 20 with means 4, 5, 3 and sd 1 within: (20·2 - 2·1) / (60 - 1200/60) = .95.
    means, sizes = np.array([[4.0], [5.0], [3.0]]), np.full(3, 20.0)

    assert between_windows(means, sizes, np.array([4.0]), np.array([1.0]))[0] ** 2 == pytest.approx(0.95)
    assert between_windows(means * 0 + 4.0, sizes, np.array([4.0]), np.array([1.0]))[0] == 0.0


def test_a_window_of_scores_is_judged_by_both_spreads():
    scores = Values((4.0,) * 14 + (3.0,) * 6)

    state, verdict = Scores().step(_scores_by_means(), State(), scores)

    # Mean 3.7: z = -.3 / sqrt(.3² + 1/20) = -.8018.
    assert verdict.z == pytest.approx(-0.8018, abs=1e-4)
    assert state.statistics == (pytest.approx(-0.08018, abs=1e-5),)


def test_weights_make_a_hajek_mean_of_fewer_effective_scores():
    _, verdict = Scores().step(_scores_by_means(window=2), State(), Values((5.0, 1.0), (1.0, 3.0)))

    # Mean (5 + 3·1)/4 = 2, n_eff = 4²/10 = 1.6: z = -2 / sqrt(.09 + 1/1.6).
    assert verdict.z == pytest.approx(-2 / math.sqrt(0.09 + 0.625))


def test_small_windows_wait_until_they_make_a_mean():
    baseline = _scores_by_means()

    state, first = Scores().step(baseline, State(), Values((4.0,) * 13))
    state, second = Scores().step(baseline, state, Values((2.0,) * 7))

    assert (first.z, first.alarm) == (None, None)
    # (13·4 + 7·2)/20 = 3.3.
    assert second.z == pytest.approx(-0.7 / math.sqrt(0.09 + 0.05))
    assert state.pending == ()


def test_latched_detectors_draw_on_and_raise_no_second_alarm():
    verdicts = replay(Scores(), _scores_by_means(), [Values((1.0,) * 20)] * 6)

    assert [verdict.alarm for verdict in verdicts] == ["down", *[None] * 5]
    assert [verdict.crossed for verdict in verdicts] == ["down"] * 6
    assert verdicts[5].statistic < verdicts[0].statistic


def test_scores_alike_within_hours_are_charted_by_means_and_others_one_by_one():
    g = np.random.default_rng(3)

    alike = Scores().learn(uneven_scores(g, 120), ScoreSettings(500.0), 1)
    apart = Scores().learn(score_windows(g, 60), ScoreSettings(500.0), 1)

    assert isinstance(alike, Baseline)
    assert alike.method == "means of windows"
    assert isinstance(apart, Baseline)
    assert apart.method == "one by one"


def test_a_baseline_of_nothing_but_fives_does_not_alarm_at_the_first_four():
    baseline = Scores().learn([Values((5.0,) * 20)] * 60, ScoreSettings(500.0), 1)
    assert isinstance(baseline, Baseline)

    four = Scores().step(baseline, State(), Values((4.0,) + (5.0,) * 19))[1]
    collapse = Scores().step(baseline, State(), Values((3.0,) * 20))[1]

    assert four.alarm is None
    assert math.isfinite(four.z or 0.0)
    assert collapse.alarm == "down"


def test_a_baseline_with_a_change_inside_is_refused_where_it_changed():
    g = np.random.default_rng(4)
    points = score_windows(g, 40) + score_windows(g, 40, changed=True)

    found = Scores().learn(points, ScoreSettings(500.0), 1)

    assert isinstance(found, NotStable)
    assert found.p < 0.001
    assert found.low <= 40 <= found.high
    assert abs(found.at - 40) <= 3


def test_a_wild_window_is_left_out_of_the_baseline_and_listed():
    points = shares(np.random.default_rng(5), 200)
    points[77] = Share(60, 150)

    found = Shares().learn(points, ShareSettings(500.0), 1)

    assert isinstance(found, Baseline)
    assert found.excluded == (77,)
    assert found.number("p") == pytest.approx(0.02, abs=0.003)


def test_a_few_giants_do_not_alarm_and_many_slow_calls_do():
    g = np.random.default_rng(6)
    baseline = Latency().learn(times(g, 60), LatencySettings(500.0), 1)
    assert isinstance(baseline, Baseline)
    quiet = [Values((*point.values[:-1], 1e9)) if at == 3 else point for at, point in enumerate(times(g, 8))]
    slow = [
        Values(tuple(5 * one if at % 10 == 0 else one for at, one in enumerate(point.values))) for point in times(g, 40)
    ]

    assert not any(verdict.alarm for verdict in replay(Latency(), baseline, quiet))
    assert "up" in [verdict.alarm for verdict in replay(Latency(), baseline, slow)]


def test_costs_below_nothing_are_refused_and_free_traces_are_no_baseline():
    with pytest.raises(ValueError, match="0 or more"):
        Cost().learn([Values((-1.0,))] * 500, CostSettings(500.0), 1)
    assert not isinstance(Cost().learn([Values((0.0,))] * 500, CostSettings(500.0), 1), Baseline)


def test_a_quiet_night_says_nothing_and_a_dead_sender_at_noon_is_told_within_minutes():
    # Given some 190 requests a quarter of an hour in the morning, 34 late in the evening.
    baseline = Counts().learn(counts(np.random.default_rng(7), 28 * 96), CountSettings(5_000.0), 1)
    assert isinstance(baseline, Baseline)

    evening = silence(baseline, State(), [(18.5, 1 / 60)])
    morning = silence(baseline, State(), [(8.5, 3 / 60)])

    assert evening.crossed is None
    assert morning.crossed == "down"


def test_an_hour_is_compared_with_its_own_hours():
    baseline = Counts().learn(counts(np.random.default_rng(8), 28 * 96), CountSettings(5_000.0), 1)
    assert isinstance(baseline, Baseline)

    # 34 is what 18:30 holds and a sixth of what 6:30 does.
    assert Counts().step(baseline, State(), Count(34, 18.6))[1].alarm is None
    assert Counts().step(baseline, State(), Count(34, 6.6))[1].alarm == "down"


def test_a_new_topic_is_seen_by_what_the_old_components_leave_over():
    # Given a reference that varies along two axes of four, and new vectors along the fourth alone.
    g = np.random.default_rng(9)
    reference = [tuple(row) for row in (g.normal(0, 1, (600, 4)) * [1, 1, 0.05, 0.05]).tolist()]
    baseline = Vectors().learn(reference, VectorSettings(1_000.0, components=2), 1)
    assert isinstance(baseline, Baseline)

    verdicts = replay(Vectors(), baseline, [(0.0, 0.0, 0.0, 0.8)] * 6)

    assert any(verdict.alarm == "up" for verdict in verdicts)
    # The first statistic is λ·|z| of one vector: nearly all of it the residual.
    assert verdicts[0].statistic == pytest.approx(0.05 * (verdicts[0].z or 0.0), rel=0.05)


def test_vectors_of_another_length_are_refused():
    baseline = Vectors().learn(vectors(np.random.default_rng(1), 500), VectorSettings(500.0), 1)
    assert isinstance(baseline, Baseline)

    with pytest.raises(ValueError, match="12 finite numbers"):
        Vectors().step(baseline, State(), (1.0, 2.0))


def test_a_score_is_read_half_by_its_value_and_half_by_its_rank():
    # Ten scores 3, 4, 4, 5 x 7. Mean 4.6, variance .44; mid-ranks .05, .2, .65, variance (.45² + 2·.3² + 7·.15²)/10.
    values = np.array([3.0, 4.0, 4.0] + [5.0] * 7)

    at, read = read_at(values, 1.0, 5.0)

    assert at.tolist() == [1.0, 3.0, 4.0, 5.0]
    sd, rank_sd = math.sqrt(0.44), math.sqrt(0.054)
    halves = [(x - 4.6) / sd + (rank - 0.5) / rank_sd for x, rank in ((1, 0), (3, 0.05), (4, 0.2), (5, 0.65))]
    spread = math.sqrt((halves[1] ** 2 + 2 * halves[2] ** 2 + 7 * halves[3] ** 2) / 10)
    assert read.tolist() == pytest.approx([4.6 + half * sd / spread for half in halves])
    # In the unit of the scores, with their own mean and sd.
    seen = np.interp(values, at, read)
    assert (seen.mean(), seen.std()) == pytest.approx((4.6, sd))


def test_scores_without_steps_are_read_in_few_knots_and_never_fall():
    values = np.random.default_rng(5).beta(8, 2, 3_000)

    at, read = read_at(values, 0.0, 1.0)

    assert len(at) <= 66
    assert (at[0], at[-1]) == (0.0, 1.0)
    assert (np.diff(at) > 0).all()
    assert (np.diff(read) > 0).all()
    seen = np.interp(values, at, read)
    assert (seen.mean(), seen.std()) == pytest.approx((values.mean(), values.std()))


def test_the_worse_the_worst_scores_are_the_more_they_count():
    # Ranks alone could not tell a 1 from a 3 where nothing under 4 was ever seen.
    at, read = read_at(np.array([4.0] * 5 + [5.0] * 15), 1.0, 5.0)

    four, three, one = np.interp([4.0, 3.0, 1.0], at, read) - 4.75

    assert one < 1.5 * three < 1.5 * four < 0


def test_a_baseline_from_before_ranks_were_read_reads_scores_as_they_are():
    _, verdict = Scores().step(_scores_by_means(window=1), State(), Values((3.0,)))

    assert verdict.z == pytest.approx(-1.0)


def test_limits_of_a_young_average_are_as_narrow_as_it_is_itself_and_start_again_with_it():
    baseline = Scores().learn(score_windows(np.random.default_rng(6), 600, size=1), ScoreSettings(500.0), 1)
    assert isinstance(baseline, Baseline)
    slow = baseline.numbers("low")[0]

    state, limits = State(), []
    for _ in range(400):
        state, verdict = Scores().step(baseline, state, Values((5.0,)))
        limits.append(next(part.limit_low for part in verdict.parts if part.rule == "EWMA 0.022"))
    _, again = Scores().step(baseline, state.released(), Values((5.0,)))

    # The sd after t points is that of the long run times sqrt(1 - .978^2t): NIST 6.3.2.4; of fewer than 8, as of 8.
    assert limits[0] == limits[7] == pytest.approx(slow * math.sqrt(1 - 0.978**16))
    assert limits[29] == pytest.approx(slow * math.sqrt(1 - 0.978**60))
    assert limits[-1] == pytest.approx(slow, rel=1e-6)
    assert next(part.limit_low for part in again.parts if part.rule == "EWMA 0.022") == limits[0]


def test_hours_that_were_merged_to_one_mean_differ_less_than_one_hour_does():
    # Of a variance of .09 between hours a quarter is shared by neighbours; of the rest two equal hours keep half.
    baseline = replace(_scores_by_means(), parameters={**_scores_by_means().parameters, "lasting": [0.25]})

    waiting, _ = Scores().step(baseline, State(), Values((4.0,) * 10))
    _, merged = Scores().step(baseline, waiting, Values((3.0,) * 10))
    _, single = Scores().step(baseline, State(), Values((3.5,) * 20))

    assert merged.z == pytest.approx(-0.5 / math.sqrt(0.09 * (0.25 + 0.75 * 0.5) + 1 / 20))
    assert single.z == pytest.approx(-0.5 / math.sqrt(0.09 + 1 / 20))


def test_means_of_merged_nights_vary_as_much_as_those_of_busy_hours():
    # Every hour has a mood of its own: .3 sd; nights have 12 scores an hour, days 60.
    g, points = np.random.default_rng(8), []
    for at in range(1_500):
        level = g.normal(0, 0.3)
        points.append(Values(tuple(g.normal(7 + level, 0.8, 12 if at % 24 < 12 else 60).tolist())))
    baseline = Scores().learn(points[:1_000], ScoreSettings(2_000.0, lowest=0.0, highest=10.0), 1)
    assert isinstance(baseline, Baseline)

    state, z = State(), {"night": [], "day": []}
    for at, point in enumerate(points):
        state, verdict = Scores().step(baseline, state, point)
        if verdict.z is not None:
            z["night" if at % 24 < 12 else "day"].append(verdict.z)

    assert baseline.numbers("lasting")[0] < 0.3
    assert np.std(z["night"]) == pytest.approx(1.0, abs=0.15)
    assert np.std(z["day"]) == pytest.approx(1.0, abs=0.1)
