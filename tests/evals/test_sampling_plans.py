"""Plans and draws: what they accept, whom they give which chance, and that the draw is a fair, nested, own one."""

from __future__ import annotations

import random
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, kstest

from evals.sampling import (
    FLOOR,
    Allowance,
    Covariates,
    PlanRefused,
    chance,
    decide,
    decide_late,
    describe,
    factor_of,
    hash_share,
    parse_plan,
    plan_json,
)

ERRORS = {"kind": "errors", "signals": ["error", "refusal"], "share": 1, "rest": 0.05}


def ids(n, seed=1):
    rng = random.Random(seed)
    return [UUID(int=rng.getrandbits(128)) for _ in range(n)]


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ([], "plan"),
        ({"kind": "some"}, "kind"),
        ({"kind": "random"}, "share"),
        ({"kind": "random", "share": 1.5}, "share"),
        ({"kind": "random", "share": 0.0001}, "share"),
        ({"kind": "random", "share": True}, "share"),
        ({"kind": "random", "share": float("nan")}, "share"),
        ({"kind": "all", "share": 0.5}, "share"),
        ({"kind": "strata", "by": "colour"}, "by"),
        ({"kind": "strata", "by": "feature", "shares": {"a": 2}}, "shares.a"),
        ({"kind": "strata", "by": "feature", "shares": []}, "shares"),
        ({"kind": "strata", "by": "cost_usd", "shares": {}}, "edges"),
        ({"kind": "strata", "by": "cost_usd", "edges": [2, 1]}, "edges"),
        ({"kind": "strata", "by": "cost_usd", "edges": [1], "shares": {"cheap": 1}}, "shares.cheap"),
        ({"kind": "strata", "by": "feature", "edges": [1]}, "edges"),
        ({"kind": "errors", "rest": 0.1, "signals": ["boredom"]}, "signals"),
        ({"kind": "errors", "rest": 0.1, "signals": []}, "signals"),
        ({"kind": "errors"}, "rest"),
        ({"kind": "all", "filter": {"colour": ["red"]}}, "filter.colour"),
        ({"kind": "all", "filter": {"feature": []}}, "filter.feature"),
        ({"kind": "all", "filter": {"feature": [1]}}, "filter.feature"),
        ({"kind": "all", "filter": {"cost_usd": 3}}, "filter.cost_usd"),
        ({"kind": "all", "filter": {"cost_usd": {"from": "a"}}}, "filter.cost_usd.from"),
    ],
)
def test_a_plan_that_cannot_be_names_its_field(spec, field):
    with pytest.raises(PlanRefused) as refused:
        parse_plan(spec)

    assert refused.value.field == field


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"kind": "all"}, "Every trace"),
        ({"kind": "random", "share": 0.05}, "A random 5 % of traces"),
        (ERRORS, "All errors and refusals; 5 % of the rest"),
        (
            {"kind": "strata", "by": "feature", "shares": {"refunds": 0.3, "": 0.5}, "other": 0.01},
            "By feature: 30 % of refunds; 50 % of unknown; 1 % of others",
        ),
        (
            {"kind": "strata", "by": "duration_ms", "edges": [1000.0], "shares": {"below 1000": 0.1}, "other": 1.0},
            "By duration_ms: 10 % of below 1000; 100 % of others",
        ),
    ],
)
def test_a_plan_is_read_back_as_it_was_and_said_in_words(spec, words):
    plan = parse_plan(spec)

    assert parse_plan(plan_json(plan)) == plan
    assert describe(plan) == words


def test_a_filter_leaves_out_what_the_judge_does_not_cover():
    plan = parse_plan({
        "kind": "all",
        "filter": {"feature": ["help"], "models": "gpt-4o", "kinds": ["retriever"],
                   "cost_usd": {"from": 0.01, "to": 1}},
    })  # fmt: skip
    inside = Covariates(
        feature="help", models=frozenset({"gpt-4o", "mini"}), kinds=frozenset({"retriever"}), cost_usd=0.01
    )

    assert decide(plan, "s", "k", ids(1)[0], inside).is_taken
    for name, value in (("feature", "chat"), ("models", frozenset()), ("kinds", frozenset()), ("cost_usd", None)):
        values = {each: getattr(inside, each) for each in ("feature", "models", "kinds", "cost_usd")}
        assert decide(plan, "s", "k", ids(1)[0], Covariates(**values | {name: value})) is None


