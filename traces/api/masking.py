"""REST: what is masked before it is stored."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from telltale.projects.keys import KeyHolder
from telltale.rest import form, shapes
from telltale.rest.problems import FieldError, Problem
from telltale.rest.views import ProjectView
from traces import masks, remasking
from traces.masking import KINDS, Mode, PolicyRefused
from traces.masking.policy import FEATURES_MAX, PATTERN_CHARS_MAX, PATTERNS_MAX
from traces.masks import SAMPLE_CHARS_MAX, Version
from traces.remasking import Remask

_MODES = [str(mode) for mode in Mode]


class PatternShape(serializers.Serializer[Any]):
    name = serializers.CharField(help_text="Letters a to z, spaces and hyphens: the rule, and the word in its mark.")
    pattern = serializers.CharField(help_text=f"A regular expression of RE2, at most {PATTERN_CHARS_MAX} characters.")
    ignore_case = serializers.BooleanField(required=False, default=False)


class FeatureModeShape(serializers.Serializer[Any]):
    feature = serializers.CharField()
    mode = serializers.ChoiceField(choices=_MODES)


@extend_schema_field({"type": "object", "properties": {kind.name: {"type": "boolean"} for kind in KINDS}})
class KindsField(serializers.DictField):
    """Each kind, whether it is masked."""


class RulesShape(serializers.Serializer[Any]):
    mode = serializers.ChoiceField(choices=_MODES, required=False)
    kinds = KindsField(required=False, help_text="What is left out is as shipped.")
    tokens = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="Kinds and names of patterns whose marks carry a hash."
    )
    patterns = PatternShape(many=True, required=False, help_text=f"At most {PATTERNS_MAX}.")
    features = FeatureModeShape(many=True, required=False, help_text=f"At most {FEATURES_MAX}.")


class KindShape(serializers.Serializer[Any]):
    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    finds = serializers.CharField()
    is_on_from_start = serializers.BooleanField()


class ReapplyShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    state = serializers.CharField(help_text="pending, running, done, failed or cancelled.")
    version = serializers.IntegerField(help_text="The newest version of the rules when it was asked for.")
    done = serializers.IntegerField(help_text="Traces looked at.")
    total = serializers.IntegerField(allow_null=True)
    found = serializers.DictField(child=serializers.IntegerField(), help_text="How often each rule masked something.")
    error = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class MaskingShape(RulesShape):
    version = serializers.IntegerField(help_text="0: the rules as shipped.")
    made_by = serializers.CharField(allow_null=True)
    made_at = serializers.DateTimeField(allow_null=True)
    known_kinds = KindShape(many=True)
    reapply = ReapplyShape(allow_null=True, help_text="The newest job that masked what is stored.")


class TryBody(serializers.Serializer[Any]):
    text = serializers.CharField(help_text=f"At most {SAMPLE_CHARS_MAX} characters. Kept nowhere.")
    rules = RulesShape(required=False, help_text="Rules that are not in force; left out: those that are.")


class TrialShape(serializers.Serializer[Any]):
    text = serializers.CharField(help_text="As it would be stored.")
    found = serializers.DictField(child=serializers.IntegerField(), help_text="How often each rule found something.")


class _MaskingView(ProjectView):
    @property
    def actor(self) -> str:
        """Who asks where it is a key; a person speaks for themselves."""
        holder = self.request.auth
        return f"API key {holder.key_id}" if isinstance(holder, KeyHolder) else ""


class MaskingView(_MaskingView):
    acts = {"GET": "read", "PUT": "settings"}

    @shapes.describe("The rules of masking", MaskingShape, tag="Masking")
    def get(self, request: Request) -> Response:
        return Response(self._json(masks.version_of(self.project.pk)))

    @shapes.describe(
        "Change the rules of masking",
        MaskingShape,
        tag="Masking",
        body=RulesShape,
        detail="The rules whole: what is left out is as shipped. In force within 5 s, for what arrives from then on.",
    )
    def put(self, request: Request) -> Response:
        try:
            version = masks.change(
                self.project, request.data, request=self.http, by_id=self.person_id, actor=self.actor
            )
        except PolicyRefused as refused:
            raise _problem(refused) from None
        return Response(self._json(version))

    def _json(self, version: Version) -> dict[str, Any]:
        job = remasking.last(self.project.pk)
        return version.policy.as_dict() | {
            "version": version.number,
            "made_by": version.made_by or None,
            "made_at": form.moment(version.made_at),
            "known_kinds": [
                {"name": kind.name, "label": kind.label, "finds": kind.finds, "is_on_from_start": kind.is_on}
                for kind in KINDS
            ],
            "reapply": None if job is None else reapply_json(job),
        }


class MaskingTryView(_MaskingView):
    acts = {"POST": "settings"}

    @shapes.describe(
        "Try rules of masking on a text",
        TrialShape,
        tag="Masking",
        body=TryBody,
        detail="The text is kept nowhere. That somebody tried is in the audit log.",
    )
    def post(self, request: Request) -> Response:
        told: dict[str, Any] = dict(request.data)
        for name in told:
            if name not in ("text", "rules"):
                error = FieldError(str(name)[:100], "is not known", "text, rules")
                raise Problem(400, f"{name[:100]} is not known.", error)
        try:
            trial = masks.try_text(
                self.project, told.get("rules"), told.get("text"), request=self.http, actor=self.actor
            )
        except PolicyRefused as refused:
            raise _problem(refused) from None
        return Response({"text": trial.text, "found": trial.found})


class MaskingReapplyView(_MaskingView):
    acts = {"POST": "settings"}

    @shapes.describe(
        "Mask what is stored by the rules in force",
        ReapplyShape,
        tag="Masking",
        status=202,
        detail="A job; how far it is stands at `GET /api/v1/masking`. Names and ids stay as they are.",
        problems={409: "It is under way already, or the rules mask nothing."},
    )
    def post(self, request: Request) -> Response:
        try:
            job = remasking.start(self.project, by_id=self.person_id, request=self.http, actor=self.actor)
        except remasking.Conflict as conflict:
            raise Problem(409, str(conflict)) from None
        return Response(reapply_json(job), status=202)


def reapply_json(job: Remask) -> dict[str, Any]:
    """A job that masks what is stored, as REST shows it."""
    return {
        "id": str(job.id),
        "state": job.state,
        "version": job.version,
        "done": job.done,
        "total": job.total,
        "found": job.found,
        "error": job.error or None,
        "created_at": form.moment(job.created_at),
        "finished_at": form.moment(job.finished_at),
    }


def _problem(refused: PolicyRefused) -> Problem:
    return Problem(
        400, str(refused), *(FieldError(f.field, f.message, f.limit or None, f.value or None) for f in refused.faults)
    )
