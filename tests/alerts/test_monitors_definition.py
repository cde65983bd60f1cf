"""Definitions as people send them: what is left out, what comes back, and every fault by field, limit and value."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.monitoring import merged, parse
from alerts.monitors.definition import (
    WINDOWS,
    charted,
    methods_of,
    parse_definition,
    read_definition,
    to_json,
)
from alerts.monitors.presets import PRESETS, limit_on_scale, warning_of
from alerts.monitors.states import Kind, Method
from alerts.monitors.stored import BESIDE_THE_CHART
from alerts.series.catalogue import METRICS
from alerts.series.grid import SIZES
from alerts.series.scopes import parse_scope
from telltale.lib.faults import ItemRefused

PARAMS = {"limit_ms": 500, "error_type": ["TimeoutError"], "finish_reason": ["stop"], "field": "input_topic"}
OF_METHOD = {
    "fixed": {"threshold": {"limit": 0.5}},
    "objective": {"objective": {"allowed": 0.01}},
    "composite": {"composite": {"members": [1, {"monitor": 2, "weight": 2}]}},
}


def told(metric="errors", method="chart", **more):
    needs = METRICS[metric].needs if metric in METRICS else ()
    params = {name: PARAMS.get(name, "x") for name in needs}
    return {"name": "a", "metric": metric, "method": method, "params": params, **OF_METHOD.get(method, {}), **more}


def faults(**more):
    with pytest.raises(ItemRefused) as refused:
        parse(told(**more))
    return {fault.field: fault for fault in refused.value.faults}


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.key)
def test_every_metric_by_every_method_comes_back_as_it_was(metric):
    for method in methods_of(metric.kind):
        made = parse(told(metric.key, method.value))

        stored = json.loads(json.dumps(to_json(made)))

        assert read_definition(stored) == made
        assert parse(stored) == made


def test_what_is_left_out_is_as_the_metric_suggests():
    made = parse({"name": " Errors  of all ", "metric": "errors"})

    assert (made.name, made.method, made.direction, made.least_n) == ("Errors of all", Method.CHART, "up", 1)
    assert (made.window, made.baseline.days, made.is_paging, made.severity) == (METRICS["errors"].window, 3.0, True, 2)
    assert parse({"name": "a", "metric": "request_duration"}).least_n == 20
    assert parse({"name": "a", "metric": "abandoned"}).lateness.total_seconds() == 2 * 3600
    assert parse({"name": "a", "metric": "errors", "window_minutes": 1}).lateness.total_seconds() == 60


@pytest.mark.parametrize(
    ("more", "field", "limit"),
    [
        ({"name": ""}, "name", "1 to 120 characters"),
        ({"name": "x" * 121}, "name", "1 to 120 characters"),
        ({"name": "a\x00"}, "name", "1 to 120 characters"),
        ({"window_minutes": 7}, "window_minutes", "one of 1, 2, 3"),
        ({"window_minutes": 10**400}, "window_minutes", "a whole number"),
        ({"severity": "P7"}, "severity", "a whole number from 0 to 3"),
        ({"severity": True}, "severity", "a whole number from 0 to 3"),
        ({"weight": math.nan}, "weight", "a number from 0.1 to 10"),
        ({"direction": ["up"]}, "direction", "one of both, up, down"),
        ({"tier": "shout"}, "tier", "one of page, notice"),
        ({"colour": 1}, "colour", "one of name"),
        ({"floor": 2}, "floor", "a number from 0 to 1"),
        ({"floor": 0.5, "ceiling": 0.1}, "ceiling", "more than 0.5"),
        ({"no_data_minutes": 5}, "no_data_minutes", "15 to"),
        ({"least_n": 0}, "least_n", "a whole number from 1"),
        ({"method": "fixed", "threshold": None}, "threshold", "an object with limit and side"),
        ({"method": "fixed", "threshold": {}}, "threshold.limit", "a number from 0 to 1"),
        ({"method": "fixed", "threshold": {"limit": 0.1, "release": 0.2}}, "threshold.release", "at most 0.1"),
        ({"threshold": {"limit": 1}}, "threshold", "null"),
        ({"method": "objective", "objective": {"allowed": 0}}, "objective.allowed", "a number between 0 and 1"),
        ({"method": "objective", "window_minutes": 120}, "window_minutes", "at most 60"),
        ({"metric": "finish_reasons", "method": "cusum"}, "method", "one of chart"),
        ({"baseline": {"end": "2026-01-01T00:00:00Z"}}, "baseline.start", "a time before the end"),
        ({"baseline": {"start": "2026-01-01"}}, "baseline.start", "ISO 8601"),
        (
            {"baseline": {"start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z"}},
            "baseline.end",
            "after 2026-01-02T00:00:00Z",
        ),
        ({"params": {"quantile": 0.5}}, "params.quantile", "none"),
        ({"metric": "slow_calls", "params": {}}, "params.limit_ms", "a value"),
        ({"metric": "request_duration", "params": {"quantile": 2}}, "params.quantile", "0.01"),
        ({"scope": {"planet": "earth"}}, "scope.planet", "feature"),
        ({"scope": {"model": ["gpt-4o"]}}, "scope.model", "feature"),
        ({"metric": "abandoned", "window_minutes": 15}, "window_minutes", "60 or more"),
        ({"metric": "love"}, "metric", "the key of a metric"),
        ({"metric": {"a": 1}}, "metric", "the key of a metric"),
    ],
)
def test_a_fault_names_its_field_and_what_is_accepted(more, field, limit):
    metric = more.get("metric", "errors")

    with pytest.raises(ItemRefused) as refused:
        parse(told(metric, **{k: v for k, v in more.items() if k != "metric"}) if isinstance(metric, str) else more)

    found = {fault.field: fault for fault in refused.value.faults}
    assert limit in found[field].limit, found


def test_all_faults_come_at_once():
    assert set(faults(severity=9, weight=-1, window_minutes=7)) == {"severity", "weight", "window_minutes"}


@pytest.mark.parametrize(
    ("composite", "field"),
    [
        ({"members": []}, "composite.members"),
        ({"members": [1]}, "composite.members"),
        ({"members": [1, 1]}, "composite.members[1].monitor"),
        ({"members": [1, "two"]}, "composite.members[1]"),
        ({"members": [1, {"monitor": 2, "weight": 0}]}, "composite.members[1].weight"),
        ({"members": [1, 2], "least": 3}, "composite.least"),
        ({"members": [1, 2], "within_minutes": 1}, "composite.within_minutes"),
        ({"members": [1, 2], "score_over": 0}, "composite.score_over"),
        ({"members": 7}, "composite.members"),
    ],
)
def test_a_composite_names_what_is_wrong_with_its_members(composite, field):
    with pytest.raises(ItemRefused) as refused:
        parse({"name": "a", "method": "composite", "composite": composite})

    assert field in {fault.field for fault in refused.value.faults}


def test_a_composite_has_no_series_of_its_own():
    with pytest.raises(ItemRefused) as refused:
        parse({**told(method="composite"), "metric": "errors", "scope": {"feature": "a"}, "floor": 1})

    assert {"metric", "scope", "floor"} <= {fault.field for fault in refused.value.faults}


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.sampled_from([*to_json(parse(told())), "what"]), junk, max_size=6),
    st.sampled_from(list(METRICS)),
)
def test_hostile_definitions_are_read_or_refused(more, metric):
    made, refused = read(
        {**told(metric), **more},
    )

    if made is None:
        assert refused
        assert all(fault.field and fault.message for fault in refused)
    else:
        assert read_definition(json.loads(json.dumps(to_json(made)))) == made


def read(body):
    try:
        return parse_definition(body, METRICS, parse_scope=parse_scope), ()
    except ItemRefused as refused:
        return None, refused.faults


def test_only_what_decides_windows_makes_another_chart():
    made = to_json(parse(told()))

    assert set(made) - set(charted(parse(told()))) == BESIDE_THE_CHART
    assert charted(parse({**made, "severity": 0, "note": "n", "weight": 2})) == charted(parse(made))
    assert charted(parse({**made, "direction": "both"})) != charted(parse(made))


def test_another_method_leaves_behind_what_belonged_to_the_old_one():
    held = to_json(parse(told(method="fixed")))

    changed = parse(merged(held, {"method": "chart"}))

    assert (changed.method, changed.threshold) == (Method.CHART, None)
    assert parse(merged(held, {"metric": "duration", "threshold": {"limit": 900}})).least_n == 20


def test_windows_are_those_of_the_grid():
    assert WINDOWS == SIZES
    assert {kind for kind in Kind if methods_of(kind)} == set(Kind)


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.slug)
def test_every_preset_can_be_made_and_says_what_it_alarms_by_chance(preset):
    made = {"name": preset.name, **preset.told, "params": dict(preset.told.get("params", {}))}
    for need in preset.needs:
        group, _, name = need.partition(".")
        made[group] = {**made.get(group, {}), name: 3 if name in {"limit", "capacity"} else "x"}
    if preset.scale_share is not None:
        made["threshold"] = {**made["threshold"], "limit": limit_on_scale(preset.scale_share, 1, 5)}

    definition = parse(made)

    assert definition.name == preset.name
    assert bool(preset.source_words) is not preset.is_own
    assert bool(warning_of(preset.slug)) is (definition.method is Method.FIXED)


def test_seven_of_ten_is_mapped_on_the_scale():
    assert [limit_on_scale(0.7, low, high) for low, high in ((1, 5), (0, 1), (0, 10))] == [3.8, 0.7, 7.0]


def test_the_warning_of_a_quoted_share_is_the_binomial():
    """Errors over 1 % at a true .5 %: a window of 50 has any error with .2217, an edge with .2217 · (1 - .2217)."""
    chance = 1 - 0.995**50

    assert f"alarm about {chance * (1 - chance) * 672:.0f} times a week" in warning_of("errors-1")
