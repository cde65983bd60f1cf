"""Precision at k, hit rate and reciprocal rank: worked by hand, as published, and as estimates for all traffic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.retrieval import DEPTHS, Part, Retrieval, Traces, quality_at, reciprocal_of, traces_of
from evals.stats.results import TooLittle
from evals.stats.weighted import Sums, cluster, hajek, wilson_eff


def ranked(letters, documents=0):
    """A list judged in full: R is relevant, N is not, a dot was not judged."""
    judged = {rank: float(letter == "R") for rank, letter in enumerate(letters, 1) if letter != "."}
    return Retrieval(judged, documents or len(letters))


def test_precision_is_as_in_the_exercise_of_manning_raghavan_schuetze():
    # Introduction to Information Retrieval (2008), exercise 8.8: the top 20 of a search, 6 of them relevant.
    found = ranked("RRNNNNNNRNRNNNRNNNNR")

    assert found.precision_at(20) == pytest.approx(0.30)
    assert [found.precision_at(k) for k in (1, 3, 5, 10)] == pytest.approx([1, 2 / 3, 2 / 5, 3 / 10])


def test_mean_reciprocal_rank_is_as_in_the_published_example():
    # The example of the English Wikipedia's article on mean reciprocal rank: ranks 3, 2 and 1 make 11/18.
    lists = [ranked("NNR"), ranked("NRN"), ranked("RNN")]

    assert [each.reciprocal_rank() for each in lists] == pytest.approx([1 / 3, 1 / 2, 1])
    assert np.mean([each.reciprocal_rank() for each in lists]) == pytest.approx(11 / 18)


@pytest.mark.parametrize(
    ("letters", "documents", "k", "precision", "hit"),
    [
        ("RN", 0, 1, 1.0, 1.0),
        ("NR", 0, 1, 0.0, 0.0),
        ("NR", 0, 5, 0.5, 1.0),  # shorter than k: of those there are
        ("NR", 10, 5, None, None),  # ten were retrieved, two judged
        ("NR", 10, 1, 0.0, 0.0),
        ("R.R", 0, 1, 1.0, 1.0),
        ("R.R", 0, 3, None, None),
        ("NNN", 0, 3, 0.0, 0.0),
    ],
)
def test_a_depth_counts_where_all_of_it_was_judged(letters, documents, k, precision, hit):
    found = ranked(letters, documents)

    assert (found.precision_at(k), found.hit_at(k)) == (precision, hit)


@pytest.mark.parametrize(
    ("letters", "documents", "wanted"),
    [("NNR.", 0, 1 / 3), ("N.R", 0, None), ("NN", 0, 0.0), ("NN", 5, None), ("R", 50, 1.0)],
)
def test_the_first_relevant_rank_counts_where_all_before_it_was_judged(letters, documents, wanted):
    assert ranked(letters, documents).reciprocal_rank() == wanted


def test_no_verdict_is_no_figure():
    nothing = Retrieval({})

    assert nothing.precision_at(5) is None
    assert nothing.hit_at(5) is None
    assert nothing.reciprocal_rank() is None


def test_relevance_between_no_and_yes_counts_from_the_half():
    assert Retrieval({1: 0.5, 2: 0.49}).precision_at(2) == 0.5


@given(st.lists(st.booleans(), min_size=1, max_size=15), st.sampled_from(DEPTHS))
def test_precision_lies_within_its_bounds_and_a_hit_is_a_precision_above_none(verdicts, k):
    found = Retrieval({rank: float(hit) for rank, hit in enumerate(verdicts, 1)})

    assert 0 <= found.precision_at(k) <= 1
    assert found.hit_at(k) == (found.precision_at(k) > 0)
    assert (found.reciprocal_rank() > 0) == any(verdicts)


def one_each(pis, seed=1):
    rng = np.random.default_rng(seed)
    return [
        traces_of([ranked("".join("RN"[int(hit)] for hit in rng.integers(0, 2, 5)))], pi=pi, feature="help")
        for pi in pis
    ]


def test_of_one_retrieval_a_trace_the_figures_are_those_of_the_estimators():
    pis = [0.1, 0.5, 1.0] * 20
    traces = one_each(pis)

    found = quality_at(traces, 5)

    mean = hajek(Sums.of([each.precision[5].total for each in traces], pis), of="process", scale=(0.0, 1.0))
    share = wilson_eff(Sums.of([each.hits[5].total for each in traces], pis))
    told = [(each.value, each.low, each.high, each.n_eff) for each in (found.precision, found.hits)]
    wanted = [(each.value, each.low, each.high, each.n_eff) for each in (mean, share)]
    np.testing.assert_allclose(told, wanted, rtol=1e-9)
    assert found.is_sample
    assert (found.precision.n, found.partly, found.unweighted) == (60, 0, 0)


def test_retrievals_of_one_trace_are_one_draw():
    rng = np.random.default_rng(3)
    traces, y, pi, names = [], [], [], []
    for at in range(60):
        good = rng.random()
        lists = [ranked("".join("NR"[int(hit)] for hit in rng.random(5) < good)) for _ in range(1 + at % 4)]
        traces.append(traces_of(lists, pi=0.25))
        y += [each.precision_at(5) for each in lists]
        pi += [0.25] * len(lists)
        names += [at] * len(lists)

    found = quality_at(traces, 5).precision

    between = cluster(y, pi, names)
    plain = hajek(Sums.of(y, pi), of="process")
    assert found.value == pytest.approx(between.value)
    assert found.error == pytest.approx(between.error)
    assert found.n == len(y)
    assert found.high - found.low > plain.high - plain.low


def test_equal_traces_may_be_counted_instead_of_listed():
    one = traces_of([ranked("RNRNN")], pi=0.5)
    other = traces_of([ranked("NNNNN")], pi=0.1)
    listed = [one] * 30 + [other] * 10

    counted = [
        Traces(each.feature, each.pi, each.precision, each.hits, each.reciprocal, 1, times)
        for each, times in ((one, 30), (other, 10))
    ]

    for k in DEPTHS:
        a, b = quality_at(listed, k), quality_at(counted, k)
        for x, y in ((a.precision, b.precision), (a.hits, b.hits)):
            assert (x.value, x.low, x.high, x.n) == pytest.approx((y.value, y.low, y.high, y.n))
    assert reciprocal_of(listed).value == pytest.approx(reciprocal_of(counted).value)


def test_weights_give_the_answer_for_all_traffic():
    # 100 traces of which all bad ones and a tenth of the good ones were judged: the plain mean is far off.
    bad = traces_of([ranked("NNNNN")], pi=1.0)
    good = traces_of([ranked("RRRRR")], pi=0.1)

    found = quality_at([bad] * 20 + [good] * 8, 5)

    assert found.precision.value == pytest.approx(0.8)
    assert found.hits.value == pytest.approx(0.8)


def test_what_was_picked_by_hand_is_left_out_beside_drawn_ones_and_counted():
    drawn, picked = traces_of([ranked("RRRRR")], pi=0.5), traces_of([ranked("NNNNN"), ranked("NNNNN")])

    found = quality_at([drawn] * 25 + [picked] * 3, 5)
    alone = quality_at([picked] * 25, 5)

    assert (found.precision.value, found.precision.n, found.unweighted, found.is_sample) == (1.0, 25, 6, True)
    assert (alone.precision.value, alone.precision.n, alone.unweighted, alone.is_sample) == (0.0, 50, 0, False)


def test_too_few_traces_are_no_figure_and_say_how_many_it_takes():
    found = quality_at([traces_of([ranked("RN")], pi=0.5)] * 19, 5)

    assert found.precision == found.hits == TooLittle(19, 20, "traces")
    assert quality_at([], 5).precision == TooLittle(0, 20, "traces")


def test_all_of_use_still_has_an_interval():
    found = quality_at([traces_of([ranked("RRR")])] * 30, 3)

    assert found.precision.value == found.hits.value == 1.0
    assert 0.85 < found.precision.low < 1.0
    assert 0.85 < found.hits.low < 1.0


def test_what_was_judged_in_part_is_left_out_and_counted():
    whole, part = traces_of([ranked("RNRNN")]), traces_of([ranked("R", documents=5)])

    found = quality_at([whole] * 20 + [part] * 4, 5)

    assert (found.precision.n, found.partly) == (20, 4)
    assert quality_at([whole] * 20 + [part] * 4, 1).precision.n == 24
    assert part.reciprocal == Part(1, 1.0)


def test_intervals_cover_the_truth():
    # 400 weeks of 80 traces drawn with two chances; hits of the 200 traces of a week come with .7.
    rng = np.random.default_rng(7)
    n, inside = 400, 0
    hit, miss = ranked("R"), ranked("N")
    for _ in range(n):
        is_hit = rng.random(200) < np.where(np.arange(200) < 50, 0.4, 0.8)
        pis = np.where(np.arange(200) < 50, 1.0, 0.3)
        kept = rng.random(200) < pis
        traces = [traces_of([hit if is_hit[at] else miss], pi=float(pis[at])) for at in np.flatnonzero(kept)]
        found = quality_at(traces, 1).hits
        inside += found.low <= 0.7 <= found.high
    # Of a true 95 % fewer than 368 have probability 3e-3; strata make the interval slightly wide, never narrow.
    assert inside >= 368
