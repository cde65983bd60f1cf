"""Metrics that earn their place: what is found alone counts, twins are proposed, safety never, silence is no proof."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from alerts.stats.pareto import Incident, Metric, earn
from alerts.stats.redundancy import Alike, alike, clusters, midranks, spearman

DAY = 24 * 60.0


def metric(name, real=0, false=0, cost=0.0, days=90, **more):
    return Metric(name, days, real, false, cost, **more)


def worth(found, name):
    return next(one for one in found.metrics if one.name == name)


def test_severity_found_alone_is_lost_without_the_metric_and_a_lead_counts_by_its_length():
    incidents = [
        Incident(100, {"score": 0.0}),
        Incident(40, {"score": 0.0, "claims": DAY / 4}),
        Incident(10, {"claims": 5.0}),
    ]

    found = earn([metric("score", 2, 1, 5), metric("claims", 2, 0, 1)], incidents, false_page_cost=3, seed=0)

    score, claims = worth(found, "score"), worth(found, "claims")
    assert score.benefit == pytest.approx(100 + 40 / 4)
    assert score.value == pytest.approx(110 - 3 - 5)
    assert (score.found, score.alone, score.lead_min) == (2, 1, DAY / 4)
    assert claims.benefit == pytest.approx(10)
    assert claims.lead_min is None
    assert [one.name for one in found.metrics] == ["score", "claims"]


def test_the_share_of_real_pages_has_the_interval_of_its_beta():
    found = worth(earn([metric("a", 7, 3)], [Incident(1, {"a": 0.0})], false_page_cost=0, seed=0), "a")

    assert found.real_share == 0.7
    assert (found.real_low, found.real_high) == pytest.approx(stats.beta.ppf((0.1, 0.9), 7.5, 3.5), abs=1e-9)
    assert worth(earn([metric("a")], [], false_page_cost=0, seed=0), "a").real_share is None


def test_few_metrics_cover_most_and_the_curve_ends_at_all():
    incidents = [Incident(10, {"a": 0.0, "b": 0.0})] * 8 + [Incident(10, {"c": 0.0})] + [Incident(10, {"b": 0.0})]

    found = earn([metric(name) for name in "abcd"], incidents, false_page_cost=1, seed=0)

    assert [step.name for step in found.cover] == ["b", "c"]
    assert [step.covered for step in found.cover] == pytest.approx([0.9, 1.0])
    assert found.core == ("b",)


def test_without_incidents_there_is_no_evidence():
    found = earn([metric("a", 0, 40, 1_000)], [], false_page_cost=10, seed=0)

    assert found.metrics[0].verdict == "no evidence"
    assert (found.metrics[0].low, found.metrics[0].high, found.cover) == (None, None, ())


def test_nothing_found_of_five_incidents_does_not_prove_a_metric_useless():
    incidents = [Incident(10, {"good": 0.0})] * 5
    settings = {"false_page_cost": 1.0, "seed": 0}

    cheap = worth(earn([metric("good"), metric("idle", cost=5)], incidents, **settings), "idle")
    noisy = worth(earn([metric("good"), metric("idle", false=60)], incidents, **settings), "idle")

    # Found alone in 0 of 5 may still be 52 % (Clopper-Pearson): 26 of 50.
    assert cheap.benefit_high == pytest.approx(0.522 * 50, abs=0.1)
    assert cheap.verdict == "keep"
    assert noisy.verdict == "propose to retire"
    assert noisy.high < 0


@pytest.mark.parametrize(
    ("more", "verdict"),
    [({"is_safety": True}, "exempt"), ({"days": 59}, "too young"), ({}, "propose to retire")],
)
def test_safety_metrics_and_young_ones_are_never_proposed(more, verdict):
    incidents = [Incident(1, {"good": 0.0})] * 30

    found = earn([metric("good"), metric("idle", false=500, **more)], incidents, false_page_cost=5, seed=0)

    assert worth(found, "idle").verdict == verdict


def test_of_two_that_say_the_same_the_one_worth_less_is_proposed():
    random = np.random.default_rng(1)
    base = random.normal(size=500)
    residuals = {"p95": base, "p99": base + 0.2 * random.normal(size=500), "cost": random.normal(size=500)}
    incidents = [Incident(10, {"p95": 0.0, "p99": 30.0})] * 4 + [Incident(10, {"cost": 0.0})]
    pairs = alike(residuals, [frozenset(one.alarmed_min) for one in incidents])

    found = earn([metric(name) for name in residuals], incidents, false_page_cost=1, seed=0, alike=pairs)

    assert (worth(found, "p99").verdict, worth(found, "p99").redundant_to) == ("propose to retire", "p95")
    assert worth(found, "p95").verdict == "keep"
    assert worth(found, "cost").verdict == "keep"
    assert clusters(list(residuals), pairs) == (("p95", "p99"),)


def test_a_twin_that_misses_its_incidents_does_not_cover_it():
    random = np.random.default_rng(2)
    base = random.normal(size=200)

    (pair,) = alike({"a": base, "b": -base}, [frozenset("a"), frozenset("a"), frozenset("ab")])

    assert pair.rho == pytest.approx(-1)
    assert (pair.both, pair.metric_found, pair.other_found) == (1, 3, 1)
    assert (pair.covers_metric, pair.covers_other) == (False, True)


def test_two_worth_the_same_are_not_both_proposed():
    pair = Alike("a", "b", 0.95, 500, 2, 2, 2, covers_metric=True, covers_other=True)
    incidents = [Incident(5, {"a": 0.0, "b": 0.0})] * 2

    found = earn([metric("b"), metric("a")], incidents, false_page_cost=1, seed=0, alike=[pair])

    assert {one.name: one.verdict for one in found.metrics} == {"a": "keep", "b": "propose to retire"}


@given(st.lists(st.integers(-5, 5), min_size=50, max_size=80), st.integers(0, 2**32 - 1))
def test_spearman_equals_scipy(values, seed):
    other = np.random.default_rng(seed).permutation(values)
    found = spearman(values, other)

    assert midranks(np.array(values, float)) == pytest.approx(stats.rankdata(values))
    if len(set(values)) == 1:
        assert found is None
    else:
        assert found[0] == pytest.approx(stats.spearmanr(values, other).statistic, abs=1e-9)


def test_windows_that_one_metric_lacks_do_not_count():
    a = np.arange(60.0)
    b = a.copy()
    b[:11] = np.nan

    assert spearman(a, b) is None
    b[:11] = a[:11]
    assert spearman(a, b) == (pytest.approx(1.0), 60)


def test_the_same_seed_gives_the_same_interval_and_names_are_unique():
    incidents = [Incident(float(at), {"a": 0.0}) for at in range(1, 12)]

    one, two = (earn([metric("a")], incidents, false_page_cost=1, seed=3) for _ in range(2))

    assert one == two
    assert one.metrics[0].low < one.metrics[0].value <= one.metrics[0].high
    with pytest.raises(ValueError, match="names that differ"):
        earn([metric("a"), metric("a")], [], false_page_cost=1, seed=0)
