"""The demo's traffic before it is sent: made up, but the same every time, well formed, and true to its story."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from uuid import UUID

import pytest

from alerts.charting.advancing import advance, begin
from alerts.monitoring import parse
from alerts.monitors.types import Reading, Share, Window
from alerts.series.catalogue import METRICS
from telltale.run.demo import texts
from telltale.run.demo.changes import make_changes
from telltale.run.demo.hosts import FLEET, make_readings
from telltale.run.demo.models import MODELS, count_tokens
from telltale.run.demo.monitors import timing_of
from telltale.run.demo.story import (
    HOUR,
    WEEKDAYS,
    Story,
    make_day,
    make_session,
    person_of,
    sessions_for,
    two_sentences,
)
from telltale.run.demo.values import DemoTrace, Totals
from telltale.run.stand_in import _figures
from traces.behaviour.definition import SHIPPED
from traces.behaviour.rules import behaviour
from traces.behaviour.types import Fact, Turn
from traces.changing.items import read_change

DAY = date(2026, 11, 20)
NOW = datetime(2026, 11, 20, 22, 0, tzinfo=UTC)
LATER = NOW + timedelta(days=40)
MINUTE = timedelta(minutes=1)


def days(count, sessions=60.0, story=None):
    story = story or Story(DAY)
    return [trace for before in range(count) for trace in make_day(story, DAY - timedelta(days=before), sessions, NOW)]


@pytest.fixture(scope="module")
def four_weeks():
    return days(28)


def answers(traces, feature="returns"):
    """(started, generation) of what answered questions of a feature."""
    for trace in traces:
        if trace.feature == feature:
            yield from ((span.start_ns, span) for span in trace.spans if span.name == "answer.generate")


def test_the_same_day_is_made_the_same_again():
    assert days(2) == days(2)


def test_another_seed_tells_another_story():
    here, there = (
        {trace.trace_id for trace in days(2, story=Story(DAY, seed)) if trace.session_id != "s_9c41"}
        for seed in ("one", "other")
    )

    assert here
    assert here.isdisjoint(there)


def test_a_day_made_later_begins_with_what_was_made_before():
    story = Story(DAY)

    early = {t.trace_id: t for t in make_day(story, DAY, 60, NOW - timedelta(hours=10))}
    late = {t.trace_id: t for t in make_day(story, DAY, 60, LATER)}

    assert 0 < len(early) < len(late)
    assert early.items() <= late.items()


def test_more_traffic_is_the_same_traffic_and_more():
    few = {trace.trace_id for trace in days(3, sessions=20)}
    many = {trace.trace_id for trace in days(3, sessions=50)}

    assert few < many


def test_nothing_ends_in_the_future(four_weeks):
    assert max(trace.ended_ns for trace in four_weeks) < NOW.timestamp() * 1e9


def test_about_as_many_traces_as_asked_for():
    story = Story(DAY)

    made = sum(1 for n in range(28) for _ in make_day(story, DAY - timedelta(days=n), sessions_for(3000, 28), LATER))

    assert made == pytest.approx(3000, rel=0.08)
    assert sum(WEEKDAYS) == pytest.approx(7)


def test_spans_are_well_formed(four_weeks):
    span_ids = Counter(span.span_id for trace in four_weeks for span in trace.spans)

    assert len({trace.trace_id for trace in four_weeks}) == len(four_weeks)
    assert max(span_ids.values()) == 1
    for trace in four_weeks:
        others = trace.spans[1:]
        parents = {below.span_id: span for span in trace.spans for below in span.below}
        assert set(parents) == {span.span_id for span in others}
        assert any(trace.trace_id)
        for span in others:
            parent = parents[span.span_id]
            assert parent.start_ns <= span.start_ns <= span.end_ns <= parent.end_ns, span.name
        for span in trace.spans:
            if span.call is not None and span.call.ttft_ns is not None:
                assert 0 < span.call.ttft_ns <= span.end_ns - span.start_ns


def calls(traces):
    return [span.call for trace in traces for span in trace.spans if span.call is not None]


def test_tokens_add_up(four_weeks):
    told = [call for call in calls(four_weeks) if call.input_tokens is not None]

    assert len(told) > len(four_weeks)
    for call in told:
        assert 0 <= (call.cache_read or 0) + (call.cache_written or 0) <= call.input_tokens
        assert call.model in MODELS


def test_totals_count_what_was_made(four_weeks):
    totals = Totals()
    for trace in four_weeks:
        totals.add(trace)

    told = calls(four_weeks)
    assert totals.traces == len(four_weeks)
    assert totals.spans == sum(len(trace.spans) for trace in four_weeks)
    assert totals.input_tokens.total() == sum(call.input_tokens or 0 for call in told)
    assert totals.output_tokens.total() == sum(call.output_tokens or 0 for call in told)


def test_the_new_prompt_makes_answers_shorter_and_wrong(four_weeks):
    changed_ns = Story(DAY).prompt_changed_at.timestamp() * 1e9
    versions, length, wrong, n = {}, Counter(), Counter(), Counter()

    for started_ns, span in answers(four_weeks):
        _, version = span.call.prompt
        versions.setdefault(version, []).append(started_ns)
        n[version] += 1
        length[version] += min(span.call.output_tokens or 0, 200)
        wrong[version] += "60" in str(span.output)

    assert set(versions) == {"v17", "v18"}
    assert changed_ns <= min(versions["v18"])
    assert wrong["v17"] / n["v17"] < 0.05 < 0.2 < wrong["v18"] / n["v18"]
    assert length["v18"] / n["v18"] < 0.85 * length["v17"] / n["v17"]


@pytest.mark.parametrize("hour", range(0, 24, 5))
@pytest.mark.parametrize("minute", [0, 44, 45, 59])
def test_the_first_hour_of_the_new_prompt_is_over_when_its_project_is_made(hour, minute):
    made = datetime(2026, 11, 20, hour, minute, 30, tzinfo=UTC)

    story = Story.of(made)

    assert timedelta(minutes=45) <= made - story.found_at < timedelta(minutes=105)
    assert story.found_at.minute == 0
    assert story.prompt_changed_at + timedelta(hours=5) < story.rolled_out_at
    # A chart made some minutes later closes that hour soon after, and none before.
    for later in (90, 300):
        at = made + timedelta(seconds=later)
        closes = story.found_at + timedelta(minutes=timing_of(story, at)["lateness_minutes"])
        assert timedelta(seconds=40) <= closes - at <= timedelta(seconds=100)
    assert timing_of(story, made + timedelta(days=1)) == {}


def test_the_first_hour_of_the_new_prompt_is_worth_an_incident():
    story = Story.of(datetime(2026, 11, 20, 14, 20, tzinfo=UTC))
    found, sessions = story.found_at, sessions_for(10_000, 28)
    traces = list(make_day(story, found.date(), sessions, found + HOUR))
    spans = [(at, trace, span) for trace in traces for at, span in answers([trace])]

    def of(start, end):
        low, high = start.timestamp() * 1e9, end.timestamp() * 1e9
        return [(trace, span.call.prompt[1]) for at, trace, span in spans if low <= at < high]

    before, first = of(story.newsletter_at, found - HOUR), of(found - HOUR, found)
    assert len(before) > 80
    assert len(first) > 60
    assert sum(trace.is_worse for trace, _ in first) > 25 > 10 > sum(trace.is_worse for trace, _ in before)
    versions = Counter(version for _, version in first)
    assert versions["v18"] > 0.7 * len(first)
    # So that both can be compared at the same time.
    assert versions["v17"] > 5
    assert not [trace for trace in traces if trace.feature != "returns" and trace.is_worse]


def has_loose_figure(trace, span):
    told = " ".join(str(message["content"]) for message in span.input)
    found = [str(one["content"]) for step in trace.spans if step.search for one in step.search.documents]
    said = span.output["content"] if span.output else ""
    return bool(_figures(said) - _figures(" ".join((told, *found))))


def test_a_chart_by_the_hour_alarms_in_the_first_hour_of_the_new_prompt_and_not_before():
    made = datetime(2026, 11, 20, 14, 20, tzinfo=UTC)
    story = Story.of(made)
    hours = defaultdict(lambda: [0, 0])
    for before in range(12):
        for trace in make_day(story, made.date() - timedelta(days=before), sessions_for(10_000, 28), made):
            for at, span in answers([trace]):
                hours[int(at / 3600e9)][0] += has_loose_figure(trace, span)
                hours[int(at / 3600e9)][1] += 1
    definition = parse({"name": "x", "metric": "hallucination", "params": {"judge": "a", "criterion": "b"}})
    metric, chart = METRICS["hallucination"], begin(definition)
    start = story.found_at.replace(hour=0) - timedelta(days=11)
    alarms = []

    while start < story.found_at:
        k, n = hours[int(start.timestamp() / 3600)]
        data = Share(k, n) if n else None
        reading = Reading(Window(start, start + HOUR), n, value=k / n if n else None, data=data)
        step = advance(chart, definition, metric, reading, 2_000.0)
        alarms += [step.alarm.window.end] if step.alarm else []
        chart, start = step.chart, start + HOUR

    assert alarms == [story.found_at]


def test_a_few_sessions_try_the_new_prompt_before():
    story = Story.of(datetime(2026, 11, 20, 23, 20, tzinfo=UTC))
    lots = [number / 1000 for number in range(1000)]

    tried = sum(story.has_new_prompt(story.at(0, time(12)), lot) for lot in lots)
    later = sum(story.has_new_prompt(story.rolled_out_at, lot) for lot in lots)

    assert not any(story.has_new_prompt(story.at(0, time(8)), lot) for lot in lots)
    assert (tried, later) == (40, 900)


def test_people_begin_to_ask_about_presents(four_weeks):
    banner_ns = Story(DAY).at(5, time(2)).timestamp() * 1e9
    asked = {False: Counter(), True: Counter()}

    for trace in four_weeks:
        if trace.feature == "returns":
            text = str(trace.spans[0].input).lower()
            is_gift = any(word in text for word in ("gift", "present", "cadeau", "geschenk", "receipt", "birthday"))
            asked[trace.spans[0].start_ns >= banner_ns][is_gift] += 1

    before, after = (asked[is_late][True] / asked[is_late].total() for is_late in (False, True))
    assert before < 0.25
    assert after > before + 0.1


def test_the_figures_are_those_of_the_design(four_weeks):
    news_ns = Story(DAY).newsletter_at.timestamp() * 1e9
    usual = [trace for trace in four_weeks if trace.spans[0].start_ns < news_ns]
    n, features = len(usual), Counter(trace.feature for trace in usual)
    answered = [span.call for trace in four_weeks for span in trace.spans if span.name == "answer.generate"]
    models = Counter(call.model for call in answered)
    first = sorted(call.ttft_ns for call in answered if call.ttft_ns)
    failed = sum(trace.spans[0].error is not None for trace in four_weeks)

    shares = {
        "product-search": 0.41, "order-status": 0.22, "returns": 0.18, "sizing-advice": 0.12, "checkout-help": 0.07,
    }  # fmt: skip
    for feature, share in shares.items():
        # Turns of a session are about one feature more often than not: five standard errors of sessions.
        assert features[feature] / n == pytest.approx(share, abs=0.045), feature
    for model, share in {"claude-3-5-haiku": 0.58, "mixtral-8x7b": 0.31, "gpt-4-turbo": 0.09}.items():
        assert models[model] / len(answered) == pytest.approx(share, abs=0.04), model
    assert first[len(first) * 95 // 100] / 1e6 == pytest.approx(430, rel=0.06)
    assert 0.001 < failed / len(four_weeks) < 0.012


def test_every_part_of_the_story_is_told(four_weeks):
    names = Counter(span.name for trace in four_weeks for span in trace.spans)
    finished = {call.finish_reason for call in calls(four_weeks)}
    tries = Counter(sum(s.name == "answer.generate" for s in trace.spans) for trace in four_weeks)
    sessions = Counter(trace.session_id for trace in four_weeks)
    turns = Counter(sessions.values())

    assert {trace.feature for trace in four_weeks} == set(texts.FEATURES)
    assert {language for trace in four_weeks for language in trace.tags} == set(texts.LANGUAGES)
    assert {call.model for call in calls(four_weeks)} == set(MODELS)
    assert names["orders.lookup (retry)"] > 0
    assert tries[2] > 0
    assert {"end_turn", "stop", "refusal", "max_tokens", "length"} <= finished
    assert len({trace.release for trace in four_weeks}) == 5
    assert {trace.environment for trace in four_weeks} == {"production", "staging"}
    assert 0.3 < turns[1] / len(sessions) < 0.6
    assert max(sessions.values()) >= 6
    assert len({trace.spans[0].input for trace in four_weeks}) > len(four_weeks) / 4


def test_few_people_ask_much(four_weeks):
    asked = sorted(Counter(trace.user_id for trace in four_weeks).values(), reverse=True)

    assert sum(asked[: len(asked) // 10]) > 0.25 * sum(asked)
    assert asked[len(asked) // 2] <= 3
    assert [person_of(number).id for number in range(2)] == ["u_2b90", "u_58f2"]


def test_the_known_session_is_told_to_the_letter():
    made = make_session(Story(DAY), DAY, 0)

    assert {(trace.session_id, trace.user_id) for trace in made} == {("s_9c41", "u_58f2")}
    started = [datetime.fromtimestamp(trace.spans[0].start_ns / 1e9, UTC) for trace in made]
    assert started == [datetime(2026, 11, 20, 10, *at, tzinfo=UTC) for at in ((40, 18), (41, 7), (41, 35))]
    seconds = [(trace.spans[0].end_ns - trace.spans[0].start_ns) / 1e9 for trace in made]
    assert seconds == pytest.approx([1.88, 3.42, 2.96], abs=0.005)
    rates = {
        "gpt-4-turbo": (10, 1, 0, 30),
        "claude-3-5-haiku": (0.8, 0.08, 1, 4),
        "text-embedding-3-small": (0.02, 0, 0, 0),
    }
    costs = []
    for trace in made:
        cost = 0.0
        for call in calls([trace]):
            fresh, read, written, out = rates.get(call.model, (0.02, 0, 0, 0))
            cached = (call.cache_read or 0) + (call.cache_written or 0)
            cost += (call.input_tokens - cached) * fresh + (call.cache_read or 0) * read
            cost += (call.cache_written or 0) * written + (call.output_tokens or 0) * out
        costs.append(round(cost / 1e6, 4))
    assert costs == [0.0041, 0.0158, 0.0192]
    assert "60 days with a gift receipt" in made[1].spans[0].output


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("One. Two! Three?", "One. Two!"),
        ("Label costs $4.90, taken off. Free if faulty. More.", "Label costs $4.90, taken off. Free if faulty."),
        ("一。二。三。", "一。二。"),
        ("Only one", "Only one"),
    ],
)
def test_two_sentences_are_two(text, short):
    assert two_sentences(text) == short


def test_nights_are_quieter_than_evenings(four_weeks):
    hours = Counter(datetime.fromtimestamp(t.spans[0].start_ns / 1e9, UTC).hour for t in four_weeks)

    assert sum(hours[hour] for hour in (2, 3, 4)) < sum(hours[hour] for hour in (19, 20, 21)) / 5


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
        root = trace.spans[0]
        assert "{" not in f"{root.input}{root.output or ''}"


def test_ideographs_cost_a_token_each():
    assert count_tokens("退货期限") == 4
    assert count_tokens("abcdefgh") == 2
    assert count_tokens("") == 1


def test_a_session_belongs_to_one_person():
    traces = next(found for n in range(1, 50) if len(found := make_session(Story(DAY), DAY, n)) > 2)

    assert all(isinstance(trace, DemoTrace) for trace in traces)
    assert len({(trace.user_id, trace.session_id) for trace in traces}) == 1
    assert all(a.ended_ns < b.spans[0].start_ns for a, b in pairwise(traces))


def test_machines_are_busy_when_people_are():
    readings = {(host.name, metric): told for host, metric, told in make_readings(Story(DAY), DAY, LATER)}
    again = {(host.name, metric): told for host, metric, told in make_readings(Story(DAY), DAY, LATER)}

    assert readings == again
    assert set(readings) == {(host.name, metric) for host in FLEET for metric, *_ in host.measures}
    cpu = dict(readings["shop-api-1", "system.cpu.utilization"])
    assert len(cpu) == 288
    assert all(0 <= value <= 1 for value in cpu.values())
    at = {hour: cpu[datetime.combine(DAY, time(hour), UTC)] for hour in (3, 20)}
    assert at[3] + 0.2 < at[20]


def test_readings_end_with_the_present():
    before = datetime.combine(DAY, time(6), UTC)

    assert max(at for _, _, told in make_readings(Story(DAY), DAY, before) for at, _ in told) < before
    assert list(make_readings(Story(DAY), DAY + timedelta(days=1), before)) == []


@pytest.fixture(scope="module")
def many_sessions():
    """Four weeks with enough sessions to count votes: session -> its traces, in production."""
    sessions = {}
    for trace in days(28, sessions=130.0):
        if trace.environment == "production":
            sessions.setdefault(trace.session_id, []).append(trace)
    return sessions


def votes(traces):
    """What the user of a session voted at last: up or not; None where they did not."""
    told = [(s.at, s.value, s.name) for trace in traces for s in trace.signals if "/thumb/" in s.client_id]
    if not told:
        return None
    _, value, name = max(told, key=lambda each: each[0])
    return name != "thumbs_down" and bool(value)


def test_few_vote_and_those_who_leave_hardly_ever(many_sessions):
    goals = {"conversion", "task_completed", "copied"}
    left = [traces for traces in many_sessions.values()
            if len(traces) == 1 and not any(s.name in goals for s in traces[0].signals)]  # fmt: skip
    voted = [vote for traces in many_sessions.values() if (vote := votes(traces)) is not None]

    # Five standard errors of so many sessions.
    assert len(left) / len(many_sessions) == pytest.approx(0.4, abs=0.05)
    assert len(voted) / len(many_sessions) == pytest.approx(0.028, abs=0.013)
    assert sum(voted) / len(voted) > 0.78
    assert sum(votes(traces) is not None for traces in left) / len(left) < 0.01


def test_signals_come_in_every_way(many_sessions):
    told = [(traces, signal) for traces in many_sessions.values() for trace in traces for signal in trace.signals]
    here = {trace.trace_id.hex() for traces in many_sessions.values() for trace in traces}
    client_ids = Counter(signal.client_id for _, signal in told)

    assert {"conversion", "task_completed", "copied", "correction", "escalated", "rating"} < {s.name for _, s in told}
    assert {signal.about for _, signal in told} == {"trace", "session", "request"}
    assert max(client_ids.values()) == 2, "a changed mind is the same signal told twice"
    assert any(signal.about == "trace" and signal.target not in here for _, signal in told), "orphans"
    assert all(signal.value > 0 for _, signal in told if signal.name == "conversion")
    for traces, signal in told:
        assert signal.at.timestamp() * 1e9 > traces[0].spans[0].start_ns


@pytest.mark.parametrize("language", texts.LANGUAGES)
def test_manners_are_known_in_every_language_and_seen_by_the_shipped_rules(language):
    thanks, person = texts.manners(language, "thanks"), texts.manners(language, "person")

    assert all(texts.manners(language, kind) for kind in ("thanks", "welcome", "person", "handover", "again"))
    for said, found in ((thanks, Fact.CLOSING_WORDS), (person, Fact.ESCALATED)):
        for text in said:
            turns = [
                Turn(UUID(int=n), NOW + n * MINUTE, NOW + (n + 0.5) * MINUTE, "returns", words, "Yes.", True, False)
                for n, words in enumerate(("Can I return it?", text))
            ]
            assert behaviour(turns, [], SHIPPED, LATER).facts & found, text


def test_what_the_shop_tells_of_its_changes_is_what_happens_in_its_traffic(four_weeks):
    story = Story(DAY)
    told = [read_change(change, NOW) for change in make_changes(story)]
    released = {change.version: change.at for change in told if change.kind == "deploy"}
    prompt = next(change for change in told if change.kind == "prompt" and change.name == "returns")
    to_all = next(change for change in told if change.name == "returns prompt")

    assert len({change.client_id for change in told}) == len(told) > 25
    for trace in four_weeks:
        if trace.release in released:
            assert trace.spans[0].start_ns >= released[trace.release].timestamp() * 1e9
    new = [span for _, span in answers(four_weeks) if span.call.prompt == (prompt.name, prompt.version)]
    assert new
    assert min(span.start_ns for span in new) >= prompt.at.timestamp() * 1e9
    late = [span.start_ns >= to_all.at.timestamp() * 1e9 for span in new]
    assert sum(late) > 0.8 * len(late)
