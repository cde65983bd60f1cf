"""Series under a filter of the list of traces, and of what single requests cost: of the traces themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from alerts.detectors.points import Share
from alerts.monitors.types import Window
from alerts.read.series import SeriesFault, check_filter, history_start, traces_behind, values_of
from alerts.series.catalogue import METRICS
from alerts.series.making import VALUES_MAX
from tests.alerts.series_kit import define, read, read_all, rows, windows
from tests.traces import rollup_traffic
from tests.traces.conftest import otlp, shop  # noqa: F401
from traces import folding
from traces.write import rollup_memory

NOW = datetime.now(UTC).replace(second=0, microsecond=0)
EVERYTHING = "spans.min=1"
COSTS = """
    SELECT cost_pico::float8 / 1e12 FROM traces_trace
    WHERE project_id = %s AND usage_count > 0 AND unpriced_count + unknown_usage_count + partial_count = 0
      AND started_at >= %s AND started_at < %s
"""


@pytest.fixture
def traffic(otlp, shop):  # noqa: F811
    rollup_memory.forget()
    for _ in rollup_traffic.send(otlp, rollup_traffic.make_traffic(otlp, 47, traces=70)):
        pass
    folding.fold_roll_ups()
    yield shop.project
    rollup_memory.forget()


def test_a_filter_that_takes_everything_reads_what_roll_ups_say(traffic):
    cut = windows(traffic, 360, NOW - timedelta(days=7), NOW)
    keys = ("errors", "failures", "requests", "spend", "unpriced", "input_tokens", "output_tokens", "cache_share")
    scopes = ({}, {"feature": ("search", None)}, {"release": "v1", "environment": None})
    plain = read_all(traffic, [define(key, scope=scope) for key in keys for scope in scopes], cut)
    filtered = read_all(traffic, [define(key, scope=scope, text=EVERYTHING) for key in keys for scope in scopes], cut)

    for at, key in enumerate(key for key in keys for _ in scopes):
        # Roll-ups book spend by calls, at their start and by their dimensions; here all of a trace is together.
        if key in {"errors", "failures", "requests"}:
            assert filtered[at] == plain[at], key
    whole = [Window(NOW - timedelta(days=7, hours=20), NOW)]
    for key in keys:
        booked, summed = read(traffic, key, whole)[0], read(traffic, key, whole, text=EVERYTHING)[0]
        assert (booked.n, booked.value) == (summed.n, pytest.approx(summed.value)), key


def test_a_filter_narrows_as_the_list_does(traffic):
    week = [Window(NOW - timedelta(days=7), NOW)]
    text = "status=error&feature=search&call.model=gpt-4o-mini"

    found = read(traffic, "requests", week, text=text)[0]

    expected = rows(
        "SELECT count(*) FROM traces_trace AS t WHERE project_id = %s AND error_count > 0 AND feature = 'search'"
        " AND started_at >= %s AND EXISTS (SELECT FROM traces_span AS s WHERE s.trace_id = t.trace_id"
        " AND coalesce(s.model_answered, s.model_requested) = 'gpt-4o-mini')",
        traffic.pk, week[0].start,
    )[0][0]  # fmt: skip
    assert found.n == expected > 0
    assert read(traffic, "errors", week, text=text)[0].data == Share(expected, expected)

    filtered = read(traffic, "request_duration", week, text=EVERYTHING, quantile=0.5)[0]

    booked = read(traffic, "request_duration", week, quantile=0.5)[0]
    assert (filtered.n, filtered.value, filtered.low, filtered.high) == (
        booked.n, booked.value, booked.low, booked.high
    )  # fmt: skip
    assert sorted(filtered.data.values) == sorted(booked.data.values)
    slow = read(traffic, "slow_requests", week, text=EVERYTHING, limit_ms=1000)[0]
    assert slow.data == read(traffic, "slow_requests", week, limit_ms=1000)[0].data


def test_costs_of_requests_are_those_that_are_known(traffic):
    cut = windows(traffic, 1440, NOW - timedelta(days=7), NOW)

    found, free = read(traffic, "cost_per_request", cut), read(traffic, "free_requests", cut)

    for each, share in zip(found, free, strict=True):
        costs = np.array([cost for (cost,) in rows(COSTS, traffic.pk, each.window.start, each.window.end)])
        # Where no cost is known, n says how many there were.
        assert each.n == share.n == len(costs) or (each.value is None and share.value is None and each.n == share.n > 0)
        if len(costs):
            assert each.value == pytest.approx(costs.mean())
            assert sorted(each.data.values) == pytest.approx(sorted(costs))
            assert share.data.k == (costs == 0).sum()
        assert each.coverage is None or 0 < each.coverage < 1 or each.coverage in {0.0, 1.0}
    assert any(each.coverage not in {None, 1.0} for each in found)
    assert [read(traffic, "cost_per_request", [each.window])[0] for each in found] == found
    parts = read_all(
        traffic,
        [define("cost_per_request", scope={"feature": value}) for value in ("search", "returns", None)]
        + [define("cost_per_request", scope={"feature": ("search", "returns", None)})],
        cut,
    )
    for at, each in enumerate(found):
        assert sum(part[at].n for part in parts[:3] if part[at].data) == (each.n if each.data else 0)
        assert (parts[3][at].n, parts[3][at].value) == (each.n, pytest.approx(each.value))
        if each.data is not None:
            assert sorted(parts[3][at].data.values) == pytest.approx(sorted(each.data.values))
            assert len(each.data.values) <= VALUES_MAX


def test_a_filter_that_is_none_is_refused_by_its_field(shop):  # noqa: F811
    hour = [Window(NOW - timedelta(hours=1), NOW)]
    wrong = {
        "cost.min=lots": "scope.filter.cost.min",
        "status=sad": "scope.filter.status",
        "q=refund": "scope.filter.q",
        "colour=red": "scope.filter",
        "call.duration_ms.max=-1e400": "scope.filter.call.duration_ms.max",
        "feature=%00": "scope.filter.feature",
    }

    for text, field in wrong.items():
        assert [fault.field for fault in check_filter(text)] == [field]
        with pytest.raises(SeriesFault, match="the filter cannot be read"):
            read(shop.project, "errors", hour, text=text)
    with pytest.raises(SeriesFault, match="model is narrowed by the filter itself"):
        read(shop.project, "spend", hour, text=EVERYTHING, scope={"model": "gpt-4o-mini"})


def test_a_point_leads_to_as_many_traces_as_it_counts_of_values_that_were_seen(traffic, shop):  # noqa: F811
    day = Window(NOW - timedelta(days=7), NOW)
    asked = [
        define("requests"),
        define("requests", scope={"feature": "search", "prompt_name": "order"}),
        define("requests", scope={"release": None}),
        define("requests", text="status=error&feature=search"),
    ]
    for definition, answer in zip(asked, read_all(traffic, asked, [day]), strict=True):
        query = traces_behind(METRICS["requests"], definition, day)
        found = shop.nobody.get(f"/api/v1/traces?{query}&limit=200", headers=shop.key("read")).json()
        assert len(found["items"]) == answer[0].n, query

    # Pickers offer what was seen, and history begins with it.
    span = (NOW - timedelta(days=7), NOW)

    assert set(values_of(traffic.pk, "UTC", METRICS["errors"], "feature", *span)) == {"search", "returns", None}
    assert "gpt-4o-mini" in values_of(traffic.pk, "UTC", METRICS["calls"], "model", *span)
    assert values_of(traffic.pk, "UTC", METRICS["errors"], "model", *span) == []
    first = rows("SELECT min(started_at) FROM traces_trace WHERE project_id = %s", traffic.pk)[0][0]
    start = history_start(traffic.pk, "UTC", METRICS["errors"], define("errors"), NOW)
    assert timedelta(0) <= first - start < timedelta(hours=1) or timedelta(0) <= start - first < timedelta(hours=1)
