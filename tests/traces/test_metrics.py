"""What /metrics says of calls of models, judging and telling: from what is committed, bounded, never falling."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alerts.read.totals import read_attempt_totals
from telltale.jobs.kept import keep, read_kept
from telltale.jobs.models import DiskSample
from telltale.lib import clock
from telltale.web import health, metrics
from traces.accounting import fold_batches
from traces.meters import LATENCY_SECONDS, LENGTH_CHARACTERS, OTHER, Meter, model_label, response_characters
from traces.read.flow import ModelMeter, read_meters
from traces.write import meters as write_meters

TRACE = "0af7651916cd43dd8448eb211c8031"


@pytest.fixture(autouse=True)
def forget_migrations(monkeypatch):
    monkeypatch.setattr(health.migrated, "is_known", False)


def trace(n):
    return f"{TRACE}{n:02x}"


def span(n):
    return f"b7ad6b71692033{n:02x}"


def scrape(client):
    fold_batches()
    return client.get("/metrics").content.decode()


def test_calls_are_counted_with_the_names_and_buckets_that_dashboards_know(client, otlp):
    otlp.send(
        otlp.generation(trace(1), span(1), answered="x" * 60, ms=300),
        otlp.generation(trace(2), span(2), answered="x" * 1200, ms=12_000),
        otlp.generation(trace(3), span(3), ms=40, status={"code": 2}),
        otlp.span(trace(3), span(4), span(3), "a tool", attributes={"gen_ai.operation.name": "execute_tool"}),
    )

    text = scrape(client)

    who = 'model_name="gpt-4o-mini",project="shop"'
    assert f'llm_requests_total{{{who},status="success"}} 2.0' in text
    assert f'llm_requests_total{{{who},status="failure"}} 1.0' in text
    assert f'llm_request_latency_seconds_bucket{{le="0.25",{who}}} 1.0' in text
    assert f'llm_request_latency_seconds_bucket{{le="0.5",{who}}} 2.0' in text
    assert f'llm_request_latency_seconds_bucket{{le="+Inf",{who}}} 3.0' in text
    assert f"llm_request_latency_seconds_sum{{{who}}} 12.34" in text
    assert f"llm_input_tokens_total{{{who}}} 3000.0" in text
    assert f"llm_output_tokens_total{{{who}}} 300.0" in text
    assert f'llm_response_length_characters_bucket{{le="50.0",{who}}} 1.0' in text
    assert f'llm_response_length_characters_bucket{{le="100.0",{who}}} 2.0' in text
    assert f'llm_response_length_characters_bucket{{le="+Inf",{who}}} 3.0' in text
    assert f"llm_response_length_characters_sum{{{who}}} 1268.0" in text
    # 1,000 tokens in at 0.15 and 100 out at 0.60 dollars a million.
    per_query = re.search(rf"llm_cost_per_query_usd{{{who}}} (\S+)", text)
    assert float(per_query[1]) == pytest.approx(0.00021)
    bounds = re.findall(r'llm_response_length_characters_bucket{le="([^"]+)"', text)
    assert bounds == ["0.0", "50.0", "100.0", "200.0", "500.0", "1000.0", "+Inf"]


def test_a_span_sent_again_counts_once_and_a_batch_is_added_once(client, otlp):
    sent = otlp.generation(trace(1), span(1))
    otlp.send(sent)
    otlp.send(sent)
    first = scrape(client)

    second = scrape(client)

    line = 'llm_requests_total{model_name="gpt-4o-mini",project="shop",status="success"} 1.0'
    assert line in first
    assert line in second


def test_models_of_a_project_are_bounded_and_what_comes_later_is_other(otlp, monkeypatch):
    monkeypatch.setattr(write_meters, "MODELS_MAX", 2)
    for n in range(4):
        model = {"gen_ai.response.model": f"made-up-{n}", "gen_ai.request.model": f"made-up-{n}"}
        otlp.send(otlp.generation(trace(n), span(n), attributes=model))
        fold_batches()

    found = {each.model: each.meter.succeeded for each in read_meters()}

    assert found == {"made-up-0": 1, "made-up-1": 1, OTHER: 2}


def test_models_of_all_projects_are_bounded():
    many = [ModelMeter("shop", f"m{n}", Meter(succeeded=1), None) for n in range(metrics.MODELS_MAX + 5)]

    found = metrics._bounded(many)

    assert len(found) == metrics.MODELS_MAX + 1
    assert (found[-1].project, found[-1].meter.succeeded) == (OTHER, 5)


@pytest.mark.parametrize(
    ("told", "label"),
    [(None, "(unknown)"), ("gpt-4o", "gpt-4o"), ("a\nb\u202e", "a?b?"), ("ü" * 400, "ü" * 50)],
)
def test_model_names_are_short_and_printable(told, label):
    assert model_label(told) == label


@pytest.mark.parametrize(
    ("raw", "characters"),
    [
        ({}, None),
        ({"gen_ai.completion": "plain words"}, 11),
        ({"output.value": '"quoted"'}, 6),
        ({"gen_ai.output.messages": "[" * 500}, None),
        ({"gen_ai.output.messages": "[1, {}, null]"}, None),
        ({"gen_ai.output.messages": 7}, None),
        ({"llm.output_messages.0.message.content": "abc", "llm.output_messages.0.message.role": "assistant"}, 3),
    ],
)
def test_length_of_any_shape_of_response_is_a_number_or_unknown(raw, characters):
    class Told:
        body = {"raw": raw}

    found = response_characters(Told)

    assert found == characters or (characters is None and (found is None or found >= 0))


def test_what_was_swept_stays_in_the_counter(db):
    keep("attempts.failed", 3)
    keep("attempts.failed", 2)

    assert read_kept("attempts.") == {"failed": 5}
    assert read_attempt_totals() == {"delivered": 0, "failed": 5}


def test_own_health_names_judging_telling_and_the_database(client, db):
    DiskSample.objects.create(at=clock.now() - timedelta(hours=1), database_bytes=5_000, free_bytes=None)

    text = client.get("/metrics").content.decode()

    for line in (
        "telltale_judge_calls_total 0.0",
        "telltale_judge_calls_lost_total 0.0",
        "telltale_judge_cost_usd_total 0.0",
        'telltale_judgements{state="failed"} 0.0',
        'telltale_delivery_attempts_total{result="failed"} 0.0',
        "telltale_database_bytes 5000.0",
        "telltale_migrations_applied 1.0",
    ):
        assert line in text


def test_number_of_queries_does_not_grow_with_what_is_stored(client, otlp, django_assert_num_queries):
    scrape(client)
    with CaptureQueriesContext(connection) as before:
        client.get("/metrics")
    count = len(before)
    otlp.send(*(otlp.generation(trace(n), span(n)) for n in range(40)))
    fold_batches()

    with django_assert_num_queries(count):
        client.get("/metrics")


def test_as_many_buckets_are_kept_as_there_are_bounds():
    assert len(Meter().latency) == len(LATENCY_SECONDS) + 1
    assert len(Meter().length) == len(LENGTH_CHARACTERS) + 1
