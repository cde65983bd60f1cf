"""Scopes of series: what JSON becomes, and which field is wrong with what."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.monitors.types import DIMENSIONS, Definition, Scope, Window
from alerts.series.catalogue import GROUPS, METRICS, metrics_of, timing_of
from alerts.series.grid import is_size
from alerts.series.links import behind
from alerts.series.params import PARAMS, parse_params
from alerts.series.scopes import parse_scope, scope_json, scope_words
from telltale.lib.faults import ItemRefused

START = datetime(2026, 11, 16, tzinfo=UTC)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from((*DIMENSIONS, "filter", "view")), inner)
    ),
    max_leaves=6,
)


def test_a_scope_is_the_same_however_it_is_written():
    first = parse_scope({"model": "gpt-4o", "feature": [None, "search", "search"]})
    second = parse_scope({"feature": ["search", None], "model": ["gpt-4o"]})

    assert first == second == Scope((("feature", ("search", None)), ("model", ("gpt-4o",))))
    assert parse_scope(scope_json(first)) == first
    assert scope_words(first) == "feature search or unknown, model gpt-4o"


def test_a_filter_keeps_what_it_is_of_and_leaves_out_when():
    scope = parse_scope({"filter": "?feature=a%20b&from=2026-01-01&sort=cost&cost.min=0.01", "view": 7})

    assert scope == Scope(filter="feature=a+b&cost.min=0.01", view=7)
    assert parse_scope(scope_json(scope)) == scope


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ("search", "scope"),
        ({"colour": "red"}, "scope.colour"),
        ({"feature": 7}, "scope.feature"),
        ({"feature": ["a"] * 51}, "scope.feature"),
        ({"feature": ["a", 3]}, "scope.feature[1]"),
        ({"feature": ["a\x00"]}, "scope.feature[0]"),
        ({"feature": ["\ud800"]}, "scope.feature[0]"),
        ({"feature": "x" * 301}, "scope.feature[0]"),
        ({"filter": 5}, "scope.filter"),
        ({"filter": "x" * 2001}, "scope.filter"),
        ({"filter": "&".join("a=1" for _ in range(300))}, "scope.filter"),
        ({"view": True}, "scope.view"),
    ],
)
def test_what_is_wrong_is_named(told, field):
    with pytest.raises(ItemRefused) as refused:
        parse_scope(told)

    assert [fault.field for fault in refused.value.faults] == [field]


def test_a_metric_says_what_it_can_be_narrowed_by():
    with pytest.raises(ItemRefused) as refused:
        parse_scope({"model": "gpt-4o", "filter": "a=1"}, METRICS["thumbs_down"])

    assert [(fault.field, fault.limit) for fault in refused.value.faults] == [
        ("scope.model", "feature"),
        ("scope.filter", "dimensions only"),
    ]


@settings(max_examples=150, deadline=None)
@given(JSON)
def test_hostile_json_is_a_scope_or_is_refused(told):
    try:
        scope = parse_scope(told)
    except ItemRefused as refused:
        faults = refused.faults
    else:
        faults = ()
        assert parse_scope(scope_json(scope)) == scope
    assert all(fault.field.startswith("scope") and fault.message for fault in faults)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(METRICS)), st.dictionaries(st.sampled_from([*PARAMS, "colour"]), JSON, max_size=4))
def test_hostile_params_are_kept_or_refused(key, told):
    metric = METRICS[key]
    try:
        kept = parse_params(metric, told)
    except ItemRefused as refused:
        faults = refused.faults
    else:
        faults = ()
        assert set(metric.needs) <= set(kept) <= {*metric.needs, *metric.may}
        assert parse_params(metric, kept) == kept
        behind(metric, Definition("any", key, params=kept), Window(START, START + timedelta(hours=1)))
    assert all(fault.field.startswith("params") and fault.message for fault in faults)


@pytest.mark.parametrize(
    ("key", "told", "field"),
    [
        ("errors", {"limit_ms": 5}, "params.'limit_ms'"),
        ("slow_calls", {}, "params.limit_ms"),
        ("slow_calls", {"limit_ms": "5"}, "params.limit_ms"),
        ("slow_calls", {"limit_ms": True}, "params.limit_ms"),
        ("slow_calls", {"limit_ms": float("nan")}, "params.limit_ms"),
        ("slow_calls", {"limit_ms": 0}, "params.limit_ms"),
        ("duration", {"quantile": 1.0}, "params.quantile"),
        ("error_type", {"error_type": ["a"] * 21}, "params.error_type"),
        ("error_type", {"error_type": ["a\x00"]}, "params.error_type"),
        ("finish_reason", {"finish_reason": "x" * 201}, "params.finish_reason"),
        ("host_cpu", {"across": "lowest"}, "params.across"),
        ("score", [], "params"),
    ],
)
def test_the_param_that_is_wrong_is_named(key, told, field):
    with pytest.raises(ItemRefused) as refused:
        parse_params(METRICS[key], told)

    assert [fault.field for fault in refused.value.faults] == [field]


def test_every_metric_is_whole():
    assert {metric.key for group in GROUPS for metric in metrics_of(group)} == set(METRICS)
    for key, metric in METRICS.items():
        assert metric.key == key
        assert set(metric.needs) | set(metric.may) <= set(PARAMS)
        assert set(metric.scopes) <= set(DIMENSIONS)
        assert is_size(metric.window)
        assert is_size(metric.shortest)
        assert metric.shortest <= metric.window
        assert timing_of(metric).lateness < timing_of(metric).grace
        assert metric.told.endswith(".")
