"""Pairs: whose labels count, what people come to, which chance each had; against SQL and numpy written apart."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from evals.read import pairs
from evals.read.calibration import Scope
from evals.read.pairs import Rating, load_pairs, settle
from evals.rubrics import Scale, parse_rubric
from tests.evals.calibration_rows import (
    add_judge_score,
    add_judgement,
    add_label,
    make_rubric,
    make_version,
    spec,
    trace_of,
)

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 12, 12, tzinfo=UTC)


@pytest.fixture
def version(project):
    return make_version(project)


def criterion_of(version, key="correctness"):
    return parse_rubric(version.rubric_version.spec).criterion(key)


def load(project, version, scope=None):
    found = criterion_of(version)
    return load_pairs(project.pk, version.pk, found, scope or Scope())


def test_pairs_are_those_that_plain_sql_finds(project, version):
    rng = np.random.default_rng(7)
    for n in range(60):
        for by in ("ann", "ben", "cat")[: rng.integers(1, 4)]:
            at = NOON + timedelta(minutes=int(rng.integers(0, 600)))
            add_label(project, version.rubric_version, trace_of(n), int(rng.integers(1, 6)), by=by, at=at)
        if n % 5:
            add_judge_score(project, version, trace_of(n), int(rng.integers(1, 6)))

    found = load(project, version)

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.trace_id, array_agg(p.number ORDER BY p.updated_at, p.author), max(j.number) FROM evals_score p"
            " JOIN evals_score j ON j.trace_id = p.trace_id AND j.source = 1 WHERE p.source = 2 GROUP BY 1 ORDER BY 1"
        )
        rows = cursor.fetchall()
    expected = []
    for trace_id, numbers, judged in rows:
        middle = np.median(numbers)
        low, high = np.quantile(numbers, 0.5, method="lower"), np.quantile(numbers, 0.5, method="higher")
        person = middle if low == high else (low if abs(numbers[0] - low) <= abs(numbers[0] - high) else high)
        expected.append((trace_id, int(person) - 1, int(judged) - 1))
    assert [(pair.trace_id, pair.person, pair.judge) for pair in found.judged] == expected
    assert len(found.labelled) == 60
    assert found.left_out[pairs.UNJUDGED] == 12


def test_only_blind_labels_by_the_same_wording_and_on_the_scale_count(project, version):
    other = make_rubric(project, spec(definition="Another wording of it all."), number=2)
    same = make_rubric(project, spec("correctness", "tone"), number=3)
    for n in range(7):
        add_judge_score(project, version, trace_of(n), 4)
    rubric = version.rubric_version
    add_label(project, rubric, trace_of(0), 4)
    add_label(project, rubric, trace_of(1), 4, blind=False)
    add_label(project, rubric, trace_of(2), 4, undone=True)
    add_label(project, rubric, trace_of(3), 4, skip=True)
    add_label(project, other, trace_of(4), 4)
    add_label(project, same, trace_of(5), 4)
    add_label(project, rubric, trace_of(6), 7)

    found = load(project, version)

    assert [pair.trace_id for pair in found.judged] == [trace_of(0), trace_of(5)]
    assert found.left_out == {pairs.NOT_BLIND: 1, pairs.OTHER_WORDING: 1, pairs.OFF_SCALE: 1}


def test_repeats_and_probes_are_no_scores_of_the_target(project, version):
    add_label(project, version.rubric_version, trace_of(0), 2)
    probe = add_judgement(project, version, trace_of(0), repeat=1, purpose=5)
    add_judge_score(project, version, trace_of(0), 5, judgement=probe)

    assert load(project, version).judged == ()

    real = add_judgement(project, version, trace_of(0), feature="returns", model="large-1")
    add_judge_score(project, version, trace_of(0), 3, judgement=real)

    (pair,) = load(project, version).judged
    assert (pair.judge, pair.feature, pair.model) == (2, "returns", "large-1")


def test_another_version_of_the_judge_has_pairs_of_its_own(project, version):
    newer = make_version(project, version.rubric_version, number=2, is_live=False)
    add_label(project, version.rubric_version, trace_of(0), 2)
    add_judge_score(project, version, trace_of(0), 2)

    assert len(load(project, version).judged) == 1
    assert load(project, newer).judged == ()


def test_an_adjudication_settles_even_when_it_saw_the_judge(project, version):
    rubric = version.rubric_version
    add_judge_score(project, version, trace_of(0), 5)
    add_label(project, rubric, trace_of(0), 1, by="ann")
    add_label(project, rubric, trace_of(0), 5, by="ben")
    add_label(project, rubric, trace_of(0), 2, by="cat", adjudication=True, blind=False)

    (pair,) = load(project, version).judged

    assert pair.person == 1
    assert [rating.reviewer for rating in pair.blind] == ["ann", "ben"]


@pytest.mark.parametrize(
    ("levels", "is_ordered", "expected"),
    [
        ([2], True, 2),
        ([0, 4, 1], True, 1),
        ([1, 3], True, 1),
        ([3, 1], True, 3),
        ([0, 1, 3, 4], True, 1),
        ([4, 3, 1, 0], True, 3),
        ([2, 2, 0], False, 2),
        ([1, 0], False, 1),
        ([1, 0, 0, 2], False, 0),
    ],
)
def test_what_people_come_to(levels, is_ordered, expected):
    ratings = [Rating(f"r{n}", level, NOON + timedelta(minutes=n)) for n, level in enumerate(levels)]

    assert settle(ratings, is_ordered) == expected


@pytest.mark.parametrize(
    ("scale", "number", "label", "level"),
    [
        (Scale.points(1, 5), 5.0, None, 4),
        (Scale.points(1, 5), 4.5, None, None),
        (Scale.points(1, 5), 0.0, None, None),
        (Scale.points(1, 5), float("nan"), None, None),
        (Scale.points(1, 5), float("inf"), None, None),
        (Scale.yes_no(), 1.0, None, 1),
        (Scale.of_labels("bad", "fair", "good"), 3.0, None, 2),
        (Scale.of_labels("bad", "fair", "good"), None, "fair", 1),
        (Scale.of_labels("a", "b", is_ordered=False), None, "b", 1),
        (Scale.of_labels("a", "b", is_ordered=False), 1.0, None, None),
        (Scale.of_labels("a", "b", is_ordered=False), None, "c", None),
    ],
)
def test_levels_of_scores(scale, number, label, level):
    assert pairs.level_of(scale, number, label) == level


def test_drawn_answers_are_weighted_and_those_picked_by_hand_left_out(project, version):
    rubric = version.rubric_version
    for n in range(40):
        add_judge_score(project, version, trace_of(n), 3)
        drawn = {"pi_judge": 0.5, "pi_review": 0.2} if n < 32 else {}
        add_label(project, rubric, trace_of(n), 3, **drawn)

    found = load(project, version)

    assert len(found.used) == 32
    assert {pair.pi for pair in found.used} == {0.1}
    assert found.is_weighted
    assert found.left_out[pairs.BY_HAND] == 8


def test_few_drawn_answers_count_alike_with_the_others(project, version):
    for n in range(10):
        add_judge_score(project, version, trace_of(n), 3)
        add_label(project, version.rubric_version, trace_of(n), 3, **({"pi_judge": 1, "pi_review": 1} if n < 5 else {}))

    found = load(project, version)

    assert len(found.used) == 10
    assert not found.is_weighted


def test_a_scope_keeps_to_its_part(project, version):
    for n, feature in enumerate(("returns", "returns", "search")):
        row = add_judgement(project, version, trace_of(n), feature=feature, model="m", prompt_version="v1")
        add_judge_score(project, version, trace_of(n), 3, judgement=row)
        add_label(project, version.rubric_version, trace_of(n), 3)

    assert len(load(project, version, Scope(feature="returns")).judged) == 2
    assert len(load(project, version, Scope(feature="returns", model="m", prompt_version="v1")).judged) == 2
    assert len(load(project, version, Scope(feature="search", model="other")).judged) == 0


def test_labels_of_another_project_stay_there(project, charlie, version):
    from telltale.projects.models import Project

    far = Project.objects.get(slug="far")
    theirs = make_version(far)
    add_label(far, theirs.rubric_version, trace_of(0), 1)
    add_judge_score(far, theirs, trace_of(0), 1)
    add_judge_score(project, version, trace_of(0), 5)

    assert load(project, version).labelled == ()


def test_pairs_take_the_same_queries_however_many(project, version):
    def queries():
        with CaptureQueriesContext(connection) as found:
            load(project, version)
        return len(found)

    add_label(project, version.rubric_version, trace_of(0), 3)
    few = queries()
    for n in range(1, 30):
        add_label(project, version.rubric_version, trace_of(n), 3)
        add_judge_score(project, version, trace_of(n), 3)

    assert queries() == few
