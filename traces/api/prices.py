"""REST: prices, models without one, and pricing again what is stored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from telltale.lib import clock
from telltale.rest import form, paging, params, shapes
from telltale.rest.body import checked
from telltale.rest.problems import FieldError, Problem, bad_field, not_found
from telltale.rest.views import ProjectView
from traces import prices, reprice
from traces.canonical.types import BUCKETS
from traces.cost.book import Level
from traces.cost.edit import FIELDS
from traces.read import prices as read

LEVELS = tuple(level.name.lower() for level in Level)
WINDOW_MAX = timedelta(days=3650)
PRICE_ID = OpenApiParameter("price_id", OpenApiTypes.STR, OpenApiParameter.PATH, description="The row's id.")
JOB_ID = OpenApiParameter("job_id", OpenApiTypes.STR, OpenApiParameter.PATH, description="The job's id.")


class PriceBody(serializers.Serializer[Any]):
    """Fields of a price. Rates are USD a million tokens with at most six decimals; empty is no rate, 0 is free."""

    def get_fields(self) -> dict[str, Any]:
        helps = {
            "model": "The model's name, or a pattern with *.",
            "match": "exact, alias or pattern",
            "provider": "Empty: any provider.",
            "usd_per_hour": "For models you run; instead of rates by the token.",
            "tier": "standard, batch, flex or priority",
            "context_over": "Holds for requests of more input tokens than this.",
            "effective_from": "A date (midnight in the project's zone) or a time; empty: ever.",
            "effective_to": "Exclusive; empty: no end.",
            "source": "Where the figure is from.",
            "source_date": "When it was read there; today if empty.",
        }
        return {
            name: serializers.CharField(required=name == "model", allow_null=True, help_text=helps.get(name, ""))
            for name in FIELDS
        }


class PriceShape(serializers.Serializer[Any]):
    """A price in the book."""

    def get_fields(self) -> dict[str, Any]:
        text = {
            name: serializers.CharField(allow_null=True)
            for name in ("provider", *BUCKETS, "usd_per_hour", "source_date")
        }
        return {
            "id": serializers.CharField(),
            "level": serializers.ChoiceField(choices=LEVELS),
            "match": serializers.CharField(),
            "model": serializers.CharField(),
            "tier": serializers.CharField(),
            "context_over": serializers.IntegerField(allow_null=True),
            **text,
            "effective_from": serializers.DateTimeField(allow_null=True),
            "effective_to": serializers.DateTimeField(allow_null=True),
            "source": serializers.CharField(),
        }


class PricesView(ProjectView):
    acts = {"GET": "read", "POST": "prices"}
    query = {"GET": ("q", "level", "ended", "limit", "cursor")}

    @shapes.describe(
        "The price book in force",
        shapes.page_of(PriceShape, "PricePage"),
        tag="Prices",
        detail="The project's own rows, then the installation's, then the shipped ones. Rows that ended price older "
        "calls alone; `ended=true` lists them too.",
        query=(
            OpenApiParameter("q", OpenApiTypes.STR, description="Part of a model's or provider's name."),
            OpenApiParameter("level", OpenApiTypes.STR, enum=LEVELS, description="Whose rows."),
            OpenApiParameter("ended", OpenApiTypes.BOOL, description="Also rows that hold for no call of today."),
            shapes.LIMIT,
            shapes.CURSOR,
        ),
    )
    def get(self, request: Request) -> Response:
        query = request.query_params
        limit, level = params.page_size(query), params.choice(query, "level", LEVELS)
        position = paging.read_cursor(params.text(query, "cursor"), str, int, str, int)
        if position is not None and position[0] not in {"after", "before"}:
            raise paging.bad_cursor(str(position[0]))
        with_ended = params.boolean(query, "ended") or False
        rows = read.list_book(self.project.pk, q=params.text(query, "q"), level=level, with_ended=with_ended).rows
        start = 0
        if position is not None:
            here = tuple(position[1:])
            if position[0] == "after":
                start = sum(1 for row in rows if read.book_place(row) <= here)
            else:
                start = max(sum(1 for row in rows if read.book_place(row) < here) - limit, 0)
        chosen = rows[start : start + limit]
        after = before = None
        if chosen and start + limit < len(rows):
            after = paging.write_cursor("after", *read.book_place(chosen[-1]))
        if chosen and start > 0:
            before = paging.write_cursor("before", *read.book_place(chosen[0]))
        return Response(paging.page(request, [prices.row_json(row) for row in chosen], after, before))

    @shapes.describe(
        "Enter a price of the project",
        PriceShape,
        tag="Prices",
        status=201,
        body=PriceBody,
        detail="It holds for calls from its date on. What is stored keeps its cost until it is priced again. A row for "
        "the same calls that began earlier and has no end is ended where this one begins.",
    )
    def post(self, request: Request) -> Response:
        try:
            row = prices.add_price(self.project, _fields(request), self.zone, by_id=self.person_id, request=self.http)
        except prices.PriceRefused as refused:
            raise _problem(refused) from None
        return Response(prices.row_json(row), status=201)


class PriceView(ProjectView):
    acts = {"GET": "read", "PUT": "prices", "DELETE": "prices"}
    query = {"DELETE": ("at",)}

    @shapes.describe(
        "One price",
        PriceShape,
        tag="Prices",
        detail="By the id that spans keep; also rows no longer in force.",
        path=(PRICE_ID,),
    )
    def get(self, request: Request, price_id: str) -> Response:
        row = read.find_price(self.project.pk, _price_id(price_id))
        if row is None:
            raise not_found()
        return Response(prices.row_json(row))

    @shapes.describe(
        "Correct a price of the project",
        PriceShape,
        tag="Prices",
        body=PriceBody,
        path=(PRICE_ID,),
        detail="Another row takes its place, with its own id. What is stored keeps its cost until it is priced again.",
    )
    def put(self, request: Request, price_id: str) -> Response:
        try:
            row = prices.correct_price(
                self.project, _price_id(price_id), _fields(request), self.zone, by_id=self.person_id, request=self.http
            )
        except prices.PriceRefused as refused:
            raise _problem(refused) from None
        except prices.PriceGone:
            raise not_found() from None
        return Response(prices.row_json(row))

    @shapes.describe(
        "End a price of the project",
        None,
        tag="Prices",
        status=204,
        path=(PRICE_ID,),
        query=(OpenApiParameter("at", OpenApiTypes.DATETIME, description="When; now if absent."),),
        detail="A row that would never have been in force is taken out of the book.",
    )
    def delete(self, request: Request, price_id: str) -> Response:
        at = params.moment(request.query_params, "at") or clock.now()
        try:
            prices.end_price(self.project, _price_id(price_id), at, by_id=self.person_id, request=self.http)
        except prices.PriceGone:
            raise not_found() from None
        return Response(status=204)


class UnpricedModelShape(serializers.Serializer[Any]):
    provider = serializers.CharField(allow_null=True)
    model = serializers.CharField()
    calls = serializers.IntegerField()
    traces = serializers.IntegerField()
    input_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField()
    first_at = serializers.DateTimeField()
    last_at = serializers.DateTimeField()
    has_price_now = serializers.BooleanField(
        help_text="The book in force prices such calls: price again what is stored."
    )


class UnpricedShape(serializers.Serializer[Any]):
    items = UnpricedModelShape(many=True)
    days = serializers.IntegerField(help_text="How far back is looked.")
    traces_seen = serializers.IntegerField()
    is_all = serializers.BooleanField(
        help_text=f"False: only the newest {read.UNPRICED_TRACES} such traces were looked at."
    )


class UnpricedView(ProjectView):
    @shapes.describe("Models in traffic without a price", UnpricedShape, tag="Prices")
    def get(self, request: Request) -> Response:
        found = read.read_unpriced(self.project.pk, prices.load_book(self.project.pk))
        items = [
            {
                "provider": model.provider,
                "model": model.model,
                "calls": model.calls,
                "traces": model.traces,
                "input_tokens": model.input_tokens,
                "output_tokens": model.output_tokens,
                "first_at": form.moment(model.first_at),
                "last_at": form.moment(model.last_at),
                "has_price_now": model.has_price_now,
            }
            for model in found.models
        ]
        return Response({"items": items, "days": found.days, "traces_seen": found.traces_seen, "is_all": found.is_all})


class RepriceBody(serializers.Serializer[Any]):
    start = serializers.CharField(max_length=64, help_text="Traces that started at or after this time, ISO 8601.")
    end = serializers.CharField(max_length=64, required=False, help_text="And before this one; now if absent.")
    models = serializers.ListField(
        child=serializers.CharField(max_length=1024), max_length=reprice.MODELS_MAX, required=False,
        help_text="As senders name them, asked for or answered; all if absent or empty.",
    )  # fmt: skip


class ModelDifferenceShape(serializers.Serializer[Any]):
    model = serializers.CharField(allow_null=True)
    spans = serializers.IntegerField()
    changed = serializers.IntegerField()
    old_usd = serializers.CharField()
    new_usd = serializers.CharField()
    delta_usd = serializers.CharField()
    old_unknown = serializers.IntegerField(help_text="Calls whose cost was not known before.")
    new_unknown = serializers.IntegerField()


class DifferenceShape(ModelDifferenceShape):
    model = None  # type: ignore[assignment]
    uncounted = serializers.IntegerField(help_text="Calls told twice: priced too, in no sum.")
    models = ModelDifferenceShape(many=True)


class JobShape(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=["preview", "apply"])
    state = serializers.ChoiceField(choices=["pending", "running", "done", "failed", "cancelled"])
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    models = serializers.ListField(child=serializers.CharField())
    done = serializers.IntegerField(help_text="Traces so far.")
    total = serializers.IntegerField(allow_null=True, help_text="Traces in the window when the job began.")
    difference = DifferenceShape()
    may_apply = serializers.BooleanField()
    preview_id = serializers.IntegerField(allow_null=True)
    error = serializers.CharField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class JobListShape(serializers.Serializer[Any]):
    items = JobShape(many=True)


class RepriceView(ProjectView):
    acts = {"GET": "read", "POST": "prices"}

    @shapes.describe("The newest re-pricing jobs", JobListShape, tag="Prices")
    def get(self, request: Request) -> Response:
        return Response({"items": [job_json(job) for job in reprice.list_jobs(self.project.pk)]})

    @shapes.describe(
        "Find out what pricing again would change",
        JobShape,
        tag="Prices",
        status=201,
        body=RepriceBody,
        detail="Starts a job that changes nothing; when it is done, its difference can be applied.",
    )
    def post(self, request: Request) -> Response:
        body = checked(RepriceBody, request)
        now = clock.now()
        start = params.parse_moment("start", body["start"])
        end = params.parse_moment("end", body["end"]) if body.get("end") else now
        _check_window(start, end)
        models = tuple(dict.fromkeys(body.get("models") or ()))
        job = reprice.start_preview(self.project, reprice.Order(start, end, models), by_id=self.person_id)
        return Response(job_json(_job(self.project.pk, job)), status=201)


class RepriceJobView(ProjectView):
    acts = {"GET": "read", "DELETE": "prices"}

    @shapes.describe("One re-pricing job with its progress", JobShape, tag="Prices", path=(JOB_ID,))
    def get(self, request: Request, job_id: str) -> Response:
        return Response(job_json(_job(self.project.pk, params.row_id(job_id))))

    @shapes.describe(
        "Stop a re-pricing job",
        JobShape,
        tag="Prices",
        path=(JOB_ID,),
        problems={409: "It is over already."},
        detail="What it has applied stays, and is whole.",
    )
    def delete(self, request: Request, job_id: str) -> Response:
        number = params.row_id(job_id)
        _job(self.project.pk, number)
        if not reprice.cancel(self.project, number, request=self.http):
            raise Problem(409, "The job is over already.")
        return Response(job_json(_job(self.project.pk, number)))


class RepriceApplyView(ProjectView):
    acts = {"POST": "prices"}

    @shapes.describe(
        "Apply what a preview told",
        JobShape,
        tag="Prices",
        status=201,
        path=(JOB_ID,),
        problems={409: "It is no finished preview, prices changed since, or another one is under way."},
    )
    def post(self, request: Request, job_id: str) -> Response:
        preview = _job(self.project.pk, params.row_id(job_id))
        try:
            job = reprice.start_apply(self.project, preview.id, by_id=self.person_id, request=self.http)
        except reprice.Conflict as conflict:
            raise Problem(409, str(conflict)) from None
        return Response(job_json(_job(self.project.pk, job)), status=201)


def job_json(job: reprice.JobView) -> dict[str, Any]:
    """A re-pricing job as REST shows it."""
    found = job.difference
    return {
        "id": job.id,
        "kind": job.kind,
        "state": job.state,
        "start": form.moment(job.order.start),
        "end": form.moment(job.order.end),
        "models": list(job.order.models),
        "done": job.done,
        "total": job.total,
        "difference": {
            "uncounted": found.uncounted,
            **_difference(found),
            "models": [{"model": model.model, **_difference(model)} for model in found.models],
        },
        "may_apply": job.may_apply,
        "preview_id": job.preview_id,
        "error": job.error,
        "created_at": form.moment(job.created_at),
        "finished_at": form.moment(job.finished_at),
    }


def _difference(found: Any) -> dict[str, Any]:
    return {
        "spans": found.spans,
        "changed": found.changed,
        "old_usd": form.usd(found.old_pico),
        "new_usd": form.usd(found.new_pico),
        "delta_usd": form.usd(found.delta_pico),
        "old_unknown": found.old_unknown,
        "new_unknown": found.new_unknown,
    }


def _job(project_id: int, job_id: int) -> reprice.JobView:
    job = reprice.find_job(project_id, job_id)
    if job is None:
        raise not_found()
    return job


def _fields(request: Request) -> dict[str, Any]:
    unknown = sorted(set(request.data) - set(FIELDS))
    if unknown:
        accepted = ", ".join(FIELDS)
        errors = [FieldError(name, "is no field of a price", f"one of {accepted}") for name in unknown[:10]]
        raise Problem(400, f"Unknown field; accepted: {accepted}.", *errors)
    return dict(request.data)


def _problem(refused: prices.PriceRefused) -> Problem:
    errors = [FieldError(error.field, error.message, None, error.value or None) for error in refused.errors]
    return Problem(400, str(refused), *errors)


def _price_id(raw: str) -> int:
    digits = raw.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 20 and int(digits) <= 2**63 - 1):
        raise not_found()
    return int(raw)


def _check_window(start: datetime, end: datetime) -> None:
    if start >= end:
        raise bad_field("start", "must be before `end`", limit=end.astimezone(UTC).isoformat(), value=start.isoformat())
    if end - start > WINDOW_MAX:
        raise bad_field("start", "the window is too long", limit=f"{WINDOW_MAX.days} days", value=str(end - start))
