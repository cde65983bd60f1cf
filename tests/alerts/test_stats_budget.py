"""The alert budget: what each chart may, what they may together, what a new one costs, and whether it came true."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.stats.budget import (
    ARL0_LEAST,
    PARTS_EMBEDDING,
    PARTS_SCORES,
    Chart,
    allot,
    cost_of_adding,
    cost_of_removing,
    expected_a_week,
    observed,
    reweighted,
)

charts_of = st.lists(
    st.tuples(st.floats(200, 20_000), st.floats(0.2, 5), st.sampled_from(["page", "notice"])), min_size=1, max_size=30
).map(lambda rows: [Chart(str(at), *row) for at, row in enumerate(rows)])


@pytest.mark.parametrize(
    ("count", "updates", "arl0"), [(10, 168, 1_680), (50, 168, 8_400), (200, 168, 33_600), (50, 2_016, 100_800)]
)
def test_run_lengths_of_the_specification(count, updates, arl0):
    shares = allot([Chart(str(at), updates) for at in range(count)])

    assert [share.arl0 for share in shares] == [arl0] * count
    assert expected_a_week(shares) == pytest.approx(1)


@given(charts=charts_of, pages=st.floats(0.1, 5))
def test_expected_false_pages_add_up_to_the_budget(charts, pages):
    shares = allot(charts, pages)

    for tier, budget in (("page", pages), ("notice", 10 * pages)):
        of_tier = [share for share in shares if share.chart.tier == tier]
        if of_tier and not any(share.floored for share in of_tier):
            assert expected_a_week(shares, tier) == pytest.approx(budget)
        assert expected_a_week(shares, tier) <= budget * (1 + 1e-9)
    for share in shares:
        assert share.arl0 >= ARL0_LEAST
        assert share.expected == pytest.approx(share.chart.updates / share.arl0)


@given(charts=charts_of, weight=st.floats(0.2, 5))
def test_scaling_every_weight_changes_nothing(charts, weight):
    scaled = [Chart(chart.key, chart.updates, chart.weight * weight, chart.tier) for chart in charts]

    for one, other in zip(allot(charts), allot(scaled), strict=True):
        assert one.arl0 == pytest.approx(other.arl0)


def test_a_heavier_chart_may_alarm_oftener_and_the_others_less():
    charts = [Chart("a", 168), Chart("b", 168), Chart("c", 168)]
    a, b, c = allot(reweighted(charts, "a", 2.0))

    assert a.expected == pytest.approx(2 * b.expected)
    assert b.expected == c.expected == pytest.approx(1 / 4)


def test_parts_share_what_their_chart_may():
    share = allot([Chart("a", 168)])[0]
    for parts in (PARTS_SCORES, PARTS_EMBEDDING):
        rates = [1 / share.of_part(part) for part in parts.values()]
        assert sum(rates) == pytest.approx(1 / share.arl0)
    for wrong in (0, 1.5):
        with pytest.raises(ValueError, match="share of a part"):
            share.of_part(wrong)


def test_notices_may_come_ten_times_as_often():
    page, notice = allot([Chart("a", 2_016), Chart("b", 2_016, tier="notice")])

    assert page.arl0 == 10 * notice.arl0
    assert page.notice_arl0 == notice.arl0 == notice.notice_arl0


def test_a_chart_of_few_points_gets_the_least_run_length():
    # One daily probe under 5 false pages a week would alarm at every other point.
    share = allot([Chart("probe", 7)], 5.0)[0]

    assert share.floored
    assert share.arl0 == ARL0_LEAST
    assert share.expected == pytest.approx(7 / 20)


def test_adding_a_chart_costs_the_others_delay_and_retiring_it_gives_it_back():
    charts = [Chart(str(at), 168) for at in range(10)]
    share, costs = cost_of_adding(charts, Chart("new", 168))
    gains = cost_of_removing([*charts, Chart("new", 168)], "new")

    assert share.arl0 == pytest.approx(1_848)
    assert len(costs) == len(gains) == 10
    for cost, gain in zip(costs, gains, strict=True):
        assert cost.arl0_before == pytest.approx(1_680)
        assert cost.points_before == pytest.approx(12.8, abs=0.05)
        assert 0 < cost.hours_after - cost.hours_before < 1
        assert (gain.points_before, gain.points_after) == (cost.points_after, cost.points_before)
    # One hourly point is one hour.
    assert costs[0].hours_after == pytest.approx(costs[0].points_after)


def test_observed_pages_stand_beside_the_expected_with_their_interval():
    # Garwood 1936: 0 events up to 3.689, 10 events 4.795 to 18.390.
    none, ten = observed(0, 4, 1.0), observed(10, 4, 1.0)

    assert (none.a_week, none.low, none.high) == pytest.approx((0, 0, 3.6889 / 4), abs=1e-4)
    assert none.verdict == "fewer"
    assert (ten.low, ten.high) == pytest.approx((4.7954 / 4, 18.3904 / 4), abs=1e-4)
    assert ten.verdict == "more"
    assert observed(5, 4, 1.0).verdict == "as expected"
    assert observed(0, 0, 1.0).a_week is None
    assert observed(0, 0, 1.0).verdict is None


def test_settings_without_sense_are_refused():
    for call in (
        lambda: allot([Chart("a", 168)], 0),
        lambda: Chart("a", 0),
        lambda: Chart("a", 168, 0),
        lambda: Chart("a", 168, math.nan),
        lambda: observed(-1, 1, 1),
    ):
        with pytest.raises(ValueError, match=r"over 0|at least 0"):
            call()
