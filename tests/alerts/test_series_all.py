"""Every metric, read from a project in which nothing happened and from one in which everything is wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alerts.read import series, series_hosts, series_rollups, series_scores, series_traces, series_units
from alerts.read.series import SeriesFault, check_params, history_start, made_by, param_choices, values_of
from alerts.series.catalogue import METRICS
from alerts.series.links import behind
from tests.alerts.series_kit import define, read_all, windows
from tests.evals.estimate_rows import make_judge
from tests.traces.conftest import shop  # noqa: F401
from traces.models import Outcome
from traces.read.asking import TooSlow

NOW = datetime.now(UTC).replace(second=0, microsecond=0)
PARAMS = {
    "limit_ms": 200, "error_type": ["TimeoutError"], "finish_reason": ["stop"], "capacity": 60, "judge": "quality",
    "criterion": "correctness", "name": "stars", "outcome": "cost", "field": "input_language",
}  # fmt: skip


def needs(metric):
    return {name: PARAMS[name] for name in (*metric.needs, *metric.may) if name in PARAMS}


@pytest.fixture
def judged(shop):  # noqa: F811
    make_judge(shop.project)
    spec = {"measure": "cost", "of": [{"fact": "completed"}], "better": "lower"}
    Outcome.objects.create(project=shop.project, slug="cost", name="Cost", spec=spec)
    return shop.project


def test_every_metric_has_one_reader_and_every_filter_too():
    assert set(series._READERS) == set(METRICS)
    assert set(series._FILTERED) == {key for key, metric in METRICS.items() if metric.has_filter}


def test_where_nothing_happened_every_metric_says_so(judged):
    cut = windows(judged, 60, NOW - timedelta(hours=30), NOW)
    definitions = [define(key, **needs(metric)) for key, metric in METRICS.items()]
    filtered = [
        define(key, text="cost.min=0.01&call.name=chat", **needs(metric))
        for key, metric in METRICS.items()
        if metric.has_filter
    ]

    read_all(judged, filtered[:1], cut[:1])  # what a process remembers of the project
    with CaptureQueriesContext(connection) as queries:
        answers = read_all(judged, [*definitions, *filtered], cut)
    with CaptureQueriesContext(connection) as fewer:
        read_all(judged, [*definitions, *filtered], cut[:3])

    for definition, answer in zip([*definitions, *filtered], answers, strict=True):
        assert not isinstance(answer, SeriesFault), (definition.metric, answer)
        assert [each.window for each in answer] == cut
        is_count = METRICS[definition.metric].kind == "count" or definition.metric in {"silence", "utilisation"}
        for each in answer:
            assert (each.data is not None) == is_count, (definition.metric, each)
            assert is_count or (each.n == 0 and each.lacking)
    # Hosts are read in parts of two days; all else whatever the number of windows.
    assert len(queries) == len(fewer)


def test_history_begins_nowhere_and_links_lead_to_lists(judged):
    for key, metric in METRICS.items():
        definition = define(key, **needs(metric))

        assert history_start(judged.pk, judged.time_zone, metric, definition, NOW) is None
        assert behind(metric, definition, windows(judged, 60, NOW - timedelta(hours=2), NOW)[0]).page in {
            "traces", "sessions", ""
        }  # fmt: skip
        assert check_params(judged.pk, metric, definition.params) == []
        for name in (*metric.needs, *metric.may):
            assert isinstance(param_choices(judged.pk, metric, name, definition.params, NOW), list)
        for dimension in metric.scopes:
            assert values_of(judged.pk, judged.time_zone, metric, dimension, NOW - timedelta(days=1), NOW) == []
        has_maker = "judge" in metric.needs or "outcome" in metric.needs
        assert bool(made_by(judged.pk, metric, definition)) == has_maker


@pytest.mark.parametrize(
    ("metric", "params", "words"),
    [
        ("score", {"judge": "gone", "criterion": "correctness"}, "no judge gone"),
        ("score", {"judge": "quality", "criterion": "gone"}, "no criterion gone"),
        ("coverage", {"judge": "gone"}, "no judge gone"),
        ("unparsable", {"judge": "gone"}, "no judge gone"),
        ("outcome", {"outcome": "gone"}, "no outcome gone"),
        ("slow_ttft", {}, "needs limit_ms"),
        ("slow_ttft", {"limit_ms": "many"}, "params.limit_ms"),
        ("abandoned", {"window": 15}, "windows of 60 minutes"),
    ],
)
def test_what_is_gone_is_said_in_words(judged, metric, params, words):
    fault, fine = read_all(
        judged, [define(metric, **params), define("requests")], windows(judged, 60, NOW - timedelta(hours=3), NOW)
    )

    assert words in fault.words
    assert not fault.is_passing
    assert len(fine) >= 2


def test_what_takes_too_long_is_tried_again_and_holds_up_no_other(judged, monkeypatch):
    cut = windows(judged, 60, NOW - timedelta(hours=3), NOW)

    def too_slow(*args, **more):
        raise TooSlow

    by_module = {
        series_traces: ["cost_per_request", "free_requests", "cost_per_session"],
        series_scores: ["score", "flagged", "posted_score", "unparsable", "coverage"],
        series_units: ["abandoned", "outcome"],
        series_hosts: ["ingest_lag"],
        series_rollups: ["errors", "silence"],
    }
    for module, keys in by_module.items():
        with monkeypatch.context() as patch:
            patch.setattr(module, "reading" if module is series_rollups else "rows_of", too_slow)
            asked = [define(key, **needs(METRICS[key])) for key in keys]
            other = define("ingest_lag" if module is series_rollups else "requests")

            *slow, fine = read_all(judged, [*asked, other], cut)

            for key, answer in zip(keys, slow, strict=True):
                assert isinstance(answer, SeriesFault), key
                assert answer.is_passing, key
            assert len(fine) == len(cut)
    with monkeypatch.context() as patch:
        patch.setattr(series_traces, "rows_of", too_slow)
        (filtered,) = read_all(judged, [define("errors", text="cost.min=1")], cut)
    assert "narrow the filter" in filtered.words
