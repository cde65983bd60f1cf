"""Judging is never in the way of ingest: no row of this room is touched, whatever judges do."""

from __future__ import annotations

from uuid import uuid4

import orjson
import psycopg
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from evals import drawing
from evals.judging import context, judge_rules
from evals.write.age import ROWS
from telltale.lib import clock
from tests.conftest import database_url
from tests.evals.judging_kit import LENGTH_RULE, YES_NO, make_plan, make_version, sql, states
from traces import changes
from traces.ingest.rules import forget as forget_rules


@pytest.fixture(autouse=True)
def fresh():
    forget_rules()
    context.forget()
    yield
    forget_rules()


@pytest.fixture
def post(client, key):
    def posted(n=1):
        traces = [
            {
                "trace_id": uuid4().hex, "name": "chat", "kind": "generation", "model": "gpt-4o-mini",
                "start": clock.now().isoformat(), "duration_ms": 900, "input": "When?", "output": "At nine.",
            }
            for _ in range(n)
        ]  # fmt: skip
        headers = {"Authorization": f"Bearer {key.secret}"}
        answer = client.post("/api/v1/traces", orjson.dumps(traces), "application/json", headers=headers)
        assert answer.status_code == 200, answer.content
        assert answer.json()["stored"] == n

    return posted


def watched(project):
    """A judge that scores every trace of the project."""
    version = make_version(project, "rule", config=LENGTH_RULE, rubric=YES_NO)
    make_plan(version, {"kind": "all"})
    changes.watch(project.pk)
    forget_rules()
    return version


@pytest.mark.django_db(transaction=True)
def test_spans_are_stored_while_every_table_of_judging_is_locked(committed_db, project, post):
    watched(project)
    # As long as a draw, a backfill or a migration might ever hold them, and longer.
    tables = [*ROWS, "evals_judge", "evals_judgeversion", "evals_samplingplan", "evals_connection", "evals_spendday"]
    with psycopg.connect(database_url()) as holder:
        holder.execute(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE")
        sql("SELECT set_config('lock_timeout', '2s', false)")
        try:
            post(20)
        finally:
            sql("SELECT set_config('lock_timeout', '0', false)")
        holder.rollback()

    # And what came meanwhile is judged afterwards.
    assert drawing.take_told(project.pk) == 20
    sql("UPDATE evals_candidate SET due_at = now() - interval '1 second' RETURNING 1")
    assert drawing.draw_due(project.pk) == (20, 20)
    assert judge_rules(10) == 20
    assert states(project) == {"scored": 20}


@pytest.mark.django_db
def test_a_judge_costs_a_request_one_row_of_the_feed_and_no_statement_for_each_trace(project, post):
    def statements(n):
        with CaptureQueriesContext(connection) as asked:
            post(n)
        return len(asked)

    post()
    before = statements(5)
    watched(project)
    post()

    assert statements(5) - before <= 1
    assert statements(50) - before <= 1
    assert sql("SELECT count(*) FROM evals_judgement") == sql("SELECT count(*) FROM evals_candidate") == [(0,)]


@pytest.mark.django_db
def test_a_project_without_a_judge_tells_the_feed_nothing(project, post):
    post(5)

    assert changes.open_projects() == []
