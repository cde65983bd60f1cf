"""A point of a chart and the list it opens count the same: every sum of roll-ups against the list's own filters."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.traces import rollup_traffic
from traces import folding
from traces.canonical.types import Kind
from traces.read import Ask, TraceFilter, list_traces, parse_terms
from traces.read.asking import asking
from traces.read.calls import count_calls
from traces.read.rollups import Step, What, calls, reading, requests
from traces.write import rollup_memory

CALL_FIELDS = {
    "kind": "call.kind", "model": "call.model", "provider": "call.provider", "service": "call.service",
    "feature": "call.feature", "environment": "call.environment", "release": "call.release",
    "prompt_name": "call.prompt", "prompt_version": "call.prompt_version",
}  # fmt: skip
LIST_FIELDS = {
    "feature": "feature", "service": "service", "environment": "environment", "release": "release",
    "prompt_name": "prompt", "prompt_version": "prompt_version",
}  # fmt: skip


@pytest.fixture
def project(otlp, shop):
    rollup_memory.forget()
    shop.project.time_zone = "Europe/Berlin"
    shop.project.save()
    for _ in rollup_traffic.send(otlp, rollup_traffic.make_traffic(otlp, 51, traces=25)):
        pass
    folding.fold_roll_ups()
    yield shop.project
    rollup_memory.forget()


def address(fields, by, key):
    pairs = []
    for dimension, value in zip(by, key, strict=True):
        name = fields[dimension]
        if value is None:
            pairs.append((f"{name}.missing", ["yes"]))
        else:
            pairs.append((name, [Kind(value).name.lower() if dimension == "kind" else value]))
    return pairs


def listed_calls(project, start, end, pairs):
    pairs = [*pairs, ("call.from", [start.isoformat()]), ("call.to", [end.isoformat()])]
    terms, wrong = parse_terms(pairs)
    assert wrong == []
    with asking() as cursor:
        return count_calls(cursor, project.pk, TraceFilter(terms=terms), exactly=True).calls


@pytest.mark.parametrize("dimension", CALL_FIELDS)
def test_calls_of_every_dimension_are_those_of_the_list(project, dimension):
    with reading(project.pk, project.time_zone) as rollups:
        start, end = rollups.now - timedelta(days=6), rollups.now
        answer = rollups.ask(calls(), start, end, by=(dimension,), want=("counts",))
    assert answer.rows
    for row in answer.rows:
        pairs = address(CALL_FIELDS, (dimension,), row.key)
        assert listed_calls(project, answer.start, answer.end, pairs) == row.sums.n, row.key
        failed = listed_calls(project, answer.start, answer.end, [*pairs, ("call.status", ["error"])])
        assert failed == row.sums.errors, row.key


def test_points_of_time_are_those_of_the_list(project):
    with reading(project.pk, project.time_zone) as rollups:
        start, end = rollups.now - timedelta(days=6), rollups.now
        answer = rollups.ask(calls(kind=Kind.GENERATION), start, end, step=Step.DAY, want=("counts",))
    for point in answer.points():
        low, high = answer.edges[point.at], answer.edges[point.at + 1]
        assert listed_calls(project, low, high, [("call.kind", ["generation"])]) == point.sums.n


def test_stages_and_reasons_are_those_of_the_list(project):
    with reading(project.pk, project.time_zone) as rollups:
        start, end = rollups.now - timedelta(days=6), rollups.now
        stages = rollups.ask(calls(kind=Kind.TOOL), start, end, by=("stage",), want=("counts",))
        failed = rollups.reasons(What.ERROR_TYPE, calls(), start, end)
        finished = rollups.reasons(What.FINISH_REASON, calls(), start, end)
    for row in stages.rows:
        pairs = [("call.kind", ["tool"]), ("call.name", [row.key[0]])]
        assert listed_calls(project, stages.start, stages.end, pairs) == row.sums.n
    for name, found in (("call.error_type", failed), ("call.finish_reason", finished)):
        assert found.rows
        for row in found.rows:
            assert listed_calls(project, found.start, found.end, [(name, [row.reason])]) == row.n


@pytest.mark.parametrize("dimension", LIST_FIELDS)
def test_requests_of_every_dimension_are_those_of_the_list(project, dimension):
    with reading(project.pk, project.time_zone) as rollups:
        start, end = rollups.now - timedelta(days=6), rollups.now
        answer = rollups.ask(requests(), start, end, by=(dimension,), want=("counts", "cost"))
    for row in answer.rows:
        pairs = address(LIST_FIELDS, (dimension,), row.key)
        for n, more in (
            (row.sums.n, []),
            (row.sums.errors, [("status", ["error"])]),
            (row.sums.failed, [("status", ["failed"])]),
            (row.sums.refusals, [("finish_reason", ["refusal", "content_filter"])]),
        ):
            terms, wrong = parse_terms([*pairs, *more])
            assert wrong == []
            page = list_traces(project.pk, TraceFilter(answer.start, answer.end, terms=terms), ask=Ask(limit=1000))
            assert (page.count.n, page.count.is_exact) == (n, True), (row.key, more)
            if not more:
                assert sum(found.cost_pico for found in page.rows) == row.sums.cost_pico
