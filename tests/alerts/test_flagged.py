"""Which responses of an incident are flagged: the same that its monitor's series counts as bad."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from alerts.detectors.points import Share
from alerts.monitors.types import Window
from alerts.read.flagged import flagged_rows, flagging_of
from alerts.series.catalogue import METRICS
from tests.alerts.series_kit import define, read
from tests.alerts.triage_kit import make_alarm, make_incident, make_monitor
from tests.evals.estimate_rows import make_judge, make_traffic
from tests.traces import rollup_traffic
from tests.traces.conftest import otlp, shop  # noqa: F401
from traces import folding
from traces.write import rollup_memory

NOW = datetime.now(UTC).replace(second=0, microsecond=0)
WEEK = timedelta(days=7)
PARAMS = {
    "judge": "quality", "criterion": "correctness", "limit_ms": 800, "error_type": ["timeout"],
    "finish_reason": ["length"], "name": "helpful", "outcome": "resolution", "field": "input_language",
}  # fmt: skip


@pytest.fixture
def traffic(otlp, shop):  # noqa: F811
    rollup_memory.forget()
    for _ in rollup_traffic.send(otlp, rollup_traffic.make_traffic(otlp, 47, traces=70)):
        pass
    folding.fold_roll_ups()
    yield shop.project
    rollup_memory.forget()


def flagging(project, definition, *, start=NOW - 3 * WEEK, number=1, **alarm):
    monitor = make_monitor(project, definition, name=f"{definition.metric} {number}")
    incident = make_incident(project, make_alarm(monitor, start, **alarm), number=number)
    return flagging_of(project.pk, incident.pk)


@pytest.mark.parametrize("text", ["", "spans.min=1"])
def test_a_share_of_requests_flags_exactly_what_it_counts(traffic, text):
    whole = Window(NOW - WEEK, NOW)
    for at, key in enumerate(("errors", "failures", "slow_requests"), 1):
        params = {"limit_ms": 800} if key == "slow_requests" else {}
        scope = {"feature": ("search", None)}
        by = flagging(traffic, define(key, scope=scope, text=text, **params), number=at)

        found = flagged_rows(by, whole.start, whole.end, 1000)

        counted = read(traffic, key, [whole], scope=scope, text=text, **params)[0].data
        assert isinstance(counted, Share)
        # A sketch knows durations to 2.5 %.
        assert found.n == counted.n > 20
        assert found.flagged == counted.k or (key == "slow_requests" and abs(found.flagged - counted.k) <= 2), key
        assert sum(row.is_flagged for row in found.rows) == found.flagged
        assert len({row.trace_id for row in found.rows}) == found.n
        assert found.share == pytest.approx(found.flagged / found.n)


def test_every_metric_has_responses_to_look_at(traffic):
    """None answers with an error, whatever the scope; what can flag nothing by itself shows all of the stretch."""
    make_judge(traffic)
    for number, (key, metric) in enumerate(METRICS.items(), 1):
        params = {name: PARAMS[name] for name in metric.needs if name in PARAMS}
        scope = dict.fromkeys(metric.scopes, (None, "m-small", "search"))
        definition = define(key, scope=scope, window=1440, **params)

        by = flagging(traffic, definition, start=NOW - WEEK, number=number, direction="up" if number % 2 else "down")
        found = flagged_rows(by, by.start, by.end, 10, seed=3)

        assert by.words
        assert 0 <= found.flagged <= found.n
        assert len(found.rows) == min(10, found.n)


def test_calls_flag_their_trace_and_name_the_call(traffic):
    by = flagging(traffic, define("call_errors"))

    found = flagged_rows(by, NOW - WEEK, NOW, 1000, wanted=(True,))

    assert found.flagged == len(found.rows) > 0
    assert all(row.span_id is not None and row.is_flagged for row in found.rows)


def test_a_level_flags_what_lies_beyond_the_baseline(traffic):
    by = flagging(traffic, define("request_duration"), start=NOW - timedelta(days=2))

    assert by.before_start == NOW - timedelta(days=9)
    assert by.words.startswith("took over ")
    assert by.words.endswith("as 1 of 20 did before")
    before = flagged_rows(by, by.before_start, by.before_end, 10)
    assert before.flagged <= 0.05 * before.n + 1


def test_what_grew_is_flagged(traffic):
    by = flagging(traffic, define("models"), start=NOW - timedelta(days=2))

    assert by.words.startswith("have a call of what grew: ")
    assert flagged_rows(by, by.start, by.end, 5).flagged > 0


def test_low_scores_are_flagged_and_weigh_by_their_chance(shop):  # noqa: F811
    start = datetime(2026, 11, 16, tzinfo=UTC)
    made = make_traffic(shop.project, make_judge(shop.project), start=start, hours=30, an_hour=40)
    whole = Window(start, start + timedelta(hours=30))
    of = {"judge": "quality", "criterion": "correctness"}
    for number, key in enumerate(("score", "low_scores"), 1):
        by = flagging(shop.project, define(key, **of), start=start, number=number, direction="down")

        found = flagged_rows(by, whole.start, whole.end, 5000)

        low = [(y, pi) for y, _, pi, _, _ in made.judged if y <= 2]
        assert by.words == "scored 2 or lower for Correctness of Answer quality"
        assert (found.n, found.flagged) == (len(made.judged), len(low))
        assert found.share == pytest.approx(read(shop.project, "low_scores", [whole], **of)[0].value)
        assert sorted(row.pi for row in found.rows if row.is_flagged) == sorted(pi for _, pi in low)
    scope = {"feature": ("search",)}
    by = flagging(shop.project, define("flagged", judge="quality", scope=scope), start=start, number=3)
    found = flagged_rows(by, whole.start, whole.end, 5000)
    assert found.n == sum(feature == "search" for *_, feature, _ in made.judged)
    assert by.words == "were flagged by Answer quality"
    polite = define("low_scores", judge="quality", criterion="polite")
    by = flagging(shop.project, polite, start=start, number=4)
    assert by.words == "got “no” for Polite of Answer quality"


def test_draws_are_fair_repeatable_and_leave_out_what_is_named(traffic):
    by = flagging(traffic, define("requests"))
    assert by.is_whole

    first = flagged_rows(by, NOW - WEEK, NOW, 10, seed=1)
    again = flagged_rows(by, NOW - WEEK, NOW, 10, seed=1)
    other = flagged_rows(by, NOW - WEEK, NOW, 10, seed=2)
    rest = flagged_rows(by, NOW - WEEK, NOW, 10, seed=1, without=[row.trace_id for row in first.rows])

    assert first == again
    assert {row.trace_id for row in first.rows} != {row.trace_id for row in other.rows}
    assert not {row.trace_id for row in first.rows} & {row.trace_id for row in rest.rows}
    assert first.n == rest.n


def test_an_incident_without_a_monitor_flags_errors_of_its_scope(traffic):
    incident = make_incident(traffic, began_at=NOW - WEEK, origin="person", scope={"feature": ["search"]})

    by = flagging_of(traffic.pk, incident.pk)
    found = flagged_rows(by, by.start, by.end, 100)

    counted = read(traffic, "errors", [Window(NOW - WEEK, NOW)], scope={"feature": "search"})[0].data
    assert (found.flagged, found.n) == (counted.k, counted.n)
    assert flagged_rows(by, by.start, by.end, 100, without=[uuid4()]).flagged == counted.k
