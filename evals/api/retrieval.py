"""REST: how good retrieval is, and labels on retrieved documents."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from evals.api.keeping import KeepingView
from evals.keeping.labelling import API, LABELS_MAX, PERSON, Label, label_documents
from evals.read.retrieval import RetrievalPage, read_retrieval
from evals.retrieval import DEPTHS, Quality
from evals.stats.ppi import Corrected
from evals.stats.results import Estimate, TooLittle
from telltale.lib import clock
from telltale.rest import form, params, shapes
from telltale.rest.problems import Problem, bad_field
from telltale.rest.views import ProjectView
from traces.read import TooSlow


class RetrievalEstimateShape(serializers.Serializer[Any]):
    value = serializers.FloatField(allow_null=True, help_text="null: too little data.")
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)
    n = serializers.IntegerField()
    n_eff = serializers.FloatField(allow_null=True)
    need = serializers.IntegerField(allow_null=True, help_text="How many it takes, where there is too little.")
    method = serializers.CharField(allow_blank=True)


class RetrievalQualityShape(serializers.Serializer[Any]):
    k = serializers.IntegerField()
    feature = serializers.CharField(allow_null=True, help_text="null: all together.")
    precision = RetrievalEstimateShape()
    hit_rate = RetrievalEstimateShape()
    partly = serializers.IntegerField(help_text="Retrievals left out: not all of their first k documents were judged.")
    is_sample = serializers.BooleanField(help_text="Whether it speaks for all traffic, or for what was labelled alone.")
    unweighted = serializers.IntegerField(help_text="Retrievals picked by hand beside drawn ones: in no figure.")


class RetrievalStageShape(serializers.Serializer[Any]):
    stage = serializers.CharField()
    n = serializers.IntegerField()
    errors = serializers.IntegerField()  # type: ignore[assignment]
    p50_ms = serializers.FloatField(allow_null=True)
    p95_ms = serializers.FloatField(allow_null=True)
    cost_usd = serializers.CharField(allow_null=True)


class WorstRetrievalShape(serializers.Serializer[Any]):
    trace_id = serializers.CharField()
    span_id = serializers.CharField()
    feature = serializers.CharField(allow_blank=True)
    asked = serializers.CharField(allow_blank=True, allow_null=True, help_text="null: the trace is gone.")
    precision = serializers.FloatField()
    is_hit = serializers.BooleanField()


class GroundednessShape(serializers.Serializer[Any]):
    judge = serializers.CharField()
    judge_version = serializers.IntegerField()
    criterion = serializers.CharField()
    uncorrected = RetrievalEstimateShape()
    corrected = RetrievalEstimateShape(help_text="By people's reviews, where there are enough.")


class DocumentVerdictsShape(serializers.Serializer[Any]):
    by = serializers.CharField()
    title = serializers.CharField()
    retrievals = serializers.IntegerField()


class RetrieverScoresShape(serializers.Serializer[Any]):
    edges = serializers.ListField(child=serializers.FloatField(), help_text="One more than counts; empty: no scores.")
    relevant = serializers.ListField(child=serializers.IntegerField())
    other = serializers.ListField(child=serializers.IntegerField())
    relevant_median = serializers.FloatField(allow_null=True)
    other_median = serializers.FloatField(allow_null=True)


class RetrievalShape(serializers.Serializer[Any]):
    by = serializers.CharField(allow_null=True, help_text="Whose verdicts these figures stand on.")
    choices = DocumentVerdictsShape(many=True)
    retrievals = serializers.IntegerField(help_text="Judged ones that were read, the newest first.")
    documents = serializers.IntegerField()
    is_capped = serializers.BooleanField(help_text="Whether there are more judged ones than were read.")
    quality = RetrievalQualityShape(many=True)
    mean_reciprocal_rank = RetrievalEstimateShape(allow_null=True)
    retriever_scores = RetrieverScoresShape(help_text="How the retriever scored documents of use, and others.")
    groundedness = GroundednessShape(many=True)
    stages = RetrievalStageShape(many=True)
    requests = serializers.IntegerField()
    worst = WorstRetrievalShape(many=True)


class DocumentLabelShape(serializers.Serializer[Any]):
    trace_id = serializers.CharField(help_text="32 hex digits.")
    relevance = serializers.JSONField(help_text="true, false, or a number from 0 to 1; null takes the label back.")
    rank = serializers.IntegerField(required=False, help_text="From 1. This or `document_id`.")
    document_id = serializers.CharField(required=False)
    span_id = serializers.CharField(required=False, help_text="Of the retrieval, where a trace has several.")


class DocumentLabelsShape(serializers.Serializer[Any]):
    items = DocumentLabelShape(many=True, help_text=f"1 to {LABELS_MAX}.")


class DocumentLabelRefusedShape(serializers.Serializer[Any]):
    index = serializers.IntegerField()
    message = serializers.CharField()


class DocumentsLabelledShape(serializers.Serializer[Any]):
    accepted = serializers.IntegerField()
    refused = DocumentLabelRefusedShape(many=True)


class RetrievalView(ProjectView):
    acts = {"GET": "read"}
    query = {"GET": ("from", "to", "feature", "by", "k")}

    @shapes.describe(
        "How good retrieval is",
        RetrievalShape,
        tag="Retrieval",
        query=(
            shapes.FROM,
            shapes.TO,
            OpenApiParameter("feature", OpenApiTypes.STR),
            OpenApiParameter("by", OpenApiTypes.STR, description="Whose verdicts: a `by` of `choices`."),
            OpenApiParameter("k", OpenApiTypes.INT, enum=DEPTHS, description="Depth by feature and of the worst; 5."),
        ),
    )
    def get(self, request: Request) -> Response:
        query, now = request.query_params, clock.now()
        start, end = params.window(query, now - timedelta(days=7), now)
        k = int(params.choice(query, "k", [str(each) for each in DEPTHS], "5"))
        try:
            found = read_retrieval(
                self.project.pk, self.project.time_zone, start, end, feature=params.text(query, "feature") or None,
                by=params.text(query, "by"), k=k,
            )  # fmt: skip
        except TooSlow:
            raise Problem(503, "This took too long; a shorter window makes it quick.") from None
        return Response(retrieval_json(found))


class DocumentScoresView(KeepingView):
    acts = {"POST": "review"}

    @shapes.describe(
        "Label retrieved documents",
        DocumentsLabelledShape,
        tag="Retrieval",
        detail="Whether each was of use. By a signed-in person they are a person’s labels, by a key the API’s. Sent "
        "again they replace; good ones are taken whatever else is in the request.",
        body=DocumentLabelsShape,
    )
    def post(self, request: Request) -> Response:
        body = cast("dict[str, Any]", request.data)
        items = body.get("items")
        if unknown := sorted(set(body) - {"items"}):
            raise bad_field(str(unknown[0])[:60], "unknown field", limit="one of items")
        if not isinstance(items, list) or not 1 <= len(items) <= LABELS_MAX:
            raise bad_field("items", "must be a list of labels", limit=f"1 to {LABELS_MAX}")
        labels = [_label(told, f"items[{place}]") for place, told in enumerate(items)]
        done = label_documents(self.project, labels, source=PERSON if self.person else API)
        refused = [{"index": index, "message": message} for index, message in done.refused]
        return Response({"accepted": done.accepted, "refused": refused})


def _label(told: Any, where: str) -> Label:
    if not isinstance(told, dict):
        raise bad_field(where, "is no object")
    names = {"trace_id", "relevance", "rank", "document_id", "span_id"}
    if unknown := sorted(set(told) - names):
        raise bad_field(f"{where}.{str(unknown[0])[:40]}", "unknown field", limit=", ".join(sorted(names)))
    trace_id = params.trace_id(str(told.get("trace_id", "")))
    if trace_id is None:
        raise bad_field(f"{where}.trace_id", "is no trace’s id", limit="32 hex digits", value=told.get("trace_id"))
    relevance = told.get("relevance")
    if relevance is not None and not (isinstance(relevance, bool | int | float) and 0 <= relevance <= 1):
        limit = "true, false, null or a number from 0 to 1"
        raise bad_field(f"{where}.relevance", "is no relevance", limit=limit, value=relevance)
    rank, document_id = told.get("rank"), told.get("document_id", "")
    if rank is not None and (isinstance(rank, bool) or not isinstance(rank, int)):
        raise bad_field(f"{where}.rank", "is no whole number", value=rank)
    if not isinstance(document_id, str) or (rank is None and not document_id):
        raise bad_field(f"{where}.rank", "is needed, or document_id")
    span_id = None
    if told.get("span_id") is not None:
        span_id = params.span_id(str(told["span_id"]))
        if span_id is None:
            raise bad_field(f"{where}.span_id", "is no span’s id", limit="16 hex digits", value=told["span_id"])
    return Label(trace_id, None if relevance is None else float(relevance), rank, document_id, span_id)


def retrieval_json(found: RetrievalPage) -> dict[str, Any]:
    """What is known of retrieval, as REST shows it."""
    qualities = [(None, each) for each in found.qualities] + [(name, each) for name, each in found.by_feature]
    return {
        "by": found.chosen.key if found.chosen else None,
        "choices": [{"by": each.key, "title": each.title, "retrievals": each.retrievals}
                    for each in found.choices],
        "retrievals": found.retrievals, "documents": found.documents, "is_capped": found.is_capped,
        "quality": [_quality(name, each) for name, each in qualities],
        "mean_reciprocal_rank": None if found.reciprocal is None else estimate_json(found.reciprocal),
        "retriever_scores": {
            "edges": list(found.scores.edges), "relevant": list(found.scores.relevant),
            "other": list(found.scores.other), "relevant_median": found.scores.relevant_middle,
            "other_median": found.scores.other_middle,
        },
        "groundedness": [{"judge": row.of.judge_slug, "judge_version": row.of.version, "criterion": row.of.name,
                          "uncorrected": estimate_json(row.raw), "corrected": _corrected(row.corrected)}
                         for row in found.grounded],
        "stages": [{"stage": each.kind.name.lower(), "n": each.n, "errors": each.errors, "p50_ms": each.p50[0],
                    "p95_ms": each.p95[0], "cost_usd": form.usd(each.cost.pico)} for each in found.stages],
        "requests": found.requests,
        "worst": [{"trace_id": each.trace_id.hex, "span_id": form.hex_span(each.span_id), "feature": each.feature,
                   "asked": each.asked, "precision": each.precision, "is_hit": each.is_hit} for each in found.worst],
    }  # fmt: skip


def _quality(feature: str | None, each: Quality) -> dict[str, Any]:
    return {
        "k": each.k, "feature": feature, "precision": estimate_json(each.precision),
        "hit_rate": estimate_json(each.hits), "partly": each.partly, "is_sample": each.is_sample,
        "unweighted": each.unweighted,
    }  # fmt: skip


def _corrected(found: Corrected | TooLittle) -> dict[str, Any]:
    return estimate_json(found if isinstance(found, TooLittle) else found.estimate)


def estimate_json(found: Estimate | TooLittle) -> dict[str, Any]:
    """An estimate, or what is lacking for one."""
    if isinstance(found, TooLittle):
        nothing = dict.fromkeys(("value", "low", "high", "n_eff"))
        return nothing | {"n": found.have, "need": found.need, "method": ""}
    return {
        "value": found.value, "low": found.low, "high": found.high, "n": found.n, "n_eff": found.n_eff, "need": None,
        "method": found.method,
    }  # fmt: skip
