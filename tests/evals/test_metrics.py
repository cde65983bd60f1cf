"""Reference metrics: worked by hand, as published, and as the libraries they stand for."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu import corpus_bleu, sentence_bleu, sentence_chrf
from scipy.stats import mannwhitneyu

from evals.metrics import METRICS, measure, wholes
from evals.metrics import numbers as num
from evals.metrics import texts as txt

WORDS = st.text("abc ,.", max_size=40)


@pytest.mark.parametrize(
    ("answer", "expected", "same"),
    [
        ("The Eiffel Tower.", "eiffel tower", 1.0),
        ("an apple", "Apple!", 1.0),
        ("apples", "apple", 0.0),
        ("", "", 1.0),
        ("the", "", 1.0),
        ("３", "3", 1.0),  # full width: one form by NFKC
    ],
)
def test_exact_match_is_blind_to_case_punctuation_and_articles(answer, expected, same):
    assert txt.exact_match(answer, expected) == same


def test_token_f1_is_as_worked_by_hand():
    # Words in common: cat, sat, on, mat: 4 of 6 answered and of 5 expected, articles gone.
    assert txt.token_f1("The black cat sat on my mat", "a cat sat on the red mat") == pytest.approx(2 * 4 / (6 + 5))
    assert txt.token_f1("yes yes", "yes") == pytest.approx(2 / 3)  # a word counts as often as both have it
    assert (txt.token_f1("", "x"), txt.token_f1("x", ""), txt.token_f1("", "")) == (0, 0, 1)


def test_rouge_is_as_in_lins_example():
    # Lin 2004, section 3: S1 "police killed the gunman"; S2 "police kill the gunman"; S3 "the gunman kill police".
    reference = "police killed the gunman"

    assert txt.rouge_l("police kill the gunman", reference) == pytest.approx(3 / 4)
    assert txt.rouge_l("the gunman kill police", reference) == pytest.approx(2 / 4)
    # ROUGE-2 of both is the same there: one pair, "the gunman", of three.
    assert txt.rouge_n("police kill the gunman", reference, 2) == pytest.approx(1 / 3)
    assert txt.rouge_n("the gunman kill police", reference, 2) == pytest.approx(1 / 3)


def test_rouge_is_as_in_the_readme_of_rouge_score():
    # github.com/google-research/google-research, rouge: the example of its README, F-measures without stemming.
    answer, reference = "The quick brown dog jumps on the log.", "The quick brown fox jumps over the lazy dog"

    assert txt.rouge_n(answer, reference, 1) == pytest.approx(2 * 6 / (8 + 9))
    assert txt.rouge_l(answer, reference) == pytest.approx(2 * 5 / (8 + 9))


def common(a, b):
    """The longest common subsequence by the textbook's table."""
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            table[i + 1][j + 1] = table[i][j] + 1 if x == y else max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]


@given(st.lists(st.sampled_from("abcd"), max_size=30), st.lists(st.sampled_from("abcd"), max_size=30))
def test_the_common_run_of_words_is_that_of_the_textbook(a, b):
    n = common(a, b)

    assert txt.rouge_l(" ".join(a), " ".join(b)) == pytest.approx(2 * n / (len(a) + len(b)) if n else 0)


@given(WORDS, WORDS)
def test_metrics_of_texts_lie_within_their_bounds(answer, expected):
    for name, metric in METRICS.items():
        if metric.is_share:
            value = measure([name], answer, expected)[name]
            assert 0 <= value <= 1, name
            assert not metric.is_binary or value in (0, 1)


def test_bleu_and_chrf_are_those_of_sacrebleu():
    answers = ["the cat sat on the mat", "it opens at nine"]
    wanted = ["the cat is on the mat", "we open at nine every day"]

    for answer, expected in zip(answers, wanted, strict=True):
        assert txt.bleu(answer, expected) == pytest.approx(sentence_bleu(answer, [expected]).score / 100)
        assert txt.chrf(answer, expected) == pytest.approx(sentence_chrf(answer, [expected]).score / 100)
    assert txt.corpus_bleu(answers, wanted) == pytest.approx(corpus_bleu(answers, [wanted]).score / 100)
    assert txt.corpus_bleu([], []) is None


