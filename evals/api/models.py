"""REST: the registry of models and prompts, and what was promoted through the gate."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from evals import promoting
from evals.keeping import By
from evals.probes.pins import is_pinned
from evals.promoting import NotThrough, PromotionRefused, Wanted
from evals.read import promotions as read
from evals.read.promotions import PromotionRow
from telltale.lib import clock
from telltale.projects.keys import KeyHolder
from telltale.projects.models import ApiKey
from telltale.rest import form, params, shapes
from telltale.rest.body import checked
from telltale.rest.problems import FieldError, Problem, bad_field, not_found
from telltale.rest.views import ProjectView
from traces.api.traces import answers
from traces.read.model_registry import ModelVersion, PromptVersion, Registry, Seen, read_registry

WINDOW_DEFAULT, WINDOW_MAX = timedelta(days=28), timedelta(days=400)
PROMOTION = OpenApiParameter("promotion_id", OpenApiTypes.STR, OpenApiParameter.PATH, description="The promotion's id.")


class SeenNameShape(serializers.Serializer[Any]):
    name = serializers.CharField()
    first_at = serializers.DateTimeField()
    last_at = serializers.DateTimeField()


class RegisteredUsageShape(serializers.Serializer[Any]):
    calls = serializers.IntegerField(help_text="In the window.")
    share = serializers.FloatField(allow_null=True, help_text="Of all calls of the window; of a prompt's calls.")
    errors = serializers.IntegerField()  # type: ignore[assignment]
    cost_usd = serializers.CharField(allow_null=True, help_text="Sum of the known costs.")
    unpriced = serializers.IntegerField(help_text="Calls without a price.")
    first_at = serializers.DateTimeField(allow_null=True, help_text="Ever.")
    last_at = serializers.DateTimeField(allow_null=True, help_text="Ever, within some seconds.")
    features = serializers.ListField(child=serializers.CharField())


class RegisteredModelShape(RegisteredUsageShape):
    provider = serializers.CharField(allow_null=True)
    model = serializers.CharField(allow_null=True, help_text="That answered, else that was asked for.")
    is_pinned = serializers.BooleanField(help_text="Whether its name is of one version, which no provider changes.")
    asked = SeenNameShape(many=True, help_text="The names it was asked for by.")
    shifted = serializers.ListField(
        child=serializers.CharField(), help_text="Those of these names that another model answered to as well."
    )
    fingerprints = SeenNameShape(many=True)


class RegisteredPromptShape(RegisteredUsageShape):
    name = serializers.CharField()
    version = serializers.CharField()


class PromotionShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    kind = serializers.ChoiceField(list(promoting.KINDS))
    subject = serializers.CharField(allow_null=True, help_text="The prompt; of a model the feature, null: all.")
    version = serializers.CharField()
    stands = serializers.BooleanField()
    finding = serializers.CharField(help_text="What the gate saw, in a sentence.")
    experiment = serializers.CharField(allow_null=True, help_text="Its id; null where it was removed.")
    against = serializers.CharField(allow_null=True)
    evidence = serializers.JSONField(help_text="What was compared, as it was then.")
    note = serializers.CharField()
    author = serializers.CharField()
    made_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    ended_as = serializers.ChoiceField(["replaced", "withdrawn"], allow_null=True)
    ended_by = serializers.CharField(allow_null=True)


class PromotionsShape(serializers.Serializer[Any]):
    items = PromotionShape(many=True)
    next = serializers.CharField(allow_null=True, help_text="The id to go on from, as `before`.")


class ModelRegistryShape(serializers.Serializer[Any]):
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    calls = serializers.IntegerField(help_text="Of all models in the window.")
    models = RegisteredModelShape(many=True)
    prompts = RegisteredPromptShape(many=True)
    promoted = PromotionShape(many=True, help_text="What stands.")
    left_out = serializers.IntegerField(help_text="Names beyond what is remembered of a project.")
    is_behind = serializers.BooleanField(help_text="Stored traces from before are still being looked through.")


class PromotionBody(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(list(promoting.KINDS))
    subject = serializers.CharField(
        required=False, allow_blank=True, help_text="The prompt's name; of a model the feature, left out: all."
    )
    version = serializers.CharField(help_text="Of the prompt, or the model's name.")
    experiment = serializers.CharField(help_text="The id of the experiment that ran it.")
    against = serializers.CharField(
        required=False, help_text="The id of the one to hold it against; that of the version that stands if left out."
    )
    note = serializers.CharField(required=False, allow_blank=True)


class ModelRegistryView(ProjectView):
    query = {"GET": ("from", "to")}

    @shapes.describe(
        "Models and prompts seen",
        ModelRegistryShape,
        tag="Models",
        detail="Every one that was ever seen in traces, with the calls of the window (the last 28 days if absent), "
        "most calls first, and what was promoted.",
        query=(shapes.FROM, shapes.TO),
    )
    def get(self, request: Request) -> Response:
        now = clock.now()
        start, end = params.window(request.query_params, now - WINDOW_DEFAULT, now)
        if end - start > WINDOW_MAX:
            limit = f"at most {WINDOW_MAX.days} days"
            raise bad_field("from", "begins too long a window", limit=limit, value=start.isoformat())
        with answers():
            found = read_registry(self.project.pk, self.project.time_zone, start, end)
        return Response(registry_json(found, read.list_promotions(self.project.pk, standing=True, limit=500)))


class _PromotingView(ProjectView):
    def by(self) -> tuple[By, str]:
        """Who asks, as the audit log names them and as the registry does."""
        if self.person is not None:
            return By(self.person.pk, "", self.http), self.person.name or self.person.email
        holder = self.request.auth
        assert isinstance(holder, KeyHolder)  # noqa: S101 - one of the two asks
        name = ApiKey.objects.filter(pk=holder.key_id).values_list("name", flat=True).first()
        words = f"API key {name or holder.key_id}"
        return By(None, words, self.http), words


class PromotionsView(_PromotingView):
    acts = {"GET": "read", "POST": "measure"}
    query = {"GET": ("kind", "standing", "limit", "before")}

    @shapes.describe(
        "List promotions",
        PromotionsShape,
        tag="Models",
        detail="Newest first.",
        query=(
            OpenApiParameter("kind", OpenApiTypes.STR, enum=list(promoting.KINDS), description="Of this kind alone."),
            OpenApiParameter("standing", OpenApiTypes.BOOL, description="Those in force alone."),
            shapes.LIMIT,
            OpenApiParameter("before", OpenApiTypes.STR, description="The id to go on from."),
        ),
    )
    def get(self, request: Request) -> Response:
        query = request.query_params
        limit = params.page_size(query)
        rows = read.list_promotions(
            self.project.pk,
            kind=params.choice(query, "kind", promoting.KINDS),
            standing=params.boolean(query, "standing") or False,
            before=params.integer(query, "before", 0, 0, params.ID_MAX) or None,
            limit=limit + 1,
        )
        more = str(rows[limit - 1].id) if len(rows) > limit else None
        return Response({"items": [promotion_json(row) for row in rows[:limit]], "next": more})

    @shapes.describe(
        "Promote a version",
        PromotionShape,
        tag="Models",
        status=201,
        body=PromotionBody,
        detail="Passes where the comparison with the experiment of the version that stands (or `against`) proves no "
        "measure worse, with ten items at least in one that decides. The first version of a subject has nothing to be "
        "compared with. 409 says why the gate is not passed. It changes nothing of what your application runs.",
        problems={409: "The gate is not passed; `detail` and `errors` say why."},
    )
    def post(self, request: Request) -> Response:
        told = checked(PromotionBody, request)
        wanted = Wanted(
            told["kind"],
            told.get("subject", ""),
            told["version"],
            _id("experiment", told["experiment"]),
            _id("against", told["against"]) if "against" in told else None,
            told.get("note", ""),
        )
        by, author = self.by()
        try:
            row = promoting.promote(self.project, wanted, by, author)
        except PromotionRefused as refused:
            raise bad_field(
                refused.field, refused.message, limit=refused.limit or None, value=refused.value or None
            ) from None
        except NotThrough as closed:
            raise Problem(409, str(closed), *(FieldError("experiment", each) for each in closed.reasons)) from None
        return Response(promotion_json(row), status=201)


class OnePromotionView(_PromotingView):
    acts = {"GET": "read", "DELETE": "measure"}

    @shapes.describe("One promotion", PromotionShape, tag="Models", path=(PROMOTION,))
    def get(self, request: Request, promotion_id: str) -> Response:
        found = read.get_promotion(self.project.pk, params.row_id(promotion_id))
        if found is None:
            raise not_found()
        return Response(promotion_json(found))

    @shapes.describe(
        "Withdraw a promotion",
        None,
        tag="Models",
        status=204,
        path=(PROMOTION,),
        detail="Nothing is promoted for its subject then; the record stays. One that has ended is a 404.",
    )
    def delete(self, request: Request, promotion_id: str) -> Response:
        by, author = self.by()
        try:
            promoting.withdraw(self.project, params.row_id(promotion_id), by, author)
        except promoting.Gone:
            raise not_found() from None
        return Response(status=204)


def registry_json(found: Registry, promoted: list[PromotionRow]) -> dict[str, Any]:
    """The registry as REST shows it."""
    return {
        "start": form.moment(found.start),
        "end": form.moment(found.end),
        "calls": found.calls,
        "models": [_model(each) for each in found.models],
        "prompts": [{"name": each.name, "version": each.version, **_usage(each)} for each in found.prompts],
        "promoted": [promotion_json(row) for row in promoted],
        "left_out": found.left_out,
        "is_behind": found.is_behind,
    }


def promotion_json(row: PromotionRow) -> dict[str, Any]:
    """A promotion as REST shows it."""
    return {
        "id": str(row.id),
        "kind": row.kind,
        "subject": row.subject or None,
        "version": row.version,
        "stands": row.stands,
        "finding": row.finding,
        "experiment": None if row.experiment_id is None else str(row.experiment_id),
        "against": None if row.against_id is None else str(row.against_id),
        "evidence": dict(row.evidence),
        "note": row.note,
        "author": row.author,
        "made_at": form.moment(row.made_at),
        "ended_at": form.moment(row.ended_at),
        "ended_as": row.ended_as or None,
        "ended_by": row.ended_by or None,
    }


def _model(each: ModelVersion) -> dict[str, Any]:
    return {
        "provider": each.provider or None,
        "model": each.model or None,
        "is_pinned": is_pinned(each.model),
        "asked": [_seen(one) for one in each.asked],
        "shifted": list(each.shifted),
        "fingerprints": [_seen(one) for one in each.fingerprints],
        **_usage(each),
    }


def _usage(each: ModelVersion | PromptVersion) -> dict[str, Any]:
    used = each.usage
    return {
        "calls": used.calls,
        "share": used.share,
        "errors": used.errors,
        "cost_usd": form.usd(used.cost_pico),
        "unpriced": used.unpriced,
        "first_at": form.moment(each.first_at),
        "last_at": form.moment(each.last_at),
        "features": list(each.features),
    }


def _seen(one: Seen) -> dict[str, Any]:
    return {"name": one.name, "first_at": form.moment(one.first_at), "last_at": form.moment(one.last_at)}


def _id(field: str, raw: str) -> int:
    if not (raw.isascii() and raw.isdigit() and len(raw) < 20 and int(raw) <= params.ID_MAX):
        raise bad_field(field, "is no experiment of this project", limit="the id of one", value=raw)
    return int(raw)
