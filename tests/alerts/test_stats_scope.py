"""Who is affected: the planted slice comes first, what was always bad is no cause, nothing is found in nothing."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy import stats

from alerts.stats.scope import find_scope, over_p95
from alerts.stats.slices import Counts, shift_between
from evals.stats.results import TooLittle

FEATURES = ("returns", "search", "checkout", "faq")


def traffic(random, n, versions=("v17", "v18")):
    return {
        "feature": random.choice(FEATURES, n, p=(0.18, 0.4, 0.3, 0.12)).tolist(),
        "version": random.choice(versions, n).tolist(),
        "language": random.choice(["en", "fr", "sv"], n, p=(0.8, 0.15, 0.05)).tolist(),
        "device": random.choice(["phone", "desktop"], n).tolist(),
    }


def where(columns, **values):
    return np.all([np.array(columns[name]) == value for name, value in values.items()], axis=0)


def test_a_bad_version_is_found_first_with_what_it_explains():
    random = np.random.default_rng(0)
    now, before = traffic(random, 6_000), traffic(random, 6_000)
    bad = random.random(6_000) < np.where(where(now, version="v18"), 0.08, 0.02)
    baseline = (before, random.random(6_000) < 0.02, None)

    found = find_scope(now, bad, baseline=baseline)

    first = found.slices[0]
    assert first.name == "version v18"
    assert first.ratio_low < 4 < first.ratio_high
    assert first.difference_low < 0.06 < first.difference_high
    assert first.share_of_excess > 0.9
    assert not first.was_always_bad
    assert first.shift == pytest.approx(0.06, abs=0.015)
    n, k = first.n, first.bad
    assert first.excess == pytest.approx(k - n * (bad.sum() - k) / (6_000 - n))
    assert [line.name for line in found.slices] == ["version v18"]
    assert {line.name for line in found.unclear} >= {"device phone", "device desktop", "language en"}


def test_a_pair_is_named_before_the_values_it_is_made_of():
    random = np.random.default_rng(1)
    now = traffic(random, 12_000)
    bad = random.random(12_000) < np.where(where(now, version="v18", feature="returns"), 0.25, 0.02)

    found = find_scope(now, bad)

    assert found.slices[0].name == "feature returns and version v18"
    parents = {line.name: line.through for line in found.slices[1:]}
    assert parents["feature returns"] == parents["version v18"] == "feature returns and version v18"
    # No pair of the cause with something that does not matter.
    assert not any(line.name.count(" and ") and "language" in line.name for line in found.slices)


def test_a_pair_comes_before_its_values_in_nearly_every_incident():
    first = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        columns = {f"a{at}": random.integers(0, 4 + 4 * at, 10_000).astype(str) for at in range(5)}
        both = (columns["a1"] == "1") & (columns["a3"] == "2")
        found = find_scope(columns, random.random(10_000) < np.where(both, 0.5, 0.03))
        first += found.slices[0].name == "a1 1 and a3 2"

    # The rest of either value looks bad by chance in 1 %.
    assert first >= 54


def test_values_of_the_same_rows_are_one_line():
    random = np.random.default_rng(2)
    now = traffic(random, 6_000)
    now["deploy"] = ["d7" if version == "v18" else "d6" for version in now["version"]]
    bad = random.random(6_000) < np.where(where(now, version="v18"), 0.1, 0.02)

    found = find_scope(now, bad)

    assert len(found.slices) == 1
    assert {found.slices[0].name, *found.slices[0].also} == {"version v18", "deploy d7"}


def test_a_slice_that_was_always_bad_is_not_the_cause():
    random = np.random.default_rng(3)
    now, before = traffic(random, 10_000), traffic(random, 10_000)
    always = 0.02 + 0.08 * where(now, language="fr")
    bad = random.random(10_000) < always + 0.05 * where(now, device="phone")
    was_bad = random.random(10_000) < 0.02 + 0.08 * where(before, language="fr")

    found = find_scope(now, bad, baseline=(before, was_bad, None))

    assert found.slices[0].name == "device phone"
    french = next(line for line in found.slices if line.name == "language fr")
    assert french.was_always_bad
    assert french.shift_low < 0
    assert find_scope(now, bad).slices[0].shift is None


def test_a_new_release_has_no_before():
    random = np.random.default_rng(4)
    now, before = traffic(random, 4_000), traffic(random, 4_000, versions=("v17",))
    bad = random.random(4_000) < np.where(where(now, version="v18"), 0.1, 0.02)

    first = find_scope(now, bad, baseline=(before, random.random(4_000) < 0.02, None)).slices[0]

    assert (first.name, first.shift, first.was_always_bad) == ("version v18", None, False)


def test_in_nothing_nothing_is_found():
    """Benjamini-Hochberg at q = .1: with no slice worse, any finding is false, in at most a tenth of looks."""
    random = np.random.default_rng(5)
    looks = sum(bool(find_scope(traffic(random, 1_500), random.random(1_500) < 0.05).slices) for _ in range(200))

    # Binomial limit at 1e-4 of 10 % of 200; both directions are tested, so a half of that is likelier.
    assert looks <= 36


def test_a_difference_of_differences_covers_what_did_not_change():
    random = np.random.default_rng(11)
    covered = 0
    for _ in range(300):
        french, was_french = random.random(2_000) < 0.2, random.random(2_000) < 0.2
        bad = random.random(2_000) < 0.05 + 0.08 * french
        before = random.random(2_000) < 0.02 + 0.08 * was_french
        found = find_scope({"fr": french.astype(str)}, bad, baseline=({"fr": was_french.astype(str)}, before, None))
        line = next(one for one in (*found.slices, *found.unclear) if one.name == "fr True")
        covered += line.shift_low <= 0 <= line.shift_high

    # 95 %; binomial limits at 1e-4 of 300.
    assert 269 <= covered <= 298


def test_one_bad_value_among_many_does_not_bring_false_pairs_along():
    random = np.random.default_rng(12)
    columns = {f"a{at}": random.integers(0, 4 + 4 * at, 30_000).astype(str) for at in range(8)}
    bad = random.random(30_000) < np.where(columns["a3"] == "2", 0.3, 0.03)

    found = find_scope(columns, bad)

    assert found.slices[0].name == "a3 2"
    assert len(found.slices) == 1


def test_unequal_sampling_is_weighed():
    """Bad rows are all kept, good ones one in ten: slices and rates of the traffic come out, not of the sample."""
    random = np.random.default_rng(6)
    all_rows = traffic(random, 40_000)
    bad = random.random(40_000) < np.where(where(all_rows, version="v18"), 0.06, 0.02)
    pi = np.where(bad, 1.0, 0.1)
    taken = random.random(40_000) < pi
    sample = {name: np.array(values)[taken].tolist() for name, values in all_rows.items()}

    found = find_scope(sample, bad[taken], weights=1 / pi[taken])

    assert found.slices[0].name == "version v18"
    assert found.slices[0].rate == pytest.approx(0.06, abs=0.006)
    assert found.slices[0].rate_outside == pytest.approx(0.02, abs=0.004)
    assert found.rate == pytest.approx(0.04, abs=0.004)


def test_all_weights_alike_change_nothing():
    random = np.random.default_rng(7)
    now = traffic(random, 2_000)
    bad = random.random(2_000) < np.where(where(now, feature="faq"), 0.2, 0.03)

    plain, weighed = find_scope(now, bad).slices[0], find_scope(now, bad, weights=np.full(2_000, 4.0)).slices[0]

    assert weighed.excess == pytest.approx(4 * plain.excess)
    assert (weighed.ratio, weighed.rate_low, weighed.p) == pytest.approx((plain.ratio, plain.rate_low, plain.p))


def test_rows_in_any_order_give_the_same_scope():
    random = np.random.default_rng(8)
    now = traffic(random, 3_000)
    bad = random.random(3_000) < np.where(where(now, feature="faq"), 0.2, 0.03)
    order = random.permutation(3_000)

    shuffled = find_scope({name: np.array(values)[order] for name, values in now.items()}, bad[order])

    found = find_scope(now, bad)
    assert [line.name for line in shuffled.slices] == [line.name for line in found.slices]
    assert shuffled.slices[0].p == pytest.approx(found.slices[0].p)


def test_p_is_g_or_fishers():
    columns = {"tool": ["a"] * 400 + ["b"] * 600}
    bad = np.zeros(1_000, bool)
    bad[:40] = True
    bad[400:430] = True

    line = next(line for line in find_scope(columns, bad).slices)

    expected = stats.chi2_contingency([[40, 360], [30, 570]], correction=False, lambda_=0)
    assert line.p == pytest.approx(expected.pvalue, rel=1e-9)

    few = {"tool": ["a"] * 12 + ["b"] * 300}
    bad = np.zeros(312, bool)
    bad[:11] = True
    bad[20:25] = True
    lines = {line.name: line for line in find_scope(few, bad).slices}
    assert lines["tool a"].p == pytest.approx(stats.fisher_exact([[11, 1], [5, 295]]).pvalue, rel=1e-6)


def test_work_is_bounded_and_what_was_left_out_is_said():
    random = np.random.default_rng(9)
    columns = {f"attribute {at}": random.integers(0, 12, 8_000).astype(str).tolist() for at in range(6)}

    found = find_scope(columns, random.random(8_000) < 0.5, tests_most=100)

    assert found.tested == 100
    assert found.left_out == 6 * 12 + 15 * 144 - 100 - found.too_few
    assert found.pairs == 100 - 72


def test_values_not_set_are_a_value():
    bad = np.arange(400) < 40
    columns = {"language": [None if at < 60 else "en" for at in range(400)]}

    assert find_scope(columns, bad).slices[0].name == "language (not set)"


def test_latency_has_bad_rows_over_the_baselines_p95():
    values = np.arange(1, 101, dtype=float)

    assert over_p95(values, values).sum() == 5


def test_the_difference_of_differences_is_movers():
    """Zou and Donner 2008: limits of a difference from the limits of its parts."""
    assert shift_between((0.5, 0.4, 0.7), (0.2, 0.1, 0.25)) == pytest.approx(
        (0.3, 0.3 - np.hypot(0.1, 0.05), 0.3 + np.hypot(0.2, 0.1))
    )


def test_too_little_and_bad_input():
    assert find_scope({"a": ["x"] * 30}, [True] * 9 + [False] * 21) == TooLittle(9, 10, "bad rows")
    with pytest.raises(ValueError, match="30 rows need"):
        find_scope({"a": ["x"] * 29}, [True] * 30)


def test_one_value_in_all_rows_is_no_slice():
    found = find_scope({"model": ["gpt"] * 200, "n": ["a", "b"] * 100}, np.arange(200) < 50)

    assert found.tested == 2
    assert Counts(0, 0, 0.0, 0.0, 0.0).rate == 0.0


def test_a_hundred_thousand_traces_by_twelve_attributes_take_under_two_seconds():
    random = np.random.default_rng(10)
    n = 100_000

    def columns():
        return {f"a{at}": random.integers(0, 4 + 6 * at, n).astype(str).tolist() for at in range(12)}

    now, before = columns(), columns()
    bad = random.random(n) < np.where(np.array(now["a3"]) == "2", 0.2, 0.02)
    was_bad = random.random(n) < 0.02
    took = []
    while len(took) < 3 and min(took, default=9.0) >= 2:
        # What else runs on the machine slows memory down: the best of a few is the code's own.
        started = time.process_time()
        found = find_scope(now, bad, baseline=(before, was_bad, None))
        took.append(time.process_time() - started)

    assert min(took) < 2
    assert found.slices[0].name == "a3 2"
