"""REST: rubrics and their versions."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from evals import setup
from evals.api.refusals import below, told
from evals.pages.rubrics import line
from evals.read import setup as read
from evals.read.setup import JudgeView, RubricVersionView, RubricView
from evals.rubrics import PRESETS, RubricRefused, lint, parse_rubric, to_json
from evals.setup.rubrics import NAME_CHARS_MAX
from telltale.rest import form, shapes
from telltale.rest.body import checked
from telltale.rest.problems import bad_field, not_found
from telltale.rest.views import ProjectView

RUBRIC = OpenApiParameter("rubric", OpenApiTypes.STR, OpenApiParameter.PATH, description="The rubric's slug.")


class RubricScaleShape(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=("points", "boolean", "labels"))
    low = serializers.IntegerField(required=False, help_text="Of points.")
    high = serializers.IntegerField(required=False)
    labels = serializers.ListField(child=serializers.CharField(), required=False, help_text="From worst to best.")
    ordered = serializers.BooleanField(required=False, help_text="Labels have an order, and so numbers.")
    anchors = serializers.DictField(
        child=serializers.CharField(), required=False, help_text="Level to what earns it."
    )  # fmt: skip


class RubricExampleShape(serializers.Serializer[Any]):
    question = serializers.CharField(required=False)
    answer = serializers.CharField()
    level = serializers.CharField()
    reason = serializers.CharField(required=False)


class RubricCriterionShape(serializers.Serializer[Any]):
    key = serializers.CharField(help_text="Names its scores: small letters, digits and _.")
    title = serializers.CharField(required=False)
    definition = serializers.CharField(help_text="What can be seen in the text itself.")
    scale = RubricScaleShape()
    examples = RubricExampleShape(many=True, required=False)
    flag_at_most = serializers.JSONField(
        required=False, help_text="This level or a worse one flags the answer: a number, or a label of the scale."
    )


class RubricSpecShape(serializers.Serializer[Any]):
    criteria = RubricCriterionShape(many=True)
    instructions = serializers.CharField(required=False)


class RubricRemarkShape(serializers.Serializer[Any]):
    criterion = serializers.CharField()
    text = serializers.CharField()


class RubricVersionShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    number = serializers.IntegerField()
    spec = RubricSpecShape()
    is_draft = serializers.BooleanField(help_text="Nobody used it yet: saving changes it.")
    frozen_at = serializers.DateTimeField(allow_null=True)
    remarks = RubricRemarkShape(many=True, help_text="What could be clearer; warnings.")
    created_by = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()


class RubricShape(serializers.Serializer[Any]):
    slug = serializers.CharField()
    name = serializers.CharField()
    used_by = serializers.ListField(
        child=serializers.CharField(), help_text="Slugs of judges that score by it, in production or in their draft."
    )
    created_at = serializers.DateTimeField()
    archived_at = serializers.DateTimeField(allow_null=True)
    versions = RubricVersionShape(many=True, help_text="Newest first.")


class RubricsShape(serializers.Serializer[Any]):
    items = RubricShape(many=True)


class RubricPresetShape(serializers.Serializer[Any]):
    slug = serializers.CharField()
    name = serializers.CharField()
    about = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]
    spec = RubricSpecShape()


class RubricPresetsShape(serializers.Serializer[Any]):
    items = RubricPresetShape(many=True)


class RubricBodyShape(serializers.Serializer[Any]):
    """How the body of a new rubric is documented; the room's own reader checks it."""

    name = serializers.CharField(max_length=NAME_CHARS_MAX)
    slug = serializers.SlugField(max_length=60, required=False, help_text="Made of the name where left out.")
    spec = RubricSpecShape()


class RubricChangeShape(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=NAME_CHARS_MAX, required=False)
    spec = RubricSpecShape(required=False)
    is_archived = serializers.BooleanField(required=False)


class RubricBody(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=NAME_CHARS_MAX)
    slug = serializers.SlugField(max_length=60, required=False)
    spec = serializers.JSONField()


class RubricChange(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=NAME_CHARS_MAX, required=False)
    spec = serializers.JSONField(required=False)
    is_archived = serializers.BooleanField(required=False)


class RubricCheckBody(serializers.Serializer[Any]):
    spec = serializers.JSONField()


class RubricCheckedShape(serializers.Serializer[Any]):
    spec = RubricSpecShape()
    remarks = RubricRemarkShape(many=True)


