"""A project that goes takes the rows of evals along; what is past its days goes, experiments and sums stay."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection

from evals import erasing, tasks
from evals.write import age
from telltale.accounts.models import Organisation
from telltale.lib import clock
from telltale.projects import keeping
from telltale.projects.models import Project, RetentionDay

pytestmark = pytest.mark.django_db


@pytest.fixture
def projects():
    organisation = Organisation.objects.create(name="Shop Ltd", slug="shop-ltd")
    return [
        Project.objects.create(organisation=organisation, name=name, slug=name, retention_days=30, score_days=90)
        for name in ("shop", "elsewhere")
    ]


def add_rows(project, days_ago, *, target_kind=1, state="failed"):
    at, target = clock.now() - timedelta(days=days_ago), uuid4()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO evals_decision"
            " (project_id, trace_id, plan_id, decided_at, started_at, draw, pi, pi_first, rule, is_taken)"
            " VALUES (%s, %s, 1, %s, %s, 0.1, 0.5, 0.5, 'share', true)",
            [project.pk, target, at, at],
        )
        cursor.execute(
            "INSERT INTO evals_judgement (project_id, judgement_id, judge_id, judge_version_id, target_kind, target_id,"
            " purpose, state, next_at, made_at, started_at) VALUES (%s, %s, 1, 1, %s, %s, 1, %s, %s, %s, %s)",
            [project.pk, target.int >> 66, target_kind, target, state, at, at, at],
        )
        cursor.execute(
            "INSERT INTO evals_score (project_id, score_id, source, target_kind, trace_id, started_at, name, data_type,"
            " number, made_at, updated_at) VALUES (%s, %s, 1, %s, %s, %s, 'tone', 1, 4, %s, %s)",
            [project.pk, target.int >> 66, target_kind, target, at, at, at],
        )


def count(table, project):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table} WHERE project_id = %s", [project.pk])
        return cursor.fetchone()[0]


def test_every_table_of_rows_is_named():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.columns WHERE column_name = 'project_id'"
            " AND table_schema = 'public' AND table_name LIKE 'evals_%%' AND data_type = 'integer'"
        )
        found = {row[0] for row in cursor.fetchall()}

    assert found == set(age.ROWS)


def test_a_project_that_goes_takes_its_rows_along(projects):
    shop, elsewhere = projects
    for project in projects:
        add_rows(project, 1)

    assert list(erasing.erase_project(shop.pk)) == [1, 2, 3]

    assert [count(table, shop) for table in ("evals_decision", "evals_judgement", "evals_score")] == [0, 0, 0]
    assert [count(table, elsewhere) for table in ("evals_decision", "evals_judgement", "evals_score")] == [1, 1, 1]


def test_what_is_past_its_days_goes_and_experiments_stay(projects):
    shop, _ = projects
    add_rows(shop, 91)
    add_rows(shop, 89)
    add_rows(shop, 300, target_kind=4)

    removed = erasing.sweep_old()

    # The decision of 300 days ago is no experiment's.
    assert removed == 4
    assert [count(table, shop) for table in ("evals_decision", "evals_judgement", "evals_score")] == [1, 2, 2]
    assert erasing.sweep_old() == 0


def test_what_is_still_to_be_judged_stays_until_it_ended(projects):
    shop, _ = projects
    add_rows(shop, 91, state="pending")

    erasing.sweep_old()

    assert [count(table, shop) for table in ("evals_decision", "evals_judgement", "evals_score")] == [0, 1, 0]


def test_a_sweep_is_bounded(projects):
    shop, _ = projects
    for _ in range(3):
        add_rows(shop, 91)

    assert erasing.sweep_old(slices=1) == 3
    assert count("evals_score", shop) == 3


def test_the_hourly_task_removes_what_is_past_its_days(projects, settings):
    shop, elsewhere = projects
    elsewhere.score_days = 300
    elsewhere.save()
    for project in projects:
        add_rows(project, 91)
    task = settings.CELERY_BEAT_SCHEDULE["evals.sweep_retention"]

    assert (task["task"], task["schedule"]) == (tasks.sweep_retention.name, 3600.0)
    assert tasks.sweep_retention() == 3
    assert [count(table, shop) for table in ("evals_decision", "evals_judgement", "evals_score")] == [0, 0, 0]
    assert [count(table, elsewhere) for table in ("evals_decision", "evals_judgement", "evals_score")] == [1, 1, 1]


def test_scores_outlive_their_traces_and_go_by_days_of_their_own(projects):
    shop, _ = projects
    add_rows(shop, 60)

    assert erasing.sweep_old() == 0

    assert count("evals_score", shop) == 1
    proof = RetentionDay.objects.get(project=shop, kind=keeping.SCORES)
    assert (proof.runs, proof.rows, proof.is_done) == (1, 0, True)
    assert proof.oldest_at is not None
    assert not keeping.is_overdue(proof)
