"""Series of requests and calls: equal to the spans they are of, in any zone, and cheap for many monitors."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alerts.detectors.points import Categories, Count, Level, Share, Values
from alerts.models import Budget
from alerts.monitors.types import Window
from alerts.read.series import SeriesFault
from alerts.series.catalogue import METRICS
from alerts.series.making import VALUES_MAX
from alerts.series.recipes import RECIPES
from telltale.stats.sketch import RELATIVE_ERROR
from tests.alerts.series_kit import define, read, read_all, rows, windows
from tests.traces import rollup_traffic
from tests.traces.conftest import Otlp, otlp, shop  # noqa: F401
from traces import folding
from traces.read.rollups import reading as reading_of
from traces.read.rollups import requests
from traces.write import rollup_memory

NOW = datetime.now(UTC).replace(second=0, microsecond=0)
PARAMS = {"limit_ms": 200, "error_type": ["TimeoutError"], "finish_reason": "stop", "capacity": 60}
TRACES = "SELECT {} FROM traces_trace WHERE project_id = %s AND started_at >= %s AND started_at < %s"
SPANS = """
    SELECT {} FROM traces_span AS s JOIN traces_trace AS t USING (project_id, trace_id)
    WHERE project_id = %s AND s.started_at >= %s AND s.started_at < %s AND kind = 1
