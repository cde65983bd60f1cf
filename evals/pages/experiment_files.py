"""Experiments as files: the results of one, and the item by item differences of two."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest, HttpResponseBase

from evals.api.experiments import result_json
from evals.pages.cells import flat
from evals.read.comparison import Comparison
from evals.read.experiments import ExperimentRow, list_results
from telltale.projects.models import Project
from traces.pages.export import FORMATS, Busy, busy_response, download

CHUNK = 200
NAMES = (
    "item_key", "state", "input", "expected", "output", "error", "metrics", "sent", "scores", "latency_ms", "cost_usd",
    "input_tokens", "output_tokens", "trace_id",
)  # fmt: skip
NESTED = ("input", "expected", "output", "metrics", "sent", "scores")
PAIR_NAMES = ("item_key", "measure", "title", "new", "old", "change")


def asked_format(request: HttpRequest) -> str:
    """The kind of file that an address asks for; empty for the page."""
    kind = request.GET.get("format", "")
    return kind if kind in FORMATS else ""


def results_file(project: Project, row: ExperimentRow, kind: str, *, is_head: bool) -> HttpResponseBase:
    """Every result with its item, scores and metrics."""
    records = iter(()) if is_head else _results(project, row, kind)
    return _sent(f"{project.slug}-experiment-{row.id}", kind, NAMES, records, is_head=is_head)


def comparison_file(project: Project, found: Comparison, kind: str, *, is_head: bool) -> HttpResponseBase:
    """Every pair of every measure: a line each."""
    name = f"{project.slug}-experiment-{found.new.id}-against-{found.old.id}"
    return _sent(name, kind, PAIR_NAMES, iter(()) if is_head else _pairs(found), is_head=is_head)


def _sent(
    name: str, kind: str, names: tuple[str, ...], records: Iterator[dict[str, Any]], *, is_head: bool
) -> HttpResponseBase:
    try:
        return download(name, kind, names, records, is_head=is_head)
    except Busy:
        return busy_response()


def _results(project: Project, row: ExperimentRow, kind: str) -> Iterator[dict[str, Any]]:
    after: str | None = None
    while part := list_results(project.pk, row.id, after=after, limit=CHUNK):
        for each in part:
            told = result_json(each)
            if kind == "csv":
                told |= {name: flat(told[name]) for name in NESTED}
            yield {name: told[name] for name in NAMES}
        after = part[-1].item_key


def _pairs(found: Comparison) -> Iterator[dict[str, Any]]:
    for line in found.lines:
        for each in found.moved[line.measure.key]:
            yield {
                "item_key": each.key, "measure": line.measure.key, "title": line.measure.title, "new": each.new,
                "old": each.old, "change": each.change,
            }  # fmt: skip
