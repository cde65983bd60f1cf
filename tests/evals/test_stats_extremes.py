"""Where data are few, alike or drawn very unequally: never NaN, and no interval narrower than what is known."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from evals.calibrating.figures import Beside, figures
from evals.read.calibration import EVERYTHING
from evals.read.pairs import Pair, PairSet, Rating
from evals.rubrics import Criterion, Scale
from evals.stats import tables
from evals.stats.agreement import bias, mean_of
from evals.stats.bootstrap import bootstrap
from evals.stats.flags import flagging
from evals.stats.gate import GateSettings, check_gate
from evals.stats.ppi import difference, ppi_mean, ppi_nested
from evals.stats.quantiles import wilson_limits
from evals.stats.report import judge_report, people_report
from evals.stats.results import Estimate, TooLittle
from evals.stats.weighted import Stratum, Sums, cluster, hajek, stratified, stratified_total, total_ht, wilson_eff

LEVELS = (1, 2, 3, 4, 5)
AT = datetime(2026, 11, 12, tzinfo=UTC)
CRITERION = Criterion("correctness", "Correctness", "Every claim is supported.", Scale.points(1, 5))


def estimates_in(found):
    """Every estimate in a result, however deep."""
    if isinstance(found, Estimate):
        yield found
    elif isinstance(found, dict):
        for each in found.values():
            yield from estimates_in(each)
    elif isinstance(found, (list, tuple)):
        for each in found:
            yield from estimates_in(each)
    elif hasattr(found, "__dataclass_fields__"):
        for name in found.__dataclass_fields__:
            yield from estimates_in(getattr(found, name))


def assert_sound(found):
    """Finite, limits on their sides; a width of nothing only where everything was drawn."""
    assert math.isfinite(found.value), found
    assert math.isfinite(found.n_eff), found
    assert (found.low is None) == (found.high is None)
    if found.low is None:
        assert "no interval" in found.method, found
        return
    assert math.isfinite(found.low), found
    assert math.isfinite(found.high), found
    assert found.low <= found.value + 1e-9, found
    assert found.high >= found.value - 1e-9, found
    if found.high - found.low < 1e-12:
        assert "complete" in found.method, found


chances = st.sampled_from([1e-6, 1e-3, 0.05, 0.5, 1.0])
scored = st.lists(st.tuples(st.integers(1, 5), chances), min_size=1, max_size=40)


@settings(max_examples=150, deadline=None)
@given(scored)
def test_estimates_of_traffic_are_sound_whatever_was_drawn(pairs):
    y, pi = np.array(pairs, dtype=float).T
    sums, shares = Sums.of(y, pi), Sums.of(y >= 4, pi)
    sessions = [i // 3 for i in range(y.size)]

    for of in ("traffic", "process"):
        found = [
            hajek(sums, of=of),
            hajek(sums, of=of, scale=(1, 5)),
            wilson_eff(shares, of=of),
            cluster(y, pi, sessions, of=of),
            total_ht(shares),
        ]
        for each in estimates_in(found):
            if not (each.low == each.high and (pi == 1).all()):
                assert_sound(each)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans(), chances), min_size=1, max_size=40), st.booleans())
def test_figures_of_the_flag_are_sound_whatever_was_reviewed(rows, in_sessions):
    flagged, bad, pi = (np.array(column) for column in zip(*rows, strict=True))
    sessions = [i // 4 for i in range(len(rows))] if in_sessions else None

    found = flagging(flagged, bad, pi, clusters=sessions)

    for each in estimates_in(found):
        assert_sound(each)
        assert each.low is None or 0 <= each.low <= each.high <= 1


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5), chances, chances), min_size=30, max_size=45),
    st.booleans(),
)
def test_corrected_quality_is_sound_whatever_was_reviewed(rows, is_constant):
    y, f, pi, pi_review = np.array(rows, dtype=float).T
    if is_constant:
        y, f = np.full_like(y, 5.0), np.full_like(f, 5.0)
    judged = Sums.of(f, pi)

    found = ppi_nested(y, f, pi, pi_review, judged, scale=(1, 5))

    for each in estimates_in(found):
        assert_sound(each)
    apart = difference(found, found)
    assert apart.low < 0 < apart.high


def pair(n, person, judge, others=(), pi=None, session=""):
    ratings = tuple(Rating(f"r{at}", level, AT) for at, level in enumerate((person, *others)))
    return Pair(UUID(int=n + 1), 0, ratings, person, judge, pi, "", "", "", session)


def told(pairs, beside=None):
    return figures(PairSet(CRITERION, EVERYTHING, tuple(pairs)), 2, GateSettings(), stage="deploy", seed=1,
                   beside=beside)  # fmt: skip


def assert_plain(value, path=""):
    """What a row keeps is JSON: no NaN, no infinity, limits around values."""
    if isinstance(value, float):
        assert math.isfinite(value), path
    elif isinstance(value, dict):
        if value.get("value") is not None and value.get("low") is not None:
            assert value["low"] <= value["value"] + 1e-9, (path, value)
            assert value["high"] >= value["value"] - 1e-9, (path, value)
            assert value["high"] > value["low"] or "constant" in path, (path, value)
        for key, each in value.items():
            assert_plain(each, f"{path}/{key}")
    elif isinstance(value, list):
        for at, each in enumerate(value):
            assert_plain(each, f"{path}/{at}")


labelled = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 4), st.lists(st.integers(0, 4), max_size=2), chances),
    min_size=1,
    max_size=30,
)


@settings(max_examples=40, deadline=None)
@given(labelled, st.sampled_from(["mixed", "one level", "all agree"]), st.booleans(), st.booleans())
def test_a_calibration_is_sound_whatever_people_and_judge_said(rows, kind, is_drawn, in_sessions):
    pairs = []
    for n, (person, judge, others, pi) in enumerate(rows * (3 if kind != "mixed" else 1)):
        if kind == "one level":
            person, judge, others = 4, 4, [4] * len(others)
        elif kind == "all agree":
            judge, others = person, [person] * len(others)
        session = f"s{n // 3}" if in_sessions else ""
        pairs.append(pair(n, person, judge, others, pi if is_drawn else None, session))

    result, gate = told(pairs)

    assert_plain(result)
    for check in gate.checks:
        assert check.state == "not_proven" or check.low is not None, check


def test_twenty_answers_without_a_difference_prove_nothing():
    some, many = ([pair(n, n % 5, n % 5, [n % 5]) for n in range(size)] for size in (20, 1_000))
    beside = Beside(unusable=0, answered=1_000)

    few, gate = told(some, beside)
    lots, proven = told(many, beside)

    kappa = few["agreement"]["weighted_kappa"]
    assert kappa["value"] == kappa["high"] == 1
    # 0 of 20 leave up to 3.7 of 20 possible, each as far off as chance.
    assert 0.6 < kappa["low"] < 0.85
    assert {check.name: check.state for check in gate.checks}["agreement"] == "not_proven"
    assert lots["agreement"]["weighted_kappa"]["low"] > 0.98
    assert proven.verdict == "proven"
    # People who never differ and a judge that never differs from them: no spread to compare by.
    assert few["people_minus_judge"]["weighted_kappa"]["low"] is None


def test_two_answers_without_a_lean_do_not_prove_that_there_is_none():
    few, many = (bias([3.0, 4.0] * n, [3.0, 4.0] * n).overall for n in (1, 200))

    assert (few.value, round(few.high, 2)) == (0, 0.84)
    assert (many.value, round(many.high, 4)) == (0, 0.0092)
    states = [check_gate(GateSettings(), agreement=None, bias=each).checks[-2].state for each in (few, many)]
    assert states == ["not_proven", "proven"]
    assert mean_of(np.ones(5), np.ones(5)).low is None
    assert mean_of(np.ones(6), np.ones(6), ["a", "a", "b", "b", "c", "c"], step=1.0).high > 1.5


def test_people_who_always_say_the_same_leave_kappa_open():
    judge = [1 + n % 5 for n in range(40)]

    found = judge_report([5] * 40, judge, LEVELS).figures

    assert found["weighted_kappa"].value == 0
    assert found["weighted_kappa"].low is None
    assert found["weighted_kappa"].method == "no interval: every resample says the same"
    assert found["spearman"] is None
    assert found["raw_agreement"].low < 0.2 < found["raw_agreement"].high


def test_people_who_always_agree_are_not_certain_to():
    rows = [[1 + n % 5 for n in range(25)]] * 3

    found = people_report(rows, LEVELS).figures

    for name in ("weighted_kappa", "krippendorff", "gwet_ac1", "gwet_ac2", "fleiss"):
        assert found[name].value == pytest.approx(1), name
        assert 0.5 < found[name].low < 0.95, name


def test_equal_reviews_are_no_certainty():
    y, f, f_unlab = np.full(40, 5.0), np.full(40, 5.0), np.full(400, 5.0)

    found = ppi_mean(y, f, f_unlab, scale=(1, 5))

    low, _ = proportion_confint(40, 40, method="wilson")
    assert found.estimate.value == found.estimate.high == 5
    assert found.estimate.low == pytest.approx(1 + 4 * low)
    assert "equal reviews" in found.estimate.method
    assert ppi_mean(y, f, f_unlab).estimate.low is None
    assert stratified([Stratum.of("a", 100, [3.0, 3.0])]).low is None
    assert stratified_total([Stratum.of("a", 100, [3.0, 3.0])]).value == 300
    assert stratified([Stratum.of("a", 2, [3.0, 3.0])]).low == 3
    assert total_ht(Sums.of([0.0, 0.0], 0.5)).low is None


def test_one_of_anything_is_too_little_or_wide():
    assert hajek(Sums.of([3.0], 1e-6)) == TooLittle(1, 2, "scores")
    assert wilson_eff(Sums.of([1.0], 1e-6)).low == pytest.approx(proportion_confint(1, 1, method="wilson")[0])
    assert isinstance(bias([3.0], [4.0]).overall, TooLittle)
    assert isinstance(judge_report([3.0], [4.0], LEVELS), TooLittle)
    result, gate = told([pair(0, 4, 1)])
    assert result["agreement"]["weighted_kappa"] is None or result["agreement"]["weighted_kappa"]["low"] is None
    assert gate.verdict == "not_proven"


def test_what_a_seldom_drawn_part_has_not_shown_yet_stays_open():
    """All errors and a hundredth of the rest: of its 28 answers none or one is bad, of the truth 2 in 100 are."""
    random = np.random.default_rng(71)
    runs, covered, too_low, plain = 500, 0, 0, 0
    for _ in range(runs):
        is_error = random.random(3_000) < 0.05
        is_bad = random.random(3_000) < np.where(is_error, 0.9, 0.02)
        pi = np.where(is_error, 1.0, 0.01)
        at = random.random(3_000) < pi

        found = wilson_eff(Sums.of(is_bad[at], pi[at]), of="traffic")

        covered += found.low <= is_bad.mean() <= found.high
        too_low += found.high < is_bad.mean()
        low, high = wilson_limits(found.value, found.n_eff)
        plain += low <= is_bad.mean() <= high
    # Wilson's formula on p(1-p)/variance misses what lies above it.
    assert plain / runs < 0.8
    assert covered / runs >= 0.95
    assert too_low / runs <= 0.025


def test_sessions_widen_what_is_known_of_the_flag():
    flagged = np.repeat([True, False] * 20, 5)
    bad = np.repeat([True, False, False, True] * 10, 5)

    alone, together = flagging(flagged, bad), flagging(flagged, bad, clusters=[i // 5 for i in range(200)])

    assert together.recall.value == alone.recall.value
    assert together.recall.high - together.recall.low > 1.8 * (alone.recall.high - alone.recall.low)
    one = flagging([True, True, False], [True, True, True], clusters=["a", "a", "a"])
    assert one.recall.low is None


@pytest.mark.parametrize(("n", "least"), [(20, 0.93), (50, 0.93), (200, 0.93)])
def test_small_samples_of_a_good_judge_seldom_look_better_than_it_is(n, least):
    random = np.random.default_rng(8)
    truth = random.choice(LEVELS, size=40_000, p=(0.1, 0.15, 0.2, 0.25, 0.3)).astype(float)
    judge = np.clip(np.round(truth + random.normal(0, 0.3, truth.size)), 1, 5)
    whole = {name: each.value for name, each in judge_report(truth, judge, LEVELS, resamples=0).figures.items()}
    runs = 120
    covered = dict.fromkeys(("weighted_kappa", "cohen_kappa", "gwet_ac1", "krippendorff", "spearman"), 0)

    for _ in range(runs):
        at = random.integers(0, truth.size, n)
        found = judge_report(truth[at], judge[at], LEVELS, resamples=200).figures
        for name in covered:
            covered[name] += found[name].low <= whole[name] <= found[name].high

    # 120 draws: 3 standard deviations are .06.
    assert min(covered.values()) / runs >= least - 0.06, covered


def test_resamples_alone_of_a_good_judge_are_too_sure_of_it():
    random = np.random.default_rng(8)
    truth = random.choice(LEVELS, size=40_000, p=(0.1, 0.15, 0.2, 0.25, 0.3))
    judge = np.clip(np.round(truth + random.normal(0, 0.3, truth.size)), 1, 5).astype(int)
    cells = np.eye(25)[(truth - 1) * 5 + judge - 1]

    def kappa(sums):
        return {"kappa": tables.kappa(sums.reshape(-1, 5, 5), tables.agreement_weights(5, "quadratic"))}

    whole = kappa(cells.sum(0)[None])["kappa"][0]
    covered = too_high = 0
    for _ in range(120):
        found = bootstrap(cells[random.integers(0, truth.size, 20)], kappa, resamples=200)["kappa"]
        covered += found.low <= whole <= found.high
        too_high += found.low > whole

    assert covered / 120 < 0.9
    assert too_high >= 0.9 * (120 - covered)