class RubricsView(ProjectView):
    acts = {"GET": "read", "POST": "measure"}

    @shapes.describe("List rubrics", RubricsShape, tag="Judges")
    def get(self, request: Request) -> Response:
        found = read.list_rubrics(self.project.pk, with_archived=True)
        judges = read.list_judges(self.project.pk)
        return Response({"items": [rubric_json(each, judges) for each in found]})

    @shapes.describe("Write a rubric", RubricShape, tag="Judges", body=RubricBodyShape, status=201)
    def post(self, request: Request) -> Response:
        body = checked(RubricBody, request)
        with told(under="spec"):
            saved = setup.save_rubric(
                self.project, _spec(body), slug=body.get("slug", ""), name=body["name"], is_new=True,
                by_id=self.person_id, request=self.http,
            )  # fmt: skip
        return Response(_told(self.project.pk, saved.slug), status=201)


class OneRubricView(ProjectView):
    acts = {"GET": "read", "PATCH": "measure"}

    @shapes.describe("One rubric with its versions", RubricShape, tag="Judges", path=(RUBRIC,))
    def get(self, request: Request, rubric: str) -> Response:
        return Response(_told(self.project.pk, rubric))

    @shapes.describe(
        "Change a rubric",
        RubricShape,
        tag="Judges",
        path=(RUBRIC,),
        body=RubricChangeShape,
        detail="A version that was used stays; the next one is made.",
    )
    def patch(self, request: Request, rubric: str) -> Response:
        view = _find(self.project.pk, rubric)
        body = checked(RubricChange, request)
        if not body:
            raise bad_field("spec", "or another field is required: there is nothing to change")
        with told(under="spec"), transaction.atomic():
            if "spec" in body or "name" in body:
                spec = _spec(body) if "spec" in body else dict(view.newest.spec)
                setup.save_rubric(
                    self.project, spec, slug=view.slug, name=body.get("name", ""), by_id=self.person_id,
                    request=self.http,
                )  # fmt: skip
            if "is_archived" in body:
                setup.archive_rubric(
                    self.project, view.slug, is_archived=body["is_archived"], request=self.http
                )  # fmt: skip
        return Response(_told(self.project.pk, view.slug))


class RubricCheckView(ProjectView):
    acts = {"POST": "read"}

    @shapes.describe(
        "Check a rubric",
        RubricCheckedShape,
        tag="Judges",
        body=RubricChangeShape,
        detail="Reads `spec` and says what could be clearer. Nothing is saved.",
    )
    def post(self, request: Request) -> Response:
        spec = _spec(checked(RubricCheckBody, request))
        try:
            parsed = parse_rubric(spec)
        except RubricRefused as error:
            raise bad_field(below("spec", error.field), error.message, limit=error.limit or None) from None
        return Response({"spec": to_json(parsed), "remarks": remarks_json(parsed)})


class RubricPresetsView(ProjectView):
    acts = {"GET": "read"}

    @shapes.describe("Rubrics to begin with", RubricPresetsShape, tag="Judges")
    def get(self, request: Request) -> Response:
        names = ("slug", "name", "about", "source", "spec")
        return Response({"items": [{name: getattr(preset, name) for name in names} for preset in PRESETS]})


def _spec(body: dict[str, Any]) -> Any:
    return body["spec"]


def _find(project_id: int, slug: str) -> RubricView:
    found = read.get_rubric(project_id, slug)
    if found is None:
        raise not_found()
    return found


def _told(project_id: int, slug: str) -> dict[str, Any]:
    return rubric_json(_find(project_id, slug), read.list_judges(project_id))


def remarks_json(rubric: Any) -> list[dict[str, str]]:
    """What could be clearer, as REST shows it."""
    return [{"criterion": each.criterion, "text": each.text} for each in lint(rubric)]


def version_json(version: RubricVersionView) -> dict[str, Any]:
    """A version as REST shows it."""
    return {
        "id": str(version.id),
        "number": version.number,
        "spec": dict(version.spec),
        "is_draft": version.is_draft,
        "frozen_at": form.moment(version.frozen_at),
        "remarks": remarks_json(version.rubric),
        "created_by": version.created_by or None,
        "created_at": form.moment(version.created_at),
    }


def rubric_json(view: RubricView, judges: list[JudgeView]) -> dict[str, Any]:
    """A rubric as REST shows it, with those of `judges` that score by it."""
    return {
        "slug": view.slug,
        "name": view.name,
        "used_by": [judge.slug for judge in line(view, judges).judges],
        "created_at": form.moment(view.created_at),
        "archived_at": form.moment(view.archived_at),
        "versions": [version_json(each) for each in view.versions],
    }
