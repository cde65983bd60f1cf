"""REST: two traces or two spans compared."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from telltale.rest import params, shapes
from telltale.rest.problems import bad_field, not_found
from telltale.rest.views import ProjectView
from traces.api import trace_json, trace_shapes
from traces.api.traces import too_slow
from traces.pages.compare import find_side
from traces.pages.comparison import Comparison, Fact, Side, compare
from traces.read import TooSlow

_WORDS = ("same", "changed", "gone", "new", "replaced")


class FactShape(serializers.Serializer[Any]):
    key = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    a = serializers.CharField(help_text="As a page writes it.")
    b = serializers.CharField()
    difference = serializers.CharField(help_text="From a to b; empty where there is none, or none of numbers.")
    is_different = serializers.BooleanField()


class StepShape(serializers.Serializer[Any]):
    depth = serializers.IntegerField()
    kind = serializers.CharField()
    span_a = serializers.CharField(allow_null=True)
    span_b = serializers.CharField(allow_null=True)
    name_a = serializers.CharField(allow_null=True)
    name_b = serializers.CharField(allow_null=True)
    model_a = serializers.CharField(allow_null=True)
    model_b = serializers.CharField(allow_null=True)


class PieceShape(serializers.Serializer[Any]):
    op = serializers.ChoiceField(choices=["same", "gone", "new"])
    text = serializers.CharField()


class SaidShape(serializers.Serializer[Any]):
    who = serializers.CharField()
    state = serializers.ChoiceField(choices=_WORDS)
    a = PieceShape(many=True)
    b = PieceShape(many=True)
    is_cut = serializers.BooleanField(help_text="Only the beginning of the text was compared.")


class SideShape(serializers.Serializer[Any]):
    trace = trace_shapes.TraceShape()
    span_id = serializers.CharField(allow_null=True, help_text="The span that `span_facts` and `said` are about.")


class ComparisonShape(serializers.Serializer[Any]):
    a = SideShape()
    b = SideShape()
    facts = FactShape(many=True)
    steps = StepShape(many=True)
    is_all_steps = serializers.BooleanField()
    span_facts = FactShape(many=True)
    said = SaidShape(many=True)


class CompareView(ProjectView):
    query = {"GET": ("a", "b")}

    @shapes.describe(
        "Compare two traces or two spans",
        ComparisonShape,
        tag="Traces",
        detail="Steps of one kind and name below the same step stand beside each other; texts are compared word by "
        "word as far as their size allows. Without a span, the last model call of each trace is compared.",
        query=tuple(
            OpenApiParameter(
                name, OpenApiTypes.STR, required=True, description="A trace's id, or `trace:span` (16 hex digits)."
            )
            for name in ("a", "b")
        ),
    )
    def get(self, request: Request) -> Response:
        sides: list[Side] = []
        try:
            for name in ("a", "b"):
                text = params.text(request.query_params, name).strip()
                if not text:
                    raise bad_field(name, "is required: the id of a trace, or trace:span")
                side = find_side(self.project.pk, text)
                if side is None:
                    raise not_found()
                sides.append(side)
            return Response(comparison_json(compare(self.project.pk, *sides)))
        except TooSlow:
            raise too_slow() from None


def comparison_json(compared: Comparison) -> dict[str, Any]:
    """A comparison as REST shows it."""
    return {
        "a": _side(compared.a),
        "b": _side(compared.b),
        "facts": list(map(_fact, compared.facts)),
        "steps": [
            {
                "depth": step.depth,
                "kind": step.word,
                "span_a": step.span_a or None,
                "span_b": step.span_b or None,
                "name_a": step.name_a if step.span_a else None,
                "name_b": step.name_b if step.span_b else None,
                "model_a": step.model_a or None,
                "model_b": step.model_b or None,
            }
            for step in compared.steps
        ],
        "is_all_steps": compared.is_all_steps,
        "span_facts": list(map(_fact, compared.span_facts)),
        "said": [
            {
                "who": each.who,
                "state": each.state,
                "a": [{"op": piece.op, "text": piece.text} for piece in each.a],
                "b": [{"op": piece.op, "text": piece.text} for piece in each.b],
                "is_cut": each.is_cut,
            }
            for each in compared.said
        ],
    }


def _side(side: Side) -> dict[str, Any]:
    return {"trace": trace_json.trace(side.trace), "span_id": side.detail.span.hex_id if side.detail else None}


def _fact(fact: Fact) -> dict[str, Any]:
    return {
        "key": fact.key,
        "label": fact.label,
        "a": fact.a,
        "b": fact.b,
        "difference": fact.difference,
        "is_different": fact.is_different,
    }
