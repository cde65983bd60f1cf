"""Events `gen_ai.evaluation.result` on spans and in log records are scores, whichever comes first and however often."""

import time
from datetime import timedelta

import orjson
import pytest
from django.db import connection
from django.test import Client

from evals import drawing
from evals.models import Settings
from telltale.lib import clock
from telltale.projects import keys
from traces import masks, signalling

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def shop(project, key):
    keys.cache.clear()
    yield Shop(project, key.secret)
    keys.cache.clear()


def pairs(**values):
    kinds = {str: "stringValue", float: "doubleValue", int: "intValue", bool: "boolValue"}
    return [{"key": f"gen_ai.evaluation.{key}", "value": {kinds[type(v)]: v}} for key, v in values.items()]


def told(name="groundedness", *, explanation="Both claims are in kb-1.", **values):
    """The attributes of an event."""
    more = {"name": name} if name is not None else {}
    return pairs(**more, **{key.replace("_", "."): value for key, value in values.items()}, explanation=explanation)


class Shop:
    """A project that is sent spans and log records by OTLP."""

    def __init__(self, project, secret):
        self.project, self.client = project, Client()
        self.headers = {"Authorization": f"Bearer {secret}"}
        self.at = time.time_ns() - 60 * 10**9

    def post(self, address, body):
        answer = self.client.post(address, orjson.dumps(body), "application/json", headers=self.headers)
        assert answer.status_code == 200, answer.content
        return answer.json()

    def span(self, *events, span_id=SPAN):
        span = {
            "traceId": TRACE, "spanId": span_id, "name": "chat", "startTimeUnixNano": str(self.at),
            "endTimeUnixNano": str(self.at + 10**9),
            "events": [
                {"name": "gen_ai.evaluation.result", "timeUnixNano": str(self.at + at), "attributes": attributes}
                for at, attributes in enumerate(events)
            ],
        }  # fmt: skip
        resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop-api"}}]}
        self.post("/v1/traces", {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]})

    def log(self, attributes):
        record = {
            "traceId": TRACE, "spanId": SPAN, "eventName": "gen_ai.evaluation.result",
            "timeUnixNano": str(self.at + 5 * 10**9), "attributes": attributes,
        }  # fmt: skip
        self.post("/v1/logs", {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]})

    def settle(self):
        """The worker takes what was told, once its trace is quiet."""
        while drawing.take_told(self.project.pk):
            pass
        drawing.draw_due(self.project.pk, clock.now() + timedelta(minutes=5))

    def scores(self):
        answer = self.client.get("/api/v1/scores", headers=self.headers)
        return sorted(answer.json()["items"], key=lambda item: item["name"])


pytestmark = pytest.mark.django_db


def test_an_event_of_a_span_is_a_score_of_it(shop):
    shop.span(told(score_value=0.92, score_label="pass"), told("tone", score_label="rude"))

    shop.settle()

    number, label = shop.scores()
    assert (number["name"], number["value"], number["data_type"]) == ("groundedness", 0.92, "numeric")
    assert (number["source"], number["target"], number["trace_id"], number["span_id"]) == ("api", "span", TRACE, SPAN)
    assert (number["comment"], number["author"]) == ("Both claims are in kb-1.", "shop-api")
    assert number["inclusion_probability"] is None
    assert (label["name"], label["value"], label["data_type"]) == ("tone", "rude", "label")
    for query in ("score.groundedness.min=0.9", "score.groundedness=pass", "score.api/tone=rude"):
        found = shop.client.get(f"/api/v1/traces?{query}", headers=shop.headers).json()["items"]
        assert [trace["trace_id"] for trace in found] == [TRACE], query


def test_a_log_record_is_one_whichever_comes_first(shop):
    shop.log(told(score_value=3))
    shop.settle()
    assert shop.scores() == []

    shop.span()
    shop.log(told("later", score_value=1))
    shop.settle()

    assert [(score["name"], score["value"], score["span_id"]) for score in shop.scores()] == [
        ("groundedness", 3, SPAN),
        ("later", 1, SPAN),
    ]


def test_what_is_taken_again_is_the_same_score(shop):
    shop.span(told(score_value=0.5))
    shop.settle()
    first = shop.scores()

    shop.span(told("other", score_value=1), span_id="00f067aa0ba902b8")
    shop.settle()

    assert [score["id"] for score in shop.scores() if score["name"] == "groundedness"] == [first[0]["id"]]
    assert len(shop.scores()) == 2


def test_events_that_say_nothing_are_no_scores_and_cost_no_other(shop):
    shop.span(
        told(None, score_value=1),
        told("neither"),
        told("endless", score_value=float("1e300")),
        told("", score_value=1),
        told("Answer/Relevance?", score_value="0.7"),
        told("x" * 400, score_label="y" * 4000, explanation="z" * 20_000),
    )

    shop.settle()

    found = {score["name"]: score for score in shop.scores()}
    assert set(found) == {"Answer_Relevance_", "x" * 100}
    assert found["Answer_Relevance_"]["value"] == 0.7
    assert len(found["x" * 100]["value"]) == 200


def test_nothing_is_told_to_the_worker_of_spans_without_such_events(shop):
    shop.span()

    assert drawing.take_told(shop.project.pk) == 0
    assert not Settings.objects.filter(project=shop.project).exists()


def test_taking_asks_the_same_number_of_questions_for_many(shop):
    from django.test.utils import CaptureQueriesContext

    signalling.names_of(shop.project.pk)  # held for seconds, as the masks are
    masks.masker_for(shop.project.pk)
    counts = []
    for n in (1, 8):
        shop.span(*[told(f"n{at}", score_value=at) for at in range(n)], span_id=f"{n:016x}")
        while drawing.take_told(shop.project.pk):
            pass
        with CaptureQueriesContext(connection) as queries:
            drawing.draw_due(shop.project.pk, clock.now() + timedelta(minutes=5))
        counts.append(len(queries))

    assert counts[0] == counts[1]
    assert len(shop.scores()) == 9
