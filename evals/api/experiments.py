"""REST: experiments, their results, and the comparison of two."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, cast

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from evals import experimenting
from evals.api.keeping import KeepingView, problem_of
from evals.experimenting import AskConfig, Conflict, ExperimentRefused, Wanted
from evals.keeping import DatasetRefused
from evals.metrics import METRICS
from evals.read import datasets as read_datasets
from evals.read import experiments as read
from evals.read.comparison import Comparison, Line, NotComparable, compare, worst_first
from telltale.rest import form, params, shapes
from telltale.rest.body import checked
from telltale.rest.problems import Problem, bad_field, not_found

EXPERIMENT = OpenApiParameter(
    "experiment_id", OpenApiTypes.STR, OpenApiParameter.PATH, description="The experiment's id."
)
AFTER = OpenApiParameter("after", OpenApiTypes.STR, description="The item's key to go on from.")


class ExperimentJudgeShape(serializers.Serializer[Any]):
    judge = serializers.CharField(help_text="The judge's slug.")
    version = serializers.IntegerField()


class ExperimentJudgeBody(serializers.Serializer[Any]):
    judge = serializers.CharField(help_text="The judge's slug.")
    version = serializers.IntegerField(required=False, min_value=1, help_text="The live or newest one if left out.")


class ResultCountsShape(serializers.Serializer[Any]):
    items = serializers.IntegerField(help_text="Of the dataset's version.")
    done = serializers.IntegerField()
    failed = serializers.IntegerField()
    pending = serializers.IntegerField()
    missing = serializers.IntegerField(help_text="Items without any result.")


class ExperimentFigureShape(serializers.Serializer[Any]):
    name = serializers.CharField()
    title = serializers.CharField()
    value = serializers.FloatField()
    n = serializers.IntegerField()
    note = serializers.CharField()


class ExperimentShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.CharField()
    source = serializers.ChoiceField(["endpoint", "posted"])  # type: ignore[assignment]
    state = serializers.ChoiceField(["open", "running", "judging", "done", "failed", "cancelled"])
    reason = serializers.CharField()
    dataset = serializers.CharField()
    version = serializers.IntegerField()
    counts = ResultCountsShape()
    judges = ExperimentJudgeShape(many=True)
    metrics = serializers.ListField(child=serializers.CharField())
    figures = ExperimentFigureShape(many=True, help_text="Of all results together: accuracy, AUC, RMSE, BLEU of all.")
    config = serializers.JSONField()
    connection = serializers.CharField(allow_null=True)
    cost_usd = serializers.CharField(allow_null=True, help_text="Sum of the known costs.")
    unpriced = serializers.IntegerField(help_text="Results whose cost is not known.")
    made_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class ExperimentsShape(serializers.Serializer[Any]):
    items = ExperimentShape(many=True)
    next = serializers.CharField(allow_null=True, help_text="The id to go on from, as `before`.")


class ExperimentBody(serializers.Serializer[Any]):
    dataset = serializers.CharField(help_text="The dataset's slug.")
    version = serializers.IntegerField(required=False, help_text="The newest if left out.")
    name = serializers.CharField(required=False, allow_blank=True)
    source = serializers.ChoiceField(  # type: ignore[assignment]
        ["posted", "endpoint"], default="posted", help_text="posted: you send results; endpoint: Telltale asks a model."
    )
    judges = ExperimentJudgeBody(many=True, required=False)
    metrics = serializers.ListField(child=serializers.CharField(), required=False, help_text=", ".join(METRICS))
    config = serializers.JSONField(required=False, help_text="posted: whatever your system says of itself.")
    connection = serializers.CharField(required=False, help_text="endpoint: the connection's id.")
    model = serializers.CharField(required=False, help_text="endpoint: the model's name.")
    system = serializers.CharField(required=False, allow_blank=True, help_text="endpoint: the system message.")
    template = serializers.CharField(
        required=False, allow_blank=True, help_text="endpoint: the user message with {fields} of the input."
    )
    temperature = serializers.FloatField(required=False, allow_null=True)
    max_output_tokens = serializers.IntegerField(required=False)
    budget_usd = serializers.DecimalField(24, 12, required=False, allow_null=True, help_text="No call beyond it.")


class NewResultShape(serializers.Serializer[Any]):
    item_key = serializers.CharField()
    output = serializers.JSONField(required=False, help_text="What your system answered: text, or any JSON.")
    error = serializers.CharField(required=False, help_text="Instead of an output: what it failed with.")
    latency_ms = serializers.FloatField(required=False)
    cost_usd = serializers.FloatField(required=False)
    input_tokens = serializers.IntegerField(required=False)
    output_tokens = serializers.IntegerField(required=False)
    trace_id = serializers.CharField(required=False, help_text="The trace of this call, if it was sent.")
    scores = serializers.JSONField(required=False, help_text="Numbers of your own by name; more is better.")


class NewResultsShape(serializers.Serializer[Any]):
    results = NewResultShape(many=True, help_text=f"1 to {experimenting.RESULTS_A_REQUEST}.")


class ResultRefusedShape(serializers.Serializer[Any]):
    index = serializers.IntegerField()
    item_key = serializers.CharField()
    message = serializers.CharField()


class ResultsTakenShape(serializers.Serializer[Any]):
    accepted = serializers.IntegerField()
    refused = ResultRefusedShape(many=True)


class ScoreOfShape(serializers.Serializer[Any]):
    judge_version_id = serializers.CharField()
    name = serializers.CharField()
    number = serializers.FloatField(allow_null=True)
    label = serializers.CharField(allow_null=True)  # type: ignore[assignment]
    comment = serializers.CharField()


class ExperimentResultShape(serializers.Serializer[Any]):
    item_key = serializers.CharField()
    state = serializers.ChoiceField(["pending", "done", "failed"])
    input = serializers.JSONField()
    expected = serializers.JSONField(allow_null=True)
    output = serializers.JSONField(allow_null=True)
    error = serializers.CharField()
    metrics = serializers.JSONField(help_text="Reference metrics by name.")
    sent = serializers.JSONField(help_text="The sender's own numbers.")
    scores = ScoreOfShape(many=True)
    latency_ms = serializers.FloatField(allow_null=True)
    cost_usd = serializers.CharField(allow_null=True)
    input_tokens = serializers.IntegerField(allow_null=True)
    output_tokens = serializers.IntegerField(allow_null=True)
    trace_id = serializers.CharField(allow_null=True)


class ExperimentResultsShape(serializers.Serializer[Any]):
    items = ExperimentResultShape(many=True)
    next = serializers.CharField(allow_null=True, help_text="The key to go on from, as `after`.")


class JudgeMoreBody(serializers.Serializer[Any]):
    judges = ExperimentJudgeBody(many=True, required=False)
    metrics = serializers.ListField(child=serializers.CharField(), required=False)


class ComparedLineShape(serializers.Serializer[Any]):
    measure = serializers.CharField(
        help_text="<judge>.<criterion>, metric.<name>, sent.<name>, answered, latency_ms or cost_usd"
    )
    title = serializers.CharField()
    decides = serializers.BooleanField(help_text="Whether it is one of those that can be a regression.")
    verdict = serializers.ChoiceField(["better", "worse", "cannot_tell", "too_little"])
    n = serializers.IntegerField(help_text="Items with a value in both.")
    new_n = serializers.IntegerField()
    old_n = serializers.IntegerField()
    new = serializers.FloatField(allow_null=True, help_text="Mean over the n.")
    old = serializers.FloatField(allow_null=True)
    difference = serializers.FloatField(allow_null=True, help_text="new - old")
    low = serializers.FloatField(allow_null=True, help_text="Of the interval of the difference, at `level`.")
    high = serializers.FloatField(allow_null=True)
    level_each = serializers.FloatField(help_text="Of the verdict: so that all deciding lines together keep `level`.")
    wins = serializers.IntegerField(help_text="Items where the new value is higher.")
    losses = serializers.IntegerField()
    ties = serializers.IntegerField()
    p = serializers.FloatField(allow_null=True)
    test = serializers.CharField()


class MovedItemShape(serializers.Serializer[Any]):
    item_key = serializers.CharField()
    new = serializers.FloatField(allow_null=True)
    old = serializers.FloatField(allow_null=True)
    change = serializers.FloatField(allow_null=True)


class ExperimentComparisonShape(serializers.Serializer[Any]):
    new = serializers.CharField(help_text="The experiment's id.")
    old = serializers.CharField()
    verdict = serializers.ChoiceField(["worse", "better", "cannot_tell"])
    is_final = serializers.BooleanField(help_text="False while one of the two is still running or being judged.")
    regressions = serializers.ListField(child=serializers.CharField(), help_text="Measures proven worse.")
    pairs = serializers.IntegerField()
    edited = serializers.IntegerField(help_text="Items left out because their content differs between the versions.")
    only_new = serializers.IntegerField()
    only_old = serializers.IntegerField()
    unlike = serializers.ListField(child=serializers.CharField(), help_text="Judges whose versions differ.")
    level = serializers.FloatField()
    margin = serializers.FloatField()
    lines = ComparedLineShape(many=True)
    items = MovedItemShape(many=True, help_text="Worst first, by the measure `sort`.")


class _ExperimentView(KeepingView):
    def experiment(self, raw: str) -> read.ExperimentRow:
        """The experiment, or 404."""
        row = read.get_experiment(self.project.pk, params.row_id(raw))
        if row is None:
            raise not_found()
        return row


class ExperimentsView(_ExperimentView):
    acts = {"GET": "read", "POST": "measure"}
    query = {"GET": ("dataset", "name", "limit", "before")}

    @shapes.describe(
        "List experiments",
        ExperimentsShape,
        tag="Experiments",
        detail="Newest first.",
        query=(
            OpenApiParameter("dataset", OpenApiTypes.STR, description="The dataset's slug."),
            OpenApiParameter("name", OpenApiTypes.STR, description="Exactly this name."),
            shapes.LIMIT,
            OpenApiParameter("before", OpenApiTypes.STR, description="The id to go on from."),
        ),
    )
    def get(self, request: Request) -> Response:
        query = request.query_params
        limit, slug, name = params.page_size(query), params.text(query, "dataset"), params.text(query, "name")
        before = params.integer(query, "before", 0, 0, params.ID_MAX) or None
        dataset = read_datasets.get_dataset(self.project.pk, slug) if slug else None
        if slug and dataset is None:
            raise not_found()
        dataset_id = dataset.id if dataset else None
        rows = read.list_experiments(
            self.project.pk, dataset_id=dataset_id, name=name or None, before=before, limit=limit + 1
        )
        more = str(rows[limit - 1].id) if len(rows) > limit else None
        return Response({"items": [experiment_json(row) for row in rows[:limit]], "next": more})

    @shapes.describe(
        "Make an experiment",
        ExperimentShape,
        tag="Experiments",
        detail="posted: send results to it, then finish it. endpoint: it starts at once.",
        body=ExperimentBody,
        status=201,
    )
    def post(self, request: Request) -> Response:
        try:
            made = experimenting.make_experiment(self.project, wanted_of(checked(ExperimentBody, request)), by=self.by)
        except (ExperimentRefused, DatasetRefused) as error:
            raise problem_of(error) from None
        return Response(experiment_json(made), status=201)


class ExperimentView(_ExperimentView):
    acts = {"GET": "read", "DELETE": "measure"}

    @shapes.describe("One experiment", ExperimentShape, tag="Experiments", path=(EXPERIMENT,))
    def get(self, request: Request, experiment_id: str) -> Response:
        return Response(experiment_json(self.experiment(experiment_id)))

    @shapes.describe(
        "Remove an experiment", None, tag="Experiments", path=(EXPERIMENT,), status=204, problems={409: "Not over yet."}
    )
    def delete(self, request: Request, experiment_id: str) -> Response:
        try:
            experimenting.remove(self.project, self.experiment(experiment_id).id, by=self.by)
        except Conflict as error:
            raise problem_of(error) from None
        return Response(status=204)


class ResultsView(_ExperimentView):
    acts = {"GET": "read", "POST": "measure"}
    query = {"GET": ("limit", "after", "state")}

    @shapes.describe(
        "The results of an experiment",
        ExperimentResultsShape,
        tag="Experiments",
        detail="With item, metrics and scores, in the order of their items' keys.",
        path=(EXPERIMENT,),
        query=(shapes.LIMIT, AFTER, OpenApiParameter("state", OpenApiTypes.STR, enum=["pending", "done", "failed"])),
    )
    def get(self, request: Request, experiment_id: str) -> Response:
        query = request.query_params
        row, limit = self.experiment(experiment_id), params.page_size(query)
        state = params.choice(query, "state", ("pending", "done", "failed")) or None
        after = params.text(query, "after") or None
        found = read.list_results(self.project.pk, row.id, after=after, state=state, limit=limit + 1)
        more = found[limit - 1].item_key if len(found) > limit else None
        return Response({"items": [result_json(result) for result in found[:limit]], "next": more})

    @shapes.describe(
        "Post results",
        ResultsTakenShape,
        tag="Experiments",
        detail="Each by its item's key; sent again it replaces, until the experiment is finished. Good ones are taken "
        "whatever else is in the request.",
        path=(EXPERIMENT,),
        body=NewResultsShape,
        problems={409: "The experiment takes no results (any more)."},
    )
    def post(self, request: Request, experiment_id: str) -> Response:
        row, body = self.experiment(experiment_id), cast("dict[str, Any]", request.data)
        results = body.get("results")
        most = experimenting.RESULTS_A_REQUEST
        if not isinstance(results, list) or not 1 <= len(results) <= most:
            raise bad_field("results", "must be a list of results", limit=f"1 to {most}")
        for place, each in enumerate(results):
            if not isinstance(each, dict):
                raise bad_field(f"results[{place}]", "is no object")
        if unknown := sorted(set(body) - {"results"}):
            raise bad_field(str(unknown[0])[:60], "unknown field", limit="one of results")
        try:
            taken = experimenting.post_results(self.project, row.id, results)
        except Conflict as error:
            raise problem_of(error) from None
        refused = [{"index": one.index, "item_key": one.item_key, "message": one.message} for one in taken.refused]
        return Response({"accepted": taken.accepted, "refused": refused})


class FinishView(_ExperimentView):
    acts = {"POST": "measure"}

    @shapes.describe(
        "Finish an experiment",
        ExperimentShape,
        tag="Experiments",
        detail="No more results come: they are measured and judged now. Safe to send again.",
        path=(EXPERIMENT,),
        problems={409: "It has no results, or was cancelled."},
    )
    def post(self, request: Request, experiment_id: str) -> Response:
        try:
            row = experimenting.finish(self.project, params.row_id(experiment_id), by=self.by)
        except Conflict as error:
            raise problem_of(error) from None
        return Response(experiment_json(row))


class CancelView(_ExperimentView):
    acts = {"POST": "measure"}

    @shapes.describe(
        "Cancel an experiment",
        ExperimentShape,
        tag="Experiments",
        path=(EXPERIMENT,),
        problems={409: "It is over already."},
    )
    def post(self, request: Request, experiment_id: str) -> Response:
        try:
            row = experimenting.cancel(self.project, params.row_id(experiment_id), by=self.by)
        except Conflict as error:
            raise problem_of(error) from None
        return Response(experiment_json(row))


class JudgeView(_ExperimentView):
    acts = {"POST": "measure"}

    @shapes.describe(
        "Judge an experiment by more judges",
        ExperimentShape,
        tag="Experiments",
        detail="And measure it by more metrics. Two experiments are compared where one version judged both.",
        path=(EXPERIMENT,),
        body=JudgeMoreBody,
        problems={409: "It is not done yet."},
    )
    def post(self, request: Request, experiment_id: str) -> Response:
        body = checked(JudgeMoreBody, request)
        judges = [(each["judge"], each.get("version")) for each in body.get("judges", [])]
        try:
            row = experimenting.judge_more(
                self.project, params.row_id(experiment_id), judges, body.get("metrics", []), by=self.by
            )
        except (Conflict, ExperimentRefused) as error:
            raise problem_of(error) from None
        return Response(experiment_json(row))


class ComparisonView(_ExperimentView):
    acts = {"GET": "read"}
    query = {"GET": ("against", "on", "margin", "sort", "limit")}

    @shapes.describe(
        "Compare two experiments",
        ExperimentComparisonShape,
        tag="Experiments",
        detail="Paired by item. Intervals are at 95 %; verdicts hold for all deciding measures together.",
        path=(EXPERIMENT,),
        query=(
            OpenApiParameter("against", OpenApiTypes.STR, required=True, description="The older experiment's id."),
            OpenApiParameter("on", OpenApiTypes.STR, many=True, description="These measures alone decide."),
            OpenApiParameter("margin", OpenApiTypes.FLOAT, description="Differences up to it are none; default 0."),
            OpenApiParameter("sort", OpenApiTypes.STR, description="The measure items are sorted by."),
            shapes.LIMIT,
        ),
    )
    def get(self, request: Request, experiment_id: str) -> Response:
        query = request.query_params
        new, against = self.experiment(experiment_id), params.text(query, "against")
        if not against:
            raise bad_field("against", "is required: the id of the older experiment")
        old = self.experiment(against)
        try:
            found = compare(
                self.project.pk, new, old, on=params.texts(query, "on"), margin=margin_of(params.text(query, "margin"))
            )
        except NotComparable as error:
            raise Problem(400, str(error)) from None
        sort = params.text(query, "sort")
        if sort and found.line(sort) is None:
            limit = "one of " + ", ".join(line.measure.key for line in found.lines)
            raise bad_field("sort", "is no measure of both", limit=limit, value=sort)
        return Response(comparison_json(found, sort, params.page_size(query)))


def margin_of(raw: str) -> float:
    """A margin as a number of 0 or more."""
    try:
        value = float(raw or 0)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e12:
        raise bad_field("margin", "is no number", limit="0 or more, in the measure's own units", value=raw)
    return value


def wanted_of(body: Mapping[str, Any]) -> Wanted:
    """An experiment's body as what is wanted."""
    judges = [(each["judge"], each.get("version")) for each in body.get("judges", [])]
    ask = connection = None
    if body["source"] == "endpoint":
        budget: Decimal | None = body.get("budget_usd")
        ask = AskConfig(
            body.get("model", ""), body.get("system", ""), body.get("template", ""), body.get("temperature", 0.0),
            body.get("max_output_tokens", 1024), None if budget is None else int(budget * 10**12),
        )  # fmt: skip
        connection = params.row_id(body.get("connection") or "0")
    config = body.get("config", {})
    if not isinstance(config, dict):
        raise bad_field("config", "is no object")
    return Wanted(
        body["dataset"], body.get("name", ""), body.get("version"), judges, body.get("metrics", []), config, connection,
        ask,
    )  # fmt: skip


