"""Figures of a calibration: equal to scipy and numpy, decided on intervals, the same again from the same pairs."""

from datetime import UTC, datetime
from uuid import UUID

import numpy as np
import pytest
from scipy import stats

from evals.calibrating.comparing import compared
from evals.calibrating.figures import Beside, figures
from evals.read.calibration import EVERYTHING
from evals.read.pairs import Pair, PairSet, Rating
from evals.rubrics import Criterion, Scale
from evals.stats.gate import GateSettings
from evals.stats.quantiles import wilson_limits

AT = datetime(2026, 11, 12, tzinfo=UTC)
CRITERION = Criterion("correctness", "Correctness", "Every claim is supported.", Scale.points(1, 5))


def pair(n, person, judge, *, pi=None, others=(), session=""):
    """Levels count from 0; `others` are what further people said."""
    ratings = tuple(Rating(f"r{at}", level, AT) for at, level in enumerate((person, *others)))
    return Pair(UUID(int=n + 1), 0, ratings, person, judge, pi, "", "", "", session)


def pair_set(pairs, criterion=CRITERION):
    return PairSet(criterion, EVERYTHING, tuple(pairs))


def noisy(n, seed, spread=0.6, others=0):
    """Pairs of a judge and people about one hidden quality."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 5, n)

    def seen():
        return np.clip(np.rint(truth + rng.normal(0, spread, n)), 0, 4).astype(int)

    people, judge, more = seen(), seen(), [seen() for _ in range(others)]
    return [pair(i, int(people[i]), int(judge[i]), others=[int(one[i]) for one in more]) for i in range(n)]


def told(pairs, gate=None, *, flag=2, stage="deploy", beside=None, criterion=CRITERION):
    return figures(pair_set(pairs, criterion), flag, gate or GateSettings(), stage=stage, seed=1, beside=beside)


def quadratic_kappa(x, y, k=5):
    """Cohen 1968, written apart from the code under test."""
    v = np.subtract.outer(np.arange(k), np.arange(k)) ** 2 / (k - 1) ** 2
    seen = np.zeros((k, k))
    for i, j in zip(x, y, strict=True):
        seen[i, j] += 1 / len(x)
    expected = np.outer(seen.sum(1), seen.sum(0))
    return 1 - (v * seen).sum() / (v * expected).sum()


def test_measures_equal_scipy_and_plain_arithmetic():
    pairs = noisy(150, 3)
    x, y = np.array([p.person for p in pairs]), np.array([p.judge for p in pairs])

    result, _ = told(pairs)

    agreement = result["agreement"]
    assert agreement["weighted_kappa"]["value"] == pytest.approx(quadratic_kappa(x, y), abs=1e-12)
    assert agreement["spearman"]["value"] == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    assert agreement["kendall"]["value"] == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-12)
    assert agreement["raw_agreement"]["value"] == (x == y).mean()
    assert (agreement["raw_agreement"]["low"], agreement["raw_agreement"]["high"]) == pytest.approx(
        wilson_limits((x == y).mean(), 150)
    )
    assert result["bias"]["value"] == pytest.approx((y - x).mean(), abs=1e-12)
    interval = stats.t.interval(0.95, 149, (y - x).mean(), stats.sem(y - x))
    assert (result["bias"]["low"], result["bias"]["high"]) == pytest.approx(interval, abs=1e-6)
    assert result["counts"] == [[int(((x == i) & (y == j)).sum()) for j in range(5)] for i in range(5)]


def test_every_level_of_the_scale_counts_seen_or_not():
    pairs = [pair(n, 2 + n % 2, 2 + (n // 2) % 2) for n in range(40)]

    result, _ = told(pairs)

    assert result["levels"] == ["1", "2", "3", "4", "5"]
    assert len(result["counts"]) == 5
    x, y = [p.person for p in pairs], [p.judge for p in pairs]
    assert result["agreement"]["weighted_kappa"]["value"] == pytest.approx(quadratic_kappa(x, y), abs=1e-12)


def test_the_same_pairs_give_the_same_intervals():
    first, second = told(noisy(100, 4))[0], told(noisy(100, 4))[0]

    assert first == second
    assert first["resamples"] == 2_000
    assert first["seed"] == 1


def test_a_kappa_of_085_on_200_labels_is_not_proven_and_says_how_many_more():
    pairs = next(
        found
        for found in (noisy(200, seed, 0.55) for seed in range(200))
        if abs(quadratic_kappa([p.person for p in found], [p.judge for p in found]) - 0.855) < 0.004
    )

    result, gate = told(pairs, beside=Beside(unusable=0, answered=500))

    (agreement,) = (check for check in gate.checks if check.name == "agreement")
    assert round(agreement.value, 2) in (0.85, 0.86)
    assert agreement.low < 0.85 < agreement.high
    assert agreement.state == "not_proven"
    assert gate.verdict == "not_proven"
    assert 200 <= agreement.need_more <= 3_000
    assert result["gate"]["need_more"] >= agreement.need_more


def test_a_judge_as_good_as_people_passes_by_them():
    pairs = noisy(600, 5, 0.9, others=1)

    _, strict = told(pairs, GateSettings(people_margin=None))
    _, fair = told(pairs)

    def of(gate):
        return next(check for check in gate.checks if check.name == "agreement")

    assert of(strict).state == "failed"
    assert of(fair).state == "proven"
    assert of(fair).by_people


def test_people_are_compared_only_where_two_of_them_labelled():
    few = noisy(100, 6)
    few[:19] = noisy(19, 6, others=1)

    result, _ = told(few)

    assert result["people"]["weighted_kappa"] == {"have": 19, "need": 20, "what": "answers labelled by two people"}
    assert result["people_minus_judge"] == {}


def test_agreement_of_people_is_that_of_all_their_pairs():
    pairs = noisy(80, 8, others=2)

    result, _ = told(pairs)

    same = [np.mean([a == b for i, a in enumerate(ls) for j, b in enumerate(ls) if i != j]) for ls in
            ([r.level for r in p.ratings] for p in pairs)]  # fmt: skip
    assert result["people"]["raw_agreement"]["value"] == pytest.approx(np.mean(same), abs=1e-12)
    assert result["double"] == 80


def test_flags_are_weighted_by_the_chance_of_each_answer():
    # 10 bad answers caught of 10 drawn for sure, 10 missed that stood for 100.
    pairs = [pair(n, 0, 0, pi=1.0) for n in range(10)]
    pairs += [pair(10 + n, 0, 4, pi=0.1) for n in range(10)]
    pairs += [pair(20 + n, 4, 4, pi=0.1) for n in range(30)]

    result, _ = told(pairs)

    assert result["is_weighted"]
    assert result["flag"]["recall"]["value"] == pytest.approx(10 / 110)
    assert result["flag"]["caught"] == 10
    assert result["flag"]["missed"] == 10
    assert result["missed_total"] == 10
    assert {found["judge"] for found in result["missed"]} == {"5"}


def test_agreement_over_the_traffic_weighs_unequal_draws():
    pairs = [pair(n, 0, 4, pi=1.0) for n in range(50)] + [pair(50 + n, 3, 3, pi=0.01) for n in range(50)]

    result, _ = told(pairs)

    assert result["agreement"]["raw_agreement"]["value"] == 0.5
    assert result["agreement_of_traffic"]["raw_agreement"]["value"] == pytest.approx(5000 / 5050)


def test_a_constant_judge_is_undefined_not_zero_where_chance_is_all():
    pairs = [pair(n, 4, 4) for n in range(30)]

    result, gate = told(pairs, flag=None)

    assert result["agreement"]["weighted_kappa"] is None
    assert result["agreement"]["spearman"] is None
    assert result["agreement"]["raw_agreement"]["value"] == 1.0
    assert gate.verdict == "not_proven"
    assert result["flag"] is None


def test_the_constant_judge_beside_it_says_what_most_people_say():
    pairs = [pair(n, 4, n % 5) for n in range(30)] + [pair(30 + n, 1, 1) for n in range(10)]

    result, _ = told(pairs)

    assert result["constant"]["raw_agreement"] == 0.75
    assert result["constant"]["weighted_kappa"] == pytest.approx(0.0)
    assert result["constant"]["spearman"] is None


def test_few_pairs_have_figures_without_intervals():
    result, gate = told(noisy(12, 9))

    assert result["agreement"]["weighted_kappa"]["low"] is None
    assert gate.verdict == "not_proven"
    assert next(check for check in gate.checks if check.name == "agreement").need_more == 8


def test_labels_without_an_order_have_no_lean_and_no_flag():
    criterion = Criterion("kind", "Kind", "What it is.", Scale.of_labels("a", "b", "c", is_ordered=False))
    pairs = [pair(n, n % 3, (n + (n % 7 == 0)) % 3) for n in range(60)]

    result, gate = told(pairs, flag=None, criterion=criterion)

    assert set(result["agreement"]) == {"raw_agreement", "cohen_kappa", "krippendorff", "gwet_ac1"}
    assert result["bias"] is None
    assert result["gate"]["metric"] == "cohen_kappa"
    assert gate.verdict in ("proven", "not_proven", "failed")


def test_answers_of_one_session_are_resampled_together():
    pairs = [pair(n, n % 5, (n + (n // 10) % 2) % 5, session=f"s{n // 10}") for n in range(400)]
    alone = [pair(n, p.person, p.judge) for n, p in enumerate(pairs)]

    together, apart = told(pairs)[0], told(alone)[0]

    def width(result):
        found = result["agreement"]["raw_agreement"]
        return found["high"] - found["low"]

    # All ten answers of a session agree or none does: sqrt(10) = 3.2 times as wide.
    assert together["unit"] == "sessions"
    assert 2.5 < width(together) / width(apart) < 4


def test_two_versions_are_told_apart_on_the_same_answers():
    good = noisy(200, 11, 0.3)
    poor = [pair(n, p.person, (p.judge + (n % 3 == 0)) % 5) for n, p in enumerate(good)]

    found = compared(pair_set(poor), pair_set(good[:150]), (2, 2), seed=3)
    same = compared(pair_set(good), pair_set(good), (2, 2), seed=3)

    assert found.n == 150
    kappa = next(line for line in found.lines if line.name == "weighted_kappa")
    assert kappa.difference.low > 0
    assert kappa.difference.value == pytest.approx(kappa.second.value - kappa.first.value)
    assert all(line.difference.value == 0 for line in same.lines)
    assert same.same == same.n == 200
