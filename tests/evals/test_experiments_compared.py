"""Comparing experiments: the figures of a hand, pairs of equal items alone, proof that chance does not make."""

from __future__ import annotations

import math
from uuid import uuid4

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from evals import keeping
from evals.keeping import By, NewItem
from evals.models import Dataset, Experiment, ExperimentResult
from evals.read import experiments as read
from evals.read.comparison import NotComparable, compare, worst_first
from tests.evals.judging_kit import YES_NO, make_version

pytestmark = pytest.mark.django_db


@pytest.fixture
def kept(project):
    """Dataset `returns` of 24 items at version 1."""
    keeping.make_dataset(project, "Returns", by=By())
    keeping.put_items(project, "returns", [NewItem(f"k{n:02}", f"Q{n}", f"A{n}") for n in range(24)], by=By())
    return project


def experiment(project, reference=None, *, sent=None, version=1, failed=(), keys=None, metrics=(), **more):
    """A done experiment whose results have these values of metrics and own numbers; its row."""
    dataset = Dataset.objects.get(project=project, slug="returns")
    made = Experiment.objects.create(
        project=project, dataset=dataset, dataset_version=version, name="e", source="posted", state="done",
        metrics=list(metrics or (reference or {})),
    )  # fmt: skip
    names = keys or [f"k{n:02}" for n in range(24)]
    rows = []
    for n, key in enumerate(names):
        measured = {
            "reference": {name: values[n] for name, values in (reference or {}).items() if values[n] is not None},
            "sent": {name: values[n] for name, values in (sent or {}).items()},
        }
        rows.append(ExperimentResult(
            experiment=made, item_key=key, target_id=uuid4(), state="failed" if key in failed else "done", output="x",
            metrics=measured, **{name: values[n] for name, values in more.items()},
        ))  # fmt: skip
    ExperimentResult.objects.bulk_create(rows)
    return read.get_experiment(project.pk, made.pk)


def noise(seed, n=24):
    return np.random.default_rng(seed).uniform(0, 1, n).round(3)


def test_a_mean_is_compared_as_by_hand(kept):
    old, new = noise(1), noise(2)
    a, b = experiment(kept, {"token_f1": list(new)}), experiment(kept, {"token_f1": list(old)})

    [line] = compare(kept.pk, a, b).lines

    gaps = new - old
    error = gaps.std(ddof=1) / math.sqrt(24)
    t = 2.0686576104190406  # 97.5 % of Student's t with 23 degrees of freedom, any table
    assert (line.n, line.measure.key, line.test) == (24, "metric.token_f1", "paired t")
    assert line.difference == pytest.approx(gaps.mean(), abs=1e-9)
    assert line.low == pytest.approx(gaps.mean() - t * error, abs=1e-6)
    assert line.high == pytest.approx(gaps.mean() + t * error, abs=1e-6)
    assert (line.new_mean, line.old_mean) == pytest.approx((new.mean(), old.mean()))
    assert (line.wins, line.losses, line.ties) == (int((gaps > 0).sum()), int((gaps < 0).sum()), 0)


def test_shares_are_compared_by_the_items_that_turned(kept):
    old = [1.0] * 20 + [0.0] * 4
    new = [1.0] * 10 + [0.0] * 10 + [0.0] * 3 + [1.0]
    a, b = experiment(kept, {"exact_match": new}), experiment(kept, {"exact_match": old})

    found = compare(kept.pk, a, b)
    [line] = found.lines

    # McNemar, exact: 1 won, 10 lost; 2 * (1 + 11) / 2^11.
    assert (line.wins, line.losses, line.ties) == (1, 10, 13)
    assert line.p == pytest.approx(2 * 12 / 2**11)
    assert line.difference == pytest.approx(-9 / 24)
    assert line.verdict == "worse"
    assert found.worse == (line,)
    assert compare(kept.pk, b, a).better[0].difference == pytest.approx(9 / 24)


def test_a_difference_that_chance_makes_is_no_proof(kept):
    old = [1.0] * 12 + [0.0] * 12
    new = [1.0] * 10 + [0.0] * 2 + [1.0] + [0.0] * 11
    a, b = experiment(kept, {"exact_match": new}), experiment(kept, {"exact_match": old})

    assert [line.verdict for line in compare(kept.pk, a, b).lines] == ["cannot_tell"]


def test_few_items_prove_nothing(kept):
    keys = [f"k{n:02}" for n in range(9)]
    a = experiment(kept, {"exact_match": [0.0] * 9}, keys=keys)
    b = experiment(kept, {"exact_match": [1.0] * 9}, keys=keys)

    [line] = compare(kept.pk, a, b).lines

    assert (line.n, line.verdict) == (9, "too_little")


def test_many_measures_do_not_make_proof_of_chance(kept):
    """A difference that one measure alone would prove is none among eight that say nothing."""
    old, names = noise(3), ["token_f1", "rouge1", "rouge2", "rougeL", "bleu", "chrf", "contains", "exact_match"]
    gap = np.random.default_rng(5).normal(0, 0.1, 24)
    gap = gap - gap.mean() - 2.3 * gap.std(ddof=1) / math.sqrt(24)
    flat = [1.0] * 24
    many = dict.fromkeys(names, flat) | {"token_f1": list(old + gap)}
    before = dict.fromkeys(names, flat) | {"token_f1": list(old)}
    a, b = experiment(kept, many), experiment(kept, before)

    together = compare(kept.pk, a, b)
    alone = compare(kept.pk, a, b, on=["metric.token_f1"])

    assert together.line("metric.token_f1").level_each == pytest.approx(1 - 0.05 / 8)
    assert [line.verdict for line in together.lines] == ["cannot_tell"] * 8
    assert [line.verdict for line in alone.lines] == ["worse"]
    assert together.line("metric.token_f1").low == alone.line("metric.token_f1").low