def experiment_json(row: read.ExperimentRow) -> dict[str, Any]:
    """An experiment as REST shows it."""
    config = dict(row.config)
    if "budget_pico" in config:
        config["budget_usd"] = form.usd(config.pop("budget_pico"))
    return {
        "id": str(row.id), "name": row.name, "source": row.source, "state": row.state, "reason": row.reason,
        "dataset": row.dataset_slug, "version": row.version,
        "counts": {"items": row.expected_items, "done": row.done, "failed": row.failed, "pending": row.pending,
                   "missing": row.missing},
        "judges": [{"judge": judge.slug, "version": judge.number} for judge in row.judges],
        "metrics": list(row.metrics),
        "figures": [{"name": one.name, "title": one.title, "value": one.value, "n": one.n, "note": one.note}
                    for one in row.figures],
        "config": config, "connection": None if row.connection_id is None else str(row.connection_id),
        "cost_usd": form.usd(row.cost_pico) if row.priced else None, "unpriced": row.unpriced,
        "made_by": row.made_by, "created_at": form.moment(row.created_at), "finished_at": form.moment(row.finished_at),
    }  # fmt: skip


def result_json(row: read.ResultRow) -> dict[str, Any]:
    """A result as REST and exports show it."""
    return {
        "item_key": row.item_key, "state": row.state, "input": row.input, "expected": row.expected,
        "output": row.output, "error": row.error, "metrics": dict(row.metrics), "sent": dict(row.sent),
        "scores": [{"judge_version_id": str(each.judge_version_id), "name": each.name, "number": each.number,
                    "label": each.label, "comment": each.comment} for each in row.scores],
        "latency_ms": row.latency_ms, "cost_usd": form.usd(row.cost_pico), "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens, "trace_id": form.hex_trace(row.trace_id),
    }  # fmt: skip


