"""The demo's traffic before it is sent: made up, but the same every time, and well formed."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from telltale.run.demo import texts
from telltale.run.demo.models import MODELS, count_tokens
from telltale.run.demo.story import WEEKDAYS, Story, make_day, make_session, sessions_for
from telltale.run.demo.values import DemoTrace, Totals
from telltale.run.demo.wire import encode, requests_of

FIRST_DAY = date(2026, 11, 20)
NOW = datetime(2026, 11, 20, 22, 0, tzinfo=UTC)
LATER = NOW + timedelta(days=40)


def days(count, sessions=60.0, story=None):
    story = story or Story(FIRST_DAY)
    return [
        trace
        for before in range(count)
        for trace in make_day(story, FIRST_DAY - timedelta(days=before), sessions, NOW)
    ]


@pytest.fixture(scope="module")
def four_weeks():
    return days(28)


def answers(traces, feature="returns"):
    """(started, generation) of what answered questions of a feature."""
    for trace in traces:
        if trace.spans[0].attributes["telltale.feature"] == feature:
            yield from ((span.start_ns, span) for span in trace.spans if span.name == "answer.generate")


def test_the_same_day_is_made_the_same_again():
    assert encode(days(2)) == encode(days(2))


def test_another_seed_tells_another_story():
    ids = {trace.trace_id for trace in days(2)}

    assert ids.isdisjoint(trace.trace_id for trace in days(2, story=Story(FIRST_DAY, "other")))


def test_a_day_made_later_begins_with_what_was_made_before():
    story = Story(FIRST_DAY)

    early = {t.trace_id: t for t in make_day(story, FIRST_DAY, 60, NOW - timedelta(hours=10))}
    late = {t.trace_id: t for t in make_day(story, FIRST_DAY, 60, LATER)}

    assert 0 < len(early) < len(late)
    assert early.items() <= late.items()


def test_more_traffic_is_the_same_traffic_and_more():
    few = {trace.trace_id for trace in days(3, sessions=20)}
    many = {trace.trace_id for trace in days(3, sessions=50)}

    assert few < many


def test_nothing_ends_in_the_future(four_weeks):
    assert max(trace.ended_ns for trace in four_weeks) < NOW.timestamp() * 1e9


def test_about_as_many_traces_as_asked_for():
    story = Story(FIRST_DAY)

    made = sum(
        1 for n in range(28) for _ in make_day(story, FIRST_DAY - timedelta(days=n), sessions_for(3000, 28), LATER)
    )

    assert made == pytest.approx(3000, rel=0.08)
    assert sum(WEEKDAYS) == pytest.approx(7)


def test_spans_are_well_formed(four_weeks):
    span_ids = Counter(span.span_id for trace in four_weeks for span in trace.spans)

    assert len({trace.trace_id for trace in four_weeks}) == len(four_weeks)
    assert max(span_ids.values()) == 1
    for trace in four_weeks:
        root, *others = trace.spans
        by_id = {span.span_id: span for span in trace.spans}
        assert root.parent_id == b""
        assert any(trace.trace_id)
        for span in others:
            parent = by_id[span.parent_id]
            assert parent.start_ns <= span.start_ns <= span.end_ns <= parent.end_ns, span.name
        for span in trace.spans:
            assert all(span.start_ns <= event.at_ns <= span.end_ns for event in span.events)


def test_tokens_add_up(four_weeks):
    seen = 0
    for trace in four_weeks:
        for span in trace.spans:
            told = span.attributes
            if "gen_ai.usage.input_tokens" not in told:
                continue
            seen += 1
            read = told.get("gen_ai.usage.cache_read.input_tokens", 0)
            written = told.get("gen_ai.usage.cache_creation.ephemeral_5m_input_tokens", 0)
            assert 0 <= read + written <= told["gen_ai.usage.input_tokens"]
            assert told["gen_ai.request.model"] in MODELS
    assert seen > len(four_weeks)


def test_totals_count_what_was_made(four_weeks):
    totals = Totals()
    for trace in four_weeks:
        totals.add(trace)

    told = [span.attributes for trace in four_weeks for span in trace.spans]
    assert totals.traces == len(four_weeks)
    assert totals.spans == len(told)
    assert totals.input_tokens.total() == sum(one.get("gen_ai.usage.input_tokens", 0) for one in told)
    assert totals.output_tokens.total() == sum(one.get("gen_ai.usage.output_tokens", 0) for one in told)
    assert 0.005 < totals.failed / totals.traces < 0.03


def test_the_new_prompt_makes_answers_longer_and_wrong(four_weeks):
    changed_ns = Story(FIRST_DAY).prompt_changed_at.timestamp() * 1e9
    versions, length, wrong, n = {}, Counter(), Counter(), Counter()

    for started_ns, span in answers(four_weeks):
        version = span.attributes["gen_ai.prompt.version"]
        versions.setdefault(version, []).append(started_ns)
        n[version] += 1
        length[version] += span.attributes.get("gen_ai.usage.output_tokens", 0)
        wrong[version] += "60" in span.attributes.get("gen_ai.output.messages", "")

    assert set(versions) == {"v17", "v18"}
    assert max(versions["v17"]) < changed_ns <= min(versions["v18"])
    assert wrong["v17"] / n["v17"] < 0.05 < 0.2 < wrong["v18"] / n["v18"]
    assert length["v18"] / n["v18"] > 1.15 * length["v17"] / n["v17"]


def test_every_part_of_the_story_is_told(four_weeks):
    roots = [trace.spans[0].attributes for trace in four_weeks]
    names = Counter(span.name for trace in four_weeks for span in trace.spans)
    models = {span.attributes.get("gen_ai.request.model") for trace in four_weeks for span in trace.spans}
    finished = {
        json.dumps(span.attributes.get("gen_ai.response.finish_reasons"))
        for trace in four_weeks for span in trace.spans if span.name == "answer.generate"
    }  # fmt: skip
    sessions = Counter(root["session.id"] for root in roots)

    assert {root["telltale.feature"] for root in roots} == set(texts.FEATURES)
    assert {language for root in roots for language in root["telltale.tags"]} == set(texts.LANGUAGES)
    assert set(MODELS) <= models
    assert names["orders.lookup (retry)"] > 0
    assert {'["stop"]', '["refusal"]'} <= finished
    assert len({trace.release for trace in four_weeks}) == 5
    assert {trace.environment for trace in four_weeks} == {"production", "staging"}
    assert max(sessions.values()) >= 3
    assert len({root["input.value"] for root in roots}) > len(roots) / 4


def test_nights_are_quieter_than_evenings(four_weeks):
    hours = Counter(datetime.fromtimestamp(t.spans[0].start_ns / 1e9, UTC).hour for t in four_weeks)

    assert sum(hours[hour] for hour in (2, 3, 4)) < sum(hours[hour] for hour in (19, 20, 21)) / 5


def test_requests_hold_every_span_once(four_weeks):
    requests = list(requests_of(four_weeks))

    seen = [
        (span.trace_id, span.span_id)
        for request in requests
        for resource in ExportTraceServiceRequest.FromString(request.body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]

    assert len(requests) > 10
    assert sum(request.spans for request in requests) == len(seen) == len(set(seen))
    assert len(seen) == sum(len(trace.spans) for trace in four_weeks)


@pytest.mark.parametrize("language", texts.LANGUAGES)
def test_texts_are_whole(language):
    for feature in texts.FEATURES:
        assert texts.topics(language, feature), f"{language} says nothing about {feature}"
        for topic in texts.topics(language, feature):
            assert topic.asks
            assert topic.answer
            assert bool(topic.objections) == bool(topic.objection_answer)
            assert bool(topic.further) == bool(topic.further_answer)
            assert not topic.objections or topic.worse
            assert len(texts.products_of(topic.kind)) >= 2


def test_no_blank_is_left_in_what_is_said(four_weeks):
    for trace in four_weeks:
        root = trace.spans[0].attributes
        assert "{" not in root["input.value"] + root.get("output.value", "")


def test_ideographs_cost_a_token_each():
    assert count_tokens("退货期限") == 4
    assert count_tokens("abcdefgh") == 2
    assert count_tokens("") == 1


def test_a_session_belongs_to_one_person():
    traces = next(found for n in range(50) if len(found := make_session(Story(FIRST_DAY), FIRST_DAY, n)) > 2)

    assert all(isinstance(trace, DemoTrace) for trace in traces)
    assert len({trace.spans[0].attributes["user.id"] for trace in traces}) == 1
    assert len({trace.spans[0].attributes["session.id"] for trace in traces}) == 1
    assert all(a.ended_ns < b.spans[0].start_ns for a, b in pairwise(traces))