def test_labels_are_measured_as_in_the_documentation_of_scikit_learn():
    # precision_score, recall_score and f1_score: y_true 0 1 2 0 1 2, y_pred 0 2 1 0 0 1, macro: .22, .33, .26.
    found = num.labels_of(list("021001"), list("012012"))

    assert (found.n, found.how) == (6, "macro")
    assert (found.precision, found.recall, found.f1) == pytest.approx((2 / 9, 1 / 3, 4 / 15))
    # accuracy_score: y_pred 0 2 1 3, y_true 0 1 2 3 is .5.
    assert num.labels_of(list("0213"), list("0123")).accuracy == 0.5


def test_of_yes_and_no_the_figures_are_those_of_yes():
    # 2 hits, 1 false alarm, 1 miss, 1 rightly no.
    found = num.labels_of(["Yes", "yes.", "yes", "no", "NO"], ["yes", "yes", "no", "yes", "no"])

    assert (found.how, found.accuracy) == ("yes", 3 / 5)
    assert (found.precision, found.recall, found.f1) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert num.labels_of([], []) is None


def test_auc_is_as_in_the_documentation_of_scikit_learn():
    # roc_auc_score: y_true 0 0 1 1, scores .1 .4 .35 .8 is .75.
    assert num.auc([0.1, 0.4, 0.35, 0.8], [False, False, True, True]) == pytest.approx(0.75)
    assert num.auc([1, 1], [True, False]) == 0.5
    assert num.auc([1, 2], [True, True]) is None


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40))
def test_auc_is_the_statistic_of_mann_and_whitney(rows):
    ones, others = ([float(x) for x, hit in rows if hit == kind] for kind in (True, False))
    found = num.auc([float(x) for x, _ in rows], [hit for _, hit in rows])

    if not ones or not others:
        assert found is None
    else:
        assert found == pytest.approx(mannwhitneyu(ones, others).statistic / (len(ones) * len(others)))


def test_rmse_is_as_in_the_documentation_of_scikit_learn():
    # root_mean_squared_error: y_true 3 -.5 2 7, y_pred 2.5 0 2 8 is .612.
    assert num.rmse([2.5, 0.0, 2, 8], [3, -0.5, 2, 7]) == pytest.approx(math.sqrt(0.375))
    assert num.rmse([], []) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [("12", 12), (" -0.5 ", -0.5), ("1e3", 1000), ("95 %", 95), ("1,200", 1200), ("nan", None), ("inf", None),
     ("about 3", None), ("", None), ("9" * 50, None)],
)  # fmt: skip
def test_a_number_is_read_where_the_text_is_one(text, value):
    assert num.number_of(text) == value


def test_nothing_expected_is_nothing_measured():
    assert measure(list(METRICS), "x", None) == {}
    assert wholes(list(METRICS), [("x", None)]) == []
    assert "squared_error" not in measure(["squared_error"], "seven", "7")


def test_figures_of_all_results_together():
    pairs = [("0.9", "yes"), ("0.2", "no"), ("0.6", "no"), ("0.7", "yes")]
    auc = {whole.name: whole for whole in wholes(["label"], pairs)}["auc"]
    error = {whole.name: whole for whole in wholes(["squared_error"], [("2.5", "3"), ("x", "1"), ("0", "-0.5")])}

    assert (auc.value, auc.n) == (1.0, 4)
    assert error["rmse"].value == pytest.approx(0.5)
    assert (error["rmse"].n, error["rmse"].note) == (2, "1 left out: no number")


@pytest.mark.parametrize("value", [None, "", 0, True, [], {}, {"x": None}, [{"role": "user"}], "\ud800", "x" * 100_000])
def test_whatever_a_system_answered_is_measured(value):
    for metric, found in measure(list(METRICS), value, "a b").items():
        assert np.isfinite(found), metric