def comparison_json(found: Comparison, sort: str = "", limit: int = 50) -> dict[str, Any]:
    """A comparison as REST shows it."""
    chosen = found.line(sort) or next(iter([*found.worse, *found.family, *found.lines]), None)
    moved = worst_first(chosen, found.moved[chosen.measure.key])[:limit] if chosen else []
    verdict = "worse" if found.worse else "better" if found.better else "cannot_tell"
    return {
        "new": str(found.new.id), "old": str(found.old.id), "verdict": verdict,
        "is_final": found.new.state == found.old.state == "done",
        "regressions": [line.measure.key for line in found.worse], "pairs": found.pairs,
        "edited": found.left_out.edited, "only_new": found.left_out.only_new, "only_old": found.left_out.only_old,
        "unlike": list(found.unlike), "level": found.level, "margin": found.margin,
        "lines": [line_json(line) for line in found.lines],
        "items": [{"item_key": each.key, "new": each.new, "old": each.old, "change": each.change} for each in moved],
    }  # fmt: skip


def line_json(line: Line) -> dict[str, Any]:
    """One line of a comparison."""
    return {
        "measure": line.measure.key, "title": line.measure.title, "decides": line.measure.decides,
        "verdict": line.verdict, "n": line.n, "new_n": line.new_n, "old_n": line.old_n, "new": line.new_mean,
        "old": line.old_mean, "difference": line.difference, "low": line.low, "high": line.high,
        "level_each": line.level_each, "wins": line.wins, "losses": line.losses, "ties": line.ties, "p": line.p,
        "test": line.test,
    }  # fmt: skip
