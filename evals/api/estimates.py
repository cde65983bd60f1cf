"""REST: how good the answers are, for all traffic, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from evals.read.estimates import (
    HOUR_POINTS_MAX,
    WINDOW_MAX,
    By,
    Coverage,
    LevelShare,
    Row,
    Where,
    read_estimates,
    read_levels,
)
from evals.read.setup import get_judge
from evals.stats.ppi import Corrected
from evals.stats.results import Estimate, TooLittle
from telltale.lib import clock
from telltale.rest import form, params, shapes
from telltale.rest.problems import bad_field
from telltale.rest.views import ProjectView
from traces.api.traces import too_slow
from traces.read import TooSlow

BYS = ("feature", "model", "prompt_version", "hour", "day", "week")
DEFAULT_WINDOW = timedelta(days=7)


class QualityTooLittleShape(serializers.Serializer[Any]):
    have = serializers.IntegerField()
    need = serializers.IntegerField()
    what = serializers.CharField()


class QualityEstimateShape(serializers.Serializer[Any]):
    value = serializers.FloatField()
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)
    level = serializers.FloatField(help_text="Of the interval: 0.95.")
    n = serializers.IntegerField(help_text="Scores it stands on.")
    n_eff = serializers.FloatField(help_text="How many equally weighted ones these are worth.")
    method = serializers.CharField()


class UncorrectedQualityShape(serializers.Serializer[Any]):
    estimate = QualityEstimateShape(allow_null=True, help_text="The judge's own mean over all traffic: not quality.")
    too_little = QualityTooLittleShape(allow_null=True)


class CorrectedQualityShape(serializers.Serializer[Any]):
    estimate = QualityEstimateShape(
        allow_null=True, help_text="Quality as people would see it (PPI++); n counts reviews."
    )
    judge_weight = serializers.FloatField(allow_null=True, help_text="What the judge adds to the reviews: 0 to 1.")
    effective_reviews = serializers.FloatField(allow_null=True)
    reviews_only = QualityEstimateShape(allow_null=True)
    judge_bias = serializers.FloatField(allow_null=True, help_text="Judge minus people, over the reviewed.")
    too_little = QualityTooLittleShape(allow_null=True)


class QualityLevelShape(serializers.Serializer[Any]):
    level = serializers.CharField()
    scores = serializers.IntegerField()
    share = serializers.FloatField(help_text="Of all traffic, by the judge: uncorrected.")


class QualityRowShape(serializers.Serializer[Any]):
    judge = serializers.CharField()
    judge_version = serializers.IntegerField()
    is_live = serializers.BooleanField()
    criterion = serializers.CharField(help_text="Its key; _flag is the share of flagged traffic.")
    title = serializers.CharField()
    scale_low = serializers.FloatField(allow_null=True)
    scale_high = serializers.FloatField(allow_null=True)
    is_share = serializers.BooleanField(help_text="Whether the figures are shares, 0 to 1.")
    key = serializers.CharField(allow_null=True, help_text="The group asked for with `by`; empty where unknown.")
    uncorrected = UncorrectedQualityShape()
    corrected = CorrectedQualityShape()
    scores = serializers.IntegerField()
    effective_scores = serializers.FloatField()
    design_effect = serializers.FloatField(
        help_text="How many times more scores this took than equally weighted ones would: above 3 is much."
    )
    levels = QualityLevelShape(
        many=True, allow_null=True, help_text="Of labels without an order, which have no mean; null elsewhere."
    )
    traffic = serializers.FloatField(help_text="About how many traces it speaks for: the sum of weights.")
    reviews = serializers.IntegerField()
    badge = serializers.CharField(help_text="proven, not_proven, failed, stale or none.")
    badge_words = serializers.CharField()


class JudgingReasonShape(serializers.Serializer[Any]):
    state = serializers.CharField()
    reason = serializers.CharField()
    n = serializers.IntegerField()


class JudgingCoverageShape(serializers.Serializer[Any]):
    judge = serializers.CharField()
    covered = serializers.IntegerField(help_text="Traces that its plans gave a chance.")
    taken = serializers.IntegerField(help_text="Those that were drawn.")
    uncovered = serializers.IntegerField(
        help_text="Fit the judge's filter and had no chance: no estimate speaks of them."
    )
    states = serializers.DictField(child=serializers.IntegerField(), help_text="Of the judgements made in the window.")
    reasons = JudgingReasonShape(many=True)
    nonresponse = serializers.FloatField(allow_null=True, help_text="Share of ended judgements without a score.")
    is_nonresponse_high = serializers.BooleanField(help_text="More than 0.05.")


class QualityEstimatesShape(serializers.Serializer[Any]):
    start = serializers.DateTimeField(help_text="Of the effective window: whole hours.")
    end = serializers.DateTimeField()
    by = serializers.CharField(allow_null=True)
    items = QualityRowShape(many=True)
    coverage = JudgingCoverageShape(many=True)


def _text(name: str, description: str, **more: Any) -> OpenApiParameter:
    return OpenApiParameter(name, OpenApiTypes.STR, description=description, **more)


class EstimatesView(ProjectView):
    query = {"GET": ("from", "to", "judge", "version", "feature", "model", "prompt_version", "by", "criterion")}

    @shapes.describe(
        "Quality of all traffic",
        QualityEstimatesShape,
        tag="Scores",
        detail="For each judge version and criterion the estimate for all traffic, weighted by how each trace was "
        "drawn, with a 95 % interval. `uncorrected` is the judge's own mean, which is off by as much as the judge is; "
        "`corrected` is set right by the reviews of people, from 30 drawn reviews on. Where there is too little, "
        "`too_little` names what there is and what is needed. Without a window the last seven days.",
        query=(
            shapes.FROM,
            shapes.TO,
            _text("judge", "The slug of a judge."),
            OpenApiParameter("version", OpenApiTypes.INT, description="A version of that judge."),
            _text("criterion", "The key of a criterion."),
            _text("feature", "Traffic of this feature; empty: of none."),
            _text("model", "Traffic of this model."),
            _text("prompt_version", "Traffic of this version of the prompt."),
            _text(
                "by",
                "One row a group of it. Days are those of the project's zone, weeks begin on Mondays.",
                enum=list(BYS),
            ),
        ),
    )
    def get(self, request: Request) -> Response:
        query = request.query_params
        now = clock.now()
        end = params.moment(query, "to") or now
        start, end = params.window(query, end - DEFAULT_WINDOW, end)
        by = params.choice(query, "by", BYS)
        longest = HOUR_POINTS_MAX if by == "hour" else WINDOW_MAX
        if end - start > longest:
            raise bad_field("from", "is too far from `to`", limit=f"{longest.days} days", value=start.isoformat())
        where = self._where(request)
        try:
            criterion = params.text(query, "criterion")
            found = read_estimates(
                self.project.pk, self.project.time_zone, start, end, where, cast(By, by), name=criterion
            )
            unordered = set() if by else {row.of.name for row in found.rows if row.is_unordered}
            levels = read_levels(self.project.pk, found.start, found.end, unordered, where) if unordered else {}
        except TooSlow:
            raise too_slow() from None
        slugs = {judge.id: judge.slug for judge in found.judges}
        return Response(
            {
                "start": form.moment(found.start),
                "end": form.moment(found.end),
                "by": found.by or None,
                "items": [row_json(row, levels.get((row.of.version_id, row.of.name))) for row in found.rows],
                "coverage": [_coverage(each, slugs[judge]) for judge, each in found.coverage.items() if judge in slugs],
            }
        )

    def _where(self, request: Request) -> Where:
        query = request.query_params
        slug, number = params.text(query, "judge"), params.integer(query, "version", 0, 0, 2**31 - 1)
        if number and not slug:
            raise bad_field("version", "needs the judge it is of", limit="judge with version", value=number)
        judge = get_judge(self.project.pk, slug) if slug else None
        if slug and judge is None:
            raise bad_field("judge", "is no judge of this project", value=slug)
        version = None
        if judge is not None and number:
            version = next((each.id for each in judge.versions if each.number == number), None)
            if version is None:
                raise bad_field("version", "is no version of this judge", value=number)
        dims = {
            name: params.text(query, name) if name in query else None for name in ("feature", "model", "prompt_version")
        }
        return Where(None if judge is None else judge.id, version, **dims)


def row_json(row: Row, levels: Sequence[LevelShare] | None = None) -> dict[str, Any]:
    """One estimate as REST shows it; `levels` of labels without an order."""
    scale = row.of.scale
    bounds = (0.0, 1.0) if row.of.is_share else (None, None)
    if scale is not None and scale.has_numbers and not row.of.is_share:
        bounds = (float(scale.low), float(scale.high))
    key = row.key
    return {
        "judge": row.of.judge_slug,
        "judge_version": row.of.version,
        "is_live": row.of.is_live,
        "criterion": row.of.name,
        "title": row.of.title,
        "scale_low": bounds[0],
        "scale_high": bounds[1],
        "is_share": row.of.is_share,
        "key": form.moment(key) if isinstance(key, datetime) else None if key is None else str(key),
        "uncorrected": {"estimate": _estimate(row.raw), "too_little": _too_little(row.raw)},
        "corrected": _corrected(row.corrected),
        "scores": row.n,
        "effective_scores": row.n_eff,
        "design_effect": row.design_effect,
        "levels": None
        if levels is None
        else [{"level": each.level, "scores": each.n, "share": each.share} for each in levels],
        "traffic": row.coverage,
        "reviews": row.reviews,
        "badge": row.badge.state,
        "badge_words": row.badge.words,
    }


def _estimate(found: Estimate | TooLittle) -> dict[str, Any] | None:
    if isinstance(found, TooLittle):
        return None
    names = ("value", "low", "high", "level", "n", "n_eff", "method")
    return {name: getattr(found, name) for name in names}


def _too_little(found: Estimate | Corrected | TooLittle) -> dict[str, Any] | None:
    if not isinstance(found, TooLittle):
        return None
    return {"have": found.have, "need": found.need, "what": found.what}


def _corrected(found: Corrected | TooLittle) -> dict[str, Any]:
    told = _too_little(found)
    if isinstance(found, TooLittle):
        names = ("estimate", "judge_weight", "effective_reviews", "reviews_only", "judge_bias")
        return {**dict.fromkeys(names), "too_little": told}
    return {
        "estimate": _estimate(found.estimate),
        "judge_weight": found.lam,
        "effective_reviews": found.effective_reviews,
        "reviews_only": _estimate(found.reviews_only),
        "judge_bias": found.bias,
        "too_little": None,
    }


def _coverage(found: Coverage, slug: str) -> dict[str, Any]:
    return {
        "judge": slug,
        "covered": found.covered,
        "taken": found.taken,
        "uncovered": found.uncovered,
        "states": dict(found.states),
        "reasons": [{"state": state, "reason": reason, "n": n} for state, reason, n in found.reasons],
        "nonresponse": found.nonresponse,
        "is_nonresponse_high": found.is_flagged,
    }
