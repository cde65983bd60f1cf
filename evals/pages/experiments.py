"""The pages of experiments: the list, making one, one with its figures and results, and the comparison of two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import quote

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from evals import experimenting
from evals.experimenting import AskConfig, Conflict, ExperimentRefused, Wanted
from evals.keeping import DatasetRefused
from evals.metrics import METRICS
from evals.metrics.contents import question_of, text_of
from evals.models import Connection
from evals.pages.comparison_view import Side, verdict_words, view_comparison
from evals.pages.datasets import by, cut
from evals.pages.experiment_files import asked_format, comparison_file, results_file
from evals.read import datasets as read_datasets
from evals.read import experiments as read
from evals.read.comparison import NotComparable, compare
from evals.read.experiment_figures import Figure, figures_of
from evals.read.experiments import ExperimentRow, ResultRow
from evals.read.setup import list_connections, list_judges
from telltale.lib import format as fmt
from telltale.projects.access import may, project_page, require
from telltale.projects.models import Project, Role

PAGE_ROWS = 50
PAGE_RESULTS = 25
ID_MAX = 2**63 - 1
STATES = {
    "open": ("none", "Takes results"), "running": ("ok", "Running"), "judging": ("ok", "Being judged"),
    "done": ("ok", "Done"), "failed": ("bad", "Failed"), "cancelled": ("none", "Cancelled"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """An experiment in the list."""

    row: ExperimentRow
    ribbon: str
    word: str
    compare_href: str


@dataclass(frozen=True, slots=True)
class FigureView:
    """A measure with its mean and interval in words."""

    figure: Figure
    value: str
    interval: str


@dataclass(frozen=True, slots=True)
class ResultView:
    """A result with its texts, scores in words, and where its trace is."""

    result: ResultRow
    asked: str
    expected: str
    output: str
    scores: tuple[tuple[str, str, str], ...]
    trace_href: str


@require_http_methods(["GET", "HEAD"])
@project_page()
def experiment_list(request: HttpRequest, project: Project) -> HttpResponse:
    """The experiments of the project, or of one dataset, newest first."""
    slug = request.GET.get("dataset", "")[:80]
    dataset = read_datasets.get_dataset(project.pk, slug.replace("\x00", "")) if slug else None
    raw = request.GET.get("before", "")
    before = int(raw) if raw.isascii() and raw.isdigit() and len(raw) < 19 else None
    rows = read.list_experiments(
        project.pk, dataset_id=dataset.id if dataset else None, before=before, limit=PAGE_ROWS + 1
    )
    more = rows[PAGE_ROWS - 1].id if len(rows) > PAGE_ROWS else None
    rows = rows[:PAGE_ROWS]
    kept = f"dataset={dataset.slug}&" if dataset else ""
    context = {
        "project": project,
        "dataset": dataset,
        "is_unknown": bool(slug) and dataset is None,
        "lines": [_line(project, row, rows) for row in rows],
        "older": f"?{kept}before={more}" if more else "",
        "newer": f"?{kept}" if before else "",
        "shown": f"{len(rows):,} experiment{'' if len(rows) == 1 else 's'}",
        "has_datasets": bool(rows) or bool(read_datasets.list_datasets(project.pk, limit=1)),
        "may_run": may(project, "measure"),
    }
    return render(request, "evals/experiments.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.ENGINEER)
def experiment_new(request: HttpRequest, project: Project) -> HttpResponse:
    """Run a dataset against a model, or open an experiment that the team's own code posts to."""
    names = ("dataset", "name", "source", "connection", "model", "system", "template", "temperature",
             "max_output_tokens", "budget_usd")  # fmt: skip
    asked = request.POST if request.method == "POST" else request.GET
    typed: dict[str, Any] = {name: asked.get(name, "")[:100_000].replace("\x00", "") for name in names}
    typed |= {"judges": asked.getlist("judge")[:20], "metrics": asked.getlist("metric")[:20]}
    if request.method != "POST":
        typed |= {"source": typed["source"] or "posted", "temperature": "0", "max_output_tokens": "1024",
                  "metrics": typed["metrics"] or ["exact_match", "token_f1"]}  # fmt: skip
    context: dict[str, Any] = {}
    if request.method == "POST":
        try:
            wanted = _wanted(typed)
            if "estimate" in request.POST:
                context["estimate"] = _estimate(project, wanted)
            else:
                made = experimenting.make_experiment(project, wanted, by=by(request))
                return redirect("experiment", slug=project.slug, experiment_id=made.id)
        except (ExperimentRefused, DatasetRefused) as refused:
            context["refused"] = refused
    context |= {
        "project": project,
        "typed": typed,
        "datasets": [row for row in read_datasets.list_datasets(project.pk) if row.version],
        "connections": list_connections(project.pk),
        "judges": [judge for judge in list_judges(project.pk) if judge.kind in ("model", "rule") and judge.versions],
        "metrics": list(METRICS.values()),
    }
    return render(request, "evals/experiment_new.html", context, status=400 if "refused" in context else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page()
def experiment_page(request: HttpRequest, project: Project, experiment_id: int) -> HttpResponseBase:
    """One experiment; with `against` the comparison with another. POST adds judges and metrics."""
    row = find(project, experiment_id)
    if request.method == "POST":
        require(project, "measure")
        return _judge_more(request, project, row)
    others = [other for other in read.list_experiments(project.pk, dataset_id=row.dataset_id, limit=51)
              if other.id != row.id]  # fmt: skip
    kind = asked_format(request)
    if request.GET.get("against"):
        return _comparison(request, project, row, others, kind)
    if kind:
        return results_file(project, row, kind, is_head=request.method == "HEAD")
    figures, took = figures_of(project.pk, row)
    after = request.GET.get("after", "")[:200].replace("\x00", "") or None
    state = request.GET.get("state") if request.GET.get("state") in ("done", "failed", "pending") else None
    results = read.list_results(project.pk, row.id, after=after, state=state, limit=PAGE_RESULTS + 1)
    more = results[PAGE_RESULTS - 1].item_key if len(results) > PAGE_RESULTS else None
    ribbon, word = STATES[row.state]
    judged = read.judged_states(project.pk, row.id)
    kept = f"state={state}&" if state else ""
    context = {
        "project": project,
        "row": row,
        "ribbon": ribbon,
        "word": word,
        "took": took,
        "cost": fmt.cost_pico(row.cost_pico if row.priced else None, missing="not told"),
        "figures": [_figure(figure) for figure in figures],
        "judged": [(judge, judged.get(judge.version_id)) for judge in row.judges],
        "results": [_result(project, result, row) for result in results[:PAGE_RESULTS]],
        "states": [("", "All", row.results), ("done", "Answered", row.done), ("failed", "Failed", row.failed),
                   ("pending", "Waiting", row.pending)],
        "state": state or "",
        "newer": f"?{kept}" if after else "",
        "older": f"?{kept}after={quote(more, safe='')}" if more else "",
        "shown": f"{min(len(results), PAGE_RESULTS):,} of {row.results:,}",
        "others": [other for other in others if other.state in ("done", "judging")],
        "progress": read.job_progress(row.job_id) if row.state == "running" else None,
        "config": [(name, text_of(value)) for name, value in sorted(row.config.items()) if value not in (None, "")
                   and name != "budget_pico"],
        "all_judges": _more_judges(project, row),
        "all_metrics": [metric for metric in METRICS.values() if metric.name not in row.metrics],
        "may_change": may(project, "measure"),
    }  # fmt: skip
    return render(request, "evals/experiment.html", context)


@require_POST
@project_page(Role.ENGINEER)
def experiment_act(request: HttpRequest, project: Project, experiment_id: int, act: str) -> HttpResponse:
    """Finish, cancel or remove an experiment."""
    row = find(project, experiment_id)
    try:
        if act == "finish":
            experimenting.finish(project, row.id, by=by(request))
            messages.success(request, "Finished. It is being measured and judged.")
        elif act == "cancel":
            experimenting.cancel(project, row.id, by=by(request))
            messages.success(request, "Cancelled. What was answered stays.")
        else:
            experimenting.remove(project, row.id, by=by(request))
            messages.success(request, f"{row.name} is removed.")
            return redirect("experiments", slug=project.slug)
    except Conflict as conflict:
        messages.error(request, str(conflict))
    return redirect("experiment", slug=project.slug, experiment_id=row.id)


def find(project: Project, experiment_id: int) -> ExperimentRow:
    """The experiment of an address; Http404."""
    row = read.get_experiment(project.pk, experiment_id) if experiment_id <= ID_MAX else None
    if row is None:
        raise Http404
    return row


def _comparison(
    request: HttpRequest, project: Project, row: ExperimentRow, others: list[ExperimentRow], kind: str
) -> HttpResponseBase:
    raw = request.GET.get("against", "")
    old = find(project, int(raw)) if raw.isascii() and raw.isdigit() and len(raw) < 19 else None
    if old is None:
        raise Http404
    on = [key[:200] for key in request.GET.getlist("on")][:20]
    context: dict[str, Any] = {
        "project": project, "new": row, "old": old, "others": others,
        "swap": f"{reverse('experiment', args=[project.slug, old.id])}?against={row.id}",
    }  # fmt: skip
    try:
        found = compare(project.pk, row, old, on=on)
    except NotComparable as error:
        return render(request, "evals/experiment_compare.html", context | {"why_not": str(error)})
    if kind:
        return comparison_file(project, found, kind, is_head=request.method == "HEAD")
    sort = request.GET.get("sort", "")[:200]
    start = request.GET.get("from", "0")
    view = view_comparison(
        project.slug, found, sort, int(start) if start.isascii() and start.isdigit() and len(start) < 7 else 0
    )
    keys = [moved.key for moved in view.moved]
    sides = [
        {result.item_key: result for result in read.list_results(project.pk, each.id, keys=keys, limit=len(keys) or 1)}
        for each in (row, old)
    ]
    shown = [
        (moved, Side.of(sides[0].get(moved.key), project.slug), Side.of(sides[1].get(moved.key), project.slug))
        for moved in view.moved
    ]
    context |= {
        "view": view, "shown": shown, "found": found, "headline": verdict_words(found), "on": on,
        "is_final": row.state == old.state == "done",
    }  # fmt: skip
    return render(request, "evals/experiment_compare.html", context)


def _judge_more(request: HttpRequest, project: Project, row: ExperimentRow) -> HttpResponse:
    judges = [(slug[:80], None) for slug in request.POST.getlist("judge")][:20]
    metrics = [name[:60] for name in request.POST.getlist("metric")][:20]
    try:
        if judges or metrics:
            experimenting.judge_more(project, row.id, judges, metrics, by=by(request))
            messages.success(request, "It is being measured and judged.")
        else:
            messages.warning(request, "Choose a judge or a metric.")
    except Conflict as conflict:
        messages.error(request, str(conflict))
    except ExperimentRefused as refused:
        messages.error(request, f"{refused.field} {refused.message}".capitalize() + ".")
    return redirect("experiment", slug=project.slug, experiment_id=row.id)


def _wanted(typed: Mapping[str, Any]) -> Wanted:
    judges = [(slug, None) for slug in typed["judges"]]
    if typed["source"] != "endpoint":
        return Wanted(typed["dataset"], typed["name"], None, judges, typed["metrics"])
    tokens = _decimal("max_output_tokens", typed["max_output_tokens"])
    temperature, budget = _decimal("temperature", typed["temperature"]), _decimal("budget_usd", typed["budget_usd"])
    ask = AskConfig(
        typed["model"].strip(), typed["system"].strip(), typed["template"].strip(),
        None if temperature is None else float(temperature), 1024 if tokens is None else int(tokens),
        None if budget is None else int(budget * 10**12),
    )  # fmt: skip
    raw = typed["connection"]
    connection = int(raw) if raw.isascii() and raw.isdigit() and len(raw) < 19 else None
    return Wanted(typed["dataset"], typed["name"], None, judges, typed["metrics"], {}, connection, ask)


def _decimal(field: str, text: str) -> Decimal | None:
    if not text.strip():
        return None
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        raise ExperimentRefused(field, "is no number", "a number", text[:40]) from None
    if not value.is_finite() or abs(value) > 10**9:
        raise ExperimentRefused(field, "is out of range", "a number", text[:40])
    return value


def _estimate(project: Project, wanted: Wanted) -> experimenting.Estimate:
    dataset = read_datasets.get_dataset(project.pk, wanted.dataset)
    connection = Connection.objects.filter(project=project, pk=wanted.connection_id or 0, archived_at=None).first()
    if dataset is None or not dataset.version:
        raise ExperimentRefused("dataset", "needs to be chosen", "a dataset with items")
    if wanted.ask is None or connection is None:
        raise ExperimentRefused("connection", "needs to be chosen", "a connection")
    return experimenting.estimate(project.pk, dataset.id, dataset.version, wanted.ask, connection)


def _line(project: Project, row: ExperimentRow, rows: list[ExperimentRow]) -> Line:
    """An experiment, with the way to compare it with the one before it over the same dataset."""
    ribbon, word = STATES[row.state]
    if row.state == "done" and row.failed:
        ribbon, word = "watch", f"Done, {row.failed:,} failed"
    before = next((each for each in rows if each.id < row.id and each.dataset_id == row.dataset_id
                   and each.state == "done"), None)  # fmt: skip
    href = ""
    if before is not None and row.state in ("done", "judging"):
        href = f"{reverse('experiment', args=[project.slug, row.id])}?against={before.id}"
    return Line(row, ribbon, word, href)


def _figure(figure: Figure) -> FigureView:
    def word(value: float | None) -> str:
        if value is None:
            return fmt.UNKNOWN
        return fmt.share(value) if figure.is_share else f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"

    interval = f"95% CI {word(figure.low)}{fmt.EN_DASH}{word(figure.high)}" if figure.low is not None else "no interval"
    value = word(figure.value)
    if figure.scale_high is not None and not figure.is_share and figure.value is not None:
        value = f"{figure.value:.2f} / {figure.scale_high:g}"
    return FigureView(figure, value, interval)


def _result(project: Project, result: ResultRow, row: ExperimentRow) -> ResultView:
    judges = {judge.version_id: judge.name for judge in row.judges}
    scores = [(f"{each.name}, {judges.get(each.judge_version_id, 'judge')}",
               each.label or (f"{each.number:g}" if each.number is not None else fmt.UNKNOWN), cut(each.comment))
              for each in result.scores]  # fmt: skip
    scores += [(METRICS[name].title if name in METRICS else name, f"{value:.3g}", "")
               for name, value in result.metrics.items()]  # fmt: skip
    scores += [(name, f"{value:.3g}", "sent along") for name, value in result.sent.items()]
    href = reverse("trace_page", args=[project.slug, result.trace_id.hex]) if result.trace_id else ""
    asked, expected = cut(question_of(result.input)), cut(text_of(result.expected))
    return ResultView(result, asked, expected, text_of(result.output), tuple(scores), href)


def _more_judges(project: Project, row: ExperimentRow) -> list[Any]:
    if row.state != "done" or not may(project, "measure"):
        return []
    there = {judge.version_id for judge in row.judges}
    found = []
    for judge in list_judges(project.pk):
        version = judge.live or (judge.newest if judge.versions else None)
        if judge.kind in ("model", "rule") and version is not None and version.id not in there:
            found.append((judge, version))
    return found
