"""REST: scores of judges, people and programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

import orjson
from django.http import HttpResponseBase, QueryDict
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from evals import scoring
from evals.models import Judge
from evals.read.scores import (
    DATA_TYPES,
    SOURCES,
    TARGETS,
    Score,
    ScoreFilter,
    each_score,
    get_score,
    list_scores,
    score_names,
)
from telltale.projects.keys import KeyHolder
from telltale.projects.models import ApiKey
from telltale.rest import batch, form, paging, params, shapes
from telltale.rest.body import JsonParser
from telltale.rest.problems import Problem, bad_field, not_found
from telltale.rest.views import ProjectView
from traces.api.traces import answers
from traces.masks import mask_id
from traces.pages.export import FORMATS, RETRY_AFTER_SECONDS, download

BODY_MAX_BYTES = 8 * 1024 * 1024
NAMES = (
    "id", "name", "value", "data_type", "source", "target", "trace_id", "span_id", "session_id", "started_at",
    "comment", "evidence", "author", "judge", "judge_version", "rubric", "rubric_version", "is_flagged", "flags",
    "external_id", "inclusion_probability", "made_at", "updated_at",
)  # fmt: skip
SCORE_ID = OpenApiParameter("score_id", OpenApiTypes.STR, OpenApiParameter.PATH, description="The score's id.")


class ScoreShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.CharField(help_text="The criterion's key, or the caller's own name.")
    value = serializers.JSONField(help_text="A number, true or false, or text; null where it is unknown.")
    data_type = serializers.ChoiceField(list(DATA_TYPES.values()))
    source = serializers.ChoiceField(list(SOURCES.values()))  # type: ignore[assignment]
    target = serializers.ChoiceField(list(TARGETS.values()))
    trace_id = serializers.CharField(allow_null=True)
    span_id = serializers.CharField(allow_null=True)
    session_id = serializers.CharField(allow_null=True)
    started_at = serializers.DateTimeField(help_text="Of the target; until it is there, when the score was made.")
    comment = serializers.CharField(allow_null=True, help_text="The reason, or a person's words.")
    evidence = serializers.ListField(child=serializers.CharField())
    author = serializers.CharField(allow_null=True)
    judge = serializers.CharField(allow_null=True, help_text="The judge's slug.")
    judge_version = serializers.IntegerField(allow_null=True)
    rubric = serializers.CharField(allow_null=True)
    rubric_version = serializers.IntegerField(allow_null=True)
    is_flagged = serializers.BooleanField(allow_null=True, help_text="Whether its judgement raised the judge's flag.")
    flags = serializers.ListField(child=serializers.CharField())
    external_id = serializers.CharField(allow_null=True, help_text="The caller's id.")
    inclusion_probability = serializers.FloatField(
        allow_null=True, help_text="With which its target was drawn; null: not drawn, and in no estimate."
    )
    metadata = serializers.JSONField(allow_null=True)
    made_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class NewScoreShape(serializers.Serializer[Any]):
    id = serializers.CharField(
        required=False, help_text=f"Yours, at most {scoring.ID_CHARS_MAX} characters: sent again it replaces the score."
    )
    name = serializers.CharField(help_text=f"At most {scoring.NAME_CHARS_MAX} characters: {scoring.NAME_RULE}.")
    value = serializers.JSONField(help_text="A number, true or false, or text.")
    data_type = serializers.ChoiceField(
        list(DATA_TYPES.values()), required=False, help_text="Decided by the value where left out; text is a label."
    )
    trace_id = serializers.CharField(required=False, help_text="32 hex digits or a UUID. This or `session_id`.")
    span_id = serializers.CharField(required=False, help_text="16 hex digits: about this span of the trace.")
    session_id = serializers.CharField(required=False)
    comment = serializers.CharField(required=False, help_text=f"At most {scoring.TEXT_CHARS_MAX} characters.")
    evidence = serializers.ListField(
        child=serializers.CharField(), required=False, help_text=f"At most {scoring.EVIDENCE_MAX} quotes."
    )
    author = serializers.CharField(required=False, help_text="Who scored; the key's name where left out.")
    metadata = serializers.JSONField(
        required=False, help_text=f"An object, at most {scoring.METADATA_BYTES_MAX} bytes."
    )
    made_at = serializers.DateTimeField(required=False, help_text="Now where left out.")


class NewScoresShape(serializers.Serializer[Any]):
    scores = NewScoreShape(many=True, help_text=f"1 to {scoring.ITEMS_MAX}; or one score without this array.")


class ScoreResultShape(serializers.Serializer[Any]):
    index = serializers.IntegerField()
    status = serializers.ChoiceField(["created", "updated", "superseded", "rejected"])
    id = serializers.CharField(allow_null=True)
    external_id = serializers.CharField(allow_null=True)
    errors = shapes.FieldErrorShape(many=True, required=False)  # type: ignore[assignment]


class ScoreResultsShape(serializers.Serializer[Any]):
    accepted = serializers.IntegerField()
    rejected = serializers.IntegerField()
    items = ScoreResultShape(many=True)


class ScoreNamesShape(serializers.Serializer[Any]):
    items = serializers.ListField(child=serializers.CharField())


class ScoreParser(JsonParser):
    """A score, an array of scores, or an object with `scores`; UTF-8, at most `BODY_MAX_BYTES`."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        raw = stream.read(BODY_MAX_BYTES + 1)
        if len(raw) > BODY_MAX_BYTES:
            raise Problem(413, f"The body is larger than the limit of {BODY_MAX_BYTES} bytes; send fewer at once.")
        try:
            return orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise Problem(400, f"The body is not JSON: {error}.") from None