def test_strata_by_text_by_list_and_by_number_have_shares_of_their_own():
    by_feature = parse_plan({"kind": "strata", "by": "feature", "shares": {"refunds": 0.3}, "other": 0.02})
    by_tag = parse_plan({"kind": "strata", "by": "tags", "shares": {"vip": 1.0}, "other": 0.1})
    by_cost = parse_plan({"kind": "strata", "by": "cost_usd", "edges": [0.1, 1], "shares": {"1 and more": 1.0}})
    trace = ids(1)[0]

    def drawn(plan, **covariates):
        draw = decide(plan, "s", "k", trace, Covariates(**covariates))
        return draw.pi, draw.stratum

    assert drawn(by_feature, feature="refunds") == (0.3, "refunds")
    assert drawn(by_feature, feature="chat") == (0.02, "chat")
    assert drawn(by_feature) == (0.02, "")
    assert drawn(by_tag, tags=frozenset({"vip", "eu"})) == (1.0, "vip")
    assert drawn(by_tag, tags=frozenset({"eu"})) == (0.1, "")
    assert drawn(by_cost, cost_usd=1.0) == (1.0, "1 and more")
    assert drawn(by_cost, cost_usd=0.1) == (0.0, "0.1 to 1")
    assert drawn(by_cost) == (0.0, "")


def test_errors_and_refusals_are_all_taken_and_the_rule_says_which():
    plan = parse_plan(ERRORS)
    trace = ids(1)[0]

    assert decide(plan, "s", "k", trace, Covariates(is_error=True)).rule == "error"
    refusal = decide(plan, "s", "k", trace, Covariates(finish_reason="content_filter"))
    assert (refusal.pi, refusal.rule, refusal.is_taken) == (1.0, "refusal", True)
    assert decide(plan, "s", "k", trace, Covariates()).pi == 0.05


def test_no_chance_is_not_covered_and_any_other_is_at_least_the_floor():
    plan = parse_plan({"kind": "strata", "by": "feature", "shares": {"a": 0.0, "b": 0.01}, "other": 1.0})
    trace = ids(1)[0]

    none = decide(plan, "s", "k", trace, Covariates(feature="a"))
    assert (none.pi, none.is_taken, none.is_covered) == (0.0, False, False)
    assert decide(plan, "s", "k", trace, Covariates(feature="b"), factor=1e-9).pi == FLOOR
    assert decide(plan, "s", "k", trace, Covariates(feature="c"), factor=0.25).pi == 0.25


def test_the_same_trace_is_decided_the_same_each_time_and_by_salt_and_key_alone():
    trace = ids(1)[0]

    assert hash_share("s", "k", trace) == hash_share("s", "k", UUID(str(trace)))
    assert len({hash_share("s", "k", trace), hash_share("t", "k", trace), hash_share("s", "l", trace)}) == 3
    # Pinned: a changed hash would draw other traces after an upgrade.
    assert hash_share("salt", "judge:1:live", UUID(int=7)) == 0.2036332589947587


def test_draws_are_uniform():
    draws = [hash_share("salt", "k", trace) for trace in ids(20_000)]

    # Kolmogorov and Smirnov at 10^-4.
    assert kstest(draws, "uniform").pvalue > 1e-4


def test_a_larger_share_keeps_every_trace_that_a_smaller_one_took():
    plans = [parse_plan({"kind": "random", "share": share}) for share in (0.01, 0.05, 0.2, 1.0)]
    taken = [
        {trace for trace in ids(5_000) if decide(plan, "salt", "judge:1:live", trace, Covariates()).is_taken}
        for plan in plans
    ]

    assert taken[0] < taken[1] < taken[2] < taken[3]
    lowered = {t for t in ids(5_000) if decide(plans[2], "salt", "judge:1:live", t, Covariates(), 0.5).is_taken}
    assert taken[1] < lowered < taken[2]


