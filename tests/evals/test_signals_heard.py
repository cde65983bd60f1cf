"""What end users tell by signals reaches drawing and review queues; scores that are their word become signals."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import orjson
import pytest
from django.db import connection
from django.test import Client

from evals import drawing, scoring
from evals.models import ReviewItem
from evals.read.signals import signals_of
from evals.reviewing import filling
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from tests.evals.judging_kit import LENGTH_RULE, YES_NO, draw, make_plan, make_version, sql, store_traces
from tests.evals.review_rows import make_queue, make_rubric, send_traces
from traces import signalling
from traces.ingest.rules import forget as forget_rules
from traces.read.signals import SignalFilter, list_signals
from traces.signalling import Sender, put_signals
from traces.write import signals as write

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh():
    forget_rules()
    signalling.forget()
    yield
    forget_rules()


def say(project, name, trace_id, **more):
    (result,) = put_signals(project.pk, [{"name": name, "trace_id": trace_id.hex} | more], Sender())
    assert result.status != "rejected", result.faults
    return result


def bind(project, *trace_ids):
    with raw_cursor() as cursor:
        return write.bind(cursor, project.pk, trace_ids)


def error_driven(project):
    version = make_version(project, "rule", slug="length", config=LENGTH_RULE, rubric=YES_NO)
    make_plan(version, {"kind": "errors", "signals": ["thumb_down"], "share": 1, "rest": 0}, salt="salt")


def stored(project):
    return sql(
        "SELECT client_id, name, kind, vote, author, comment FROM traces_signal WHERE project_id = %s"
        " ORDER BY signal_id", project.pk
    )  # fmt: skip


def test_a_thumb_down_by_signal_draws_a_trace_a_second_time_whichever_comes_first(project):
    error_driven(project)
    before, after, up, early = *store_traces(project, 3), uuid4()
    say(project, "thumbs_down", before)
    say(project, "thumbs_down", early)
    assert draw(project, [before, after, up]) == 1

    say(project, "thumbs_down", after)
    say(project, "thumbs_up", up)
    store_traces(project, 1, trace_id=early.hex)
    bind(project, early)

    waiting = {row[0] for row in sql("SELECT trace_id FROM evals_candidate WHERE project_id = %s", project.pk)}
    assert waiting == {after, early}
    assert drawing.draw_due(project.pk, clock.now() + timedelta(minutes=10)) == (2, 2)
    assert set(signals_of(project.pk, [before, after, up, early])) == {before, after, early}


def test_a_thumb_down_by_signal_waits_in_review_queues_that_want_it(project):
    make_rubric(project)
    queue = make_queue(project, "Thumbs", kind="rules", config={"rules": ["thumbs_down"]})
    down, up, both, back = send_traces(project, 4)
    say(project, "thumbs_down", down)
    say(project, "thumbs_up", up)
    say(project, "user_feedback", both, value=0, client_id="a", span_id="a1" * 8)
    say(project, "thumbs_down", back, client_id="b")
    say(project, "thumbs_up", back, client_id="b")
    early = UUID(int=99)
    say(project, "👎", early)

    assert filling.fill() == 2
    send_traces(project, 1, first=99)
    bind(project, early)
    assert filling.fill() == 1
    assert filling.fill() == 0

    items = ReviewItem.objects.filter(queue_id=queue.id)
    assert {item.trace_id for item in items} == {down, both, early}
    names = ("thumbs_down", "user_feedback", "👎")
    assert {item.reason for item in items} == {f"thumbs-down ({name})" for name in names}
    assert sql("SELECT count(*) FROM evals_told_signal") == [(0,)]


def test_queues_of_another_name_and_new_queues_find_their_signals_too(project):
    make_rubric(project)
    two, three, down = send_traces(project, 3)
    for trace_id, stars in ((two, 2), (three, 3)):
        say(project, "stars", trace_id, value=stars)
    say(project, "thumbs_down", down)
    config = {"rules": ["thumbs_down"], "feedback": "stars", "feedback_at_most": 2}

    make_queue(project, "Stars", kind="rules", config=config)
    make_queue(project, "Thumbs", kind="rules", config={"rules": ["thumbs_down"]})
    assert {item.trace_id for item in ReviewItem.objects.all()} == {two, down}
    say(project, "stars", three, value=1)

    assert filling.fill() == 1
    assert {item.trace_id for item in ReviewItem.objects.all()} == {two, three, down}


def test_a_signal_with_the_id_of_a_score_is_another_one(project):
    (trace_id,) = store_traces(project)
    score = {"name": "user_feedback", "value": True, "trace_id": trace_id.hex}
    (word,) = scoring.put_scores(project.pk, [score], scoring.Author("app"))

    say(project, "thumbs_down", trace_id, client_id=f"score:{word.score_id}")
    assert [row[3] for row in sorted(stored(project), key=lambda row: row[1])] == [-1, 1]
    found = list_signals(project.pk, SignalFilter(client_id=f"score:{word.score_id}"), 10).rows
    assert sorted(signal.name for signal in found) == ["thumbs_down", "user_feedback"]

    assert scoring.delete_score(project.pk, word.score_id)
    assert [row[1] for row in stored(project)] == ["thumbs_down"]


def test_nothing_is_told_where_no_queue_waits(project):
    (down,) = store_traces(project)
    say(project, "thumbs_down", down)

    assert sql("SELECT count(*) FROM evals_told_signal") == [(0,)]


def test_a_score_that_is_an_end_users_word_is_a_signal_and_follows_it(project):
    (trace_id,) = store_traces(project)
    author = scoring.Author("app")

    def put(**item):
        (result,) = scoring.put_scores(project.pk, [{"trace_id": trace_id.hex} | item], author)
        return result

    word = put(id="x", name="user_feedback", value=True, comment="Fine", author="u1")
    assert stored(project) == [(f"score:{word.score_id}", "user_feedback", 1, 1, "u1", "Fine")]
    put(id="x", name="user_feedback", value=False, author="u1")
    put(name="groundedness", value=0.4)
    put(name="task_completion", value=1)
    assert [row[3] for row in stored(project)] == [-1]

    assert scoring.delete_score(project.pk, word.score_id)
    assert stored(project) == []


def test_an_evaluation_event_that_is_an_end_users_word_is_a_signal_once(project, key):
    def pairs(**values):
        kinds = {str: "stringValue", float: "doubleValue"}
        return [{"key": f"gen_ai.evaluation.{k}", "value": {kinds[type(v)]: v}} for k, v in values.items()]

    at = int((clock.now() - timedelta(minutes=1)).timestamp() * 1e9)
    events = [
        {"name": "gen_ai.evaluation.result", "timeUnixNano": str(at), "attributes": pairs(**told)}
        for told in (
            {"name": "user_feedback", "score.value": 0.0, "explanation": "Wrong"},
            {"name": "relevance", "score.value": 0.9},
        )
    ]
    span = {
        "traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "spanId": "00f067aa0ba902b7", "name": "chat", "events": events,
        "startTimeUnixNano": str(at), "endTimeUnixNano": str(at + 10**9),
    }  # fmt: skip
    body = orjson.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
    headers = {"Authorization": f"Bearer {key.secret}"}
    assert Client().post("/v1/traces", body, "application/json", headers=headers).status_code == 200

    for _ in range(2):
        drawing.take_told(project.pk)
        drawing.draw_due(project.pk, clock.now() + timedelta(minutes=10))

    ((client_id, name, kind, vote, author, comment),) = stored(project)
    assert (client_id[:5], name, kind, vote, author, comment) == ("otel:", "user_feedback", 1, -1, None, "Wrong")
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM evals_score WHERE project_id = %s", [project.pk])
        assert cursor.fetchone()[0] == 2
