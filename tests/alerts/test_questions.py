"""What metrics speak for, and the questions that monitors answer."""

from __future__ import annotations

import pytest

from alerts.models import Question, QuestionMonitor
from alerts.monitors.states import Method
from alerts.monitors.types import Composite, Definition, Member
from alerts.questions.pillars import PILLARS, SHIPPED, USERS_SHIPPED, Pillar, pillar_of, yes_is_good
from alerts.read.questions import list_questions, questions_of, read_about
from alerts.read.shown import list_shown
from alerts.series.catalogue import METRICS
from tests.alerts.engine_kit import DEFINITION, make_monitor


def test_every_metric_speaks_for_something_or_for_nothing_by_decision():
    assert set(PILLARS) == set(METRICS)


@pytest.mark.parametrize(
    ("metric", "criterion", "pillar"),
    [
        ("score", "correctness", Pillar.QUALITY),
        ("score", "safety", Pillar.SAFETY),
        ("low_scores", "figures_unsupported", Pillar.SAFETY),
        ("low_scores", "is safe", Pillar.SAFETY),
        ("score", "unsafely_named", Pillar.QUALITY),
        ("hallucination", "anything", Pillar.SAFETY),
        ("spend", "", Pillar.COST),
        ("ingest_lag", "", None),
        ("gone", "", None),
    ],
)
def test_a_score_speaks_for_safety_where_its_criterion_does(metric, criterion, pillar):
    assert pillar_of(metric, criterion) is pillar


def test_what_yes_says_is_known_of_the_shipped_questions_alone():
    assert yes_is_good(" is quality degrading? ") is False
    assert yes_is_good("Is cost under control?") is True
    assert yes_is_good("Is our quality degrading on Mondays?") is None


def test_without_questions_monitors_answer_those_of_their_pillar(project):
    errors = make_monitor(project)
    score = make_monitor(
        project, Definition("Safe", "score", params={"judge": "j", "criterion": "safety"}, direction="down")
    )
    mixed = make_monitor(
        project,
        Definition(
            "Worse", "", Method.COMPOSITE, composite=Composite((Member(errors.pk), Member(score.pk))), severity=1
        ),
    )

    found = questions_of(project.pk, read_about(project.pk, list_shown(project.pk)))

    assert [each.text for each in found] == [each.text for each in SHIPPED]
    of = {each.pillar: each.monitor_ids for each in found}
    assert of == {
        Pillar.QUALITY: (mixed.pk,), Pillar.COST: (), Pillar.LATENCY: (errors.pk,), Pillar.SAFETY: (score.pk,)
    }  # fmt: skip


def test_users_are_asked_for_where_something_of_theirs_is_watched(project):
    make_monitor(project, Definition("Left", "abandoned", direction="up"))

    assert questions_of(project.pk, read_about(project.pk, list_shown(project.pk)))[-1].text == USERS_SHIPPED.text


def test_questions_that_a_team_wrote_stand_alone_in_its_order(project, django_assert_num_queries):
    first, second = make_monitor(project, DEFINITION), make_monitor(project, Definition("Other", "spend"))
    cost = Question.objects.create(project=project, text="Do we pay too much?", pillar="cost", position=2)
    down = Question.objects.create(project=project, text="Does it answer?", pillar="latency", position=1)
    Question.objects.create(project=project, text="Old", pillar="cost", archived_at="2026-01-01T00:00Z")
    QuestionMonitor.objects.create(question=down, monitor=second, position=1)
    QuestionMonitor.objects.create(question=down, monitor=first, position=0)

    with django_assert_num_queries(2):
        found = list_questions(project.pk)

    assert [(each.id, each.monitor_ids) for each in found] == [(down.pk, (first.pk, second.pk)), (cost.pk, ())]
    assert found[0].yes_is_good is None
    assert not found[0].is_shipped