def test_two_judges_draw_independently():
    plan = parse_plan({"kind": "random", "share": 0.3})
    table = np.zeros((2, 2))
    for trace in ids(20_000):
        first = decide(plan, "a" * 32, "judge:1:live", trace, Covariates()).is_taken
        second = decide(plan, "b" * 32, "judge:2:live", trace, Covariates()).is_taken
        table[int(first), int(second)] += 1

    assert chi2_contingency(table).pvalue > 1e-4
    # A judge whose salt were shared would take exactly the same: the test can tell.
    assert chi2_contingency(np.diag(table.sum(axis=1))).pvalue < 1e-4


def test_a_late_signal_draws_again_on_its_own():
    plan = parse_plan({"kind": "errors", "signals": ["thumb_down"], "share": 0.5, "rest": 0.2})
    late = Covariates(signals=frozenset({"thumb_down"}))
    both = np.zeros((2, 2))
    for trace in ids(8_000):
        first = decide(plan, "salt", "k", trace, Covariates())
        second = decide_late(plan, "salt", "k", trace, late, (first.pi, first.is_taken))
        assert second.pi == pytest.approx(1 - 0.8 * 0.5)
        assert second.is_taken or not first.is_taken
        both[int(first.is_taken), int(second.is_taken)] += 1

    # Of those the first left out, half are taken: within 4.5 standard errors.
    left_out = both[0].sum()
    assert abs(both[0, 1] / left_out - 0.5) < 4.5 * 0.5 / left_out**0.5


def test_what_gives_no_larger_chance_draws_no_second_time():
    plan = parse_plan(ERRORS)
    trace = ids(1)[0]

    assert decide_late(plan, "s", "k", trace, Covariates(), (0.05, False)) is None
    assert decide_late(plan, "s", "k", trace, Covariates(is_error=True), (1.0, True)) is None
    again = decide_late(plan, "s", "k", trace, Covariates(is_error=True), (0.05, False))
    assert (again.pi, again.is_taken) == (1.0, True)


@given(share=st.floats(FLOOR, 1.0), factor=st.floats(-1.0, 2.0))
def test_a_chance_stays_between_the_floor_and_its_share(share, factor):
    assert FLOOR <= chance(share, factor) <= max(share, FLOOR)


def test_money_lowers_all_shares_of_an_hour_by_the_tightest_limit():
    # 2.4 left for 12 hours, 0.4 wanted an hour: half of it.
    assert Allowance(left=2.4, hours=12, demand=0.4).factor == pytest.approx(0.5)
    assert factor_of([Allowance(2.4, 12, 0.4), Allowance(1.2, 12, 0.4)]) == pytest.approx(0.25)
    assert factor_of([Allowance(0, 12, 0.4)]) == 0.0
    assert factor_of([Allowance(-1, 12, 0.4)]) == 0.0
    assert factor_of([Allowance(1, 12, 0)]) == factor_of([]) == 1.0


def test_weights_of_an_error_driven_plan_give_the_truth_where_the_plain_mean_does_not():
    """2,000 traces a week, 8 % errors that score 1 where others score 4 or 5; 300 weeks (Poisson sampling)."""
    plan = parse_plan(ERRORS)
    rng = np.random.default_rng(7)
    traces = ids(2_000, seed=3)
    is_error = rng.random(2_000) < 0.08
    score = np.where(is_error, 1.0, 4.0 + (rng.random(2_000) < 0.5))
    truth = score.mean()
    hajek, plain = [], []
    for week in range(300):
        drawn = [
            (decide(plan, f"salt{week}", "k", trace, Covariates(is_error=bool(bad))), y)
            for trace, bad, y in zip(traces, is_error, score, strict=True)
        ]
        kept = [(1 / draw.pi, y) for draw, y in drawn if draw.is_taken]
        weights, ys = np.array(kept).T
        hajek.append((weights * ys).sum() / weights.sum())
        plain.append(ys.mean())

    error = np.std(hajek, ddof=1) / 300**0.5
    assert abs(np.mean(hajek) - truth) < 3.5 * error
    assert abs(np.mean(plain) - truth) > 1.0