"""


def needs(metric):
    return {name: PARAMS[name] for name in (*METRICS[metric].needs, *METRICS[metric].may) if name in PARAMS}


@pytest.fixture
def traffic(otlp, shop):  # noqa: F811
    rollup_memory.forget()
    shop.project.time_zone = "Asia/Kathmandu"
    shop.project.save()
    folding.fold_roll_ups()
    for _ in rollup_traffic.send(otlp, rollup_traffic.make_traffic(otlp, 43, traces=70)):
        pass
    folding.fold_roll_ups()
    yield shop.project
    rollup_memory.forget()


def test_counts_and_shares_are_those_of_the_traces_themselves(traffic):
    sizes = {60: 7, 15: 1, 360: 7, 1440: 7}
    cuts = [windows(traffic, size, NOW - timedelta(days=days), NOW) for size, days in sizes.items()]

    counted = [each for cut in cuts for each in read(traffic, "requests", cut)]
    failed = [each for cut in cuts for each in read(traffic, "errors", cut)]

    for number, share in zip(counted, failed, strict=True):
        window = number.window
        n, k = rows(TRACES.format("count(*), count(*) FILTER (WHERE error_count > 0)"), traffic.pk, window.start,
                    window.end)[0]  # fmt: skip
        assert (number.n, number.value, number.data.events) == (n, n, n)
        assert 0 <= number.data.hour < 168
        assert share.n == n
        assert share.data == (Share(k, n) if n else None)
        assert share.value == (k / n if n else None)
        assert (share.lacking == "") == bool(n)
    assert sum(each.n for each in counted) > 20


def test_a_scope_narrows_by_any_of_its_values_and_by_unknown(traffic):
    cut = windows(traffic, 1440, NOW - timedelta(days=7), NOW)
    scope = {"feature": ("search", None), "model": ("gpt-4o-mini", "house-7b")}

    found = read(traffic, "call_errors", cut, scope=scope)

    for each in found:
        k, n = rows(
            SPANS.format("count(*) FILTER (WHERE s.status = 2), count(*)")
            + " AND coalesce(s.feature, t.feature, 'search') = 'search'"
            " AND coalesce(s.model_answered, s.model_requested) IN ('gpt-4o-mini', 'house-7b')",
            traffic.pk, each.window.start, each.window.end,
        )[0]  # fmt: skip
        assert (each.n, each.data) == (n, Share(k, n) if n else None)
    assert sum(each.n for each in found) > 10


def test_times_keep_their_quantile_and_at_most_so_many_values_in_an_order_that_stays(traffic):
    day = windows(traffic, 1440, NOW - timedelta(days=7), NOW)

    found = read(traffic, "duration", day, quantile=0.5)

    for each in found:
        values = np.sort([float(value) / 1e6 for (value,) in rows(
            SPANS.format("duration_ns") + " AND duration_ns IS NOT NULL", traffic.pk, each.window.start, each.window.end
        )])  # fmt: skip
        assert each.n == len(values)
        if len(values):
            assert each.value == pytest.approx(values[int(np.ceil(len(values) / 2)) - 1], rel=RELATIVE_ERROR + 1e-9)
            assert sorted(each.data.values) == pytest.approx(values, rel=RELATIVE_ERROR + 1e-9)
            assert len(each.data.values) <= VALUES_MAX
    assert found == read(traffic, "duration", day, quantile=0.5)
    assert any(list(each.data.values) != sorted(each.data.values) for each in found if each.n > 5)


def test_every_metric_of_roll_ups_reads_every_window(traffic):
    cut = windows(traffic, 60, NOW - timedelta(days=7), NOW)
    definitions = [define(key, **needs(key)) for key in RECIPES]

    answers = read_all(traffic, definitions, cut)

    kinds = {"share": Share, "time": Values, "count": Count, "level": Level, "category": Categories}
    for definition, answer in zip(definitions, answers, strict=True):
        assert not isinstance(answer, SeriesFault), (definition.metric, answer)
        metric = METRICS[definition.metric]
        assert [each.window for each in answer] == cut
        assert any(each.data is not None for each in answer), metric.key
        for each in answer:
            assert each.data is None or isinstance(each.data, kinds[metric.kind])
            assert (each.data is None) == (each.value is None)
            assert (each.data is None) == bool(each.lacking)
            assert each.low is None or each.low <= each.value
            assert each.high is None or each.value <= each.high
            assert each.coverage is None or 0 <= each.coverage <= 1


def test_many_monitors_are_read_in_few_queries_and_as_they_would_be_alone(traffic):
    cut = windows(traffic, 60, NOW - timedelta(days=2), NOW)
    definitions = [
        define(key, scope=scope, **needs(key))
        for key in ("errors", "requests", "call_errors", "duration", "refusals", "spend", "finish_reasons", "models")
        for scope in ({}, {"feature": "search"}, {"feature": "returns"}, {"feature": ("search", None), "release": "v1"})
    ]
    with CaptureQueriesContext(
        connection,
    ) as queries:
        together = read_all(traffic, definitions, cut)
    one = len(queries)

    with CaptureQueriesContext(connection) as queries:
        read_all(traffic, definitions * 3, cut[-5:])

    assert len(queries) == one
    for definition, answer in zip(definitions, together, strict=True):
        assert read_all(traffic, [definition], cut) == [answer]
    # Live reads a window alone, a back-test all of them: the same to the last bit.
    for at in range(0, len(cut), 9):
        assert read_all(traffic, definitions, [cut[at]]) == [[answer[at]] for answer in together]


def test_money_says_what_is_not_known_and_throughput_needs_a_capacity(traffic):
    week = [Window(NOW - timedelta(days=7), NOW)]

    spend, unpriced = read(traffic, "spend", week)[0], read(traffic, "unpriced", week)[0]

    pico, unknown, known = rows(
        "SELECT sum(cost_pico), sum(unpriced_count + unknown_usage_count + partial_count),"
        " sum(priced_count + upper_bound_count) FROM traces_trace WHERE project_id = %s",
        traffic.pk,
    )[0]
    assert spend.value == pytest.approx(float(pico) / 1e12)
    assert spend.data.events == round(float(pico) / 1e6)
    assert spend.coverage == pytest.approx(float(known / (known + unknown)))
    assert 0 < unpriced.value < 1
    assert read(traffic, "spend", week, scope={"model": "house-7b"})[0].value is None

    # Throughput needs a capacity.
    with pytest.raises(SeriesFault, match="needs a capacity"):
        read(traffic, "utilisation", week)
    with pytest.raises(SeriesFault, match="no capacity is entered for model gpt-4o-mini"):
        read(traffic, "utilisation", week, scope={"model": "gpt-4o-mini"})

    Budget.objects.create(project=traffic, capacity={"model:gpt-4o-mini": 0.5})

    calls = read(traffic, "calls", week, scope={"model": "gpt-4o-mini"})[0].n
    assert read(traffic, "utilisation", week, scope={"model": "gpt-4o-mini"})[0].value == pytest.approx(
        calls / 7 / 1440 / 0.5
    )
    assert read(traffic, "utilisation", week, capacity=2)[0].data.sd is None


def test_silence_is_the_time_since_the_last_request(traffic):
    cut = windows(traffic, 30, NOW - timedelta(days=3), NOW)

    found = read(traffic, "silence", cut)

    starts = [at for (at,) in rows("SELECT started_at FROM traces_trace WHERE project_id = %s ORDER BY 1", traffic.pk)]
    for each in found:
        last = max((at for at in starts if at < each.window.end), default=None)
        real = min((each.window.end - last).total_seconds(), 7 * 86400) if last else 7 * 86400
        # To the minute near the first window, to the hour before.
        assert real - 3600 <= each.value <= real
        if each.window.end - (last or each.window.start) < timedelta(hours=2):
            assert real - 60 <= each.value


def test_what_is_no_longer_kept_is_not_taken_for_nothing(shop):  # noqa: F811
    old = [Window(NOW - timedelta(days=20), NOW - timedelta(days=20) + timedelta(minutes=15))]

    reading = read(shop.project, "requests", old)[0]

    assert (reading.value, reading.data, reading.n) == (None, None, 0)
    assert "8 days" in reading.lacking
    with reading_of(shop.project.pk, "UTC") as rollups:
        hour = (NOW - timedelta(hours=2), NOW - timedelta(hours=1))
        for wrong in (
            [hour, (hour[0] + timedelta(minutes=30), NOW)],
            [(hour[0], hour[0])],
            [(hour[0] + timedelta(seconds=1), hour[1])],
            [(old[0].start, old[0].end)],
        ):
            with pytest.raises(ValueError, match="no rows are kept"):
                rollups.ask_windows(requests(), wrong)


def test_a_series_that_cannot_be_says_why_and_spoils_no_other(shop):  # noqa: F811
    cut = windows(shop.project, 60, NOW - timedelta(hours=5), NOW)

    wrong, narrow, good = read_all(
        shop.project, [define("slow_calls"), define("errors", scope={"model": "a"}), define("errors")], cut
    )

    assert "needs limit_ms" in wrong.words
    assert "narrowed by model" in narrow.words
    assert len(good) == len(cut)
    assert read(shop.project, "errors", []) == []