_QUERY = (
    "from", "to", "name", "source", "judge", "trace_id", "span_id", "session_id", "external_id", "target", "min", "max",
    "label", "limit", "cursor", "format",
)  # fmt: skip


def _parameter(name: str, description: str, kind: Any = OpenApiTypes.STR, **more: Any) -> OpenApiParameter:
    return OpenApiParameter(name, kind, description=description, **more)


class ScoresView(ProjectView):
    acts = {"GET": "read", "POST": "review"}
    query = {"GET": _QUERY}
    parser_classes = (ScoreParser,)

    @shapes.describe(
        "List scores",
        shapes.page_of(ScoreShape, "ScorePage"),
        tag="Scores",
        detail="Newest first: those of judges, of people (reviews) and of programs. The window is of the targets' "
        "starts. `format` csv and ndjson send all that match as a file.",
        query=(
            shapes.FROM,
            shapes.TO,
            _parameter("name", "Any of these names.", many=True),
            _parameter("source", "Who scored.", enum=list(SOURCES.values()), many=True),
            _parameter("judge", "The slug of a judge."),
            _parameter("trace_id", "On this trace and its spans."),
            _parameter("span_id", "On this span; with `trace_id`."),
            _parameter("session_id", "On this session as a whole."),
            _parameter("external_id", "The caller's id."),
            _parameter("target", "What is scored.", enum=list(TARGETS.values())),
            _parameter("min", "At least this number.", OpenApiTypes.NUMBER),
            _parameter("max", "At most this number.", OpenApiTypes.NUMBER),
            _parameter("label", "Any of these labels.", many=True),
            shapes.LIMIT,
            shapes.CURSOR,
            _parameter("format", "The whole list as a file.", enum=["json", *FORMATS]),
        ),
    )
    def get(self, request: Request) -> HttpResponseBase:
        query = request.query_params
        kind = params.choice(query, "format", ("json", *FORMATS), "json")
        limit = params.page_size(query)
        position = paging.read_cursor(params.text(query, "cursor"), str, int)
        if position is not None and position[0] not in {"before", "after"}:
            raise paging.bad_cursor(str(position[0]))
        wanted = _wanted(self, query)
        with answers():
            if kind in FORMATS:
                records = (_record(score) for score in each_score(self.project.pk, wanted))
                return download(f"{self.project.slug}-scores", kind, NAMES, records, is_head=request.method == "HEAD")
            side = {position[0]: position[1]} if position is not None else {}
            page = list_scores(self.project.pk, wanted, limit, **side)
        older = paging.write_cursor("before", page.older) if page.older is not None else None
        newer = paging.write_cursor("after", page.newer) if page.newer is not None else None
        return Response(paging.page(request, [score_json(score) for score in page.rows], older, newer))

    @shapes.describe(
        "Put scores",
        ScoreResultsShape,
        tag="Scores",
        body=NewScoresShape,
        detail=f"One score, or up to {scoring.ITEMS_MAX} as `scores` or a bare array. Each item is judged alone: a bad "
        "one is told with its field and limit, the others are kept, and the answer is 200 (400 where none could be "
        "kept). A score may come before its trace. An `id` sent again replaces what it had; of several items with one "
        "id the last counts. Committed when answered, so a request without an answer can be sent again.",
        problems={413: "The body is too large."},
    )
    def post(self, request: Request) -> Response:
        items = batch.items_of(request.data, "scores", scoring.ITEMS_MAX)
        results = scoring.put_scores(self.project.pk, items, self.author())
        shown = [_result(at, result) for at, result in enumerate(results)]
        rejected = sum(result.status == "rejected" for result in results)
        if rejected == len(results):
            raise batch.none_kept("scores", [result.faults for result in results])
        return Response({"accepted": len(results) - rejected, "rejected": rejected, "items": shown})

    def author(self) -> scoring.Author:
        """Who sends scores."""
        if self.person is not None:
            return scoring.Author(self.person.name or self.person.email, user_id=self.person.pk)
        holder = self.request.auth
        if not isinstance(holder, KeyHolder):
            raise not_found()
        name = ApiKey.objects.filter(pk=holder.key_id).values_list("name", flat=True).first()
        return scoring.Author(f"API key {name or holder.key_id}", key_id=holder.key_id)

    def handle_exception(self, exc: Exception) -> Response:
        """A file that has to wait says how long."""
        response: Response = super().handle_exception(exc)
        if response.status_code == 503:
            response["Retry-After"] = str(RETRY_AFTER_SECONDS)
        return response


