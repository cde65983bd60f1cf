"""What one window does to a chart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from alerts.charting import advancing, stored
from alerts.charting.packing import pack, unpack
from alerts.charting.types import Advanced, Chart, Collected, Decided, NewAlarm, Phase
from alerts.monitors.states import Kind, Method, PointState, Standing
from alerts.monitors.types import (
    BaselinePolicy,
    Categories,
    Composite,
    Count,
    Data,
    Definition,
    Level,
    Member,
    Members,
    Metric,
    Objective,
    Reading,
    Share,
    Threshold,
    Values,
    Vectors,
    Window,
)

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
ERRORS = Metric("errors", "Errors", Kind.SHARE, "share", "errors", "Failed calls of all calls.", worse="up")
DURATION = Metric("duration", "Duration", Kind.TIME, "ms", "latency", "How long calls take.", worse="up")
DEFINITION = Definition("errors", "errors", baseline=BaselinePolicy(days=4))
ARL0 = 2_000.0


def reading(at: int, data: Data | None, size: timedelta = HOUR) -> Reading:
    start = MONDAY + at * size
    match data:
        case Share(k, n):
            value, count = (k / n if n else None), n
        case Values(values):
            value, count = (float(np.mean(values)) if values else None), len(values)
        case Level(level):
            value, count = level, 1
        case Members():
            value, count = None, len(data.nearness)
        case _:
            value, count = None, 0
    return Reading(Window(start, start + size), count, value, data)


def run(
    windows: Iterable[Reading],
    definition: Definition = DEFINITION,
    metric: Metric = ERRORS,
    chart: Chart | None = None,
) -> list[Advanced]:
    chart = chart or advancing.begin(definition)
    found = []
    for one in windows:
        found.append(advancing.advance(chart, definition, metric, one, ARL0))
        chart = found[-1].chart
    return found


def shares(rates: Sequence[float], n: int = 400, seed: int = 1, first: int = 0) -> list[Reading]:
    generator = np.random.default_rng(seed)
    return [reading(first + at, Share(int(generator.binomial(n, rate)), n)) for at, rate in enumerate(rates)]


def alarms(found: Iterable[Advanced]) -> list[NewAlarm]:
    return [one.alarm for one in found if one.alarm is not None]


def test_learns_days_that_hold_together_then_watches():
    found = run(shares([0.02] * 150))

    baseline = next(one.baseline for one in found if one.baseline is not None)
    learning = [one.point for one in found if one.point.phase is Phase.LEARNING]
    assert baseline.start == MONDAY
    assert baseline.end == MONDAY + timedelta(days=4)
    assert baseline.windows == 96
    assert baseline.learned.number("p") == pytest.approx(0.02, abs=0.002)
    assert len(learning) == 96
    assert {point.state for point in learning} == {PointState.LEARNING}
    assert {one.point.baseline_no for one in found[96:]} == {1}
    assert found[-1].chart.standing is Standing.IN_CONTROL
    assert not alarms(found)


def test_one_alarm_while_a_shift_lasts_and_none_again_until_it_was_quiet():
    found = run(shares([0.02] * 100 + [0.06] * 30 + [0.02] * 60 + [0.08] * 10))

    fired = alarms(found)
    assert [one.direction for one in fired] == ["up", "up"]
    assert MONDAY + 100 * HOUR < fired[0].window.end <= MONDAY + 104 * HOUR
    assert fired[1].window.start >= MONDAY + 190 * HOUR
    ended = [at for at, one in enumerate(found) if one.ended]
    assert len(ended) == 1
    assert 130 + 7 <= ended[0] <= 130 + 50
    assert {one.point.phase for one in found[105:130]} == {Phase.LATCHED}
    assert found[130 - 1].chart.standing is Standing.ALARMED


def test_a_closed_alarm_starts_the_statistic_again_and_may_fire_again():
    found = run(shares([0.02] * 100 + [0.06] * 10))
    latched = found[-1].chart
    assert latched.alarm is not None

    released = advancing.release(latched)
    again = run(shares([0.06] * 10, seed=3, first=110), chart=released)

    assert released.alarm is None
    assert released.state.statistics == ()
    assert released.baseline == latched.baseline
    assert len(alarms(again)) == 1


def test_a_stretch_with_a_change_is_split_and_learned_from_there():
    found = run(shares([0.02] * 50 + [0.08] * 150))

    baseline = next(one.baseline for one in found if one.baseline is not None)
    assert abs(baseline.start - (MONDAY + 50 * HOUR)) <= 3 * HOUR
    assert baseline.learned.number("p") == pytest.approx(0.08, abs=0.01)
    assert Standing.UNSTABLE in {one.chart.standing for one in found}


def test_a_chosen_stretch_alone_is_learned_from():
    policy = BaselinePolicy(start=MONDAY + 24 * HOUR, end=MONDAY + 96 * HOUR)

    found = run(shares([0.2] * 24 + [0.02] * 100), replace(DEFINITION, baseline=policy))

    baseline = next(one.baseline for one in found if one.baseline is not None)
    assert (baseline.start, baseline.end) == (policy.start, policy.end)
    assert baseline.learned.number("p") == pytest.approx(0.02, abs=0.003)


def test_marked_days_are_judged_and_never_learned_from():
    chart, taken = advancing.begin(DEFINITION), []
    for one in shares([0.02] * 24 + [0.5] * 24 + [0.02] * 120):
        marked = MONDAY + 24 * HOUR <= one.window.start < MONDAY + 48 * HOUR
        step = advancing.advance(chart, DEFINITION, ERRORS, one, ARL0, marked=marked)
        chart, taken = step.chart, [*taken, step]

    baseline = next(one.baseline for one in taken if one.baseline is not None)
    assert baseline.learned.number("p") == pytest.approx(0.02, abs=0.003)


def test_small_windows_are_merged_forward_and_say_since_when():
    definition = replace(DEFINITION, least_n=30)

    found = run([reading(at, Share(0, 10)) for at in range(6)], definition)

    assert [one.point.state for one in found] == [PointState.WAITING, PointState.WAITING, PointState.LEARNING] * 2
    assert found[2].point.data == Share(0, 30)
    assert found[2].point.n == 10
    assert found[2].point.told["merged_from"] == MONDAY.isoformat()


def test_windows_wait_a_day_at_most_then_there_was_too_little():
    found = run([reading(at, Share(0, 1)) for at in range(30)], replace(DEFINITION, least_n=100))

    states = [one.point.state for one in found]
    assert states.index(PointState.TOO_LITTLE) == 23
    assert states[24] is PointState.WAITING
    assert found[23].chart.standing is Standing.LEARNING


def test_empty_windows_are_no_data_and_alarm_only_where_asked():
    empty = [reading(at, None) for at in range(101, 106)]

    silent = run([*shares([0.02] * 101), *empty])
    told = run([*shares([0.02] * 101), *empty, *shares([0.02], first=106)], replace(DEFINITION, no_data=3 * HOUR))

    assert silent[-1].chart.standing is Standing.NO_DATA
    assert not alarms(silent)
    assert [one.window.end for one in alarms(told)] == [MONDAY + 104 * HOUR]
    assert alarms(told)[0].rule == "no data"
    assert told[-1].ended
    assert told[-1].chart.alarm is None
    assert told[103].point.value is None


def test_silence_before_the_first_data_is_no_alarm():
    assert not alarms(run([reading(at, None) for at in range(50)], replace(DEFINITION, no_data=HOUR)))


def test_a_ceiling_alarms_while_learning():
    found = run([*shares([0.02] * 5), reading(5, Share(200, 400)), *shares([0.02] * 10, first=6)], _ceiling(0.3))

    assert [(one.rule, one.direction) for one in alarms(found)] == [("ceiling", "up")]
    assert found[5].point.phase is Phase.LEARNING
    assert found[5].point.state is PointState.OUT
    assert [at for at, one in enumerate(found) if one.ended] == [13]


def _ceiling(limit: float) -> Definition:
    return replace(DEFINITION, ceiling=limit)


def test_a_fixed_limit_holds_until_its_release():
    definition = replace(DEFINITION, method=Method.FIXED, threshold=Threshold(0.05, release=0.03, after=2), least_n=100)
    rates = [0.01, 0.06, 0.01, 0.06, 0.06, 0.04, 0.06, 0.02, 0.01]

    found = run([reading(at, Share(round(rate * 100), 100)) for at, rate in enumerate(rates)], definition)

    assert [one.window.start for one in alarms(found)] == [MONDAY + 4 * HOUR]
    assert [at for at, one in enumerate(found) if one.ended] == [7]
    assert {one.point.shown_high for one in found} == {0.05}
    assert found[0].point.phase is Phase.WATCHED


def test_burn_rates_need_both_windows_and_proof():
    definition = replace(DEFINITION, method=Method.OBJECTIVE, objective=Objective(0.001), window=timedelta(minutes=5))
    five = timedelta(minutes=5)
    quiet = [reading(at, Share(1, 1000), five) for at in range(24)]

    burning = run([*quiet, *(reading(24 + at, Share(100, 1000), five) for at in range(12))], definition)
    few = run([reading(0, Share(1, 5), five)], definition)

    assert [one.direction for one in alarms(burning)] == ["up"]
    assert alarms(burning)[0].rule.startswith("burn rate")
    assert not alarms(few)
    assert "prove" in few[0].point.told["why"]


def test_members_alarm_together_once_and_afresh_after_they_parted():
    definition = Definition(
        "both",
        "composite",
        method=Method.COMPOSITE,
        composite=Composite((Member(1), Member(2), Member(3)), 2, 3 * HOUR),
    )
    metric = Metric("composite", "Composite", Kind.LEVEL, "count", "composite", "Members that alarmed.")
    at = [(1, 2), (2, 3), (1, 9), (3, 10)]

    def members(hour: int) -> Members:
        end = (MONDAY + (hour + 1) * HOUR).timestamp()
        moments = [(one, (MONDAY + (when + 1) * HOUR).timestamp()) for one, when in at]
        return Members(
            tuple((one, moment) for one, moment in moments if end - 3 * 3600 < moment <= end),
            ((1, 0.1), (2, 0.2), (3, None)),
        )

    found = run([reading(hour, members(hour)) for hour in range(14)], definition, metric)

    assert [one.window.start for one in alarms(found)] == [MONDAY + 3 * HOUR, MONDAY + 10 * HOUR]
    assert {one["monitor"] for one in alarms(found)[0].evidence["members"]} == {1, 2}
    assert [hour for hour, one in enumerate(found) if one.ended] == [5, 12]


def test_times_are_drawn_with_limits_in_their_own_unit():
    generator = np.random.default_rng(4)
    definition = replace(DEFINITION, metric="duration", least_n=20)
    windows = [reading(at, Values(tuple(generator.lognormal(6, 0.5, 60).tolist()))) for at in range(140)]
    slow = [reading(140 + at, Values(tuple(generator.lognormal(7, 0.5, 60).tolist()))) for at in range(3)]

    found = run([*windows, *slow], definition, DURATION)

    point = found[130].point
    assert point.shown_low is None or point.shown_low < point.told["centre"]
    assert point.told["centre"] < point.shown_high < 3 * point.told["centre"]
    assert 300 < point.told["centre"] < 600
    assert [one.direction for one in alarms(found)] == ["up"]
    assert alarms(found)[0].window.start >= MONDAY + 140 * HOUR


def test_a_chart_goes_on_from_its_row_as_if_never_stored():
    windows = shares([0.02] * 100 + [0.05] * 20 + [0.02] * 30, n=60)
    definition = replace(DEFINITION, least_n=100, no_data=2 * HOUR)
    straight = run(windows, definition)

    chart, found, baseline = advancing.begin(definition), [], None
    kept: list[Collected] = []

    def recall(start: datetime, end: datetime) -> list[Collected]:
        return [one for one in kept if start <= one.start < end]

    for one in windows:
        step = advancing.advance(chart, definition, ERRORS, one, ARL0, recall=recall)
        if step.point.data is not None:
            since = step.point.told.get("merged_from")
            start = datetime.fromisoformat(since) if since else one.window.start
            n = step.point.data.n
            value = step.point.data.k / n
            kept.append(Collected(start, one.window.end, n, value, step.point.data))
        baseline = step.baseline.learned if step.baseline else baseline
        chart = stored.from_json(stored.to_json(step.chart), baseline)
        found.append(step)

    assert [one.point for one in found] == [one.point for one in straight]
    assert [one.alarm for one in found] == [one.alarm for one in straight]
    assert alarms(found)
    assert [one.baseline for one in found] == [one.baseline for one in straight]


def test_a_window_is_decided_once():
    chart = run(shares([0.02] * 3))[-1].chart

    with pytest.raises(ValueError, match="decided before"):
        advancing.advance(chart, DEFINITION, ERRORS, shares([0.02])[0], ARL0)


def test_seeds_are_those_of_what_is_charted():
    assert advancing.seed_of(DEFINITION) == advancing.seed_of(replace(DEFINITION, name="another", severity=0))
    assert advancing.seed_of(DEFINITION) != advancing.seed_of(replace(DEFINITION, least_n=5))


def test_every_point_of_a_chart_tells_its_rules():
    point: Decided = run(shares([0.02] * 110))[-1].point

    assert point.rule in {one["rule"] for one in point.told["rules"]}
    assert point.shown_low is not None
    assert point.shown_low < 0.02 < point.shown_high
    assert point.z is not None
    assert abs(point.z) < 5


def test_levels_are_drawn_with_limits_and_a_level_of_nothing_is_judged():
    generator = np.random.default_rng(7)
    metric = Metric("host_cpu", "CPU", Kind.LEVEL, "share", "hosts", "Busy.", worse="up", has_filter=False)
    windows = [reading(at, Level(float(value))) for at, value in enumerate(generator.normal(0.4, 0.05, 150))]

    point = run([*windows, replace(reading(150, Level(0.0)), n=0)], replace(DEFINITION, metric="host_cpu"), metric)

    assert point[140].point.shown_low < point[140].point.told["centre"] < point[140].point.shown_high
    assert 0.35 < point[140].point.told["centre"] < 0.45
    assert point[150].point.state is PointState.OUT


@pytest.mark.parametrize("method", [Method.CUSUM, Method.SHEWHART])
def test_sums_have_no_level_to_draw_and_single_points_do(method):
    generator = np.random.default_rng(4)
    definition = replace(DEFINITION, metric="duration", method=method, least_n=20)
    windows = [reading(at, Values(tuple(generator.lognormal(6, 0.5, 60).tolist()))) for at in range(110)]

    point = run(windows, definition, DURATION)[-1].point

    assert (point.shown_high is None) is (method is Method.CUSUM)
    assert point.limit_high is not None or point.limit_low is not None
    assert 300 < point.told["centre"] < 600


def test_rare_events_alarm_by_a_sum():
    windows = shares([0.0005] * 400, n=100)

    found = run(
        [*windows, *shares([0.05] * 12, n=100, first=400)], replace(DEFINITION, baseline=BaselinePolicy(days=14))
    )

    assert found[399].chart.baseline is not None
    assert found[399].chart.baseline.kind == "rare"
    assert found[399].point.shown_level is None
    assert [one.direction for one in alarms(found[400:])] == ["up"]


@pytest.mark.parametrize(
    "data",
    [
        Share(1, 2),
        Count(3, 1.5),
        Level(1.0, None),
        Level(0.1, 0.5),
        Values(()),
        Values((1.5, 2.0)),
        Values((0.1, 2.0), (1.0, 0.3)),
        Values(tuple(1.0 + at % 7 / 3 for at in range(128))),
        Categories((("a", 1), (None, 3))),
        Vectors(((1.0, 0.5), (0.25, 2.0)), ("ab", "cd")),
        Vectors(((1e-300, 1e300),)),
        Vectors(()),
        Members(((1, 2.5),), ((1, None), (2, 0.5))),
    ],
)
def test_what_a_window_held_comes_back_to_the_last_bit(data):
    assert unpack(pack(data)) == data


def test_bytes_are_few_where_values_repeat_or_are_halves():
    assert len(pack(Values(tuple(1.0 + at % 7 / 3 for at in range(128))))) < 300
    assert len(pack(Vectors(tuple(tuple(np.float16(x) for x in row) for row in np.ones((10, 64)))))) < 1_400


def test_learning_says_how_far_it_is():
    found = run([*shares([0.02] * 48), *shares([0.0] * 60, first=48)])

    assert found[47].chart.words == "learning: 2.0 of 4 days"
    assert advancing.begin(DEFINITION).words == "learning: nothing to learn from so far"


def test_learning_says_what_is_missing():
    found = run(
        [reading(at, Values((1.0, 2.0))) for at in range(100)], replace(DEFINITION, metric="duration"), DURATION
    )

    assert found[-1].chart.standing is Standing.LEARNING
    assert found[-1].chart.words == "learning: 3 of 20 windows of 50 values"


def test_a_series_that_flaps_is_one_alarm():
    flapping = [0.08 if at % 6 < 3 else 0.0 for at in range(60)]

    chart = run(shares([0.02] * 100 + flapping + [0.02] * 60))
    fixed = replace(DEFINITION, method=Method.FIXED, threshold=Threshold(0.05, release=0.01))
    without_release = replace(fixed, threshold=Threshold(0.05))

    assert len(alarms(chart)) == 1
    # A fixed limit is as restless as its hysteresis lets it be.
    assert len(alarms(run(shares(flapping, n=4_000), fixed))) == 10
    assert len(alarms(run(shares([0.08, 0.03] * 10, n=4_000), fixed))) == 1
    assert len(alarms(run(shares([0.08, 0.03] * 10, n=4_000), without_release))) == 10


def test_an_outage_of_the_sender_is_one_alarm_of_silence_and_no_other():
    outage = [reading(at, None) for at in range(120, 140)]

    found = run(
        [*shares([0.02] * 120), *outage, *shares([0.02] * 40, first=140)], replace(DEFINITION, no_data=2 * HOUR)
    )

    assert [(one.rule, one.window.end) for one in alarms(found)] == [("no data", MONDAY + 122 * HOUR)]
    assert [at for at, one in enumerate(found) if one.ended] == [140]
    assert found[-1].chart.standing is Standing.IN_CONTROL