def test_an_edited_item_and_a_missing_one_are_in_no_pair(kept):
    keeping.put_items(kept, "returns", [NewItem("k00", "Other", "A0")], by=By())
    keeping.put_items(kept, "returns", [NewItem("k01", "Other", "A1")], by=By())
    keeping.put_items(kept, "returns", [NewItem("k01", "Q1", "A1")], by=By())
    every = [f"k{n:02}" for n in range(24)]
    a = experiment(kept, {"token_f1": list(noise(1, 23))}, version=4, keys=every[:-1])
    b = experiment(kept, {"token_f1": list(noise(2, 23))}, version=1, keys=[*every[:2], *every[3:]])

    found = compare(kept.pk, a, b)

    left = found.left_out
    assert (found.pairs, left.edited, left.only_new, left.only_old) == (21, 1, 1, 1)


def test_items_that_fail_are_told_as_a_measure_of_their_own(kept):
    old, new = list(noise(1)), list(noise(1))
    failed = {f"k{n:02}" for n in range(8)}
    for n in range(8):
        new[n] = None
    a, b = experiment(kept, {"token_f1": new}, failed=failed), experiment(kept, {"token_f1": old})

    found = compare(kept.pk, a, b)

    assert [(line.measure.key, line.n, line.verdict) for line in found.lines] == [
        ("answered", 24, "worse"), ("metric.token_f1", 16, "cannot_tell"),
    ]  # fmt: skip


def test_latency_and_cost_are_shown_and_decide_nothing_unless_asked(kept):
    slow, quick = list(noise(1) + 10), list(noise(2))
    a = experiment(kept, {"token_f1": list(noise(3))}, latency_ms=slow)
    b = experiment(kept, {"token_f1": list(noise(3))}, latency_ms=quick)

    shown, asked = compare(kept.pk, a, b), compare(kept.pk, a, b, on=["latency_ms"])

    assert shown.line("latency_ms").verdict == "worse"
    assert shown.worse == ()
    assert [line.measure.key for line in asked.worse] == ["latency_ms"]


def test_a_margin_is_what_must_be_exceeded(kept):
    a, b = experiment(kept, sent={"mine": [3.0] * 23 + [2.9]}), experiment(kept, sent={"mine": [3.2] * 24})

    assert compare(kept.pk, a, b).lines[0].verdict == "worse"
    assert compare(kept.pk, a, b, margin=0.5).lines[0].verdict == "cannot_tell"


def test_items_come_worst_first(kept):
    a = experiment(kept, {"token_f1": [n / 100 for n in range(24)]})
    b = experiment(kept, {"token_f1": [0.5] * 24})
    found = compare(kept.pk, a, b)

    moved = worst_first(found.lines[0], found.moved["metric.token_f1"])

    assert [each.key for each in moved[:3]] == ["k00", "k01", "k02"]
    assert moved[0].change == pytest.approx(-0.5)


def test_experiments_without_common_ground_are_refused(kept):
    a = experiment(kept, {"token_f1": list(noise(1))})
    keeping.make_dataset(kept, "Other", by=By())
    other = Experiment.objects.create(
        project=kept, dataset=Dataset.objects.get(slug="other"), dataset_version=1, name="o", source="posted",
        state="done",
    )  # fmt: skip

    for b, words in ((a, "itself"), (read.get_experiment(kept.pk, other.pk), "different datasets")):
        with pytest.raises(NotComparable, match=words):
            compare(kept.pk, a, b)
    with pytest.raises(NotComparable, match=r"There is no metric\.bleu in both"):
        compare(kept.pk, a, experiment(kept, {"token_f1": list(noise(2))}), on=["metric.bleu"])


def test_scores_of_different_judge_versions_are_not_compared(kept):
    old, new = (make_version(kept, "rule", slug="short", rubric=YES_NO, number=n) for n in (1, 2))
    a, b = experiment(kept), experiment(kept)
    for row, version in ((a, new), (b, old)):
        Experiment.objects.get(pk=row.id).judge_versions.add(version)
    a, b = read.get_experiment(kept.pk, a.id), read.get_experiment(kept.pk, b.id)

    found = compare(kept.pk, a, b)

    assert found.lines == ()
    assert found.unlike == ("Short: v2 judged the new one, v1 the old one",)


def test_a_comparison_takes_the_same_queries_however_many_items(kept):
    def queries(keys):
        a = experiment(kept, {"token_f1": list(noise(1, len(keys)))}, keys=keys)
        b = experiment(kept, {"token_f1": list(noise(2, len(keys)))}, keys=keys)
        with CaptureQueriesContext(
            connection,
        ) as caught:
            compare(kept.pk, a, b)
        return len(caught)

    every = [f"k{n:02}" for n in range(24)]
    assert queries(every) == queries(every[:3])


def test_over_many_pairs_without_a_difference_few_are_told_apart(kept):
    """400 comparisons of two equal systems over three measures: at most 5 % may find anything (binomial, 1e-4)."""
    from evals.read.comparison import Measure, Moved, _line

    random, wrong = np.random.default_rng(20261121), 0
    measures = [Measure(f"m{n}", "", "sent") for n in range(3)]
    for _ in range(400):
        told = []
        for measure in measures:
            new, old = random.integers(1, 6, 40), random.integers(1, 6, 40)
            moved = [
                Moved(str(i), float(x), float(y), None, None) for i, (x, y) in enumerate(zip(new, old, strict=True))
            ]
            told.append(_line(measure, moved, 1 - 0.05 / 3, 0.95, 0.0).verdict)
        wrong += any(verdict != "cannot_tell" for verdict in told)

    assert wrong <= 38  # 400 draws at 5 %: above 37 in fewer than one run in ten thousand