class ScoreView(ProjectView):
    acts = {"GET": "read", "DELETE": "review"}

    @shapes.describe("One score", ScoreShape, tag="Scores", path=(SCORE_ID,))
    def get(self, request: Request, score_id: str) -> Response:
        return Response(score_json(self._find(score_id)))

    @shapes.describe(
        "Remove a score",
        None,
        tag="Scores",
        status=204,
        path=(SCORE_ID,),
        detail="One that a program gave. Judges' scores stay with their judgement, people's with their review.",
        problems={409: "It is a judge's or a person's."},
    )
    def delete(self, request: Request, score_id: str) -> Response:
        score = self._find(score_id)
        if SOURCES[score.source] != "api":
            raise Problem(409, f"This score is a {SOURCES[score.source]}'s: it stays with the verdict it belongs to.")
        if not scoring.delete_score(self.project.pk, score.id):
            raise not_found()
        return Response(status=204)

    def _find(self, score_id: str) -> Score:
        score = get_score(self.project.pk, params.row_id(score_id))
        if score is None:
            raise not_found()
        return score


class ScoreNamesView(ProjectView):
    @shapes.describe("The names of scores of a project", ScoreNamesShape, tag="Scores", detail="The first 200 of them.")
    def get(self, request: Request) -> Response:
        return Response({"items": score_names(self.project.pk)})


def score_json(score: Score) -> dict[str, Any]:
    """A score as REST shows it."""
    record = _record(score)
    record["evidence"], record["flags"] = list(score.evidence), list(score.flags)
    for name in ("started_at", "made_at", "updated_at"):
        record[name] = form.moment(record[name])
    return record | {"metadata": score.metadata}


def _record(score: Score) -> dict[str, Any]:
    values = (
        str(score.id),
        score.name,
        score.value,
        DATA_TYPES[score.data_type],
        SOURCES[score.source],
        TARGETS[score.target_kind],
        score.trace_id.hex if score.trace_id is not None else None,
        score.span_hex or None,
        score.session_id,
        score.started_at,
        score.comment or None,
        list(score.evidence),
        score.author or None,
        score.judge_slug or None,
        score.version,
        score.rubric_slug or None,
        score.rubric_version,
        score.is_flagged,
        list(score.flags),
        score.external_id,
        score.pi,
        score.made_at,
        score.updated_at,
    )
    return dict(zip(NAMES, values, strict=True))


def _result(at: int, result: scoring.Result) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "index": at,
        "status": result.status,
        "id": None if result.score_id is None else str(result.score_id),
        "external_id": result.external_id,
    }
    if result.faults:
        shown["errors"] = batch.errors_of(result.faults)
    return shown


def _wanted(view: ProjectView, query: QueryDict) -> ScoreFilter:
    start, end = params.moment(query, "from"), params.moment(query, "to")
    if start is not None and end is not None and start >= end:
        raise bad_field("from", "must be before `to`", limit=end.isoformat(), value=start.isoformat())
    sources = {word: source for source, word in SOURCES.items()}
    targets = {word: kind for kind, word in TARGETS.items()}
    for source in params.texts(query, "source"):
        if source not in sources:
            raise bad_field("source", "is not accepted", limit=f"one of {', '.join(sources)}", value=source)
    target = params.choice(query, "target", tuple(targets))
    trace, span = params.text(query, "trace_id"), params.text(query, "span_id")
    trace_id, span_id = params.trace_id(trace) if trace else None, params.span_id(span) if span else None
    if trace and trace_id is None:
        raise bad_field("trace_id", "is no trace's id", limit="32 hex digits or a UUID", value=trace)
    if span and span_id is None:
        raise bad_field("span_id", "is no span's id", limit="16 hex digits", value=span)
    if span and not trace:
        raise bad_field("span_id", "needs the trace it is in", limit="trace_id with span_id")
    slug, judge_id = params.text(query, "judge"), None
    if slug:
        judge_id = Judge.objects.filter(project_id=view.project.pk, slug=slug).values_list("pk", flat=True).first()
        if judge_id is None:
            raise bad_field("judge", "is no judge of this project", value=slug)
    return ScoreFilter(
        start=start,
        end=end,
        names=tuple(params.texts(query, "name")),
        sources=tuple(sources[source] for source in params.texts(query, "source")),
        judge_id=judge_id,
        trace_id=trace_id,
        span_id=span_id,
        # Under the ids that are stored, whatever masking made of those that came.
        session_id=mask_id(view.project.pk, params.text(query, "session_id")) or None,
        external_id=mask_id(view.project.pk, params.text(query, "external_id")) or None,
        target_kind=targets[target] if target else None,
        at_least=_bound(query, "min"),
        at_most=_bound(query, "max"),
        labels=tuple(params.texts(query, "label")),
    )


def _bound(query: QueryDict, name: str) -> float | None:
    raw = params.text(query, name)
    if not raw:
        return None
    try:
        value = float(raw)
        if not abs(value) <= scoring.NUMBER_MAX:
            raise ValueError
    except ValueError:
        limit = f"a number from -{scoring.NUMBER_MAX:g} to {scoring.NUMBER_MAX:g}"
        raise bad_field(name, "is no number", limit=limit, value=raw) from None
    return value
